"""File systems, their replication, and a function that writes and reads files."""

from __future__ import annotations

import json
import uuid
from typing import Any

from emulator import Emulator
from tests.support.emulator import samples

CODE = """
import os, pathlib

def handler(event, context):
    place = pathlib.Path(os.environ["ARCHIVE"])
    if "write" in event:
        place.mkdir(parents=True, exist_ok=True)
        (place / event["file"]).write_text(event["write"])
    found = sorted(one.name for one in place.iterdir())
    return {"found": found, "text": (place / event["file"]).read_text(), "other": os.environ["OTHER"]}
"""


def function(name: str, role: str = "Role") -> dict[str, Any]:
    properties = {
        "FunctionName": name,
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Code": {"ZipFile": CODE},
        "Role": samples.att(role, "Arn"),
        "Timeout": 30,
        "VpcConfig": {"SubnetIds": [samples.ref("SubnetA")], "SecurityGroupIds": [samples.ref("OtherGroup")]},
        "FileSystemConfigs": [{"Arn": samples.att("AccessPoint", "Arn"), "LocalMountPath": "/mnt/archive"}],
        "Environment": {"Variables": {"ARCHIVE": "/mnt/archive/segments", "OTHER": "/mnt/archives"}},
    }
    return {"Type": "AWS::Lambda::Function", "DependsOn": "TargetA", "Properties": properties}


def role(*statements: dict[str, Any]) -> dict[str, Any]:
    network = samples.RESOURCES["Role"][1]["Policies"][0]
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    policies = [network, *([{"PolicyName": "files", "PolicyDocument": document}] if statements else [])]
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": samples.trust("lambda"), "Policies": policies},
    }


def invoke(aws: Emulator, name: str, **event: Any) -> dict[str, Any]:
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    found: dict[str, Any] = json.load(answer["Payload"])
    return found


HERE, THERE = "us-east-1", "eu-west-1"


def file_system(aws: Emulator, region: str, *, protected: bool = True, encrypted: bool = True) -> str:
    efs = aws.client("efs", region)
    ref: str = efs.create_file_system(CreationToken=str(uuid.uuid4()), Encrypted=encrypted)["FileSystemId"]
    if not protected:
        efs.update_file_system_protection(FileSystemId=ref, ReplicationOverwriteProtection="DISABLED")
    return ref


def protection(aws: Emulator, region: str, ref: str) -> str:
    found = aws.client("efs", region).describe_file_systems(FileSystemId=ref)["FileSystems"][0]
    return str(found["FileSystemProtection"]["ReplicationOverwriteProtection"])


def replicate(aws: Emulator, source: str, target: str) -> dict[str, Any]:
    destinations = [{"FileSystemId": target, "Region": THERE}]
    made: dict[str, Any] = aws.client("efs", HERE).create_replication_configuration(
        SourceFileSystemId=source, Destinations=destinations
    )
    return made


def write(aws: Emulator, ref: str, name: str, text: str) -> None:
    aws.files(ref).mkdir(parents=True, exist_ok=True)
    (aws.files(ref) / name).write_text(text)


ROLE = "arn:aws:iam::123456789012:role/backup"


def arn(region: str, ref: str) -> str:
    return f"arn:aws:elasticfilesystem:{region}:123456789012:file-system/{ref}"
