"""The architecture of a system, derived from its templates: where things stand, what feeds, copies, watches and calls what.

Whoever draws it, judges it, or orders work by it asks here; whether it is good is for them to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from model import Document, Site, address
from model.resource_types import resource_type
from model.values import mentions
from model.view import Resource, View

INSTANCE, CLUSTER, GLOBAL = "AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::RDS::GlobalCluster"
FILES, BUCKET, SECRET = "AWS::EFS::FileSystem", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"
PLAN, SELECTION = "AWS::Backup::BackupPlan", "AWS::Backup::BackupSelection"
GROUP = "AWS::EC2::SecurityGroup"
RULE, COMPOSITE, FUNCTION = "AWS::Events::Rule", "AWS::CloudWatch::CompositeAlarm", "AWS::Lambda::Function"

SOURCES: Mapping[str, tuple[str, ...]] = {
    INSTANCE: ("SourceDBInstanceIdentifier", "SourceDBClusterIdentifier"),
    CLUSTER: ("GlobalClusterIdentifier", "ReplicationSourceIdentifier"),
}
"""The properties that make a database a copy of another. A cluster's SourceDBClusterIdentifier is what it was restored from:
it does not follow that one, and the two are upgraded as they like."""

Stack = tuple[Site, str]
"""A layer at a site."""

Address = tuple[Site, str, str]
"""Site, layer and logical id: one resource where it stands."""


class Copying(StrEnum):
    """How something is copied."""

    OBJECTS = "replication of objects"
    FILES = "replication of files"
    REPLICA = "read replica"
    GLOBAL = "global database"
    SECRET = "replica of the secret"  # noqa: S105  which is none
    BACKUP = "recovery points"
    BACKUPS = "copies of recovery points"


LIVE = frozenset({Copying.OBJECTS, Copying.FILES, Copying.REPLICA, Copying.GLOBAL})
"""Copies of data that follow them as they change."""


@dataclass(frozen=True)
class Edge:
    """From one resource to another, and the property that says so: a key encrypts, a copy is made."""

    source: Address
    target: Address
    how: str
    layer: str
    title: str
    path: str


def fed_by(documents: Mapping[str, Document]) -> dict[Stack, tuple[Stack, ...]]:
    """The stacks of a system, each with those that it waits for: their outputs are its parameters, or hold its packages."""
    found: dict[Stack, tuple[Stack, ...]] = {}
    for name, document in documents.items():
        layer = document["Metadata"]["Layer"]
        for site in layer["Sites"]:
            wires = [address(site, wire)[:2] for wire in (layer.get("Imports") or {}).values()]
            packages = [(site, "artifacts")] if layer.get("Packages") and "artifacts" in documents else []
            found[site, name] = tuple(dict.fromkeys([*wires, *packages]))
    return found


def sites(view: View, layer: str) -> tuple[Site, ...]:
    """Where a layer stands."""
    return tuple(_layer(view, layer).get("Sites", {}))


def where(one: Resource, layer: str, value: Any, site: Site) -> Address:
    """Where a resource stands that a value of a layer denotes: at the site that the wire names, else at the asking one's."""
    place, stands = next(sites_named(one.view, layer, value), site), sites(one.view, one.layer)
    return (place if place in stands else stands[0]), one.layer, one.id


def copies(view: View) -> Iterator[Edge]:
    """What is copied from where to where, each once."""
    found = (edge for one in view.resources() for site in sites(view, one.layer) for edge in _copies(one, site))
    return iter(dict.fromkeys(found))


def followers(one: Resource) -> Iterator[Resource]:
    """What holds a live copy of a resource: no matter where, and in which environments."""
    found = [edge.target[1:] for edge in copies(one.view) if edge.how in LIVE and edge.source[1:] == (one.layer, one.id)]
    return (each for name in dict.fromkeys(found) if (each := one.view.resource(*name)) is not None)


def is_copy(one: Resource) -> bool:
    """Whether another store writes it, be that ours or somebody else's."""
    return bool(copies_by(one.type, one.properties)) or any(
        edge.how in LIVE and edge.target[1:] == (one.layer, one.id) for edge in copies(one.view)
    )


def copies_by(type_: str, properties: Mapping[str, Any]) -> str:
    """The property by which a database is a copy of another one, or nothing."""
    return next((name for name in SOURCES.get(type_, ()) if properties.get(name)), "")


def source_of(database: Resource) -> Resource | None:
    """The database that this one copies, where that is one of the system."""
    name = copies_by(database.type, database.properties)
    found = database.follow(name) if name else None
    if name == "GlobalClusterIdentifier":
        found = found.follow("SourceDBClusterIdentifier") if found is not None and found.type == GLOBAL else None
    return found


@dataclass(frozen=True)
class Backup:
    """A resource that a plan backs up, and the selection and its entry that say so."""

    resource: Resource
    plan: Resource
    selection: Resource
    entry: Any


def backups(view: View) -> Iterator[Backup]:
    """What is backed up by which plan. What a selection chooses by tag is not known."""
    for selection in view.resources(SELECTION):
        yield from _backups(selection)


def rules_of(plan: Resource) -> list[Document]:
    """The rules of a backup plan."""
    return list(plan.get("BackupPlan", "BackupPlanRule") or [])


def copied_by(plan: Resource, rule: Document) -> Iterator[tuple[Resource, Any]]:
    """The vaults to which a plan's rule copies recovery points, each with the value that names it."""
    for action in rule.get("CopyActions") or ():
        value = action.get("DestinationBackupVaultArn")
        vault = plan.view.follow(plan.layer, value)
        if vault is not None:
            yield vault, value


def members_of(cluster: Resource) -> list[Resource]:
    """The instances of a cluster."""
    return [one for one in cluster.view.resources(INSTANCE) if cluster.is_(one.follow("DBClusterIdentifier"))]


def mount_targets_of(files: Resource) -> list[Resource]:
    """Where a file system is mounted."""
    return [one for one in files.view.resources("AWS::EFS::MountTarget") if files.is_(one.follow("FileSystemId"))]


def group_rules(group: Resource, direction: str) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    """The rules of a security group (``Egress`` or ``Ingress``), its own and those apart, each with what declares it."""
    for rule in group.get(f"SecurityGroup{direction}") or []:
        yield group, rule
    for apart in group.view.resources(f"{GROUP}{direction}"):
        if group.is_(apart.follow("GroupId")):
            yield apart, apart.properties


def targets(rule: Resource) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    """What an event rule calls, each with the target that says so."""
    for target in rule.get("Targets") or []:
        found = rule.view.follow(rule.layer, target.get("Arn"))
        if found is not None:
            yield found, target


def alarms_followed(rule: Resource) -> Iterator[Resource]:
    """The alarms whose change of state an event rule is about."""
    if rule.get("EventPattern", "source") == ["aws.cloudwatch"]:
        for each in rule.get("EventPattern", "resources") or []:
            found = rule.view.follow(rule.layer, each)
            if found is not None:
                yield found


def deciders(view: View) -> tuple[Resource, ...]:
    """The functions that an event rule on a composite alarm invokes: they decide on a failover."""
    rules = [rule for rule in view.resources(RULE) if any(alarm.type == COMPOSITE for alarm in alarms_followed(rule))]
    return tuple(called for rule in rules for called, _ in targets(rule) if called.type == FUNCTION)


def metrics_of(alarm: Resource) -> list[Document]:
    """The metrics that an alarm reads, whether it names one or calculates with several."""
    queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics") or [] if "MetricStat" in query]
    return queries or [alarm.properties]


def measures(alarm: Resource, metric: Document, one: Resource, dimension: str = "") -> bool:
    """Whether a metric that an alarm reads is one of a resource: a dimension refers to it, or spells its name in its region."""
    name = one.properties.get(resource_type(one.type).named_by)
    called = one.view.text(one.layer, name) if name is not None and alarm.stands_with(one) else None
    return any(
        one.is_(alarm.view.follow(alarm.layer, each.get("Value")))
        or alarm.view.text(alarm.layer, each.get("Value")) == called is not None
        for each in metric.get("Dimensions") or ()
        if dimension in ("", each.get("Name"))
    )


def watches(alarm: Resource, one: Resource, dimension: str = "") -> bool:
    """Whether an alarm reads a metric of a resource."""
    return any(measures(alarm, metric, one, dimension) for metric in metrics_of(alarm))


def alarm_rule(composite: Resource) -> tuple[str, tuple[Resource | None, ...]]:
    """The rule of a composite alarm as text with variables, and what each of these denotes, in their order."""
    match composite.get("AlarmRule"):
        case {"Fn::Sub": [str(text), dict(given)]}:
            pass
        case {"Fn::Sub": str(text)}:
            given = {}
        case _:
            return "", ()
    values = [given.get(name, {"Ref": name}) for name in mentions({"Fn::Sub": text})]
    return text, tuple(composite.view.follow(composite.layer, value) for value in values)


def sites_named(view: View, layer: str, value: Any) -> Iterator[Site]:
    """The sites that the wires in a value of a layer name."""
    imports = _layer(view, layer).get("Imports") or {}
    return (site for name in mentions(value) if name in imports and (site := address("", imports[name])[0]))


def _layer(view: View, layer: str) -> Document:
    found: Document = view.templates[layer].get("Metadata", {}).get("Layer", {})
    return found


def _copies(one: Resource, site: Site) -> Iterator[Edge]:
    """What one resource says of copies, seen from the site where it stands."""
    here = (site, one.layer, one.id)

    def other(value: Any) -> Address | None:
        found = one.view.follow(one.layer, value)
        return where(found, one.layer, value, site) if found is not None else None

    def edge(source: Address | None, target: Address | None, how: Copying, path: str) -> Iterator[Edge]:
        if source is not None and target is not None:
            yield Edge(source, target, how, one.layer, one.id, path)

    match one.type:
        case "AWS::S3::Bucket":
            for rule in one.get("ReplicationConfiguration", "Rules") or ():
                if rule.get("Status") == "Enabled":
                    there = other((rule.get("Destination") or {}).get("Bucket"))
                    yield from edge(here, there, Copying.OBJECTS, "ReplicationConfiguration.Rules.Destination.Bucket")
        case "AWS::EFS::FileSystem":
            for destination in one.get("ReplicationConfiguration", "Destinations") or ():
                there = other(destination.get("FileSystemId"))
                yield from edge(here, there, Copying.FILES, "ReplicationConfiguration.Destinations.FileSystemId")
        case "AWS::RDS::DBInstance" | "AWS::RDS::DBCluster":
            name, source = copies_by(one.type, one.properties), source_of(one)
            if source is not None:
                # A secondary names the global database, which stands where its primary does.
                named = where(source, one.layer, one.get(name), site)
                yield from edge(named, here, Copying.GLOBAL if name.startswith("Global") else Copying.REPLICA, name)
        case "AWS::SecretsManager::Secret":
            for replica in one.get("ReplicaRegions") or ():
                place = _site_of(one, replica.get("Region"))
                if place not in ("", site):
                    yield from edge(here, (place, one.layer, one.id), Copying.SECRET, "ReplicaRegions.Region")
        case "AWS::Backup::BackupPlan":
            for rule in rules_of(one):
                for _, value in copied_by(one, rule):
                    source_, there = other(rule.get("TargetBackupVault")), other(value)
                    path = "BackupPlan.BackupPlanRule.CopyActions.DestinationBackupVaultArn"
                    yield from edge(source_, there, Copying.BACKUPS, path)
        case "AWS::Backup::BackupSelection":
            for backup in _backups(one):
                kept, layer = where(backup.resource, one.layer, backup.entry, site), backup.plan.layer
                for rule in rules_of(backup.plan):
                    vault = one.view.follow(layer, rule.get("TargetBackupVault"))
                    into = where(vault, layer, rule.get("TargetBackupVault"), site) if vault is not None else None
                    yield from edge(kept, into, Copying.BACKUP, "BackupSelection.Resources")


def _backups(selection: Resource) -> Iterator[Backup]:
    plan, chosen = selection.follow("BackupPlanId"), selection.get("BackupSelection", "Resources")
    for entry in chosen if isinstance(chosen, list) else [chosen]:
        for kept in selection.view.members(selection.layer, entry):
            if kept is not None and plan is not None:
                yield Backup(kept, plan, selection, entry)


def _site_of(one: Resource, region: Any) -> Site:
    """The site whose region a value is: written out, or a part of what a wire brings from there."""
    known = {name: site for layer in one.view.templates for site, name in _layer(one.view, layer).get("Sites", {}).items()}
    return known.get(region, "") if isinstance(region, str) else next(sites_named(one.view, one.layer, region), "")
