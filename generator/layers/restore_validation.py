"""The restore validation layer."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from awacs import backup as backup_actions
from awacs import kms as key_actions
from awacs import rds as database_actions
from awacs.aws import Action, Bool, StringEquals
from troposphere import AWSObject, GetAtt, Ref, Select, Sub, Tags, awslambda, ec2, events

from generator.layer import Layer
from generator.layers.network import HTTPS
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.backup_targets import REHEARSED
from generator.parts.function import function
from generator.parts.group import closed_group
from generator.parts.log_group import WORKING_LOGS
from generator.parts.secret import reads
from generator.template import Explained, Template
from protocol.metrics import NAMESPACE, RESTORE_SECONDS

"""What the function measures: from the restore's beginning until the restored cluster has answered a query."""


@dataclass(frozen=True, kw_only=True)
class RestoreValidation(Layer):
    """A function that asks every rehearsed restore whether it is any good, and measures how long it took.

    AWS Backup restores a cluster and gives it no instance: the function adds one, connects, deletes it and reports.
    ``late_after`` is when operators are told that a restore takes too long for its objective; ``absent_after`` that none was
    measured. ``held_to`` says to them what the time is held against.
    """

    name: str = "restore-validation"
    instance_class: str = "db.t4g.medium"
    late_after: timedelta = timedelta(minutes=180)
    absent_after: timedelta = timedelta(days=5)
    held_to: str = "4 hours are the objective"
    log_retention: timedelta = WORKING_LOGS

    def define(self, t: Template) -> None:
        secret = t.output_of("secrets.DatabaseSecretArn")
        plan = t.output_of("backup.RestoreTestingPlanArn")
        topic = t.output_of("notify.TopicArn")
        subnets = t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>")

        group = self._way_out(t, subnets)
        identifier = t.name("restore-validation")
        validator = function(
            t,
            "restore-validator",
            "Adds an instance to a restored cluster, connects, deletes it, and tells AWS Backup the result.",
            environment={
                "DB_SECRET_ARN": secret,
                "INSTANCE_IDENTIFIER": Sub(identifier),
                "INSTANCE_CLASS": self.instance_class,
                "SUBNET_GROUP": t.output_of("aurora.SubnetGroupName"),
                "TAGS": _tags(t),
            },
            subnets=subnets,
            groups=[t.output_of("network.ClientGroupId", "AWS::EC2::SecurityGroup::Id"), GetAtt(group, "GroupId")],
            logs_key=t.output_of("keys.LogsKeyArn"),
            timeout=timedelta(minutes=15),
            timeout_because="An instance takes about ten minutes; what is left is tried again by Lambda, which begins where this "
            "ended.",
            log_retention=self.log_retention,
            statements=[
                *reads(secret, t.output_of("keys.SecretsKeyArn")),
                policies.allow(
                    "RestoreJobsHaveNoResource",
                    [backup_actions.DescribeRestoreJob, backup_actions.PutRestoreValidationResult],
                    ["*"],
                ),
                policies.allow(
                    "LookAtTheRestoredCluster", [database_actions.DescribeDBClusters], [_rds(f"cluster:{REHEARSED}*")]
                ),
                policies.allow(
                    "SayOnItWhatWasFound",
                    [database_actions.AddTagsToResource],
                    [_rds(f"cluster:{REHEARSED}*"), _rds("db:" + identifier)],
                ),
                policies.allow(
                    "GiveItAnInstance",
                    [database_actions.CreateDBInstance],
                    [
                        _rds(f"cluster:{REHEARSED}*"),
                        _rds("db:" + identifier),
                        _rds("og:default:*"),
                        _rds("pg:default.*"),
                        _rds("subgrp:" + t.name("subnet-group-aurora")),
                    ],
                ),
                policies.allow(
                    "RdsHoldsTheKeyOfTheCluster",
                    [key_actions.CreateGrant],
                    [
                        Explained(
                            t.output_of("keys.AuroraKeyArn"),
                            "RDS acts in the name of who adds an instance under a customer key (Aurora user guide, AWS KMS key "
                            "management).",
                        )
                    ],
                    Bool("kms:GrantIsForAWSResource", "true"),
                    StringEquals("kms:ViaService", Sub("rds.${AWS::Region}.amazonaws.com")),
                ),
                policies.allow(
                    "RdsLooksAtTheKeyOfTheCluster",
                    [key_actions.DescribeKey],
                    [t.output_of("keys.AuroraKeyArn")],
                    StringEquals("kms:ViaService", Sub("rds.${AWS::Region}.amazonaws.com")),
                ),
                policies.allow(
                    "AndTakeItAway",
                    [database_actions.DeleteDBInstance, database_actions.DescribeDBInstances],
                    [_rds("db:" + identifier)],
                ),
            ],
        )
        t.section(
            "The function, with a role for restored clusters only.",
            validator.group,
            validator.role,
            validator.function,
        )

        rule = events.Rule(
            "ClusterRestored",
            Name=t.named("restore-validation"),
            Description="A rehearsed restore of this environment's cluster was completed.",
            EventPattern={
                "source": ["aws.backup"],
                "detail-type": ["Restore Job State Change"],
                "detail": {"status": ["COMPLETED"], "resourceType": ["Aurora"], "restoreTestingPlanArn": [plan]},
            },
            State="ENABLED",
            Targets=[events.Target(Id="Function", Arn=GetAtt(validator.function, "Arn"))],
        )
        permission = awslambda.Permission(
            "InvokedByClusterRestored",
            FunctionName=Ref(validator.function),
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceAccount=Ref("AWS::AccountId"),
            SourceArn=GetAtt(rule, "Arn"),
        )
        t.section("When: as soon as AWS Backup has restored.", rule, permission)

        t.section("What operators are told.", *self._alarms(t, validator.function, topic))
        t.output("FunctionName", Ref(validator.function), "The function.")

    def _alarms(self, t: Template, validator: awslambda.Function, topic: Ref) -> list[AWSObject]:
        minutes, days = self.late_after // timedelta(minutes=1), self.absent_after.days
        own = {"FunctionName": Ref(validator)}

        def measured(statistic: str) -> Metric:
            return Metric(namespace=NAMESPACE, name=RESTORE_SECONDS, statistic=statistic, dimensions=own)

        return [
            alarm(
                t,
                "RestoreTooSlow",
                "restore-too-slow",
                f"The rehearsed restore of the cluster took more than {minutes} minutes; {self.held_to}. Look where "
                "the time went: the restore, its instance, or the volume's size.",
                measured("Maximum"),
                "GreaterThanThreshold",
                minutes * 60,
                topic,
                period=timedelta(minutes=5),
                periods=1,
                missing="notBreaching",
            ),
            alarm(
                t,
                "RestoreNotRehearsed",
                "restore-not-rehearsed",
                f"For {days} days no restored cluster has answered a query, so nobody knows how long a restore takes. Read the "
                "restore jobs and the function's log. In a new environment this lasts until the first rehearsal.",
                measured("SampleCount"),
                "LessThanThreshold",
                1,
                topic,
                period=timedelta(days=1),
                periods=days,
                missing="breaching",
            ),
            alarm(
                t,
                "ValidationFails",
                "restore-validation-fails",
                "The function failed: a restored cluster is no good, or could not be asked. Its log says which. See that no "
                "instance of its name stays behind.",
                Metric(namespace="AWS/Lambda", name="Errors", statistic="Sum", dimensions=own),
                "GreaterThanThreshold",
                0,
                topic,
                period=timedelta(minutes=5),
                periods=1,
                missing="notBreaching",
            ),
        ]

    @staticmethod
    def _way_out(t: Template, subnets: Ref) -> ec2.SecurityGroup:
        """Endpoints of RDS and AWS Backup, and a group that reaches them."""
        vpc = t.output_of("network.VpcId", "AWS::EC2::VPC::Id")

        own = closed_group(
            t, "Group", "secgroup-restore-validator", "The validator: reaches RDS and AWS Backup, nothing reaches it", vpc
        )
        endpoint_group = closed_group(
            t, "EndpointGroup", "secgroup-restore-endpoints", "RDS and AWS Backup: reached by the validator", vpc
        )
        rule: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": HTTPS, "ToPort": HTTPS}
        rules = [
            ec2.SecurityGroupEgress(
                "GroupToEndpoints",
                GroupId=GetAtt(own, "GroupId"),
                DestinationSecurityGroupId=GetAtt(endpoint_group, "GroupId"),
                Description="HTTPS to the endpoints",
                **rule,
            ),
            ec2.SecurityGroupIngress(
                "EndpointsFromGroup",
                GroupId=GetAtt(endpoint_group, "GroupId"),
                SourceSecurityGroupId=GetAtt(own, "GroupId"),
                Description="HTTPS from the validator",
                **rule,
            ),
        ]
        this_account = StringEquals("aws:PrincipalAccount", Ref("AWS::AccountId"))
        allowed: dict[str, list[Action]] = {
            "rds": [
                database_actions.AddTagsToResource,
                database_actions.CreateDBInstance,
                database_actions.DeleteDBInstance,
                database_actions.DescribeDBClusters,
                database_actions.DescribeDBInstances,
            ],
            "backup": [backup_actions.DescribeRestoreJob, backup_actions.PutRestoreValidationResult],
        }
        endpoints = [
            ec2.VPCEndpoint(
                f"{service.title()}Endpoint",
                VpcId=vpc,
                ServiceName=Sub("com.amazonaws.${AWS::Region}." + service),
                VpcEndpointType="Interface",
                PrivateDnsEnabled=True,
                SubnetIds=[
                    Explained(
                        Select(0, subnets), "One zone: a rehearsal can wait for it, and each further one costs as much again."
                    )
                ],
                SecurityGroupIds=[GetAtt(endpoint_group, "GroupId")],
                PolicyDocument=policies.document(
                    policies.allow("OwnAccountOnly", actions, ["*"], this_account, to=policies.ANYONE)
                ),
                Tags=Tags(Name=t.named(f"endpoint-{service}")),
            )
            for service, actions in allowed.items()
        ]
        t.section("How it reaches RDS and AWS Backup, the subnets having no route out.", own, endpoint_group, *rules, *endpoints)
        return own


def _tags(t: Template) -> Sub:
    """Whose the instance is, as JSON: no stack makes it."""
    owner = {name: value if isinstance(value, str) else f"${{{value.data['Ref']}}}" for name, value in t.owner().items()}
    return Sub(json.dumps(owner))


def _rds(rest: str) -> Sub:
    return Sub("arn:${AWS::Partition}:rds:${AWS::Region}:${AWS::AccountId}:" + rest)
