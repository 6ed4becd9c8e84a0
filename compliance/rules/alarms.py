"""Alarms: on a metric that exists."""

from __future__ import annotations

from typing import Any

from compliance.view import NAMED_BY, Resource
from model import Document, Rule

DIMENSIONS = {
    ("AWS/EC2", "InstanceId"): "AWS::EC2::Instance",
    ("AWS/Lambda", "FunctionName"): "AWS::Lambda::Function",
    ("AWS/NATGateway", "NatGatewayId"): "AWS::EC2::NatGateway",
    ("AWS/RDS", "DBInstanceIdentifier"): "AWS::RDS::DBInstance",
    ("AWS/SNS", "TopicName"): "AWS::SNS::Topic",
}
"""Which resource a dimension of an AWS namespace names."""

TOPIC_NAMES = {"AWS::SNS::Topic": "TopicName"}
"""Where a dimension takes a name that ``Ref`` does not return."""


def _metrics(alarm: Resource) -> list[Document]:
    queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics") or [] if "MetricStat" in query]
    return queries or [alarm.properties]


def _exists(alarm: Resource, metric: Document) -> bool:
    namespace, dimensions = metric.get("Namespace"), metric.get("Dimensions") or []
    if isinstance(namespace, str) and namespace.startswith("AWS/"):
        return bool(dimensions) and all(
            _names(alarm, DIMENSIONS.get((namespace, each["Name"])), each["Value"]) for each in dimensions
        )
    return not dimensions and any(
        transformation.get("MetricName") == metric.get("MetricName")
        and filter_.view.text(filter_.layer, transformation.get("MetricNamespace"))
        == alarm.view.text(alarm.layer, namespace)
        is not None
        and not transformation.get("Dimensions")
        for filter_ in alarm.view.resources("AWS::Logs::MetricFilter")
        if filter_.certain
        for transformation in filter_.get("MetricTransformations") or []
    )


def _names(alarm: Resource, type_: str | None, value: Any) -> bool:
    """Whether a dimension's value is a resource of that type, by reference or by its name written out."""
    if type_ is None:
        return False
    found = alarm.view.follow(alarm.layer, value)
    by_reference = found is not None and found.type == type_
    text = alarm.view.text(alarm.layer, value)
    named = [each.text(NAMED_BY.get(type_, TOPIC_NAMES.get(type_, ""))) for each in alarm.view.resources(type_)]
    return by_reference or (text is not None and text in named)


def _metric_exists(alarm: Resource) -> tuple[str, bool]:
    return "Dimensions", all(_exists(alarm, metric) for metric in _metrics(alarm))


metric_exists = Rule(
    "alarms.metric_exists",
    "The alarm watches a metric that this system publishes, on dimensions that exist.",
    "An alarm on a metric that nobody publishes never rings, and nothing says so.",
    "Amazon CloudWatch User Guide, Metrics concepts: dimensions",
    ("AWS::CloudWatch::Alarm",),
    _metric_exists,
)
