"""A vault is emptied before its stack goes: jobs stopped, recovery points deleted, continuous ones let go."""

from __future__ import annotations

import contextlib
import json
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chain.cloudformation.stack import StackError, Wait
from chain.destroy import vaults
from emulator import Emulator


@pytest.fixture
def vault(aws: Emulator, request: pytest.FixtureRequest) -> str:
    name = f"vault-{abs(hash(request.node.name)) % 10**8}"
    aws.client("backup").create_backup_vault(BackupVaultName=name)
    return name


def _table(aws: Emulator) -> str:
    dynamodb = aws.client("dynamodb")
    with contextlib.suppress(dynamodb.exceptions.ResourceInUseException):
        dynamodb.create_table(
            TableName="table",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return str(dynamodb.describe_table(TableName="table")["Table"]["TableArn"])


def _role(aws: Emulator) -> str:
    iam = aws.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="backup", AssumeRolePolicyDocument=json.dumps(trust))
    return str(iam.get_role(RoleName="backup")["Role"]["Arn"])


def _back_up(aws: Emulator, vault: str) -> Any:
    return aws.client("backup").start_backup_job(BackupVaultName=vault, ResourceArn=_table(aws), IamRoleArn=_role(aws))


def test_recovery_points_are_counted_and_deleted(aws: Emulator, vault: str) -> None:
    client = aws.client("backup")
    _back_up(aws, vault)
    _back_up(aws, vault)
    assert vaults.count(client, vault) == "2"
    vaults.empty(client, vault, Wait(Event()))
    assert vaults.count(client, vault) == "0"
    client.delete_backup_vault(BackupVaultName=vault)


def test_a_point_whose_role_is_gone_is_expired_and_that_is_said_with_the_remedy(aws: Emulator, vault: str) -> None:
    client, role = aws.client("backup"), _role(aws)
    _back_up(aws, vault)
    aws.client("iam").delete_role(RoleName="backup")
    said = rf"EXPIRED, such as arn:aws:.*The role {role} cannot be assumed.*Make the role again under its name.*then go on"
    with pytest.raises(StackError, match=said):
        vaults.empty(client, vault, Wait(Event()))
    (point,) = client.list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"]
    assert point["Status"] == "EXPIRED"
    _role(aws)  # it helps: what was expired goes with the next deletion
    vaults.empty(client, vault, Wait(Event()))
    assert vaults.count(client, vault) == "0"


def test_what_expired_by_itself_is_deleted_before_it_is_called_so() -> None:
    vaults.empty(Stubborn(None, points=3, status="EXPIRED"), "vault", Wait(Event()))


def test_what_was_deleted_with_200_and_is_expired_again_and_again_is_not_waited_for() -> None:
    with pytest.raises(StackError, match="1 recovery points of the vault vault are EXPIRED, such as point: AWS Backup answered"):
        vaults.empty(Stubborn(None, points=10**6, status="EXPIRED"), "vault", Wait(Event()))


def test_a_databases_own_backup_is_asked_to_go_and_awaited_by_the_last_emptying_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "arn:aws:rds:us-east-1:123456789012:cluster:continuous:cluster-x"
    vaults.empty(Stubborn(None, points=10**6, arn=own), "vault", Wait(Event()), last=False)
    monkeypatch.setattr(vaults, "PATIENCE", 0.0)
    for arn, last in ((own, True), ("arn:aws:rds:us-east-1:123456789012:cluster-snapshot:awsbackup:job-x", False)):
        with pytest.raises(StackError, match="still holds 1 recovery points"):
            vaults.empty(Stubborn(None, points=10**6, arn=arn), "vault", Wait(Event()), last=last)


def test_a_vault_that_is_gone_is_empty(aws: Emulator) -> None:
    assert vaults.count(aws.client("backup"), "nowhere") == "0"
    vaults.empty(aws.client("backup"), "nowhere", Wait(Event()))


def test_a_running_job_is_stopped_first(aws: Emulator, vault: str) -> None:
    client = aws.client("backup")
    aws.hold_backups(True)
    try:
        job = _back_up(aws, vault)["BackupJobId"]
        assert client.describe_backup_job(BackupJobId=job)["State"] == "RUNNING"
        vaults.empty(client, vault, Wait(Event()))
        assert client.describe_backup_job(BackupJobId=job)["State"] == "ABORTED"
    finally:
        aws.hold_backups(False)


class Stubborn:
    """AWS Backup as it is while it does not let go: what is asked for stays as it is, for ``looks`` times."""

    def __init__(self, client: Any, *, jobs: int = 0, points: int = 0, arn: str = "point", status: str = "COMPLETED") -> None:
        self.client, self.jobs, self.points, self.arn, self.status = client, jobs, points, arn, status

    def get_paginator(self, name: str) -> Any:
        return self if name == "list_backup_jobs" else Points(self)

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        self.jobs -= 1
        return [{"BackupJobs": [{"BackupJobId": "job"}] if self.jobs > 0 else []}]

    def __getattr__(self, name: str) -> Any:
        return lambda **_: None


class Points:
    """The recovery points that do not go."""

    def __init__(self, stubborn: Stubborn) -> None:
        self.stubborn = stubborn

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        self.stubborn.points -= 1
        point = {"RecoveryPointArn": self.stubborn.arn, "Status": self.stubborn.status}
        return [{"RecoveryPoints": [point] if self.stubborn.points > 0 else []}]


def test_what_takes_time_is_waited_for() -> None:
    vaults.empty(Stubborn(None, jobs=7, points=3), "vault", Wait(Event()))


@pytest.mark.parametrize(
    ("stubborn", "said"),
    [
        (Stubborn(None, jobs=10**6), "jobs of the vault vault are still running after 0 s; stop them, then go on"),
        (Stubborn(None, points=10**6), "the vault vault still holds 1 recovery points, such as point"),
    ],
)
def test_what_never_ends_is_told(monkeypatch: pytest.MonkeyPatch, stubborn: Stubborn, said: str) -> None:
    monkeypatch.setattr(vaults, "PATIENCE", 0.0)
    with pytest.raises(StackError, match=said):
        vaults.empty(stubborn, "vault", Wait(Event()))


def test_another_refusal_is_raised(aws: Emulator, vault: str) -> None:
    client = aws.client("backup", aws_access_key_id="nobody", aws_secret_access_key="nobody")
    with pytest.raises(client.exceptions.ClientError):
        vaults.count(client, vault)


class Continuous(Stubborn):
    """A vault with one point that AWS Backup refuses to delete with ``code``, and lets go."""

    def __init__(self, code: str) -> None:
        super().__init__(None, points=2)
        self.code, self.let_go = code, False

    def delete_recovery_point(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "DeleteRecoveryPoint")

    def disassociate_recovery_point(self, **_: str) -> None:
        self.let_go, self.points = True, 0


@pytest.mark.parametrize("code", ["InvalidParameterValueException", "ResourceNotFoundException"])
def test_a_recovery_point_that_is_continuous_or_gone_by_now_is_let_go(code: str) -> None:
    vault = Continuous(code)
    vaults.empty(vault, "vault", Wait(Event()))
    assert vault.let_go


def test_a_point_that_may_not_be_deleted_is_told() -> None:
    with pytest.raises(ClientError, match="AccessDeniedException"):
        vaults.empty(Continuous("AccessDeniedException"), "vault", Wait(Event()))
