"""The metrics that our functions publish, and under which dimensions: alarms may watch these and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NAMESPACE = "Standby"
DIMENSION = "FunctionName"
"""Of every metric: the function that publishes it."""

PRIMARY_ACTIVE, PRIMARY_REACHABLE = "PrimaryActive", "PrimaryReachable"
HEARTBEAT_WRITTEN, REPLICA_DATA_AGE = "HeartbeatWritten", "ReplicaDataAge"
WORKS, LATENCY = "Works", "Latency"
SEGMENTS_WRITTEN, TRANSACTIONS_ARCHIVED, GAPS = "SegmentsWritten", "TransactionsArchived", "Gaps"
ARCHIVE_LAG_SECONDS, ARCHIVE_LAG_BYTES = "ArchiveLagSeconds", "ArchiveLagBytes"
SLOT_UNBOUNDED, SLOT_SAFE_BYTES = "SlotUnbounded", "SlotSafeBytes"
RESTORE_SECONDS, RESTORE_VALID = "RestoreSeconds", "RestoreValid"


@dataclass(frozen=True)
class Published:
    """Metric -> its unit; and the dimension beside FunctionName, where there is one, with its values."""

    units: Mapping[str, str]
    dimension: str = ""
    values: tuple[str, ...] = ()


PUBLISHED: Mapping[str, Published] = {
    "failover": Published({PRIMARY_ACTIVE: "None", PRIMARY_REACHABLE: "None"}),
    "health": Published({WORKS: "Count", LATENCY: "Milliseconds"}, "Dependency", ("secret", "database", "table", "bucket")),
    "heartbeat": Published({HEARTBEAT_WRITTEN: "Count"}),
    "log_archive": Published(
        {
            SEGMENTS_WRITTEN: "Count",
            TRANSACTIONS_ARCHIVED: "Count",
            GAPS: "Count",
            SLOT_UNBOUNDED: "Count",
            ARCHIVE_LAG_SECONDS: "Seconds",
            ARCHIVE_LAG_BYTES: "Bytes",
            SLOT_SAFE_BYTES: "Bytes",
        }
    ),
    "replica_age": Published({REPLICA_DATA_AGE: "Seconds"}),
    "restore_validator": Published({RESTORE_VALID: "Count", RESTORE_SECONDS: "Seconds"}),
}
"""By the package that a function runs."""
