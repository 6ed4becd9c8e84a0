"""In a function's process: names of clusters lead where they do on AWS, and the destination of a replication is read-only.

Python runs this when it starts, where the emulator put this folder on its path. The mark of a destination stands beside its
directory and comes and goes while the process lives, so it is looked for with every call.
"""

# ruff: noqa: PTH100, PTH110, PTH112, PTH118, PTH206  # it stands in the way of every call, and pathlib makes calls of its own

from __future__ import annotations

import errno
import os
import sys
from typing import Any

# What opens for writing; and what changes a name or an entry, with the number of paths at the beginning of its arguments.
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGING = {
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
}


def watch(files: str) -> None:
    """``files``: the directory of all file systems."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            paths = arguments[:1] if arguments[2] & WRITING else ()
        else:
            paths = arguments[: CHANGING.get(event, 0)]
            if event == "os.mkdir" and os.path.isdir(arguments[0]):
                return  # Linux says first that it is there
        for path in paths:
            if isinstance(path, str | os.PathLike):
                place = os.path.abspath(os.fspath(path))
                below = str(place).removeprefix(files + os.sep)
                if below != place and os.path.exists(os.path.join(files, below.split(os.sep)[0] + ".read-only")):
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    sys.addaudithook(refuse)


if os.environ.get("EMULATOR_NAMES"):
    import emulator_names  # type: ignore[import-not-found]  # it stands beside this one

    emulator_names.follow(os.environ["EMULATOR_NAMES"])

if os.environ.get("EMULATOR_FILES"):
    watch(os.environ["EMULATOR_FILES"])
