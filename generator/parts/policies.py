"""Policy documents: every statement has a Sid that says why, named actions and exact resources."""

from __future__ import annotations

from typing import Any

from awacs import sns, sts
from awacs.aws import (
    Action,
    Allow,
    Bool,
    Condition,
    Deny,
    NumericLessThan,
    PolicyDocument,
    Principal,
    Statement,
    StringEquals,
)
from troposphere import GenericHelperFn, Ref, Sub, encode_to_dict

VERSION = "2012-10-17"
ANYONE = Principal("*")
ACCOUNT_ROOT = Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")
THIS_ACCOUNT = StringEquals("aws:SourceAccount", Ref("AWS::AccountId"))
"""Only where the service sends it; not from EventBridge or CloudWatch to an encrypted topic."""


def service(name: str) -> Principal:
    """The principal of an AWS service: ``logs`` is ``logs.amazonaws.com``; a name may hold ``${AWS::Region}``."""
    full = f"{name}.amazonaws.com"
    return Principal("Service", Sub(full) if "${" in full else full)


def document(*statements: Statement) -> PolicyDocument:
    """A policy document of these statements."""
    return PolicyDocument(Version=VERSION, Statement=list(statements))


def plain(document_: PolicyDocument) -> GenericHelperFn:
    """A policy document as plain data, for properties of which troposphere would make a text, references and all."""
    return GenericHelperFn(encode_to_dict(document_))


def allow(sid: str, actions: list[Action], resources: list[Any], *conditions: Any, to: Principal | None = None) -> Statement:
    """Allow ``actions`` on ``resources``; ``to`` a principal where the policy is a resource's."""
    return _statement(Allow, sid, actions, resources, conditions, to)


def deny(sid: str, actions: list[Action], resources: list[Any], *conditions: Any, to: Principal | None = None) -> Statement:
    """Deny ``actions`` on ``resources``."""
    return _statement(Deny, sid, actions, resources, conditions, to)


def trust(principal: Principal, *conditions: Any) -> PolicyDocument:
    """Who may assume a role."""
    return document(
        Statement(
            Sid="ServiceAssumesRole",
            Effect=Allow,
            Principal=principal,
            Action=[sts.AssumeRole],
            **({"Condition": Condition(list(conditions))} if conditions else {}),
        )
    )


def deny_clear_text(service_prefix: str, resources: list[Any]) -> Statement:
    """Refuse requests that do not come over TLS."""
    return deny("DenyWithoutTls", [Action(service_prefix, "*")], resources, Bool("aws:SecureTransport", "false"), to=ANYONE)


def deny_clear_text_publish(resources: list[Any]) -> Statement:
    """Refuse to publish without TLS; SNS takes no ``sns:*`` in a topic policy that names a topic."""
    return deny("DenyWithoutTls", [sns.Publish], resources, Bool("aws:SecureTransport", "false"), to=ANYONE)


def deny_old_tls(resources: list[Any]) -> Statement:
    """Refuse S3 requests over TLS 1.1 or older."""
    return deny("DenyTlsBelow12", [Action("s3", "*")], resources, NumericLessThan("s3:TlsVersion", "1.2"), to=ANYONE)


def _statement(
    effect: str, sid: str, actions: list[Action], resources: list[Any], conditions: tuple[Any, ...], to: Principal | None
) -> Statement:
    more: dict[str, Any] = {}
    if to is not None:
        more["Principal"] = to
    if conditions:
        more["Condition"] = Condition(list(conditions))
    return Statement(Sid=sid, Effect=effect, Action=actions, Resource=resources, **more)
