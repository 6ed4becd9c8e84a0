"""Route 53: hosted zones, records, health checks."""

from __future__ import annotations

import uuid
from typing import Any

from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs

HEALTH_CHECK, ZONE = "healthcheck", "hostedzone"
# What says what is checked, and cannot be changed.
FIXED = ("Type", "MeasureLatency", "RequestInterval", "RoutingControlArn")


def _create(aws: Aws, p: Properties) -> str:
    wanted = {"CallerReference": str(uuid.uuid4()), "HealthCheckConfig": p["HealthCheckConfig"]}
    ref = str(aws.send("route53", "create_health_check", wanted)["HealthCheck"]["Id"])
    _retag(aws, ref, {}, p)
    return ref


def _retag(aws: Aws, ref: str, old: Properties, new: Properties, kind: str = HEALTH_CHECK) -> None:
    name = "HealthCheckTags" if kind == HEALTH_CHECK else "HostedZoneTags"
    had, has = pairs(old.get(name)), pairs(new.get(name))
    changes: dict[str, Any] = {
        "AddTags": listed({key: value for key, value in has.items() if had.get(key) != value}) or None,
        "RemoveTagKeys": sorted(had.keys() - has.keys()) or None,
    }
    if any(changes.values()):
        aws.send("route53", "change_tags_for_resource", {"ResourceType": kind, "ResourceId": ref, **changes})


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "HealthCheckConfig"):
        wanted = {name: value for name, value in new["HealthCheckConfig"].items() if name not in FIXED}
        aws.send("route53", "update_health_check", {"HealthCheckId": ref, **wanted})
    _retag(aws, ref, old, new)


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    route53, (ref,) = aws.client("route53"), identifier
    found = route53.get_health_check(HealthCheckId=ref)["HealthCheck"]
    tags = route53.list_tags_for_resource(ResourceType=HEALTH_CHECK, ResourceId=ref)["ResourceTagSet"]["Tags"]
    return {"HealthCheckId": ref, "HealthCheckConfig": found["HealthCheckConfig"], "HealthCheckTags": listed(pairs(tags))}


def _create_zone(aws: Aws, p: Properties) -> str:
    first, *others = p.get("VPCs") or [None]
    comment = {"Comment": p.get("HostedZoneConfig", {}).get("Comment", ""), "PrivateZone": first is not None}
    wanted = {"Name": p["Name"], "CallerReference": str(uuid.uuid4()), "HostedZoneConfig": comment, "VPC": first}
    ref = str(aws.send("route53", "create_hosted_zone", wanted)["HostedZone"]["Id"]).rsplit("/", 1)[-1]
    for vpc in others:
        aws.send("route53", "associate_vpc_with_hosted_zone", {"HostedZoneId": ref, "VPC": vpc})
    _retag(aws, ref, {}, p, ZONE)
    return ref


def _update_zone(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "HostedZoneConfig"):
        comment = new.get("HostedZoneConfig", {}).get("Comment", "")
        aws.client("route53").update_hosted_zone_comment(Id=ref, Comment=comment)
    had, has = old.get("VPCs", []), new.get("VPCs", [])
    for vpc in [one for one in has if one not in had]:
        aws.send("route53", "associate_vpc_with_hosted_zone", {"HostedZoneId": ref, "VPC": vpc})
    for vpc in [one for one in had if one not in has]:
        aws.send("route53", "disassociate_vpc_from_hosted_zone", {"HostedZoneId": ref, "VPC": vpc})
    _retag(aws, ref, old, new, ZONE)


def _read_zone(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    route53, (ref,) = aws.client("route53"), identifier
    found = route53.get_hosted_zone(Id=ref)
    tags = route53.list_tags_for_resource(ResourceType=ZONE, ResourceId=ref)["ResourceTagSet"]["Tags"]
    return {
        "Id": ref,
        "Name": found["HostedZone"]["Name"].rstrip("."),
        "HostedZoneConfig": {"Comment": found["HostedZone"]["Config"].get("Comment", "")},
        "VPCs": found.get("VPCs") or None,
        "NameServers": found.get("DelegationSet", {}).get("NameServers"),
        "HostedZoneTags": listed(pairs(tags)),
    }


# What a record set is, beside its name and where it is.
RECORD = (
    "Name",
    "Type",
    "SetIdentifier",
    "Weight",
    "Region",
    "GeoLocation",
    "Failover",
    "MultiValueAnswer",
    "TTL",
    "HealthCheckId",
)


def _record(p: Properties) -> Properties:
    found = {name: p.get(name) for name in (*RECORD, "AliasTarget", "CidrRoutingConfig", "GeoLocation")}
    values = [{"Value": one} for one in p.get("ResourceRecords", [])]
    return {name: value for name, value in {**found, "ResourceRecords": values or None}.items() if value is not None}


def _zone_of(aws: Aws, p: Properties) -> str:
    if "HostedZoneId" in p:
        return str(p["HostedZoneId"])
    name = f"{p['HostedZoneName'].rstrip('.')}."
    zones = aws.client("route53").list_hosted_zones_by_name(DNSName=name)["HostedZones"]
    return str(next(zone["Id"].rsplit("/", 1)[-1] for zone in zones if zone["Name"] == name))


def _change_record(aws: Aws, action: str, p: Properties) -> None:
    change = {"Action": action, "ResourceRecordSet": _record(p)}
    batch = {"HostedZoneId": _zone_of(aws, p), "ChangeBatch": {"Changes": [change]}}
    aws.send("route53", "change_resource_record_sets", batch)


def _create_record(aws: Aws, p: Properties) -> str:
    _change_record(aws, "CREATE", p)
    return str(p["Name"])


def _update_record(aws: Aws, _ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "Name", "Type", "SetIdentifier"):
        _change_record(aws, "DELETE", old)
    _change_record(aws, "UPSERT", new)


def _delete_record(aws: Aws, _ref: str, p: Properties) -> None:
    """As it is now, which Route 53 wants to hear, whatever it was declared as."""
    route53, zone = aws.client("route53"), _zone_of(aws, p)
    found = _find_record(aws, (p["Name"], zone, p["Type"], p.get("SetIdentifier", "")))
    changes = [{"Action": "DELETE", "ResourceRecordSet": found}]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


def _find_record(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    name, zone, kind, label = identifier
    for one in aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]:
        if (one["Name"].rstrip("."), one["Type"], one.get("SetIdentifier", "")) == (name.rstrip("."), kind, label):
            found: Properties = one
            return found
    raise NotFoundError(name)


def _read_record(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = _find_record(aws, identifier)
    values = [one["Value"] for one in found.get("ResourceRecords", [])]
    place = {"HostedZoneId": identifier[1], "Name": found["Name"].rstrip(".")}
    ttl = str(found["TTL"]) if "TTL" in found else None  # a string in templates
    return {**found, **place, "ResourceRecords": values or None, "TTL": ttl}


def _identify_record(_ref: str, p: Properties) -> tuple[str, ...]:
    return str(p["Name"]), str(p.get("HostedZoneId", "")), str(p["Type"]), str(p.get("SetIdentifier", ""))


RESOURCES = (
    Resource(
        "AWS::Route53::HostedZone",
        _create_zone,
        lambda aws, ref, _: aws.client("route53").delete_hosted_zone(Id=ref),
        _read_zone,
        _update_zone,
    ),
    Resource(
        "AWS::Route53::RecordSet",
        _create_record,
        _delete_record,
        _read_record,
        _update_record,
        identify=_identify_record,
    ),
    Resource(
        "AWS::Route53::HealthCheck",
        _create,
        lambda aws, ref, _: aws.client("route53").delete_health_check(HealthCheckId=ref),
        _read,
        _update,
    ),
)
