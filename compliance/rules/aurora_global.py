"""Global databases: secondaries that AWS accepts, under keys of their own, and whose lag and capacity are watched."""

from __future__ import annotations

from typing import Any

from compliance.rules import alarms, kms, rds
from compliance.rules.resources import deleted_with_stack
from model import Rule
from model.architecture import sites_named, source_of
from model.view import Resource, absent_or_false

WHOLE = "AWS::RDS::GlobalCluster"
CLUSTER = (rds.CLUSTER,)
OF_THE_PRIMARY = ("DatabaseName", "MasterUserPassword", "MasterUsername", "ManageMasterUserPassword", "SnapshotIdentifier")
"""What a secondary has from its primary; AWS refuses a secondary that says it."""

LAG = "AuroraGlobalDBRPOLag"


def members_of(whole: Resource) -> list[Resource]:
    """The clusters of a global database: the one around which it was made, and those that follow it."""
    home = whole.follow("SourceDBClusterIdentifier")
    following = [each for each in whole.view.resources(*CLUSTER) if each.certain and whole.is_(rds.followed_by(each))]
    return ([home] if home is not None and home.type == rds.CLUSTER else []) + following


def _accepted(cluster: Resource) -> tuple[str, bool] | None:
    if cluster.get("GlobalClusterIdentifier") is None:
        return None
    home = source_of(cluster)
    if home is None or home.type != rds.CLUSTER:
        return "GlobalClusterIdentifier", False
    own = [name for name in OF_THE_PRIMARY if cluster.get(name) is not None]
    alike = all(cluster.text(name) == home.text(name) is not None for name in ("Engine", "EngineVersion"))
    signed = home.is_(alarms.cluster_in_region(cluster, cluster.get("SourceRegion")))
    return (own or ["EngineVersion"])[0], alike and signed and not own


def _own_key(cluster: Resource) -> tuple[str, bool] | None:
    """Whether the key is one of the secondary's own region: the wire to it must not lead to the other site."""
    if cluster.get("GlobalClusterIdentifier") is None:
        return None
    elsewhere = any(sites_named(cluster.view, cluster.layer, cluster.get("KmsKeyId")))
    key = kms.key_of(cluster, "KmsKeyId")
    here = key is not None and not elsewhere and set(cluster.regions) <= set(key.regions)
    return "KmsKeyId", here


def _lag_watched(whole: Resource) -> tuple[str, bool]:
    """Whether each region hears of the lag behind each other one: which of them follows changes with a failover."""
    members = members_of(whole)
    pairs = [(one, other) for one in members for other in members if not one.is_(other)]
    return "SourceDBClusterIdentifier", bool(pairs) and all(
        any(_watches_lag(alarm, one, other) for alarm in whole.view.resources(alarms.ALARM)) for one, other in pairs
    )


def _watches_lag(alarm: Resource, here: Resource, other: Resource) -> bool:
    dimensions: list[dict[str, Any]] = alarm.get("Dimensions") or []
    return (
        alarm.certain
        and (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/RDS", LAG)
        and set(here.regions) <= set(alarm.regions)
        and any(other.is_(alarms.cluster_in_region(alarm, each.get("Value"))) for each in dimensions)
    )


def _capacity_watched(cluster: Resource) -> tuple[str, bool] | None:
    if cluster.get("ServerlessV2ScalingConfiguration") is None:
        return None
    return "ServerlessV2ScalingConfiguration", any(
        alarm.certain and alarm.get("MetricName") == "ACUUtilization" and rds.watches(alarm, cluster)
        for alarm in cluster.view.resources(alarms.ALARM)
    )


def _destroyable(whole: Resource) -> tuple[str, bool]:
    return "DeletionProtection", whole.proves(absent_or_false, "DeletionProtection") and deleted_with_stack(whole)


accepted = Rule(
    "secondaries.accepted",
    "A secondary says engine and version as its primary does, names that one's region, and brings no user or database of its "
    "own.",
    "AWS refuses any other, and no linter says so.",
    "Amazon Aurora User Guide, Configuration requirements of an Amazon Aurora global database; AWS CloudFormation Template "
    "Reference, AWS::RDS::DBCluster SourceRegion",
    CLUSTER,
    _accepted,
)
own_key = Rule(
    "secondaries.own_key",
    "A secondary is encrypted with a customer-managed key of its own region.",
    "A key does not leave its region: a replica under another one's key dies with that region.",
    "Amazon RDS API Reference, CreateDBCluster: KmsKeyId",
    CLUSTER,
    _own_key,
)
lag_watched = Rule(
    "secondaries.lag_watched",
    "In the region of every cluster of a global database an alarm watches how far it is behind each other one.",
    "The lag is what a failover loses; it is published where the secondary is, and that changes with a failover.",
    "Amazon Aurora User Guide, Amazon CloudWatch metrics for Amazon Aurora: AuroraGlobalDBRPOLag",
    (WHOLE,),
    _lag_watched,
)
capacity_watched = Rule(
    "secondaries.capacity_watched",
    "An alarm watches how much of its capacity a cluster that scales by itself has used.",
    "At its most capacity a writer slows down, and a reader falls behind.",
    "Amazon Aurora User Guide, Performance and scaling for Aurora Serverless v2: ACUUtilization",
    CLUSTER,
    _capacity_watched,
)
destroyable = Rule(
    "secondaries.destroyable",
    "The global database goes with its stack: no deletion protection.",
    "Every environment can be destroyed without a manual step.",
    "requirement A-03",
    (WHOLE,),
    _destroyable,
)
