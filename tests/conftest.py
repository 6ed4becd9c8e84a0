"""What holds for every test."""

import gc
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator

pytest.register_assert_rewrite("tests.servers", "tests.support")

from tests.support import models, unmeasured  # noqa: E402
from tests.support.chain.checkout import Checkout, Clients  # noqa: E402

pytest_plugins = ("tests.servers.fixtures", "tests.support.functions.archives")
NUMBERS = itertools.count(1)


def pytest_configure() -> None:
    """Sessions of boto3 share the models that they read; the emulator's lines are counted where somebody asks for that."""
    for name in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):  # a make in a test is no child of `make test`
        os.environ.pop(name, None)
    gc.set_threshold(20_000, 20, 50)
    models.read_once()
    if unmeasured.WANTED not in os.environ:
        emulator.running = unmeasured.running


def pytest_collection_finish() -> None:
    """What has been loaded by now stays: whoever collects garbage need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def aws() -> Iterator[emulator.Emulator]:
    """One for all tests of a worker that only add to it; it has no databases."""
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


@pytest.fixture
def ordinary(aws: emulator.Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The emulator as the ordinary configuration; the handler of SIGTERM is put back."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("YES", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
