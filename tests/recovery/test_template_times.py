"""Numbers with their bounds, alarms and schedules, as templates say them."""

from datetime import timedelta
from typing import Any

import pytest

from recovery.template_times import Span, constituents, interval, number
from recovery.terms import Phase
from tests.support.recovery_systems import alarm, pair, resource, sight, template

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
PARAMETERS = {
    "Free": {"Type": "Number", "Default": 60},
    "Capped": {"Type": "Number", "Default": 60, "MaxValue": 300},
    "Listed": {"Type": "Number", "AllowedValues": [60, 120]},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (60, Span(60, 60)),
        ("60", Span(60, 60)),
        ({"Ref": "Free"}, Span(60, None)),
        ({"Ref": "Capped"}, Span(60, 300)),
        ({"Ref": "Listed"}, Span(120, 120)),
        ({"Fn::GetAtt": ["Free", "Arn"]}, Span(0, None)),
        (True, Span(0, None)),
        (None, Span(0, None)),
    ],
)
def test_a_number_is_bounded_by_what_a_template_says_of_every_environment(value: Any, expected: Span) -> None:
    seen = sight(layer=template({"Alarm": alarm("M", Period=value)}, Parameters=PARAMETERS))
    (one,) = seen.view.resources("AWS::CloudWatch::Alarm")
    assert number(one, "Period") == expected


@pytest.mark.parametrize(
    ("expression", "pause"),
    [
        ("rate(1 minute)", MINUTE),
        ("rate(2 hours)", 120 * MINUTE),
        ("cron(0 * * * ? *)", 60 * MINUTE),
        ("cron(0 0-1,3-23 * * ? *)", 120 * MINUTE),
        ("cron(0 0,8,16 * * ? *)", 480 * MINUTE),
        ("cron(0 10 ? * MON *)", timedelta(days=7)),
        ("cron(0 25 * * ? *)", None),
        ("at(2026-11-21T00:00:00)", None),
    ],
)
def test_the_longest_pause_of_a_schedule_counts(expression: str, pause: timedelta | None) -> None:
    assert interval(expression) == pause


def test_an_alarm_stands_after_its_periods_and_the_one_in_which_trouble_begins() -> None:
    seen = sight(layer=template({"Alarm": alarm("PrimaryReachable", 60, 3)}))
    (one,) = seen.view.resources("AWS::CloudWatch::Alarm")
    term = seen.in_alarm(one)
    assert term.phase is Phase.DETECT
    assert term.worst == 4 * MINUTE + 120 * SECOND + 60 * SECOND
    assert term.reckoned == "Alarm: 3 × 60 s"
    assert {place.path for place in term.places} == {"Period", "EvaluationPeriods"}


def test_an_alarm_on_an_age_waits_for_the_age_too() -> None:
    seen = sight(
        layer=template({"Aged": alarm("ReplicaDataAge", threshold=120), "Lag": alarm("AuroraGlobalDBRPOLag", threshold=60000)})
    )
    aged, lag = (seen.in_alarm(one).worst for one in seen.view.resources("AWS::CloudWatch::Alarm"))
    assert aged == 2 * MINUTE + 4 * MINUTE + 3 * MINUTE
    assert lag == aged - MINUTE


def test_an_alarm_whose_period_an_environment_chooses_freely_has_no_bound() -> None:
    seen = sight(layer=template({"Alarm": alarm("M", Period={"Ref": "Free"})}, Parameters=PARAMETERS))
    (one,) = seen.view.resources("AWS::CloudWatch::Alarm")
    assert seen.in_alarm(one).worst is None


def test_both_pieces_of_evidence_are_there_when_the_later_one_is() -> None:
    seen = sight(**pair())
    (both,) = seen.view.resources("AWS::CloudWatch::CompositeAlarm")
    named = constituents(both)
    assert [one.id for one in named] == ["Stale", "Unreachable"]
    assert seen.in_alarm(both).worst == max(seen.in_alarm(one).worst or MINUTE for one in named)


def test_the_first_alarm_on_a_resource_that_tells_of_too_much_counts() -> None:
    store = {"Store": resource("EFS::FileSystem")}
    on = {"Dimensions": [{"Name": "FileSystemId", "Value": {"Ref": "Store"}}]}
    other = {"Dimensions": [{"Name": "FileSystemId", "Value": "fs-1"}]}
    alarms = {
        "Late": alarm("TimeSinceLastSync", threshold=1800, **on),
        "Sooner": alarm("TimeSinceLastSync", threshold=900, **on),
        "Elsewhere": alarm("TimeSinceLastSync", threshold=1, **other),
        "Stopped": alarm("TimeSinceLastSync", threshold=0, ComparisonOperator="LessThanThreshold", **on),
    }
    seen = sight(layer=template(store | alarms))
    (one,) = seen.view.resources("AWS::EFS::FileSystem")
    assert seen.watched(one, "TimeSinceLastSync") == 15 * MINUTE + 4 * MINUTE + 3 * MINUTE
    assert seen.watched(one, "Another") is None
