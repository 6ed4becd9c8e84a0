"""What is told at the end of a command, as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from chain.changes.template_diff import text
from chain.environment.graph import Graph
from model.resource_types import Holds, resource_type

if TYPE_CHECKING:
    from chain.changes.guard import Danger
    from chain.changes.review import Orphan, Review
    from chain.deploy.deployment import Result
    from chain.deploy.plan import Step
    from chain.deploy.preflight import Found
    from chain.deploy.status import Status
    from chain.destroy.destruction import Result as Destroyed
    from chain.destroy.destruction import Survey
    from chain.drift import Drift
    from chain.failover.topology import Record
    from chain.run.record import Earlier

MARKS = {"Add": "+", "Modify": "~", "Remove": "-", "Import": "<", "Dynamic": "?"}
LONGEST = 300  # characters of a value in a report
ACTIONS = {
    "create": "is created",
    "change": "changes",
    "none": "no change",
    "wait": "is waited for",
    "refused": "cannot be deployed",
    "unseen": "was not seen",
}


def dangers(judged: Review, steps: Sequence[Step]) -> list[Danger]:
    """Everything that could not be got back; what CloudFormation says of a resource is said once."""
    known = {(each.stack, each.resource) for each in judged.dangers}
    return [*judged.dangers, *(each for step in steps for each in step.dangers if (each.stack, each.resource) not in known)]


def ready(found: Found) -> Iterator[str]:
    """What a deployment would stumble over, and what could not be asked."""
    yield from (f"NOT READY  {text}" for text in found.findings)
    yield from (f"NOT CHECKED  {text}" for text in found.unseen)


def resumed(earlier: Earlier) -> Iterator[str]:
    """What an earlier run was at when it was killed."""
    yield f"Goes on from {earlier.name}, which did not come to its end."
    yield from (f"    was under way: {id_}" for id_ in earlier.under_way)


def plan(graph: Graph, steps: Sequence[Step], orphans: Sequence[Orphan] = ()) -> Iterator[str]:
    """A plan: per stack what happens, per resource which way, which properties from what to what, and whether it is replaced."""
    for step in steps:
        note = f" ({step.note})" if step.note else ""
        said = f"{ACTIONS[step.action]}{note}"
        yield f"{step.stack.id}: {step.note if step.follows else said}"
        if step.unknown:
            yield f"    inputs not known yet: {', '.join(step.unknown)}"
        for change in step.changes:
            replaced = {"True": "  REPLACED", "Conditional": "  may be REPLACED"}.get(change.replacement, "")
            properties = f"  {', '.join(change.properties)}" if change.properties else ""
            yield f"    {MARKS.get(change.action, change.action)} {change.resource} ({change.type}){replaced}{properties}"
            known = next((each.properties for each in step.differences if each.resource == change.resource), ())
            for one in known:
                why = "  cannot change in place" if one.replaces else ""
                yield f"        {one.path}: {_short(text(one.before))} -> {_short(text(one.after))}{why}"
            if change.action == "Modify" and not known and (step.differences or step.follows):
                yield "        known after apply: what it refers to changes"
    for orphan in orphans:
        yield f"{orphan.id}: is removed, for its layer is gone"
        yield from (f"    - {name} ({type_})" for name, type_ in orphan.resources)
    yield from (f"{each}: left out" for each in graph.left_out)
    moving = sum(step.action not in ("none", "unseen") for step in steps) + len(orphans)
    unseen = sum(step.action == "unseen" for step in steps)
    if unseen:
        yield f"{unseen} of {len(steps)} stacks were not seen."
    current = f"Nothing to do: {len(steps) - unseen} stacks are current."
    yield f"{moving} of {len(steps)} stacks would change." if moving else current


def deployed(graph: Graph, result: Result, resume: str) -> Iterator[str]:
    """A deployment: outputs, warnings, and of failures the first reason, what they hold back, and how to go on."""
    for stack in graph.stacks:
        if stack.id in result.done and result.done[stack.id].outputs:
            yield f"{stack.id}"
            yield from (f"    {name} = {value}" for name, value in sorted(result.done[stack.id].outputs.items()))
    yield from (f"{each}: left out" for each in graph.left_out)
    yield from (f"WARNING  {warning}" for warning in result.warnings)
    yield from _left_behind(result)
    yield from _failed(result)
    yield from (f"{id_}: removed, for its layer is gone" for id_ in result.removed)
    actions = [done.action for done in result.done.values()]
    counts = ", ".join(f"{actions.count(action)} {action}" for action in ("created", "updated", "unchanged") if action in actions)
    tail = f"; {len(result.failed)} failed, {len(result.held)} held back" if result.failed else ""
    left = sum(len(done.left) for done in result.done.values())
    tail += f"; {left} left behind" if left else ""
    yield f"{len(graph.stacks)} stacks: {counts or 'none done'}{tail}."
    if result.failed:
        yield f"When the cause is removed, go on with: {resume}"


def _left_behind(result: Result) -> Iterator[str]:
    """What stacks let go of that is still there: no later update and no deletion of the stack comes back to it."""
    for id_, done in result.done.items():
        if done.left:
            yield f"LEFT BEHIND  {id_}: {done.action}, {done.behind}. CloudFormation has let go of this; once nothing uses it:"
            for each in done.left:
                yield f"    {each}"
                yield f"        {each.command}"


def _failed(result: Result | Destroyed) -> Iterator[str]:
    for id_, error in result.failed.items():
        yield f"FAILED  {id_}" + (f" ({error.status})" if error.status else "")
        yield f"    {error}"
        held = [held for held, causes in result.held.items() if id_ in causes]
        if held:
            yield f"    holds back: {', '.join(held)}"


def status(states: Sequence[Status]) -> Iterator[str]:
    """What stands, what it offers, and what waits for a person."""
    for each in states:
        if each.state is None:
            yield f"{each.stack.id}  " + (f"NOT SEEN: {each.unseen[0]}" if each.unseen else "does not stand")
            continue
        yield f"{each.stack.id}  {each.state.status}  since {each.state.updated:%Y-%m-%d %H:%M:%S %Z}"
        yield from (f"    {name} = {value}" for name, value in sorted(each.state.outputs.items()))
        yield from (f"    rotation: {rotation}" for rotation in each.rotations)
        yield from (f"    WAITS FOR A PERSON: {text}" for text in each.unconfirmed)
        yield from (f"    STALE: {text}; make deploy feeds it anew" for text in each.stale)
        yield from (f"    LEFT BEHIND: {one}; {one.command}" for one in each.left)
        yield from (f"    NOT SEEN: {text}" for text in each.unseen)


def topology(records: Sequence[Record]) -> Iterator[str]:
    """Who writes, and what is under way or waits for a person."""
    for each in records:
        yield f"{each.place.system}-{each.place.suffix}  {each.topology}"
        yield from (f"    {'WAITS FOR A PERSON: ' if one.waits else ''}{one}" for one in each.executions if one.is_open)
        if each.destroying:
            yield "    is being destroyed: nothing fails over"


def elsewhere(found: Drift, held: Mapping[str, str], outside: Sequence[str]) -> Iterator[str]:
    """What of the differences a failover explains, and what stands outside every stack meanwhile."""
    explained = sum(each.stack in held for each in found.differences)
    if explained:
        yield f"{explained} of the differences are in stacks that describe what changed its role; make failback undoes them."
    yield from (f"outside of every stack  {arn}" for arn in outside)


def drift(found: Drift) -> Iterator[str]:
    """Differences first, then what was not read and why, then the share."""
    for each in found.differences:
        yield f"{each.stack}  {each.resource} ({each.type})  {each.path.path}"
        if each.path.reason:
            yield f"    {each.path.reason}"
        yield f"    declared  {_short(each.path.declared)}"
        yield f"    found     {_short(each.path.found)}"
    for each in found.not_read:
        yield f"not read  {each.stack}  {each.resource}.{each.path.path}: {each.path.reason}"
    yield from (f"{id_} does not stand: nothing to read" for id_ in found.absent)
    yield from (f"NOT SEEN  {id_}: {why}" for id_, why in found.unseen.items())
    if not found.stacks and not found.unseen:
        yield "Nothing stands, so nothing was compared: is ENV right, and was it deployed?"
        return
    share = 100 * found.read / found.declared if found.declared else 100
    yield f"{found.declared} properties declared, {found.read} read back ({share:.1f} %), {len(found.differences)} different."
    yield from (f"    {count} not read: {reason}" for reason, count in found.reasons().most_common())


def _short(value: object) -> str:
    said = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."


def doomed(found: Survey) -> Iterator[str]:
    """What would be deleted, before the question."""
    for each in found.stacks:
        safe = ", PROTECTED against termination, which is lifted" if each.state.is_protected else ""
        yield f"{each.id}  {each.state.status}, {len(each.resources)} resources{safe}"
        for type_ in sorted(each.types):
            known = resource_type(type_)
            for name in each.of(type_) if known.holds in (Holds.DATA, Holds.BACKUPS) else ():
                objects = f", {found.objects[name]} objects and versions" if name in found.objects else ""
                points = f", {found.points[name]} recovery points" if name in found.points else ""
                yield f"    {known.noun} {name}{objects}{points}"
        yield from (f"    left behind by an update: {one}" for one in each.left)
    yield from (f"{text}  is left from before" for text in found.leftovers)
    yield from (f"{id_}  is not ours (its tags say otherwise) and stays" for id_ in found.foreign)
    yield from (f"A snapshot of {each.identifier} is taken first, and stays: {each.snapshot}" for each in found.last)
    systems, regions = ", ".join(found.systems), ", ".join(found.regions)
    yield f"{len(found.stacks)} stacks of {systems} with the suffix {found.suffix} in {regions}."


def destroyed(result: Destroyed, resume: str) -> Iterator[str]:
    """What was deleted, what was kept, what blocks the rest, and what the audit found."""
    yield from (f"kept  {each.snapshot} in {each.region}; back with: {each.restore}" for each in result.kept)
    yield from (f"swept  {text}" for text in result.swept)
    yield from _failed(result)
    for arn, gone in result.pending:
        yield f"in its waiting period{f' until {gone:%Y-%m-%d}' if gone else ''}: {arn}"
    yield from (f"LEFT  {text}" for text in result.left)
    yield from (["Delete what nothing uses any more:"] if result.commands else [])
    yield from (f"    {command}" for command in result.commands)
    keys = f"{len(result.pending)} KMS keys (waiting period)" if result.pending else "nothing"
    left = f"{len(result.left)} things above, and {keys}" if result.left else keys
    yield f"{len(result.deleted)} stacks deleted; left: {left}."
    if result.failed or result.left:
        yield f"When the cause is removed, go on with: {resume}"
