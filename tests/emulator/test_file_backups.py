"""Backups of file systems hold their files, in vaults of other regions too, and are restored beside what is there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator import Emulator
from tests.support.emulator import samples, stacks
from tests.support.emulator.callers import code
from tests.support.emulator.file_systems import HERE, ROLE, THERE, arn, file_system, write

VAULT = "file-backups"


def vault(region: str) -> str:
    return f"arn:aws:backup:{region}:123456789012:backup-vault:{VAULT}"


@pytest.fixture(scope="module")
def keys(aws: Emulator) -> Iterator[dict[str, str]]:
    """A vault in each of two regions, under a key of its own."""
    found = {}
    stacks.backup_role(aws)
    for region in (HERE, THERE):
        policy = json.dumps(samples.policy("kms:*", Principal=samples.ROOT))
        found[region] = aws.client("kms", region).create_key(Policy=policy)["KeyMetadata"]["Arn"]
        aws.client("backup", region).create_backup_vault(BackupVaultName=VAULT, EncryptionKeyArn=found[region])
    yield found
    for region in (HERE, THERE):
        backup = aws.client("backup", region)
        for one in backup.list_recovery_points_by_backup_vault(BackupVaultName=VAULT)["RecoveryPoints"]:
            backup.delete_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=one["RecoveryPointArn"])
        backup.delete_backup_vault(BackupVaultName=VAULT)


@pytest.fixture
def source(aws: Emulator) -> Iterator[str]:
    ref = file_system(aws, HERE)
    write(aws, ref, "a", "kept")
    (aws.files(ref) / "folder").mkdir()
    (aws.files(ref) / "folder" / "b").write_text("kept too")
    yield ref
    aws.client("efs", HERE).delete_file_system(FileSystemId=ref)


def back_up(aws: Emulator, ref: str) -> str:
    made = aws.client("backup", HERE).start_backup_job(BackupVaultName=VAULT, ResourceArn=arn(HERE, ref), IamRoleArn=ROLE)
    return str(made["RecoveryPointArn"])


def copy(aws: Emulator, point: str, target: str = vault(THERE)) -> dict[str, Any]:
    backup = aws.client("backup", HERE)
    job = backup.start_copy_job(
        RecoveryPointArn=point, SourceBackupVaultName=VAULT, DestinationBackupVaultArn=target, IamRoleArn=ROLE
    )["CopyJobId"]
    found: dict[str, Any] = backup.describe_copy_job(CopyJobId=job)["CopyJob"]
    return found


def restore(aws: Emulator, region: str, point: str, **metadata: str) -> dict[str, Any]:
    backup = aws.client("backup", region)
    given = {name.replace("_", "-"): value for name, value in metadata.items()}
    job = backup.start_restore_job(RecoveryPointArn=point, Metadata=given, IamRoleArn=ROLE)["RestoreJobId"]
    found: dict[str, Any] = backup.describe_restore_job(RestoreJobId=job)
    return found


def restored(aws: Emulator, ref: str) -> dict[str, str]:
    """The files in the directory that AWS Backup made."""
    (place,) = (one for one in aws.files(ref).iterdir() if one.name.startswith("aws-backup-restore_"))
    return {str(one.relative_to(place)): one.read_text() for one in place.rglob("*") if one.is_file()}


FILES = {"a": "kept", str(Path("folder") / "b"): "kept too"}


def test_a_copy_in_another_region_is_under_the_key_of_its_vault(aws: Emulator, keys: dict[str, str], source: str) -> None:
    job = copy(aws, back_up(aws, source))
    assert (job["State"], job["ResourceType"], job["DestinationEncryptionKeyArn"]) == ("COMPLETED", "EFS", keys[THERE])
    there = aws.client("backup", THERE)
    point = there.describe_recovery_point(BackupVaultName=VAULT, RecoveryPointArn=job["DestinationRecoveryPointArn"])
    assert (point["EncryptionKeyArn"], point["ResourceArn"]) == (keys[THERE], arn(HERE, source))
    listed = there.list_recovery_points_by_resource(ResourceArn=arn(HERE, source))["RecoveryPoints"]
    assert [one["RecoveryPointArn"] for one in listed] == [job["DestinationRecoveryPointArn"]]
    assert code(there.delete_backup_vault, BackupVaultName=VAULT) == "InvalidRequestException"
    assert code(there.describe_copy_job, CopyJobId=job["CopyJobId"]) == "ResourceNotFoundException"


def test_a_new_file_system_gets_the_files_as_they_were(aws: Emulator, keys: dict[str, str], source: str) -> None:
    point = copy(aws, back_up(aws, source))["DestinationRecoveryPointArn"]
    write(aws, source, "a", "changed")
    more = {"Encrypted": "true", "KmsKeyId": keys[THERE], "PerformanceMode": "generalPurpose", "CreationToken": str(uuid.uuid4())}
    job = restore(aws, THERE, point, file_system_id=source, newFileSystem="true", **more)
    assert job["Status"] == "COMPLETED"
    ref = job["CreatedResourceArn"].rsplit("/", 1)[1]
    assert restored(aws, ref) == FILES
    made = aws.client("efs", THERE).describe_file_systems(FileSystemId=ref)["FileSystems"][0]
    assert (made["Encrypted"], made["KmsKeyId"]) == (True, keys[THERE])
    aws.client("efs", THERE).delete_file_system(FileSystemId=ref)


@pytest.mark.usefixtures("keys")
def test_what_is_there_stays_and_gets_the_files_beside_it(aws: Emulator, source: str) -> None:
    point, target = back_up(aws, source), file_system(aws, HERE)
    write(aws, target, "a", "of the other")
    assert restore(aws, HERE, point, file_system_id=target, newFileSystem="false")["CreatedResourceArn"] == arn(HERE, target)
    assert restored(aws, target) == FILES
    assert (aws.files(target) / "a").read_text() == "of the other"
    aws.client("efs", HERE).delete_file_system(FileSystemId=target)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(("items", "files"), [(["/a"], {"a": "kept"}), (["/folder"], {str(Path("folder") / "b"): "kept too"})])
def test_single_items_are_restored(aws: Emulator, source: str, items: list[str], files: dict[str, str]) -> None:
    target = file_system(aws, HERE)
    restore(aws, HERE, back_up(aws, source), file_system_id=target, ItemsToRestore=json.dumps(items))
    assert restored(aws, target) == files
    aws.client("efs", HERE).delete_file_system(FileSystemId=target)


@pytest.mark.usefixtures("keys")
def test_a_restore_that_cannot_be_says_why(aws: Emulator, source: str) -> None:
    point, target = back_up(aws, source), file_system(aws, HERE, protected=False)
    efs = aws.client("efs", HERE)
    for metadata, reason in (
        ({}, "no file-system-id"),
        ({"file_system_id": "fs-0"}, "does not exist"),
        ({"file_system_id": target, "ItemsToRestore": '["/none"]'}, "no /none"),
    ):
        job = restore(aws, HERE, point, **metadata)
        assert (job["Status"], reason in job["StatusMessage"]) == ("FAILED", True)
    efs.create_replication_configuration(SourceFileSystemId=source, Destinations=[{"FileSystemId": target, "Region": HERE}])
    assert "read-only" in restore(aws, HERE, point, file_system_id=target)["StatusMessage"]
    efs.delete_replication_configuration(SourceFileSystemId=source)
    efs.delete_file_system(FileSystemId=target)


@pytest.mark.usefixtures("keys")
def test_the_metadata_to_restore_with_are_known(aws: Emulator, source: str) -> None:
    backup, point = aws.client("backup", HERE), back_up(aws, source)
    found = backup.get_recovery_point_restore_metadata(BackupVaultName=VAULT, RecoveryPointArn=point)["RestoreMetadata"]
    assert (found["file-system-id"], found["Encrypted"], found["PerformanceMode"]) == (source, "true", "generalPurpose")


@pytest.mark.usefixtures("keys")
def test_a_copy_to_nowhere_or_of_nothing_fails(aws: Emulator, source: str) -> None:
    job = copy(aws, back_up(aws, source), vault("eu-central-2"))
    assert (job["State"], "does not exist" in job["StatusMessage"]) == ("FAILED", True)
    nothing = {"RecoveryPointArn": f"arn:aws:backup:{HERE}:123456789012:recovery-point:none", "SourceBackupVaultName": VAULT}
    start = aws.client("backup", HERE).start_copy_job
    assert code(start, **nothing, DestinationBackupVaultArn=vault(THERE), IamRoleArn=ROLE) == "ResourceNotFoundException"


@pytest.mark.usefixtures("keys")
def test_a_test_of_restoring_makes_a_file_system_and_removes_it(aws: Emulator, source: str) -> None:
    backup, point = aws.client("backup", HERE), back_up(aws, source)
    chosen = {"Algorithm": "LATEST_WITHIN_WINDOW", "IncludeVaults": ["*"], "RecoveryPointTypes": ["SNAPSHOT"]}
    backup.create_restore_testing_plan(
        RestoreTestingPlan={
            "RestoreTestingPlanName": "files",
            "ScheduleExpression": "cron(0 5 * * ? *)",
            "RecoveryPointSelection": chosen,
        }
    )
    backup.create_restore_testing_selection(
        RestoreTestingPlanName="files",
        RestoreTestingSelection={
            "RestoreTestingSelectionName": "files",
            "IamRoleArn": ROLE,
            "ProtectedResourceType": "EFS",
            "ProtectedResourceArns": [arn(HERE, source)],
        },
    )
    (job,) = aws.test_restore("files", HERE)
    found = backup.describe_restore_job(RestoreJobId=job)
    assert found["RecoveryPointArn"] == point
    ref = found["CreatedResourceArn"].rsplit("/", 1)[1]
    assert restored(aws, ref) == FILES
    backup.put_restore_validation_result(RestoreJobId=job, ValidationStatus="SUCCESSFUL")
    assert backup.describe_restore_job(RestoreJobId=job)["DeletionStatus"] == "SUCCESSFUL"
    assert code(aws.client("efs", HERE).describe_file_systems, FileSystemId=ref) == "FileSystemNotFound"
    backup.delete_restore_testing_selection(RestoreTestingPlanName="files", RestoreTestingSelectionName="files")
    backup.delete_restore_testing_plan(RestoreTestingPlanName="files")
