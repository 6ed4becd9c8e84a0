"""The evidence layer."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from troposphere import GetAtt, Ref, Sub, cloudwatch

from generator.layer import Layer
from generator.parts.alarm import Metric, alarm
from generator.template import Template
from model import RECOVERY, Site
from protocol.metrics import DIMENSION, NAMESPACE, PRIMARY_REACHABLE, REPLICA_DATA_AGE
from protocol.topology import LAYER

FAILOVER = f"function-{LAYER}"
"""The function that publishes whether the primary answers; it needs these alarms, so they know it by its name."""


@dataclass(frozen=True, kw_only=True)
class Evidence(Layer):
    """The two pieces of evidence for the loss of the primary, seen from the recovery site, and the alarm that both are there.

    Old data alone may be a slow link, a silent primary alone the way to it. ``stale_after`` is how old data may be. Silence is
    trouble to both. What only notifies, such as a metric of lag, is no part of it.
    """

    name: str = "evidence"
    sites: tuple[Site, ...] = (RECOVERY,)
    stale_after: timedelta

    def define(self, t: Template) -> None:
        topic = t.output_of("notify.TopicArn")
        seconds = int(self.stale_after.total_seconds())

        def named(name: str, statistic: str, function: Any) -> Metric:
            return Metric(namespace=NAMESPACE, name=name, statistic=statistic, dimensions={DIMENSION: function})

        stale = alarm(
            t,
            "ReplicaDataStale",
            "replica-data-stale",
            f"For 3 minutes the data at this site have been older than {seconds} seconds, or nobody could say how old they are. "
            "So much would be lost with the primary. Look at the replica, and at the heartbeat of the site that writes.",
            named(REPLICA_DATA_AGE, "Maximum", t.output_of("replica-age.FunctionName")),
            "GreaterThanThreshold",
            seconds,
            topic,
            periods=3,
            missing="breaching",
        )
        unreachable = alarm(
            t,
            "PrimaryUnreachable",
            "primary-unreachable",
            "For 3 minutes the probe at the primary has not answered, or its database takes no write, or nobody asked. Look at "
            "the region's health and at the failover function's log.",
            named(PRIMARY_REACHABLE, "Maximum", t.named(FAILOVER)),
            "LessThanThreshold",
            1,
            topic,
            periods=3,
            missing="breaching",
        )
        t.section("Two pieces, each of which notifies and decides nothing.", stale, unreachable)
        both = cloudwatch.CompositeAlarm(
            "FailoverEvidence",
            AlarmName=t.named("alarm-failover-evidence"),
            AlarmDescription="The data here are stale and the primary does not answer: on this evidence the failover function "
            "decides. Expect its notification, with what it does or why it refuses.",
            AlarmRule=Sub('ALARM("${Stale}") AND ALARM("${Unreachable}")', Stale=Ref(stale), Unreachable=Ref(unreachable)),
            ActionsEnabled=True,
            AlarmActions=[topic],
            OKActions=[topic],
        )
        t.section("Both together: what a failover may begin with.", both)
        t.output("AlarmName", Ref(both), "The alarm on both pieces of evidence.")
        t.output("AlarmArn", GetAtt(both, "Arn"), "The alarm on both pieces of evidence.")
        t.output("StaleAlarmName", Ref(stale), "The alarm on stale data.")
        t.output("UnreachableAlarmName", Ref(unreachable), "The alarm on a primary that does not answer.")
