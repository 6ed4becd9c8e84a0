"""Keys: rotated by KMS, and administered by the account's own IAM policies."""

from __future__ import annotations

from compliance import statements
from model import Rule
from model.view import Resource

KEY = "AWS::KMS::Key"
ACCOUNT_ROOT = "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"


def key_of(resource: Resource, *path: str) -> Resource | None:
    """The customer-managed key that a property names, by key, by alias resource or by an alias's name."""
    return key_in(resource, resource.get(*path))


def key_in(resource: Resource, value: object) -> Resource | None:
    """The customer-managed key that a value of a resource's layer names."""
    found = resource.view.follow(resource.layer, value)
    if found is None:
        text = resource.view.text(resource.layer, value)
        aliases = resource.view.resources("AWS::KMS::Alias")
        found = next((alias for alias in aliases if text is not None and alias.text("AliasName") == text), None)
    if found is not None and found.type == "AWS::KMS::Alias":
        found = found.follow("TargetKeyId")
    return found if found is not None and found.type == KEY and found.certain else None


def written(text: str, region: str) -> str:
    """A text with partition and region filled in, so that ``${AWS::Region}`` and the region's own name compare."""
    return text.replace("${AWS::Partition}", "aws").replace("${AWS::Region}", region)


def allows_service(
    key: Resource, service: str, actions: tuple[str, ...], user: Resource, context: tuple[str, str] | None = None
) -> bool:
    """Whether the key's policy lets an AWS service use it for ``user``, with an encryption context (key, ARN) if one is asked."""
    region = (user.regions or ("",))[0]
    return any(
        statement.allows
        and statement.names_service(service, user.regions)
        and statement.covers(*actions)
        and (context is None or _has_context(statement, context, region))
        for statement in statements.of(key, "KeyPolicy")
    )


def _has_context(statement: statements.Statement, context: tuple[str, str], region: str) -> bool:
    name, arn = context
    condition = statement.condition(f"kms:EncryptionContext:{name}")
    return condition is not None and any(
        value is not None and statements.matches(written(value, region), written(arn, region)) for value in condition.values
    )


def _rotated(key: Resource) -> tuple[str, bool]:
    return "EnableKeyRotation", key.true("EnableKeyRotation")


def _delegated(key: Resource) -> tuple[str, bool]:
    return "KeyPolicy", any(
        statement.allows
        and ("AWS", ACCOUNT_ROOT) in statement.principals
        and statement.covers("kms:*")
        and not statement.conditions
        for statement in statements.of(key, "KeyPolicy")
    )


rotated = Rule(
    "kms.rotated",
    "KMS rotates the key's material every year.",
    "Less is encrypted under any one piece of key material.",
    "AWS Security Hub KMS.4",
    (KEY,),
    _rotated,
)
delegated = Rule(
    "kms.delegated",
    "The key's policy leaves its administration to the account's IAM policies.",
    "A key whose policy names only people or services cannot be administered, or deleted, once those are gone.",
    "AWS KMS Developer Guide, Default key policy: allows access to the account and enables IAM policies",
    (KEY,),
    _delegated,
)
