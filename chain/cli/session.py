"""What the verbs share: what the command line says, the words to a person, the one question, and the record."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TextIO

from chain.cloudformation.account import caller, ordinary_clients
from chain.cloudformation.durations import Durations
from chain.cloudformation.stack import Report, StackEvent
from chain.environment.exit_codes import ended
from chain.environment.graph import Graph, open_environment
from chain.failover import topology
from chain.run import record
from chain.run.record import Earlier, Record
from chain.run.run import Run


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
    resume: str  # the command that goes on from this one


MEMORY = Path("out", "durations.json")
"""Where durations are kept from run to run."""


def opened(root: Path, options: Options, graph: Graph | None = None) -> Run:
    """The run of a command: its environment, and in whose name it is asked about. All that needs no AWS is checked before."""
    graph = graph or open_environment(root, options.env, options.system)
    clients = ordinary_clients()
    run = Run(
        clients,
        graph,
        caller=caller(clients, graph.regions),
        packages=root / "out" / "packages",
        durations=Durations(root / MEMORY),
    )
    say([str(run.caller), ""], out(options))
    return run


def say(lines: Iterable[str], out: TextIO | None = None) -> None:
    """Write lines at once: a person is waiting for them."""
    for line in lines:
        print(line, flush=True, file=out)


def out(options: Options) -> TextIO:
    """Where a person is told: beside the record if that is what is asked for."""
    return sys.stderr if options.json else sys.stdout


def agreed(question: str = "Delete all of this? It cannot be undone. Type yes: ", out: TextIO | None = None) -> bool:
    """Ask the one question; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        print("Nobody is here to be asked: YES=1 does all of this.", file=sys.stderr)
        return False
    print(question, end="", flush=True, file=out)
    if input().strip().lower() == "yes":
        return True
    print("Nothing was done.", file=out)
    return False


@contextmanager
def recorded(
    command: str, root: Path, options: Options, run: Run, shown: Report, earlier: Earlier | None = None
) -> Iterator[tuple[Record, Run]]:
    """A record from the beginning to the end of a command, however it ends, and the run that is kept in it while it is shown."""
    path = root / record.FOLDER / f"{record.name(options.env, command)}.ndjson"
    kept = Record(path, run.clients, sys.stdout if options.json else None)
    given = {"account": run.caller.account, "actor": run.caller.arn, "regions": [region for region, _ in run.caller.endpoints]}
    before = {"continues": earlier.name} if earlier is not None else {}
    kept("run", version=record.VERSION, command=command, env=options.env, systems=options.system, **given, **before)
    say([f"Record   {path.stem}", ""], out(options))

    def report(news: StackEvent) -> None:
        shown(news)
        kept.news(news)

    try:
        yield kept, replace(run, report=report, note=kept)
    except BaseException as error:
        kept("stopped", error=type(error).__name__, reason=str(error))
        kept.close(ended(error))
        raise
    kept.close(kept.code)


def remembered(run: Run, suffix: str) -> tuple[list[topology.Record], list[str]]:
    """What recovery regions remember, and of which systems nothing is known, and why: one that is dark hides nothing else."""
    from chain.cloudformation import reachable_regions

    known: list[topology.Record] = []
    silent: list[str] = []
    for place in topology.places([stack.template for stack in run.graph.stacks], suffix):
        found, why = reachable_regions.asked(place.region, partial(topology.read, run.clients, place))
        known += [found] if found is not None else []
        silent += [f"{place.system}-{place.suffix}  NOT SEEN: {why}"] if why else []
    return known, silent
