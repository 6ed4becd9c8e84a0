"""docs/compliance: how each control stands, in lines that stay where they are when something is added."""

from __future__ import annotations

import copy
import re
from dataclasses import replace

import pytest

from compliance.catalogues import catalogues
from compliance.check import check, findings
from compliance.profiles import Control, Status, status
from compliance.profiles.baseline import BASELINE
from compliance.profiles.fedramp_moderate import FEDRAMP_MODERATE
from documents import controls
from generator.systems import SYSTEMS
from generator.systems.ledger import LEDGER
from model import PRIMARY, Finding, System
from tests.support.compliance.deviations import FOUND, SYSTEM
from tests.support.compliance.small_system import system, templates
from tests.support.page_subjects import documents, judged

PAGES = controls.documents(judged())
ANSWERED = (Status.ORGANISATIONAL, Status.INHERITED)


@pytest.mark.parametrize(("layer", "title"), [("keys", "LogsKey"), ("network", "ClientGroup"), ("monitoring", "CpuTooHigh")])
def test_a_resource_more_changes_the_row_of_its_layer_alone(layer: str, title: str) -> None:
    layers = copy.deepcopy(dict(documents(LEDGER)))
    resources = layers[layer]["Resources"]
    layers[layer]["Resources"] = {"Another": resources[title], **resources}
    before, after = PAGES["ledger.md"].splitlines(), controls.document(LEDGER, findings(LEDGER, layers)).splitlines()
    assert len(before) == len(after)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    ((old, new),) = changed
    assert new.startswith(f"| [{layer}](../../templates/ledger/{layer}.yaml) | ")
    assert "Another (" in new
    assert "Another (" not in old


@pytest.mark.parametrize(("one", "found"), judged(), ids=[one.name for one in SYSTEMS])
def test_every_control_stands_once_with_its_status(one: System, found: list[Finding]) -> None:
    page = PAGES[f"{one.name}.md"]
    listed = re.findall(r"^(?:Organisational|Inherited from AWS): (.+)\.$", page, re.MULTILINE)
    others = {id_ for ids in listed for id_ in ids.split(", ")}
    for profile in dict.fromkeys([BASELINE, one.profile]):
        for control in catalogues()[profile.name]:
            stands = status(control, found)
            rows = re.findall(rf"^\| {re.escape(control.id)} \| .* \| (\w+)(?:: .+)? \|$", page, re.MULTILINE)
            assert rows == ([] if stands in ANSWERED else [stands]), control.id
            assert (control.id in others) is (stands in ANSWERED), control.id


def test_deviations_stand_with_their_controls_and_reasons() -> None:
    page = controls.document(SYSTEM, FOUND)
    assert "| data.Instance | rds.multi_az | A-13, A1.2 | One zone is enough for tests. |" in page
    assert "| data.Parameters | LG-05 | LG-05 | Asked for. |" in page
    assert "| A-13 | Recovery objectives are shown, not claimed. | deviation |" in page
    assert "## Deviations\n\nNone.\n" in controls.document(system(), check(system(), templates()))


def test_what_is_open_says_what_there_is() -> None:
    control = next(one for one in catalogues()[LEDGER.profile.name] if one.elsewhere and one.status is Status.OPEN)
    assert isinstance(control, Control)
    assert f"| {control.id} | {control.title} | open: {control.elsewhere} |" in controls.document(LEDGER, [])


def test_outside_the_united_states_the_page_claims_alignment_and_no_authorisation() -> None:
    at_home = system(profile=FEDRAMP_MODERATE)
    abroad = replace(at_home, regions={PRIMARY: "eu-central-2"})
    said = "> **small runs in eu-central-2: controls aligned, not authorised in this region.**"
    assert said in controls.document(abroad, ())
    assert said not in controls.document(at_home, ())
