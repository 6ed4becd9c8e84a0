"""The rotation layer."""

from dataclasses import dataclass
from datetime import timedelta

from awacs import kms as key_actions
from awacs import secretsmanager as actions
from awacs.aws import StringEquals
from troposphere import GetAtt, Ref, Sub, awslambda, secretsmanager

from generator.layer import Layer
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.function import function
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Rotation(Layer):
    """Replaces the database's password on a schedule, and once at the first deployment.

    ``database`` is the layer that says where the database is.
    """

    name: str = "rotation"
    database: str = "database"
    every: timedelta = timedelta(days=30)

    def define(self, t: Template) -> None:
        secret = t.output_of("secrets.DatabaseSecretArn")
        secrets_key = t.output_of("keys.SecretsKeyArn")
        host = t.output_of(f"{self.database}.Endpoint")
        port = t.output_of(f"{self.database}.Port")

        secrets_manager = Sub("secretsmanager.${AWS::Region}.amazonaws.com")
        rotation = function(
            t,
            "rotation",
            "Replaces the password of the database in the four steps of Secrets Manager.",
            environment={"DATABASE_HOST": host, "DATABASE_PORT": port},
            subnets=t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>"),
            groups=[t.output_of("network.ClientGroupId", "AWS::EC2::SecurityGroup::Id")],
            logs_key=t.output_of("keys.LogsKeyArn"),
            timeout=timedelta(seconds=60),
            statements=[
                policies.allow(
                    "RotateThisSecret",
                    [actions.DescribeSecret, actions.GetSecretValue, actions.PutSecretValue, actions.UpdateSecretVersionStage],
                    [secret],
                ),
                policies.allow("RandomPasswordsHaveNoResource", [actions.GetRandomPassword], ["*"]),
                policies.allow(
                    "ReadAndWriteTheSecretUnderItsKey",
                    [key_actions.Decrypt, key_actions.GenerateDataKey],
                    [secrets_key],
                    StringEquals({"kms:ViaService": secrets_manager, "kms:EncryptionContext:SecretARN": secret}),
                ),
            ],
        )
        t.section("The function, with a role that can touch one secret.", rotation.group, rotation.role, rotation.function)

        permission = awslambda.Permission(
            "InvokedBySecretsManager",
            FunctionName=Ref(rotation.function),
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
            SourceAccount=Ref("AWS::AccountId"),
            SourceArn=secret,
        )
        schedule = secretsmanager.RotationSchedule(
            "Schedule",
            DependsOn=[permission.title],
            SecretId=secret,
            RotationLambdaARN=GetAtt(rotation.function, "Arn"),
            RotateImmediatelyOnUpdate=True,
            RotationRules=secretsmanager.RotationRules(AutomaticallyAfterDays=self.every.days, Duration="3h"),
        )
        t.section("When: at once, so that a rotation that cannot work is seen today, and then on schedule.", permission, schedule)

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

        t.output("FunctionName", Ref(rotation.function), "The function that rotates.")
        t.output("FunctionArn", GetAtt(rotation.function, "Arn"), "The function that rotates.")
