"""AWS Backup: access policies, jobs, and plans that run when asked; copying.py copies, restoring.py restores."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from urllib.parse import unquote

from emulator import permissions
from emulator.services import copying, events, restoring
from emulator.services.vaults import (
    CONTINUOUS,
    PREFERENCES,
    Answer,
    Record,
    all_points,
    error,
    instant,
    make_point,
    missing,
    ok,
    point,
    points,
    preferences,
    remove,
    type_of,
)

HELD = "RUNNING"  # the state of a job that was asked to wait


@cache
def _store(name: str) -> Any:
    """What ministack keeps nothing of, by account and region."""
    from ministack.core.responses import AccountRegionScopedDict

    assert name in ("policies", "held")  # noqa: S101
    return AccountRegionScopedDict()


def install() -> None:
    from ministack.services import backup

    theirs, start, stop, delete = backup.handle_request, backup._start_job, backup._stop_job, backup._delete_vault
    describe, resolve = backup._describe_vault, backup._resolve_resource
    backup._start_job = lambda body: _start(start, body)
    backup._stop_job = lambda job: _stop(stop, job)
    backup._delete_vault = lambda name: _full(name) or _forget(delete, name)
    backup._describe_vault = lambda name: _counted(describe, name)
    backup._get_vault_access_policy = _get_policy
    backup._list_recovery_points_by_vault = _list_points
    backup._describe_recovery_point = _describe_point
    backup._resolve_resource = lambda arn: resolve(arn) if ":restore-testing-plan:" not in arn else restoring.tags(arn)

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        parts = [part for part in path.strip("/").split("/") if part]
        given = json.loads(body) if body else {}
        if parts == ["account-settings"]:
            return _preferences(method, given)
        if parts[:1] == ["backup-vaults"]:
            answer = _vaults(method, parts, given)
        elif parts[:1] == ["resources"] and parts[-1:] == ["recovery-points"]:
            answer = _list_points_of("/".join(parts[1:-1]), query)
        else:
            answer = copying.route(method, parts, given, query) or restoring.route(method, parts, given, query)
        return answer if answer is not None else await theirs(method, path, headers, body, query)

    backup.handle_request = handle


def _vaults(method: str, parts: list[str], body: Any) -> Answer | None:
    """What ministack does not know of vaults; None for what it does."""
    from ministack.services import backup

    if len(parts) < 3:
        return None
    name, kind, point = parts[1], parts[2], "/".join(parts[3:])
    if name not in backup._vaults:
        return missing(f"The backup vault {name}")
    if kind == "access-policy" and method == "PUT":
        if wild := _wildcard(body["Policy"]):
            return error("InvalidParameterValueException", f"Backup vault access policies take no wildcard in an action: {wild}")
        _store("policies")[name] = body["Policy"]
        return ok()
    if kind == "access-policy" and method == "DELETE":
        _store("policies").pop(name, None)
        return ok()
    if kind == "recovery-points" and method == "GET" and point.endswith("/restore-metadata"):
        return restoring.metadata(unquote(point.removesuffix("/restore-metadata")))
    if kind == "recovery-points" and method == "DELETE":
        return _remove_point(name, point, continuous_only=False)
    if kind == "recovery-points" and method == "POST" and point.endswith("/disassociate"):
        return _remove_point(name, point.removesuffix("/disassociate"), continuous_only=True)
    return None


def _wildcard(policy: str) -> str:
    """An action of a vault's access policy with a wildcard, which AWS Backup does not take; empty where there is none."""
    statements = json.loads(policy).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        for named in (statement.get(key, []) for key in ("Action", "NotAction")):
            for action in named if isinstance(named, list) else [named]:
                if "*" in action or "?" in action:
                    return str(action)
    return ""


def _preferences(method: str, body: Record) -> Answer:
    kept = preferences()
    for name in PREFERENCES:
        kept[name].update(body.get(name) or {})
    return ok() if method == "PUT" else ok(kept)


def _get_policy(name: str) -> Answer:
    from ministack.services import backup

    if name not in backup._vaults or name not in _store("policies"):
        return missing(f"An access policy of the backup vault {name}")
    arn = backup._vaults[name]["BackupVaultArn"]
    return ok({"BackupVaultName": name, "BackupVaultArn": arn, "Policy": _store("policies")[name]})


def _full(vault: str) -> Answer | None:
    if points(vault):
        return error("InvalidRequestException", f"Backup vault {vault} cannot be deleted because it contains recovery points.")
    return None


def _forget(theirs: Callable[[str], Answer], vault: str) -> Answer:
    _store("policies").pop(vault, None)
    return theirs(vault)


def _counted(theirs: Callable[[str], Answer], vault: str) -> Answer:
    from ministack.services import backup

    if vault in backup._vaults:
        backup._vaults[vault]["NumberOfRecoveryPoints"] = len(points(vault))
    return theirs(vault)


def _list_points(vault: str, query: dict[str, str]) -> Answer:
    from ministack.services import backup

    if vault not in backup._vaults:
        return missing(f"The backup vault {vault}")
    wanted = {"ResourceArn": query.get("resourceArn"), "ResourceType": query.get("resourceType")}
    found = [one for one in points(vault) if all(value in (None, one[name]) for name, value in wanted.items())]
    answer: Answer = backup._paginate(found, query, "RecoveryPoints")
    return answer


def _list_points_of(resource: str, query: dict[str, Any]) -> Answer:
    """The recovery points of a resource in all vaults of the region."""
    from ministack.services import backup

    found = [one for one in all_points() if one["ResourceArn"] == unquote(resource)]
    flat = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
    answer: Answer = backup._paginate(found, flat, "RecoveryPoints")
    return answer


def _describe_point(vault: str, arn: str) -> Answer:
    found = point(arn)
    return ok(found) if found and found["BackupVaultName"] == vault else missing(f"The recovery point {arn}")


def _remove_point(vault: str, arn: str, *, continuous_only: bool) -> Answer:
    found = point(arn)
    if found is None or found["BackupVaultName"] != vault:
        return missing(f"The recovery point {arn}")
    if continuous_only and ":continuous:" not in arn:
        return error("InvalidRequestException", f"The recovery point {arn} is not a continuous backup.")
    if not continuous_only and (why := _undeletable(found)):
        found.update(Status="EXPIRED", StatusMessage=why)  # and the answer is 200 all the same
        return ok()
    remove(arn)
    return ok()


def _undeletable(point: Record) -> str:
    """Why AWS Backup cannot delete a recovery point: the role with which it was made is gone, or may not; empty if it can."""
    role, arn = point["IamRoleArn"], point["RecoveryPointArn"]
    if not permissions.trusts("backup.amazonaws.com", role.rsplit("/", 1)[-1], arn):
        return f"The role {role} cannot be assumed by AWS Backup."
    action = DELETES.get(arn_kind(arn))
    if action is None or permissions.role_may(role, "AWSBackup", action, arn, {}, None):
        return ""
    return f"The role {role} may not {action}."


DELETES = {"snapshot": "rds:DeleteDBSnapshot", "cluster-snapshot": "rds:DeleteDBClusterSnapshot"}
"""What the role of a recovery point must be allowed where that is a snapshot of RDS."""


def arn_kind(arn: str) -> str:
    return arn.split(":")[5] if arn.startswith("arn:aws:rds:") else ""


def _start(theirs: Callable[[Record], Answer], body: Record) -> Answer:
    """The recovery point is there at once, unless jobs are held: then the job runs until somebody stops it."""
    from ministack.services import backup

    resource = body.get("ResourceArn", "")
    if not type_of(resource):
        return error("InvalidParameterValueException", f"AWS Backup does not back up {resource}.")
    answer = theirs(body)
    if answer[0] >= 300:
        return answer
    started = json.loads(answer[2])
    job = backup._jobs[started["BackupJobId"]]
    job.update(ResourceType=type_of(resource), AccountId=resource.split(":")[4] or _account())
    if _store("held").get("jobs"):
        job.update(State=HELD, PercentDone="0.0", CompletionDate=None, RecoveryPointArn="")
        return ok({**started, "RecoveryPointArn": ""})
    arn = make_point(
        body["BackupVaultName"], resource, body.get("IamRoleArn", ""), continuous=False, lifecycle=body.get("Lifecycle")
    )
    job["RecoveryPointArn"] = arn
    _announce(job)
    return ok({**started, "RecoveryPointArn": arn})


def is_under_way(resource: str) -> bool:
    """Whether a job that backs the resource up waits to be stopped."""
    from ministack.services import backup

    return any(job.get("ResourceArn") == resource and job.get("State") == HELD for job in list(backup._jobs.values()))


def _stop(theirs: Callable[[str], Answer], job: str) -> Answer:
    from ministack.services import backup

    answer = theirs(job)
    if answer[0] < 300:
        _announce(backup._jobs[job])
    return answer


def _announce(job: Record) -> None:
    detail = {
        "backupJobId": job["BackupJobId"],
        "backupVaultArn": job["BackupVaultArn"],
        "backupVaultName": job["BackupVaultName"],
        "bytesTransferred": "0",
        "creationDate": instant(job["CreationDate"]),
        "completionDate": instant(job["CompletionDate"]),
        "iamRoleArn": job["IamRoleArn"],
        "resourceArn": job["ResourceArn"],
        "resourceType": job["ResourceType"],
        "state": job["State"],
        "percentDone": 100.0,
    }
    events.emit("aws.backup", "Backup Job State Change", [job["RecoveryPointArn"] or job["ResourceArn"]], detail)


def _account() -> str:
    from ministack.core.responses import get_account_id

    return str(get_account_id())


def hold(*, jobs: bool, region: str) -> None:
    """Whether backup jobs that start from now on keep running."""
    from ministack.core.responses import request_scope

    with request_scope(_account(), region):
        _store("held")["jobs"] = jobs


def run(plan: str, region: str) -> Record:
    """What the hours of a plan's rules do: a recovery point of every selected resource by every rule, with the copies."""
    from ministack.core.responses import request_scope
    from ministack.services import backup

    with request_scope(_account(), region):
        found = next((one for one in backup._plans.values() if plan in (one["BackupPlanId"], one["BackupPlanName"])), None)
        if found is None:
            return {"error": f"There is no backup plan {plan!r} in {region}."}
        made: list[str] = []
        for rule in found["BackupPlan"]["Rules"]:
            for selection, resource in _selected(found["BackupPlanId"]):
                made += _by_rule(found, rule, selection, resource)
    return {"points": made}


def _by_rule(plan: Record, rule: Record, selection: Record, resource: str) -> Iterator[str]:
    from ministack.services import backup

    by = {"BackupPlanId": plan["BackupPlanId"], "BackupPlanArn": plan["BackupPlanArn"], "BackupPlanVersion": plan["VersionId"]}
    # Of what it cannot back up continuously, a continuous rule makes snapshots.
    continuous = bool(rule.get("EnableContinuousBackup")) and type_of(resource) in CONTINUOUS
    vault, role, lifecycle = rule["TargetBackupVaultName"], selection["IamRoleArn"], rule.get("Lifecycle")
    if vault not in backup._vaults:
        return
    arn = make_point(vault, resource, role, continuous=continuous, lifecycle=lifecycle, plan=by)
    now = int(time.time())
    job_id = str(backup.new_uuid())
    backup._jobs[job_id] = {
        "BackupJobId": job_id,
        "BackupVaultName": vault,
        "BackupVaultArn": backup._vaults[vault]["BackupVaultArn"],
        "RecoveryPointArn": arn,
        "ResourceArn": resource,
        "ResourceType": type_of(resource),
        "IamRoleArn": role,
        "State": "COMPLETED",
        "PercentDone": "100.0",
        "CreationDate": now,
        "CompletionDate": now,
        "CreatedBy": by,
    }
    _announce(backup._jobs[job_id])
    yield arn
    for wanted in rule.get("CopyActions", []):
        target, after = wanted["DestinationBackupVaultArn"], wanted.get("Lifecycle")
        copied = copying.copy(point(arn) or {}, target, role, lifecycle=after, plan=by, job=job_id)
        if "DestinationRecoveryPointArn" in copied:
            yield copied["DestinationRecoveryPointArn"]


def _selected(plan: str) -> Iterator[tuple[Record, str]]:
    """The resources of a plan's selections: by ARN, where one may hold a wildcard at its end."""
    from ministack.services import backup

    opted_in = preferences()["ResourceTypeOptInPreference"]
    for selection in backup._selections.values():
        if selection["BackupPlanId"] == plan:
            for wanted in selection.get("Resources") or []:
                for resource in _existing() if "*" in wanted else [wanted]:
                    left_out = any(fnmatchcase(resource, one) for one in selection.get("NotResources") or [])
                    if opted_in.get(type_of(resource)) and fnmatchcase(resource, wanted) and not left_out:
                        yield selection, resource


def _existing() -> list[str]:
    from ministack.services import dynamodb, efs, rds

    return [
        *(one["DBClusterArn"] for one in rds._clusters.values()),
        *(one["DBInstanceArn"] for one in rds._instances.values() if not one.get("DBClusterIdentifier")),
        *(one["TableArn"] for one in dynamodb._tables.values()),
        *(one["FileSystemArn"] for one in efs._file_systems.values()),
    ]
