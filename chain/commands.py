"""The commands: what each shows, calls and returns."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chain import show
from chain.account import Caller, caller, ordinary_clients
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


MEMORY = Path("out", "durations.json")
"""Where durations are kept from run to run."""


@dataclass(frozen=True)
class Task:
    """What a command works on."""

    root: Path
    options: Options
    resume: str
    graph: Graph
    clients: Clients
    who: Caller


def run(command: str, root: Path, options: Options, resume: str) -> Exit:
    """Run a command by its name. Everything that can be checked without AWS is checked before it is called."""
    if command == "destroy":
        return _destroy(root, options, resume)
    graph = open_environment(root, options.env, options.system)
    clients = ordinary_clients()
    task = Task(root, options, resume, graph, clients, caller(clients, graph.regions))
    _say([str(task.who), ""])
    return {"plan": _plan, "deploy": _deploy, "status": _status, "drift": _drift, "unlock": _unlock}[command](task)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _plan(task: Task) -> Exit:
    from chain import preflight
    from chain import stack as cfn
    from chain.plan import plan

    standing = cfn.sweeps(task.clients, task.graph.regions)
    findings = preflight.findings(task.graph, task.clients, standing)
    steps = plan(task.graph, task.clients, standing)
    _say([*(f"NOT READY  {finding}" for finding in findings), *show.plan(task.graph, steps)])
    return Exit.NOT_READY if findings else Exit.FAILED if any(step.action == "refused" for step in steps) else Exit.OK


def _deploy(task: Task) -> Exit:
    from chain.deploy import deploy
    from chain.durations import Durations
    from chain.lock import Locks

    telling = progress(sys.stdout, {stack.id: len(stack.template.resources) for stack in task.graph.stacks})
    try:
        result = deploy(
            task.graph,
            task.clients,
            telling,
            folder=task.root / "out" / "packages",
            rotation_patience=task.options.rotation_wait,
            durations=Durations(task.root / MEMORY),
            locks=Locks(task.clients, task.who.arn),
        )
    finally:
        telling.close()
    _say(show.deployed(task.graph, result, task.resume))
    return Exit.FAILED if result.failed else Exit.OK


def _status(task: Task) -> Exit:
    from chain.preflight import opt_ins
    from chain.status import status

    states = status(task.graph, task.clients)
    _say([*show.status(states), *(f"NOT READY  {finding}" for finding in opt_ins(task.graph, task.clients))])
    return Exit.OK


def _drift(task: Task) -> Exit:
    from chain.drift import drift

    found = drift(task.graph, task.clients)
    _say(show.drift(found))
    return Exit.DRIFT if found.differences else Exit.OK


def _unlock(task: Task) -> Exit:
    """Take away the locks of runs that have ended without letting go; of one that shows signs of life only after a question."""
    from chain import lock
    from chain import stack as cfn

    standing = cfn.sweeps(task.clients, task.graph.regions)
    held = lock.locks(task.clients, lock.places(task.graph, standing))
    _say(map(str, held) if held else ["Nothing is locked."])
    live = [each for each in held if not each.is_stale and not each.holder.is_dead]
    if live and not task.options.yes and not _agreed("Take these locks away? Whoever holds one may be at work. Type yes: "):
        return Exit.LOCKED
    for each in held:
        lock.remove(task.clients, each)
        _say([f"unlocked  {each.system} in {each.region}"])
    return Exit.OK


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
    from chain.durations import Durations
    from chain.lock import Locks

    telling = progress(sys.stdout, {each.id: len(each.resources) for each in found.stacks})
    try:
        locks = Locks(clients, who.arn)
        result = destroy(found, templates, clients, telling, who.account, durations=Durations(root / MEMORY), locks=locks)
    finally:
        telling.close()
    _say(show.destroyed(result, resume))
    return Exit.FAILED if result.failed else Exit.LEFTOVERS if result.left else Exit.OK


def _agreed(question: str = "Delete all of this? It cannot be undone. Type yes: ") -> bool:
    """Ask the one question; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        print("Nobody is here to be asked: give --yes (or YES=1) to do all of this.", file=sys.stderr)
        return False
    if input(question).strip().lower() == "yes":
        return True
    print("Nothing was done.")
    return False
