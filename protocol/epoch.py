"""The row that says since which failover a database may be written to, which one that is, and whether it is fenced.

A client that honours the epoch knows the newest one from the topology, and by its ARN the database that it is connected to,
which is the writer that the topology names; in each of its transactions it asks that database what ``HONOURS`` says. It goes on
only where that is true, so that no two databases acknowledge its writes; no table and no row is not true. The row is replicated
like all others, and that is what makes it safe: ``writer`` is the ARN of the database that may write, so a replica inherits its
source's name and is shut, also when it was promoted and nobody has verified it yet. ``fenced`` holds the host and port that the
fence is meant for.

The heartbeat at home names the first writer, at epoch 0; after that whoever is verified or unfenced names itself. A table of
before there was a name gets its column from either.
"""

from __future__ import annotations

from dataclasses import dataclass

HONOURS = "SELECT epoch = :epoch AND fenced IS NULL AND writer = :name FROM dr_epoch"

COLUMNS = (
    "id integer PRIMARY KEY CHECK (id = 1)",
    "epoch bigint NOT NULL",
    "token bigint NOT NULL",
    "fenced text",
    "since timestamptz NOT NULL",
    "writer text",
)
LOCK = int.from_bytes(b"standby", "big")  # the advisory lock that all who change the row share
TABLE = f"CREATE TABLE IF NOT EXISTS dr_epoch ({', '.join(COLUMNS)})"
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


@dataclass(frozen=True)
class Epoch:
    """Which failover a database is of, by which lease that was said, for which server a fence stands, and who may write."""

    number: int = 0
    token: int = 0
    fenced: str | None = None
    writer: str | None = None


def snapshot(database: str, epoch: object) -> str:
    """The name, or how it begins, of the snapshot that is taken of a database when its role changes."""
    return f"{database}-epoch-{epoch}"
