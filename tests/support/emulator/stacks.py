"""What the tests of this folder do with stacks."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from emulator import Emulator, schemas

Properties = dict[str, Any]


def deploy(
    aws: Emulator,
    name: str,
    template: dict[str, Any],
    parameters: dict[str, str] | None = None,
    *,
    region: str = "us-east-1",
    tags: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Creates or updates the stack, and answers it as it then is, however that went."""
    cloudformation = aws.client("cloudformation", region)
    exists = any(stack["StackName"] == name for stack in cloudformation.describe_stacks()["Stacks"])
    call = cloudformation.update_stack if exists else cloudformation.create_stack
    call(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
    )
    return settled(aws, name, region)


def settled(aws: Emulator, name: str, region: str = "us-east-1") -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        stack = aws.client("cloudformation", region).describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return {**stack, "Failures": failures(aws, name, region)}
        time.sleep(0.05)
    raise AssertionError(f"{name} did not settle")


def failures(aws: Emulator, name: str, region: str = "us-east-1") -> list[str]:
    """Which resources failed and why, the first one first."""
    events = aws.client("cloudformation", region).describe_stack_events(StackName=name)["StackEvents"]
    return [
        f"{event['LogicalResourceId']} {event['ResourceStatus']}: {event.get('ResourceStatusReason', '')}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED")
    ]


def delete(aws: Emulator, name: str, region: str = "us-east-1") -> str:
    """Deletes the stack; its last status."""
    cloudformation = aws.client("cloudformation", region)
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=name)
    return str(settled(aws, stack, region)["StackStatus"])


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def physical(aws: Emulator, stack: str) -> dict[str, str]:
    found = aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}


def get(aws: Emulator, type_name: str, identifier: str, region: str = "us-east-1") -> Properties:
    """What Cloud Control says of a resource."""
    answer = aws.client("cloudcontrol", region).get_resource(TypeName=type_name, Identifier=identifier)
    properties: Properties = json.loads(answer["ResourceDescription"]["Properties"])
    return properties


def identifier(aws: Emulator, type_name: str, declared: Properties, ids: dict[str, str], physical_id: str) -> str:
    """The primary identifier: the physical id, or what of the declaration goes with it."""
    if type_name == "AWS::Logs::MetricFilter":
        return f"{ids[declared['LogGroupName']['Ref']]}|{physical_id}"
    if type_name == "AWS::Route53::RecordSet":
        zone = ids[declared["HostedZoneId"]["Ref"]]
        return f"{physical_id}|{zone}|{declared['Type']}|{declared.get('SetIdentifier', '')}"
    if type_name == "AWS::Lambda::Permission":
        return f"{ids[declared['FunctionName']['Ref']]}|{physical_id}"
    if type_name == "AWS::Events::Rule":
        return f"arn:aws:events:us-east-1:123456789012:rule/{physical_id}"
    if type_name == "AWS::EC2::EIP":
        found = aws.client("ec2").describe_addresses()["Addresses"]
        return physical_id + "|" + next(one["AllocationId"] for one in found if one["PublicIp"] == physical_id)
    return physical_id


def tags(type_name: str, found: Properties) -> set[tuple[str, str]]:
    """The tags of a resource, whatever its type calls them and however it writes them."""
    name, shape = schemas.tag_property(type_name) or ("Tags", "list")
    if shape == "map":
        return set(found[name].items())
    return {(tag["Key"], tag["Value"]) for tag in found[name]}


def readable(type_name: str, declared: Properties) -> Properties:
    """The declared properties that AWS shows."""
    hidden = schemas.properties(type_name, "writeOnlyProperties")
    shown = {name: value for name, value in declared.items() if name not in hidden}
    if type_name == "AWS::Lambda::Function":  # all that its code consists of is write-only
        shown.pop("Code", None)
    return shown


def resolved(value: Any, ids: dict[str, str]) -> Any:
    """A declared value with what the stack's names stand for; an attribute stands for anything, as None."""
    if isinstance(value, dict) and set(value) == {"Ref"}:
        return {"AWS::AccountId": "123456789012", "AWS::Region": "us-east-1"}.get(value["Ref"]) or ids[value["Ref"]]
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("Fn::"):
        return None
    if isinstance(value, dict):
        return {key: resolved(inner, ids) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, ids) for inner in value]
    return value


def differences(declared: Any, found: Any, path: str = "") -> list[str]:
    """Where what is found is not what was declared; more may be found than was declared, and lists may be in any order."""
    if declared is None:
        return [] if found else [f"{path}: nothing found"]
    if isinstance(declared, dict) and isinstance(found, dict):
        return [line for key, value in declared.items() for line in differences(value, found.get(key), f"{path}/{key}")]
    if isinstance(declared, list) and isinstance(found, list):
        return [
            f"{path}/{number}: {value!r} is not among {found!r}"
            for number, value in enumerate(declared)
            if not any(not differences(value, one) for one in found)
        ]
    return [] if declared == found else [f"{path}: declared {declared!r}, found {found!r}"]


def backup_role(aws: Emulator) -> None:
    """The role ``backup``, with which recovery points are made and deleted."""
    iam = aws.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": ["rds:DeleteDBSnapshot", "rds:DeleteDBClusterSnapshot"], "Resource": "*"}
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="backup", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        iam.put_role_policy(RoleName="backup", PolicyName="p", PolicyDocument=json.dumps({"Statement": [allowed]}))
