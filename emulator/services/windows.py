"""RDS: when databases are backed up and maintained. AWS draws the backup window that nobody states; the two must not overlap."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from emulator.services import rds_api
from emulator.services.rds_api import Answer, Parameters, Record

FACTS = Path(__file__).parents[2] / "model/facts/backup_windows.yaml"
DAY, WEEK = 24 * 60, 7 * 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BACKUP, MAINTENANCE = "PreferredBackupWindow", "PreferredMaintenanceWindow"


@cache
def _blocks() -> dict[str, str]:
    import yaml

    blocks: dict[str, str] = yaml.safe_load(FACTS.read_text(encoding="utf-8"))["blocks"]
    return blocks


def refusal(p: Parameters, known: Record) -> Answer | None:
    """The answer to a request whose windows overlap, or would with some backup window that AWS draws; None if they cannot.

    ``known`` are the windows that the database has. AWS draws at random, and refuses only what meets: here it always does.
    """
    from ministack.core.responses import get_region

    maintenance = rds_api.one(p, MAINTENANCE) or known.get(MAINTENANCE, "")
    backup = rds_api.one(p, BACKUP) or known.get(BACKUP, "") or _blocks().get(get_region(), "")
    if any(
        (one - other) % WEEK < length or (other - one) % WEEK < least
        for one, least in _spans(maintenance)
        for other, length in _spans(backup)
    ):
        return rds_api.error("InvalidParameterValue", "The backup window and maintenance window must not overlap.")
    return None


def drawn() -> str:
    """The backup window of a database that states none: the first half hour of its region's block."""
    from ministack.core.responses import get_region

    block = _blocks().get(get_region(), "03:00-11:00")
    first = int(block[:2]) * 60 + int(block[3:5])
    return "-".join(f"{minute // 60 % 24:02}:{minute % 60:02}" for minute in (first, first + 30))


def _spans(window: str) -> list[tuple[int, int]]:
    """Start and length in minutes of a week, of ``03:00-04:00`` every day or ``sun:05:00-sun:06:00``; none of what is neither."""
    written = re.fullmatch(r"(?:(\w{3}):)?(\d\d):(\d\d)-(?:(\w{3}):)?(\d\d):(\d\d)", window.lower())
    if written is None:
        return []
    first, last = (int(written[n]) * 60 + int(written[n + 1]) for n in (2, 5))
    if written[1]:
        first, last = first + DAYS.index(written[1]) * DAY, last + DAYS.index(written[4]) * DAY
        return [(first, (last - first) % WEEK)]
    return [(day * DAY + first, (last - first) % DAY) for day in range(7)]
