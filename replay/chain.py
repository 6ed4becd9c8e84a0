"""The archive as a chain of entries: reads every one, and says precisely what is broken.

An entry is a gzip file: a header (JSON), rows (position, tab, the decoder's text, as COPY escapes it) and an end (JSON).
Each header holds the digest of the entry before it. What a chain cannot show by itself is that its newest entries are gone:
head.json shows it for a fault, and a digest from another place (the function's log) for an intruder.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

FORMAT = 1
NAME = re.compile(r"epoch-(\d{6})/\d{4}-\d{2}-\d{2}/(\d{12})-(begin|gap|prune|segment)-([0-9A-F]{16})-([0-9A-F]{16})\.log\.gz")
HEADER = {"number": int, "kind": str, "previous": str, "epoch": int, "system": str, "timeline": int, "after": str}
END = {
    "to": str,
    "complete": str,
    "transactions": int,
    "changes": int,
    "fingerprint": str,
    "sequences": dict,
    "large_objects": int,
    "unreadable_sequences": list,
}
SINCE = {"definitions": str, "storage": dict, "looked": str, "preceding": dict}  # entries of earlier versions have none of them
POSITION = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
COMMIT = re.compile(rb"COMMIT (\d+) \(at ([^)]+)\)")


def position(text: str) -> int:
    """A position of the log, which PostgreSQL writes as ``16/B374D848``, as a number."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def show(number: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with the archive: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Commit:
    """The last transaction of an entry."""

    xid: int
    position: int
    time: str


@dataclass(frozen=True)
class Entry:
    """One link: what its header and its end say. ``to`` is the position up to which the archive is complete with it."""

    path: Path = field(repr=False)
    sha256: str
    header: Mapping[str, Any] = field(repr=False)
    end: Mapping[str, Any] = field(repr=False)
    last: Commit | None

    @property
    def number(self) -> int:
        return int(self.header["number"])

    @property
    def kind(self) -> str:
        return str(self.header["kind"])

    @property
    def epoch(self) -> int:
        return int(self.header["epoch"])

    @property
    def after(self) -> int:
        return position(self.header["after"])

    @property
    def to(self) -> int:
        return position(self.end["to"])

    @property
    def definitions(self) -> str:
        """The digest of the schema alone, without where its rows lie; entries of the first version know no other."""
        return str(self.end.get("definitions", self.end["fingerprint"]))

    @property
    def set_back(self) -> bool:
        """Whether the server went on from before the end of what was archived of it: what follows does not go with that."""
        gap = self.header.get("gap")
        return gap is not None and position(gap["until"]) < position(gap["after"])

    @property
    def gap(self) -> str | None:
        """A sentence, where something was lost before this entry."""
        gap = self.header.get("gap")
        if self.kind != "gap" or not gap:
            return None
        if self.set_back:
            return (
                f"Entry {self.number} begins another history: the server was set back from {gap['after']} to {gap['until']} "
                f"({self.header['reason']})."
            )
        return (
            f"Entry {self.number} is a gap: what was committed between {gap['after']} and {gap['until']} is not in the archive "
            f"({self.header['reason']})."
        )


@dataclass(frozen=True)
class Chain:
    """The entries in order, and what is wrong with them; nothing is proven beyond the first problem."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    @property
    def gaps(self) -> tuple[str, ...]:
        return tuple(entry.gap for entry in self.entries if entry.gap)


def verify(directory: Path, head: str | None = None) -> Chain:
    """Reads the whole archive. ``head`` is a digest that the archiver logged: the entry that it belongs to must be there."""
    if not directory.is_dir():
        return Chain((), (Problem(str(directory), "is no directory; name the one that holds the archive."),))
    problems: list[Problem] = []
    entries: list[Entry] = []
    for path in _files(directory, problems):
        where = path.relative_to(directory).as_posix()
        try:
            entry = _read(path)
        except _DamageError as damage:
            problems.append(Problem(where, str(damage)))
            continue
        problems.extend(Problem(where, what) for what in _named(entry, where))
        entries.append(entry)
    entries.sort(key=lambda entry: entry.number)
    entries = _kept(entries)
    if not entries and not problems:
        problems.append(Problem(str(directory), "holds no entry of an archive."))
    for before, entry in zip([None, *entries], entries, strict=False):
        where = entry.path.relative_to(directory).as_posix()
        problems.extend(Problem(where, what) for what in _linked(before, entry, entries))
    problems.extend(_newest(directory, entries, head))
    return Chain(tuple(entries), tuple(problems))


def _files(directory: Path, problems: list[Problem]) -> Iterator[Path]:
    for path in sorted(directory.glob("epoch-*/**/*")):
        if path.is_file():
            if NAME.fullmatch(path.relative_to(directory).as_posix()):
                yield path
            else:
                problems.append(Problem(path.relative_to(directory).as_posix(), "is no entry, by its name."))


class _DamageError(Exception):
    """An entry cannot be read; the sentence says where it ends."""


def lines(path: Path) -> Iterator[bytes]:
    """The lines of an entry, one held at a time."""
    with gzip.open(path) as file:
        yield from file


def _read(path: Path) -> Entry:
    count = 0
    line = b""
    header: Mapping[str, Any] = {}
    last: Commit | None = None
    transactions = changes = 0
    inside = False
    previous = 0
    with path.open("rb") as raw:
        tee = _Tee(raw)
        try:
            with gzip.open(cast("IO[bytes]", tee)) as file:
                for line in file:
                    count += 1
                    if count == 1:
                        header = _json(line, HEADER, "header")
                        continue
                    at, _, text = line.partition(b"\t")
                    if text.startswith(b"COMMIT "):
                        found = COMMIT.match(text)
                        if not inside or not found:
                            raise _DamageError(f"line {count} is a COMMIT that ends nothing.")
                        last = Commit(int(found[1]), position(at.decode()), found[2].decode())
                        if last.position <= previous:
                            raise _DamageError(f"line {count}: the commit at {at.decode()} is not after the one before it.")
                        inside, previous, transactions = False, last.position, transactions + 1
                    elif text.startswith(b"BEGIN "):
                        if inside:
                            raise _DamageError(f"line {count} is a BEGIN inside a transaction.")
                        inside = True
                    elif inside:
                        changes += 1
                    elif not line.startswith(b"{"):
                        raise _DamageError(f"line {count} is a change outside a transaction.")
        except (OSError, EOFError, zlib.error) as error:
            raise _DamageError(f"cannot be unpacked beyond line {count}: {error}") from None
        except ValueError:
            raise _DamageError(f"line {count} is a COMMIT without a position.") from None
    if count < 2:
        raise _DamageError("holds no end: it was cut off.")
    end = _json(line, END, "end")
    for text in (header["after"], end["to"]):
        if not POSITION.fullmatch(text):
            raise _DamageError(f"says {text!r} where a position belongs.")
    if (end["transactions"], end["changes"]) != (transactions, changes):
        raise _DamageError(
            f"its end says {end['transactions']} transactions with {end['changes']} changes, and it holds {transactions} "
            f"with {changes}."
        )
    return Entry(path, tee.digest.hexdigest(), header, end, last)


class _Tee:
    """Digests what is read through it, so that one reading does."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data


def _json(line: bytes, keys: Mapping[str, type], what: str) -> Mapping[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    if not isinstance(values, dict) or (what == "end") != (values.get("kind") == "end"):
        raise _DamageError(f"holds no {what}: it was cut off or changed.")
    if what == "header" and values.get("format") != FORMAT:
        raise _DamageError(f"is of format {values.get('format')}; this program reads {FORMAT}.")
    wrong = [key for key, kind in keys.items() if not isinstance(values.get(key), kind)]
    wrong += [key for key, kind in SINCE.items() if key in values and not isinstance(values[key], kind)]
    if wrong:
        raise _DamageError(f"its {what} lacks {', '.join(wrong)}.")
    return values


def _named(entry: Entry, where: str) -> Iterator[str]:
    found = NAME.fullmatch(where)
    said = (f"{entry.epoch:06d}", f"{entry.number:012d}", entry.kind)
    if found and found.groups()[:3] != said:
        yield f"its header says epoch {entry.epoch}, number {entry.number}, {entry.kind}: it was renamed or replaced."


def _kept(entries: list[Entry]) -> list[Entry]:
    """Without what the newest pruning had condemned and not yet removed."""
    through = max((int(entry.header["through"]) for entry in entries if entry.kind == "prune"), default=0)
    return [entry for entry in entries if entry.number > through]


def _linked(before: Entry | None, entry: Entry, entries: list[Entry]) -> Iterator[str]:
    previous = entry.header["previous"]
    if before is None:
        pruned = {(int(e.header["through"]) + 1, e.header["digest"]) for e in entries if e.kind == "prune"}
        if (entry.number, previous) not in pruned and (entry.number != 1 or previous):
            yield f"is the oldest, and no entry says that those before number {entry.number} were removed in order."
        return
    if entry.number == before.number:
        yield f"number {entry.number} is there twice: two archivers wrote to one directory."
    elif entry.number != before.number + 1:
        missing = f"{before.number + 1} to {entry.number - 1}" if entry.number > before.number + 2 else str(entry.number - 1)
        yield f"entry {missing} before it is missing or cannot be read."
    elif previous != before.sha256:
        yield (
            f"says that entry {before.number} has the digest {previous[:16]}…, but it has {before.sha256[:16]}…: "
            "one of the two was changed."
        )
    if entry.epoch < before.epoch or (entry.epoch > before.epoch and entry.kind != "gap"):
        yield f"epoch {entry.epoch} follows epoch {before.epoch} without an entry that says why."
    if entry.kind != "gap" and entry.after < before.to:
        yield f"begins at {entry.header['after']}, before the end of entry {before.number} at {before.end['to']}."


def _newest(directory: Path, entries: list[Entry], head: str | None) -> Iterator[Problem]:
    try:
        known = json.loads((directory / "head.json").read_text(encoding="utf-8"))
        number, digest = int(known["number"]), str(known["sha256"])
    except FileNotFoundError:
        number = 0
    except (ValueError, KeyError, TypeError):
        number = 0
        yield Problem("head.json", "cannot be read; the archiver writes it anew, and the entries are checked without it.")
    newest = entries[-1].number if entries else 0
    if number > newest:
        yield Problem("head.json", f"knows entry {number}, and the newest that is there is {newest}: the end was taken away.")
    if number and any(entry.number == number and entry.sha256 != digest for entry in entries):
        yield Problem("head.json", f"knows entry {number} with the digest {digest[:16]}…: the entry was changed.")
    if head and not any(entry.sha256 == head for entry in entries):
        yield Problem(str(directory), f"no entry has the digest {head} that was logged: the end was taken away or changed.")
