"""Plan: what a deployment would do, asked of CloudFormation by change sets that are never executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chain.changes import network_interfaces
from chain.changes.guard import Danger, by_change_set, replaced
from chain.changes.replacements import Follows
from chain.changes.review import Review, review
from chain.changes.template_diff import Difference
from chain.cloudformation import schedule
from chain.cloudformation import stack as cfn
from chain.cloudformation.reachable_regions import Seen, look, within
from chain.cloudformation.stack import Change, StackError, State, Wait
from chain.cloudformation.statuses import DECISIONS, REMEDIES, Decision
from chain.environment.graph import Stack
from chain.run.run import Run


@dataclass(frozen=True)
class Step:
    """What would happen to one stack. ``unknown`` are the addresses of inputs that only exist after their stacks stand."""

    stack: Stack
    action: str  # create, change, none, wait, refused or unseen
    changes: tuple[Change, ...] = ()
    unknown: tuple[str, ...] = ()
    note: str = ""
    differences: tuple[Difference, ...] = ()
    dangers: tuple[Danger, ...] = ()
    follows: Follows | None = None  # what replaces its inputs


def plan(
    run: Run,
    seen: Seen | None = None,
    judged: Review | None = None,
    held: Mapping[str, str] | None = None,
) -> list[Step]:
    """One step per stack, in the order of the graph. ``held`` are those that must not change, by id, and why."""
    whole, clients = run.graph, run.clients
    seen = seen or look(clients, whole.regions)
    graph, left = within(whole, seen)
    standing = seen.standing
    judged = judged or review(graph, clients, standing)
    outputs: dict[str, Mapping[str, str]] = {
        stack.id: standing[stack.region][stack.name].outputs for stack in graph.stacks if stack.name in standing[stack.region]
    }

    def work(id_: str) -> Step:
        stack = graph[id_]
        step = _step(stack, standing[stack.region].get(stack.name), outputs, run, judged)
        found = judged.differences.get(id_, ()) if step.action in ("change", "refused") else ()
        if not step.changes and step.unknown:  # what CloudFormation cannot be asked yet
            known = tuple(Change(one.action, one.resource, one.type, one.replacement) for one in found)
            step = replace(step, changes=known) if step.action == "change" else step
        return replace(step, differences=found, dangers=tuple(by_change_set(id_, stack.template.layer, step.changes)))

    ended = schedule.run({stack.id: () for stack in graph.stacks}, work, run.stop)
    if ended.failed:
        raise next(iter(ended.failed.values()))
    done = {
        id_: replace(step, action="refused", note=(held or {})[id_]) if id_ in (held or {}) and step.action != "none" else step
        for id_, step in ended.done.items()
    }
    more = {id_: replaced(step.changes) for id_, step in done.items()}
    known = {(each.stack, each.resource) for each in judged.moves.dangers()}
    late = [each for each in judged.moves.dangers(more) if (each.stack, each.resource) not in known]
    refused = {each.stack for each in (*judged.dangers, *late) if each.final}
    taken = [each for each in judged.moves.taken(more) if each.stack not in refused]
    late += network_interfaces.dangers(taken, clients, judged.stands)
    done = {
        id_: replace(step, dangers=(*step.dangers, *(each for each in late if each.stack == id_))) for id_, step in done.items()
    }
    follows = judged.moves.follows(more)
    done = {id_: _following(step, follows.get(id_)) for id_, step in done.items()}
    moving = {id_ for id_, step in done.items() if step.action != "none"}
    steps = {stack.id: _noted(done[stack.id], moving) for stack in graph.stacks}
    return [steps.get(stack.id) or Step(stack, "unseen", note=left[stack.id]) for stack in whole.stacks]


def _following(step: Step, follows: Follows | None) -> Step:
    """A step of a stack whose inputs are replaced by the same deployment: what CloudFormation cannot know of it yet."""
    if follows is None or step.action not in ("none", "change"):
        return step
    known = {change.resource for change in step.changes}
    changes = (*step.changes, *(change for change in follows.changes if change.resource not in known))
    note = f"{step.note}; {follows}" if step.note else str(follows)
    return replace(step, action="change", changes=changes, note=note, follows=follows)


def _noted(step: Step, moving: set[str]) -> Step:
    """Say of a step that rests on outputs which the same deployment may still change."""
    fed = [wire.address for wire in step.stack.wires.values() if wire.stack in moving]
    if step.action not in ("none", "change") or not fed or step.note:
        return step
    return replace(step, note=f"as long as these stay as they are: {', '.join(fed)}")


def _step(stack: Stack, state: State | None, outputs: Mapping[str, Mapping[str, str]], run: Run, judged: Review) -> Step:
    from botocore.exceptions import ClientError

    cloudformation = run.clients("cloudformation", stack.region)
    decision = Decision.CREATE if state is None else DECISIONS[state.status]
    foreign_review = decision is Decision.REVIEW and state is not None and cfn.foreign_change_sets(cloudformation, state.name)
    if state is not None and decision is not Decision.CREATE:
        if decision is Decision.WAIT:
            return Step(stack, "wait", note=f"{state.status}: something is under way; deploy would wait for it")
        if foreign_review or (decision is not Decision.REVIEW and not state.is_ours(stack.template.system, stack.suffix)):
            return Step(stack, "refused", note="a stack of this name is not ours")
        if decision is Decision.REFUSE:
            return Step(
                stack,
                "refused",
                note=f"it is in {state.status}; {REMEDIES[state.status].format(region=stack.region, name=stack.name)}",
            )
        if decision is Decision.CONTINUE:
            return Step(stack, "change", note=f"it is in {state.status}; its rollback is finished first")
    answers, unknown = stack.parameters(outputs)
    creates = decision is not Decision.UPDATE
    added = tuple(Change("Add", name, resource["Type"], "") for name, resource in stack.template.resources.items())
    if creates and (unknown or decision is not Decision.CREATE):
        note = f"what is left of an earlier run is removed first ({state.status})" if state is not None else ""
        return Step(stack, "create", added, tuple(unknown), note)
    if unknown:
        return Step(stack, "change", (), tuple(unknown), "what changes is known when its inputs are")
    if state is not None and not creates and cfn.is_current(cloudformation, state, stack, answers, judged.body(state)):
        return Step(stack, "none")
    try:
        change_set = cfn.prepare(cloudformation, stack, answers, "CREATE" if creates else "UPDATE", Wait(run.stop))
    except (StackError, ClientError) as error:
        return Step(stack, "refused", note=str(cfn.explain(error)))
    if change_set is None:
        return Step(stack, "none")
    cfn.discard(cloudformation, change_set)
    return Step(
        stack, "create" if creates else "change", change_set.changes, note="" if change_set.changes else "outputs or tags only"
    )
