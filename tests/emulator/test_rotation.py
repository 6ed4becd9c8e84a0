"""Rotation: the function really runs, under its own role, through the steps and labels of AWS."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, postgres, running
from tests.support.emulator.rotated_secrets import NEEDED, Rotated

STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]


@pytest.fixture
def rotated(aws: Emulator, tmp_path: Path) -> Rotated:
    return Rotated(aws, tmp_path / "notes")


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_rotation_goes_through_its_steps_and_ends_in_a_new_current_version(rotated: Rotated) -> None:
    (old,) = rotated.stages()
    token = rotated.rotate()["VersionId"]
    assert rotated.steps() == STEPS
    assert "AWSCURRENT" in rotated.stages()[token]
    assert rotated.stages()[old] == ["AWSPREVIOUS"]
    assert rotated.value() == f"new-{token}"
    found = rotated.described()
    assert found["RotationEnabled"] is True
    assert found["RotationLambdaARN"] == rotated.function
    assert found["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert abs(found["LastRotatedDate"].timestamp() - time.time()) < 60
    assert (found["NextRotationDate"] - found["LastRotatedDate"]).days == 30


def test_the_request_returns_before_the_rotation_ends(rotated: Rotated) -> None:
    answer = rotated.client.rotate_secret(
        SecretId=rotated.secret, RotationLambdaARN=rotated.function, RotationRules={"AutomaticallyAfterDays": 1}
    )
    assert rotated.stages()[answer["VersionId"]] == ["AWSPENDING"]
    rotated.aws.settle()
    assert "AWSCURRENT" in rotated.stages()[answer["VersionId"]]


def test_a_further_rotation_begins_once_one_has_ended(rotated: Rotated) -> None:
    first = rotated.rotate()["VersionId"]
    second = rotated.rotate()["VersionId"]
    assert rotated.stages()[first] == ["AWSPREVIOUS"]
    assert "AWSCURRENT" in rotated.stages()[second]
    assert len(rotated.stages()) == 2


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_step_ends_the_rotation_and_the_pending_version_stays(rotated: Rotated, step: str) -> None:
    rotated.fail(step)
    token = rotated.rotate()["VersionId"]
    assert rotated.steps() == STEPS[: STEPS.index(step) + 1]
    assert rotated.stages()[token] == ["AWSPENDING"]
    assert rotated.value() == "old"
    assert "LastRotatedDate" not in rotated.described()


def test_a_request_with_the_pending_token_takes_the_rotation_up_again(rotated: Rotated) -> None:
    rotated.fail("setSecret")
    token = rotated.rotate()["VersionId"]
    pending = rotated.value(VersionId=token, VersionStage="AWSPENDING")
    rotated.fail("setSecret", again=False)
    assert rotated.rotate(ClientRequestToken=token)["VersionId"] == token
    assert rotated.value() == pending
    assert "LastRotatedDate" in rotated.described()


def test_a_request_with_another_token_is_refused_and_the_pending_rotation_tried_again(rotated: Rotated) -> None:
    rotated.fail("testSecret")
    token = rotated.rotate()["VersionId"]
    rotated.fail("testSecret", again=False)
    with pytest.raises(ClientError) as refused:
        rotated.rotate()
    assert code(refused) == "InvalidRequestException"
    rotated.aws.settle()
    assert "AWSCURRENT" in rotated.stages()[token]


def test_an_announced_version_has_no_value_until_the_function_puts_one(rotated: Rotated) -> None:
    rotated.fail("createSecret")
    token = rotated.rotate()["VersionId"]
    for which in ({"VersionId": token}, {"VersionStage": "AWSPENDING"}, {"VersionId": token, "VersionStage": "AWSPENDING"}):
        with pytest.raises(ClientError) as refused:
            rotated.value(**which)
        assert code(refused) == "ResourceNotFoundException"


def test_rotation_can_wait_for_its_schedule_and_then_only_tries_the_current_secret(rotated: Rotated) -> None:
    rotated.rotate(RotateImmediately=False)
    assert rotated.steps() == ["testSecret"]
    assert list(rotated.stages().values()) == [["AWSCURRENT"]]
    assert rotated.described()["RotationEnabled"] is True
    assert "LastRotatedDate" not in rotated.described()


def test_a_cancelled_rotation_can_be_taken_up_without_naming_the_function(rotated: Rotated) -> None:
    rotated.rotate()
    rotated.client.cancel_rotate_secret(SecretId=rotated.secret)
    assert rotated.described()["RotationEnabled"] is False
    token = rotated.client.rotate_secret(SecretId=rotated.secret)["VersionId"]
    rotated.aws.settle()
    assert "AWSCURRENT" in rotated.stages()[token]


def test_secrets_manager_needs_the_permission_of_the_function(aws: Emulator, tmp_path: Path) -> None:
    rotated = Rotated(aws, tmp_path / "notes", permitted=False)
    aws.forget_calls()
    with pytest.raises(ClientError) as refused:
        rotated.rotate()
    assert code(refused) == "AccessDeniedException"
    (call,) = aws.calls()
    assert (call.principal, call.action, call.resource, call.allowed) == (
        "secretsmanager.amazonaws.com",
        "lambda:InvokeFunction",
        rotated.function,
        False,
    )


@pytest.mark.parametrize(
    ("member", "value"),
    [("SourceAccount", "999999999999"), ("SourceArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:other")],
)
def test_a_permission_for_another_secret_or_account_does_not_count(
    aws: Emulator, tmp_path: Path, member: str, value: str
) -> None:
    rotated = Rotated(aws, tmp_path / "notes", permitted=False)
    aws.client("lambda").add_permission(
        FunctionName=rotated.function,
        StatementId="x",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        **{member: value},
    )
    with pytest.raises(ClientError) as refused:
        rotated.rotate()
    assert code(refused) == "AccessDeniedException"


@pytest.mark.parametrize("missing", NEEDED)
def test_without_any_one_of_its_permissions_the_function_fails(aws: Emulator, tmp_path: Path, missing: str) -> None:
    rotated = Rotated(aws, tmp_path / "notes", actions=tuple(action for action in NEEDED if action != missing))
    aws.forget_calls()
    rotated.rotate()
    assert rotated.value() == "old"
    assert "LastRotatedDate" not in rotated.described()
    assert [call.action for call in aws.calls() if not call.allowed] == [f"secretsmanager:{missing}"]


def test_the_calls_of_the_function_are_those_of_its_role(rotated: Rotated) -> None:
    rotated.aws.forget_calls()
    rotated.rotate()
    role = rotated.function.rsplit(":", 1)[1]
    calls = [call for call in rotated.aws.calls() if call.role]
    assert {call.role for call in calls} == {role}
    assert {call.action for call in calls} == {f"secretsmanager:{action}" for action in NEEDED}
    assert {call.resource for call in calls} == {rotated.secret}
    assert all(call.allowed for call in calls)


def test_the_function_trusts_the_root_of_the_database_servers(rotated: Rotated) -> None:
    assert postgres.find() is not None, postgres.MISSING
    rotated.rotate()
    assert {json.loads(line)["root"] for line in rotated.notes.read_text().splitlines()} == {str(rotated.aws.root)}


def test_a_version_is_written_once(rotated: Rotated) -> None:
    token = str(uuid.uuid4())

    def put(value: str) -> dict[str, Any]:
        answer: dict[str, Any] = rotated.client.put_secret_value(
            SecretId=rotated.secret, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"]
        )
        return answer

    assert put("one")["VersionStages"] == ["AWSPENDING"]
    assert put("one")["VersionStages"] == ["AWSPENDING"]
    with pytest.raises(ClientError) as refused:
        put("two")
    assert code(refused) == "ResourceExistsException"
    assert rotated.value(VersionId=token) == "one"


def test_a_label_is_on_one_version(rotated: Rotated) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    for token in (first, second):
        rotated.client.put_secret_value(
            SecretId=rotated.secret, ClientRequestToken=token, SecretString=token, VersionStages=["AWSPENDING"]
        )
    assert first not in rotated.stages()
    assert rotated.stages()[second] == ["AWSPENDING"]


def test_a_version_that_is_current_and_pending_takes_both_labels_and_lets_a_rotation_begin(rotated: Rotated) -> None:
    rotated.client.put_secret_value(SecretId=rotated.secret, SecretString="left", VersionStages=["AWSPENDING"])
    both = ["AWSCURRENT", "AWSPENDING"]
    written = rotated.client.put_secret_value(SecretId=rotated.secret, SecretString="ours", VersionStages=both)
    assert set(written["VersionStages"]) == set(both)
    assert set(rotated.stages()[written["VersionId"]]) == set(both)
    assert sum("AWSPENDING" in stages for stages in rotated.stages().values()) == 1
    token = rotated.client.rotate_secret(SecretId=rotated.secret, RotationLambdaARN=rotated.function)["VersionId"]
    rotated.aws.settle()
    assert "AWSCURRENT" in rotated.stages()[token]


def test_a_version_and_a_label_that_do_not_belong_together_are_refused(rotated: Rotated) -> None:
    (current,) = rotated.stages()
    with pytest.raises(ClientError) as refused:
        rotated.value(VersionId=current, VersionStage="AWSPENDING")
    assert code(refused) == "InvalidRequestException"


def test_what_cannot_be_rotated_is_refused(aws: Emulator) -> None:
    client = aws.client("secretsmanager")
    client.create_secret(Name="no-function", SecretString="1")
    for name, expected in (("no-function", "InvalidRequestException"), ("no-such-secret", "ResourceNotFoundException")):
        with pytest.raises(ClientError) as refused:
            client.rotate_secret(SecretId=name)
        assert code(refused) == expected
    client.delete_secret(SecretId="no-function", RecoveryWindowInDays=7)
    for call in (client.rotate_secret, client.cancel_rotate_secret):
        with pytest.raises(ClientError) as refused:
            call(SecretId="no-function")
        assert code(refused) == "InvalidRequestException"
    with pytest.raises(ClientError) as refused:
        client.cancel_rotate_secret(SecretId="no-such-secret")
    assert code(refused) == "ResourceNotFoundException"


def test_without_a_server_behind_its_database_a_secret_is_left_as_it_is_and_that_is_said(tmp_path: Path) -> None:
    with running(databases=False) as aws:
        aws.client("rds").create_db_instance(
            DBInstanceIdentifier="lonely",
            Engine="postgres",
            DBInstanceClass="db.r6g.large",
            MasterUsername="m",
            MasterUserPassword="secret-enough",
        )
        rotated = Rotated(aws, tmp_path / "notes")
        value = json.dumps({"username": "m", "password": "p", "dbInstanceIdentifier": "lonely"})
        rotated.client.put_secret_value(SecretId=rotated.secret, SecretString=value)
        before = rotated.stages()
        assert "VersionId" not in rotated.rotate()
        assert (rotated.stages(), rotated.steps()) == (before, [])
        assert rotated.described()["RotationEnabled"] is True
        database, secret = aws.unexercised()
        assert database == "Databases: behind lonely stands no server, since databases were not asked for."
        assert secret.endswith("no server stands behind lonely, since databases were not asked for; the secret is left as it is.")
