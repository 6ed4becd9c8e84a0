"""A CloudFormation template, written section by section in the order in which it will be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import troposphere
from troposphere import AWSHelperFn, AWSObject, Join, Output, Parameter, Ref, Split, Sub

from generator.names import TAILS, Space
from model import Document
from protocol.parameters import path

Place = tuple[str | int, ...]
"""Where a value stands in a document: the names, and the numbers in lists, that lead to it."""


class Group(StrEnum):
    """What a parameter is about: the heading above it, in the YAML as in CloudFormation's console, in this order."""

    ENVIRONMENT = "Environment"
    SIZE = "Size"
    OPERATION = "Operation"
    NETWORK = "Network"
    SHARED = "Keys and topics"
    LAYERS = "Earlier layers"


IMPORTED = {"network": Group.NETWORK, "keys": Group.SHARED, "trail-key": Group.SHARED, "notify": Group.SHARED}
"""The group of an earlier layer's outputs, where it is not just an earlier layer."""


class Explained(AWSHelperFn):  # type: ignore[misc]  # troposphere has no types
    """A value with the reason for it, which a reviewer reads as a comment beside the property."""

    def __init__(self, value: object, why: str) -> None:
        self.data = {"Explained": [value, why]}


class Template:
    """One layer's template while it is being written.

    ``package`` turns the name of a function into the file name of its package; ``system`` is the system's name, ``prefix`` its
    own first word.
    """

    def __init__(self, description: str, *, prefix: str = "", package: Callable[[str], str] = str, system: str = "") -> None:
        self.headings: dict[str, str] = {}
        self.reasons: dict[Place, str] = {}
        self.imports: dict[str, str] = {}
        self.packages: list[str] = []
        self._prefix = prefix
        self._package = package
        self._system = system
        self._groups: dict[Group, list[str]] = {group: [] for group in Group}
        self._template = troposphere.Template(Description=description)
        self._template.set_version("2010-09-09")
        self.parameter(
            "EnvironmentSuffix",
            "Ends every resource name, so that environments never collide.",
            group=Group.ENVIRONMENT,
            MinLength=2,
            MaxLength=16,
            AllowedPattern="^[a-z0-9]+(-[a-z0-9]+)*$",
            ConstraintDescription="2 to 16 lower-case letters, digits and single hyphens between them",
        )

    def parameter(
        self, name: str, description: str, type_: str = "String", *, group: Group = Group.OPERATION, **limits: object
    ) -> Ref:
        """Declare a value that differs between environments; the parameter file answers it."""
        return self._declare(group, Parameter(name, Type=type_, Description=description, **limits))

    def output_of(self, address: str, type_: str = "String", *, name: str = "") -> Ref:
        """Import an output of an earlier layer: ``network.VpcId``, or ``primary:database.InstanceArn`` of a certain site.

        ``name`` is what the parameter is called where the requirements spell it out; otherwise its name is the address.
        """
        site, _, wire = address.rpartition(":")
        layer, output = wire.split(".")
        name = name or "".join(word.capitalize() for word in [site, *layer.split("-")]) + output
        if name not in self.imports:
            self.imports[name] = address
            place = f"{layer} layer" + (f" at the {site} site" if site else "")
            parameter = Parameter(name, Type=type_, Description=f"{output} of the {place}.")
            self._declare(IMPORTED.get(layer, Group.LAYERS), parameter)
        return Ref(name)

    def section(self, heading: str, *resources: AWSObject) -> None:
        """Add resources under a heading that tells the reviewer why they are here."""
        for resource in resources:
            self._template.add_resource(resource)
        self.headings[resources[0].title] = heading

    def condition(self, name: str, holds: object) -> str:
        """Declare a condition. Rare: a template has one shape; only a value that may be absent needs one."""
        self._template.add_condition(name, holds)
        return name

    def output(self, name: str, value: object, description: str) -> None:
        """Offer a value to later layers and to operators; never a secret one."""
        self._template.add_output(Output(name, Description=description, Value=value))

    def name(self, kind: str, space: Space = Space.REGION) -> str:
        """The text of a name, to stand inside a larger ``Sub``: ``rds`` becomes ``rds-${EnvironmentSuffix}``.

        A path before the kind stays in front of the system's first word: ``alias/key`` becomes ``alias/dr-key-…``.
        """
        path, slash, word = kind.rpartition("/")
        return path + slash + self._prefix + word + TAILS[space]

    def named(self, kind: str, space: Space = Space.REGION) -> Sub:
        """The naming convention, in one place."""
        return Sub(self.name(kind, space))

    def exactly(self, kind: str, space: Space = Space.REGION) -> Sub:
        """A name that the requirements spell out, without the system's first word."""
        return Sub(kind + TAILS[space])

    def path(self, rest: str) -> Sub:
        """The name of an SSM parameter: below the system and the environment."""
        return Sub(path(self._system, "${EnvironmentSuffix}") + rest)

    def underscored(self, kind: str) -> Join:
        """The same name for the types of AWS Backup that take no hyphen: underscores stand in their place."""
        return Join("_", Split("-", self.named(kind)))

    def owner(self) -> dict[str, Any]:
        """The tags that say whose a resource is, for the types that the tags of a stack do not reach."""
        return {"System": self._system, "Environment": Ref("EnvironmentSuffix")}

    def package(self, function: str) -> str:
        """The file name of a function's package, a literal: a reviewer reads which code is deployed."""
        key = self._package(function)
        self.packages.append(key)
        return key

    def document(self) -> Document:
        """The template as plain data, its parts in reading order; ``reasons`` holds what was ``Explained`` from then on."""
        raw: Document = self._template.to_dict()
        document: Document = {
            "AWSTemplateFormatVersion": raw["AWSTemplateFormatVersion"],
            "Description": raw["Description"],
            "Parameters": {name: raw["Parameters"][name] for names in self._groups.values() for name in names},
        }
        if "Conditions" in raw:
            document["Conditions"] = raw["Conditions"]
        document["Resources"] = {title: _ordered(body) for title, body in raw.get("Resources", {}).items()}
        if "Outputs" in raw:
            document["Outputs"] = raw["Outputs"]
        groups = [{"Label": {"default": group.value}, "Parameters": names} for group, names in self._groups.items() if names]
        document["Metadata"] = {"AWS::CloudFormation::Interface": {"ParameterGroups": groups}}
        plain: Document = _plain(document, (), self.reasons)
        return plain

    def _declare(self, group: Group, parameter: Parameter) -> Ref:
        self._template.add_parameter(parameter)
        self._groups[group].append(parameter.title)
        return Ref(parameter)


ATTRIBUTES = ("Type", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata", "Properties")
"""The reading order inside a resource."""


def _ordered(resource: Document) -> Document:
    return {name: resource[name] for name in ATTRIBUTES if name in resource}


def _plain(value: Any, place: Place, reasons: dict[Place, str]) -> Any:
    """Write ``Sub`` of a text without variables as the text, and what was ``Explained`` without its reason, which is kept."""
    if isinstance(value, dict):
        if set(value) == {"Explained"}:
            value, reasons[place] = value["Explained"]
            return _plain(value, place, reasons)
        if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str) and not re.search(r"\$\{", value["Fn::Sub"]):
            return value["Fn::Sub"]
        return {key: _plain(item, (*place, key), reasons) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*place, number), reasons) for number, item in enumerate(value)]
    return value
