"""Topics: encrypted, over TLS, and open to those services that have something to say; and what else a rule may start."""

from __future__ import annotations

from collections.abc import Iterator

from compliance import statements
from compliance.rules import kms
from compliance.statements import Statement, matches
from model import Rule
from model.view import Resource

TOPIC = ("AWS::SNS::Topic",)

ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
SENDERS = {
    **dict.fromkeys(ALARMS, "cloudwatch"),
    "AWS::Events::Rule": "events",
    "AWS::RDS::EventSubscription": "events.rds",
}
"""Which service publishes what a resource has to say."""

TOPIC_CONDITIONS = {
    "cloudwatch": {"aws:sourceaccount", "aws:sourcearn"},
    "events": set[str](),
    "events.rds": {"aws:sourceaccount", "aws:sourcearn"},
}
"""The condition keys that each service sends to SNS; any other would refuse every message."""

KEY_CONDITIONS = {"cloudwatch": set[str](), "events": set[str](), "events.rds": {"aws:sourceaccount"}}
"""The condition keys that each service sends to KMS. Amazon SNS Developer Guide: none from EventBridge."""


def policies_of(topic: Resource) -> Iterator[Statement]:
    """The statements of every policy that is put on the topic in every environment."""
    for policy in topic.view.resources("AWS::SNS::TopicPolicy"):
        if policy.certain and any(topic.is_(member) for member in policy.members("Topics")):
            yield from statements.of(policy, "PolicyDocument")


def _targets(sender: Resource) -> tuple[Resource | None, ...]:
    if sender.type in ALARMS:
        return sender.members("AlarmActions") + sender.members("OKActions") + sender.members("InsufficientDataActions")
    if sender.type == "AWS::RDS::EventSubscription":
        return sender.members("SnsTopicArn")
    return tuple(sender.view.follow(sender.layer, target.get("Arn")) for target in sender.get("Targets") or [])


def _delivers(sender: Resource) -> tuple[str, bool]:
    name = {**dict.fromkeys(ALARMS, "AlarmActions"), "AWS::RDS::EventSubscription": "SnsTopicArn"}.get(sender.type, "Targets")
    targets = _targets(sender)
    rings = sender.type not in ALARMS or bool(sender.members("AlarmActions"))
    told = (
        rings and sender.proves(lambda value: value is not False, "ActionsEnabled") and sender.get("State") in (None, "ENABLED")
    )
    return name, told and bool(targets) and all(_reaches(sender, target) for target in targets)


def _reaches(sender: Resource, target: Resource | None) -> bool:
    """Whether a topic lets the sender's service through, or a function lets EventBridge call it for this very rule."""
    if target is not None and target.type == "AWS::Lambda::Function" and sender.type == "AWS::Events::Rule":
        return target.certain and any(
            permission.certain
            and target.is_(permission.follow("FunctionName"))
            and permission.get("Principal") == "events.amazonaws.com"
            and permission.get("Action") == "lambda:InvokeFunction"
            and sender.is_(permission.follow("SourceArn"))
            for permission in sender.view.resources("AWS::Lambda::Permission")
        )
    return _published(sender, target)


def _published(sender: Resource, topic: Resource | None) -> bool:
    """Whether the topic's policy and its key's policy both let the sender's service through."""
    if topic is None or topic.type not in TOPIC or not topic.certain:
        return False
    service = SENDERS[sender.type]
    published = any(
        statement.allows
        and statement.names_service(service, sender.regions)
        and statement.covers("sns:Publish")
        and _on(statement, topic)
        and _passes(statement, sender, TOPIC_CONDITIONS[service])
        for statement in policies_of(topic)
    )
    refused = any(
        not statement.allows and statement.covers("sns:Publish") and not _only_clear_text(statement)
        for statement in policies_of(topic)
    )
    return published and not refused and (topic.get("KmsMasterKeyId") is None or _decrypts(sender, topic, service))


def _decrypts(sender: Resource, topic: Resource, service: str) -> bool:
    key = kms.key_of(topic, "KmsMasterKeyId")
    return key is not None and any(
        statement.allows
        and statement.names_service(service, sender.regions)
        and statement.covers("kms:Decrypt", "kms:GenerateDataKey")
        and _passes(statement, sender, KEY_CONDITIONS[service])
        for statement in statements.of(key, "KeyPolicy")
    )


def _on(statement: Statement, topic: Resource) -> bool:
    own = f"${{{topic.layer}.{topic.id}}}"
    name = topic.text("TopicName")
    arn = f"arn:${{AWS::Partition}}:sns:${{AWS::Region}}:${{AWS::AccountId}}:{name}"
    return any(resource in (own, f"{own[:-1]}.TopicArn}}", "*") or resource == arn for resource in statement.resources)


def _passes(statement: Statement, sender: Resource, known: set[str]) -> bool:
    """Whether every condition is on a key that the service sends, with the values that it sends for this sender."""
    region = (sender.regions or ("",))[0]
    sent = {"aws:sourceaccount": ["${AWS::AccountId}"], "aws:sourcearn": _sources(sender, region)}
    return all(
        condition.key in known
        and all(
            any(pattern is not None and matches(kms.written(pattern, region), value) for pattern in condition.values)
            for value in sent[condition.key]
        )
        for condition in statement.conditions
    )


def _sources(sender: Resource, region: str) -> list[str]:
    """What the service gives as aws:SourceArn: the alarm, or each database that a subscription names (any, if none)."""
    if sender.type in ALARMS:
        return [f"arn:aws:cloudwatch:{region}:${{AWS::AccountId}}:alarm:{sender.text('AlarmName') or ''}"]
    identifiers = sender.view.texts(sender.layer, sender.get("SourceIds") or [""])
    kind = "cluster" if sender.get("SourceType") == "db-cluster" else "db"
    return [f"arn:aws:rds:{region}:${{AWS::AccountId}}:{kind}:{identifier or ''}" for identifier in identifiers]


def _only_clear_text(statement: Statement) -> bool:
    condition = statement.condition("aws:SecureTransport")
    return condition is not None and condition.operator == "bool" and condition.values == ("false",)


def _tls_only(topic: Resource) -> tuple[str, bool]:
    return "TopicPolicy", any(
        not statement.allows
        and statements.ANYONE in [(("*" if kind == "AWS" else kind), text) for kind, text in statement.principals]
        and statement.covers("sns:Publish")
        and _on(statement, topic)
        and _only_clear_text(statement)
        for statement in policies_of(topic)
    )


def _customer_key(topic: Resource) -> tuple[str, bool]:
    return "KmsMasterKeyId", kms.key_of(topic, "KmsMasterKeyId") is not None


def _subscribed(topic: Resource) -> tuple[str, bool]:
    return "Subscription", any(topic.is_(each.follow("TopicArn")) for each in topic.view.resources("AWS::SNS::Subscription"))


delivers = Rule(
    "sns.delivers",
    "What it reports reaches its topic, what it starts its function: the policies of both, and of the key, let the service in.",
    "AWS drops what it may not publish, encrypt or invoke without a word; alias/aws/sns lets no service through.",
    "Amazon SNS Developer Guide, Enable compatibility between event sources from AWS services and encrypted topics",
    tuple(SENDERS),
    _delivers,
)
tls_only = Rule(
    "sns.tls_only",
    "The topic refuses messages that do not come over TLS.",
    "SNS still answers on its HTTP endpoint.",
    "Amazon SNS Developer Guide, Amazon SNS security best practices: enforce encryption of data in transit",
    TOPIC,
    _tls_only,
)
customer_key = Rule(
    "sns.customer_key",
    "Messages are encrypted with a customer-managed key.",
    "Alarms describe the system's weaknesses while they last.",
    "AWS Security Hub SNS.1",
    TOPIC,
    _customer_key,
)
subscribed = Rule(
    "sns.subscribed",
    "A subscription carries messages to people, in every environment that names an address.",
    "A topic without one keeps everything to itself.",
    "Amazon SNS Developer Guide, Creating a subscription to an Amazon SNS topic",
    TOPIC,
    _subscribed,
)
