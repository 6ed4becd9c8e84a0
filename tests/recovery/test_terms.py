"""Terms add up, and one without a bound leaves the sum without."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from recovery.assess import Verdict, verdict
from recovery.terms import Chain, Phase, Place, Term, longest

MINUTE = timedelta(minutes=1)
LENGTHS = st.integers(0, 300).map(lambda minutes: minutes * MINUTE)
BOUNDS = st.none() | LENGTHS


def term(typical: timedelta, more: timedelta | None, watched: timedelta | None, resource: str = "Store") -> Term:
    worst = None if more is None else typical + more
    return Term(Phase.ACT, "it waits", typical, worst, (Place("layer", resource),), watched=watched)


TERMS = st.builds(term, LENGTHS, BOUNDS, BOUNDS, st.sampled_from(["Store", "Other"]))


def worse(one: Term, more: timedelta | None, unwatched: bool) -> Term:
    """The same term, not shorter in anything: ``more`` of None takes its bound away."""
    added = more or timedelta()
    worst = None if more is None or one.worst is None else one.worst + added
    watched = None if unwatched or one.watched is None else one.watched + added
    return Term(one.phase, one.name, one.typical + added, worst, one.places, watched=watched)


def infinite(length: timedelta | None) -> timedelta:
    return timedelta.max if length is None else length


@given(st.lists(TERMS, min_size=1, max_size=5), st.data())
def test_a_worse_term_never_makes_a_sum_shorter_or_a_verdict_better(terms: list[Term], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(terms) - 1))
    changed = worse(terms[index], data.draw(BOUNDS), data.draw(st.booleans()))
    before, after = Chain(tuple(terms)), Chain((*terms[:index], changed, *terms[index + 1 :]))
    assert after.typical >= before.typical
    assert infinite(after.worst) >= infinite(before.worst)
    objective, explained = data.draw(LENGTHS), data.draw(st.sampled_from([(), ("layer.Store",), ("layer.Store", "layer.Other")]))
    assert verdict(after, objective, explained) >= verdict(before, objective, explained)


@given(st.lists(TERMS, min_size=1, max_size=5), st.data())
def test_a_lower_objective_is_never_easier_to_meet(terms: list[Term], data: st.DataObject) -> None:
    low, high = sorted((data.draw(LENGTHS), data.draw(LENGTHS)))
    assert verdict(Chain(tuple(terms)), low, ()) >= verdict(Chain(tuple(terms)), high, ())


def test_the_longest_of_several_has_no_bound_if_one_has_none() -> None:
    short, long = term(MINUTE, MINUTE, None), term(2 * MINUTE, 3 * MINUTE, None)
    both = longest("both", [short, long])
    assert (both.typical, both.worst) == (2 * MINUTE, 5 * MINUTE)
    assert both.places == short.places + long.places
    assert longest("both", [short, term(MINUTE, None, None)]).worst is None


def test_a_sum_that_reaches_its_objective_does_not_stay_below_it() -> None:
    chain = Chain((term(MINUTE, MINUTE, None),))
    assert verdict(chain, 3 * MINUTE, ()) is Verdict.MET
    assert verdict(chain, 2 * MINUTE, ()) is Verdict.FAILED
    assert verdict(chain, None, ()) is Verdict.PUBLISHED


def test_a_term_without_a_bound_needs_its_deviation_and_an_alarm_in_time() -> None:
    seen, unseen = (Chain((term(MINUTE, None, watched),)) for watched in (5 * MINUTE, None))
    assert verdict(seen, 6 * MINUTE, ()) is Verdict.FAILED
    assert verdict(seen, 6 * MINUTE, ("layer.Store",)) is Verdict.WATCHED
    assert verdict(seen, 5 * MINUTE, ("layer.Store",)) is Verdict.EXPLAINED
    assert verdict(unseen, 6 * MINUTE, ("layer.Store",)) is Verdict.EXPLAINED
    assert verdict(unseen, MINUTE, ("layer.Store",)) is Verdict.FAILED


def test_the_term_without_a_bound_dominates_then_the_longest() -> None:
    short, long, open_ = term(MINUTE, MINUTE, None), term(MINUTE, 9 * MINUTE, None), term(MINUTE, None, None)
    assert Chain((short, long)).dominating is long
    assert Chain((short, long, open_)).dominating is open_
