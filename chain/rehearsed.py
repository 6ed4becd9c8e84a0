"""What rehearsed restores left: AWS Backup removes what a test restored, unless the test was cut short or its removal failed.

That something belongs to an environment is known by the restore job, which names the restore testing plan that began it; what
was restored bears the environment's network, so it must go before the stacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from chain.apart import delete_cluster, unless
from chain.buckets import empty
from chain.stack import Clients

NAME = "awsbackup-restore-test-"
"""How AWS Backup begins the names of what it restores for a test; file systems have no name, only an id."""


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
            for kind in KINDS:
                if match := re.fullmatch(kind.arn, arn):
                    client = clients(kind.service, region)
                    if unless(kind.gone, kind.find, client=client, name=match[1]):
                        step = partial(unless, (*kind.gone, *MOVING), kind.delete, client=client, name=match[1])
                        yield f"{region}  {kind.text} {match[1]} of a rehearsed restore", step


@dataclass(frozen=True)
class Kind:
    """A kind of thing that is restored: how its ARN reads, how it is found, and how it is deleted."""

    text: str
    arn: str
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


KINDS = (
    Kind(
        "cluster",
        rf"arn:[\w-]+:rds:[\w-]+:\d+:cluster:({NAME}.+)",
        "rds",
        lambda client, name: client.describe_db_clusters(DBClusterIdentifier=name),
        ("DBClusterNotFoundFault",),
        delete_cluster,
    ),
    Kind(
        "database",
        rf"arn:[\w-]+:rds:[\w-]+:\d+:db:({NAME}.+)",
        "rds",
        lambda client, name: client.describe_db_instances(DBInstanceIdentifier=name),
        ("DBInstanceNotFound",),
        _delete_database,
    ),
    Kind(
        "file system",
        r"arn:[\w-]+:elasticfilesystem:[\w-]+:\d+:file-system/(fs-[0-9a-f]+)",
        "efs",
        lambda client, name: client.describe_file_systems(FileSystemId=name),
        ("FileSystemNotFound",),
        _delete_file_system,
    ),
    Kind(
        "table",
        rf"arn:[\w-]+:dynamodb:[\w-]+:\d+:table/({NAME}.+)",
        "dynamodb",
        lambda client, name: client.describe_table(TableName=name),
        ("ResourceNotFoundException",),
        lambda client, name: client.delete_table(TableName=name),
    ),
    Kind(
        "bucket",
        rf"arn:[\w-]+:s3:::({NAME}.+)",
        "s3",
        lambda client, name: client.head_bucket(Bucket=name),
        ("404", "NoSuchBucket"),
        _delete_bucket,
    ),
)
