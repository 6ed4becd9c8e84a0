"""Metrics without a network call: CloudWatch reads them out of the log line (embedded metric format).

No permission for PutMetricData and no endpoint for CloudWatch is needed; the log group is the only way out that there is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from common.report import say

NAMESPACE = "Standby"


def emit(dimensions: Mapping[str, str], values: Mapping[str, tuple[float, str]]) -> None:
    """One line with ``values`` (name to value and CloudWatch unit), all of them under these ``dimensions``."""
    about = {
        "Timestamp": int(time.time() * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": NAMESPACE,
                "Dimensions": [list(dimensions)],
                "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in values.items()],
            }
        ],
    }
    say(_aws=about, **dimensions, **{name: value for name, (value, _) in values.items()})
