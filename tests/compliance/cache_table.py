"""The table of test_rules for Redis in ElastiCache."""

from __future__ import annotations

from typing import Any

from tests.support.compliance.small_system import GONE

Changes = list[tuple[str, Any]]


def _of(title: str) -> str:
    return f"cache/Resources/{title}/Properties"


SESSIONS, NOBODY, APPLICATION, USERS = _of("Sessions"), _of("Nobody"), _of("Application"), _of("Users")
LOGS = f"{SESSIONS}/LogDeliveryConfigurations"
FUNCTION = "data/Resources/Function/Properties/Environment/Variables"

BREAKS: list[tuple[str, str, Changes]] = [
    ("elasticache.customer_key", "cache.Sessions", [(f"{SESSIONS}/KmsKeyId", GONE)]),
    (
        "elasticache.name_legal",
        "cache.Sessions",
        [(f"{SESSIONS}/ReplicationGroupId", {"Fn::Sub": "g" * 25 + "${EnvironmentSuffix}"})],
    ),
    ("elasticache.name_legal", "cache.Sessions", [(f"{SESSIONS}/ReplicationGroupId", GONE)]),
    ("elasticache.customer_key", "cache.Sessions", [(f"{SESSIONS}/AtRestEncryptionEnabled", False)]),
    ("elasticache.tls_required", "cache.Sessions", [(f"{SESSIONS}/TransitEncryptionMode", "preferred")]),
    ("elasticache.tls_required", "cache.Sessions", [(f"{SESSIONS}/TransitEncryptionMode", GONE)]),
    ("elasticache.tls_required", "cache.Sessions", [(f"{SESSIONS}/TransitEncryptionEnabled", GONE)]),
    ("elasticache.named_users", "cache.Sessions", [(f"{SESSIONS}/UserGroupIds", GONE)]),
    ("elasticache.named_users", "cache.Sessions", [(f"{SESSIONS}/UserGroupIds", ["elsewhere"])]),
    ("elasticache.named_users", "cache.Sessions", [("cache/Resources/Users/Condition", "Sometimes")]),
    ("elasticache.named_users", "cache.Sessions", [(f"{USERS}/UserIds/0", "default")]),
    ("elasticache.named_users", "cache.Sessions", [("cache/Resources/Nobody/Condition", "Sometimes")]),
    ("elasticache.named_users", "cache.Sessions", [(f"{NOBODY}/AccessString", "on -@all")]),
    ("elasticache.named_users", "cache.Sessions", [(f"{NOBODY}/AccessString", "off on -@all")]),
    ("elasticache.named_users", "cache.Sessions", [(f"{NOBODY}/AccessString", "off +@all")]),
    ("elasticache.named_users", "cache.Sessions", [(f"{APPLICATION}/AccessString", "on ~* -@all +get")]),
    ("elasticache.named_users", "cache.Sessions", [(f"{APPLICATION}/AccessString", "on ~session:* +@all")]),
    ("elasticache.named_users", "cache.Sessions", [(f"{APPLICATION}/Passwords", GONE)]),
    ("elasticache.named_users", "cache.Sessions", [(f"{APPLICATION}/NoPasswordRequired", True)]),
    (
        "elasticache.named_users",
        "cache.Sessions",
        [(f"{APPLICATION}/AuthenticationMode", {"Type": "no-password-required"})],
    ),
    ("elasticache.multi_az", "cache.Sessions", [(f"{SESSIONS}/MultiAZEnabled", GONE)]),
    ("elasticache.multi_az", "cache.Sessions", [(f"{SESSIONS}/AutomaticFailoverEnabled", False)]),
    ("elasticache.multi_az", "cache.Sessions", [(f"{SESSIONS}/NumCacheClusters", 1)]),
    ("elasticache.multi_az", "cache.Sessions", [(f"{SESSIONS}/NumCacheClusters", {"Ref": "Nodes"})]),
    ("elasticache.logged", "cache.Sessions", [(f"{LOGS}/0", GONE)]),
    ("elasticache.logged", "cache.Sessions", [(f"{LOGS}/1/DestinationType", "kinesis-firehose")]),
    ("elasticache.logged", "cache.Sessions", [(f"{LOGS}/1/DestinationDetails", {})]),
    ("elasticache.logged", "cache.Sessions", [("cache/Resources/SlowGroup/Condition", "Sometimes")]),
    ("elasticache.snapshots", "cache.Sessions", [(f"{SESSIONS}/SnapshotRetentionLimit", 0)]),
    ("elasticache.snapshots", "cache.Sessions", [(f"{SESSIONS}/SnapshotRetentionLimit", GONE)]),
    ("elasticache.alarmed", "cache.Sessions", [("cache/Resources/Evictions2", GONE)]),
    ("elasticache.alarmed", "cache.Sessions", [("cache/Resources/ReplicationLag1/Condition", "Sometimes")]),
    ("elasticache.alarmed", "cache.Sessions", [(f"{SESSIONS}/NumCacheClusters", 3)]),
    ("elasticache.alarmed", "cache.Sessions", [(f"{SESSIONS}/NumCacheClusters", {"Ref": "Nodes"})]),
    ("alarms.metric_exists", "cache.Evictions1", [(f"{_of('Evictions1')}/Dimensions/0/Name", "ReplicationGroupId")]),
    ("alarms.metric_exists", "cache.Evictions1", [(f"{_of('Evictions1')}/Dimensions/0/Value", "elsewhere-001")]),
    (
        "reach.peers",
        "data.Function",
        [
            ("data/Metadata/Layer/Imports/CacheEndpoint", "cache.Endpoint"),
            ("data/Parameters/CacheEndpoint", {"Type": "String"}),
            (f"{FUNCTION}/CACHE_HOST", {"Ref": "CacheEndpoint"}),
        ],
    ),
]

BEARS: list[tuple[str, str, Changes]] = [
    (
        "elasticache.named_users",
        "cache.Sessions",
        [(f"{APPLICATION}/Passwords", GONE), (f"{APPLICATION}/AuthenticationMode", {"Type": "iam"})],
    ),
    (
        "elasticache.multi_az",
        "cache.Sessions",
        [(f"{SESSIONS}/NumCacheClusters", GONE), (f"{SESSIONS}/ReplicasPerNodeGroup", 1)],
    ),
]
