"""Writes the time into the database every minute, where the database may be written to: what a replica shows of it is its age.

At the site whose database does not write, or is fenced, the function stands idle and says so. At home, where its environment
says which database that is, it also names that one as the writer for clients that honour the epoch, where nobody is named yet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from common import database, epoch, metrics, site
from common.database import Connection
from common.report import say
from pg8000.exceptions import DatabaseError

from protocol.metrics import HEARTBEAT_WRITTEN

APPLICATION = "standby-heartbeat"
TABLE = (
    "CREATE TABLE IF NOT EXISTS dr_heartbeat ("
    "id integer PRIMARY KEY CHECK (id = 1), ts timestamptz NOT NULL, epoch bigint NOT NULL)"
)
ABSENT = "SELECT to_regclass('dr_heartbeat') IS NULL"
BEAT = (
    "INSERT INTO dr_heartbeat (id, ts, epoch) VALUES (1, clock_timestamp(), :epoch) "
    "ON CONFLICT (id) DO UPDATE SET ts = excluded.ts, epoch = excluded.epoch RETURNING ts"
)


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """What a schedule invokes every minute."""
    report = site.asked(APPLICATION, _beat)
    say(event="heartbeat", **report)
    metrics.emit("heartbeat", {HEARTBEAT_WRITTEN: int(report["written"])})
    return report


def _beat(connection: Connection) -> dict[str, Any]:
    if connection.scalar("SELECT pg_is_in_recovery()"):
        return {"written": False, "why": "the database is a replica"}
    connection.run("BEGIN")
    now = epoch.read(connection)
    if now.fenced is not None:
        return {"written": False, "why": f"the database is fenced at epoch {now.number}", "epoch": now.number}
    if connection.scalar(ABSENT):  # not left to IF NOT EXISTS, which needs the right to create even where it creates nothing
        connection.run(TABLE)
    [[at]] = connection.run(BEAT, epoch=now.number)
    connection.run("COMMIT")
    return {"written": True, "at": at.isoformat(), "epoch": now.number, **_named(connection, now.writer)}


def _named(connection: Connection, writer: str | None) -> dict[str, Any]:
    """Who may write, by the row. That it could not be said costs no heartbeat, by whose absence a system fails over."""
    own = os.environ.get("DATABASE_ARN", "")
    if writer is None and own:
        try:
            epoch.name_first(connection, own)
        except DatabaseError as error:
            connection.run("ROLLBACK")
            return {"writer": None, "why": f"The writer could not be named: {database.said(error)}."}
        writer = epoch.read(connection).writer
    return {"writer": writer}
