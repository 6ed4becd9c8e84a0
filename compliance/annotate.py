"""What was found, as a reviewer meets it in a template: one comment line above a resource, and the template's Metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from model import Deviation, Document, Finding


def evidence(findings: Iterable[Finding], deviations: Iterable[Deviation] = ()) -> Mapping[tuple[str, str], str]:
    """The line above each resource, by layer and logical id; ``deviations`` adds those that no rule judges."""
    met: dict[tuple[str, str], set[str]] = {}
    differing: dict[tuple[str, str], set[str]] = {}
    for finding in findings:
        where = (finding.layer, finding.resource)
        (met if finding.met else differing).setdefault(where, set()).update(finding.controls)
    judged = {(finding.rule.id, f"{finding.layer}.{finding.resource}") for finding in findings}
    for deviation in deviations:
        if (deviation.id, deviation.resource) not in judged:
            layer, _, title = deviation.resource.partition(".")
            differing.setdefault((layer, title), set()).add(deviation.id)
    return {where: _line(met.get(where, ()), differing.get(where, ())) for where in sorted({*met, *differing})}


def _line(met: Iterable[str], differing: Iterable[str]) -> str:
    shown, missed = ", ".join(in_order(met)), ", ".join(in_order(differing))
    sentences = [f"Evidence for {shown}." if shown else "", f"Deviates from {missed}, see Metadata." if missed else ""]
    return " ".join(filter(None, sentences))


def metadata(findings: Iterable[Finding], deviations: Iterable[Deviation], layer: str) -> Document:
    """``Metadata.Compliance`` of a layer: each control with its evidence, each deviation with its reason."""
    found = [finding for finding in findings if finding.layer == layer]
    controls: dict[str, set[str]] = {}
    for finding in found:
        if finding.met:
            for control in finding.controls:
                controls.setdefault(control, set()).add(finding.resource)
    asked = {(finding.rule.id, finding.resource): finding.controls for finding in found}
    document: Document = {"Evidence": {control: sorted(controls[control]) for control in in_order(controls)}}
    own = [deviation for deviation in deviations if deviation.resource.partition(".")[0] == layer]
    if own:
        document["Deviations"] = [
            {
                "From": deviation.id,
                **(
                    {"Controls": list(in_order(asked[key]))}
                    if (key := (deviation.id, deviation.resource.partition(".")[2])) in asked
                    else {}
                ),
                "Resource": key[1],
                "Reason": deviation.reason,
            }
            for deviation in own
        ]
    return document


def in_order(controls: Iterable[str]) -> tuple[str, ...]:
    """Control ids as catalogues list them: ours (A-05, A-10) first, then A1.2, CC6.1 or AC-6, CP-9, CP-9(1) or 164.312(a)(1)."""
    return tuple(sorted(set(controls), key=_rank))


def _rank(control: str) -> tuple[bool, list[tuple[int, str]]]:
    parts = re.findall(r"\d+|[A-Za-z]+", control)
    return "-" not in control, [(int(part), "") if part.isdigit() else (0, part) for part in parts]
