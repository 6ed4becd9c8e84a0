"""Failover: say what it would do and lose, ask once, have the recovery region do it, and follow it."""

from __future__ import annotations

from pathlib import Path

from chain.cli import json_lines, text
from chain.cli.session import Options, agreed, say
from chain.cli.session import out as out_of
from chain.cloudformation.account import caller, ordinary_clients
from chain.drift import drift
from chain.environment.exit_codes import Exit, InputError
from chain.environment.graph import open_environment
from chain.environment.parameters import check_suffix
from chain.environment.templates import load
from chain.failover import function as failover
from chain.failover import topology
from protocol.journal import DRY, FAILBACK, FAILOVER, REFUSED, WAITING
from protocol.topology import LAYER


def run(root: Path, options: Options) -> Exit:
    """Fail one system over."""
    return move(FAILOVER, root, options)


def move(command: str, root: Path, options: Options) -> Exit:
    """A failover or a failback of one system, with nothing asked of the primary region but what a failback cannot do without."""
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
    out = out_of(options)
    say([str(who), "", *text.topology([record]), ""], out)
    say(json_lines.topology([record]) if options.json else [])

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
        say((f"    {sentence}" for sentence in waiting[options.approve].entries[WAITING]["why"]), out)
    else:
        event["request"] = request
    ask: failover.Ask = function.ask
    if request == FAILBACK and function.makes_anew:
        if why := failover.foreign(function, clients):
            say([why], out)
            say([json_lines.execution({"outcome": REFUSED, "why": why})] if options.json else [])
            return Exit.REFUSED
        ask = function.here(root, failover.secret_of(templates, function, clients))
    foretold = ask({"request": DRY, "of": request})
    if "request" in event:
        say(failover.forecast(foretold, request), out)
        say([json_lines.forecast(foretold, request)] if options.json else [])
    if dry:
        return failover.outlook(foretold)
    if "request" in event and failover.outlook(foretold) is Exit.REFUSED:
        return Exit.REFUSED
    joins = "execution" in event
    asked = f"Go on with the {request} {event['execution']}" if joins else f"Begin this {request}"
    if not options.yes and not agreed(f"{asked}? Type yes: ", out):
        return Exit.REFUSED

    def as_declared() -> bool:
        found = drift(graph or open_environment(root, options.env, options.system), clients)
        say(text.drift(found), out)
        say(json_lines.drift(found) if options.json else [])
        return not found.differences and not found.unseen

    away = failover.files_of(templates, function, clients) if request == FAILBACK else None
    follower = failover.Follower(clients, place, lambda line: say([line], out), ask, failover.patiently, away, as_declared)
    if "request" in event:  # named here: whoever asks again, because no answer came, asks for the same
        event["execution"] = failover.named()
    begun = {"more": True, **event} if joins else ask(event)
    answer = follower.follow(str(begun.get("execution") or options.approve), begun)
    after = topology.read(clients, place)
    say(failover.ended(answer, after, options.resume), out)
    say([*json_lines.topology([after]), json_lines.execution(answer)] if options.json else [])
    if request == FAILBACK and not function.makes_anew and failover.code(answer) is Exit.OK:
        return Exit.OK if as_declared() else Exit.DRIFT
    return failover.code(answer)
