"""A customer-managed key with its alias."""

from __future__ import annotations

from awacs.aws import Action, Principal, Statement
from troposphere import Ref, kms

from generator.parts import policies
from generator.template import Explained, Template

WAITING_DAYS = Explained(7, "KMS deletes a key after 7 to 30 days; the shortest leaves least behind after a destroy.")


def customer_key(
    t: Template, title: str, kind: str, purpose: str, *uses: Statement, alias: str = ""
) -> tuple[kms.Key, kms.Alias]:
    """A key that IAM policies of this account and the given ``uses`` may use, and its alias, ``key-<kind>`` if none is given."""
    key = kms.Key(
        title,
        DeletionPolicy="Delete",
        UpdateReplacePolicy="Delete",
        Description=purpose,
        EnableKeyRotation=True,
        PendingWindowInDays=WAITING_DAYS,
        KeyPolicy=policies.document(
            policies.allow(
                "AccountDelegatesToIamPolicies",
                [Action("kms", "*")],
                [Explained("*", "In the policy of a key this means that key, here and below.")],
                to=Principal("AWS", policies.ACCOUNT_ROOT),
            ),
            *uses,
        ),
    )
    return key, kms.Alias(f"{title}Alias", AliasName=t.named(f"alias/{alias or f'key-{kind}'}"), TargetKeyId=Ref(key))
