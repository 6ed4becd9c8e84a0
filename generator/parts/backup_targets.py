"""What AWS Backup keeps recovery points of: where it stands, under which key, and what the roles may do with it.

The statements hold what AWS's managed policies AWSBackupServiceRolePolicyForBackup and -ForRestores hold for a type, narrowed to
the resource, to the snapshots that AWS Backup names, and to the names that a restore may give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from awacs import dynamodb, elasticfilesystem, kms, rds
from awacs.aws import Statement, StringLike
from troposphere import Ref, Sub

from generator.parts import policies
from generator.template import Explained, Template

REHEARSED = "awsbackup-restore-test-"
"""What the names of restored resources begin with, as AWS Backup's restore testing makes them."""

COPIED = "In any region: a copy is made in the region of its vault."


@dataclass(frozen=True)
class Protected:
    """A resource that is backed up: the addresses of its ARN and of its key, and its ``type`` in AWS Backup's words.

    ``overrides`` are what a restore is told, where its own guess would be wrong.
    """

    address: str
    key: str
    type: str
    kind: str
    backs_up: Callable[[Template, Protected], list[Statement]]
    restores: Callable[[Template, Protected], list[Statement]]
    overrides: Callable[[Template, Protected], dict[str, Any]]

    @property
    def layer(self) -> str:
        """The layer that offers it."""
        return self.address.split(".")[0]

    def arn(self, t: Template) -> Ref:
        """Its ARN."""
        return t.output_of(self.address)

    def key_arn(self, t: Template) -> Ref:
        """The key that it, its recovery points in its own service and what is restored of it are encrypted with."""
        return t.output_of(self.key)


def _arn(service: str, rest: str, region: str = "${AWS::Region}") -> Sub:
    return Sub("arn:${AWS::Partition}:" + service + ":" + region + ":${AWS::AccountId}:" + rest)


def _under_key(t: Template, one: Protected, service: str) -> Statement:
    return policies.allow(
        f"Restore{one.type}UnderItsKey",
        [
            kms.Decrypt,
            kms.Encrypt,
            kms.GenerateDataKey,
            kms.GenerateDataKeyWithoutPlaintext,
            kms.ReEncryptFrom,
            kms.ReEncryptTo,
        ],
        [one.key_arn(t)],
        _through(service),
    )


def _through(service: str) -> StringLike:
    return StringLike("kms:ViaService", Sub(service + ".${AWS::Region}.amazonaws.com"))


def _database_groups(t: Template, one: Protected) -> dict[str, Any]:
    """Without them AWS Backup restores into the default VPC, and fails where there is none."""
    group = t.output_of("network.DatabaseGroupId", "AWS::EC2::SecurityGroup::Id")
    return {
        "dbSubnetGroupName": t.output_of(f"{one.layer}.SubnetGroupName"),
        "vpcSecurityGroupIds": Sub('["${Group}"]', Group=group),
    }


def _cluster_overrides(t: Template, one: Protected) -> dict[str, Any]:
    return {"dbClusterParameterGroupName": t.output_of(f"{one.layer}.ParameterGroupName"), **_database_groups(t, one)}


def _backs_up_cluster(t: Template, one: Protected) -> list[Statement]:
    return [
        policies.allow(
            "BackUpTheCluster",
            [rds.AddTagsToResource, rds.CreateDBClusterSnapshot, rds.ListTagsForResource, rds.ModifyDBCluster],
            [one.arn(t)],
        ),
        policies.allow(
            "KeepItsSnapshots",
            [
                rds.AddTagsToResource,
                rds.CopyDBClusterSnapshot,
                rds.CreateDBClusterSnapshot,
                rds.DeleteDBClusterSnapshot,
                rds.ListTagsForResource,
                rds.ModifyDBClusterSnapshotAttribute,
            ],
            [Explained(_arn("rds", "cluster-snapshot:awsbackup:*", "*"), COPIED)],
        ),
        policies.allow("KeepItsContinuousBackup", [rds.DeleteDBClusterAutomatedBackup], [_arn("rds", "cluster-auto-backup:*")]),
        _looks_for_clusters(),
    ]


def _looks_for_clusters() -> Statement:
    return policies.allow(
        "LookForClustersAndTheirBackups",
        [
            rds.DescribeDBClusterAutomatedBackups,
            rds.DescribeDBClusterSnapshots,
            rds.DescribeDBClusters,
            rds.ListTagsForResource,
        ],
        [_arn("rds", f"{kind}:*", "*") for kind in ("cluster", "cluster-snapshot", "cluster-auto-backup")],
    )


def _restores_cluster(t: Template, one: Protected) -> list[Statement]:
    restore = [rds.RestoreDBClusterFromSnapshot, rds.RestoreDBClusterToPointInTime]
    return [
        policies.allow(
            "RestoreTheClusterBesideTheOldOne",
            [rds.AddTagsToResource, rds.DeleteDBCluster, *restore],
            [_arn("rds", f"cluster:{REHEARSED}*"), _arn("rds", "cluster:" + t.name(f"restored-{one.kind}"))],
        ),
        policies.allow(
            "FromItsBackupsAndWithItsGroups",
            restore,
            [
                one.arn(t),
                _arn("rds", "cluster-snapshot:awsbackup:*"),
                _arn("rds", "cluster-auto-backup:*"),
                Sub(_account("rds", "cluster-pg:${Group}"), Group=t.output_of(f"{one.layer}.ParameterGroupName")),
                _arn("rds", "og:default:*"),
                Sub(_account("rds", "subgrp:${Group}"), Group=t.output_of(f"{one.layer}.SubnetGroupName")),
            ],
        ),
        _looks_for_clusters(),
        _under_key(t, one, "rds"),
    ]


def _account(service: str, rest: str) -> str:
    return "arn:${AWS::Partition}:" + service + ":${AWS::Region}:${AWS::AccountId}:" + rest


def _backs_up_instance(t: Template, one: Protected) -> list[Statement]:
    return [
        policies.allow(
            "BackUpTheInstance",
            [rds.AddTagsToResource, rds.CreateDBSnapshot, rds.ListTagsForResource, rds.ModifyDBInstance],
            [one.arn(t)],
        ),
        policies.allow(
            "KeepItsSnapshots",
            [
                rds.AddTagsToResource,
                rds.CopyDBSnapshot,
                rds.CreateDBSnapshot,
                rds.DeleteDBSnapshot,
                rds.ListTagsForResource,
                rds.ModifyDBSnapshotAttribute,
            ],
            [Explained(_arn("rds", "snapshot:awsbackup:*", "*"), COPIED)],
        ),
        policies.allow("KeepItsContinuousBackup", [rds.DeleteDBInstanceAutomatedBackup], [_arn("rds", "auto-backup:*")]),
        _looks_for_instances(),
    ]


def _looks_for_instances() -> Statement:
    return policies.allow(
        "LookForInstancesAndTheirBackups",
        [rds.DescribeDBInstanceAutomatedBackups, rds.DescribeDBInstances, rds.DescribeDBSnapshots, rds.ListTagsForResource],
        [_arn("rds", f"{kind}:*", "*") for kind in ("db", "snapshot", "auto-backup")],
    )


def _restores_instance(t: Template, one: Protected) -> list[Statement]:
    restore = [rds.RestoreDBInstanceFromDBSnapshot, rds.RestoreDBInstanceToPointInTime]
    return [
        policies.allow(
            "RestoreTheInstanceBesideTheOldOne",
            [rds.AddTagsToResource, rds.DeleteDBInstance, *restore],
            [_arn("rds", f"db:{REHEARSED}*"), _arn("rds", "db:" + t.name(f"restored-{one.kind}"))],
        ),
        policies.allow(
            "FromItsBackupsAndWithItsGroups",
            restore,
            [
                one.arn(t),
                _arn("rds", "snapshot:awsbackup:*"),
                _arn("rds", "auto-backup:*"),
                _arn("rds", "og:default:*"),
                Explained(_arn("rds", "pg:*"), "The parameter group that the recovery point names, or the family's own."),
                Sub(_account("rds", "subgrp:${Group}"), Group=t.output_of(f"{one.layer}.SubnetGroupName")),
            ],
        ),
        _looks_for_instances(),
        _under_key(t, one, "rds"),
    ]


def _backs_up_files(t: Template, one: Protected) -> list[Statement]:
    return [
        policies.allow("BackUpTheFileSystem", [elasticfilesystem.Backup, elasticfilesystem.DescribeTags], [one.arn(t)]),
    ]


def _restores_files(t: Template, one: Protected) -> list[Statement]:
    return [
        policies.allow(
            "RestoreIntoANewFileSystemWhoseIdIsNotKnownBefore",
            [
                elasticfilesystem.CreateFileSystem,
                elasticfilesystem.DeleteFileSystem,
                elasticfilesystem.DescribeFileSystems,
                elasticfilesystem.Restore,
                elasticfilesystem.TagResource,
            ],
            [_arn("elasticfilesystem", "file-system/*")],
        ),
        _under_key(t, one, "elasticfilesystem"),
    ]


def _files_overrides(t: Template, one: Protected) -> dict[str, Any]:
    """Without it EFS restores under the AWS-managed key."""
    return {"kmsKeyId": one.key_arn(t)}


def _backs_up_table(t: Template, one: Protected) -> list[Statement]:
    return [
        policies.allow(
            "BackUpTheTable",
            [dynamodb.CreateBackup, dynamodb.DescribeTable, dynamodb.ListTagsOfResource, dynamodb.StartAwsBackupJob],
            [one.arn(t)],
        ),
        policies.allow(
            "KeepItsBackups", [dynamodb.DeleteBackup, dynamodb.DescribeBackup], [Sub("${Table}/backup/*", Table=one.arn(t))]
        ),
        policies.allow(
            "ReadTheTableUnderItsKey",
            [kms.Decrypt, kms.GenerateDataKey],
            [one.key_arn(t)],
            _through("dynamodb"),
        ),
    ]


def _restores_table(t: Template, one: Protected) -> list[Statement]:
    return [
        policies.allow(
            "RestoreTheTableBesideTheOldOne",
            [
                dynamodb.BatchWriteItem,
                dynamodb.DeleteItem,
                dynamodb.DescribeTable,
                dynamodb.GetItem,
                dynamodb.PutItem,
                dynamodb.Query,
                dynamodb.RestoreTableFromAwsBackup,
                dynamodb.RestoreTableFromBackup,
                dynamodb.Scan,
                dynamodb.UpdateItem,
            ],
            [_arn("dynamodb", f"table/{REHEARSED}*"), _arn("dynamodb", "table/" + t.name(f"restored-{one.kind}"))],
        ),
        policies.allow(
            "FromItsBackups",
            [dynamodb.DescribeBackup, dynamodb.RestoreTableFromBackup],
            [Sub("${Table}/backup/*", Table=one.arn(t))],
        ),
        _under_key(t, one, "dynamodb"),
    ]


def _table_overrides(t: Template, one: Protected) -> dict[str, Any]:
    """Without them DynamoDB restores under a key of its own."""
    return {"encryptionType": "KMS", "kmsMasterKeyArn": one.key_arn(t)}


CLUSTER = Protected(
    "aurora.ClusterArn", "keys.AuroraKeyArn", "Aurora", "aurora", _backs_up_cluster, _restores_cluster, _cluster_overrides
)
INSTANCE = Protected(
    "database.InstanceArn", "keys.DatabaseKeyArn", "RDS", "rds", _backs_up_instance, _restores_instance, _database_groups
)
FILE_SYSTEM = Protected(
    "files.FileSystemArn", "keys.FilesKeyArn", "EFS", "efs", _backs_up_files, _restores_files, _files_overrides
)
TABLE = Protected("table.TableArn", "keys.TableKeyArn", "DynamoDB", "table", _backs_up_table, _restores_table, _table_overrides)
