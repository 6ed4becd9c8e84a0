"""What moves when a resource is replaced: from resource to resource, and through outputs and parameters from stack to stack.

A database, a cache or a file system takes its network when it is made. A network that is replaced beneath it cannot be deleted,
for the old one is in use, and cannot be taken, for it is another one: neither going on nor the old value leads out of that.
It calls nothing: it follows what templates refer to, in what stands and in what is committed.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain.changes.guard import Danger
from chain.changes.template_diff import Difference, Later, created_with, later_in, may_replace
from chain.cloudformation.stack import Change, State
from chain.environment.graph import Graph, Stack
from chain.environment.stack_values import lookup, pseudo
from model import Document
from model.resource_types import resource_type
from model.values import VARIABLE, Lookup, Unknown, evaluate, holds, mentions, rest

FILES, MOUNT = "AWS::EFS::FileSystem", "AWS::EFS::MountTarget"
GROUP = "SubnetGroup"  # how the types end that hold subnets for a database: they take others in place, and RDS refuses that
ID = re.compile(r"\b[a-z]+-[0-9a-f]{8,}\b")
BEARS = re.compile("Subnet|SecurityGroup|AvailabilityZone|V[Pp][Cc]")
"""What the properties are called by which something stands in a network; a tag, or a policy, that names a VPC is not one."""

PLACE = re.compile(r"\b(?:subnet|vpc)-[0-9a-f]{8,}\b")
"""Ids that say where something stands; a security group may be exchanged for another one of the same network."""

WORDS = {
    "AWS::EC2::Subnet": "subnets",
    "AWS::RDS::DBSubnetGroup": "subnet group",
    "AWS::ElastiCache::SubnetGroup": "subnet group",
    "AWS::EC2::VPC": "VPC",
    "AWS::EC2::SecurityGroup": "security groups",
    "AWS::EC2::VPCEndpoint": "endpoints",
    "AWS::KMS::Key": "keys",
}
"""What a plan calls that which an output names, the most telling first."""

Node = tuple[str, str, str]
"""A kind (resource, parameter or output), the id of a stack, and a name in it."""

RESOURCE, PARAMETER, OUTPUT = "resource", "parameter", "output"

Part = tuple[str, str]
"""The id of a stack, and a resource's logical id in it."""

PLACES = ("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup")
"""The parts of a network that something else can stand in, or bear."""

KEPT_ANYWAY = ("Retain", "RetainExceptOnCreate")
PROTECTED = ("DeletionProtection", "DeletionProtectionEnabled")
"""What keeps a resource there although its stack lets it go, or tries to delete it: policies, and switches that are on."""


@dataclass(frozen=True)
class Standing:
    """A stack that stands: the template that it was last given, and the committed one with the values that are known now."""

    id: str
    layer: str
    state: State
    old: Document
    new: Document | None = None  # without one it is not deployed
    answers: Mapping[str, str | Later] = field(default_factory=dict)
    stack: Stack | None = None
    is_gone: bool = False  # whether it is deleted, for its layer is gone

    @property
    def is_as_it_was(self) -> bool:
        """Whether it would be given what it has: the same template, and the same values."""
        return self.old == self.new and self.state.parameters == self.answers


@dataclass(frozen=True)
class Taken:
    """Parts of a network that stand and would be taken away with those of one stack; ``resource`` is the first of them."""

    stack: str
    layer: str
    resource: str
    type: str
    certain: bool
    removed: bool
    parts: tuple[Part, ...]
    going: tuple[Part, ...] = ()  # what stands on them and is deleted before them


@dataclass(frozen=True)
class Follows:
    """What happens to a stack because of another one: what is replaced, in a word, and its resources."""

    what: str
    certain: bool
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return f"{'will' if self.certain else 'may'} change: {self.what}"


class Moves:
    """References between everything that stands or is committed, and what of it is replaced."""

    def __init__(self, graph: Graph, standing: Sequence[Standing], found: Mapping[str, Sequence[Difference]]) -> None:
        self._standing = {each.id: each for each in standing}
        self._types: dict[Node, str] = {}
        self._kept: set[Node] = set()  # what holds data in a stack that stands, and what fixes it to its place
        self._next: dict[Node, dict[Node, bool]] = defaultdict(dict)  # node -> what names it -> whether that is replaced with it
        self._before: dict[Node, set[Node]] = defaultdict(set)
        self._bears: set[tuple[Node, Node]] = set()  # of these, those by which a resource stands in a network
        self._seeds: dict[Node, bool] = {}  # what is replaced or removed -> whether that is certain
        self._removed: set[Node] = set()
        self._shifted: dict[Node, bool] = {}  # what is given another place by value
        self._evaluated = {each.id: _evaluated(each) for each in standing}
        self._offered = {each.id: _offered(each) for each in standing if not each.is_as_it_was}
        self._changed = {id_: {part for one in several for part in _changed(one)} for id_, several in found.items()}
        self._found = {id_: {one.resource for one in several} for id_, several in found.items()}
        for stack in graph.stacks:
            if stack.id not in self._standing:
                self._read(stack.id, stack.template.document)
            for name, wire in stack.wires.items():
                self._link((OUTPUT, wire.stack, wire.output), (PARAMETER, stack.id, name))
        for each in standing:
            self._read(each.id, each.old)
            if each.new is not None and each.new != each.old:
                self._read(each.id, each.new)
            self._hold(each)
        self._link_by_ids()
        for each in standing:
            if each.new is not None or each.is_gone:
                self._seed(each, found.get(each.id, ()))
        for each in standing:
            self._fed(each)
        for each in standing:
            if each.new is not None:
                self._shift(each)

    def dangers(self, more: Mapping[str, Mapping[str, bool]] | None = None) -> list[Danger]:
        """What would take the network from what holds data; ``more`` is what change sets say: stack -> resource -> certain."""
        seeds = {**self._more(more), **self._seeds}
        network = {node: certain for node, certain in seeds.items() if self._is_network(node)}
        reached = {node: self._spread([node], holding=True) for node in network}
        covered = {
            other for node in network for other in reached[node] if other != node and other in network and other[1] == node[1]
        }
        found: list[Danger] = []
        for node, certain in network.items():
            if node not in covered:
                found += self._take_away(node, certain, reached[node])
        for node, certain in self._shifted.items():
            if not any(node in each for each in reached.values()):
                found += self._take_away(node, certain, self._spread([node], holding=True))
        return found

    def taken(self, more: Mapping[str, Mapping[str, bool]] | None = None) -> list[Taken]:
        """The parts of networks that would be taken away although nothing that is declared holds them: what really stands in
        them is for AWS to say. One for each stack whose own parts are replaced or removed, but those that are refused anyhow."""
        seeds = {**self._more(more), **self._seeds}
        refused = {each.stack for each in self.dangers(more)}
        roots: dict[str, list[Node]] = defaultdict(list)
        for node in seeds:
            stays = node in self._removed and self._is_kept(node)  # its stack only lets go of it
            if self._is_network(node) and not stays and node[1] not in refused and node[1] in self._standing:
                roots[node[1]].append(node)
        found = []
        for id_, nodes in roots.items():
            parts = tuple(node[1:] for node in self._spread(nodes) if self._is_place(node))
            if parts:
                order = {type_: place for place, type_ in enumerate(PLACES)}
                root = min(nodes, key=lambda node: order.get(self._types[node], len(order)))
                gone = all(node in self._removed for node in nodes)
                reached = self._spread(nodes, holding=True) if gone else {}
                going = tuple(node[1:] for node in reached if node in self._kept and self._goes_before(node, root))
                type_, removed = self._types[root], root in self._removed
                found.append(Taken(id_, self._layer(id_), root[2], type_, seeds[root], removed, parts, going))
        return found

    def _is_place(self, node: Node) -> bool:
        """Whether it is a part of a network that stands, and that something may stand in."""
        return self._types.get(node) in PLACES and node[1] in self._standing and node[2] in self._evaluated[node[1]][0]

    def _goes_before(self, node: Node, part: Node) -> bool:
        """Whether something is really deleted, and before the part of a network that is removed with it: CloudFormation orders it
        so within a stack, and stacks whose layers are gone are deleted in such an order, after everything else."""
        both_gone = self._standing[node[1]].is_gone and self._standing[part[1]].is_gone
        if node not in self._removed or part not in self._removed or not (node[1] == part[1] or both_gone):
            return False
        one_deletion = node[1] == part[1] and self._standing[node[1]].is_gone  # it ends where the first of them stays
        return not self._is_kept(node) and (one_deletion or not self._is_protected(node))

    def _is_kept(self, node: Node) -> bool:
        """Whether its stack only lets go of it."""
        resource = self._standing[node[1]].old.get("Resources", {}).get(node[2], {})
        return resource.get("DeletionPolicy") in KEPT_ANYWAY

    def _is_protected(self, node: Node) -> bool:
        properties = self._evaluated[node[1]][0].get(node[2], {})
        return any(str(properties.get(name, "")).lower() == "true" for name in PROTECTED)

    def follows(self, more: Mapping[str, Mapping[str, bool]] | None = None) -> dict[str, Follows]:
        """The stacks that change because an output which feeds them names what is replaced, by their ids."""
        seeds = {**self._more(more), **self._seeds}
        reached = self._spread(list(seeds))
        certain = self._spread([node for node, sure in seeds.items() if sure])
        found = {}
        for id_, each in self._standing.items():
            moved = [node for node in reached if node[:2] == (PARAMETER, id_)]
            if each.stack is None or each.new is None or not moved:
                continue
            sure = any(node in certain for node in moved)
            what = self._named(moved, reached, each.stack, sure)
            found[id_] = Follows(what, sure, tuple(self._changes(id_, each.new, reached, certain)))
        return found

    # What names what -------------------------------------------------------------------------------------------------

    def _link(self, one: Node, other: Node, *, replaces: bool = True) -> None:
        self._next[one][other] = self._next[one].get(other, False) or replaces
        self._before[other].add(one)

    def _read(self, id_: str, document: Document) -> None:
        declared, parameters = document.get("Resources", {}), document.get("Parameters", {})
        kinds = {**dict.fromkeys(parameters, PARAMETER), **dict.fromkeys(declared, RESOURCE)}
        for name, resource in declared.items():
            node = (RESOURCE, id_, name)
            self._types.setdefault(node, resource["Type"])
            fixed = {path.partition(".")[0] for path in created_with(resource["Type"])}
            for property_, value in resource.get("Properties", {}).items():
                for one in mentions(value):
                    if one in kinds and one != name:
                        self._link((kinds[one], id_, one), node, replaces=property_ in fixed)
                        if BEARS.search(property_):
                            self._bears.add(((kinds[one], id_, one), node))
        for name, output in document.get("Outputs", {}).items():
            for one in mentions(output.get("Value")):
                if one in kinds:
                    self._link((kinds[one], id_, one), (OUTPUT, id_, name))

    def _link_by_ids(self) -> None:
        """What stands was fed by hand, or by a wire that is cut by now: the ids themselves say whose they are."""
        givers: dict[str, set[Node]] = defaultdict(set)
        for each in self._standing.values():
            for name, value in each.state.outputs.items():
                for id_ in ID.findall(value):
                    givers[id_].add((OUTPUT, each.id, name))
        for each in self._standing.values():
            for name, value in each.state.parameters.items():
                for giver in {giver for id_ in ID.findall(value) for giver in givers[id_] if giver[1] != each.id}:
                    self._link(giver, (PARAMETER, each.id, name))

    def _hold(self, each: Standing) -> None:
        before, _ = self._evaluated[each.id]
        for name, resource in each.old.get("Resources", {}).items():
            if name in before and (resource["Type"] == MOUNT or resource_type(resource["Type"]).holds_data):
                self._kept.add((RESOURCE, each.id, name))

    # What is replaced ------------------------------------------------------------------------------------------------

    def _seed(self, each: Standing, found: Sequence[Difference]) -> None:
        before, after = self._evaluated[each.id]
        for name in {*(before.keys() - after.keys()), *(one.resource for one in found if one.action == "Remove")}:
            node = (RESOURCE, each.id, name)
            self._removed.add(node)
            self._seeds[node] = True
        for one in found:
            node = (RESOURCE, each.id, one.resource)
            fixed = [change for change in one.properties if change.replaces]
            if one.action == "Modify" and fixed and one.resource in after:
                sure = any(not change.is_later for change in fixed)
                if sure or not self._is_network(node) or any(self._is_elsewhere(change.after, each) for change in fixed):
                    self._seeds[node] = sure
        for name in before.keys() & after.keys():
            node = (RESOURCE, each.id, name)
            if self._is_network(node) and node not in self._seeds:
                for property_ in _moved(self._types[node], before[name], after[name]):
                    value = after[name].get(property_)
                    if not later_in(value) or self._is_elsewhere(value, each):
                        self._seeds[node] = property_ in created_with(self._types[node]) and not later_in(value)

    def _fed(self, each: Standing) -> None:
        """Parts of a network of which a value comes from an output that the same deployment gives another value."""
        if each.new is None or each.stack is None:
            return
        moving = {name for name, wire in each.stack.wires.items() if self._gives_another(wire.stack, wire.output, frozenset())}
        before, _ = self._evaluated[each.id]
        for name, resource in each.new.get("Resources", {}).items():
            node = (RESOURCE, each.id, name)
            if moving and name in before and self._is_network(node) and node not in self._seeds:
                fixed = {path.partition(".")[0] for path in created_with(resource["Type"])}
                if any(moving & set(mentions(value)) for key, value in resource.get("Properties", {}).items() if key in fixed):
                    self._seeds[node] = False

    def _gives_another(self, id_: str, output: str, asked: frozenset[tuple[str, str]]) -> bool:
        """Whether an output would have another value: by itself, by a property that changes in place, or by another output."""
        each = self._standing.get(id_)
        if each is None or each.new is None or (id_, output) in asked:
            return False
        value = each.new.get("Outputs", {}).get(output, {}).get("Value")
        was, now = self._offered.get(id_, ({}, {}))
        if output in was and output in now and was[output] != now[output] and not {*_parts(was[output]), *_parts(now[output])}:
            return True
        if any(part in self._changed.get(id_, ()) for part in _parts(now.get(output))):
            return True
        wires = each.stack.wires if each.stack is not None else {}
        through = [wires[name] for name in mentions(value) if name in wires]
        return any(self._gives_another(wire.stack, wire.output, asked | {(id_, output)}) for wire in through)

    def _shift(self, each: Standing) -> None:
        """What holds data, or subnets for it, and is given other places than those that it has."""
        before, after = self._evaluated[each.id]
        for name in before.keys() & after.keys():
            node = (RESOURCE, each.id, name)
            if node not in self._kept and not self._types[node].endswith(GROUP):
                continue
            for property_, value in before[name].items():
                now = after[name].get(property_)
                places = set(PLACE.findall(str(value)))
                if places and not places & set(PLACE.findall(str(now))) and (not later_in(now) or self._is_elsewhere(now, each)):
                    self._shifted[node] = not later_in(now)

    def _is_elsewhere(self, value: Any, each: Standing) -> bool:
        """Whether a value that is not known yet comes from something new: not if what stands is only named otherwise."""
        wires = {wire.address: wire for wire in each.stack.wires.values()} if each.stack is not None else {}
        for later in later_in(value):
            wire = wires.get(later.address)
            if wire is None or wire.stack not in self._standing:
                return True
            before, _ = self._evaluated[wire.stack]
            behind = self._behind((OUTPUT, wire.stack, wire.output))
            if any(node[1] == wire.stack and node[0] == RESOURCE and node[2] not in before for node in behind):
                return True
            if any(node in self._seeds for node in behind):
                return True
        return False

    def _behind(self, node: Node) -> set[Node]:
        found: set[Node] = set()
        left = [node]
        while left:
            for one in self._before[left.pop()] - found:
                found.add(one)
                left.append(one)
        return found

    def _more(self, more: Mapping[str, Mapping[str, bool]] | None) -> dict[Node, bool]:
        """What change sets say is replaced, but for what has the values that it had: a parameter only bears another name."""
        found = {(RESOURCE, id_, name): sure for id_, named_ in (more or {}).items() for name, sure in named_.items()}
        moving = {node for node in found if not self._is_same(node)}
        while more_moving := {
            node for node in found.keys() - moving if any(one in moving for one in self._before[node] if one[0] == RESOURCE)
        }:
            moving |= more_moving
        return {node: sure for node, sure in found.items() if node in moving}

    def _is_same(self, node: Node) -> bool:
        """Whether everything that a resource is made of is known and is what it was: values, and resources that do not change."""
        each = self._standing.get(node[1])
        if each is None or each.new is None or not self._is_network(node):
            return False
        before, after = (side.get(node[2]) for side in self._evaluated[node[1]])
        changing = {node[2], *(one[2] for one in self._before[node] if one[0] == RESOURCE)} & self._found.get(node[1], set())
        fed = {one[2] for one in self._before[node] if one[0] == PARAMETER}
        wired = set(each.stack.wires) if each.stack is not None else set()  # what they give may be another value by then
        looked_up = {name for name, one in each.new.get("Parameters", {}).items() if "AWS::SSM::" in str(one.get("Type"))}
        return before is not None and before == after and not later_in(after) and not changing and not fed & (wired | looked_up)

    def _is_network(self, node: Node) -> bool:
        type_ = self._types.get(node, "")
        return type_.startswith("AWS::EC2::") or type_.endswith(GROUP) or (type_ == MOUNT and node not in self._removed)

    # Where it leads --------------------------------------------------------------------------------------------------

    def _spread(self, seeds: Sequence[Node], *, holding: bool = False) -> dict[Node, Node | None]:
        """Everything that moves with the seeds, and from where; ``holding`` goes on through groups of subnets, and to what
        holds data but changes in place."""
        found: dict[Node, Node | None] = dict.fromkeys(seeds)
        left = deque(seeds)
        while left:
            node = left.popleft()
            if holding and node in self._kept and node not in seeds:
                continue  # what holds data is where it ends
            for other, replaces in self._next[node].items():
                holds = other in self._kept or self._types.get(other, "").endswith(GROUP)
                held = holding and holds and (node, other) in self._bears
                if other not in found and (replaces or held):
                    found[other] = node
                    left.append(other)
        return found

    def _take_away(self, seed: Node, certain: bool, reached: Mapping[Node, Node | None]) -> Iterator[Danger]:
        """One danger for each stack that holds data which the seed's network reaches."""
        ends: dict[str, list[Node]] = defaultdict(list)
        for node in reached:
            together = node in self._removed and seed in self._removed and self._is_kept(seed)  # what is let go of stays with it
            if node in self._kept and not together and not self._goes_before(node, seed):
                ends[node[1]].append(node)
        _, id_, name = seed
        how = "moved into another network" if seed in self._shifted else "removed" if seed in self._removed else "replaced"
        for nodes in ends.values():
            path: list[Node] = []
            step: Node | None = nodes[0]
            while step is not None:
                path.insert(0, step)
                step = reached[step]
            more = f" (and {', '.join(other[2] for other in nodes[1:])})" if nodes[1:] else ""
            type_ = self._types[nodes[0]]
            noun = resource_type(FILES if type_ == MOUNT else type_).noun
            what = (
                f"{'would' if certain else 'may'} be {how}, and a deployed {noun} stands on it: {_told(path)}{more}."
                f" The network of a deployed {noun} cannot be moved; make a second environment and restore into it"
            )
            yield Danger(id_, self._layer(id_), name, self._types.get(seed, ""), what, final=True)

    def _layer(self, id_: str) -> str:
        return self._standing[id_].layer

    def _named(self, moved: Sequence[Node], reached: Mapping[Node, Node | None], stack: Stack, sure: bool) -> str:
        """What of a stack is replaced, in words, and the addresses that name it."""
        words: dict[str, None] = {}
        addresses = [stack.wires[name].address if name in stack.wires else name for _, _, name in moved]
        for node in moved:
            left, seen = [one for one in self._before[node] if one in reached], set[Node]()
            while left:
                one = left.pop()
                if one[0] == RESOURCE:
                    words[WORDS.get(self._types[one], self._types[one])] = None
                elif one not in seen:
                    seen.add(one)
                    left += [other for other in self._before[one] if other in reached]
        order = list(WORDS.values())
        first, *rest = sorted(words, key=lambda word: (order.index(word) if word in order else len(order), word)) or ["inputs"]
        verb = "may be" if not sure else "are" if first in ("inputs", "subnets", "security groups", "endpoints", "keys") else "is"
        more = f", and its {' and '.join(rest)}" if rest else ""
        return f"its {first} {verb} replaced{more} ({', '.join(sorted(addresses))})"

    def _changes(self, id_: str, new: Document, reached: Collection[Node], certain: Collection[Node]) -> Iterator[Change]:
        for name, resource in new.get("Resources", {}).items():
            node = (RESOURCE, id_, name)
            if node in reached:
                yield Change("Modify", name, resource["Type"], "True" if node in certain else "Conditional")
            elif any(one in reached for one in self._before[node]):
                yield Change("Modify", name, resource["Type"], "False")


def _told(path: Sequence[Node]) -> str:
    """A path in words: a stack is named where it begins."""
    said, at = [], ""
    for kind, id_, name in path:
        if kind == PARAMETER:
            continue  # bears the output's name
        said.append(f"{id_}: {name}" if id_ != at and at else name)
        at = id_
    return " -> ".join(said)


def _moved(type_: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The properties of a network resource for which it is replaced, or may be. Of a type that nobody knows it may be for any."""
    at_times = may_replace(type_)
    fixed = {path.partition(".")[0] for path in (*created_with(type_), *(at_times or ()))}
    for name in sorted(before.keys() | after.keys()):
        if (name in fixed or (at_times is None and name != "Tags")) and before.get(name) != after.get(name):
            yield name


def _parts(value: Any) -> list[str]:
    """The resources, and their attributes, that an evaluated value still names."""
    return VARIABLE.findall(str(value))


def _changed(one: Difference) -> Iterator[str]:
    """The attributes of a resource that change in place with the properties whose names they bear."""
    yield from (f"{one.resource}.{change.path.partition('.')[0]}" for change in one.properties)


def _offered(each: Standing) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the outputs say, as the stack stands and as it would be; resources stay names."""
    was = _outputs(each, each.old, each.state.parameters)
    return was, _outputs(each, each.new, each.answers) if each.new is not None else {}


def _outputs(each: Standing, document: Document, answers: Mapping[str, str | Later]) -> dict[str, Any]:
    told = _known(each, document, answers)
    return {name: rest(evaluate(output.get("Value"), told, document)) for name, output in document.get("Outputs", {}).items()}


def _evaluated(each: Standing) -> tuple[dict[str, Mapping[str, Any]], dict[str, Mapping[str, Any]]]:
    """The properties of resources whose conditions hold, as the stack stands and as it would be; resources stay names."""
    before = _values(each, each.old, each.state.parameters)
    if each.is_as_it_was:
        return before, before
    return before, _values(each, each.new, each.answers) if each.new is not None else {}


def _known(each: Standing, document: Document, answers: Mapping[str, str | Later]) -> Lookup:
    """What names stand for; resources stay names."""
    parts = each.state.id.split(":")
    region, account = (parts[3], parts[4]) if len(parts) > 4 else ("", "")
    known: dict[str, Any] = dict(pseudo(region, account, each.state.name, each.state.id))
    known |= {name: Unknown(str(value), value) for name, value in answers.items() if isinstance(value, Later)}
    texts = {name: value for name, value in answers.items() if isinstance(value, str)}
    names = {name: f"${{{name}}}" for name in document.get("Resources", {})}
    return lookup(document, texts, known, names, lambda name, attribute: f"${{{name}.{attribute}}}")


def _values(each: Standing, document: Document, answers: Mapping[str, str | Later]) -> dict[str, Mapping[str, Any]]:
    told = _known(each, document, answers)
    return {
        name: rest(evaluate(resource.get("Properties", {}), told, document))
        for name, resource in document.get("Resources", {}).items()
        if holds(resource.get("Condition"), told, document) is not False  # whether it holds may not be known, so it may
    }
