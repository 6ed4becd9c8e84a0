"""One run of the archiver: from where the archive ends to where the server is, or as far as the time allows.

The archive, not the slot, says how far we are: after a crash the server's slot goes back and delivers again, and what is in the
archive is left out then. What is not in the archive and will not be delivered is a gap, and is written down as one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from common.database import sqlstate
from common.report import FunctionError, say
from pg8000.exceptions import DatabaseError

from archive import lsn
from archive.directory import Directory, Head, Part, place
from archive.server import QUERY_CANCELED, Now, Server
from archive.state import State

FEW = 1_000  # rows that the first portion asks for; wide rows make even these many megabytes
MANY = 256_000
QUICK = 3.0  # seconds; a portion that took less makes the next one four times as large
ENOUGH = 5.0  # seconds that must be left to begin another portion
COMMIT = re.compile(rb"COMMIT (\d+) \(at ([^)]+)\)")


@dataclass
class Tally:
    """What a run has done."""

    segments: int = 0
    transactions: int = 0
    changes: int = 0
    gaps: int = 0
    removed: int = 0
    idle: bool = False


@dataclass
class Rows:
    """Takes the decoder's rows into a part: transactions up to ``mark`` are left out, and so are empty ones."""

    part: Part
    mark: int
    count: int = 0
    transactions: int = 0
    changes: int = 0
    first: str = ""
    last: int = 0  # the last commit that was delivered, archived or left out
    xid: int = 0
    time: str = ""
    _begin: bytes | None = None
    _inside: bool = False

    def write(self, row: bytes) -> None:
        """One row of COPY: position, tab, the decoder's text."""
        self.count += 1
        position, _, text = row.partition(b"\t")
        if text.startswith(b"BEGIN "):
            self._begin = row
        elif text.startswith(b"COMMIT "):
            self._commit(lsn.parse(position.decode()), row, text)
        elif self._begin is not None or self._inside:
            if self._begin is not None:
                self.first = self.first or self._begin.partition(b"\t")[0].decode()
                self.part.write(self._begin)
                self._begin, self._inside = None, True
            self.part.write(row)
            self.changes += 1
        # What is left is a message outside transactions, which nobody has committed.

    def _commit(self, position: int, row: bytes, text: bytes) -> None:
        self.last = position
        if position <= self.mark:
            # Delivered again. Commits arrive in order, so that nothing of this part has been accepted yet.
            if self.transactions:
                raise FunctionError(
                    f"The server delivered the commit at {lsn.show(position)} out of order; nothing was archived."
                )
            self.part.rewind()
            self.first, self.changes = "", 0
        elif self._inside:
            self.part.write(row)
            self.transactions += 1
            found = COMMIT.match(text)
            self.xid, self.time = (int(found[1]), found[2].decode()) if found else (0, "")
        self._begin, self._inside = None, False


@dataclass
class Archiver:
    """Archives ``server`` into ``directory`` until ``deadline`` (of the monotonic clock); keeps ``days`` days."""

    server: Server
    directory: Directory
    deadline: float
    days: int
    tally: Tally = field(default_factory=Tally)
    head: Head | None = None
    clock: Callable[[], float] = time.monotonic

    def run(self) -> None:
        """Brings the archive up to date."""
        self.server.allow(self._left())
        head = self.head = self._ready(self.server.check())
        changes = FEW
        while self._left() > ENOUGH:
            began, before = self.clock(), head.position
            head, delivered, complete = self._portion(head, changes)
            self.head = head
            if complete:
                self.tally.idle = True
                break
            # Without a commit among them (messages outside transactions) only a larger portion gets past.
            if delivered >= changes and (self.clock() - began < QUICK or self.head.position == before):
                changes = min(changes * 4, MANY)
        if self._left() > ENOUGH:
            self.head = self._prune(head)

    def _left(self) -> float:
        return self.deadline - self.clock()

    def _ready(self, system: str) -> Head:
        """The slot as it must be, and the entry to go on from; what has been lost since is written down first."""
        head, slot, now = self.directory.head(), self.server.find(), self.server.now()
        anew = slot is None or slot.status == "lost"
        if head is not None and anew:
            # Killed before the entry that says so, the next run would find a slot like any other.
            head = replace(head, anew=head.anew or ("gone" if slot is None else "lost"))
            self.directory.note(head)
        if slot is not None and anew:
            self.server.drop()
        confirmed = self._create() if slot is None or anew else slot.confirmed or 0
        lost, missing = (head.anew == "lost", head.anew == "gone") if head else (False, False)
        if head is None:
            reason = "first run"
        elif head.system != system:
            reason, missing = f"another server: {system} instead of {head.system}", True
        elif head.timeline != now.timeline:
            reason, missing = f"a restored or promoted server: timeline {now.timeline} instead of {head.timeline}", True
        elif missing:
            reason = "the slot was gone: the server was restored, or somebody dropped it"
        elif head.position > now.flushed:
            reason, missing = f"the server is at {lsn.show(now.flushed)}, behind what was archived of it", True
        elif head.xid and not self.server.knows(head.xid, head.committed):
            reason, missing = f"the server does not know transaction {head.xid}, archived last: it was restored", True
        elif lost:
            reason = "the slot was lost: more log had piled up than max_slot_wal_keep_size lets the server keep"
        elif head.missing:
            reason = f"entries were taken out of the archive, {head.missing} among them"
        elif confirmed > head.position:
            reason = "somebody else has read from the slot"
        else:
            return head
        return self._open(head, system, now, confirmed, reason, new_epoch=missing)

    def _create(self) -> int:
        try:
            return self.server.create()
        except DatabaseError as error:
            if sqlstate(error) != QUERY_CANCELED:
                raise
            raise FunctionError(
                "The replication slot could not be made in time: PostgreSQL waits until every transaction that was running has "
                "ended. Find the oldest one in pg_stat_activity (xact_start) and end it."
            ) from None

    def _open(self, head: Head | None, system: str, now: Now, confirmed: int, reason: str, *, new_epoch: bool) -> Head:
        """Writes the entry from which on the archive is whole again."""
        epoch = 1 if head is None else head.epoch + new_epoch
        gap = head and {"after": lsn.show(head.position), "until": lsn.show(confirmed)}
        number, digest = (head.number, head.sha256) if head else (0, "")
        start = Head(number, "", digest, epoch, system, now.timeline, confirmed, now.time)
        with self._part(start, "begin" if head is None else "gap", now, reason=reason, gap=gap) as part:
            opened = self._keep(part, start, State.of(self.server.connection), now)
        if head is not None:
            self.tally.gaps += 1
        say(event="gap" if head else "begin", reason=reason, gap=gap, epoch=epoch, entry=opened.name)
        return opened

    def _portion(self, head: Head, changes: int) -> tuple[Head, int, bool]:
        """Archives what is next; says how many rows came, and whether nothing is left."""
        now = self.server.now()  # before we look: what is committed later may be missed, what is before is not
        self.server.allow(self._left())
        with self._part(head, "segment", now) as part:
            rows = Rows(part, head.position)
            self._peek(changes, rows)
            state = State.of(self.server.connection)
            end = {"first": rows.first, "transactions": rows.transactions, "changes": rows.changes}
            complete = rows.count < changes  # the server had no more; what was committed since is the next run's
            if complete:
                position, at = max(now.flushed, rows.last, head.position), now.time
            else:
                position, at = max(rows.last, head.position), rows.time or head.complete
            ahead = replace(head, position=position, complete=at)
            if rows.xid:
                ahead = replace(ahead, xid=rows.xid, committed=rows.time)
            news = complete and (state.sequences != head.sequences or _first_of_day(head, now))
            if rows.transactions or news or state.fingerprint != head.fingerprint:
                ahead = self._keep(part, ahead, state, now, **end)
                self.tally.segments += 1
                self.tally.transactions += rows.transactions
                self.tally.changes += rows.changes
            else:
                self.directory.note(ahead)
        self.server.advance(position)
        return ahead, rows.count, complete

    def _peek(self, changes: int, rows: Rows) -> None:
        left = self._left()
        try:
            self.server.peek(changes, rows)
        except DatabaseError as error:
            if sqlstate(error) != QUERY_CANCELED:
                raise
            raise FunctionError(
                f"The next transactions could not be read in the {left:.0f} s that were left. Where this comes back, one "
                "transaction is too large for a run: give the function a longer timeout, up to the 900 s of Lambda."
            ) from None

    def _part(self, head: Head, kind: str, now: Now, **more: Any) -> Part:
        return self.directory.begin(
            {
                "kind": kind,
                "number": head.number + 1,
                "previous": head.sha256,
                "epoch": head.epoch,
                "system": head.system,
                "timeline": head.timeline,
                "slot": self.server.slot,
                "after": lsn.show(head.position),
                "written": now.time,
                # What the entry before says, which may be removed: the oldest that is left must show what changed within itself.
                "preceding": {
                    "fingerprint": head.fingerprint,
                    "definitions": head.definitions,
                    "complete": head.complete,
                },
                **more,
            }
        )

    def _keep(self, part: Part, head: Head, state: State, now: Now, **end: Any) -> Head:
        """Makes ``part`` the next entry after ``head.number``, at the position that ``head`` says."""
        # Without sequences in hand the newest entry was read from its file: all is told again then.
        whole = head.sequences is None or _first_of_day(head, now)
        told = state.told(head.fingerprint, head.definitions, head.sequences or {}, whole)
        ahead = replace(
            head,
            number=head.number + 1,
            fingerprint=state.fingerprint,
            definitions=state.definitions,
            sequences=state.sequences,
            missing="",
            anew="",
        )
        end = {"to": lsn.show(head.position), "complete": head.complete, "transactions": 0, "changes": 0, **end, **told}
        return self.directory.keep(part, ahead, end, now.day)

    def _prune(self, head: Head) -> Head:
        """Removes what is older than ``days``; the entry that says so stands before anything goes."""
        now = self.server.now()
        before = str(self.server.connection.scalar(f"SELECT ('{now.day}'::date - {self.days})::text"))
        expired = self.directory.expired(before)
        if expired is None:
            return head
        through, digest = expired
        with self._part(head, "prune", now, through=through, digest=digest, before=before) as part:
            head = self._keep(part, head, State.of(self.server.connection), now)
        self.tally.removed = self.directory.remove(through)
        say(event="prune", through=through, before=before, removed=self.tally.removed)
        return head


def _first_of_day(head: Head, now: Now) -> bool:
    """Whether the next entry opens a day's folder. There is one every day, so that whole days can be removed."""
    return not head.name.startswith(place(head.epoch, now.day))
