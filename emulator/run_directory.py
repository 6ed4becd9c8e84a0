"""Where a run keeps what ends with it: in memory, where the machine has room for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108  # a directory of our own is made in it
ROOM = 4 << 30
"""Bytes that must be free: the databases of a few emulators, which run beside each other."""


def directory(prefix: str) -> Path:
    """A new directory of one's own. A database is a thousand small files: a disk takes several times as long to make them.

    Where ``TMPDIR`` is set it is there.
    """
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if "TMPDIR" not in os.environ and _roomy() else None))


def _roomy() -> bool:
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return False
    table = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    available = int(table.get("MemAvailable", "0 kB").split()[0]) << 10
    return min(shutil.disk_usage(MEMORY).free, available) >= ROOM
