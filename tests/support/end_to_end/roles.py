"""What the roles of deployed functions may do, by the template and in the account, and each permission taken away."""

import copy
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emulator import Emulator
from tests.support.commands import ROOT
from tests.support.committed_templates import templates

POLICIES = 10  # that a user or a role carries
ON_BEHALF = frozenset(re.findall(r"^\| `([a-z0-9]+:\w+)` \|", (ROOT / "docs/permissions.md").read_text(), re.MULTILINE))
"""What AWS uses with a function's role, and the function itself does not."""


def _pairs(statements: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["Sid"], action) for each in statements if each["Effect"] == "Allow" for action in each["Action"]]


def permissions(system: str, layer: str) -> list[tuple[str, str]]:
    """Sid and action of whatever the function of a layer may do and AWS does not do on its behalf."""
    (policy,) = templates(system)[layer]["Resources"]["Role"]["Properties"]["Policies"]
    return [(sid, action) for sid, action in _pairs(policy["PolicyDocument"]["Statement"]) if action not in ON_BEHALF]


def granted(aws: Emulator, role: str) -> set[str]:
    """The actions that the account allows a role."""
    return {action for _, document in _documents(aws, role) for _, action in _pairs(document["Statement"])}


def _documents(aws: Emulator, role: str) -> list[tuple[str, dict[str, Any]]]:
    iam = aws.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [(name, iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]) for name in names]


@contextmanager
def without(aws: Emulator, role: str, sid: str, action: str) -> Iterator[None]:
    """The role lacks one action of a statement, or of all where ``sid`` is empty; what was refused then must have been that."""
    ((name, whole),) = _documents(aws, role)
    less = copy.deepcopy(whole)
    for statement in less["Statement"]:
        if statement["Effect"] == "Allow" and sid in ("", statement["Sid"]):
            statement["Action"] = [one for one in statement["Action"] if one != action] or ["none:None"]
    assert less != whole
    put = aws.client("iam").put_role_policy
    put(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(less))
    aws.forget_calls()
    try:
        yield
        assert {call.action for call in aws.calls() if call.role == role and not call.allowed} == {action}
    finally:
        put(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(whole))


def user(aws: Emulator, system: str, *kinds: str) -> dict[str, str]:
    """The credentials of a user with a system's policies of these kinds, the first of which names it."""
    iam, name = aws.client("iam"), f"{system}-{kinds[0]}"
    iam.create_user(UserName=name)
    files = [file for kind in kinds for file in sorted((ROOT / "docs/policies" / system).glob(f"{kind}*.json"))]
    assert 1 <= len(files) <= POLICIES
    for path in files:
        arn = iam.create_policy(PolicyName=f"{system}-{path.stem}", PolicyDocument=path.read_text())["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
