"""Citizen registry in an environment: deployed, read back, its changes archived under the function's own role, destroyed."""

import contextlib
import copy
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from emulator import Emulator
from replay.chain import verify
from tests.support.commands import ROOT, deploy_py, deployed

pytestmark = pytest.mark.xdist_group("citizen-registry")

SUFFIX, REGION = "e2e", "eu-central-2"
ROLE = f"role-log-archive-{REGION}-{SUFFIX}"
SCHEDULE = f"log-archive-schedule-{SUFFIX}"


def _run(aws: Emulator, command: str, *arguments: str) -> str:
    ended = deploy_py(aws, command, "--system", "citizen-registry", *arguments, suffix=SUFFIX)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def aws(aws: Emulator) -> Emulator:
    deployed(aws, "citizen-registry", SUFFIX)
    return aws


def _output(aws: Emulator, layer: str, name: str) -> str:
    stack = aws.client("cloudformation", REGION).describe_stacks(StackName=f"citizen-registry-{layer}-{SUFFIX}")["Stacks"][0]
    return next(str(output["OutputValue"]) for output in stack["Outputs"] if output["OutputKey"] == name)


@contextlib.contextmanager
def _database(aws: Emulator) -> Iterator[pg8000.native.Connection]:
    answer = aws.client("secretsmanager", REGION).get_secret_value(SecretId=f"secret-database-{SUFFIX}")
    secret: dict[str, Any] = json.loads(answer["SecretString"])
    verified = ssl.create_default_context(cafile=str(aws.root))
    connection = pg8000.native.Connection(
        secret["username"],
        password=secret["password"],
        host=secret["host"],
        port=int(secret["port"]),
        database=secret["dbname"],
        ssl_context=verified,
    )
    try:
        yield connection
    finally:
        connection.close()


def _archive(aws: Emulator) -> list[str]:
    """One run of the archiver, as its schedule invokes it; what failed."""
    failures = aws.fire(SCHEDULE, REGION)
    aws.settle()
    return list(failures)


def _files(aws: Emulator) -> Path:
    return Path(aws.files(_output(aws, "files", "FileSystemId")))


def test_committed_changes_reach_the_file_system_as_a_chain_that_verifies(aws: Emulator) -> None:
    assert _archive(aws) == []
    with _database(aws) as connection:
        connection.run("create table citizen (id int primary key, name text)")
        connection.run("insert into citizen values (1, 'Hanako'), (2, 'Taro')")
    assert _archive(aws) == []
    chain = verify(_files(aws) / "log-archive")
    assert chain.problems == ()
    assert any(entry.last for entry in chain.entries), "the inserts above are in it"


def test_every_permission_of_the_archiver_is_used_by_it_or_by_aws_on_its_behalf(aws: Emulator) -> None:
    assert _archive(aws) == []
    calls = [call for call in aws.calls() if call.role == ROLE]
    assert not [call for call in calls if not call.allowed]
    used = {call.action for call in calls}
    on_behalf = set(re.findall(r"^\| `([a-z0-9]+:\w+)` \|", (ROOT / "docs/permissions.md").read_text(), re.MULTILINE))
    granted = {action for statement in _statements(aws) if statement["Effect"] == "Allow" for action in statement["Action"]}
    assert granted == used | on_behalf


def _statements(aws: Emulator) -> list[dict[str, Any]]:
    document = aws.client("iam").get_role_policy(RoleName=ROLE, PolicyName="log-archive")["PolicyDocument"]
    statements: list[dict[str, Any]] = document["Statement"]
    return statements


# ClientMount and ClientWrite are granted by the file system's policy too, and either is enough.
@pytest.mark.parametrize("action", ["kms:Decrypt", "secretsmanager:GetSecretValue"])
def test_without_any_single_permission_the_archiver_fails(aws: Emulator, action: str) -> None:
    iam = aws.client("iam")
    whole = {"Version": "2012-10-17", "Statement": _statements(aws)}
    less = copy.deepcopy(whole)
    for statement in less["Statement"]:
        if statement["Effect"] == "Allow":
            statement["Action"] = [one for one in statement["Action"] if one != action] or ["none:None"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="log-archive", PolicyDocument=json.dumps(less))
    try:
        aws.forget_calls()
        _archive(aws)
        assert any(call.role == ROLE and call.action == action and not call.allowed for call in aws.calls())
    finally:
        iam.put_role_policy(RoleName=ROLE, PolicyName="log-archive", PolicyDocument=json.dumps(whole))
    assert _archive(aws) == []


def test_at_least_95_percent_of_what_is_declared_is_read_back_and_none_differs(aws: Emulator) -> None:
    match = re.search(r"([0-9.]+) %", _run(aws, "drift"))
    assert match
    assert float(match[1]) >= 95


def test_an_environment_with_recovery_points_is_destroyed_clean(aws: Emulator) -> None:
    aws.back_up(_output(aws, "backup", "PlanId"), REGION)
    vault = _output(aws, "vault", "VaultName")
    backup = aws.client("backup", REGION)
    assert backup.list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"]
    _run(aws, "destroy", "--yes")
    assert aws.client("cloudformation", REGION).describe_stacks()["Stacks"] == []
    assert backup.list_backup_vaults()["BackupVaultList"] == []
