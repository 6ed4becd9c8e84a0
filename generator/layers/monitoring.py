"""The monitoring layer."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from troposphere import AWSObject, Ref, Sub, Tags, cloudwatch, route53

from generator.layer import Layer
from generator.names import Space
from generator.parts.alarm import Metric, alarm
from generator.parts.rules import told
from generator.template import Template

GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Monitoring(Layer):
    """What is watched about the database: processor, storage, connections and memory, and a dashboard of them.

    ``health_check`` asks Route 53 to follow the alarm that the database is silent; ``event_rule`` tells failovers through
    EventBridge too. ``cpu_percent``, ``free_storage_gib`` and ``free_memory_gib`` are where the alarms stand.
    """

    name: str = "monitoring"
    health_check: bool = False
    event_rule: bool = False
    cpu_percent: int = 80
    free_storage_gib: int = 10
    free_memory_gib: int = 1

    def define(self, t: Template) -> None:
        connections = t.parameter(
            "ConnectionsExpected",
            "Open connections at which operators are told; db.r6g.large takes about 1,700.",
            "Number",
            Default=1000,
            MinValue=1,
            MaxValue=5000,
        )
        instance = t.output_of("database.InstanceIdentifier")
        topic = t.output_of("notify.TopicArn")

        def metric(name: str, statistic: str = "Average") -> Metric:
            return Metric(namespace="AWS/RDS", name=name, statistic=statistic, dimensions={"DBInstanceIdentifier": instance})

        above, below = "GreaterThanOrEqualToThreshold", "LessThanThreshold"
        alarms = [
            alarm(
                t,
                "CpuTooHigh",
                "cpu-too-high",
                f"The processor has been at {self.cpu_percent} % or above for 5 minutes. Expect slow statements; "
                "Database Insights shows which ones. A larger class means a failover of one or two minutes.",
                metric("CPUUtilization"),
                above,
                self.cpu_percent,
                topic,
            ),
            alarm(
                t,
                "FreeStorageTooLow",
                "free-storage-too-low",
                f"Less than {self.free_storage_gib} GiB of storage are free. Storage grows by itself up to StorageLimitGiB, "
                "at most once in six hours. If it is full, the database stops: raise the limit and look for what fills it.",
                metric("FreeStorageSpace", "Minimum"),
                below,
                self.free_storage_gib * GIB,
                topic,
            ),
            alarm(
                t,
                "TooManyConnections",
                "too-many-connections",
                "More connections are open than this environment expects. When none are left, clients are refused: "
                "look for an application that does not close them.",
                metric("DatabaseConnections", "Maximum"),
                above,
                connections,
                topic,
            ),
            alarm(
                t,
                "FreeMemoryTooLow",
                "free-memory-too-low",
                f"Less than {self.free_memory_gib} GiB of memory are free. Expect swapping and, at the end, a restart; "
                "fewer connections or a larger class help.",
                metric("FreeableMemory", "Minimum"),
                below,
                self.free_memory_gib * GIB,
                topic,
            ),
        ]
        if self.health_check:
            alarms.append(
                alarm(
                    t,
                    "DatabaseSilent",
                    "database-silent",
                    "The database has sent no metric for three minutes: it is restarting, failing over or gone. A failover takes "
                    "one or two minutes; read the events of the instance.",
                    metric("DatabaseConnections", "SampleCount"),
                    below,
                    1,
                    topic,
                    periods=3,
                    missing="breaching",
                )
            )
        t.section("What is watched; each alarm says what to expect.", *alarms)
        if self.event_rule:
            rule = told(
                t,
                "DatabaseEvents",
                "database-events",
                "Failover, failure and recovery of the instance, as RDS tells EventBridge.",
                {
                    "source": ["aws.rds"],
                    "detail-type": ["RDS DB Instance Event"],
                    "detail": {
                        "EventCategories": ["availability", "failover", "failure", "low storage", "recovery"],
                        "SourceArn": [t.output_of("database.InstanceArn")],
                    },
                },
                topic,
            )
            t.section("A second way in which a failover is told, beside the event subscription of RDS.", rule)
        if self.health_check:
            t.section(
                "The silence as a health check, which DNS records and other systems can follow.", _health_check(t, alarms[-1])
            )
        dashboard = self._dashboard(t, instance, alarms)
        t.section("The same on one page.", dashboard)
        t.output("DashboardName", Ref(dashboard), "The dashboard.")

    @staticmethod
    def _dashboard(t: Template, instance: Ref, alarms: list[AWSObject]) -> cloudwatch.Dashboard:
        shown = (
            ("CPUUtilization", "Processor, %"),
            ("DatabaseConnections", "Connections"),
            ("FreeStorageSpace", "Free storage, bytes"),
            ("FreeableMemory", "Free memory, bytes"),
            ("ReadLatency", "Read latency, seconds"),
            ("WriteLatency", "Write latency, seconds"),
        )
        identifier = "${" + instance.data["Ref"] + "}"
        widgets: list[dict[str, Any]] = [
            {
                "type": "metric",
                "x": n % 2 * 12,
                "y": n // 2 * 6,
                "width": 12,
                "height": 6,
                "properties": {
                    "title": title,
                    "region": "${AWS::Region}",
                    "view": "timeSeries",
                    "period": int(timedelta(minutes=1).total_seconds()),
                    "stat": "Average",
                    "metrics": [["AWS/RDS", name, "DBInstanceIdentifier", identifier]],
                },
            }
            for n, (name, title) in enumerate(shown)
        ]
        widgets.append(
            {
                "type": "alarm",
                "x": 0,
                "y": len(shown) // 2 * 6,
                "width": 24,
                "height": 3,
                "properties": {"title": "Alarms", "alarms": ["${" + entry.title + ".Arn}" for entry in alarms]},
            }
        )
        return cloudwatch.Dashboard(
            "Dashboard",
            DashboardName=t.named("dashboard", Space.ACCOUNT),
            DashboardBody=Sub(_body(widgets)),
        )


def _health_check(t: Template, followed: AWSObject) -> route53.HealthCheck:
    return route53.HealthCheck(
        "HealthCheck",
        HealthCheckConfig=route53.HealthCheckConfig(
            Type="CLOUDWATCH_METRIC",
            AlarmIdentifier=route53.AlarmIdentifier(Name=Ref(followed), Region=Ref("AWS::Region")),
            # Silence is what the alarm is about.
            InsufficientDataHealthStatus="Unhealthy",
        ),
        # CloudFormation passes no stack tags on to a health check.
        HealthCheckTags=Tags(Name=t.named("health-check-database"), **t.owner()),
    )


def _body(widgets: list[dict[str, Any]]) -> str:
    """The dashboard's JSON with one widget a line, for those who review it."""
    return '{"widgets": [\n' + ",\n".join(json.dumps(widget) for widget in widgets) + "\n]}"
