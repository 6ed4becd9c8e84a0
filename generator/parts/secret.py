"""Secrets: what their policies begin with, who reads one, and how a database is given one."""

from __future__ import annotations

from awacs import kms
from awacs import secretsmanager as actions
from awacs.aws import Action, Bool, ConditionElement, Statement, StringEquals, StringLike, StringNotEquals
from troposphere import Ref, Select, Split, Sub, secretsmanager

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


def under_its_key(secret: Ref, *, replica: bool = False) -> list[ConditionElement]:
    """Through Secrets Manager of this region only, and for this secret only; a replica's context may name the region that it
    came from.
    """
    through = {"kms:ViaService": Sub("secretsmanager.${AWS::Region}.amazonaws.com")}
    context = "kms:EncryptionContext:SecretARN"
    if not replica:
        return [StringEquals({**through, context: secret})]
    anywhere = Sub("arn:${AWS::Partition}:secretsmanager:*:${AWS::AccountId}:secret:${Name}", Name=Select(6, Split(":", secret)))
    return [StringEquals(through), StringLike({context: anywhere})]


def reads(secret: Ref, key: Ref, *, replica: bool = False) -> list[Statement]:
    """Read one secret, a credential, under its key."""
    return [
        policies.allow("ReadTheCredential", [actions.GetSecretValue], [secret]),
        policies.allow("ReadTheSecretUnderItsKey", [kms.Decrypt], [key], *under_its_key(secret, replica=replica)),
    ]


def credential(secret: Ref | None) -> dict[str, Sub]:
    """User name and password of a database as Secrets Manager has them; none of a replica, which has its source's."""
    if secret is None:
        return {}
    resolved = "{{resolve:secretsmanager:${%s}:SecretString:%s}}"
    return {
        "MasterUsername": Sub(resolved % (secret.data["Ref"], "username")),
        "MasterUserPassword": Sub(resolved % (secret.data["Ref"], "password")),
    }
