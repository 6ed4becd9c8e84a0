"""The package as a deployed function of the emulator: invoked by RotateSecret, under its own role, against an RDS instance."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import emulator
from emulator.postgres import MISSING, find
from generator.packages import package
from tests.support import unmeasured

pytestmark = pytest.mark.xdist_group("deployed")  # else every worker would set up what they share

FIRST = "First-password.of_the~master-000"
ON_THE_SECRET = ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
ACTIONS = tuple(f"secretsmanager:{name}" for name in (*ON_THE_SECRET, "GetRandomPassword"))
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


@dataclass(frozen=True)
class Deployed:
    """A secret, the instance it opens, and the function that rotates it under the role ``rotation``."""

    aws: emulator.Emulator
    secret: str
    function: str

    def allow(self, actions: tuple[str, ...]) -> None:
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": "*" if action.endswith("RandomPassword") else self.secret}
            for action in actions
        ]
        self.aws.client("iam").put_role_policy(RoleName="rotation", PolicyName="rotation", PolicyDocument=_policy(*statements))

    def rotate(self) -> dict[str, Any]:
        """Asks for a rotation, and returns the current secret once all is quiet."""
        client = self.aws.client("secretsmanager")
        self.aws.forget_calls()
        rules = {"AutomaticallyAfterDays": 30}
        with suppress(client.exceptions.InvalidRequestException):  # one is under way already, and is tried again
            client.rotate_secret(SecretId=self.secret, RotationLambdaARN=self.function, RotationRules=rules)
        self.aws.settle()
        return self.current()

    def current(self) -> dict[str, Any]:
        text = self.aws.client("secretsmanager").get_secret_value(SecretId=self.secret)["SecretString"]
        value: dict[str, Any] = json.loads(text)
        return value

    def ends(self, before: dict[str, Any]) -> bool:
        """Whether the rotation that is under way ends in another password within some seconds."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.rotate()["password"] != before["password"]:
                return True
        return False

    def used(self) -> set[str]:
        return {call.action for call in self.aws.calls() if call.role == "rotation" and call.allowed and not call.via}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    assert find() is not None, MISSING
    with unmeasured.running() as aws:
        rds, secrets, functions = (aws.client(service) for service in ("rds", "secretsmanager", "lambda"))
        rds.create_db_instance(
            DBInstanceIdentifier="rds-test",
            Engine="postgres",
            DBInstanceClass="db.r6g.large",
            AllocatedStorage=20,
            DBName="ledger",
            MasterUsername="ledger_admin",
            MasterUserPassword=FIRST,
        )
        endpoint = _available(rds)["Endpoint"]
        value = {"username": "ledger_admin", "password": FIRST, "host": endpoint["Address"], "dbname": "ledger"}
        secret = secrets.create_secret(Name="ledger", SecretString=json.dumps(value))["ARN"]
        role = aws.client("iam").create_role(RoleName="rotation", AssumeRolePolicyDocument=_policy(TRUST))["Role"]["Arn"]
        function = functions.create_function(
            FunctionName="rotation",
            Runtime="python3.12",
            Handler="handler.handler",
            Role=role,
            Code={"ZipFile": package("rotation").write(Path(tmp_path_factory.mktemp("out"))).read_bytes()},
            Timeout=60,
            Environment={"Variables": {"DATABASE_HOST": endpoint["Address"], "DATABASE_PORT": str(endpoint["Port"])}},
        )["FunctionArn"]
        functions.add_permission(
            FunctionName="rotation", StatementId="s", Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com"
        )
        yield Deployed(aws, secret, function)


def _available(rds: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        [instance] = rds.describe_db_instances(DBInstanceIdentifier="rds-test")["DBInstances"]
        if instance["DBInstanceStatus"] == "available":
            return dict(instance)
        time.sleep(0.05)
    raise AssertionError("the instance did not become available in a minute")


def test_deployed_function_rotates_under_its_own_role(deployed: Deployed) -> None:
    deployed.allow(ACTIONS)
    before = deployed.current()
    after = deployed.rotate()
    assert after == {**before, "password": after["password"]}
    assert after["password"] != before["password"]
    assert deployed.used() == set(ACTIONS)
    again = deployed.rotate()
    assert again["password"] not in (before["password"], after["password"])
    log = deployed.aws.database_log("rds-test").read_text()
    assert all(value["password"] not in log for value in (before, after, again))


@pytest.mark.parametrize("missing", ACTIONS)
def test_every_permission_is_needed(deployed: Deployed, missing: str) -> None:
    before = deployed.current()
    deployed.allow(tuple(action for action in ACTIONS if action != missing))
    assert deployed.rotate() == before, "the rotation cannot end without it"
    deployed.allow(ACTIONS)
    assert deployed.ends(before), "and ends as soon as it is there again"
