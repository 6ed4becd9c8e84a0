"""The backup layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from awacs import backup as actions
from awacs import kms, tag
from awacs.aws import Bool, Statement
from troposphere import AWSObject, GetAtt, Ref, Sub, backup, events, iam

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.backup_targets import FILE_SYSTEM, INSTANCE, Protected
from generator.parts.rules import notification_rule
from generator.template import Explained, Template
from model import Site, schedule

ENDED_BADLY = ("ABORTED", "EXPIRED", "FAILED", "PARTIAL")
EVERY_END = (*ENDED_BADLY, "COMPLETED")
"""States of a job that operators may be told of; of restore and copy jobs there are not all of them."""

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

START = timedelta(minutes=60)
"""In which a job may start when it is free to."""

RUN = timedelta(minutes=180)
"""In which it must end."""

SPARE = timedelta(hours=1)
"""By how much one job may take longer than the one before."""

COPIED = (
    "backup:*:${AWS::AccountId}:recovery-point:*",
    "rds:*:${AWS::AccountId}:snapshot:awsbackup:*",
    "rds:*:${AWS::AccountId}:cluster-snapshot:awsbackup:*",
)
"""Recovery points, by the services that hold them: what CopyFromBackupVault is asked of (Service Authorization Reference)."""


@dataclass(frozen=True)
class Rule:
    """When recovery points are made, ``schedule`` being a cron expression in UTC, and how long they are kept.

    A ``continuous`` one is restorable to any second, and owns the point-in-time recovery of what it protects: that must keep its
    own backups exactly as long. ``copy_to`` is the site whose vault takes a copy of each, kept for the same time.
    """

    name: str
    schedule: str
    retention: timedelta
    continuous: bool = False
    copy_to: Site = ""


@dataclass(frozen=True)
class Plan:
    """Rules that all hold for everything that is ``protected``; ``kind`` tells it from other plans of the layer.

    Where the start windows of two rules of one plan overlap, AWS Backup runs only that which keeps longer.
    """

    rules: tuple[Rule, ...]
    protected: tuple[Protected, ...]
    kind: str = ""

    def title(self, noun: str) -> str:
        """A logical id: ``Plan`` alone, or after what is protected where there are several."""
        return (self.protected[0].type if self.kind else "") + noun

    def named(self, t: Template, noun: str) -> Sub:
        """The name of the plan, or of its selection."""
        return t.named(f"backup-{noun}" + (f"-{self.kind}" if self.kind else ""))


THREE_A_DAY = Rule("three-a-day", "cron(0 0,8,16 * * ? *)", timedelta(days=35))


def apart(rules: Sequence[Rule]) -> timedelta:
    """How much time may pass between two jobs that end well, in whole hours.

    An alarm's window slides: of a daily job 24 hours hold none whenever today's is later than yesterday's.
    """
    wait = schedule.longest_wait(minute for rule in rules for minute in schedule.fires(rule.schedule) or ())
    if wait is None:
        named = ", ".join(f"{rule.name} ({rule.schedule})" for rule in rules)
        raise ValueError(f"no cron expression of the backup rules {named} says when a job starts; AWS takes cron(0 2 * * ? *)")
    return -(-(wait * MINUTE + START + SPARE) // HOUR) * HOUR


@dataclass(frozen=True, kw_only=True)
class Backup(Layer):
    """Recovery points on schedule, their restore rehearsed, and word of every job that ends badly or is missing.

    ``rehearsal`` is a cron expression in UTC; like the rules' it stays clear by more than an hour of an RDS instance's own backup
    and maintenance windows, in which AWS Backup's jobs fail. What is restored is kept for ``validation`` where a function of ours
    looks at it, ``validated`` being its types, and removed at once where the restore itself is the proof. ``notified_states``
    are the states that operators are told.
    """

    name: str = "backup"
    plans: tuple[Plan, ...] = (Plan((THREE_A_DAY,), (INSTANCE, FILE_SYSTEM)),)
    rehearsal: str = "cron(0 10 ? * MON *)"
    rehearsed_within: timedelta = timedelta(days=7)
    validated: tuple[str, ...] = ()
    validation: timedelta = timedelta(hours=4)
    notified_states: tuple[str, ...] = ENDED_BADLY

    def define(self, t: Template) -> None:
        vault = t.output_of("vault.VaultName")
        topic = t.output_of("notify.TopicArn")
        protected = self._protected()

        backup_role = self._role(t, "BackupRole", "backup", self._backs_up(t, protected))
        restore_role = self._role(t, "RestoreRole", "restore", [each for one in protected for each in one.restores(t, one)])
        t.section("With which permissions AWS Backup makes recovery points, and restores them.", backup_role, restore_role)

        plans = {plan: self._plan(t, plan, vault) for plan in self.plans}
        selections = [
            backup.BackupSelection(
                plan.title("Selection"),
                BackupPlanId=Ref(made),
                BackupSelection=backup.BackupSelectionResourceType(
                    SelectionName=plan.named(t, "selection"),
                    IamRoleArn=GetAtt(backup_role, "Arn"),
                    Resources=[one.arn(t) for one in plan.protected],
                ),
            )
            for plan, made in plans.items()
        ]
        heading = "What is backed up, and when."
        if len(protected) > 1 and len(plans) > 1:
            heading += (
                " Several plans: all rules of a plan hold for all that it selects, and not everything takes a continuous one."
            )
        elif len(plans) > 1:
            heading += " Several plans for one: of two rules of a plan whose start windows overlap, AWS Backup runs one."
        t.section(heading, *plans.values(), *selections)

        testing = self._rehearsal(t, protected, restore_role)
        t.section("Whom AWS Backup's jobs are reported to.", *self._notification_rules(t, backup_role, restore_role, topic))
        t.section("And so is the absence of jobs that end well.", *self._absence_alarms(t, vault, topic))

        for plan, made in plans.items():
            t.output(plan.title("PlanId"), Ref(made), "A backup plan.")
        t.output("RestoreTestingPlanName", Ref(testing), "The plan of the rehearsal.")
        t.output("RestoreTestingPlanArn", GetAtt(testing, "RestoreTestingPlanArn"), "The plan of the rehearsal.")
        t.output("RestoreRoleArn", GetAtt(restore_role, "Arn"), "With which role AWS Backup restores, rehearsing or by hand.")

    def _protected(self) -> tuple[Protected, ...]:
        """Each resource once: several plans may be for one, whose rules would keep each other from running in a single one."""
        return tuple(dict.fromkeys(one for plan in self.plans for one in plan.protected))

    def _copied_to(self) -> list[Site]:
        return sorted({rule.copy_to for plan in self.plans for rule in plan.rules} - {""})

    def _backs_up(self, t: Template, protected: Sequence[Protected]) -> list[Statement]:
        vault = t.output_of("vault.VaultArn")
        others = [t.output_of(f"{site}:vault.VaultArn") for site in self._copied_to()]
        statements = [
            policies.allow("WriteToTheVault", [actions.CopyIntoBackupVault, actions.DescribeBackupVault], [vault, *others]),
            policies.allow(
                "TagRecoveryPoints",
                [actions.TagResource],
                [Sub("arn:${AWS::Partition}:backup:*:${AWS::AccountId}:recovery-point:*")],
            ),
            policies.allow("FindingByTagHasNoResource", [tag.GetResources], ["*"]),
            *(each for one in protected for each in one.backs_up(t, one)),
        ]
        if others:
            points = [Sub("arn:${AWS::Partition}:" + each) for each in COPIED]
            statements.append(policies.allow("CopyFromTheVault", [actions.CopyFromBackupVault], points))
        return statements

    def _role(self, t: Template, title: str, kind: str, statements: list[Statement]) -> iam.Role:
        """A role that AWS Backup assumes, with the keys of what it touches."""
        protected = self._protected()
        vaults = [t.output_of("keys.BackupKeyArn"), *(t.output_of(f"{site}:keys.BackupKeyArn") for site in self._copied_to())]
        every = [*(one.key_arn(t) for one in protected), *vaults]
        keys = [
            policies.allow(
                "ServicesHoldTheKeysWhileTheyWork", [kms.CreateGrant], every, Bool("kms:GrantIsForAWSResource", "true")
            ),
            policies.allow("LookAtTheKeys", [kms.DescribeKey], every),
            policies.allow("UseTheVaultUnderItsKey", [kms.Decrypt, kms.GenerateDataKey], vaults),
        ]
        return iam.Role(
            title,
            RoleName=t.named(f"role-{kind}", Space.ACCOUNT),
            AssumeRolePolicyDocument=policies.trust(policies.service("backup"), policies.THIS_ACCOUNT),
            Policies=[iam.Policy(PolicyName=kind, PolicyDocument=policies.document(*statements, *keys))],
        )

    @staticmethod
    def _plan(t: Template, plan: Plan, vault: Ref) -> backup.BackupPlan:
        def rule(each: Rule) -> backup.BackupRuleResourceType:
            lifecycle = backup.LifecycleResourceType(DeleteAfterDays=each.retention.days)
            copies: dict[str, Any] = {}
            if each.copy_to:
                other_vault = t.output_of(f"{each.copy_to}:vault.VaultArn")
                copies["CopyActions"] = [
                    backup.CopyActionResourceType(DestinationBackupVaultArn=other_vault, Lifecycle=lifecycle),
                ]
            return backup.BackupRuleResourceType(
                RuleName=each.name,
                TargetBackupVault=vault,
                ScheduleExpression=each.schedule,
                StartWindowMinutes=Explained(START // MINUTE, "AWS Backup takes no shorter window."),
                CompletionWindowMinutes=RUN // MINUTE,
                EnableContinuousBackup=each.continuous,
                Lifecycle=lifecycle,
                **copies,
            )

        return backup.BackupPlan(
            plan.title("Plan"),
            BackupPlanTags=t.owner(),
            BackupPlan=backup.BackupPlanResourceType(
                BackupPlanName=plan.named(t, "plan"), BackupPlanRule=[rule(each) for each in plan.rules]
            ),
        )

    def _rehearsal(self, t: Template, protected: Sequence[Protected], role: iam.Role) -> backup.RestoreTestingPlan:
        continuous = any(rule.continuous for plan in self.plans for rule in plan.rules)
        testing = backup.RestoreTestingPlan(
            "RestoreTestingPlan",
            RestoreTestingPlanName=t.underscored("restore-testing-plan"),
            ScheduleExpression=self.rehearsal,
            StartWindowHours=1,
            RecoveryPointSelection=backup.RestoreTestingRecoveryPointSelection(
                Algorithm="LATEST_WITHIN_WINDOW",
                IncludeVaults=[t.output_of("vault.VaultArn")],
                RecoveryPointTypes=[*(["CONTINUOUS"] if continuous else []), "SNAPSHOT"],
                SelectionWindowDays=self.rehearsed_within.days,
            ),
        )
        selections: list[AWSObject] = [
            backup.RestoreTestingSelection(
                f"Rehearse{one.type}",
                RestoreTestingPlanName=Ref(testing),
                RestoreTestingSelectionName=t.underscored(f"restore-testing-{one.kind}"),
                ProtectedResourceType=one.type,
                ProtectedResourceArns=[one.arn(t)],
                IamRoleArn=GetAtt(role, "Arn"),
                RestoreMetadataOverrides=one.overrides(t, one),
                ValidationWindowHours=self.validation // timedelta(hours=1) if one.type in self.validated else 0,
            )
            for one in protected
        ]
        t.section("The rehearsal: what was backed up is restored beside the old one, and removed again.", testing, *selections)
        return testing

    def _notification_rules(self, t: Template, backup_role: iam.Role, restore_role: iam.Role, topic: Ref) -> list[events.Rule]:
        """A job is this environment's by its role: the events of an account's jobs are one stream."""
        jobs = [("Backup", "state", backup_role), ("Restore", "status", restore_role)]
        if self._copied_to():
            jobs.append(("Copy", "state", backup_role))
        every = self.notified_states == EVERY_END

        def rule(what: str, state: str, role: iam.Role) -> events.Rule:
            kind = f"{what.lower()}-job-" + ("state-change" if every else "ended-badly")
            return notification_rule(
                t,
                f"{what}Job" + ("StateChange" if every else "EndedBadly"),
                kind,
                f"A {what.lower()} job of this environment ended" + (", well or badly." if every else " without success."),
                {
                    "source": ["aws.backup"],
                    "detail-type": [f"{what} Job State Change"],
                    "detail": {state: sorted(self.notified_states), "iamRoleArn": [GetAtt(role, "Arn")]},
                },
                topic,
                name=Explained(t.exactly(kind), "A name that the requirements spell out.") if every else None,
            )

        return [rule(*job) for job in jobs]

    def _absence_alarms(self, t: Template, vault: Ref, topic: Ref) -> list[AWSObject]:
        """Silence of a metric is the trouble here, so missing data are breaching."""

        def absence_alarm(one: Protected, what: str, titled: str, rules: Sequence[Rule], vault: Any) -> AWSObject:
            schedules = " or ".join(dict.fromkeys(rule.schedule for rule in rules))
            hours = apart(rules) // HOUR
            return alarm(
                t,
                f"{one.type}{titled}Absent",
                f"{one.kind}-{what}-absent",
                f"For {hours} hours no {what} of {one.type} was completed, where {schedules} asks for more. "
                "Read the jobs of the vault; start one by hand. In a new environment it lasts until the first is completed.",
                Metric(
                    namespace="AWS/Backup",
                    name=f"NumberOf{titled}JobsCompleted",
                    statistic="Sum",
                    dimensions={"BackupVaultName": vault, "ResourceType": one.type},
                ),
                "LessThanThreshold",
                1,
                topic,
                period=HOUR,
                periods=hours,
                missing="breaching",
            )

        alarms = []
        for one in self._protected():
            rules = [rule for plan in self.plans if one in plan.protected for rule in plan.rules]
            alarms.append(absence_alarm(one, "backup", "Backup", rules, vault))
            for site in self._copied_to():
                copy_rules = [rule for rule in rules if rule.copy_to == site]
                if copy_rules:
                    copy_vault = Explained(
                        t.output_of(f"{site}:vault.VaultName"),
                        "A copy job counts under the name of the vault that it copies into, in the region that it starts in.",
                    )
                    alarms.append(absence_alarm(one, "copy", "Copy", copy_rules, copy_vault))
        return alarms
