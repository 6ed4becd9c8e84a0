"""The commands: what each shows, calls and returns."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from chain.cli import json_lines, text
from chain.cloudformation.account import Caller, caller, ordinary_clients
from chain.cloudformation.stack import Clients, News, Report
from chain.environment import parameters
from chain.environment.graph import Graph, open_environment
from chain.environment.outcome import Exit, InputError, ended
from chain.environment.parameters import check_suffix
from chain.environment.templates import Template, load
from chain.failover import topology
from chain.run import record
from chain.run.progress import Board, Lines, progress
from chain.run.record import Earlier, Record
from protocol.journal import DRY, FAILBACK, FAILOVER, REFUSED, WAITING
from protocol.topology import LAYER

if TYPE_CHECKING:
    from chain.cloudformation.durations import Durations
    from chain.deploy.saved_plan import Saved


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
    planned: Saved | None


def run(command: str, root: Path, options: Options, resume: str) -> Exit:
    """Run a command by its name. Everything that can be checked without AWS is checked before it is called."""
    if command in ("deploy", "destroy"):
        record.writable(root / record.FOLDER)
    if command == "destroy":
        return _destroy(root, options, resume)
    if command in (FAILOVER, FAILBACK):
        return _fail(command, root, options, resume)
    graph = open_environment(root, options.env, options.system)
    planned = _given(command, options)
    clients = ordinary_clients()
    task = Task(root, options, resume, graph, clients, caller(clients, graph.regions), planned)
    _say([str(task.who), ""], _out(options))
    return {"plan": _plan, "deploy": _deploy, "status": _status, "drift": _drift, "unlock": _unlock}[command](task)


def _given(command: str, options: Options) -> Saved | None:
    """The plan to be applied, if one is; refuse what else of the command line cannot be used."""
    if command not in ("plan", "deploy"):
        return None
    from chain.deploy import saved_plan

    if command == "plan":
        if options.save:
            saved_plan.writable(Path(options.save))
        return None
    if options.allow and not options.reason:
        raise InputError(["--allow needs a reason, which is kept: --reason 'why' (or REASON='why')"])
    return saved_plan.load(Path(options.plan), options.env, options.system) if options.plan else None


def _say(lines: Iterable[str], out: TextIO | None = None) -> None:
    for line in lines:
        print(line, flush=True, file=out)


def _out(options: Options) -> TextIO:
    """Where a person is told: beside the record if that is what is asked for."""
    return sys.stderr if options.json else sys.stdout


@contextmanager
def _recorded(
    command: str, root: Path, options: Options, clients: Clients, who: Caller, earlier: Earlier | None = None
) -> Iterator[Record]:
    """A record from the beginning to the end of a command, however it ends."""
    path = root / record.FOLDER / f"{record.name(options.env, command)}.ndjson"
    kept = Record(path, clients, sys.stdout if options.json else None)
    given = {"account": who.account, "actor": who.arn, "regions": [region for region, _ in who.endpoints]}
    before = {"continues": earlier.name} if earlier is not None else {}
    kept("run", version=record.VERSION, command=command, env=options.env, systems=options.system, **given, **before)
    _say([f"Record   {path.stem}", ""], _out(options))
    try:
        yield kept
    except BaseException as error:
        kept("stopped", error=type(error).__name__, reason=str(error))
        kept.close(ended(error))
        raise
    kept.close(kept.code)


def _plan(task: Task) -> Exit:
    from chain.changes import guard
    from chain.changes.review import review
    from chain.cloudformation import region_state
    from chain.deploy import preflight, saved_plan
    from chain.deploy.plan import plan

    seen = region_state.look(task.clients, task.graph.regions)
    graph = region_state.within(task.graph, seen)[0]
    found = preflight.check(task.graph, task.clients, seen)
    judged = review(graph, task.clients, seen.standing)
    held = topology.held(topology.records(graph, task.clients), graph)
    steps = plan(task.graph, task.clients, seen, judged=judged, held=held)
    dangers, allowed = text.dangers(judged, steps), task.options.allow
    if task.options.json:
        _say([*json_lines.plan(task.graph, steps, judged, dangers, allowed), *json_lines.ready(found)])
    else:
        _say(guard.sentences(dangers, allowed))
        _say([*text.ready(found)])
        _say(text.plan(task.graph, steps, judged.orphans))
    if task.options.save:
        saved_plan.save(Path(task.options.save), task.who.account, task.options.env, task.options.system, steps, seen.standing)
    if found.findings:
        return Exit.NOT_READY
    if guard.refused(dangers, allowed):
        return Exit.GUARDED
    actions = {step.action for step in steps}
    return Exit.FAILED if "refused" in actions else Exit.UNSEEN if "unseen" in actions else Exit.OK


def _deploy(task: Task) -> Exit:
    from chain.cloudformation.durations import Durations, memory_name

    options = task.options
    planned = task.planned.of(task.who.account) if task.planned is not None else None
    earlier = record.unfinished(task.root / record.FOLDER, options.env, options.system)
    allowed = options.allow
    if earlier is not None:
        _say([*text.resumed(earlier), ""] if not options.json else [])
        if earlier.asked == record.asked(task.graph):  # what was allowed then is what is asked for now
            allowed = list(dict.fromkeys([*allowed, *earlier.allowed]))
    durations = Durations(task.root / MEMORY)
    remembered = {stack.id: durations.expected(memory_name(stack), "create") for stack in task.graph.stacks}
    totals = {stack.id: len(stack.template.resources) for stack in task.graph.stacks}
    telling = progress(_out(options), totals, {id_: seconds for id_, seconds in remembered.items() if seconds is not None})
    with _recorded("deploy", task.root, options, task.clients, task.who, earlier) as kept:
        if allowed:
            kept("approval", allowed=allowed, reason=options.reason or (earlier.reason if earlier else ""))

        def report(news: News) -> None:
            telling(news)
            kept.news(news)

        kept.code = _deployed(task, kept, telling, report, allowed, planned, durations)
    return kept.code


def _deployed(
    task: Task,
    kept: Record,
    telling: Lines | Board,
    report: Report,
    allowed: Sequence[str],
    planned: Saved | None,
    durations: Durations,
) -> Exit:
    from chain.deploy.deployment import deploy
    from chain.run.lock import Locks

    try:
        result = deploy(
            task.graph,
            task.clients,
            report,
            folder=task.root / "out" / "packages",
            rotation_patience=task.options.rotation_wait,
            durations=durations,
            locks=Locks(task.clients, task.who.arn),
            allowed=allowed,
            saved=planned,
            note=kept,
        )
    finally:
        telling.close()
    _say(text.deployed(task.graph, result, task.resume), _out(task.options))
    left = any(each.left for each in result.done.values())
    return Exit.FAILED if result.failed else Exit.LEFT_BEHIND if left else Exit.OK


def _status(task: Task) -> Exit:
    from chain.deploy.account_checks import Check
    from chain.deploy.preflight import gathered, opt_ins
    from chain.deploy.status import status

    known, silent = _remembered(task)
    # First: it needs no region but the surviving one.
    _say(json_lines.topology(known, silent) if task.options.json else [*text.topology(known), *silent])
    states = status(task.graph, task.clients)
    dark = {each.stack.region for each in states if each.state is None and each.unseen}
    found = gathered([Check("AWS Backup", lambda: opt_ins(task.graph, task.clients, dark))])
    if task.options.json:
        _say([*json_lines.status(task.graph, states), *json_lines.ready(found)])
    else:
        _say([*text.status(states), *text.ready(found)])
    return Exit.UNSEEN if silent or any(each.unseen for each in states) else Exit.OK


def _remembered(task: Task) -> tuple[list[topology.Record], list[str]]:
    """What recovery regions remember, and of which systems nothing is known, and why: one that is dark hides nothing else."""
    from chain.cloudformation import region_state

    known: list[topology.Record] = []
    silent: list[str] = []
    for place in topology.places([stack.template for stack in task.graph.stacks], task.options.env):
        found, why = region_state.asked(place.region, partial(topology.read, task.clients, place))
        known += [found] if found is not None else []
        silent += [f"{place.system}-{place.suffix}  NOT SEEN: {why}"] if why else []
    return known, silent


def _drift(task: Task) -> Exit:
    from chain.cloudformation import region_state
    from chain.drift import drift
    from chain.failover.failover_artifacts import outside

    known, silent = _remembered(task)
    found = drift(task.graph, task.clients)
    held = topology.held(known, task.graph)
    beyond: list[str] = []
    for each in known:
        arns, why = region_state.asked(each.place.region, partial(list[str], outside(each, task.clients)))
        beyond += arns or []
        silent += [f"{each.place.system}-{each.place.suffix}  NOT SEEN: what stands outside of every stack: {why}"] if why else []
    if task.options.json:
        _say([*json_lines.topology(known, silent), *json_lines.drift(found, held, beyond)])
    else:
        _say([*text.drift(found), *text.elsewhere(found, held, beyond), *silent])
    if found.differences or found.unseen or silent:
        return Exit.DRIFT if found.differences else Exit.UNSEEN
    return Exit.OK if found.stacks else Exit.ABSENT


def _unlock(task: Task) -> Exit:
    """Take away the locks of runs that have ended without letting go; of one that shows signs of life only after a question."""
    from chain.cloudformation import region_state
    from chain.run import lock

    seen = region_state.look(task.clients, task.graph.regions)
    held = lock.locks(task.clients, lock.places(task.graph, seen.standing))
    out = _out(task.options)
    _say([*(map(str, held) if held else ["Nothing is locked."]), *(f"NOT SEEN  {why}" for why in seen.dark.values())], out)
    _say([*json_lines.dark(seen.dark), *json_lines.locks(held)] if task.options.json else [])
    live = [each for each in held if not each.is_stale and not each.holder.is_dead]
    if live and not task.options.yes and not _agreed("Take these locks away? Whoever holds one may be at work. Type yes: ", out):
        return Exit.LOCKED
    for each in held:
        if not lock.remove(task.clients, each):
            _say([f"{each.system} in {each.region}: whoever held it has let it go meanwhile; nothing was taken away"], out)
            continue
        _say([json_lines.unlocked(each) if task.options.json else f"unlocked  {each.system} in {each.region}"])
    return Exit.UNSEEN if seen.dark else Exit.OK


def _destroy(root: Path, options: Options, resume: str) -> Exit:
    from chain.destroy.destruction import destroy, survey

    problems = check_suffix(options.env)
    if problems:
        raise InputError(problems)
    templates = load(root / "templates", options.system)
    keeping = _keeping(root, templates, options.env)
    clients = ordinary_clients()
    who = caller(clients, sorted({region for template in templates for region in template.sites.values()}))
    _say([str(who), ""], _out(options))
    found = survey(templates, options.env, clients, who.account, keeping)
    known = [topology.read(clients, place) for place in topology.places(templates, options.env)]
    _say([*text.topology(known), *text.doomed(found)], _out(options))
    remembered = any(one.values for one in known)
    if (found.stacks or found.leftovers or remembered) and not options.yes and not _agreed(out=_out(options)):
        return Exit.LEFTOVERS
    from chain.cloudformation.durations import Durations
    from chain.run.lock import Locks

    telling = progress(_out(options), {each.id: len(each.resources) for each in found.stacks})
    with _recorded("destroy", root, options, clients, who) as kept:
        kept(
            "approval",
            stacks=[each.id for each in found.stacks],
            by="--yes" if options.yes else "the question",
            reason=options.reason,
        )

        def report(news: News) -> None:
            telling(news)
            kept.news(news)

        try:
            locks = Locks(clients, who.arn)
            result = destroy(
                found, templates, clients, report, who.account, durations=Durations(root / MEMORY), locks=locks, who=who.arn
            )
        finally:
            telling.close()
        _say(text.destroyed(result, resume), _out(options))
        kept.code = Exit.FAILED if result.failed else Exit.LEFTOVERS if result.left else Exit.OK
    return kept.code


def _keeping(root: Path, templates: Sequence[Template], suffix: str) -> set[str]:
    """The systems whose environment asks for a last snapshot. A file that cannot be read may ask for it, so it stops us."""
    systems = {template.system: [each for each in templates if each.system == template.system] for template in templates}
    loaded = {system: parameters.load(root / "parameters", system, own, suffix) for system, own in systems.items()}
    if problems := [problem for _, found in loaded.values() for problem in found]:
        raise InputError(problems)
    return {system for system, (values, _) in loaded.items() if values.final_snapshot}


def _fail(command: str, root: Path, options: Options, resume: str) -> Exit:
    """A failover or a failback of one system, with nothing asked of the primary region but what a failback cannot do without."""
    from chain.failover import function as failover

    problems = check_suffix(options.env)
    if len(options.system) != 1:
        problems.append(f"{command} takes one system; give it: make {command} SYSTEM=name ENV={options.env}")
    if problems:
        raise InputError(problems)
    templates = load(root / "templates", options.system)
    if not (places := topology.places(templates, options.env)):
        raise InputError([f"{options.system[0]} has no layer {LAYER}: it does not leave its region"])
    (place,) = places
    # A failback ends with what is declared: better to hear now than after hours that a file cannot be used.
    graph = open_environment(root, options.env, options.system) if command == FAILBACK else None
    clients = ordinary_clients()
    who = caller(clients, [place.region])
    record, function = topology.read(clients, place), failover.find(clients, place)
    out = _out(options)
    _say([str(who), "", *text.topology([record]), ""], out)
    _say(json_lines.topology([record]) if options.json else [])

    dry = options.mode == DRY and not options.approve
    request = command if command == FAILBACK else FAILOVER if dry else options.mode
    event: dict[str, str] = {"by": who.arn}
    open_ = record.acting
    if open_ is not None and (open_.id == options.approve or (open_.request == request and not dry and not options.approve)):
        request, event["execution"] = open_.request, open_.id
    elif options.approve:
        waiting = {one.id: one for one in record.executions if one.waits}
        if options.approve not in waiting:
            told = ", ".join(waiting) or "none"
            raise InputError([f"{options.approve} waits for no approval; there wait: {told}"])
        request, event["approve"] = waiting[options.approve].request, options.approve
        _say((f"    {sentence}" for sentence in waiting[options.approve].entries[WAITING]["why"]), out)
    else:
        event["request"] = request
    ask: failover.Ask = function.ask
    if request == FAILBACK and function.makes_anew:
        if why := failover.foreign(function, clients):
            _say([why], out)
            _say([json_lines.execution({"outcome": REFUSED, "why": why})] if options.json else [])
            return Exit.REFUSED
        ask = function.here(root, failover.secret_of(templates, function, clients))
    foretold = ask({"request": DRY, "of": request})
    if "request" in event:
        _say(failover.forecast(foretold, request), out)
        _say([json_lines.forecast(foretold, request)] if options.json else [])
    if dry:
        return failover.outlook(foretold)
    if "request" in event and failover.outlook(foretold) is Exit.REFUSED:
        return Exit.REFUSED
    joins = "execution" in event
    asked = f"Go on with the {request} {event['execution']}" if joins else f"Begin this {request}"
    if not options.yes and not _agreed(f"{asked}? Type yes: ", out):
        return Exit.REFUSED

    def as_declared() -> bool:
        from chain.drift import drift

        found = drift(graph or open_environment(root, options.env, options.system), clients)
        _say(text.drift(found), out)
        _say(json_lines.drift(found) if options.json else [])
        return not found.differences and not found.unseen

    away = failover.files_of(templates, function, clients) if request == FAILBACK else None
    follower = failover.Follower(clients, place, lambda line: _say([line], out), ask, failover.patiently, away, as_declared)
    if "request" in event:  # named here: whoever asks again, because no answer came, asks for the same
        event["execution"] = failover.named()
    begun = {"more": True, **event} if joins else ask(event)
    answer = follower.follow(str(begun.get("execution") or options.approve), begun)
    after = topology.read(clients, place)
    _say(failover.ended(answer, after, resume), out)
    _say([*json_lines.topology([after]), json_lines.execution(answer)] if options.json else [])
    if request == FAILBACK and not function.makes_anew and failover.code(answer) is Exit.OK:
        return Exit.OK if as_declared() else Exit.DRIFT
    return failover.code(answer)


def _agreed(question: str = "Delete all of this? It cannot be undone. Type yes: ", out: TextIO | None = None) -> bool:
    """Ask the one question; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        print("Nobody is here to be asked: give --yes (or YES=1) to do all of this.", file=sys.stderr)
        return False
    print(question, end="", flush=True, file=out)
    if input().strip().lower() == "yes":
        return True
    print("Nothing was done.", file=out)
    return False


def read(root: Path, run: str, *, html: bool, verify: bool, json: bool) -> Exit:
    """Show the record of a run: as text, as its lines, as a page with its timeline, or whether its digests hold."""
    from chain.run import timeline

    path = record.find(root / record.FOLDER, run)
    if verify:
        _say([record.prove(path)])
        return Exit.OK
    events = record.read(path)
    if json:
        _say(path.read_text(encoding="utf-8").splitlines()[: len(events)])  # as they were written, so that their digests hold
    else:
        _say([timeline.page(events)] if html else timeline.lines(events))
    return Exit.OK
