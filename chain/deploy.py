"""Deploy: every stack is brought to its committed template as soon as what it waits for stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from chain import packages, rotation, schedule
from chain import stack as cfn
from chain.graph import Graph, Stack
from chain.stack import DECISIONS, REMEDIES, Clients, Decision, News, Report, StackError, State, Wait

ROTATION_PATIENCE = 120.0  # seconds; a function in a VPC takes about 20 s for its first run, Secrets Manager retries later


@dataclass(frozen=True)
class Deployed:
    """A stack that stands as it should: what was done to it, and its outputs."""

    action: str  # created, updated or unchanged
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """How a deployment ended, by the ids of stacks."""

    done: Mapping[str, Deployed]
    failed: Mapping[str, StackError]
    held: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = field(default=())


def deploy(
    graph: Graph,
    clients: Clients,
    report: Report,
    *,
    folder: Path,
    stop: Event | None = None,
    rotation_patience: float = ROTATION_PATIENCE,
) -> Result:
    """Deploy a graph; ``folder`` holds the function packages. A failure holds back only what depends on it."""
    stop = stop or Event()
    standing = {region: cfn.sweep(clients("cloudformation", region)) for region in graph.regions}
    outputs: dict[str, Mapping[str, str]] = {}

    def work(id_: str) -> Deployed:
        stack = graph[id_]
        try:
            done = _Run(stack, clients, report, folder, stop).bring(standing[stack.region].get(stack.name), outputs)
        except Exception as error:
            report(News(id_, "failed", reason=str(cfn.explain(error))))
            raise
        outputs[id_] = done.outputs
        report(News(id_, done.action))
        return done

    ended = schedule.run(graph.after, work, stop)
    for id_, ids in ended.held.items():
        report(News(id_, "held back", reason=f"waits for {', '.join(ids)}"))
    warnings = [
        warning
        for stack in graph.stacks
        if stack.id in ended.done
        for warning in rotation.first(stack, clients, Wait(stop), rotation_patience)
    ]
    return Result(ended.done, {id_: cfn.explain(error) for id_, error in ended.failed.items()}, ended.held, tuple(warnings))


class _Run:
    """The work on one stack, in one thread."""

    def __init__(self, stack: Stack, clients: Clients, report: Report, folder: Path, stop: Event) -> None:
        self.stack = stack
        self.clients = clients
        self.cloudformation: Any = clients("cloudformation", stack.region)
        self.report = report
        self.folder = folder
        self.stop = stop

    def bring(self, state: State | None, outputs: Mapping[str, Mapping[str, str]]) -> Deployed:
        """From whatever it is to what it should be."""
        if self.stop.is_set():
            raise schedule.StoppedError
        stack = self.stack
        answers, unknown = stack.parameters(outputs)
        if unknown:
            raise StackError(f"these outputs do not exist, though their stacks stand: {', '.join(unknown)}", status="not begun")
        state = self._settled(state)
        if state is not None and cfn.is_current(self.cloudformation, state, stack, answers):
            return Deployed("unchanged", state.outputs)
        for name in packages.upload(stack, outputs, self.clients, self.folder):
            self._say("uploaded", name)
        kind = "CREATE" if state is None else "UPDATE"
        change_set = cfn.prepare(self.cloudformation, stack, answers, kind, Wait(self.stop))
        if change_set is None:
            return Deployed("unchanged", state.outputs if state else {})
        since = cfn.newest(self.cloudformation, change_set.stack_id)
        self.cloudformation.execute_change_set(ChangeSetName=change_set.id, StackName=change_set.stack_id)
        after = self._follow(change_set.stack_id, since)
        if after is None:
            raise StackError("the stack was deleted while it was being made")
        if after.status not in cfn.GOOD:
            raise cfn.first_failure(self.cloudformation, after)
        return Deployed("created" if kind == "CREATE" else "updated", after.outputs)

    def _settled(self, state: State | None) -> State | None:
        """The stack at rest and fit to be updated, or None if it is to be created."""
        while state is not None and (decision := DECISIONS[state.status]) is not Decision.CREATE:
            if decision is Decision.REVIEW:
                self._refuse_foreign_review(state)
            elif decision is not Decision.WAIT and not state.is_ours(self.stack.template.system, self.stack.suffix):
                raise StackError(
                    f"a stack of this name is not ours: its tags System and Environment are not {self.stack.template.system}"
                    f" and {self.stack.suffix}. Choose another ENV, or remove that stack",
                    status=state.status,
                )
            if decision is Decision.REFUSE:
                remedy = REMEDIES[state.status].format(region=self.stack.region, name=self.stack.name)
                raise StackError(f"the stack is in {state.status}; {remedy}", status=state.status)
            if decision is Decision.UPDATE:
                return state
            if decision is Decision.WAIT:
                self._say("joined", f"{state.status} since {state.updated:%H:%M:%S}")
                state = self._follow(state.id)
            else:
                self._say("removing", f"{state.status} of an earlier run")
                since = cfn.newest(self.cloudformation, state.id)
                self.cloudformation.delete_stack(StackName=state.id)
                state = self._follow(state.id, since)
                if state is not None:
                    raise cfn.first_failure(self.cloudformation, state)
        return None

    def _refuse_foreign_review(self, state: State) -> None:
        """CloudFormation shows no tags of a stack under review, so the names of its change sets decide."""
        foreign = cfn.foreign_change_sets(self.cloudformation, state.name)
        if foreign:
            raise StackError(f"somebody else's change set waits to create this stack: {', '.join(foreign)}", status=state.status)

    def _follow(self, stack_id: str, since: str | None = None) -> State | None:
        return cfn.follow(self.cloudformation, self.stack.id, stack_id, self.report, Wait(self.stop), since)

    def _say(self, status: str, reason: str) -> None:
        self.report(News(self.stack.id, status, reason=reason))
