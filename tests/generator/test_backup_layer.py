"""How long the alarms on absent backups wait."""

from datetime import timedelta

import pytest

from generator.layers.backup import Rule, apart
from tests.support.committed_templates import resources, templates

WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("schedules", "hours"),
    [
        (["cron(0 * * * ? *)"], 3),
        (["cron(0 2 * * ? *)"], 26),
        (["cron(0 0,8,16 * * ? *)"], 10),
        (["cron(30 2 * * ? *)", "cron(0 12 * * ? *)"], 17),
    ],
)
def test_an_alarm_on_absence_waits_longer_than_two_good_jobs_may_be_apart(schedules: list[str], hours: int) -> None:
    assert apart([Rule(f"rule-{number}", each, WEEK) for number, each in enumerate(schedules)]) == timedelta(hours=hours)


def test_a_schedule_that_names_no_minute_is_refused_by_its_rules_name() -> None:
    with pytest.raises(ValueError, match=r"backup rules yearly \(rate\(1 day\)\) says when a job starts"):
        apart([Rule("yearly", "rate(1 day)", WEEK)])


@pytest.mark.parametrize("system", ["citizen-registry", "federal-records", "healthcare", "regional-platform"])
def test_the_roles_of_aws_backup_may_look_at_every_key_that_they_let_services_hold(system: str) -> None:
    roles = [
        body["Properties"] for name, body in resources(system, "AWS::IAM::Role") if name.endswith(("BackupRole", "RestoreRole"))
    ]
    assert roles
    for role in roles:
        (policy,) = role["Policies"]
        held, seen = (
            [str(key) for one in policy["PolicyDocument"]["Statement"] if action in one["Action"] for key in one["Resource"]]
            for action in ("kms:CreateGrant", "kms:DescribeKey")
        )
        assert held == seen
        assert not any("kms:DescribeKey" in one["Action"] and "Condition" in one for one in policy["PolicyDocument"]["Statement"])


@pytest.mark.parametrize(("system", "layer", "alarm"), [("healthcare", "backup", "Aurora"), ("federal-records", "backup", "EFS")])
def test_copies_are_counted_under_the_vault_that_they_go_to(system: str, layer: str, alarm: str) -> None:
    template = templates(system)[layer]
    given = {each["Name"]: each["Value"] for each in template["Resources"][f"{alarm}CopyAbsent"]["Properties"]["Dimensions"]}
    assert template["Metadata"]["Layer"]["Imports"][given["BackupVaultName"]["Ref"]] == "recovery:vault.VaultName"
