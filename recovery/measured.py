"""What somebody measured and committed: ``docs/measured/restores.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from model import read
from recovery.service_times import DataError

NEEDED = ("formula", "size_gib", "seconds", "date", "where")


@dataclass(frozen=True)
class Measured:
    """One restore that was timed; ``formula`` is the id of the term that it is a figure for."""

    formula: str
    size_gib: float
    took: timedelta
    date: str
    where: str


def measured(text: str, formulas: frozenset[str]) -> tuple[Measured, ...]:
    """The measurements of a file; raises DataError with a sentence."""
    found = []
    for entry in read(text).get("restores") or ():
        missing = [name for name in NEEDED if name not in entry]
        if missing:
            raise DataError(f"docs/measured/restores.yaml: {entry} lacks {', '.join(missing)}")
        if entry["formula"] not in formulas:
            known = ", ".join(sorted(formulas))
            raise DataError(f"docs/measured/restores.yaml: {entry['formula']} is no formula; there are {known}")
        took = timedelta(seconds=entry["seconds"])
        found.append(Measured(entry["formula"], entry["size_gib"], took, str(entry["date"]), entry["where"]))
    return tuple(found)
