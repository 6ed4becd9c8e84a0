"""What a picture of a system shows, read from its templates: things and where they stand, what encrypts and what copies them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from model import Document, Site, System
from model.view import Resource, View

KEY = "AWS::KMS::Key"
SUBNET = "AWS::EC2::Subnet"
VAULT = "AWS::Backup::BackupVault"

KINDS: Mapping[str, str] = {
    "AWS::RDS::DBCluster": "Aurora cluster",
    "AWS::RDS::DBInstance": "Database",
    "AWS::ElastiCache::ReplicationGroup": "Cache",
    "AWS::EFS::FileSystem": "Files",
    "AWS::RDS::GlobalCluster": "Global database",
    "AWS::DynamoDB::Table": "Table",
    "AWS::DynamoDB::GlobalTable": "Table",
    "AWS::S3::Bucket": "Bucket",
    "AWS::Backup::BackupVault": "Backup vault",
    "AWS::SecretsManager::Secret": "Secret",
    "AWS::SNS::Topic": "Topic",
    "AWS::CloudTrail::Trail": "Trail",
    "AWS::Lambda::Function": "Function",
    "AWS::EC2::VPCEndpoint": "Endpoint",
    "AWS::EC2::NatGateway": "NAT gateway",
    "AWS::Route53::HealthCheck": "Health check",
}
"""What is drawn, in this order, and what people call it."""

SWITCHES = ("StorageEncrypted", "Encrypted", "AtRestEncryptionEnabled")
"""Properties that encrypt a resource, with a key of AWS's where none is named."""

ENCRYPTING = re.compile(r"kms.*key|encryptionkeyarn", re.IGNORECASE)
"""Properties that name the key with which a resource is encrypted."""

Address = tuple[Site, str, str]
"""Site, layer and logical id: one resource where it stands."""


@dataclass(frozen=True)
class Thing:
    """One resource at one site. ``tier`` names the subnets that it is in and ``zones`` theirs; both empty outside of a VPC."""

    site: Site
    layer: str
    title: str
    kind: str
    detail: str
    tier: str = ""
    zones: tuple[str, ...] = ()

    @property
    def address(self) -> Address:
        return self.site, self.layer, self.title


@dataclass(frozen=True)
class Subnet:
    """One subnet; ``zone`` is the parameter that says where, ``tier`` what the subnets of all zones have in common."""

    layer: str
    title: str
    tier: str
    zone: str


@dataclass(frozen=True)
class Edge:
    """From one resource to another, and the property that says so: a key encrypts, a copy is made."""

    source: Address
    target: Address
    how: str
    layer: str
    title: str
    path: str


@dataclass(frozen=True)
class World:
    """A system's templates at its sites."""

    system: System
    view: View

    @classmethod
    def of(cls, system: System, documents: Mapping[str, Document]) -> World:
        return cls(system, View(documents))

    def sites(self, layer: str) -> tuple[Site, ...]:
        """Where a layer stands."""
        return tuple(self.view.templates[layer]["Metadata"]["Layer"]["Sites"])

    def at(self, site: Site, *types: str) -> Iterator[Resource]:
        """The resources of these types that stand at a site."""
        return (one for one in self.view.resources(*types) if site in self.sites(one.layer))

    def subnets(self, site: Site) -> list[Subnet]:
        """The subnets of a site, as the template lists them."""
        return [_subnet(one) for one in self.at(site, SUBNET)]

    def things(self, site: Site) -> list[Thing]:
        """What is drawn at a site: by kind, and then in the templates' order."""
        found = [self._thing(site, one) for type_ in KINDS for one in self.at(site, type_)]
        secrets = {edge.target for edge in self.copies if edge.how == REPLICA}
        return found + [
            Thing(site, layer, title, "Secret", "replica") for where, layer, title in sorted(secrets) if where == site
        ]

    def _thing(self, site: Site, one: Resource) -> Thing:
        within = [_subnet(subnet) for subnet in self._within(one)]
        zone = one.follow("AvailabilityZone")
        zones = [_subnet(zone).zone] if zone else [subnet.zone for subnet in within]
        tier = within[0].tier if within else ""
        return Thing(
            site,
            one.layer,
            one.id,
            "Instance" if _member(one) else KINDS[one.type],
            _detail(one),
            tier,
            tuple(dict.fromkeys(zones)),
        )

    def _within(self, one: Resource) -> list[Resource]:
        """The subnets that a resource is in, by itself, by its group, by its cluster or by its mount targets."""
        for path in (("SubnetIds",), ("SubnetId",), ("VpcConfig", "SubnetIds")):
            found = [subnet for subnet in one.members(*path) if subnet is not None]
            if found:
                return found
        for name in ("DBSubnetGroupName", "CacheSubnetGroupName", "DBClusterIdentifier"):
            through = one.follow(name)
            if through is not None:
                return self._within(through)
        mounts = [mount for mount in self.view.resources("AWS::EFS::MountTarget") if one.is_(mount.follow("FileSystemId"))]
        return [subnet for mount in mounts for subnet in self._within(mount)]

    def keys(self, site: Site) -> list[Address]:
        """The keys of a site."""
        return [(site, one.layer, one.id) for one in self.at(site, KEY)]

    def encryption(self) -> list[Edge]:
        """Which key encrypts which resource, at every site: the first property that says so."""
        found: dict[tuple[Address, Address], Edge] = {}
        for one in self.view.resources():
            for path, value in _named(one.properties, ENCRYPTING):
                key = self.view.follow(one.layer, value)
                if key is None or key.type != KEY:
                    continue
                for site in self.sites(one.layer):
                    source, target = self._where(key, one.layer, value, site), (site, one.layer, one.id)
                    if source[0] != site and one.type == "AWS::SecretsManager::Secret":
                        target = (source[0], one.layer, one.id)
                    found.setdefault((source, target), Edge(source, target, "encrypts", one.layer, one.id, path))
        return list(found.values())

    def managed(self) -> list[tuple[Resource, str]]:
        """What is encrypted with a key that AWS manages, and the property that says so: encrypted, and no key is named."""
        return [(one, switch) for one in self.view.resources() if (switch := _managed(one))]

    @cached_property
    def copies(self) -> tuple[Edge, ...]:
        """What is copied from where to where."""
        found = (edge for one in self.view.resources() for site in self.sites(one.layer) for edge in self._copies(one, site))
        return tuple(dict.fromkeys(found))

    def _copies(self, one: Resource, site: Site) -> Iterator[Edge]:
        here = (site, one.layer, one.id)
        for path, value in _named(one.properties, re.compile("|".join(COPYING))):
            name = path.rpartition(".")[2]
            other = self.view.follow(one.layer, value)
            if other is None or (name == "SourceDBClusterIdentifier" and one.type != "AWS::RDS::GlobalCluster"):
                continue
            there = self._where(other, one.layer, value, site)
            match one.type, name:
                case "AWS::S3::Bucket", "Bucket" if "ReplicationConfiguration" in path:
                    yield Edge(here, there, "replication of objects", one.layer, one.id, path)
                case "AWS::EFS::FileSystem", "FileSystemId":
                    yield Edge(here, there, "replication of files", one.layer, one.id, path)
                case "AWS::RDS::DBInstance", "SourceDBInstanceIdentifier":
                    yield Edge(there, here, "read replica", one.layer, one.id, path)
                case "AWS::RDS::DBCluster", "GlobalClusterIdentifier":
                    writer = other.follow("SourceDBClusterIdentifier")
                    if writer is not None:
                        yield Edge((there[0], writer.layer, writer.id), here, "global database", one.layer, one.id, path)
                case "AWS::Backup::BackupPlan", "DestinationBackupVaultArn":
                    vault = next(_named(one.properties, re.compile("TargetBackupVault")))[1]
                    origin = self.view.follow(one.layer, vault)
                    if origin is not None:
                        source = self._where(origin, one.layer, vault, site)
                        yield Edge(source, there, "copies of recovery points", one.layer, one.id, path)
        if one.type == "AWS::SecretsManager::Secret":
            for path, value in _named(one.get("ReplicaRegions"), ENCRYPTING, "ReplicaRegions"):
                key = self.view.follow(one.layer, value)
                place = self._where(key, one.layer, value, site)[0] if key else site
                if place != site:
                    yield Edge(here, (place, one.layer, one.id), REPLICA, one.layer, one.id, path)
        if one.type == "AWS::Backup::BackupSelection":
            yield from self._backups(one, site)

    def _backups(self, one: Resource, site: Site) -> Iterator[Edge]:
        plan = one.follow("BackupPlanId")
        value = next(_named(plan.properties, re.compile("TargetBackupVault")))[1] if plan else None
        vault = self.view.follow(plan.layer, value) if plan else None
        if plan is None or vault is None:
            return
        into = self._where(vault, plan.layer, value, site)
        for each in one.get("BackupSelection", "Resources") or ():
            kept = self.view.follow(one.layer, each)
            if kept is not None:
                source = self._where(kept, one.layer, each, site)
                yield Edge(source, into, "recovery points", one.layer, one.id, "BackupSelection.Resources")

    def _where(self, one: Resource, layer: str, value: Any, site: Site) -> Address:
        """Where a resource stands that a value of a layer denotes: at the site that the wire names, else at the asking one's."""
        imports = self.view.templates[layer]["Metadata"]["Layer"].get("Imports") or {}
        asked = [imports[name].rpartition(":")[0] for name in _names(value) if ":" in imports.get(name, "")]
        place, sites = (asked or [site])[0], self.sites(one.layer)
        return (place if place in sites else sites[0]), one.layer, one.id


REPLICA = "replica of the secret"
COPYING = (
    "^Bucket$",
    "^FileSystemId$",
    "^SourceDBInstanceIdentifier$",
    "^GlobalClusterIdentifier$",
    "^DestinationBackupVaultArn$",
)
"""Properties that name the other side of a copy."""


def _subnet(one: Resource) -> Subnet:
    zone = one.get("AvailabilityZoneId")
    name = zone["Ref"] if isinstance(zone, Mapping) and "Ref" in zone else str(zone)
    return Subnet(one.layer, one.id, re.sub(r"Subnet[A-Z]?$", "", one.id), name)


def _named(value: Any, pattern: re.Pattern[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every property below whose name fits, with its path."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            inner = f"{path}.{name}" if path else name
            if pattern.search(name) and not name.startswith("Fn::"):
                yield inner, below
            yield from _named(below, pattern, inner)
    elif isinstance(value, list):
        for below in value:
            yield from _named(below, pattern, path)


def _names(value: Any) -> Iterator[str]:
    """What a value refers to."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            if name == "Ref":
                yield below
            elif name == "Fn::Sub" and isinstance(below, str):
                yield from re.findall(r"\$\{([^}.!]+)", below)
            else:
                yield from _names(below)
    elif isinstance(value, list):
        for below in value:
            yield from _names(below)


def _managed(one: Resource) -> str:
    """The switch that encrypts a resource which names no key, or nothing."""
    if one.get("KmsKeyId") is not None:
        return ""
    return next((name for name in SWITCHES if one.true(name)), "")


def _member(one: Resource) -> bool:
    """Whether it is one of the instances of a cluster."""
    return one.type == "AWS::RDS::DBInstance" and one.get("DBClusterIdentifier") is not None


def _detail(one: Resource) -> str:
    """What is said of a resource beside its name: literals of its template only."""
    said = [one.get(name) for name in (("DBInstanceClass",) if _member(one) else ("Engine", "EngineVersion"))]
    parts = list(filter(None, [" ".join(value.removeprefix("db.") for value in said if isinstance(value, str))]))
    if one.true("MultiAZ") or one.true("MultiAZEnabled"):
        parts.append("several zones")
    if _managed(one):
        parts.append("AWS-managed key")
    service = one.text("ServiceName") or ""
    return ", ".join([*parts, service.rpartition(".")[2]] if service else parts)
