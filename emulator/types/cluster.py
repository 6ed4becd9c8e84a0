"""Aurora: clusters and their parameter groups. Their instances are those of database.py."""

from __future__ import annotations

from typing import Any

from emulator.resource import Aws, Properties, Resource, changed, listed, pairs, retag
from emulator.shape import boolean
from emulator.types.database import logs_changed

# A template's word -> the API's.
RENAMED = {
    "PerformanceInsightsEnabled": "EnablePerformanceInsights",
    "PerformanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
}
NOT_SENT = (
    "AssociatedRoles",
    "DBInstanceParameterGroupName",
    "DeleteAutomatedBackups",
    "ReadEndpoint",
    "SourceRegion",
    "RestoreType",
)


def _create(aws: Aws, p: Properties) -> str:
    kept = {RENAMED.get(name, name): value for name, value in p.items() if name not in NOT_SENT}
    return str(aws.send("rds", "create_db_cluster", kept)["DBCluster"]["DBClusterIdentifier"])


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    changes: dict[str, Any] = {
        RENAMED.get(name, name): value
        for name, value in new.items()
        if old.get(name) != value and name not in (*NOT_SENT, "Tags")
    }
    if "EnableCloudwatchLogsExports" in changes:
        changes["CloudwatchLogsExportConfiguration"] = logs_changed(old, changes.pop("EnableCloudwatchLogsExports"))
    if changes:
        aws.send("rds", "modify_db_cluster", {"DBClusterIdentifier": ref, **changes, "ApplyImmediately": True})
    _retag(aws, aws.arn("rds", f"cluster:{ref}"), old, new)


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


def _delete(aws: Aws, ref: str, p: Properties) -> None:
    automated = boolean(p.get("DeleteAutomatedBackups", True))
    aws.client("rds").delete_db_cluster(DBClusterIdentifier=ref, SkipFinalSnapshot=True, DeleteAutomatedBackups=automated)


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("rds").describe_db_clusters(DBClusterIdentifier=identifier[0])["DBClusters"][0]
    return {
        **found,
        "DBClusterParameterGroupName": found["DBClusterParameterGroup"],
        "DBClusterResourceId": found["DbClusterResourceId"],
        "DBSubnetGroupName": found["DBSubnetGroup"],
        "EnableCloudwatchLogsExports": found.get("EnabledCloudwatchLogsExports", []),
        "EnableHttpEndpoint": found.get("HttpEndpointEnabled"),
        "EnableIAMDatabaseAuthentication": found.get("IAMDatabaseAuthenticationEnabled"),
        "Endpoint": {"Address": found["Endpoint"], "Port": str(found["Port"])},
        "KmsKeyId": found.get("KmsKeyId") or None,
        "ReadEndpoint": {"Address": found["ReaderEndpoint"]},
        "VpcSecurityGroupIds": [group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"]],
        "Tags": _tags(aws, found["DBClusterArn"]),
    }


def _group(aws: Aws, p: Properties) -> str:
    name = p["DBClusterParameterGroupName"]
    kept = {"DBParameterGroupFamily": p["Family"], "Description": p["Description"], "Tags": p.get("Tags")}
    aws.send("rds", "create_db_cluster_parameter_group", {"DBClusterParameterGroupName": name, **kept})
    _set(aws, name, p.get("Parameters", {}))
    return str(name)


def _set(aws: Aws, group: str, parameters: dict[str, Any]) -> None:
    pending = [_parameter(name, ParameterValue=str(value)) for name, value in parameters.items()]
    for start in range(0, len(pending), 20):  # at most twenty at a time
        aws.client("rds").modify_db_cluster_parameter_group(
            DBClusterParameterGroupName=group, Parameters=pending[start : start + 20]
        )


def _parameter(name: str, **more: str) -> dict[str, str]:
    return {"ParameterName": name, "ApplyMethod": "pending-reboot", **more}


def _change_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    had, has = old.get("Parameters", {}), new.get("Parameters", {})
    gone = [_parameter(name) for name in had if name not in has]
    if gone:
        aws.client("rds").reset_db_cluster_parameter_group(DBClusterParameterGroupName=ref, Parameters=gone)
    _set(aws, ref, {name: value for name, value in has.items() if had.get(name) != value})
    if changed(old, new, "Tags"):
        _retag(aws, aws.arn("rds", f"cluster-pg:{ref}"), old, new)


def _read_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    rds, (name,) = aws.client("rds"), identifier
    found = rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName=name)["DBClusterParameterGroups"][0]
    pages = rds.get_paginator("describe_db_cluster_parameters").paginate(DBClusterParameterGroupName=name, Source="user")
    parameters = {
        one["ParameterName"]: one["ParameterValue"] for page in pages for one in page["Parameters"] if "ParameterValue" in one
    }
    return {
        **found,
        "Family": found["DBParameterGroupFamily"],
        "Parameters": parameters,
        "Tags": _tags(aws, found["DBClusterParameterGroupArn"]),
    }


RESOURCES = (
    Resource(
        "AWS::RDS::DBClusterParameterGroup",
        _group,
        lambda aws, ref, _: aws.client("rds").delete_db_cluster_parameter_group(DBClusterParameterGroupName=ref),
        _read_group,
        _change_group,
        name="DBClusterParameterGroupName",
        longest=255,
        lower=True,
    ),
    Resource("AWS::RDS::DBCluster", _create, _delete, _read, _update, name="DBClusterIdentifier", lower=True),
)
