"""What one run of a command works with; it is made by the command line, and goes down to the last stack as it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from chain.cloudformation.account import Caller
from chain.cloudformation.durations import Durations
from chain.cloudformation.stack import Clients, Report
from chain.environment.graph import Graph
from chain.run.lock import Locks
from chain.run.record import Note, nothing

ROTATION_PATIENCE = 120.0  # seconds; a function in a VPC takes about 20 s for its first run, Secrets Manager retries later


NOBODY = Caller("", "", ())


@dataclass(frozen=True)
class Run:
    """The way to AWS, the environment, who is told what happens, and what was said on the command line."""

    clients: Clients
    graph: Graph = field(default_factory=lambda: Graph((), {}))  # a destroy has none: it works on what stands
    report: Report = lambda _: None
    caller: Caller = NOBODY
    packages: Path = Path("out", "packages")  # of functions
    allowed: Collection[str] = ()  # logical ids of what may be lost or opened
    rotation_patience: float = ROTATION_PATIENCE
    durations: Durations = field(default_factory=Durations)
    locks: Locks | None = None  # if others than the caller's own
    note: Note = nothing  # keeps the record
    stop: Event = field(default_factory=Event)
