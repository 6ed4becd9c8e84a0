"""The failover layer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from awacs import awslambda as function_actions
from awacs import cloudwatch as alarm_actions
from awacs import elasticfilesystem as file_actions
from awacs import kms as key_actions
from awacs import logs as log_actions
from awacs import rds as database_actions
from awacs import secretsmanager as secret_actions
from awacs import sns as topic_actions
from awacs import sqs as queue_actions
from awacs import ssm as parameter_actions
from awacs.aws import Action, ArnEquals, Statement, StringEquals
from troposphere import AWSObject, GetAtt, Ref, Select, Split, Sub, awslambda, events, iam, logs, sqs

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.function import RUNTIME
from generator.parts.log_group import WORKING_LOGS, log_group
from generator.parts.rules import scheduled_rule
from generator.template import Explained, Template
from model import RECOVERY, Site
from protocol.epoch import snapshot
from protocol.parameters import CONFIG, LOCK, RELEASED
from protocol.steps import AURORA, REPLICA
from protocol.topology import LAYER

NAME = LAYER
TAG_ON_CREATE = (parameter_actions.AddTagsToResource, parameter_actions.PutParameter)


@dataclass(frozen=True, kw_only=True)
class Failover(Layer):
    """Decides on a failover and makes it, one act at a time, from the recovery region alone and outside of any VPC.

    ``primary_arn`` and ``recovery_arn`` are the addresses of the two databases' ARNs; ``global_cluster`` is that of the global
    database between them: where there is none, the one to recover with is a read replica. ``files``, ``secret`` and ``rotation``
    are the addresses of what goes over with a replica.
    """

    name: str = LAYER
    sites: tuple[Site, ...] = (RECOVERY,)
    primary_arn: str
    recovery_arn: str
    global_cluster: str = ""
    files: str = ""
    secret: str = ""
    rotation: str = ""
    log_retention: timedelta = WORKING_LOGS

    def define(self, t: Template) -> None:
        topic, logs_key = t.output_of("notify.TopicArn"), t.output_of("keys.LogsKeyArn")
        bucket = t.output_of("artifacts.BucketName")
        group = log_group("LogGroup", t.named(f"/aws/lambda/function-{NAME}"), logs_key, self.log_retention)
        dead_letter_queue = sqs.Queue(
            "Undelivered",
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            QueueName=t.named("queue-failover-undelivered"),
            MessageRetentionPeriod=int(timedelta(days=14).total_seconds()),
            SqsManagedSseEnabled=True,
        )
        role = iam.Role(
            "Role",
            RoleName=t.named(f"role-{NAME}", Space.ACCOUNT),
            AssumeRolePolicyDocument=policies.trust(policies.service("lambda")),
            Policies=[iam.Policy(PolicyName=NAME, PolicyDocument=policies.document(*self._statements(t, group)))],
        )
        function = awslambda.Function(
            "Function",
            DependsOn=[group.title],
            FunctionName=t.named(f"function-{NAME}"),
            Description="Observes, decides, acts once, verifies: a failover, and the way back.",
            Runtime=RUNTIME,
            Architectures=["arm64"],
            Handler="handler.handler",
            Code=awslambda.Code(S3Bucket=bucket, S3Key=t.package(NAME)),
            Role=GetAtt(role, "Arn"),
            Timeout=Explained(120, "Shorter than a lease, so that no two runs hold one."),
            MemorySize=512,
            Environment=awslambda.Environment(Variables=self._environment(t)),
        )
        t.section(
            "The function, outside of any VPC: it calls AWS only, and an endpoint would be one more thing to lose.", group, role
        )
        t.section("What it runs.", function, dead_letter_queue)

        schedule, invoke_permission = scheduled_rule(
            t, "Schedule", NAME, "Goes on with what has begun.", timedelta(minutes=1), function
        )
        schedule.Targets[0].Input = '{"tick": true}'
        evidence = events.Rule(
            "Evidence",
            Name=t.named("failover-evidence"),
            Description="Both pieces of evidence are there: the failover function decides.",
            EventPattern={
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "resources": [t.output_of("evidence.AlarmArn")],
                "detail": {"state": {"value": ["ALARM"]}},
            },
            State="ENABLED",
            Targets=[
                events.Target(
                    Id="Function",
                    Arn=GetAtt(function, "Arn"),
                    DeadLetterConfig=events.DeadLetterConfig(Arn=GetAtt(dead_letter_queue, "Arn")),
                )
            ],
        )
        evidence_permission = awslambda.Permission(
            "InvokedByEvidence",
            FunctionName=Ref(function),
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceAccount=Ref("AWS::AccountId"),
            SourceArn=GetAtt(evidence, "Arn"),
        )
        queue_policy = sqs.QueuePolicy(
            "UndeliveredPolicy",
            Queues=[Ref(dead_letter_queue)],
            PolicyDocument=policies.document(
                policies.allow(
                    "TheRuleKeepsWhatItCouldNotDeliver",
                    [queue_actions.SendMessage],
                    [GetAtt(dead_letter_queue, "Arn")],
                    ArnEquals("aws:SourceArn", GetAtt(evidence, "Arn")),
                    to=policies.service("events"),
                )
            ),
        )
        t.section(
            "When: every minute, and as soon as the evidence is there.",
            schedule,
            invoke_permission,
            evidence,
            evidence_permission,
            queue_policy,
        )
        t.section("Who hears of it when it fails, or is silent.", *self._alarms(t, function, dead_letter_queue, topic))
        t.output("FunctionName", Ref(function), "The function.")
        t.output("FunctionArn", GetAtt(function, "Arn"), "The function.")

    def _environment(self, t: Template) -> dict[str, Any]:
        primary_arn, recovery_arn = t.output_of(self.primary_arn), t.output_of(self.recovery_arn)
        common = {
            "SYSTEM": t.owner()["System"],
            "SUFFIX": Ref("EnvironmentSuffix"),
            "KIND": AURORA if self.global_cluster else REPLICA,
            "TOPIC_ARN": t.output_of("notify.TopicArn"),
            "ALARM_ARN": t.output_of("evidence.AlarmArn"),
            "EVIDENCE_ALARMS": Sub(
                "${Stale},${Unreachable}",
                Stale=t.output_of("evidence.StaleAlarmName"),
                Unreachable=t.output_of("evidence.UnreachableAlarmName"),
            ),
            "PROBE_PRIMARY_ARN": self._probe(t, primary_arn),
            "PROBE_RECOVERY_ARN": t.output_of("probe-recovery.FunctionArn"),
            "REPLICA_AGE_ARN": t.output_of("replica-age.FunctionArn"),
            "PRIMARY_REGION": Select(3, Split(":", primary_arn)),
            "HOME_ARN": primary_arn,
            "TARGET_ARN": recovery_arn,
        }
        if self.global_cluster:
            capacity = {
                "CAPACITY_MIN": Explained("2", "What a writer of a global database should have, by AWS."),
                "CAPACITY_MAX": "8",
                "CAPACITY_HOME_MIN": Explained("0.5", "And what the templates give it."),
                "CAPACITY_HOME_MAX": "2",
            }
            return {**common, "GLOBAL_CLUSTER_ID": t.output_of(self.global_cluster), **capacity}
        return {
            **common,
            "FILE_SYSTEM_ID": t.output_of(self.files),
            "SECRET_ARN": t.output_of(self.secret),
            "ROTATION_ARN": t.output_of(self.rotation),
        }

    @staticmethod
    def _probe(t: Template, primary_arn: Any) -> Sub:
        """Computed, not wired: the primary's probe may be somebody else's, and absent."""
        return Sub(
            "arn:${AWS::Partition}:lambda:${Region}:${AWS::AccountId}:function:" + t.name("function-probe"),
            Region=Select(3, Split(":", primary_arn)),
        )

    def _statements(self, t: Template, group: logs.LogGroup) -> list[Statement]:
        primary_arn, recovery_arn = t.output_of(self.primary_arn), t.output_of(self.recovery_arn)
        topic_key = t.output_of("keys.TopicKeyArn")
        parameters_arn = _parameters(t, "*")
        path_arn = Explained(
            Sub(_parameters(t, "").data["Fn::Sub"].removesuffix("/")),
            "Systems Manager asks about the path itself, which ends without a slash.",
        )
        probes = [self._probe(t, primary_arn), t.output_of("probe-recovery.FunctionArn"), t.output_of("replica-age.FunctionArn")]
        return [
            policies.allow("WriteOwnLog", [log_actions.CreateLogStream, log_actions.PutLogEvents], [GetAtt(group, "Arn")]),
            policies.allow(
                "ReadWhatIsRemembered",
                [parameter_actions.GetParameters, parameter_actions.GetParametersByPath],
                [path_arn, parameters_arn],
            ),
            policies.allow("RememberWithTags", list(TAG_ON_CREATE), [parameters_arn]),
            policies.allow(
                "ForgetSpentLeases",
                [parameter_actions.DeleteParameters],
                [_parameters(t, f"{LOCK}*"), _parameters(t, f"{RELEASED}*")],
            ),
            policies.deny(
                "NeverItsOwnConfiguration",
                [parameter_actions.DeleteParameters, parameter_actions.PutParameter],
                [_parameters(t, f"{CONFIG}*")],
            ),
            policies.deny(
                "NeverOverWhatIsRemembered",
                [parameter_actions.PutParameter],
                [parameters_arn],
                StringEquals("ssm:Overwrite", "true"),
            ),
            policies.allow("AskTheSites", [function_actions.InvokeFunction], probes),
            policies.allow(
                "LookAtTheEvidence",
                [alarm_actions.DescribeAlarms],
                [
                    Sub(
                        f"arn:${{AWS::Partition}}:cloudwatch:${{AWS::Region}}:${{AWS::AccountId}}:alarm:${{{name}}}",
                        **{name: value},
                    )
                    for name, value in (
                        ("Stale", t.output_of("evidence.StaleAlarmName")),
                        ("Unreachable", t.output_of("evidence.UnreachableAlarmName")),
                    )
                ],
            ),
            policies.allow("TellOperators", [topic_actions.Publish], [t.output_of("notify.TopicArn")]),
            policies.allow(
                "UnderTheTopicsKey",
                [key_actions.Decrypt, key_actions.GenerateDataKey],
                [topic_key],
                StringEquals("kms:ViaService", Sub("sns.${AWS::Region}.amazonaws.com")),
            ),
            *(
                self._global_cluster_statements(t, primary_arn, recovery_arn)
                if self.global_cluster
                else self._replica_statements(t, recovery_arn)
            ),
        ]

    def _global_cluster_statements(self, t: Template, primary_arn: Any, recovery_arn: Any) -> list[Statement]:
        global_cluster_arn = Sub(
            "arn:${AWS::Partition}:rds::${AWS::AccountId}:global-cluster:${Name}", Name=t.output_of(self.global_cluster)
        )
        snapshots = _snapshots("cluster-snapshot", recovery_arn)
        return [
            policies.allow("LookAtTheGlobalDatabase", [database_actions.DescribeGlobalClusters], [global_cluster_arn]),
            policies.allow("LookAtItsClusters", [database_actions.DescribeDBClusters], [primary_arn, recovery_arn]),
            policies.allow(
                "ChangeWhichOneWrites",
                [
                    database_actions.FailoverGlobalCluster,
                    database_actions.RemoveFromGlobalCluster,
                    database_actions.SwitchoverGlobalCluster,
                ],
                [global_cluster_arn, primary_arn, recovery_arn],
            ),
            policies.allow("GiveItCapacity", [database_actions.ModifyDBCluster], [recovery_arn]),
            policies.allow("KeepItsStateOfThen", [database_actions.CreateDBClusterSnapshot], [recovery_arn, snapshots]),
            policies.allow("WithTags", [database_actions.AddTagsToResource], [snapshots]),
        ]

    def _replica_statements(self, t: Template, recovery_arn: Any) -> list[Statement]:
        secret, snapshots = t.output_of(self.secret), _snapshots("snapshot", recovery_arn)
        rotation_actions: list[Action] = [
            secret_actions.DescribeSecret,
            secret_actions.RotateSecret,
            secret_actions.StopReplicationToReplica,
        ]
        files = Sub(
            "arn:${AWS::Partition}:elasticfilesystem:${AWS::Region}:${AWS::AccountId}:file-system/${Id}",
            Id=t.output_of(self.files),
        )
        return [
            policies.allow(
                "PromoteThisReplica", [database_actions.DescribeDBInstances, database_actions.PromoteReadReplica], [recovery_arn]
            ),
            policies.allow("KeepItsStateOfThen", [database_actions.CreateDBSnapshot], [recovery_arn, snapshots]),
            policies.allow("WithTags", [database_actions.AddTagsToResource], [snapshots]),
            policies.allow(
                "EndTheReplicationOfFilesWhoseSourceIsElsewhere",
                [file_actions.DeleteReplicationConfiguration, file_actions.DescribeReplicationConfigurations],
                [files, Sub("arn:${AWS::Partition}:elasticfilesystem:*:${AWS::AccountId}:file-system/*")],
            ),
            policies.allow("PromoteThisSecretAndRotateIt", rotation_actions, [secret]),
            policies.allow("SecretsManagerAsksWhetherWeMay", [function_actions.InvokeFunction], [t.output_of(self.rotation)]),
        ]

    @staticmethod
    def _alarms(t: Template, function: awslambda.Function, dead_letter_queue: sqs.Queue, topic: Any) -> list[AWSObject]:
        dimensions = {"FunctionName": Ref(function)}
        return [
            alarm(
                t,
                "FailoverFails",
                "failover-fails",
                "The failover function failed. It tries again in a minute; while this lasts, nothing fails over. Read its log.",
                Metric(namespace="AWS/Lambda", name="Errors", statistic="Sum", dimensions=dimensions),
                "GreaterThanThreshold",
                0,
                topic,
                periods=3,
                missing="notBreaching",
            ),
            alarm(
                t,
                "FailoverSilent",
                "failover-silent",
                "The failover function has not run for 5 minutes: nothing fails over by itself. Look at its schedule.",
                Metric(namespace="AWS/Lambda", name="Invocations", statistic="Sum", dimensions=dimensions),
                "LessThanThreshold",
                1,
                topic,
                missing="breaching",
            ),
            alarm(
                t,
                "EvidenceUndelivered",
                "failover-evidence-undelivered",
                "The evidence did not reach the failover function: nobody has decided. Ask for the failover by hand.",
                Metric(
                    namespace="AWS/SQS",
                    name="ApproximateNumberOfMessagesVisible",
                    statistic="Maximum",
                    dimensions={"QueueName": GetAtt(dead_letter_queue, "QueueName")},
                ),
                "GreaterThanThreshold",
                0,
                topic,
                periods=1,
                missing="notBreaching",
            ),
        ]


def _snapshots(kind: str, recovery_arn: Any) -> Sub:
    """Those that are named after the database that was promoted."""
    arn = "arn:${AWS::Partition}:rds:${AWS::Region}:${AWS::AccountId}:" + f"{kind}:{snapshot('${Database}', '*')}"
    return Sub(arn, Database=Select(6, Split(":", recovery_arn)))


def _parameters(t: Template, rest: str) -> Sub:
    return Sub("arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter" + t.path(rest).data["Fn::Sub"])
