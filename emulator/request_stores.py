"""Which objects, parameters, points, file systems and alarms a request is about, as the service authorization reference says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from emulator import request_resources

Request = tuple[str, str, Mapping[str, Any], str]  # path, action, parameters, start of an ARN of the service

POINT = re.compile(r"/backup-vaults/[^/]+/recovery-points/(arn.+?)(?:/disassociate|/restore-metadata)?$")

SELECTIONS = re.compile(r"/backup/plans/([^/]+)/selections(?:/|$)")


def install() -> None:
    """Around addressed, which knows the others."""
    from ministack.core import iam_actions

    theirs = iam_actions.extract_resource_arn

    def extract(service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str) -> str:
        said = str(theirs(service, method, path, headers, body, query, region, account))
        find = FINDERS.get(service)
        if find is None:
            return said
        action = str(headers.get("x-amz-target", "")).rsplit(".", 1)[-1] or path.rstrip("/").rsplit("/", 1)[-1]
        start = f"arn:aws:{NAMES.get(service, service)}:{region}:{account}:"
        found = find((unquote(path), action, _given(headers, body, query), start))
        if not found:
            return said
        request_resources.further.set(tuple(found[1:]))
        return found[0]

    iam_actions.extract_resource_arn = extract


def _given(headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a request, however it carries them."""
    flat = {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in query.items()}
    kind = headers.get("content-type", "")
    if not body:
        return flat
    if body[:1] == b"{":
        return {**flat, **json.loads(body)}
    if "urlencoded" in kind:
        return {**flat, **{name: value[0] for name, value in parse_qs(body.decode()).items()}}
    return flat


def _files(request: Request) -> list[str]:
    path, _, given, start = request
    named = re.search(r"/file-systems/(.+?)(?:/[a-z-]+)?$", path)
    ref = given.get("FileSystemId") if path.endswith("/replication-configurations") else named and named[1]
    if path.endswith("/replication-configurations") and not ref:
        return ["*"]
    return [f"{start}file-system/{str(ref).rsplit('/', 1)[-1]}"] if ref else []


def _backups(request: Request) -> list[str]:
    path, _, given, start = request
    point = POINT.search(path)
    if point:
        return [point[1]]
    if selected := SELECTIONS.search(path):
        return [f"{start}backup-plan:{selected[1]}"]
    started = path.rstrip("/") in ("/copy-jobs", "/restore-jobs") and given.get("RecoveryPointArn")
    return [str(started)] if started else []


def _parameters(request: Request) -> list[str]:
    _, action, given, start = request
    if "TagsToResource" in action or "TagsFromResource" in action or action == "ListTagsForResource":
        return []  # ministack knows
    names = [given["Path"]] if action == "GetParametersByPath" else given.get("Names") or [given.get("Name")]
    return [_parameter(str(name), start) for name in names if name]


def _parameter(name: str, start: str) -> str:
    """Without the selector of a version or label, and without the slash that a path ends with."""
    if name.startswith("arn:"):
        return name
    return f"{start}parameter/{name.split(':')[0].strip('/')}"


def _trails(request: Request) -> list[str]:
    _, _, given, start = request
    name = given.get("TrailName") or given.get("Name")
    return [name if name.startswith("arn:") else f"{start}trail/{name}"] if isinstance(name, str) else []


def _alarms(request: Request) -> list[str]:
    """Alarms by name; of a question about all of them, all of them. Composite ones are made, and told of, only without a scope:
    where AWS would answer that there are none, we refuse."""
    _, action, given, start = request
    kinds = [value for name, value in given.items() if name.startswith("AlarmTypes")]
    if action == "PutCompositeAlarm" or (action == "DescribeAlarms" and "CompositeAlarm" in str(kinds)):
        return ["*"]
    if action not in ALARMS:
        return []
    names = given.get("AlarmNames") or given.get("AlarmName") or "*"
    numbered = [value for name, value in sorted(given.items()) if name.startswith("AlarmNames.member.")]
    return [f"{start}alarm:{name}" for name in numbered or (names if isinstance(names, list) else [names])]


def _names(request: Request) -> list[str]:
    path = request[0]
    check = re.search(r"/healthcheck/([^/]+)", path)
    change = re.search(r"/change/([^/]+)", path)
    kind, found = ("healthcheck", check) if check else ("change", change)
    return [f"arn:aws:route53:::{kind}/{found[1]}"] if found else []


# What CloudWatch authorizes by alarm; metrics and dashboards are another matter.
ALARMS = (
    "DeleteAlarms",
    "DescribeAlarmHistory",
    "DescribeAlarms",
    "DisableAlarmActions",
    "EnableAlarmActions",
    "PutMetricAlarm",
    "SetAlarmState",
)
NAMES = {"monitoring": "cloudwatch"}
FINDERS: dict[str, Callable[[Request], list[str]]] = {
    "backup": _backups,
    "cloudtrail": _trails,
    "elasticfilesystem": _files,
    "monitoring": _alarms,
    "route53": _names,
    "ssm": _parameters,
}
