"""Recovery: every way back as bars of its terms, the objective as a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from documents.page.markup import Html, joined, row, sentence, swatch, table, tag
from documents.page.source_listing import Sources
from documents.recovery import said
from model import System
from recovery.assess import Assessment, Verdict
from recovery.terms import Chain, Phase, Place, Term

HIGH, STEP, TOP = 16, 24, 18
"""Pixels: a bar's height, from one bar to the next, and above the first for the objective's name."""

ROOM = 1.06
"""What the axis has beyond its longest value."""


def recovery(system: System, found: Sequence[Assessment], sources: Sources) -> Iterator[Html]:
    """All ways back of a system, by disruption."""
    for disruption in dict.fromkeys(one.way.disruption for one in found):
        ways = [one for one in found if one.way.disruption is disruption]
        yield tag("h4", None, disruption.value.capitalize())
        yield tag("div", {"class": "ways"}, *(_way(system, one, sources) for one in ways))


def legend() -> Html:
    """What the colours are."""
    phases = [tag("li", None, swatch(phase), f" {phase.value}") for phase in Phase]
    return tag("ul", {"class": "legend", "aria-label": "Colours of the terms"}, *phases)


def verdict(held: Verdict) -> Html:
    """A verdict as a word in its colour."""
    return tag("span", {"class": f"chip v-{held.name.lower()}"}, held.name.lower())


def _way(system: System, one: Assessment, sources: Sources) -> Html:
    way = one.way
    subject = _link(system, way.subject, sources, way.subject.address)
    second = "" if way.first else "Second line for "
    head = tag(
        "p",
        {"class": "way"},
        second,
        subject,
        f" in {way.region}. ",
        sentence(way.mechanism),
        ": ",
        tag("em", None, way.strategy.value),
        ".",
    )
    measures = [("Time", way.time, one.rto, one.time), ("Loss", way.loss, one.rpo, one.loss)]
    bars = [_measure(*measure) for measure in measures if measure[1].terms]
    terms = _terms(system, one, sources)
    extra = []
    if way.reach is not None:
        where = _link(system, way.reach.place, sources)
        extra.append(
            tag(
                "p",
                {"class": "quiet"},
                f"Reach: it may be noticed {said(way.reach.length)} later and still be undone (",
                where,
                ").",
            )
        )
    extra += [tag("p", {"class": "quiet"}, f"Deviation on {each.resource}: ", sentence(each.reason)) for each in one.deviations]
    return tag("div", {"class": "backway"}, head, *bars, *extra, terms)


def _measure(name: str, chain: Chain, objective: timedelta | None, held: Verdict) -> Html:
    """Usual and worst sum of one measure as two bars on one axis."""
    usual, worst = said(chain.typical), said(chain.worst)
    asked = "no objective" if objective is None else f"objective below {said(objective)}"
    told = f", told by {said(chain.told)}" if chain.worst is None and chain.told is not None else ""
    words = f"{name}: usual {usual}, worst {worst}{told}, {asked}: {held.name.lower()}."
    label = tag("p", {"class": "measure"}, tag("b", None, name), f" usual {usual}, worst {worst}{told}; {asked} ", verdict(held))
    known = [chain.typical, chain.worst, chain.told, objective, _bounded(chain)]
    most = max((length.total_seconds() for length in known if length is not None), default=0) * ROOM
    if not most:
        return label
    shapes = [
        *_stack([(term, term.typical) for term in chain.terms], TOP, most),
        *_stack([(term, term.worst) for term in _open_last(chain.terms)], TOP + STEP, most),
    ]
    if objective is not None:
        shapes += _mark(objective.total_seconds() / most, said(objective), "objective")
    if chain.worst is None and chain.told is not None:
        at = _percent(chain.told.total_seconds() / most)
        shapes.append(tag("line", {"class": "told", "x1": at, "x2": at, "y1": TOP + STEP - 3, "y2": TOP + STEP + HIGH + 3}))
    height = TOP + 2 * STEP
    bars = tag("svg", {"class": "bars", "width": "100%", "height": height, "role": "img", "aria-label": words}, *shapes)
    names = tag("div", {"class": "names", "aria-hidden": "true"}, tag("span", None, "usual"), tag("span", None, "worst"))
    return joined([label, tag("div", {"class": "axis"}, names, bars)])


def _stack(terms: Sequence[tuple[Term, timedelta | None]], top: int, most: float) -> Iterator[Html]:
    """The terms of one sum beside each other; one without a bound goes on to the end."""
    start = 0.0
    for term, length in terms:
        if start >= 1:
            return
        share = 1 - start if length is None else length.total_seconds() / most
        kind = f"f-{term.phase}{' unbounded' if length is None else ''}"
        place = {"class": kind, "x": _percent(start), "y": top, "width": _percent(share), "height": HIGH}
        if share:
            yield tag("g", None, tag("title", None, f"{term.name}: {said(length)}"), tag("rect", place))
        start += share


def _mark(share: float, name: str, kind: str) -> list[Html]:
    at, late = _percent(share), share > 0.5
    text = {"class": f"t-{kind}", "x": at, "y": 12, "dx": -5 if late else 5, "text-anchor": "end" if late else "start"}
    line = tag("line", {"class": kind, "x1": at, "x2": at, "y1": 2, "y2": TOP + 2 * STEP - 2})
    return [line, tag("text", text, f"objective {name}")]


def _open_last(terms: Sequence[Term]) -> list[Term]:
    return sorted(terms, key=lambda term: term.worst is None)


def _bounded(chain: Chain) -> timedelta:
    """What is bounded of the worst sum, and as much again where something is not: room for the bar that goes on."""
    known = sum((term.worst for term in chain.terms if term.worst is not None), timedelta())
    return known * (1 if chain.worst is not None else 1.3)


def _terms(system: System, one: Assessment, sources: Sources) -> Html:
    terms = (*one.way.time.terms, *one.way.loss.terms)
    rows = [
        row(
            joined([swatch(term.phase), f" {term.phase.value}"]),
            term.name,
            said(term.typical),
            said(term.worst),
            said(term.watched) if term.watched is not None and term.worst is None else "",
            _from(system, term, sources),
        )
        for term in terms
    ]
    inner = table(("phase", "term", "usual", "worst", "alarm tells by", "from"), rows, f"Terms of {one.way.subject.address}")
    count = f"{len(terms)} terms" if len(terms) > 1 else "One term"
    return tag("details", {"class": "also print"}, tag("summary", None, f"{count}, and what they rest on"), inner)


def _from(system: System, term: Term, sources: Sources) -> Html:
    parts: list[str] = [term.reckoned] if term.reckoned else []
    parts += [tag("a", {"href": f"#time:{name}"}, name) for name in term.source.split(", ") if name]
    parts += dict.fromkeys(_link(system, place, sources) for place in term.places)
    return joined(parts, "; ")


def _link(system: System, place: Place, sources: Sources, text: str = "") -> Html:
    return sources.link(system, place.layer, place.resource, place.path, text)


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"
