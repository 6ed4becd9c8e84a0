"""Which resources a request is about, where ministack takes it to be about all of them, or about one of several."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

VAULT = re.compile(r"/backup-vaults/([^/]+)")
# ElastiCache: the action's words -> the parameter that names the resource, and its kind in an ARN.
CACHES = {
    "UserGroup": ("UserGroupId", "usergroup"),
    "User": ("UserId", "user"),
    "ReplicationGroup": ("ReplicationGroupId", "replicationgroup"),
    "TestFailover": ("ReplicationGroupId", "replicationgroup"),
    "CacheParameterGroup": ("CacheParameterGroupName", "parametergroup"),
    "CacheSubnetGroup": ("CacheSubnetGroupName", "subnetgroup"),
}

# Of one call of RDS: parameter -> kind of resource, as in the service authorization reference; all of them have to be allowed.
DATABASES = {
    "DBInstanceIdentifier": "db",
    "SourceDBInstanceIdentifier": "db",
    "DBClusterIdentifier": "cluster",
    "DbClusterIdentifier": "cluster",
    "SourceDBClusterIdentifier": "cluster",
    "TargetDbClusterIdentifier": "cluster",
    "GlobalClusterIdentifier": "global-cluster",
    "DBSnapshotIdentifier": "snapshot",
    "SourceDBSnapshotIdentifier": "snapshot",
    "TargetDBSnapshotIdentifier": "snapshot",
    "DBClusterSnapshotIdentifier": "cluster-snapshot",
    "SourceDBClusterSnapshotIdentifier": "cluster-snapshot",
    "TargetDBClusterSnapshotIdentifier": "cluster-snapshot",
}
# What is made in a subnet group is also about the group, and a question about one group is about it alone.
IN_GROUPS = ("CreateDBInstance", "CreateDBInstanceReadReplica", "DescribeDBSubnetGroups")
# A member of a cluster is authorized as an instance only.
CHANGES_WRITER = ("FailoverGlobalCluster", "SwitchoverGlobalCluster")

# A question about all of a kind is authorized as one about each.
ABOUT_ALL = {
    "DescribeDBClusterSnapshots": "cluster-snapshot",
    "DescribeDBClusters": "cluster",
    "DescribeDBInstances": "db",
    "DescribeDBSnapshots": "snapshot",
    "DescribeDBSubnetGroups": "subgrp",
    "DescribeGlobalClusters": "global-cluster",
}
# What makes a snapshot: the parameter that names it, and its kind. With tags it is tagging as well.
SNAPSHOTS = {
    "CreateDBSnapshot": ("DBSnapshotIdentifier", "snapshot"),
    "CreateDBClusterSnapshot": ("DBClusterSnapshotIdentifier", "cluster-snapshot"),
    "CopyDBSnapshot": ("TargetDBSnapshotIdentifier", "snapshot"),
    "CopyDBClusterSnapshot": ("TargetDBClusterSnapshotIdentifier", "cluster-snapshot"),
}

further: ContextVar[tuple[str, ...]] = ContextVar("further", default=())
"""The other resources of the request that is being authorized."""

besides: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("besides", default=())
"""Other actions, each with its resource, that the caller must be allowed for the request that is being authorized."""

made_under: ContextVar[tuple[str, str]] = ContextVar("made_under", default=("", ""))
"""The cluster and the key that a request of RDS names."""


def install() -> None:
    from ministack.core import iam_actions

    theirs = iam_actions.extract_resource_arn

    def extract(service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str) -> str:
        further.set(())
        besides.set(tuple(_besides(service, headers, body, query, region, account)))
        if service == "rds":
            found = _databases(query, region, account)
            further.set(tuple(found[1:]))
            made_under.set((_given(query, "DBClusterIdentifier"), _given(query, "KmsKeyId")))
            return found[0] if found else "*"
        if service == "elasticache":
            kind, name = _cache(query)
            if name:
                return f"arn:aws:elasticache:{region}:{account}:{kind}:{name}"
        said = str(theirs(service, method, path, headers, body, query, region, account))
        vault = VAULT.match(path) if service == "backup" else None
        return f"arn:aws:backup:{region}:{account}:backup-vault:{unquote(vault[1])}" if said == "*" and vault else said

    iam_actions.extract_resource_arn = extract


def _besides(service: str, headers: Any, body: bytes, query: Any, region: str, account: str) -> list[tuple[str, str]]:
    """What AWS asks the caller's policies as well: tags that come with what is made, and the function that is to rotate."""
    if service == "rds":
        kind = SNAPSHOTS.get(_given(query, "Action"))
        tagged = any(name.startswith("Tags.") for name in query)
        return [("rds:AddTagsToResource", _arn(kind[1], _given(query, kind[0]), region, account))] if kind and tagged else []
    action = str(headers.get("x-amz-target", "")).rpartition(".")[2]
    if (service, action) not in (("ssm", "PutParameter"), ("secretsmanager", "RotateSecret")):
        return []
    given = json.loads(body or b"{}")
    if given.get("Tags"):
        return [("ssm:AddTagsToResource", f"arn:aws:ssm:{region}:{account}:parameter/{given['Name'].lstrip('/')}")]
    return [("lambda:InvokeFunction", given["RotationLambdaARN"])] if given.get("RotationLambdaARN") else []


def _databases(query: Mapping[str, Any], region: str, account: str) -> list[str]:
    def given(name: str) -> str:
        return _given(query, name)

    action = given("Action")
    found = [_arn(kind, given(name), region, account) for name, kind in DATABASES.items() if given(name)]
    if given("DBInstanceIdentifier") and given("DBClusterIdentifier"):
        found.remove(_arn("cluster", given("DBClusterIdentifier"), region, account))
    if action in IN_GROUPS and given("DBSubnetGroupName"):
        found.append(_arn("subgrp", given("DBSubnetGroupName"), region, account))
    if action in CHANGES_WRITER:
        found += [arn for arn in _writer(given("GlobalClusterIdentifier")) if arn not in found]
    if action == "DeleteDBInstanceAutomatedBackup" and given("DbiResourceId"):  # AWS numbers them, and has no name in the request
        found.append(_arn("auto-backup", f"ab-{given('DbiResourceId')}", region, account))
    if action in ABOUT_ALL and not found:
        found.append(_arn(ABOUT_ALL[action], "*", region, account))  # a question about all is authorized as one about each
    return found or [arn for arn in (given("ResourceName"),) if arn]


def _given(query: Mapping[str, Any], name: str) -> str:
    value = query.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def _arn(kind: str, name: str, region: str, account: str) -> str:
    if name.startswith("arn:"):
        return name
    return f"arn:aws:rds:{'' if kind == 'global-cluster' else region}:{account}:{kind}:{name}"


def _writer(name: str) -> list[str]:
    from ministack.services import rds

    members = (rds._global_clusters.get(name) or {}).get("GlobalClusterMembers", [])
    return [member["DBClusterArn"] for member in members if member["IsWriter"]]


def _cache(query: Any) -> tuple[str, str]:
    """The kind and the name of what a request to ElastiCache is about; no name where it is about none in particular."""
    parameter, kind = next((found for words, found in CACHES.items() if words in _given(query, "Action")), ("", ""))
    return kind, _given(query, parameter)
