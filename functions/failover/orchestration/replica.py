"""The steps where a read replica is promoted, with its files and its secret.

A failback gives each declared name its declared role again. It deletes instances, which the function's role may not: the command
drives it, with the operator's own permissions. It touches none that does not bear our tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from common.report import FunctionError, say
from common.secret import code

from orchestration import shared
from orchestration.step import A_WHILE, AT_ONCE, Run, Step, forward
from orchestration.world import AWAY, World, arn_name
from protocol.epoch import snapshot
from protocol.journal import DRIFT_FREE, FAILBACK, GIVING_UP, PROMOTE_ASKED, SWITCHOVER, acted, step_of
from protocol.steps import ACCEPTED, FENCE, HOME_PROMOTED, PROMOTE, REPLICA, SECRET_HERE, VERIFY, WRITES_STOPPED

HOME, TARGET = "HOME_ARN", "TARGET_ARN"
GONE = "DBInstanceNotFound"
KEPT = ("DBSnapshotAlreadyExists",)
LOCAL = "LOCAL_CONFIGURATION_ONLY"
LABELS = ("AWSCURRENT", "AWSPENDING")
"""Of a password that we write: one that was pending elsewhere would keep every later rotation from beginning."""

DECLARED = {
    "DBInstanceClass": "DBInstanceClass",
    "StorageType": "StorageType",
    "MaxAllocatedStorage": "MaxAllocatedStorage",
    "MultiAZ": "MultiAZ",
    "KmsKeyId": "KmsKeyId",
    "CACertificateIdentifier": "CACertificateIdentifier",
    "PubliclyAccessible": "PubliclyAccessible",
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "CopyTagsToSnapshot": "CopyTagsToSnapshot",
    "DeletionProtection": "DeletionProtection",
    "IAMDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
    "EnabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
    "MonitoringInterval": "MonitoringInterval",
    "MonitoringRoleArn": "MonitoringRoleArn",
    # Not the mode of Database Insights, which RDS refuses with a new replica; it takes the standard one by itself.
    "PerformanceInsightsEnabled": "EnablePerformanceInsights",
    "PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
}
"""What a new instance is given of the one whose name it takes, beside groups and tags: as RDS shows it, and as it asks for it."""

AFTERWARDS = ("PreferredBackupWindow", "PreferredMaintenanceWindow", "BackupRetentionPeriod")
"""What it is given when it stands: RDS makes a replica without backups, and of PostgreSQL without a group."""

FOR_GOOD = ("failed", "inaccessible-encryption-credentials", "incompatible-", "restore-error", "storage-full")
"""How the states begin that an instance does not leave by itself: what waits for it would wait for ever."""


def _rds(world: World, which: str) -> Any:
    region = world[which].split(":")[3]
    return world.rds if region == world["AWS_REGION"] else world.client("rds", region)


def instance(world: World, which: str, rds: Any = None) -> dict[str, Any] | None:
    """One of the two, or None where there is none of this name."""
    from botocore.exceptions import ClientError

    try:
        found = (rds or _rds(world, which)).describe_db_instances(DBInstanceIdentifier=arn_name(world[which]))
    except ClientError as error:
        if not shared.exists(error, GONE, "DBInstanceNotFoundFault"):
            raise
        return None
    return dict(found["DBInstances"][0])


def _ours(run: Run, which: str) -> dict[str, Any] | None:
    """One of the two, which must be of this environment, or None where there is none of this name."""
    found = instance(run.world, which)
    tags = {one["Key"]: one["Value"] for one in (found or {}).get("TagList", ())}
    if found is not None and (tags.get("System"), tags.get("Environment")) != (run.world["SYSTEM"], run.world["SUFFIX"]):
        raise FunctionError(
            f"{run.world[which]} is not ours: its tags name neither {run.world['SYSTEM']} nor {run.world['SUFFIX']}, or one of "
            "them alone. It was left as it is. Whoever owns it brings it home, as the runbook says."
        )
    return found


def _source(found: dict[str, Any] | None) -> str:
    return arn_name(str((found or {}).get("ReadReplicaSourceDBInstanceIdentifier") or ""))


def target(world: World, request: str) -> str:
    """The state of what is to be promoted; a failback promotes what it makes."""
    found = instance(world, TARGET)
    if found is None:
        return "absent"
    if request == FAILBACK:
        instance(world, HOME, world.client("rds", world.primary_region, AWAY))  # raises where the region does not answer
        return str(found["DBInstanceStatus"])
    if not _source(found) and found["DBInstanceStatus"] == "available":
        return "a replica no more"
    return str(found["DBInstanceStatus"])


def writer_site(run: Run) -> str:
    """The primary while the target is a replica, nobody while it is being promoted, the recovery site when it is.

    A promotion that was accepted is under way however RDS shows the instance; one that was asked for, and of which no answer is
    known, is seen by a replica that is not available.
    """
    found = instance(run.world, TARGET)
    if found is None:
        return "primary"
    available = found["DBInstanceStatus"] == "available"
    if not _source(found):
        return "recovery" if available else ""
    settled = available or _is_for_good(found)
    return "" if run.said(ACCEPTED) or (PROMOTE_ASKED in run.entries and not settled) else "primary"


def _fenced(run: Run) -> dict[str, Any]:
    answer = shared.fence(run)
    if run.began["request"] == SWITCHOVER and not answer.get("fenced"):
        raise FunctionError("The primary cannot be fenced, so a switchover would lose what it writes. Ask for a failover.")
    return answer


def _has_the_fence(run: Run) -> bool:
    """The fence came with the stream: so did whatever was written before it."""
    probe = run.world["PROBE_RECOVERY_ARN"]
    return bool(run.world.ask(probe, do="probe")["epoch"] >= run.epoch)


def _wait(run: Run) -> None:  # noqa: ARG001  an act that waits
    return None


def _promoted(run: Run) -> bool:
    return writer_site(run) == "recovery"


def _promote(run: Run, which: str = TARGET) -> dict[str, Any] | None:
    found = instance(run.world, which)
    if found is None:
        raise FunctionError(
            f"{run.world[which]} is gone, and there is nothing to promote. Follow the runbook, A broken topology."
        )
    if not _source(found) or GIVING_UP in run.entries:
        return None  # asked already, and it restarts; or nobody asks any more
    if run.said(ACCEPTED) and found["DBInstanceStatus"] != "available" and which == TARGET:
        return None  # accepted, and RDS shows it as the replica that it was
    way = shared.ask_to_promote(run) if which == TARGET else {}
    _rds(run.world, which).promote_read_replica(
        DBInstanceIdentifier=arn_name(run.world[which]),
        # What it has: where this is not said, RDS keeps backups for a day.
        BackupRetentionPeriod=max(1, int(found["BackupRetentionPeriod"])),
        PreferredBackupWindow=found["PreferredBackupWindow"],
    )
    return {"asked": which, **way}


def _has_files(run: Run) -> bool:
    return bool(run.world.environment.get("FILE_SYSTEM_ID"))


def _replications(efs: Any, files: str) -> list[dict[str, Any]]:
    from botocore.exceptions import ClientError

    try:
        return list(efs.describe_replication_configurations(FileSystemId=files)["Replications"])
    except ClientError as error:
        if code(error) != "ReplicationNotFound":
            raise
        return []


def _files_open(run: Run) -> bool:
    efs, files = run.world.client("efs"), run.world["FILE_SYSTEM_ID"]
    return not any(one["FileSystemId"] == files for each in _replications(efs, files) for one in each["Destinations"])


def _open_files(run: Run) -> dict[str, Any] | None:
    """Ends the replication at this end alone: the other may be dark, and would not be waited for."""
    efs, files = run.world.client("efs"), run.world["FILE_SYSTEM_ID"]
    [one] = _replications(efs, files)
    if one["Destinations"][0]["Status"] == "DELETING":
        return None
    efs.delete_replication_configuration(SourceFileSystemId=one["SourceFileSystemId"], DeletionMode=LOCAL)
    return {"files": "writable", "source": one["SourceFileSystemId"]}


def _snapshot(run: Run, which: str, why: str) -> dict[str, Any]:
    """Its name says of which change of roles it is, and of which side of it: two never meet, and asked again it is the same."""
    from botocore.exceptions import ClientError

    name = arn_name(run.world[which])
    kept = f"{snapshot(name, run.epoch)}-{why}"
    try:
        _rds(run.world, which).create_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=kept, Tags=shared.tags(run))
    except ClientError as error:
        if not shared.exists(error, *KEPT, "DBSnapshotAlreadyExistsFault"):
            raise
    return {"snapshot": kept}


def _backup(run: Run) -> dict[str, Any]:
    return _snapshot(run, TARGET, "promoted")


def _kept(run: Run, which: str, step: str) -> dict[str, Any] | None:
    """A snapshot that is complete, and how the instance is declared, which is written down before the instance goes."""
    if _removed(run, which):
        return dict(_remembered(run, step))  # by a failback that was given up
    old = _ours(run, which) or {}
    taken = _snapshot(run, which, "before-failback")
    found = _rds(run.world, which).describe_db_snapshots(DBSnapshotIdentifier=taken["snapshot"])["DBSnapshots"]
    if found[0]["Status"] == "failed":
        raise FunctionError(f"The snapshot {taken['snapshot']} has failed. Delete it: it is taken anew, and nothing goes before.")
    if found[0]["Status"] != "available":
        return None
    return {
        **taken,
        "declared": {
            **{asked: old[shown] for shown, asked in DECLARED.items() if old.get(shown) not in (None, "", [])},
            "DBSubnetGroupName": old["DBSubnetGroup"]["DBSubnetGroupName"],
            "VpcSecurityGroupIds": [one["VpcSecurityGroupId"] for one in old["VpcSecurityGroups"]],
            "Tags": [one for one in old.get("TagList", []) if not one["Key"].startswith("aws:")],
        },
        "afterwards": {
            "DBParameterGroupName": old["DBParameterGroups"][0]["DBParameterGroupName"],
            **{name: old[name] for name in AFTERWARDS},
        },
    }


def _remembered(run: Run, step: str) -> Mapping[str, Any]:
    """What this failback has journaled of an instance, or else the last one that has."""
    if said := run.said(step):
        return said
    journals = run.world.store.read().journals.values()
    told = [entry for journal in journals for name, entry in journal.items() if step_of(name) == step]
    if not told:
        raise FunctionError(
            f"The instance is gone, and no journal has {step}, which says how it was declared. Make it anew by its template."
        )
    return max(told, key=lambda entry: str(entry["at"]))


def _other(which: str) -> str:
    return TARGET if which == HOME else HOME


def _removed(run: Run, which: str) -> bool:
    found = instance(run.world, which)
    return found is None or _source(found) == arn_name(run.world[_other(which)])


def _remove(run: Run, which: str) -> dict[str, Any] | None:
    found, other = _ours(run, which) or {}, instance(run.world, _other(which)) or {}
    if found.get("DBInstanceStatus") == "deleting":
        return None
    if _source(other) or other.get("DBInstanceStatus") != "available":
        raise FunctionError(f"{run.world[_other(which)]} does not write, so {run.world[which]} was not removed. Look at both.")
    if which == HOME:
        _check_ready(run)  # once more: the snapshot may have taken hours
    elif not _home_lives(run):
        raise FunctionError(
            f"{run.world[TARGET]} was not removed: {run.world['PROBE_PRIMARY_ARN']} does not answer that {run.world[HOME]} has "
            f"taken over in epoch {run.epoch}. Read its log."
        )
    _rds(run.world, which).delete_db_instance(
        DBInstanceIdentifier=arn_name(run.world[which]), SkipFinalSnapshot=True, DeleteAutomatedBackups=False
    )
    return {"removed": run.world[which]}


def _home_lives(run: Run) -> bool:
    """Whether the primary answers as what was promoted: the proof that it writes may be hours old, and its region dark again."""
    answer = run.world.ask_primary(do="probe")
    return bool(answer and answer.get("in_recovery") is False and int(answer.get("epoch", 0)) >= run.epoch)


def _is_for_good(found: Mapping[str, Any]) -> bool:
    """Whether the state of an instance ends by no deed of RDS."""
    return str(found.get("DBInstanceStatus")).startswith(FOR_GOOD)


def _made(run: Run, which: str) -> dict[str, Any]:
    """The instance that is being made, or nothing yet; FunctionError where nothing more will become of it."""
    found = instance(run.world, which) or {}
    if _is_for_good(found):
        raise FunctionError(
            f"{run.world[which]} is {found['DBInstanceStatus']}, and does not become available by itself. Look at its events."
        )
    return found


def _follows(run: Run, which: str) -> bool:
    found = _made(run, which)
    return _source(found) == arn_name(run.world[_other(which)]) and found["DBInstanceStatus"] == "available"


def _streams(run: Run) -> bool:
    """Whether RDS knows of nothing that keeps the new instance at home from what is written here."""
    return all(one.get("Normal", True) for one in (instance(run.world, HOME) or {}).get("StatusInfos", ()))


def _follow(run: Run, which: str, kept: str) -> dict[str, Any] | None:
    if instance(run.world, which) is not None:
        return None  # it is being made
    _rds(run.world, which).create_db_instance_read_replica(
        DBInstanceIdentifier=arn_name(run.world[which]),
        SourceDBInstanceIdentifier=run.world[_other(which)],
        SourceRegion=run.world[_other(which)].split(":")[3],
        **_remembered(run, kept)["declared"],
    )
    return {"follows": run.world[_other(which)]}


def _lacks(run: Run, found: Mapping[str, Any], kept: str) -> dict[str, Any]:
    """What an instance was declared with and does not have."""
    seen = {**found, "DBParameterGroupName": found["DBParameterGroups"][0]["DBParameterGroupName"]}
    declared = _remembered(run, kept)["afterwards"]
    return {name: value for name, value in declared.items() if seen.get(name) != value}


def _is_set_up(run: Run, which: str, kept: str) -> bool:
    found = _made(run, which)
    if not found:
        raise FunctionError(f"{run.world[which]} was made anew and is gone. Make it anew by its template.")
    runs = found["DBInstanceStatus"] == "available" and found["DBParameterGroups"][0]["ParameterApplyStatus"] == "in-sync"
    return runs and not _lacks(run, found, kept)


def _set_up(run: Run, which: str, kept: str) -> dict[str, Any] | None:
    found = _ours(run, which) or {}
    rds, name = _rds(run.world, which), arn_name(run.world[which])
    if found["DBInstanceStatus"] != "available" or found.get("PendingModifiedValues"):
        return None
    if lacks := _lacks(run, found, kept):
        rds.modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True, **lacks)
        return {"set up": lacks}
    if found["DBParameterGroups"][0]["ParameterApplyStatus"] != "pending-reboot":
        return None
    rds.reboot_db_instance(DBInstanceIdentifier=name)
    return {"restarted": name}


def _stop_writes(run: Run) -> dict[str, Any]:
    """Nobody writes from then on until home does: so home is looked at first, which may be dark again since it was made."""
    home, probe = run.world[HOME], run.world["PROBE_PRIMARY_ARN"]
    if not run.world.ask_primary(do="probe"):
        raise FunctionError(f"Writes are stopped when {probe} answers, and it does not. Read its log.")
    if not _follows(run, HOME) or not _streams(run):
        raise FunctionError(f"Writes are stopped when {home} follows {run.world[TARGET]}, and it does not. Look at its events.")
    return run.world.ask(run.world["PROBE_RECOVERY_ARN"], do="fence", epoch=run.epoch, token=run.token)


def _home_has_the_fence(run: Run) -> bool:
    answer = run.world.ask_primary(do="probe")
    if answer is None:
        raise FunctionError(f"Nobody writes until {run.world['PROBE_PRIMARY_ARN']} answers, and it does not. Read its log.")
    return bool(answer["epoch"] >= run.epoch)


def _home_promoted(run: Run) -> bool:
    found = _made(run, HOME)
    return bool(found and not _source(found) and found["DBInstanceStatus"] == "available")


def _secrets(run: Run) -> tuple[Any, Any]:
    """Secrets Manager here and at home."""
    world = run.world
    return world.client("secretsmanager"), world.client("secretsmanager", world.primary_region)


def _ready(run: Run) -> dict[str, Any]:
    """Looks at all that later steps need, while both instances still stand."""
    _check_ready(run)
    return {"ready": True}


def _check_ready(run: Run) -> None:
    if against := [*_against_source(run), *_against_sites(run), *(_against_secrets(run) if _has_home_secret(run) else ())]:
        raise FunctionError("Nothing is deleted, for what comes afterwards would fail: " + " ".join(against))


def _against_source(run: Run) -> Iterator[str]:
    """What keeps the recovery site's instance from being the source of a new one, and the old one from being removed."""
    found, old, name = instance(run.world, TARGET) or {}, instance(run.world, HOME) or {}, run.world[TARGET]
    status = found.get("DBInstanceStatus", "absent")
    if _source(found):
        yield f"{name} is a replica of {_source(found)}: promote it first."
    if status != "available":
        yield f"{name} is {status}, not available: look at its events; a backup ends by itself."
    elif not int(found.get("BackupRetentionPeriod") or 0):
        yield f"{name} keeps no backups, and RDS makes no replica of such an instance: set BackupRetentionPeriod."
    if old.get("DeletionProtection"):
        yield f"{run.world[HOME]} is protected from deletion: take DeletionProtection off, or leave it as it is."


def _against_sites(run: Run) -> Iterator[str]:
    """Both probes are needed afterwards: the recovery site's with its database, the primary's as soon as that is made anew."""
    from botocore.exceptions import BotoCoreError, ClientError

    world = run.world
    try:
        if world.ask(world["PROBE_RECOVERY_ARN"], do="probe")["in_recovery"]:
            yield f"{world['PROBE_RECOVERY_ARN']} finds a replica: what it speaks to takes no write."
    except (BotoCoreError, ClientError, FunctionError) as error:
        yield f"{world['PROBE_RECOVERY_ARN']} does not answer: {error}."
    try:
        world.ask(world["PROBE_PRIMARY_ARN"], do="probe")
    except FunctionError as error:
        say(event="primary-silent", error=str(error))  # of the database that is made anew
    except (BotoCoreError, ClientError) as error:
        yield f"{world['PROBE_PRIMARY_ARN']} cannot be asked: {error}."


def _against_secrets(run: Run) -> Iterator[str]:
    """What keeps the password from coming home."""
    here, home = _secrets(run)
    yield from _against_secret(here, run.world["SECRET_ARN"], ("username", "password"))
    yield from _against_secret(home, run.world["SECRET_HOME_ARN"], (), written=True)


def _against_secret(client: Any, secret: str, fields: Sequence[str], *, written: bool = False) -> Iterator[str]:
    """Why a secret cannot be read, or ``written``. To prove that it can, its version is put once more, which changes nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        told = client.describe_secret(SecretId=secret)
        if told.get("DeletedDate"):
            yield f"{secret} waits for its deletion: restore it."
            return
        if written and told.get("PrimaryRegion") not in (None, secret.split(":")[3]):
            yield f"{secret} is a replica of {told['PrimaryRegion']}, and takes no value: promote it."
            return
        found = client.get_secret_value(SecretId=secret)
        value = dict(json.loads(found["SecretString"]))
        if lacks := [name for name in fields if not value.get(name)]:
            yield f"{secret} lacks {' and '.join(lacks)}: write it as the rotation does."
        if written:
            client.put_secret_value(
                SecretId=secret,
                SecretString=found["SecretString"],
                ClientRequestToken=found["VersionId"],
                VersionStages=found["VersionStages"],
            )
    except (BotoCoreError, ClientError) as error:
        yield f"{secret} cannot be {'written' if written else 'read'}: {error}."
    except (KeyError, TypeError, ValueError):
        yield f"{secret} holds no JSON object: write one, with where the database is, username and password."


def _adopt(run: Run) -> dict[str, Any]:
    """The secret names this site's database, with the password that opens it."""
    return run.world.ask(run.world["PROBE_RECOVERY_ARN"], do="adopt")


def _password_home(run: Run) -> dict[str, Any]:
    """The password of now goes home, beside the address of the database there, which has that password when it is promoted."""
    here, home = _secrets(run)
    if here.describe_secret(SecretId=run.world["SECRET_ARN"]).get("RotationEnabled"):
        here.cancel_rotate_secret(SecretId=run.world["SECRET_ARN"])
    _adopt(run)
    name, place = run.world["SECRET_HOME_ARN"], (instance(run.world, HOME) or {})["Endpoint"]
    now, then = (
        json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
        for client, secret in ((here, run.world["SECRET_ARN"]), (home, name))
    )
    value = {**then, "username": now["username"], "password": now["password"], "host": place["Address"], "port": place["Port"]}
    if value != then:
        home.put_secret_value(SecretId=name, SecretString=json.dumps(value), VersionStages=list(LABELS))
    return {"password": "home", "host": place["Address"]}


def _copy_secret(run: Run) -> dict[str, Any] | None:
    """The secret here becomes a replica again."""
    here, home = _secrets(run)
    name, region = run.world["SECRET_HOME_ARN"], run.world["AWS_REGION"]
    listed = home.describe_secret(SecretId=name).get("ReplicationStatus", [])
    status = next((one for one in listed if one["Region"] == region), None)
    if status is not None and status["Status"] == "InProgress":
        return None
    if status is not None:  # of the replica that was promoted, or of an attempt that failed: there can be no other beside it
        home.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=[region])
        why = status.get("StatusMessage", "")
        if status["Status"] == "Failed" and run.said(acted("secret-home")):  # of ours, and not of what was there before
            raise FunctionError(f"The replica of {name} in {region} has failed, and is made anew. Secrets Manager says: {why}")
        return {"ended": status["Status"], "why": why}
    key = here.describe_secret(SecretId=run.world["SECRET_ARN"])["KmsKeyId"]
    home.replicate_secret_to_regions(
        SecretId=name, AddReplicaRegions=[{"Region": region, "KmsKeyId": key}], ForceOverwriteReplicaSecret=True
    )
    return {"secret": "a replica again"}


def _open_home(run: Run) -> dict[str, Any]:
    """Clients of the primary are let in again, whom the failover kept out."""
    return run.world.ask(run.world["PROBE_PRIMARY_ARN"], do="unfence", epoch=run.epoch, token=run.token)


def _open_recovery(run: Run) -> dict[str, Any]:
    """Clients reach the replica again, which takes no writes: the group alone was left closed."""
    return run.world.ask(run.world["PROBE_RECOVERY_ARN"], do="open")


def _has_home_secret(run: Run) -> bool:
    return bool(run.world.environment.get("SECRET_HOME_ARN"))


def _secret_follows(run: Run) -> bool:
    return not shared.secret_is_promoted(run)


def _is_drift_free(run: Run) -> bool:
    return DRIFT_FREE in run.entries


def _again(which: str, name: str) -> tuple[Step, ...]:
    """One of the two is removed, and made anew as a replica of the other, under its name and as it was declared."""
    kept = f"{name}-kept"
    steps = (
        Step(kept, lambda run: _kept(run, which, kept)),
        Step(f"{name}-removed", lambda run: _remove(run, which), lambda run: _removed(run, which)),
        Step(f"{name}-follows", lambda run: _follow(run, which, kept), lambda run: _follows(run, which)),
        Step(f"{name}-set-up", lambda run: _set_up(run, which, kept), lambda run: _is_set_up(run, which, kept)),
    )
    return tuple(replace(step, only=_has_left) for step in steps)


def _has_left(run: Run) -> bool:
    """Whether the recovery site was promoted, and not only fenced for: where it was not, both instances are what they were."""
    in_their_roles = _source(instance(run.world, TARGET)) == arn_name(run.world[HOME]) and _home_promoted(run)
    return bool(run.said("home-kept")) or not in_their_roles


def _carries_secret(run: Run) -> bool:
    return _has_home_secret(run) and _has_left(run)


def failback() -> tuple[Step, ...]:
    return (
        Step("ready", _ready, only=_has_left),
        # A failover that was given up has left it a replica, into which nobody writes. No more than that is needed of it here.
        Step("secret", shared.promote_secret, shared.secret_is_promoted, only=_carries_secret),
        *_again(HOME, "home"),
        Step("password-home", _password_home, only=_carries_secret),
        Step(WRITES_STOPPED, _stop_writes, only=_has_left),
        Step("home-caught-up", _wait, _home_has_the_fence, only=_has_left),
        Step(HOME_PROMOTED, lambda run: _promote(run, HOME), _home_promoted),
        Step(VERIFY, shared.verify),
        Step("home-open", _open_home),
        *_again(TARGET, "recovery"),
        Step("secret-home", _copy_secret, _secret_follows, only=_has_home_secret),
        Step("recovery-open", _open_recovery),
        Step(DRIFT_FREE, _wait, _is_drift_free),
    )


def driven(request: str) -> bool:
    """Whether the command makes the acts of a request, and not the clock."""
    return request == FAILBACK


def steps(request: str) -> tuple[Step, ...]:
    if request == FAILBACK:
        return failback()
    return forward(
        REPLICA,
        Step(FENCE, _fenced, patience=None if request == SWITCHOVER else AT_ONCE),
        Step("caught-up", _wait, _has_the_fence),
        Step(PROMOTE, _promote, _promoted),
        Step(VERIFY, shared.verify),
        Step("way-open", shared.open_way, only=shared.way_is_closed),
        Step("files", _open_files, _files_open, only=_has_files),
        Step("secret", shared.promote_secret, shared.secret_is_promoted, only=_has_secret),
        Step(SECRET_HERE, _adopt, only=_has_secret),
        Step("rotation", shared.rotate, shared.rotation_is_on, patience=A_WHILE, only=_has_secret),
        Step("backup", _backup, patience=A_WHILE),
    )


def withdrawal() -> tuple[Step, ...]:
    """What undoes a failover that promotes nothing after all."""
    return shared.withdrawal(lambda run: writer_site(run) == "primary")


def _has_secret(run: Run) -> bool:
    return bool(run.world.environment.get("SECRET_ARN"))
