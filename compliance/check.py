"""Ask every rule of every resource of a system, and stop the build where a gap is not explained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from compliance.profiles.baseline import BASELINE
from model import Deviation, Document, Finding, Rule, System
from model.view import View

REQUIREMENT = re.compile(r"[A-Z]{1,2}-\d{2}")


class UnexplainedGapError(Exception):
    """What the templates of a system do not show, or what its deviations say wrongly; all of it at once."""


def questions(system: System) -> dict[Rule, tuple[str, ...]]:
    """The rules that a system answers with the controls they are evidence for: the baseline's, then its profile's."""
    asked: dict[Rule, tuple[str, ...]] = {}
    for profile in dict.fromkeys((BASELINE, system.profile)):
        for rule, controls in profile.controls.items():
            asked[rule] = asked.get(rule, ()) + controls
    return asked


def findings(system: System, templates: Mapping[str, Document]) -> tuple[Finding, ...]:
    """What every rule finds, with the deviation that explains a gap where there is one; judges nothing."""
    view = View(templates)
    explained = {(deviation.id, deviation.resource): deviation for deviation in system.deviations}
    found = []
    for rule, controls in questions(system).items():
        for resource in view.resources(*rule.types):
            verdict = rule.judge(resource)
            if verdict is None:
                continue
            decided_by, met = verdict
            deviation = explained.get((rule.id, f"{resource.layer}.{resource.id}"))
            found.append(Finding(rule, resource.layer, resource.id, decided_by, met, controls, deviation))
    return tuple(found)


def check(system: System, templates: Mapping[str, Document]) -> tuple[Finding, ...]:
    """The findings of a system, by rule and then in the templates' order; raises UnexplainedGapError."""
    found = findings(system, templates)
    problems = [*_unmet(found), *_idle(system, found, View(templates))]
    if problems:
        raise UnexplainedGapError(f"{system.name}: the templates do not answer for themselves\n  " + "\n  ".join(problems))
    return found


def _unmet(found: tuple[Finding, ...]) -> Iterator[str]:
    for finding in found:
        where, rule = f"{finding.layer}.{finding.resource}", finding.rule
        if finding.met and finding.deviation:
            yield f"{where} meets {rule.id} ({rule.statement}), so its deviation explains nothing; remove the deviation"
        elif not finding.met and not finding.deviation:
            yield (
                f"{where} gives no evidence of {rule.id} for {', '.join(finding.controls)}: {rule.statement} "
                f"Asked of {finding.property}. {rule.reason} "
                f"Change the layer, or give the system a Deviation of {rule.id} on {where} with its reason"
            )


def _idle(system: System, found: tuple[Finding, ...], view: View) -> Iterator[str]:
    """Deviations that explain nothing: no such resource, no such rule, a rule that is not asked of it, no reason, or twice."""
    asked = {(finding.rule.id, f"{finding.layer}.{finding.resource}") for finding in found}
    rules = {finding.rule.id for finding in found} | {rule.id for rule in questions(system)}
    seen: set[tuple[str, str]] = set()
    for deviation in system.deviations:
        subject = (deviation.id, deviation.resource)
        layer, _, title = deviation.resource.partition(".")
        if view.resource(layer, title) is None:
            yield f"the deviation of {deviation.id} names {deviation.resource}, which does not exist{_instead(view, layer)}"
        elif not deviation.reason.strip():
            yield f"the deviation of {deviation.id} on {deviation.resource} gives no reason; say why"
        elif subject in seen:
            yield f"the deviation of {deviation.id} on {deviation.resource} is declared twice; keep one"
        elif deviation.id in rules:
            if subject not in asked:
                yield f"{deviation.id} is not asked of {deviation.resource}, so its deviation explains nothing; remove it"
        elif not _is_requirement(deviation):
            yield (
                f"the deviation of {deviation.id} on {deviation.resource} names neither a rule that {system.name} answers "
                "nor a requirement such as LG-05"
            )
        seen.add(subject)


def _is_requirement(deviation: Deviation) -> bool:
    return isinstance(deviation.subject, str) and REQUIREMENT.fullmatch(deviation.subject) is not None


def _instead(view: View, layer: str) -> str:
    names = [resource.id for resource in view.resources() if resource.layer == layer]
    if names:
        return f"; the {layer} layer has {', '.join(sorted(names))}"
    return f"; there is no layer {layer} among {', '.join(view.templates)}"
