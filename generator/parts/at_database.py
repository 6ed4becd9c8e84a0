"""A function that speaks PostgreSQL with its own site's database: in the isolated subnets, with one secret and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from awacs import kms as key_actions
from awacs import secretsmanager as secret_actions
from awacs.aws import Statement
from troposphere import Ref, awslambda, cloudwatch

from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.function import Function, function
from generator.parts.secret import reads, under_its_key
from generator.template import Template

SECRET = "secrets.DatabaseSecretArn"  # noqa: S105  an address


def at_database(
    t: Template,
    name: str,
    purpose: str,
    *,
    database: str,
    secret: str,
    secret_named: str,
    replica: bool,
    groups: list[Any],
    log_retention: timedelta,
    writes: bool = False,
    more: list[Statement] | None = None,
    environment: dict[str, Any] | None = None,
) -> Function:
    """The function of that package. ``database`` is the layer that says where the database is, ``secret`` the address of its
    credential, which may be a ``replica`` of another site's, and which it changes where it ``writes``.
    Its role may do ``more``.
    """
    credential = t.output_of(secret, name=secret_named)
    return function(
        t,
        name,
        purpose,
        environment={
            "DATABASE_HOST": t.output_of(f"{database}.Endpoint"),
            "DATABASE_PORT": t.output_of(f"{database}.Port"),
            "SECRET_ARN": credential,
            **(environment or {}),
        },
        subnets=t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>"),
        groups=groups,
        logs_key=t.output_of("keys.LogsKeyArn"),
        timeout=timedelta(seconds=30),
        log_retention=log_retention,
        statements=[
            *reads(credential, t.output_of("keys.SecretsKeyArn"), replica=replica),
            *(_writes(credential, t.output_of("keys.SecretsKeyArn"), replica=replica) if writes else []),
            *(more or []),
        ],
    )


def _writes(credential: Ref, key: Ref, *, replica: bool) -> list[Statement]:
    within = under_its_key(credential, replica=replica)
    return [
        policies.allow("WriteTheCredential", [secret_actions.PutSecretValue], [credential]),
        policies.allow("WriteTheSecretUnderItsKey", [key_actions.GenerateDataKey], [key], *within),
    ]


def clients(t: Template) -> list[Any]:
    """The groups of a function that connects as applications do."""
    return [t.output_of("network.ClientGroupId", "AWS::EC2::SecurityGroup::Id")]


def fails(t: Template, title: str, kind: str, description: str, code: awslambda.Function, *, periods: int) -> cloudwatch.Alarm:
    """The alarm on a function's errors, minute by minute."""
    return alarm(
        t,
        title,
        kind,
        description,
        Metric(namespace="AWS/Lambda", name="Errors", statistic="Sum", dimensions={"FunctionName": Ref(code)}),
        "GreaterThanThreshold",
        0,
        t.output_of("notify.TopicArn"),
        periods=periods,
        missing="notBreaching",
    )
