"""The committed systems, judged as a build does; and small ones, for what none of them has."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from compliance.check import findings
from documents.page.document import Subject
from documents.page.inventory import World
from documents.runbooks.costs import bill
from documents.runbooks.facts import Facts
from generator.systems import SYSTEMS
from generator.systems.ledger import LEDGER
from model import PRIMARY, RECOVERY, Document, Finding, System, read
from recovery import assess
from recovery.measured import Measured, measured
from recovery.service_times import service_times

ROOT = Path(__file__).resolve().parents[2]


@cache
def texts() -> Mapping[str, str]:
    """What a build writes beside the page, as far as the page reads it."""
    patterns = ("templates/*/*.yaml", "parameters/*/default.yaml", "docs/operations/*.md")
    paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


def documents(system: System) -> Mapping[str, Document]:
    """The templates of a system, in the order in which it declares them."""
    return {layer.name: read(texts()[f"templates/{system.name}/{layer.name}.yaml"]) for layer in system.layers}


@cache
def subject(name: str) -> Subject:
    """One committed system with what the judges find in it."""
    system = next(one for one in SYSTEMS if one.name == name)
    templates = documents(system)
    values = read((ROOT / "parameters" / name / "default.yaml").read_text())
    bills = {site: bill(_facts(system, templates, site), values) for site in system.regions}
    assessments = assess.findings(system, templates, service_times(), _measured())
    return Subject(system, templates, findings(system, templates), assessments, values, bills)


def _measured() -> tuple[Measured, ...]:
    return measured((ROOT / "docs/measured/restores.yaml").read_text(), service_times().formulas)


def _facts(system: System, templates: Mapping[str, Document], site: str) -> Facts:
    here = {name: one for name, one in templates.items() if site in one["Metadata"]["Layer"]["Sites"]}
    return Facts(system, here, {}, site)


@cache
def judged() -> Sequence[tuple[System, Sequence[Finding]]]:
    """Every committed system with what the rules find in it."""
    return [(one, findings(one, documents(one))) for one in SYSTEMS]


REGIONS = {PRIMARY: "eu-west-1", RECOVERY: "eu-west-2"}


def small(**layers: Mapping[str, Any]) -> World:
    """A system of templates written by hand: resources by logical id, ``sites`` and ``imports`` beside them."""
    system = System(name="small", title="Small", serves="a test", regions=REGIONS, profile=LEDGER.profile, layers=())
    made: dict[str, Document] = {}
    for name, given in layers.items():
        sites = {site: REGIONS[site] for site in given.get("sites", (PRIMARY,))}
        layer = {"Sites": sites, "Imports": given.get("imports", {}), "Packages": given.get("packages", [])}
        made[name] = {"Metadata": {"Layer": layer}, "Resources": given.get("resources", {}), "Outputs": given.get("outputs", {})}
    return World.of(system, made)
