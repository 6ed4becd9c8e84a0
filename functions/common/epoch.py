"""Reads and writes the row of the epoch (``protocol/epoch.py`` says what it means)."""

from __future__ import annotations

from typing import Any

from common.database import Connection
from protocol.epoch import ABSENT, COLUMN, LOCK, NAME, NAME_FIRST, NAMELESS, READ, TABLE, WRITE, Epoch

PATIENCE = "SET LOCAL lock_timeout = '1s'"  # to add a column waits for readers, and whoever comes then waits behind it


def read(connection: Connection, *, hold: bool = False) -> Epoch:
    """The row as it is; ``hold`` keeps others from changing it until the transaction ends."""
    if connection.scalar(ABSENT):
        return Epoch()
    rows: list[list[Any]] = connection.run(READ + (" FOR UPDATE" if hold else ""))
    return Epoch(*rows[0]) if rows else Epoch()


def write(connection: Connection, epoch: Epoch) -> None:
    """Says it, in the transaction under way. A fence names nobody: it must not wait for a table that is to change."""
    connection.run(WRITE, epoch=epoch.number, token=epoch.token, fenced=epoch.fenced)
    if epoch.writer is not None:
        _have_column(connection)
        connection.run(NAME, writer=epoch.writer)


def name_first(connection: Connection, writer: str) -> None:
    """Names the database that writes at home, where nobody is named and nothing is fenced; in a transaction of its own."""
    connection.run("BEGIN")
    connection.run(PATIENCE)
    connection.run(f"SELECT pg_advisory_xact_lock({LOCK})")
    connection.run(TABLE)
    _have_column(connection)
    connection.run(NAME_FIRST, writer=writer)
    connection.run("COMMIT")


def _have_column(connection: Connection) -> None:
    if connection.scalar(NAMELESS):
        connection.run(COLUMN)
