"""What a change opens: permissions and network rules that nobody had before.

A permission or rule is new if no single one of before covers it: the same caller, under the same conditions, with an action,
resource, port and address that lie within.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from chain.changes.template_diff import Difference
from model.values import mentions

GROUP = "AWS::EC2::SecurityGroup"
RULES = {"AWS::EC2::SecurityGroupIngress": "from", "AWS::EC2::SecurityGroupEgress": "to"}
GRANTS = {
    "AWS::IAM::Policy",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::RolePolicy",
    "AWS::IAM::UserPolicy",
    "AWS::IAM::GroupPolicy",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SecretsManager::ResourcePolicy",
}
"""Types that give something to what stands already."""

DOCUMENTS = {
    "AssumeRolePolicyDocument",
    "FileSystemPolicy",
    "KeyPolicy",
    "AccessPolicy",
    "PolicyDocument",
    "ResourcePolicy",
    "PermissionsBoundary",
}
PEERS = (
    "CidrIp",
    "CidrIpv6",
    "SourceSecurityGroupId",
    "DestinationSecurityGroupId",
    "SourcePrefixListId",
    "DestinationPrefixListId",
)
Permission = tuple[str, str, str, str, str]  # effect, action, resource, principal, condition


def opened(each: Difference, fresh: Collection[str]) -> Iterator[str]:
    """What one difference opens; ``fresh`` are resources that are made by the same change, so that nobody relies on them."""
    before, after = _properties(each.before), _properties(each.after)
    if each.type == GROUP and each.action == "Modify":
        for name, way in (("SecurityGroupIngress", "from"), ("SecurityGroupEgress", "to")):
            old = before.get(name, []) if name in before or way == "from" else [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]
            new = after.get(name, []) if name in after or way == "from" else [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]
            yield from _rules(old, new, way)
    elif each.type in RULES and each.action != "Remove" and not _named(after.get("GroupId"), fresh):
        yield from _rules([before] if before else [], [after], RULES[each.type])
    elif each.action == "Modify" or each.type in GRANTS:
        yield from _permissions(each, before, after, fresh)


def _permissions(each: Difference, before: Mapping[str, Any], after: Mapping[str, Any], fresh: Collection[str]) -> Iterator[str]:
    subject = next((after[name] for name in ("Roles", "Bucket", "SecretId", "Topics", "FunctionName") if name in after), None)
    if each.action == "Add" and _named(subject, fresh):
        return
    if each.type == "AWS::Lambda::Permission":
        if each.action != "Remove" and before != after:
            yield f"would let {_short(after.get('Principal'))} call {_short(after.get('FunctionName'))}"
        return
    old, new = set(_granted(before)), set(_granted(after))
    for one in sorted(new - old):
        if one[0] == "Allow" and not any(_covers(other, one) for other in old if other[0] == "Allow"):
            yield f"would widen access: Allow {one[1]} on {_short(one[2])}{_to(one)}"
    if each.action == "Add":
        return
    for one in sorted(old - new):
        if one[0] == "Deny" and not any(_covers(other, one) for other in new if other[0] == "Deny"):
            yield f"would widen access: no longer Deny {one[1]} on {_short(one[2])}{_to(one)}"
    for arn in after.get("ManagedPolicyArns", ()):
        if arn not in before.get("ManagedPolicyArns", ()):
            yield f"would widen access: the policy {_short(arn)} is added"
    if "PermissionsBoundary" in before and before["PermissionsBoundary"] != after.get("PermissionsBoundary"):
        yield "would widen access: its permissions boundary changes"
    if each.type == "AWS::EC2::VPCEndpoint" and "PolicyDocument" in before and "PolicyDocument" not in after:
        yield "would widen access: an endpoint without a policy lets everything through"


def _granted(value: Any, name: str = "") -> Iterator[Permission]:
    """Every permission that policy documents anywhere in a resource give or take."""
    if isinstance(value, str) and name in DOCUMENTS and value.lstrip().startswith("{"):
        value = json.loads(value)
    if isinstance(value, list):
        for item in value:
            yield from _granted(item, name)
    elif isinstance(value, dict) and "Statement" in value:
        statements = value["Statement"]
        for one in statements if isinstance(statements, list) else [statements]:
            yield from _statement(one)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _granted(item, key)


def _statement(one: Mapping[str, Any]) -> Iterator[Permission]:
    condition = _key(one.get("Condition", {}))
    for action in _parts(one, "Action"):
        for resource in _parts(one, "Resource"):
            for principal in _parts(one, "Principal"):
                yield one.get("Effect", "Allow"), action, resource, principal, condition


def _parts(one: Mapping[str, Any], name: str) -> list[str]:
    if f"Not{name}" in one:
        return [f"everything but {_key(one[f'Not{name}'])}"]
    value = one.get(name, "")
    if name == "Principal" and isinstance(value, dict):
        return [
            f"{kind} {_text(item)}" for kind, items in value.items() for item in (items if isinstance(items, list) else [items])
        ]
    return [_text(item) for item in (value if isinstance(value, list) else [value])]


def _covers(old: Permission, new: Permission) -> bool:
    """Whether one permission lies within another."""
    return (
        _within(old[1].lower(), new[1].lower())
        and _within(old[2], new[2])
        and (old[3] == new[3] or old[3] in ("*", "AWS *"))
        and old[4] in (new[4], "{}")
    )


def _within(wide: str, narrow: str) -> bool:
    return wide == narrow or fnmatchcase(narrow, wide.replace("[", "[[]"))


def _rules(old: Any, new: Any, way: str) -> Iterator[str]:
    for rule in new if isinstance(new, list) else [new]:
        if not any(_reaches(other, rule) for other in (old if isinstance(old, list) else [old])):
            ports = f"{rule.get('FromPort', 'any')}-{rule.get('ToPort', 'any')}"
            yield f"would widen the network: {rule.get('IpProtocol', 'any')} {ports} {way} {_short(_peer(rule)[1])}"


def _reaches(wide: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    anything = str(wide.get("IpProtocol")) == "-1"
    if not anything and wide.get("IpProtocol") != rule.get("IpProtocol"):
        return False
    if not anything and not (
        _port(wide, "FromPort", 0) <= _port(rule, "FromPort", 0) and _port(rule, "ToPort", 65535) <= _port(wide, "ToPort", 65535)
    ):
        return False
    (kind, one), (other_kind, other) = _peer(wide), _peer(rule)
    return kind == other_kind and (one == other or _is_subnet(other, one))


def _port(rule: Mapping[str, Any], name: str, absent: int) -> int:
    value = str(rule.get(name, absent))
    return int(value) if value.lstrip("-").isdigit() else absent


def _peer(rule: Mapping[str, Any]) -> tuple[str, Any]:
    return next(((name, rule[name]) for name in PEERS if name in rule), ("", None))


def _is_subnet(inner: Any, outer: Any) -> bool:
    try:
        one, other = ipaddress.ip_network(inner), ipaddress.ip_network(outer)
    except (TypeError, ValueError):
        return False
    return isinstance(one, type(other)) and one.subnet_of(other)  # type: ignore[arg-type]


def _properties(resource: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (resource or {}).get("Properties", {})
    return found


def _named(value: Any, fresh: Collection[str]) -> bool:
    """Whether a value refers to a resource that the same change makes."""
    return any(name in fresh for name in mentions(value))


def _to(one: Permission) -> str:
    return f" to {_short(one[3])}" if one[3] else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _key(value)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _short(value: Any) -> str:
    said = _text(value)
    return said if len(said) <= 100 else f"{said[:100]}..."
