"""Alarms: composite ones are what their rule makes of their children; every change is an event, and silence counts as asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, running
from tests.support.emulator import samples

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with running(databases=False) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def queue(aws: Emulator) -> str:
    """Where the events of alarms and what a topic says arrive."""
    sqs, events, sns = aws.client("sqs", REGION), aws.client("events", REGION), aws.client("sns", REGION)
    url: str = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = samples.policy("sqs:SendMessage", arn, Principal={"Service": ["events.amazonaws.com", "sns.amazonaws.com"]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    pattern = {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}
    events.put_rule(Name="alarms", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="alarms", Targets=[{"Id": "queue", "Arn": arn}])
    topic = sns.create_topic(Name="told")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


TOPIC = f"arn:aws:sns:{REGION}:123456789012:told"


def heard(aws: Emulator, queue: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Since the last time: the events, and what the topic was told; alarm and state."""
    sqs, events, told = aws.client("sqs", REGION), [], []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            body = json.loads(message["Body"])
            if body.get("detail-type"):
                events.append((body["detail"]["alarmName"], body["detail"]["state"]["value"]))
            else:
                said = json.loads(body["Message"])
                told.append((said["AlarmName"], said["NewStateValue"]))
    return events, told


def alarm(aws: Emulator, name: str, **more: Any) -> None:
    given = {
        "Namespace": "Standby",
        "MetricName": name,
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 10,
        **more,
    }
    aws.client("cloudwatch", REGION).put_metric_alarm(AlarmName=name, **given)


def composite(aws: Emulator, name: str, rule: str, **more: Any) -> None:
    aws.client("cloudwatch", REGION).put_composite_alarm(AlarmName=name, AlarmRule=rule, AlarmActions=[TOPIC], **more)


def measure(aws: Emulator, name: str, value: float) -> None:
    data = [{"MetricName": name, "Value": value}]
    aws.client("cloudwatch", REGION).put_metric_data(Namespace="Standby", MetricData=data)


def force(aws: Emulator, name: str, state: str) -> None:
    aws.client("cloudwatch", REGION).set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def state(aws: Emulator, name: str) -> str:
    found = aws.client("cloudwatch", REGION).describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return str([*found["MetricAlarms"], *found["CompositeAlarms"]][0]["StateValue"])


def test_a_composite_alarm_follows_its_rule_with_actions_and_events(aws: Emulator, queue: str) -> None:
    alarm(aws, "stale")
    alarm(aws, "unreachable")
    composite(aws, "evidence", 'ALARM("stale") AND ALARM("unreachable")')
    heard(aws, queue)
    measure(aws, "stale", 11)
    assert state(aws, "evidence") == "OK"
    assert heard(aws, queue) == ([("stale", "ALARM")], [])
    measure(aws, "unreachable", 11)
    assert state(aws, "evidence") == "ALARM"
    events, told = heard(aws, queue)
    assert sorted(events) == [("evidence", "ALARM"), ("unreachable", "ALARM")]
    assert told == [("evidence", "ALARM")]
    force(aws, "stale", "OK")
    assert state(aws, "evidence") == "OK"
    assert sorted(heard(aws, queue)[0]) == [("evidence", "OK"), ("stale", "OK")]


def test_rules_know_not_or_states_and_other_composite_alarms(aws: Emulator, queue: str) -> None:
    for name in ("a", "b"):
        alarm(aws, name)
    composite(aws, "either", "ALARM(a) OR ALARM(b)")
    composite(aws, "calm", "NOT ALARM(either) AND (OK(a) OR INSUFFICIENT_DATA(a))")
    assert (state(aws, "either"), state(aws, "calm")) == ("OK", "ALARM")
    heard(aws, queue)
    force(aws, "b", "ALARM")
    assert (state(aws, "either"), state(aws, "calm")) == ("ALARM", "OK")
    assert sorted(heard(aws, queue)[0]) == [("b", "ALARM"), ("calm", "OK"), ("either", "ALARM")]


def test_a_rule_of_alarms_that_do_not_exist_is_refused_and_so_is_the_delete_of_a_child(aws: Emulator) -> None:
    with pytest.raises(ClientError) as refused:
        composite(aws, "refused", "ALARM(no-such-alarm)")
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    alarm(aws, "child")
    composite(aws, "parent", "ALARM(child)")
    with pytest.raises(ClientError):
        aws.client("cloudwatch", REGION).delete_alarms(AlarmNames=["child"])


def test_what_suppresses_a_composite_alarm_keeps_its_actions_back_but_not_its_event(aws: Emulator, queue: str) -> None:
    for name in ("maintenance", "trouble"):
        alarm(aws, name)
    more = {"ActionsSuppressor": "maintenance", "ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}
    composite(aws, "suppressed", "ALARM(trouble)", **more)
    force(aws, "maintenance", "ALARM")
    heard(aws, queue)
    force(aws, "trouble", "ALARM")
    events, told = heard(aws, queue)
    assert (("suppressed", "ALARM") in events, told) == (True, [])
    force(aws, "maintenance", "OK")
    force(aws, "trouble", "OK")
    force(aws, "trouble", "ALARM")
    assert heard(aws, queue)[1] == [("suppressed", "ALARM")]


def test_an_event_says_since_when_and_why(aws: Emulator, queue: str) -> None:
    alarm(aws, "told", AlarmDescription="Of the test")
    heard(aws, queue)
    force(aws, "told", "ALARM")
    sqs = aws.client("sqs", REGION)
    body = json.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    assert body["resources"] == [f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:told"]
    said = body["detail"]["state"]
    assert (said["value"], said["reason"], body["detail"]["previousState"]["value"]) == ("ALARM", "test", "INSUFFICIENT_DATA")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", said["timestamp"])
    assert body["detail"]["configuration"]["description"] == "Of the test"


@pytest.mark.parametrize(
    ("treated", "expected"),
    [("breaching", "ALARM"), ("notBreaching", "OK"), ("missing", "INSUFFICIENT_DATA"), ("ignore", "ALARM")],
)
def test_silence_takes_an_alarm_where_it_says(aws: Emulator, treated: str, expected: str) -> None:
    name = f"silent-{treated}"
    alarm(aws, name, TreatMissingData=treated)
    force(aws, name, "ALARM" if treated in ("ignore", "missing") else "INSUFFICIENT_DATA")
    changed = aws.pass_silence(REGION)
    assert state(aws, name) == expected
    assert (name in changed) is (treated != "ignore")


def test_what_is_measured_outweighs_silence(aws: Emulator) -> None:
    alarm(aws, "measured", TreatMissingData="breaching")
    measure(aws, "measured", 5)
    aws.pass_silence(REGION)
    assert state(aws, "measured") == "OK"


def test_what_was_well_counts_no_more_when_its_minutes_are_over(aws: Emulator) -> None:
    alarm(aws, "minutes", TreatMissingData="breaching")
    measure(aws, "minutes", 5)
    for _ in range(60):
        aws.pass_minute(REGION)
    aws.pass_silence(REGION)
    assert state(aws, "minutes") == "ALARM"
