"""A term: one thing that one waits for, or that is lost, with its usual and its worst length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from recovery.service_times import ServiceTime


class Phase(StrEnum):
    """What one waits for, in this order; ``LOSS`` is no waiting but age of the data that are left."""

    DETECT = "detect"
    DECIDE = "decide"
    ACT = "act"
    REDIRECT = "redirect"
    LOSS = "loss"


@dataclass(frozen=True)
class Place:
    """Where a term stands in the templates: a path below a resource's properties."""

    layer: str
    resource: str
    path: str = ""

    @property
    def address(self) -> str:
        """How a deviation names the resource."""
        return f"{self.layer}.{self.resource}"


@dataclass(frozen=True)
class Term:
    """One summand. ``worst`` is None where nothing bounds it.

    ``watched`` is the length at which an alarm has told somebody, where one watches what has no bound. ``source`` names
    the entry of the service times that it rests on, ``formula`` what it depends on.
    """

    phase: Phase
    name: str
    typical: timedelta
    worst: timedelta | None
    places: tuple[Place, ...] = ()
    source: str = ""
    watched: timedelta | None = None
    formula: str = ""
    reckoned: str = ""


def service(phase: Phase, time: ServiceTime, *places: Place, watched: timedelta | None = None) -> Term:
    """A term that is a service time."""
    return Term(phase, time.what, time.typical, time.worst, places, time.id, watched)


def longest(name: str, terms: Sequence[Term]) -> Term:
    """One term for several that must all be over and run at the same time."""
    worsts = [term.worst for term in terms]
    return Term(
        terms[0].phase,
        name,
        max(term.typical for term in terms),
        None if None in worsts else max(worst for worst in worsts if worst is not None),
        tuple(place for term in terms for place in term.places),
        reckoned="the longest of: " + "; ".join(term.reckoned or term.name for term in terms),
    )


@dataclass(frozen=True)
class Chain:
    """Terms one after the other."""

    terms: tuple[Term, ...]

    @property
    def typical(self) -> timedelta:
        """The usual sum."""
        return sum((term.typical for term in self.terms), timedelta())

    @property
    def worst(self) -> timedelta | None:
        """The worst sum; None as soon as one term has no bound."""
        return total(term.worst for term in self.terms)

    @property
    def told(self) -> timedelta | None:
        """The worst sum while no alarm stands: a term without a bound counts as long as its alarm leaves it unnoticed."""
        return total(term.watched if term.worst is None else term.worst for term in self.terms)

    @property
    def dominating(self) -> Term:
        """The term to shorten first."""
        return max(self.terms, key=lambda term: timedelta.max if term.worst is None else term.worst)


def total(lengths: Iterable[timedelta | None]) -> timedelta | None:
    """Their sum; None if one of them is."""
    listed = list(lengths)
    return None if None in listed else sum((one for one in listed if one is not None), timedelta())
