"""A Lambda function in the isolated subnets: its log group first, then its role, then itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from awacs import ec2 as network_actions
from awacs import logs as log_actions
from awacs.aws import ArnEquals, Statement
from troposphere import GetAtt, Ref, Sub, awslambda, iam, logs

from generator.names import Space
from generator.packages import PYTHON
from generator.parts import policies
from generator.parts.log_group import WORKING_LOGS, log_group
from generator.template import Explained, Template

RUNTIME = f"python{PYTHON}"
"""cfn-lint warns of its end."""

NETWORK_INTERFACES = [
    network_actions.AssignPrivateIpAddresses,
    network_actions.CreateNetworkInterface,
    network_actions.DeleteNetworkInterface,
    network_actions.DescribeNetworkInterfaces,
    network_actions.DescribeSubnets,
    network_actions.UnassignPrivateIpAddresses,
]
"""What Lambda needs to place a function in a VPC: the policy AWSLambdaVPCAccessExecutionRole, without its log actions."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function and what it stands on."""

    group: logs.LogGroup
    role: iam.Role
    function: awslambda.Function


def function(
    t: Template,
    name: str,
    purpose: str,
    *,
    environment: dict[str, Any],
    subnets: Ref,
    groups: list[Any],
    logs_key: Ref,
    statements: list[Statement],
    timeout: timedelta,
    timeout_because: str = "",
    memory_mib: int = 256,
    mount: awslambda.FileSystemConfig | None = None,
    kind: str = "",
    log_retention: timedelta = WORKING_LOGS,
) -> Function:
    """The function ``function-<name>-<suffix>`` from the package of that name.

    Its role may do ``statements`` and what Lambda itself needs. ``mount`` is a file system that it finds in its environment;
    ``kind`` stands in names where it is not to be called after its package.
    """
    kind = kind or f"function-{name}"
    bucket, seconds = t.output_of("artifacts.BucketName"), int(timeout.total_seconds())
    group = log_group("LogGroup", t.named(f"/aws/lambda/{kind}"), logs_key, log_retention)
    own_arn = Sub("arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:" + t.name(kind))
    role = iam.Role(
        "Role",
        RoleName=t.named(f"role-{name}", Space.ACCOUNT),
        AssumeRolePolicyDocument=policies.trust(policies.service("lambda")),
        Policies=[
            iam.Policy(
                PolicyName=name,
                PolicyDocument=policies.document(
                    *statements,
                    policies.allow(
                        "WriteOwnLog", [log_actions.CreateLogStream, log_actions.PutLogEvents], [GetAtt(group, "Arn")]
                    ),
                    policies.allow("LambdaPlacesTheFunctionInTheVpcWhichHasNoResource", NETWORK_INTERFACES, ["*"]),
                    policies.deny(
                        "TheFunctionItselfTouchesNoNetworkInterface",
                        NETWORK_INTERFACES,
                        ["*"],
                        ArnEquals("lambda:SourceFunctionArn", own_arn),
                    ),
                ),
            )
        ],
    )
    code = awslambda.Function(
        "Function",
        DependsOn=[group.title],
        FunctionName=t.named(kind),
        Description=purpose,
        Runtime=RUNTIME,
        Architectures=["arm64"],
        Handler="handler.handler",
        Code=awslambda.Code(S3Bucket=bucket, S3Key=t.package(name.replace("-", "_"))),
        Role=GetAtt(role, "Arn"),
        Timeout=Explained(seconds, timeout_because) if timeout_because else seconds,
        MemorySize=memory_mib,
        VpcConfig=awslambda.VPCConfig(SubnetIds=subnets, SecurityGroupIds=groups),
        **({"FileSystemConfigs": [mount]} if mount else {}),
        Environment=awslambda.Environment(Variables=environment),
    )
    return Function(group=group, role=role, function=code)
