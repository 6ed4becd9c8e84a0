"""Small systems, as plain templates: a database in one region, and a pair of regions with everything that a failover needs."""

from typing import Any

from model import Document
from model.view import View
from recovery.service_times import service_times
from recovery.template_times import Sight

HOME, AWAY = "eu-west-2", "eu-west-1"
ON = {"Name": "DBInstanceIdentifier", "Value": {"Ref": "Instance"}}
TIMES = service_times()


def template(resources: Document, region: str = HOME, imports: dict[str, str] | None = None, **more: Any) -> Document:
    """A template of one layer in one region; ``imports`` maps a parameter to what feeds it."""
    site = "primary" if region == HOME else "recovery"
    parameters = {name: {"Type": "String"} for name in imports or {}} | more.pop("Parameters", {})
    return {
        "Metadata": {"Layer": {"Sites": {site: region}, "Imports": imports or {}}},
        "Parameters": parameters,
        "Resources": resources,
        **more,
    }


def resource(type_: str, **properties: Any) -> Document:
    """One resource."""
    return {"Type": f"AWS::{type_}", "Properties": properties}


def output(**values: Any) -> Document:
    """The outputs of a template."""
    return {name: {"Value": value} for name, value in values.items()}


def alarm(metric: str, period: int = 60, periods: int = 3, threshold: Any = 60, **properties: Any) -> Document:
    """An alarm that is raised when a metric is above a threshold, or silent."""
    given = {
        "MetricName": metric,
        "Period": period,
        "EvaluationPeriods": periods,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "breaching",
    }
    return resource("CloudWatch::Alarm", **(given | properties))


def sight(away: str | None = AWAY, /, **templates: Document) -> Sight:
    """All of these templates, a layer's name with ``_`` for ``-``."""
    return Sight(View({name.replace("_", "-"): one for name, one in templates.items()}), TIMES, HOME, away)


def instance(**properties: Any) -> Document:
    """A database that stands in two zones and keeps a week."""
    return resource("RDS::DBInstance", **({"MultiAZ": True, "BackupRetentionPeriod": 7} | properties))


def pair(mode: Any = "auto", *, ttl: int = 30, rate: str = "rate(1 minute)", composite: bool = True) -> dict[str, Document]:
    """A database with a replica in the other region, the evidence of its loss, the function that acts, the name that follows."""
    evidence = {
        "Stale": alarm("ReplicaDataAge", threshold=120),
        "Unreachable": alarm("PrimaryReachable", threshold=1, ComparisonOperator="LessThanThreshold", EvaluationPeriods=5),
    }
    if composite:
        rule = {"Fn::Sub": ['ALARM("${A}") AND ALARM("${B}")', {"A": {"Ref": "Stale"}, "B": {"Ref": "Unreachable"}}]}
        evidence["Both"] = resource("CloudWatch::CompositeAlarm", AlarmRule=rule)
    both = {"Both": "recovery:evidence.BothArn"}
    function = {
        "Function": resource("Lambda::Function", Code={"S3Key": "failover-0123abcd.zip"}, Timeout=60),
        "Told": resource(
            "Events::Rule",
            EventPattern={"source": ["aws.cloudwatch"], "resources": [{"Ref": "Both"}]},
            Targets=[{"Arn": {"Ref": "Function"}}],
        ),
        "Ticks": resource("Events::Rule", ScheduleExpression=rate, Targets=[{"Arn": {"Fn::GetAtt": ["Function", "Arn"]}}]),
        "Mode": resource("SSM::Parameter", Name={"Fn::Sub": "/small/${EnvironmentSuffix}/config/mode"}, Value=mode),
    }
    modes = {"Mode": {"Type": "String", "Default": "auto", "AllowedValues": ["auto", "approve"]}}
    check = {"Type": "CLOUDWATCH_METRIC", "AlarmIdentifier": {"Name": {"Ref": "NotActive"}, "Region": AWAY}}
    dns = {
        "NotActive": alarm("PrimaryActive", periods=1, threshold=1, ComparisonOperator="LessThanThreshold"),
        "Check": resource("Route53::HealthCheck", HealthCheckConfig=check),
        "Away": resource("Route53::RecordSet", Failover="SECONDARY", TTL=str(ttl)),
        "Home": resource("Route53::RecordSet", Failover="PRIMARY", TTL=str(ttl), HealthCheckId={"Ref": "Check"}),
    }
    return {
        "database": template({"Instance": instance()}, Outputs=output(InstanceArn={"Fn::GetAtt": ["Instance", "DBInstanceArn"]})),
        "replica": template(
            {
                "Instance": instance(SourceDBInstanceIdentifier={"Ref": "Source"}),
                "Late": alarm("ReplicaLag", threshold=900, TreatMissingData="ignore", Dimensions=[ON]),
            },
            AWAY,
            {"Source": "primary:database.InstanceArn"},
        ),
        "evidence": template(evidence, AWAY, Outputs=output(BothArn={"Fn::GetAtt": ["Both", "Arn"]})),
        "failover": template(function, AWAY, both, Parameters=modes),
        "dns": template(dns, AWAY),
    }
