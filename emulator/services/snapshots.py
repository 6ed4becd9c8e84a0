"""What recovery points hold: the data of databases, as it was."""

from __future__ import annotations

import copy as copying
from typing import Any

from emulator import databases

_settings: dict[str, dict[str, Any]] = {}  # how the resource was set up, by recovery point


def take(resource: str, point: str) -> None:
    """Keeps how the database is set up, and its data where a server stands behind it."""
    found = _found(resource)
    if found is not None:
        _settings[point] = copying.deepcopy(found)
        databases.take(resource, point)


def copy(source: str, point: str) -> None:
    if source in _settings:
        _settings[point] = _settings[source]
        databases.copy(source, point)


def forget(point: str) -> None:
    if _settings.pop(point, None) is not None:
        databases.forget(point)


def settings(point: str) -> dict[str, Any] | None:
    return _settings.get(point)


def _found(resource: str) -> dict[str, Any] | None:
    from ministack.services import rds

    name = resource.rsplit(":", 1)[-1]
    found: dict[str, Any] | None = (rds._clusters if ":cluster:" in resource else rds._instances).get(name)
    return found if ":rds:" in resource else None
