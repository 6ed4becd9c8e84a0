"""The rotation function as it stands in ``functions/``, a real PostgreSQL and a Secrets Manager that speaks HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

# In a package the folder of a function and the shared one lie side by side at the top; here the path makes it so.
FUNCTIONS = Path(__file__).parents[2] / "functions"
sys.path.insert(0, str(FUNCTIONS))

from emulator.authority import Authority  # noqa: E402
from emulator.postgres import Server  # noqa: E402
from tests.functions.rotations import Rotator, Runner  # noqa: E402
from tests.servers import secrets_manager  # noqa: E402
from tests.servers.fixtures import authority, launch, postgres, scratch  # noqa: E402, F401
from tests.servers.secrets_manager import SecretsManager  # noqa: E402


@pytest.fixture(autouse=True)
def _own_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that a function's clients share keeps the credentials that it was made with; a test has its own."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture(scope="session")
def service() -> Iterator[SecretsManager]:
    """Secrets Manager."""
    with secrets_manager.running() as running:
        yield running


@pytest.fixture
def rotator(
    postgres: Server,  # noqa: F811
    authority: Authority,  # noqa: F811
    service: SecretsManager,
    monkeypatch: pytest.MonkeyPatch,
) -> Rotator:
    """Rotates a new user of the running server."""
    found = Rotator(service, postgres, authority.root)
    found.introduce(monkeypatch)
    return found


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """Runs steps in processes of their own."""
    started = Runner()
    yield started
    started.end()
