"""The resource types that the emulator handles itself, one module per service."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.resource import Resource
from emulator.types import access, database, function, keys, logs, monitoring, network, notify, secret, storage

RESOURCES: Mapping[str, Resource] = {
    resource.type: resource
    for module in (keys, storage, network, logs, access, notify, secret, database, function, monitoring)
    for resource in module.RESOURCES
}
