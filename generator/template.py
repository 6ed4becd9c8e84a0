"""A CloudFormation template, written section by section in the order in which it will be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import troposphere
from troposphere import AWSObject, Join, Output, Parameter, Ref, Split, Sub

from generator.names import TAILS, Space
from model import Document
from protocol.parameters import path

OWN, IMPORTED = "Parameters of this layer", "Outputs of earlier layers"


class Template:
    """One layer's template while it is being written.

    ``package`` turns the name of a function into the file name of its package; ``system`` is the system's name, ``prefix`` its
    own first word.
    """

    def __init__(self, description: str, *, prefix: str = "", package: Callable[[str], str] = str, system: str = "") -> None:
        self.headings: dict[str, str] = {}
        self.imports: dict[str, str] = {}
        self.packages: list[str] = []
        self._prefix = prefix
        self._package = package
        self._system = system
        self._groups: dict[str, list[str]] = {OWN: [], IMPORTED: []}
        self._template = troposphere.Template(Description=description)
        self._template.set_version("2010-09-09")
        self.parameter(
            "EnvironmentSuffix",
            "Ends every resource name, so that environments never collide.",
            MinLength=2,
            MaxLength=16,
            AllowedPattern="^[a-z0-9]+(-[a-z0-9]+)*$",
            ConstraintDescription="2 to 16 lower-case letters, digits and single hyphens between them",
        )

    def parameter(self, name: str, description: str, type_: str = "String", **limits: object) -> Ref:
        """Declare a value that differs between environments; the parameter file answers it."""
        return self._declare(OWN, Parameter(name, Type=type_, Description=description, **limits))

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
            self._declare(IMPORTED, Parameter(name, Type=type_, Description=f"{output} of the {place}."))
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
        """The template as plain data, its parts in reading order."""
        raw: Document = self._template.to_dict()
        parameters = {name: raw["Parameters"][name] for names in self._groups.values() for name in names}
        document: Document = {
            "AWSTemplateFormatVersion": raw["AWSTemplateFormatVersion"],
            "Description": raw["Description"],
            "Metadata": {
                "AWS::CloudFormation::Interface": {
                    "ParameterGroups": [
                        {"Label": {"default": label}, "Parameters": list(names)} for label, names in self._groups.items() if names
                    ]
                }
            },
            "Parameters": parameters,
        }
        if "Conditions" in raw:
            document["Conditions"] = raw["Conditions"]
        document["Resources"] = {title: _ordered(_plain(body)) for title, body in raw.get("Resources", {}).items()}
        if "Outputs" in raw:
            document["Outputs"] = _plain(raw["Outputs"])
        return document

    def _declare(self, group: str, parameter: Parameter) -> Ref:
        self._template.add_parameter(parameter)
        self._groups[group].append(parameter.title)
        return Ref(parameter)


ATTRIBUTES = ("Type", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata", "Properties")
"""The reading order inside a resource."""


def _ordered(resource: Document) -> Document:
    return {name: resource[name] for name in ATTRIBUTES if name in resource}


def _plain(value: Any) -> Any:
    """Write ``Sub`` of a text without variables as the text, and ``Fn::GetAtt`` as the reader returns it."""
    if isinstance(value, dict):
        if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str) and not re.search(r"\$\{", value["Fn::Sub"]):
            return value["Fn::Sub"]
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
