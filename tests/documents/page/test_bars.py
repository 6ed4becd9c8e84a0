"""Bars are as long as what they stand for."""

import re
from dataclasses import replace
from datetime import timedelta

from documents.page.bars import legend, recovery, verdict
from documents.page.source_listing import Sources
from generator.systems.ledger import LEDGER
from model import Disruption
from recovery.assess import Assessment, Verdict
from recovery.paths import Reach, Strategy, Way
from recovery.terms import Chain, Phase, Place, Term
from tests.support.page_subjects import subject, texts

PLACE = Place("database", "Instance", "BackupRetentionPeriod")
MINUTE = timedelta(minutes=1)


def _one(*terms: Term, rto: timedelta | None = None, held: Verdict = Verdict.MET) -> Assessment:
    way = Way(
        disruption=Disruption.ZONE,
        subject=PLACE,
        region="us-east-1",
        mechanism="A standby of `it`",
        strategy=Strategy.AVAILABILITY,
        time=Chain(terms),
        loss=Chain(()),
        reach=Reach(timedelta(days=7), PLACE),
    )
    return Assessment(way, rto, None, held, Verdict.PUBLISHED)


def _made(one: Assessment) -> str:
    return "".join(recovery(LEDGER, [one], Sources(texts())))


def _widths(made: str) -> list[float]:
    return [float(width) for width in re.findall(r'<rect class="f-[a-z ]+" x="[\d.]+%" y="\d+" width="([\d.]+)%"', made)]


def test_terms_and_objective_share_one_axis() -> None:
    detect, act = Term(Phase.DETECT, "seen", MINUTE, 2 * MINUTE), Term(Phase.ACT, "done", 2 * MINUTE, 4 * MINUTE, (PLACE,))
    made = _made(_one(detect, act, rto=10 * MINUTE))
    usual_seen, usual_done, worst_seen, worst_done = _widths(made)
    assert usual_done == worst_seen
    assert round(usual_done / usual_seen, 2) == 2
    assert round(worst_done / worst_seen, 2) == 2
    at = float(re.search(r'class="objective" x1="([\d.]+)%"', made)[1])  # type: ignore[index]
    assert abs(at - 10 * usual_seen) < 0.1
    assert "objective below 10 min" in made


def test_a_term_without_a_bound_goes_on_to_the_end() -> None:
    copied = Term(Phase.ACT, "copied", MINUTE, None, watched=5 * MINUTE)
    made = _made(_one(copied, Term(Phase.DECIDE, "decided", MINUTE, 2 * MINUTE), held=Verdict.WATCHED))
    *_, decided, open_ = _widths(made)
    assert round(decided + open_, 1) == 100
    assert 'class="f-act unbounded"' in made
    assert "told by 7 min" in made
    assert 'class="told"' in made


def test_what_follows_the_end_of_the_axis_is_not_drawn() -> None:
    terms = [Term(Phase.ACT, name, timedelta(), None) for name in ("first", "second")]
    made = _made(_one(*terms, rto=MINUTE, held=Verdict.EXPLAINED))
    assert _widths(made) == [100.0]


def test_nothing_to_wait_for_is_said_and_not_drawn() -> None:
    made = _made(_one(Term(Phase.ACT, "nothing", timedelta(), timedelta())))
    assert "usual 0, worst 0; no objective" in made
    assert '<svg class="bars"' not in made


def test_the_objective_of_a_short_axis_stands_on_the_free_side() -> None:
    made = _made(_one(Term(Phase.ACT, "done", MINUTE, 10 * MINUTE), rto=2 * MINUTE, held=Verdict.FAILED))
    assert 'text-anchor="start"' in made


def test_terms_link_to_lines_and_service_times_and_deviations_are_told() -> None:
    one = subject("federal-records")
    made = "".join(recovery(one.system, one.assessments, Sources(texts())))
    assert 'href="#time:rds.promotion"' in made
    assert re.search(r'href="#federal-records/evidence:\d+"', made)
    assert "Deviation on database-replica.Instance" in made
    assert "Second line for " in made


def test_one_term_is_not_said_in_the_plural() -> None:
    assert "One term, and what" in _made(_one(Term(Phase.ACT, "done", MINUTE, MINUTE)))


def test_reach_is_told_with_its_line() -> None:
    one = _one(Term(Phase.ACT, "done", MINUTE, MINUTE))
    assert "7 d later" in _made(one)
    assert "Reach" not in _made(replace(one, way=replace(one.way, reach=None)))


def test_phases_and_verdicts_have_their_colours() -> None:
    assert all(f"f-{phase}" in legend() for phase in Phase)
    assert verdict(Verdict.MET) == '<span class="chip v-met">met</span>'
