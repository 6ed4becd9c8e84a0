"""The rendered policies are enough for whoever deploys and for whoever reviews, and the reviewer's changes nothing."""

from collections.abc import Iterator

import boto3
import pytest

from emulator import Emulator
from generator.systems import SYSTEMS
from model import System
from tests import unmeasured
from tests.end_to_end.commands import ROOT, deploy_py

pytestmark = pytest.mark.xdist_group("policies")

SUFFIX = "pol"
POLICIES = 10  # that a user or a role carries


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with unmeasured.running() as aws:
        aws.opt_in()
        yield aws


def _user(aws: Emulator, system: str, kind: str) -> dict[str, str]:
    """A user with a system's policies of one kind, and nothing else."""
    iam, name = aws.client("iam"), f"{system}-{kind}"
    iam.create_user(UserName=name)
    files = sorted((ROOT / "docs/policies" / system).glob(f"{kind}*.json"))
    assert 1 <= len(files) <= POLICIES
    for path in files:
        arn = iam.create_policy(PolicyName=f"{system}-{path.stem}", PolicyDocument=path.read_text())["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_an_environment_lives_and_ends_under_the_deployers_policy_and_the_reviewer_only_looks(
    aws: Emulator, system: System
) -> None:
    deployer, reviewer = _user(aws, system.name, "deployer"), _user(aws, system.name, "reviewer")

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
