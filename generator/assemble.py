"""From a system to its layers' documents, and everything that is wrong with them in one error.

Errors name the system and the layer and list what exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from generator import aws_refusals, names
from generator.layer import purpose
from generator.template import Place, Template
from model import Document, Layer, System, address
from model.architecture import Stack, fed_by
from model.resource_types import resource_type

LARGEST_TEMPLATE = 51_200
"""Bytes that CreateChangeSet takes in a request body (CloudFormation quotas)."""


class BuildError(Exception):
    """What is wrong with the declared systems, one sentence a line."""


@dataclass(frozen=True)
class Built:
    """One layer as plain data, with what only the reader of the YAML needs."""

    layer: Layer
    source: str  # the module that writes it
    document: Document
    headings: Mapping[str, str]
    reasons: Mapping[Place, str]

    @property
    def imports(self) -> Mapping[str, str]:
        imports: Mapping[str, str] = self.document["Metadata"]["Layer"]["Imports"]
        return imports


def assemble(system: System, package: Callable[[str], str]) -> dict[str, Built]:
    """Every layer of ``system``, by name; ``package`` gives the file name of a function's package."""
    return {layer.name: _build(system, layer, package) for layer in system.layers}


def inspect(systems: Mapping[str, Mapping[str, Built]], declared: Iterable[System]) -> list[str]:
    """What is wrong over all systems and sites together; nothing when all is well."""
    by_name = {system.name: system for system in declared}
    problems = []
    for name, built in systems.items():
        problems += _wires(by_name[name], built)
        problems += _policies(name, built)
        problems += aws_refusals.refused(name, {layer: one.document for layer, one in built.items()})
    problems += names.check(named for name, built in systems.items() for named in _named(by_name[name], built))
    return problems


def too_large(path: str, text: str) -> list[str]:
    """Whether a rendered template is larger than a request may be."""
    size = len(text.encode())
    if size <= LARGEST_TEMPLATE:
        return []
    return [f"{path}: the template has {size:,} bytes, {LARGEST_TEMPLATE:,} are allowed; divide the layer"]


def documents(built: Mapping[str, Built]) -> dict[str, Document]:
    """The plain data of every layer."""
    return {name: one.document for name, one in built.items()}


def order(built: Mapping[str, Built]) -> list[Stack]:
    """The stacks of a system (site, layer), each after those that feed it, ties in the order of declaration."""
    graph = fed_by(documents(built))
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    done: list[Stack] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=list(graph).index)
        done += ready
        sorter.done(*ready)
    return done


def _build(system: System, layer: Layer, package: Callable[[str], str]) -> Built:
    t = Template(f"{system.title}, {layer.name}: {purpose(layer)}", prefix=system.prefix, package=package, system=system.name)
    layer.define(t)
    document = t.document()
    document["Metadata"]["Layer"] = {
        "System": system.name,
        "Name": layer.name,
        "Sites": {site: system.regions[site] for site in layer.sites},
        "Imports": dict(t.imports),
        "Packages": list(t.packages),
        "Optional": layer.optional,
    }
    return Built(layer, type(layer).__module__.replace(".", "/") + ".py", document, dict(t.headings), dict(t.reasons))


def _wires(system: System, built: Mapping[str, Built]) -> list[str]:
    offered = {
        (site, layer.name, output)
        for layer in system.layers
        for site in layer.sites
        for output in built[layer.name].document.get("Outputs", {})
    }
    problems = []
    for layer in system.layers:
        for site in layer.sites:
            for wire in built[layer.name].imports.values():
                target = address(site, wire)
                if target not in offered:
                    there = sorted(f"{other}.{output}" for place, other, output in offered if place == target[0])
                    problems.append(
                        f"{system.name}/{layer.name}: {wire} is no output at the {target[0]} site; "
                        f"there are {', '.join(there) or 'none'}"
                    )
    if not problems:
        try:
            TopologicalSorter(fed_by(documents(built))).prepare()
        except CycleError as circle:
            path = " -> ".join(f"{site}:{layer}" for site, layer in circle.args[1])
            problems.append(f"{system.name}: the layers feed each other in a circle: {path}")
    return problems


def _policies(system: str, built: Mapping[str, Built]) -> list[str]:
    problems = []
    for name, one in built.items():
        for title, resource in one.document["Resources"].items():
            stated = [resource.get(policy) for policy in ("DeletionPolicy", "UpdateReplacePolicy")]
            if "Retain" in stated or "RetainExceptOnCreate" in stated:
                problems.append(
                    f"{system}/{name}.{title}: Retain leaves a resource behind; everything must be destroyable (A-03)"
                )
            if resource_type(resource["Type"]).stateful and None in stated:
                problems.append(
                    f"{system}/{name}.{title}: a {resource['Type']} must state DeletionPolicy and UpdateReplacePolicy"
                )
    return problems


def _named(system: System, built: Mapping[str, Built]) -> Iterator[names.Named]:
    for one in built.values():
        for site, region in one.document["Metadata"]["Layer"]["Sites"].items():
            for title, resource in one.document["Resources"].items():
                property_ = resource_type(resource["Type"]).named_by
                if not property_:
                    continue
                name = names.name_of(resource["Properties"].get(property_), region)
                where = f"{system.name}/{one.layer.name}.{title} at the {site} site"
                yield names.Named(where, resource["Type"], region, name or "")
