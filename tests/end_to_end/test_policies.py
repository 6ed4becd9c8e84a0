"""The rendered policies are enough for whoever deploys and for whoever reviews, and the reviewer's changes nothing."""

import json
from collections.abc import Iterator

import pytest

import emulator
from emulator import Emulator
from tests.end_to_end.commands import ROOT, deploy_py

pytestmark = pytest.mark.xdist_group("policies")

SUFFIX = "pol"


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with emulator.running() as aws:
        yield aws


def _user(aws: Emulator, kind: str) -> dict[str, str]:
    """A user with the policies of one kind and nothing else."""
    iam = aws.client("iam")
    iam.create_user(UserName=kind)
    for path in sorted((ROOT / "docs/policies").glob(f"{kind}*.json")):
        arn = iam.create_policy(PolicyName=path.stem, PolicyDocument=path.read_text())["Policy"]["Arn"]
        iam.attach_user_policy(UserName=kind, PolicyArn=arn)
    key = iam.create_access_key(UserName=kind)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def test_an_environment_lives_and_ends_under_the_deployers_policy_and_the_reviewer_only_looks(aws: Emulator) -> None:
    deployer, reviewer = _user(aws, "deployer"), _user(aws, "reviewer")

    def run(credentials: dict[str, str], command: str, *arguments: str) -> tuple[int, str]:
        ended = deploy_py(aws, command, *arguments, suffix=SUFFIX, credentials=credentials)
        return ended.returncode, ended.stdout + ended.stderr

    for command in ("plan", "deploy"):
        code, said = run(deployer, command)
        assert code == 0, said
    aws.settle()
    for who in (reviewer, deployer):
        for command in ("status", "drift"):
            code, said = run(who, command)
            assert code == 0, said
    for command, arguments in (("deploy", ()), ("destroy", ("--yes",))):
        if command == "destroy":
            code, said = run(reviewer, command, *arguments)
            assert code != 0, said
    secret = aws.client(
        "secretsmanager", aws_access_key_id=reviewer["AWS_ACCESS_KEY_ID"], aws_secret_access_key=reviewer["AWS_SECRET_ACCESS_KEY"]
    )
    with pytest.raises(secret.exceptions.ClientError, match="AccessDenied"):
        secret.get_secret_value(SecretId=f"secret-database-{SUFFIX}")
    refused = {call.action for call in aws.calls() if not call.allowed and call.principal.endswith("user/deployer")}
    assert refused == set()
    code, said = run(deployer, "destroy", "--yes")
    assert code == 0, said
    assert json.dumps(aws.client("cloudformation").describe_stacks()["Stacks"]) == "[]"
