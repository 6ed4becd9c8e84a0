"""The keys layer."""

from collections.abc import Callable
from dataclasses import dataclass

from awacs import kms as actions
from awacs.aws import ArnLike, Statement, StringEquals, StringLike
from troposphere import GetAtt, Sub

from generator.layer import Layer
from generator.parts import policies
from generator.parts.key import customer_key, use_by
from generator.template import Template


def _logs(_t: Template) -> list[Statement]:
    groups = Sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*")
    return [
        policies.allow(
            "CloudWatchLogsEncryptsLogGroups",
            [
                actions.Decrypt,
                actions.DescribeKey,
                actions.Encrypt,
                actions.GenerateDataKey,
                actions.ReEncryptFrom,
                actions.ReEncryptTo,
            ],
            ["*"],
            ArnLike("kms:EncryptionContext:aws:logs:arn", groups),
            to=policies.service("logs.${AWS::Region}"),
        )
    ]


def _nobody(_t: Template) -> list[Statement]:
    return []


def _topic(_t: Template) -> list[Statement]:
    return [
        # CloudWatch documents no source condition for encrypted topics; an alarm that cannot publish fails in silence.
        use_by("AlarmsPublishToTheTopic", policies.service("cloudwatch")),
        use_by("RdsEventsPublishToTheTopic", policies.service("events.rds"), policies.THIS_ACCOUNT),
    ]


def _trail(t: Template) -> list[Statement]:
    trail = Sub("arn:${AWS::Partition}:cloudtrail:${AWS::Region}:${AWS::AccountId}:trail/" + t.name("trail"))
    cloudtrail = policies.service("cloudtrail")
    return [
        policies.allow(
            "CloudTrailEncryptsLogFiles",
            [actions.GenerateDataKey],
            ["*"],
            StringEquals("aws:SourceArn", trail),
            StringLike(
                "kms:EncryptionContext:aws:cloudtrail:arn",
                Sub("arn:${AWS::Partition}:cloudtrail:*:${AWS::AccountId}:trail/*"),
            ),
            to=cloudtrail,
        ),
        policies.allow(
            "CloudTrailDescribesTheKey", [actions.DescribeKey], ["*"], StringEquals("aws:SourceArn", trail), to=cloudtrail
        ),
    ]


@dataclass(frozen=True)
class Purpose:
    """What a key is for, and which services may use it for that."""

    title: str
    kind: str
    heading: str
    uses: Callable[[Template], list[Statement]]


LOGS = Purpose("Logs", "logs", "Encrypts log groups.", _logs)
SECRETS = Purpose("Secrets", "secrets", "Encrypts secrets; their readers are named in IAM policies.", _nobody)
TOPIC = Purpose("Topic", "topic", "Encrypts notifications; lets alarms and database events publish.", _topic)
TRAIL = Purpose("Trail", "trail", "Encrypts the audit trail.", _trail)


@dataclass(frozen=True, kw_only=True)
class Keys(Layer):
    """Customer-managed keys, one per purpose, rotated every year; created first and destroyed last."""

    name: str = "keys"
    purposes: tuple[Purpose, ...] = (LOGS, SECRETS, TOPIC, TRAIL)

    def define(self, t: Template) -> None:
        for purpose in self.purposes:
            key, alias = customer_key(t, f"{purpose.title}Key", purpose.kind, purpose.heading, *purpose.uses(t))
            t.section(purpose.heading, key, alias)
            t.output(f"{purpose.title}KeyArn", GetAtt(key, "Arn"), purpose.heading)
