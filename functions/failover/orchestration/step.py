"""A step: what is to be true, and what makes it so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from common.report import FunctionError

from orchestration.world import World
from protocol.journal import step_of
from protocol.refusals import Decision
from protocol.steps import STEPS


class NotLostError(FunctionError):
    """What an alarm's failover was decided on does not hold any more."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(" ".join(decision.sentences))
        self.decision = decision


@dataclass(frozen=True)
class Run:
    """One execution, now: ``began`` is the first entry of its journal, ``entries`` all of them, ``epoch`` what it begins.

    ``recorded``: the newest topology is this execution's.
    """

    world: World
    execution: str
    began: Mapping[str, Any]
    entries: Mapping[str, Mapping[str, Any]]
    epoch: int
    token: int = 0
    site: str = "recovery"
    recorded: bool = False

    def said(self, step: str) -> Mapping[str, Any]:
        """What a step reported, or nothing."""
        return next((value for name, value in self.entries.items() if step_of(name) == step), {})


AT_ONCE = timedelta(0)
"""The patience of what must not keep a promotion waiting."""

A_WHILE = timedelta(minutes=15)
"""The patience of what is not to be lost to one error, and not to keep an execution open either."""


def _always(run: Run) -> bool:  # noqa: ARG001  of the signature of those that look
    return True


@dataclass(frozen=True)
class Step:
    """``done`` looks at what is real; None there means that the step leaves nothing to be seen: then its journal entry counts,
    which is written after the act, so that one that was killed is done again. ``act`` returns what it did, or None while what it
    began is under way. What goes on failing for longer than its ``patience`` is told and left; where that is None, it is vital,
    and tried until the deadline.
    """

    name: str
    act: Callable[[Run], dict[str, Any] | None]
    done: Callable[[Run], bool] | None = None
    patience: timedelta | None = None
    only: Callable[[Run], bool] = _always


def forward(kind: str, *made: Step) -> tuple[Step, ...]:
    """The steps of a failover in the protocol's order, each for the requests that have it; ``made`` is what we do for each."""
    ours = {step.name: step for step in made}

    def of(requests: tuple[str, ...], step: Step) -> Step:
        return replace(step, only=lambda run: run.began["request"] in requests and step.only(run))

    return tuple(of(each.requests, ours[each.name]) for each in STEPS[kind])
