"""The health layer."""

from dataclasses import dataclass
from datetime import timedelta

from awacs import dynamodb as table_actions
from awacs import kms as key_actions
from awacs import s3 as s3_actions
from awacs.aws import StringEquals
from troposphere import GetAtt, Ref, Sub, Tags, ec2

from generator.layer import Layer
from generator.layers.network import HTTPS
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.function import function
from generator.parts.rules import scheduled_rule
from generator.parts.secret import reads
from generator.template import Explained, Group, Template
from protocol.metrics import NAMESPACE, PUBLISHED, WORKS

REPORTS = PUBLISHED["health"]
"""What the function publishes: of each of its dependencies, whether it works."""

MARKED = "health"
"""What the keys of its own objects begin with; the bucket has to remove those that a run which was killed has left."""


@dataclass(frozen=True, kw_only=True)
class Health(Layer):
    """A function that uses the secret, the cluster, the table and the bucket every minute, and fails when one of them does.

    It runs without a route out: Secrets Manager is reached by its endpoint in the VPC, S3 and DynamoDB by those in the routes.
    """

    name: str = "health"
    every: timedelta = timedelta(minutes=1)

    def define(self, t: Template) -> None:
        lists = [
            (
                service,
                t.parameter(
                    f"{service}PrefixListId",
                    f"The region's prefix list of {service}, the same in every account: the function may reach these addresses.",
                    group=Group.NETWORK,
                    AllowedPattern="^pl-[0-9a-f]{8,17}$",
                    ConstraintDescription=f"the id of com.amazonaws.<region>.{service.lower()}: describe-managed-prefix-lists",
                ),
            )
            for service in ("S3", "DynamoDB")
        ]
        secret = t.output_of("secrets.DatabaseSecretArn")
        table = t.output_of("table.TableArn")
        bucket = t.output_of("objects.BucketArn")
        topic = t.output_of("notify.TopicArn")

        group = ec2.SecurityGroup(
            "Group",
            GroupName=t.named("secgroup-function"),
            GroupDescription="The function: reaches S3 and DynamoDB in this region, nothing reaches it",
            VpcId=t.output_of("network.VpcId", "AWS::EC2::VPC::Id"),
            SecurityGroupEgress=[
                ec2.SecurityGroupRule(
                    IpProtocol="tcp",
                    FromPort=HTTPS,
                    ToPort=HTTPS,
                    DestinationPrefixListId=addresses,
                    Description=f"HTTPS to {service}",
                )
                for service, addresses in lists
            ],
            Tags=Tags(Name=t.named("secgroup-function")),
        )
        t.section("What it may reach beside the database and its secret, for which it is in the client group.", group)

        health = function(
            t,
            "health",
            "Says whether the secret, the cluster, the table and the bucket work, and fails where one does not.",
            kind="function",
            environment={
                "DB_SECRET_ARN": secret,
                "DB_CLUSTER_ARN": t.output_of("aurora.ClusterArn"),
                "DYNAMODB_TABLE": t.output_of("table.TableName"),
                "S3_BUCKET": t.output_of("objects.BucketName"),
                "DATABASE_HOST": t.output_of("aurora.Endpoint"),
                "DATABASE_PORT": t.output_of("aurora.Port"),
            },
            subnets=t.output_of("network.ApplicationSubnetIds", "List<AWS::EC2::Subnet::Id>"),
            groups=[t.output_of("network.ClientGroupId", "AWS::EC2::SecurityGroup::Id"), GetAtt(group, "GroupId")],
            logs_key=t.output_of("keys.LogsKeyArn"),
            timeout=timedelta(seconds=60),
            statements=[
                *reads(secret, t.output_of("keys.SecretsKeyArn")),
                policies.allow(
                    "WriteAndReadItems", [table_actions.DeleteItem, table_actions.GetItem, table_actions.PutItem], [table]
                ),
                policies.allow(
                    "UseTheTableUnderItsKey",
                    [key_actions.Decrypt],
                    [t.output_of("keys.TableKeyArn")],
                    StringEquals("kms:ViaService", Sub("dynamodb.${AWS::Region}.amazonaws.com")),
                ),
                policies.allow(
                    "WriteAndReadOwnObjects",
                    [s3_actions.DeleteObjectVersion, s3_actions.GetObject, s3_actions.PutObject],
                    [
                        Explained(
                            Sub("${Objects}/" + MARKED + "/*", Objects=bucket),
                            "Deleted by version, the bucket being versioned: plain deletion would leave that behind a marker.",
                        )
                    ],
                ),
                policies.allow(
                    "WriteAndReadObjectsUnderTheirKey",
                    [key_actions.Decrypt, key_actions.GenerateDataKey],
                    [t.output_of("keys.ObjectsKeyArn")],
                    StringEquals(
                        {
                            "kms:ViaService": Sub("s3.${AWS::Region}.amazonaws.com"),
                            "kms:EncryptionContext:aws:s3:arn": Explained(
                                bucket,
                                "The bucket's key encrypts in its own name, so the context is the bucket and not the object.",
                            ),
                        }
                    ),
                ),
            ],
        )
        t.section(
            "The function, with a role for one secret, one table and its own objects.",
            health.group,
            health.role,
            health.function,
        )
        rule, permission = scheduled_rule(
            t, "Schedule", "health-schedule", "Asks whether everything works.", self.every, health.function
        )
        t.section("When: every minute. A run that fails is tried twice again by Lambda, each failure counted.", rule, permission)

        dimensions = {"FunctionName": Ref(health.function)}
        failing = [
            alarm(
                t,
                f"{dependency.capitalize()}Fails",
                f"{dependency}-fails",
                f"For three minutes the function could not use the {dependency}. Its log says why, and how the others are.",
                Metric(
                    namespace=NAMESPACE, name=WORKS, statistic="Maximum", dimensions={**dimensions, REPORTS.dimension: dependency}
                ),
                "LessThanThreshold",
                1,
                topic,
                periods=3,
            )
            for dependency in REPORTS.values
        ]
        silent = alarm(
            t,
            "HealthUnknown",
            "health-unknown",
            "The function has not run for five minutes, so nobody knows whether everything works. Look at its schedule.",
            Metric(namespace="AWS/Lambda", name="Invocations", statistic="Sum", dimensions=dimensions),
            "LessThanThreshold",
            1,
            topic,
            period=timedelta(minutes=5),
            periods=1,
            missing="breaching",
        )
        t.section("What it finds, and its own silence, are told.", *failing, silent)

        t.output("FunctionName", Ref(health.function), "The function; invoke it to ask.")
        t.output("FunctionArn", GetAtt(health.function, "Arn"), "The function.")
