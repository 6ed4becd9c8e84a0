"""The parameters of Systems Manager that tell a failover what it may do, and remember what it did: their names below one path."""

from __future__ import annotations

CONFIG = "config/"
"""Below it stands what only a deployment may change."""

MODE, RPO = f"{CONFIG}mode", f"{CONFIG}rpo-seconds"
MOST_LAG, COOLDOWN = f"{CONFIG}max-lag-seconds", f"{CONFIG}cooldown-seconds"

MODES = AUTO, APPROVE, DISABLED = "auto", "approve", "disabled"
"""What the mode may say: a failover that alarms ask for begins, waits for an operator's approval, or is refused."""

TOPOLOGY, EXECUTION, LOCK, RELEASED = "topology/", "execution/", "lock/", "released/"
DESTROYING = "state/destroying"
"""The mark that the environment is being destroyed, so that nothing may fail over."""


def path(system: str, suffix: str) -> str:
    """What the names of all parameters of an environment begin with."""
    return f"/{system}/{suffix}/"
