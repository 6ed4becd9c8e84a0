"""What tests do with databases that a real server stands behind."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pg8000.native
import pytest
from botocore.exceptions import ClientError

from emulator import Emulator

USER, PASSWORD, DATABASE = "master", "the-password-of-this-test", "books"
PATIENCE = 20.0  # seconds


@contextlib.contextmanager
def session(aws: Emulator, place: dict[str, Any], timeout: float = PATIENCE) -> Iterator[pg8000.native.Connection]:
    """A session of the master user at an ``Endpoint`` with its ``Address`` and ``Port``."""
    context = ssl.create_default_context(cafile=str(aws.root))
    connection = pg8000.native.Connection(
        USER,
        host=place["Address"],
        port=place["Port"],
        database=DATABASE,
        password=PASSWORD,
        ssl_context=context,
        timeout=timeout,
    )
    try:
        yield connection
    finally:
        with contextlib.suppress(pg8000.exceptions.InterfaceError, OSError):
            connection.close()


def run(aws: Emulator, place: dict[str, Any], *statements: str) -> list[Any]:
    """The rows of the last statement."""
    with session(aws, place) as connection:
        return [connection.run(statement) for statement in statements][-1] or []


def eventually(answer: Callable[[], Any], expected: Any) -> None:
    """Standbys are a moment behind."""
    deadline = time.monotonic() + PATIENCE
    while answer() != expected:
        assert time.monotonic() < deadline, f"{answer()!r} is not {expected!r}"
        time.sleep(0.02)


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    """Some service of AWS says so."""
    with pytest.raises(ClientError) as refusal:
        yield
    assert refusal.value.response["Error"]["Code"] == code


def key(aws: Emulator, region: str) -> str:
    return str(aws.client("kms", region).create_key()["KeyMetadata"]["Arn"])


def connect(aws: Emulator, instance: dict[str, Any], password: str, *, tls: bool = True) -> pg8000.native.Connection:
    context = ssl.create_default_context(cafile=str(aws.root)) if tls else False
    place = instance["Endpoint"]
    return pg8000.native.Connection(
        USER, host=place["Address"], port=place["Port"], database="books", password=password, ssl_context=context
    )


def place(address: str, port: int) -> dict[str, Any]:
    return {"Endpoint": {"Address": address, "Port": port}}
