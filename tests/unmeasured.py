"""Processes whose lines are not counted, since other tests count them: counting doubles their time.

tests/emulator counts the emulator's lines; tests/chain, tests/replay and tests/test_deploy.py those of the commands.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import emulator

MEASURED = "COVERAGE_PROCESS_CONFIG"
"""By which coverage finds the processes that it counts lines in."""


def environment() -> dict[str, str]:
    """The environment, for a process whose lines are not counted."""
    return {name: value for name, value in os.environ.items() if name != MEASURED}


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
