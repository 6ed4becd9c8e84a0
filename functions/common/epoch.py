"""The row that says since which failover a database may be written to, and whether it is fenced.

A client that honours the epoch knows the newest one from the topology and compares in each of its transactions::

    SELECT epoch = :epoch AND fenced IS NULL FROM dr_epoch

It goes on only where that is true, so that no two databases acknowledge its writes. No row is epoch 0, not fenced. The row is
replicated like all others: ``fenced`` holds the host and port that the fence is meant for, and the replica inherits it with the
data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.database import Connection

TABLE = (
    "CREATE TABLE IF NOT EXISTS dr_epoch ("
    "id integer PRIMARY KEY CHECK (id = 1), epoch bigint NOT NULL, token bigint NOT NULL, fenced text, "
    "since timestamptz NOT NULL)"
)
READ = "SELECT epoch, token, fenced FROM dr_epoch WHERE id = 1"
WRITE = (
    "INSERT INTO dr_epoch (id, epoch, token, fenced, since) VALUES (1, :epoch, :token, :fenced, clock_timestamp()) "
    "ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, token = excluded.token, fenced = excluded.fenced, "
    "since = excluded.since"
)
ABSENT = "SELECT to_regclass('dr_epoch') IS NULL"


@dataclass(frozen=True)
class Epoch:
    """Which failover a database is of, by which lease that was said, and for which server a fence stands."""

    number: int = 0
    token: int = 0
    fenced: str | None = None


def read(connection: Connection, *, hold: bool = False) -> Epoch:
    """The row as it is; ``hold`` keeps others from changing it until the transaction ends."""
    if connection.scalar(ABSENT):
        return Epoch()
    rows: list[list[Any]] = connection.run(READ + (" FOR UPDATE" if hold else ""))
    return Epoch(*rows[0]) if rows else Epoch()


def write(connection: Connection, epoch: Epoch) -> None:
    """Says it, in the transaction under way."""
    connection.run(WRITE, epoch=epoch.number, token=epoch.token, fenced=epoch.fenced)
