"""What a deployment would change, worked out before anything is changed, from what stands and what is committed.

One question for each stack that stands: its template. Whether that is still current is then known without another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from chain.changes import guard, network_interfaces, upgrades
from chain.changes.guard import Danger
from chain.changes.replacements import Moves
from chain.changes.replacements import Standing as Stands
from chain.changes.template_diff import Difference, Later, differences
from chain.changes.upgrades import Order
from chain.cloudformation import stack as cfn
from chain.cloudformation.stack import Clients, Standing, State
from chain.cloudformation.statuses import DECISIONS, Decision
from chain.environment.exit_codes import GuardedError
from chain.environment.graph import Graph, Stack
from model import Document

READERS = 8  # threads


@dataclass(frozen=True, eq=False)
class Orphan:
    """A stack of ours whose layer is gone: logical ids and types of what it holds."""

    system: str
    region: str
    state: State
    resources: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        """Region and name, as in the graph."""
        return f"{self.region}/{self.state.name}"


@dataclass(frozen=True, eq=False)
class Review:
    """What differs by the ids of stacks, what of it cannot be got back, what is left over, and in which order stacks go."""

    differences: Mapping[str, tuple[Difference, ...]]
    dangers: tuple[Danger, ...]
    orphans: tuple[Orphan, ...]
    order: Order
    moves: Moves
    bodies: Mapping[tuple[object, ...], Any] = field(default_factory=dict)  # by a stack's id and mark
    stands: Mapping[str, State] = field(default_factory=dict)  # every stack of ours that was read, by its id

    def body(self, state: State) -> Any:
        """The template of a stack that has not moved since; None if it has."""
        return self.bodies.get((state.id, *state.mark))

    def insist(self, allowed: Collection[str]) -> None:
        """Refuse unless every danger has been named."""
        if guard.refused(self.dangers, allowed):
            raise GuardedError(guard.sentences(self.dangers, allowed))


def review(graph: Graph, clients: Clients, standing: Standing) -> Review:
    """Read the templates of what stands, and judge what differs."""
    found = [(stack, state) for stack in graph.stacks if (state := standing[stack.region].get(stack.name)) is not None]
    ours = [(stack, state) for stack, state in found if _is_readable(stack, state)]
    left = list(_orphans(graph, standing))
    idle = list(_left_out(graph, standing))
    outputs = {stack.id: state.outputs for stack, state in found}

    def read(region: str, state: State) -> Any:
        return cfn.body_of(clients("cloudformation", region), state)

    with ThreadPoolExecutor(READERS) as pool:
        bodies = list(pool.map(read, [stack.region for stack, _ in ours], [state for _, state in ours]))
        spare = list(pool.map(read, [region for _, region, _ in left], [state for _, _, state in left]))
        beside = list(pool.map(read, [region for region, _ in idle], [state for _, state in idle]))
    stands = [
        Stands(stack.id, stack.template.layer, state, old, stack.template.document, _answers(stack, outputs), stack)
        for (stack, state), old in zip(ours, map(_document, [stack for stack, _ in ours], bodies), strict=True)
    ]
    changed = {each.id: _difference(each) for each in stands}
    orphans = []
    for (system, region, state), old in zip(left, map(cfn.document_of, spare), strict=True):
        declared = old.get("Resources", {})
        orphans.append(Orphan(system, region, state, tuple((name, each["Type"]) for name, each in declared.items())))
        stands.append(Stands(orphans[-1].id, state.tags.get("Layer", ""), state, old, is_gone=True))
    for (region, state), body in zip(idle, beside, strict=True):
        stands.append(Stands(f"{region}/{state.name}", state.tags.get("Layer", ""), state, cfn.document_of(body)))
    moves = Moves(graph, stands, changed)
    states = {each.id: each.state for each in stands}
    order = upgrades.order(graph, changed)
    dangers = [
        *order.dangers,
        *moves.dangers(),
        *network_interfaces.dangers(moves.taken(), clients, states),
        *(each for id_, one in changed.items() for each in guard.dangers(id_, graph[id_].template.layer, one)),
        *(each for one in orphans for each in guard.gone(one.id, one.state.tags.get("Layer", ""), one.resources)),
    ]
    kept = {(state.id, *state.mark): body for (_, state), body in zip(ours, bodies, strict=True)}
    return Review({id_: one for id_, one in changed.items() if one}, tuple(dangers), tuple(orphans), order, moves, kept, states)


def _is_readable(stack: Stack, state: State) -> bool:
    """Whether a stack is ours and was made: what failed to be made is removed or refused by its status."""
    made = DECISIONS[state.status] not in (Decision.CREATE, Decision.REMOVE, Decision.REVIEW)
    return made and state.is_ours(stack.template.system, stack.suffix)


def _document(stack: Stack, body: Any) -> Document:
    """What a stack was last given; read anew only where that is not the committed text."""
    return stack.template.document if body == stack.template.body else cfn.document_of(body)


def _difference(each: Stands) -> tuple[Difference, ...]:
    if each.new is None or each.is_as_it_was:
        return ()
    return differences(each.old, each.state.parameters, each.new, each.answers)


def _answers(stack: Stack, outputs: Mapping[str, Mapping[str, str]]) -> dict[str, str | Later]:
    """What a stack would be given by what stands now."""
    answers: dict[str, str | Later] = dict(stack.values)
    for name, wire in stack.wires.items():
        known = outputs.get(wire.stack, {})
        answers[name] = known[wire.output] if wire.output in known else Later(wire.address)
    return answers


def _left_out(graph: Graph, standing: Standing) -> Iterator[tuple[str, State]]:
    """Stacks that stand although the graph leaves them out: nobody touches them, and what is in them goes on."""
    systems = {(stack.template.system, stack.suffix) for stack in graph.stacks}
    out = {each.stack for each in graph.left_out}
    for region, states in standing.items():
        for state in states.values():
            ours = any(state.is_ours(system, suffix) for system, suffix in systems)
            if ours and f"{region}/{state.name}" in out and state.status not in ("DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS"):
                yield region, state


def _orphans(graph: Graph, standing: Standing) -> Iterator[tuple[str, str, State]]:
    """Stacks of these systems and this environment that are in no template, nor left out of the graph for a reason."""
    known = {stack.id for stack in graph.stacks} | {each.stack for each in graph.left_out}
    systems = sorted({(stack.template.system, stack.suffix) for stack in graph.stacks})
    for region in graph.regions:
        for state in standing[region].values():
            system = next((system for system, suffix in systems if state.is_ours(system, suffix)), "")
            moves = state.status in ("DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS")
            if system and not moves and f"{region}/{state.name}" not in known:
                yield system, region, state
