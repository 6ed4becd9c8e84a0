"""The small system with deviations, and what is found in it where its database has no standby."""

from __future__ import annotations

from compliance.check import check
from compliance.rules import rds
from model import Deviation, System
from tests.support.compliance.small_system import NO_STANDBY, changed, system

DEVIATIONS = (
    Deviation(rds.multi_az, "data.Instance", "One zone is enough for tests."),
    Deviation("LG-05", "data.Parameters", "Asked for."),
)

FOUND = check(system(*DEVIATIONS), changed(NO_STANDBY))


SYSTEM: System = system(*DEVIATIONS)
