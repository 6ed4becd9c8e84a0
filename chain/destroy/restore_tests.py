"""What rehearsed restores left: AWS Backup removes what a test restored, unless the test was cut short or its removal failed.

That something belongs to an environment is known by the restore job, which names the restore testing plan that began it; what
was restored bears the environment's network, so it must go before the stacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from chain.cloudformation.end_replication import delete_cluster, unless
from chain.cloudformation.stack import Clients
from chain.destroy.buckets import empty
from model.resource_types import resource_type

CALLS = {
    "StopBackups": ("backup:ListRestoreJobs",),
    "EndRehearsedDatabases": ("rds:DeleteDBInstance", "rds:DescribeDBClusters", "rds:DescribeDBInstances"),
    "EndReplicationOfFiles": (
        "elasticfilesystem:DeleteFileSystem",  # neither its name nor its tags are ours
        "elasticfilesystem:DeleteMountTarget",
        "elasticfilesystem:DescribeFileSystems",
        "elasticfilesystem:DescribeMountTargets",
    ),
    "EndRehearsedTables": ("dynamodb:DeleteTable", "dynamodb:DescribeTable"),
    "EndRehearsedBuckets": ("s3:DeleteBucket", "s3:ListBucket"),
}

NAME = "awsbackup-restore-test-"
"""How AWS Backup begins the names of what it restores for a test; file systems have no name, only an id."""

FILES = "AWS::EFS::FileSystem"

MOVING = ("InvalidDBClusterStateFault", "InvalidDBInstanceState", "ResourceInUseException", "FileSystemInUse")
"""It is being made, changed or deleted already, or something in it is: ask again."""


def look(clients: Clients, region: str, plans: Collection[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What restore testing plans of these names made and what still exists, as text, and the next step to remove it."""
    if not plans:
        return
    ours = re.compile(rf":restore-testing-plan:({'|'.join(map(re.escape, sorted(plans)))})-[0-9a-fA-F-]{{36}}")
    seen = set()
    for page in clients("backup", region).get_paginator("list_restore_jobs").paginate():
        for job in page["RestoreJobs"]:
            arn = job.get("CreatedResourceArn", "")
            if not ours.search(job.get("CreatedBy", {}).get("RestoreTestingPlanArn", "")):
                continue
            if arn in seen or arn == job.get("SourceResourceArn"):  # restored into what was backed up: that is no leftover
                continue
            seen.add(arn)
            for type_, kind in KINDS.items():
                name = resource_type(type_).name_in(arn)
                if name.startswith(NAME) or (name and type_ == FILES):
                    client = clients(kind.service, region)
                    if unless(kind.gone, kind.find, client=client, name=name):
                        step = partial(unless, (*kind.gone, *MOVING), kind.delete, client=client, name=name)
                        yield f"{region}  {resource_type(type_).noun} {name} of a rehearsed restore", step


@dataclass(frozen=True)
class Kind:
    """How a kind of thing that is restored is found, and how it is deleted."""

    service: str
    find: Callable[..., Any]
    gone: tuple[str, ...]
    delete: Callable[..., Any]


def _delete_database(client: Any, name: str) -> None:
    client.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)


def _delete_file_system(client: Any, name: str) -> None:
    for target in client.describe_mount_targets(FileSystemId=name)["MountTargets"]:
        unless(("MountTargetNotFound",), client.delete_mount_target, MountTargetId=target["MountTargetId"])
    client.delete_file_system(FileSystemId=name)


def _delete_bucket(client: Any, name: str) -> None:
    empty(client, name)
    client.delete_bucket(Bucket=name)


KINDS: Mapping[str, Kind] = {
    "AWS::RDS::DBCluster": Kind(
        "rds",
        lambda client, name: client.describe_db_clusters(DBClusterIdentifier=name),
        ("DBClusterNotFoundFault",),
        delete_cluster,
    ),
    "AWS::RDS::DBInstance": Kind(
        "rds",
        lambda client, name: client.describe_db_instances(DBInstanceIdentifier=name),
        ("DBInstanceNotFound",),
        _delete_database,
    ),
    FILES: Kind(
        "efs",
        lambda client, name: client.describe_file_systems(FileSystemId=name),
        ("FileSystemNotFound",),
        _delete_file_system,
    ),
    "AWS::DynamoDB::Table": Kind(
        "dynamodb",
        lambda client, name: client.describe_table(TableName=name),
        ("ResourceNotFoundException",),
        lambda client, name: client.delete_table(TableName=name),
    ),
    "AWS::S3::Bucket": Kind(
        "s3",
        lambda client, name: client.head_bucket(Bucket=name),
        ("404", "NoSuchBucket"),
        _delete_bucket,
    ),
}
