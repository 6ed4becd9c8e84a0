"""Whoever has the operator's policies fails over, and with those of a failback comes home; what the policies hold is used."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator

import pytest

from chain.declared_calls import FAILS_BACK
from chain.environment.exit_codes import Exit
from emulator import Call
from tests.support.commands import ROOT, deploy_py
from tests.support.end_to_end.failover import SUFFIX, SYSTEMS, Subject, standing

pytestmark = pytest.mark.xdist_group("failover_policies")

AWS_ASKS = {
    "iam:PassRole": "RDS, when an instance is made or changed with a role for monitoring",
    "kms:CreateGrant": "RDS, for the key of a new instance",
    "kms:DescribeKey": "RDS, for the key of a new instance",
    "rds:CrossRegionCommunication": "RDS, for a replica of an instance in another region",
}
"""What AWS asks of whoever calls and the emulator does not."""

IN_TROUBLE = {
    "secretsmanager:RemoveRegionsFromReplication": "where a replication failed (test_failover_replica)",
    "secretsmanager:StopReplicationToReplica": "after a failover that was given up (test_failover_replica)",
}
"""What only a failback that meets trouble calls."""


@pytest.fixture(scope="module", params=SYSTEMS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Deployed, with a heartbeat."""
    with standing(request.param) as made:
        yield made


def _user(subject: Subject, *kinds: str) -> dict[str, str]:
    """A user with a system's policies of these kinds, and nothing else."""
    iam, name = subject.aws.client("iam"), f"{subject.system}-{'-'.join(kinds)}"
    iam.create_user(UserName=name)
    for path in sorted(path for kind in kinds for path in (ROOT / "docs/policies" / subject.system).glob(f"{kind}*.json")):
        arn = iam.create_policy(PolicyName=f"{name}-{path.stem}", PolicyDocument=path.read_text())["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def _run(subject: Subject, who: dict[str, str], command: str, *arguments: str) -> tuple[int, str]:
    ended = deploy_py(subject.aws, command, "--system", subject.system, *arguments, suffix=SUFFIX, credentials=who)
    return ended.returncode, ended.stdout + ended.stderr


def _asked(subject: Subject, kind: str) -> list[Call]:
    return [call for call in subject.aws.calls() if ":user/" in call.principal and call.principal.endswith(kind)]


def _granted(subject: Subject, kind: str) -> set[str]:
    paths = (ROOT / "docs/policies" / subject.system).glob(f"{kind}*.json")
    return {action for path in paths for each in json.loads(path.read_text())["Statement"] for action in each["Action"]}


def test_an_operator_fails_over_and_may_nothing_else(subject: Subject) -> None:
    operator = _user(subject, "operator")
    subject.aws.forget_calls()
    code, said = _run(subject, operator, "failover", "--mode", "switchover", "--yes")
    assert code == 0, said
    assert subject.record().topology.state == "failed-over"
    calls = _asked(subject, "operator")
    assert not [call for call in calls if not call.allowed]
    assert {call.action for call in calls} - {"sts:GetCallerIdentity"} == _granted(subject, "operator")
    assert {call.resource.split(":")[3] for call in calls if call.resource.count(":") > 3} <= {subject.away, ""}
    code, said = _run(subject, operator, "destroy", "--yes")
    assert code != 0, said


def test_whoever_fails_back_comes_home_and_sees_what_drifted(subject: Subject) -> None:
    anew = subject.system == "federal-records"
    kinds = ("failback",) if anew else ("operator", "reviewer")
    who = _user(subject, *kinds)
    subject.aws.forget_calls()
    done = threading.Event()

    def replicate() -> None:
        while not done.wait(0.5):
            subject.aws.replicate_files()

    service = threading.Thread(target=replicate)
    service.start()
    try:
        code, said = _run(subject, who, "failback", "--yes")
    finally:
        done.set()
        service.join()
    calls = _asked(subject, "-".join(kinds))
    assert not [call for call in calls if not call.allowed]
    assert code in (Exit.OK, Exit.DRIFT), said  # what drift finds is for test_failover to say
    assert re.search(r"\d+ properties declared, \d+ read back", said), said
    assert subject.record().topology.state == "home"
    if anew:
        rights = {action for right in FAILS_BACK for action in right.actions}
        assert rights <= _granted(subject, "failback")
        assert rights - {call.action for call in calls} == {*AWS_ASKS, *IN_TROUBLE}
