"""The monitoring layer of a platform."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import Ref, Sub, cloudwatch

from generator.layer import Layer
from generator.names import Space
from generator.parts.alarm import Metric, alarm
from generator.parts.dashboard import Chart, body
from generator.template import Explained, Group, Template

MIB, GIB = 1024**2, 1024**3
MINUTES_5 = 300
ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"


@dataclass(frozen=True, kw_only=True)
class PlatformMonitoring(Layer):
    """What is watched about cluster, table and function, and a dashboard of them.

    The fields are where the alarms stand.
    """

    name: str = "monitoring"
    cpu_percent: int = 80
    free_memory_mib: int = 256
    free_disk_gib: int = 2
    lag_milliseconds: int = 1000
    throttled_requests: int = 10
    function_errors: int = 5
    function_milliseconds: int = 50_000

    def define(self, t: Template) -> None:
        connections = t.parameter(
            "ConnectionsExpected",
            "Open connections at which operators are told; db.t4g.medium takes about 400.",
            "Number",
            group=Group.SIZE,
            Default=300,
            MinValue=1,
            MaxValue=5000,
        )
        cluster = t.output_of("aurora.ClusterIdentifier")
        table = t.output_of("table.TableName")
        function = t.output_of("health.FunctionName")
        topic = t.output_of("notify.TopicArn")

        def aurora(name: str, statistic: str = "Average", role: str = "WRITER") -> Metric:
            return Metric(
                namespace="AWS/RDS", name=name, statistic=statistic, dimensions={"DBClusterIdentifier": cluster, "Role": role}
            )

        def invoked(name: str, statistic: str) -> Metric:
            return Metric(namespace="AWS/Lambda", name=name, statistic=statistic, dimensions={"FunctionName": function})

        five = timedelta(minutes=5)
        alarms = [
            alarm(
                t,
                "WriterCpuTooHigh",
                "",
                f"The writer's processor has been above {self.cpu_percent} % for 10 minutes. Expect slow statements; Performance "
                "Insights shows which ones. A larger class means a failover of about half a minute.",
                aurora("CPUUtilization"),
                ABOVE,
                self.cpu_percent,
                topic,
                period=five,
                periods=2,
                name=t.exactly("Aurora-High-CPU"),
            ),
            alarm(
                t,
                "TooManyConnections",
                "too-many-connections",
                "More connections are open at the writer than this environment expects. When none are left, clients are refused: "
                "look for an application that does not close them.",
                aurora("DatabaseConnections", "Maximum"),
                "GreaterThanOrEqualToThreshold",
                connections,
                topic,
            ),
            alarm(
                t,
                "FreeMemoryTooLow",
                "free-memory-too-low",
                f"The writer has less than {self.free_memory_mib} MiB of memory left. Expect it to restart; fewer connections "
                "or a larger class help.",
                aurora("FreeableMemory", "Minimum"),
                BELOW,
                self.free_memory_mib * MIB,
                topic,
            ),
            alarm(
                t,
                "FreeDiskTooLow",
                "free-disk-too-low",
                f"The writer's own disk, for sorting and logs, has less than {self.free_disk_gib} GiB left. Large statements "
                "fail first: look for them. The data's volume grows by itself.",
                aurora("FreeLocalStorage", "Minimum"),
                BELOW,
                self.free_disk_gib * GIB,
                topic,
            ),
            alarm(
                t,
                "ReaderTooLate",
                "reader-too-late",
                f"The reader has been more than {self.lag_milliseconds} ms behind the writer for five minutes, or gone. Reads "
                "are stale, and a failover would take longer.",
                aurora("AuroraReplicaLag", "Maximum", "READER"),
                ABOVE,
                self.lag_milliseconds,
                topic,
                missing="breaching",
            ),
            self._throttled(t, table, topic),
            alarm(
                t,
                "FunctionFails",
                "",
                f"The function failed more than {self.function_errors} times in five minutes: what the application depends on "
                "does not work. Its log says what.",
                invoked("Errors", "Sum"),
                ABOVE,
                self.function_errors,
                topic,
                period=five,
                periods=1,
                missing="notBreaching",
                name=t.exactly("Lambda-Errors"),
            ),
            alarm(
                t,
                "FunctionTooSlow",
                "function-too-slow",
                "The function nears its 60 seconds: something that it depends on hangs. Its log says what.",
                invoked("Duration", "Maximum"),
                ABOVE,
                self.function_milliseconds,
                topic,
                periods=3,
                missing="notBreaching",
            ),
        ]
        t.section("What is watched; each alarm says what to expect.", *alarms)

        dashboard = cloudwatch.Dashboard(
            "Dashboard",
            DashboardName=Explained(
                t.exactly("DR-Dashboard", Space.ACCOUNT), "A dashboard's name is the account's, so it carries the region."
            ),
            DashboardBody=Sub(body(_charts(cluster, table, function), alarms)),
        )
        t.section("The same on one page.", dashboard)
        t.output("DashboardName", Ref(dashboard), "The dashboard.")

    def _throttled(self, t: Template, table: Ref, topic: Ref) -> cloudwatch.Alarm:
        """DynamoDB counts refused reads and writes apart, and says nothing while there are none."""
        metrics = [
            cloudwatch.MetricDataQuery(
                Id=id_,
                ReturnData=False,
                MetricStat=cloudwatch.MetricStat(
                    Metric=cloudwatch.Metric(
                        Namespace="AWS/DynamoDB",
                        MetricName=name,
                        Dimensions=[cloudwatch.MetricDimension(Name="TableName", Value=table)],
                    ),
                    Period=MINUTES_5,
                    Stat="Sum",
                ),
            )
            for id_, name in (("reads", "ReadThrottleEvents"), ("writes", "WriteThrottleEvents"))
        ]
        total = cloudwatch.MetricDataQuery(
            Id="throttled", Label="Throttled requests", Expression="SUM([FILL(reads, 0), FILL(writes, 0)])", ReturnData=True
        )
        return cloudwatch.Alarm(
            "RequestsThrottled",
            AlarmName=t.exactly("DynamoDB-Throttled-Requests"),
            AlarmDescription=(
                f"More than {self.throttled_requests} reads and writes were throttled in five minutes. On demand that means a "
                "sudden peak or one hot key: look at the keys, and let clients wait and try again."
            ),
            Metrics=[total, *metrics],
            EvaluationPeriods=1,
            DatapointsToAlarm=1,
            ComparisonOperator=ABOVE,
            Threshold=self.throttled_requests,
            TreatMissingData="notBreaching",
            AlarmActions=[topic],
            OKActions=[topic],
        )


def _charts(cluster: Ref, table: Ref, function: Ref) -> list[Chart]:
    def text(reference: Ref) -> str:
        name: str = reference.data["Ref"]
        return "${" + name + "}"

    def aurora(name: str, *roles: str) -> list[list[str]]:
        return [["AWS/RDS", name, "DBClusterIdentifier", text(cluster), "Role", role] for role in roles]

    def metrics(*names: str) -> list[list[str]]:
        return [["AWS/DynamoDB", name, "TableName", text(table)] for name in names]

    def invoked(*names: str) -> list[list[str]]:
        return [["AWS/Lambda", name, "FunctionName", text(function)] for name in names]

    return [
        Chart("Aurora: processor, %", aurora("CPUUtilization", "WRITER", "READER")),
        Chart("Aurora: connections", aurora("DatabaseConnections", "WRITER", "READER")),
        Chart("Aurora: the reader behind the writer, milliseconds", aurora("AuroraReplicaLag", "READER"), "Maximum"),
        Chart("DynamoDB: capacity used, units", metrics("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"), "Sum"),
        Chart("DynamoDB: throttled", metrics("ReadThrottleEvents", "WriteThrottleEvents"), "Sum"),
        Chart("Function: invocations and errors", invoked("Invocations", "Errors"), "Sum"),
        Chart("Function: duration, milliseconds", invoked("Duration"), "Maximum"),
    ]
