"""ElastiCache: subnet and parameter groups, users and their groups, replication groups."""

from __future__ import annotations

from typing import Any

from emulator.resource import Aws, Properties, Resource, changed
from emulator.types.database import change_tags, read_tags


def _subnet_group(aws: Aws, p: Properties) -> str:
    kept = {"CacheSubnetGroupDescription": p["Description"], **{name: p.get(name) for name in ("SubnetIds", "Tags")}}
    name = p["CacheSubnetGroupName"]
    aws.send("elasticache", "create_cache_subnet_group", {"CacheSubnetGroupName": name, **kept})
    return str(name)


def _change_subnet_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "Description", "SubnetIds"):
        aws.client("elasticache").modify_cache_subnet_group(
            CacheSubnetGroupName=ref, CacheSubnetGroupDescription=new["Description"], SubnetIds=new["SubnetIds"]
        )
    change_tags(aws, aws.arn("elasticache", f"subnetgroup:{ref}"), old, new, "elasticache")


def _read_subnet_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("elasticache").describe_cache_subnet_groups(CacheSubnetGroupName=identifier[0])["CacheSubnetGroups"][0]
    return {
        **found,
        "Description": found["CacheSubnetGroupDescription"],
        "SubnetIds": [subnet["SubnetIdentifier"] for subnet in found["Subnets"]],
        "Tags": read_tags(aws, found["ARN"], "elasticache"),
    }


def _parameter_group(aws: Aws, p: Properties) -> str:
    name = str(p["CacheParameterGroupName"])  # made up: a template cannot name it
    kept = {one: p.get(one) for one in ("CacheParameterGroupFamily", "Description", "Tags")}
    aws.send("elasticache", "create_cache_parameter_group", {"CacheParameterGroupName": name, **kept})
    _set(aws, name, p.get("Properties", {}))
    return name


def _set(aws: Aws, group: str, parameters: dict[str, Any]) -> None:
    pending = [{"ParameterName": name, "ParameterValue": str(value)} for name, value in parameters.items()]
    for start in range(0, len(pending), 20):  # at most twenty at a time
        aws.client("elasticache").modify_cache_parameter_group(
            CacheParameterGroupName=group, ParameterNameValues=pending[start : start + 20]
        )


def _change_parameter_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    had, has = old.get("Properties", {}), new.get("Properties", {})
    gone = [{"ParameterName": name, "ParameterValue": "default"} for name in had if name not in has]
    if gone:
        aws.client("elasticache").reset_cache_parameter_group(CacheParameterGroupName=ref, ParameterNameValues=gone)
    _set(aws, ref, {name: value for name, value in has.items() if had.get(name) != value})
    change_tags(aws, aws.arn("elasticache", f"parametergroup:{ref}"), old, new, "elasticache")


def _read_parameter_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    client, (name,) = aws.client("elasticache"), identifier
    found = client.describe_cache_parameter_groups(CacheParameterGroupName=name)["CacheParameterGroups"][0]
    pages = client.get_paginator("describe_cache_parameters").paginate(CacheParameterGroupName=name)
    parameters = {
        one["ParameterName"]: one["ParameterValue"] for page in pages for one in page["Parameters"] if one["Source"] == "user"
    }
    return {**found, "Properties": parameters, "Tags": read_tags(aws, found["ARN"], "elasticache")}


def _user(aws: Aws, p: Properties) -> str:
    return str(aws.send("elasticache", "create_user", p)["UserId"])


def _change_user(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    names = ("AccessString", "AuthenticationMode", "Engine", "NoPasswordRequired", "Passwords")
    if changed(old, new, *names):
        # Whatever of it differs: CloudFormation sends all of what the template says.
        aws.send("elasticache", "modify_user", {"UserId": ref, **{name: new.get(name) for name in names}})
    change_tags(aws, aws.arn("elasticache", f"user:{ref}"), old, new, "elasticache")


def _read_user(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("elasticache").describe_users(UserId=identifier[0])["Users"][0]
    return {**found, "Arn": found["ARN"], "Tags": read_tags(aws, found["ARN"], "elasticache")}


def _user_group(aws: Aws, p: Properties) -> str:
    return str(aws.send("elasticache", "create_user_group", p)["UserGroupId"])


def _change_user_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    had, has = set(old.get("UserIds", [])), set(new.get("UserIds", []))
    change = {"UserIdsToAdd": sorted(has - had), "UserIdsToRemove": sorted(had - has)}
    if has != had:
        aws.client("elasticache").modify_user_group(UserGroupId=ref, **{name: ids for name, ids in change.items() if ids})
    change_tags(aws, aws.arn("elasticache", f"usergroup:{ref}"), old, new, "elasticache")


def _read_user_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("elasticache").describe_user_groups(UserGroupId=identifier[0])["UserGroups"][0]
    return {**found, "Arn": found["ARN"], "Tags": read_tags(aws, found["ARN"], "elasticache")}


# What ModifyReplicationGroup takes under the template's name.
MODIFIED = (
    "AutoMinorVersionUpgrade",
    "AutomaticFailoverEnabled",
    "CacheNodeType",
    "CacheParameterGroupName",
    "ClusterMode",
    "Engine",
    "EngineVersion",
    "IpDiscovery",
    "LogDeliveryConfigurations",
    "MultiAZEnabled",
    "NotificationTopicArn",
    "PreferredMaintenanceWindow",
    "ReplicationGroupDescription",
    "SecurityGroupIds",
    "SnapshotRetentionLimit",
    "SnapshotWindow",
    "SnapshottingClusterId",
    "TransitEncryptionEnabled",
    "TransitEncryptionMode",
)


def _group(aws: Aws, p: Properties) -> str:
    lowered = {**p, "ReplicationGroupId": str(p["ReplicationGroupId"]).lower()}
    return str(aws.send("elasticache", "create_replication_group", lowered)["ReplicationGroup"]["ReplicationGroupId"])


def _change_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    client = aws.client("elasticache")
    changes: Properties = {name: new[name] for name in MODIFIED if name in new and changed(old, new, name)}
    if "LogDeliveryConfigurations" in old:
        changes |= _logs_changed(old["LogDeliveryConfigurations"], new.get("LogDeliveryConfigurations", []))
    had, has = set(old.get("UserGroupIds", [])), set(new.get("UserGroupIds", []))
    changes |= {"UserGroupIdsToAdd": sorted(has - had)} if has - had else {}
    changes |= {"UserGroupIdsToRemove": sorted(had - has)} if had - has else {}
    if changes:
        aws.send("elasticache", "modify_replication_group", {"ReplicationGroupId": ref, **changes, "ApplyImmediately": True})
    before, after = int(old.get("NumCacheClusters", 1)), int(new.get("NumCacheClusters", 1))
    if before != after:
        resize = client.increase_replica_count if after > before else client.decrease_replica_count
        resize(ReplicationGroupId=ref, NewReplicaCount=after - 1, ApplyImmediately=True)
    change_tags(aws, aws.arn("elasticache", f"replicationgroup:{ref}"), old, new, "elasticache")


def _logs_changed(had: list[Properties], has: list[Properties]) -> Properties:
    """Each kind of log as it shall be; what is no longer named is switched off."""
    kinds = {one["LogType"] for one in has}
    off = [{"LogType": one["LogType"], "Enabled": False} for one in had if one["LogType"] not in kinds]
    return {"LogDeliveryConfigurations": [*has, *off]} if had != has else {}


def _read_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("elasticache").describe_replication_groups(ReplicationGroupId=identifier[0])["ReplicationGroups"][0]
    shard = found["NodeGroups"][0]
    readers = [member["ReadEndpoint"] for member in shard["NodeGroupMembers"] if member["CurrentRole"] == "replica"]
    return {
        **found,
        "ReplicationGroupDescription": found["Description"],
        "AutomaticFailoverEnabled": found["AutomaticFailover"] == "enabled",
        "MultiAZEnabled": found["MultiAZ"] == "enabled",
        "NumCacheClusters": len(found["MemberClusters"]),
        "NumNodeGroups": len(found["NodeGroups"]),
        "ReplicasPerNodeGroup": len(shard["NodeGroupMembers"]) - 1,
        "Port": shard["PrimaryEndpoint"]["Port"],
        "PrimaryEndPoint": _text(shard["PrimaryEndpoint"]),
        "ReaderEndPoint": _text(shard["ReaderEndpoint"]),
        "ReadEndPoint": {
            "Addresses": ",".join(one["Address"] for one in readers),
            "AddressesList": [one["Address"] for one in readers],
            "Ports": ",".join(str(one["Port"]) for one in readers),
            "PortsList": [str(one["Port"]) for one in readers],
        },
        "Tags": read_tags(aws, found["ARN"], "elasticache"),
    }


def _text(place: Properties) -> Properties:
    return {"Address": place["Address"], "Port": str(place["Port"])}


RESOURCES = (
    Resource(
        "AWS::ElastiCache::SubnetGroup",
        _subnet_group,
        lambda aws, ref, _: aws.client("elasticache").delete_cache_subnet_group(CacheSubnetGroupName=ref),
        _read_subnet_group,
        _change_subnet_group,
        name="CacheSubnetGroupName",
        longest=255,
        lower=True,
    ),
    Resource(
        "AWS::ElastiCache::ParameterGroup",
        _parameter_group,
        lambda aws, ref, _: aws.client("elasticache").delete_cache_parameter_group(CacheParameterGroupName=ref),
        _read_parameter_group,
        _change_parameter_group,
        name="CacheParameterGroupName",
        longest=255,
        lower=True,
    ),
    Resource(
        "AWS::ElastiCache::User",
        _user,
        lambda aws, ref, _: aws.client("elasticache").delete_user(UserId=ref),
        _read_user,
        _change_user,
    ),
    Resource(
        "AWS::ElastiCache::UserGroup",
        _user_group,
        lambda aws, ref, _: aws.client("elasticache").delete_user_group(UserGroupId=ref),
        _read_user_group,
        _change_user_group,
    ),
    Resource(
        "AWS::ElastiCache::ReplicationGroup",
        _group,
        lambda aws, ref, _: aws.client("elasticache").delete_replication_group(ReplicationGroupId=ref),
        _read_group,
        _change_group,
        name="ReplicationGroupId",
        longest=40,
        lower=True,
    ),
)
