"""What is stored in two regions while one of them does not answer: nothing waits for it, and nothing is said to have arrived."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator import Emulator, running
from tests.support.emulator.callers import code
from tests.support.emulator.file_systems import HERE, ROLE, THERE, arn, file_system, protection, replicate, write


@pytest.fixture(scope="module")
def own() -> Iterator[Emulator]:
    """One of our own: others need their regions."""
    with running(databases=False) as aws:
        yield aws


@pytest.fixture
def aws(own: Emulator) -> Iterator[Emulator]:
    yield own
    for region in (HERE, THERE):
        own.lighten(region)


def test_files_are_not_copied_and_the_destination_alone_ends_the_replication(aws: Emulator) -> None:
    source, target = file_system(aws, HERE), file_system(aws, THERE, protected=False)
    replicate(aws, source, target)
    write(aws, source, "late", "1")
    aws.darken(HERE)
    assert aws.replicate_files() == ()
    efs = aws.client("efs", THERE)
    assert code(efs.delete_replication_configuration, SourceFileSystemId=source) == "InternalServerError"
    efs.delete_replication_configuration(SourceFileSystemId=source, DeletionMode="LOCAL_CONFIGURATION_ONLY")
    assert protection(aws, THERE, target) == "ENABLED"
    assert list(aws.files(target).iterdir()) == []


def test_a_secret_follows_once_its_region_is_back(aws: Emulator) -> None:
    here, there = aws.client("secretsmanager", HERE), aws.client("secretsmanager", THERE)
    here.create_secret(Name="followed", SecretString="first", AddReplicaRegions=[{"Region": THERE}])
    aws.darken(THERE)
    here.put_secret_value(SecretId="followed", SecretString="second")
    assert [one["Region"] for one in here.describe_secret(SecretId="followed")["ReplicationStatus"]] == [THERE]
    here.create_secret(Name="not-replicated", SecretString="x", AddReplicaRegions=[{"Region": THERE}])
    assert here.describe_secret(SecretId="not-replicated")["ReplicationStatus"][0]["Status"] == "Failed"
    aws.lighten(THERE)
    assert there.get_secret_value(SecretId="followed")["SecretString"] == "first"
    here.put_secret_value(SecretId="followed", SecretString="third")
    assert there.get_secret_value(SecretId="followed")["SecretString"] == "third"


def test_a_replica_is_promoted_without_its_primary(aws: Emulator) -> None:
    here, there = aws.client("secretsmanager", HERE), aws.client("secretsmanager", THERE)
    here.create_secret(Name="promoted", SecretString="first", AddReplicaRegions=[{"Region": THERE}])
    aws.darken(HERE)
    there.stop_replication_to_replica(SecretId="promoted")
    there.put_secret_value(SecretId="promoted", SecretString="second")
    assert there.get_secret_value(SecretId="promoted")["SecretString"] == "second"


def test_no_copy_reaches_a_vault_that_does_not_answer(aws: Emulator) -> None:
    for region in (HERE, THERE):
        aws.client("backup", region).create_backup_vault(BackupVaultName="dark")
    backup, ref = aws.client("backup", HERE), file_system(aws, HERE)
    point = backup.start_backup_job(BackupVaultName="dark", ResourceArn=arn(HERE, ref), IamRoleArn=ROLE)["RecoveryPointArn"]
    aws.darken(THERE)
    vault = f"arn:aws:backup:{THERE}:123456789012:backup-vault:dark"
    job = backup.start_copy_job(
        RecoveryPointArn=point, SourceBackupVaultName="dark", DestinationBackupVaultArn=vault, IamRoleArn=ROLE
    )["CopyJobId"]
    assert backup.describe_copy_job(CopyJobId=job)["CopyJob"]["State"] == "FAILED"
