"""An emulator whose lines are not counted: tests/emulator counts them, and counting slows everything that waits for it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import emulator

MEASURED = "COVERAGE_PROCESS_CONFIG"
"""By which coverage finds the processes that it counts lines in."""


@contextlib.contextmanager
def running(*, databases: bool = True) -> Iterator[emulator.Emulator]:
    """``emulator.running``; commands that the test starts later are counted as ever."""
    kept = {name: os.environ.pop(name) for name in (MEASURED,) if name in os.environ}
    with contextlib.ExitStack() as stack:
        try:
            aws = stack.enter_context(emulator.running(databases=databases))
        finally:
            os.environ.update(kept)
        yield aws
