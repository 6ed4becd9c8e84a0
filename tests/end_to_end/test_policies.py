"""The rendered policies are enough for whoever deploys and for whoever reviews, whom an environment shows what was declared."""

import re

import boto3
import pytest

from emulator import Emulator
from generator.systems import SYSTEMS
from model import System
from tests.support.commands import deploy_py
from tests.support.end_to_end.roles import user

pytestmark = pytest.mark.xdist_group("policies")

SUFFIX = "pol"


@pytest.fixture(scope="module")
def aws(aws: Emulator) -> Emulator:
    aws.opt_in()
    return aws


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_an_environment_lives_and_ends_under_the_deployers_policy_and_the_reviewer_only_looks(
    aws: Emulator, system: System
) -> None:
    deployer, reviewer = user(aws, system.name, "deployer"), user(aws, system.name, "reviewer")

    def run(credentials: dict[str, str], command: str, *arguments: str) -> tuple[int, str]:
        ended = deploy_py(aws, command, "--system", system.name, *arguments, suffix=SUFFIX, credentials=credentials)
        return ended.returncode, ended.stdout + ended.stderr

    for command in ("plan", "deploy"):
        code, said = run(deployer, command)
        assert code == 0, said
    aws.settle()
    for who in (reviewer, deployer):
        for command in ("status", "drift"):
            code, said = run(who, command)
            assert code == 0, said
        (share,) = re.findall(r"([0-9.]+) %", said)
        assert float(share) >= 95, "of what is declared, read back; and none differs, which is the code"
    code, said = run(reviewer, "destroy", "--yes")
    assert code != 0, said
    for region in system.regions.values():
        secrets = boto3.client("secretsmanager", region_name=region, endpoint_url=aws.endpoint, **_named(reviewer))
        for each in aws.client("secretsmanager", region).list_secrets()["SecretList"]:
            with pytest.raises(secrets.exceptions.ClientError, match="AccessDenied"):
                secrets.get_secret_value(SecretId=each["ARN"])
    who = f"user/{system.name}-deployer"
    refused = {call.action for call in aws.calls() if not call.allowed and call.principal.endswith(who)}
    assert refused == set()
    code, said = run(deployer, "destroy", "--yes")
    assert code == 0, said
    for region in system.regions.values():
        assert aws.client("cloudformation", region).describe_stacks()["Stacks"] == []


def _named(credentials: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in credentials.items()}
