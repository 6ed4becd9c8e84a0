"""The monitoring layer."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import AWSObject, Ref, Sub, Tags, cloudwatch, route53

from generator.layer import Layer
from generator.names import Space
from generator.parts.alarm import Metric, alarm
from generator.parts.dashboard import Chart, body
from generator.parts.rules import notification_rule
from generator.template import Explained, Group, Template

GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Monitoring(Layer):
    """What is watched about the database: processor, storage, connections and memory, and a dashboard of them.

    ``health_check`` asks Route 53 to follow the alarm that the database is silent; ``event_rule`` tells failovers through
    EventBridge too. ``cpu_percent``, ``free_storage_gib`` and ``free_memory_gib`` are where the alarms stand. ``database`` is the
    layer of the database, and of a replica ``lag`` how far behind its source it may be; ``files`` is the layer of a file system
    that the dashboard shows too.
    """

    name: str = "monitoring"
    health_check: bool = False
    event_rule: bool = False
    cpu_percent: int = 80
    free_storage_gib: int = 10
    free_memory_gib: int = 1
    database: str = "database"
    lag: timedelta | None = None
    files: str = ""

    def define(self, t: Template) -> None:
        connections = t.parameter(
            "ConnectionsExpected",
            "Open connections at which operators are told; db.r6g.large takes about 1,700.",
            "Number",
            group=Group.SIZE,
            Default=1000,
            MinValue=1,
            MaxValue=5000,
        )
        instance = t.output_of(f"{self.database}.InstanceIdentifier")
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
        if self.lag:
            alarms += self._lag(t, self.lag, metric("ReplicaLag", "Maximum"), topic)
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
            rule = notification_rule(
                t,
                "DatabaseEvents",
                "database-events",
                "Failover, failure and recovery of the instance, as RDS tells EventBridge.",
                {
                    "source": ["aws.rds"],
                    "detail-type": ["RDS DB Instance Event"],
                    "detail": {
                        "EventCategories": ["availability", "failover", "failure", "low storage", "recovery"],
                        "SourceArn": [t.output_of(f"{self.database}.InstanceArn")],
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
    def _lag(t: Template, lag: timedelta, metric: Metric, topic: Ref) -> list[AWSObject]:
        """Too large, or not known at all: each by itself, for a replica that has stopped says -1 or nothing. Neither decides on a
        failover: on an idle source the lag grows to five minutes by itself, until PostgreSQL begins the next log file."""
        minutes = lag // timedelta(minutes=1)
        return [
            alarm(
                t,
                "ReplicationLagTooHigh",
                "replication-lag-too-high",
                f"The replica has been more than {minutes} minutes behind its source for 5 minutes. What was committed since "
                "would be lost with the region. Look for a long transaction, a class that is too small, or the link between "
                "the regions.",
                metric,
                "GreaterThanThreshold",
                int(lag.total_seconds()),
                topic,
                missing="ignore",
            ),
            alarm(
                t,
                "ReplicationStopped",
                "replication-stopped",
                "The replica has said -1 or nothing of its lag for 10 minutes: it no longer replicates, or it was promoted. Read "
                "its status and events; a replica that lost its place in the source's log is made anew.",
                metric,
                "LessThanThreshold",
                0,
                topic,
                periods=10,
                missing="breaching",
            ),
        ]

    def _dashboard(self, t: Template, instance: Ref, alarms: list[AWSObject]) -> cloudwatch.Dashboard:
        metrics: tuple[tuple[str, str], ...] = (
            ("CPUUtilization", "Processor, %"),
            ("DatabaseConnections", "Connections"),
            ("FreeStorageSpace", "Free storage, bytes"),
            ("FreeableMemory", "Free memory, bytes"),
            ("ReadLatency", "Read latency, seconds"),
            ("WriteLatency", "Write latency, seconds"),
        )
        if self.lag:
            metrics += (("ReplicaLag", "Behind its source, seconds"),)
        identifier = "${" + instance.data["Ref"] + "}"
        charts = [Chart(title, [["AWS/RDS", name, "DBInstanceIdentifier", identifier]]) for name, title in metrics]
        if self.files:
            files = "${" + t.output_of(f"{self.files}.FileSystemId").data["Ref"] + "}"
            charts += [
                Chart("Clients of the file system", [["AWS/EFS", "ClientConnections", "FileSystemId", files]], "Sum"),
                Chart("Operations of the file system, % of its limit", [["AWS/EFS", "PercentIOLimit", "FileSystemId", files]]),
            ]
        return cloudwatch.Dashboard(
            "Dashboard",
            DashboardName=t.named("dashboard", Space.ACCOUNT),
            DashboardBody=Sub(body(charts, alarms)),
        )


def _health_check(t: Template, followed: AWSObject) -> route53.HealthCheck:
    return route53.HealthCheck(
        "HealthCheck",
        HealthCheckConfig=route53.HealthCheckConfig(
            Type="CLOUDWATCH_METRIC",
            AlarmIdentifier=route53.AlarmIdentifier(Name=Ref(followed), Region=Ref("AWS::Region")),
            InsufficientDataHealthStatus=Explained("Unhealthy", "Silence is what the alarm is about."),
        ),
        HealthCheckTags=Explained(
            Tags(Name=t.named("health-check-database"), **t.owner()),
            "CloudFormation passes no stack tags on to a health check.",
        ),
    )
