"""What is told at the end of a command, as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chain.graph import Graph

if TYPE_CHECKING:
    from chain.deploy import Result
    from chain.destroy import Result as Destroyed
    from chain.destroy import Survey
    from chain.drift import Drift
    from chain.plan import Step
    from chain.status import Status

MARKS = {"Add": "+", "Modify": "~", "Remove": "-", "Import": "<", "Dynamic": "?"}
LONGEST = 300  # characters of a value in a report
HEAVY = {
    "AWS::S3::Bucket": "bucket",
    "AWS::Backup::BackupVault": "vault",
    "AWS::EFS::FileSystem": "file system",
    "AWS::RDS::DBInstance": "database",
    "AWS::SecretsManager::Secret": "secret",
}
ACTIONS = {
    "create": "is created",
    "change": "changes",
    "none": "no change",
    "wait": "is waited for",
    "refused": "cannot be deployed",
}


def plan(graph: Graph, steps: Sequence[Step]) -> Iterator[str]:
    """A plan: per stack what happens, per resource which way and whether it is replaced."""
    for step in steps:
        note = f" ({step.note})" if step.note else ""
        yield f"{step.stack.id}: {ACTIONS[step.action]}{note}"
        if step.unknown:
            yield f"    inputs not known yet: {', '.join(step.unknown)}"
        for change in step.changes:
            replaced = {"True": "  REPLACED", "Conditional": "  may be REPLACED"}.get(change.replacement, "")
            properties = f"  {', '.join(change.properties)}" if change.properties else ""
            yield f"    {MARKS.get(change.action, change.action)} {change.resource} ({change.type}){replaced}{properties}"
    yield from (f"{text}: left out" for text in graph.left_out)
    moving = sum(step.action != "none" for step in steps)
    yield f"{moving} of {len(steps)} stacks would change." if moving else f"Nothing to do: {len(steps)} stacks are current."


def deployed(graph: Graph, result: Result, resume: str) -> Iterator[str]:
    """A deployment: outputs, warnings, and of failures the first reason, what they hold back, and how to go on."""
    for stack in graph.stacks:
        if stack.id in result.done and result.done[stack.id].outputs:
            yield f"{stack.id}"
            yield from (f"    {name} = {value}" for name, value in sorted(result.done[stack.id].outputs.items()))
    yield from (f"{text}: left out" for text in graph.left_out)
    yield from (f"WARNING  {warning}" for warning in result.warnings)
    for id_, error in result.failed.items():
        yield f"FAILED  {id_}" + (f" ({error.status})" if error.status else "")
        yield f"    {error}"
        held = [held for held, causes in result.held.items() if id_ in causes]
        if held:
            yield f"    holds back: {', '.join(held)}"
    actions = [done.action for done in result.done.values()]
    counts = ", ".join(f"{actions.count(action)} {action}" for action in ("created", "updated", "unchanged") if action in actions)
    tail = f"; {len(result.failed)} failed, {len(result.held)} held back" if result.failed else ""
    yield f"{len(graph.stacks)} stacks: {counts or 'none done'}{tail}."
    if result.failed:
        yield f"When the cause is removed, go on with: {resume}"


def status(states: Sequence[Status]) -> Iterator[str]:
    """What stands, what it offers, and what waits for a person."""
    for each in states:
        if each.state is None:
            yield f"{each.stack.id}  does not stand"
            continue
        yield f"{each.stack.id}  {each.state.status}  since {each.state.updated:%Y-%m-%d %H:%M:%S %Z}"
        yield from (f"    {name} = {value}" for name, value in sorted(each.state.outputs.items()))
        yield from (f"    rotation: {rotation}" for rotation in each.rotations)
        yield from (f"    WAITS FOR A PERSON: {text}" for text in each.unconfirmed)


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
    share = 100 * found.read / found.declared if found.declared else 100
    yield f"{found.declared} properties declared, {found.read} read back ({share:.1f} %), {len(found.differences)} different."
    yield from (f"    {count} not read: {reason}" for reason, count in found.reasons().most_common())


def _short(value: object) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def doomed(found: Survey) -> Iterator[str]:
    """What would be deleted, before the question."""
    for each in found.stacks:
        yield f"{each.id}  {each.state.status}, {len(each.resources)} resources"
        for type_, what in HEAVY.items():
            for name in each.of(type_):
                objects = f", {found.objects[name]} objects and versions" if name in found.objects else ""
                points = f", {found.points[name]} recovery points" if name in found.points else ""
                yield f"    {what} {name}{objects}{points}"
    yield from (f"{text}  is left from before" for text in found.leftovers)
    yield from (f"{id_}  is not ours (its tags say otherwise) and stays" for id_ in found.foreign)
    systems, regions = ", ".join(found.systems), ", ".join(found.regions)
    yield f"{len(found.stacks)} stacks of {systems} with the suffix {found.suffix} in {regions}."


def destroyed(result: Destroyed, resume: str) -> Iterator[str]:
    """What was deleted, what blocks the rest, and what the audit found."""
    yield from (f"swept  {text}" for text in result.swept)
    for id_, error in result.failed.items():
        yield f"FAILED  {id_}" + (f" ({error.status})" if error.status else "")
        yield f"    {error}"
        held = [held for held, causes in result.held.items() if id_ in causes]
        if held:
            yield f"    holds back: {', '.join(held)}"
    for arn, gone in result.pending:
        yield f"in its waiting period{f' until {gone:%Y-%m-%d}' if gone else ''}: {arn}"
    yield from (f"LEFT  {text}" for text in result.left)
    keys = f"{len(result.pending)} KMS keys (waiting period)" if result.pending else "nothing"
    left = f"{len(result.left)} things above, and {keys}" if result.left else keys
    yield f"{len(result.deleted)} stacks deleted; left: {left}."
    if result.failed or result.left:
        yield f"When the cause is removed, go on with: {resume}"
