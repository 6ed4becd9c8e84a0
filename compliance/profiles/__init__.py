"""Profiles: which control of which published catalogue a rule's answer is evidence for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model import Profile, System


@dataclass(frozen=True)
class Control:
    """One control of a catalogue, in our words; ``elsewhere`` says where it is answered if not, or not only, by templates."""

    id: str
    title: str
    elsewhere: str = ""


def catalogues() -> Mapping[str, tuple[Control, ...]]:
    """The controls of each profile's catalogue, by the profile's name: the whole of it, or ``remark`` says what is left out."""
    from compliance.profiles import baseline, fedramp_moderate, financial_audit

    return {
        baseline.BASELINE.name: baseline.CONTROLS,
        fedramp_moderate.FEDRAMP_MODERATE.name: fedramp_moderate.CONTROLS,
        financial_audit.FINANCIAL_AUDIT.name: financial_audit.CONTROLS,
    }


def remark(profile: Profile, system: System) -> str:
    """What must be said where a system's answers to a catalogue are shown; nothing for most."""
    from compliance.profiles import fedramp_moderate

    return fedramp_moderate.remark(system) if profile is fedramp_moderate.FEDRAMP_MODERATE else ""
