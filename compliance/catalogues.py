"""Which catalogue each profile answers to, and what must be said beside the answers."""

from __future__ import annotations

from collections.abc import Mapping

from compliance.profiles import Control, baseline, fedramp, fedramp_high, fedramp_moderate, financial_audit, hipaa
from model import Profile, System


def catalogues() -> Mapping[str, tuple[Control, ...]]:
    """The controls of each profile's catalogue, by the profile's name: the whole of it."""
    return {
        baseline.BASELINE.name: baseline.CONTROLS,
        fedramp_high.FEDRAMP_HIGH.name: fedramp_high.CONTROLS,
        fedramp_moderate.FEDRAMP_MODERATE.name: fedramp_moderate.CONTROLS,
        financial_audit.FINANCIAL_AUDIT.name: financial_audit.CONTROLS,
        hipaa.HIPAA.name: hipaa.CONTROLS,
    }


def remark(profile: Profile, system: System) -> str:
    """What must be said where a system's answers to a catalogue are shown; nothing for most."""
    said = {
        fedramp_high.FEDRAMP_HIGH.name: fedramp.remark,
        fedramp_moderate.FEDRAMP_MODERATE.name: fedramp.remark,
        hipaa.HIPAA.name: hipaa.remark,
    }
    return said[profile.name](system) if profile.name in said else ""
