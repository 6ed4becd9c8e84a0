"""Archives written by hand to the format's letter, so that tests can break one rule and keep the others."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FINGERPRINT = "f" * 64


@dataclass
class Forgery:
    """An archive in ``directory``: entries are added, each linked to the one before."""

    directory: Path
    system: str = "1"
    number: int = 0
    digest: str = ""
    position: int = 0x100
    epoch: int = 1
    paths: list[Path] = field(default_factory=list)

    def add(self, kind: str, rows: Sequence[str] = (), to: int = 0, header: dict[str, Any] | None = None, **end: Any) -> Path:
        """One entry. ``header`` and ``end`` replace what would be said; None takes a key away."""
        self.number += 1
        commits = [row for row in rows if row.split("\t")[1].startswith("COMMIT ")]
        begins = [row for row in rows if row.split("\t")[1].startswith("BEGIN ")]
        after = self.position
        self.position = to or (int(commits[-1].split("\t")[0].split("/")[1], 16) if commits else self.position)
        first = {
            "format": 1,
            "kind": kind,
            "number": self.number,
            "previous": self.digest,
            "epoch": self.epoch,
            "system": self.system,
            "timeline": 1,
            "after": f"0/{after:X}",
            **(header or {}),
        }
        last = {
            "kind": "end",
            "to": f"0/{self.position:X}",
            "complete": "2026-07-02 12:00:00+00",
            "transactions": len(commits),
            "changes": len(rows) - len(commits) - len(begins),
            "fingerprint": FINGERPRINT,
            "sequences": {},
            "large_objects": 0,
            "unreadable_sequences": [],
            **end,
        }
        lines = [json.dumps(without(first)), *rows, json.dumps(without(last))]
        name = f"{self.number:012d}-{kind}-{after:016X}-{self.position:016X}.log.gz"
        path = self.directory / f"epoch-{self.epoch:06d}" / "2026-07-02" / name
        self.digest = write(path, lines)
        self.paths.append(path)
        return path

    def transaction(self, xid: int, at: int, *changes: str, time: str = "2026-07-02 12:00:00+00") -> list[str]:
        """The rows of a transaction that was committed at this position."""
        return [
            f"0/{at - 8:X}\tBEGIN {xid}",
            *(f"0/{at - 8:X}\t{change}" for change in changes),
            f"0/{at:X}\tCOMMIT {xid} (at {time})",
        ]


def write(path: Path, lines: Sequence[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def without(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
