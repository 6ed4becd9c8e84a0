"""Behind a read replica stands a standby of the source's server, wherever the source is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pg8000.native
import pytest

from emulator import Emulator, postgres
from tests.support.emulator import samples, stacks
from tests.support.emulator.databases import USER, eventually, key, refused, run, session
from tests.support.emulator.replicas import HERE, SOURCE, THERE, count, create, delete, described, follow, lag

pytestmark = pytest.mark.xdist_group("replicas")  # else every worker would set up what they share


@pytest.fixture(scope="module")
def agency(aws: Emulator) -> Iterator[dict[str, Any]]:
    """An instance that no stack made, with a table."""
    assert postgres.find() is not None, postgres.MISSING
    yield create(aws, "agency")
    aws.client("rds", HERE).delete_db_instance(DBInstanceIdentifier="agency", SkipFinalSnapshot=True)


@pytest.fixture(scope="module")
def replica(aws: Emulator, agency: dict[str, Any]) -> Iterator[dict[str, Any]]:
    assert agency["DBInstanceArn"] == SOURCE
    yield follow(aws, "replica", MultiAZ=True, SourceRegion=HERE)
    delete(aws, "replica")


def test_a_replica_in_another_region_has_what_is_written_at_the_source_and_takes_no_writes(
    aws: Emulator, agency: dict[str, Any], replica: dict[str, Any]
) -> None:
    before = count(aws, agency)
    run(aws, agency["Endpoint"], "INSERT INTO kept VALUES (2)")
    eventually(lambda: count(aws, replica), before + 1)
    with session(aws, replica["Endpoint"]) as connection:
        assert connection.run("SELECT pg_is_in_recovery()") == [[True]]
        with pytest.raises(pg8000.exceptions.DatabaseError) as refusal:
            connection.run("INSERT INTO kept VALUES (3)")
    assert refusal.value.args[0]["C"] == "25006"  # read_only_sql_transaction
    assert run(aws, agency["Endpoint"], "SELECT slot_type, active FROM pg_replication_slots") == [["physical", True]]


@pytest.mark.usefixtures("replica")
def test_source_and_replica_name_one_another_as_aws_does(aws: Emulator) -> None:
    found, source = described(aws, "replica"), described(aws, "agency", HERE)
    assert found["ReadReplicaSourceDBInstanceIdentifier"] == SOURCE
    assert source["ReadReplicaDBInstanceIdentifiers"] == [found["DBInstanceArn"]]
    assert found["StatusInfos"] == [{"StatusType": "read replication", "Normal": True, "Status": "replicating"}]
    assert "StatusInfos" not in source or source["StatusInfos"] == []
    # Without backups, and with a parameter group of its own region; the rest is the source's.
    assert found["BackupRetentionPeriod"] == 0
    assert found["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres15"
    assert (found["MultiAZ"], found["StorageEncrypted"], found["MasterUsername"]) == (True, True, USER)
    assert (found["DBInstanceClass"], found["EngineVersion"]) == (source["DBInstanceClass"], source["EngineVersion"])
    assert found["DbiResourceId"] != source["DbiResourceId"]


@pytest.mark.usefixtures("replica")
def test_lag_is_measured_where_the_replica_is(aws: Emulator) -> None:
    eventually(lambda: bool(lag(aws, THERE, "ReplicaLag", DBInstanceIdentifier="replica")), True)
    assert lag(aws, THERE, "ReplicaLag", DBInstanceIdentifier="replica")[0] < 10
    assert lag(aws, HERE, "ReplicaLag", DBInstanceIdentifier="replica") == []


@pytest.mark.usefixtures("replica")
def test_what_aws_refuses_of_replicas_is_refused(aws: Emulator) -> None:
    there, here = aws.client("rds", THERE), aws.client("rds", HERE)
    create(aws, "without-backups", BackupRetentionPeriod=0)
    create(aws, "in-the-clear", StorageEncrypted=False)
    foreign = key(aws, HERE)
    for code, name, source, more in (
        ("DBInstanceNotFound", "another", "agency", {}),
        ("DBInstanceNotFound", "another", SOURCE.replace("agency", "nobody"), {}),
        ("DBInstanceNotFound", "another", SOURCE.replace("123456789012", "210987654321"), {}),
        ("DBInstanceAlreadyExists", "replica", SOURCE, {}),
        ("InvalidDBInstanceState", "another", SOURCE.replace("agency", "without-backups"), {}),
        ("InvalidParameterCombination", "another", SOURCE.replace("agency", "in-the-clear"), {}),
        ("InvalidParameterCombination", "another", SOURCE, {"KmsKeyId": ""}),
        ("InvalidParameterCombination", "another", SOURCE, {"DBParameterGroupName": "default.postgres15"}),
        ("InvalidParameterCombination", "another", SOURCE, {"DatabaseInsightsMode": "standard"}),
        ("KMSKeyNotAccessibleFault", "another", SOURCE, {"KmsKeyId": foreign}),
        ("DBSubnetGroupNotFoundFault", "another", SOURCE, {"DBSubnetGroupName": "nowhere"}),
    ):
        with refused(code):
            follow(aws, name, source, **more)
    for code, call in (
        ("InvalidDBInstanceState", lambda: here.stop_db_instance(DBInstanceIdentifier="agency")),
        ("InvalidDBInstanceState", lambda: there.stop_db_instance(DBInstanceIdentifier="replica")),
        ("InvalidDBInstanceState", lambda: here.promote_read_replica(DBInstanceIdentifier="agency")),
        ("DBInstanceNotFound", lambda: there.promote_read_replica(DBInstanceIdentifier="nobody")),
        (
            "InvalidDBInstanceState",
            lambda: there.modify_db_instance(DBInstanceIdentifier="replica", MasterUserPassword="another-password"),
        ),
        (
            "InvalidDBInstanceState",
            lambda: here.modify_db_instance(DBInstanceIdentifier="agency", BackupRetentionPeriod=0, ApplyImmediately=True),
        ),
    ):
        with refused(code):
            call()  # type: ignore[no-untyped-call]
    for name in ("without-backups", "in-the-clear"):
        delete(aws, name, HERE)


def test_a_promoted_replica_takes_writes_and_goes_its_own_way(aws: Emulator, agency: dict[str, Any]) -> None:
    made, rds = follow(aws, "promoted"), aws.client("rds", THERE)
    before = count(aws, made)
    with session(aws, made["Endpoint"]) as connection:
        rds.promote_read_replica(DBInstanceIdentifier="promoted", BackupRetentionPeriod=3, PreferredBackupWindow="01:00-01:30")
        with pytest.raises((pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError, OSError)):
            connection.run("SELECT 1")  # it is rebooted on AWS
    run(aws, agency["Endpoint"], "INSERT INTO kept VALUES (4)")
    assert run(aws, made["Endpoint"], "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)") == [["00000002"]]  # its timeline
    run(aws, made["Endpoint"], "INSERT INTO kept VALUES (5), (6)")
    assert count(aws, made) == before + 2
    found = described(aws, "promoted")
    assert (found["BackupRetentionPeriod"], found["PreferredBackupWindow"]) == (3, "01:00-01:30")
    assert not found.get("ReadReplicaSourceDBInstanceIdentifier")
    assert not found.get("StatusInfos")
    assert found["DBInstanceArn"] not in described(aws, "agency", HERE)["ReadReplicaDBInstanceIdentifiers"]
    assert slots(aws, agency) == len(described(aws, "agency", HERE)["ReadReplicaDBInstanceIdentifiers"])
    # It can be a source, and so the way back begins.
    back = follow(aws, "back", found["DBInstanceArn"], HERE)
    assert count(aws, back) == before + 2
    delete(aws, "back", HERE)
    delete(aws, "promoted")


def slots(aws: Emulator, instance: dict[str, Any]) -> int:
    return len(run(aws, instance["Endpoint"], "SELECT 1 FROM pg_replication_slots"))


@pytest.mark.usefixtures("agency")
def test_a_replica_is_not_promoted_while_it_is_backed_up(aws: Emulator) -> None:
    made = follow(aws, "busy")
    backup = aws.client("backup", THERE)
    backup.create_backup_vault(BackupVaultName="replicas")
    aws.hold_backups(region=THERE)
    job = backup.start_backup_job(
        BackupVaultName="replicas", ResourceArn=made["DBInstanceArn"], IamRoleArn="arn:aws:iam::123456789012:role/backup"
    )["BackupJobId"]
    assert described(aws, "busy")["DBInstanceStatus"] == "backing-up"
    with refused("InvalidDBInstanceState"):
        aws.client("rds", THERE).promote_read_replica(DBInstanceIdentifier="busy")
    backup.stop_backup_job(BackupJobId=job)
    aws.hold_backups(False, region=THERE)
    aws.client("rds", THERE).promote_read_replica(DBInstanceIdentifier="busy")
    delete(aws, "busy")


def test_when_the_source_is_deleted_its_own_region_promotes_and_others_are_terminated(aws: Emulator) -> None:
    source = create(aws, "mortal")
    near, far = follow(aws, "near", "mortal", HERE), follow(aws, "far", source["DBInstanceArn"])
    assert near["ReadReplicaSourceDBInstanceIdentifier"] == "mortal"
    assert described(aws, "mortal", HERE)["ReadReplicaDBInstanceIdentifiers"] == ["near", far["DBInstanceArn"]]
    delete(aws, "mortal", HERE)
    run(aws, near["Endpoint"], "INSERT INTO kept VALUES (2)")
    assert not described(aws, "near", HERE).get("ReadReplicaSourceDBInstanceIdentifier")
    assert described(aws, "far")["StatusInfos"] == [{"StatusType": "read replication", "Normal": False, "Status": "terminated"}]
    assert run(aws, far["Endpoint"], "SELECT pg_is_in_recovery()") == [[True]]
    aws.client("rds", THERE).promote_read_replica(DBInstanceIdentifier="far")
    run(aws, far["Endpoint"], "INSERT INTO kept VALUES (2)")
    delete(aws, "near", HERE)
    delete(aws, "far")


def test_a_stopped_instance_answers_nobody_until_it_is_started(aws: Emulator) -> None:
    made, rds = create(aws, "stopped"), aws.client("rds", HERE)
    rds.stop_db_instance(DBInstanceIdentifier="stopped")
    with pytest.raises((pg8000.exceptions.InterfaceError, OSError)):
        count(aws, made)
    rds.start_db_instance(DBInstanceIdentifier="stopped")
    assert count(aws, made) == 1
    delete(aws, "stopped", HERE)


def template(source: str | None) -> dict[str, Any]:
    """A replica as a stack of the region makes it, or what is left of it without a source."""
    resources = samples.chosen(
        "Key", "Vpc", "SubnetA", "SubnetB", "Group", "OtherGroup", "SubnetGroup", "ParameterGroup", "Replica"
    )
    resources["SubnetGroup"]["Properties"]["DBSubnetGroupName"] = "of-a-replica"
    resources["ParameterGroup"]["Properties"] |= {
        "DBParameterGroupName": "of-a-replica",
        "Parameters": {"work_mem": "8192", "max_connections": "150"},
    }
    replica = resources["Replica"]["Properties"]
    for name in ("MonitoringInterval", "MonitoringRoleArn", "SourceDBInstanceIdentifier"):
        del replica[name]
    replica |= {
        "DBInstanceIdentifier": "of-a-stack",
        "DBSubnetGroupName": samples.ref("SubnetGroup"),
        "KmsKeyId": samples.att("Key", "Arn"),
        **({"SourceDBInstanceIdentifier": source, "SourceRegion": HERE} if source else {"SourceRegion": HERE}),
    }
    resources["Replica"]["DeletionPolicy"] = "Delete"
    return {"Resources": resources, "Outputs": {"Port": {"Value": samples.att("Replica", "Endpoint.Port")}}}


@pytest.mark.usefixtures("agency")
def test_a_stack_makes_a_replica_of_an_instance_that_no_stack_made(aws: Emulator, agency: dict[str, Any]) -> None:
    stack = stacks.deploy(aws, "replica", template(SOURCE), region=THERE)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    found = described(aws, "of-a-stack")
    assert found["ReadReplicaSourceDBInstanceIdentifier"] == SOURCE
    place = {"Address": "localhost", "Port": int(stacks.outputs(stack)["Port"])}
    with session(aws, place) as connection:  # what is not taken at first is set afterwards, and needs a reboot
        assert [connection.run(f"SHOW {name}") for name in ("work_mem", "max_connections")] == [[["8MB"]], [["150"]]]
    shown = stacks.get(aws, "AWS::RDS::DBInstance", "of-a-stack", THERE)
    assert (shown["DBParameterGroupName"], shown["BackupRetentionPeriod"], shown["MultiAZ"]) == ("of-a-replica", 1, True)
    assert "SourceDBInstanceIdentifier" not in shown  # write-only
    # Who takes the source out of the template promotes.
    stack = stacks.deploy(aws, "replica", template(None), region=THERE)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stack["Failures"]
    run(aws, place, "CREATE TABLE mine ()")
    assert stacks.delete(aws, "replica", THERE) == "DELETE_COMPLETE"
    assert slots(aws, agency) == len(described(aws, "agency", HERE)["ReadReplicaDBInstanceIdentifiers"])


@pytest.mark.usefixtures("agency")
def test_a_replica_that_may_have_less_than_its_source_does_not_come_back_from_a_reboot(aws: Emulator) -> None:
    less = template(SOURCE)
    less["Resources"]["ParameterGroup"]["Properties"]["Parameters"] = {"max_connections": "20"}
    stack = stacks.deploy(aws, "less", less, region=THERE)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "incompatible-parameters" in stack["Failures"][0]
    assert stacks.delete(aws, "less", THERE) == "DELETE_COMPLETE"
    assert "of-a-stack" not in [
        one["DBInstanceIdentifier"] for one in aws.client("rds", THERE).describe_db_instances()["DBInstances"]
    ]


def test_a_replica_whose_server_takes_nobody_just_now_does_not_replicate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from emulator import databases
    from emulator.authority import Authority

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        server = SimpleNamespace(frozen=False, running=True, host="127.0.0.1", port=nobody.getsockname()[1])
        monkeypatch.setitem(databases._servers, "arn:it", server)
        monkeypatch.setitem(databases._passwords, "arn:it", "x")
        monkeypatch.setattr(databases._state, "authority", Authority.create(tmp_path))
        assert databases.replicates("arn:it") is False
