"""Backup vaults: how much they hold, and emptying them, since AWS Backup deletes only empty ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chain.cloudformation.end_replication import answer, unless
from chain.cloudformation.stack import StackError, Wait, code

CALLS = {
    "CountRecoveryPoints": ("backup:ListRecoveryPointsByBackupVault",),
    "DeletePointsWithoutAName": ("backup:DeleteRecoveryPoint", "backup:DisassociateRecoveryPoint"),
    "StopBackups": ("backup:ListBackupJobs", "backup:ListCopyJobs", "backup:StopBackupJob"),
    "EndPlans": ("backup:DeleteBackupSelection", "backup:ListBackupSelections"),
}

RUNNING = ("CREATED", "PENDING", "RUNNING", "ABORTING")
COPYING = ("CREATED", "RUNNING")
GONE = ("ResourceNotFoundException",)
KEPT = ("InvalidParameterValueException", "InvalidRequestException", *GONE)
"""A continuous recovery point is the instance's own backup: it is let go, not deleted. One that is deleted is listed a while."""

EXPIRED = "EXPIRED"
TRIES = 3  # deletions of one point before it is believed that AWS Backup may not delete it

PATIENCE = 300.0  # seconds that jobs are given to stop, and AWS Backup to see that a vault is empty


def count(backup: Any, vault: str) -> str:
    """How many recovery points a vault holds, as text."""
    return str(sum(1 for _ in _points(backup, vault)))


def end_plan(backup: Any, plan: str) -> list[str]:
    """Take its selections from a plan, so that it makes no more recovery points; their names. One that is gone has none."""
    found = answer(GONE, backup.list_backup_selections, BackupPlanId=plan) or {}
    selections = list(found.get("BackupSelectionsList", ()))
    for each in selections:
        unless(GONE, backup.delete_backup_selection, BackupPlanId=plan, SelectionId=each["SelectionId"])
    return [each["SelectionName"] for each in selections]


def empty(backup: Any, vault: str, wait: Wait, *, last: bool = True) -> None:
    """Stop what is being backed up, and delete every recovery point. A vault that is gone is empty.

    While the database of a continuous one stands it may linger; only the ``last`` emptying waits for it.

    Raises:
        StackError: A point stays, for instance because the role is gone with which it was made: AWS Backup answers a deletion
            that it cannot do with 200, and calls the point EXPIRED.
    """
    for state in RUNNING[:-1]:
        for job in _jobs(backup, vault, state):
            unless(("InvalidRequestException", *GONE), backup.stop_backup_job, BackupJobId=job)
    while any(True for state in RUNNING for _ in _jobs(backup, vault, state)):
        if wait.waited > PATIENCE:
            raise StackError(f"jobs of the vault {vault} are still running after {PATIENCE:.0f} s; stop them, then go on")
        wait()
    tried: Counter[str] = Counter()
    while points := [each for each in _points(backup, vault) if last or not tried[_arn(each)] or not _is_databases(each)]:
        expired = [each for each in points if each.get("Status") == EXPIRED and tried[_arn(each)] >= TRIES]
        if len(expired) == len(points) or (expired and wait.waited > PATIENCE):
            raise StackError(_stays(vault, expired))
        if wait.waited > PATIENCE:
            raise StackError(f"the vault {vault} still holds {len(points)} recovery points, such as {_arn(points[0])}")
        for point in points:
            given = {"BackupVaultName": vault, "RecoveryPointArn": _arn(point)}
            if not unless(KEPT, backup.delete_recovery_point, **given):
                unless(KEPT, backup.disassociate_recovery_point, **given)
        tried.update(_arn(each) for each in points)
        wait()


def _arn(point: Mapping[str, Any]) -> str:
    return str(point["RecoveryPointArn"])


def _is_databases(point: Mapping[str, Any]) -> bool:
    """Whether a recovery point is a database's own continuous backup rather than a snapshot: it goes when the database has."""
    parts = _arn(point).split(":")
    return parts[2:3] == ["rds"] and not parts[5].endswith("snapshot")


def _stays(vault: str, expired: Sequence[Mapping[str, Any]]) -> str:
    """Why recovery points stay that AWS Backup was asked to delete, and what helps."""
    first = expired[0]
    role = first.get("IamRoleArn") or "the role with which it was made"
    said = f" ({first['StatusMessage']})" if first.get("StatusMessage") else ""
    return (
        f"{len(expired)} recovery points of the vault {vault} are {EXPIRED}, such as {_arn(first)}{said}: "
        "AWS Backup answered that it deletes them, and could not. "
        f"It deletes with {role}, which is gone or lacks a permission, and with its own role AWSServiceRoleForBackup, "
        "for which you need iam:CreateServiceLinkedRole. Make the role again under its name, trusted by backup.amazonaws.com "
        "and allowed to delete snapshots (`make deploy` does), or delete the points by hand, then go on"
    )


def await_copies(backups: Sequence[Any], arn: str, wait: Wait) -> None:
    """Wait for what is being copied into a vault: nothing stops it, and what arrives late stands in the way of the deletion.

    A copy is known in the region that it comes from, so ``backups`` are the clients of all regions.
    """
    while copies := [job for backup in backups for state in COPYING for job in _copies(backup, arn, state)]:
        if wait.waited > PATIENCE:
            raise StackError(f"{len(copies)} copies into {arn} are under way and cannot be stopped; go on when they are done")
        wait()


def _points(backup: Any, vault: str) -> Iterator[Mapping[str, Any]]:
    from botocore.exceptions import ClientError

    try:
        for page in backup.get_paginator("list_recovery_points_by_backup_vault").paginate(BackupVaultName=vault):
            yield from page["RecoveryPoints"]
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
