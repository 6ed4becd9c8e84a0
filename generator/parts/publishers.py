"""Who publishes to the topic, and what its policy and its key's policy must say so that it can.

Only conditions that a service really sends: any other would refuse every message in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from awacs import kms as key_actions
from awacs import sns as topic_actions
from awacs.aws import ArnLike, Statement
from troposphere import Ref, Sub

from generator.parts import policies
from generator.template import Explained

Conditions = Callable[[], list[Any]]


def _none() -> list[Any]:
    return []


def _account() -> list[Any]:
    return [policies.THIS_ACCOUNT]


def _own_alarms() -> list[Any]:
    return [ArnLike("aws:SourceArn", Sub("arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"))]


@dataclass(frozen=True)
class Publisher:
    """A service that publishes, and the conditions that it meets at the key and at the topic."""

    name: str
    service: str
    at_key: Conditions
    at_topic: Conditions
    unconditional: str = ""  # why its conditions at the key are none

    def may_encrypt(self) -> Statement:
        """What the topic's key says of it."""
        return policies.allow(
            f"{self.name}PublishToTheTopic",
            [key_actions.Decrypt, key_actions.GenerateDataKey],
            [Explained("*", self.unconditional) if self.unconditional else "*"],
            *self.at_key(),
            to=policies.service(self.service),
        )

    def may_publish(self, topic: Any) -> Statement:
        """What the topic says of it."""
        conditions = self.at_topic()
        whose = "OfThisAccount" if conditions else ""
        return policies.allow(
            f"{self.name}{whose}Publish", [topic_actions.Publish], [Ref(topic)], *conditions, to=policies.service(self.service)
        )


ALARMS = Publisher(
    "Alarms",
    "cloudwatch",
    _none,
    _own_alarms,
    "CloudWatch documents no source condition for a key; an alarm that cannot publish fails in silence.",
)

RDS_EVENTS = Publisher("RdsEvents", "events.rds", _account, _account)

RULES = Publisher(
    "Rules",
    "events",
    _none,
    _none,
    "EventBridge sends no source condition to an encrypted topic, nor to its key (SNS developer guide).",
)
