"""Values from the words of a CloudFormation template to those of a service's API, and back.

The two mostly differ in letter case and in how tags are written, so names are matched without case, in depth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emulator import schemas


class UnknownMemberError(ValueError):
    """A property that the service's API does not take."""


def to_api(value: Any, shape: Any) -> Any:
    """``value`` as botocore's input ``shape`` wants it."""
    kind = shape.type_name
    if kind == "structure":
        members = {name.lower(): name for name in shape.members}
        result = {}
        for key, inner in value.items():
            name = members.get(key.lower())
            if name is None:
                raise UnknownMemberError(f"{shape.name} of the service's API has no member {key!r}")
            result[name] = to_api(inner, shape.members[name])
        return result
    if kind == "list":
        return [to_api(inner, shape.member) for inner in value]
    if kind == "map":
        pairs = value.items() if isinstance(value, Mapping) else [(tag["Key"], tag["Value"]) for tag in value]
        return {key: to_api(inner, shape.value) for key, inner in pairs}
    if kind == "boolean":
        return boolean(value)
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("float", "double"):
        return float(value)
    if kind == "string" and not isinstance(value, str):
        return json.dumps(value)
    return value


def boolean(value: Any) -> bool:
    """Templates write booleans as such and as strings."""
    return value if isinstance(value, bool) else str(value).lower() == "true"


def to_schema(type_name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a service says, in the words of the type's schema; what the schema does not know is left out."""
    schema = schemas.of(type_name)
    result = _fit(schema, schema, values)
    return result if isinstance(result, dict) else {}


def _fit(schema: schemas.Schema, part: schemas.Schema, value: Any) -> Any:
    part = schemas.resolve(schema, part)
    kind = part.get("type")
    kinds = set(kind) if isinstance(kind, list) else {kind}
    if isinstance(value, Mapping):
        known = {name.lower(): name for name in part.get("properties", {})}
        if not known:
            return dict(value)
        pairs = ((known.get(key.lower()), inner) for key, inner in value.items() if inner is not None)
        return {name: _fit(schema, part["properties"][name], inner) for name, inner in pairs if name is not None}
    if isinstance(value, list):
        return [_fit(schema, part.get("items", {}), inner) for inner in value]
    if "integer" in kinds and not isinstance(value, bool):
        return int(value)
    if "number" in kinds and not isinstance(value, bool):
        return int(value) if float(value).is_integer() else float(value)
    if "boolean" in kinds:
        return boolean(value)
    if "object" in kinds and isinstance(value, str):
        return json.loads(value)
    if "string" in kinds or not isinstance(value, str | int | float | bool):
        return str(value)
    return value
