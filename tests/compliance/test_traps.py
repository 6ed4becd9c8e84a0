"""Traps: what a linter passes and AWS refuses, or breaks without a word. Each has a rule that sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from generator.systems import SYSTEMS
from model import read
from tests.support.compliance.every_rule import all_rules
from tests.support.compliance.small_system import GONE, changed, resource, verdict

RULES = {rule.id: rule for rule in all_rules()}
ROOT = Path(__file__).parents[2] / "templates"


@dataclass(frozen=True)
class Trap:
    """What goes wrong, the rule that sees it, and the change that brings it about in the small system."""

    says: str
    rule: str
    address: str
    changes: tuple[tuple[str, Any], ...]


def trap(says: str, rule: str, address: str, *changes: tuple[str, Any]) -> Trap:
    return Trap(says, rule, address, changes)


def of(layer: str, title: str) -> str:
    return f"{layer}/Resources/{title}/Properties"


def sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


SNAPSHOTS = f"{of('platform', 'Snapshots')}/BackupPlan/BackupPlanRule/0"
CONTINUOUS = f"{of('platform', 'Continuous')}/BackupPlan/BackupPlanRule/0"
KEY, TOPIC = f"{of('base', 'Key')}/KeyPolicy/Statement", f"{of('base', 'TopicPolicy')}/PolicyDocument/Statement"
CPU, THROTTLED = of("data", "CpuTooHigh"), of("platform", "Throttled")
METRIC = f"{THROTTLED}/Metrics/1/MetricStat/Metric/MetricName"

TRAPS = (
    trap("StartWindowMinutes below 60", "backup.windows", "platform.Snapshots", (f"{SNAPSHOTS}/StartWindowMinutes", 30)),
    trap(
        "a continuous rule that keeps for more than 35 days",
        "backup.continuous",
        "platform.Continuous",
        (f"{CONTINUOUS}/Lifecycle/DeleteAfterDays", 90),
    ),
    trap(
        "a name of restore testing with a hyphen",
        "backup.restore_name_legal",
        "platform.TestTable",
        (f"{of('platform', 'TestTable')}/RestoreTestingSelectionName", "table-restore"),
    ),
    trap(
        "a ReplicationGroupId of more than 40 characters",
        "elasticache.name_legal",
        "cache.Sessions",
        (f"{of('cache', 'Sessions')}/ReplicationGroupId", sub("replication-group-of-things-${EnvironmentSuffix}")),
    ),
    trap(
        "a GroupName that begins with sg-",
        "ec2.group_name_legal",
        "network.Clients",
        (f"{of('network', 'Clients')}/GroupName", sub("sg-clients-${EnvironmentSuffix}")),
    ),
    trap(
        "a secondary with a user of its own",
        "secondaries.accepted",
        "second.Cluster",
        (f"{of('second', 'Cluster')}/MasterUsername", "admin"),
    ),
    trap(
        "a secondary with a password of its own",
        "secondaries.accepted",
        "second.Cluster",
        (f"{of('second', 'Cluster')}/MasterUserPassword", sub("{{resolve:secretsmanager:s:SecretString:password}}")),
    ),
    trap(
        "an alarm whose topic is encrypted with alias/aws/sns",
        "sns.delivers",
        "data.CpuTooHigh",
        (f"{of('base', 'Topic')}/KmsMasterKeyId", "alias/aws/sns"),
    ),
    trap("an alarm on UserErrors with TableName", "alarms.metric_exists", "platform.Throttled", (METRIC, "UserErrors")),
    trap("an alarm that the topic's policy keeps out", "sns.delivers", "data.CpuTooHigh", (f"{TOPIC}/0", GONE)),
    trap("an alarm that the key's policy keeps out", "sns.delivers", "data.CpuTooHigh", (f"{KEY}/2", GONE)),
    trap("a rule that the topic's policy keeps out", "sns.delivers", "base.Rule", (f"{TOPIC}/1", GONE)),
    trap("a rule that the key's policy keeps out", "sns.delivers", "base.Rule", (f"{KEY}/3", GONE)),
    trap("a rule that its function does not let in", "sns.delivers", "data.Clock", ("data/Resources/ClockInvokes", GONE)),
    trap("an event subscription that the topic keeps out", "sns.delivers", "data.Subscription", (f"{TOPIC}/2", GONE)),
    trap("an event subscription that the key keeps out", "sns.delivers", "data.Subscription", (f"{KEY}/4", GONE)),
    trap(
        "an alarm without an action",
        "sns.delivers",
        "data.CpuTooHigh",
        (f"{CPU}/AlarmActions", GONE),
    ),
    trap(
        "an alarm on a dimension under which nothing is published",
        "alarms.metric_exists",
        "data.CpuTooHigh",
        (f"{CPU}/Dimensions/0/Name", "DBName"),
    ),
    trap(
        "an alarm on a database that is not there",
        "alarms.metric_exists",
        "data.CpuTooHigh",
        (f"{CPU}/Dimensions/0/Value", "another"),
    ),
    trap(
        "a database in no backup selection",
        "backup.covers",
        "platform.Snapshots",
        (f"{of('platform', 'SnapshotsSelection')}/BackupSelection/Resources/0", GONE),
    ),
    trap(
        "a job that starts in the database's own backup window",
        "backup.clear_of_windows",
        "platform.Snapshots",
        (f"{SNAPSHOTS}/ScheduleExpression", "cron(30 3 * * ? *)"),
    ),
    trap(
        "a database that keeps backups for another time than the rule that owns them",
        "backup.retention_agrees",
        "platform.Cluster",
        (f"{of('platform', 'Cluster')}/BackupRetentionPeriod", 8),
    ),
    trap(
        "a function in isolated subnets without an endpoint for what it calls",
        "reach.endpoints",
        "data.Function",
        ("network/Resources/Endpoint", GONE),
    ),
    trap(
        "a role as principal of a key",
        "policies.nobody_named",
        "base.Key",
        (f"{KEY}/0/Principal/AWS", "arn:aws:iam::1:role/x"),
    ),
    trap(
        "a trail whose bucket lets it in after it is made",
        "trail.delivered",
        "base.Trail",
        ("base/Resources/Trail/DependsOn", GONE),
    ),
    trap(
        "a health check on an alarm of which M of N periods count",
        "alarms.followable",
        "base.HealthCheck",
        (f"{of('base', 'RootActed')}/EvaluationPeriods", 3),
        (f"{of('base', 'RootActed')}/DatapointsToAlarm", 2),
    ),
    trap(
        "a database that is restored into the default VPC",
        "backup.own_network",
        "platform.TestInstance",
        (f"{of('platform', 'TestInstance')}/RestoreMetadataOverrides", GONE),
    ),
)


@pytest.mark.parametrize("each", TRAPS, ids=lambda each: each.says)
def test_a_trap_is_seen_by_its_rule(each: Trap) -> None:
    rule = RULES[each.rule]
    assert verdict(rule, resource(changed(), each.address)) is True
    assert verdict(rule, resource(changed(*each.changes), each.address)) is False


def test_every_system_answers_every_rule_of_the_traps_that_it_has_resources_for() -> None:
    from compliance.check import questions

    always = {each.rule for each in TRAPS} - {"secondaries.accepted"}  # of a global database, which HIPAA's system alone has
    for system in SYSTEMS:
        assert always <= {rule.id for rule in questions(system)}, system.name
    assert "secondaries.accepted" in {rule.id for system in SYSTEMS if system.name == "healthcare" for rule in questions(system)}


def test_no_template_has_a_framework_whose_name_would_be_a_trap() -> None:
    types = {body["Type"] for path in ROOT.glob("*/*.yaml") for body in read(path.read_text())["Resources"].values()}
    assert "AWS::Backup::BackupPlan" in types
    assert "AWS::Backup::Framework" not in types
