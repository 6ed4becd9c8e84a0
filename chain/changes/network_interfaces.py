"""What really stands in a network that would be taken away: asked of EC2 and RDS, whoever put it there.

Templates and wires say what is declared. A database that was let go of, that another system put there, or whose template names
the network by its ids, is known to nobody but AWS: its network interfaces, and RDS's own list, for a database that is stopped has
no interface. It is asked only where parts of a network would be replaced or removed, and nothing else holds them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from chain.changes.guard import Danger
from chain.changes.replacements import Part, Taken
from chain.cloudformation import stack as cfn
from chain.cloudformation.stack import Clients, State

CALLS = {
    "LookAround": ("ec2:DescribeNetworkInterfaces",),
    "SeeWhichDatabasesStandInNetworks": ("rds:DescribeDBClusters", "rds:DescribeDBInstances", "rds:DescribeDBSubnetGroups"),
}

FILTERS = {"vpc-": "vpc-id", "subnet-": "subnet-id", "sg-": "group-id"}
"""How EC2 is asked for the interfaces in a part of a network, by what the part's id begins with."""

MOST_VALUES = 200  # of one filter
MOST_NAMES = 5  # in a sentence

MOVABLE = "lambda"
"""The interfaces of functions, which hold nothing and take another network at any time."""

SERVING = re.compile(r"\b(?:vpce|nat)-[0-9a-f]+\b")
"""The endpoint or gateway that an interface is of."""

DATABASE = "RDSNetworkInterface"
"""How RDS describes every interface of its own: it does not say of which database."""


def dangers(taken: Sequence[Taken], clients: Clients, states: Mapping[str, State]) -> list[Danger]:
    """What stands in the networks that would be taken away, one danger for each stack that would lose parts of its own.

    ``states`` are the stacks that are known to stand, by their ids. An answer that does not come refuses as well.
    """
    found = []
    for each in taken:
        how, ending = ("would" if each.certain else "may"), "removed" if each.removed else "replaced"
        try:
            names = _Look(clients, states, each)()
        except Exception as error:  # whatever it is, it was not answered: silence, a refusal, or an answer nobody understands
            why = f"whether anything stands in it is not known: {cfn.explain(error)}. What is not known is not taken away"
        else:
            if not names:
                continue
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            why = (
                f"this stands in it: {'; '.join(names[:MOST_NAMES])}{more}. The network of what stands cannot be moved;"
                " make a second environment, or remove what stands there first"
            )
        found.append(Danger(each.stack, each.layer, each.resource, each.type, f"{how} be {ending}, and {why}", final=True))
    return found


class _Look:
    """One look at what stands in the parts of a network in one region or several."""

    def __init__(self, clients: Clients, states: Mapping[str, State], taken: Taken) -> None:
        self._clients, self._states, self._taken = clients, states, taken
        self._known: dict[str, Mapping[str, Mapping[str, str]]] = {}

    def __call__(self) -> list[str]:
        places: dict[str, set[str]] = {}
        for part in self._taken.parts:
            physical = self._physical(part)
            if physical:
                places.setdefault(part[0].partition("/")[0], set()).add(physical)
        going = {physical for part in self._taken.going if (physical := self._physical(part))}
        return [name for region, parts in sorted(places.items()) for name in self._in_region(region, parts, going)]

    def _physical(self, part: Part) -> str:
        """What a part is called in AWS; nothing where it is not there."""
        return self._resources(part[0]).get(part[1], {}).get("PhysicalResourceId", "")

    def _resources(self, id_: str) -> Mapping[str, Mapping[str, str]]:
        if id_ not in self._known:
            region = id_.partition("/")[0]
            self._known[id_] = cfn.resources(self._clients("cloudformation", region), self._states[id_].id)
        return self._known[id_]

    def _in_region(self, region: str, parts: Collection[str], going: Collection[str]) -> Iterator[str]:
        databases = sorted(_databases(self._clients("rds", region), parts))
        yield from (f"{kind} {id_}" for kind, id_ in databases if id_ not in going)
        for each in _interfaces(self._clients("ec2", region), parts):
            text = each.get("Description", "")
            named = text == DATABASE and databases  # RDS itself has said of which
            goes = any(re.search(rf"(?<![\w-]){re.escape(id_)}(-\d+)*(?![\w-])", text) for id_ in going)  # nodes are numbered
            if not named and not goes and each.get("InterfaceType") != MOVABLE and not self._serves(region, text):
                yield f"{each['NetworkInterfaceId']} ({text or each.get('InterfaceType', 'interface')})"

    def _serves(self, region: str, text: str) -> bool:
        """Whether an interface is of an endpoint or a gateway of a stack of ours, which goes or moves with its network."""
        ids = set(SERVING.findall(text))
        return bool(ids) and any(
            ids & {item.get("PhysicalResourceId", "") for item in self._resources(id_).values()}
            for id_ in self._states
            if id_.startswith(f"{region}/")
        )


def _interfaces(ec2: Any, parts: Collection[str]) -> Iterator[Mapping[str, Any]]:
    seen: dict[str, Mapping[str, Any]] = {}
    for prefix, name in FILTERS.items():
        values = sorted(part for part in parts if part.startswith(prefix))
        for start in range(0, len(values), MOST_VALUES):
            filters = [{"Name": name, "Values": values[start : start + MOST_VALUES]}]
            for page in ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters):
                seen |= {each["NetworkInterfaceId"]: each for each in page["NetworkInterfaces"]}
    return iter(seen.values())


def _databases(rds: Any, parts: Collection[str]) -> Iterator[tuple[str, str]]:
    """Instances and clusters, running or not, that RDS has in these parts: a cluster may be without an instance."""
    groups: dict[str, set[str]] = {}
    for page in rds.get_paginator("describe_db_subnet_groups").paginate():
        for group in page["DBSubnetGroups"]:
            groups[group["DBSubnetGroupName"]] = {
                group.get("VpcId", ""),
                *(subnet["SubnetIdentifier"] for subnet in group.get("Subnets", ())),
            }
    for page in rds.get_paginator("describe_db_clusters").paginate():
        for each in page["DBClusters"]:
            if (groups.get(each.get("DBSubnetGroup", ""), set()) | _borne(each)) & set(parts):
                yield "cluster", each["DBClusterIdentifier"]
    for page in rds.get_paginator("describe_db_instances").paginate():
        for each in page["DBInstances"]:
            own = each.get("DBSubnetGroup") or {}
            where = {own.get("VpcId", ""), *(subnet["SubnetIdentifier"] for subnet in own.get("Subnets", ()))}
            if (where | _borne(each)) & set(parts):
                yield "database", each["DBInstanceIdentifier"]


def _borne(each: Mapping[str, Any]) -> set[str]:
    """The security groups that it bears."""
    return {group["VpcSecurityGroupId"] for group in each.get("VpcSecurityGroups", ())}
