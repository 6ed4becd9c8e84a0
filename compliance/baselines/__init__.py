"""FedRAMP's baselines, as they were taken from its own OSCAL files; see README.md."""

from __future__ import annotations

import json
from pathlib import Path


def baseline(name: str) -> tuple[tuple[str, str], ...]:
    """The controls of a baseline, such as ``fedramp-high``, by id and title in the catalogue's order."""
    found = json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
    return tuple((control["id"], control["title"]) for control in found["controls"])
