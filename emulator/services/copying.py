"""AWS Backup: copies of recovery points in vaults of other regions, by plans and by request, with the jobs that made them."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from emulator import darkness
from emulator.services import events, vaults

Answer = tuple[int, dict[str, str], bytes]
Record = dict[str, Any]

COMPLETED, FAILED = "COMPLETED", "FAILED"


@cache
def _jobs() -> Any:
    """Copy jobs, kept in the region of the point that is copied."""
    from ministack.core.responses import AccountRegionScopedDict

    return AccountRegionScopedDict()


def route(method: str, parts: list[str], body: Record, query: dict[str, Any]) -> Answer | None:
    """The answer to a call about copying; None for every other one."""
    if parts[:1] != ["copy-jobs"]:
        return None
    if method == "PUT":
        return _start(body)
    if len(parts) == 1:
        return _list({name: value[0] if isinstance(value, list) else value for name, value in query.items()})
    job = _jobs().get(parts[1])
    return vaults.ok({"CopyJob": job}) if job else vaults.missing(f"The copy job {parts[1]}")


def _list(query: dict[str, str]) -> Answer:
    from ministack.services import backup as theirs

    wanted = {
        "State": query.get("state"),
        "ResourceArn": query.get("resourceArn"),
        "ResourceType": query.get("resourceType"),
        "DestinationBackupVaultArn": query.get("destinationVaultArn"),
        "SourceRecoveryPointArn": query.get("sourceRecoveryPointArn"),
    }
    found = [job for job in _jobs().values() if all(value in (None, job.get(name)) for name, value in wanted.items())]
    answer: Answer = theirs._paginate(found, query, "CopyJobs")
    return answer


def _start(body: Record) -> Answer:
    arn = body["RecoveryPointArn"]
    point = vaults.point(arn)
    if point is None or point["BackupVaultName"] != body["SourceBackupVaultName"]:
        return vaults.missing(f"The recovery point {arn} of the vault {body['SourceBackupVaultName']}")
    job = copy(point, body["DestinationBackupVaultArn"], body["IamRoleArn"], lifecycle=body.get("Lifecycle"))
    return vaults.ok({"CopyJobId": job["CopyJobId"], "CreationDate": job["CreationDate"], "IsParent": False})


def copy(point: Record, vault: str, role: str, *, lifecycle: Record | None, plan: Record | None = None, job: str = "") -> Record:
    """The job that copied the point, or failed to. ``plan`` and ``job``: the plan and the backup job that asked for it."""
    from ministack.core.responses import get_account_id, get_region, new_uuid, request_scope
    from ministack.services import backup as theirs

    _, _, _, region, account, _, name = vault.split(":")
    here, now, failure, copied = get_region(), time.time(), _failure(point, region), ""
    with request_scope(account, region):
        held = theirs._vaults.get(name)
        if held is None:
            failure = failure or f"The destination backup vault {vault} does not exist."
        elif not failure:  # a copy of a continuous one is a snapshot
            copied = vaults.make_point(
                name,
                point["ResourceArn"],
                role,
                continuous=False,
                lifecycle=lifecycle,
                source=point["RecoveryPointArn"],
                plan=plan,
            )
    job_id = str(new_uuid()).upper()
    made: Record = {
        "AccountId": get_account_id(),
        "CopyJobId": job_id,
        "SourceBackupVaultArn": point["BackupVaultArn"],
        "SourceRecoveryPointArn": point["RecoveryPointArn"],
        "DestinationBackupVaultArn": vault,
        "DestinationVaultType": "BACKUP_VAULT",
        "DestinationRecoveryPointArn": copied,
        "DestinationEncryptionKeyArn": (held or {}).get("EncryptionKeyArn", ""),
        "DestinationRecoveryPointLifecycle": lifecycle or {},
        "ResourceArn": point["ResourceArn"],
        "ResourceName": point["ResourceName"],
        "ResourceType": point["ResourceType"],
        "CreationDate": now,
        "CompletionDate": time.time(),
        "State": FAILED if failure else COMPLETED,
        "StatusMessage": failure,
        "BackupSizeInBytes": 0,
        "IamRoleArn": role,
        "CreatedBy": plan or {},
        "CreatedByBackupJobId": job,
        "IsParent": False,
    }
    kept = {name: value for name, value in made.items() if value != "" and value != {}}
    with request_scope(account, here):
        _jobs()[job_id] = kept
    _announce(kept)
    return kept


def _failure(point: Record, region: str) -> str:
    """Why AWS Backup does not copy what it is."""
    from ministack.core.responses import get_region

    if darkness.is_dark(region):
        return f"AWS Backup in {region} does not answer."
    advanced = vaults.preferences()["ResourceTypeManagementPreference"]["DynamoDB"]
    if point["ResourceType"] == "DynamoDB" and region != get_region() and not advanced:
        return "Copies of DynamoDB tables to other Regions need the advanced features for Amazon DynamoDB backups."
    return ""


def _announce(job: Record) -> None:
    detail = {
        "copyJobId": job["CopyJobId"],
        "backupSizeInBytes": 0,
        "creationDate": vaults.instant(job["CreationDate"]),
        "completionDate": vaults.instant(job["CompletionDate"]),
        "iamRoleArn": job["IamRoleArn"],
        "resourceArn": job["ResourceArn"],
        "resourceType": job["ResourceType"],
        "sourceBackupVaultArn": job["SourceBackupVaultArn"],
        "destinationBackupVaultArn": job["DestinationBackupVaultArn"],
        "state": job["State"],
        **({"destinationRecoveryPointArn": job["DestinationRecoveryPointArn"]} if job["State"] == COMPLETED else {}),
        **({"statusMessage": job["StatusMessage"]} if job["State"] == FAILED else {}),
    }
    events.emit("aws.backup", "Copy Job State Change", [job["SourceRecoveryPointArn"]], detail)
