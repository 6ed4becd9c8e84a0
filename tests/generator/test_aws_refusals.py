"""What AWS refuses and no linter knows stops the build: wildcards in some policies, and windows that may meet."""

from __future__ import annotations

from typing import Any

import pytest

from generator.aws_refusals import NO_WILDCARD, refused
from generator.systems import SYSTEMS
from model import Document, schedule
from model.facts import fact
from tests.support.committed_templates import templates

BLOCKS: dict[str, str] = fact("backup_windows")["blocks"]


def _layer(region: str, resources: dict[str, Any], **imports: str) -> Document:
    layer = {"System": "test", "Sites": {"primary": region}, "Imports": imports}
    return {"Metadata": {"Layer": layer}, "Resources": resources, "Outputs": {}}


def _one(type_: str, region: str = "us-east-1", **properties: Any) -> list[str]:
    return refused("test", {"data": _layer(region, {"One": {"Type": type_, "Properties": properties}})})


@pytest.mark.parametrize("system", [system.name for system in SYSTEMS])
def test_no_system_holds_what_aws_refuses(system: str) -> None:
    assert refused(system, templates(system)) == []


def test_there_are_vaults_topics_and_clusters_to_check() -> None:
    found = {one["Type"] for system in SYSTEMS for each in templates(system.name).values() for one in each["Resources"].values()}
    assert {*NO_WILDCARD, "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"} <= found


@pytest.mark.parametrize(
    "action", ["backup:*", "*", "backup:Delete*", "backup:StartCopyJo?", ["backup:CopyIntoBackupVault", "backup:*"]]
)
@pytest.mark.parametrize("key", ["Action", "NotAction"])
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_a_wildcard_in_the_policy_of_a_vault_stops_the_build(action: Any, key: str, effect: str) -> None:
    policy = {"Statement": {"Effect": effect, "Principal": "*", key: action, "Resource": "*"}}
    (problem,) = _one("AWS::Backup::BackupVault", AccessPolicy=policy)
    assert problem.startswith("test/data.One: the policy of a AWS::Backup::BackupVault names ")
    assert problem.endswith("takes no wildcard there: name the actions")


def test_named_actions_are_taken() -> None:
    policy = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": ["backup:CopyIntoBackupVault"], "Resource": "*"}]}
    assert _one("AWS::Backup::BackupVault", AccessPolicy=policy) == _one("AWS::Backup::BackupVault") == []


def test_vaults_refuse_other_accounts_the_one_action_that_aws_would_let_them_have() -> None:
    found = [
        statement["Action"]
        for system in SYSTEMS
        for each in templates(system.name).values()
        for one in each["Resources"].values()
        if one["Type"] == "AWS::Backup::BackupVault"
        for statement in one["Properties"]["AccessPolicy"]["Statement"]
    ]
    assert len(found) == 4
    assert all(actions == ["backup:CopyIntoBackupVault"] for actions in found)


@pytest.mark.parametrize("region", sorted(BLOCKS))
def test_maintenance_that_may_meet_a_backup_window_of_awss_choice_stops_the_build_in_every_region(region: str) -> None:
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in BLOCKS[region].split("-"))
    length = (end - start) % schedule.DAY
    assert length >= 7 * 60

    def at(minute: int) -> str:
        first, last = minute % schedule.DAY, (minute + 30) % schedule.DAY
        days = ("sun", "sun" if last > first else "mon")
        return "-".join(f"{day}:{each // 60:02}:{each % 60:02}" for day, each in zip(days, (first, last), strict=True))

    for type_ in ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance"):
        for minute in range(0, schedule.DAY, 30):
            inside = any(
                (start - 30) < each < (start + length) for each in (minute, minute - schedule.DAY, minute + schedule.DAY)
            )
            problems = _one(type_, region, PreferredMaintenanceWindow=at(minute))
            assert bool(problems) is inside, (type_, at(minute), BLOCKS[region])


def test_a_stated_backup_window_is_what_counts_and_must_not_overlap() -> None:
    windows = {"PreferredBackupWindow": "03:00-04:00", "PreferredMaintenanceWindow": "sun:05:00-sun:06:00"}
    assert _one("AWS::RDS::DBInstance", **windows) == []
    (problem,) = _one("AWS::RDS::DBInstance", **{**windows, "PreferredBackupWindow": "05:30-06:00"})
    assert "overlap" in problem
    (problem,) = _one("AWS::RDS::DBInstance", PreferredBackupWindow="05:30-06:00")
    assert "not when it is maintained" in problem
    assert _one("AWS::RDS::DBInstance") == []


def test_a_member_is_backed_up_with_its_cluster_in_whatever_layer_that_is() -> None:
    cluster = {"Type": "AWS::RDS::DBCluster", "Properties": {"PreferredBackupWindow": "03:00-04:00"}}
    cluster["Properties"]["PreferredMaintenanceWindow"] = "sun:05:00-sun:06:00"  # type: ignore[index]
    given = {"DBClusterIdentifier": {"Ref": "AuroraId"}, "PreferredMaintenanceWindow": "sun:05:00-sun:06:00"}
    aurora = _layer("us-east-1", {"Cluster": cluster})
    aurora["Outputs"] = {"Id": {"Value": {"Ref": "Cluster"}}}
    reader = _layer("us-east-1", {"One": {"Type": "AWS::RDS::DBInstance", "Properties": given}}, AuroraId="aurora.Id")
    reader["Parameters"] = {"AuroraId": {"Type": "String"}}
    assert refused("test", {"aurora": aurora, "reader": reader}) == []
    del cluster["Properties"]["PreferredBackupWindow"]  # type: ignore[attr-defined]
    assert len(refused("test", {"aurora": aurora, "reader": reader})) == 2


@pytest.mark.parametrize("window", [{"Ref": "Window"}, "sunday morning", "05:00-06:00 UTC"])
def test_a_window_that_cannot_be_read_stops_the_build(window: Any) -> None:
    (problem,) = _one("AWS::RDS::DBCluster", PreferredMaintenanceWindow=window)
    assert "PreferredMaintenanceWindow" in problem
    assert "cannot be read" in problem
    (problem,) = _one("AWS::RDS::DBCluster", PreferredMaintenanceWindow="sun:05:00-sun:06:00", PreferredBackupWindow=window)
    assert "PreferredBackupWindow" in problem
    assert "cannot be read" in problem


def test_a_region_that_nobody_wrote_down_asks_for_a_backup_window() -> None:
    (problem,) = _one("AWS::RDS::DBCluster", "xx-north-1", PreferredMaintenanceWindow="sun:12:00-sun:13:00")
    assert "model/facts/backup_windows.yaml" in problem
    stated = {"PreferredBackupWindow": "03:00-04:00", "PreferredMaintenanceWindow": "sun:12:00-sun:13:00"}
    assert _one("AWS::RDS::DBCluster", "xx-north-1", **stated) == []
