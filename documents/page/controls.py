"""Compliance: every control of every catalogue and how it stands, and the evidence by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from compliance.annotate import in_order
from compliance.catalogues import catalogues, remark
from compliance.profiles import Control, Status, status
from compliance.profiles.baseline import BASELINE
from documents.page.markup import Html, joined, row, sentence, swatch, table, tag
from documents.page.source_listing import Sources
from model import Finding, Profile, System

Judged = Sequence[tuple[System, Sequence[Finding]]]


def compliance(judged: Judged, sources: Sources) -> Iterator[Html]:
    """Counts, the table that can be filtered, and the evidence."""
    profiles = list(dict.fromkeys([BASELINE, *(system.profile for system, _ in judged)]))
    yield _summary(profiles, judged)
    for said in dict.fromkeys(remark(profile, system) for profile in profiles for system, _ in _answers(profile, judged)):
        if said:
            yield tag("p", {"class": "quiet"}, sentence(said))
    yield _filters(profiles, judged)
    yield table(
        ("control", "catalogue", "system", "status", "what shows it"),
        [row_ for profile in profiles for row_ in _controls(profile, judged)],
        "Controls",
        {"id": "controls"},
    )
    yield tag("h3", {"id": "evidence"}, "Evidence by rule")
    for system, found in judged:
        yield tag("h4", None, system.title)
        yield from _evidence(system, found, sources)


def deviations(judged: Judged, sources: Sources) -> Html:
    """What is knowingly different, and why."""
    rows = []
    for system, found in judged:
        for deviation in system.deviations:
            explained = [finding for finding in found if finding.deviation == deviation]
            layer, _, title = deviation.resource.partition(".")
            path = explained[0].property if explained else ""
            controls = in_order(control for finding in explained for control in finding.controls)
            resource = sources.link(system, layer, title, path, deviation.resource)
            rows.append(row(deviation.id, ", ".join(controls), system.title, resource, sentence(deviation.reason)))
    return table(("differs from", "controls", "system", "resource", "reason"), rows, "Deviations")


def _answers(profile: Profile, judged: Judged) -> list[tuple[System, Sequence[Finding]]]:
    return [(system, found) for system, found in judged if profile in (BASELINE, system.profile)]


def _summary(profiles: Sequence[Profile], judged: Judged) -> Html:
    rows = []
    for profile in profiles:
        controls = catalogues()[profile.name]
        for system, found in _answers(profile, judged):
            stand = Counter(status(control, found) for control in controls)
            counts = [str(stand[one]) if stand[one] else "–" for one in Status]
            rows.append(row(profile.title, system.title, str(len(controls)), *counts, _shares(stand, len(controls))))
    heads = [joined([swatch(_kind(one)), f" {one.value}"]) for one in Status]
    return table(("catalogue", "system", "controls", *heads, "shares"), rows, "How many controls stand how", {"class": "counts"})


def _shares(stand: Mapping[Status, int], whole: int) -> Html:
    start, parts = 0.0, []
    for one in Status:
        share = stand[one] * 100 / whole
        shape = {"class": f"f-{_kind(one)}", "x": f"{start:.2f}%", "width": f"{share:.2f}%", "height": 12}
        parts += [tag("rect", shape)] if share else []
        start += share
    return tag("svg", {"width": "100%", "height": 12, "aria-hidden": "true", "class": "shares"}, *parts)


def _filters(profiles: Sequence[Profile], judged: Judged) -> Html:
    choices = (
        ("catalogue", [(profile.name, profile.title) for profile in profiles]),
        ("system", [(system.name, system.title) for system, _ in judged]),
        ("status", [(_kind(one), one.value) for one in Status]),
    )
    fields = [
        tag(
            "label",
            None,
            tag("span", None, name),
            tag(
                "select",
                {"name": name},
                tag("option", {"value": ""}, "all"),
                *(tag("option", {"value": v}, t) for v, t in options),
            ),
        )
        for name, options in choices
    ]
    text = tag(
        "label",
        None,
        tag("span", None, "control"),
        tag("input", {"name": "text", "type": "search", "placeholder": "CP-9, encryption"}),
    )
    shown = tag("output", {"aria-live": "polite"})
    return tag(
        "form", {"id": "filter", "role": "search", "aria-label": "Filter the controls", "hidden": True}, *fields, text, shown
    )


def _controls(profile: Profile, judged: Judged) -> Iterator[Html]:
    for control in catalogues()[profile.name]:
        for system, found in _answers(profile, judged):
            stands = status(control, found)
            attributes = {"data-catalogue": profile.name, "data-system": system.name, "data-status": _kind(stands)}
            name = joined([tag("b", None, control.id), " ", control.title])
            chip = tag("span", {"class": f"chip s-{_kind(stands)}"}, stands.value)
            yield row(name, profile.title, system.title, chip, _shown(control, system, found), attributes=attributes)


def _shown(control: Control, system: System, found: Sequence[Finding]) -> Html:
    """The rules that were asked for a control, with a link to what each found."""
    asked = Counter(finding.rule.id for finding in found if control.id in finding.controls)
    links = [
        tag("a", {"class": "e", "href": f"#{system.name}/{rule}"}, rule, tag("small", None, f" {count}"))
        for rule, count in sorted(asked.items())
    ]
    said = [sentence(control.elsewhere)] if control.elsewhere else []
    return joined([*said, *([joined(links, ", ")] if links else [])], " ")


def _evidence(system: System, found: Sequence[Finding], sources: Sources) -> Iterator[Html]:
    """What each rule found on a system, with the lines."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in found:
        by_rule.setdefault(finding.rule.id, []).append(finding)
    for name in sorted(by_rule):
        rule = by_rule[name][0].rule
        places = [
            tag(
                "li",
                None,
                sources.link(system, one.layer, one.resource, one.property, f"{one.layer}.{one.resource}"),
                Html("") if one.met else tag("span", {"class": "chip s-deviation"}, "deviation"),
            )
            for one in by_rule[name]
        ]
        controls = in_order(control for one in by_rule[name] for control in one.controls)
        yield tag(
            "details",
            {"class": "evidence", "id": f"{system.name}/{name}"},
            tag(
                "summary",
                None,
                tag("code", None, name),
                " ",
                tag("span", None, sentence(rule.statement)),
                tag("small", None, f" {len(places)}"),
            ),
            tag("p", None, sentence(rule.reason)),
            tag("p", {"class": "quiet"}, f"For {', '.join(controls)}. Source: {rule.source}"),
            tag("ul", {"class": "places"}, *places),
        )


def _kind(one: Status) -> str:
    """A status as the name of a class."""
    return one.value.partition(" ")[0]
