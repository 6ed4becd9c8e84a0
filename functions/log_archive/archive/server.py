"""The server that is archived: who it is, its slot, and the committed changes, row by row.

Changes are peeked at and never taken: the slot moves on only when they stand in the archive. The decoder is ``test_decoding``,
since ``pgoutput`` needs a publication, and with one for all tables an UPDATE of a table without a key fails in the application.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from common.database import Connection
from common.report import FunctionError

from archive import lsn

PLUGIN = "test_decoding"
LOCK = int.from_bytes(b"archiver", "big") >> 1  # the advisory lock of archivers, below 2^63
OBJECT_IN_USE = "55006"
QUERY_CANCELED = "57014"
# Values are written by the types' own output functions, in this session: all that changes their text is fixed here, and replay
# fixes the same. An empty search path makes every name of a table, type or function a full one.
SESSION = {
    "search_path": "",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "xmloption": "content",
    "client_encoding": "UTF8",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "default_transaction_read_only": "off",
    "jit": "off",  # the look at the catalogue is done in less time than it takes to compile it
    # A function that was killed must not hold the lock: the server ends its statement and its session by itself.
    "client_connection_check_interval": "2s",
    "idle_session_timeout": "30s",
    "tcp_user_timeout": "10s",
}


FIND = """
SELECT plugin, database = current_database(), confirmed_flush_lsn::text, wal_status, active, safe_wal_size, temporary
FROM pg_replication_slots WHERE slot_name = :slot
"""
# What is not remembered is NULL, as of a transaction that never was. The newest of an archive is forgotten only where it was
# frozen, or the setting was off in between; a gap is written down then that is none.
KNOWS = """
SELECT CASE current_setting('track_commit_timestamp') WHEN 'on'
THEN coalesce(pg_xact_commit_timestamp(CAST(:xid AS xid)) = CAST(:at AS timestamptz), false) ELSE true END
"""
# COPY takes no parameters; the slot's name has letters, digits and underscores only.
PEEK = """
COPY (SELECT lsn, data FROM pg_logical_slot_peek_changes(
    '{slot}', NULL, {changes}, 'include-timestamp', '1', 'include-xids', '1', 'skip-empty-xacts', '0'
)) TO STDOUT
"""


class Stream(Protocol):
    """What takes rows as they arrive."""

    def write(self, row: bytes) -> None: ...


@dataclass(frozen=True)
class Slot:
    """What pg_replication_slots says."""

    confirmed: int | None
    status: str
    active: bool
    safe: int | None


@dataclass(frozen=True)
class Now:
    """The server at a moment: the last position on its disk, its clock, its history."""

    flushed: int
    time: str
    day: str
    timeline: int


@dataclass(frozen=True)
class Server:
    """One database of a server, through a session that is set up for archiving."""

    connection: Connection
    slot: str

    def settle(self) -> None:
        """Sets the session up."""
        self.connection.run("; ".join(f"SET {name} = '{value}'" for name, value in SESSION.items()))

    def allow(self, seconds: float) -> None:
        """How long a statement may take from now on. The answer to one may be silent for as long."""
        self.connection.run(f"SET statement_timeout = {max(1, int(seconds * 1000))}")
        self.connection._usock.settimeout(seconds + 5)

    def alone(self) -> bool:
        """Whether we are the only archiver of this database. The lock ends with the session."""
        return bool(self.connection.scalar(f"SELECT pg_try_advisory_lock({LOCK})"))

    def still_alone(self) -> None:
        """Raises where the session has ended, and the lock with it."""
        self.connection.run("SELECT")

    def check(self) -> str:
        """The server's identity; refuses a server that cannot be archived."""
        [[standby, level, identity]] = self.connection.run(
            "SELECT pg_is_in_recovery(), current_setting('wal_level'), (SELECT system_identifier FROM pg_control_system())"
        )
        if standby:
            raise FunctionError(
                "The server is in recovery: it is a standby or a replica. Archive where the primary is; nothing was read."
            )
        if level != "logical":
            raise FunctionError(
                f"The server's wal_level is {level}, and changes can be decoded at logical only. On RDS set "
                "rds.logical_replication to 1 in the parameter group and restart the instance."
            )
        return str(identity)

    def limit(self) -> int:
        """How much log the server keeps for slots, in MiB; -1 is no limit."""
        return int(self.connection.scalar("SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'"))

    def now(self) -> Now:
        """The server's position and time. Flushed, not written: only what is flushed is decoded."""
        [[flushed, time, name]] = self.connection.run(
            "SELECT pg_current_wal_flush_lsn()::text, clock_timestamp()::text, pg_walfile_name(pg_current_wal_insert_lsn())"
        )
        return Now(lsn.parse(flushed), time, time[:10], int(name[:8], 16))

    def seconds_since(self, time: str) -> float:
        """How long ago that was, by the server's own clock."""
        rows = self.connection.run("SELECT extract(epoch FROM clock_timestamp() - CAST(:at AS timestamptz))::float8", at=time)
        return float(rows[0][0])

    def find(self) -> Slot | None:
        """The slot, or None."""
        rows = self.connection.run(FIND, slot=self.slot)
        if not rows:
            return None
        [[plugin, here, confirmed, status, active, safe, temporary]] = rows
        if plugin != PLUGIN or not here or temporary:
            raise FunctionError(
                f"The replication slot {self.slot} belongs to somebody else (plugin {plugin}, "
                f"{'this' if here else 'another'} database). Drop it, or give the archiver another name in ARCHIVE_SLOT."
            )
        return Slot(lsn.parse(confirmed) if confirmed else None, status, active, safe)

    def knows(self, xid: int, at: str) -> bool:
        """Whether this transaction was committed here at this time; true where the server does not keep such times.

        A server that was restored from a snapshot may have the same name, timeline and slot, and be at a later position again.
        """
        rows = self.connection.run(KNOWS, xid=str(xid), at=at)
        return bool(rows[0][0])

    def create(self) -> int:
        """A new slot; returns the position from which on it sees everything.

        PostgreSQL waits for the transactions that are running; where one outlasts us, it takes the slot back.
        """
        made = "SELECT lsn::text FROM pg_create_logical_replication_slot(:slot, :plugin)"
        return lsn.parse(self.connection.run(made, slot=self.slot, plugin=PLUGIN)[0][0])

    def drop(self) -> None:
        self.connection.run("SELECT pg_drop_replication_slot(:slot)", slot=self.slot)

    def advance(self, position: int) -> None:
        """Lets the server forget what is before ``position``. It may go back after a crash: the archive's own mark counts."""
        to = lsn.show(position)
        self.connection.run("SELECT pg_replication_slot_advance(:slot, CAST(:to AS pg_lsn))", slot=self.slot, to=to)

    def peek(self, changes: int, into: Stream) -> None:
        """Whole transactions in the order of their commits, about ``changes`` rows, each given to ``into`` as it arrives.

        COPY sends one message per row, so that we hold one row and no more. The server first decodes the whole portion, and
        keeps it in a temporary file above its work_mem. Empty transactions are asked for, since the decoder leaves a message
        that is alone in its transaction without BEGIN and COMMIT otherwise, and so without a position.
        """
        self.connection.run(PEEK.format(slot=self.slot, changes=changes), stream=into)
