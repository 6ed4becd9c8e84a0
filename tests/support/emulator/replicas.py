"""A database with read replicas in two regions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from emulator import Emulator
from tests.support.emulator.databases import DATABASE, PASSWORD, USER, key, run

HERE, THERE = "ap-southeast-1", "ap-southeast-2"
SOURCE = f"arn:aws:rds:{HERE}:123456789012:db:agency"


def create(aws: Emulator, name: str, region: str = HERE, **more: Any) -> dict[str, Any]:
    rds = aws.client("rds", region)
    made = rds.create_db_instance(
        **{
            "DBInstanceIdentifier": name,
            "DBName": DATABASE,
            "Engine": "postgres",
            "EngineVersion": "15.10",
            "DBInstanceClass": "db.r6g.large",
            "MasterUsername": USER,
            "MasterUserPassword": PASSWORD,
            "AllocatedStorage": 20,
            "BackupRetentionPeriod": 7,
            "StorageEncrypted": True,
            "KmsKeyId": key(aws, region),
            **more,
        }
    )["DBInstance"]
    run(aws, made["Endpoint"], "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    return dict(made)


def follow(aws: Emulator, name: str, source: str = SOURCE, region: str = THERE, **more: Any) -> dict[str, Any]:
    more = {"KmsKeyId": key(aws, region), **more} if source.startswith("arn:") else more
    made = aws.client("rds", region).create_db_instance_read_replica(
        DBInstanceIdentifier=name, SourceDBInstanceIdentifier=source, **more
    )
    return dict(made["DBInstance"])


def described(aws: Emulator, name: str, region: str = THERE) -> dict[str, Any]:
    return dict(aws.client("rds", region).describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0])


def delete(aws: Emulator, name: str, region: str = THERE) -> None:
    aws.client("rds", region).delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def count(aws: Emulator, instance: dict[str, Any]) -> Any:
    return run(aws, instance["Endpoint"], "SELECT count(*) FROM kept")[0][0]


def lag(aws: Emulator, region: str, metric: str, **dimensions: str) -> list[float]:
    aws.measure_lag()
    now = datetime.now(UTC)
    points = aws.client("cloudwatch", region).get_metric_statistics(
        Namespace="AWS/RDS",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Minimum"],
    )["Datapoints"]
    return [point["Minimum"] for point in points]
