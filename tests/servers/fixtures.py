"""Real servers for tests. What is missing on the machine fails loudly, with the sentence that says what to install."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator import run_directory
from emulator.authority import Authority
from emulator.postgres import Server

USER = "ledger_admin"
PASSWORD = "First-password.of_the~master"
DATABASE = "ledger"
Launch = Callable[..., Server]


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory that a server's own user can reach, which pytest's are not when root runs it."""
    directory = run_directory.directory("standby-")
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def authority(scratch: Path) -> Authority:
    """Issues the certificates of all servers of a run."""
    return Authority.create(scratch / "authority")


@pytest.fixture(scope="session")
def launch(scratch: Path, authority: Authority) -> Iterator[Launch]:
    """Makes and starts one more server: ``launch("name", settings={...}, prepare=function of the server before it starts)``."""
    servers: list[Server] = []

    def start(name: str, *, prepare: Callable[[Server], object] = lambda _: None, **wishes: object) -> Server:
        arguments = {"user": USER, "password": PASSWORD, "database": DATABASE, "authority": authority, **wishes}
        server = Server.create(scratch / name, **arguments)  # type: ignore[arg-type]
        servers.append(server)
        prepare(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.destroy()


@pytest.fixture(scope="session")
def postgres(launch: Launch) -> Server:
    """A running server that logs every statement, as the ledger's does."""
    return launch("postgres", settings={"log_statement": "all", "fsync": "off"})
