"""The row that says since which failover a database may be written to, which one that is, and whether it is fenced.

A client that honours the epoch knows the newest one from the topology, and by its ARN the database that it is connected to,
which is the writer that the topology names; in each of its transactions it asks that database::

    SELECT epoch = :epoch AND fenced IS NULL AND writer = :name FROM dr_epoch

It goes on only where that is true, so that no two databases acknowledge its writes; no table and no row is not true. The row is
replicated like all others, and that is what makes it safe: ``writer`` is the ARN of the database that may write, so a replica
inherits its source's name and is shut, also when it was promoted and nobody has verified it yet. ``fenced`` holds the host and
port that the fence is meant for.

The heartbeat at home names the first writer, at epoch 0; after that whoever is verified or unfenced names itself. A table of
before there was a name gets its column from either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.database import Connection

LOCK = int.from_bytes(b"standby", "big")  # the advisory lock that all who change the row share
TABLE = (
    "CREATE TABLE IF NOT EXISTS dr_epoch ("
    "id integer PRIMARY KEY CHECK (id = 1), epoch bigint NOT NULL, token bigint NOT NULL, fenced text, "
    "since timestamptz NOT NULL, writer text)"
)
# Of a table without the column the writer is null.
READ = "SELECT epoch, token, fenced, to_jsonb(dr_epoch) ->> 'writer' FROM dr_epoch WHERE id = 1"
WRITE = (
    "INSERT INTO dr_epoch (id, epoch, token, fenced, since) VALUES (1, :epoch, :token, :fenced, clock_timestamp()) "
    "ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, token = excluded.token, fenced = excluded.fenced, "
    "since = excluded.since"
)
NAME = "UPDATE dr_epoch SET writer = :writer WHERE id = 1"
NAME_FIRST = (
    "INSERT INTO dr_epoch (id, epoch, token, since, writer) VALUES (1, 0, 0, clock_timestamp(), :writer) "
    "ON CONFLICT (id) DO UPDATE SET writer = excluded.writer WHERE dr_epoch.writer IS NULL AND dr_epoch.fenced IS NULL"
)
ABSENT = "SELECT to_regclass('dr_epoch') IS NULL"
NAMELESS = (
    "SELECT NOT EXISTS (SELECT FROM pg_attribute "
    "WHERE attrelid = to_regclass('dr_epoch') AND attname = 'writer' AND NOT attisdropped)"
)
COLUMN = "ALTER TABLE dr_epoch ADD COLUMN IF NOT EXISTS writer text"
PATIENCE = "SET LOCAL lock_timeout = '1s'"  # to add a column waits for readers, and whoever comes then waits behind it


@dataclass(frozen=True)
class Epoch:
    """Which failover a database is of, by which lease that was said, for which server a fence stands, and who may write."""

    number: int = 0
    token: int = 0
    fenced: str | None = None
    writer: str | None = None


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
