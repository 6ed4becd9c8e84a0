"""An AWS for each file, since each deploys whole systems."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator import Emulator
from tests.support import unmeasured


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    """One of this file's own."""
    with unmeasured.running() as running:
        yield running
