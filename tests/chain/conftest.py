"""An emulated AWS, and a checkout with a suffix that no other test has."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator
from tests import unmeasured
from tests.chain.world import Checkout, Clients

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def aws() -> Iterator[emulator.Emulator]:
    """One emulator for all tests of a worker."""
    with unmeasured.running(databases=False) as running:
        yield running


@pytest.fixture(scope="session")
def clients(aws: emulator.Emulator) -> Clients:
    """Its clients, each made once."""
    made: dict[tuple[str, str], object] = {}

    def client(service: str, region: str) -> object:
        if (service, region) not in made:
            made[service, region] = aws.client(service, region)
        return made[service, region]

    return client


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """An empty checkout."""
    return Checkout(tmp_path, f"t{os.getpid() % 10000}-{next(NUMBERS)}")
