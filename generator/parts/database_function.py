"""A function that speaks PostgreSQL with its own site's database: in the isolated subnets, with one secret and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from awacs import kms as key_actions
from awacs import secretsmanager as secret_actions
from awacs.aws import Statement
from troposphere import GetAtt, Ref, awslambda, cloudwatch

from generator.layer import Layer
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.function import Function, function
from generator.parts.log_group import WORKING_LOGS
from generator.parts.rules import scheduled_rule
from generator.parts.secret import reads, under_its_key
from generator.template import Explained, Template
from model import PRIMARY

SECRET = "secrets.DatabaseSecretArn"  # noqa: S105  an address


def database_function(
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
    of_global: bool = False,
    writes: bool = False,
    more: list[Statement] | None = None,
    environment: dict[str, Any] | None = None,
) -> Function:
    """The function of that package. ``database`` is the layer that says where the database is, ``secret`` the address of its
    credential, which may be a ``replica`` of another site's, and which it changes where it ``writes``. A cluster ``of_global``
    is reached by its reader's name while it is a secondary, for that of its writer does not resolve then.
    Its role may do ``more``.
    """
    credential = t.output_of(secret, name=secret_named)
    return function(
        t,
        name,
        purpose,
        environment={
            "DATABASE_HOST": t.output_of(f"{database}.Endpoint"),
            **({"DATABASE_READ_HOST": t.output_of(f"{database}.ReadEndpoint")} if of_global else {}),
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


@dataclass(frozen=True, kw_only=True)
class DatabaseFunction(Layer):
    """A layer of one function that asks its site's database by the clock.

    ``database`` is the layer that says where the database is, ``secret`` the address of its credential, ``secret_named`` what
    the parameter for it is called where the requirements say so. A cluster ``of_global`` is a secondary, or may become one.
    """

    database: str
    secret: str
    secret_named: str = ""
    of_global: bool = False
    every: timedelta = timedelta(minutes=1)
    log_retention: timedelta = WORKING_LOGS

    @property
    def way(self) -> str:
        """The address of the group by which it reaches the database: the probe's, which a fence leaves alone."""
        return f"probe{'' if self.sites == (PRIMARY,) else '-recovery'}.GroupId"


def scheduled_function(
    t: Template,
    layer: DatabaseFunction,
    name: str,
    purpose: str,
    *,
    does: str,
    when: str,
    trouble: str,
    environment: dict[str, Any] | None = None,
) -> None:
    """The whole of such a layer: what its schedule ``does`` and ``when``, and the ``trouble`` when it fails for three minutes."""
    worker = database_function(
        t,
        name,
        purpose,
        database=layer.database,
        secret=layer.secret,
        secret_named=layer.secret_named,
        replica=layer.sites != (PRIMARY,),
        of_global=layer.of_global,
        groups=[
            Explained(
                t.output_of(layer.way, "AWS::EC2::SecurityGroup::Id"),
                "Not the clients': those are kept out by a fence, and from a replica that is being promoted.",
            )
        ],
        log_retention=layer.log_retention,
        environment=environment,
    )
    t.section("The function, with a role that reads one secret.", worker.group, worker.role, worker.function)
    rule, permission = scheduled_rule(t, "Schedule", name, does, layer.every, worker.function)
    t.section(when, rule, permission)
    title = "".join(part.capitalize() for part in name.split("-"))
    failure_alarm = fails(t, f"{title}Fails", f"{name}-fails", trouble, worker.function, periods=3)
    t.section("Who hears of it when it fails.", failure_alarm)
    t.output("FunctionName", Ref(worker.function), "The function.")
    t.output("FunctionArn", GetAtt(worker.function, "Arn"), "The function.")


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
