"""RDS: read replicas of instances, also of another region's; behind one stands a standby of the source's server."""

from __future__ import annotations

import copy
import re
import time
from typing import Any

from emulator import darkness, databases
from emulator.services import rds, rds_api
from emulator.services.rds_api import Action, Answer, Parameters, Record

ENGINE = "postgres"
ARN = re.compile(r"arn:[^:]+:rds:(?P<region>[^:]+):(?P<account>[^:]+):db:(?P<name>.+)")
TERMINATED = "terminated"  # what the replication of a replica is whose source was deleted

# Settings that a replica takes from its own call alone; all others come from the source where the call has none.
OWN = ("PreferredBackupWindow",)
COUNTS = ("AllocatedStorage", "Iops", "MaxAllocatedStorage", "MonitoringInterval")
FLAGS = ("CopyTagsToSnapshot", "DeletionProtection", "MultiAZ", "PubliclyAccessible")
TEXTS = ("DBInstanceClass", "KmsKeyId", "MonitoringRoleArn", "StorageType")


def install() -> None:
    from ministack.services import rds as theirs

    shown = theirs._instance_xml
    theirs._instance_xml = lambda instance: rds_api.described(shown(instance), instance, _status(instance))
    theirs._ACTION_MAP.update(CreateDBInstanceReadReplica=_create, PromoteReadReplica=_promote)
    rds_api.wrap(theirs._ACTION_MAP, {"ModifyDBInstance": _modify, "StopDBInstance": _stop, "DeleteDBInstance": _delete})


def _status(instance: Record) -> dict[str, str]:
    """What AWS says of the replication of a replica."""
    if not instance.get("ReadReplicaSourceDBInstanceIdentifier"):
        return {}
    state = instance.get("_replication") or ("replicating" if databases.replicates(instance["DBInstanceArn"]) else "error")
    normal = str(state == "replicating").lower()
    return {
        "StatusInfos": "<DBInstanceStatusInfo><StatusType>read replication</StatusType>"
        f"<Normal>{normal}</Normal><Status>{state}</Status></DBInstanceStatusInfo>"
    }


def _found(name: str, region: str) -> Record | None:
    """The instance that a region calls ``name``, which may be an ARN of another region."""
    from ministack.core.responses import get_account_id
    from ministack.services import rds as theirs

    arn = ARN.fullmatch(name)
    if arn is not None and arn["account"] != get_account_id():
        return None
    place = (arn["region"], arn["name"]) if arn is not None else (region, name)
    found: Record | None = theirs._instances.get_scoped(get_account_id(), *place)
    return found


def _region(instance: Record) -> str:
    return str(instance["DBInstanceArn"].split(":")[3])


def _name_in(instance: Record, region: str) -> str:
    """What an instance is called by those of ``region``."""
    return str(instance["DBInstanceIdentifier" if _region(instance) == region else "DBInstanceArn"])


def _source(replica: Record) -> Record | None:
    return _found(replica.get("ReadReplicaSourceDBInstanceIdentifier", ""), _region(replica))


def _replicas(source: Record) -> list[Record]:
    names = source.get("ReadReplicaDBInstanceIdentifiers", [])
    return [found for name in names if (found := _found(name, _region(source))) is not None]


def _create(p: Parameters) -> Answer:
    from ministack.core.responses import get_region
    from ministack.services import rds as theirs

    name = rds_api.one(p, "DBInstanceIdentifier").lower()
    source = _found(rds_api.one(p, "SourceDBInstanceIdentifier"), get_region())
    if source is None:
        return rds_api.error("DBInstanceNotFound", f"DBInstance {rds_api.one(p, 'SourceDBInstanceIdentifier')} not found.", 404)
    refusal = _refusal(p, name, source)
    if refusal is not None:
        return refusal
    replica = _made(p, name, source)
    place = databases.follow(source["DBInstanceArn"], replica["DBInstanceArn"], parameters=rds.parameters(replica))
    if place is not None:
        replica["Endpoint"].update(Address=place[0], Port=place[1])
    tags = theirs._parse_tags(p)
    if tags:
        theirs._tags[replica["DBInstanceArn"]] = replica["TagList"] = tags
    theirs._instances[name] = replica
    source.setdefault("ReadReplicaDBInstanceIdentifiers", []).append(_name_in(replica, _region(source)))
    return rds.said("CreateDBInstanceReadReplica", replica)


def _refusal(p: Parameters, name: str, source: Record) -> Answer | None:
    """Why AWS makes no such replica; None where it does."""
    from ministack.core.responses import get_region
    from ministack.services import kms
    from ministack.services import rds as theirs

    elsewhere, key, subnets = (
        _region(source) != get_region(),
        rds_api.one(p, "KmsKeyId"),
        rds_api.one(p, "DBSubnetGroupName"),
    )
    if name in theirs._instances:
        return rds_api.error("DBInstanceAlreadyExists", f"DBInstance {name} already exists.")
    if source["DBInstanceStatus"] != "available" or source["Engine"] != ENGINE or darkness.is_dark(_region(source)):
        return rds_api.error(
            "InvalidDBInstanceState", f"{source['DBInstanceIdentifier']} is no available instance of PostgreSQL."
        )
    if not int(source.get("BackupRetentionPeriod", 0)):
        return rds_api.error("InvalidDBInstanceState", "Automated backups are not enabled for this database instance.")
    if rds_api.one(p, "DBParameterGroupName"):
        return rds_api.error(
            "InvalidParameterCombination", "A parameter group can't be given when a replica of postgres is created."
        )
    if rds_api.one(p, "DatabaseInsightsMode"):
        return rds_api.error("InvalidParameterCombination", "DatabaseInsightsMode can't be given when a replica is created.")
    if key and not source["StorageEncrypted"]:
        return rds_api.error("InvalidParameterCombination", "An encrypted replica needs an encrypted source.")
    if elsewhere and source["StorageEncrypted"] and not key:
        return rds_api.error(
            "InvalidParameterCombination", "Cannot create a cross region unencrypted read replica from encrypted source"
        )
    if key and kms._describe_key({"KeyId": key})[0] != 200:
        return rds_api.error("KMSKeyNotAccessibleFault", f"The key {key} does not exist in {get_region()}.")
    if subnets and subnets not in theirs._subnet_groups:
        return rds_api.error("DBSubnetGroupNotFoundFault", f"DBSubnetGroup {subnets} not found.", 404)
    return None


def _made(p: Parameters, name: str, source: Record) -> Record:
    """The replica as AWS makes it: without backups, like the source in everything that the call leaves open."""
    from ministack.core.responses import get_account_id, get_region, new_uuid
    from ministack.services import rds as theirs

    here, elsewhere = get_region(), _region(source) != get_region()
    replica = copy.deepcopy(dict(source))
    for stale in ("_exports", "_replication", "PendingModifiedValues", "MaxAllocatedStorage"):
        replica.pop(stale, None)
    replica.update(
        DBInstanceIdentifier=name,
        DBInstanceArn=f"arn:aws:rds:{here}:{get_account_id()}:db:{name}",
        DbiResourceId=f"db-{new_uuid().replace('-', '')[:20].upper()}",
        InstanceCreateTime=theirs._format_time(time.time()),
        ReadReplicaSourceDBInstanceIdentifier=_name_in(source, here),
        ReadReplicaDBInstanceIdentifiers=[],
        AvailabilityZone=rds_api.one(p, "AvailabilityZone") or f"{here}a",
        BackupRetentionPeriod=0,
        DeletionProtection=False,
        IAMDatabaseAuthenticationEnabled=rds_api.true(p, "EnableIAMDatabaseAuthentication"),
        MonitoringInterval=0,
        MultiAZ=False,
        TagList=[],
    )
    replica["_kept"] = {element: value for element, value in source.get("_kept", {}).items() if element not in OWN}
    if elsewhere:
        group = f"default.{ENGINE}{source['EngineVersion'].split('.')[0]}"
        replica["DBParameterGroups"] = [{"DBParameterGroupName": group, "ParameterApplyStatus": "in-sync"}]
        replica["VpcSecurityGroups"], replica["MonitoringRoleArn"] = [], ""
    replica.update({field: int(rds_api.one(p, field)) for field in COUNTS if rds_api.one(p, field)})
    replica.update({field: rds_api.true(p, field) for field in FLAGS if rds_api.one(p, field)})
    replica.update({field: rds_api.one(p, field) for field in TEXTS if rds_api.one(p, field)})
    if rds_api.one(p, "DBSubnetGroupName"):
        replica["DBSubnetGroup"] = theirs._subnet_groups[rds_api.one(p, "DBSubnetGroupName")]
    groups = rds_api.several(p, "VpcSecurityGroupIds")
    if groups:
        replica["VpcSecurityGroups"] = [{"VpcSecurityGroupId": group, "Status": "active"} for group in groups]
    rds_api.keep(replica, p, rds.KEPT)
    rds_api.keep_exports(replica, p)
    return replica


def _promote(p: Parameters) -> Answer:
    from ministack.core.responses import get_region

    name = rds_api.one(p, "DBInstanceIdentifier").lower()
    replica = _found(name, get_region())
    if replica is None:
        return rds_api.error("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    if not replica.get("ReadReplicaSourceDBInstanceIdentifier"):
        return rds_api.error("InvalidDBInstanceState", f"DB Instance {name} is not a read replica.")
    state = rds.state(replica)
    if state != "available":
        return rds_api.error("InvalidDBInstanceState", f"DB Instance {name} is {state} and cannot be promoted.")
    databases.promote(replica["DBInstanceArn"])
    _part(replica)
    replica["BackupRetentionPeriod"] = int(rds_api.one(p, "BackupRetentionPeriod") or 1)
    rds_api.keep(replica, p, {"PreferredBackupWindow": "PreferredBackupWindow"})
    return rds.said("PromoteReadReplica", replica)


def _part(replica: Record) -> None:
    """It is a replica no more."""
    source = _source(replica)
    if source is not None:
        names = source.get("ReadReplicaDBInstanceIdentifiers", [])
        source["ReadReplicaDBInstanceIdentifiers"] = [one for one in names if one != _name_in(replica, _region(source))]
    replica["ReadReplicaSourceDBInstanceIdentifier"] = ""
    replica.pop("_replication", None)


def _modify(theirs: Action, p: Parameters) -> Answer:
    from ministack.core.responses import get_region

    instance: dict[str, Any] = _found(rds_api.one(p, "DBInstanceIdentifier"), get_region()) or {}
    if instance.get("ReadReplicaSourceDBInstanceIdentifier") and rds_api.one(p, "MasterUserPassword"):
        return rds_api.error("InvalidDBInstanceState", "The password of a read replica is that of its source.")
    if instance.get("ReadReplicaDBInstanceIdentifiers") and rds_api.one(p, "BackupRetentionPeriod") == "0":
        return rds_api.error("InvalidDBInstanceState", "The source of read replicas needs automated backups.")
    return theirs(p)


def _stop(theirs: Action, p: Parameters) -> Answer:
    from ministack.core.responses import get_region

    instance: dict[str, Any] = _found(rds_api.one(p, "DBInstanceIdentifier"), get_region()) or {}
    if instance.get("ReadReplicaSourceDBInstanceIdentifier") or instance.get("ReadReplicaDBInstanceIdentifiers"):
        return rds_api.error("InvalidDBInstanceState", "An instance that is or has a read replica cannot be stopped.")
    return theirs(p)


def _delete(theirs: Action, p: Parameters) -> Answer:
    from ministack.core.responses import get_region

    instance = _found(rds_api.one(p, "DBInstanceIdentifier"), get_region())
    answer = theirs(p)
    if instance is not None and answer[0] < 300:
        _part(instance)
        for replica in _replicas(instance):
            if _region(replica) == _region(instance):  # they are promoted, those of other regions are not
                databases.promote(replica["DBInstanceArn"])
                replica["ReadReplicaSourceDBInstanceIdentifier"] = ""
            else:
                replica["_replication"] = TERMINATED
    return answer
