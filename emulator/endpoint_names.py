"""Endpoints of clusters: their names, of which that of the writer resolves only where the cluster writes.

What resolves has a file of its name in one directory, which functions and whoever started the emulator look into
(``mounted/emulator_names.py``).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emulator.mounted.emulator_names import ZONE

_RUN = secrets.token_hex(8)  # two emulators have no name in common
_places: list[Path] = []


@dataclass(frozen=True)
class Names:
    """What AWS calls a cluster's two endpoints: all but the kind is the same."""

    writer: str
    reader: str


def install(directory: Path) -> None:
    """``directory``: that of the emulator."""
    _places[:] = [place(directory)]
    _places[0].mkdir(mode=0o755, exist_ok=True)


def place(directory: Path) -> Path:
    """Where the names stand that resolve."""
    return directory / "names"


def environment() -> dict[str, str]:
    """What a function's process needs so that it resolves them."""
    return {"EMULATOR_NAMES": str(_places[0])}


def of(arn: str) -> Names:
    """The names of a cluster, by its ARN."""
    _, _, _, region, account, kind, identifier = arn.split(":")
    if kind != "cluster":
        raise ValueError(f"{arn} is no cluster.")
    label = hashlib.sha256(f"{_RUN}{account}{region}".encode()).hexdigest()[:12]
    return Names(*(f"{identifier}.{kind}-{label}.{region}{ZONE}" for kind in ("cluster", "cluster-ro")))


def resolve(wanted: Iterable[str]) -> None:
    """These names resolve, and no other."""
    all_of_them, there = set(wanted), {one.name for one in _places[0].iterdir()}
    for name in there - all_of_them:
        (_places[0] / name).unlink()
    for name in all_of_them - there:
        (_places[0] / name).touch()
