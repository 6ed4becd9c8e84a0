"""SNS topics, their policies and subscriptions."""

from __future__ import annotations

import json
from typing import Any

from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs, retag

# Properties of a topic and of a subscription that are attributes of the same name; JSON where they are objects.
TOPIC = ("DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig", "ContentBasedDeduplication", "FifoTopic")
SUBSCRIPTION = (
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "DeliveryPolicy",
    "SubscriptionRoleArn",
)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _create(aws: Aws, p: Properties) -> str:
    attributes = {name: _text(p[name]) for name in TOPIC if name in p}
    arn = aws.client("sns").create_topic(Name=p["TopicName"], Attributes=attributes, Tags=listed(pairs(p.get("Tags"))))[
        "TopicArn"
    ]
    for subscription in p.get("Subscription", []):
        _subscribe(aws, {**subscription, "TopicArn": arn})
    return str(arn)


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    sns = aws.client("sns")
    for name in TOPIC:
        if changed(old, new, name):
            sns.set_topic_attributes(TopicArn=ref, AttributeName=name, AttributeValue=_text(new.get(name, "")))
    retag(
        old,
        new,
        add=lambda tags: sns.tag_resource(ResourceArn=ref, Tags=listed(tags)),
        remove=lambda names: sns.untag_resource(ResourceArn=ref, TagKeys=names),
    )


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    sns, (arn,) = aws.client("sns"), identifier
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    found = {name: attributes[name] for name in TOPIC if attributes.get(name)}
    subscriptions = [
        {"Endpoint": one["Endpoint"], "Protocol": one["Protocol"]}
        for one in sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    ]
    return {
        **found,
        "TopicArn": arn,
        "TopicName": arn.rsplit(":", 1)[1],
        "Tags": listed(pairs(sns.list_tags_for_resource(ResourceArn=arn)["Tags"])),
        **({"Subscription": subscriptions} if subscriptions else {}),
    }


def _put_policy(aws: Aws, p: Properties) -> str:
    for topic in p["Topics"]:
        aws.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=_text(p["PolicyDocument"]))
    return str(p["_name"])


def _update_policy(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    _remove_policy(aws, ref, {"Topics": [topic for topic in old["Topics"] if topic not in new["Topics"]]})
    _put_policy(aws, {**new, "_name": ref})


def _remove_policy(aws: Aws, _: str, p: Properties) -> None:
    """A topic is never without a policy: AWS gives it back the one that it was made with, which lets its owner do everything."""
    actions = (
        "AddPermission",
        "DeleteTopic",
        "GetTopicAttributes",
        "ListSubscriptionsByTopic",
        "Publish",
        "RemovePermission",
        "SetTopicAttributes",
        "Subscribe",
    )
    for topic in p["Topics"]:
        statement = {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [f"SNS:{action}" for action in actions],
            "Resource": topic,
            "Condition": {"StringEquals": {"AWS:SourceOwner": aws.account}},
        }
        policy = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
        aws.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy))


def _subscribe(aws: Aws, p: Properties) -> str:
    attributes = {name: _text(p[name]) for name in SUBSCRIPTION if name in p}
    made = aws.client("sns").subscribe(
        TopicArn=p["TopicArn"],
        Protocol=p["Protocol"],
        Endpoint=p.get("Endpoint", ""),
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )
    return str(made["SubscriptionArn"])


def _update_subscription(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    for name in SUBSCRIPTION:
        if changed(old, new, name):
            aws.client("sns").set_subscription_attributes(
                SubscriptionArn=ref, AttributeName=name, AttributeValue=_text(new.get(name, ""))
            )


def _read_subscription(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    attributes = aws.client("sns").get_subscription_attributes(SubscriptionArn=identifier[0])["Attributes"]
    if not attributes:
        raise NotFoundError(identifier[0])
    return {**attributes, "Arn": identifier[0]}


RESOURCES = (
    Resource(
        "AWS::SNS::Topic",
        _create,
        lambda aws, ref, _: aws.client("sns").delete_topic(TopicArn=ref),
        _read,
        _update,
        name="TopicName",
        longest=256,
    ),
    Resource("AWS::SNS::TopicPolicy", _put_policy, _remove_policy, None, _update_policy, name="_name"),
    Resource(
        "AWS::SNS::Subscription",
        _subscribe,
        lambda aws, ref, _: aws.client("sns").unsubscribe(SubscriptionArn=ref),
        _read_subscription,
        _update_subscription,
    ),
)
