"""One emulator for the tests that only add to it; those that change everybody's state start their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator import Emulator, running


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    with running() as emulator:
        yield emulator
