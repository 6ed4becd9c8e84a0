"""What a picture of a system shows, read from its templates: things and where they stand, what encrypts and what copies them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from model import Document, Site, System, architecture
from model.architecture import Address, Copying, Edge
from model.values import mentions
from model.view import Resource, View

KEY = "AWS::KMS::Key"
SUBNET = "AWS::EC2::Subnet"

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
class World:
    """A system's templates at its sites."""

    system: System
    view: View

    @classmethod
    def of(cls, system: System, documents: Mapping[str, Document]) -> World:
        return cls(system, View(documents))

    def at(self, site: Site, *types: str) -> Iterator[Resource]:
        """The resources of these types that stand at a site."""
        return (one for one in self.view.resources(*types) if site in architecture.sites(self.view, one.layer))

    def subnets(self, site: Site) -> list[Subnet]:
        """The subnets of a site, as the template lists them."""
        return [_subnet(one) for one in self.at(site, SUBNET)]

    def things(self, site: Site) -> list[Thing]:
        """What is drawn at a site: by kind, and then in the templates' order."""
        found = [self._thing(site, one) for type_ in KINDS for one in self.at(site, type_)]
        secrets = {edge.target for edge in self.copies if edge.how == Copying.SECRET}
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
        return [subnet for mount in architecture.mount_targets_of(one) for subnet in self._within(mount)]

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
                for site in architecture.sites(self.view, one.layer):
                    source, target = architecture.where(key, one.layer, value, site), (site, one.layer, one.id)
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
        return tuple(architecture.copies(self.view))


def _subnet(one: Resource) -> Subnet:
    zone = one.get("AvailabilityZoneId")
    return Subnet(one.layer, one.id, re.sub(r"Subnet[A-Z]?$", "", one.id), next(mentions(zone), str(zone)))


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
