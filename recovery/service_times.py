"""Times that no template holds: how long AWS, people and clients take, with source and date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from model import read

FILE = Path(__file__).parent / "service_times.yaml"
ENTRIES = {"typical", "worst", "basis", "what", "source", "formula"}
BASES = {"published", "assumed", "agreed"}


class DataError(ValueError):
    """A data file says something that cannot be."""


@dataclass(frozen=True)
class ServiceTime:
    """One such time; ``worst`` is None where nothing bounds it."""

    id: str
    what: str
    typical: timedelta
    worst: timedelta | None
    basis: str
    source: str
    formula: str = ""


@dataclass(frozen=True)
class ServiceTimes:
    """All of them, and the day on which their sources were read."""

    read: str
    times: Mapping[str, ServiceTime]

    @property
    def formulas(self) -> frozenset[str]:
        """Those that grow with the data, which a measurement may be a figure for."""
        return frozenset(name for name, time in self.times.items() if time.formula)

    def __getitem__(self, name: str) -> ServiceTime:
        return self.times[name]


def load(text: str) -> ServiceTimes:
    """The times of a data file; raises DataError with a sentence."""
    document = read(text)
    return ServiceTimes(str(document["read"]), {name: _time(name, entry) for name, entry in document["times"].items()})


def service_times() -> ServiceTimes:
    """The times of ``service_times.yaml``."""
    return load(FILE.read_text(encoding="utf-8"))


def _time(name: str, entry: Mapping[str, Any]) -> ServiceTime:
    typical, worst = entry["typical"], entry["worst"]
    unknown = set(entry) - ENTRIES
    if unknown:
        raise DataError(f"service_times.yaml: {name} has {', '.join(sorted(unknown))}; quote a text with a comma")
    if entry["basis"] not in BASES:
        raise DataError(f"service_times.yaml: {name} rests on {entry['basis']}; say one of {', '.join(sorted(BASES))}")
    if worst is not None and worst < typical:
        raise DataError(
            f"service_times.yaml: {name} takes {typical} s as a rule, which is more than {worst} s at worst; mend one"
        )
    bound = None if worst is None else timedelta(seconds=worst)
    return ServiceTime(
        name, entry["what"], timedelta(seconds=typical), bound, entry["basis"], entry["source"], entry.get("formula", "")
    )
