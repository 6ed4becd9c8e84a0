"""Clusters of Aurora, and the global database that they make."""

from __future__ import annotations

from typing import Any

from emulator import Emulator
from tests.support.emulator.databases import DATABASE, PASSWORD, USER, key, run

LONDON, DUBLIN = "eu-west-2", "eu-west-1"
GLOBAL = "world"
ENGINE = {"Engine": "aurora-postgresql", "EngineVersion": "15.19"}
SCALING = {"MinCapacity": 0.5, "MaxCapacity": 2.0}


def primary(aws: Emulator, name: str, region: str = LONDON, **more: Any) -> str:
    """A cluster with an instance and a table; its ARN."""
    rds = aws.client("rds", region)
    made = rds.create_db_cluster(
        **{
            "DBClusterIdentifier": name,
            **ENGINE,
            "DatabaseName": DATABASE,
            "MasterUsername": USER,
            "MasterUserPassword": PASSWORD,
            "ServerlessV2ScalingConfiguration": SCALING,
            "StorageEncrypted": True,
            "KmsKeyId": key(aws, region),
            **more,
        }
    )["DBCluster"]
    member(aws, name, region)
    run(aws, place(aws, name, region), "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    return str(made["DBClusterArn"])


def secondary(aws: Emulator, name: str, of: str, region: str = DUBLIN, *, instance: bool = True, **more: Any) -> str:
    made = aws.client("rds", region).create_db_cluster(
        **{
            "DBClusterIdentifier": name,
            **ENGINE,
            "GlobalClusterIdentifier": of,
            "ServerlessV2ScalingConfiguration": SCALING,
            "KmsKeyId": key(aws, region),
            **more,
        }
    )
    if instance:
        member(aws, name, region)
    return str(made["DBCluster"]["DBClusterArn"])


def member(aws: Emulator, cluster: str, region: str) -> None:
    aws.client("rds", region).create_db_instance(
        DBInstanceIdentifier=f"{cluster}-1", DBClusterIdentifier=cluster, DBInstanceClass="db.serverless", Engine=ENGINE["Engine"]
    )


def described(aws: Emulator, name: str, region: str) -> dict[str, Any]:
    return dict(aws.client("rds", region).describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0])


def place(aws: Emulator, name: str, region: str) -> dict[str, Any]:
    """Where a cluster is reached whatever its role is."""
    found = described(aws, name, region)
    return {"Address": found["ReaderEndpoint"], "Port": found["Port"]}


def world(aws: Emulator, name: str = GLOBAL, region: str = DUBLIN) -> dict[str, Any]:
    found = aws.client("rds", region).describe_global_clusters(GlobalClusterIdentifier=name)
    return dict(found["GlobalClusters"][0])


def roles(aws: Emulator, name: str = GLOBAL) -> dict[str, tuple[bool, str]]:
    members = world(aws, name)["GlobalClusterMembers"]
    return {one["DBClusterArn"]: (one["IsWriter"], one["SynchronizationStatus"]) for one in members}


def rows(aws: Emulator, where: dict[str, Any]) -> Any:
    return [row[0] for row in run(aws, where, "SELECT n FROM kept ORDER BY n")]


def take_apart(aws: Emulator, name: str, *clusters: tuple[str, str]) -> None:
    """Removes members, the writer last, deletes the global cluster, and all clusters with their instances."""
    aws.settle()
    rds = aws.client("rds", LONDON)
    for one in sorted(world(aws, name)["GlobalClusterMembers"], key=lambda one: one["IsWriter"]):
        rds.remove_from_global_cluster(GlobalClusterIdentifier=name, DbClusterIdentifier=one["DBClusterArn"])
    rds.delete_global_cluster(GlobalClusterIdentifier=name)
    for cluster, region in clusters:
        found = described(aws, cluster, region)
        for instance in found["DBClusterMembers"]:
            aws.client("rds", region).delete_db_instance(
                DBInstanceIdentifier=instance["DBInstanceIdentifier"], SkipFinalSnapshot=True
            )
        aws.client("rds", region).delete_db_cluster(DBClusterIdentifier=cluster, SkipFinalSnapshot=True)


def switch(aws: Emulator, target: str, *, region: str, lossy: bool = False, name: str = GLOBAL) -> dict[str, Any]:
    rds = aws.client("rds", region)
    asked = {"GlobalClusterIdentifier": name, "TargetDbClusterIdentifier": target}
    answer = rds.failover_global_cluster(**asked, AllowDataLoss=True) if lossy else rds.switchover_global_cluster(**asked)
    return dict(answer["GlobalCluster"])
