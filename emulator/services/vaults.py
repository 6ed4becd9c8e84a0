"""AWS Backup: recovery points, what an account has opted in to, and the form of answers; all the rest of it rests on this."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

from emulator.services import snapshots

Answer = tuple[int, dict[str, str], bytes]
Record = dict[str, Any]

# Service of a resource's ARN and kind of resource -> what AWS Backup calls it.
TYPES = {
    ("rds", "cluster"): "Aurora",
    ("rds", "db"): "RDS",
    ("dynamodb", "table"): "DynamoDB",
    ("elasticfilesystem", "file-system"): "EFS",
    ("s3", ""): "S3",
}
# What an account begins with in each region: plans leave out what nobody has opted in to, whoever names it.
PREFERENCES = {
    "ResourceTypeOptInPreference": {"Aurora": False, "DynamoDB": True, "EFS": True, "RDS": True, "S3": True},
    "ResourceTypeManagementPreference": {"DynamoDB": False, "EFS": True},
}
CONTINUOUS = ("Aurora", "RDS", "S3")  # of which it makes continuous backups


@cache
def _store(name: str) -> Any:
    """What ministack keeps nothing of, by account and region."""
    from ministack.core.responses import AccountRegionScopedDict

    assert name in ("points", "preferences")  # noqa: S101
    return AccountRegionScopedDict()


def ok(body: Any = None, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, b"" if body is None else json.dumps(body, default=str).encode()


def error(code: str, message: str) -> Answer:
    from ministack.services import backup

    answer: Answer = backup._err(code, message, 400)
    return answer


def missing(what: str) -> Answer:
    return error("ResourceNotFoundException", f"{what} does not exist.")


def preferences() -> Record:
    """What the account has opted in to, in the region."""
    kept = _store("preferences")
    return {name: kept.setdefault(name, dict(first)) for name, first in PREFERENCES.items()}


def opt_in() -> None:
    """From now on AWS Backup leaves out no type in any region where nobody has said otherwise."""
    for preference in PREFERENCES.values():
        preference.update(dict.fromkeys(preference, True))


def points(vault: str) -> list[Record]:
    """The recovery points in a vault, the newest one last."""
    return [one for one in _store("points").values() if one["BackupVaultName"] == vault]


def all_points() -> list[Record]:
    """Every recovery point of the region, the newest one last."""
    return list(_store("points").values())


def point(arn: str) -> Record | None:
    found: Record | None = _store("points").get(arn)
    return found


def make_point(
    vault: str,
    resource: str,
    role: str,
    *,
    continuous: bool,
    lifecycle: Record | None,
    source: str = "",
    plan: Record | None = None,
) -> str:
    """A new recovery point; of what has a continuous one already, that one. ``source``: the one that it is a copy of."""
    from ministack.core.responses import get_region, new_uuid
    from ministack.services import backup

    kind, now = type_of(resource), int(time.time())
    arn = _point_arn(kind, resource, str(new_uuid()), get_region(), continuous=continuous)
    if arn in _store("points"):  # it goes on: what it holds ends now
        snapshots.forget(arn)
        snapshots.take(resource, arn)
        return arn
    held = backup._vaults[vault]
    _store("points")[arn] = {
        "RecoveryPointArn": arn,
        "BackupVaultName": vault,
        "BackupVaultArn": held["BackupVaultArn"],
        "ResourceArn": resource,
        "ResourceType": kind,
        "ResourceName": resource.replace("/", ":").rsplit(":", 1)[-1],
        "CreatedBy": plan or {},
        "IamRoleArn": role,
        "Status": "AVAILABLE" if continuous else "COMPLETED",
        "CreationDate": now,
        "CompletionDate": now,
        "BackupSizeInBytes": 0,
        "Lifecycle": lifecycle or {},
        "EncryptionKeyArn": held["EncryptionKeyArn"],
        "IsEncrypted": True,
        "VaultType": "BACKUP_VAULT",
    }
    if source:
        snapshots.copy(source, arn)
    else:
        snapshots.take(resource, arn)
    return arn


def _point_arn(kind: str, resource: str, unique: str, region: str, *, continuous: bool) -> str:
    """Recovery points of databases are snapshots of RDS; the others are AWS Backup's own."""
    from ministack.core.responses import get_account_id

    account = get_account_id()
    name = resource.replace("/", ":").rsplit(":", 1)[-1]
    if continuous:
        middle = {"Aurora": "cluster:continuous", "RDS": "auto-backup:continuous", "S3": "continuous"}[kind]
        service = "backup" if kind == "S3" else "rds"
        return f"arn:aws:{service}:{region}:{account}:{middle}:{name}"
    if kind in ("Aurora", "RDS"):
        snapshot = "cluster-snapshot" if kind == "Aurora" else "snapshot"
        return f"arn:aws:rds:{region}:{account}:{snapshot}:awsbackup:job-{unique}"
    return f"arn:aws:backup:{region}:{account}:recovery-point:{unique}"


def type_of(resource: str) -> str:
    """What AWS Backup calls the resource; empty for one that it does not back up."""
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return ""
    kind = parts[5].replace("/", ":").split(":")[0] if parts[2] != "s3" else ""
    return TYPES.get((parts[2], kind), "")


def instant(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds or time.time()))


def remove(arn: str) -> None:
    """Removes a recovery point, and what it holds."""
    del _store("points")[arn]
    snapshots.forget(arn)
