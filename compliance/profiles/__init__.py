"""Profiles: which control of which published catalogue a rule's answer is evidence for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Control:
    """One control of a catalogue, in our words; ``elsewhere`` says where it is answered if not, or not only, by templates."""

    id: str
    title: str
    elsewhere: str = ""


def catalogues() -> Mapping[str, tuple[Control, ...]]:
    """Every control of each profile's catalogue, by the profile's name: the whole of it, not only what is met."""
    from compliance.profiles import baseline, financial_audit

    return {baseline.BASELINE.name: baseline.CONTROLS, financial_audit.FINANCIAL_AUDIT.name: financial_audit.CONTROLS}
