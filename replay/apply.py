"""Replays the archive into a database, transaction by transaction, each with the row that says so, and with what of it could not
be replayed: it can be killed anywhere and run again, applies nothing twice, and forgets nothing that the target lacks.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pg8000.exceptions import DatabaseError

from replay.chain import Chain, Commit, Entry, lines, position, show, verify
from replay.decoding_text import Change, Relation, TextError, parse, relation, unescape
from replay.start import UnprovenError, commits_of, prove
from replay.table_files import Altered, Facts, Storage, altered, is_here, mixed, older, renamed, unknown
from replay.target import ACTORS, SESSION, Table, Target, copied, literal

SCHEMA = "standby_replay"
STATEMENTS, BYTES = 500, 1 << 20  # what is sent at once
NAMED = 10  # of a list that may be long, what a sentence takes
LOCK = int.from_bytes(b"replayer", "big") >> 1
PROGRESS = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.progress (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), system text NOT NULL, entry bigint NOT NULL, lsn pg_lsn NOT NULL,
    committed text NOT NULL, transactions bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.lacking (
    id text PRIMARY KEY, what text NOT NULL, conflict boolean NOT NULL, times bigint NOT NULL
)
"""


class StoppedError(Exception):
    """Replay does not go on; the sentence says where it stands, why, and what to do. What was applied stays."""


@dataclass(frozen=True)
class Options:
    """How far, and over what. ``start`` is a position that the target is known to hold everything up to."""

    until: datetime | int | None = None
    leave_out: Collection[int] = ()
    start: int | None = None
    epoch: int | None = None  # in which ``start`` lies, where positions came again
    over_gaps: bool = False
    schemas: Collection[str] = ()  # fingerprints, or their beginnings, that the target has been brought to
    harmless: Collection[str] = ()  # those over which rows are known to mean the same before and after
    conflicts: bool = False  # report changes that do not fit, and go on


@dataclass
class Replayed:
    """What was done, and what could not be."""

    transactions: int = 0
    changes: int = 0
    reached: Commit | None = None
    left_out: list[Commit] = field(default_factory=list)
    not_replayed: Counter[str] = field(default_factory=Counter)
    conflicts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ended: str = ""

    @property
    def whole(self) -> bool:
        return not self.not_replayed and not self.conflicts


def apply(directory: Path, connection: Any, options: Options = Options(), chain: Chain | None = None) -> Replayed:
    """Replays what the target lacks. ``connection`` is pg8000's (native), by a user who may write all that is replayed."""
    chain = chain or verify(directory)
    if chain.problems:
        raise StoppedError(f"The archive is broken, and nothing was applied: {chain.problems[0]}")
    replayer = _Replayer(connection, options, Target(connection, {}))
    replayer.settle()
    replayer.run(chain)
    return replayer.done


class _ConflictError(Exception):
    """A change did not meet the one row that it must."""


@dataclass
class _Replayer:
    connection: Any
    options: Options
    target: Target
    done: Replayed = field(default_factory=Replayed)
    tables: Mapping[str, Any] = field(default_factory=dict)  # the end of the newest entry that lists them
    storage: Storage | None = None  # as the newest entry says that lists it
    keyless: set[Relation] = field(default_factory=set)
    renamed: dict[Relation, tuple[int, str]] = field(default_factory=dict)  # by which transaction, and the entry's fingerprint
    resumed: bool = False

    def settle(self) -> None:
        """Sets the session up."""
        # A statement with parameters, and COPY, are several small messages: each would wait 40 ms for the last one's receipt.
        self.connection._usock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        [[standby]] = self.connection.run("SELECT pg_is_in_recovery()")
        if standby:
            raise StoppedError("The target is in recovery and cannot be written to. Promote it, or name another.")
        for name, value in SESSION.items():
            try:
                self.connection.run(f"SET {name} = '{value}'")
            except DatabaseError as error:
                raise StoppedError(
                    f"The target does not let us set {name} to {value}: {said(error)}. Replay as the master user "
                    "(on RDS a member of rds_superuser), or GRANT SET ON PARAMETER session_replication_role."
                ) from None
        if not self.connection.run(f"SELECT pg_try_advisory_lock({LOCK})")[0][0]:
            raise StoppedError("Another replay is at work on the target. Wait for its end.")
        self._refuse_actors()
        self.connection.run(PROGRESS)

    def _refuse_actors(self) -> None:
        """Triggers and rules that work in the session of a replay as well would do again what they did at the source."""
        actors = self.connection.run(ACTORS)
        if actors:
            raise StoppedError(
                f"Nothing was applied: the target would act by itself, since {_listed([what for what, _ in actors])} "
                "are enabled for a replay as well, and what they did at the source is in the archive. Disable them in the "
                f"target, and enable them as they were after the replay: {_listed([remedy for _, remedy in actors], '; ')}."
            )

    def run(self, chain: Chain) -> None:
        begin, number = self._begin(chain)
        held = _held(chain, number, begin)
        previous: Entry | None = None
        sequences: dict[str, int] = {}
        for entry in chain.entries:
            sequences.update(entry.end["sequences"])
            if "without_key" in entry.end:
                self.tables, self.keyless = entry.end, {relation(name) for name in entry.end["without_key"]}
            before, self.storage = self.storage, entry.end.get("storage", self.storage)
            fingerprint, definitions, before = self._formerly(previous, entry, before)
            if previous and entry.epoch != previous.epoch:
                self.renamed.clear()  # numbers came again
            if before and self.storage and "storage" in entry.end:
                told = entry.end["fingerprint"]
                self.renamed |= {of: (xid, told) for of, xid in renamed(before, self.storage).items()}
            if entry.number < number:
                if fingerprint != entry.end["fingerprint"] and _ahead(entry, held):
                    tables = self._altered(chain, entry, before)
                    self._check_mixed(chain, entry, tables, begin, within=True)
                    self._check_schema(definitions, entry, before, tables, held)
                previous = entry
                continue
            first = entry.number == number
            self._check_gap(entry, first=first)
            if (fingerprint, definitions) != (entry.end["fingerprint"], entry.definitions):
                # Begun at the boundary, the replay has all of the entry before it, and with that its changes of schema.
                within = first and (begin > entry.after or entry.kind == "gap")
                tables = self._altered(chain, entry, before)
                self._check_mixed(chain, entry, tables, begin if first else 0, within=within)
                self._check_schema(definitions, entry, before, tables, held if within else None)
            self.done.ended = self._entry(entry, begin if entry.number == number else 0)
            self._report(entry)
            previous = entry
            if self.done.ended:
                break
        self.done.ended = self.done.ended or "the end of the archive"
        self._sequences(sequences)
        # What is reported as done is on disk: a commit that waits takes those before it along.
        self.connection.run(f"SET synchronous_commit = 'on'; UPDATE {SCHEMA}.progress SET lsn = lsn")  # noqa: S608
        met = {commit.xid for commit in self.done.left_out}
        self.done.notes.extend(
            f"Transaction {xid}, which was to be left out, was not met." for xid in sorted(set(self.options.leave_out) - met)
        )
        if met:
            self.done.notes.append(
                "Foreign keys are not checked while transactions are replayed: look for rows that refer to what was left out."
            )

    def _begin(self, chain: Chain) -> tuple[int, int]:
        """The position that the target has, and the entry from which on to look for what it lacks."""
        rows = self.connection.run(f"SELECT system, entry, lsn::text, transactions FROM {SCHEMA}.progress")  # noqa: S608
        if rows and self.options.start is None and self._lived_on(chain):
            self.connection.run(f"BEGIN; DELETE FROM {SCHEMA}.progress; DELETE FROM {SCHEMA}.lacking; COMMIT")  # noqa: S608
            self.done.notes.append(
                f"An earlier replay stopped after {rows[0][2]}; the server has worked on and was archived since."
            )
            rows = []
        if rows:
            [[system, number, reached, count]] = rows
            known = {entry.number: entry for entry in chain.entries}
            if number not in known or known[number].header["system"] != system:
                raise StoppedError(
                    f"The target says that entry {number} of the server {system} was applied to it last, and the archive does "
                    f"not have it. Name the right archive, or drop the schema {SCHEMA} of the target to begin anew."
                )
            self.resumed = True
            self.done.notes.append(f"Goes on after {reached}, where an earlier replay of {count} transactions stopped.")
            self._recall()
            return position(reached), number
        if self.options.start is not None:
            self.done.notes.append(f"Begins after {show(self.options.start)}, as told.")
            return self.options.start, self._covering(chain, self.options.start).number
        try:
            entry, commit = prove(self.connection, chain.entries)
        except UnprovenError as error:
            raise StoppedError(f"Where to begin cannot be proven. {error}") from None
        self.done.notes.append(
            f"Begins after {show(commit.position)}: transaction {commit.xid}, committed {commit.time}, "
            "is the last that the target has."
        )
        return commit.position, entry.number

    def _lived_on(self, chain: Chain) -> bool:
        """Whether the target is a copy of a server that was replayed into, and whose own work since then is in the archive."""
        try:
            _, commit = prove(self.connection, chain.entries)
        except UnprovenError:
            return False
        [[ended]] = self.connection.run(f"SELECT pg_xact_commit_timestamp(xmin) FROM {SCHEMA}.progress")  # noqa: S608
        return ended is not None and instant(commit.time) > ended

    def _recall(self) -> None:
        """What earlier runs could not replay, which the target lacks still."""
        for what, conflict, times in self.connection.run(f"SELECT what, conflict, times FROM {SCHEMA}.lacking ORDER BY what"):  # noqa: S608
            if conflict:
                self.done.conflicts += [what] * times
            else:
                self.done.not_replayed[what] += times

    def _covering(self, chain: Chain, start: int) -> Entry:
        """The entry in which what follows this position begins."""
        found = [
            entry
            for entry, following in zip(chain.entries, [*chain.entries[1:], None], strict=True)
            if self.options.epoch in (None, entry.epoch) and _first(entry) <= start and _covers(entry, following, start)
        ]
        if not found:
            raise StoppedError(
                f"The archive does not hold what follows {show(start)}; it begins at {show(_first(chain.entries[0]))}"
                f"{''.join(' and has gaps' for _ in chain.gaps[:1])}. Restore a snapshot that was taken at another time."
            )
        epochs = sorted({entry.epoch for entry in found})
        if len(epochs) > 1:
            raise StoppedError(
                f"{show(start)} lies in the epochs {', '.join(map(str, epochs))}: the server was restored in between, and its "
                "positions came again. Name the epoch in which the target's snapshot was taken: --epoch."
            )
        return found[-1]

    def _check_gap(self, entry: Entry, *, first: bool) -> None:
        """Refuses to go over what is missing."""
        if entry.gap and not first and entry.set_back:
            raise StoppedError(f"{entry.gap} Replay ends before it. For what follows restore a snapshot taken after it.")
        if entry.gap and not first and not self.options.over_gaps:
            raise StoppedError(
                f"{entry.gap} Replay stands before it. Restore a snapshot taken after it, or go on all the same: --over-gaps."
            )
        if entry.gap and not first:
            self.done.notes.append(entry.gap)

    def _formerly(self, previous: Entry | None, entry: Entry, before: Storage | None) -> tuple[str, str, Storage | None]:
        """Fingerprint, definitions and storage at the end of the entry before, which may have been removed."""
        if previous is not None:
            return previous.end["fingerprint"], previous.definitions, before
        told = entry.header.get("preceding", {})
        if entry.kind != "segment" or not told.get("fingerprint") or self.storage is None:
            if entry.kind == "segment":
                self._note(
                    f"Entry {entry.number} is the oldest that is left, and does not say what was before it: nobody can see "
                    "whether a table was dropped and made anew in it, or loaded while it was unlogged."
                )
            return entry.end["fingerprint"], entry.definitions, before
        definitions = told["definitions"] or told["fingerprint"]  # an entry of the first version knew no other
        return told["fingerprint"], definitions, unknown(self.storage, told["complete"])

    def _altered(self, chain: Chain, entry: Entry, before: Storage | None) -> dict[str, Altered]:
        """The tables that are not what they were before ``entry``, or may have been something else meanwhile."""
        if before is None or self.storage is None:
            if self.storage is not None:
                self._note(
                    f"Entry {entry.number} is the first that says in which file each table lies: up to it nobody can see "
                    "whether a table was dropped and made anew, or loaded while it was unlogged."
                )
            return {}
        return altered(chain.entries, entry, before, self.storage)

    def _check_mixed(self, chain: Chain, entry: Entry, tables: Mapping[str, Altered], begin: int, *, within: bool) -> None:
        """Refuses rows of a table from before it became what it is: no target is right for them and for those of after it."""
        if (self.resumed and within) or _among(entry.end["fingerprint"], self.options.harmless):
            return  # asked when the replay came to this entry, or answered
        found = mixed(chain.entries, entry, begin, tables)
        if not found:
            return
        why = [f"{tables[name].why} Transaction {xid} changed it before that." for name, xid in found.items()]
        why += [one.why for name, one in tables.items() if one.lying and name not in found]
        raise StoppedError(
            f"{_changed(entry)}, and DDL is not in the archive. Replay stands before it. {_listed(why, ' ')} No target is right "
            "for the changes of before and of after, so that this archive cannot be replayed over it: restore a copy of a time "
            f"after {entry.end.get('looked', entry.end['complete'])}, and replay from there (--from where it is not proven). "
            "Only if you know that the rows of before and of after mean the same, as over GRANT, SET STATISTICS, VACUUM FULL, "
            "CLUSTER, a new column without a default or a new label of an enum, go on with "
            f"--harmless {entry.end['fingerprint'][:12]}."
        )

    def _check_schema(
        self, definitions: str, entry: Entry, before: Storage | None, altered: Mapping[str, Altered], held: datetime | None
    ) -> None:
        """Refuses to go over a schema that the target may not have, and over tables whose rows may be others.

        Where the replay begins within what the entry tells of, the target has what was ``held`` by that time, and perhaps not
        what came later.
        """
        known = _among(entry.end["fingerprint"], self.options.harmless)
        tables = {} if known else self._lacking(before or {}, altered, held)
        if definitions == entry.definitions and not tables:
            if known and altered:
                self.done.notes.append(f"{_changed(entry)}; as told, rows mean the same before and after.")
            return
        what = _changed(entry)
        if held and (self.resumed or not tables):
            self.done.notes.append(f"{what}, in the entry in which this replay begins: be sure that the target has it.")
            return
        if _among(entry.end["fingerprint"], self.options.schemas):
            self.done.notes.append(f"{what}; as told, the target has it.")
            return
        rows = tables and (
            f"{_listed(list(tables.values()), ' ')} What was done to their rows is to be done to the target's as well: drop and "
            "make a table anew, change its rows, or copy them from where they were at that time; where it was VACUUM FULL or "
            "CLUSTER there is nothing to do. "
        )
        begins = "The replay begins in it, and nothing shows whether the target has all of that. " if held else ""
        raise StoppedError(
            f"{what}, and DDL is not in the archive. Replay stands before it. {begins}{rows or ''}Bring the target to it (the "
            "entry, or one before it, holds the whole schema under its end's key schema), then go on with "
            f"--schema {entry.end['fingerprint'][:12]}."
        )

    def _lacking(self, before: Storage, altered: Mapping[str, Altered], held: datetime | None) -> dict[str, str]:
        """The tables that the target may have as they were before, each with why."""
        facts = self.storage or {}
        found = {name: one.why for name, one in altered.items() if self._may_lack(name, one, facts[name], held)}
        if held:
            for name in sorted(before.keys() - facts.keys()):
                if self.connection.run("SELECT to_regclass(:name) IS NOT NULL", name=name) == [[True]]:
                    found[name] = f"{name} is gone: it was dropped, or bears another name."
        return found

    def _may_lack(self, name: str, one: Altered, facts: Facts, held: datetime | None) -> bool:
        here = is_here(self.connection, name, facts)
        if held is None or (one.lying and not here) or (here and "at" not in facts):
            return one.lying and not here
        # That it lies here shows all that was over when its line in the catalogue was written.
        shown = max(held, instant(facts["at"])) if here and facts["at"] else held
        return one.read is not None and one.read > shown

    def _entry(self, entry: Entry, after: int) -> str:
        """Applies what follows ``after`` in an entry; says what ended the replay there, if something did."""
        wanted: dict[int, Commit] = {}
        ended = ""
        for index, commit in enumerate(commits_of(entry)):
            if commit.position <= after:
                continue
            if self._beyond(commit):
                ended = f"what was asked for; next would be {commit.xid}, committed {commit.time} at {show(commit.position)}"
                break
            if commit.xid in self.options.leave_out:
                self.done.left_out.append(commit)
            else:
                wanted[index] = commit
        for index, rows in _transactions(entry):
            if index in wanted:
                self._transaction(entry, index, wanted[index], rows)
        return ended

    def _beyond(self, commit: Commit) -> bool:
        until = self.options.until
        if until is None:
            return False
        return commit.position > until if isinstance(until, int) else instant(commit.time) > until

    def _transaction(self, entry: Entry, index: int, commit: Commit, rows: Iterator[str]) -> None:
        batch = _Batch(self.connection)
        before = Counter(self.done.not_replayed), self.done.changes
        conflicts = len(self.done.conflicts)
        try:
            batch.begin()
            for row in rows:
                change = parse(unescape(row))
                if self.renamed:
                    self._check_open(commit, change)
                self._change(batch, change)
            batch.flush()
        except StoppedError:
            self.connection.run("ROLLBACK")
            raise
        except (_ConflictError, DatabaseError, TextError):
            self.connection.run("ROLLBACK")
            self.done.not_replayed, self.done.changes = Counter(before[0]), before[1]
            again = next(found for at, found in _transactions(entry) if at == index)
            self._one_by_one(commit, again)
        self._lack(self.done.not_replayed - before[0], conflict=False)
        self._lack(Counter(self.done.conflicts[conflicts:]), conflict=True)
        self._progress(entry, commit)

    def _check_open(self, commit: Commit, change: Change) -> None:
        """Refuses rows of a transaction that was open when what they are read by changed, however late it was committed."""
        for of in change.relations:
            newest, told = self.renamed.get(of, (None, ""))
            if older(commit.xid, newest) and not _among(told, self.options.harmless):
                raise StoppedError(
                    f"Transaction {commit.xid}, committed {commit.time} at {show(commit.position)}, was open when {'.'.join(of)} "
                    "was altered, and DDL is not in the archive: its rows may be written by the names of before. Replay stands "
                    f"before this transaction. Leave it out (--leave-out {commit.xid}) and do by hand what it did, restore a "
                    f"copy of a later time, or, if you know that its rows mean the same, go on with --harmless {told[:12]}."
                )

    def _one_by_one(self, commit: Commit, rows: Iterator[str]) -> None:
        """The same transaction, one change at a time, to say which one does not fit, or to go on without it."""
        self.connection.run("BEGIN")
        for row in rows:
            text = unescape(row)
            batch = _Batch(self.connection, single=True)
            try:
                self.connection.run("SAVEPOINT change")
                self._change(batch, parse(text))
                batch.flush()
                self.connection.run("RELEASE change")
            except (_ConflictError, DatabaseError, TextError) as error:
                why = str(error) if isinstance(error, (_ConflictError, TextError)) else said(error)
                what = f"Transaction {commit.xid}, committed {commit.time} at {show(commit.position)}: {why}: {text[:300]}"
                if not self.options.conflicts:
                    self.connection.run("ROLLBACK")
                    raise StoppedError(
                        f"{what} Replay stands before this transaction. Make the target fit, leave the transaction out "
                        f"(--leave-out {commit.xid}), or go on without such changes (--report-conflicts)."
                    ) from None
                self.connection.run("ROLLBACK TO change")
                self.done.conflicts.append(what)

    def _lack(self, found: Mapping[str, int], *, conflict: bool) -> None:
        """Notes, with the transaction itself, what the target will lack: a later run must not end as if it were whole."""
        for what, times in found.items():
            self.connection.run(
                f"INSERT INTO {SCHEMA}.lacking AS l VALUES (md5({literal(what)}), {literal(what)}, {conflict}, {times})"  # noqa: S608
                " ON CONFLICT (id) DO UPDATE SET times = l.times + excluded.times"
            )

    def _progress(self, entry: Entry, commit: Commit) -> None:
        values = (entry.header["system"], str(entry.number), show(commit.position), commit.time)
        listed = ", ".join(map(literal, values))
        self.connection.run(
            f"INSERT INTO {SCHEMA}.progress AS p (system, entry, lsn, committed, transactions) VALUES ({listed}, 1)"  # noqa: S608
            " ON CONFLICT (one) DO UPDATE SET system = excluded.system, entry = excluded.entry, lsn = excluded.lsn,"
            " committed = excluded.committed, transactions = p.transactions + 1; COMMIT"
        )
        self.done.transactions += 1
        self.done.reached = commit

    def _change(self, batch: _Batch, change: Change) -> None:
        if change.action == "TRUNCATE":
            self._truncate(batch, change)
            return
        [of] = change.relations
        if of[0] == SCHEMA:
            return  # the source was itself restored by a replay once
        table = self.target.table(of)
        if table is None:
            raise _ConflictError(f"the target has no table {'.'.join(of)}")
        if table.kind == "m":
            self.done.not_replayed[f"{table.name} is a materialized view: refresh it"] += 1
            return
        self.done.changes += 1
        if change.action == "INSERT" and change.new is not None:
            batch.insert(table, change)
            return
        # Without an old key the row is sought by the new one, which is right only where the log would have held the old.
        unknown = change.old is None and of in self.keyless
        statement = None if unknown else table.update(change) if change.action == "UPDATE" else table.delete(change)
        if statement is None:
            self.done.changes -= 1
            self.done.not_replayed[f"{change.action} of {table.name}: the archive does not say of which row (no key)"] += 1
            return
        batch.add(statement, 1)

    def _truncate(self, batch: _Batch, change: Change) -> None:
        names = []
        for of in change.relations:
            table = self.target.table(of)
            if table is None:
                raise _ConflictError(f"the target has no table {'.'.join(of)}")
            names.append(table.only)  # partitions are named as well
        batch.add(f"TRUNCATE {', '.join(names)}{' RESTART IDENTITY' if change.restart else ''}", 0)
        self.done.changes += 1

    def _report(self, entry: Entry) -> None:
        end = entry.end
        for name in self.tables.get("unlogged", ()):
            self._note(f"{name} is unlogged: its rows are not in the archive.")
        for name in self.tables.get("materialized", ()):
            self._note(f"{name} is a materialized view: its rows are not in the archive. Refresh it.")
        for name in self.tables.get("without_key", ()):
            self._note(f"{name} has no replica identity: inserts are archived, updates and deletes cannot be replayed.")
        if end["large_objects"]:
            self._note("The source has large objects: they are not in the archive.")
        for name in end["unreadable_sequences"]:
            self._note(f"The archiver could not read the sequence {name}: set its value by hand.")

    def _note(self, note: str) -> None:
        if note not in self.done.notes:
            self.done.notes.append(note)

    def _sequences(self, values: dict[str, int]) -> None:
        """Moves sequences on to the recorded values, which may be ahead of the last transaction that was replayed."""
        for name, value in values.items():
            rows = self.connection.run(
                "SELECT seqincrement > 0, pg_sequence_last_value(seqrelid) FROM pg_sequence WHERE seqrelid = to_regclass(:name)",
                name=name,
            )
            if not rows:
                self._note(f"The target has no sequence {name}; its value was {value}.")
                continue
            [[up, last]] = rows
            if last is None or (value > last if up else value < last):
                self.connection.run("SELECT setval(CAST(:name AS regclass), CAST(:value AS bigint))", name=name, value=value)


@dataclass
class _Batch:
    """What is sent to the target at once. Rows of one table that are inserted one after the other go by COPY."""

    connection: Any
    single: bool = False
    statements: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    copy: str = ""
    size: int = 0
    expected: int = 0

    def begin(self) -> None:
        self.statements.append("BEGIN")

    def insert(self, table: Table, change: Change) -> None:
        row = change.new or {}
        if self.single:
            self.add(table.insert(row), 1)
            return
        names = table.written(row)
        copy = table.copy(names)
        if copy != self.copy:
            self.flush()
            self.copy = copy
        text = copied(row[name] for name in names)
        self.rows.append(text)
        self.size += len(text)
        if self.size >= BYTES:
            self.flush()

    def add(self, statement: str, rows: int) -> None:
        if self.rows:
            self.flush()
        self.statements.append(statement)
        self.expected += rows
        self.size += len(statement)
        if len(self.statements) >= STATEMENTS or self.size >= BYTES:
            self.flush()

    def flush(self) -> None:
        """Sends what waits; every UPDATE, DELETE and single INSERT must have met exactly one row."""
        if self.statements:
            expected, statements = self.expected, ";\n".join(self.statements)
            self.statements, self.expected = [], 0
            self.connection.run(statements)
            if expected and self.connection.row_count != expected:
                raise _ConflictError(f"the row is not as it was ({self.connection.row_count} instead of {expected} were met)")
        if self.rows:
            rows, self.rows = self.rows, []
            self.connection.run(self.copy, stream=["".join(rows)])
        self.copy, self.size = "", 0


def _transactions(entry: Entry) -> Iterator[tuple[int, Iterator[str]]]:
    """The transactions of an entry by their index; the rows of one are to be read, or left, before the next is asked for."""
    file = lines(entry.path)
    index = 0
    for line in file:
        if line.partition(b"\t")[2].startswith(b"BEGIN "):
            rows = _rows(file)
            yield index, rows
            for _ in rows:
                pass
            index += 1


def _rows(file: Iterator[bytes]) -> Iterator[str]:
    for line in file:
        text = line.partition(b"\t")[2]
        if text.startswith(b"COMMIT "):
            return
        if text.startswith(b"table "):
            yield text[:-1].decode()


def _listed(found: Sequence[str], between: str = ", ") -> str:
    more = f"{between}and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return between.join(found[:NAMED]) + more


def _among(fingerprint: str, told: Collection[str]) -> bool:
    return any(fingerprint.startswith(beginning) for beginning in told)


def _ahead(entry: Entry, held: datetime) -> bool:
    """Whether what an entry says of tables was read after the last of what the target has was committed."""
    looked = entry.end.get("looked")
    return looked is not None and instant(looked) > held


def _held(chain: Chain, number: int, begin: int) -> datetime:
    """Up to when a target that begins at this position, in this entry, has everything that was committed."""
    entries = [entry for entry in chain.entries if entry.number <= number]
    whole = [instant(entry.end["complete"]) for entry in entries if entry.number < number or begin >= entry.to]
    within = [instant(commit.time) for commit in commits_of(entries[-1]) if commit.position <= begin]
    return max(whole + within, default=datetime.min.replace(tzinfo=UTC))


def _changed(entry: Entry) -> str:
    return (
        f"The schema changed between {entry.header['after']} and {entry.end['to']} "
        f"(entry {entry.number}, fingerprint {entry.end['fingerprint'][:12]})"
    )


def _first(entry: Entry) -> int:
    """The first position after which an entry tells everything, or the only one."""
    return entry.to if entry.kind in ("begin", "gap") else entry.after


def _covers(entry: Entry, following: Entry | None, start: int) -> bool:
    """Whether nothing was committed between the end of an entry and a later position without being archived."""
    if following is None:
        return True
    idle = position(following.header["gap"]["after"]) if following.kind == "gap" else following.after
    return start <= max(entry.to, idle)


def instant(text: str) -> datetime:
    """A time as PostgreSQL writes it."""
    return datetime.fromisoformat(text)


def said(error: DatabaseError) -> str:
    """The server's sentence with its code and detail."""
    fields = error.args[0]
    return " ".join(filter(None, (f"{fields.get('M')} ({fields.get('C')})", fields.get("D"))))
