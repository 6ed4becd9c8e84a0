"""The lease by which one run of the function acts at a time: a number that nobody had before, above all others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from protocol.parameters import LOCK, RELEASED

LEASE = timedelta(seconds=150)
"""Longer than the function may run, so that no two runs hold one."""


def lock(token: int) -> str:
    """The name of the parameter by which a lease is taken."""
    return f"{LOCK}{token:08d}"


def released(token: int) -> str:
    """The name of the parameter by which it is given back."""
    return f"{RELEASED}{token:08d}"


def newest(values: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """The newest token, and who holds it; 0 where nobody ever did."""
    names = sorted(name for name in values if name.startswith(LOCK))
    return (int(names[-1].removeprefix(LOCK)), json.loads(values[names[-1]])) if names else (0, {})


def ends(values: Mapping[str, str]) -> datetime | None:
    """Until when a run may act; None where none does, because nobody took a lease or the newest was given back."""
    token, held = newest(values)
    return datetime.fromisoformat(held["expires"]) if token and released(token) not in values else None
