"""What is told while stacks move: a live board on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from itertools import zip_longest
from threading import Lock
from typing import TextIO

from chain.cloudformation.stack import StackEvent

ENDS = {"created", "updated", "unchanged", "failed", "deleted", "held back", "gone", "interrupted"}
"""The words with which the chain ends a stack; CloudFormation's own statuses are written in capitals."""
NARROWEST = 40  # characters of a column
FRAME = 0.1  # seconds between two drawings of the board
UP, CLEAR = "\x1b[{}A", "\x1b[J"
GREEN, RED, YELLOW, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
COLOURS = {"created": GREEN, "updated": GREEN, "deleted": GREEN, "failed": RED, "held back": YELLOW, "interrupted": YELLOW}


def line(news: StackEvent) -> str:
    """One piece of news as text; nothing for what would only be noise."""
    if not news.status.endswith("_IN_PROGRESS" if not news.resource else ("_COMPLETE", "_FAILED")) and news.status.isupper():
        return ""
    what = f"{news.resource} ({news.type}) " if news.resource else ""
    why = f": {news.reason}" if news.reason and (news.status.endswith("_FAILED") or not news.resource) else ""
    return f"{news.stack}  {what}{news.status}{why}"


class Lines:
    """A line for every stack and resource that came to an end, with the time: for logs and CI."""

    def __init__(self, out: TextIO, clock: Callable[[], str] = lambda: time.strftime("%H:%M:%S")) -> None:
        self._out, self._clock, self._lock = out, clock, Lock()

    def __call__(self, news: StackEvent) -> None:
        """Tell one piece of news."""
        text = line(news)
        if text:
            with self._lock:
                self._out.write(f"{self._clock()}  {text}\n")
                self._out.flush()

    def close(self) -> None:
        """Nothing is left to draw."""


class Board:
    """Stacks that have ended scroll away above; those that move are redrawn below, regions side by side."""

    def __init__(
        self,
        out: TextIO,
        totals: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
        expected: Mapping[str, float] | None = None,
    ) -> None:
        self._out, self._totals, self._clock, self._lock = out, totals, clock, Lock()
        self._expected = expected or {}
        self._start = clock()
        self._begun: dict[str, float] = {}
        self._latest: dict[str, str] = {}
        self._finished: dict[str, set[str]] = {}
        self._ended: set[str] = set()
        self._drawn = 0  # lines of the moving part that stand on the terminal
        self._at = 0.0

    def __call__(self, news: StackEvent) -> None:
        """Take one piece of news in and draw, though not more often than an eye can follow."""
        with self._lock:
            above = []
            if news.status in ENDS:
                since = self._clock() - self._begun.pop(news.stack, self._clock())
                self._ended.add(news.stack)
                colour = COLOURS.get(news.status, "")
                colour = YELLOW if colour == GREEN and news.reason else colour  # something is left behind
                why = f": {news.reason}" if news.reason else ""
                above.append(f"{news.stack}  {colour}{news.status}{PLAIN if colour else ''}{why}  {since:.0f} s")
            else:
                self._begun.setdefault(news.stack, self._clock())
                if news.resource and news.status.endswith("_COMPLETE"):
                    self._finished.setdefault(news.stack, set()).add(news.resource)
                self._latest[news.stack] = f"{news.resource} {news.status}".strip()
                if news.status.endswith("_FAILED") and news.resource:
                    above.append(f"{RED}{line(news)}{PLAIN}")
            if above or self._clock() - self._at >= FRAME:
                self._draw(above)

    def close(self) -> None:
        """Take the moving part away."""
        with self._lock:
            self._begun.clear()
            self._draw([])

    def _draw(self, above: list[str]) -> None:
        width, height = shutil.get_terminal_size()
        moving = self._columns(width - 1)[: height - 2] if self._begun else []
        if moving:
            done = f"{len(self._ended)} of {len(self._totals)} stacks done, {len(self._begun)} under way"
            moving.append(f"{done}, {self._clock() - self._start:.0f} s")
        rewind = UP.format(self._drawn) if self._drawn else ""
        self._out.write(
            f"\r{rewind}{CLEAR}" + "".join(f"{text}\n" for text in above) + "".join(f"{row[: width - 1]}\n" for row in moving)
        )
        self._out.flush()
        self._drawn, self._at = len(moving), self._clock()

    def _columns(self, width: int) -> list[str]:
        """A column for each region in which stacks are, where there is room for it; or else one region below the other."""
        regions = sorted({id_.partition("/")[0] for id_ in (*self._totals, *self._begun)})
        columns = [self._column(region) for region in regions]
        each = width // len(columns)
        if each < NARROWEST:
            return [row for column in columns for row in column]
        rows = zip_longest(*columns, fillvalue="")
        return ["".join(f"{text[: each - 2]:{each}}" for text in row).rstrip() for row in rows]

    def _column(self, region: str) -> list[str]:
        own = [id_ for id_ in sorted(self._begun) if id_.startswith(f"{region}/")]
        total = sum(id_.startswith(f"{region}/") for id_ in self._totals)
        ended = sum(id_.startswith(f"{region}/") for id_ in self._ended)
        return [f"{region}  {ended}/{total} stacks", *map(self._row, own)]

    def _row(self, id_: str) -> str:
        """Name, resources done of all, seconds gone of those expected, and what happened last."""
        seconds = self._clock() - self._begun[id_]
        done = len(self._finished.get(id_, ()))
        of = f" of {self._expected[id_]:.0f}" if id_ in self._expected else ""
        return f"{id_.partition('/')[2]}  {done}/{self._totals.get(id_, 0)}  {seconds:.0f}{of} s  {self._latest[id_]}"


def progress(out: TextIO, totals: Mapping[str, int], expected: Mapping[str, float] | None = None) -> Lines | Board:
    """A board where someone watches, lines where nobody does: in CI, and where the output goes to a file."""
    return Board(out, totals, expected=expected) if out.isatty() and not os.environ.get("CI") else Lines(out)
