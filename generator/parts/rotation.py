"""What every rotation of a password has: rights on one secret, Secrets Manager as the caller, and a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from awacs import kms, secretsmanager
from awacs.aws import ConditionElement, Statement
from troposphere import GetAtt, Ref, awslambda
from troposphere import secretsmanager as resources

from generator.parts import policies


def rotates(secret: Ref, key: Ref, within: Sequence[ConditionElement]) -> list[Statement]:
    """Replace the password of one secret, under its key and ``within`` these conditions."""
    return [
        policies.allow(
            "RotateThisSecret",
            [
                secretsmanager.DescribeSecret,
                secretsmanager.GetSecretValue,
                secretsmanager.PutSecretValue,
                secretsmanager.UpdateSecretVersionStage,
            ],
            [secret],
        ),
        policies.allow("RandomPasswordsHaveNoResource", [secretsmanager.GetRandomPassword], ["*"]),
        policies.allow("ReadAndWriteTheSecretUnderItsKey", [kms.Decrypt, kms.GenerateDataKey], [key], *within),
    ]


def invoked(function: awslambda.Function, secret: Ref) -> awslambda.Permission:
    """Secrets Manager of this account may invoke the function, for this secret."""
    return awslambda.Permission(
        "InvokedBySecretsManager",
        FunctionName=Ref(function),
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=Ref("AWS::AccountId"),
        SourceArn=secret,
    )


def schedule(function: awslambda.Function, secret: Ref, every: timedelta, after: Sequence[str]) -> resources.RotationSchedule:
    """At once, and then every so many days; ``after`` is what the first rotation needs."""
    return resources.RotationSchedule(
        "Schedule",
        DependsOn=list(after),
        SecretId=secret,
        RotationLambdaARN=GetAtt(function, "Arn"),
        RotateImmediatelyOnUpdate=True,
        RotationRules=resources.RotationRules(AutomaticallyAfterDays=every.days, Duration="3h"),
    )
