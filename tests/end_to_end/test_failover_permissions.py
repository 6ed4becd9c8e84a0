"""The new functions' permissions from both sides, under their own roles: each is used, and without any single one it fails.

The failover function begins with none and is given what it was refused, one by one, on its way over and back: what it holds in
the end is what its template gives it.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from emulator import Call
from tests.support.end_to_end.failover import SUFFIX, SYSTEMS, Subject, standing
from tests.support.end_to_end.roles import ON_BEHALF, granted, permissions, without

pytestmark = pytest.mark.xdist_group("failover_permissions")

AT_HOME = ("heartbeat", "probe")
EPOCHS = count(100)
"""Above all of a failover, and none twice: a database that writes in an epoch is not fenced by it."""

TOPIC = {"sns:Publish", "kms:Decrypt", "kms:GenerateDataKey"}
"""Of the function that fails over: without them operators are not told, which stops nothing."""

SURVIVED = TOPIC | {"lambda:InvokeFunction", "ssm:DeleteParameters"}
"""Unheard operators, an unknown lag and leases that nobody tidies up stop no failover."""


@pytest.fixture(scope="module", params=SYSTEMS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Deployed, with a heartbeat that has reached the other site."""
    with standing(request.param) as made:
        made.ask(made.away, "replica-age")
        yield made


def _role(subject: Subject, name: str, region: str) -> str:
    return f"{subject.prefix}role-{name}-{region}-{SUFFIX}"


def _site(subject: Subject, layer: str) -> tuple[str, str]:
    """The function of a layer, and its region."""
    return layer.removesuffix("-recovery"), subject.home if layer in AT_HOME else subject.away


def _all(subject: Subject, layer: str) -> list[bool]:
    """Whether a function answers each request that makes it use what it may."""
    name, region = _site(subject, layer)
    epoch = next(EPOCHS)
    asked: list[dict[str, Any]] = [{}]
    if name == "probe":
        asked = [{"do": "probe"}, {"do": "fence", "epoch": epoch}, {"do": "unfence", "epoch": epoch}]
    if "secretsmanager:PutSecretValue" in {action for _, action in permissions(subject.system, layer)}:
        _mislead(subject, region)
        asked.append({"do": "adopt"})
    function, client = f"{subject.prefix}function-{name}-{SUFFIX}", subject.aws.client("lambda", region)
    return ["FunctionError" not in client.invoke(FunctionName=function, Payload=json.dumps(each)) for each in asked]


def _mislead(subject: Subject, region: str) -> None:
    """The secret names another host, as that of a replica does."""
    secrets, name = subject.aws.client("secretsmanager", region), f"{subject.prefix}secret-database-{SUFFIX}"
    value = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps({**value, "host": "elsewhere"}))


@dataclass
class Beginner:
    """The failover function with a role that has nothing yet but what AWS uses on its behalf."""

    subject: Subject
    whole: list[dict[str, Any]]
    has: list[tuple[str, str]] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    survived: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, subject: Subject) -> Beginner:
        document = subject.aws.client("iam").get_role_policy(**cls._policy(subject))["PolicyDocument"]
        made = cls(subject, document["Statement"])
        made.put()
        return made

    @staticmethod
    def _policy(subject: Subject) -> dict[str, str]:
        return {"RoleName": _role(subject, "failover", subject.away), "PolicyName": "failover"}

    def put(self) -> None:
        """Give the role what it has by now; what is denied is denied from the beginning."""
        may = [
            {**each, "Action": [one for one in each["Action"] if (each["Sid"], one) in self.has or one in ON_BEHALF]}
            for each in self.whole
            if each["Effect"] == "Allow"
        ]
        statements = [each for each in may if each["Action"]] + [each for each in self.whole if each["Effect"] == "Deny"]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.subject.aws.client("iam").put_role_policy(**self._policy(self.subject), PolicyDocument=document)

    def sid(self, call: Call) -> str:
        """The statement of the template that allows a call."""
        return next(
            each["Sid"]
            for each in self.whole
            if each["Effect"] == "Allow"
            and call.action in each["Action"]
            and any(fnmatch.fnmatchcase(call.resource, one) for one in each["Resource"])
        )

    def invoke(self, **event: Any) -> dict[str, Any]:
        """One invocation, again and again until nothing is refused. One that was refused something has not done it."""
        while True:
            self.subject.aws.forget_calls()
            answer = self._once(event)
            calls = [call for call in self.subject.aws.calls() if call.role == self._policy(self.subject)["RoleName"]]
            self.used |= {(self.sid(call), call.action) for call in calls if call.allowed and call.action not in ON_BEHALF}
            refused = [call for call in calls if not call.allowed]
            if not refused:
                return answer
            [first, *_] = refused
            if answer.get("outcome") not in ("error", "refused", "step-failed"):
                self.survived.add(first.action)
            assert (self.sid(first), first.action) not in self.has, first
            self.has.append((self.sid(first), first.action))
            self.put()
            self._forget_failures()
            if "execution" in answer and answer["outcome"] != "refused":
                event = {"execution": answer["execution"], **event}

    def _once(self, event: dict[str, Any]) -> dict[str, Any]:
        name = f"{self.subject.prefix}function-failover-{SUFFIX}"
        said = self.subject.aws.client("lambda", self.subject.away).invoke(FunctionName=name, Payload=json.dumps(event))
        answer = json.loads(said["Payload"].read())
        return {"outcome": "error", **answer} if "FunctionError" in said else dict(answer)

    def _forget_failures(self) -> None:
        """What failed and was left is tried again: here it failed for us."""
        record = self.subject.record()
        names = [
            f"{record.place.path}execution/{one.id}/{entry}"
            for one in record.executions
            for entry, said in one.entries.items()
            if one.is_open and "failed" in said
        ]
        for name in names:
            self.subject.aws.client("ssm", self.subject.away).delete_parameter(Name=name)

    def drive(self, request: str, *, stuck: bool = False) -> dict[str, Any]:
        """A request to its end. Where it is ``stuck``, AWS was asked an hour ago and has not done it."""
        answer = self.invoke(request=request, by="test")
        execution = answer["execution"]
        if answer["outcome"] == "waiting-for-approval":
            answer = self.invoke(approve=execution, by="test")
        if stuck:
            place = self.subject.record().place.path
            asked = {"at": (datetime.now(UTC) - timedelta(hours=1)).isoformat(), "request": request}
            self.subject.aws.client("ssm", self.subject.away).put_parameter(
                Name=f"{place}execution/{execution}/promote-asked", Value=json.dumps(asked), Type="String"
            )
        for _ in range(60):
            if not answer.get("more"):
                return answer
            answer = self.invoke(execution=execution, request=request)
            self.subject.aws.settle()
        raise AssertionError(answer)


def test_the_failover_has_what_it_needs_and_nothing_else(subject: Subject) -> None:
    """A person who asks finds a primary that answers: nothing is dark here, so that the fence is tried too."""
    beginner = Beginner.of(subject)
    assert beginner.drive("failover")["outcome"] == "completed"
    assert subject.writes(subject.away, "probe")
    if subject.system == "healthcare":
        assert beginner.drive("failback")["outcome"] == "completed"
        subject.beat()
        assert beginner.drive("failover", stuck=True)["topology"]["state"] == "broken"
    _let_leases_grow_old(subject)
    beginner.invoke(tick=True)
    wanted = permissions(subject.system, "failover")
    assert sorted(beginner.has) == sorted(wanted), "refused without each of them, and never anything else"
    assert beginner.used == set(wanted)
    assert beginner.survived <= SURVIVED


def _let_leases_grow_old(subject: Subject) -> None:
    """One lease and one return from before all others, long over."""
    ssm, path = subject.aws.client("ssm", subject.away), subject.record().place.path
    for name in ("lock", "released"):
        old = json.dumps({"execution": "old", "expires": "2026-01-01T00:00:00+00:00"})
        ssm.put_parameter(Name=f"{path}{name}/{0:08d}", Value=old, Type="String")


@pytest.mark.parametrize("layer", [*AT_HOME, "heartbeat-recovery", "probe-recovery", "replica-age"])
def test_each_permission_of_what_speaks_to_a_database_is_used_and_needed(subject: Subject, layer: str) -> None:
    """After the failover both sites' databases can be written to, so that both probes can fence theirs."""
    name, region = _site(subject, layer)
    role = _role(subject, name, region)
    subject.aws.forget_calls()
    assert all(_all(subject, layer))
    calls = [call for call in subject.aws.calls() if call.role == role]
    assert not [call for call in calls if not call.allowed]
    assert granted(subject.aws, role) == {call.action for call in calls} | ON_BEHALF
    for sid, action in permissions(subject.system, layer):
        with without(subject.aws, role, sid, action):
            assert not all(_all(subject, layer)), action
    assert all(_all(subject, layer)), "with everything back, it works"
