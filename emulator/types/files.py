"""EFS: file systems, mount targets, access points."""

from __future__ import annotations

import json
from typing import Any

from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs, retag

CREATED = ("AvailabilityZoneName", "Encrypted", "KmsKeyId", "PerformanceMode", "ProvisionedThroughputInMibps", "ThroughputMode")
DEFAULT_THROUGHPUT = "bursting"


def _create(aws: Aws, p: Properties) -> str:
    tags = listed(pairs(p.get("FileSystemTags"))) or None
    made = aws.send("efs", "create_file_system", {**{name: p.get(name) for name in CREATED}, "Tags": tags})
    _settings(aws, made["FileSystemId"], {}, p)
    _replicate(aws, made["FileSystemId"], {}, p)
    return str(made["FileSystemId"])


def _settings(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    """What has calls of its own, at first and with every change; what a template takes away goes back to where it began."""
    efs, none = aws.client("efs"), {"Status": "DISABLED"}
    if changed(old, new, "BackupPolicy"):
        efs.put_backup_policy(FileSystemId=ref, BackupPolicy=new.get("BackupPolicy", none))
    if changed(old, new, "LifecyclePolicies"):
        efs.put_lifecycle_configuration(FileSystemId=ref, LifecyclePolicies=new.get("LifecyclePolicies", []))
    if changed(old, new, "FileSystemProtection"):
        aws.send("efs", "update_file_system_protection", {"FileSystemId": ref, **new.get("FileSystemProtection", PROTECTED)})
    if changed(old, new, "FileSystemPolicy"):
        if "FileSystemPolicy" in new:
            bypass = new.get("BypassPolicyLockoutSafetyCheck")
            policy = {"Policy": new["FileSystemPolicy"], "BypassPolicyLockoutSafetyCheck": bypass}
            aws.send("efs", "put_file_system_policy", {"FileSystemId": ref, **policy})
        else:
            efs.delete_file_system_policy(FileSystemId=ref)


PROTECTED = {"ReplicationOverwriteProtection": "ENABLED"}


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "ThroughputMode", "ProvisionedThroughputInMibps"):
        mode = new.get("ThroughputMode", DEFAULT_THROUGHPUT)
        provisioned = new.get("ProvisionedThroughputInMibps")
        kept = {"FileSystemId": ref, "ThroughputMode": mode, "ProvisionedThroughputInMibps": provisioned}
        aws.send("efs", "update_file_system", kept)
    _settings(aws, ref, old, new)
    _replicate(aws, ref, old, new)
    _retag(aws, ref, old, new, "FileSystemTags")


def _replicate(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if not changed(old, new, "ReplicationConfiguration"):
        return
    if old.get("ReplicationConfiguration"):
        aws.client("efs").delete_replication_configuration(SourceFileSystemId=ref)
    if new.get("ReplicationConfiguration"):
        aws.send("efs", "create_replication_configuration", {"SourceFileSystemId": ref, **new["ReplicationConfiguration"]})


def _retag(aws: Aws, ref: str, old: Properties, new: Properties, name: str) -> None:
    efs = aws.client("efs")
    retag(
        {"Tags": old.get(name)},
        {"Tags": new.get(name)},
        add=lambda tags: efs.tag_resource(ResourceId=ref, Tags=listed(tags)),
        remove=lambda names: efs.untag_resource(ResourceId=ref, TagKeys=names),
    )


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    from botocore.exceptions import ClientError

    efs, (ref,) = aws.client("efs"), identifier
    found = efs.describe_file_systems(FileSystemId=ref)["FileSystems"][0]
    try:
        policy = json.loads(efs.describe_file_system_policy(FileSystemId=ref)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "PolicyNotFound":
            raise
        policy = None
    return {
        **found,
        "Arn": found["FileSystemArn"],
        "KmsKeyId": found.get("KmsKeyId") or None,
        "BackupPolicy": efs.describe_backup_policy(FileSystemId=ref)["BackupPolicy"],
        "ReplicationConfiguration": _replication(efs, ref),
        "LifecyclePolicies": efs.describe_lifecycle_configuration(FileSystemId=ref)["LifecyclePolicies"],
        "FileSystemPolicy": policy,
        "FileSystemTags": listed(pairs(found["Tags"])),
    }


def _delete(aws: Aws, ref: str, _: Properties) -> None:
    """CloudFormation ends the replication of a source that it deletes."""
    efs = aws.client("efs")
    if _replication(efs, ref) is not None:
        efs.delete_replication_configuration(SourceFileSystemId=ref)
    efs.delete_file_system(FileSystemId=ref)


def _replication(efs: Any, ref: str) -> Properties | None:
    """Where the file system replicates to; nothing of one that is a destination itself."""
    from botocore.exceptions import ClientError

    try:
        found = efs.describe_replication_configurations(FileSystemId=ref)["Replications"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ReplicationNotFound":
            raise
        return None
    return {"Destinations": found["Destinations"]} if found["SourceFileSystemId"] == ref else None


def _mount_target(aws: Aws, p: Properties) -> str:
    return str(aws.send("efs", "create_mount_target", p)["MountTargetId"])


def _change_mount_target(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "SecurityGroups"):
        aws.client("efs").modify_mount_target_security_groups(MountTargetId=ref, SecurityGroups=new["SecurityGroups"])


def _read_mount_target(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    efs, (ref,) = aws.client("efs"), identifier
    found = efs.describe_mount_targets(MountTargetId=ref)["MountTargets"][0]
    groups = efs.describe_mount_target_security_groups(MountTargetId=ref)["SecurityGroups"]
    return {**found, "Id": ref, "SecurityGroups": groups}


def _access_point(aws: Aws, p: Properties) -> str:
    kept = {name: p.get(name) for name in ("ClientToken", "FileSystemId", "PosixUser", "RootDirectory")}
    tags = listed(pairs(p.get("AccessPointTags"))) or None
    return str(aws.send("efs", "create_access_point", {**kept, "Tags": tags})["AccessPointId"])


def _read_access_point(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("efs").describe_access_points(AccessPointId=identifier[0])["AccessPoints"]
    if not found:
        raise NotFoundError(identifier[0])
    one = found[0]
    return {
        **one,
        "Arn": one["AccessPointArn"],
        "PosixUser": one.get("PosixUser") or None,
        "AccessPointTags": listed(pairs(one["Tags"])),
    }


RESOURCES = (
    Resource(
        "AWS::EFS::FileSystem",
        _create,
        _delete,
        _read,
        _update,
    ),
    Resource(
        "AWS::EFS::MountTarget",
        _mount_target,
        lambda aws, ref, _: aws.client("efs").delete_mount_target(MountTargetId=ref),
        _read_mount_target,
        _change_mount_target,
    ),
    Resource(
        "AWS::EFS::AccessPoint",
        _access_point,
        lambda aws, ref, _: aws.client("efs").delete_access_point(AccessPointId=ref),
        _read_access_point,
        lambda aws, ref, old, new: _retag(aws, ref, old, new, "AccessPointTags"),
    ),
)
