"""Profiles: which control of which published catalogue a rule's answer is evidence for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from model import Finding, Profile, System


class Status(StrEnum):
    """How a control stands for a system. The first two are derived; the others say who answers what no template shows."""

    EVIDENCED = "evidenced"
    DEVIATION = "deviation"
    ORGANISATIONAL = "organisational"
    INHERITED = "inherited from AWS"
    OPEN = "open"


@dataclass(frozen=True)
class Control:
    """One control of a catalogue; ``elsewhere`` says where it is answered if not, or not only, by templates.

    ``status`` is that of a system whose templates show nothing of it.
    """

    id: str
    title: str
    elsewhere: str = ""
    status: Status = Status.OPEN


def status(control: Control, found: Iterable[Finding]) -> Status:
    """How a control stands, by what was found on a system: a deviation, however much else is met, is a deviation."""
    own = [finding.met for finding in found if control.id in finding.controls]
    if not own:
        return control.status
    return Status.EVIDENCED if all(own) else Status.DEVIATION


def catalogues() -> Mapping[str, tuple[Control, ...]]:
    """The controls of each profile's catalogue, by the profile's name: the whole of it."""
    from compliance.profiles import baseline, fedramp_high, fedramp_moderate, financial_audit, hipaa

    return {
        baseline.BASELINE.name: baseline.CONTROLS,
        fedramp_high.FEDRAMP_HIGH.name: fedramp_high.CONTROLS,
        fedramp_moderate.FEDRAMP_MODERATE.name: fedramp_moderate.CONTROLS,
        financial_audit.FINANCIAL_AUDIT.name: financial_audit.CONTROLS,
        hipaa.HIPAA.name: hipaa.CONTROLS,
    }


def remark(profile: Profile, system: System) -> str:
    """What must be said where a system's answers to a catalogue are shown; nothing for most."""
    from compliance.profiles import fedramp, fedramp_high, fedramp_moderate, hipaa

    said = {
        fedramp_high.FEDRAMP_HIGH.name: fedramp.remark,
        fedramp_moderate.FEDRAMP_MODERATE.name: fedramp.remark,
        hipaa.HIPAA.name: hipaa.remark,
    }
    return said[profile.name](system) if profile.name in said else ""
