"""Says how old the data at this site are: the age of the heartbeat that the database here shows, which is what would be lost.

Where nobody writes a heartbeat, for the source belongs to somebody else, the time of the last transaction that was replayed
stands for it: never younger than the data, and older while the source is idle. What cannot be read publishes nothing; that is
the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common import metrics, site
from common.database import Connection
from common.report import FunctionError, say

from protocol.metrics import REPLICA_DATA_AGE

APPLICATION = "standby-replica-age"
PRESENT = "SELECT to_regclass('dr_heartbeat') IS NOT NULL"
AGE = "SELECT extract(epoch FROM clock_timestamp() - ts)::float8, ts, epoch FROM dr_heartbeat WHERE id = 1"
REPLAYED = (
    "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8, "
    "pg_last_xact_replay_timestamp(), NULL WHERE pg_last_xact_replay_timestamp() IS NOT NULL"
)


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """What a schedule invokes every minute, and a failover that wants to know at once."""
    report = site.asked(APPLICATION, _age)
    say(event="replica-age", **report)
    metrics.emit("replica_age", {REPLICA_DATA_AGE: report["seconds"]})
    return report


def _age(connection: Connection) -> dict[str, Any]:
    replica = connection.scalar("SELECT pg_is_in_recovery()")
    by = "heartbeat" if connection.scalar(PRESENT) else "replay"
    rows = connection.run(AGE if by == "heartbeat" else REPLAYED)
    if not rows:
        raise FunctionError(
            "The database holds no heartbeat, and has replayed no transaction by which its data could be dated. Look at the "
            "heartbeat function of the site that writes."
        )
    [[seconds, at, epoch]] = rows
    # The two servers' clocks may differ by milliseconds; what is younger than now has no age.
    return {"seconds": max(0.0, round(seconds, 3)), "at": at.isoformat(), "by": by, "epoch": epoch, "in_recovery": replica}
