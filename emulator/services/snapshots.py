"""What recovery points hold: the data of databases and the files of file systems, as they were."""

from __future__ import annotations

import copy as copying
import hashlib
import shutil
from pathlib import Path
from typing import Any

from emulator import databases
from emulator.services import efs

_settings: dict[str, dict[str, Any]] = {}  # how the resource was set up, by recovery point


def take(resource: str, point: str) -> None:
    """Keeps how the database or file system is set up, and its data; of a database where a server stands behind it."""
    found = _found(resource)
    if found is not None and "FileSystemId" in found:
        _settings[point] = copying.deepcopy(found)
        copy_files(efs.directory(found["FileSystemId"]), files(point))
    elif found is not None:
        _settings[point] = copying.deepcopy(found)
        databases.take(resource, point)


def copy(source: str, point: str) -> None:
    if source in _settings:
        _settings[point] = _settings[source]
        if files(source).is_dir():
            copy_files(files(source), files(point))
        databases.copy(source, point)


def forget(point: str) -> None:
    if _settings.pop(point, None) is not None:
        shutil.rmtree(files(point), ignore_errors=True)
        databases.forget(point)


def files(point: str) -> Path:
    """Where a recovery point keeps the files of a file system."""
    return efs.directory(".points") / hashlib.sha256(point.encode()).hexdigest()[:16]


def copy_files(source: Path, target: Path) -> None:
    """All files of a directory, which need not be there, into another one."""
    target.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def settings(point: str) -> dict[str, Any] | None:
    return _settings.get(point)


def _found(resource: str) -> dict[str, Any] | None:
    from ministack.services import efs as service
    from ministack.services import rds

    if ":elasticfilesystem:" in resource:
        system: dict[str, Any] | None = service._file_systems.get(resource.rsplit("/", 1)[-1])
        return system
    name = resource.rsplit(":", 1)[-1]
    found: dict[str, Any] | None = (rds._clusters if ":cluster:" in resource else rds._instances).get(name)
    return found if ":rds:" in resource else None
