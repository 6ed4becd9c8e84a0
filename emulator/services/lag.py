"""RDS: the metrics of replication, measured when asked: how far standbys are behind, in the regions where AWS publishes it."""

from __future__ import annotations

import time
from typing import Any

from emulator import darkness, databases

RPO = ("AuroraGlobalDBRPOLag", "AuroraGlobalDBReplicationLag")


def measure() -> dict[str, Any]:
    """Publishes the lag of each standby that follows; of one that does not there is no metric, as on AWS."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    for arn, source in databases.standbys().items():
        _, _, _, region, account, kind, name = arn.split(":")
        from_region = source.split(":")[3]
        seconds = None if darkness.is_dark(region) else databases.lag(arn, cut_off=darkness.is_dark(from_region))
        if seconds is None:
            continue
        with request_scope(account, region):
            if kind == "db":
                cloudwatch.record_metric("AWS/RDS", "ReplicaLag", seconds, "Seconds", {"DBInstanceIdentifier": name})
            else:
                # Which dimensions AWS gives them is not quite clear, so they have data on each that its documents name.
                for dimensions in (
                    {"SourceRegion": from_region},
                    {"DBClusterIdentifier": name},
                    {"DBClusterIdentifier": name, "SourceRegion": from_region},
                ):
                    for metric in RPO:
                        cloudwatch.record_metric("AWS/RDS", metric, seconds * 1000, "Milliseconds", dimensions)
            cloudwatch._evaluate_all_alarms()
    return {"at": time.time()}
