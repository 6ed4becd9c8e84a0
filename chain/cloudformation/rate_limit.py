"""How fast to ask: as fast as one likes until AWS says that it is too fast, then as fast as it lets us, trying a little more.

Each region has its own limits, shared by all tools of the account; every call that is refused counts against them too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, local
from typing import Any

THROTTLED = {
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
UNANSWERED = 2  # attempts at a service that has never answered
AT_ONCE = 6  # calls under way in a region
FIRST = 2.0  # calls a second, once it was too fast
LEAST, MORE, LESS = 0.5, 0.03, 0.7  # calls a second, calls a second more for each success, factor for each refusal


class Pace:
    """The pace of one region: no limit but what is under way, until the first refusal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._changed = Condition()
        self._under_way = 0
        self._rate = 0.0
        self._next = 0.0
        self._since = 0.0
        self.answered = False  # whether anybody has ever answered

    def __call__(self) -> None:
        """Wait for one's turn."""
        with self._changed:
            while self._under_way >= AT_ONCE:
                self._changed.wait()
            self._under_way += 1
            pause = 0.0
            if self._rate:
                now = self._clock()
                self._next = max(self._next, now) + 1 / self._rate
                pause = self._next - 1 / self._rate - now
        if pause > 0:
            self._sleep(pause)

    def done(self, code: str) -> None:
        """Hear how a call ended."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify()
            now = self._clock()
            if code in THROTTLED:
                if now - self._since > 1.0:  # those that were under way together say the same thing
                    self._rate = max(LEAST, self._rate * LESS) if self._rate else FIRST
                    self._since = now
                self._next = max(self._next, now + 1 / self._rate)
            elif self._rate:
                self._rate += MORE


def attach(client: Any, pace: Pace) -> Any:
    """Have every attempt of a client's calls wait for its turn.

    A service that has answered is asked again as often as the client's configuration says; one that never has may be lost.
    """
    service = client.meta.service_model.service_id.hyphenize()
    attempt = local()

    def begin(**_: Any) -> None:
        pace()
        attempt.under_way = True

    def lost(**_: Any) -> None:
        """An answer that cannot be read, such as a proxy's page, is no attempt that botocore would tell the end of."""
        if getattr(attempt, "under_way", False):
            attempt.under_way = False
            pace.done("")

    def end(response: Any = None, attempts: int = 1, caught_exception: Exception | None = None, **_: Any) -> None:
        attempt.under_way = False
        error = response[1].get("Error", {}) if response is not None and isinstance(response[1], dict) else {}
        pace.done(str(error.get("Code", "")))
        give_up(attempts, caught_exception)

    def give_up(attempts: int, error: Exception | None) -> None:
        from botocore import exceptions

        silence = (exceptions.ConnectTimeoutError, exceptions.EndpointConnectionError, exceptions.ReadTimeoutError)
        if error is None:
            pace.answered = True
        elif not pace.answered and attempts >= UNANSWERED and isinstance(error, silence):
            raise error

    client.meta.events.register_first(f"before-send.{service}", begin)
    client.meta.events.register_first(f"needs-retry.{service}", end)
    client.meta.events.register_first(f"after-call-error.{service}", lost)
    return client
