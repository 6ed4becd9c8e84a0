"""The steps of a failover, for each kind of database, in the order in which the function makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.journal import FAILOVER, SWITCHOVER, acted

AURORA, REPLICA = "aurora", "replica"
"""The kinds: a global database, whose clusters change their roles; and a read replica, which is promoted."""

FENCE, PROMOTE, VERIFY, SECRET_HERE = "fence", "promote", "verify", "secret-here"
WRITES_STOPPED, HOME_PROMOTED = "writes-stopped", "home-promoted"
"""Of a failback that makes instances anew: after the one nobody writes, until the primary does, which the other asks for."""

ACCEPTED = acted(PROMOTE)
"""What a step's report is called that says of the promotion that the service has accepted it."""


@dataclass(frozen=True)
class Step:
    """``requests`` have it; AWS takes its time for one that is ``awaited``, so that another run sees that it is over; one that
    ``mends`` is made only where an earlier one could not do all.

    Its place gives it its number in the journal, also where it is left out.
    """

    name: str
    requests: tuple[str, ...] = (SWITCHOVER, FAILOVER)
    awaited: bool = False
    mends: bool = False


STEPS: Mapping[str, tuple[Step, ...]] = {
    AURORA: (
        Step(FENCE, requests=(FAILOVER,)),  # a switchover is one of the service, which loses nothing
        Step("capacity"),
        Step(PROMOTE, awaited=True),
        Step(VERIFY),
        Step("way-open", mends=True),
        Step("capacity-again", mends=True),
        Step("backup"),
    ),
    REPLICA: (
        Step(FENCE),
        Step("caught-up", requests=(SWITCHOVER,), awaited=True),
        Step(PROMOTE, awaited=True),
        Step(VERIFY),
        Step("way-open", mends=True),
        Step("files", awaited=True),
        Step("secret"),
        Step(SECRET_HERE),
        Step("rotation"),
        Step("backup"),
    ),
}
