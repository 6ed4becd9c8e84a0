"""The conformance packs: every rule of each is answered once, by a rule of ours, by what is not declared, or with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from documents import conformance_packs
from model import read
from tests.support.compliance.every_rule import all_rules

ROOT = Path(__file__).parents[2]
DECLARED = {
    body["Type"] for path in (ROOT / "templates").glob("*/*.yaml") for body in read(path.read_text())["Resources"].values()
}
FIGURES = {conformance_packs.FEDRAMP: 128, conformance_packs.HIPAA: 131}
"""The resources of type AWS::Config::ConfigRule in each pack's file, counted at the commits that conformance_packs.py names."""


@pytest.mark.parametrize("pack", conformance_packs.BOTH)
def test_a_pack_is_whole_and_each_of_its_rules_is_answered_once(pack: str) -> None:
    names = [name for name, answer in conformance_packs.answers() if pack in answer.packs]
    assert len(names) == len(set(names)) == FIGURES[pack]


def test_rules_that_answer_exist() -> None:
    assert {rule for _, answer in conformance_packs.answers() for rule in answer.rules} <= {rule.id for rule in all_rules()}


def test_types_that_are_said_not_to_be_declared_are_not() -> None:
    said = {type_ for _, answer in conformance_packs.answers() for type_ in answer.types}
    assert said
    assert not said & DECLARED


def test_no_rule_of_a_pack_is_open_and_one_that_nothing_answers_would_be() -> None:
    assert [name for name, answer in conformance_packs.answers() if answer.status == "open"] == []
    assert conformance_packs.Answer(conformance_packs.BOTH).status == "open"


@pytest.mark.parametrize("rule", ["CLOUDTRAIL_S3_DATAEVENTS_ENABLED", "LAMBDA_INSIDE_VPC"])
def test_where_a_rule_of_ours_asks_less_than_the_packs_it_is_said(rule: str) -> None:
    assert all("fails" in answer.reason for name, answer in conformance_packs.answers() if name == rule)


def test_the_document_has_a_row_per_answer() -> None:
    page = conformance_packs.document()
    assert page == (ROOT / "docs/conformance-packs.md").read_text()
    assert page.count("\n| ") == len(conformance_packs.answers()) + 1
    assert (
        "| ENCRYPTED_VOLUMES | FedRAMP (Moderate), HIPAA Security | not applicable | No template declares AWS::EC2::Volume. |"
        in page
    )
