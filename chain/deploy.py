"""Deploy: every stack is brought to its committed template as soon as what it waits for stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from chain import packages, preflight, rotation, schedule
from chain import stack as cfn
from chain.durations import Durations, memory_name, typical
from chain.graph import ARTIFACTS, BUCKET, Graph, Stack
from chain.lock import Locks
from chain.outcome import NotReadyError
from chain.stack import Clients, News, Report, StackError, State, Wait
from chain.statuses import DECISIONS, GOOD, REMEDIES, STATEFUL, Decision
from chain.watch import Watch

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
    durations: Durations | None = None,
    locks: Locks | None = None,
) -> Result:
    """Deploy a graph; ``folder`` holds the function packages. A failure holds back only what depends on it."""
    stop, durations = stop or Event(), durations or Durations()
    standing = cfn.sweeps(clients, graph.regions)
    outputs: dict[str, Mapping[str, str]] = {}
    findings = preflight.findings(graph, clients, standing)
    if findings:
        raise NotReadyError(findings)
    watches = {region: Watch(clients("cloudformation", region), stop) for region in graph.regions}
    with locks or Locks(clients) as held:
        for stack in graph.stacks:
            state = standing[stack.region].get(stack.name)
            if state is not None and state.is_ours(stack.template.system, stack.suffix):
                _lock(stack, state.outputs, held)

        def work(id_: str) -> Deployed:
            stack = graph[id_]
            try:
                run = _Run(stack, clients, report, folder, stop, watches[stack.region], durations)
                done = run.bring(standing[stack.region].get(stack.name), outputs)
                _lock(stack, done.outputs, held)
            except Exception as error:
                report(News(id_, "failed", reason=str(cfn.explain(error))))
                raise
            outputs[id_] = done.outputs
            report(News(id_, done.action))
            return done

        try:
            ended = schedule.run(graph.after, work, stop, _weights(graph, standing, durations))
        finally:
            durations.save()
        for id_, ids in ended.held.items():
            report(News(id_, "held back", reason=f"waits for {', '.join(ids)}"))
        warnings = [
            warning
            for stack in graph.stacks
            if stack.id in ended.done
            for warning in rotation.first(stack, clients, Wait(stop), rotation_patience)
        ]
    return Result(ended.done, {id_: cfn.explain(error) for id_, error in ended.failed.items()}, ended.held, tuple(warnings))


def _lock(stack: Stack, outputs: Mapping[str, str], locks: Locks) -> None:
    """Hold the lock of a system in a region from the moment that there is a bucket to keep it in."""
    if stack.template.layer == ARTIFACTS and BUCKET in outputs:
        locks.take(stack.template.system, stack.suffix, stack.region, outputs[BUCKET])


def _weights(graph: Graph, standing: cfn.Standing, durations: Durations) -> dict[str, float]:
    """The seconds that each stack is expected to take."""
    weights = {}
    for stack in graph.stacks:
        kind = "update" if stack.name in standing[stack.region] else "create"
        types = {resource["Type"] for resource in stack.template.resources.values()}
        weights[stack.id] = durations.expected(memory_name(stack), kind) or typical(types)
    return weights


class _Run:
    """The work on one stack, in one thread."""

    def __init__(
        self, stack: Stack, clients: Clients, report: Report, folder: Path, stop: Event, watch: Watch, durations: Durations
    ) -> None:
        self.stack = stack
        self.clients = clients
        self.cloudformation: Any = clients("cloudformation", stack.region)
        self.report = report
        self.folder = folder
        self.stop = stop
        self.watch = watch
        self.durations = durations
        self.told: set[str] = set()  # ids of events

    def bring(self, state: State | None, outputs: Mapping[str, Mapping[str, str]]) -> Deployed:
        """From whatever it is to what it should be."""
        if self.stop.is_set():
            raise schedule.StoppedError
        stack = self.stack
        answers, unknown = stack.parameters(outputs)
        if unknown:
            raise StackError(f"these outputs do not exist, though their stacks stand: {', '.join(unknown)}", status="not begun")
        while True:
            state = self._settled(state)
            if state is not None and cfn.is_current(self.cloudformation, state, stack, answers):
                return Deployed("unchanged", state.outputs)
            for name in packages.upload(stack, outputs, self.clients, self.folder):
                self._say("uploaded", name)
            if state is not None:
                return self._update(state, answers)
            made = self._create(answers)
            if made is not None:
                return made
            state = cfn.describe(self.cloudformation, stack.name)  # somebody was faster: decide again about what stands now

    def _create(self, answers: Mapping[str, str]) -> Deployed | None:
        """Create the stack in one call, which either has it or has it not; None if one of its name stands after all."""
        token = cfn.token()
        try:
            made = self.cloudformation.create_stack(ClientRequestToken=token, **cfn.asked(self.stack, answers))
        except self.cloudformation.exceptions.AlreadyExistsException:
            return None
        return self._reached("created", self._rest("create", made["StackId"], token=token))

    def _update(self, state: State, answers: Mapping[str, str]) -> Deployed:
        change_set = cfn.prepare(self.cloudformation, self.stack, answers, "UPDATE", Wait(self.stop))
        if change_set is None:
            return Deployed("unchanged", state.outputs)
        token = cfn.token()
        self.cloudformation.execute_change_set(
            ChangeSetName=change_set.id, StackName=change_set.stack_id, ClientRequestToken=token
        )
        return self._reached("updated", self._rest("update", state.id, before=state, token=token))

    def _reached(self, action: str, after: State | None) -> Deployed:
        if after is None:
            raise StackError("the stack was deleted while it was being made")
        if after.status not in GOOD:
            raise cfn.first_failure(self.cloudformation, after, self.events)
        return Deployed(action, after.outputs)

    def _settled(self, state: State | None) -> State | None:
        """The stack at rest and fit to be updated, or None if it is to be created."""
        continued = False
        while state is not None and (decision := DECISIONS[state.status]) is not Decision.CREATE:
            if decision is Decision.REVIEW:
                self._refuse_foreign_review(state)
            elif decision is not Decision.WAIT and not state.is_ours(self.stack.template.system, self.stack.suffix):
                raise StackError(
                    f"a stack of this name is not ours: its tags System and Environment are not {self.stack.template.system}"
                    f" and {self.stack.suffix}. Choose another ENV, or remove that stack",
                    status=state.status,
                )
            if decision is Decision.REFUSE or (decision is Decision.CONTINUE and continued):
                remedy = REMEDIES[state.status].format(region=self.stack.region, name=self.stack.name)
                raise StackError(f"the stack is in {state.status}; {remedy}", status=state.status)
            if decision is Decision.UPDATE:
                return state
            if decision is Decision.WAIT:
                self._say("joined", f"{state.status} since {state.updated:%H:%M:%S}")
                state = self._rest("update", state.id)
            elif decision is Decision.CONTINUE:
                self._say("continued", f"the rollback that ended in {state.status}")
                continued, token = True, cfn.token()
                self.cloudformation.continue_update_rollback(StackName=state.id, ClientRequestToken=token)
                state = self._rest("update", state.id, before=state, token=token)
            else:
                self._remove(state)
                return None
        return None

    def _remove(self, state: State) -> None:
        """Remove what a failed first create left, unless it holds data."""
        kept = [
            name
            for name, each in cfn.resources(self.cloudformation, state.id).items()
            if each["ResourceType"] in STATEFUL and each["ResourceStatus"] != "DELETE_COMPLETE" and each.get("PhysicalResourceId")
        ]
        if kept:
            raise StackError(
                f"the stack is in {state.status} and {', '.join(sorted(kept))} may hold data: look at it, then"
                f" aws cloudformation delete-stack --region {self.stack.region} --stack-name {self.stack.name}",
                status=state.status,
            )
        self._say("removing", f"{state.status} of an earlier run")
        token = cfn.token()
        self.cloudformation.delete_stack(StackName=state.id, ClientRequestToken=token)
        left = self._rest("delete", state.id, before=state, token=token)
        if left is not None:
            raise cfn.first_failure(self.cloudformation, left, self.events)

    def _refuse_foreign_review(self, state: State) -> None:
        """CloudFormation shows no tags of a stack under review, so the names of its change sets decide."""
        foreign = cfn.foreign_change_sets(self.cloudformation, state.name)
        if foreign:
            raise StackError(f"somebody else's change set waits to create this stack: {', '.join(foreign)}", status=state.status)

    def _rest(self, kind: str, stack_id: str, *, before: State | None = None, token: str = "") -> State | None:
        """Wait for the end of an operation, tell its events, and remember how long it took."""
        name = memory_name(self.stack)
        expected = self.durations.expected(name, kind) if token else None
        tell = partial(self._tell, stack_id)
        after = self.watch.rest(stack_id, tell, before=before, token=token, expected=expected)
        self.events: Sequence[Mapping[str, Any]] = ()
        if after is not None:
            tell()
            seconds = cfn.took(self.events, stack_id)
            if seconds is not None and token and after.status in GOOD:
                self.durations.note(name, kind, seconds)
        return after

    def _tell(self, stack_id: str) -> None:
        self.events = list(cfn.events(self.cloudformation, stack_id))
        cfn.tell(self.stack.id, stack_id, self.events, self.told, self.report)

    def _say(self, status: str, reason: str) -> None:
        self.report(News(self.stack.id, status, reason=reason))
