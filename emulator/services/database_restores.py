"""RDS: instances and clusters from snapshots and at points in time, with the data of then; and other names for both."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from emulator import databases, postgres
from emulator.services import aurora, rds, rds_api, snapshots
from emulator.services.rds_api import Action, Answer, Parameters, Record

# What a restore takes from its own call alone; left out, it is as AWS has it by default.
FLAGS = ("CopyTagsToSnapshot", "DeletionProtection", "MultiAZ", "PubliclyAccessible")
# What makes, names or ends a cluster, or its part in a global one.
CHANGING = (
    "CreateDBCluster",
    "CreateGlobalCluster",
    "DeleteDBCluster",
    "DeleteGlobalCluster",
    "ModifyDBCluster",
    "RemoveFromGlobalCluster",
    "RestoreDBClusterFromSnapshot",
    "RestoreDBClusterToPointInTime",
)
STALE = ("MaxAllocatedStorage", "_exports", "_kept", "_replication", "_shared_cluster_id")


def install() -> None:
    from ministack.services import rds as theirs

    described = theirs._cluster_xml
    theirs._cluster_xml = lambda one: rds_api.described(described(one), one, {"LatestRestorableTime": _now()})
    rds_api.wrap(
        theirs._ACTION_MAP,
        {
            "CreateDBSnapshot": _snapshot,
            "CreateDBClusterSnapshot": _snapshot,
            "DeleteDBSnapshot": _forget,
            "DeleteDBClusterSnapshot": _forget,
            "DeleteDBInstance": _delete,
            "ModifyDBInstance": _rename_instance,
            "ModifyDBCluster": _rename_cluster,
        },
    )
    theirs._ACTION_MAP.update(
        CopyDBSnapshot=_copy_instance,
        CopyDBClusterSnapshot=_copy_cluster,
        RestoreDBInstanceFromDBSnapshot=_instance_from_snapshot,
        RestoreDBInstanceToPointInTime=_instance_at,
        RestoreDBClusterFromSnapshot=_cluster_from_snapshot,
        RestoreDBClusterToPointInTime=_cluster_at,
    )
    aurora.announcing(theirs._ACTION_MAP, *CHANGING)


def _now() -> str:
    from ministack.services import rds as theirs

    return str(theirs._format_time(time.time()))


def _snapshot_of(p: Parameters) -> Record | None:
    from ministack.services import rds as theirs

    cluster = rds_api.one(p, "DBClusterSnapshotIdentifier")
    found: Record | None = (
        theirs._db_cluster_snapshots.get(cluster) if cluster else theirs._snapshots.get(rds_api.one(p, "DBSnapshotIdentifier"))
    )
    return found


def _arn(snapshot: Record) -> str:
    return str(snapshot.get("DBClusterSnapshotArn") or snapshot["DBSnapshotArn"])


def _snapshot(theirs: Action, p: Parameters) -> Answer:
    answer = theirs(p)
    made = _snapshot_of(p)
    if answer[0] < 300 and made is not None:
        kind, name = ("cluster", "DBClusterIdentifier") if "DBClusterIdentifier" in made else ("db", "DBInstanceIdentifier")
        snapshots.take(_resource(kind, made[name]), _arn(made))
    return answer


def _copy_instance(p: Parameters) -> Answer:
    from ministack.services import rds as theirs

    return _copy(p, "DBSnapshot", "snapshot", theirs._snapshots, theirs._snapshot_xml)


def _copy_cluster(p: Parameters) -> Answer:
    from ministack.services import rds as theirs

    return _copy(p, "DBClusterSnapshot", "cluster-snapshot", theirs._db_cluster_snapshots, theirs._cluster_snapshot_xml)


def _copy(p: Parameters, noun: str, kind: str, all_: dict[str, Record], xml: Callable[[Record], str]) -> Answer:
    """A snapshot with the data of another one, under its own name, key and tags."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import rds as theirs

    source, target = (
        rds_api.one(p, f"Source{noun}Identifier").rsplit(":", 1)[-1],
        rds_api.one(p, f"Target{noun}Identifier"),
    )
    if source not in all_:
        return rds_api.error(f"{noun}NotFound" + ("Fault" if "Cluster" in noun else ""), f"{noun} {source} not found.", 404)
    if target in all_:
        taken = f"{noun}AlreadyExists" + ("Fault" if "Cluster" in noun else "")
        return rds_api.error(taken, f"{noun} {target} already exists.")
    one = copy.deepcopy(all_[source])
    key = rds_api.one(p, "KmsKeyId")
    if key:
        name = key if key.startswith("arn:") else f"arn:aws:kms:{get_region()}:{get_account_id()}:{key}"
        one.update(KmsKeyId=name, StorageEncrypted=True, Encrypted=True)
    one.update({f"{noun}Identifier": target, f"{noun}Arn": _resource(kind, target), "SnapshotCreateTime": _now()})
    one.update(SnapshotType="manual", TagList=theirs._parse_tags(p))
    theirs._tags[one[f"{noun}Arn"]] = one["TagList"]
    all_[target] = one
    snapshots.copy(_arn(all_[source]), _arn(one))
    answer: Answer = theirs._xml(200, f"Copy{noun}Response", f"<Copy{noun}Result><{noun}>{xml(one)}</{noun}></Copy{noun}Result>")
    return answer


def _resource(kind: str, name: str) -> str:
    from ministack.core.responses import get_account_id, get_region

    return f"arn:aws:rds:{get_region()}:{get_account_id()}:{kind}:{name}"


def _forget(theirs: Action, p: Parameters) -> Answer:
    gone = _snapshot_of(p)
    answer = theirs(p)
    if answer[0] < 300 and gone is not None:
        snapshots.forget(_arn(gone))
    return answer


def _delete(theirs: Action, p: Parameters) -> Answer:
    """With a last snapshot, where one is asked for."""
    from ministack.services import rds as service

    made: Answer | None = None
    final = rds_api.one(p, "FinalDBSnapshotIdentifier")
    if final and not rds_api.true(p, "SkipFinalSnapshot") and rds_api.one(p, "DBInstanceIdentifier") in service._instances:
        made = service._ACTION_MAP["CreateDBSnapshot"]({**p, "DBSnapshotIdentifier": final})
        if made[0] >= 300:
            return made
    answer = theirs({name: value for name, value in p.items() if name != "FinalDBSnapshotIdentifier"})
    if final and answer[0] >= 300 and made is not None:
        service._ACTION_MAP["DeleteDBSnapshot"]({**p, "DBSnapshotIdentifier": final})
    return answer


def _instance_from_snapshot(p: Parameters) -> Answer:
    from ministack.services import rds as theirs

    snapshot = theirs._snapshots.get(rds_api.one(p, "DBSnapshotIdentifier"))
    if snapshot is None:
        return rds_api.error("DBSnapshotNotFound", f"DBSnapshot {rds_api.one(p, 'DBSnapshotIdentifier')} not found.", 404)
    point = _arn(snapshot)
    return _instance(
        p,
        "RestoreDBInstanceFromDBSnapshot",
        rds_api.one(p, "DBInstanceIdentifier"),
        snapshots.settings(point) or {},
        lambda arn: databases.restore(point, arn, closed=False),
    )


def _instance_at(p: Parameters) -> Answer:
    from ministack.services import rds as theirs

    source = theirs._instances.get(rds_api.one(p, "SourceDBInstanceIdentifier"))
    if source is None:
        return rds_api.error("DBInstanceNotFound", f"DBInstance {rds_api.one(p, 'SourceDBInstanceIdentifier')} not found.", 404)
    if not int(source.get("BackupRetentionPeriod", 0)):
        return rds_api.error("PointInTimeRestoreNotEnabled", "Automated backups are not enabled for this database instance.")
    action, name = "RestoreDBInstanceToPointInTime", rds_api.one(p, "TargetDBInstanceIdentifier")
    return _at(p, "RestoreTime", source, lambda reach: _instance(p, action, name, source, reach), closed=False)


Reach = Callable[[str], tuple[str, int] | None]


def _at(p: Parameters, parameter: str, source: Record, make: Callable[[Reach], Answer], *, closed: bool) -> Answer:
    """Makes what is as its source was at the time that was asked for, if that can be had."""
    latest, wanted = rds_api.true(p, "UseLatestRestorableTime"), rds_api.one(p, parameter)
    if latest == bool(wanted):
        return rds_api.error("InvalidParameterCombination", f"Either {parameter} or UseLatestRestorableTime is needed.")
    arn, now = source.get("DBClusterArn") or source["DBInstanceArn"], datetime.now(UTC)
    first = _time(source.get("EarliestRestorableTime") or source["InstanceCreateTime"])
    at = now if latest else _time(wanted)
    if not first <= at <= now:
        return rds_api.error("InvalidParameterValue", f"{arn} can be restored to times from {first:%FT%TZ} to {now:%FT%TZ}.")
    try:
        return make(lambda new: databases.restore_at(arn, at.isoformat(), new, closed=closed))
    except (LookupError, postgres.PostgresError) as error:
        return rds_api.error("InvalidParameterValue", f"{arn} cannot be restored to {at:%FT%TZ}: {error}".partition("\n")[0])


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _instance(p: Parameters, action: str, name: str, kept: Record, reach: Reach) -> Answer:
    """A new instance, with the settings of its source where a restore keeps them, and the data to which ``reach`` leads."""
    from ministack.core.responses import get_region, new_uuid
    from ministack.services import rds as theirs

    name, subnets = name.lower(), rds_api.one(p, "DBSubnetGroupName")
    if name in theirs._instances:
        return rds_api.error("DBInstanceAlreadyExists", f"DBInstance {name} already exists.")
    if subnets not in theirs._subnet_groups:
        return rds_api.error("DBSubnetGroupNotFoundFault", f"DBSubnetGroup {subnets or 'default'} not found.", 404)
    group = rds_api.one(p, "DBParameterGroupName") or f"default.postgres{kept['EngineVersion'].split('.')[0]}"
    one = {key: copy.deepcopy(value) for key, value in kept.items() if key not in STALE}
    one.update(
        DBInstanceIdentifier=name,
        DBInstanceArn=_resource("db", name),
        DbiResourceId=f"db-{new_uuid().replace('-', '')[:20].upper()}",
        DBInstanceStatus="available",
        InstanceCreateTime=_now(),
        ReadReplicaSourceDBInstanceIdentifier="",
        ReadReplicaDBInstanceIdentifiers=[],
        AvailabilityZone=rds_api.one(p, "AvailabilityZone") or f"{get_region()}a",
        DBSubnetGroup=theirs._subnet_groups[subnets],
        DBParameterGroups=[{"DBParameterGroupName": group, "ParameterApplyStatus": "in-sync"}],
        VpcSecurityGroups=_groups(p),
        MonitoringInterval=0,
        MonitoringRoleArn="",
        PerformanceInsightsEnabled=False,
        PendingModifiedValues={},
        TagList=theirs._parse_tags(p),
        **{flag: rds_api.true(p, flag) for flag in FLAGS},
        **{text: rds_api.one(p, text) for text in ("DBInstanceClass", "StorageType") if rds_api.one(p, text)},
    )
    rds_api.keep(one, p, rds.KEPT)
    rds_api.keep_exports(one, p)
    place = reach(one["DBInstanceArn"])
    if place is not None:
        one["Endpoint"] = {**one["Endpoint"], "Address": place[0], "Port": place[1]}
        databases.set_parameters(one["DBInstanceArn"], rds.parameters(one))
    theirs._tags[one["DBInstanceArn"]] = one["TagList"]
    theirs._instances[name] = one
    return rds.said(action, one)


def _groups(p: Parameters) -> list[dict[str, str]]:
    return [{"VpcSecurityGroupId": group, "Status": "active"} for group in rds_api.several(p, "VpcSecurityGroupIds")]


def _cluster_from_snapshot(p: Parameters) -> Answer:
    from ministack.services import rds as theirs

    snapshot = theirs._db_cluster_snapshots.get(rds_api.one(p, "SnapshotIdentifier"))
    if snapshot is None:
        name = rds_api.one(p, "SnapshotIdentifier")
        return rds_api.error("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot {name} not found.", 404)
    point = _arn(snapshot)
    kept = snapshots.settings(point) or {}
    return _cluster(p, "RestoreDBClusterFromSnapshot", kept, lambda arn: databases.restore(point, arn, closed=True))


def _cluster_at(p: Parameters) -> Answer:
    from ministack.services import rds as theirs

    source = theirs._clusters.get(rds_api.one(p, "SourceDBClusterIdentifier"))
    if source is None:
        return rds_api.error("DBClusterNotFoundFault", f"DBCluster {rds_api.one(p, 'SourceDBClusterIdentifier')} not found.", 404)
    action = "RestoreDBClusterToPointInTime"
    return _at(p, "RestoreToTime", source, lambda reach: _cluster(p, action, source, reach), closed=True)


def _cluster(p: Parameters, action: str, kept: Record, reach: Reach) -> Answer:
    """A new cluster, without an instance."""
    from ministack.core.responses import new_uuid
    from ministack.services import rds as theirs

    name, subnets = rds_api.one(p, "DBClusterIdentifier").lower(), rds_api.one(p, "DBSubnetGroupName")
    if name in theirs._clusters:
        return rds_api.error("DBClusterAlreadyExistsFault", f"DBCluster {name} already exists.")
    if subnets not in theirs._subnet_groups:
        return rds_api.error("DBSubnetGroupNotFoundFault", f"DBSubnetGroup {subnets or 'default'} not found.", 404)
    one = {key: copy.deepcopy(value) for key, value in kept.items() if key not in STALE}
    group = rds_api.one(p, "DBClusterParameterGroupName") or f"default.{aurora.ENGINE}{kept['EngineVersion'].split('.')[0]}"
    one.update(
        DBClusterIdentifier=name,
        DBClusterArn=_resource("cluster", name),
        DbClusterResourceId=f"cluster-{new_uuid().replace('-', '')[:20].upper()}",
        Status="available",
        ClusterCreateTime=_now(),
        EarliestRestorableTime=_now(),
        DBClusterMembers=[],
        DBSubnetGroup=subnets,
        DBClusterParameterGroup=group,
        VpcSecurityGroups=_groups(p),
        CopyTagsToSnapshot=rds_api.true(p, "CopyTagsToSnapshot"),
        DeletionProtection=rds_api.true(p, "DeletionProtection"),
        TagList=theirs._parse_tags(p),
        _shared_endpoint=None,
        **({"KmsKeyId": rds_api.one(p, "KmsKeyId"), "StorageEncrypted": True} if rds_api.one(p, "KmsKeyId") else {}),
    )
    one.pop("GlobalClusterIdentifier", None)
    rds_api.keep(one, {"AutoMinorVersionUpgrade": ["true"], **p}, aurora.KEPT)  # no restore takes it; RDS begins with true
    rds_api.keep_exports(one, p)
    aurora.reach(one, reach(one["DBClusterArn"]))
    databases.set_parameters(one["DBClusterArn"], aurora.parameters(one))
    theirs._tags[one["DBClusterArn"]] = one["TagList"]
    theirs._clusters[name] = one
    return aurora.said(action, one)


def _rename_instance(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds as service

    new, one = (
        rds_api.one(p, "NewDBInstanceIdentifier").lower(),
        service._instances.get(rds_api.one(p, "DBInstanceIdentifier")),
    )
    if not new or one is None:
        return theirs(p)
    if new in service._instances:
        return rds_api.error("DBInstanceAlreadyExists", f"DBInstance {new} already exists.")
    if not rds_api.true(p, "ApplyImmediately"):
        return rds_api.error("InvalidParameterCombination", "The emulator renames at once or not: ApplyImmediately is needed.")
    answer = theirs(p)
    if answer[0] >= 300:
        return answer
    old, arn = one["DBInstanceIdentifier"], one["DBInstanceArn"]
    one.update(DBInstanceIdentifier=new, DBInstanceArn=_resource("db", new))
    service._instances[new] = service._instances.pop(old)
    service._tags[one["DBInstanceArn"]] = service._tags.pop(arn, [])
    cluster = service._clusters.get(one.get("DBClusterIdentifier", ""))
    for member in cluster["DBClusterMembers"] if cluster else []:
        if member["DBInstanceIdentifier"] == old:
            member["DBInstanceIdentifier"] = new
    place = None if cluster else databases.rename(arn, one["DBInstanceArn"])
    if place is not None:
        one["Endpoint"] = {**one["Endpoint"], "Address": place[0], "Port": place[1]}
    return rds.said("ModifyDBInstance", one)


def _rename_cluster(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import rds as service

    new, one = (
        rds_api.one(p, "NewDBClusterIdentifier").lower(),
        service._clusters.get(rds_api.one(p, "DBClusterIdentifier")),
    )
    if not new or one is None:
        return theirs(p)
    if new in service._clusters:
        return rds_api.error("DBClusterAlreadyExistsFault", f"DBCluster {new} already exists.")
    if not rds_api.true(p, "ApplyImmediately"):
        return rds_api.error("InvalidParameterCombination", "The emulator renames at once or not: ApplyImmediately is needed.")
    answer = theirs(p)
    if answer[0] >= 300:
        return answer
    old, arn = one["DBClusterIdentifier"], one["DBClusterArn"]
    one.update(DBClusterIdentifier=new, DBClusterArn=_resource("cluster", new))
    service._clusters[new] = service._clusters.pop(old)
    service._tags[one["DBClusterArn"]] = service._tags.pop(arn, [])
    aurora.reach(one, databases.rename(arn, one["DBClusterArn"]))
    for instance in service._instances.values():
        if instance.get("DBClusterIdentifier") == old:
            instance.update(DBClusterIdentifier=new, _shared_cluster_id=new, Endpoint=_endpoint(one, instance))
    return aurora.said("ModifyDBCluster", one)


def _endpoint(cluster: Record, instance: Record) -> Any:
    return copy.deepcopy(cluster.get("_shared_endpoint") or instance["Endpoint"])
