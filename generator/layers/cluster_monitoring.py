"""The monitoring layer of a global database and of replicated objects."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from troposphere import AWSObject, Ref, Select, Split, Sub, Tags, cloudwatch, route53

from generator.layer import Layer
from generator.layers.objects import IN_TIME, REPLICATION_RULE
from generator.names import Space
from generator.parts.alarm import Metric, alarm
from generator.parts.dashboard import Chart, body
from generator.template import Explained, Group, Template

MIB = 1024**2
ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"


@dataclass(frozen=True)
class Replication:
    """The buckets of a replication, as addresses, and at which end of it this site is."""

    source: str
    destination: str
    at_source: bool


@dataclass(frozen=True, kw_only=True)
class ClusterMonitoring(Layer):
    """What is watched at one site of a global database and of replicated objects, and a dashboard of it.

    ``cluster`` is this site's cluster layer, ``other`` the ARN of the other site's. Alarms ask the busiest instance, whichever
    writes: a failover changes roles and no alarm. The other fields are where the alarms stand.
    """

    name: str = "monitoring"
    cluster: str = "aurora"
    other: str
    objects: Replication
    cpu_percent: int = 80
    capacity_percent: int = 90
    free_memory_mib: int = 256
    lag: timedelta = timedelta(minutes=1)
    objects_late: timedelta = timedelta(minutes=5)

    def define(self, t: Template) -> None:
        connections = t.parameter(
            "ConnectionsExpected",
            "Open connections at which operators are told; 2 ACU take about 400.",
            "Number",
            group=Group.SIZE,
            Default=300,
            MinValue=1,
            MaxValue=5000,
        )
        cluster = t.output_of(f"{self.cluster}.ClusterIdentifier")
        topic = t.output_of("notify.TopicArn")
        other_region = Select(3, Split(":", t.output_of(self.other)))  # an ARN names its region

        lag_alarm = self._lag_alarm(t, other_region, topic)
        alarms = [*self._instances(t, cluster, connections, topic), lag_alarm, self._objects(t, topic)]
        t.section("What is watched; each alarm says what to expect.", *alarms)

        check = route53.HealthCheck(
            "ReplicationHealthCheck",
            HealthCheckConfig=route53.HealthCheckConfig(
                Type="CLOUDWATCH_METRIC",
                AlarmIdentifier=route53.AlarmIdentifier(Name=Ref(lag_alarm), Region=Ref("AWS::Region")),
                InsufficientDataHealthStatus=Explained(
                    "LastKnownStatus", "Where this cluster writes there is no lag to be told."
                ),
            ),
            HealthCheckTags=Explained(
                Tags(Name=t.named("health-check-replication", Space.ACCOUNT), **t.owner()),
                "CloudFormation passes no stack tags on to a health check; its name is the account's.",
            ),
        )
        t.section("The lag as a health check, which DNS records and other systems can follow. It fails nothing over.", check)

        dashboard = cloudwatch.Dashboard(
            "Dashboard",
            DashboardName=t.named("dashboard", Space.ACCOUNT),
            DashboardBody=Sub(body(self._charts(t, cluster), alarms), OtherRegion=other_region),
        )
        t.section("The same on one page.", dashboard)
        t.output("DashboardName", Ref(dashboard), "The dashboard.")
        t.output("HealthCheckId", Ref(check), "The health check of the lag.")

    def _instances(self, t: Template, cluster: Ref, connections: Ref, topic: Ref) -> list[AWSObject]:
        def busiest(name: str, statistic: str = "Maximum") -> Metric:
            return Metric(namespace="AWS/RDS", name=name, statistic=statistic, dimensions={"DBClusterIdentifier": cluster})

        return [
            alarm(
                t,
                "CpuTooHigh",
                "cpu-too-high",
                f"The processor of the cluster's busiest instance has been above {self.cpu_percent} % for 5 minutes. Expect slow "
                "statements; the log says which ones take long. More capacity is a change of the cluster, without interruption.",
                busiest("CPUUtilization"),
                ABOVE,
                self.cpu_percent,
                topic,
            ),
            alarm(
                t,
                "TooManyConnections",
                "too-many-connections",
                "More connections are open at one instance than this environment expects. When none are left, clients are "
                "refused: look for an application that does not close them.",
                busiest("DatabaseConnections"),
                "GreaterThanOrEqualToThreshold",
                connections,
                topic,
            ),
            alarm(
                t,
                "CapacityNearlyUsed",
                "capacity-nearly-used",
                f"An instance has used more than {self.capacity_percent} % of the capacity that it may scale to for 15 minutes. "
                "Expect slow statements, and a replica that falls behind: raise the most capacity.",
                busiest("ACUUtilization"),
                ABOVE,
                self.capacity_percent,
                topic,
                periods=15,
            ),
            alarm(
                t,
                "FreeMemoryTooLow",
                "free-memory-too-low",
                f"An instance would have less than {self.free_memory_mib} MiB of memory left at its most capacity. Expect it to "
                "restart; fewer connections or more capacity help.",
                busiest("FreeableMemory", "Minimum"),
                BELOW,
                self.free_memory_mib * MIB,
                topic,
            ),
        ]

    def _lag_alarm(self, t: Template, other_region: Select, topic: Ref) -> cloudwatch.Alarm:
        """Published in the region of the secondary: after a failover in the other one, and here no more."""
        seconds = int(self.lag.total_seconds())
        return alarm(
            t,
            "ReplicaTooLate",
            "replica-too-late",
            f"This region has been more than {seconds} seconds behind the one that writes for 5 minutes. What was written "
            "since would be lost with that region. Look for a peak of writes, or for too little capacity. Lag alone fails "
            "nothing over. The metric knows regions only: other global databases of the account between the same two are in it.",
            Metric(
                namespace="AWS/RDS", name="AuroraGlobalDBRPOLag", statistic="Maximum", dimensions={"SourceRegion": other_region}
            ),
            ABOVE,
            seconds * 1000,  # milliseconds
            topic,
            missing="notBreaching",
        )

    def _objects(self, t: Template, topic: Ref) -> cloudwatch.Alarm:
        """S3 publishes failures where the source is, and all else where the destination is."""
        dimensions = self._replication(t)
        if self.objects.at_source:
            return alarm(
                t,
                "ObjectsNotReplicated",
                "objects-not-replicated",
                "S3 could not replicate objects, and does not try them again: most often a permission or a key. Mend it, and "
                "replicate them by an S3 Batch Replication job.",
                Metric(namespace="AWS/S3", name="OperationsFailedReplication", statistic="Sum", dimensions=dimensions),
                ABOVE,
                0,
                topic,
                period=timedelta(minutes=5),
                periods=1,
                missing="notBreaching",
            )
        minutes = self.objects_late // timedelta(minutes=1)
        return alarm(
            t,
            "ObjectsTooLate",
            "objects-too-late",
            f"The replica of the objects has been more than {minutes} minutes behind for 5 minutes; AWS promises {IN_TIME} for "
            "99.99 % of objects. Many large objects at once take longer. What is missing would be lost with the other region.",
            Metric(namespace="AWS/S3", name="ReplicationLatency", statistic="Maximum", dimensions=dimensions),
            ABOVE,
            int(self.objects_late.total_seconds()),
            topic,
            missing="ignore",
        )

    def _replication(self, t: Template) -> dict[str, Any]:
        return {
            "SourceBucket": t.output_of(self.objects.source),
            "DestinationBucket": t.output_of(self.objects.destination),
            "RuleId": REPLICATION_RULE,
        }

    def _charts(self, t: Template, cluster: Ref) -> list[Chart]:
        def text(value: Any) -> str:
            return "${" + value.data["Ref"] + "}" if isinstance(value, Ref) else str(value)

        def aurora(*names: str) -> list[list[str]]:
            return [["AWS/RDS", name, "DBClusterIdentifier", text(cluster)] for name in names]

        def lag(*names: str) -> list[list[str]]:
            return [["AWS/RDS", name, "SourceRegion", "${OtherRegion}"] for name in names]

        def objects(*names: str) -> list[list[str]]:
            dimensions = [text(each) for pair in self._replication(t).items() for each in pair]
            return [["AWS/S3", name, *dimensions] for name in names]

        charts = [
            Chart("Busiest instance: processor and capacity used, %", aurora("CPUUtilization", "ACUUtilization"), "Maximum"),
            Chart("Capacity, ACU", aurora("ServerlessDatabaseCapacity"), "Maximum"),
            Chart("Connections", aurora("DatabaseConnections"), "Maximum"),
            Chart("Memory left, bytes", aurora("FreeableMemory"), "Minimum"),
            Chart(
                "Behind the other region, milliseconds (where that one writes)",
                lag("AuroraGlobalDBRPOLag", "AuroraGlobalDBReplicationLag"),
                "Maximum",
            ),
        ]
        if self.objects.at_source:
            return [*charts, Chart("Objects that failed to replicate", objects("OperationsFailedReplication"), "Sum")]
        return [
            *charts,
            Chart("Objects: behind the source, seconds", objects("ReplicationLatency"), "Maximum"),
            Chart("Objects: pending, bytes", objects("BytesPendingReplication"), "Maximum"),
            Chart("Objects: pending, operations", objects("OperationsPendingReplication"), "Maximum"),
        ]
