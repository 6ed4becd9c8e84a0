"""Aurora: clusters and their parameter groups. Their instances are those of database.py."""

from __future__ import annotations

from typing import Any

from emulator.property_conversion import boolean
from emulator.resource import Aws, Properties, Resource, changed
from emulator.types.database import change_tags, logs_changed, parameter_group, read_tags

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
    if old.get("GlobalClusterIdentifier") and not new.get("GlobalClusterIdentifier"):
        _detach(aws, ref, old["GlobalClusterIdentifier"])
    changes: dict[str, Any] = {
        RENAMED.get(name, name): value
        for name, value in new.items()
        if old.get(name) != value and name not in (*NOT_SENT, "Tags", "GlobalClusterIdentifier")
    }
    if "EnableCloudwatchLogsExports" in changes:
        changes["CloudwatchLogsExportConfiguration"] = logs_changed(old, changes.pop("EnableCloudwatchLogsExports"))
    if changes:
        aws.send("rds", "modify_db_cluster", {"DBClusterIdentifier": ref, **changes, "ApplyImmediately": True})
    change_tags(aws, aws.arn("rds", f"cluster:{ref}"), old, new)


def _detach(aws: Aws, ref: str, of: str) -> None:
    arn = _described(aws, ref)["DBClusterArn"]
    aws.client("rds").remove_from_global_cluster(GlobalClusterIdentifier=of, DbClusterIdentifier=arn)


def _described(aws: Aws, ref: str) -> Properties:
    found: Properties = aws.client("rds").describe_db_clusters(DBClusterIdentifier=ref)["DBClusters"][0]
    return found


def _delete(aws: Aws, ref: str, p: Properties) -> None:
    if p.get("GlobalClusterIdentifier"):
        _detach(aws, ref, p["GlobalClusterIdentifier"])
    automated = boolean(p.get("DeleteAutomatedBackups", True))
    aws.client("rds").delete_db_cluster(DBClusterIdentifier=ref, SkipFinalSnapshot=True, DeleteAutomatedBackups=automated)


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = _described(aws, identifier[0])
    return {
        **found,
        "DBClusterParameterGroupName": found["DBClusterParameterGroup"],
        "DBClusterResourceId": found["DbClusterResourceId"],
        "DBSubnetGroupName": found["DBSubnetGroup"],
        "EnableCloudwatchLogsExports": found.get("EnabledCloudwatchLogsExports", []),
        "EnableHttpEndpoint": found.get("HttpEndpointEnabled"),
        "EnableIAMDatabaseAuthentication": found.get("IAMDatabaseAuthenticationEnabled"),
        "Endpoint": {**_writer(found), "Port": str(found["Port"])},
        "KmsKeyId": found.get("KmsKeyId") or None,
        "ReadEndpoint": {"Address": found["ReaderEndpoint"]},
        "VpcSecurityGroupIds": [group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"]],
        "Tags": read_tags(aws, found["DBClusterArn"]),
    }


def _writer(found: Properties) -> Properties:
    """That of a secondary is inactive. Whether CloudFormation says it is not sure, so that nobody may rely on it here."""
    return {} if found.get("ReplicationSourceIdentifier") else {"Address": found["Endpoint"]}


def _create_global(aws: Aws, p: Properties) -> str:
    source = p.get("SourceDBClusterIdentifier")
    if source and ":" not in source:
        p = {**p, "SourceDBClusterIdentifier": _described(aws, source)["DBClusterArn"]}
    return str(aws.send("rds", "create_global_cluster", p)["GlobalCluster"]["GlobalClusterIdentifier"])


def _update_global(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    names = ("DeletionProtection", "EngineVersion")
    if changed(old, new, *names):
        kept = {name: new.get(name) for name in names if old.get(name) != new.get(name)}
        aws.send("rds", "modify_global_cluster", {"GlobalClusterIdentifier": ref, **kept})
    change_tags(aws, f"arn:aws:rds::{aws.account}:global-cluster:{ref}", old, new)


def _delete_global(aws: Aws, ref: str, p: Properties) -> None:
    rds, source = aws.client("rds"), p.get("SourceDBClusterIdentifier")
    members = rds.describe_global_clusters(GlobalClusterIdentifier=ref)["GlobalClusters"][0]["GlobalClusterMembers"]
    if source and len(members) == 1:
        # It detaches its source, whoever the only member is; one that is gone must not look as if the global cluster were.
        try:
            arn = _described(aws, source)["DBClusterArn"]
            rds.remove_from_global_cluster(GlobalClusterIdentifier=ref, DbClusterIdentifier=arn)
        except rds.exceptions.DBClusterNotFoundFault as gone:
            raise RuntimeError(f"{source} is not there, or not in {ref}: {gone}") from gone
    rds.delete_global_cluster(GlobalClusterIdentifier=ref)


def _read_global(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("rds").describe_global_clusters(GlobalClusterIdentifier=identifier[0])["GlobalClusters"][0]
    source = next((one["DBClusterArn"] for one in found["GlobalClusterMembers"] if one["IsWriter"]), None)
    return {
        **found,
        "GlobalEndpoint": {"Address": found["Endpoint"]},
        "SourceDBClusterIdentifier": source,
        "Tags": read_tags(aws, found["GlobalClusterArn"]),
    }


RESOURCES = (
    parameter_group("db_cluster", "cluster-pg"),
    Resource("AWS::RDS::DBCluster", _create, _delete, _read, _update, name="DBClusterIdentifier", lower=True),
    Resource(
        "AWS::RDS::GlobalCluster",
        _create_global,
        _delete_global,
        _read_global,
        _update_global,
        name="GlobalClusterIdentifier",
        lower=True,
    ),
)
