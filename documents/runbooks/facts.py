"""What a runbook must know of a system, read from its built documents: names, stacks, outputs, and what is there at all.

A name is shell text: ``rds-$ENV``. What AWS gives (an id, an ARN) is asked of the stack: ``$(output network VpcId)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from generator.assemble import Built
from model import PRIMARY, Document, Site, System, address
from model.resource_types import resource_type
from model.values import Parts, evaluate, mentions, text

PSEUDO = {
    "EnvironmentSuffix": "$ENV",
    "AWS::Region": "$AWS_DEFAULT_REGION",
    "AWS::AccountId": "$ACCOUNT",
    "AWS::Partition": "aws",
}


@dataclass(frozen=True)
class Resource:
    """One resource and the layer that declares it."""

    layer: str
    title: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """One site of a system, as its documents have it."""

    system: System
    documents: Mapping[str, Document]
    sources: Mapping[str, str]  # layer -> the module that writes it
    site: Site = PRIMARY

    @classmethod
    def of(cls, system: System, built: Mapping[str, Built], site: Site = PRIMARY) -> Facts:
        """From what ``assemble`` returns, in the order of declaration."""
        here = {name: one for name, one in built.items() if site in one.layer.sites}
        documents = {name: one.document for name, one in here.items()}
        return cls(system, documents, {name: one.source for name, one in here.items()}, site)

    @property
    def region(self) -> str:
        """Where the site is."""
        return self.system.regions[self.site]

    @property
    def page(self) -> str:
        """What the site's page is called: a system's own name at its primary site."""
        return self.system.name if self.site == PRIMARY else f"{self.system.name}-{self.site}"

    def all(self, *types: str) -> list[Resource]:
        """Every resource of these types, in the order of the documents."""
        return [one for one in self._resources() if one.type in types]

    @property
    def types(self) -> frozenset[str]:
        """Of what kinds its resources are."""
        return frozenset(one.type for one in self._resources())

    def _resources(self) -> Iterator[Resource]:
        for layer, document in self.documents.items():
            for title, body in document["Resources"].items():
                yield Resource(layer, title, body["Type"], body.get("Properties", {}))

    def stack(self, layer: str) -> str:
        """A layer's stack."""
        return f"{self.system.name}-{layer}-$ENV"

    def name(self, one: Resource) -> str:
        """The physical name of a resource whose type is in the table of names."""
        return self.text(one.layer, one.properties[resource_type(one.type).named_by])

    def text(self, layer: str, value: Any) -> str:
        """A property's value as shell text."""
        told = evaluate(value, lambda name: self._shell(layer, name), split=_cut)
        if not isinstance(told, str | int | float):
            raise LookupError(f"{self.system.name}: {layer} has {value}, which no shell can say; a runbook needs it")
        return text(told)

    def texts(self, layer: str, value: Any) -> list[str]:
        """A list property's values as shell text."""
        return [self.text(layer, one) for one in (value if isinstance(value, list) else [value])]

    def _shell(self, layer: str, name: str) -> str:
        title, _, attribute = name.partition(".")
        return self._attribute(layer, title, attribute) if attribute else self._ref(layer, name)

    def _ref(self, layer: str, name: str) -> str:
        if name in PSEUDO:
            return PSEUDO[name]
        document = self.documents[layer]
        imports = document["Metadata"]["Layer"]["Imports"]
        if name in imports:
            place, source, output = address(self.site, imports[name])
            if place != self.site:
                return f"$(AWS_DEFAULT_REGION={self.system.regions[place]} output {source} {output})"
            value = self.documents[source]["Outputs"][output]["Value"]
            named = isinstance(value, Mapping) and "Ref" in value and self._named(source, value["Ref"])
            return self.text(source, value) if named else f"$(output {source} {output})"
        if name in document["Resources"] and not self._named(layer, name):
            return self._physical(layer, name)
        if self._named(layer, name):
            body = document["Resources"][name]
            return self.text(layer, body["Properties"][resource_type(body["Type"]).named_by])
        return f"$(parameter {layer} {name})"

    def _physical(self, layer: str, name: str) -> str:
        """What AWS calls a resource that we do not name: an output, or else the stack's own answer."""
        for output, body in self.documents[layer].get("Outputs", {}).items():
            if body["Value"] == {"Ref": name}:
                return f"$(output {layer} {output})"
        stack = f"aws cloudformation describe-stack-resource --stack-name {self.stack(layer)} --logical-resource-id {name}"
        return f"$({stack} --query StackResourceDetail.PhysicalResourceId --output text)"

    def _named(self, layer: str, name: str) -> bool:
        """Whether ``Ref`` of this resource gives the name that we chose for it."""
        body = self.documents[layer]["Resources"].get(name, {})
        return bool(resource_type(body.get("Type", "")).referred_by)

    def _attribute(self, layer: str, title: str, attribute: str) -> str:
        """An attribute is an output; or else an ARN of a role, or an id, which its stack knows."""
        for output, body in self.documents[layer].get("Outputs", {}).items():
            if body["Value"] == {"Fn::GetAtt": [title, attribute]}:
                return f"$(output {layer} {output})"
        body = self.documents[layer]["Resources"][title]
        if body["Type"] != "AWS::IAM::Role":
            return self._physical(layer, title)
        name = self.text(layer, body["Properties"][resource_type(body["Type"]).named_by])
        return f"$(aws iam get-role --role-name {name} --query Role.Arn --output text)"

    def output(self, type_: str, like: str = "") -> str:
        """The command that prints the first output which refers to a resource of ``type_``, whose name ends in ``like``."""
        for layer, document in self.documents.items():
            for name, body in document.get("Outputs", {}).items():
                types = {document["Resources"].get(title, {}).get("Type") for title in mentions(body["Value"])}
                if types == {type_} and name.endswith(like):
                    return f"$(output {layer} {name})"
        raise LookupError(f"{self.system.name}: no output refers to a {type_} ({like or 'any'}); its runbook needs one")


def _cut(whole: str, separator: str) -> Parts:
    """Parts of an ARN or items of a list: ``cut`` counts from one.

    Without quotes, which would be escaped where the whole stands in some.
    """
    return Parts(lambda index: f"$(cut -d{separator} -f{index + 1} <<< {whole})")
