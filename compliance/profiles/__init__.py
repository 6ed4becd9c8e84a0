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

    whole = {
        fedramp_high.FEDRAMP_HIGH.name: fedramp_high.WHOLE_BASELINE,
        fedramp_moderate.FEDRAMP_MODERATE.name: fedramp_moderate.WHOLE_BASELINE,
    }
    if profile is hipaa.HIPAA:
        return hipaa.remark(system)
    if profile.name not in whole:
        return ""
    return fedramp.remark(system, len(catalogues()[profile.name]), whole[profile.name])
