"""Log groups: kept for a stated time, encrypted with a key that lets CloudWatch Logs use it."""

from __future__ import annotations

from compliance.rules import kms
from model import Rule
from model.view import Resource

GROUP = ("AWS::Logs::LogGroup",)
USES = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey")


def _retained(group: Resource) -> tuple[str, bool]:
    return "RetentionInDays", group.bounded("RetentionInDays", least=1)


def _encrypted(group: Resource) -> tuple[str, bool]:
    key = kms.key_of(group, "KmsKeyId")
    name = group.text("LogGroupName") or ""  # a name that CloudFormation invents is matched by a bare * only
    arn = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:{name}"
    return "KmsKeyId", key is not None and kms.allows_service(key, "logs", USES, group, ("aws:logs:arn", arn))


retained = Rule(
    "logs.retained",
    "Log events are kept for a stated number of days.",
    "Too short loses evidence, unlimited collects personal data and cost.",
    "AWS Security Hub CloudWatch.16",
    GROUP,
    _retained,
)
encrypted = Rule(
    "logs.encrypted",
    "Log events are encrypted with a customer-managed key whose policy lets CloudWatch Logs use it for this group alone.",
    "Logs repeat what the system processes; without that statement the group cannot be created.",
    "Amazon CloudWatch Logs User Guide, Encrypt log data in CloudWatch Logs using AWS KMS",
    GROUP,
    _encrypted,
)
