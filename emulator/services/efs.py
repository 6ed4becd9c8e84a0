"""EFS: a real directory per file system, and what ministack answers otherwise than AWS."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = tuple[int, dict[str, str], bytes]

_directories: list[Path] = []  # below which the file systems are; one, once installed


class EFSMountFailureException(RuntimeError):  # noqa: N818  # AWS's own name, which a function's caller gets to see
    """An access point cannot be mounted."""


def install(directory: Path) -> None:
    from ministack.services import efs

    _directories[:] = [directory / "files"]
    delete = efs._delete_file_system
    efs._delete_file_system = lambda ref: _delete(delete, ref)
    handle = efs.handle_request

    async def with_all_keys(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        # Tag keys come as a parameter that is repeated; ministack takes the first.
        if method == "DELETE" and "/resource-tags/" in path and isinstance(query.get("tagKeys"), list):
            query = {**query, "tagKeys": [",".join(query["tagKeys"])]}
        return await handle(method, path, headers, body, query)

    efs.handle_request = with_all_keys


def environment() -> dict[str, str]:
    """What a function's process needs so that it keeps to what is read-only."""
    return {"EMULATOR_FILES": str(_directories[0].resolve())}


def _delete(theirs: Callable[[str], Answer], ref: str) -> Answer:
    """What hangs on a file system goes with it: its access points and its files."""
    from ministack.services import efs

    answer = theirs(ref)
    if answer[0] < 300:
        for name in [name for name, one in efs._access_points.items() if one["FileSystemId"] == ref]:
            del efs._access_points[name]
        shutil.rmtree(directory(ref), ignore_errors=True)
    return answer


def directory(ref: str) -> Path:
    """Where the files of a file system are; not there before something is written."""
    return _directories[0] / ref


def set_writable(ref: str, *, yes: bool) -> None:
    """Whether functions may write there: the mark that mounted/sitecustomize.py looks for stands beside the directory."""
    mark = directory(f"{ref}.read-only")
    if yes:
        mark.unlink(missing_ok=True)
    else:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def access_point(arn: str) -> dict[str, Any] | None:
    from ministack.services import efs

    found: dict[str, Any] | None = efs._access_points.get(arn.rsplit("/", 1)[-1])
    return found if found and found["AccessPointArn"] == arn else None


def mount_targets(point: dict[str, Any]) -> list[dict[str, Any]]:
    from ministack.services import efs

    return [one for one in efs._mount_targets.values() if one["FileSystemId"] == point["FileSystemId"]]


def file_system(point: dict[str, Any]) -> dict[str, Any]:
    from ministack.services import efs

    found: dict[str, Any] = efs._file_systems[point["FileSystemId"]]
    return found


def root(point: dict[str, Any]) -> Path:
    """The directory behind an access point. As on AWS it is made with the first mount, where the access point says how."""
    wanted = point["RootDirectory"]
    place: Path = directory(point["FileSystemId"]) / str(wanted.get("Path", "/")).strip("/")
    if not place.is_dir():
        if wanted.get("Path", "/") != "/" and not wanted.get("CreationInfo"):
            raise EFSMountFailureException(
                f"The root directory {wanted['Path']} of {point['AccessPointId']} does not exist, and there is no CreationInfo."
            )
        place.mkdir(parents=True, exist_ok=True)
    return place
