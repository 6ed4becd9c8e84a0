"""Route 53 health checks."""

from __future__ import annotations

import uuid
from typing import Any

from emulator.resource import Aws, Properties, Resource, changed, listed, pairs

KIND = "healthcheck"
# What says what is checked, and cannot be changed.
FIXED = ("Type", "MeasureLatency", "RequestInterval", "RoutingControlArn")


def _create(aws: Aws, p: Properties) -> str:
    wanted = {"CallerReference": str(uuid.uuid4()), "HealthCheckConfig": p["HealthCheckConfig"]}
    ref = str(aws.send("route53", "create_health_check", wanted)["HealthCheck"]["Id"])
    _retag(aws, ref, {}, p)
    return ref


def _retag(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    had, has = pairs(old.get("HealthCheckTags")), pairs(new.get("HealthCheckTags"))
    changes: dict[str, Any] = {
        "AddTags": listed({key: value for key, value in has.items() if had.get(key) != value}) or None,
        "RemoveTagKeys": sorted(had.keys() - has.keys()) or None,
    }
    if any(changes.values()):
        aws.send("route53", "change_tags_for_resource", {"ResourceType": KIND, "ResourceId": ref, **changes})


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "HealthCheckConfig"):
        wanted = {name: value for name, value in new["HealthCheckConfig"].items() if name not in FIXED}
        aws.send("route53", "update_health_check", {"HealthCheckId": ref, **wanted})
    _retag(aws, ref, old, new)


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    route53, (ref,) = aws.client("route53"), identifier
    found = route53.get_health_check(HealthCheckId=ref)["HealthCheck"]
    tags = route53.list_tags_for_resource(ResourceType=KIND, ResourceId=ref)["ResourceTagSet"]["Tags"]
    return {"HealthCheckId": ref, "HealthCheckConfig": found["HealthCheckConfig"], "HealthCheckTags": listed(pairs(tags))}


RESOURCES = (
    Resource(
        "AWS::Route53::HealthCheck",
        _create,
        lambda aws, ref, _: aws.client("route53").delete_health_check(HealthCheckId=ref),
        _read,
        _update,
    ),
)
