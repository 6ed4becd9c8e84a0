"""The resource types that the emulator handles itself, one module per service."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.resource import Resource
from emulator.types import (
    access,
    backup,
    cache,
    cluster,
    database,
    dns,
    events,
    files,
    function,
    keys,
    logs,
    monitoring,
    network,
    notify,
    parameter,
    secret,
    storage,
    table,
)

MODULES = (
    keys,
    storage,
    network,
    logs,
    access,
    notify,
    parameter,
    secret,
    database,
    cluster,
    table,
    files,
    function,
    events,
    backup,
    monitoring,
    dns,
    cache,
)

RESOURCES: Mapping[str, Resource] = {resource.type: resource for module in MODULES for resource in module.RESOURCES}
