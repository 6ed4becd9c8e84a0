"""Snapshots and the log hold the data of then: what is restored has them, under a name that can become the source's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pg8000.native
import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, postgres
from tests.support.emulator import samples, stacks
from tests.support.emulator.databases import USER, connect

pytestmark = pytest.mark.xdist_group("database restores")  # else every worker would set up what they share

PASSWORD = "the-first-password"
SUBNETS = "subnets-of-restores"


@pytest.fixture(scope="module")
def subnets(aws: Emulator) -> Iterator[str]:
    assert postgres.find() is not None, postgres.MISSING
    resources = samples.chosen("Vpc", "SubnetA", "SubnetB", "SubnetGroup")
    resources["SubnetGroup"]["Properties"]["DBSubnetGroupName"] = SUBNETS
    made = stacks.deploy(aws, "for-restores", {"Resources": resources})
    assert made["StackStatus"] == "CREATE_COMPLETE", made["Failures"]
    yield SUBNETS
    assert stacks.delete(aws, "for-restores") == "DELETE_COMPLETE"


@pytest.fixture
def instance(aws: Emulator, subnets: str) -> Iterator[dict[str, Any]]:
    rds = aws.client("rds")
    yield rds.create_db_instance(
        DBInstanceIdentifier="source",
        DBName="books",
        Engine="postgres",
        DBInstanceClass="db.r6g.large",
        BackupRetentionPeriod=7,
        DBSubnetGroupName=subnets,
        MasterUsername=USER,
        MasterUserPassword=PASSWORD,
    )["DBInstance"]
    for one in rds.describe_db_instances()["DBInstances"]:
        if one["DBInstanceIdentifier"].startswith("source"):
            rds.delete_db_instance(DBInstanceIdentifier=one["DBInstanceIdentifier"], SkipFinalSnapshot=True)


def run(aws: Emulator, one: dict[str, Any], *statements: str) -> list[Any]:
    connection: pg8000.native.Connection = connect(aws, one, PASSWORD)
    try:
        return [connection.run(statement) for statement in statements][-1]  # type: ignore[return-value]
    finally:
        connection.close()


def test_an_instance_from_a_snapshot_has_the_data_of_the_snapshot(aws: Emulator, instance: dict[str, Any]) -> None:
    rds = aws.client("rds")
    run(aws, instance, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
    rds.create_db_snapshot(DBInstanceIdentifier="source", DBSnapshotIdentifier="then")
    run(aws, instance, "INSERT INTO t VALUES (2)")
    tags = [{"Key": "Purpose", "Value": "restore"}]
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="source-restored", DBSnapshotIdentifier="then", DBSubnetGroupName=SUBNETS, MultiAZ=True, Tags=tags
    )
    (restored,) = rds.describe_db_instances(DBInstanceIdentifier="source-restored")["DBInstances"]
    assert (restored["MultiAZ"], restored["TagList"], restored["DBSubnetGroup"]["DBSubnetGroupName"]) == (True, tags, SUBNETS)
    assert run(aws, restored, "SELECT n FROM t") == [[1]]
    assert run(aws, restored, "INSERT INTO t VALUES (3)", "SELECT n FROM t ORDER BY n") == [[1], [3]]
    assert run(aws, instance, "SELECT n FROM t ORDER BY n") == [[1], [2]]
    rds.delete_db_snapshot(DBSnapshotIdentifier="then")


def test_an_instance_at_a_time_has_the_data_of_that_time(aws: Emulator, instance: dict[str, Any]) -> None:
    rds = aws.client("rds")
    run(aws, instance, "CREATE TABLE t (n int)", "INSERT INTO t SELECT generate_series(1, 400000)")
    right = datetime.now(UTC)
    time.sleep(0.01)
    run(aws, instance, "DELETE FROM t")  # more than one file of the log
    name = "source-restored"
    given = {"SourceDBInstanceIdentifier": "source", "TargetDBInstanceIdentifier": name, "DBSubnetGroupName": SUBNETS}
    rds.restore_db_instance_to_point_in_time(**given, RestoreTime=right)
    (restored,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    assert run(aws, restored, "SELECT count(*) FROM t") == [[400000]]
    run(aws, restored, "INSERT INTO t VALUES (0)")
    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=name,
        TargetDBInstanceIdentifier="source-again",
        DBSubnetGroupName=SUBNETS,
        UseLatestRestorableTime=True,
    )
    (again,) = rds.describe_db_instances(DBInstanceIdentifier="source-again")["DBInstances"]
    assert run(aws, again, "SELECT count(*) FROM t") == [[400001]], "what was restored is backed up itself"


def refusal(call: Callable[..., Any], **given: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**given)
    return str(error.value.response["Error"]["Code"])


@pytest.mark.usefixtures("instance")
def test_what_cannot_be_restored_is_refused(aws: Emulator) -> None:
    rds = aws.client("rds")
    at = rds.restore_db_instance_to_point_in_time
    given = {"SourceDBInstanceIdentifier": "source", "TargetDBInstanceIdentifier": "x", "DBSubnetGroupName": SUBNETS}
    soon, before = datetime.now(UTC) + timedelta(minutes=5), datetime(2020, 1, 1, tzinfo=UTC)
    assert refusal(at, **given, RestoreTime=soon) == "InvalidParameterValue"
    assert refusal(at, **given, RestoreTime=before) == "InvalidParameterValue"
    assert refusal(at, **given) == "InvalidParameterCombination"
    assert refusal(at, **{**given, "SourceDBInstanceIdentifier": "nobody"}, RestoreTime=soon) == "DBInstanceNotFound"
    assert (
        refusal(at, **{**given, "TargetDBInstanceIdentifier": "source"}, UseLatestRestorableTime=True)
        == "DBInstanceAlreadyExists"
    )
    assert refusal(at, **{**given, "DBSubnetGroupName": "no"}, UseLatestRestorableTime=True) == "DBSubnetGroupNotFoundFault"
    rds.modify_db_instance(DBInstanceIdentifier="source", BackupRetentionPeriod=0, ApplyImmediately=True)
    assert refusal(at, **given, UseLatestRestorableTime=True) == "PointInTimeRestoreNotEnabled"
    from_snapshot = rds.restore_db_instance_from_db_snapshot
    assert refusal(from_snapshot, DBInstanceIdentifier="x", DBSnapshotIdentifier="no") == "DBSnapshotNotFound"


@pytest.mark.usefixtures("instance")
def test_a_deletion_that_is_refused_leaves_no_snapshot(aws: Emulator) -> None:
    rds = aws.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="source", DeletionProtection=True, ApplyImmediately=True)
    refusal(rds.delete_db_instance, DBInstanceIdentifier="source", FinalDBSnapshotIdentifier="last")
    assert not rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    rds.modify_db_instance(DBInstanceIdentifier="source", DeletionProtection=False, ApplyImmediately=True)


def test_a_name_leads_to_the_endpoint_that_it_had(aws: Emulator, instance: dict[str, Any]) -> None:
    rds = aws.client("rds")
    run(aws, instance, "CREATE TABLE t (n int)")
    rds.create_db_snapshot(DBInstanceIdentifier="source", DBSnapshotIdentifier="for-swap")
    run(aws, instance, "INSERT INTO t VALUES (1)")
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="source-restored", DBSnapshotIdentifier="for-swap", DBSubnetGroupName=SUBNETS
    )
    rename = rds.modify_db_instance
    assert refusal(rename, DBInstanceIdentifier="source", NewDBInstanceIdentifier="source-restored", ApplyImmediately=True)
    assert refusal(rename, DBInstanceIdentifier="source", NewDBInstanceIdentifier="x") == "InvalidParameterCombination"
    rename(DBInstanceIdentifier="source", NewDBInstanceIdentifier="source-before", ApplyImmediately=True)
    rename(DBInstanceIdentifier="source-restored", NewDBInstanceIdentifier="source", ApplyImmediately=True)
    swapped = {one["DBInstanceIdentifier"]: one for one in rds.describe_db_instances()["DBInstances"]}
    assert swapped["source"]["Endpoint"] == instance["Endpoint"]
    assert swapped["source"]["DBInstanceArn"].endswith(":db:source")
    assert run(aws, instance, "SELECT count(*) FROM t") == [[0]]
    assert run(aws, swapped["source-before"], "SELECT count(*) FROM t") == [[1]]
    rds.delete_db_instance(DBInstanceIdentifier="source-before", FinalDBSnapshotIdentifier="last")
    (last,) = rds.describe_db_snapshots(DBSnapshotIdentifier="last")["DBSnapshots"]
    assert last["DBInstanceIdentifier"] == "source-before"


def test_a_cluster_is_restored_without_an_instance_and_takes_the_place_of_its_source(aws: Emulator, subnets: str) -> None:
    rds = aws.client("rds")
    of = {"Engine": "aurora-postgresql", "DBSubnetGroupName": subnets}
    member = {"Engine": "aurora-postgresql", "DBInstanceClass": "db.t4g.medium"}
    rds.create_db_cluster(
        DBClusterIdentifier="lake", DatabaseName="books", MasterUsername=USER, MasterUserPassword=PASSWORD, **of
    )
    rds.create_db_instance(DBInstanceIdentifier="lake-a", DBClusterIdentifier="lake", **member)

    def cluster(name: str) -> dict[str, Any]:
        (one,) = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        return {**one, "Endpoint": {"Address": one["Endpoint"], "Port": one["Port"]}}

    run(aws, cluster("lake"), "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
    rds.create_db_cluster_snapshot(DBClusterIdentifier="lake", DBClusterSnapshotIdentifier="then")
    right = datetime.now(UTC)
    time.sleep(0.01)
    run(aws, cluster("lake"), "INSERT INTO t VALUES (2)")
    rds.restore_db_cluster_from_snapshot(DBClusterIdentifier="lake-old", SnapshotIdentifier="then", **of)
    rds.restore_db_cluster_to_point_in_time(
        SourceDBClusterIdentifier="lake", DBClusterIdentifier="lake-restored", RestoreToTime=right, DBSubnetGroupName=subnets
    )
    for name in ("lake-old", "lake-restored"):
        with pytest.raises(pg8000.exceptions.DatabaseError):
            run(aws, cluster(name), "SELECT 1")
        rds.create_db_instance(DBInstanceIdentifier=f"{name}-a", DBClusterIdentifier=name, **member)
        assert run(aws, cluster(name), "SELECT n FROM t") == [[1]]
    assert refusal(
        rds.restore_db_cluster_from_snapshot, DBClusterIdentifier="x", SnapshotIdentifier="no", Engine="aurora-postgresql"
    )
    refused = {"NewDBClusterIdentifier": "renamed", "EngineVersion": "no-version", "ApplyImmediately": True}
    assert refusal(rds.modify_db_cluster, DBClusterIdentifier="lake", **refused)
    refused = {"NewDBInstanceIdentifier": "renamed", "MasterUserPassword": PASSWORD, "ApplyImmediately": True}
    assert refusal(rds.modify_db_instance, DBInstanceIdentifier="lake-a", **refused)
    assert [one["DBInstanceIdentifier"] for one in cluster("lake")["DBClusterMembers"]] == ["lake-a"], "nothing was renamed"
    for old, new in (("lake", "lake-before"), ("lake-restored", "lake")):
        rds.modify_db_cluster(DBClusterIdentifier=old, NewDBClusterIdentifier=new, ApplyImmediately=True)
    for old, new in (("lake-a", "lake-before-a"), ("lake-restored-a", "lake-a")):
        rds.modify_db_instance(DBInstanceIdentifier=old, NewDBInstanceIdentifier=new, ApplyImmediately=True)
    assert [one["DBInstanceIdentifier"] for one in cluster("lake")["DBClusterMembers"]] == ["lake-a"]
    assert run(aws, cluster("lake"), "SELECT n FROM t") == [[1]]
    assert run(aws, cluster("lake-before"), "SELECT count(*) FROM t") == [[2]]
    for name, first in (("lake", "lake-a"), ("lake-before", "lake-before-a"), ("lake-old", "lake-old-a")):
        rds.delete_db_instance(DBInstanceIdentifier=first)
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="then")
