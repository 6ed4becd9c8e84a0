"""Alarms: on a metric that exists, and such as a health check can follow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from model import Document, Rule
from model.architecture import metrics_of
from model.resource_types import resource_type, resource_types
from model.view import Resource
from protocol.metrics import DIMENSION, NAMESPACE, PUBLISHED

ALARM = "AWS::CloudWatch::Alarm"
FUNCTION = "AWS::Lambda::Function"

DIMENSIONS: Mapping[tuple[str, str], str | frozenset[str]] = {
    ("AWS/Backup", "BackupVaultName"): "AWS::Backup::BackupVault",
    ("AWS/Backup", "ResourceType"): frozenset(known.backup for known in resource_types().values() if known.backup),
    ("AWS/DynamoDB", "Operation"): frozenset(
        {"BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"}
    ),
    ("AWS/DynamoDB", "TableName"): "AWS::DynamoDB::Table",
    ("AWS/EC2", "InstanceId"): "AWS::EC2::Instance",
    ("AWS/EFS", "DestinationFileSystemId"): "AWS::EFS::FileSystem",
    ("AWS/EFS", "FileSystemId"): "AWS::EFS::FileSystem",
    ("AWS/EFS", "StorageClass"): frozenset({"Archive", "IA", "Standard", "Total"}),
    ("AWS/ElastiCache", "CacheClusterId"): "AWS::ElastiCache::ReplicationGroup",
    ("AWS/Events", "RuleName"): "AWS::Events::Rule",
    ("AWS/Lambda", "FunctionName"): FUNCTION,
    ("AWS/NATGateway", "NatGatewayId"): "AWS::EC2::NatGateway",
    ("AWS/RDS", "DBClusterIdentifier"): "AWS::RDS::DBCluster",
    ("AWS/RDS", "DBInstanceIdentifier"): "AWS::RDS::DBInstance",
    ("AWS/RDS", "Role"): frozenset({"READER", "WRITER"}),
    ("AWS/RDS", "SourceRegion"): "AWS::RDS::DBCluster",
    ("AWS/S3", "DestinationBucket"): "AWS::S3::Bucket",
    ("AWS/S3", "RuleId"): "AWS::S3::Bucket",
    ("AWS/S3", "SourceBucket"): "AWS::S3::Bucket",
    ("AWS/SNS", "TopicName"): "AWS::SNS::Topic",
    ("AWS/SQS", "QueueName"): "AWS::SQS::Queue",
}
"""Which resource a dimension of an AWS namespace names, or which words it takes."""

TOGETHER: Mapping[str, tuple[set[str], ...]] = {
    "AWS/Backup": ({"BackupVaultName"}, {"ResourceType"}, {"BackupVaultName", "ResourceType"}),
    "AWS/DynamoDB": ({"TableName"},),
    "AWS/EC2": ({"InstanceId"},),
    "AWS/EFS": ({"FileSystemId"},),
    "AWS/ElastiCache": ({"CacheClusterId"},),
    "AWS/Events": ({"RuleName"},),
    "AWS/Lambda": ({"FunctionName"},),
    "AWS/NATGateway": ({"NatGatewayId"},),
    "AWS/RDS": ({"DBInstanceIdentifier"}, {"DBClusterIdentifier"}, {"DBClusterIdentifier", "Role"}),
    "AWS/S3": ({"SourceBucket", "DestinationBucket", "RuleId"},),
    "AWS/SNS": ({"TopicName"},),
    "AWS/SQS": ({"QueueName"},),
}
"""The sets of dimensions under which a namespace publishes; any other set is a metric that nobody writes."""

OTHERWISE: Mapping[tuple[str, str], tuple[set[str], ...]] = {
    ("AWS/DynamoDB", "SuccessfulRequestLatency"): ({"TableName", "Operation"},),
    ("AWS/DynamoDB", "SystemErrors"): ({"TableName", "Operation"},),
    ("AWS/DynamoDB", "ThrottledRequests"): ({"TableName", "Operation"},),
    ("AWS/DynamoDB", "UserErrors"): (set(),),
    ("AWS/EFS", "StorageBytes"): ({"FileSystemId", "StorageClass"},),
    ("AWS/EFS", "TimeSinceLastSync"): ({"FileSystemId", "DestinationFileSystemId"},),
    ("AWS/RDS", "AuroraGlobalDBReplicationLag"): ({"SourceRegion"},),
    ("AWS/RDS", "AuroraGlobalDBRPOLag"): ({"SourceRegion"},),
    ("AWS/RDS", "BurstBalance"): ({"DBInstanceIdentifier"},),
    ("AWS/RDS", "FreeStorageSpace"): ({"DBInstanceIdentifier"},),
    ("AWS/RDS", "VolumeBytesUsed"): ({"DBClusterIdentifier"},),
}
"""Metrics that differ from the rest of their namespace."""

NOT_IN_AURORA = {"BurstBalance", "FreeStorageSpace"}
"""Metrics of an instance with a disk of its own."""


HOUR, DAY, WEEK = 3600, 86_400, 604_800
"""Seconds."""


def _exists(alarm: Resource, metric: Document) -> bool:
    namespace = alarm.view.text(alarm.layer, metric.get("Namespace"))
    given = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or []}
    name = str(metric.get("MetricName"))
    if namespace is not None and namespace.startswith("AWS/"):
        allowed = OTHERWISE.get((namespace, name), TOGETHER.get(namespace, ()))
        return (
            set(given) in allowed
            and all(_means(alarm, namespace, dimension, value) for dimension, value in given.items())
            and not (name in NOT_IN_AURORA and _in_cluster(alarm, given.get("DBInstanceIdentifier")))
        )
    if given:
        return namespace == NAMESPACE and _published(alarm, name, given)
    return any(
        transformation.get("MetricName") == name
        and filter_.view.text(filter_.layer, transformation.get("MetricNamespace")) == namespace is not None
        and not transformation.get("Dimensions")
        for filter_ in alarm.view.resources("AWS::Logs::MetricFilter")
        if filter_.certain
        for transformation in filter_.get("MetricTransformations") or []
    )


def _published(alarm: Resource, name: str, given: Mapping[str, Any]) -> bool:
    """Whether a function of the system writes this metric under these dimensions: its package says which."""
    function = named(alarm, FUNCTION, given.get(DIMENSION))
    package = (function.text("Code", "S3Key") or "").rpartition("-")[0] if function else ""
    published = PUBLISHED.get(package)
    if published is None or name not in published.units:
        return False
    rest = {dimension: value for dimension, value in given.items() if dimension != DIMENSION}
    return set(rest) == ({published.dimension} if published.dimension else set()) and all(
        value in published.values for value in rest.values()
    )


def _means(alarm: Resource, namespace: str, dimension: str, value: Any) -> bool:
    """Whether a dimension's value is what AWS publishes there: a resource of ours, a word, a region, a rule of replication."""
    wanted = DIMENSIONS[namespace, dimension]
    if dimension == "SourceRegion":
        cluster = cluster_in_region(alarm, value)
        return cluster is not None and not set(cluster.regions) & set(alarm.regions)
    if dimension == "RuleId":
        buckets = alarm.view.resources(str(wanted))
        return any(rule.get("Id") == value for each in buckets for rule in each.get("ReplicationConfiguration", "Rules") or [])
    return _names(alarm, wanted, value)


def cluster_in_region(resource: Resource, value: Any) -> Resource | None:
    """The cluster whose region a value is: the fourth part of its ARN."""
    match value:
        case {"Fn::Select": [3 | "3", {"Fn::Split": [":", arn]}]}:
            found = resource.view.follow(resource.layer, arn)
            return found if found is not None and found.type == "AWS::RDS::DBCluster" else None
    return None


def _names(alarm: Resource, wanted: str | frozenset[str], value: Any) -> bool:
    if isinstance(wanted, frozenset):
        return value in wanted
    return named(alarm, wanted, value) is not None


def named(alarm: Resource, type_: str, value: Any) -> Resource | None:
    """The resource of a type that a dimension's value denotes, by reference or by its name written out."""
    found = alarm.view.follow(alarm.layer, value)
    if found is not None and found.type == type_:
        return found
    text = alarm.view.text(alarm.layer, value)
    property_ = resource_type(type_).named_by
    return next((each for each in alarm.view.resources(type_) if text is not None and each.text(property_) == text), None)


def _in_cluster(alarm: Resource, value: Any) -> bool:
    instance = named(alarm, "AWS::RDS::DBInstance", value)
    return instance is not None and instance.get("DBClusterIdentifier") is not None


def _calculates(alarm: Resource) -> bool:
    """Whether every expression speaks of queries that the alarm has, and one result is the alarm's."""
    queries = alarm.get("Metrics") or []
    ids = {query.get("Id") for query in queries}
    spoken = {word for query in queries for word in re.findall(r"\b[a-z]\w*\b", query.get("Expression") or "")}
    returned = [query for query in queries if query.get("ReturnData", True) is not False]
    return not queries or (spoken <= ids and len(returned) == 1)


def _metric_exists(alarm: Resource) -> tuple[str, bool]:
    return "Dimensions", _calculates(alarm) and all(_exists(alarm, metric) for metric in metrics_of(alarm))


def _evaluable(alarm: Resource) -> tuple[str, bool]:
    """Whether CloudWatch looks back as far as the alarm asks: a week, and a day where a period is shorter than an hour."""
    stats = [query["MetricStat"] for query in alarm.get("Metrics") or [] if "MetricStat" in query] or [alarm.properties]
    spans = [(stat.get("Period", 0), alarm.get("EvaluationPeriods")) for stat in stats]
    known = all(isinstance(period, int) and isinstance(periods, int) for period, periods in spans)
    return "EvaluationPeriods", known and all(
        period > 0 and period * periods <= (WEEK if period >= HOUR else DAY) for period, periods in spans
    )


def _followable(check: Resource) -> tuple[str, bool]:
    alarm = check.follow("HealthCheckConfig", "AlarmIdentifier", "Name")
    return "HealthCheckConfig.AlarmIdentifier", alarm is not None and alarm.type == ALARM and _simple(alarm)


def _simple(alarm: Resource) -> bool:
    """Whether Route 53 can follow it: one metric, a plain statistic, periods of a minute, every period of the evaluation."""
    all_periods = alarm.get("DatapointsToAlarm") in (None, alarm.get("EvaluationPeriods"))
    plain = alarm.get("Metrics") is None and alarm.get("ExtendedStatistic") is None
    return alarm.certain and plain and all_periods and alarm.bounded("Period", least=60)


def _silence_is_unhealthy(check: Resource) -> tuple[str, bool]:
    alarm = check.follow("HealthCheckConfig", "AlarmIdentifier", "Name")
    path = ("HealthCheckConfig", "InsufficientDataHealthStatus")
    breaching = alarm is None or alarm.get("TreatMissingData") == "breaching"
    return ".".join(path), check.get(*path) == "Unhealthy" if breaching else check.get(*path) is not None


metric_exists = Rule(
    "alarms.metric_exists",
    "The alarm watches metrics that AWS or this system publishes, on dimensions under which they are published.",
    "An alarm on a metric that nobody publishes never rings, and nothing says so.",
    "Amazon CloudWatch User Guide, Metrics concepts: dimensions, and the metrics' reference of each service",
    (ALARM,),
    _metric_exists,
)
evaluable = Rule(
    "alarms.evaluable",
    "The alarm looks back no further than CloudWatch does: seven days, one where its period is shorter than an hour.",
    "CloudWatch refuses the alarm, and no linter says so.",
    "Amazon CloudWatch API Reference, PutMetricAlarm: Period",
    (ALARM,),
    _evaluable,
)
followable = Rule(
    "alarms.followable",
    "The health check follows an alarm on one metric with a plain statistic, all of whose periods must be beyond the threshold.",
    "Route 53 refuses metric math, percentiles, high resolution and M out of N alarms.",
    "Amazon Route 53 Developer Guide, Types of Amazon Route 53 health checks: health checks that monitor CloudWatch alarms",
    ("AWS::Route53::HealthCheck",),
    _followable,
)
silence_is_unhealthy = Rule(
    "alarms.silence_is_unhealthy",
    "Where the alarm takes missing data for trouble, so does the health check.",
    "Route 53 judges the metric and not the alarm: with the last known status, a database that sends nothing stays healthy.",
    "Amazon Route 53 API Reference, HealthCheckConfig: InsufficientDataHealthStatus",
    ("AWS::Route53::HealthCheck",),
    _silence_is_unhealthy,
)
