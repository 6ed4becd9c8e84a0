"""Where the rows of each table lay, entry by entry: what shows that rows came or went in a way that the decoder does not write.

A table that was dropped and made anew under its name, loaded while it was unlogged, or written anew has the same definition as
before. Each entry says the oid, the file and the last change of every table, and a TRUNCATE, which the archive holds, is the one
innocent reason for another file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from replay.chain import COMMIT, Entry, lines
from replay.text import Relation, TextError, parse, relation, unescape

Facts = Mapping[str, str | None]
Storage = Mapping[str, Facts]

MOVED = {"file", "by", "at"}  # what a TRUNCATE changes
TRUNCATES = (b" (no-flags)\n", b" restart_seqs\n", b" cascade\n")  # how its line ends, and no other does
HERE = """
SELECT oid::text, relfilenode::text, xmin::text FROM pg_class WHERE oid = to_regclass(:name)
"""


def replaced(entries: Sequence[Entry], entry: Entry, before: Storage, after: Storage) -> dict[str, str]:
    """What happened to tables before ``entry`` that no TRUNCATE explains: by name, a sentence each."""
    found = {}
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        changed = {fact for fact in new if fact != "at" and new[fact] != old.get(fact)}
        if changed and not (changed <= MOVED and _truncated(entries, entry, relation(name), new)):
            found[name] = _sentence(name, changed)
    return found


def is_here(connection: Any, name: str, facts: Facts) -> bool:
    """Whether the target is a copy that was taken after the table had become what it is: it lies in that very file then."""
    return [list(row) for row in connection.run(HERE, name=name)] == [[facts.get(fact) for fact in ("oid", "file", "by")]]


def _sentence(name: str, changed: set[str]) -> str:
    if "oid" in changed:
        return f"{name} is another table than before: it was dropped and made anew, or has taken another one's name."
    if "persistence" in changed:
        return f"{name} became logged or unlogged: rows of an unlogged table are not in the archive."
    if changed & {"identity", "key"}:
        return f"{name} has another key: what tells its rows apart was made anew."
    if changed & {"file", "toast"}:
        return (
            f"{name} lies in another file: VACUUM FULL or CLUSTER wrote it anew, which leaves its rows as they are, or ALTER "
            "TABLE, which may change them or have let rows in while it was unlogged."
        )
    return f"{name} was altered, although it looks as before: its key or its owner, for one, may have been another meanwhile."


def _truncated(entries: Sequence[Entry], entry: Entry, table: Relation, facts: Facts) -> bool:
    """Whether the transaction that changed the table last is in the archive, with a TRUNCATE of it.

    What the entry says of a table was read after its changes, so that the TRUNCATE may stand in a later one. In a
    subtransaction it has a number of its own, and its time is that of the whole.
    """
    at = entries.index(entry)
    near = [entry, *entries[max(0, at - 1) : at]]
    for candidate in [*near, *entries[at + 1 :]]:
        for xid, time, tables in _truncations(candidate):
            if table in tables and (xid == facts.get("by") or time == facts.get("at")):
                return True
        if candidate not in near and _past(entries[entries.index(candidate) - 1], facts.get("at")):
            return False
    return False


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
                tables.update(parse(unescape(text[:-1].decode())).relations)
