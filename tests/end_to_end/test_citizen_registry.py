"""Citizen registry in an environment: its changes are archived under the function's own role."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from emulator import Emulator
from replay.chain import verify
from tests.support.commands import deployed
from tests.support.end_to_end.roles import ON_BEHALF, granted, without
from tests.support.end_to_end.sessions import session

pytestmark = pytest.mark.xdist_group("citizen-registry")

SUFFIX, REGION = "e2e", "eu-central-2"
ROLE = f"role-log-archive-{REGION}-{SUFFIX}"
SCHEDULE = f"log-archive-schedule-{SUFFIX}"


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
    with session(aws, secret) as connection:
        yield connection


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
    assert granted(aws, ROLE) == used | ON_BEHALF


# ClientMount and ClientWrite are granted by the file system's policy too, and either is enough.
@pytest.mark.parametrize("action", ["kms:Decrypt", "secretsmanager:GetSecretValue"])
def test_without_any_single_permission_the_archiver_fails(aws: Emulator, action: str) -> None:
    with without(aws, ROLE, "", action):
        _archive(aws)
    assert _archive(aws) == []
