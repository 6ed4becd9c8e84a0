"""The build stops at unexplained gaps and idle deviations, and says all of them at once."""

from __future__ import annotations

from typing import Any

import pytest

from compliance.check import UnexplainedGapError, check, questions
from compliance.profiles.baseline import BASELINE
from compliance.profiles.hipaa import HIPAA
from compliance.rules import failover, kms, rds, s3
from model import Deviation, System
from model.view import TEMPLATE
from tests.support.compliance.small_system import LAYERS, NO_STANDBY, changed, system, templates

NO_ROTATION = ("base/Resources/Key/Properties/EnableKeyRotation", False)


def complaint(declared: System, *changes: tuple[str, Any]) -> list[str]:
    with pytest.raises(UnexplainedGapError) as caught:
        check(declared, changed(*changes))
    return str(caught.value).splitlines()


def test_a_system_that_shows_everything_passes() -> None:
    found = check(system(), templates())
    assert all(finding.met and finding.deviation is None for finding in found)


def test_what_a_rule_has_nothing_to_ask_of_is_evidence_of_no_control() -> None:
    found = check(system(profile=HIPAA), templates())
    decided = {(finding.layer, finding.resource) for finding in found if finding.rule is failover.short}
    assert decided == {("failover", "Function")}


def test_unexplained_gap_stops_the_build() -> None:
    heading, *problems = complaint(system(), NO_STANDBY)
    assert heading == "small: the templates do not answer for themselves"
    assert len(problems) == 1
    assert "data.Instance gives no evidence of rds.multi_az for A-13, A1.2" in problems[0]
    assert "Asked of MultiAZ" in problems[0]
    assert "Deviation of rds.multi_az on data.Instance" in problems[0]


def test_all_gaps_are_listed_at_once() -> None:
    assert len(complaint(system(), NO_STANDBY, NO_ROTATION)) == 3


def test_a_deviation_explains_its_gap_and_no_other() -> None:
    deviation = Deviation(rds.multi_az, "data.Instance", "One zone is enough for tests.")
    found = check(system(deviation), changed(NO_STANDBY))
    assert [finding.rule.id for finding in found if not finding.met] == ["rds.multi_az"]
    assert [finding.deviation for finding in found if finding.deviation] == [deviation]
    _, problem = complaint(system(deviation), NO_STANDBY, NO_ROTATION)
    assert "kms.rotated" in problem


def test_a_deviation_may_name_a_rule_by_its_id() -> None:
    assert check(system(Deviation("rds.multi_az", "data.Instance", "Tests.")), changed(NO_STANDBY))


def test_a_deviation_of_a_rule_that_is_met_stops_the_build() -> None:
    _, problem = complaint(system(Deviation(rds.multi_az, "data.Instance", "For no reason.")))
    assert problem.strip().startswith("data.Instance meets rds.multi_az")
    assert problem.endswith("remove the deviation")


@pytest.mark.parametrize(
    ("deviation", "words"),
    [
        (
            Deviation(rds.multi_az, "data.Instanz", "x"),
            "names data.Instanz, which does not exist; the data layer has ArchiveTooLate, Attachment",
        ),
        (Deviation("LG-05", "storage.Instance", "x"), "there is no layer storage among base, network, data, platform"),
        (Deviation(kms.rotated, "data.Instance", "x"), "kms.rotated is not asked of data.Instance"),
        (Deviation("LG-05", "data.Instance", "  "), "gives no reason"),
        (Deviation("rds.multi_asz", "data.Instance", "x"), "neither a rule that small answers nor a requirement such as LG-05"),
    ],
)
def test_a_deviation_that_explains_nothing_stops_the_build(deviation: Deviation, words: str) -> None:
    _, problem = complaint(system(deviation))
    assert words in problem


def test_a_deviation_declared_twice_stops_the_build() -> None:
    twice = Deviation("LG-05", "data.Instance", "x")
    _, problem = complaint(system(twice, twice))
    assert "declared twice" in problem


def test_a_deviation_of_a_requirement_is_kept_but_not_judged() -> None:
    found = check(system(Deviation("LG-05", "data.Parameters", "Asked for.")), templates())
    assert not any(finding.deviation for finding in found)


def test_a_deviation_of_a_rule_that_the_profile_does_not_ask_is_idle() -> None:
    _, problem = complaint(system(Deviation(s3.tidied, "base.Bucket", "x"), profile=BASELINE))
    assert "neither a rule that small answers" in problem


def test_every_system_answers_the_baseline_and_then_its_profile() -> None:
    asked = questions(system())
    assert asked[kms.rotated] == ("A-05", "CC6.1")
    assert asked[rds.multi_az] == ("A-13", "A1.2")
    assert questions(system(profile=BASELINE)) == dict(BASELINE.controls)


def test_a_whole_template_is_asked_once() -> None:
    found = check(system(), templates())
    whole = [
        finding.layer for finding in found if finding.resource == TEMPLATE and finding.rule.id == "secrets.no_clear_credential"
    ]
    assert whole == list(LAYERS)
