"""All templates of one system as one thing to ask: what a value denotes, across layers, and what holds in every environment.

A rule sees plain data only. Where a value comes from a parameter, the parameter's own constraints decide; a default proves
nothing about another environment. Where it comes from an earlier layer, the wire is followed to the output's value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model import Document, address
from model.resource_types import resource_type
from model.values import VARIABLE, Parts, Unknown, evaluate, mentions, text

TEMPLATE = "Template"
"""The type, and the logical id, under which a rule may ask a whole template, its parameters and outputs included."""

SUFFIX_PARAMETER = "EnvironmentSuffix"
"""The one parameter that every template of a system has, with the same value in all of them."""


@dataclass(frozen=True, eq=False)
class View:
    """The templates of one system by layer, and the regions in which they stand."""

    templates: Mapping[str, Document]

    def resources(self, *types: str) -> Iterator[Resource]:
        """Every resource of these types, or every one, in the order of layers and templates; ``Template`` is a type too."""
        for layer, template in self.templates.items():
            if TEMPLATE in types:
                yield Resource(self, layer, TEMPLATE, TEMPLATE, template)
            for title, body in template.get("Resources", {}).items():
                if not types or body["Type"] in types:
                    yield Resource(self, layer, title, body["Type"], body)

    def resource(self, layer: str, title: str) -> Resource | None:
        """One resource by its address, or None."""
        template = self.templates.get(layer, {})
        if title == TEMPLATE and template:
            return Resource(self, layer, TEMPLATE, TEMPLATE, template)
        body = template.get("Resources", {}).get(title)
        return Resource(self, layer, title, body["Type"], body) if body else None

    def follow(self, layer: str, value: Any) -> Resource | None:
        """The resource that a value of this layer denotes, in whatever layer that stands; None if it denotes none, or several."""
        match value:
            case {"Fn::Select": [_, {"Fn::Split": ["/" | ":", arn]}]}:  # a part of an ARN denotes what the ARN does
                return self.follow(layer, arn)
            case {"Fn::Select": [int() | str() as index, entries]} if str(index).isdigit():
                listed = self.members(layer, entries)
                return listed[int(index)] if int(index) < len(listed) else None
            case {"Fn::Sub": [str(pattern), dict(variables)]} if VARIABLE.findall(pattern) == list(variables):
                return self.follow(layer, next(iter(variables.values()))) if len(variables) == 1 else None
        name = _denoted(value)
        if name is None:
            return None
        found = self.resource(layer, name)
        if found is not None and found.type != TEMPLATE:
            return found
        wire = self._wire(layer, name)
        return self.follow(*wire) if wire else None

    def members(self, layer: str, value: Any) -> tuple[Resource | None, ...]:
        """What each entry of a list denotes, whether the list stands here or arrives joined through an import."""
        match value:
            case list():
                return tuple(member for entry in value for member in self.members(layer, entry))
            case {"Fn::Join": [_, list(entries)]}:
                return self.members(layer, entries)
            case {"Fn::Split": [_, joined]}:
                return self.members(layer, joined)
            case {"Ref": str(name)} if wire := self._wire(layer, name):
                return self.members(*wire)
        return (self.follow(layer, value),)

    def proves(self, layer: str, value: Any, test: Callable[[Any], bool]) -> bool:
        """Whether ``test`` holds for every value that this one can have in any environment.

        ``test`` is asked of literals, of each value that a parameter's AllowedValues or an enumerating AllowedPattern
        (``^(a|b)$``) admits, and of both branches of an ``Fn::If`` (None standing for ``AWS::NoValue``). A parameter
        with nothing but a default proves nothing.
        """
        match value:
            case {"Ref": "AWS::NoValue"}:
                return test(None)
            case {"Ref": str(name)}:
                if wire := self._wire(layer, name):
                    return self.proves(*wire, test)
                allowed = _allowed(self._parameter(layer, name))
                return bool(allowed) and all(test(each) for each in allowed)
            case {"Fn::If": [_, then, otherwise]}:
                return self.proves(layer, then, test) and self.proves(layer, otherwise, test)
            case dict():
                return False
        return test(value)

    def bounded(self, layer: str, value: Any, least: float | None = None, most: float | None = None) -> bool:
        """Whether a number lies within these bounds in every environment; MinValue and MaxValue of a parameter prove it too."""

        def within(number: Any) -> bool:
            try:
                known = float(number)
            except (TypeError, ValueError):
                return False
            return (least is None or known >= least) and (most is None or known <= most)

        match value:
            case {"Ref": str(name)} if not self._wire(layer, name):
                parameter = self._parameter(layer, name)
                from_below = least is None or float(parameter.get("MinValue", "-inf")) >= least
                from_above = most is None or float(parameter.get("MaxValue", "inf")) <= most
                if from_below and from_above:
                    return bool(parameter)
        return self.proves(layer, value, within)

    def text(self, layer: str, value: Any) -> str | None:
        """A value as comparable text: ``rds-${EnvironmentSuffix}`` however it is written, in whatever layer; None if unknown.

        A reference to a resource becomes its name where the template gives one, else ``${layer.LogicalId}``; a
        parameter that is not wired becomes ``${layer.Parameter}``, the n-th part between colons of either ``${layer.Name:n}``;
        pseudo parameters and the suffix stay as they are.
        """
        told = evaluate(value, lambda name: self._variable(layer, name), split=_split)
        return text(told) if isinstance(told, str | int | float) else None

    def texts(self, layer: str, value: Any) -> tuple[str | None, ...]:
        """The texts of a value that may be one or a list of them."""
        return tuple(self.text(layer, entry) for entry in (value if isinstance(value, list) else [value]))

    def _variable(self, layer: str, name: str) -> str | Unknown:
        if name.startswith("AWS::") or name == SUFFIX_PARAMETER:
            return f"${{{name}}}"
        title, _, attribute = name.partition(".")
        found = self.resource(layer, title)
        if found is not None:
            given = found.properties.get(resource_type(found.type).referred_by)
            source = None if given is None or attribute else (layer, given)
        else:
            source = self._wire(layer, title)
        told = self.text(*source) if source else f"${{{layer}.{name}}}"
        return Unknown(f"{layer}.{name} is no text") if told is None else told

    def _parameter(self, layer: str, name: str) -> Document:
        found: Document = self.templates[layer].get("Parameters", {}).get(name, {})
        return found

    def _wire(self, layer: str, parameter: str) -> tuple[str, Any] | None:
        """The exporting layer and the value of the output that feeds an import; None if the parameter is no import of ours."""
        imports = self.templates[layer].get("Metadata", {}).get("Layer", {}).get("Imports", {})
        if parameter not in imports:
            return None
        _, exporter, output = address("", imports[parameter])
        offered = self.templates.get(exporter, {}).get("Outputs", {}).get(output)
        return (exporter, offered["Value"]) if offered else None


@dataclass(frozen=True, eq=False)
class Resource:
    """One resource in sight of all templates of its system."""

    view: View
    layer: str
    id: str
    type: str
    body: Document

    @property
    def properties(self) -> Document:
        """What the template declares; of a whole template nothing."""
        found: Document = self.body.get("Properties", {})
        return found

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The logical ids that ``DependsOn`` names."""
        named = self.body.get("DependsOn", [])
        return (named,) if isinstance(named, str) else tuple(named)

    @property
    def certain(self) -> bool:
        """Whether it exists in every environment; one under a condition is no evidence for another resource."""
        return "Condition" not in self.body

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions in which its layer stands."""
        sites = self.view.templates[self.layer].get("Metadata", {}).get("Layer", {}).get("Sites", {})
        return tuple(sites.values())

    def stands_with(self, other: Resource) -> bool:
        """Whether it is in every region in which the other is: a name is one resource's in its region only."""
        return set(self.regions).issuperset(other.regions)

    def elsewhere(self, other: Resource) -> bool:
        """Whether both have regions, and share none."""
        return bool(self.regions) and bool(other.regions) and not set(self.regions) & set(other.regions)

    def is_(self, other: Resource | None) -> bool:
        """Whether both are the same resource of the same layer."""
        return other is not None and (self.layer, self.id) == (other.layer, other.id)

    def get(self, *path: str) -> Any:
        """The value under a path of property names, or None."""
        value: Any = self.properties
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def follow(self, *path: str) -> Resource | None:
        """The resource that the value under a path denotes."""
        return self.view.follow(self.layer, self.get(*path))

    def members(self, *path: str) -> tuple[Resource | None, ...]:
        """What each entry of the list under a path denotes."""
        value = self.get(*path)
        return () if value is None else self.view.members(self.layer, value)

    def proves(self, test: Callable[[Any], bool], *path: str) -> bool:
        """Whether ``test`` holds for the value under a path in every environment."""
        return self.view.proves(self.layer, self.get(*path), test)

    def true(self, *path: str) -> bool:
        """Whether the value under a path is true in every environment."""
        return self.proves(is_true, *path)

    def bounded(self, *path: str, least: float | None = None, most: float | None = None) -> bool:
        """Whether the number under a path lies within bounds in every environment."""
        return self.view.bounded(self.layer, self.get(*path), least, most)

    def text(self, *path: str) -> str | None:
        """The value under a path as comparable text."""
        return self.view.text(self.layer, self.get(*path))


def is_true(value: Any) -> bool:
    """CloudFormation takes booleans as text too."""
    return value is True or value == "true"


def absent_or_false(value: Any) -> bool:
    """A switch that is off, or not there."""
    return value is None or value is False or value == "false"


def _allowed(parameter: Document) -> list[Any]:
    """Every value that a parameter can have, where its constraints list them."""
    if "AllowedValues" in parameter:
        return list(parameter["AllowedValues"])
    enumerated = re.fullmatch(r"\^\(?((?:[\w /:@-]|\\\.)+(?:\|(?:[\w /:@-]|\\\.)+)*)\)?\$", parameter.get("AllowedPattern", ""))
    return enumerated[1].replace("\\.", ".").split("|") if enumerated else []


def _split(text: str, separator: str) -> list[str] | Parts | Unknown:
    """The parts of a text are told where it holds no variable, or is one."""
    if not VARIABLE.search(text):
        return text.split(separator)
    if VARIABLE.fullmatch(text):
        return Parts(lambda index: f"{text[:-1]}{separator}{index}}}")
    return Unknown(f"{text} has parts that are not known")


def _denoted(value: Any) -> str | None:
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Sub": str()}:
            ours = {name for name in mentions(value) if not name.startswith("AWS::") and name != SUFFIX_PARAMETER}
            return ours.pop() if len(ours) == 1 else None
    return None
