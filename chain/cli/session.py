"""What commands share: the account they work in, the record they keep, how they tell a person, and how they ask."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TextIO

from chain.cloudformation import reachable_regions
from chain.cloudformation.account import Caller, caller, ordinary_clients
from chain.cloudformation.stack import Clients
from chain.environment.exit_codes import ended
from chain.environment.graph import Graph
from chain.failover import topology
from chain.run import record
from chain.run.record import Earlier, Record


class Options(Protocol):
    """What the command line says; a command reads only what belongs to it."""

    env: str
    system: list[str]
    yes: bool
    rotation_wait: float
    mode: str
    approve: str
    allow: list[str]
    reason: str
    plan: str
    save: str
    json: bool


DURATIONS = Path("out", "durations.json")
"""Where durations are kept from run to run."""


@dataclass(frozen=True)
class Session:
    """What a command works on."""

    root: Path
    options: Options
    resume: str
    graph: Graph
    clients: Clients
    who: Caller


def opened(root: Path, options: Options, resume: str, graph: Graph) -> Session:
    """A session in the account of whoever calls, which is shown first. What can be checked without AWS was checked before."""
    clients = ordinary_clients()
    session = Session(root, options, resume, graph, clients, caller(clients, graph.regions))
    say([str(session.who), ""], output(options))
    return session


def say(lines: Iterable[str], out: TextIO | None = None) -> None:
    """Print lines, each at once."""
    for line in lines:
        print(line, flush=True, file=out)


def output(options: Options) -> TextIO:
    """Where a person is told: beside the record if that is what is asked for."""
    return sys.stderr if options.json else sys.stdout


@contextmanager
def recorded(
    command: str, root: Path, options: Options, clients: Clients, who: Caller, earlier: Earlier | None = None
) -> Iterator[Record]:
    """A record from the beginning to the end of a command, however it ends."""
    path = root / record.FOLDER / f"{record.name(options.env, command)}.ndjson"
    kept = Record(path, clients, sys.stdout if options.json else None)
    given = {"account": who.account, "actor": who.arn, "regions": [region for region, _ in who.endpoints]}
    before = {"continues": earlier.name} if earlier is not None else {}
    kept("run", version=record.VERSION, command=command, env=options.env, systems=options.system, **given, **before)
    say([f"Record   {path.stem}", ""], output(options))
    try:
        yield kept
    except BaseException as error:
        kept("stopped", error=type(error).__name__, reason=str(error))
        kept.close(ended(error))
        raise
    kept.close(kept.code)


def topologies(session: Session) -> tuple[list[topology.Record], list[str]]:
    """What recovery regions remember, and of which systems nothing is known, and why: one that is dark hides nothing else."""
    known: list[topology.Record] = []
    silent: list[str] = []
    for place in topology.places([stack.template for stack in session.graph.stacks], session.options.env):
        found, why = reachable_regions.asked(place.region, partial(topology.read, session.clients, place))
        known += [found] if found is not None else []
        silent += [f"{place.system}-{place.suffix}  NOT SEEN: {why}"] if why else []
    return known, silent


def confirmed(question: str = "Delete all of this? It cannot be undone. Type yes: ", out: TextIO | None = None) -> bool:
    """Ask the one question; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        print("Nobody is here to be asked: YES=1 does all of this.", file=sys.stderr)
        return False
    print(question, end="", flush=True, file=out)
    if input().strip().lower() == "yes":
        return True
    print("Nothing was done.", file=out)
    return False
