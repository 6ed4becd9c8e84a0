"""Every combination of what a failover may see has the decision that the requirements give it."""

from __future__ import annotations

import itertools

import pytest

from protocol.refusals import LASTING, REFUSALS, Decision, Observation, decide

HOUR = 3600.0
SEEN = {
    "request": ("failover", "switchover", "failback"),
    "trigger": ("alarm", "operator"),
    "mode": ("auto", "approve", "disabled"),
    "approved": (False, True),
    "evidence": ((), ("stale",), ("stale", "unreachable")),
    "lag": (None, 5.0, 61.0, 901.0),
    "target": ("available", "backing-up"),
    "topology": ("home", "failed-over", "broken"),
    "since": (None, 600.0, 2 * HOUR),
    "unresolved": ("", "0123456789abcdef"),
    "destroying": (False, True),
    "answers": (True, False),
    "writes": (False, True, None),
}
"""``superseded`` and ``outdated`` refuse whatever else is seen: a test of their own says so."""

EXPECTED = """
request     trigger   what is seen                                            without approval   with it
failover    alarm     home, available, 2 pieces, calm, lag known and low      act                act
failover    alarm     the same, mode approve                                  wait               act
failover    alarm     the same, mode disabled                                 refuse             refuse
failover    alarm     lag unknown or above the objective                      wait               act
failover    alarm     fewer than 2 pieces, or lately                          refuse             refuse
failover    alarm     the primary answers and takes writes                    refuse             refuse
failover    alarm     the primary answers, and nobody can read what           wait               act
failover    operator  2 pieces, calm, lag known and low                       act                act
failover    operator  fewer pieces, lately, lag unknown or above              wait               act
switchover  either    home, available, lag at most 60 s, primary answers      act                act
switchover  either    otherwise                                               refuse             refuse
failback    either    not home, available                                     act                act
any         alarm     mode disabled                                           refuse             refuse
any         either    destroying, unresolved, not available, wrong topology   refuse             refuse
"""
"""The table of the requirements, which ``expected`` reads out for one combination."""


def expected(seen: Observation) -> str:
    """From the table above; the last lines go first."""
    in_place = {"failover": ("home",), "switchover": ("home",), "failback": ("failed-over", "broken")}[seen.request]
    if seen.destroying or seen.unresolved or seen.target != "available" or seen.topology not in in_place:
        return "refuse"
    if (seen.trigger, seen.mode) == ("alarm", "disabled"):
        return "refuse"
    few, lately = len(seen.evidence) < 2, seen.since == 600.0
    lossy = seen.lag in (None, 901.0)
    person = (seen.trigger, seen.mode) == ("alarm", "approve")
    if seen.request == "switchover":
        if seen.lag != 5.0 or not seen.answers:
            return "refuse"
        few = lately = lossy = False
    if seen.request == "failback":
        few = lately = lossy = False
    healthy = seen.request == "failover" and seen.trigger == "alarm" and seen.writes is True
    unclear = seen.request == "failover" and seen.trigger == "alarm" and seen.writes is None
    if (seen.trigger == "alarm" and (few or lately)) or healthy:
        return "refuse"
    return "wait" if (few or lately or lossy or person or unclear) and not seen.approved else "act"


def observation(**seen: object) -> Observation:
    fine: dict[str, object] = {
        "request": "failover",
        "trigger": "alarm",
        "mode": "auto",
        "evidence": ("stale", "unreachable"),
        "lag": 5.0,
        "rpo": 900.0,
        "most_lag": 60.0,
        "cooldown": HOUR,
    }
    return Observation(**{**fine, **seen})  # type: ignore[arg-type]


def test_every_combination_has_the_decision_of_the_requirements() -> None:
    tried: dict[str, int] = {"act": 0, "wait": 0, "refuse": 0}
    wrong = []
    for values in itertools.product(*SEEN.values()):
        seen = observation(**dict(zip(SEEN, values, strict=True)))
        found = decide(seen).do
        tried[found] += 1
        if found != expected(seen):
            wrong.append((seen, found, expected(seen)))
    assert not wrong, f"{len(wrong)}, the first: {wrong[0]}"
    assert sum(tried.values()) == 3 * 2 * 3 * 2 * 3 * 4 * 2 * 3 * 3 * 2 * 2 * 2 * 3
    assert all(tried.values())


@pytest.mark.parametrize("meanwhile", [{"superseded": "0123456789abcdef"}, {"outdated": True}], ids=["acted", "too late"])
@pytest.mark.parametrize(("asked", "topology"), [("failover", "home"), ("switchover", "home"), ("failback", "broken")])
@pytest.mark.parametrize("trigger", ["alarm", "operator"])
@pytest.mark.parametrize("approved", [False, True])
def test_what_another_has_changed_and_what_was_approved_long_ago_is_refused_whoever_asks(
    meanwhile: dict[str, object], asked: str, topology: str, trigger: str, approved: bool
) -> None:
    seen = observation(request=asked, topology=topology, trigger=trigger, approved=approved, **meanwhile)
    assert decide(seen).do == "refuse"


def test_what_is_asked_again_before_a_promotion_is_whether_the_primary_is_lost() -> None:
    assert [one.id for one in LASTING] == ["one-piece-of-evidence", "primary-answers", "primary-unclear"]
    late = observation(mode="disabled", lag=None, since=59.0, unresolved="another")
    assert decide(late, LASTING).do == "act"
    assert decide(observation(writes=True, approved=True), LASTING).do == "refuse"
    assert decide(observation(writes=None, approved=True), LASTING).do == "act"


def test_all_is_well_is_all_that_an_alarm_needs() -> None:
    assert decide(observation()) == Decision("act", (), ())


ALONE = {
    "being-destroyed": {"destroying": True},
    "earlier-execution-unresolved": {"unresolved": "0123456789abcdef"},
    "superseded": {"superseded": "0123456789abcdef"},
    "approval-outdated": {"outdated": True},
    "topology-broken": {"topology": "broken"},
    "failed-over-already": {"topology": "failed-over"},
    "at-home": {"request": "failback"},
    "target-not-available": {"target": "backing-up"},
    "mode-disabled": {"mode": "disabled"},
    "one-piece-of-evidence": {"evidence": ("stale", "stale")},
    "primary-answers": {"writes": True},
    "failed-over-lately": {"since": 59.0},
    "behind": {"request": "switchover", "lag": 61.0},
    "primary-silent": {"request": "switchover", "answers": False},
    "little-evidence": {"trigger": "operator", "evidence": ()},
    "lately": {"trigger": "operator", "since": 59.0},
    "lag-unknown": {"lag": None},
    "lag-above-objective": {"lag": 901.0},
    "primary-unclear": {"writes": None},
    "mode-approve": {"mode": "approve"},
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.id)
def test_each_refusal_stands_alone_and_says_why_and_what_to_do(refusal: object) -> None:
    seen = observation(**ALONE[refusal.id])  # type: ignore[attr-defined]
    found = decide(seen)
    assert [one.id for one in found.against] == [refusal.id]  # type: ignore[attr-defined]
    [sentence] = found.sentences
    assert sentence.endswith(refusal.remedy)  # type: ignore[attr-defined]
    assert len(sentence) > len(refusal.remedy) + 10  # type: ignore[attr-defined]
    assert found.do == ("wait" if refusal.approvable else "refuse")  # type: ignore[attr-defined]


def test_the_table_has_no_other_rows_and_no_name_twice() -> None:
    assert [one.id for one in REFUSALS] == list(ALONE)


def test_what_is_told_names_what_would_be_lost() -> None:
    [sentence] = decide(observation(lag=901.0)).sentences
    assert "901 s would be lost" in sentence
    assert "900 s" in sentence
    [unknown] = decide(observation(lag=None)).sentences
    assert "nobody can say" in unknown
