"""A few worst days by chance; `make worst-days` has fifty of them."""

from __future__ import annotations

import pytest

from tests.chain import worst_days


@pytest.mark.parametrize("seed", [103])
def test_a_worst_day_loses_nothing(seed: int) -> None:
    assert worst_days.run(seed) == []


def test_a_day_is_the_same_from_the_same_seed_and_holds_back_what_depends_on_trouble() -> None:
    assert worst_days.Day.of(7) == worst_days.Day.of(7)
    day = worst_days.Day(1, {"a": [], "b": ["a"], "c": ["b"], "d": []}, dict.fromkeys("abcd", "primary"), failing="a")
    assert day.held() == {"a", "b", "c"}
