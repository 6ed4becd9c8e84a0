"""Archives the committed changes of a database: what a schedule invokes every minute.

Reads a logical replication slot into hash-chained segments in ARCHIVE_DIRECTORY, a mounted file system. It can be killed
anywhere and run again; two runs at once do no harm. It cannot fill the primary's disk: behind ``max_slot_wal_keep_size`` the
server gives the slot up, and the next run writes that down as a gap.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archive import lsn
from archive.archiver import Archiver
from archive.directory import Directory
from archive.server import OBJECT_IN_USE, Server
from common import clients, database, login, metrics
from common.database import Connection
from common.report import FunctionError, say
from common.secret import CURRENT, PENDING
from pg8000.exceptions import DatabaseError

from protocol.metrics import (
    ARCHIVE_LAG_BYTES,
    ARCHIVE_LAG_SECONDS,
    GAPS,
    SEGMENTS_WRITTEN,
    SLOT_SAFE_BYTES,
    SLOT_UNBOUNDED,
    TRANSACTIONS_ARCHIVED,
)

APPLICATION = "standby-log-archive"
RESERVE = 10.0  # seconds of the function's time that are left for ending in order
SECONDS = 50.0  # where nobody says how much time there is


@dataclass(frozen=True)
class Settings:
    """The function's environment."""

    server: database.Server
    secret: str
    directory: Path
    slot: str
    days: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        server = database.Server.of(environment)
        try:
            secret, directory = environment["SECRET_ARN"], Path(environment["ARCHIVE_DIRECTORY"])
            days = int(environment.get("ARCHIVE_DAYS", "35"))
        except (KeyError, ValueError) as error:
            raise FunctionError(
                f"The function's environment is wrong: {error}. Set SECRET_ARN and ARCHIVE_DIRECTORY; ARCHIVE_DAYS is a number."
            ) from None
        slot = environment.get("ARCHIVE_SLOT", "efs_archiver")
        if not re.fullmatch(r"[a-z0-9_]{1,63}", slot):
            raise FunctionError(f"ARCHIVE_SLOT is {slot!r}. A slot's name has lower-case letters, digits and underscores only.")
        if days < 1:
            raise FunctionError(f"ARCHIVE_DAYS is {days}. Keep one day at least.")
        if not directory.is_dir():
            raise FunctionError(f"ARCHIVE_DIRECTORY names {directory}, which is no directory. Mount the file system there.")
        return cls(server, secret, directory, slot, days)


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """What the schedule invokes."""
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE if context else SECONDS
    deadline = time.monotonic() + seconds
    settings = Settings.of(os.environ)
    connection = _connect(settings)
    try:
        return _archive(settings, connection, deadline)
    except OSError as error:
        raise FunctionError(
            f"The archive in {settings.directory} or the session with {settings.server} failed: {error}. The next run goes on "
            "where this one stopped."
        ) from error
    except database.BROKEN as error:
        if database.sqlstate(error) == OBJECT_IN_USE:
            return _other(settings)
        raise FunctionError(
            f"{settings.server} failed us: {database.said(error)}. The next run goes on where this one stopped."
        ) from None
    finally:
        database.close(connection)


def _connect(settings: Settings) -> Connection:
    """A session as the secret's user; in the moment of a rotation its pending password may be the right one already."""
    client = clients.client("secretsmanager")
    credentials = (login.read(client, settings.secret, label) for label in (CURRENT, PENDING))
    connection = login.connect(credentials, settings.server, APPLICATION)
    if connection is not None:
        return connection
    raise FunctionError(
        f"{settings.server} refuses the password of {settings.secret}. While it is being rotated the next run finds the new one; "
        "otherwise rotate it, or set the password of its current version at the server."
    )


def _archive(settings: Settings, connection: Connection, deadline: float) -> dict[str, Any]:
    server = Server(connection, settings.slot)
    server.settle()
    if not server.alone():
        return _other(settings)
    archiver = Archiver(server, Directory(settings.directory, server.still_alone), deadline, settings.days)
    try:
        archiver.run()
    except (DatabaseError, FunctionError):
        _measure(archiver)  # what could not be archived is what the metrics are for
        raise
    _measure(archiver)
    tally, head = archiver.tally, archiver.head
    outcome = {**vars(tally), "entry": head.number, "sha256": head.sha256, "position": lsn.show(head.position)} if head else {}
    # The digest of the newest entry, in another place than the archive: a chain alone cannot show that its end was cut off.
    say(event="archived", **outcome)
    return outcome


def _other(settings: Settings) -> dict[str, Any]:
    say(event="nothing", reason=f"another archiver is at work on {settings.slot}")
    return {}


def _measure(archiver: Archiver) -> None:
    server, tally, head = archiver.server, archiver.tally, archiver.head
    try:
        limit, slot, now = server.limit(), server.find(), server.now()
        if head is None:
            head = archiver.directory.head()
        behind = server.seconds_since(head.complete) if head else 0.0
    except database.BROKEN as error:
        say(event="unmeasured", reason=database.said(error))
        return
    values: dict[str, float] = {
        SEGMENTS_WRITTEN: tally.segments,
        TRANSACTIONS_ARCHIVED: tally.transactions,
        GAPS: tally.gaps,
        SLOT_UNBOUNDED: int(limit < 0),
    }
    if head is not None:
        values[ARCHIVE_LAG_SECONDS] = round(behind, 3)
        values[ARCHIVE_LAG_BYTES] = max(0, now.flushed - head.position)
    if slot is not None and slot.safe is not None:
        values[SLOT_SAFE_BYTES] = slot.safe
    metrics.emit("log_archive", values)
    if limit < 0:
        say(
            event="warning",
            reason="max_slot_wal_keep_size is -1: should archiving stop, the log that the slot keeps fills the server's disk. "
            "Set it in the parameter group, to about a fifth of the storage.",
        )
