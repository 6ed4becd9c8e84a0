"""What must hold before the first call that changes anything. All findings are told at once, each with its remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chain.cloudformation.reachable_regions import Seen, within
from chain.cloudformation.stack import Clients, Standing, code
from chain.cloudformation.statuses import DECISIONS, Decision
from chain.deploy import account_checks
from chain.deploy.account_checks import Check
from chain.environment.graph import Graph, Stack
from chain.failover import topology
from model import address
from model.resource_types import resource_type
from model.values import mentions

CALLS = {"LookAround": ("backup:DescribeRegionSettings",)}

SELECTION = "AWS::Backup::BackupSelection"
MANAGED = ("DynamoDB",)
"""AWS Backup uses the vault's key for these, and copies them elsewhere, only where it manages them fully: a second setting."""


AT_ONCE = 12  # questions; they are asked of different services


@dataclass(frozen=True)
class Found:
    """Everything that stands in the way of a deployment, and what could not be asked, with the reason."""

    findings: tuple[str, ...]
    unseen: tuple[str, ...]


def check(whole: Graph, clients: Clients, seen: Seen) -> Found:
    """All of it at once: regions, inputs of data that stands, AWS Backup's settings, and what new stacks need."""
    graph, _ = within(whole, seen)
    untold = tuple(
        f"whether {place.system} has failed over: {seen.dark[place.region]}"
        for place in topology.places([stack.template for stack in whole.stacks], "")
        if place.region in seen.dark
    )
    closed = tuple(
        f"The account has not opted in to {region}: aws account enable-region --region-name {region}, which takes some minutes"
        for region in sorted(seen.closed)
    )
    backup = Check("AWS Backup's settings", lambda: opt_ins(graph, clients))
    asked = gathered([*account_checks.checks(graph, clients, seen), backup])
    return Found((*closed, *exchanged(graph, seen.standing), *asked.findings), (*asked.unseen, *untold))


def gathered(checks: Sequence[Check]) -> Found:
    """Ask everything at once. Who may not ask cannot know, which is said and stops nothing."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(_answer, checks))
    return Found(
        tuple(dict.fromkeys(text for answer in answers for text in answer.findings)),
        tuple(text for answer in answers for text in answer.unseen),
    )


def _answer(check: Check) -> Found:
    from botocore import exceptions

    try:
        return Found(tuple(check.ask()), ())
    except exceptions.ClientError as error:
        return Found((), (f"{check.about}: {code(error)} on {error.operation_name}",))
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        return Found((), (f"{check.about}: {type(error).__name__}",))


def opt_ins(graph: Graph, clients: Clients, dark: Collection[str] = ()) -> Iterator[str]:
    """What AWS Backup would leave out, whoever names it: a type that nobody has opted in to, region by region."""
    wanted: dict[str, dict[str, set[str]]] = {}  # region -> type -> systems
    for stack in graph.stacks:
        for resource in stack.template.resources.values():
            if resource["Type"] == SELECTION:
                for type_ in _selected(resource["Properties"]["BackupSelection"], stack, graph):
                    wanted.setdefault(stack.region, {}).setdefault(type_, set()).add(stack.template.system)
    for region, types in sorted(wanted.items()):
        if region in dark:
            continue
        settings = clients("backup", region).describe_region_settings()
        for type_, systems in sorted(types.items()):
            yield from _setting(region, type_, " and ".join(sorted(systems)), settings)


def _setting(region: str, type_: str, systems: str, settings: Mapping[str, Any]) -> Iterator[str]:
    command = f"Nothing here changes the account's setting; this does: aws backup update-region-settings --region {region}"
    if not settings.get("ResourceTypeOptInPreference", {}).get(type_):
        yield (
            f"AWS Backup in {region} is not opted in to {type_}, which {systems} backs up: its jobs would leave it out without"
            f" an error. {command} --resource-type-opt-in-preference {type_}=true"
        )
    if type_ in MANAGED and not settings.get("ResourceTypeManagementPreference", {}).get(type_):
        yield (
            f"AWS Backup in {region} does not manage {type_} fully, which {systems} backs up: recovery points would bear the"
            f" key of the table and could not be copied. {command} --resource-type-management-preference {type_}=true"
        )


def _selected(selection: Mapping[str, Any], stack: Stack, graph: Graph) -> set[str]:
    """What a selection backs up, in AWS Backup's words. What cannot be traced is taken for all that stands beside it."""
    near = [each for each in graph.stacks if (each.template.system, each.region) == (stack.template.system, stack.region)]
    everything = _backed_up(type_ for each in near for type_ in _types(each))
    found: set[str] = set()
    for resource in selection.get("Resources", ["*"]):
        name = resource.get("Ref", "") if isinstance(resource, dict) else ""
        traced = _behind(name, stack, graph) if name in stack.wires else _named(resource, stack)
        found |= _backed_up(traced) or everything
    return found


def _backed_up(types: Iterable[str]) -> set[str]:
    return {resource_type(type_).backup for type_ in types} - {""}


def _behind(name: str, stack: Stack, graph: Graph) -> set[str]:
    """The types of the resources that a wired parameter's output names."""
    wire = stack.wires[name]
    source = graph[wire.stack]
    return _named(source.template.document["Outputs"][wire.output]["Value"], source)


def _named(value: Any, stack: Stack) -> set[str]:
    """The types of the resources that a value names by Ref, GetAtt or Sub."""
    resources = stack.template.resources
    return {resources[name]["Type"] for name in mentions(value) if name in resources}


def _types(stack: Stack) -> set[str]:
    return {resource["Type"] for resource in stack.template.resources.values()}


def exchanged(graph: Graph, standing: Standing) -> Iterator[str]:
    """Inputs of data that stands which would come from elsewhere: a given value in the place of an optional layer, or back."""
    optional = {(each.template.system, each.template.layer): each.template.optional for each in graph.stacks}
    for stack in graph.stacks:
        state = standing[stack.region].get(stack.name)
        if state is None or DECISIONS[state.status] not in (Decision.UPDATE, Decision.WAIT, Decision.CONTINUE, Decision.REFUSE):
            continue
        for name, wire in stack.template.imports.items():
            was, data, source = state.parameters.get(name), _fed(name, stack), stack.wires.get(name)
            # A layer that is not in the graph was left out, so it is optional too.
            of = (stack.template.system, address(stack.site, wire)[1])
            if was is None or not data or not optional.get(of, True):
                continue
            if source is None:
                now = stack.values.get(name)  # without a value or a wire there would be no graph
                what = f"is given as {now}"
            else:
                region, _, other = source.stack.partition("/")
                behind = standing[region].get(other)
                now = behind.outputs.get(source.output) if behind is not None else None
                what = f"is no longer given, and would come from {source.address}"
            if now != was:
                yield (
                    f"{stack.id}: {name} {what}, but the stack stands with {was}. That would replace {', '.join(data)} with a"
                    f" new one and the data with it. Put the value back as it was, or begin another environment"
                )


def _fed(name: str, stack: Stack) -> list[str]:
    """The resources holding data that a parameter goes into."""
    return [
        logical
        for logical, resource in stack.template.resources.items()
        if resource_type(resource["Type"]).holds_data and name in mentions(resource.get("Properties", {}))
    ]
