"""Destroy: everything of an environment, in the order in which AWS lets go of it, and an audit of what is left.

It works on what stands, found by its tags, and not on what the parameter files would make today; so it can be run again
from any point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from threading import Event
from typing import Any

from chain import leftovers, schedule, vaults
from chain import stack as cfn
from chain.buckets import count, empty
from chain.graph import stack_name
from chain.stack import Clients, News, Report, StackError, State, Wait
from chain.templates import Template

BUCKET, VAULT = "AWS::S3::Bucket", "AWS::Backup::BackupVault"
TRAIL, SCHEDULE = "AWS::CloudTrail::Trail", "AWS::SecretsManager::RotationSchedule"
DATABASE, SECRET, FUNCTION = "AWS::RDS::DBInstance", "AWS::SecretsManager::Secret", "AWS::Lambda::Function"
ATTEMPTS = 2  # a deletion that fails is tried once more: a bucket may have filled, a network interface may have lingered


@dataclass(frozen=True, eq=False)
class Doomed:
    """A stack that will be deleted, and what it holds: logical id, type and physical id of each resource."""

    system: str
    region: str
    state: State
    resources: tuple[tuple[str, str, str], ...]
    needs: frozenset[str]  # ids of the stacks whose outputs it was given

    @property
    def id(self) -> str:
        """Region and name, as in the graph."""
        return f"{self.region}/{self.state.name}"

    def of(self, type_: str) -> list[str]:
        """Physical ids of the resources of a type."""
        return [physical for _, kind, physical in self.resources if kind == type_ and physical]


@dataclass(frozen=True)
class Survey:
    """What an environment consists of now."""

    suffix: str
    systems: tuple[str, ...]
    regions: tuple[str, ...]
    stacks: tuple[Doomed, ...]
    objects: Mapping[str, str]  # bucket -> how many versions and markers it holds
    points: Mapping[str, str]  # backup vault -> how many recovery points it holds
    foreign: tuple[str, ...]  # stacks that bear a name of ours and not our tags
    leftovers: tuple[str, ...]  # what an earlier destroy left besides stacks


@dataclass(frozen=True)
class Result:
    """How a destroy ended: deleted and failed stacks by id, and the audit."""

    deleted: tuple[str, ...]
    failed: Mapping[str, StackError]
    held: Mapping[str, tuple[str, ...]]
    swept: tuple[str, ...]
    left: tuple[str, ...]
    pending: tuple[tuple[str, datetime | None], ...]  # keys, and when they are gone


def survey(templates: Sequence[Template], suffix: str, clients: Clients, account: str) -> Survey:
    """Find what is to be deleted. Stacks whose layer no longer exists are found as well, by their tags."""
    systems = tuple(dict.fromkeys(template.system for template in templates))
    regions = tuple(sorted({region for template in templates for region in template.sites.values()}))
    stacks = []
    foreign = []
    for region in regions:
        cloudformation = clients("cloudformation", region)
        names = {stack_name(template, suffix): template.system for template in templates if region in template.sites.values()}
        for state in cfn.sweep(cloudformation).values():
            system = next((system for system in systems if state.is_ours(system, suffix)), "")
            if not system and state.status == "REVIEW_IN_PROGRESS" and not cfn.foreign_change_sets(cloudformation, state.name):
                system = names.get(state.name, "")  # one under review shows no tags
            if system:
                stacks.append(_doomed(system, region, state, cloudformation, suffix))
            elif state.name in names:
                foreign.append(f"{region}/{state.name}")
    counts = {bucket: count(clients("s3", doomed.region), bucket) for doomed in stacks for bucket in doomed.of(BUCKET)}
    points = {vault: vaults.count(clients("backup", doomed.region), vault) for doomed in stacks for vault in doomed.of(VAULT)}
    in_stacks = {f"{each.region}  log group {name}" for each in stacks for name in each.of("AWS::Logs::LogGroup")}
    outside = [
        each.text
        for region in regions
        for each in leftovers.look(clients, region, leftovers.names(templates, suffix, region, account))
        if each.text not in in_stacks
    ]
    return Survey(suffix, systems, regions, tuple(stacks), counts, points, tuple(foreign), tuple(outside))


def _doomed(system: str, region: str, state: State, cloudformation: Any, suffix: str) -> Doomed:
    listed = cfn.resources(cloudformation, state.id)
    resources = tuple(
        (name, each["ResourceType"], each.get("PhysicalResourceId", ""))
        for name, each in listed.items()
        if each["ResourceStatus"] != "DELETE_COMPLETE"
    )
    layer = (
        {}
        if state.status == "REVIEW_IN_PROGRESS"
        else cfn.template(cloudformation, state.id).get("Metadata", {}).get("Layer", {})
    )
    sites = dict(layer.get("Sites", {}))
    needs = set()
    for address in (layer.get("Imports") or {}).values():
        site, _, wire = address.rpartition(":")
        needs.add(f"{sites.get(site, region)}/{system}-{wire.partition('.')[0]}-{suffix}")
    if layer.get("Packages"):
        needs.add(f"{region}/{system}-artifacts-{suffix}")
    return Doomed(system, region, state, resources, frozenset(needs))


def destroy(
    found: Survey,
    templates: Sequence[Template],
    clients: Clients,
    report: Report,
    account: str,
    *,
    stop: Event | None = None,
    patience: float = leftovers.PATIENCE,
) -> Result:
    """Delete what was found, sweep what outlives it, and look for what is left."""
    stop = stop or Event()
    doomed = {each.id: each for each in found.stacks}
    for each in found.stacks:
        _quiet(each, clients, report)
    ended = schedule.run(_reversed(found.stacks), lambda id_: _delete(doomed[id_], clients, report, stop), stop)
    swept: list[str] = []
    left: list[str] = []
    pending: list[tuple[str, datetime | None]] = []
    for region in found.regions:
        if not ended.failed:  # what failed may still be writing its logs
            names = leftovers.names(templates, found.suffix, region, account)
            for each in found.stacks:
                for _, type_, physical in each.resources:
                    if each.region == region and physical:
                        names.add(type_, physical)
            for leftover in leftovers.look(clients, region, names):
                leftover.delete()
                swept.append(leftover.text)
        patient = 0.0 if ended.failed else patience
        audit = leftovers.audit(clients, region, found.systems, found.suffix, Wait(stop), patient)
        left += [f"{region}  {arn}" for arn in audit.left]
        pending += audit.pending
    failed = {id_: cfn.explain(error) for id_, error in ended.failed.items()}
    return Result(tuple(ended.done), failed, ended.held, tuple(swept), tuple(left), tuple(pending))


def _reversed(stacks: Sequence[Doomed]) -> dict[str, set[str]]:
    """What a stack waits for: those that were given its outputs."""
    after: dict[str, set[str]] = {each.id: set() for each in stacks}
    for each in stacks:
        for need in each.needs & after.keys():
            after[need].add(each.id)
    while True:
        try:
            TopologicalSorter(after).prepare()
        except CycleError as error:
            # Stacks of different commits can seem to need each other. None holds the other's resource by name, so any order does.
            for id_ in error.args[1]:
                after[id_] -= set(error.args[1])
        else:
            return after


def _quiet(each: Doomed, clients: Clients, report: Report) -> None:
    """Stop what would go on writing and rotating while its surroundings are taken away."""
    for trail in each.of(TRAIL):
        if _unless(("TrailNotFoundException",), clients("cloudtrail", each.region).stop_logging, Name=trail):
            report(News(each.id, "stopped", reason=f"trail {trail}"))
    for secret in each.of(SCHEDULE):
        # InvalidRequestException: the secret is being deleted, or does not rotate.
        gone = ("ResourceNotFoundException", "InvalidRequestException")
        if _unless(gone, clients("secretsmanager", each.region).cancel_rotate_secret, SecretId=secret):
            report(News(each.id, "stopped", reason=f"rotation of {secret}"))


def _unless(codes: tuple[str, ...], call: Callable[..., Any], **arguments: str) -> bool:
    """Whether a call was made; AWS's saying that there is nothing to do is no failure."""
    from botocore.exceptions import ClientError

    try:
        call(**arguments)
    except ClientError as error:
        if cfn.code(error) not in codes:
            raise
        return False
    return True


def _delete(each: Doomed, clients: Clients, report: Report, stop: Event) -> str:
    try:
        _delete_stack(each, clients, report, stop)
    except Exception as error:
        report(News(each.id, "failed", reason=str(cfn.explain(error))))
        raise
    report(News(each.id, "deleted"))
    return each.id


def _delete_stack(each: Doomed, clients: Clients, report: Report, stop: Event) -> None:
    if stop.is_set():
        raise schedule.StoppedError
    cloudformation = clients("cloudformation", each.region)
    state: State | None = each.state
    if cfn.DECISIONS[each.state.status] is cfn.Decision.WAIT:
        state = cfn.follow(cloudformation, each.id, each.state.id, report, Wait(stop))
    for _ in range(ATTEMPTS):
        if state is None:
            return
        for bucket in each.of(BUCKET):
            empty(clients("s3", each.region), bucket)  # at the last moment, and again each time: it may have filled
        for vault in each.of(VAULT):
            vaults.empty(clients("backup", each.region), vault, Wait(stop))
        since = cfn.newest(cloudformation, state.id)
        cloudformation.delete_stack(StackName=state.id)
        state = cfn.follow(cloudformation, each.id, state.id, report, Wait(stop), since)
    if state is not None:
        raise cfn.first_failure(cloudformation, state)
