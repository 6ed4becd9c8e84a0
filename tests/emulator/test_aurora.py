"""Behind an Aurora cluster stands one PostgreSQL server, which answers while the cluster has an instance."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pg8000.native
import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, postgres
from tests.support.emulator import samples, stacks
from tests.support.emulator.databases import connect, place

pytestmark = pytest.mark.xdist_group("aurora")  # else every worker would set up what they share

STACK = "with-cluster"
NAMES = ("Key", "Vpc", "SubnetA", "SubnetB", "Group", "OtherGroup", "SubnetGroup", "ClusterSecret", "ClusterAttachment")


def template(*members: str) -> dict[str, Any]:
    resources = samples.chosen(*NAMES)
    resources["ClusterSecret"]["Properties"]["Name"] = "secret-of-a-cluster"
    resources["SubnetGroup"]["Properties"]["DBSubnetGroupName"] = "subnets-of-a-cluster"
    resources["Parameters"] = {
        "Type": "AWS::RDS::DBClusterParameterGroup",
        "Properties": {
            "Family": "aurora-postgresql15",
            "Description": "x",
            "Parameters": {"rds.force_ssl": "1", "work_mem": "8192"},
        },
    }
    kept = ("DatabaseName", "Engine", "EngineVersion", "MasterUsername", "MasterUserPassword", "StorageEncrypted", "KmsKeyId")
    cluster = {name: samples.RESOURCES["Cluster"][1][name] for name in kept}
    resources["Cluster"] = {
        "Type": "AWS::RDS::DBCluster",
        "DeletionPolicy": "Delete",
        "Properties": {
            **cluster,
            "DatabaseName": "books",
            "DBClusterIdentifier": "with-server-cluster",
            "DBClusterParameterGroupName": samples.ref("Parameters"),
            "DBSubnetGroupName": samples.ref("SubnetGroup"),
            "VpcSecurityGroupIds": [samples.ref("Group")],
        },
    }
    for name in members:
        properties = {
            "DBClusterIdentifier": samples.ref("Cluster"),
            "DBInstanceClass": "db.t4g.medium",
            "Engine": cluster["Engine"],
        }
        resources[name] = {"Type": "AWS::RDS::DBInstance", "DeletionPolicy": "Delete", "Properties": properties}
    return {"Resources": resources}


@pytest.fixture(scope="module")
def cluster(aws: Emulator) -> Iterator[dict[str, str]]:
    assert postgres.find() is not None, postgres.MISSING
    stack = stacks.deploy(aws, STACK, template("Writer", "Reader"))
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    yield stacks.physical(aws, STACK)
    assert stacks.delete(aws, STACK) == "DELETE_COMPLETE", stacks.failures(aws, STACK)


def secret(aws: Emulator) -> dict[str, Any]:
    text = aws.client("secretsmanager").get_secret_value(SecretId="secret-of-a-cluster")["SecretString"]
    value: dict[str, Any] = json.loads(text)
    return value


def described(aws: Emulator) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("rds").describe_db_clusters(DBClusterIdentifier="with-server-cluster")["DBClusters"][0]
    return found


def test_writer_reader_instances_and_secret_lead_to_the_server(aws: Emulator, cluster: dict[str, str]) -> None:
    found, value = described(aws), secret(aws)
    assert [member["IsClusterWriter"] for member in found["DBClusterMembers"]] == [True, False]
    instances = [
        aws.client("rds").describe_db_instances(DBInstanceIdentifier=cluster[name])["DBInstances"][0]["Endpoint"]
        for name in ("Writer", "Reader")
    ]
    places = {
        (found["Endpoint"], found["Port"]),
        (found["ReaderEndpoint"], found["Port"]),
        (value["host"], value["port"]),
        *((one["Address"], one["Port"]) for one in instances),
    }
    assert {address.partition(".")[2].partition("-")[0] for address, _ in places} == {"", "cluster"}
    assert (value["host"], found["ReaderEndpoint"]) == (found["Endpoint"], found["Endpoint"].replace(".cluster-", ".cluster-ro-"))
    for address, port in places:  # the certificate is for each of them
        with contextlib.closing(connect(aws, place(address, port), value["password"])) as connection:
            assert connection.run("SHOW port") == [[str(value["port"])]]
    assert (value["dbClusterIdentifier"], value["engine"], value["dbname"]) == ("with-server-cluster", "postgres", "books")
    connection = connect(aws, place(value["host"], value["port"]), value["password"])
    assert connection.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [[True]]
    assert connection.run("SHOW work_mem") == [["8MB"]]
    connection.close()
    with pytest.raises(pg8000.exceptions.DatabaseError):
        connect(aws, place(value["host"], value["port"]), value["password"], tls=False)


def test_a_changed_parameter_of_the_cluster_is_applied(aws: Emulator, cluster: dict[str, str]) -> None:
    change = {"ParameterName": "work_mem", "ParameterValue": "16384", "ApplyMethod": "immediate"}
    aws.client("rds").modify_db_cluster_parameter_group(DBClusterParameterGroupName=cluster["Parameters"], Parameters=[change])
    value = secret(aws)
    connection = connect(aws, place(value["host"], value["port"]), value["password"])
    assert connection.run("SHOW work_mem") == [["16MB"]]
    connection.close()


@pytest.mark.usefixtures("cluster")
def test_a_new_master_password_is_the_servers(aws: Emulator) -> None:
    value = secret(aws)
    aws.client("rds").modify_db_cluster(DBClusterIdentifier="with-server-cluster", MasterUserPassword="the-second-password")
    connect(aws, place(value["host"], value["port"]), "the-second-password").close()
    with pytest.raises(pg8000.exceptions.DatabaseError):
        connect(aws, place(value["host"], value["port"]), value["password"])
    aws.client("rds").modify_db_cluster(DBClusterIdentifier="with-server-cluster", MasterUserPassword=value["password"])


@pytest.mark.usefixtures("cluster")
def test_a_cluster_without_an_instance_lets_nobody_in_and_keeps_its_data(aws: Emulator) -> None:
    value = secret(aws)
    where = place(value["host"], value["port"])
    connection = connect(aws, where, value["password"])
    connection.run("CREATE TABLE kept AS SELECT 1 AS one")
    assert stacks.deploy(aws, STACK, template())["StackStatus"] == "UPDATE_COMPLETE"
    with pytest.raises((pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError, OSError)):
        connection.run("SELECT 1")
    with contextlib.suppress(pg8000.exceptions.InterfaceError, OSError):  # nobody is there to say good-bye to
        connection.close()
    with pytest.raises((pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError)):
        connect(aws, where, value["password"])
    assert stacks.deploy(aws, STACK, template("Writer", "Reader"))["StackStatus"] == "UPDATE_COMPLETE"
    connection = connect(aws, where, value["password"])
    assert connection.run("SELECT one FROM kept") == [[1]]
    connection.close()


def test_what_a_cluster_uses_cannot_be_deleted(aws: Emulator, cluster: dict[str, str]) -> None:
    rds = aws.client("rds")
    for code, call in (
        (
            "InvalidDBParameterGroupState",
            lambda: rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName=cluster["Parameters"]),
        ),
        ("InvalidDBSubnetGroupStateFault", lambda: rds.delete_db_subnet_group(DBSubnetGroupName="subnets-of-a-cluster")),
        (
            "InvalidDBClusterStateFault",
            lambda: rds.delete_db_cluster(DBClusterIdentifier="with-server-cluster", SkipFinalSnapshot=True),
        ),
        ("DependencyViolation", lambda: aws.client("ec2").delete_security_group(GroupId=cluster["Group"])),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == code
