"""Backups: plans that AWS accepts and that cover everything, restores that are rehearsed, and word of what is missing."""

from __future__ import annotations

from typing import Any

from compliance.rules import alarms, kms, rds
from compliance.rules.ec2 import GROUP
from model import Document, Rule, schedule
from model.architecture import backups, copied_by, rules_of, targets, watches
from model.resource_types import resource_type
from model.view import Resource
from protocol.metrics import RESTORE_SECONDS

PLAN = ("AWS::Backup::BackupPlan",)
VAULT = ("AWS::Backup::BackupVault",)
TESTING = ("AWS::Backup::RestoreTestingPlan",)
TESTED = ("AWS::Backup::RestoreTestingSelection",)
DATABASES = ("AWS::RDS::DBInstance", "AWS::RDS::DBCluster")

PROTECTED = ("AWS::DynamoDB::Table", "AWS::EFS::FileSystem", *DATABASES)
"""What a plan must cover; a bucket keeps its versions, or copies, itself."""

CONTINUOUS = {"AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::S3::Bucket"}
"""What AWS Backup can restore to any second."""

LEAST_START, LEAST_RUN, MOST_CONTINUOUS_DAYS, LEAST_COLD_DAYS = 60, 60, 35, 90
LEAST_DAYS = 7
"""What the requirements ask of every database; the conformance packs say 35 days where nobody says otherwise."""

DEFAULT_START = 480  # minutes in which a job may start where a rule does not say
BACKUP_ENDS_BADLY = {"ABORTED", "EXPIRED", "FAILED", "PARTIAL"}
RESTORE_ENDS_BADLY = {"ABORTED", "FAILED"}


def selected_by(plan: Resource) -> list[Resource]:
    """What a plan backs up in every environment: what its selections name; those by tag prove nothing."""
    return [each.resource for each in backups(plan.view) if each.selection.certain and plan.is_(each.plan)]


def _windows(plan: Resource) -> tuple[str, bool]:
    rules = rules_of(plan)
    return "BackupPlan.BackupPlanRule", bool(rules) and all(_windows_legal(rule) for rule in rules)


def _windows_legal(rule: Document) -> bool:
    start = _number(rule.get("StartWindowMinutes", DEFAULT_START))
    end = _number(rule["CompletionWindowMinutes"]) if "CompletionWindowMinutes" in rule else float("inf")
    return start is not None and end is not None and start >= LEAST_START and end >= start + LEAST_RUN


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | str) and str(value).isdigit() else None


def _continuous(plan: Resource) -> tuple[str, bool] | None:
    """Whether each continuous rule is kept for as long as AWS Backup can, and everything selected can be restored so."""
    rules = [rule for rule in rules_of(plan) if rule.get("EnableContinuousBackup")]
    if not rules:
        return None
    legal = all(_continuous_legal(plan, rule) for rule in rules)
    return "BackupPlan.BackupPlanRule", legal and all(each.type in CONTINUOUS for each in selected_by(plan))


def _continuous_legal(plan: Resource, rule: Document) -> bool:
    lifecycle = rule.get("Lifecycle") or {}
    kept = plan.view.bounded(plan.layer, lifecycle.get("DeleteAfterDays"), least=1, most=MOST_CONTINUOUS_DAYS)
    return kept and "MoveToColdStorageAfterDays" not in lifecycle


def _expires(plan: Resource) -> tuple[str, bool]:
    rules = rules_of(plan)
    return "BackupPlan.BackupPlanRule", bool(rules) and all(
        plan.view.bounded(plan.layer, (rule.get("Lifecycle") or {}).get("DeleteAfterDays"), least=_least_days(rule))
        for rule in rules
    )


def _least_days(rule: Document) -> float:
    """What is moved to cold storage stays there for 90 days."""
    cold = (rule.get("Lifecycle") or {}).get("MoveToColdStorageAfterDays")
    return 1 if cold is None else (_number(cold) or float("inf")) + LEAST_COLD_DAYS


def _retention_agrees(database: Resource) -> tuple[str, bool] | None:
    """Whether a database whose point-in-time recovery AWS Backup owns says what the continuous rule says."""
    owner = rds.cluster_of(database) or database
    days = {
        plan.view.text(plan.layer, (rule.get("Lifecycle") or {}).get("DeleteAfterDays"))
        for plan in owner.view.resources(*PLAN)
        if any(owner.is_(each) for each in selected_by(plan))
        for rule in rules_of(plan)
        if rule.get("EnableContinuousBackup")
    }
    if not days:
        return None
    agrees = days == {owner.text("BackupRetentionPeriod")} and None not in days
    unset = owner.type != rds.CLUSTER or owner.get("PreferredBackupWindow") is None
    return "BackupRetentionPeriod", agrees and unset


def _covers(plan: Resource) -> tuple[str, bool]:
    """Whether everything that holds data is in some selection of some plan: the gap is told of every plan.

    A secondary holds what its primary holds.
    """
    covered = [each for other in plan.view.resources(*PLAN) for each in selected_by(other)]
    kept = [each for each in plan.view.resources(*PROTECTED) if rds.cluster_of(each) is None and rds.followed_by(each) is None]
    return "BackupSelection.Resources", bool(covered) and all(any(each.is_(one) for one in covered) for each in kept)


def _often(plan: Resource) -> tuple[str, bool]:
    """Whether the rules of a plan, taken together, start a job on every day, and each keeps what it makes for seven days."""
    rules = rules_of(plan)
    kept = all(
        plan.view.bounded(plan.layer, (rule.get("Lifecycle") or {}).get("DeleteAfterDays"), least=LEAST_DAYS) for rule in rules
    )
    wait = schedule.longest_wait(minute for rule in rules for minute in _every_week(str(rule.get("ScheduleExpression"))))
    return "BackupPlan.BackupPlanRule", kept and wait is not None and wait <= schedule.DAY


def _every_week(expression: str) -> frozenset[int]:
    """The minutes of a week at which a schedule fires in every week of the year; none where a date decides."""
    _, _, dates = expression.removeprefix("cron(").removesuffix(")").partition(" ")
    fields = dates.split(" ")[1:]
    dated = len(fields) != 4 or fields[0] not in ("*", "?") or fields[1] != "*" or fields[3] != "*"
    return frozenset() if dated else schedule.fires(expression) or frozenset()


def _clear_of_windows(plan: Resource) -> tuple[str, bool] | None:
    """Whether no job of the plan can start within an hour of an instance's own windows; clusters are exempt."""
    instances = [each for each in selected_by(plan) if each.type == DATABASES[0]]
    if not instances:
        return None
    return "BackupPlan.BackupPlanRule", all(_clear(rule, instance) for rule in rules_of(plan) for instance in instances)


def _clear(rule: Document, instance: Resource) -> bool:
    starts = schedule.fires(str(rule.get("ScheduleExpression")))
    zone = rule.get("ScheduleExpressionTimezone", "Etc/UTC")
    length = _number(rule.get("StartWindowMinutes", DEFAULT_START))
    own = [schedule.window(str(instance.get(f"Preferred{name}Window"))) for name in ("Backup", "Maintenance")]
    if starts is None or length is None or zone not in ("Etc/UTC", "UTC") or not all(own):
        return False
    spans = [span for window in own for span in window]
    return not any(schedule.meet(start, int(length), first, lasts, 60) for start in starts for first, lasts in spans)


def _failures_told(plan: Resource) -> tuple[str, bool]:
    return "Rule.EventPattern", _told(plan, "Backup Job State Change", "state") >= BACKUP_ENDS_BADLY


def _restore_failures_told(testing: Resource) -> tuple[str, bool]:
    return "Rule.EventPattern", _told(testing, "Restore Job State Change", "status") >= RESTORE_ENDS_BADLY


def _told(resource: Resource, what: str, key: str) -> set[str]:
    """The states in which a job is told to a topic."""
    return {
        state
        for rule in resource.view.resources("AWS::Events::Rule")
        if rule.certain
        and rule.get("State") in (None, "ENABLED")
        and "aws.backup" in (rule.get("EventPattern", "source") or [])
        and what in (rule.get("EventPattern", "detail-type") or [])
        and any(called.type == "AWS::SNS::Topic" for called, _ in targets(rule))
        for state in rule.get("EventPattern", "detail", key) or []
        if isinstance(state, str)
    }


def _elsewhere(plan: Resource) -> tuple[str, bool]:
    """Whether recovery points are copied to a vault in another region, or are of a database with a replica there."""
    copied = any(
        vault.type in VAULT and not set(vault.regions) <= set(plan.regions)
        for rule in rules_of(plan)
        for vault, _ in copied_by(plan, rule)
    )
    selected = selected_by(plan)
    held = bool(selected) and all(each.type in DATABASES and rds.replicated(each) for each in selected)
    return "BackupPlan.BackupPlanRule", copied or held


def _absence_told(plan: Resource) -> tuple[str, bool]:
    vaults = [plan.view.follow(plan.layer, rule.get("TargetBackupVault")) for rule in rules_of(plan)]
    selected = {resource_type(each.type).backup: each for each in selected_by(plan) if each.type in PROTECTED}
    return "BackupPlan.BackupPlanRule", bool(vaults) and all(
        vault is not None and all(_rings_without(vault, kind, _apart(one)) for kind, one in selected.items()) for vault in vaults
    )


def _apart(protected: Resource) -> float:
    """How many minutes may lie between the starts of two jobs of all rules for a resource, each starting when it likes."""
    rules = [
        rule
        for plan in protected.view.resources(*PLAN)
        if any(protected.is_(each) for each in selected_by(plan))
        for rule in rules_of(plan)
    ]
    wait = schedule.longest_wait(minute for rule in rules for minute in _every_week(str(rule.get("ScheduleExpression"))))
    windows = [_number(rule.get("StartWindowMinutes", DEFAULT_START)) or float("inf") for rule in rules]
    return float("inf") if wait is None else wait + max(windows)


def _rings_without(vault: Resource, kind: str, apart: float) -> bool:
    """Whether an alarm rings when no job of this kind of resource ends well in the vault, or none says how it ended.

    One that waits no longer than two jobs may be ``apart`` rings while all goes well: CloudWatch looks back from now.
    """
    return any(
        alarm.certain
        and (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/Backup", "NumberOfBackupJobsCompleted")
        and alarm.get("TreatMissingData") == "breaching"
        and str(alarm.get("ComparisonOperator")).startswith("LessThan")
        and _waits(alarm) > apart
        and _dimensions_are(alarm, vault, kind)
        for alarm in vault.view.resources(alarms.ALARM)
    )


def _waits(alarm: Resource) -> float:
    """For how many minutes a metric must stay beyond an alarm's threshold."""
    periods = alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods")
    return (_number(alarm.get("Period")) or 0) * (_number(periods) or 0) / 60


def _dimensions_are(alarm: Resource, vault: Resource, kind: str) -> bool:
    given = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []}
    return watches(alarm, vault, "BackupVaultName") and given.get("ResourceType") == kind


def _customer_key(vault: Resource) -> tuple[str, bool]:
    return "EncryptionKeyArn", kms.key_of(vault, "EncryptionKeyArn") is not None


def _unlocked(vault: Resource) -> tuple[str, bool]:
    return "LockConfiguration", vault.get("LockConfiguration") is None


def _rehearsed(plan: Resource) -> tuple[str, bool]:
    rehearsed = [
        each
        for selection in plan.view.resources(*TESTED)
        if selection.certain and selection.follow("RestoreTestingPlanName") is not None
        for each in selection.members("ProtectedResourceArns")
        if each is not None and resource_type(each.type).backup == selection.get("ProtectedResourceType")
    ]
    selected = [each for each in selected_by(plan) if each.type in PROTECTED]
    return "RestoreTestingSelection.ProtectedResourceArns", bool(selected) and all(
        any(each.is_(one) for one in rehearsed) for each in selected
    )


def _validated(selection: Resource) -> tuple[str, bool] | None:
    """Whether a function of ours hears that a cluster was restored, and an alarm watches how long it took until it answered."""
    if selection.get("ProtectedResourceType") != "Aurora":
        return None
    validators = [
        function
        for rule in selection.view.resources("AWS::Events::Rule")
        if rule.certain
        and rule.get("State") in (None, "ENABLED")
        and "Restore Job State Change" in (rule.get("EventPattern", "detail-type") or [])
        and "COMPLETED" in (rule.get("EventPattern", "detail", "status") or [])
        for function, _ in targets(rule)
        if function.type == alarms.FUNCTION
    ]
    waits = (_number(selection.get("ValidationWindowHours")) or 0) >= 1
    return "ValidationWindowHours", waits and any(_timed(function) for function in validators)


def _timed(function: Resource) -> bool:
    """Whether an alarm on the seconds that the function measures rings when they are too many."""
    return any(
        alarm.certain
        and alarm.get("MetricName") == RESTORE_SECONDS
        and str(alarm.get("ComparisonOperator")).startswith("GreaterThan")
        and watches(alarm, function, "FunctionName")
        for alarm in function.view.resources(alarms.ALARM)
    )


def _name_legal(resource: Resource) -> tuple[str, bool]:
    name = "RestoreTestingPlanName" if resource.type in TESTING else "RestoreTestingSelectionName"
    return name, _without_hyphen(resource.get(name))


def _without_hyphen(value: Any) -> bool:
    """Whether a name cannot hold a hyphen, whatever the suffix is: it may hold some, unless it is split at them."""
    match value:
        case {"Fn::Join": [str(separator), {"Fn::Split": ["-", _]}]}:
            return "-" not in separator
        case {"Fn::Join": [str(separator), list(parts)]}:
            return "-" not in separator and all(_without_hyphen(part) for part in parts)
    return isinstance(value, str) and "-" not in value


def _own_network(selection: Resource) -> tuple[str, bool] | None:
    if selection.get("ProtectedResourceType") not in ("RDS", "Aurora"):
        return None
    given = _overrides(selection)
    placement = selection.view.follow(selection.layer, given.get("dbsubnetgroupname"))
    group = selection.view.follow(selection.layer, given.get("vpcsecuritygroupids"))
    placed = placement is not None and placement.type == "AWS::RDS::DBSubnetGroup"
    guarded = group is not None and group.type == GROUP
    return "RestoreMetadataOverrides", placed and guarded


def _own_key(selection: Resource) -> tuple[str, bool] | None:
    given, type_ = _overrides(selection), selection.get("ProtectedResourceType")
    name = {"EFS": "kmskeyid", "DynamoDB": "kmsmasterkeyarn"}.get(type_)
    if name is None:
        return None
    key = selection.view.follow(selection.layer, given.get(name))
    customer = key is not None and key.type == kms.KEY
    chosen = type_ != "DynamoDB" or given.get("encryptiontype") == "KMS"
    return "RestoreMetadataOverrides", customer and chosen


def _overrides(selection: Resource) -> dict[str, Any]:
    """The overrides by their names in lower case: AWS Backup does not tell them apart."""
    return {name.lower(): value for name, value in (selection.get("RestoreMetadataOverrides") or {}).items()}


windows = Rule(
    "backup.windows",
    f"A job has {LEAST_START} minutes or more to start, and {LEAST_RUN} more to end.",
    "AWS Backup refuses a plan with less, and no linter says so.",
    "AWS Backup Developer Guide, API BackupRuleInput: StartWindowMinutes, CompletionWindowMinutes",
    PLAN,
    _windows,
)
continuous = Rule(
    "backup.continuous",
    f"What is backed up continuously can be, and is kept for {MOST_CONTINUOUS_DAYS} days at most.",
    "AWS Backup refuses a longer time; a table that is selected gets snapshots only, whatever the rule is called.",
    "AWS Backup Developer Guide, Continuous backups and point-in-time recovery",
    PLAN,
    _continuous,
)
expires = Rule(
    "backup.expires",
    "Every recovery point has a day on which it is deleted.",
    "A vault with recovery points cannot be deleted, and they are paid for until somebody does it.",
    "AWS Backup Developer Guide, API Lifecycle",
    PLAN,
    _expires,
)
retention_agrees = Rule(
    "backup.retention_agrees",
    "Where AWS Backup owns the point-in-time recovery, the database keeps backups for as long as the plan's rule says.",
    "RDS refuses every change of a database that says otherwise, even of its tags.",
    "AWS Backup Developer Guide, Continuous backups and point-in-time recovery: managing settings",
    DATABASES,
    _retention_agrees,
)
covers = Rule(
    "backup.covers",
    "Every database, table and file system of the system is selected by a plan.",
    "What is not selected is missed on the day on which it is needed.",
    "AWS Security Hub RDS.26, DynamoDB.4, EFS.2",
    PLAN,
    _covers,
)
clear_of_windows = Rule(
    "backup.clear_of_windows",
    "No job can start within an hour of the backup and maintenance windows of an instance that it is for.",
    "RDS refuses a snapshot then, and the job fails.",
    "AWS Backup Developer Guide, Amazon RDS backups: backup windows",
    PLAN,
    _clear_of_windows,
)
elsewhere = Rule(
    "backup.elsewhere",
    "Recovery points are copied into a vault in another region, or what they are of has a replica there.",
    "Backups that are kept where the originals are go with them.",
    "AWS Backup Developer Guide, Creating backup copies across AWS Regions; NIST SP 800-34 Revision 1, 5.1.2",
    PLAN,
    _elsewhere,
)
failures_told = Rule(
    "backup.failures_told",
    "Backup jobs that are aborted, expire, fail or end in part are told to a topic.",
    "A job that did not start in its window is EXPIRED, not FAILED.",
    "AWS Backup Developer Guide, Monitoring AWS Backup events using Amazon EventBridge",
    PLAN,
    _failures_told,
)
absence_told = Rule(
    "backup.absence_told",
    "An alarm rings for each kind of resource when no backup of it was completed for longer than two good ones may be apart, "
    "and when nothing is heard at all.",
    "A plan that no longer runs makes no failed job; an alarm that rings while all goes well is not heard when it does not.",
    "AWS Backup Developer Guide, AWS Backup metrics with Amazon CloudWatch; CloudWatch User Guide, Alarm evaluation window",
    PLAN,
    _absence_told,
)
customer_key = Rule(
    "backup.customer_key",
    "The vault encrypts recovery points with a customer-managed key.",
    "Recovery points hold all that the originals hold.",
    "AWS Security Hub Backup.1",
    VAULT,
    _customer_key,
)
unlocked = Rule(
    "backup.unlocked",
    "The vault is not locked.",
    "A locked vault keeps its recovery points from everyone, a destroy included.",
    "requirement A-03; AWS Backup Developer Guide, AWS Backup Vault Lock",
    VAULT,
    _unlocked,
)
rehearsed = Rule(
    "backup.rehearsed",
    "Restore testing restores everything that the plan backs up.",
    "How long a restore takes, and whether it works, is measured or not known.",
    "AWS Backup Developer Guide, Restore testing",
    PLAN,
    _rehearsed,
)
validated = Rule(
    "backup.validated",
    "A cluster that restore testing restores is asked by a function, and an alarm watches how long a restore takes.",
    "AWS Backup restores a cluster without an instance: nobody would know whether it is any good, or when it would be.",
    "AWS Backup Developer Guide, Restore testing validation",
    TESTED,
    _validated,
)
restore_failures_told = Rule(
    "backup.restore_failures_told",
    "Restores that are aborted or fail are told to a topic.",
    "A rehearsal that nobody hears of proves nothing.",
    "AWS Backup Developer Guide, Monitoring AWS Backup events using Amazon EventBridge",
    TESTING,
    _restore_failures_told,
)
restore_name_legal = Rule(
    "backup.restore_name_legal",
    "The name can hold no hyphen, whatever the environment's suffix.",
    "AWS Backup refuses it, and no linter says so.",
    "AWS Backup Developer Guide, API RestoreTestingPlanForCreate, RestoreTestingSelectionForCreate",
    (*TESTING, *TESTED),
    _name_legal,
)
own_network = Rule(
    "backup.own_network",
    "A database is restored into its own subnets and security group.",
    "AWS Backup takes the default VPC instead, and fails where there is none.",
    "AWS Backup Developer Guide, Restore testing inferred metadata",
    TESTED,
    _own_network,
)
own_key = Rule(
    "backup.own_key",
    "What would be restored under a key of AWS is restored under a customer-managed one.",
    "File systems and tables are; a rehearsal must not weaken what it rehearses.",
    "AWS Backup Developer Guide, Restore testing inferred metadata",
    TESTED,
    _own_key,
)
often = Rule(
    "backup.often",
    "A job starts every day or more often, and what it makes is kept for seven days or more.",
    "Damage is often noticed days later; what is older than the last good copy is lost.",
    "AWS Config, backup-plan-min-frequency-and-min-retention-check; requirements HC-03, RP-08",
    PLAN,
    _often,
)
