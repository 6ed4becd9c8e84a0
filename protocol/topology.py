"""Which site writes: the newest topology is the truth, and an environment without one is at home."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from protocol.parameters import TOPOLOGY

HOME, AWAY, BROKEN = "home", "failed-over", "broken"

LAYER = "failover"
"""The layer of the function that decides, acts and remembers; its package is called the same."""

TAG = "Topology"
"""The tag of what a failover makes outside of every stack; its value is AWAY."""


def newest(values: Mapping[str, str]) -> dict[str, Any]:
    """Of all parameters, their names below the path; nothing where the system never was elsewhere."""
    names = sorted(each for each in values if each.startswith(TOPOLOGY))
    return dict(json.loads(values[names[-1]])) if names else {}
