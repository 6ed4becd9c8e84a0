"""FedRAMP's baselines, whole: what templates show, and who answers the rest.

A control that no template of these systems can show is answered by the agency (organisational), by AWS beneath its services
(inherited; its package is in AWS Artifact), or by nobody yet (open). Nothing is put down as answered by default: a control that
is in none of the tables below is open.
"""

from __future__ import annotations

from collections.abc import Mapping

from compliance.baselines import baseline
from compliance.profiles import Control, Status
from model import System

AUTHORISED = "us-"
"""How the names of AWS's regions in the United States begin, GovCloud's too: its FedRAMP authorisations name no others."""

AGENCY = "The agency's: {}."
PHYSICAL = "Inherited from AWS: {}."

FAMILIES = {
    "AT": "training and its records",
    "CA": "assessment, authorisation and continuous monitoring",
    "IR": "incident response, its plan, people and exercises",
    "PL": "planning and rules of behaviour",
    "PS": "its people",
    "RA": "risk assessment and vulnerability management",
    "SA": "acquisition and the way it develops",
    "SR": "its supply chain",
}
"""Families that ask an organisation and not a template."""

ACCOUNTS = "accounts of people, and the identity provider that knows them"
DEVICES = "devices and connections of its people"
SESSIONS = "sessions and sign-in of its identity provider and its application"
PLAN = "the contingency plan and whom it names"
CHANGES = "how changes are proposed, judged and let through"
OUTSIDE = "what it shares and with whom"

ORGANISATIONAL: Mapping[str, str] = {
    **dict.fromkeys(
        ("AC-2", *(f"AC-2({number})" for number in (1, 2, 3, 4, 5, 7, 9, 11, 12, 13)), "AC-5", "AC-6(1)", "AC-6(2)"), ACCOUNTS
    ),
    **dict.fromkeys(("AC-6(5)", "AC-6(7)"), ACCOUNTS),
    **dict.fromkeys(("AC-7", "AC-8", "AC-10", "AC-11", "AC-11(1)", "AC-12", "AC-14"), SESSIONS),
    **dict.fromkeys(("AC-17", "AC-17(1)", "AC-17(2)", "AC-17(3)", "AC-17(4)", "AC-19", "AC-19(5)"), DEVICES),
    **dict.fromkeys(("AC-20", "AC-20(1)", "AC-20(2)", "AC-21", "AC-22"), OUTSIDE),
    **dict.fromkeys(("AU-6(1)", "AU-6(3)", "AU-6(4)", "AU-6(5)", "AU-6(6)", "AU-6(7)"), "the review of audit records"),
    **dict.fromkeys(("CM-3", "CM-3(1)", "CM-3(4)", "CM-4", "CM-4(1)", "CM-4(2)", "CM-5", "CM-5(1)", "CM-5(5)"), CHANGES),
    **dict.fromkeys(("CM-2(7)", "CM-7(1)", "CM-9", "CM-10", "CM-11"), "configuration management and the software of its people"),
    **dict.fromkeys(("CP-2", *(f"CP-2({number})" for number in (1, 2, 3, 5, 8)), "CP-3", "CP-3(1)", "CP-4(1)"), PLAN),
    **dict.fromkeys(("IA-2", "IA-2(1)", "IA-2(2)", "IA-2(5)", "IA-2(6)", "IA-2(8)", "IA-2(12)", "IA-4", "IA-4(4)"), ACCOUNTS),
    **dict.fromkeys(("IA-5(2)", "IA-5(8)", "IA-5(13)", "IA-6", "IA-8", "IA-8(1)", "IA-8(2)", "IA-8(4)", "IA-11"), SESSIONS),
    **dict.fromkeys(("IA-12", "IA-12(2)", "IA-12(3)", "IA-12(4)", "IA-12(5)"), "proof of who its people are"),
    "MA-4": "maintenance from afar, by its people",
    "PE-17": "places where its people work",
    **dict.fromkeys(("SC-7(7)", "SC-7(8)", "SC-7(12)", "SC-18"), DEVICES),
    **dict.fromkeys(("SC-10", "SC-23"), SESSIONS),
    **dict.fromkeys(("SI-2", "SI-2(2)", "SI-2(3)", "SI-5", "SI-5(1)"), "flaws, advisories and what is done about them"),
    **dict.fromkeys(("SI-8", "SI-8(2)"), "its mail"),
    **dict.fromkeys(("SI-10", "SI-11"), "its application, which takes input and reports errors"),
    "SI-4(19)": "people of increased risk",
}
"""What a control asks of the agency, for those whose family does not say so already; every ``-1`` is its policy."""

FACILITIES = "its facilities and hardware"
NETWORK = "the network between and within its facilities"
ISOLATION = "the hypervisor and the managed services, which keep customers apart"
RESOLVER = "the VPC's resolver and Route 53"
CLOCKS = "the clocks of its services"

INHERITED: Mapping[str, str] = {
    **dict.fromkeys(("AC-18", "AC-18(1)", "AC-18(3)", "AC-18(4)", "AC-18(5)", "SI-4(14)", "SC-15"), FACILITIES),
    **dict.fromkeys(("AU-4", "AU-5(1)"), "logs and buckets grow without a limit that a customer sets"),
    **dict.fromkeys(("AU-8", "SC-45", "SC-45(1)"), CLOCKS),
    **dict.fromkeys(("CP-8", "CP-8(1)", "CP-8(2)", "CP-8(3)", "CP-8(4)", "SC-7(4)"), NETWORK),
    "IA-7": "KMS authenticates to its modules; which are validated, AWS states",
    **dict.fromkeys(
        ("MA-2", "MA-2(2)", "MA-3", "MA-3(1)", "MA-3(2)", "MA-3(3)", "MA-4(3)", "MA-5", "MA-5(1)", "MA-6"), FACILITIES
    ),
    **dict.fromkeys(("MP-2", "MP-3", "MP-4", "MP-5", "MP-6", "MP-6(1)", "MP-6(2)", "MP-6(3)", "MP-7"), FACILITIES),
    **dict.fromkeys(("SC-4", "SC-39", "SI-16"), ISOLATION),
    **dict.fromkeys(("SC-20", "SC-21", "SC-22"), RESOLVER),
    **dict.fromkeys(("SI-3", "SI-4(23)"), "the hosts of managed services, to which no customer has access"),
}
"""What a control asks of AWS. Physical protection (PE) is AWS's throughout, but for policy and for the places of people."""


def controls(name: str, shown: Mapping[str, tuple[str, str]]) -> tuple[Control, ...]:
    """Every control of a baseline; ``shown`` holds, for those that templates speak to, the title in our words and a remark."""
    whole = baseline(name)
    strangers = sorted(set(shown) - {found for found, _ in whole})
    if strangers:
        raise ValueError(f"{name} has no {', '.join(strangers)}; take it out of the profile")
    return tuple(_control(found, *shown.get(found, (f"{title}.", ""))) for found, title in whole)


def _control(found: str, title: str, remark: str) -> Control:
    status, answer = _answer(found)
    return Control(found, title, remark or answer, status)


def _answer(found: str) -> tuple[Status, str]:
    family, _, number = found.partition("-")
    if number == "1":
        return Status.ORGANISATIONAL, AGENCY.format("policy and procedures")
    if found in INHERITED:
        return Status.INHERITED, PHYSICAL.format(INHERITED[found])
    if found in ORGANISATIONAL:
        return Status.ORGANISATIONAL, AGENCY.format(ORGANISATIONAL[found])
    if family == "PE":
        return Status.INHERITED, PHYSICAL.format(FACILITIES)
    if family in FAMILIES:
        return Status.ORGANISATIONAL, AGENCY.format(FAMILIES[family])
    return Status.OPEN, ""


def remark(system: System) -> str:
    """Whose answer the baseline is, and whether an authorisation can hold where the system runs."""
    outside = sorted(region for region in system.regions.values() if not region.startswith(AUTHORISED))
    if not outside:
        return f"{system.name}: controls aligned; an authorisation is the agency's to give."
    return (
        f"**{system.name} runs in {', '.join(outside)}: controls aligned, not authorised in "
        f"{'this region' if len(outside) == 1 else 'these regions'}.** AWS's FedRAMP "
        "authorisations cover its regions in the United States only, and no template changes that: what is marked as "
        "inherited from AWS has no FedRAMP package to rest on there."
    )
