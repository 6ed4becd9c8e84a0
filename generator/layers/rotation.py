"""The rotation layer."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import GetAtt, Ref

from generator.layer import Layer
from generator.parts.alarm import Metric, alarm
from generator.parts.function import function
from generator.parts.log_group import WORKING_LOGS
from generator.parts.rotation import invoked, rotates, schedule
from generator.parts.secret import under_its_key
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Rotation(Layer):
    """Replaces the database's password: every so many days and once at the first deployment, or, as a standby, after a failover.

    ``database`` is the layer that says where the database is, ``secret`` the address of its credential, ``secret_named`` what
    the parameter for it is called where the requirements say so. A ``standby`` has no schedule: a replica of a secret takes
    none, and the function refuses a database that is in recovery. Failover gives the promoted secret a schedule.
    """

    name: str = "rotation"
    database: str = "database"
    secret: str = "secrets.DatabaseSecretArn"  # noqa: S105  an address
    secret_named: str = ""
    every: timedelta = timedelta(days=30)
    standby: bool = False
    log_retention: timedelta = WORKING_LOGS

    def define(self, t: Template) -> None:
        secret = t.output_of(self.secret, name=self.secret_named)
        secrets_key = t.output_of("keys.SecretsKeyArn")
        host = t.output_of(f"{self.database}.Endpoint")
        port = t.output_of(f"{self.database}.Port")

        rotation = function(
            t,
            "rotation",
            "Replaces the password of the database in the four steps of Secrets Manager.",
            environment={"DATABASE_HOST": host, "DATABASE_PORT": port},
            subnets=t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>"),
            groups=[t.output_of("network.ClientGroupId", "AWS::EC2::SecurityGroup::Id")],
            logs_key=t.output_of("keys.LogsKeyArn"),
            timeout=timedelta(seconds=60),
            log_retention=self.log_retention,
            statements=rotates(secret, secrets_key, under_its_key(secret, replica=self.standby)),
        )
        t.section("The function, with a role that can touch one secret.", rotation.group, rotation.role, rotation.function)

        permission = invoked(rotation.function, secret)
        scheduled = schedule(rotation.function, secret, self.every, [permission.title])
        if self.standby:
            t.section("Who may invoke it: Secrets Manager, for this secret. Nobody does before a failover.", permission)
        else:
            t.section(
                "When: at once, so that a rotation that cannot work is seen today, and then on schedule.", permission, scheduled
            )

        failed = alarm(
            t,
            "RotationFailed",
            "rotation-failed",
            "A step of the password's rotation failed. The current password stays valid; Secrets Manager tries again. "
            "Read the function's log group; after mending, rotate the secret at once.",
            Metric(namespace="AWS/Lambda", name="Errors", statistic="Sum", dimensions={"FunctionName": Ref(rotation.function)}),
            "GreaterThanThreshold",
            0,
            t.output_of("notify.TopicArn"),
            period=timedelta(minutes=5),
            periods=1,
            missing="notBreaching",
        )
        t.section("Who hears of it when it fails.", failed)

        if self.standby:
            t.output("SecretArn", secret, "The secret's replica at this site, for whoever else reads it here.")
        t.output("FunctionName", Ref(rotation.function), "The function that rotates.")
        t.output("FunctionArn", GetAtt(rotation.function, "Arn"), "The function that rotates.")
