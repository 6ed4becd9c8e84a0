"""RDS: subnet and parameter groups, instances, event subscriptions."""

from __future__ import annotations

from typing import Any

from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs, retag
from emulator.shape import boolean


def _retag(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    rds = aws.client("rds")
    retag(
        old,
        new,
        add=lambda tags: rds.add_tags_to_resource(ResourceName=arn, Tags=listed(tags)),
        remove=lambda names: rds.remove_tags_from_resource(ResourceName=arn, TagKeys=names),
    )


def _tags(aws: Aws, arn: str) -> list[dict[str, str]]:
    return listed(pairs(aws.client("rds").list_tags_for_resource(ResourceName=arn)["TagList"]))


def _subnet_group(aws: Aws, p: Properties) -> str:
    return str(aws.send("rds", "create_db_subnet_group", p)["DBSubnetGroup"]["DBSubnetGroupName"])


def _change_subnet_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "DBSubnetGroupDescription", "SubnetIds"):
        kept = {name: new.get(name) for name in ("DBSubnetGroupDescription", "SubnetIds")}
        aws.send("rds", "modify_db_subnet_group", {"DBSubnetGroupName": ref, **kept})
    _retag(aws, aws.arn("rds", f"subgrp:{ref}"), old, new)


def _read_subnet_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("rds").describe_db_subnet_groups(DBSubnetGroupName=identifier[0])["DBSubnetGroups"][0]
    subnets = [subnet["SubnetIdentifier"] for subnet in found["Subnets"]]
    return {**found, "SubnetIds": subnets, "Tags": _tags(aws, found["DBSubnetGroupArn"])}


def _parameter_group(aws: Aws, p: Properties) -> str:
    name = p["DBParameterGroupName"]
    kept = {
        "DBParameterGroupName": name,
        "DBParameterGroupFamily": p["Family"],
        "Description": p["Description"],
        "Tags": p.get("Tags"),
    }
    aws.send("rds", "create_db_parameter_group", kept)
    _set_parameters(aws, name, p.get("Parameters", {}))
    return str(name)


def _set_parameters(aws: Aws, group: str, parameters: dict[str, Any]) -> None:
    # Twenty at a time is what the API takes. To a database that is not made yet, static parameters apply as well.
    pending = [
        {"ParameterName": name, "ParameterValue": str(value), "ApplyMethod": "pending-reboot"}
        for name, value in parameters.items()
    ]
    for start in range(0, len(pending), 20):
        aws.client("rds").modify_db_parameter_group(DBParameterGroupName=group, Parameters=pending[start : start + 20])


def _change_parameter_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    had, has = old.get("Parameters", {}), new.get("Parameters", {})
    gone = [{"ParameterName": name, "ApplyMethod": "pending-reboot"} for name in had if name not in has]
    if gone:
        aws.client("rds").reset_db_parameter_group(DBParameterGroupName=ref, Parameters=gone)
    _set_parameters(aws, ref, {name: value for name, value in has.items() if had.get(name) != value})
    _retag(aws, aws.arn("rds", f"pg:{ref}"), old, new)


def _read_parameter_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    rds = aws.client("rds")
    found = rds.describe_db_parameter_groups(DBParameterGroupName=identifier[0])["DBParameterGroups"][0]
    pages = rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=identifier[0], Source="user")
    parameters = {
        one["ParameterName"]: one["ParameterValue"] for page in pages for one in page["Parameters"] if "ParameterValue" in one
    }
    return {
        **found,
        "Family": found["DBParameterGroupFamily"],
        "Parameters": parameters,
        "Tags": _tags(aws, found["DBParameterGroupArn"]),
    }


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


def _instance(aws: Aws, p: Properties) -> str:
    kept = {RENAMED.get(name, name): value for name, value in p.items() if name not in NOT_CREATED}
    return str(aws.send("rds", "create_db_instance", kept)["DBInstance"]["DBInstanceIdentifier"])


def _change_instance(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    changes = {
        RENAMED.get(name, name): value
        for name, value in new.items()
        if old.get(name) != value and name not in ("Tags", "DeleteAutomatedBackups")
    }
    exports = changes.pop("EnableCloudwatchLogsExports", None)
    if exports is not None:
        changes["CloudwatchLogsExportConfiguration"] = logs_changed(old, exports)
    if "Port" in changes:
        changes["DBPortNumber"] = changes.pop("Port")
    if changes:
        at_once = boolean(new.get("ApplyImmediately", True))  # what CloudFormation asks for where the template says nothing
        aws.send("rds", "modify_db_instance", {"DBInstanceIdentifier": ref, **changes, "ApplyImmediately": at_once})
    _retag(aws, aws.arn("rds", f"db:{ref}"), old, new)


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
        "Tags": _tags(aws, found["DBInstanceArn"]),
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
    _retag(aws, aws.arn("rds", f"es:{ref}"), old, new)


def _read_subscription(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("rds").describe_event_subscriptions(SubscriptionName=identifier[0])["EventSubscriptionsList"]
    if not found:
        raise NotFoundError(identifier[0])
    return {
        **found[0],
        "SubscriptionName": identifier[0],
        "EventCategories": found[0].get("EventCategoriesList"),
        "SourceIds": found[0].get("SourceIdsList"),
        "Tags": _tags(aws, found[0]["EventSubscriptionArn"]),
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
    Resource(
        "AWS::RDS::DBParameterGroup",
        _parameter_group,
        lambda aws, ref, _: aws.client("rds").delete_db_parameter_group(DBParameterGroupName=ref),
        _read_parameter_group,
        _change_parameter_group,
        name="DBParameterGroupName",
        longest=255,
        lower=True,
    ),
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
