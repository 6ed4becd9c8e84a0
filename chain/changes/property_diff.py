"""Declared against found: one finding for every declared property path."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from model.values import Unknown, unknown

Spot = tuple[str, ...]
"""A place as a schema names it: property names, and ``*`` for any element of a list."""

ABSENT = object()
SAME, DIFFERS, UNREAD = "same", "differs", "not read"
ADDED = "added"  # the reason of a difference that nothing declared is behind
SECRET = "{{resolve:"  # noqa: S105  the beginning of a dynamic reference, not a secret
KEYS = ("Key", "Sid", "Name", "Id", "PolicyName", "ParameterName", "MetricName", "RuleId")
"""What elements of a list are told apart by, for a sentence that names the right one."""

NOT_RETURNED: Mapping[str, Mapping[str, str]] = {}
"""Properties that a read handler leaves out although the schema does not say so: type -> path -> source."""

STATES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "AWS::EFS::FileSystem": {
        # What may be written over says so by another word while it is (EFS API, FileSystemProtectionDescription).
        "FileSystemProtection.ReplicationOverwriteProtection": {"DISABLED": "REPLICATING"}
    }
}
"""Values that a service answers with, instead of the declared one, as long as that does what it is for: type -> path -> value."""


@dataclass(frozen=True)
class Path:
    """What was found about one declared property path; of what was added, at a path that was declared."""

    path: str
    state: str
    declared: Any = None
    found: Any = None
    reason: str = ""


@dataclass(frozen=True)
class Facts:
    """What ``types.json`` says of a type."""

    identifier: Sequence[str] = ()
    readable: bool = True
    write_only: Sequence[str] = ()
    lower_case: Sequence[str] = ()
    tags: str = "Tags"  # the property that holds its tags
    states: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of STATES


def compare(declared: Mapping[str, Any], found: Mapping[str, Any], facts: Facts, left_out: Mapping[str, str]) -> Iterator[Path]:
    """Compare resolved properties with what was read. Values that AWS adds are no drift, but elements of a declared list are."""
    yield from _any(declared, found, "", (), facts, left_out)


def additions(found: Mapping[str, Any], name: str) -> Iterator[Path]:
    """Elements of a list of which none is declared, where any would be drift."""
    yield from (Path(f"{name}[+]", DIFFERS, None, item, ADDED) for item in found.get(name, ()))


def unread(declared: Mapping[str, Any], reason: str) -> Iterator[Path]:
    """Every declared path of a resource that could not be read."""
    for path in _any(declared, declared, "", (), Facts(), {}):
        yield Path(path.path, UNREAD, reason=reason)


def _any(declared: Any, found: Any, path: str, spot: Spot, facts: Facts, left_out: Mapping[str, str]) -> Iterator[Path]:
    if (isinstance(declared, list | Unknown) or _is_document(declared)) and (part := unknown(declared)):
        yield Path(path, UNREAD, reason=part.why)
    elif isinstance(declared, str) and SECRET in declared:
        yield Path(path, UNREAD, reason="a secret value, given by a dynamic reference")
    elif any(_covers(pattern, spot) for pattern in facts.write_only):
        yield Path(path, UNREAD, reason="write-only by its schema")
    elif _is_document(declared) or _is_document(found):
        yield _document(declared, found, path)
    elif isinstance(declared, dict) and (declared or not spot):
        for name, value in declared.items():
            inner = found.get(name, ABSENT) if isinstance(found, dict) else ABSENT
            yield from _any(value, inner, f"{path}.{name}".lstrip("."), (*spot, name), facts, left_out)
    elif isinstance(declared, list) and any(isinstance(item, dict) for item in declared):
        yield from _objects(declared, found if isinstance(found, list) else [], path, (*spot, "*"), facts, left_out)
    elif found is ABSENT and declared not in ("", [], {}) and path in left_out:
        yield Path(path, UNREAD, reason=f"not returned ({left_out[path]})")
    else:
        lower = any(_covers(pattern, spot) for pattern in facts.lower_case)
        same = _equal(declared, found, lower) or facts.states.get(path, {}).get(str(declared)) == found
        yield Path(path, SAME if same else DIFFERS, declared, None if found is ABSENT else found)


def _covers(pattern: str, spot: Spot) -> bool:
    """Whether a schema's path (``Rules.*.Prefix``) is this place or above it."""
    wanted = pattern.split(".")
    return len(spot) >= len(wanted) and all(want in ("*", have) for want, have in zip(wanted, spot, strict=False))


def _objects(
    declared: list[Any], found: list[Any], path: str, spot: Spot, facts: Facts, left_out: Mapping[str, str]
) -> Iterator[Path]:
    """Lists of objects, in any order: each declared one takes the one that equals it, or else the one of the same name."""
    rest = list(found)
    matched: dict[int, list[Path]] = {}
    for index, item in enumerate(declared):
        for candidate in rest:
            paths = list(_any(item, candidate, f"{path}[{_name(item, index)}]", spot, facts, left_out))
            if all(each.state != DIFFERS for each in paths):
                matched[index] = paths
                rest.remove(candidate)
                break
    for index, item in enumerate(declared):
        if index not in matched:
            name = _name(item, index)
            candidate = next((other for other in rest if _name(other, index) == name), ABSENT)
            if candidate is not ABSENT:
                rest.remove(candidate)
            matched[index] = list(_any(item, candidate, f"{path}[{name}]", spot, facts, left_out))
    for index in sorted(matched):
        yield from matched[index]
    if path != facts.tags:  # stacks and AWS add tags of their own
        for item in rest:
            yield Path(f"{path}[+]", DIFFERS, None, item, ADDED)


def _name(item: Any, index: int) -> str:
    if isinstance(item, dict):
        for key in KEYS:
            if isinstance(item.get(key), str):
                return str(item[key])
    return str(index)


def _is_document(value: Any) -> bool:
    """Whether a value is a policy, or a JSON document in a text."""
    if isinstance(value, dict):
        return "Statement" in value
    return isinstance(value, str) and value.lstrip()[:1] == "{" and isinstance(_parsed(value), dict)


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        return value


def _document(declared: Any, found: Any, path: str) -> Path:
    left, right = _canonical(_parsed(declared)), _canonical(None if found is ABSENT else _parsed(found))
    if isinstance(left, dict) and isinstance(right, dict) and "Statement" in left and "Id" not in left:
        right = {name: value for name, value in right.items() if name != "Id"}  # some services give a policy one
    if left == right:
        return Path(path, SAME, declared, found)
    wrong = ""
    if isinstance(left, dict) and isinstance(right, dict) and "Statement" in left:
        one, other = (_statements(document) for document in (left, right))
        names = sorted(sid for sid in one.keys() | other.keys() if one.get(sid) != other.get(sid))
        wrong = f"statement {', '.join(names)}" if names else ""
    return Path(path, DIFFERS, declared, None if found is ABSENT else found, wrong)


def _statements(document: Mapping[str, Any]) -> dict[str, Any]:
    listed = document.get("Statement", [])
    return {str(item.get("Sid", f"number {index + 1}")): item for index, item in enumerate(listed) if isinstance(item, dict)}


SETS = ("Action", "NotAction", "Resource", "NotResource")


def _canonical(value: Any, key: str = "", inside: str = "") -> Any:
    """A document in one form: what a policy reads as sets sorted and always lists, an account id as its root's ARN."""
    if isinstance(value, dict):
        if key in ("Principal", "NotPrincipal"):
            return {kind: _canonical(item, kind, "Principal") for kind, item in value.items()}
        inside = "Condition" if key == "Condition" else inside
        canonical = {name: _canonical(item, name, inside) for name, item in value.items()}
        if "Statement" in canonical and isinstance(canonical["Statement"], dict):
            canonical["Statement"] = [canonical["Statement"]]
        return canonical
    if key in ("Principal", "NotPrincipal") and value == "*":
        return {"AWS": ["*"]}
    if key in SETS or inside in ("Principal", "Condition"):
        items = value if isinstance(value, list) else [value]
        return sorted(_root(_scalar(item)) if inside == "Principal" else _scalar(item) for item in items)
    if isinstance(value, list):
        return [_canonical(item, "", inside) for item in value]
    return _scalar(value)


def _root(principal: str) -> str:
    parts = principal.split(":")
    return parts[4] if len(parts) == 6 and parts[2] == "iam" and parts[5] == "root" else principal


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _equal(declared: Any, found: Any, lower: bool) -> bool:
    if found is ABSENT or found is None:
        return declared in ("", [], {})
    if isinstance(declared, list) or isinstance(found, list):
        wanted, there = (_list(value) for value in (declared, found))
        return len(wanted) == len(there) and all(any(_equal(one, other, lower) for other in there) for one in wanted)
    if isinstance(declared, dict) or isinstance(found, dict):
        return bool(declared == found) or (declared == {} and isinstance(found, dict))
    left, right = _scalar(declared), _scalar(found)
    if lower:
        left, right = left.lower(), right.lower()
    return left == right or _number(left) == _number(right) != left or _same_arn(left, right) or _same_arn(right, left)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | dict) else [value]


def _number(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _same_arn(arn: str, name: str) -> bool:
    """Whether a service answered with the name or id where its ARN was declared, or the other way round."""
    if not arn.startswith("arn:") or name.startswith("arn:") or not name:
        return False
    resource = arn.split(":", 5)[-1].removesuffix(":*")
    return resource == name or resource.endswith((f"/{name}", f":{name}"))
