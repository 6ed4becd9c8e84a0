"""A user of a real server with its secret, and what tests do with them."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import traceback
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from emulator.postgres import Server
from tests.servers.fixtures import DATABASE, PASSWORD, USER
from tests.servers.secrets_manager import SecretsManager
from tests.support.functions.children import Children

ROOT = Path(__file__).parents[3]
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Rotating:
    """What a test does with the secret ``arn``, whatever the rotation sets its password in."""

    service: SecretsManager
    arn: str

    def handle(self, event: Mapping[str, str]) -> None:
        """Runs one step in this process, as the handler in ``functions/``."""
        raise NotImplementedError

    def events(self, token: str, steps: tuple[str, ...] = STEPS) -> list[Mapping[str, str]]:
        return [{"Step": step, "SecretId": self.arn, "ClientRequestToken": token} for step in steps]

    def step(self, token: str, *steps: str) -> None:
        """Runs these steps in this process."""
        for event in self.events(token, steps):
            self.handle(event)

    def rotate(self) -> str:
        """A whole rotation; returns the new password."""
        self.step(self.service.rotate(self.arn), *STEPS)
        return self.password

    @property
    def password(self) -> str:
        return str(self.service.value(self.arn)["password"])

    def pending(self, token: str) -> str:
        """The password of the version ``token``."""
        return str(json.loads(self.service.secrets[self.arn].versions[token] or "{}").get("password"))


@dataclass
class Rotator(Rotating):
    """``user`` with the secret ``arn`` on ``server``; ``first`` is the password that it begins with."""

    service: SecretsManager
    server: Server
    root: Path
    user: str = ""
    arn: str = ""
    first: str = "First-password.of_the~user-00000"
    extra: dict[str, Any] = field(default_factory=dict)

    def introduce(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Makes the user, its secret, and the environment of the function."""
        self.user = f"user_{uuid.uuid4().hex[:8]}"
        with self.master() as connection:
            connection.run(f"CREATE ROLE {self.user} LOGIN")
            connection.run(f"ALTER ROLE {self.user} PASSWORD '{verifier(self.first)}'")
        self.extra = {
            "engine": "postgres",
            "host": self.server.host,
            "port": self.server.port,
            "dbname": DATABASE,
            "note": "kept",
        }
        self.arn = self.service.create({"username": self.user, "password": self.first, **self.extra})
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.service.environment,
            "DATABASE_HOST": self.server.host,
            "DATABASE_PORT": str(self.server.port),
            "PGSSLROOTCERT": str(self.root),
        }

    def master(self) -> contextlib.AbstractContextManager[pg8000.native.Connection]:
        return self.login(PASSWORD, USER)

    @contextlib.contextmanager
    def login(self, password: str, user: str = "") -> Iterator[pg8000.native.Connection]:
        """A session over verified TLS, by other means than the function's."""
        wire = socket.create_connection((self.server.host, self.server.port))
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = pg8000.native.Connection(
            user or self.user,
            host=self.server.host,
            port=self.server.port,
            sock=wire,
            database=DATABASE,
            password=password,
            ssl_context=ssl.create_default_context(cafile=str(self.root)),
        )
        try:
            yield connection
        finally:
            connection.close()

    def opens(self, password: str) -> bool:
        try:
            with self.login(password) as connection:
                return bool(connection.run("SELECT current_user")[0][0] == self.user)
        except pg8000.native.DatabaseError as error:
            if error.args[0]["C"] != "28P01":
                raise
            return False

    def handle(self, event: Mapping[str, str]) -> None:
        from rotation.handler import handler

        handler(event, None)

    def check_one_valid_current(self, token: str, old: str) -> None:
        """The rotation has ended: its version is the current one and opens the database, the old password does not."""
        secret = self.service.secrets[self.arn]
        assert secret.labels["AWSCURRENT"] == token
        assert secret.labels.get("AWSPENDING", token) == token
        value = self.service.value(self.arn)
        assert value == {"username": self.user, "password": value["password"], **self.extra}
        assert len(value["password"]) == 32
        assert value["password"] != old
        assert self.opens(value["password"])
        assert not self.opens(old)

    def refusal(self, event: Mapping[str, str], capfd: pytest.CaptureFixture[str], *hidden: str) -> str:
        """The sentence with which the function refuses; nothing that it says anywhere holds a password."""
        from rotation.handler import handler

        with pytest.raises(Exception) as caught:  # noqa: PT011  any, so that an unforeseen one is looked through as well
            handler(event, None)
        secret = self.service.secrets[self.arn]
        passwords = {self.first, *hidden, *(text for text in secret.versions.values() if text)}
        with contextlib.suppress(ValueError, KeyError, TypeError):
            passwords |= {str(self.service.value(self.arn, label)["password"]) for label in secret.labels}
        everything = "\n".join([*loggable(caught.value), *capfd.readouterr()])
        for password in passwords:
            assert password not in everything
        assert "Traceback" in everything
        return str(caught.value)


class Runner(Children):
    """Runs steps in children."""

    def __init__(self) -> None:
        super().__init__("tests.support.functions.rotation_runner")

    def run(self, events: list[Mapping[str, str]], environment: Mapping[str, str], **how: Any) -> dict[str, Any]:
        """``how``: ``at`` (index of a call), ``when`` (before, after) and ``signal`` (SIGKILL, SIGSTOP)."""
        return self.ask(events=events, environment=dict(environment), **how)


def loggable(error: BaseException | None) -> Iterator[str]:
    """All that a log could show of an exception: its traceback, and arguments and attributes down the whole chain."""
    if error is not None:
        yield "".join(traceback.format_exception(error))
        yield repr(error.args)
        yield repr({name: str(value) for name, value in vars(error).items()})
        yield from loggable(error.__cause__)
        yield from loggable(error.__context__)


def verifier(password: str) -> str:
    from common.scram import verifier

    return verifier(password)
