"""Cloud Control's GetResource: what a resource is now, by its service's own account, in the words of its type's schema.

Nothing here looks at a template, or at what CloudFormation recorded.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from emulator import property_conversion, schemas
from emulator.cloudformation import here, is_gone
from emulator.resource import Resource

log = logging.getLogger("emulator")


def install(resources: Mapping[str, Resource]) -> None:
    """Takes GetResource over; the other operations stay as they are."""
    from ministack.core.responses import error_response_json, json_response
    from ministack.services import cloudcontrol

    theirs = cloudcontrol.handle_request

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        if not headers.get("x-amz-target", "").endswith(".GetResource"):
            return await theirs(method, path, headers, body, query)
        asked = json.loads(body)
        name, identifier = asked["TypeName"], asked["Identifier"]
        refusal = _refusal(resources, name, identifier)
        if refusal is not None:
            return error_response_json(*refusal, 400)
        try:
            # Readers call the services over HTTP, through this process's event loop.
            found = await asyncio.to_thread(read, resources[name], identifier)
        except Exception as error:
            if is_gone(error):
                return error_response_json(
                    "ResourceNotFoundException", f"Resource of type {name} with identifier {identifier} was not found.", 400
                )
            log.exception("GetResource %s %s", name, identifier)
            return error_response_json("HandlerInternalFailureException", f"{type(error).__name__}: {error}", 502)
        return json_response(
            {"TypeName": name, "ResourceDescription": {"Identifier": identifier, "Properties": json.dumps(found, default=str)}}
        )

    cloudcontrol.handle_request = handle


def read(resource: Resource, identifier: str) -> dict[str, Any]:
    """The resource's properties, those left out that AWS never shows."""
    assert resource.read is not None  # noqa: S101  # schemas.readable said so
    found = property_conversion.to_schema(resource.type, resource.read(here(), tuple(identifier.split("|"))))
    hidden = schemas.properties(resource.type, "writeOnlyProperties")
    return {name: value for name, value in found.items() if name not in hidden}


def _refusal(resources: Mapping[str, Resource], name: str, identifier: str) -> tuple[str, str] | None:
    if not schemas.exists(name):
        return "TypeNotFoundException", f"The type {name} cannot be found."
    if not schemas.readable(name):
        return "UnsupportedActionException", f"Resource type {name} does not support READ action."
    if name not in resources:
        return "UnsupportedActionException", f"The emulator cannot read {name} yet."
    parts = schemas.properties(name, "primaryIdentifier")
    if identifier.count("|") != len(parts) - 1:
        return "ValidationException", f"Identifier {identifier} is not valid for identifier [{', '.join(parts)}]."
    return None
