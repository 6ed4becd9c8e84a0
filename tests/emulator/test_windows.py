"""Backup windows are drawn where AWS draws them, and what may overlap with maintenance is refused; so are policies of vaults."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator
from model.facts import fact

ASKED = {"Engine": "aurora-postgresql", "MasterUsername": "master", "MasterUserPassword": "long-enough-1"}
INSTANCE = {"Engine": "mysql", "DBInstanceClass": "db.t3.micro", "AllocatedStorage": 20}


def _refused(call: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**given)
    assert raised.value.response["Error"]["Code"] == "InvalidParameterValue"
    return str(raised.value.response["Error"]["Message"])


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "ap-south-1"])
def test_the_backup_window_of_a_cluster_that_states_none_lies_in_its_regions_block(aws: Emulator, region: str) -> None:
    rds = aws.client("rds", region)
    made = rds.create_db_cluster(DBClusterIdentifier="drawn", **{**ASKED, "Engine": "aurora-mysql"})["DBCluster"]
    assert made["PreferredBackupWindow"].startswith(fact("backup_windows")["blocks"][region][:5])
    instance = rds.create_db_instance(
        DBInstanceIdentifier="drawn-one", **INSTANCE, MasterUsername="m", MasterUserPassword="x" * 9
    )
    assert instance["DBInstance"]["PreferredBackupWindow"] == made["PreferredBackupWindow"]


@pytest.mark.parametrize(("region", "window"), [("us-east-1", "sun:05:00-sun:06:00"), ("eu-west-1", "sat:23:45-sun:00:15")])
def test_maintenance_in_the_block_is_refused_unless_a_backup_window_is_stated(aws: Emulator, region: str, window: str) -> None:
    rds = aws.client("rds", region)
    given = {**ASKED, "Engine": "aurora-mysql", "DBClusterIdentifier": "meeting", "PreferredMaintenanceWindow": window}
    assert "must not overlap" in _refused(rds.create_db_cluster, **given)
    assert rds.describe_db_clusters(Filters=[{"Name": "db-cluster-id", "Values": ["meeting"]}])["DBClusters"] == []
    made = rds.create_db_cluster(**given, PreferredBackupWindow="12:00-13:00")["DBCluster"]
    assert made["PreferredBackupWindow"] == "12:00-13:00"
    into = {"PreferredMaintenanceWindow": "wed:12:30-wed:13:30"}
    assert "must not overlap" in _refused(rds.modify_db_cluster, DBClusterIdentifier="meeting", **into)
    member = {"Engine": "aurora-mysql", "DBInstanceClass": "db.t3.medium", "DBClusterIdentifier": "meeting"}
    assert "must not overlap" in _refused(rds.create_db_instance, DBInstanceIdentifier="member", **member, **into)


def test_so_it_is_with_instances(aws: Emulator) -> None:
    rds = aws.client("rds")
    given = {**INSTANCE, "DBInstanceIdentifier": "alone", "MasterUsername": "m", "MasterUserPassword": "x" * 9}
    _refused(rds.create_db_instance, **given, PreferredMaintenanceWindow="sun:05:00-sun:06:00")
    stated = {"PreferredBackupWindow": "01:00-02:00", "PreferredMaintenanceWindow": "sun:05:00-sun:06:00"}
    rds.create_db_instance(**given, **stated)
    _refused(rds.modify_db_instance, DBInstanceIdentifier="alone", PreferredBackupWindow="05:30-06:00")
    rds.modify_db_instance(DBInstanceIdentifier="alone", PreferredBackupWindow="06:00-06:30")


@pytest.mark.parametrize("action", ["backup:*", ["backup:CopyIntoBackupVault", "backup:Delete*"], "*"])
def test_the_policy_of_a_vault_takes_no_wildcard_in_an_action(aws: Emulator, action: Any) -> None:
    backup = aws.client("backup")
    name = "named-actions"
    try:
        backup.create_backup_vault(BackupVaultName=name)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AlreadyExistsException"  # noqa: PT017
    statement = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*"}
    with pytest.raises(backup.exceptions.InvalidParameterValueException):
        backup.put_backup_vault_access_policy(BackupVaultName=name, Policy=json.dumps({"Statement": [statement]}))
    named = json.dumps({"Statement": [{**statement, "Action": "backup:CopyIntoBackupVault"}]})
    backup.put_backup_vault_access_policy(BackupVaultName=name, Policy=named)
    assert backup.get_backup_vault_access_policy(BackupVaultName=name)["Policy"] == named
