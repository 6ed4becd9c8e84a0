"""Facts about resource types that the chain needs when it reads resources back, taken from cfn-lint's registry schemas."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from model import Document

SCHEMA_REGION = "us-east-1"  # has every type; what the chain needs of a schema is the same in all regions


def types(templates: Iterable[Document]) -> str:
    """``chain/types.json`` for the types that templates use: sorted, and the same bytes from every build."""
    used = {resource["Type"] for template in templates for resource in template["Resources"].values()}
    return json.dumps({name: facts(name) for name in sorted(used)}, indent=1, sort_keys=True) + "\n"


def facts(type_: str) -> dict[str, Any]:
    """How a resource of this type is named to Cloud Control, and which of its properties cannot be read, or changed in place."""
    folder = _schemas()
    digest = json.loads((folder / "providers" / f"{SCHEMA_REGION}.json").read_bytes()).get(type_)
    if digest is None:
        raise LookupError(f"{type_} is no type that cfn-lint's schemas know in {SCHEMA_REGION}")
    schema = json.loads((folder / "resources" / f"{digest}.json").read_bytes())
    return {
        "createOnly": sorted(map(_path, schema.get("createOnlyProperties", ()))),
        "createOnlyAtTimes": sorted(map(_path, schema.get("conditionalCreateOnlyProperties", ()))),
        "identifier": [_path(pointer) for pointer in schema["primaryIdentifier"]],
        "lowerCase": sorted(
            _path(pointer) for pointer, rule in schema.get("propertyTransform", {}).items() if "$lowercase(" in rule
        ),
        "readable": "read" in schema.get("handlers", {}),
        "readOnly": sorted(map(_path, schema.get("readOnlyProperties", ()))),
        "taggable": bool(schema.get("tagging", {}).get("taggable", False)),
        "tags": _path(schema.get("tagging", {}).get("tagProperty", "")),
        "writeOnly": sorted(map(_path, schema.get("writeOnlyProperties", ()))),
    }


def _path(pointer: str) -> str:
    """``/properties/Rules/*/Prefix`` as ``Rules.*.Prefix``."""
    return pointer.removeprefix("/properties/").replace("/properties/", "/").replace("/", ".")


def _schemas() -> Path:
    """The folder of the schemas that come with cfn-lint; importing it would take a second."""
    found = find_spec("cfnlint")
    if found is None or found.origin is None:
        raise LookupError("cfn-lint is not installed: run `make setup`")
    return Path(found.origin).parent / "data" / "schemas"
