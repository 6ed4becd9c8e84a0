"""Backup vaults: how much they hold, and emptying them, since AWS Backup deletes only empty ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chain.apart import unless
from chain.stack import StackError, Wait, code

RUNNING = ("CREATED", "PENDING", "RUNNING", "ABORTING")
COPYING = ("CREATED", "RUNNING")
GONE = ("ResourceNotFoundException",)
KEPT = ("InvalidParameterValueException", "InvalidRequestException", *GONE)
"""A continuous recovery point is the instance's own backup: it is let go, not deleted. One that is deleted is listed a while."""

PATIENCE = 300.0  # seconds that jobs are given to stop, and AWS Backup to see that a vault is empty


def count(backup: Any, vault: str) -> str:
    """How many recovery points a vault holds, as text."""
    return str(sum(1 for _ in _points(backup, vault)))


def empty(backup: Any, vault: str, wait: Wait) -> None:
    """Stop what is being backed up, and delete every recovery point. A vault that is gone is empty."""
    for state in RUNNING[:-1]:
        for job in _jobs(backup, vault, state):
            unless(("InvalidRequestException", *GONE), backup.stop_backup_job, BackupJobId=job)
    while any(True for state in RUNNING for _ in _jobs(backup, vault, state)):
        if wait.waited > PATIENCE:
            raise StackError(f"jobs of the vault {vault} are still running after {PATIENCE:.0f} s; stop them, then go on")
        wait()
    while points := list(_points(backup, vault)):
        if wait.waited > PATIENCE:
            raise StackError(f"the vault {vault} still holds {len(points)} recovery points, such as {points[0]}")
        for point in points:
            given = {"BackupVaultName": vault, "RecoveryPointArn": point}
            if not unless(KEPT, backup.delete_recovery_point, **given):
                unless(KEPT, backup.disassociate_recovery_point, **given)
        wait()


def await_copies(backups: Sequence[Any], arn: str, wait: Wait) -> None:
    """Wait for what is being copied into a vault: nothing stops it, and what arrives late stands in the way of the deletion.

    A copy is known in the region that it comes from, so ``backups`` are the clients of all regions.
    """
    while copies := [job for backup in backups for state in COPYING for job in _copies(backup, arn, state)]:
        if wait.waited > PATIENCE:
            raise StackError(f"{len(copies)} copies into {arn} are under way and cannot be stopped; go on when they are done")
        wait()


def _points(backup: Any, vault: str) -> Iterator[str]:
    from botocore.exceptions import ClientError

    try:
        for page in backup.get_paginator("list_recovery_points_by_backup_vault").paginate(BackupVaultName=vault):
            for point in page["RecoveryPoints"]:
                yield point["RecoveryPointArn"]
    except ClientError as error:
        if code(error) not in GONE:
            raise


def _jobs(backup: Any, vault: str, state: str) -> Iterator[str]:
    for page in backup.get_paginator("list_backup_jobs").paginate(ByBackupVaultName=vault, ByState=state):
        for job in page["BackupJobs"]:
            yield job["BackupJobId"]


def _copies(backup: Any, arn: str, state: str) -> Iterator[str]:
    for page in backup.get_paginator("list_copy_jobs").paginate(ByDestinationVaultArn=arn, ByState=state):
        for job in page["CopyJobs"]:
            yield job["CopyJobId"]
