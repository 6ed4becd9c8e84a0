"""Engine upgrades: copies go before what they copy, and nothing goes back.

A minor version goes to the secondary clusters of a global database and to replicas before their source, for a copy must be
able to read what its source writes; a major version goes to all of a global database at once, which no template can ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chain.changes.guard import Danger
from chain.changes.template_diff import Difference
from chain.environment.graph import Graph, Stack
from model.architecture import SOURCES, copies_by, source_of
from model.values import mentions
from model.view import View

VERSION = "EngineVersion"


@dataclass(frozen=True)
class Order:
    """In which order stacks go, the ids whose outputs are taken as they stand, and what is wrong."""

    after: Mapping[str, frozenset[str]]
    early: frozenset[str] = frozenset()
    dangers: tuple[Danger, ...] = ()


def order(graph: Graph, found: Mapping[str, Sequence[Difference]]) -> Order:
    """The graph's order, with what is copied behind its copies where both are upgraded."""
    after = {id_: frozenset(needs) for id_, needs in graph.after.items()}
    early: set[str] = set()
    dangers: list[Danger] = []
    upgrades = {stack.id: list(_upgrades(found.get(stack.id, ()))) for stack in graph.stacks}
    copied = _copied(graph) if any(upgrades.values()) else {}
    for stack in graph.stacks:
        for each, before, now in upgrades[stack.id]:
            followers = [other for other in graph.stacks if other.id in copied[stack.id] and stack.id in _behind(graph, other.id)]
            wrong = _wrong(stack, each, before, now, followers, upgrades)
            if wrong is not None:
                dangers.append(wrong)
                continue
            for other in followers:
                # What leads from the source to its copy is let go of as it stands, so no circle can be left.
                between = {id_ for id_ in after[other.id] if id_ == stack.id or stack.id in _behind(graph, id_)}
                after = {**after, other.id: after[other.id] - between, stack.id: after[stack.id] | {other.id}}
                early |= between
    return Order(after, frozenset(early), tuple(dangers))


def _wrong(
    stack: Stack,
    each: Difference,
    before: str,
    now: str,
    followers: Sequence[Stack],
    upgrades: Mapping[str, Sequence[tuple[Difference, str, str]]],
) -> Danger | None:
    """Why an upgrade cannot be made like this."""
    step, final = f"{VERSION} {before} -> {now}", True
    unseen = [other.id for other in followers if not upgrades[other.id]]
    if _numbers(now) < _numbers(before):
        what = f"would go back ({step}): an engine is never downgraded; restore a backup into a new one instead"
    elif _numbers(now)[:1] != _numbers(before)[:1] and followers:
        names = ", ".join(other.id for other in followers)
        what = f"would take a major version ({step}) without its copies: {names}; upgrade the whole of it at once by hand first"
    elif unseen:
        what = f"would be upgraded ({step}) before its copies: {', '.join(unseen)}; upgrade those first, then allow this"
        final = False
    else:
        return None
    return Danger(stack.id, stack.template.layer, each.resource, each.type, what, final)


def _upgrades(found: Sequence[Difference]) -> Iterator[tuple[Difference, str, str]]:
    for each in found:
        for one in each.properties:
            if each.type in SOURCES and one.path == VERSION and isinstance(one.before, str) and isinstance(one.after, str):
                yield each, one.before, one.after


def _copied(graph: Graph) -> Mapping[str, set[str]]:
    """The stacks with copies of a stack's databases, by its id: copies of copies too, and none whose wire a value answers.

    A source that cannot be told may be any that its copy waits for.
    """
    found: dict[str, set[str]] = {stack.id: set() for stack in graph.stacks}
    for system in {stack.template.system for stack in graph.stacks}:
        own = [stack for stack in graph.stacks if stack.template.system == system]
        for one in View({stack.template.layer: stack.template.document for stack in own}).resources(*SOURCES):
            named, source = set(mentions(one.get(copies_by(one.type, one.properties)))), source_of(one)
            copies = {stack.id for stack in own if stack.template.layer == one.layer and named & set(stack.wires)}
            for stack in own:
                if source is None or source.layer == stack.template.layer:
                    found[stack.id] |= copies
    for followers in found.values():
        left = list(followers)
        while left:
            more = found[left.pop()] - followers
            followers |= more
            left += more
    return found


def _behind(graph: Graph, id_: str) -> set[str]:
    """Everything that a stack waits for, at any distance."""
    found: set[str] = set()
    left = list(graph.after[id_])
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += graph.after[one]
    return found


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
