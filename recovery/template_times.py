"""What a template says of time: numbers with their bounds, alarms, schedules, and who watches what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from model import schedule
from model.architecture import alarm_rule, watches
from model.values import Unknown, evaluate
from model.view import Resource, View
from protocol.metrics import ARCHIVE_LAG_SECONDS, PRIMARY_REACHABLE, REPLICA_DATA_AGE
from recovery.measured import Measured
from recovery.service_times import ServiceTimes
from recovery.terms import Phase, Place, Term, longest, service, total

ALARM, COMPOSITE, RULE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", "AWS::Events::Rule"
AGES = {
    ARCHIVE_LAG_SECONDS: 1,
    "AuroraGlobalDBRPOLag": 0.001,
    REPLICA_DATA_AGE: 1,
    "ReplicaLag": 1,
    "ReplicationLag": 1,
    "ReplicationLatency": 1,
    "TimeSinceLastSync": 1,
}
"""Metrics of how old data are, in what part of a second: a threshold is waited for as well."""

SILENCE = {REPLICA_DATA_AGE, "ReplicaLag", PRIMARY_REACHABLE}
"""Metrics that tell at the recovery site that the primary is gone, where missing data count as trouble."""


@dataclass(frozen=True)
class Span:
    """A number as it is by default and as it may be in any environment; None where no constraint bounds it."""

    typical: float
    worst: float | None


@dataclass(frozen=True)
class Sight:
    """All templates of a system, the times that none of them holds, and what was measured."""

    view: View
    times: ServiceTimes
    home: str
    away: str | None = None
    measured: tuple[Measured, ...] = ()

    def term(self, phase: Phase, time: str, *places: Place, watched: timedelta | None = None) -> Term:
        """A service time as a term."""
        return service(phase, self.times[time], *places, watched=watched)

    def restore(self, formula: str, *places: Place, watched: timedelta | None = None) -> Term:
        """A restore, which takes as long as the data are large: bounded by measurements once there are some."""
        time = self.times[formula]
        took = [one.took for one in self.measured if one.formula == formula]
        worst, typical = (max(took), max(took)) if took else (time.worst, time.typical)
        return Term(Phase.ACT, time.what, typical, worst, places, formula, watched, time.formula)

    def at(self, region: str, *types: str) -> Iterator[Resource]:
        """The resources of these types in a region."""
        return (one for one in self.view.resources(*types) if region in one.regions)

    def watched(self, one: Resource, *metrics: str) -> timedelta | None:
        """When an alarm on one of these metrics of a resource has told somebody, at the latest; None if none does."""
        told = [
            self.in_alarm(alarm).worst
            for alarm in self.view.resources(ALARM)
            if alarm.get("MetricName") in metrics
            and str(alarm.get("ComparisonOperator")).startswith("GreaterThan")
            and watches(alarm, one)
        ]
        return min((one for one in told if one is not None), default=None)

    def in_alarm(self, alarm: Resource) -> Term:
        """How long trouble lasts before an alarm stands: of several, the last; of one, its periods and the one it begins in."""
        if alarm.type == COMPOSITE:
            return longest("both pieces of evidence are there", [self.in_alarm(one) for one in constituents(alarm)])
        period, periods = number(alarm, "Period"), number(alarm, "EvaluationPeriods")
        published, evaluated = self.times["cloudwatch.metric"], self.times["cloudwatch.evaluation"]
        aged = _age(alarm)
        typical = aged.typical + period.typical * periods.typical
        known = None not in (aged.worst, period.worst, periods.worst)
        waited = (aged.worst or 0) + (period.worst or 0) * ((periods.worst or 0) + 1)
        age = f"{aged.typical:g} s of age, " if aged.typical > 0 else ""
        return Term(
            Phase.DETECT,
            f"{alarm.id} stands",
            timedelta(seconds=typical) + published.typical + evaluated.typical,
            total((timedelta(seconds=waited), published.worst, evaluated.worst)) if known else None,
            tuple(Place(alarm.layer, alarm.id, path) for path in ("Period", "EvaluationPeriods")),
            "cloudwatch.metric, cloudwatch.evaluation",
            reckoned=f"{alarm.id}: {age}{periods.typical:g} × {period.typical:g} s",
        )


def number(one: Resource, *path: str) -> Span:
    """A number below a resource's properties."""
    return _number(one.view, one.layer, one.get(*path))


def _number(view: View, layer: str, value: Any) -> Span:
    template = view.templates[layer]
    parameters = template.get("Parameters", {})

    def worst(name: str) -> Any:
        declared = parameters.get(name, {})
        listed = [float(one) for one in declared.get("AllowedValues", [])]
        return declared.get("MaxValue", max(listed, default=Unknown(f"nothing bounds {name}")))

    def typical(name: str) -> Any:
        return parameters.get(name, {}).get("Default", worst(name))

    return Span(_float(evaluate(value, typical, template)) or 0, _float(evaluate(value, worst, template)))


def _float(value: Any) -> float | None:
    number = not isinstance(value, bool) and re.fullmatch(r"-?\d+(\.\d+)?", str(value))
    return float(value) if number else None


def _age(alarm: Resource) -> Span:
    """What an alarm on an age waits for before it counts."""
    threshold, unit = number(alarm, "Threshold"), AGES.get(alarm.get("MetricName"), 0)
    return Span(unit * threshold.typical, None if threshold.worst is None else unit * threshold.worst) if unit else Span(0, 0)


def constituents(composite: Resource) -> tuple[Resource, ...]:
    """The alarms that a composite alarm's rule names."""
    return tuple(one for one in alarm_rule(composite)[1] if one is not None and one.type in (ALARM, COMPOSITE))


def interval(expression: str) -> timedelta | None:
    """The longest pause between two runs of a schedule; None where it cannot be told."""
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if rate:
        return timedelta(**{f"{rate[2]}s": int(rate[1])})
    fires = sorted(schedule.fires(expression) or ())
    if not fires:
        return None
    pauses = [later - sooner for sooner, later in zip(fires, [*fires[1:], fires[0] + schedule.WEEK], strict=True)]
    return timedelta(minutes=max(pauses))
