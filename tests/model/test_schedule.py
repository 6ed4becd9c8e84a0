"""Cron expressions and windows as minutes of a week."""

import pytest

from model.schedule import DAY, WEEK, fires, longest_wait, meet, window


@pytest.mark.parametrize(
    ("expression", "minutes"),
    [
        ("cron(0 3 ? * SUN *)", {180}),
        ("cron(30 0 ? * 2,SAT *)", {DAY + 30, 6 * DAY + 30}),
        ("cron(0 12 ? * MON-FRI *)", {day * DAY + 720 for day in range(1, 6)}),
        ("cron(0 0,8 * * ? *)", {day * DAY + hour * 60 for day in range(7) for hour in (0, 8)}),
        ("cron(0 0 1 * ? *)", {day * DAY for day in range(7)}),
        ("cron(15/20 0 ? * SUN *)", {15, 35, 55}),
        ("cron(0 */12 ? * SUN *)", {0, 720}),
    ],
)
def test_a_cron_expression_fires_at_these_minutes_of_the_week(expression: str, minutes: set[int]) -> None:
    assert fires(expression) == frozenset(minutes)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 hour)",
        "cron(0 3 * * *)",
        "cron(60 3 ? * SUN *)",
        "cron(0 5-3 ? * SUN *)",
        "cron(0 3 ? * L *)",
        "cron(0 3 ? * 0 *)",
    ],
)
def test_what_cannot_be_told_is_nothing(expression: str) -> None:
    assert fires(expression) is None


@pytest.mark.parametrize(
    ("starts", "wait"),
    [
        ({0, 60, 300}, WEEK - 300),
        ({day * DAY + 180 for day in range(7)}, DAY),
        ({day * DAY + hour * 60 for day in range(7) for hour in (0, 8, 10)}, 14 * 60),
        ({180}, WEEK),
        (set(), None),
    ],
)
def test_the_longest_wait_goes_over_the_end_of_the_week(starts: set[int], wait: int | None) -> None:
    assert longest_wait(starts) == wait


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("sun:05:00-sun:06:30", [(300, 90)]),
        ("Sat:23:30-Sun:00:30", [(7 * DAY - 30, 60)]),
        ("23:45-00:15", [(day * DAY + 1425, 30) for day in range(7)]),
        ("sun:05:00-06:00", []),
        ("None", []),
    ],
)
def test_a_window_is_spans_of_the_week(text: str, spans: list[tuple[int, int]]) -> None:
    assert list(window(text)) == spans


@pytest.mark.parametrize(
    ("start", "length", "other", "lasts", "near"),
    [
        (0, 60, 180, 60, False),
        (0, 60, 119, 60, True),
        (0, 60, 120, 60, False),
        (300, 60, 180, 60, False),
        (299, 60, 180, 60, True),
        (WEEK - 30, 60, 60, 60, True),
        (30, 60, WEEK - 60, 60, True),
    ],
)
def test_spans_meet_where_less_than_an_hour_is_between_them(start: int, length: int, other: int, lasts: int, near: bool) -> None:
    assert meet(start, length, other, lasts, 60) is near
