"""RDS: subnet and parameter groups, instances, event subscriptions."""

from __future__ import annotations

import time

from emulator.property_conversion import boolean
from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs, retag


def change_tags(aws: Aws, arn: str, old: Properties, new: Properties, service: str = "rds") -> None:
    """ElastiCache's calls for tags are RDS's."""
    client = aws.client(service)
    retag(
        old,
        new,
        add=lambda tags: client.add_tags_to_resource(ResourceName=arn, Tags=listed(tags)),
        remove=lambda names: client.remove_tags_from_resource(ResourceName=arn, TagKeys=names),
    )


def read_tags(aws: Aws, arn: str, service: str = "rds") -> list[dict[str, str]]:
    return listed(pairs(aws.client(service).list_tags_for_resource(ResourceName=arn)["TagList"]))


def _subnet_group(aws: Aws, p: Properties) -> str:
    return str(aws.send("rds", "create_db_subnet_group", p)["DBSubnetGroup"]["DBSubnetGroupName"])


def _change_subnet_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "DBSubnetGroupDescription", "SubnetIds"):
        kept = {name: new.get(name) for name in ("DBSubnetGroupDescription", "SubnetIds")}
        aws.send("rds", "modify_db_subnet_group", {"DBSubnetGroupName": ref, **kept})
    change_tags(aws, aws.arn("rds", f"subgrp:{ref}"), old, new)


def _read_subnet_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("rds").describe_db_subnet_groups(DBSubnetGroupName=identifier[0])["DBSubnetGroups"][0]
    subnets = [subnet["SubnetIdentifier"] for subnet in found["Subnets"]]
    return {**found, "SubnetIds": subnets, "Tags": read_tags(aws, found["DBSubnetGroupArn"])}


def parameter_group(kind: str, arn: str) -> Resource:
    """The resource type of a parameter group: ``kind`` is ``db`` or ``db_cluster``, ``arn`` what stands in its ARN."""
    words = "DBParameterGroup" if kind == "db" else "DBClusterParameterGroup"
    name_of, plural = f"{words}Name", f"{words}s"

    def create(aws: Aws, p: Properties) -> str:
        name = p[name_of]
        kept = {"DBParameterGroupFamily": p["Family"], "Description": p["Description"], "Tags": p.get("Tags")}
        aws.send("rds", f"create_{kind}_parameter_group", {name_of: name, **kept})
        call(aws, "modify", name, [parameter(one, ParameterValue=str(value)) for one, value in p.get("Parameters", {}).items()])
        return str(name)

    def parameter(name: str, **more: str) -> dict[str, str]:
        # To a database that is not made yet, static parameters apply as well.
        return {"ParameterName": name, "ApplyMethod": "pending-reboot", **more}

    def call(aws: Aws, verb: str, name: str, parameters: list[dict[str, str]]) -> None:
        for start in range(0, len(parameters), 20):  # at most twenty at a time
            method = getattr(aws.client("rds"), f"{verb}_{kind}_parameter_group")
            method(**{name_of: name, "Parameters": parameters[start : start + 20]})

    def update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
        had, has = old.get("Parameters", {}), new.get("Parameters", {})
        call(aws, "reset", ref, [parameter(name) for name in had if name not in has])
        differ = {name: str(value) for name, value in has.items() if had.get(name) != value}
        call(aws, "modify", ref, [parameter(name, ParameterValue=value) for name, value in differ.items()])
        change_tags(aws, aws.arn("rds", f"{arn}:{ref}"), old, new)

    def read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
        rds, (name,) = aws.client("rds"), identifier
        found = getattr(rds, f"describe_{kind}_parameter_groups")(**{name_of: name})[plural][0]
        pages = rds.get_paginator(f"describe_{kind}_parameters").paginate(**{name_of: name}, Source="user")
        ones = (one for page in pages for one in page["Parameters"] if "ParameterValue" in one)
        return {
            **found,
            "Family": found["DBParameterGroupFamily"],
            "Parameters": {one["ParameterName"]: one["ParameterValue"] for one in ones},
            "Tags": read_tags(aws, found[f"{words}Arn"]),
        }

    def delete(aws: Aws, ref: str, _: Properties) -> None:
        getattr(aws.client("rds"), f"delete_{kind}_parameter_group")(**{name_of: ref})

    return Resource(f"AWS::RDS::{words}", create, delete, read, update, name=name_of, longest=255, lower=True)


# Properties that the API calls otherwise, or takes only on one of the two calls, or not at all.
RENAMED = {"VPCSecurityGroups": "VpcSecurityGroupIds"}
NOT_CREATED = (
    "ApplyImmediately",
    "AllowMajorVersionUpgrade",
    "DeleteAutomatedBackups",
    "CertificateRotationRestart",
    "AssociatedRoles",
    "SourceRegion",
)


# What a replica takes when it is made; the rest it takes from a change after that, as CloudFormation's handler does.
REPLICA = (
    "AutoMinorVersionUpgrade",
    "AvailabilityZone",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBInstanceIdentifier",
    "DBSubnetGroupName",
    "DeletionProtection",
    "EnableCloudwatchLogsExports",
    "EnableIAMDatabaseAuthentication",
    "EnablePerformanceInsights",
    "Iops",
    "KmsKeyId",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "MultiAZ",
    "NetworkType",
    "OptionGroupName",
    "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod",
    "Port",
    "ProcessorFeatures",
    "PubliclyAccessible",
    "ReplicaMode",
    "SourceDBInstanceIdentifier",
    "StorageThroughput",
    "StorageType",
    "Tags",
    "VPCSecurityGroups",
)
REPLICA_AFTER = (
    "AllocatedStorage",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "DBParameterGroupName",
    "EngineVersion",
    "MaxAllocatedStorage",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
)
REBOOT_TIMEOUT = 60.0  # seconds


def _instance(aws: Aws, p: Properties) -> str:
    if p.get("SourceDBInstanceIdentifier"):
        return _replica(aws, p)
    kept = {RENAMED.get(name, name): value for name, value in p.items() if name not in NOT_CREATED}
    return str(aws.send("rds", "create_db_instance", kept)["DBInstance"]["DBInstanceIdentifier"])


def _replica(aws: Aws, p: Properties) -> str:
    # SourceRegion is for a signature in the source's region, which a client adds on AWS.
    kept = {RENAMED.get(name, name): p[name] for name in REPLICA if name in p}
    name = str(aws.send("rds", "create_db_instance_read_replica", kept)["DBInstance"]["DBInstanceIdentifier"])
    after = {key: p[key] for key in REPLICA_AFTER if key in p}
    if after:
        aws.send("rds", "modify_db_instance", {"DBInstanceIdentifier": name, **after, "ApplyImmediately": True})
    if "DBParameterGroupName" in after:
        aws.client("rds").reboot_db_instance(DBInstanceIdentifier=name)
        try:
            _await_available(aws, name)
        except RuntimeError:
            # What CloudFormation knows to be there it takes away; here it learns that from our return only.
            aws.client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
            raise
    return name


def _await_available(aws: Aws, name: str) -> None:
    deadline = time.monotonic() + REBOOT_TIMEOUT
    status = "rebooting"
    while status == "rebooting" and time.monotonic() < deadline:
        time.sleep(0.05)
        status = aws.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]["DBInstanceStatus"]
    if status != "available":
        raise RuntimeError(f"{name} did not come back from its reboot: it is {status}.")


NOT_CHANGED = ("Tags", "DeleteAutomatedBackups", "SourceRegion", "SourceDBInstanceIdentifier")


def _change_instance(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if old.get("SourceDBInstanceIdentifier") and not new.get("SourceDBInstanceIdentifier"):
        kept = {name: new.get(name) for name in ("BackupRetentionPeriod", "PreferredBackupWindow")}
        aws.send("rds", "promote_read_replica", {"DBInstanceIdentifier": ref, **kept})
    changes = {
        RENAMED.get(name, name): value for name, value in new.items() if old.get(name) != value and name not in NOT_CHANGED
    }
    exports = changes.pop("EnableCloudwatchLogsExports", None)
    if exports is not None:
        changes["CloudwatchLogsExportConfiguration"] = logs_changed(old, exports)
    if "Port" in changes:
        changes["DBPortNumber"] = changes.pop("Port")
    if changes:
        at_once = boolean(new.get("ApplyImmediately", True))  # what CloudFormation asks for where the template says nothing
        aws.send("rds", "modify_db_instance", {"DBInstanceIdentifier": ref, **changes, "ApplyImmediately": at_once})
    change_tags(aws, aws.arn("rds", f"db:{ref}"), old, new)


def logs_changed(old: Properties, exports: list[str]) -> dict[str, list[str]]:
    """From what is exported to what shall be."""
    had = old.get("EnableCloudwatchLogsExports", [])
    return {
        "EnableLogTypes": [log for log in exports if log not in had],
        "DisableLogTypes": [log for log in had if log not in exports],
    }


def _delete_instance(aws: Aws, ref: str, p: Properties) -> None:
    # Of a cluster's instance the cluster keeps the backups.
    backups = {} if "DBClusterIdentifier" in p else {"DeleteAutomatedBackups": boolean(p.get("DeleteAutomatedBackups", True))}
    aws.client("rds").delete_db_instance(DBInstanceIdentifier=ref, SkipFinalSnapshot=True, **backups)


def _read_instance(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("rds").describe_db_instances(DBInstanceIdentifier=identifier[0])["DBInstances"][0]
    return {
        **found,
        "VPCSecurityGroups": [group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"]],
        "DBSecurityGroups": None,
        "DBSubnetGroupName": found.get("DBSubnetGroup", {}).get("DBSubnetGroupName"),
        "DBParameterGroupName": found["DBParameterGroups"][0]["DBParameterGroupName"],
        "EnableCloudwatchLogsExports": found.get("EnabledCloudwatchLogsExports", []),
        "EnablePerformanceInsights": found.get("PerformanceInsightsEnabled"),
        "PerformanceInsightsKMSKeyId": found.get("PerformanceInsightsKMSKeyId") or None,
        "EnableIAMDatabaseAuthentication": found.get("IAMDatabaseAuthenticationEnabled"),
        "KmsKeyId": found.get("KmsKeyId") or None,
        "MonitoringRoleArn": found.get("MonitoringRoleArn") or None,
        "StorageThroughput": found.get("StorageThroughput") or None,
        "Port": str(found["Endpoint"]["Port"]),
        "DBClusterIdentifier": found.get("DBClusterIdentifier") or None,
        "Tags": read_tags(aws, found["DBInstanceArn"]),
    }


def _subscription(aws: Aws, p: Properties) -> str:
    return str(aws.send("rds", "create_event_subscription", p)["EventSubscription"]["CustSubscriptionId"])


def _change_subscription(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    rds = aws.client("rds")
    if changed(old, new, "Enabled", "EventCategories", "SourceType"):
        kept = {name: new.get(name) for name in ("Enabled", "EventCategories", "SourceType")}
        aws.send("rds", "modify_event_subscription", {"SubscriptionName": ref, **kept})
    had, has = set(old.get("SourceIds", [])), set(new.get("SourceIds", []))
    for source in sorted(has - had):
        rds.add_source_identifier_to_subscription(SubscriptionName=ref, SourceIdentifier=source)
    for source in sorted(had - has):
        rds.remove_source_identifier_from_subscription(SubscriptionName=ref, SourceIdentifier=source)
    change_tags(aws, aws.arn("rds", f"es:{ref}"), old, new)


def _read_subscription(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("rds").describe_event_subscriptions(SubscriptionName=identifier[0])["EventSubscriptionsList"]
    if not found:
        raise NotFoundError(identifier[0])
    return {
        **found[0],
        "SubscriptionName": identifier[0],
        "EventCategories": found[0].get("EventCategoriesList"),
        "SourceIds": found[0].get("SourceIdsList"),
        "Tags": read_tags(aws, found[0]["EventSubscriptionArn"]),
    }


RESOURCES = (
    Resource(
        "AWS::RDS::DBSubnetGroup",
        _subnet_group,
        lambda aws, ref, _: aws.client("rds").delete_db_subnet_group(DBSubnetGroupName=ref),
        _read_subnet_group,
        _change_subnet_group,
        name="DBSubnetGroupName",
        longest=255,
        lower=True,
    ),
    parameter_group("db", "pg"),
    Resource(
        "AWS::RDS::DBInstance",
        _instance,
        _delete_instance,
        _read_instance,
        _change_instance,
        name="DBInstanceIdentifier",
        lower=True,
    ),
    Resource(
        "AWS::RDS::EventSubscription",
        _subscription,
        lambda aws, ref, _: aws.client("rds").delete_event_subscription(SubscriptionName=ref),
        _read_subscription,
        _change_subscription,
        name="SubscriptionName",
        longest=255,
        lower=True,
    ),
)
