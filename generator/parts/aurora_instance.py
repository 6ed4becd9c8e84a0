"""An instance of an Aurora cluster, and the subscription that tells what happens to instances."""

from __future__ import annotations

from typing import Any

from troposphere import Ref, Select, rds

from generator.template import Explained, Template

ENGINE = "aurora-postgresql"
MAINTENANCE = Explained(
    "sun:12:00-sun:13:00",
    "UTC. An AWS Backup rule owns the cluster's backups, so no backup window is stated, and this one lies outside the blocks of "
    "all our regions from which AWS draws it (model/facts/backup_windows.yaml).",
)
"""Of cluster and instances."""


def apply_immediately(t: Template) -> Ref:
    """The parameter that decides when changes apply that interrupt service."""
    return t.parameter(
        "ApplyImmediately",
        "Whether changes that interrupt service apply at once, or wait for the maintenance window.",
        Default="false",
        AllowedValues=["true", "false"],
    )


def aurora_instance(
    t: Template,
    kind: str,
    letter: str,
    *,
    cluster: Any,
    instance_class: str,
    monitoring_role: Any,
    at_once: Ref,
    insights_key: Ref | None,
    after: str = "",
) -> rds.DBInstance:
    """The instance ``<kind>-<letter>`` in the zone of its letter: A in the first, B in the second.

    It is made once ``after`` stands. Performance Insights are kept under ``insights_key``, and off without one.
    """
    zone = "ABC".index(letter)
    insights: dict[str, Any] = {"EnablePerformanceInsights": False}
    if insights_key is not None:
        insights = {
            "EnablePerformanceInsights": True,
            "PerformanceInsightsRetentionPeriod": 7,
            "PerformanceInsightsKMSKeyId": insights_key,
        }
    return rds.DBInstance(
        f"Instance{letter}",
        **({"DependsOn": [after]} if after else {}),
        DeletionPolicy="Delete",
        UpdateReplacePolicy="Delete",
        DBInstanceIdentifier=t.named(f"{kind}-{letter.lower()}"),
        DBClusterIdentifier=cluster,
        Engine=ENGINE,
        AutoMinorVersionUpgrade=False,
        DBInstanceClass=instance_class,
        AvailabilityZone=Select(zone, t.output_of("network.DatabaseZoneNames", "List<AWS::EC2::AvailabilityZone::Name>")),
        PromotionTier=zone,
        PubliclyAccessible=False,
        CACertificateIdentifier="rds-ca-rsa2048-g1",
        PreferredMaintenanceWindow=MAINTENANCE,
        ApplyImmediately=at_once,
        MonitoringInterval=60,
        MonitoringRoleArn=monitoring_role,
        **insights,
    )


def event_subscription(t: Template, title: str, kind: str, what: str, sources: list[Ref]) -> rds.EventSubscription:
    """What RDS tells of clusters or instances (``what``) goes to the topic."""
    return rds.EventSubscription(
        title,
        SubscriptionName=t.named(f"event-subscription-{kind}"),
        SnsTopicArn=t.output_of("notify.TopicArn"),
        SourceType=f"db-{what}",
        SourceIds=sources,
        Enabled=True,
    )
