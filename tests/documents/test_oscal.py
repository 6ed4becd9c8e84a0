"""OSCAL: valid by trestle's models, the same bytes from every build, and no control that its catalogue does not have."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from compliance.baselines import baseline
from compliance.catalogues import catalogues
from compliance.check import check
from compliance.profiles import Status
from compliance.profiles.fedramp_moderate import FEDRAMP_MODERATE
from compliance.profiles.hipaa import HIPAA
from documents import oscal
from generator.systems import SYSTEMS
from model import Profile
from tests.support.compliance.deviations import DEVIATIONS, FOUND, SYSTEM
from tests.support.compliance.small_system import NO_STANDBY, TEXTS, changed, system, templates
from tests.support.page_subjects import judged, texts

CATALOGS = sorted({f"{one.profile.name}-catalog.json" for one in SYSTEMS})
NAMES = [*CATALOGS, *(f"{one.name}/{name}" for one in SYSTEMS for name in ("ssp.json", oscal.DEFINITION))]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make evidence` writes of the committed templates, as deep below a root as there."""
    root = tmp_path_factory.mktemp("evidence")
    for name, text in oscal.documents(judged(), texts()).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


class _Layer:
    def __init__(self, name: str) -> None:
        self.name = name


def _with_layers(*deviations: Any, profile: Profile = FEDRAMP_MODERATE) -> Any:
    names = [path.rpartition("/")[2].removesuffix(".yaml") for path in TEXTS]
    return replace(system(*deviations, profile=profile), layers=tuple(_Layer(name) for name in sorted(names)))


@pytest.mark.skipif(find_spec("trestle") is None, reason="make test installs requirements/oscal.lock")
@pytest.mark.parametrize("name", NAMES)
def test_what_is_built_is_valid(name: str, evidence: Path) -> None:
    from trestle.core.validator_factory import validator_factory
    from trestle.oscal.catalog import Catalog
    from trestle.oscal.component import ComponentDefinition
    from trestle.oscal.ssp import SystemSecurityPlan

    types = {"component-definition": ComponentDefinition, "catalog": Catalog, "ssp": SystemSecurityPlan}
    of_type = types["catalog" if name in CATALOGS else Path(name).stem]
    read = of_type.oscal_read(evidence / name)
    assert read is not None
    for mode in ("catalog", "duplicates", "links", "refs"):  # the rules ask for a workspace of trestle's own
        assert validator_factory.get(Namespace(mode=mode, quiet=True)).model_is_valid(read, True, None), mode


@pytest.mark.parametrize("name", NAMES)
def test_every_identifier_stands_for_one_thing_and_every_reference_leads_to_one(name: str, evidence: Path) -> None:
    document = json.loads((evidence / name).read_text())
    defined = list(_values(document, "uuid"))
    assert len(defined) == len(set(defined))
    assert set(_values(document, "component-uuid")) <= set(defined)
    for href in _values(document, "source"):
        assert href.removeprefix("#") in defined


@pytest.mark.parametrize("one", SYSTEMS, ids=lambda one: one.name)
def test_a_plan_imports_a_catalogue_that_holds_its_controls(one: Any, evidence: Path) -> None:
    plan = json.loads((evidence / f"{one.name}/ssp.json").read_text())["system-security-plan"]
    catalog = json.loads((evidence / one.name / plan["import-profile"]["href"]).read_text())["catalog"]
    told = set(_values(plan["control-implementation"], "control-id"))
    assert told == {control["id"] for control in catalog["controls"]}


def test_every_link_leads_to_a_line_of_a_template(evidence: Path) -> None:
    lengths: dict[Path, int] = {}
    for name in NAMES:
        for href in _values(json.loads((evidence / name).read_text()), "href"):
            path, _, line = href.partition("#L")
            if line:
                target = (Path("out/evidence", name).parent / path).resolve()
                lengths.setdefault(target, len(target.read_text().splitlines()))
                assert 0 < int(line) <= lengths[target]


@pytest.mark.parametrize("one", SYSTEMS, ids=lambda one: one.name)
def test_a_plan_accounts_for_every_control_of_its_catalogue_and_no_other(one: Any, evidence: Path) -> None:
    plan = json.loads((evidence / f"{one.name}/ssp.json").read_text())["system-security-plan"]
    told = [found["control-id"] for found in plan["control-implementation"]["implemented-requirements"]]
    assert told == [oscal.control_id(one.profile, control.id) for control in catalogues()[one.profile.name]]
    if one.profile.name.startswith("fedramp"):
        assert set(told) == {oscal.control_id(one.profile, found) for found, _ in baseline(one.profile.name)}


def test_every_control_of_the_component_definition_is_one_of_a_catalogue(evidence: Path) -> None:
    known = {oscal.control_id(one.profile, control.id) for one in SYSTEMS for control in catalogues()[one.profile.name]}
    for one in SYSTEMS:
        told = set(_values(json.loads((evidence / one.name / oscal.DEFINITION).read_text()), "control-id"))
        assert told, one.name
        assert told <= known


@pytest.mark.parametrize(
    ("profile", "ours", "theirs"),
    [
        (FEDRAMP_MODERATE, "AC-2(1)", "ac-2.1"),
        (FEDRAMP_MODERATE, "CP-10", "cp-10"),
        (HIPAA, "164.312(a)(2)(iv)", "hipaa-164.312.a.2.iv"),
    ],
)
def test_ids_are_written_as_oscal_writes_them(profile: Profile, ours: str, theirs: str) -> None:
    assert oscal.control_id(profile, ours) == theirs


def test_the_documents_are_the_same_from_every_build() -> None:
    small = [(_with_layers(), check(_with_layers(), templates()))]
    assert oscal.documents(small, TEXTS) == oscal.documents(small, dict(reversed(TEXTS.items())))


def test_nothing_is_called_implemented_and_a_deviation_carries_its_reason() -> None:
    one = _with_layers(*DEVIATIONS, profile=SYSTEM.profile)
    found = check(one, changed(NO_STANDBY))
    assert found == FOUND
    text = oscal.documents([(one, found)], TEXTS)["small/ssp.json"]
    assert "data" in text
    assert set(_values(json.loads(text), "state")) == {"under-development", "partial", "alternative"}
    assert "Instance deviates from rds.multi_az. One zone is enough for tests." in text


def test_what_no_template_shows_is_the_whole_systems() -> None:
    one = _with_layers()
    plan = json.loads(oscal.documents([(one, ())], TEXTS)["small/ssp.json"])["system-security-plan"]
    requirements = {found["control-id"]: found for found in plan["control-implementation"]["implemented-requirements"]}
    assert requirements["pe-3"]["props"][0]["value"] == Status.INHERITED
    assert requirements["ac-3"]["by-components"][0]["description"] == "Nobody answers this yet."
    assert [component["type"] for component in plan["system-implementation"]["components"]] == ["this-system"]


def _values(document: Any, key: str) -> list[Any]:
    """Every value of a key, at any depth."""
    if isinstance(document, list):
        return [value for each in document for value in _values(each, key)]
    if not isinstance(document, dict):
        return []
    own = [document[key]] if key in document and isinstance(document[key], str) else []
    return own + [value for each in document.values() for value in _values(each, key)]
