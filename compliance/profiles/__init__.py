"""Profiles: which control of which published catalogue a rule's answer is evidence for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from model import Finding


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
