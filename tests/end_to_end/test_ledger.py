"""Ledger in an environment: rotated under its own role, changed behind CloudFormation's back, destroyed beside another.

The emulator enforces IAM, a real PostgreSQL stands behind the instance, and every command is the one that operators type.
"""

import contextlib
import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pg8000.native
import pytest

from emulator import Emulator
from tests.support.commands import ROOT, deploy_py, deployed
from tests.support.end_to_end.roles import ON_BEHALF, granted, permissions, without
from tests.support.end_to_end.sessions import session

pytestmark = pytest.mark.xdist_group("ledger")

SUFFIX = "e2e"
SECRET, FUNCTION, ROLE = f"secret-database-{SUFFIX}", f"function-rotation-{SUFFIX}", f"role-rotation-us-east-1-{SUFFIX}"


def _run(aws: Emulator, command: str, *arguments: str, suffix: str = SUFFIX) -> subprocess.CompletedProcess[str]:
    return deploy_py(aws, command, "--system", "ledger", *arguments, suffix=suffix)


@pytest.fixture(scope="module")
def aws(aws: Emulator) -> Emulator:
    deployed(aws, "ledger", SUFFIX)
    return aws


def _secret(aws: Emulator) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"])
    return value


def _rotate(aws: Emulator) -> bool:
    """Ask for a rotation; whether there is a new current version once it has ended."""
    client = aws.client("secretsmanager")

    def current() -> str:
        stages = client.describe_secret(SecretId=SECRET)["VersionIdsToStages"]
        return next(str(version) for version, labels in stages.items() if "AWSCURRENT" in labels)

    before = current()
    # After a rotation that failed, Secrets Manager answers so and tries that one again.
    with contextlib.suppress(client.exceptions.InvalidRequestException):
        client.rotate_secret(SecretId=SECRET)
    aws.settle()
    return current() != before


def test_the_first_rotation_has_happened_and_the_new_password_works(aws: Emulator) -> None:
    described = aws.client("secretsmanager").describe_secret(SecretId=SECRET)
    assert described["LastRotatedDate"]
    # A finished rotation may leave AWSPENDING on the version that is current (RotateSecret, API reference).
    labels = [set(one) - ({"AWSPENDING"} if "AWSCURRENT" in one else set()) for one in described["VersionIdsToStages"].values()]
    assert sorted(map(sorted, labels)) == [["AWSCURRENT"], ["AWSPREVIOUS"]]
    with session(aws, _secret(aws)) as connection:
        assert connection.run("select current_user, pg_is_in_recovery()") == [["dbadmin", False]]


def test_old_connections_live_on_and_the_old_password_fails(aws: Emulator) -> None:
    old = _secret(aws)
    with session(aws, old) as connection:
        assert _rotate(aws)
        assert connection.run("select 1") == [[1]]
    with pytest.raises(pg8000.native.DatabaseError, match="28P01"), session(aws, old):
        pass
    with session(aws, _secret(aws)):
        pass


def test_no_password_stands_in_the_servers_log(aws: Emulator) -> None:
    log = aws.database_log(f"rds-{SUFFIX}").read_text()
    assert _secret(aws)["password"] not in log
    assert re.search(r"ALTER (ROLE|USER) .*SCRAM-SHA-256\$4096:", log)


def test_every_permission_of_the_function_is_used_by_it_or_by_aws_on_its_behalf(aws: Emulator) -> None:
    aws.forget_calls()
    assert _rotate(aws)
    used = {call.action for call in aws.calls() if call.role == ROLE}
    assert not [call for call in aws.calls() if call.role == ROLE and not call.allowed]
    assert granted(aws, ROLE) == used | ON_BEHALF
    assert not used & ON_BEHALF


@pytest.mark.parametrize(("sid", "action"), permissions("ledger", "rotation"))
def test_without_any_single_permission_the_rotation_fails_and_the_current_password_stays(
    aws: Emulator, sid: str, action: str
) -> None:
    with without(aws, ROLE, sid, action):
        assert not _rotate(aws)
    assert _rotate(aws), "with the permission back, the pending rotation is finished"
    with session(aws, _secret(aws)):
        pass


BEHIND: dict[str, Callable[[Emulator], object]] = {
    "a parameter of the parameter group": lambda aws: aws.client("rds").modify_db_parameter_group(
        DBParameterGroupName=f"parameter-group-rds-{SUFFIX}",
        Parameters=[{"ParameterName": "log_statement", "ParameterValue": "none", "ApplyMethod": "immediate"}],
    ),
    "retention of a log group": lambda aws: aws.client("logs").put_retention_policy(
        logGroupName=f"/aws/lambda/{FUNCTION}", retentionInDays=7
    ),
    "threshold of an alarm": lambda aws: aws.client("cloudwatch").put_metric_alarm(
        AlarmName=f"alarm-cpu-too-high-{SUFFIX}",
        Namespace="AWS/RDS",
        MetricName="CPUUtilization",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=5,
        Threshold=99,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    ),
}


def test_a_change_behind_cloudformations_back_is_drift(aws: Emulator) -> None:
    for change in BEHIND.values():
        change(aws)
    result = _run(aws, "drift")
    assert result.returncode == 3, result.stdout + result.stderr
    for resource in ("ParameterGroup", "LogGroup", "CpuTooHigh"):
        assert resource in result.stdout


def test_two_environments_live_side_by_side_and_one_is_destroyed_alone(aws: Emulator) -> None:
    assert _run(aws, "deploy", suffix="e2e-2").returncode == 0
    aws.settle()
    gone = _run(aws, "destroy", "--yes", suffix="e2e-2")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    names = {stack["StackName"] for stack in aws.client("cloudformation").describe_stacks()["Stacks"]}
    assert names == {f"ledger-{path.stem}-{SUFFIX}" for path in (ROOT / "templates/ledger").glob("*.yaml")}
