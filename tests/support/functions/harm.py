"""Harms the failover function at each of its calls, until there is none left that was not harmed.

A place is one call of an invocation: what the journal says by then, the call's name, and how many of this name came before it.
Each is harmed once in each way, as long as it comes up; where one harm stops nothing, the journal goes on, and each of the next
places takes what its call has met least.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

from tests.support.functions.failovers import Failover

Answer = dict[str, Any]
BEFORE, AFTER = "before", "after"
MANY = 10  # of what nobody needs any more: so much is left to the function


class Killed(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Harm:
    """What a call meets, ``when``: an error of AWS by its code, or no answer; without either the process is gone."""

    when: str
    code: str = ""
    silent: bool = False

    def __str__(self) -> str:
        return f"{self.when}, {'silent' if self.silent else self.code or 'killed'}"

    def do(self) -> tuple[AWSResponse, Answer]:
        """The answer that it makes, if it makes one; it stands for that of the call's last attempt."""
        if self.silent:
            raise ReadTimeoutError(endpoint_url="https://of-the-test")
        if not self.code:
            raise Killed
        said = {"Error": {"Code": self.code, "Message": "of the test"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        return AWSResponse("https://of-the-test", 400, {}, None), said


KILLS = (Harm(BEFORE), Harm(AFTER))
TROUBLES = (
    Harm(BEFORE, "InternalFailure"),
    Harm(BEFORE, "ThrottlingException"),
    Harm(BEFORE, silent=True),
    Harm(AFTER, silent=True),
)
"""The last one is the worst: it was done, and nobody said so."""


@dataclass
class Everywhere:
    """Runs of the function, harmed wherever they were not before. Of what is read in ``pages`` the first one is, or each."""

    failover: Failover
    harms: tuple[Harm, ...]
    monkeypatch: pytest.MonkeyPatch
    pages: bool = False
    passed: timedelta = timedelta(0)
    met: set[tuple[Any, ...]] = field(default_factory=set)
    names: Counter[str] = field(default_factory=Counter)
    taken: Counter[tuple[Harm, str]] = field(default_factory=Counter)
    chosen: Harm | None = None
    where: tuple[str, ...] = ()
    meets: bool = False
    harmed: bool = False
    dead: bool = False

    def __post_init__(self) -> None:
        """The leases of the dead are over when somebody comes after them, and no deadline ends what is harmed so often."""
        from orchestration import aurora, replica, run, state, world

        for module in (state, run, aurora):
            self.monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) + self.passed)
        limits = {run: ("DEADLINE", "PLANNED", "EXPIRES", "PERSISTS"), aurora: ("A_WHILE", "PATIENCE"), replica: ("A_WHILE",)}
        for module, names in limits.items():
            for name in names:
                self.monkeypatch.setattr(module, name, timedelta(days=365))
        self.monkeypatch.setattr(state, "OUTDATED", timedelta(days=365))
        world.forget()
        world._session().events.register("before-call.*", self._before)
        world._session().events.register("after-call.*", self._after)

    def _choose(self, name: str) -> Harm | None:
        new = [one for one in self.harms if (one, self.where, name, self.names[name]) not in self.met]
        return min(new, key=lambda one: self.taken[one, name], default=None)

    def _meet(self, when: str, name: str) -> tuple[AWSResponse, Answer] | None:
        if self.dead:
            raise Killed  # whoever is dead makes no more calls: a lease is never given back
        if not self.meets or self.chosen is None or self.chosen.when != when:
            return None
        harm, self.chosen = self.chosen, None
        self.met.add((harm, self.where, name, self.names[name]))
        self.taken[harm, name] += 1
        self.harmed, self.dead = True, harm in KILLS
        return harm.do()

    def _before(self, event_name: str, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, Answer] | None:
        name = event_name.rpartition(".")[2]
        if not self.pages and b"NextToken" in params["body"]:
            return self._meet(BEFORE, "")
        self.names[name] += 1
        self.chosen = self._choose(name)
        return self._meet(BEFORE, name)

    def _after(self, event_name: str, **_: Any) -> None:
        self._meet(AFTER, event_name.rpartition(".")[2])

    def through(self, event: Answer, then: Callable[[Answer], Answer | None], most: int = 1000) -> Answer:
        """Invoke it until ``then``, which is given each answer, has no next event; an invocation that failed is made again."""
        for _ in range(most):
            self._look()
            answer = self._invoke(event)
            self.failover.aws.settle()
            if answer is None:
                continue
            following = then(answer)
            if following is None:
                return answer
            event = following
        raise AssertionError(f"It does not come to an end: {answer}")

    def _look(self) -> None:
        """What was done so far.

        A refused execution has done nothing: it goes, with what failed and with old leases, or all that is harmed here would be
        read again before each act.
        """
        from orchestration.world import World

        store = World.of_process().store
        state = store.read()
        split = {name: name.split("/") for name in state.values if name.startswith("execution/")}
        refused = {one[1] for name, one in split.items() if json.loads(state.values[name]).get("outcome") == "refused"}
        gone = {name for name, one in split.items() if one[1] in refused or "-failed-" in name}
        self.where = tuple(sorted(one[2] for name, one in split.items() if name not in gone))
        gone.update(state.spent())
        if len(gone) > MANY:
            store.forget(sorted(gone))

    def _invoke(self, event: Answer) -> Answer | None:
        """What it answers; None where it came to harm. Whoever comes next comes when a lease is over that nobody gave back."""
        from orchestration.state import LEASE

        self.names.clear()
        self.meets, self.harmed, answer = True, False, None
        try:
            answer = self.failover.invoke(event)
        except Killed:
            pass
        except Exception as error:
            if not self.harmed:
                raise AssertionError("It failed of itself") from error
        self.meets = self.dead = False
        self.passed += LEASE
        return answer

    def calls(self) -> set[str]:
        """The names of the calls that met each of the harms."""
        return set.intersection(*({name for harm, name in self.taken if harm == one} for one in self.harms))

    def again(self) -> set[str]:
        """The names of those that met one as the second call of their name in one invocation, or later."""
        return {name for _, _, name, number in self.met if number > 1}
