"""The registry schemas of resource types, from the copies that cfn-lint bundles: what a type's own words are."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]


@cache
def folder() -> Path:
    """Where cfn-lint keeps them."""
    # Located, not imported: importing cfn-lint takes longer than starting the emulator.
    found = importlib.util.find_spec("cfnlint")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("The emulator reads the schemas of resource types from cfn-lint; run make setup.")
    return Path(found.submodule_search_locations[0]) / "data" / "schemas"


@cache
def _index() -> dict[str, str]:
    index: dict[str, str] = json.loads((folder() / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    return index


def exists(type_name: str) -> bool:
    return type_name in _index()


@cache
def of(type_name: str) -> Schema:
    """The schema of a type that exists."""
    schema: Schema = json.loads((folder() / "resources" / f"{_index()[type_name]}.json").read_text(encoding="utf-8"))
    return schema


def properties(type_name: str, kind: str) -> tuple[str, ...]:
    """Names of the top-level properties that ``kind`` lists: ``createOnlyProperties``, ``primaryIdentifier``, ..."""
    pointers: list[str] = of(type_name).get(kind) or []
    return tuple(parts[2] for parts in (pointer.split("/") for pointer in pointers) if len(parts) == 3)


def readable(type_name: str) -> bool:
    """Whether AWS has a read handler for the type, so that Cloud Control answers for it."""
    return "read" in of(type_name).get("handlers", {})


def versions(extension: str, engine: str) -> set[str]:
    """The versions of a database engine that can be created, by what cfn-lint knows of them beside the schemas."""

    def listed(name: str) -> set[str]:
        rules = json.loads((folder() / "extensions" / extension / f"{name}.json").read_text(encoding="utf-8"))["allOf"]
        of_engine = (rule for rule in rules if rule["if"]["properties"]["Engine"].get("const") == engine)
        parts = ({**rule["if"]["properties"], **(rule["then"] or {}).get("properties", {})} for rule in of_engine)
        return {version for part in parts for version in part["EngineVersion"].get("enum", [])}

    return listed("engine_version") - listed("engine_version_deprecated")


def tag_property(type_name: str) -> tuple[str, str] | None:
    """The property that takes stack tags, and its shape (``list`` or ``map``); None where CloudFormation passes none."""
    schema = of(type_name)
    tagging = schema.get("tagging") or {}
    pointer = tagging.get("tagProperty")
    if not tagging.get("taggable") or not tagging.get("tagOnCreate", True) or not pointer:
        return None
    name = pointer.rsplit("/", 1)[1]
    return (
        (name, "list" if resolve(schema, schema["properties"][name]).get("type") == "array" else "map")
        if name in schema["properties"]
        else None
    )


def resolve(schema: Schema, part: Schema) -> Schema:
    """``part`` with its reference followed."""
    while "$ref" in part:
        target: Any = schema
        for key in part["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        part = target
    return part
