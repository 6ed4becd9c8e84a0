"""What stands against a failover, in one table, and what follows from what is seen. Pure: no call, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protocol.journal import ALARM, FAILBACK, FAILOVER, OPERATOR, SWITCHOVER
from protocol.parameters import APPROVE, DISABLED
from protocol.topology import AWAY, BROKEN, HOME

ACT, WAIT, REFUSE = "act", "wait", "refuse"
BUSY = "target-not-available"
PIECES = 2
"""So many pieces of evidence, each from another source, make a failover."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a decision rests on. ``lag`` in seconds is None where nobody could say; ``since`` is how long ago the last failover
    was recorded, None where there was none; ``unresolved`` is another execution that has begun to act and has not ended,
    ``superseded`` one that has acted and ended meanwhile; ``outdated`` is an approval that was given too long ago to count.
    ``answers`` says whether the primary does, where that matters: to a switchover. ``writes`` says whether its database takes
    writes, where that matters: to an alarm's failover; None where it answers and nobody can read whether.
    """

    request: str
    trigger: str
    mode: str
    approved: bool = False
    evidence: tuple[str, ...] = ()
    lag: float | None = None
    rpo: float
    most_lag: float
    cooldown: float
    target: str = "available"
    topology: str = HOME
    since: float | None = None
    unresolved: str = ""
    superseded: str = ""
    destroying: bool = False
    outdated: bool = False
    answers: bool = True
    writes: bool | None = False


@dataclass(frozen=True)
class Refusal:
    """One thing that stands against it. Where a person may decide otherwise, ``approvable``; ``remedy`` is what to do.

    ``passing``: it may be over in a minute, while the alarms stand; the clock decides anew then. ``lasting``: it ends what was
    decided, too, as long as nothing was promoted.
    """

    id: str
    holds: Callable[[Observation], bool]
    sentence: str | Callable[[Observation], str]
    remedy: str
    approvable: bool = False
    passing: bool = False
    lasting: bool = False

    def says(self, seen: Observation) -> str:
        """What is told: the reason, with what was seen, and the remedy."""
        reason = self.sentence if isinstance(self.sentence, str) else self.sentence(seen)
        return f"{reason} {self.remedy}"


@dataclass(frozen=True)
class Decision:
    """What to do, and everything that stands against it, in the order of the table."""

    do: str
    against: tuple[Refusal, ...]
    sentences: tuple[str, ...]


def _lossy(seen: Observation) -> bool:
    return seen.request == FAILOVER


def _by_alarm(seen: Observation) -> bool:
    return _lossy(seen) and seen.trigger == ALARM


def _cooling(seen: Observation) -> bool:
    return _lossy(seen) and seen.since is not None and seen.since < seen.cooldown


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "being-destroyed",
        lambda seen: seen.destroying,
        "The environment is being destroyed.",
        "Nothing; or end the destruction first.",
    ),
    Refusal(
        "earlier-execution-unresolved",
        lambda seen: bool(seen.unresolved),
        lambda seen: f"The execution {seen.unresolved} has begun and has not ended.",
        "Let it end: it goes on every minute. Its journal says where it is.",
    ),
    Refusal(
        "superseded",
        lambda seen: bool(seen.superseded),
        lambda seen: f"The execution {seen.superseded} has acted and ended since this one began.",
        "Look which site writes, and ask again if it must be.",
    ),
    Refusal(
        "approval-outdated",
        lambda seen: seen.outdated,
        "It was approved more than ten minutes ago; what was approved then is another thing now.",
        "Look at the primary. An alarm that stands is decided anew, and approved anew; what you asked for, ask for again.",
        passing=True,
    ),
    Refusal(
        "topology-broken",
        lambda seen: seen.topology == BROKEN and seen.request != FAILBACK,
        "The topology is broken: which site may write is for a person to say.",
        "Follow the runbook, A broken topology, then fail back.",
    ),
    Refusal(
        "failed-over-already",
        lambda seen: seen.topology == AWAY and seen.request != FAILBACK,
        "The recovery site writes already.",
        "Nothing; fail back when the primary region is well.",
    ),
    Refusal(
        "at-home",
        lambda seen: seen.topology == HOME and seen.request == FAILBACK,
        "The primary site writes: there is nothing to fail back.",
        "Nothing.",
    ),
    Refusal(
        "target-not-available",
        lambda seen: seen.target != "available",
        lambda seen: f"The database that would take over is {seen.target}, not available.",
        "Look at its events; a backup ends by itself. Then ask again.",
    ),
    Refusal(
        "mode-disabled",
        lambda seen: seen.mode == DISABLED and seen.trigger == ALARM,
        "The mode is disabled: alarms fail nothing over.",
        "Ask for the failover yourself, or set FailoverMode and deploy.",
    ),
    Refusal(
        "one-piece-of-evidence",
        lambda seen: _by_alarm(seen) and len(set(seen.evidence)) < PIECES,
        lambda seen: f"The evidence is {' and '.join(sorted(set(seen.evidence))) or 'none'}; two independent pieces are needed.",
        "Look at the primary. Ask for the failover yourself if it is lost.",
        lasting=True,
    ),
    Refusal(
        "primary-answers",
        lambda seen: _by_alarm(seen) and seen.writes is True,
        "The primary answers and takes writes: it is not lost, whatever the alarms say.",
        "Look why the alarms stand: at the schedule, the functions and the metrics of this site. Ask for a failover yourself if "
        "it must be.",
        passing=True,
        lasting=True,
    ),
    Refusal(
        "failed-over-lately",
        lambda seen: _cooling(seen) and seen.trigger == ALARM,
        lambda seen: f"The last change of the topology is {seen.since:.0f} s old, and {seen.cooldown:.0f} s must be between two.",
        "Look why it flaps. Ask for the failover yourself if it must be.",
    ),
    Refusal(
        "behind",
        lambda seen: seen.request == SWITCHOVER and (seen.lag is None or seen.lag > seen.most_lag),
        lambda seen: f"The target is {_said(seen.lag)} behind; a switchover that loses nothing begins at {seen.most_lag:.0f} s.",
        "Wait until it has caught up, and ask again.",
    ),
    Refusal(
        "primary-silent",
        lambda seen: seen.request == SWITCHOVER and not seen.answers,
        "The primary's probe does not answer, and a switchover needs both sites.",
        "Wait until it does; or ask for a failover if the primary is lost.",
    ),
    Refusal(
        "little-evidence",
        lambda seen: _lossy(seen) and seen.trigger == OPERATOR and len(set(seen.evidence)) < PIECES,
        lambda seen: f"The evidence is {' and '.join(sorted(set(seen.evidence))) or 'none'}: the primary may be writing still.",
        "Approve it if the primary is lost; or ask for a switchover.",
        approvable=True,
    ),
    Refusal(
        "lately",
        lambda seen: _cooling(seen) and seen.trigger == OPERATOR,
        lambda seen: f"The last change of the topology is {seen.since:.0f} s old, and {seen.cooldown:.0f} s must be between two.",
        "Approve it if it must be.",
        approvable=True,
    ),
    Refusal(
        "lag-unknown",
        lambda seen: _lossy(seen) and seen.lag is None,
        "How old the data are nobody can say, so neither how much would be lost.",
        "Approve it if the loss is to be taken.",
        approvable=True,
    ),
    Refusal(
        "lag-above-objective",
        lambda seen: _lossy(seen) and seen.lag is not None and seen.lag > seen.rpo,
        lambda seen: f"Up to {_said(seen.lag)} would be lost, more than the objective's {seen.rpo:.0f} s.",
        "Approve it if the loss is to be taken.",
        approvable=True,
    ),
    Refusal(
        "primary-unclear",
        lambda seen: _by_alarm(seen) and seen.writes is None,
        "The primary's region answers, and nobody can read whether its database takes writes.",
        "Ask it yourself. Approve it if the primary is lost.",
        approvable=True,
        passing=True,
        lasting=True,
    ),
    Refusal(
        "mode-approve",
        lambda seen: seen.mode == APPROVE and seen.trigger == ALARM,
        lambda seen: f"The mode is approve: a person decides. Up to {_said(seen.lag)} would be lost.",
        "Approve it.",
        approvable=True,
    ),
)
"""In the order in which they are told. One that no person may overrule refuses; the others wait for an approval."""


LASTING = tuple(one for one in REFUSALS if one.lasting)
"""What an alarm's failover is asked again right before it promotes."""

PASSING = frozenset(one.id for one in REFUSALS if one.passing)


def decide(seen: Observation, table: tuple[Refusal, ...] = REFUSALS) -> Decision:
    """What to do."""
    against = tuple(one for one in table if one.holds(seen) and not (one.approvable and seen.approved))
    sentences = tuple(one.says(seen) for one in against)
    if not against:
        return Decision(ACT, (), ())
    return Decision(WAIT if all(one.approvable for one in against) else REFUSE, against, sentences)


def _said(lag: float | None) -> str:
    return "an unknown time" if lag is None else f"{lag:.0f} s"
