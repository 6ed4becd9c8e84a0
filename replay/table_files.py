"""Where the rows of each table lay and what they meant, entry by entry: what shows that rows came, went or were read in a way
that the decoder does not write.

A table that was dropped and made anew under its name, loaded while it was unlogged, or written anew has the same definition as
before, and so has one whose columns had other names for a while. Each entry says of every table its oid, its file and the last
change of all that gives its rows their meaning. A TRUNCATE, which the archive holds, is the one innocent reason for another file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from replay.chain import COMMIT, Entry, lines, position
from replay.decoding_text import Relation, TextError, head, relation, unescape

Facts = Mapping[str, Any]
Storage = Mapping[str, Facts]

LYING = {"oid", "file", "toast", "persistence"}  # another one means that rows may be others, whatever the archive holds
READ = {"columns", "code"}  # what rows are read by
APART = {"by", "identity", "key", "index"}  # what tells rows apart
FACTS = LYING | READ | APART
TRUNCATES = (b" (no-flags)\n", b" restart_seqs\n", b" cascade\n")  # how its line ends, and no other does
INSTANT = timedelta(microseconds=1)
EVER = datetime.max.replace(tzinfo=UTC)
HERE = """
SELECT oid::text, relfilenode::text, xmin::text FROM pg_class WHERE oid = to_regclass(:name)
"""


@dataclass(frozen=True)
class Altered:
    """What happened to a table between two entries: ``why`` is a sentence.

    ``lying``: its rows may be others than the archive says. ``read`` and ``apart`` are when it was over: changes that were
    committed up to then may have been read by other names, or (an UPDATE that does not say which row it was) be another row's.
    ``newest`` is the transaction that ended it: one that is older may have been read by other names whenever it was committed.
    """

    why: str
    lying: bool
    read: datetime | None
    apart: datetime | None
    newest: int | None = None


def altered(entries: Sequence[Entry], entry: Entry, before: Storage, after: Storage) -> dict[str, Altered]:
    """What happened to tables before ``entry`` said where they lie, but for what a TRUNCATE explains."""
    found = {}
    truncations = _Truncations(entries, entries.index(entry))
    for name in sorted(after):
        new = after[name]
        old = before.get(name)
        if old is None:
            one = _made(truncations, entry, name, new)
        else:
            changed = {fact for fact in FACTS & new.keys() & old.keys() if new[fact] != old[fact]}
            one = _changed(truncations, entry, name, old, new, changed) if changed else None
        if one:
            found[name] = one
    return found


def unknown(after: Storage, since: str) -> Storage:
    """What tables were before the oldest entry that is left, as far as their marks show it: ``since`` is when that was."""
    known = {}
    for name, facts in after.items():
        new = facts.keys() & FACTS
        lost: set[str] = set()
        if "code" in new and facts["code"] is not None:
            lost |= {"code"}
        if _later(facts.get("at"), since):
            lost |= {"file", "by"}
        if _later(facts.get("since"), since):
            lost |= new - {"code"}
        known[name] = {fact: None if fact in lost else facts[fact] for fact in new}
    return known


def mixed(entries: Sequence[Entry], entry: Entry, after: int, found: Mapping[str, Altered]) -> dict[str, int]:
    """Tables of which changes after a position came before it was over what happened to them, with the first one's number."""
    tables = {relation(name): name for name in found}
    until = max((time for one in found.values() for time in (one.read, one.apart) if time), default=None)
    first: dict[str, int] = {}
    if until is None:
        return first
    rest = entries[entries.index(entry) :]
    for previous, candidate in zip([None, *rest], rest, strict=False):
        if previous and datetime.fromisoformat(previous.end["complete"]) > until:
            break
        for xid, at, time, changes in _changes(candidate, tables):
            for table, blind in changes if at > after else ():
                one = found[tables[table]]
                if (one.read and time <= one.read) or older(xid, one.newest) or (blind and one.apart and time <= one.apart):
                    first.setdefault(tables[table], xid)
    return first


def older(xid: int, than: int | None) -> bool:
    """Whether a transaction has an earlier number than another; numbers come round."""
    return than is not None and 0 < (than - xid) % 2**32 < 2**31


def renamed(before: Storage, after: Storage) -> dict[Relation, int]:
    """Tables that were read by other names before, each with the transaction that ended it."""
    return {
        relation(name): int(new["newest"])
        for name, new in after.items()
        if new.get("newest") and name in before and before[name].get("columns") != new["columns"]
    }


def is_here(connection: Any, name: str, facts: Facts) -> bool:
    """Whether the target is a copy that was taken after the table had become what it is: it lies in that very file then."""
    return [list(row) for row in connection.run(HERE, name=name)] == [[facts.get(fact) for fact in ("oid", "file", "by")]]


def _changed(
    truncations: _Truncations, entry: Entry, name: str, old: Facts, new: Facts, changed: Collection[str]
) -> Altered | None:
    rest = set(changed)
    if "file" in rest and not rest & (LYING - {"file"}) and truncations.explain(relation(name), new):
        # Only a line that this very TRUNCATE wrote last shows that nothing else was done to the table in its transaction.
        rest -= {"file", "by"} if new.get("alone") else {"file"} if new.get("emptied") else set()
    if not rest:
        return None
    lying = bool(rest & LYING)
    over = _over(entry, new, rest)
    # Without a key, such an UPDATE is listed and not replayed.
    apart = rest & APART and (new["key"] is not None or new["identity"] == "f")
    newest = int(new["newest"]) if "columns" in rest and new.get("newest") else None
    return Altered(_sentence(name, rest, old), lying, over if rest & (LYING | READ) else None, over if apart else None, newest)


def _made(truncations: _Truncations, entry: Entry, name: str, new: Facts) -> Altered | None:
    """A table that is new may have been filled before it became what it is. What comes in the same transaction is its own."""
    if "since" not in new:
        return None
    as_made = new["file"] in ("0", new["oid"]) or (new["emptied"] and truncations.explain(relation(name), new))
    over = _over(entry, new, {"by", "columns"}) - INSTANT
    since = _over(entry, new, {"columns"}) - INSTANT
    return Altered(
        f"{name} is new: it was made, or was altered, or made once more, after it had been made.",
        False,
        since if as_made else over,
        over,
    )


def _over(entry: Entry, new: Facts, changed: Collection[str]) -> datetime:
    """When it was over. Functions that are gone have left no time: it was before we looked."""
    times = {new.get("at") if fact in LYING or fact == "by" else new.get("since") for fact in changed if fact != "identity"}
    times |= {new.get("at"), new.get("since")} if "identity" in changed else set()
    if None in times or "code" in changed:
        times = {entry.end.get("looked")}
    return max((EVER if time is None else datetime.fromisoformat(time) for time in times), default=EVER)


def _sentence(name: str, changed: Collection[str], old: Facts) -> str:
    changed = set(changed)
    if changed & LYING and old.get("file") is None:
        return (
            f"{name} was altered or made anew in the oldest entry that is left: what it was before was removed with the others."
        )
    if "oid" in changed:
        return f"{name} is another table than before: it was dropped and made anew, or has taken another one's name."
    if "persistence" in changed:
        return f"{name} became logged or unlogged: rows of an unlogged table are not in the archive."
    if changed & {"file", "toast"}:
        return (
            f"{name} lies in another file: VACUUM FULL or CLUSTER wrote it anew, which leaves its rows as they are, or ALTER "
            "TABLE, which may change them or have let rows in while it was unlogged."
        )
    if changed & {"identity", "key", "index"}:
        return f"{name} has another key: what tells its rows apart was made anew."
    if "columns" in changed:
        return f"{name} was altered: its columns, its name, its schema's or what its types mean may have been others meanwhile."
    if "code" in changed:
        return f"{name} has a generated column that calls a function, and functions were made anew."
    return f"{name} was altered, although it looks as before: its key or its owner, for one, may have been another meanwhile."


def _later(time: str | None, since: str) -> bool:
    return time is None or datetime.fromisoformat(time) > datetime.fromisoformat(since)


@dataclass
class _Truncations:
    """What entries empty, from the one ``at`` on: each entry is read once, however many tables ask."""

    entries: Sequence[Entry]
    at: int
    known: dict[int, Sequence[tuple[str, str, set[Relation]]]] = field(default_factory=dict)

    def explain(self, table: Relation, facts: Facts) -> bool:
        """Whether the transaction that changed the table last is in the archive, with a TRUNCATE of it.

        What the entry says of a table was read after its changes, so that the TRUNCATE may stand in a later one. In a
        subtransaction it has a number of its own, and its time is that of the whole.
        """
        before = range(max(0, self.at - 1), self.at)
        for at in (self.at, *before, *range(self.at + 1, len(self.entries))):
            for xid, time, tables in self._of(at):
                if table in tables and (xid == facts.get("by") or time == facts.get("at")):
                    return True
            if at > self.at and _past(self.entries[at - 1], facts.get("at")):
                return False
        return False

    def _of(self, at: int) -> Sequence[tuple[str, str, set[Relation]]]:
        if at not in self.known:
            self.known[at] = tuple(_truncations(self.entries[at]))
        return self.known[at]


def _past(entry: Entry, at: str | None) -> bool:
    """Whether what was committed at that time must be in the archive with this entry."""
    return at is not None and datetime.fromisoformat(entry.end["complete"]) > datetime.fromisoformat(at)


def _truncations(entry: Entry) -> Iterator[tuple[str, str, set[Relation]]]:
    """The transactions of an entry that empty tables: number, time, tables."""
    tables: set[Relation] = set()
    for line in lines(entry.path):
        text = line.partition(b"\t")[2]
        if text.startswith(b"COMMIT "):
            ended = COMMIT.match(text)
            if tables and ended:
                yield ended[1].decode(), ended[2].decode(), tables
            tables = set()
        elif text.endswith(TRUNCATES) and text.startswith(b"table "):
            with suppress(TextError):  # what nobody can read stops the replay where it is applied
                tables.update(head(unescape(text[:-1].decode()))[0])


def _changes(entry: Entry, tables: Collection[Relation]) -> Iterator[tuple[int, int, datetime, set[tuple[Relation, bool]]]]:
    """The transactions of an entry: number, position, time, and the tables that they change, with whether by an UPDATE that does
    not say which row it was."""
    changes: set[tuple[Relation, bool]] = set()
    for line in lines(entry.path):
        where, _, text = line.partition(b"\t")
        if text.startswith(b"COMMIT "):
            ended = COMMIT.match(text)
            if changes and ended:
                time = datetime.fromisoformat(ended[2].decode())
                yield int(ended[1]), position(where.decode()), time, changes
            changes = set()
        elif text.startswith(b"table "):
            with suppress(TextError):
                named, action, rest = head(unescape(text[:-1].decode()))
                blind = action == "UPDATE" and not rest.startswith(" old-key:")
                changes.update((table, blind) for table in named if table in tables)
