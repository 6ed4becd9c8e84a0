"""What the policies of secrets begin with: TLS, and nobody outside the account."""

from __future__ import annotations

from awacs.aws import Action, Bool, StringNotEquals
from troposphere import Ref, secretsmanager

from generator.parts import policies


def own_account_only(secret: secretsmanager.Secret) -> secretsmanager.ResourcePolicy:
    """The policy of a secret that no other account reads, and nobody without TLS."""
    every = [Action("secretsmanager", "*")]
    return secretsmanager.ResourcePolicy(
        f"{secret.title}Policy",
        SecretId=Ref(secret),
        BlockPublicPolicy=True,
        ResourcePolicy=policies.document(
            policies.deny("DenyWithoutTls", every, ["*"], Bool("aws:SecureTransport", "false"), to=policies.ANYONE),
            policies.deny(
                "DenyOtherAccounts",
                every,
                ["*"],
                StringNotEquals("aws:PrincipalAccount", Ref("AWS::AccountId")),
                to=policies.ANYONE,
            ),
        ),
    )
