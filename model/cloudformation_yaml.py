"""The one reader of CloudFormation YAML: short forms become long forms, as cfn-flip reads them, eight times faster."""

from __future__ import annotations

from typing import Any

import yaml

Document = dict[str, Any]
"""A template, or any part of it, as plain data with long-form intrinsic functions."""


class _Loader(yaml.CSafeLoader):
    """PyYAML's C loader, with dates left as text and ``!Ref`` and its kin made into mappings."""


# CloudFormation's own version is written as a date; it is a name, not a day.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> Document:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    value: Any = None
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _intrinsic)


def read(text: str) -> Document:
    """Read a template or a parameter file; an empty one is an empty mapping."""
    return yaml.load(text, Loader=_Loader) or {}  # noqa: S506  a safe loader with CloudFormation's tags
