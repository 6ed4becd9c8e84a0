"""The keys layer."""

from collections.abc import Callable
from dataclasses import dataclass

from awacs import kms as actions
from awacs.aws import ArnLike, Statement, StringEquals, StringLike
from troposphere import GetAtt, Sub

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.key import customer_key
from generator.parts.publishers import ALARMS, RDS_EVENTS, Publisher
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


def _trail(t: Template) -> list[Statement]:
    trail = Sub("arn:${AWS::Partition}:cloudtrail:${AWS::Region}:${AWS::AccountId}:trail/" + t.name("trail", Space.ACCOUNT))
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
    """What a key is for, and which services may use it for that; ``alias`` where it is not to be called after its kind."""

    title: str
    kind: str
    heading: str
    uses: Callable[[Template], list[Statement]]
    alias: str = ""


LOGS = Purpose("Logs", "logs", "Encrypts log groups.", _logs)
DATABASE = Purpose("Database", "database", "Encrypts the database, its backups and its insights.", _nobody)
FILES = Purpose("Files", "files", "Encrypts the file system.", _nobody)
AURORA = Purpose("Aurora", "aurora", "Encrypts the Aurora cluster, its backups and its insights.", _nobody, alias="aurora")
OBJECTS = Purpose("Objects", "objects", "Encrypts objects in S3.", _nobody, alias="s3")
TABLE = Purpose("Table", "table", "Encrypts the table.", _nobody)
CACHE = Purpose("Cache", "cache", "Encrypts the cache and its snapshots.", _nobody)
BACKUP = Purpose("Backup", "backup", "Encrypts recovery points.", _nobody)
SECRETS = Purpose("Secrets", "secrets", "Encrypts secrets; their readers are named in IAM policies.", _nobody)
TRAIL = Purpose("Trail", "trail", "Encrypts the audit trail.", _trail)


@dataclass(frozen=True, kw_only=True)
class Keys(Layer):
    """Customer-managed keys, one per purpose, rotated every year; created first and destroyed last.

    ``publishers`` are the services that may publish to the encrypted topic, where there is a ``topic``.
    """

    name: str = "keys"
    purposes: tuple[Purpose, ...] = (LOGS, SECRETS, TRAIL)
    publishers: tuple[Publisher, ...] = (ALARMS, RDS_EVENTS)
    topic: bool = True

    def define(self, t: Template) -> None:
        for purpose in (*self.purposes, *([self._topic()] if self.topic else [])):
            key, alias = customer_key(
                t, f"{purpose.title}Key", purpose.kind, purpose.heading, *purpose.uses(t), alias=purpose.alias
            )
            t.section(purpose.heading, key, alias)
            t.output(f"{purpose.title}KeyArn", GetAtt(key, "Arn"), purpose.heading)

    def _topic(self) -> Purpose:
        uses = [publisher.may_encrypt() for publisher in self.publishers]
        return Purpose(
            "Topic", "topic", "Encrypts notifications, and lets those publish who have something to tell.", lambda _: uses
        )
