"""Which site writes: what a failover recorded in the recovery region, read there and nowhere else.

Each record is a parameter of Systems Manager that was created once, below ``/<system>/<suffix>/``; the newest topology is the
truth, and an environment without one is at home.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chain.cloudformation.end_replication import answer
from chain.cloudformation.stack import Clients
from chain.environment.graph import Graph
from chain.environment.templates import Template
from model import RECOVERY
from protocol import journal, lease, parameters, topology
from protocol.journal import APPROVAL, BEGAN, DECIDED, PROMOTE_ASKED, WAITING, acted, step_of
from protocol.parameters import DESTROYING
from protocol.steps import ACCEPTED, HOME_PROMOTED, VERIFY
from protocol.topology import HOME, LAYER

CALLS = {
    "ReadWhichSiteWrites": ("ssm:GetParametersByPath",),
    # A parameter that is made with tags asks for AddTagsToResource too.
    "RememberThatItIsDestroyed": ("ssm:AddTagsToResource", "ssm:DeleteParameters", "ssm:PutParameter"),
}

PROMOTES = "; a promotion was asked for, and until a write has proven it the topology is the one of before"
MOST = 10  # names that DeleteParameters takes

TYPES = {
    "AWS::EFS::FileSystem": "files",
    "AWS::RDS::DBCluster": "the database",
    "AWS::RDS::DBInstance": "the database",
    "AWS::RDS::GlobalCluster": "the database",
    "AWS::SecretsManager::RotationSchedule": "the rotation of its credential",
    "AWS::SecretsManager::Secret": "its credential",
}
"""What changes its role in a failover. A stack that holds one describes it as it is at home."""


@dataclass(frozen=True)
class Place:
    """A system that can fail over, and the region that remembers."""

    system: str
    suffix: str
    region: str

    @property
    def path(self) -> str:
        """What all names of its parameters begin with."""
        return parameters.path(self.system, self.suffix)


@dataclass(frozen=True)
class Topology:
    """Who writes, since when, and on which evidence; without a record the system is at home."""

    state: str = HOME
    epoch: int = 0
    site: str = "primary"
    writer: str = ""
    since: str = ""
    execution: str = ""
    evidence: tuple[str, ...] = ()
    rto_seconds: float | None = None
    rpo_seconds: float | None = None

    def __str__(self) -> str:
        """One line for an operator."""
        if not self.epoch:
            return "home, and never was elsewhere"
        seen = f" on {' and '.join(self.evidence)}" if self.evidence else " on an operator's word"
        took = "" if self.rto_seconds is None else f", after {self.rto_seconds:.0f} s"
        lost = "" if self.rpo_seconds is None else f", up to {self.rpo_seconds:.0f} s of data lost"
        return (
            f"{self.state} since {self.since} (epoch {self.epoch}, execution {self.execution}){seen}: {self.writer} at the"
            f" {self.site} site writes{took}{lost}"
        )


@dataclass(frozen=True)
class Execution:
    """One request for a failover and what came of it: entry of its journal -> what it says."""

    id: str
    entries: Mapping[str, Mapping[str, Any]]

    @property
    def began(self) -> Mapping[str, Any]:
        """What was asked for, and what was seen then."""
        return self.entries.get(BEGAN, {})

    @property
    def request(self) -> str:
        """What was asked for."""
        return str(self.began.get("request", ""))

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return journal.is_open(self.entries)

    @property
    def acts(self) -> bool:
        """Whether it has begun to act and has not ended: what is real is between two topologies."""
        return self.is_open and DECIDED in self.entries

    @property
    def waits(self) -> bool:
        """Whether a person must approve it."""
        return self.is_open and WAITING in self.entries and not {DECIDED, APPROVAL} & self.entries.keys()

    @property
    def promotes(self) -> bool:
        """Whether a promotion was asked for that no write has proven yet: the newest topology is that of before."""
        steps = {step_of(name) for name in self.entries}
        asked = PROMOTE_ASKED in self.entries or bool(steps & {ACCEPTED, acted(HOME_PROMOTED)})
        return self.acts and asked and VERIFY not in steps

    def __str__(self) -> str:
        """One line for an operator."""
        acts = f"acts{PROMOTES if self.promotes else ''}"
        where = acts if self.acts else "waits for an approval" if self.waits else "is decided within a minute"
        return (
            f"{self.request} {self.id}, asked for by {self.began.get('by') or 'nobody known'} at {self.began.get('at')}: {where}"
        )


@dataclass(frozen=True)
class Record:
    """Everything that is remembered of one place."""

    place: Place
    values: Mapping[str, str]  # names below the place's path

    @property
    def topology(self) -> Topology:
        """The newest."""
        said = topology.newest(self.values)
        known = {name: said[name] for name in Topology.__dataclass_fields__ if name in said}
        return Topology(**{**known, "evidence": tuple(said.get("evidence", ()))})

    @property
    def executions(self) -> tuple[Execution, ...]:
        """All, the oldest first."""
        made = (Execution(id_, entries) for id_, entries in journal.journals(self.values).items())
        return tuple(sorted(made, key=lambda one: (str(one.began.get("at", "")), one.id)))

    @property
    def acting(self) -> Execution | None:
        """The execution that is at work."""
        return next((one for one in self.executions if one.acts), None)

    @property
    def destroying(self) -> bool:
        """Whether the environment is being destroyed, so that nothing may fail over."""
        return DESTROYING in self.values

    @property
    def is_settled(self) -> bool:
        """Whether the templates describe who writes."""
        return self.topology.state == HOME and self.acting is None

    def lease_ends(self) -> datetime | None:
        """Until when a run of the function may act; None if none does."""
        return lease.ends(self.values)

    def why(self) -> str:
        """Why stacks do not describe what is real."""
        if self.acting is not None:
            return f"{self.place.system} is on its way: the {self.acting.request} {self.acting.id} has begun and has not ended"
        now = self.topology
        return f"{self.place.system} is {now.state} since {now.since} (epoch {now.epoch})"


def places(templates: Sequence[Template], suffix: str) -> list[Place]:
    """The systems that can fail over."""
    found = (each for each in templates if each.layer == LAYER and RECOVERY in each.sites)
    return [Place(each.system, suffix, each.sites[RECOVERY]) for each in found]


def read(clients: Clients, place: Place) -> Record:
    """Everything that is remembered, in one sweep of the place's path."""
    pages = clients("ssm", place.region).get_paginator("get_parameters_by_path").paginate(Path=place.path, Recursive=True)
    return Record(place, {one["Name"][len(place.path) :]: one["Value"] for page in pages for one in page["Parameters"]})


def records(graph: Graph, clients: Clients) -> list[Record]:
    """What is remembered of every system of a graph that can fail over."""
    suffixes = {stack.template.system: stack.suffix for stack in graph.stacks}
    here = places([stack.template for stack in graph.stacks], "")
    return [read(clients, Place(each.system, suffixes[each.system], each.region)) for each in here]


def held(found: Sequence[Record], graph: Graph) -> dict[str, str]:
    """Stacks that must stay as they are, by id, and why: what they describe has another role now."""
    told = {}
    for record in found:
        for stack in graph.stacks:
            what = sorted({TYPES[one["Type"]] for one in stack.template.resources.values() if one["Type"] in TYPES})
            if stack.template.system == record.place.system and what and not record.is_settled:
                told[stack.id] = (
                    f"{record.why()}, and this stack describes {' and '.join(what)} as at home: a change would harm what writes"
                    f" now. Put it back as it was deployed, and what holds none of these may be deployed; or first"
                    f" make failback SYSTEM={record.place.system} ENV={record.place.suffix}"
                )
    return told


def remember(clients: Clients, place: Place, name: str, value: Mapping[str, Any]) -> bool:
    """Create one entry, below the place's path; whether we were first."""
    ssm = clients("ssm", place.region)
    tags = [{"Key": "System", "Value": place.system}, {"Key": "Environment", "Value": place.suffix}]
    given = {"Name": place.path + name, "Value": json.dumps(value), "Type": "String", "Tier": "Standard", "Tags": tags}
    return answer(("ParameterAlreadyExists",), lambda **it: (ssm.put_parameter(**it),), **given) is not None


def mark_destroying(clients: Clients, place: Place, who: str) -> bool:
    """Say that the environment is being destroyed, before anything is; whether nobody had said so."""
    return remember(clients, place, DESTROYING, {"by": who, "at": datetime.now(UTC).isoformat(timespec="seconds")})


def unmark_destroying(clients: Clients, place: Place) -> None:
    """A deployment ends what an earlier destroy began."""
    clients("ssm", place.region).delete_parameters(Names=[place.path + DESTROYING])


def await_lease(clients: Clients, place: Place, wait: Callable[[], None]) -> None:
    """Wait until no run of the function can act any more: one that began before the mark does not know of it."""
    while (ends := read(clients, place).lease_ends()) is not None and ends > datetime.now(UTC):
        wait()


def forget(clients: Clients, place: Place) -> Iterator[str]:
    """Remove everything that is remembered, the mark of the destruction last; the names."""
    names = sorted((place.path + name for name in read(clients, place).values), key=lambda name: name.endswith(DESTROYING))
    for start in range(0, len(names), MOST):
        clients("ssm", place.region).delete_parameters(Names=names[start : start + MOST])
        yield from names[start : start + MOST]
