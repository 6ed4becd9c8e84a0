"""Waiting for stacks: one question about all of a region's, asked when the next one should be done.

Those who wait ask for each other: whoever's time has come asks about all, and everybody hears the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Event
from typing import Any

from chain.cloudformation import stack as cfn
from chain.cloudformation.schedule import StoppedError
from chain.cloudformation.stack import State
from chain.cloudformation.statuses import DECISIONS, Decision

SLACK = 0.05  # seconds after the expected end: an answer must not come just before it
FIRST, SHARE, SLOWEST = 0.5, 0.1, 5.0  # seconds, share of the time that went by, seconds: between questions, no end known
LATE = 0.02  # of the expected duration: until the next question after it; then twice as long each time
LONGEST = 15.0  # seconds between questions whatever is expected, for a stack can fail early
NEWS = 15.0  # seconds between two looks at the events of a stack that moves
VISIBLE = 60.0  # seconds within which a stack that was just made must show
NOTICE = 0.25  # seconds in which an interrupt is noticed
DOUBTS = 3  # answers without a sign of the operation before its events are asked


@dataclass
class Waiter:
    """Who waits for one stack."""

    id: str
    name: str
    mark: tuple[object, ...] | None  # how the stack was shown before the operation; None if anything at rest is its end
    token: str
    begun: float
    expected: float | None
    fresh: bool  # whether the stack was only just made, and may not show yet
    due: float = 0.0
    doubts: int = 0
    moved: bool = False
    ended: bool = False
    state: State | None = None


class Watch:
    """The stacks of one region that are waited for."""

    def __init__(self, cloudformation: Any, stop: Event, pages: int = 1) -> None:
        self._cloudformation = cloudformation
        self._stop = stop
        self._pages = pages
        self._waiting: list[Waiter] = []
        self._asking = False
        self._changed = Condition()

    def rest(
        self,
        stack_id: str,
        tell: Callable[[], None],
        *,
        before: State | None = None,
        token: str = "",
        expected: float | None = None,
    ) -> State | None:
        """The stack's state once the operation has ended; None if it is gone.

        ``before`` is how it was shown before the operation, so that an answer which lags is not taken for its end.
        """
        now = time.monotonic()
        name = stack_id.split("/")[1]
        mark = before.mark if before is not None else None
        waiter = Waiter(stack_id, name, mark, token, now, expected, fresh=bool(token) and before is None)
        waiter.due = now + _first(waiter)
        told = now
        with self._changed:
            self._waiting.append(waiter)
        try:
            while not waiter.ended:
                if self._stop.is_set():
                    raise StoppedError
                if time.monotonic() - told >= NEWS:
                    tell()
                    told = time.monotonic()
                self._turn(waiter)
        finally:
            with self._changed:
                self._waiting.remove(waiter)
        return waiter.state

    def _turn(self, waiter: Waiter) -> None:
        """Ask if it is time and nobody asks; or else wait for whoever does."""
        with self._changed:
            left = waiter.due - time.monotonic()
            if waiter.ended or left > 0 or self._asking:
                self._changed.wait(min(left, NOTICE) if left > 0 else NOTICE)
                return
            self._asking = True
            asked = list(self._waiting)
        try:
            shown = self._ask(asked, waiter)
            with self._changed:
                for each in asked:
                    if each in self._waiting and not each.ended and (each is waiter or each.id in shown):
                        self._hear(each, shown.get(each.id), own=each is waiter)
        finally:
            with self._changed:
                self._asking = False
                self._changed.notify_all()

    def _ask(self, asked: list[Waiter], waiter: Waiter) -> dict[str, State]:
        """What is shown of the stacks waited for: one question a page, or one a stack where that is less."""
        if len(asked) < self._pages:
            states = [cfn.describe(self._cloudformation, each.id) for each in asked if each is waiter or each.due <= waiter.due]
            return {state.id: state for state in states if state is not None}
        found, self._pages = cfn.swept(self._cloudformation)
        return {state.id: state for state in found.values()}

    def _hear(self, waiter: Waiter, state: State | None, *, own: bool) -> None:
        now = time.monotonic()
        if state is None or state.status == "DELETE_COMPLETE":
            if not waiter.fresh or waiter.moved or state is not None or now - waiter.begun > VISIBLE:
                waiter.ended, waiter.state = True, None
                return
        elif DECISIONS[state.status] is Decision.WAIT:
            waiter.moved = True
        elif waiter.moved or waiter.mark is None or state.mark != waiter.mark or self._is_over(waiter):
            waiter.ended, waiter.state = True, state
            return
        if own or waiter.expected is None:  # where an end is expected, an answer before it says nothing new
            waiter.due = now + _next(waiter, now)

    def _is_over(self, waiter: Waiter) -> bool:
        """Whether the events say that an operation ended which nothing else shows: it ended as the one before it did."""
        waiter.doubts += 1
        if waiter.doubts < DOUBTS:
            return False
        last = next((event for event in cfn.events(self._cloudformation, waiter.id) if cfn.is_own(event, waiter.id)), None)
        over = last is not None and DECISIONS[last["ResourceStatus"]] is not Decision.WAIT
        return over and last is not None and last.get("ClientRequestToken") == waiter.token


def _first(waiter: Waiter) -> float:
    if waiter.expected is None:
        return FIRST
    return min(max(waiter.expected, 0.0) + SLACK, LONGEST)


def _next(waiter: Waiter, now: float) -> float:
    """Until the expected end, or after it in steps that grow."""
    if waiter.expected is None:
        return min(max(FIRST, SHARE * (now - waiter.begun)), SLOWEST)
    over = now - waiter.begun - waiter.expected
    if over < 0:
        return min(SLACK - over, LONGEST)
    return min(max(LATE * waiter.expected, over, 2 * SLACK), SLOWEST)
