"""A file system that replicates really has its files in the other region, where only EFS writes until the replication ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator
from tests.support.emulator import samples, stacks
from tests.support.emulator.callers import code
from tests.support.emulator.file_systems import HERE, THERE, file_system, function, invoke, protection, replicate, role, write


@pytest.fixture
def pair(aws: Emulator) -> Iterator[tuple[str, str]]:
    """A source and its destination in the other region; both are deleted afterwards."""
    source, target = file_system(aws, HERE), file_system(aws, THERE, protected=False)
    write(aws, source, "first", "1")
    write(aws, target, "of the destination", "0")
    replicate(aws, source, target)
    yield source, target
    for region in (HERE, THERE):
        efs = aws.client("efs", region)
        for one in efs.describe_replication_configurations()["Replications"]:
            efs.delete_replication_configuration(SourceFileSystemId=one["SourceFileSystemId"])
    for region, ref in ((HERE, source), (THERE, target)):
        aws.client("efs", region).delete_file_system(FileSystemId=ref)


def found(aws: Emulator, ref: str) -> dict[str, str]:
    return {one.name: one.read_text() for one in aws.files(ref).iterdir()}


def described(aws: Emulator, region: str, ref: str) -> dict[str, Any]:
    one: dict[str, Any] = aws.client("efs", region).describe_replication_configurations(FileSystemId=ref)["Replications"][0]
    return one


def test_the_first_copy_replaces_what_the_destination_held(aws: Emulator, pair: tuple[str, str]) -> None:
    assert found(aws, pair[1]) == {"first": "1"}


def test_what_changes_arrives_with_the_next_copy_and_its_time_says_so(aws: Emulator, pair: tuple[str, str]) -> None:
    source, target = pair
    write(aws, source, "second", "2")
    (aws.files(source) / "first").unlink()
    assert found(aws, target) == {"first": "1"}
    before = described(aws, THERE, target)["Destinations"][0]["LastReplicatedTimestamp"]
    assert target in aws.replicate_files()
    assert found(aws, target) == {"second": "2"}
    assert described(aws, THERE, target)["Destinations"][0]["LastReplicatedTimestamp"] >= before


def test_both_regions_describe_the_replication(aws: Emulator, pair: tuple[str, str]) -> None:
    source, target = pair
    assert described(aws, HERE, source) == described(aws, THERE, target)
    one = described(aws, THERE, target)
    assert (one["SourceFileSystemId"], one["SourceFileSystemRegion"]) == (source, HERE)
    assert (one["Destinations"][0]["Region"], one["Destinations"][0]["Status"]) == (THERE, "ENABLED")
    assert aws.client("efs", "eu-west-2").describe_replication_configurations()["Replications"] == []
    missing = code(aws.client("efs", HERE).describe_replication_configurations, FileSystemId=target)
    assert missing == "FileSystemNotFound"
    alone = file_system(aws, HERE)
    assert code(aws.client("efs", HERE).describe_replication_configurations, FileSystemId=alone) == "ReplicationNotFound"
    aws.client("efs", HERE).delete_file_system(FileSystemId=alone)


def test_while_it_replicates_neither_side_is_deleted_and_the_protection_stays(aws: Emulator, pair: tuple[str, str]) -> None:
    source, target = pair
    assert protection(aws, THERE, target) == "REPLICATING"
    assert code(aws.client("efs", HERE).delete_file_system, FileSystemId=source) == "FileSystemInUse"
    assert code(aws.client("efs", THERE).delete_file_system, FileSystemId=target) == "FileSystemInUse"
    update = aws.client("efs", THERE).update_file_system_protection
    assert code(update, FileSystemId=target, ReplicationOverwriteProtection="DISABLED") == "ReplicationAlreadyExists"


def test_a_protected_destination_or_one_without_encryption_is_refused(aws: Emulator) -> None:
    source = file_system(aws, HERE)
    for target, refusal in (
        (file_system(aws, THERE), "BadRequest"),
        (file_system(aws, THERE, protected=False, encrypted=False), "ConflictException"),
    ):
        with pytest.raises(ClientError) as refused:
            replicate(aws, source, target)
        assert refused.value.response["Error"]["Code"] == refusal
        aws.client("efs", THERE).delete_file_system(FileSystemId=target)
    aws.client("efs", HERE).delete_file_system(FileSystemId=source)


@pytest.mark.parametrize("region", [HERE, THERE])
def test_either_region_ends_the_replication_for_both(aws: Emulator, pair: tuple[str, str], region: str) -> None:
    source, target = pair
    efs = aws.client("efs", region)
    efs.delete_replication_configuration(SourceFileSystemId=source)
    assert protection(aws, THERE, target) == "ENABLED"
    for place in (HERE, THERE):
        assert aws.client("efs", place).describe_replication_configurations()["Replications"] == []
    assert code(efs.delete_replication_configuration, SourceFileSystemId=source) == "ReplicationNotFound"


def test_one_that_the_destination_ended_alone_is_broken_at_the_source(aws: Emulator, pair: tuple[str, str]) -> None:
    source, target = pair
    aws.client("efs", THERE).delete_replication_configuration(SourceFileSystemId=source, DeletionMode="LOCAL_CONFIGURATION_ONLY")
    assert protection(aws, THERE, target) == "ENABLED"
    assert aws.client("efs", THERE).describe_replication_configurations()["Replications"] == []
    assert described(aws, HERE, source)["Destinations"][0]["Status"] == "ERROR"
    write(aws, source, "later", "3")
    assert target not in aws.replicate_files()
    assert "later" not in found(aws, target)
    assert code(aws.client("efs", HERE).delete_file_system, FileSystemId=source) == "FileSystemInUse"
    # Back again: the old source becomes the destination, once its own side is gone too.
    aws.client("efs", HERE).delete_replication_configuration(SourceFileSystemId=source, DeletionMode="LOCAL_CONFIGURATION_ONLY")
    aws.client("efs", HERE).update_file_system_protection(FileSystemId=source, ReplicationOverwriteProtection="DISABLED")
    back = [{"FileSystemId": source, "Region": HERE}]
    aws.client("efs", THERE).create_replication_configuration(SourceFileSystemId=target, Destinations=back)
    assert found(aws, source) == {"first": "1"}


def test_local_only_is_refused_within_one_region(aws: Emulator) -> None:
    source, target = file_system(aws, HERE), file_system(aws, HERE, protected=False)
    efs = aws.client("efs", HERE)
    efs.create_replication_configuration(SourceFileSystemId=source, Destinations=[{"FileSystemId": target, "Region": HERE}])
    refused = code(efs.delete_replication_configuration, SourceFileSystemId=source, DeletionMode="LOCAL_CONFIGURATION_ONLY")
    assert refused == "BadRequest"
    efs.delete_replication_configuration(SourceFileSystemId=source)
    for ref in (source, target):
        efs.delete_file_system(FileSystemId=ref)


def template() -> dict[str, Any]:
    """A function with the files of the sample's network, and an access point to them."""
    resources = samples.chosen("Vpc", "SubnetA", "OtherGroup", "TargetA", "AccessPoint")
    resources["TargetA"]["Properties"]["SecurityGroups"] = [samples.ref("OtherGroup")]
    protection = {"FileSystemProtection": {"ReplicationOverwriteProtection": "DISABLED"}}
    resources["Files"] = {"Type": "AWS::EFS::FileSystem", "Properties": {"Encrypted": True, **protection}}
    mount = {"Effect": "Allow", "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], "Resource": "*"}
    resources["Role"] = role(mount)
    resources["Function"] = function("reads-a-replica")
    return {"Resources": resources}


def test_a_function_only_reads_at_the_destination_until_the_replication_ends(aws: Emulator) -> None:
    stack = stacks.deploy(aws, "replica", template())
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    target, source = stacks.physical(aws, "replica")["Files"], file_system(aws, THERE)
    efs = aws.client("efs", THERE)
    (aws.files(source) / "logs" / "segments").mkdir(parents=True)
    (aws.files(source) / "logs" / "segments" / "a").write_text("of the source")
    efs.create_replication_configuration(SourceFileSystemId=source, Destinations=[{"FileSystemId": target, "Region": HERE}])
    assert invoke(aws, "reads-a-replica", file="a")["text"] == "of the source"
    refused = invoke(aws, "reads-a-replica", file="b", write="mine")
    assert "Read-only file system" in refused["errorMessage"]
    assert not (aws.files(target) / "logs" / "segments" / "b").exists()
    efs.delete_replication_configuration(SourceFileSystemId=source)
    assert invoke(aws, "reads-a-replica", file="b", write="mine")["text"] == "mine"
    efs.delete_file_system(FileSystemId=source)
    assert stacks.delete(aws, "replica") == "DELETE_COMPLETE", stacks.failures(aws, "replica")


def test_a_stack_replicates_what_it_says_and_reads_it_back(aws: Emulator) -> None:
    target = file_system(aws, THERE, protected=False)
    destination = {"FileSystemId": target, "Region": THERE}
    properties = {"Encrypted": True, "ReplicationConfiguration": {"Destinations": [destination]}}
    body = {"Resources": {"Files": {"Type": "AWS::EFS::FileSystem", "Properties": properties}}}
    stack = stacks.deploy(aws, "replicating", body)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    source = stacks.physical(aws, "replicating")["Files"]
    read = stacks.get(aws, "AWS::EFS::FileSystem", source)["ReplicationConfiguration"]
    assert stacks.differences(properties["ReplicationConfiguration"], read) == []
    there = json.loads(
        aws.client("cloudcontrol", THERE).get_resource(TypeName="AWS::EFS::FileSystem", Identifier=target)["ResourceDescription"][
            "Properties"
        ]
    )
    assert there["FileSystemProtection"] == {"ReplicationOverwriteProtection": "REPLICATING"}
    assert "ReplicationConfiguration" not in there
    del properties["ReplicationConfiguration"]
    properties["BackupPolicy"] = {"Status": "DISABLED"}
    assert stacks.deploy(aws, "replicating", body)["StackStatus"] == "UPDATE_COMPLETE"
    assert protection(aws, THERE, target) == "ENABLED"
    assert stacks.delete(aws, "replicating") == "DELETE_COMPLETE"
    aws.client("efs", THERE).delete_file_system(FileSystemId=target)
