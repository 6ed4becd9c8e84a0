"""What differs between the template that a stack was last given and the committed one, property by property."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chain.changes.property_diff import KEYS
from chain.environment.parameters import is_list
from model import Document
from model.values import Unknown, evaluate, is_function, rest

HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Later:
    """Stands for a value that is known only after another stack has been applied."""

    address: str

    def __str__(self) -> str:
        return f"(known after apply: {self.address})"


@dataclass(frozen=True)
class Property:
    """One property that changes; what is not there is None."""

    path: str
    before: Any
    after: Any
    replaces: bool = False  # whether the type takes it only at creation

    @property
    def is_later(self) -> bool:
        """Whether the new value is not known yet."""
        return bool(later_in(self.after))


@dataclass(frozen=True)
class Difference:
    """What happens to one resource; ``before`` and ``after`` are its declarations with parameters filled in."""

    resource: str
    type: str
    action: str  # Add, Modify or Remove
    properties: tuple[Property, ...] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

    @property
    def replacement(self) -> str:
        """True, False or Conditional, as CloudFormation says it of a change."""
        certain = [each for each in self.properties if each.replaces]
        if any(not each.is_later for each in certain):
            return "True"
        return "Conditional" if certain else "False"


def differences(
    old: Document, was: Mapping[str, str], new: Document, answers: Mapping[str, str | Later]
) -> tuple[Difference, ...]:
    """Compare two templates, each with its parameters' values."""
    before, after = _filled(old, was), _filled(new, answers)
    found = []
    for name in dict.fromkeys([*after, *before]):
        left, right = before.get(name), after.get(name)
        type_ = (right or left or {})["Type"]
        if left is None or right is None:
            found.append(Difference(name, type_, "Add" if left is None else "Remove", (), left, right))
        elif left["Type"] != right["Type"]:
            found += [Difference(name, left["Type"], "Remove", (), left, None), Difference(name, type_, "Add", (), None, right)]
        elif left != right:
            created = created_with(type_)
            properties = tuple(
                Property(path, one, other, _within(path, created))
                for path, one, other in _leaves(_judged(left), _judged(right), "")
            )
            found.append(Difference(name, type_, "Modify", properties, left, right))
    return tuple(found)


@cache
def _types() -> Mapping[str, Any]:
    types: Mapping[str, Any] = json.loads((Path(__file__).parents[1] / "types.json").read_bytes())
    return types


def created_with(type_: str) -> frozenset[str]:
    """The properties that a type takes only when it is made: to change one is to replace the resource."""
    return frozenset(_types().get(type_, {}).get("createOnly", ()))


def may_replace(type_: str) -> frozenset[str] | None:
    """The properties of which a change replaces the resource at times; None for a type that nobody knows."""
    return frozenset(_types()[type_].get("createOnlyAtTimes", ())) if type_ in _types() else None


def text(value: Any) -> str:
    """A value for a line of a plan."""
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else str(value) if isinstance(value, Later) else json.dumps(value, default=str)


def _judged(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The properties, and the attributes of a resource that matter beside them."""
    aside = ("Type", "Properties", "Metadata", "DependsOn")
    return {**resource.get("Properties", {}), **{name: value for name, value in resource.items() if name not in aside}}


def _within(path: str, places: frozenset[str]) -> bool:
    """Whether a path is one of these places or below it."""
    plain = re.sub(r"\[[^]]*\]", ".*", path)
    return any(plain == place or plain.startswith(f"{place}.") for place in places)


def _filled(document: Document, answers: Mapping[str, str | Later]) -> Mapping[str, Mapping[str, Any]]:
    """The resources with parameters filled in; what refers to resources stays as it is written."""
    declared = document.get("Parameters", {})

    def told(name: str) -> Any:
        value, parameter = answers.get(name), declared.get(name, {})
        if isinstance(value, Later):
            return Unknown(str(value), value)
        if value is None or parameter.get("NoEcho"):
            return Unknown(HIDDEN, None if value is None else HIDDEN)
        return value.split(",") if is_list(parameter.get("Type", "String")) else value

    found: Mapping[str, Mapping[str, Any]] = _left(evaluate(document.get("Resources", {}), told, document))
    return found


def _left(value: Any) -> Any:
    """What is left of a value; a text in which something is known only later is known only then."""
    match value:
        case dict():
            return {name: _left(each) for name, each in value.items()}
        case list():
            return [_left(each) for each in value]
        case Unknown(rest={"Fn::Sub": _}) if later := later_in(value.rest):
            return later[0]
    return rest(value)


def later_in(value: Any) -> list[Later]:
    """What of a value is known only later."""
    if isinstance(value, Later):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for item in items for each in later_in(item)]


def _leaves(left: Any, right: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Every place where two values differ, as deep as names lead."""
    if left == right:
        return
    one, other = _named(left), _named(right)
    if one is None or other is None:
        yield path, left, right
        return
    for name in dict.fromkeys([*one, *other]):
        step = f"{path}[{name}]" if isinstance(left, list) else f"{path}.{name}".lstrip(".")
        yield from _leaves(one.get(name), other.get(name), step)


def _named(value: Any) -> dict[str, Any] | None:
    """The parts of a mapping, or of a list whose elements bear names."""
    if isinstance(value, dict):
        return None if is_function(value) else value
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None
    for key in KEYS:
        names = [item.get(key) for item in value]
        if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return dict(zip(map(str, names), value, strict=True))
    return None
