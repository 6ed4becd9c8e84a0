"""When things happen: cron expressions and weekly windows as minutes of a week that begins on Sunday, in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

DAY, WEEK = 24 * 60, 7 * 24 * 60
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def fires(expression: str) -> frozenset[int] | None:
    """The minutes of a week at which a ``cron(…)`` of AWS may fire; None where this cannot be told.

    A day of the month, a month or a year may be any day of the week: they leave nothing out.
    """
    written = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", expression)
    if written is None:
        return None
    try:
        minutes = set(_field(written[1], 0, 59))
        hours = set(_field(written[2], 0, 23))
        days = set(_field(_numbered(written[5]), 1, 7)) if written[3] in ("?", "*") else set(range(1, 8))
    except ValueError:
        return None
    return frozenset((day - 1) * DAY + hour * 60 + minute for day in days for hour in hours for minute in minutes)


def longest_wait(starts: Iterable[int]) -> int | None:
    """The most minutes between two of these minutes of a week and the next week's first; None of none."""
    ordered = sorted(set(starts))
    return max((after - before for before, after in pairwise([*ordered, *(WEEK + first for first in ordered[:1])])), default=None)


def window(text: str) -> tuple[tuple[int, int], ...]:
    """A window of RDS, ``03:00-04:00`` of every day or ``sun:05:00-sun:06:00``: each (start, length) within the week."""
    written = re.fullmatch(r"(?:([a-z]{3}):)?(\d\d):(\d\d)-(?:([a-z]{3}):)?(\d\d):(\d\d)", text.lower())
    if written is None or bool(written[1]) is not bool(written[4]):
        return ()
    start, end = int(written[2]) * 60 + int(written[3]), int(written[5]) * 60 + int(written[6])
    if written[1]:
        first, last = (DAYS.index(written[n].upper()) * DAY for n in (1, 4))
        return ((first + start, (last + end - first - start) % WEEK),)
    return tuple((day * DAY + start, (end - start) % DAY) for day in range(7))


def meet(start: int, length: int, other: int, other_length: int, apart: int) -> bool:
    """Whether two spans of a week come nearer to each other than ``apart`` minutes."""
    return (other - start) % WEEK < length + apart or (start - other) % WEEK < other_length + apart


def _numbered(days: str) -> str:
    """``MON-FRI`` as ``2-6``: AWS counts from Sunday, 1."""
    for number, name in enumerate(DAYS, start=1):
        days = days.upper().replace(name, str(number))
    return days


def _field(text: str, first: int, last: int) -> Iterator[int]:
    """The values of one field: ``*``, ``?``, ``0``, ``1,2``, ``1-5``, ``*/15``, ``3/8``."""
    for part in text.split(","):
        span, _, step = part.partition("/")
        low, _, high = (str(first), "", str(last)) if span in ("*", "?") else span.partition("-")
        end = int(high) if high else (last if step else int(low))
        if not first <= int(low) <= end <= last:
            raise ValueError(f"{text} lies outside {first} to {last}")
        yield from range(int(low), end + 1, int(step or 1))
