"""Resources that small systems are made of, by their logical ids."""

from __future__ import annotations

from typing import Any

from tests.support.chain.checkout import REGION, Clients, parameter, ref, sub

NO_ROLE = {
    "Fine": parameter("fine"),
    "Wrong": {
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": "Fine",
        "CreationPolicy": {"ResourceSignal": {"Count": 1, "Timeout": "PT1S"}},
    },
    "After": {**parameter("after"), "DependsOn": "Wrong"},
}
"""A stack whose second resource fails after a second, with a sentence of CloudFormation's own."""


def bucket(name: str) -> dict[str, Any]:
    """A versioned bucket."""
    properties = {"BucketName": sub(f"{name}-${{EnvironmentSuffix}}"), "VersioningConfiguration": {"Status": "Enabled"}}
    return {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}


def fill(clients: Clients, name: str) -> None:
    """Put versions, a delete marker and an unfinished upload into a bucket."""
    s3 = clients("s3", REGION)
    for body in (b"one", b"two"):
        s3.put_object(Bucket=name, Key="kept", Body=body)
    s3.put_object(Bucket=name, Key="deleted", Body=b"x")
    s3.delete_object(Bucket=name, Key="deleted")
    s3.create_multipart_upload(Bucket=name, Key="unfinished")


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Own", "Effect": "Allow", "Action": ["logs:PutLogEvents"], "Resource": [{"Fn::GetAtt": ["Group", "Arn"]}]}
    ],
}

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def logs(name: str = "app", days: int = 7) -> dict[str, Any]:
    """A log group, and a role that may write to it."""
    return {
        "Group": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": sub(f"/{name}/${{EnvironmentSuffix}}"), "RetentionInDays": days},
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": sub("role-${AWS::Region}-${EnvironmentSuffix}"),
                "AssumeRolePolicyDocument": TRUST,
                "Policies": [{"PolicyName": "own", "PolicyDocument": POLICY}],
            },
        },
    }


HANDLER = "def handler(event, context):\n    return None\n"


def rotating() -> dict[str, Any]:
    """A secret, and a schedule that rotates it with a function which somebody else owns."""
    return {
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"Name": sub("secret-${EnvironmentSuffix}"), "SecretString": '{"password": "p"}'},
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": sub("role-rotates-${EnvironmentSuffix}"),
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
                    ],
                },
            },
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": sub("rotates-${EnvironmentSuffix}"),
                "Runtime": "python3.11",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": HANDLER},
            },
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": ref("Function"),
                "Action": "lambda:InvokeFunction",
                "Principal": "secretsmanager.amazonaws.com",
            },
        },
        "Schedule": {
            "Type": "AWS::SecretsManager::RotationSchedule",
            "DependsOn": "Permission",
            "Properties": {
                "SecretId": ref("Secret"),
                "RotationLambdaARN": {"Fn::GetAtt": ["Function", "Arn"]},
                "RotationRules": {"AutomaticallyAfterDays": 30},
            },
        },
    }
