"""What a rule has nothing to ask of, though it is of the rule's types: it is no evidence that the rule's statement is true."""

from __future__ import annotations

from typing import Any

from tests.support.compliance.small_system import GONE

Changes = list[tuple[str, Any]]

PARAMETERS = "data/Resources/Parameters/Properties/Parameters"
FUNCTION = "data/Resources/Function/Properties"
OPEN = {"Ref": "OpenTable"}
ROUTES = [(f"network/Resources/TableOf{zone}/Properties/RouteTableId", OPEN) for zone in "AB"]
ANOTHER_HOST = (f"{FUNCTION}/Environment/Variables/DATABASE_HOST", "elsewhere.example")

SPARED: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: nothing of it stands in the rule's way, and nothing shows that it holds
    ("rds.replica_watched", "data.Instance", [("elsewhere/Resources/Behind", GONE)]),
    ("rds.replicated_elsewhere", "platform.WriterInstance", [("elsewhere/Resources/Replica", GONE)]),
    ("rds.slots_bounded", "data.Instance", [(f"{PARAMETERS}/rds.logical_replication", "0")]),
    ("rds.slots_bounded", "platform.WriterInstance", []),
    ("rds.slots_watched", "data.Instance", [(f"{PARAMETERS}/rds.logical_replication", "0")]),
    ("files.replica_watched", "elsewhere.FileSystem", [("platform/Resources/ReplicaTooOld", GONE)]),
    ("backup.continuous", "platform.Snapshots", []),
    ("backup.retention_agrees", "elsewhere.Replica", []),
    ("backup.clear_of_windows", "elsewhere.Files", []),
    ("backup.validated", "platform.TestInstance", []),
    ("backup.own_network", "platform.TestFiles", []),
    ("backup.own_key", "platform.TestInstance", []),
    ("s3.replicated_in_time", "base.Bucket", []),
    ("s3.replication_allowed", "base.Bucket", []),
    ("s3.replication_watched", "base.Bucket", []),
    ("s3.replica_kept_alike", "base.Bucket", [("base/Resources/Bucket/Properties/LifecycleConfiguration", GONE)]),
    ("secondaries.accepted", "platform.Cluster", []),
    ("secondaries.own_key", "platform.Cluster", [("platform/Resources/Cluster/Properties/KmsKeyId", GONE)]),
    ("secondaries.capacity_watched", "platform.Cluster", []),
    ("functions.in_vpc", "failover.Function", []),
    ("policies.nobody_named", "elsewhere.Vault", []),
    ("policies.not_public", "elsewhere.Vault", []),
    ("reach.endpoints", "data.Function", ROUTES),  # what has a way out needs no endpoint
    ("reach.endpoints", "data.Function", [(f"{FUNCTION}/Role", GONE)]),
    ("reach.endpoints", "failover.Function", []),
    ("reach.peers", "data.Function", [ANOTHER_HOST, (f"{FUNCTION}/FileSystemConfigs", GONE)]),
    ("trail.data_events", "base.Trail", [(f"{layer}/Resources", {}) for layer in ("whole", "second")]),
    ("trail.calls_recorded", "base.Trail", [(f"{layer}/Resources", {}) for layer in ("data", "platform", "failover")]),
    ("failover.lag_only_notifies", "data.CpuTooHigh", []),
    ("failover.goes_on", "failover.Reader", []),
    ("failover.outside_of_networks", "failover.Reader", []),
    ("failover.shorter_than_lease", "failover.Reader", [("failover/Resources/Reader/Properties/Timeout", 900)]),
    ("failover.configuration_kept", "failover.Reader", []),
    ("failover.apart_from_the_primary", "second.BehindPrimary", []),
    ("failover.apart_from_the_primary", "data.CpuTooHigh", []),
]
