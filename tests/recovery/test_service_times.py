"""Times that no template holds come with a basis and a source."""

from pathlib import Path

import pytest

from recovery.service_times import DataError, load, service_times

ENTRY = (
    "read: 2026-11-21\ntimes:\n  one: {{typical: {typical}, worst: {worst}, basis: {basis}, what: it waits, source: a guide}}\n"
)


def test_every_time_says_what_it_is_and_on_what_it_rests() -> None:
    times = service_times()
    assert times.read.startswith("20")
    for one in times.times.values():
        assert one.what
        assert one.source
        assert one.worst is None or one.worst >= one.typical


def test_what_grows_with_the_data_has_a_formula_and_no_bound() -> None:
    times = service_times()
    assert "rds.pitr" in times.formulas
    assert all(times[name].worst is None for name in times.formulas)


def test_a_time_without_a_known_basis_is_refused() -> None:
    with pytest.raises(DataError, match="one rests on rumour; say one of agreed, assumed, published"):
        load(ENTRY.format(typical=1, worst=2, basis="rumour"))


def test_a_worst_time_below_the_usual_one_is_refused() -> None:
    with pytest.raises(DataError, match="one takes 3 s as a rule, which is more than 2 s at worst"):
        load(ENTRY.format(typical=3, worst=2, basis="assumed"))


def test_a_text_that_a_comma_cut_off_is_refused() -> None:
    with pytest.raises(DataError, match="one has and nothing bounds it; quote a text with a comma"):
        load(ENTRY.format(typical=1, worst=2, basis="assumed").replace("a guide", "a guide, and nothing bounds it"))


def test_what_people_agreed_to_stands_on_the_first_page_of_the_runbooks() -> None:
    text = Path("docs/operations/README.md").read_text()
    said = {
        "person.notices": "says within {} minutes that somebody is on it",
        "person.decides": "sees that {} minutes later it is decided",
        "person.acts": "within {} minutes all of a procedure are typed",
    }
    agreed = {one.id: one.worst for one in service_times().times.values() if one.basis == "agreed"}
    assert set(agreed) == set(said)
    for name, worst in agreed.items():
        assert worst
        assert said[name].format(int(worst.total_seconds() // 60)) in text
