"""AWS Backup: file systems from recovery points, into a directory of their own below the root, as AWS does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from emulator.services import efs, file_replication, snapshots

Record = dict[str, Any]


def metadata(kept: Record) -> dict[str, str]:
    """What StartRestoreJob wants to know, as far as the file system itself says it."""
    found = {
        "file-system-id": kept["FileSystemId"],
        "Encrypted": str(bool(kept["Encrypted"])).lower(),
        "PerformanceMode": kept["PerformanceMode"],
    }
    return {**found, **({"KmsKeyId": kept["KmsKeyId"]} if kept.get("KmsKeyId") else {})}


def restore(point: Record, kept: Record, asked: dict[str, str], job: str, *, testing: bool) -> tuple[str, str]:
    """The ARN of the file system that got the files, a new one or one that is there; or why none did."""
    from ministack.services import efs as service

    if not testing and "file-system-id" not in asked:
        return "", "The metadata name no file-system-id: that of the file system that was backed up, or is to get the files."
    if testing or asked.get("newfilesystem", "false").lower() == "true":
        wanted = {
            "CreationToken": asked.get("creationtoken") or job,
            "Encrypted": asked.get("encrypted", "true").lower() == "true",
            "KmsKeyId": asked.get("kmskeyid", ""),
            "PerformanceMode": asked.get("performancemode", kept["PerformanceMode"]),
        }
        ref = json.loads(service._create_file_system(wanted)[2])["FileSystemId"]
    else:
        ref = asked["file-system-id"]
    system = service._file_systems.get(ref)
    if system is None:
        return "", f"The file system {ref} does not exist in this Region."
    if file_replication.is_destination(ref):
        return "", f"The file system {ref} is read-only: it is the destination of a replication."
    name = time.strftime("aws-backup-restore_%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    target = efs.directory(ref) / name
    items = json.loads(asked.get("itemstorestore", "[]"))
    source = snapshots.files(point["RecoveryPointArn"])
    if not items:
        snapshots.copy_files(source, target)
    for item in items:
        one = str(item).strip("/")
        if not (source / one).exists():
            return "", f"The recovery point has no {item}."
        _copy_item(source / one, target / one)
    return str(system["FileSystemArn"]), ""


def _copy_item(source: Path, target: Path) -> None:
    if source.is_dir():
        snapshots.copy_files(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def remove(arn: str) -> bool:
    """Whether the file system could be deleted."""
    from ministack.services import efs as service

    return bool(service._delete_file_system(arn.rsplit("/", 1)[-1])[0] < 300)
