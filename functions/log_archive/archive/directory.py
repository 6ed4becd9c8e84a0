"""The archive's directory: what its newest entry is, how the next one is written, and how the oldest ones go.

``epoch-000001/2026-07-02/000000000042-segment-0000000001950F30-0000000001951460.log.gz`` is entry 42; numbers go on over days and
epochs. What stands there under its name is whole and on disk; ``next.tmp`` is not. ``head.json`` repeats what the newest entry
says, and adds how far the server has been read without finding anything since; where the two differ, the entries are right.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

from archive import lsn

FORMAT = 1
ENTRY = re.compile(r"(\d{12})-(begin|gap|prune|segment)-[0-9A-F]{16}-[0-9A-F]{16}\.log\.gz")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
EPOCH = re.compile(r"epoch-(\d{6})")
PORTION = 1 << 18  # bytes that are compressed, or hashed, at a time
LEVEL = 1  # a small Lambda has a fraction of a processor; higher levels cost it several times as much for a fifth less


@dataclass(frozen=True)
class Head:
    """The newest entry, and the position up to which everything that was committed is in the archive.

    ``complete`` is the server's time at which that was so. ``sequences`` are those that were last told, None where nobody
    knows. ``missing`` names an entry that head.json knows and nobody finds. ``anew`` is why a slot is being made anew (``lost``,
    ``gone``), until the entry that says so stands. ``xid`` and ``committed`` are the last transaction that was archived.
    """

    number: int
    name: str
    sha256: str
    epoch: int
    system: str
    timeline: int
    position: int
    complete: str
    fingerprint: str = ""
    definitions: str = ""
    sequences: Mapping[str, int] | None = None
    missing: str = ""
    anew: str = ""
    xid: int = 0
    committed: str = ""


@dataclass(frozen=True)
class Directory:
    """The archive in ``path``. ``ours`` raises where another archiver may have begun by now."""

    path: Path
    ours: Callable[[], object] = lambda: None

    @property
    def _head(self) -> Path:
        return self.path / "head.json"

    def head(self) -> Head | None:
        """Where the archive ends, or None where there is no entry yet."""
        newest = next((path for _, path in self._entries(reverse=True)), None)
        known = self._known()
        if newest is None:
            # Entries that have all been taken away: the chain cannot go on from them, but it can say so.
            return known and replace(known, missing=known.name)
        name = newest.relative_to(self.path).as_posix()
        if known and known.name == name:
            return known
        found = _read(newest, name)
        return replace(found, missing=known.name) if known and known.number > found.number else found

    def _known(self) -> Head | None:
        try:
            values = json.loads(self._head.read_text(encoding="utf-8"))
            return Head(**{**values, "position": lsn.parse(values["position"])})
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None  # not there, damaged, or of a later version: the entries say enough to go on

    def begin(self, header: Mapping[str, Any]) -> Part:
        """The next entry, not yet to be seen."""
        return Part(self.path / "next.tmp", {"format": FORMAT, **header})

    def keep(self, part: Part, head: Head, end: Mapping[str, Any], day: str) -> Head:
        """Ends ``part`` and makes it entry ``head.number``. When this returns, a loss of power does not take it away."""
        kind, first = part.header["kind"], end.get("first") or part.header["after"]
        label = f"{head.number:012d}-{kind}-{lsn.parse(first):016X}-{head.position:016X}.log.gz"
        digest = part.finish(end)
        folder = self.path / place(head.epoch, day)
        for level in (folder.parent, folder):
            if not level.is_dir():
                level.mkdir()
                _sync(level.parent)
        self._name(part.path, folder / label)
        _sync(folder)
        _sync(self.path)
        kept = replace(head, name=(folder / label).relative_to(self.path).as_posix(), sha256=digest)
        self.note(kept)
        return kept

    def note(self, head: Head) -> None:
        """Writes head.json."""
        values = {**vars(head), "position": lsn.show(head.position)}
        part = self.path / "head.tmp"
        part.unlink(missing_ok=True)
        with part.open("x", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            os.fsync(file.fileno())
        self._name(part, self._head)
        _sync(self.path)

    def expired(self, before: str) -> tuple[int, str] | None:
        """The last entry of the oldest days before ``before``, with its digest; None where nothing is that old.

        Whole days from the beginning only, and never the newest: what is left still begins with a whole state.
        """
        last = newer = None
        for day, path in self._entries():
            if day >= before:
                newer = path
                break
            last = path
        return (int(last.name[:12]), str(_header(newer)["previous"])) if last and newer else None

    def remove(self, through: int) -> int:
        """Removes the entries up to this number, oldest first, so that what is left is always the end of the chain."""
        paths = (path for _, path in self._entries())
        removed = list(takewhile(lambda path: int(path.name[:12]) <= through, paths))
        for path in removed:
            os.unlink(path)  # noqa: PTH108  one name for tests to stop at
        for folder in (*self.path.glob("epoch-*/*"), *self.path.glob("epoch-*")):
            if not any(folder.iterdir()):
                folder.rmdir()
        return len(removed)

    def _name(self, part: Path, name: Path) -> None:
        """Gives what is whole its name. Writing it may have taken so long that the server has ended the session, and the lock."""
        self.ours()
        os.replace(part, name)  # noqa: PTH105  one name for tests to stop at

    def _entries(self, reverse: bool = False) -> Iterator[tuple[str, Path]]:
        """Day and path of the entries; one folder is read at a time."""
        for epoch in _names(self.path, EPOCH, reverse):
            for day in _names(self.path / epoch, DAY, reverse):
                for name in _names(self.path / epoch / day, ENTRY, reverse):
                    yield day, self.path / epoch / day / name


class Part:
    """An entry that is being written: compressed, hashed and on its way to disk portion by portion, never held."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.header = header
        path.unlink(missing_ok=True)  # never the file that a run which was held up goes on writing to
        self._file: BinaryIO = path.open("xb")
        self._start()

    def write(self, data: bytes) -> None:
        """Adds a row."""
        self._waiting += data
        if len(self._waiting) >= PORTION:
            self._compress()

    def rewind(self) -> None:
        """Back to the header."""
        self._file.seek(0)
        self._file.truncate()
        self._start()

    def finish(self, end: Mapping[str, Any]) -> str:
        """Writes the end; returns the file's digest once it is on disk."""
        self._waiting += _line({"kind": "end", **end})
        self._compress()
        self._put(self._compressor.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()  # what was not finished is begun anew by the next part

    def _start(self) -> None:
        self._digest = hashlib.sha256()
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)  # 31: with gzip's own frame, without a date
        self._waiting = bytearray(_line(self.header))

    def _compress(self) -> None:
        self._put(self._compressor.compress(self._waiting))
        self._waiting.clear()

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def place(epoch: int, day: str) -> str:
    """The folder of a day. The first entry in each repeats the whole state of the database."""
    return f"epoch-{epoch:06d}/{day}"


def _names(path: Path, pattern: re.Pattern[str], reverse: bool) -> list[str]:
    return sorted((found.name for found in path.iterdir() if pattern.fullmatch(found.name)), reverse=reverse)


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def _sync(folder: Path) -> None:
    """Makes the names in a folder lasting."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _header(path: Path) -> dict[str, Any]:
    with gzip.open(path) as file:
        header: dict[str, Any] = json.loads(file.readline())
    return header


def _read(path: Path, name: str) -> Head:
    """The head that this entry is. Its sequences are left out, so that the next entry repeats them."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    with gzip.open(path) as file:
        first, line = json.loads(file.readline()), b""
        for line in file:  # noqa: B007  the last one is used
            pass
    end = json.loads(line)
    return Head(
        first["number"],
        name,
        digest.hexdigest(),
        first["epoch"],
        first["system"],
        first["timeline"],
        lsn.parse(end["to"]),
        end["complete"],
        end["fingerprint"],
        end.get("definitions", ""),  # entries of the first version have none
    )
