"""A way back: what brings one resource of a system back after one disruption."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from model import Disruption
from recovery.terms import Chain, Place


class Strategy(StrEnum):
    """As AWS's whitepaper *Disaster Recovery of Workloads on AWS* calls them, and what is none of them."""

    NONE = "none"
    ROTATION = "new credential"
    AVAILABILITY = "high availability within the region"
    BACKUP = "backup and restore"
    PILOT_LIGHT = "pilot light"
    WARM_STANDBY = "warm standby"


@dataclass(frozen=True)
class Reach:
    """How late a disruption may be noticed and still be undone, and where that stands."""

    length: timedelta
    place: Place


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way back. ``first`` is the way that is held against the objectives; others are published beside it."""

    disruption: Disruption
    subject: Place
    region: str
    mechanism: str
    strategy: Strategy
    time: Chain
    loss: Chain
    reach: Reach | None = None
    first: bool = True
