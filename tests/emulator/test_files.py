"""A function with a file system really reads and writes there, when its role may and its network reaches it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator
from tests.support.emulator import samples, stacks
from tests.support.emulator.file_systems import function, invoke, role

STACK = "with-files"
MOUNT = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]


def template() -> dict[str, Any]:
    """The network and files of the sample, a function that may use them, and one that may not."""
    names = ("Key", "Vpc", "SubnetA", "SubnetB", "OtherGroup", "TargetA", "AccessPoint")
    resources = samples.chosen(*names)
    resources["TargetA"]["Properties"]["SecurityGroups"] = [samples.ref("OtherGroup")]
    through = {
        "StringEquals": {"elasticfilesystem:AccessPointArn": samples.att("AccessPoint", "Arn")},
        "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
    }
    resources["Files"] = {"Type": "AWS::EFS::FileSystem", "Properties": {"Encrypted": True}}
    allowed = {"Effect": "Allow", "Action": MOUNT, "Resource": samples.att("Files", "Arn"), "Condition": through}
    resources["Role"] = role(allowed)
    resources["Stranger"] = role()
    resources["Function"] = function("with-files")
    resources["Strange"] = function("without-permission", "Stranger")
    return {"Resources": resources}


@pytest.fixture(scope="module")
def ids(aws: Emulator) -> Iterator[dict[str, str]]:
    stack = stacks.deploy(aws, STACK, template())
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
    found = stacks.physical(aws, STACK)
    yield found
    assert stacks.delete(aws, STACK) == "DELETE_COMPLETE", stacks.failures(aws, STACK)
    assert not aws.files(found["Files"]).exists()


def test_what_a_function_writes_below_its_mount_path_is_in_the_directory_of_the_access_point(
    aws: Emulator, ids: dict[str, str]
) -> None:
    answer = invoke(aws, "with-files", file="a", write="first")
    assert answer == {"found": ["a"], "text": "first", "other": "/mnt/archives"}
    assert (aws.files(ids["Files"]) / "logs" / "segments" / "a").read_text() == "first"


@pytest.mark.usefixtures("ids")
def test_what_is_there_outlives_the_process_and_a_new_configuration(aws: Emulator) -> None:
    invoke(aws, "with-files", file="b", write="second")
    client = aws.client("lambda")
    client.update_function_configuration(FunctionName="with-files", MemorySize=256)
    client.get_waiter("function_updated_v2").wait(FunctionName="with-files")
    assert invoke(aws, "with-files", file="b")["text"] == "second"


def test_mounting_is_on_record_with_the_file_system(aws: Emulator, ids: dict[str, str]) -> None:
    aws.client("lambda").update_function_configuration(FunctionName="with-files", MemorySize=512)
    aws.forget_calls()
    invoke(aws, "with-files", file="c", write="")
    arn = f"arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/{ids['Files']}"
    assert [(call.action, call.resource, call.role, call.allowed) for call in aws.calls()] == [
        (action, arn, ids["Role"], True) for action in MOUNT
    ]


@pytest.mark.usefixtures("ids")
def test_a_role_without_the_permission_cannot_mount(aws: Emulator) -> None:
    answer = invoke(aws, "without-permission", file="a")
    assert answer["errorType"] == "EFSMountFailureException"
    assert "elasticfilesystem:ClientMount" in answer["errorMessage"]


def test_a_policy_of_the_file_system_can_name_the_role_and_refuse_every_other(aws: Emulator, ids: dict[str, str]) -> None:
    efs, client = aws.client("efs"), aws.client("lambda")
    for name, mounts in ((ids["Role"], True), ("another", False)):
        condition = {"ArnNotEquals": {"aws:PrincipalArn": f"arn:aws:iam::123456789012:role/{name}"}}
        statement = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": MOUNT, "Condition": condition}
        efs.put_file_system_policy(
            FileSystemId=ids["Files"], Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )
        client.update_function_configuration(FunctionName="with-files", Description=name, Timeout=20 + len(name))
        assert ("errorType" not in invoke(aws, "with-files", file="d", write="")) is mounts
    efs.delete_file_system_policy(FileSystemId=ids["Files"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"VpcConfig": {}}, "in a VPC"),
        ({"FileSystemConfigs": [{"Arn": "arn:aws:elasticfilesystem:us-east-1:1:access-point/fsap-0"}]}, "does not exist"),
        ({"FileSystemConfigs": [{"LocalMountPath": "/var/archive"}]}, "does not begin with /mnt/"),
        ({"VpcConfig": {"SubnetIds": ["{SubnetB}"]}}, "no mount target in the zone"),
    ],
)
def test_a_function_that_could_not_mount_is_refused(
    aws: Emulator, ids: dict[str, str], changes: dict[str, Any], message: str
) -> None:
    client = aws.client("lambda")
    found = client.get_function_configuration(FunctionName="with-files")
    wanted: dict[str, Any] = {
        "VpcConfig": {"SubnetIds": [ids["SubnetA"]], "SecurityGroupIds": [ids["OtherGroup"]]},
        "FileSystemConfigs": [dict(found["FileSystemConfigs"][0])],
    }
    for name, value in changes.items():
        if name == "FileSystemConfigs":
            wanted[name] = [{**wanted[name][0], **value[0]}]
        else:
            wanted[name] = {key: [ids[one[1:-1]] for one in names] for key, names in value.items()}
    with pytest.raises(ClientError) as refused:
        client.create_function(
            FunctionName="refused",
            Runtime="python3.13",
            Handler="index.handler",
            Role=found["Role"],
            Code={"ZipFile": b"x"},
            **wanted,
        )
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert message in refused.value.response["Error"]["Message"]


def test_a_subnet_with_a_mount_target_and_its_group_are_in_use(aws: Emulator, ids: dict[str, str]) -> None:
    ec2 = aws.client("ec2")
    for call in (
        lambda: ec2.delete_subnet(SubnetId=ids["SubnetA"]),
        lambda: ec2.delete_security_group(GroupId=ids["OtherGroup"]),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "DependencyViolation"
