"""What the function reaches: clients that give up in time, two sites' probes, and operators."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from common.report import FunctionError, say
from common.secret import code

from orchestration.state import Store

HERE = {"connect_timeout": 3, "read_timeout": 10, "retries": {"mode": "standard", "total_max_attempts": 3}}
ASKED = {"connect_timeout": 3, "read_timeout": 40, "retries": {"mode": "standard", "total_max_attempts": 1}}
"""For functions of this site: a cold start in a VPC, and a fence's patience."""

MEASURING = {"connect_timeout": 3, "read_timeout": 15, "retries": {"mode": "standard", "total_max_attempts": 3}}
"""For the age of the data: where nobody says it, a person is asked, and that takes longer than to ask again."""

AWAY = {"connect_timeout": 2, "read_timeout": 3, "retries": {"mode": "standard", "total_max_attempts": 1}}
"""For the primary region, which may be dark: no answer is an answer."""

TELLING = {"connect_timeout": 2, "read_timeout": 3, "retries": {"mode": "standard", "total_max_attempts": 2}}
"""For the topic: a notification that does not get out may cost seconds, never a promotion."""

THROTTLED = "TooManyRequestsException"
"""Lambda's word where it has no concurrency left for a function: it is there, and so may the database be."""

UNASKED = frozenset(
    {
        THROTTLED,
        "AccessDeniedException",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    }
)
"""Words of a region that is there and would not ask its probe, for a reason that is ours: they say nothing of its database."""

FENCING = {**AWAY, "read_timeout": 20}
"""For a fence where the probe has answered just now: sessions take a while to end."""


@dataclass(frozen=True)
class World:
    """The environment of the function, read once for each run."""

    environment: Mapping[str, str]

    @classmethod
    def of_process(cls) -> World:
        return cls(dict(os.environ))

    def __getitem__(self, name: str) -> str:
        if not self.environment.get(name):
            raise FunctionError(f"The function's environment lacks {name}. Set it.")
        return self.environment[name]

    def client(self, service: str, region: str = "", bounds: Mapping[str, Any] = HERE) -> Any:
        return _client(service, region or self["AWS_REGION"], json.dumps(bounds))

    @cached_property
    def store(self) -> Store:
        return Store(self.client("ssm"), self["SYSTEM"], self["SUFFIX"])

    @cached_property
    def rds(self) -> Any:
        return self.client("rds")

    @property
    def primary_region(self) -> str:
        return self["PRIMARY_REGION"]

    def ask(self, function: str, bounds: Mapping[str, Any] = ASKED, **event: Any) -> dict[str, Any]:
        """What a function answers; FunctionError where it fails, botocore's errors where it cannot be reached."""
        region = function.split(":")[3]
        client = self.client("lambda", region, bounds)
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event))
        said = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise FunctionError(f"{function.split(':')[-1]}: {(said or {}).get('errorMessage', said)}")
        return dict(said)

    def ask_primary(self, **event: Any) -> dict[str, Any] | None:
        """The primary's probe, or None where it does not answer or its database does not.

        Whoever answers a question what nobody can read has answered, and said nothing; what was to be done is not done. So has a
        region that has no capacity for the probe, or does not let us ask it.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        looks = event["do"] == "probe"
        try:
            return self.ask(self["PROBE_PRIMARY_ARN"], AWAY if looks else FENCING, **event)
        except (BotoCoreError, ClientError, FunctionError, TypeError, ValueError) as error:
            unasked = isinstance(error, ClientError) and code(error) in UNASKED
            unclear = unasked or not isinstance(error, BotoCoreError | ClientError | FunctionError)  # no JSON, or no object
            say(event="primary-unclear" if unclear else "primary-silent", error=f"{type(error).__name__}: {error}")
            return {} if unclear and looks else None

    def alarms(self, bounds: Mapping[str, Any] = HERE) -> list[dict[str, Any]]:
        """The alarms of the evidence, as they are now.

        Not the alarm on both: whoever looks at that one needs the right to look at every alarm of the account.
        """
        names = self["EVIDENCE_ALARMS"].split(",")
        cloudwatch = self.client("cloudwatch", bounds=bounds)
        return list(cloudwatch.describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm"])["MetricAlarms"])

    def evidence(self) -> tuple[str, ...]:
        """Those that are in ALARM."""
        return in_alarm({one["AlarmName"]: one["StateValue"] for one in self.alarms()})

    def tell(self, subject: str, **body: Any) -> bool:
        """To the operators. A topic that fails stops nothing."""
        from botocore.exceptions import BotoCoreError, ClientError

        title = f"{self['SYSTEM']}-{self['SUFFIX']}: {subject}"
        say(event="notification", subject=title, **body)
        try:
            self.client("sns", bounds=TELLING).publish(
                TopicArn=self["TOPIC_ARN"], Subject=title[:100], Message=json.dumps(body, indent=1, default=str)
            )
        except (BotoCoreError, ClientError) as error:
            say(event="not-told", subject=title, error=f"{type(error).__name__}: {error}")
            return False
        return True


def in_alarm(states: Mapping[str, str]) -> tuple[str, ...]:
    """The names of those that are in ALARM."""
    return tuple(name for name, state in states.items() if state == "ALARM")


def takes_writes(answer: Mapping[str, Any] | None) -> bool | None:
    """Whether a probe says that its database takes writes; None where it answers and does not say."""
    said = answer.get("writable") if answer is not None else False
    return said if isinstance(said, bool) else None


def is_fenced(answer: Mapping[str, Any] | None) -> bool:
    """Whether a probe says that its database is well and fenced: a primary that lives, and lets nobody write."""
    return bool(answer and answer.get("fenced") is True and answer.get("in_recovery") is False)


@cache
def _session() -> Any:
    """One for all clients: what it has read of a service it need not read again."""
    import boto3

    return boto3.session.Session()


@cache
def _client(service: str, region: str, bounds: str) -> Any:
    """One for each use, as long as the process lives."""
    from botocore.config import Config

    return _session().client(service, region_name=region, config=Config(**json.loads(bounds)))


def forget() -> None:
    """Makes all clients anew: of another account, in a test."""
    _client.cache_clear()
    _session.cache_clear()


def arn_name(arn: str) -> str:
    return arn.rpartition(":")[2]
