"""Resource policies: whom they name."""

from __future__ import annotations

from compliance import statements
from compliance.rules.kms import ACCOUNT_ROOT
from compliance.statements import ANYONE, DOCUMENTS, Statement
from model import Rule
from model.view import Resource

ENDPOINT = "AWS::EC2::VPCEndpoint"
CALLER_KEYS = (
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:SourceAccount",
    "kms:CallerAccount",
    "kms:ViaService",
)
"""Condition keys that say who the caller must be."""


def _nobody_named(resource: Resource) -> tuple[str, bool] | None:
    name = DOCUMENTS.get(resource.type, "PolicyDocument")
    if resource.get(name) is None:
        return None
    return name, all(
        kind != "AWS" or text in ("*", ACCOUNT_ROOT, "${AWS::AccountId}")
        for statement in statements.of(resource, name)
        for kind, text in statement.principals
    )


def _not_public(resource: Resource) -> tuple[str, bool] | None:
    name = DOCUMENTS[resource.type]
    if resource.get(name) is None:
        return None
    found = statements.of(resource, name)
    return name, bool(found) and not any(
        _lets_anyone(statement) or (statement.allows and statement.inverted) for statement in found
    )


def _lets_anyone(statement: Statement) -> bool:
    anyone = ANYONE in statement.principals or ("AWS", "*") in statement.principals
    return statement.allows and anyone and not any(statement.condition(key) for key in CALLER_KEYS)


def _endpoint_narrow(endpoint: Resource) -> tuple[str, bool]:
    found = statements.of(endpoint, "PolicyDocument")
    return "PolicyDocument", bool(found) and not any(
        statement.allows and (statement.inverted or "*" in statement.actions or not _bounded(statement)) for statement in found
    )


def _bounded(statement: Statement) -> bool:
    """Whether a statement is for certain callers or for certain resources."""
    by_caller = any(statement.condition(key) for key in (*CALLER_KEYS, "aws:ResourceAccount"))
    return by_caller or ("*" not in statement.resources and bool(statement.resources))


nobody_named = Rule(
    "policies.nobody_named",
    "The resource's policy names no role or user as principal.",
    "A named role must exist before the policy does, and a role that is created anew is locked out.",
    "AWS IAM User Guide, AWS JSON policy elements: Principal, IAM role principals",
    (*DOCUMENTS, ENDPOINT),
    _nobody_named,
)
not_public = Rule(
    "policies.not_public",
    "The resource's policy lets in nobody but services of AWS and callers that are bound to this account.",
    "An Allow for everyone without a condition on the caller is public.",
    "AWS IAM User Guide, AWS JSON policy elements: Principal, All principals",
    tuple(DOCUMENTS),
    _not_public,
)
endpoint_narrow = Rule(
    "policies.endpoint_narrow",
    "The VPC endpoint has a policy of its own that names actions and bounds callers or resources.",
    "The default policy lets anyone who reaches the endpoint do anything with anybody's resources.",
    "AWS PrivateLink Guide, Control access to VPC endpoints using endpoint policies",
    (ENDPOINT,),
    _endpoint_narrow,
)
