"""Metrics without a network call: CloudWatch reads them out of the log line (embedded metric format).

No permission for PutMetricData and no endpoint for CloudWatch is needed; the log group is the only way out that there is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from common.report import say
from protocol.metrics import DIMENSION, NAMESPACE, PUBLISHED


def emit(package: str, values: Mapping[str, float], of: str = "") -> None:
    """One line with ``values``, under this function's name and what they are ``of``; nothing that is not known of its package."""
    known = PUBLISHED[package]
    if (of and of not in known.values) or not values.keys() <= known.units.keys():
        raise ValueError(f"{package} is not known to publish {', '.join(values)} {of}")
    function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", package.replace("_", "-"))
    dimensions = {DIMENSION: function, **({known.dimension: of} if known.dimension else {})}
    about = {
        "Timestamp": int(time.time() * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": NAMESPACE,
                "Dimensions": [list(dimensions)],
                "Metrics": [{"Name": name, "Unit": known.units[name]} for name in values],
            }
        ],
    }
    say(_aws=about, **dimensions, **values)
