"""DynamoDB tables: restorable, under a key of ours, watched where they refuse work."""

from __future__ import annotations

from compliance.rules import alarms, kms
from model import Rule
from model.architecture import measures, metrics_of
from model.view import Resource, absent_or_false

TABLE = ("AWS::DynamoDB::Table",)
THROTTLES = {"ReadThrottleEvents", "WriteThrottleEvents"}


def _recoverable(table: Resource) -> tuple[str, bool]:
    path = ("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled")
    return ".".join(path), table.true(*path)


def _customer_key(table: Resource) -> tuple[str, bool]:
    by_kms = table.true("SSESpecification", "SSEEnabled") and table.get("SSESpecification", "SSEType") == "KMS"
    return "SSESpecification.KMSMasterKeyId", by_kms and kms.key_of(table, "SSESpecification", "KMSMasterKeyId") is not None


def _destroyable(table: Resource) -> tuple[str, bool]:
    return "DeletionProtectionEnabled", table.proves(absent_or_false, "DeletionProtectionEnabled")


def _on_demand(table: Resource) -> tuple[str, bool]:
    return "BillingMode", table.proves(lambda value: value == "PAY_PER_REQUEST", "BillingMode")


def _alarmed(table: Resource) -> tuple[str, bool]:
    watched = {
        metric.get("MetricName")
        for alarm in table.view.resources(alarms.ALARM)
        if alarm.certain
        for metric in metrics_of(alarm)
        if metric.get("Namespace") == "AWS/DynamoDB" and measures(alarm, metric, table, "TableName")
    }
    return "TableName", watched >= THROTTLES


recoverable = Rule(
    "tables.recoverable",
    "The table can be restored to any second of the last 35 days.",
    "AWS Backup's continuous backup does not cover DynamoDB.",
    "AWS Security Hub DynamoDB.2",
    TABLE,
    _recoverable,
)
customer_key = Rule(
    "tables.customer_key",
    "Items are encrypted with a customer-managed key.",
    "Only the owner of the key's policy decides who may decrypt.",
    "Amazon DynamoDB Developer Guide, DynamoDB encryption at rest",
    TABLE,
    _customer_key,
)
destroyable = Rule(
    "tables.destroyable",
    "The table goes with its stack: no deletion protection.",
    "Every environment can be destroyed without a manual step.",
    "requirement A-03",
    TABLE,
    _destroyable,
)
alarmed = Rule(
    "tables.alarmed",
    "Alarms watch reads and writes that the table throttles.",
    "UserErrors has no table, and throttles are not among them.",
    "Amazon DynamoDB Developer Guide, DynamoDB metrics and dimensions",
    TABLE,
    _alarmed,
)
on_demand = Rule(
    "tables.on_demand",
    "The table takes what load comes, without a capacity that somebody sets.",
    "After a failure all clients come back at once; a set capacity refuses them.",
    "AWS Security Hub DynamoDB.1",
    TABLE,
    _on_demand,
)
