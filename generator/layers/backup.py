"""The backup layer."""

from dataclasses import dataclass
from datetime import timedelta

from troposphere import GetAtt, Ref, Sub, backup, iam

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.rules import told
from generator.template import Template

ENDED_BADLY = ["ABORTED", "EXPIRED", "FAILED", "PARTIAL"]
MANAGED = "arn:${AWS::Partition}:iam::aws:policy/service-role/"


@dataclass(frozen=True)
class Protected:
    """What is backed up: the address of its ARN, and its resource type in AWS Backup's words."""

    address: str
    type: str


INSTANCE = Protected("database.InstanceArn", "RDS")
FILE_SYSTEM = Protected("files.FileSystemArn", "EFS")


@dataclass(frozen=True, kw_only=True)
class Backup(Layer):
    """Recovery points on schedule, their restore rehearsed every week, and word of every job that ends badly or is missing.

    ``schedule`` and ``rehearsal`` are cron expressions in UTC, clear by more than an hour of the instance's own backup and
    maintenance windows, in which AWS Backup's jobs fail.
    """

    name: str = "backup"
    protected: tuple[Protected, ...] = (INSTANCE, FILE_SYSTEM)
    schedule: str = "cron(0 0,8,16 * * ? *)"
    rehearsal: str = "cron(0 10 ? * MON *)"
    retention: timedelta = timedelta(days=35)

    def define(self, t: Template) -> None:
        vault = t.output_of("vault.VaultName")
        topic = t.output_of("notify.TopicArn")
        key = t.output_of("keys.FilesKeyArn")
        arns = {one: t.output_of(one.address) for one in self.protected}

        role = iam.Role(
            "Role",
            RoleName=t.named("role-backup", Space.ACCOUNT),
            AssumeRolePolicyDocument=policies.trust(policies.service("backup"), policies.THIS_ACCOUNT),
            ManagedPolicyArns=[
                Sub(MANAGED + "AWSBackupServiceRolePolicyForBackup"),
                Sub(MANAGED + "AWSBackupServiceRolePolicyForRestores"),
            ],
        )
        t.section("With which permissions AWS Backup works.", role)

        plan = backup.BackupPlan(
            "Plan",
            BackupPlan=backup.BackupPlanResourceType(
                BackupPlanName=t.named("backup-plan"),
                BackupPlanRule=[
                    backup.BackupRuleResourceType(
                        RuleName="three-a-day",
                        TargetBackupVault=vault,
                        ScheduleExpression=self.schedule,
                        StartWindowMinutes=60,
                        CompletionWindowMinutes=180,
                        Lifecycle=backup.LifecycleResourceType(DeleteAfterDays=self.retention.days),
                    )
                ],
            ),
        )
        selection = backup.BackupSelection(
            "Selection",
            BackupPlanId=Ref(plan),
            BackupSelection=backup.BackupSelectionResourceType(
                SelectionName=t.named("backup-selection"), IamRoleArn=GetAtt(role, "Arn"), Resources=list(arns.values())
            ),
        )
        t.section("What is backed up, and when.", plan, selection)

        testing = backup.RestoreTestingPlan(
            "RestoreTestingPlan",
            RestoreTestingPlanName=t.underscored("restore-testing-plan"),
            ScheduleExpression=self.rehearsal,
            StartWindowHours=4,
            RecoveryPointSelection=backup.RestoreTestingRecoveryPointSelection(
                Algorithm="LATEST_WITHIN_WINDOW",
                IncludeVaults=[t.output_of("vault.VaultArn")],
                RecoveryPointTypes=["SNAPSHOT"],
                SelectionWindowDays=7,
            ),
        )
        groups = Sub('["${group}"]', group=t.output_of("network.DatabaseGroupId", "AWS::EC2::SecurityGroup::Id"))
        overrides = {
            # Without these RDS restores into the default VPC, and fails where there is none.
            "RDS": {"dbSubnetGroupName": t.output_of("database.SubnetGroupName"), "vpcSecurityGroupIds": groups},
            # Without it EFS restores under the AWS-managed key.
            "EFS": {"kmsKeyId": key},
        }
        rehearsed = [
            backup.RestoreTestingSelection(
                f"Rehearse{one.type.title()}",
                RestoreTestingPlanName=Ref(testing),
                RestoreTestingSelectionName=t.underscored(f"restore-testing-{one.type.lower()}"),
                ProtectedResourceType=one.type,
                ProtectedResourceArns=[arn],
                IamRoleArn=GetAtt(role, "Arn"),
                RestoreMetadataOverrides=overrides[one.type],
                ValidationWindowHours=4,
            )
            for one, arn in arns.items()
        ]
        t.section("The rehearsal: what was backed up is restored every week and removed again.", testing, *rehearsed)

        badly = [
            told(
                t,
                f"{what}EndedBadly",
                f"{what.lower()}-job-ended-badly",
                f"A {what.lower()} job ended without success.",
                {"source": ["aws.backup"], "detail-type": [f"{what} Job State Change"], "detail": {key_: ENDED_BADLY}},
                topic,
            )
            for what, key_ in (("Backup", "state"), ("Restore", "status"))
        ]
        missing = [
            alarm(
                t,
                f"{one.type.title()}BackupMissing",
                f"{one.type.lower()}-backup-missing",
                f"No backup of the {one.type} resource was completed for a day, where {self.schedule} asks for several. "
                "Read the jobs of the vault; start one by hand.",
                Metric(
                    namespace="AWS/Backup",
                    name="NumberOfBackupJobsCompleted",
                    statistic="Sum",
                    dimensions={"BackupVaultName": vault, "ResourceType": one.type},
                ),
                "LessThanThreshold",
                1,
                topic,
                period=timedelta(days=1),
                periods=1,
                missing="breaching",
            )
            for one in self.protected
        ]
        t.section("Jobs that end badly are told, and so is the absence of those that end well.", *badly, *missing)

        t.output("PlanId", Ref(plan), "The backup plan.")
        t.output("RestoreTestingPlanName", Ref(testing), "The plan of the weekly rehearsal.")
