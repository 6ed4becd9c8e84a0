"""Redis in ElastiCache: encrypted, entered by name only, alive after the loss of a zone, logged, restorable and watched."""

from __future__ import annotations

from collections.abc import Iterator

from compliance.rules import alarms, kms
from model import Rule
from model.architecture import metrics_of
from model.view import Resource

GROUP = ("AWS::ElastiCache::ReplicationGroup",)
USER = "AWS::ElastiCache::User"
LOGS = {"slow-log", "engine-log"}
WATCHED = {"EngineCPUUtilization", "DatabaseMemoryUsagePercentage", "Evictions", "ReplicationLag", "CurrConnections"}
LEAST_SNAPSHOT_DAYS = 1

LONGEST_NAME, LONGEST_SUFFIX = 40, "s" * 16
"""ElastiCache's limit, and what an environment may add (model.SUFFIX)."""


def _customer_key(group: Resource) -> tuple[str, bool]:
    return "KmsKeyId", group.true("AtRestEncryptionEnabled") and kms.key_of(group, "KmsKeyId") is not None


def _tls_required(group: Resource) -> tuple[str, bool]:
    required = group.proves(lambda value: str(value).lower() == "required", "TransitEncryptionMode")
    return "TransitEncryptionMode", group.true("TransitEncryptionEnabled") and required


def _users(group: Resource) -> Iterator[Resource | None]:
    for users in group.members("UserGroupIds"):
        yield from users.members("UserIds") if users is not None and users.certain else (None,)


def _words(user: Resource) -> list[str]:
    return str(user.get("AccessString")).split()


def _named_users(group: Resource) -> tuple[str, bool]:
    """Whether every user is ours, the one called default is off, and the others have a password and not every command."""
    users = list(_users(group))
    known = [user for user in users if user is not None and user.type == USER and user.certain]
    nobody = [user for user in known if user.get("UserName") == "default"]
    others = [user for user in known if user.get("UserName") != "default"]
    return "UserGroupIds", len(known) == len(users) and bool(nobody) and all(map(_is_off, nobody)) and all(map(_is_bound, others))


def _is_off(user: Resource) -> bool:
    words = _words(user)
    return "off" in words and "on" not in words and not any(word.startswith("+") for word in words)


def _is_bound(user: Resource) -> bool:
    """Whether a user needs a password or a role, and begins with nothing."""
    words = _words(user)
    free = user.true("NoPasswordRequired") or user.get("AuthenticationMode", "Type") == "no-password-required"
    proven = user.get("Passwords") or user.get("AuthenticationMode")
    everything = {"+@all", "allcommands", "~*", "allkeys"} & set(words)
    return bool(proven) and not free and not everything


def _multi_az(group: Resource) -> tuple[str, bool]:
    nodes = group.bounded("NumCacheClusters", least=2) or group.bounded("ReplicasPerNodeGroup", least=1)
    return "MultiAZEnabled", group.true("MultiAZEnabled") and group.true("AutomaticFailoverEnabled") and nodes


def _logged(group: Resource) -> tuple[str, bool]:
    """Whether each kind of log goes to a log group of ours."""
    delivered = {
        each.get("LogType")
        for each in group.get("LogDeliveryConfigurations") or []
        if each.get("DestinationType") == "cloudwatch-logs" and _is_log_group(group, each)
    }
    return "LogDeliveryConfigurations", delivered >= LOGS


def _is_log_group(group: Resource, delivery: dict[str, dict[str, dict[str, object]]]) -> bool:
    name = delivery.get("DestinationDetails", {}).get("CloudWatchLogsDetails", {}).get("LogGroup")
    found = alarms.named(group, "AWS::Logs::LogGroup", name)
    return found is not None and found.certain


def _name_legal(group: Resource) -> tuple[str, bool]:
    """Whether the name fits with the longest suffix. ElastiCache names one by itself where none is given."""
    name = group.text("ReplicationGroupId")
    return "ReplicationGroupId", name is not None and len(name.replace("${EnvironmentSuffix}", LONGEST_SUFFIX)) <= LONGEST_NAME


def _snapshots(group: Resource) -> tuple[str, bool]:
    return "SnapshotRetentionLimit", group.bounded("SnapshotRetentionLimit", least=LEAST_SNAPSHOT_DAYS)


def _alarmed(group: Resource) -> tuple[str, bool]:
    """Whether alarms watch every node, which are called after the group: id-001, id-002 and so on."""
    nodes, name = group.get("NumCacheClusters"), group.text("ReplicationGroupId")
    watched = {
        (metric.get("MetricName"), alarm.view.text(alarm.layer, dimension["Value"]))
        for alarm in group.view.resources(alarms.ALARM)
        if alarm.certain
        for metric in metrics_of(alarm)
        if metric.get("Namespace") == "AWS/ElastiCache"
        for dimension in metric.get("Dimensions") or []
    }
    wanted = {
        (metric, f"{name}-{node:03d}") for metric in WATCHED for node in range(1, int(nodes) + 1 if isinstance(nodes, int) else 1)
    }
    return "ReplicationGroupId", bool(wanted) and watched >= wanted


customer_key = Rule(
    "elasticache.customer_key",
    "Snapshots, and what nodes write to disk, are encrypted with a customer-managed key.",
    "Only the owner of the key's policy decides who may decrypt.",
    "AWS Security Hub ElastiCache.4",
    GROUP,
    _customer_key,
)
tls_required = Rule(
    "elasticache.tls_required",
    "Clients and replicas speak TLS; clear connections are refused, and not merely unnecessary.",
    "Where both are offered, a client that forgets TLS sends its password in clear.",
    "AWS Security Hub ElastiCache.5",
    GROUP,
    _tls_required,
)
named_users = Rule(
    "elasticache.named_users",
    "Users come from a group, the default one is off, and the others need a password and have no more than named commands.",
    "Whoever connects without a name is the default user.",
    "AWS Security Hub ElastiCache.6; Amazon ElastiCache User Guide, Role-Based Access Control",
    GROUP,
    _named_users,
)
multi_az = Rule(
    "elasticache.multi_az",
    "Replicas stand in other zones, and one takes over by itself.",
    "The loss of a node or a zone costs seconds, and no decision.",
    "AWS Security Hub ElastiCache.3",
    GROUP,
    _multi_az,
)
logged = Rule(
    "elasticache.logged",
    "The slow log and the engine's log go to log groups of ours.",
    "They show what happened before a failover, and which command held up the others.",
    "Amazon ElastiCache User Guide, Log delivery",
    GROUP,
    _logged,
)
snapshots = Rule(
    "elasticache.snapshots",
    "A snapshot is taken every day.",
    "Sessions survive what takes every node.",
    "AWS Security Hub ElastiCache.1",
    GROUP,
    _snapshots,
)
alarmed = Rule(
    "elasticache.alarmed",
    "Alarms watch the processor, memory, evictions, replication lag and connections of every node.",
    "After a failover another node is the primary.",
    "Amazon ElastiCache User Guide, Which metrics should I monitor?",
    GROUP,
    _alarmed,
)
name_legal = Rule(
    "elasticache.name_legal",
    f"The group's name has {LONGEST_NAME} characters or fewer, whatever the environment's suffix.",
    "ElastiCache refuses a longer one when the group is made, and no linter says so.",
    "Amazon ElastiCache API Reference, CreateReplicationGroup: ReplicationGroupId",
    GROUP,
    _name_legal,
)
