"""Processes whose lines are not counted, since other tests count them: counting doubles their time.

tests/chain, tests/replay and tests/test_deploy.py count those of the commands. The emulator's are counted by
``make emulator-lines`` alone: it is no part of the product.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import emulator

WANTED = "EMULATOR_LINES"
"""The variable that has the emulator's lines counted in its own tests."""

_start = emulator.running
MEASURED = "COVERAGE_PROCESS_CONFIG"
"""By which coverage finds the processes that it counts lines in."""


def environment() -> dict[str, str]:
    """The environment, for a process whose lines are not counted."""
    return {name: value for name, value in os.environ.items() if name != MEASURED}


@contextlib.contextmanager
def running(**given: Any) -> Iterator[emulator.Emulator]:
    """``emulator.running``; commands that the test starts later are counted as ever."""
    kept = {name: os.environ.pop(name) for name in (MEASURED,) if name in os.environ}
    with contextlib.ExitStack() as stack:
        try:
            aws = stack.enter_context(_start(**given))
        finally:
            os.environ.update(kept)
        yield aws
