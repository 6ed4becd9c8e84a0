"""Destroy: everything of an environment, in the order in which AWS lets go of it, and an audit of what is left.

It works on what stands, found by its tags, and not on what the parameter files would make today; so it can be run again
from any point.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any

from chain.cloudformation import cleanup_failures, end_replication, reachable_regions, schedule
from chain.cloudformation import stack as cfn
from chain.cloudformation.cleanup_failures import Undeleted
from chain.cloudformation.durations import typical
from chain.cloudformation.end_replication import unless
from chain.cloudformation.poller import Watch
from chain.cloudformation.stack import Clients, StackError, StackEvent, State, Wait
from chain.cloudformation.statuses import DECISIONS, Decision
from chain.destroy import final_snapshots, orphans, restore_tests, vaults
from chain.destroy.buckets import count, empty
from chain.environment.exit_codes import NotReadyError
from chain.environment.graph import ARTIFACTS, stack_name
from chain.environment.graph import BUCKET as LOCKED
from chain.environment.templates import Template
from chain.failover import topology
from chain.run.lock import Locks
from chain.run.run import Run
from model import Site, address

CALLS = {
    "ChangeStacks": ("cloudformation:DeleteStack", "cloudformation:UpdateTerminationProtection"),
    "StopTheTrail": ("cloudtrail:StopLogging",),
    "EndRotation": ("secretsmanager:CancelRotateSecret",),
}

BUCKET, VAULT, FILES = "AWS::S3::Bucket", "AWS::Backup::BackupVault", "AWS::EFS::FileSystem"
TRAIL = "AWS::CloudTrail::Trail"
SCHEDULE, SECRET = "AWS::SecretsManager::RotationSchedule", "AWS::SecretsManager::Secret"
PLAN = "AWS::Backup::BackupPlan"
CLUSTER, GLOBAL = "AWS::RDS::DBCluster", "AWS::RDS::GlobalCluster"
READERS = 8  # threads that ask what stacks hold
ATTEMPTS = 2  # a deletion that fails is tried once more: a bucket may have filled, a network interface may have lingered


@dataclass(frozen=True, eq=False)
class StackToDelete:
    """A stack that will be deleted, and what it holds: logical id, type and physical id of each resource."""

    system: str
    region: str
    state: State
    resources: tuple[tuple[str, str, str], ...]
    needs: frozenset[str]  # ids of the stacks whose outputs it was given
    joined: tuple[str, ...] = ()  # clusters (ARNs) that its template puts into a global database
    left: tuple[Undeleted, ...] = ()  # what an update could not delete, and the stack no longer holds

    @property
    def id(self) -> str:
        """Region and name, as in the graph."""
        return f"{self.region}/{self.state.name}"

    @property
    def layer(self) -> str:
        """The layer that it was made of."""
        return self.state.tags.get("Layer", "")

    @property
    def memory(self) -> str:
        """What its durations are kept under, as in a deployment."""
        return f"{self.system}/{self.layer}/{self.state.tags.get('Site', '')}"

    @property
    def types(self) -> set[str]:
        """What it holds."""
        return {kind for _, kind, _ in self.resources}

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in the stack's account and region."""
        _, partition, _, region, account, _ = self.state.id.split(":", 5)
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    def of(self, type_: str) -> list[str]:
        """Physical ids of the resources of a type."""
        return [physical for _, kind, physical in self.resources if kind == type_ and physical]


@dataclass(frozen=True)
class Survey:
    """What an environment consists of now."""

    suffix: str
    systems: tuple[str, ...]
    regions: tuple[str, ...]
    stacks: tuple[StackToDelete, ...]
    objects: Mapping[str, str]  # bucket -> how many versions and markers it holds
    points: Mapping[str, str]  # backup vault -> how many recovery points it holds
    foreign: tuple[str, ...]  # stacks that bear a name of ours and not our tags
    leftovers: tuple[str, ...]  # what an earlier destroy left besides stacks
    last: tuple[final_snapshots.Database, ...] = ()  # of which a snapshot is taken first


@dataclass(frozen=True)
class Result:
    """How a destroy ended: deleted and failed stacks by id, and the audit."""

    deleted: tuple[str, ...]
    failed: Mapping[str, StackError]
    held: Mapping[str, tuple[str, ...]]
    swept: tuple[str, ...]
    left: tuple[str, ...]
    pending: tuple[tuple[str, datetime | None], ...]  # keys, and when they are gone
    kept: tuple[final_snapshots.Database, ...] = ()  # whose last snapshot is there
    commands: tuple[str, ...] = ()  # that delete what is left


def survey(templates: Sequence[Template], suffix: str, clients: Clients, account: str, snapshots: Collection[str] = ()) -> Survey:
    """Find what is to be deleted. Stacks whose layer no longer exists are found as well, by their tags.

    ``snapshots`` are the systems whose databases leave a last snapshot.

    Raises:
        NotReadyError: A region cannot be looked into, so nobody could say afterwards that nothing is left.
    """
    systems = tuple(dict.fromkeys(template.system for template in templates))
    regions = tuple(sorted({region for template in templates for region in template.sites.values()}))
    places = {(template.system, site): region for template in templates for site, region in template.sites.items()}
    ours: list[tuple[str, str, State, Any, str, Mapping[tuple[str, Site], str]]] = []
    foreign = []
    seen = reachable_regions.look(clients, regions)
    if seen.dark:
        raise NotReadyError(
            f"{why}: what stands there could not be seen, and would be left. Name the systems that have nothing there (SYSTEM=)"
            + (f", or: aws account enable-region --region-name {region}" if region in seen.closed else ", or wait until it does")
            for region, why in seen.dark.items()
        )
    standing = seen.standing
    for region in regions:
        cloudformation = clients("cloudformation", region)
        names = {stack_name(template, suffix): template.system for template in templates if region in template.sites.values()}
        for state in standing[region].values():
            system = next((system for system in systems if state.is_ours(system, suffix)), "")
            if not system and state.status == "REVIEW_IN_PROGRESS" and not cfn.foreign_change_sets(cloudformation, state.name):
                system = names.get(state.name, "")  # one under review shows no tags
            if system:
                ours.append((system, region, state, cloudformation, suffix, places))
            elif state.name in names:
                foreign.append(f"{region}/{state.name}")
    with ThreadPoolExecutor(READERS) as pool:
        stacks = list(
            pool.map(
                lambda each: replace(_stack_to_delete(*each), left=cleanup_failures.standing(clients, each[1], each[2])), ours
            )
        )
    counts = {bucket: count(clients("s3", doomed.region), bucket) for doomed in stacks for bucket in doomed.of(BUCKET)}
    points = {vault: vaults.count(clients("backup", doomed.region), vault) for doomed in stacks for vault in doomed.of(VAULT)}
    in_stacks = {f"{each.region}  log group {name}" for each in stacks for name in each.of("AWS::Logs::LogGroup")}
    in_stacks |= {f"{each.region}  secret {orphans.secret_name(name)}" for each in stacks for name in each.of(SECRET)}
    outside = [
        each.text
        for region in regions
        for each in orphans.look(clients, region, orphans.names(templates, suffix, region, account), systems, suffix)
        if each.text not in in_stacks
    ]
    last = tuple(
        database
        for each in stacks
        if each.system in snapshots
        for type_ in final_snapshots.KINDS
        for database in final_snapshots.databases(clients, regions, each.system, each.region, type_, each.of(type_))
    )
    return Survey(suffix, systems, regions, tuple(stacks), counts, points, tuple(foreign), tuple(outside), last)


def _stack_to_delete(
    system: str, region: str, state: State, cloudformation: Any, suffix: str, places: Mapping[tuple[str, Site], str]
) -> StackToDelete:
    listed = cfn.resources(cloudformation, state.id)
    resources = tuple(
        (name, each["ResourceType"], each.get("PhysicalResourceId", ""))
        for name, each in listed.items()
        if each["ResourceStatus"] != "DELETE_COMPLETE"
    )
    document = {} if state.status == "REVIEW_IN_PROGRESS" else cfn.template(cloudformation, state.id)
    layer = document.get("Metadata", {}).get("Layer", {})
    needs = set()
    for wire in (layer.get("Imports") or {}).values():
        site, source, _ = address("", wire)
        needs.add(f"{places.get((system, site), region)}/{system}-{source}-{suffix}")
    if layer.get("Packages"):
        needs.add(f"{region}/{system}-artifacts-{suffix}")
    doomed = StackToDelete(system, region, state, resources, frozenset(needs))
    declared = document.get("Resources", {})
    joins = {
        name
        for name, resource in declared.items()
        if resource["Type"] == CLUSTER and "GlobalClusterIdentifier" in resource.get("Properties", {})
    }
    joined = tuple(doomed.arn("rds", f"cluster:{physical}") for name, _, physical in resources if name in joins and physical)
    return replace(doomed, joined=joined)


def destroy(found: Survey, templates: Sequence[Template], run: Run, *, patience: float = orphans.PATIENCE) -> Result:
    """Delete what was found, sweep what outlives it, and look for what is left."""
    clients = run.clients
    with run.locks or Locks(clients, run.caller.arn) as locks:
        for each in found.stacks:
            if each.layer == ARTIFACTS and LOCKED in each.state.outputs:
                locks.take(each.system, found.suffix, each.region, each.state.outputs[LOCKED])
        marked: list[topology.Place] = []
        lost: Mapping[str, Exception] | None = None
        try:
            for place in topology.places(templates, found.suffix):  # before anything else: from here on nothing fails over
                if any(each.system == place.system for each in found.stacks) or topology.read(clients, place).values:
                    marked += [place] if topology.mark_destroying(clients, place, run.caller.arn) else []
                    topology.await_lease(clients, place, Wait(run.stop))
            lost = _keep(found, run)
        finally:
            for place in marked if lost != {} else ():  # nothing is deleted, and it fails over as before
                topology.unmark_destroying(clients, place)
        if lost:
            return Result((), {id_: cfn.explain(error) for id_, error in lost.items()}, {}, (), (), ())
        return _destroy(found, templates, run, patience)


def _destroy(found: Survey, templates: Sequence[Template], run: Run, patience: float) -> Result:
    clients = run.clients
    names = {region: _names(found, templates, region, run.caller.account) for region in found.regions}
    ended = _take_down(found, run, names)
    swept: list[str] = []
    left: list[str] = []
    pending: list[tuple[str, datetime | None]] = []
    behind = [one for each in found.stacks for one in each.left]
    kept = cleanup_failures.delete(clients, behind) if not ended.failed else dict.fromkeys(behind, "a stack may still use it")
    swept += [f"{one.region}  {one.type} {one.physical}" for one in behind if one not in kept]
    for region in found.regions:
        if not ended.failed:  # what failed may still be writing its logs
            for leftover in orphans.look(clients, region, names[region], found.systems, found.suffix):
                leftover.delete()
                swept.append(leftover.text)
            for place in topology.places(templates, found.suffix):
                if place.region == region:
                    swept += [f"{region}  parameter {name}" for name in topology.forget(clients, place)]
        patient = 0.0 if ended.failed else patience
        audit = orphans.audit(clients, region, found.systems, found.suffix, Wait(run.stop), patient)
        left += [f"{region}  {arn}" for arn in audit.left]
        pending += audit.pending
    arns = [text.rpartition("  ")[2] for text in left]
    left += [
        f"{one.region}  {one.type} {one.physical}: {why}"
        for one, why in kept.items()
        if not any(arn.endswith(f"/{one.physical}") for arn in arns)
    ]
    commands = tuple(dict.fromkeys([*(one.command for one in kept), *cleanup_failures.commands(arns)]))
    failed = {id_: cfn.explain(error) for id_, error in ended.failed.items()}
    return Result(tuple(ended.done), failed, ended.held, tuple(swept), tuple(left), tuple(pending), found.last, commands)


def _keep(found: Survey, run: Run) -> Mapping[str, Exception]:
    """Take the last snapshots, all at once; failures by what they are of."""
    wanted = {f"{each.region}/{each.identifier}": each for each in found.last}

    def work(id_: str) -> None:
        run.report(StackEvent(id_, "keeping", reason=wanted[id_].snapshot))
        final_snapshots.keep(run.clients, wanted[id_], found.suffix, Wait(run.stop))
        run.report(StackEvent(id_, "kept", reason=wanted[id_].snapshot))

    return schedule.run(dict.fromkeys(wanted, ()), work, run.stop).failed


def remove(stacks: Sequence[tuple[str, str, State]], suffix: str, run: Run) -> schedule.Ended[str]:
    """Delete some stacks of an environment that goes on; ``stacks`` are system, region and state."""
    regions = tuple(sorted({region for _, region, _ in stacks}))
    doomed = tuple(
        _stack_to_delete(system, region, state, run.clients("cloudformation", region), suffix, {})
        for system, region, state in stacks
    )
    found = Survey(suffix, (), regions, doomed, {}, {}, (), ())
    return _take_down(found, run, {region: orphans.Names() for region in regions})


def _take_down(found: Survey, run: Run, names: Mapping[str, orphans.Names]) -> schedule.Ended[str]:
    """Quiet the stacks, end what binds them, and delete them, those that are needed last."""
    for each in found.stacks:
        _quiet(each, run)
    loose = _loosen(found, run, names)
    doomed = {each.id: each for each in found.stacks}
    watches = {region: Watch(run.clients("cloudformation", region), run.stop) for region in found.regions}

    def delete(id_: str) -> str:
        if id_ in loose:
            raise loose[id_]
        return _Deletion(run, doomed[id_], found, watches[doomed[id_].region])()

    weights = {each.id: run.durations.expected(each.memory, "delete") or typical(each.types) for each in found.stacks}
    try:
        return schedule.run(_reversed(found.stacks), delete, run.stop, weights)
    finally:
        run.durations.save()


def _names(found: Survey, templates: Sequence[Template], region: str, account: str) -> orphans.Names:
    """What may be left in a region: what templates name, and what stacks hold."""
    names = orphans.names(templates, found.suffix, region, account)
    for each in found.stacks:
        for _, type_, physical in each.resources:
            if physical and (each.region == region or type_ == SECRET):
                names.add(type_, physical)
    return names


def _loosen(found: Survey, run: Run, names: Mapping[str, orphans.Names]) -> dict[str, Exception]:
    """End what binds the regions, and what rehearsed restores left in networks; failures by the stacks that they hold back."""
    bound = {each.id: each for each in found.stacks}
    regions = {each.region for each in found.stacks}
    globally = [each for each in found.stacks if each.of(CLUSTER) or each.of(GLOBAL)]

    def work(id_: str) -> None:
        wait = Wait(run.stop)
        if id_ in bound:
            _unpair(bound[id_], run, wait)
        elif id_ in regions:
            while left := list(restore_tests.look(run.clients, id_, names[id_].plans)):
                for text, step in left:
                    step()
                    run.report(StackEvent(id_, "removing", reason=text))
                wait()
        else:
            own = {name for each in globally for name in each.of(GLOBAL)}
            joined = [arn for each in globally for arn in each.joined]
            for arn in end_replication.databases(run.clients, regions, own, joined, wait):
                run.report(StackEvent(GLOBAL, "stopped", reason=f"replication of {arn}"))

    ended = schedule.run(dict.fromkeys((*bound, *regions, *([GLOBAL] if globally else [])), ()), work, run.stop)
    for id_, error in ended.failed.items():
        run.report(StackEvent(id_, "failed", reason=str(cfn.explain(error))))
    failed = {id_: error for id_, error in ended.failed.items() if id_ in bound}
    if GLOBAL in ended.failed:
        failed |= {each.id: ended.failed[GLOBAL] for each in globally}
    for each in found.stacks:  # what a rehearsal left stands in the network, which would fail after minutes
        if each.region in ended.failed and each.of("AWS::EC2::VPC"):
            failed[each.id] = ended.failed[each.region]
    return failed


def _unpair(each: StackToDelete, run: Run, wait: Wait) -> None:
    """End the replication of a stack's buckets and file systems."""
    for bucket in each.of(BUCKET):
        end_replication.objects(run.clients("s3", each.region), bucket)
    for file_system in each.of(FILES):
        if end_replication.files(run.clients, each.region, file_system, wait):
            run.report(StackEvent(each.id, "stopped", reason=f"replication of {file_system}"))


def _reversed(stacks: Sequence[StackToDelete]) -> dict[str, set[str]]:
    """What a stack waits for: those that were given its outputs, and those without which it could not be deleted.

    A vault is the last to hold what is a database's own: it waits for the cluster, and for the plans that write to it.
    """
    after: dict[str, set[str]] = {each.id: set() for each in stacks}
    for each in stacks:
        for need in each.needs & after.keys():
            after[need].add(each.id)
    for vault in (each for each in stacks if each.of(VAULT)):
        first = {each.id for each in stacks if each.system == vault.system and (each.of(CLUSTER) or each.of(PLAN))}
        after[vault.id] |= first - {vault.id}
    while True:
        try:
            TopologicalSorter(after).prepare()
        except CycleError as error:
            # Stacks of different commits can seem to need each other. None holds the other's resource by name, so any order does.
            for id_ in error.args[1]:
                after[id_] -= set(error.args[1])
        else:
            return after


def _quiet(each: StackToDelete, run: Run) -> None:
    """Stop what would go on writing and rotating while its surroundings are taken away."""
    for trail in each.of(TRAIL):
        if unless(("TrailNotFoundException",), run.clients("cloudtrail", each.region).stop_logging, Name=trail):
            run.report(StackEvent(each.id, "stopped", reason=f"trail {trail}"))
    for secret in each.of(SCHEDULE):
        # InvalidRequestException: the secret is being deleted, or does not rotate.
        gone = ("ResourceNotFoundException", "InvalidRequestException")
        if unless(gone, run.clients("secretsmanager", each.region).cancel_rotate_secret, SecretId=secret):
            run.report(StackEvent(each.id, "stopped", reason=f"rotation of {secret}"))


@dataclass
class _Deletion:
    """The deletion of one stack, in one thread."""

    run: Run
    each: StackToDelete
    found: Survey
    watch: Watch
    told: set[str] = field(default_factory=set)  # ids of events
    events: list[Mapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cloudformation: Any = self.run.clients("cloudformation", self.each.region)

    def __call__(self) -> str:
        """Delete it, and say how that ended."""
        try:
            self._delete()
        except schedule.StoppedError:
            self.run.report(StackEvent(self.each.id, "interrupted"))
            raise
        except Exception as error:
            self.run.report(StackEvent(self.each.id, "failed", reason=str(cfn.explain(error))))
            raise
        self.run.report(StackEvent(self.each.id, "deleted"))
        return self.each.id

    def _delete(self) -> None:
        if self.run.stop.is_set():
            raise schedule.StoppedError
        state: State | None = self.each.state
        if DECISIONS[self.each.state.status] is Decision.WAIT:
            state = self.watch.rest(self.each.state.id, self._tell)
        for attempt in range(ATTEMPTS):
            if state is None:
                return
            if state.is_protected and not attempt:  # the one question has been answered
                self.cloudformation.update_termination_protection(StackName=state.id, EnableTerminationProtection=False)
                self.run.report(StackEvent(self.each.id, "unprotected"))
            self._empty(attempt)
            token = cfn.token()
            self.cloudformation.delete_stack(StackName=state.id, ClientRequestToken=token)
            expected = self.run.durations.expected(self.each.memory, "delete")
            state = self.watch.rest(state.id, self._tell, before=state, token=token, expected=expected)
            self._tell()
            seconds = cfn.took(self.events, self.each.state.id)
            if state is None and seconds is not None:
                self.run.durations.note(self.each.memory, "delete", seconds)
        if state is not None:
            raise cfn.first_failure(self.cloudformation, state, self.events)

    def _empty(self, attempt: int) -> None:
        """Take out what a stack does not go with: at the last moment, and again each time, for it may have filled."""
        each, clients = self.each, self.run.clients
        for secret in each.of(SECRET) if attempt else ():  # CloudFormation removes those replicas that the template names
            end_replication.secrets(clients("secretsmanager", each.region), secret)
        for bucket in each.of(BUCKET):
            empty(clients("s3", each.region), bucket)
        plans = each.of(PLAN)
        for plan in plans:
            for selection in vaults.end_plan(clients("backup", each.region), plan):
                self.run.report(StackEvent(each.id, "stopped", reason=f"backups of {selection}"))
        if plans:  # its role is needed to delete what it made, here and in other regions; it goes with this stack
            for other in self.found.stacks:
                if other.system == each.system:
                    self._empty_vaults(other, last=False)
        self._empty_vaults(each)
        for arn in each.joined:
            if end_replication.cluster(clients, self.found.regions, arn, Wait(self.run.stop)):
                self.run.report(StackEvent(each.id, "removing", reason=arn))

    def _empty_vaults(self, held: StackToDelete, *, last: bool = True) -> None:
        for vault in held.of(VAULT):
            everywhere = [self.run.clients("backup", region) for region in self.found.regions]
            vaults.await_copies(everywhere, held.arn("backup", f"backup-vault:{vault}"), Wait(self.run.stop))
            vaults.empty(self.run.clients("backup", held.region), vault, Wait(self.run.stop), last=last)

    def _tell(self) -> None:
        self.events = list(cfn.events(self.cloudformation, self.each.state.id))
        cfn.tell(self.each.id, self.each.state.id, self.events, self.told, self.run.report)
