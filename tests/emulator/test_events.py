"""Rules reach their targets where policies let EventBridge, and the dead-letter queue where they do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, EmulatorError
from tests.support.emulator import samples, stacks

STACK = "with-rules"
SERVICE = {"Service": "events.amazonaws.com"}
# Says what it got, as metrics and on its own log; fails where it is told to.
CODE = """
import json

def handler(event, context):
    if event.get("fail"):
        raise RuntimeError("told to fail")
    metrics = {"Namespace": "Sample", "Dimensions": [["Source"], []], "Metrics": [{"Name": "Runs", "Unit": "Count"}]}
    said = {"_aws": {"Timestamp": 0, "CloudWatchMetrics": [metrics]}, "Source": event.get("source", "none"), "Runs": 1}
    print(json.dumps(said))
    print("{not a metric}")
    print(json.dumps(event))
"""


def rule(name: str, target: Any, **more: Any) -> dict[str, Any]:
    targets = [{"Id": "one", "Arn": target, "DeadLetterConfig": {"Arn": samples.att("DeadLetters", "Arn")}}]
    return {"Type": "AWS::Events::Rule", "Properties": {"Name": name, "Targets": targets, **more}}


def queue(name: str, allowed: str | None = None) -> dict[str, dict[str, Any]]:
    resources = {name: {"Type": "AWS::SQS::Queue", "Properties": {}}}
    if allowed is not None:
        document = samples.policy(allowed, samples.att(name, "Arn"), Principal=SERVICE)
        properties = {"Queues": [samples.ref(name)], "PolicyDocument": document}
        resources[f"{name}Policy"] = {"Type": "AWS::SQS::QueuePolicy", "Properties": properties}
    return resources


def function(name: str, source: Any) -> dict[str, dict[str, Any]]:
    code = {"Runtime": "python3.13", "Handler": "index.handler", "Code": {"ZipFile": CODE}, "Role": samples.att("Role", "Arn")}
    permission = {
        "FunctionName": samples.ref(name),
        "Action": "lambda:InvokeFunction",
        "Principal": SERVICE["Service"],
        "SourceArn": source,
    }
    return {
        name: {"Type": "AWS::Lambda::Function", "Properties": code},
        f"{name}Permission": {"Type": "AWS::Lambda::Permission", "Properties": permission},
    }


def key(*principals: str) -> dict[str, Any]:
    document = samples.policy("kms:*", Principal=samples.ROOT)
    for one in principals:
        use = samples.policy(["kms:GenerateDataKey*", "kms:Decrypt"], Principal={"Service": one})
        document["Statement"] += use["Statement"]
    return {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": document}}


def topic(name: str, under: str) -> dict[str, dict[str, Any]]:
    """A topic under a key, whose policy lets EventBridge publish, and a queue that shows what came."""
    document = samples.policy("sns:Publish", samples.ref(name), Principal=SERVICE)
    queue_policy = samples.policy(
        "sqs:SendMessage", samples.att(f"{name}Queue", "Arn"), Principal={"Service": "sns.amazonaws.com"}
    )
    shown = {"TopicArn": samples.ref(name), "Protocol": "sqs", "Endpoint": samples.att(f"{name}Queue", "Arn")}
    return {
        name: {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": samples.ref(under)}},
        f"{name}Policy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [samples.ref(name)], "PolicyDocument": document},
        },
        f"{name}Queue": {"Type": "AWS::SQS::Queue", "Properties": {}},
        f"{name}QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [samples.ref(f"{name}Queue")], "PolicyDocument": queue_policy},
        },
        f"{name}Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {**shown, "RawMessageDelivery": True},
        },
    }


def template() -> dict[str, Any]:
    every, pattern = {"ScheduleExpression": "rate(1 minute)"}, {"source": ["of.the.test"], "detail": {"state": ["FAILED"]}}
    resources = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": samples.trust("lambda")}},
        "Key": key(SERVICE["Service"]),
        "Closed": key(),
        **queue("DeadLetters", "sqs:SendMessage"),
        **function("Worker", samples.att("Every", "Arn")),
        **topic("Topic", "Key"),
        **topic("Silent", "Closed"),
        "Every": rule("every", samples.att("Worker", "Arn"), **every),
        "Other": rule("other", samples.att("Worker", "Arn"), **every),
        "Off": rule("off", samples.att("Worker", "Arn"), State="DISABLED", **every),
        "Failed": rule("failed", samples.ref("Topic"), EventPattern=pattern),
        "Unheard": rule("unheard", samples.ref("Silent"), EventPattern={"source": ["of.the.silent"]}),
    }
    transformer = {"InputPathsMap": {"state": "$.detail.state"}, "InputTemplate": '"The job is <state>."'}
    resources["Failed"]["Properties"]["Targets"][0]["InputTransformer"] = transformer
    return {"Resources": resources}


@pytest.fixture(scope="module")
def ids(aws: Emulator) -> Iterator[dict[str, str]]:
    stack = stacks.deploy(aws, STACK, template())
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    yield stacks.physical(aws, STACK)
    assert stacks.delete(aws, STACK) == "DELETE_COMPLETE", stacks.failures(aws, STACK)


def taken(aws: Emulator, url: str) -> list[dict[str, Any]]:
    sqs = aws.client("sqs")
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return list(found)


def put(aws: Emulator, source: str, **detail: Any) -> None:
    entry = {"Source": source, "DetailType": "Something happened", "Detail": json.dumps(detail)}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def logged(aws: Emulator, name: str) -> list[str]:
    return [event["message"] for event in aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]]


def test_a_schedule_invokes_its_function_when_asked(aws: Emulator, ids: dict[str, str]) -> None:
    assert aws.fire("every") == ()
    event = next(json.loads(line) for line in logged(aws, ids["Worker"]) if '"detail-type"' in line)
    assert event["detail-type"] == "Scheduled Event"
    assert event["resources"] == ["arn:aws:events:us-east-1:123456789012:rule/every"]


def test_what_a_function_prints_in_the_embedded_format_is_a_metric(aws: Emulator, ids: dict[str, str]) -> None:
    aws.client("lambda").invoke(FunctionName=ids["Worker"], Payload=json.dumps({"source": "the.test"}))
    found = aws.client("cloudwatch").list_metrics(Namespace="Sample", MetricName="Runs")["Metrics"]
    assert [{"Name": "Source", "Value": "the.test"}] in [metric["Dimensions"] for metric in found]
    assert [] in [metric["Dimensions"] for metric in found]


def test_an_alarm_looks_at_its_own_dimensions_only(aws: Emulator, ids: dict[str, str]) -> None:
    cloudwatch = aws.client("cloudwatch")
    common = {"Namespace": "Sample", "MetricName": "Runs", "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1}
    for name, source in (("hears", "an.alarm"), ("deaf", "another.alarm")):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Dimensions=[{"Name": "Source", "Value": source}],
            ComparisonOperator="GreaterThanThreshold",
            Threshold=1,
            AlarmActions=[ids["Topic"]],
            **common,
        )

    def states() -> list[str]:
        found = cloudwatch.describe_alarms(AlarmNames=["hears", "deaf"])["MetricAlarms"]
        return sorted(f"{one['AlarmName']} {one['StateValue']}" for one in found)

    invoke = aws.client("lambda").invoke
    invoke(FunctionName=ids["Worker"], Payload=json.dumps({"source": "an.alarm"}))
    assert states() == ["deaf INSUFFICIENT_DATA", "hears OK"]
    invoke(FunctionName=ids["Worker"], Payload=json.dumps({"source": "an.alarm"}))
    assert states() == ["deaf INSUFFICIENT_DATA", "hears ALARM"]
    assert [json.loads(one["Body"])["AlarmName"] for one in taken(aws, ids["TopicQueue"])] == ["hears"]


def test_a_function_that_fails_is_said_to_have_failed(aws: Emulator, ids: dict[str, str]) -> None:
    arn = aws.client("lambda").get_function(FunctionName=ids["Worker"])["Configuration"]["FunctionArn"]
    aws.client("events").put_targets(Rule="every", Targets=[{"Id": "one", "Arn": arn, "Input": '{"fail": true}'}])
    assert aws.fire("every") == (f"{arn} failed: told to fail",)


def test_a_rule_that_the_function_does_not_know_ends_in_the_dead_letter_queue(aws: Emulator, ids: dict[str, str]) -> None:
    (failure,) = aws.fire("other")
    assert failure.startswith("events.amazonaws.com may not invoke")
    (letter,) = taken(aws, ids["DeadLetters"])
    attributes = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert attributes["RULE_ARN"].endswith("rule/other")
    assert json.loads(letter["Body"])["detail-type"] == "Scheduled Event"


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize(("name", "said"), [("off", "is DISABLED"), ("failed", "has no schedule"), ("none", "There is no rule")])
def test_a_rule_whose_hour_never_comes_is_a_sentence(aws: Emulator, name: str, said: str) -> None:
    with pytest.raises(EmulatorError, match=said):
        aws.fire(name)


def test_an_event_that_matches_reaches_the_topic_in_the_words_of_the_rule(aws: Emulator, ids: dict[str, str]) -> None:
    put(aws, "of.the.test", state="COMPLETED")
    put(aws, "of.the.test", state="FAILED")
    assert [message["Body"] for message in taken(aws, ids["TopicQueue"])] == ['"The job is FAILED."']


def test_a_topic_whose_key_does_not_know_eventbridge_hears_nothing(aws: Emulator, ids: dict[str, str]) -> None:
    put(aws, "of.the.silent")
    assert taken(aws, ids["SilentQueue"]) == []
    (letter,) = taken(aws, ids["DeadLetters"])
    assert letter["MessageAttributes"]["TARGET_ARN"]["StringValue"] == ids["Silent"]


@pytest.mark.usefixtures("ids")
def test_a_rule_with_targets_cannot_be_deleted(aws: Emulator) -> None:
    with pytest.raises(ClientError) as refused:
        aws.client("events").delete_rule(Name="failed")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
