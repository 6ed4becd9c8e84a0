"""Where in a rendered template a property stands: the line that a reviewer opens."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from model.system import System
from model.view import TEMPLATE


def root_of(text: str) -> yaml.MappingNode:
    """The parsed nodes of a template, each with its line."""
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    if not isinstance(node, yaml.MappingNode):
        raise ValueError("the template holds no mapping; build it again")
    return node


def line(root: yaml.MappingNode, title: str, path: str) -> int:
    """The line of a property below a resource's Properties, or of the deepest part of its path that is written there.

    A path that is none of the Properties is looked for beside them (``DeletionPolicy``), and of a whole template from the top.
    """
    if title == TEMPLATE:
        return _deepest(root, path) or 1
    resource = _entry(_entry(root, "Resources"), title)
    if resource is None:
        raise KeyError(f"the template has no resource {title}")
    properties = _entry(resource[1], "Properties") if isinstance(resource[1], yaml.MappingNode) else None
    return _deepest(properties and properties[1], path) or _deepest(resource[1], path) or int(resource[0].start_mark.line) + 1


def place(system: System, layer: str, title: str, path: str) -> str:
    """A link from a document in ``docs/`` to a template, without the line: its number changes with every line above it."""
    return f"[{'.'.join(filter(None, (layer, title, path)))}](../templates/{system.name}/{layer}.yaml)"


class Lines:
    """The lines of templates; each template is parsed once, when the first line of it is asked for."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._roots: dict[str, yaml.MappingNode] = {}

    def at(self, system: System, layer: str, title: str, path: str) -> tuple[str, int]:
        """The template's path and the line of a property in it, or of the nearest thing above it that is written."""
        name = f"templates/{system.name}/{layer}.yaml"
        if name not in self._roots:
            self._roots[name] = root_of(self._texts[name])
        return name, line(self._roots[name], title, path)


Entry = tuple[yaml.Node, yaml.Node]


def _entry(within: Entry | yaml.Node | None, name: str) -> Entry | None:
    node = within[1] if isinstance(within, tuple) else within
    if not isinstance(node, yaml.MappingNode):
        return None
    return next(((key, value) for key, value in node.value if key.value == name), None)


def _deepest(node: yaml.Node | None, path: str) -> int | None:
    """The line of the longest part of a path that is there; a name may hold dots itself (``rds.force_ssl``)."""
    names = path.split(".")
    for count in range(len(names), 0, -1):
        found = _entry(node, ".".join(names[:count]))
        if found is not None:
            return _deepest(found[1], ".".join(names[count:])) or int(found[0].start_mark.line) + 1
    return None
