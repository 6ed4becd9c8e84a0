"""EFS: what a file system replicates to another region, when asked; until then the destination stays as it was."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator import ACCOUNT, REGION, darkness
from emulator.services import efs

Answer = tuple[int, dict[str, str], bytes]
Record = dict[str, Any]

BOTH = ("source", "destination")
LOCAL = "LOCAL_CONFIGURATION_ONLY"
WRITABLE = {"ReplicationOverwriteProtection": "ENABLED"}  # what a destination becomes when it is none any more

# Id of the source -> the sides that still know of the replication, where not both do.
_sides: dict[str, tuple[str, ...]] = {}


def install() -> None:
    from ministack.services import efs as service

    create = service._create_replication_configuration
    service._create_replication_configuration = lambda source, body: _create(create, source, body)
    service._describe_replication_configurations = _describe
    service._delete_replication_configuration = _delete
    service._replication_of = _of


def _known(config: Record) -> tuple[str, ...]:
    return _sides.get(config["SourceFileSystemId"], BOTH)


def _destination(config: Record) -> Record:
    found: Record = config["Destinations"][0]
    return found


def _all() -> list[Record]:
    from ministack.core.responses import get_account_id
    from ministack.services import efs as service

    return [config for (account, _, _), config in service._replication_configs.all_items() if account == get_account_id()]


def _of(ref: str) -> Record | None:
    """The replication that the file system is part of, whatever its region; None once its side forgot it."""
    for config in _all():
        ids = {"source": config["SourceFileSystemId"], "destination": _destination(config)["FileSystemId"]}
        if any(ids[side] == ref for side in _known(config)):
            return config
    return None


def is_destination(ref: str) -> bool:
    """Whether only EFS writes there."""
    config = _of(ref)
    return config is not None and _destination(config)["FileSystemId"] == ref


def _create(theirs: Callable[[str, Record], Answer], source: str, body: Record) -> Answer:
    answer = theirs(source, body)
    if answer[0] < 300:
        config = _of(json.loads(answer[2])["SourceFileSystemId"])
        assert config is not None  # noqa: S101  # just made
        _copy(config)
        return answer[0], answer[1], json.dumps(config).encode()
    return answer


def _places(config: Record) -> dict[str, str]:
    """The region of each side that knows of the replication."""
    regions = {"source": config["SourceFileSystemRegion"], "destination": _destination(config)["Region"]}
    return {side: region for side, region in regions.items() if side in _known(config)}


def _dark(config: Record) -> bool:
    """Whether the two sides do not reach each other."""
    return any(darkness.is_dark(region) for region in _places(config).values())


def _describe(query: dict[str, str]) -> Answer:
    """Answers in the regions of both sides, as far as these know of it."""
    from ministack.core.responses import get_region
    from ministack.services import efs as service

    ref, here = service._fs_id_from(query.get("FileSystemId")), get_region()
    if ref and ref not in service._file_systems:
        return _error(404, "FileSystemNotFound", f"File system '{ref}' does not exist.")
    found = [config for config in _all() if here in _places(config).values()]
    if ref:
        found = [config for config in found if ref in (config["SourceFileSystemId"], _destination(config)["FileSystemId"])]
        if not found:
            return _error(404, "ReplicationNotFound", f"File system '{ref}' has no replication configuration.")
    answer: Answer = service._json(200, {"Replications": found})
    return answer


def _delete(source: str, query: dict[str, str]) -> Answer:
    """Ends a replication from either region; LOCAL_CONFIGURATION_ONLY on one side only, so that the other knows a broken one."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import efs as service

    ref, here = service._fs_id_from(source), get_region()
    mode = query.get("deletionMode") or "ALL_CONFIGURATIONS"
    config = next((one for one in _all() if one["SourceFileSystemId"] == ref and here in _places(one).values()), None)
    if config is None:
        return _error(404, "ReplicationNotFound", f"File system '{ref}' has no replication configuration.")
    if mode == LOCAL and config["SourceFileSystemRegion"] == _destination(config)["Region"]:
        return _error(400, "BadRequest", f"{LOCAL} is not valid for a replication within one Region.")
    if mode != LOCAL and _dark(config):
        return _error(500, "InternalServerError", f"The other Region of the replication does not answer; {LOCAL} ends it here.")
    gone = [side for side, region in _places(config).items() if mode != LOCAL or region == here]
    left = tuple(side for side in _known(config) if side not in gone)
    if "destination" in gone:
        place, named = _destination(config)["Region"], _destination(config)["FileSystemId"]
        target = service._file_systems.get_scoped(get_account_id(), place, named)
        if target is not None:
            target["FileSystemProtection"] = dict(WRITABLE)
        efs.set_writable(named, yes=True)
    if left:
        _sides[ref] = left
        _destination(config).update(Status="ERROR", StatusMessage="The other side of the replication is gone.")
    else:
        _sides.pop(ref, None)
        service._replication_configs.pop_scoped(get_account_id(), config["SourceFileSystemRegion"], ref)
    done: Answer = service._json(204, {})
    return done


def _error(status: int, code: str, message: str) -> Answer:
    from ministack.services import efs as service

    answer: Answer = service._error(status, code, message)
    return answer


def _copy(config: Record) -> None:
    """The destination becomes what the source is: what the source lacks goes."""
    ref = _destination(config)["FileSystemId"]
    source, target, began = efs.directory(config["SourceFileSystemId"]), efs.directory(ref), int(time.time())
    with tempfile.TemporaryDirectory(dir=_made(target.parent), prefix=".copy-") as beside:
        fresh = Path(beside) / "fresh"
        if source.is_dir():
            shutil.copytree(source, fresh, symlinks=True)
        else:
            fresh.mkdir()
        if target.is_dir():
            target.rename(Path(beside) / "former")
        fresh.rename(target)
    efs.set_writable(ref, yes=False)
    _destination(config)["LastReplicatedTimestamp"] = began


def _made(place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    return place


def run() -> Record:
    """What EFS does every few minutes: copies every source to its destination; the destinations."""
    from ministack.core.responses import request_scope

    with request_scope(ACCOUNT, REGION):
        copied = [config for config in _all() if _known(config) == BOTH and not _dark(config)]
        for config in copied:
            _copy(config)
    return {"copied": [_destination(config)["FileSystemId"] for config in copied]}
