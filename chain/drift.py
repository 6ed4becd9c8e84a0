"""Drift: every declared property of every resource is read back through Cloud Control and compared.

CREATE_COMPLETE proves nothing by itself, and CloudFormation's own drift detection leaves out types and properties without
saying which. Here each declared path is the same, differs, or was not read for a reason that is named.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path as File
from typing import Any

from chain.changes.property_diff import (
    ADDED,
    DIFFERS,
    NOT_RETURNED,
    SAME,
    STATES,
    UNREAD,
    Facts,
    Path,
    additions,
    compare,
    unread,
)
from chain.cloudformation import stack as cfn
from chain.cloudformation.account import REFUSED
from chain.cloudformation.rate_limit import THROTTLED
from chain.cloudformation.reachable_regions import look
from chain.cloudformation.stack import Clients
from chain.cloudformation.statuses import DECISIONS, Decision
from chain.environment.graph import Graph, Stack
from chain.environment.stack_values import lookup, pseudo
from model import Document
from model.values import Unknown, evaluate, holds, mentions

CALLS = {
    "LookAround": (
        "cloudformation:GetResource",  # Cloud Control; the type's own read permissions decide what it shows
        "cloudformation:ListResources",
        "ec2:DescribeAddresses",
    ),
}

READERS = 8  # threads; Cloud Control asks each service in turn and is slow to answer, one call after another would take minutes
GROUP, ADDRESS = "AWS::EC2::SecurityGroup", "AWS::EC2::EIP"
RULES = {"AWS::EC2::SecurityGroupIngress": "SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress": "SecurityGroupEgress"}
"""Rules that stand alone appear in their group's own list too."""

REFUSALS = (
    REFUSED
    | THROTTLED
    | {
        "AccessDeniedException",
        "InvalidCredentialsException",
        "NetworkFailureException",
        "ServiceInternalErrorException",
        "ServiceLimitExceededException",
    }
)
"""Codes of reads that another caller, or another hour, would have been granted; the rest is in the nature of a type."""


@dataclass(frozen=True)
class Finding:
    """What was found about a declared property of a resource."""

    stack: str
    resource: str
    type: str
    path: Path


@dataclass(frozen=True)
class Drift:
    """Everything that was found, the stacks that do not stand, and those that were not read, or not all of them."""

    findings: tuple[Finding, ...]
    absent: tuple[str, ...]
    unseen: Mapping[str, str] = field(default_factory=dict)  # id -> why
    stacks: int = 0  # how many were compared

    @property
    def differences(self) -> tuple[Finding, ...]:
        """What is not as declared."""
        return tuple(finding for finding in self.findings if finding.path.state == DIFFERS)

    @property
    def not_read(self) -> tuple[Finding, ...]:
        """Declared paths that nothing is known about."""
        return tuple(finding for finding in self.findings if finding.path.state == UNREAD)

    @property
    def declared(self) -> int:
        """How many property paths are declared."""
        return sum(finding.path.reason != ADDED for finding in self.findings)

    @property
    def read(self) -> int:
        """How many of them were read back."""
        return self.declared - len(self.not_read)

    def reasons(self) -> Counter[str]:
        """Why paths were not read, and how many."""
        return Counter(finding.path.reason for finding in self.not_read)


class GoneError(Exception):
    """The resource does not exist although its stack says so."""


class NotReadableError(Exception):
    """The resource cannot be read, and why; ``refused`` where that says nothing of the resource, but of who asks, or of today."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(reason)


@cache
def all_facts() -> Mapping[str, Facts]:
    """What ``types.json`` says."""
    raw = json.loads((File(__file__).parent / "types.json").read_bytes())
    return {
        name: Facts(
            identifier=tuple(each["identifier"]),
            readable=each["readable"],
            write_only=tuple(each["writeOnly"]),
            lower_case=tuple(each["lowerCase"]),
            tags=each["tags"],
            states=STATES.get(name, {}),
        )
        for name, each in raw.items()
    }


def drift(graph: Graph, clients: Clients) -> Drift:
    """Read back what stands. What is compared with is the template and the values that the stack was last given."""
    seen = look(clients, graph.regions)
    standing = seen.standing
    unseen = {stack.id: seen.dark[stack.region] for stack in graph.stacks if stack.region in seen.dark}
    present = [stack for stack in graph.stacks if _stands(standing.get(stack.region, {}).get(stack.name))]
    absent = tuple(stack.id for stack in graph.stacks if stack not in present and stack.id not in unseen)
    with ThreadPoolExecutor(READERS) as pool:
        try:
            worlds = list(pool.map(lambda stack: _World(stack, standing[stack.region][stack.name], clients), present))
            for world in worlds:
                world.start(pool)
            findings = _compared(worlds)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has not begun would hear the same, one after another
            raise
    unseen |= {world.stack.id: why for world in worlds if (why := world.refusals())}
    return Drift(tuple(findings), absent, unseen, len(present))


def _stands(state: cfn.State | None) -> bool:
    """Whether there is a template to compare with; of a stack under review nothing was made."""
    return state is not None and DECISIONS[state.status] is not Decision.REVIEW


def _compared(worlds: Sequence[_World]) -> list[Finding]:
    """What was found about every declared path, as it is read."""
    declared = [(world, dict(world.declared())) for world in worlds]
    rules = [
        (RULES[world.type(name)], properties)
        for world, resources in declared
        for name, properties in resources.items()
        if world.type(name) in RULES
    ]
    return [
        Finding(world.stack.id, name, world.type(name), path)
        for world, resources in declared
        for name, properties in resources.items()
        for path in world.paths(name, properties)
        if not _is_rule_of_its_own(world, name, path, rules)
    ]


def _is_rule_of_its_own(world: _World, name: str, path: Path, rules: Sequence[tuple[str, Mapping[str, Any]]]) -> bool:
    """Whether an additional rule in a group's list is declared as a resource of its own."""
    if path.reason != ADDED or world.type(name) != GROUP:
        return False
    direction = path.path.removesuffix("[+]")
    group = world.physical[name]
    own = (
        {key: value for key, value in rule.items() if key not in ("GroupId", "GroupName")}
        for kind, rule in rules
        if kind == direction and rule.get("GroupId") == group
    )
    return any(all(each.state == SAME for each in compare(rule, path.found, Facts(), {})) for rule in own)


class _World:
    """One stack as it was last given, and its resources as they are."""

    def __init__(self, stack: Stack, state: cfn.State, clients: Clients) -> None:
        cloudformation = clients("cloudformation", stack.region)
        self.stack = stack
        self.control: Any = clients("cloudcontrol", stack.region)
        self._clients = clients
        self.document: Document = cfn.template(cloudformation, state.id)
        listed = cfn.resources(cloudformation, state.id)
        self.physical = {name: each.get("PhysicalResourceId", "") for name, each in listed.items()}
        account = state.id.split(":")[4]
        known = pseudo(stack.region, account, stack.name, state.id)
        self._told = lookup(self.document, state.parameters, known, self.physical, self._attribute)
        self._outputs = {
            tuple(output["Value"]["Fn::GetAtt"]): state.outputs[name]
            for name, output in self.document.get("Outputs", {}).items()
            if name in state.outputs and isinstance(output["Value"], dict) and "Fn::GetAtt" in output["Value"]
        }
        self._readings: dict[str, Future[Mapping[str, Any]]] = {}

    def type(self, name: str) -> str:
        """The type of a resource."""
        return str(self.document["Resources"][name]["Type"])

    def start(self, pool: ThreadPoolExecutor) -> None:
        """Ask for every resource. One that names another comes after it, so that none waits for what has not begun."""
        resources = self.document["Resources"]
        order = TopologicalSorter({name: set(mentions(each)) & resources.keys() - {name} for name, each in resources.items()})
        for name in order.static_order():
            if holds(resources[name].get("Condition"), self._told, self.document):
                self._readings[name] = pool.submit(self._read, name)

    def declared(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The declared properties of every resource, resolved as far as they can be."""
        for name in self._readings:
            yield name, self._value(self.document["Resources"][name].get("Properties", {}))

    def paths(self, name: str, properties: Mapping[str, Any]) -> Iterator[Path]:
        """What was found about one resource's declared paths."""
        type_ = self.type(name)
        try:
            found = self._readings[name].result()
        except GoneError as error:
            yield from (
                Path(each.path, DIFFERS, each.declared, None, str(error)) for each in compare(properties, {}, Facts(), {})
            )
        except NotReadableError as error:
            yield from unread(properties, str(error))
        else:
            yield from compare(properties, found, all_facts().get(type_, Facts()), NOT_RETURNED.get(type_, {}))
            if type_ == GROUP and "SecurityGroupIngress" not in properties:  # a way in that nobody declared
                yield from additions(found, "SecurityGroupIngress")

    def refusals(self) -> str:
        """How many resources were not read because nobody was let, and with which words; nothing if all were."""
        errors = [reading.exception() for reading in self._readings.values()]
        refused = [str(error) for error in errors if isinstance(error, NotReadableError) and error.refused]
        return f"{len(refused)} of {len(errors)} resources were not read: {', '.join(sorted(set(refused)))}" if refused else ""

    def _value(self, value: Any) -> Any:
        return evaluate(value, self._told, self.document)

    def _attribute(self, name: str, attribute: str) -> Any:
        if (name, attribute) in self._outputs:
            return self._outputs[name, attribute]
        if name not in self._readings:
            return Unknown(f"{name} does not stand in the stack")
        try:
            value: Any = self._readings[name].result()
        except (GoneError, NotReadableError) as error:
            return Unknown(f"rests on {name}.{attribute}: {error}")
        for part in attribute.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return Unknown(f"rests on {name}.{attribute}, which was not returned")
        return value

    def _read(self, name: str) -> Mapping[str, Any]:
        from botocore.exceptions import ClientError

        type_ = self.type(name)
        facts = all_facts().get(type_, Facts())
        if not facts.readable:
            raise NotReadableError("its schema has no read handler")
        for identifier in filter(None, self._identifiers(name, type_, facts)):  # what was never made has none
            try:
                answer = self.control.get_resource(TypeName=type_, Identifier=identifier)
            except ClientError as error:
                code = cfn.code(error)
                if code == "ResourceNotFoundException":
                    continue
                if code in REFUSALS:
                    raise NotReadableError(f"{code} on {error.operation_name}", refused=True) from error
                raise NotReadableError(f"{code}: {error.response['Error'].get('Message', '')}") from error
            found: Mapping[str, Any] = json.loads(answer["ResourceDescription"]["Properties"])
            return found
        raise GoneError("the resource does not exist")

    def _identifiers(self, name: str, type_: str, facts: Facts) -> Iterator[str]:
        """What the resource may be called, the likeliest first: declared parts, the physical id, and what a list shows."""
        physical = self.physical.get(name, "")
        properties = self.document["Resources"][name].get("Properties", {})
        parts = {part: self._value(properties[part]) for part in facts.identifier if part in properties}
        given = {part: value for part, value in parts.items() if isinstance(value, str | int)}
        missing = [part for part in facts.identifier if part not in given]
        if len(facts.identifier) > 1 and physical.count("|") == len(facts.identifier) - 1:
            yield physical
        elif type_ == ADDRESS:  # CloudFormation knows it by one half of its identifier, and no property declares the other
            addresses = self._clients("ec2", self.stack.region).describe_addresses()["Addresses"]
            yield from (f"{each['PublicIp']}|{each['AllocationId']}" for each in addresses if each["PublicIp"] == physical)
        else:
            if len(missing) <= 1:
                yield "|".join(str(given.get(part, physical)) for part in facts.identifier) or physical
            if len(facts.identifier) > 1:
                yield from self._listed(type_, {physical, *map(str, given.values())})

    def _listed(self, type_: str, parts: set[str]) -> Iterator[str]:
        """Identifiers of existing resources that hold something we know of this one."""
        from botocore.exceptions import ClientError

        try:
            pages = self.control.get_paginator("list_resources").paginate(TypeName=type_)
            identifiers = [item["Identifier"] for page in pages for item in page["ResourceDescriptions"]]
        except ClientError as error:
            why = f"its identifier is not known, and {cfn.code(error)} on listing its type"
            raise NotReadableError(why, refused=cfn.code(error) in REFUSALS) from error
        yield from (identifier for identifier in identifiers if set(identifier.split("|")) & parts)
