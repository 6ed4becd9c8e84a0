"""The journal of an execution, which is one request and what came of it: the names of its entries, each written once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from protocol.parameters import EXECUTION

REQUESTS = SWITCHOVER, FAILOVER, FAILBACK = "switchover", "failover", "failback"
DRY = "dry-run"
"""Asks what a request would do; nothing is written."""

ALARM, OPERATOR = "alarm", "operator"
"""What asks."""

BEGAN, DECIDED, WAITING, APPROVAL, ENDED = "00-began", "01-decided", "01-waiting", "approval", "99-ended"

FENCE_ASKED, PROMOTE_ASKED = "fence-asked", "promote-asked"
"""Noted before each is asked for: whoever is killed in between may have done it."""

GIVING_UP = "giving-up"
"""Noted where nothing is asked for any more, and what was asked for is given the time to show."""

WITHDRAWN = "withdrawn"
"""Noted where an execution that was decided promotes nothing any more."""

WRITER_NAMED = "writer-named"
"""Of an execution of before the row in the database named its writer: by this it was made up for."""

DRIFT_FREE = "drift-free"
"""By which the command says that it has read everything back and found no difference; the step that waits for it is called so."""

COMPLETED, REFUSED, FAILED, AWAITING_APPROVAL = "completed", "refused", "failed", "waiting-for-approval"
"""How an execution ends, or waits."""

MANUAL = re.compile(r"manual-\d{8}T\d{6}Z-[0-9a-f]{4,16}")
"""An execution that an operator's command names, so that asking twice is asking once."""


def manual(at: datetime, chance: str) -> str:
    """Such a name; ``chance`` is hexadecimal."""
    return f"manual-{at:%Y%m%dT%H%M%SZ}-{chance}"


def parameter(execution: str, entry: str) -> str:
    """The name of the parameter that holds an entry."""
    return f"{EXECUTION}{execution}/{entry}"


def acted(entry: str) -> str:
    """The entry of what a step has asked for; that it is done, an entry without this says."""
    return f"{entry}-acted"


def step_of(entry: str) -> str:
    """The step that an entry is about, without its number and hyphen."""
    return entry[3:]


def journals(values: Mapping[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Of all parameters, their names below the path: execution -> entry -> what it says."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, text in values.items():
        execution, _, entry = name.removeprefix(EXECUTION).partition("/")
        if name.startswith(EXECUTION) and entry:
            found.setdefault(execution, {})[entry] = json.loads(text)
    return found


def is_open(entries: Mapping[str, Any]) -> bool:
    """Whether an execution has begun and has not ended."""
    return BEGAN in entries and ENDED not in entries
