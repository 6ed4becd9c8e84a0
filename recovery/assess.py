"""The ways back of a system against its objectives; what they do not hold needs a deviation, or the build stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from model import PRIMARY, RECOVERY, Deviation, Disruption, Document, System
from model.view import View
from recovery.data_stores import corruptions, stores, within_the_region
from recovery.lost_credentials import leaks
from recovery.measured import Measured
from recovery.paths import Way
from recovery.region_loss import region_losses
from recovery.service_times import ServiceTimes
from recovery.template_times import Sight
from recovery.terms import Chain, Term, total

REQUIREMENT = "A-13"
"""Recovery objectives are shown, not claimed: a deviation from it names the resource whose term has no bound."""


class UnheldObjectiveError(Exception):
    """Objectives that the templates do not hold, all of a system at once."""


class Verdict(IntEnum):
    """From good to bad. ``PUBLISHED``: nobody asked."""

    PUBLISHED = 0
    MET = 1
    WATCHED = 2
    EXPLAINED = 3
    FAILED = 4


@dataclass(frozen=True)
class Assessment:
    """One way back: what time and loss are held against, and whether they hold."""

    way: Way
    rto: timedelta | None
    rpo: timedelta | None
    time: Verdict
    loss: Verdict
    deviations: tuple[Deviation, ...] = ()


def ways(sight: Sight) -> Iterator[Way]:
    """Every way back of a system, by disruption and then in the templates' order."""
    found = []
    for one in stores(sight):
        found += [*within_the_region(sight, one), *corruptions(sight, one), *region_losses(sight, one)]
    found += leaks(sight)
    order = list(Disruption)
    yield from sorted(found, key=lambda way: (order.index(way.disruption), not way.first))


def verdict(chain: Chain, objective: timedelta | None, explained: Sequence[str]) -> Verdict:
    """Whether a chain stays below its objective.

    Terms on resources that a deviation names are exempt, whatever they are, and count as they usually are; then the alarms
    decide whether somebody is told in time.
    """
    if objective is None:
        return Verdict.PUBLISHED
    if chain.worst is not None and chain.worst < objective:
        return Verdict.MET
    exempt = [term for term in chain.terms if _explains(explained, term)]
    rest = total(term.typical if term in exempt else term.worst for term in chain.terms)
    if rest is None or rest >= objective:
        return Verdict.FAILED
    told = total(_sooner(term.watched, term.worst) if term in exempt else term.worst for term in chain.terms)
    return Verdict.WATCHED if told is not None and told < objective else Verdict.EXPLAINED


def findings(
    system: System, templates: Mapping[str, Document], times: ServiceTimes, measured: Sequence[Measured] = ()
) -> tuple[Assessment, ...]:
    """Every way back of a system with its verdicts; judges, and stops nothing."""
    sight = Sight(View(templates), times, system.regions[PRIMARY], system.regions.get(RECOVERY), tuple(measured))
    deviations = [one for one in system.deviations if one.id == REQUIREMENT]
    named = [one.resource for one in deviations]
    assessed = []
    for way in ways(sight):
        objectives = system.objectives.get(way.disruption) if way.first else None
        rto, rpo = (objectives.rto, objectives.rpo) if objectives else (None, None)
        open_ = _open(way.time, rto) + _open(way.loss, rpo)
        used = tuple(one for one in deviations if any(_explains([one.resource], term) for term in open_))
        assessed.append(Assessment(way, rto, rpo, verdict(way.time, rto, named), verdict(way.loss, rpo, named), used))
    return tuple(assessed)


def assess(
    system: System, templates: Mapping[str, Document], times: ServiceTimes, measured: Sequence[Measured] = ()
) -> tuple[Assessment, ...]:
    """The findings of a system; raises UnheldObjectiveError."""
    assessed = findings(system, templates, times, measured)
    problems = [problem for one in assessed for problem in _problems(one)]
    used = {deviation for one in assessed for deviation in one.deviations}
    problems += [
        f"the deviation of {REQUIREMENT} on {one.resource} explains nothing: every term that rests on it has a bound below its "
        "objective; remove the deviation"
        for one in system.deviations
        if one.id == REQUIREMENT and one not in used
    ]
    if problems:
        raise UnheldObjectiveError(f"{system.name}: the templates do not hold its objectives\n  " + "\n  ".join(problems))
    return assessed


def _problems(one: Assessment) -> Iterator[str]:
    for chain, objective, held, name in (
        (one.way.time, one.rto, one.time, "RTO"),
        (one.way.loss, one.rpo, one.loss, "RPO"),
    ):
        if held is not Verdict.FAILED:
            continue
        term = chain.dominating
        begun = f"{one.way.subject.address}, {one.way.disruption.value}: the {name} of {_said(objective)} "
        resources = ", ".join(dict.fromkeys(place.address for place in term.places)) or "the resource"
        if term.worst is None:
            yield (
                f"{begun}rests on a term without a bound, {term.name}; bound it, or give the system a Deviation of {REQUIREMENT} "
                f"on {resources} with its reason"
            )
        else:
            yield (
                f"{begun}is not above the sum of {_said(chain.worst)}; {term.name} dominates with {_said(term.worst)} "
                f"({term.reckoned or term.source or resources}); shorten it"
            )


def _open(chain: Chain, objective: timedelta | None) -> tuple[Term, ...]:
    """The terms that a deviation may be about: those without a bound, and all of a sum that is too long."""
    if objective is not None and chain.worst is not None and chain.worst >= objective:
        return chain.terms
    return tuple(term for term in chain.terms if term.worst is None)


def _explains(addresses: Sequence[str], term: Term) -> bool:
    return any(place.address in addresses for place in term.places)


def _sooner(*lengths: timedelta | None) -> timedelta | None:
    return min((length for length in lengths if length is not None), default=None)


def _said(length: timedelta | None) -> str:
    return "no bound" if length is None else f"{length.total_seconds() / 60:g} min"
