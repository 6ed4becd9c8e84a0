"""Deploy: every stack is brought to its committed template as soon as what it waits for stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from chain.changes import guard, network_interfaces
from chain.changes.review import Review, review
from chain.cloudformation import cleanup_failures, reachable_regions, schedule
from chain.cloudformation import stack as cfn
from chain.cloudformation.cleanup_failures import Undeleted
from chain.cloudformation.durations import Durations, memory_name, typical
from chain.cloudformation.poller import Watch
from chain.cloudformation.stack import Clients, StackError, StackEvent, State, Wait
from chain.cloudformation.statuses import DECISIONS, GOOD, REMEDIES, Decision
from chain.deploy import packages, preflight, rotation
from chain.deploy.saved_plan import Saved
from chain.environment.exit_codes import NotReadyError
from chain.environment.graph import ARTIFACTS, BUCKET, Graph, Stack
from chain.failover import topology
from chain.run.lock import Locks
from chain.run.record import Note, shown, told
from chain.run.run import Run
from model.resource_types import resource_type

CALLS = {
    "ChangeStacks": (
        "cloudformation:ContinueUpdateRollback",
        "cloudformation:CreateStack",
        "cloudformation:DeleteStack",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:UpdateTerminationProtection",
    ),
}


@dataclass(frozen=True)
class StackResult:
    """A stack that stands as it should: what was done to it, its outputs, and what it let go of that is still there."""

    action: str  # created, updated or unchanged
    outputs: Mapping[str, str]
    left: tuple[Undeleted, ...] = ()

    @property
    def behind(self) -> str:
        """How much of it is left behind, in words; nothing where nothing is."""
        number = len(self.left)
        return f"{number} thing{'s' if number > 1 else ''} left behind" if number else ""


@dataclass(frozen=True)
class Result:
    """How a deployment ended, by the ids of stacks."""

    done: Mapping[str, StackResult]
    failed: Mapping[str, StackError]
    held: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = field(default=())
    removed: tuple[str, ...] = field(default=())  # stacks whose layer is gone


def deploy(run: Run, saved: Saved | None = None) -> Result:
    """Deploy the graph of a run. A failure holds back only what depends on it; ``saved`` is the plan to apply, and no other."""
    whole, clients, report, note = run.graph, run.clients, run.report, run.note
    seen = reachable_regions.look(clients, whole.regions)
    graph, left = reachable_regions.within(whole, seen)
    standing = seen.standing
    outputs: dict[str, Mapping[str, str]] = {}
    with run.locks or Locks(clients, run.caller.arn) as locks:
        for stack in graph.stacks:  # first: what is judged afterwards does not move while it is
            state = standing[stack.region].get(stack.name)
            if state is not None and state.is_ours(stack.template.system, stack.suffix):
                _lock(stack, state.outputs, locks, note)

        found = preflight.check(whole, clients, seen)
        known = topology.records(graph, clients)
        kept = topology.held(known, graph)
        findings = [*found.findings, *_harm(graph, clients, standing, kept)]
        if findings:
            raise NotReadyError(findings)
        judged = review(graph, clients, standing)
        if saved is not None:
            saved.insist(graph, standing)
        note("review", **told(graph, judged, run.allowed))
        judged.insist(run.allowed)
        outputs |= {id_: _outputs_of(graph[id_], standing) for id_ in judged.order.early}
        watches = {region: Watch(clients("cloudformation", region), run.stop) for region in graph.regions}

        for record in known:
            if record.destroying:  # an earlier destroy did not end, and is not to be ended any more
                topology.unmark_destroying(clients, record.place)

        def bring(id_: str) -> StackResult:
            stack = graph[id_]
            note("begin", stack=id_)
            try:
                planned = saved.changes(id_) if saved is not None else None
                work = _StackDeployment(run, stack, watches[stack.region], judged, kept.get(id_, ""), planned)
                done = work.bring(standing[stack.region].get(stack.name), outputs)
                _lock(stack, done.outputs, locks, note)
            except schedule.StoppedError:  # not by a fault of the stack's, and what AWS had begun goes on there
                report(StackEvent(id_, "interrupted"))
                note("done", stack=id_, result="interrupted")
                raise
            except Exception as error:
                report(StackEvent(id_, "failed", reason=str(cfn.explain(error))))
                note("done", stack=id_, result="failed")
                raise
            outputs[id_] = done.outputs
            left = [{name: getattr(each, name) for name in ("resource", "type", "physical", "reason")} for each in done.left]
            note("done", stack=id_, result=done.action, **({"left": left} if left else {}))
            report(StackEvent(id_, done.action, reason=done.behind))
            return done

        try:
            ended = schedule.run(judged.order.after, bring, run.stop, _weights(graph, standing, run.durations))
            removed = _orphans(run, judged, {**ended.failed, **left})
        finally:
            run.durations.save()
        for id_, ids in ended.held.items():
            report(StackEvent(id_, "held back", reason=f"waits for {', '.join(ids)}"))
        for id_, why in left.items():
            report(StackEvent(id_, "held back", reason=why))
        warnings = [f"not checked beforehand: {text}" for text in found.unseen] + [
            warning for stack in graph.stacks if stack.id in ended.done for warning in _unrotated(run, stack)
        ]
    failed = {id_: cfn.explain(error) for id_, error in {**ended.failed, **removed.failed}.items()}
    failed |= {id_: StackError(why, status="not seen") for id_, why in left.items()}
    return Result(ended.done, failed, {**ended.held, **removed.held}, tuple(warnings), tuple(removed.done))


def _unrotated(run: Run, stack: Stack) -> list[str]:
    """Warnings about secrets that were never rotated; that this cannot be asked is one more, and takes nothing from the rest."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return rotation.first(stack, run.clients, Wait(run.stop), run.rotation_patience)
    except (BotoCoreError, ClientError) as error:
        return [f"{stack.id}: whether the rotation of its secrets works is unknown: {cfn.explain(error)}"]


def _harm(graph: Graph, clients: Clients, standing: cfn.Standing, kept: Mapping[str, str]) -> list[str]:
    """Of the stacks that must stay as they are, those that would change by what is known now."""
    outputs = {f"{region}/{name}": state.outputs for region, states in standing.items() for name, state in states.items()}
    found = []
    for id_, why in kept.items():
        stack = graph[id_]
        state = standing[stack.region].get(stack.name)
        answers, _ = stack.parameters(outputs)
        if state is None or not cfn.is_current(clients("cloudformation", stack.region), state, stack, answers):
            found.append(f"{id_} would {'change' if state else 'be created'}: {why}")
    return found


def _outputs_of(stack: Stack, standing: cfn.Standing) -> Mapping[str, str]:
    """What a stack gives as it stands."""
    state = standing[stack.region].get(stack.name)
    return state.outputs if state is not None else {}


def _orphans(run: Run, judged: Review, failed: Collection[str]) -> schedule.Ended[str]:
    """Remove stacks whose layer is gone, once nothing that stands needs them any more: what ``failed`` or is dark still may."""
    if not judged.orphans or failed or run.stop.is_set():
        return schedule.Ended({}, {}, {})
    from chain.destroy.destruction import remove

    suffix = run.graph.stacks[0].suffix
    return remove([(each.system, each.region, each.state) for each in judged.orphans], suffix, run)


def _lock(stack: Stack, outputs: Mapping[str, str], locks: Locks, note: Note) -> None:
    """Hold the lock of a system in a region from the moment that there is a bucket to keep it in; the record goes there too."""
    if stack.template.layer == ARTIFACTS and BUCKET in outputs:
        locks.take(stack.template.system, stack.suffix, stack.region, outputs[BUCKET])
        note("copy", region=stack.region, bucket=outputs[BUCKET])


def _weights(graph: Graph, standing: cfn.Standing, durations: Durations) -> dict[str, float]:
    """The seconds that each stack is expected to take."""
    weights = {}
    for stack in graph.stacks:
        kind = "update" if stack.name in standing[stack.region] else "create"
        types = {resource["Type"] for resource in stack.template.resources.values()}
        weights[stack.id] = durations.expected(memory_name(stack), kind) or typical(types)
    return weights


@dataclass
class _StackDeployment:
    """The work on one stack, in one thread."""

    run: Run
    stack: Stack
    watch: Watch
    judged: Review
    kept: str  # why it must stay as it is
    planned: Collection[str] | None  # what may happen to its resources, where a plan says so
    told: set[str] = field(default_factory=set)  # ids of events
    events: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        self.cloudformation: Any = self.run.clients("cloudformation", self.stack.region)

    def bring(self, state: State | None, outputs: Mapping[str, Mapping[str, str]]) -> StackResult:
        """From whatever it is to what it should be."""
        if self.run.stop.is_set():
            raise schedule.StoppedError
        stack = self.stack
        answers, unknown = stack.parameters(outputs)
        if unknown:
            raise StackError(f"these outputs do not exist, though their stacks stand: {', '.join(unknown)}", status="not begun")
        while True:
            state = self._settled(state)
            if state is not None and self._is_current(state, answers):
                self._protect(state)
                return StackResult(
                    "unchanged", state.outputs, cleanup_failures.standing(self.run.clients, self.stack.region, state)
                )
            if self.kept:  # an output that another stack gave has changed meanwhile
                raise StackError(self.kept, status="not begun")
            for name in packages.upload(stack, outputs, self.run.clients, self.run.packages):
                self._say("uploaded", name)
            if state is not None:
                self._protect(state)
                return self._update(state, answers)
            made = self._create(answers)
            if made is not None:
                return made
            state = cfn.describe(self.cloudformation, stack.name)  # somebody was faster: decide again about what stands now

    def _is_current(self, state: State, answers: Mapping[str, str]) -> bool:
        return cfn.is_current(self.cloudformation, state, self.stack, answers, self.judged.body(state))

    def _protect(self, state: State) -> None:
        """Turn on termination protection where it is wanted; only ``destroy`` turns it off."""
        if self.stack.is_protected and not state.is_protected:
            self.cloudformation.update_termination_protection(StackName=state.id, EnableTerminationProtection=True)
            self._say("protected", "against termination")

    def _judge(self, change_set: cfn.ChangeSet) -> None:
        """The last look before a change set is executed: inputs that were not known before are known now."""
        layer = self.stack.template.layer
        said = {self.stack.id: guard.replaced(change_set.changes)}
        taken = [each for each in self.judged.moves.taken(said) if each.stack == self.stack.id]
        standing = network_interfaces.dangers(
            taken, self.run.clients, self.judged.stands
        )  # once more: it may have come meanwhile
        own = [each for each in (*self.judged.moves.dangers(said), *standing) if each.stack == self.stack.id]
        wrong = guard.refused([*guard.by_change_set(self.stack.id, layer, change_set.changes), *own], self.run.allowed)
        found = {f"{each.action} {each.resource}" for each in change_set.changes}
        self.run.note("change set", stack=self.stack.id, id=change_set.id, changes=[shown(each) for each in change_set.changes])
        if wrong:
            cfn.discard(self.cloudformation, change_set)
            reason = "; ".join(f"{each.resource} ({each.type}) {each.what}" for each in wrong)
            names = " ".join(dict.fromkeys(each.resource for each in wrong if not each.final))
            open_ = f". To have it all the same: ALLOW='{names}' REASON='why'" if names else ""
            raise StackError(f"{reason}{open_}", status="refused by the guard")
        if self.planned is not None and not found <= set(self.planned):
            cfn.discard(self.cloudformation, change_set)
            more = ", ".join(sorted(found - set(self.planned)))
            raise StackError(f"this is not in the plan: {more}. Plan again", status="not as planned")

    def _create(self, answers: Mapping[str, str]) -> StackResult | None:
        """Create the stack in one call, which either has it or has it not; None if one of its name stands after all."""
        token = cfn.token()
        try:
            made = self.cloudformation.create_stack(
                ClientRequestToken=token,
                **({"EnableTerminationProtection": True} if self.stack.is_protected else {}),
                **cfn.asked(self.stack, answers),
            )
        except self.cloudformation.exceptions.AlreadyExistsException:
            return None
        return self._reached("created", self._rest("create", made["StackId"], token=token))

    def _update(self, state: State, answers: Mapping[str, str]) -> StackResult:
        change_set = cfn.prepare(self.cloudformation, self.stack, answers, "UPDATE", Wait(self.run.stop))
        if change_set is None:
            return StackResult("unchanged", state.outputs, cleanup_failures.standing(self.run.clients, self.stack.region, state))
        self._judge(change_set)
        token = cfn.token()
        self.cloudformation.execute_change_set(
            ChangeSetName=change_set.id, StackName=change_set.stack_id, ClientRequestToken=token
        )
        return self._reached("updated", self._rest("update", state.id, before=state, token=token))

    def _reached(self, action: str, after: State | None) -> StackResult:
        if after is None:
            raise StackError("the stack was deleted while it was being made")
        if after.status not in GOOD:
            raise cfn.first_failure(self.cloudformation, after, self.events)
        return StackResult(action, after.outputs, cleanup_failures.undeleted(self.events, after.id))

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
            if resource_type(each["ResourceType"]).holds_data
            and each["ResourceStatus"] != "DELETE_COMPLETE"
            and each.get("PhysicalResourceId")
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
        expected = self.run.durations.expected(name, kind) if token else None
        tell = partial(self._tell, stack_id)
        after = self.watch.rest(stack_id, tell, before=before, token=token, expected=expected)
        self.events = ()
        if after is not None:
            tell()
            seconds = cfn.took(self.events, stack_id)
            if seconds is not None and token and after.status in GOOD:
                self.run.durations.note(name, kind, seconds)
        return after

    def _tell(self, stack_id: str) -> None:
        self.events = list(cfn.events(self.cloudformation, stack_id))
        cfn.tell(self.stack.id, stack_id, self.events, self.told, self.run.report)

    def _say(self, status: str, reason: str) -> None:
        self.run.report(StackEvent(self.stack.id, status, reason=reason))
