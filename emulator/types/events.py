"""EventBridge rules, and the queues that take what a rule cannot deliver."""

from __future__ import annotations

import json
from typing import Any

from emulator.property_conversion import boolean
from emulator.resource import Aws, Properties, Resource, changed, listed, pairs, retag

RULE = ("Description", "EventBusName", "EventPattern", "Name", "RoleArn", "ScheduleExpression", "State")


def _name(rule: str) -> str:
    """A rule is known by its name to CloudFormation, and by its ARN to Cloud Control."""
    return rule.rsplit("/", 1)[-1]


def _create(aws: Aws, p: Properties) -> str:
    tags = listed(pairs(p.get("Tags"))) or None
    aws.send("events", "put_rule", {**{name: p.get(name) for name in RULE}, "Tags": tags})
    _targets(aws, p["Name"], {}, p)
    return str(p["Name"])


def _targets(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    had = {target["Id"]: target for target in old.get("Targets", [])}
    has = {target["Id"]: target for target in new.get("Targets", [])}
    gone = sorted(had.keys() - has.keys())
    if gone:
        aws.client("events").remove_targets(Rule=ref, Ids=gone)
    more = [target for name, target in has.items() if had.get(name) != target]
    for start in range(0, len(more), 10):  # at most ten at a time
        aws.send("events", "put_targets", {"Rule": ref, "Targets": more[start : start + 10]})


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, *RULE):
        kept = {"Description": "", "State": "ENABLED", **{name: new[name] for name in RULE if name in new}, "Name": ref}
        aws.send("events", "put_rule", kept)
    _targets(aws, ref, old, new)
    events, arn = aws.client("events"), aws.arn("events", f"rule/{ref}")
    retag(
        old,
        new,
        add=lambda tags: events.tag_resource(ResourceARN=arn, Tags=listed(tags)),
        remove=lambda names: events.untag_resource(ResourceARN=arn, TagKeys=names),
    )


def _delete(aws: Aws, ref: str, _: Properties) -> None:
    events = aws.client("events")
    targets = [target["Id"] for target in events.list_targets_by_rule(Rule=ref)["Targets"]]
    if targets:
        events.remove_targets(Rule=ref, Ids=targets)
    events.delete_rule(Name=ref)


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    events, name = aws.client("events"), _name(identifier[0])
    found = events.describe_rule(Name=name)
    return {
        **found,
        "RuleName": name,
        "Targets": events.list_targets_by_rule(Rule=name)["Targets"],
        "Tags": listed(pairs(events.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"])),
    }


QUEUE = (
    "ContentBasedDeduplication",
    "DelaySeconds",
    "FifoQueue",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
)
# What an attribute becomes where a template takes it away.
UNSET = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else json.dumps(value)


def _queue(aws: Aws, p: Properties) -> str:
    attributes = {name: _text(p[name]) for name in QUEUE if name in p}
    made = aws.client("sqs").create_queue(QueueName=p["QueueName"], Attributes=attributes, tags=pairs(p.get("Tags")))
    return str(made["QueueUrl"])


def _change_queue(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    sqs = aws.client("sqs")
    attributes = {name: _text(new.get(name, UNSET.get(name, ""))) for name in QUEUE if changed(old, new, name)}
    if attributes:
        sqs.set_queue_attributes(QueueUrl=ref, Attributes=attributes)
    retag(
        old,
        new,
        add=lambda tags: sqs.tag_queue(QueueUrl=ref, Tags=tags),
        remove=lambda names: sqs.untag_queue(QueueUrl=ref, TagKeys=names),
    )


def _read_queue(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    sqs, (url,) = aws.client("sqs"), identifier
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    found: Properties = {name: attributes[name] for name in QUEUE if attributes.get(name)}
    for name in ("ContentBasedDeduplication", "FifoQueue", "SqsManagedSseEnabled"):
        if name in found:
            found[name] = boolean(found[name])
    return {
        **found,
        "Arn": attributes["QueueArn"],
        "QueueUrl": url,
        "QueueName": attributes["QueueArn"].rsplit(":", 1)[1],
        "Tags": listed(sqs.list_queue_tags(QueueUrl=url).get("Tags")),
    }


def _put_policy(aws: Aws, p: Properties) -> str:
    for queue in p["Queues"]:
        aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": _text(p["PolicyDocument"])})
    return str(p["_name"])


def _change_policy(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    _remove_policy(aws, ref, {"Queues": [queue for queue in old["Queues"] if queue not in new["Queues"]]})
    _put_policy(aws, {**new, "_name": ref})


def _remove_policy(aws: Aws, _: str, p: Properties) -> None:
    for queue in p["Queues"]:
        aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})


RESOURCES = (
    Resource("AWS::Events::Rule", _create, _delete, _read, _update, name="Name", longest=64),
    Resource(
        "AWS::SQS::Queue",
        _queue,
        lambda aws, ref, _: aws.client("sqs").delete_queue(QueueUrl=ref),
        _read_queue,
        _change_queue,
        name="QueueName",
        longest=80,
    ),
    Resource("AWS::SQS::QueuePolicy", _put_policy, _remove_policy, None, _change_policy, name="_name"),
)
