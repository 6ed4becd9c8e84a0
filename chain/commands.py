"""The commands: what each shows, calls and returns."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from chain import show
from chain.account import caller, ordinary_clients
from chain.graph import Graph, open_environment
from chain.outcome import Exit, InputError
from chain.parameters import check_suffix
from chain.progress import progress
from chain.stack import Clients
from chain.templates import load


class Options(Protocol):
    """What the command line says; a command reads only what belongs to it."""

    env: str
    system: list[str]
    yes: bool
    rotation_wait: float


def run(command: str, root: Path, options: Options, resume: str) -> Exit:
    """Run a command by its name. Everything that can be checked without AWS is checked before it is called."""
    if command == "destroy":
        return _destroy(root, options, resume)
    graph = open_environment(root, options.env, options.system)
    clients = ordinary_clients()
    _say([str(caller(clients, graph.regions)), ""])
    return {"plan": _plan, "deploy": _deploy, "status": _status, "drift": _drift}[command](root, graph, clients, options, resume)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _plan(root: Path, graph: Graph, clients: Clients, options: Options, resume: str) -> Exit:  # noqa: ARG001
    from chain.plan import plan

    steps = plan(graph, clients)
    _say(show.plan(graph, steps))
    return Exit.FAILED if any(step.action == "refused" for step in steps) else Exit.OK


def _deploy(root: Path, graph: Graph, clients: Clients, options: Options, resume: str) -> Exit:
    from chain.deploy import deploy

    telling = progress(sys.stdout, {stack.id: len(stack.template.resources) for stack in graph.stacks})
    try:
        result = deploy(graph, clients, telling, folder=root / "out" / "packages", rotation_patience=options.rotation_wait)
    finally:
        telling.close()
    _say(show.deployed(graph, result, resume))
    return Exit.FAILED if result.failed else Exit.OK


def _status(root: Path, graph: Graph, clients: Clients, options: Options, resume: str) -> Exit:  # noqa: ARG001
    from chain.status import status

    _say(show.status(status(graph, clients)))
    return Exit.OK


def _drift(root: Path, graph: Graph, clients: Clients, options: Options, resume: str) -> Exit:  # noqa: ARG001
    from chain.drift import drift

    found = drift(graph, clients)
    _say(show.drift(found))
    return Exit.DRIFT if found.differences else Exit.OK


def _destroy(root: Path, options: Options, resume: str) -> Exit:
    from chain.destroy import destroy, survey

    problems = check_suffix(options.env)
    if problems:
        raise InputError(problems)
    templates = load(root / "templates", options.system)
    clients = ordinary_clients()
    who = caller(clients, sorted({region for template in templates for region in template.sites.values()}))
    _say([str(who), ""])
    found = survey(templates, options.env, clients, who.account)
    _say(show.doomed(found))
    if (found.stacks or found.leftovers) and not options.yes and not _agreed():
        return Exit.LEFTOVERS
    telling = progress(sys.stdout, {each.id: len(each.resources) for each in found.stacks})
    try:
        result = destroy(found, templates, clients, telling, who.account)
    finally:
        telling.close()
    _say(show.destroyed(result, resume))
    return Exit.FAILED if result.failed else Exit.LEFTOVERS if result.left else Exit.OK


def _agreed() -> bool:
    """Ask the one question; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        print("Nobody is here to be asked: give --yes (or YES=1) to delete all of this.", file=sys.stderr)
        return False
    if input("Delete all of this? It cannot be undone. Type yes: ").strip().lower() == "yes":
        return True
    print("Nothing was deleted.")
    return False
