"""Taking apart what binds regions: AWS deletes neither half of a pair that still replicates.

Every function looks at what is, does the next thing, and looks again: it may be interrupted anywhere and called once more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from chain.cloudformation.stack import Clients, StackError, Wait, code

CALLS = {
    "EndReplicationOfObjects": ("s3:PutReplicationConfiguration",),
    "FollowRotation": ("secretsmanager:DescribeSecret",),
    "EndReplicationOfSecrets": ("secretsmanager:RemoveRegionsFromReplication",),
    "EndReplicationOfFiles": (
        "elasticfilesystem:DeleteReplicationConfiguration",
        "elasticfilesystem:DescribeReplicationConfigurations",
    ),
    "EndGlobalDatabases": ("rds:DeleteDBCluster", "rds:DescribeDBClusters", "rds:RemoveFromGlobalCluster"),
    "LeaveGlobalDatabases": ("rds:DescribeGlobalClusters", "rds:RemoveFromGlobalCluster"),
    "EndRehearsedDatabases": ("rds:DeleteDBCluster", "rds:DeleteDBInstance", "rds:DescribeDBClusters"),
}

PATIENCE = 1200.0  # seconds; a secondary cluster takes minutes to become one of its own, a file system several
BUSY = ("InvalidDBClusterStateFault", "InvalidGlobalClusterStateFault")


def objects(s3: Any, bucket: str) -> None:
    """End a bucket's replication, so that what is emptied on one side does not come in on the other."""
    unless(("NoSuchBucket", "ReplicationConfigurationNotFoundError"), s3.delete_bucket_replication, Bucket=bucket)


def secrets(manager: Any, secret: str) -> None:
    """Remove the replicas of a secret, also those that its template does not name."""
    found = answer(("ResourceNotFoundException",), manager.describe_secret, SecretId=secret) or {}
    replicas = [each["Region"] for each in found.get("ReplicationStatus", ())]
    if replicas:
        manager.remove_regions_from_replication(SecretId=secret, RemoveReplicaRegions=replicas)


def files(clients: Clients, region: str, file_system: str, wait: Wait) -> bool:
    """Delete the replication that a file system is either end of, and await its end; whether there was one."""
    found = False
    while (both := pair(clients("efs", region), file_system)) is not None:
        found = True
        if any(each["Status"] != "DELETING" for each in both["Destinations"]):
            _end(clients, region, both)
        _patiently(wait, f"the replication of {file_system} in {region} is still there")
    return found


def pair(efs: Any, file_system: str) -> Mapping[str, Any] | None:
    """The replication that a file system is either end of, as its region knows it."""
    gone = ("ReplicationNotFound", "FileSystemNotFound")
    found = answer(gone, efs.describe_replication_configurations, FileSystemId=file_system) or {}
    return next(iter(found.get("Replications", ())), None)


def _end(clients: Clients, region: str, both: Mapping[str, Any]) -> None:
    """From the source's side if it can be reached, or else for this side alone."""
    from botocore.exceptions import ConnectionError as NoConnectionError
    from botocore.exceptions import HTTPClientError

    source, home = both["SourceFileSystemId"], both["SourceFileSystemRegion"]
    gone = ("ReplicationNotFound", "FileSystemNotFound")
    try:
        unless(gone, clients("efs", home).delete_replication_configuration, SourceFileSystemId=source)
    except (NoConnectionError, HTTPClientError):
        if home == region:
            raise
        here = clients("efs", region).delete_replication_configuration
        unless(gone, here, SourceFileSystemId=source, DeletionMode="LOCAL_CONFIGURATION_ONLY")


def databases(clients: Clients, regions: Collection[str], own: Collection[str], joined: Collection[str], wait: Wait) -> list[str]:
    """Detach those readers of our global databases (``own``, by identifier) that CloudFormation would not; their ARNs.

    CloudFormation detaches a cluster whose template says that it joined (``joined``, ARNs), and a global database's only member.
    After a failover that is not enough: the reader of now was the writer when the templates were written.
    """
    detached: list[str] = []
    while readers := [each for each in members(clients, regions, own) if not each[2] and each[1] not in joined]:
        for identifier, arn, _ in readers:
            cluster = clients("rds", arn.split(":")[3])
            gone = ("DBClusterNotFoundFault", "GlobalClusterNotFoundFault")
            given = {"GlobalClusterIdentifier": identifier, "DbClusterIdentifier": arn}
            if arn not in detached and unless((*BUSY, *gone), cluster.remove_from_global_cluster, **given):
                detached.append(arn)
        _patiently(wait, f"{', '.join(arn for _, arn, _ in readers)} is still part of a global database")
    for arn in detached:
        while (status := _status(clients, arn)) not in ("", "available", "deleting", "inaccessible-encryption-credentials"):
            _patiently(wait, f"{arn} is {status}")
    return detached


def cluster(clients: Clients, regions: Collection[str], arn: str, wait: Wait) -> bool:
    """Delete a cluster that joined a global database and is in none now; whether there was one.

    CloudFormation would ask to detach it, hear that there is nothing to detach, and leave it behind.
    """
    found = False
    while _status(clients, arn) and not any(arn == each for _, each, _ in members(clients, regions)):
        found = True
        name = {"client": clients("rds", arn.split(":")[3]), "name": arn.rpartition(":")[2]}
        unless(("DBClusterNotFoundFault", *BUSY), delete_cluster, **name)
        _patiently(wait, f"{arn} is still there")
    return found


def delete_cluster(client: Any, name: str) -> None:
    """Delete a cluster and its instances, without a snapshot: the next step of it, for it takes minutes."""
    gone = ("DBInstanceNotFound", "InvalidDBInstanceState")
    for member in client.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0].get("DBClusterMembers", ()):
        given = {"DBInstanceIdentifier": member["DBInstanceIdentifier"], "SkipFinalSnapshot": True}
        unless(gone, client.delete_db_instance, **given)
    client.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def members(clients: Clients, regions: Collection[str], own: Collection[str] | None = None) -> Iterator[tuple[str, str, bool]]:
    """Global database, cluster and whether it is the writer, once each, however many regions know of it."""
    seen = set()
    for region in regions:
        for page in clients("rds", region).get_paginator("describe_global_clusters").paginate():
            for each in page["GlobalClusters"]:
                identifier = each["GlobalClusterIdentifier"]
                for member in each["GlobalClusterMembers"]:
                    arn = member["DBClusterArn"]
                    if (own is None or identifier in own) and (identifier, arn) not in seen:
                        seen.add((identifier, arn))
                        yield identifier, arn, member["IsWriter"]


def _status(clients: Clients, arn: str) -> str:
    """A cluster's status; nothing if it does not exist."""
    ask, name = clients("rds", arn.split(":")[3]).describe_db_clusters, arn.rpartition(":")[2]
    found = answer(("DBClusterNotFoundFault",), ask, DBClusterIdentifier=name) or {"DBClusters": [{"Status": ""}]}
    return str(found["DBClusters"][0]["Status"])


def _patiently(wait: Wait, late: str) -> None:
    if wait.waited >= PATIENCE:
        raise StackError(f"{late} after {PATIENCE:.0f} s")
    wait()


def unless(codes: tuple[str, ...], call: Callable[..., Any], **arguments: Any) -> bool:
    """Whether a call was made; AWS's saying that there is nothing to do is no failure."""
    return answer(codes, lambda **given: (call(**given),), **arguments) is not None


def answer(codes: tuple[str, ...], call: Callable[..., Any], **arguments: Any) -> Any:
    """What a call gave; None where AWS said one of these codes."""
    from botocore.exceptions import ClientError

    try:
        return call(**arguments)
    except ClientError as error:
        if code(error) not in codes:
            raise
        return None
