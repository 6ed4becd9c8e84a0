"""Secrets with their rotation functions."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from pathlib import Path
from typing import Any

from emulator import Emulator
from tests.support.emulator import samples

# Notes each step in a parameter-less way: a file that the test names. FAIL in the environment makes one step fail.
SOURCE = """
import json, os
import boto3

def handler(event, context):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps({**event, "root": os.environ.get("PGSSLROOTCERT")}) + "\\n")
    if os.path.exists(os.environ["NOTES"] + ".fail-" + event["Step"]):
        raise RuntimeError("as the test wants it")
    sm, secret, token = boto3.client("secretsmanager"), event["SecretId"], event["ClientRequestToken"]
    versions = sm.describe_secret(SecretId=secret)["VersionIdsToStages"]
    assert token in versions, "RotateSecret announces the version"
    if event["Step"] == "createSecret":
        try:
            sm.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        except sm.exceptions.ResourceNotFoundException:
            value = "new-" + token
            sm.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"])
    if event["Step"] == "finishSecret":
        current = next(version for version, stages in versions.items() if "AWSCURRENT" in stages)
        if current != token:
            move = {"MoveToVersionId": token, "RemoveFromVersionId": current}
            sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", **move)
"""


NEEDED = ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")


class Rotated:
    """A secret with its rotation function."""

    def __init__(self, aws: Emulator, notes: Path, *, actions: tuple[str, ...] = NEEDED, permitted: bool = True) -> None:
        self.aws, self.notes = aws, notes
        self.client = aws.client("secretsmanager")
        name = f"rotated-{uuid.uuid4().hex[:12]}"
        self.secret = self.client.create_secret(Name=name, SecretString="old")["ARN"]
        iam = aws.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(samples.trust("lambda")))["Role"]["Arn"]
        document = samples.policy([f"secretsmanager:{action}" for action in actions], self.secret)
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("handler.py", SOURCE)
        functions = aws.client("lambda")
        self.function = functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="handler.handler",
            Role=role,
            Timeout=30,
            Code={"ZipFile": packed.getvalue()},
            Environment={"Variables": {"NOTES": str(notes)}},
        )["FunctionArn"]
        if permitted:
            functions.add_permission(
                FunctionName=name,
                StatementId="rotation",
                Action="lambda:InvokeFunction",
                Principal="secretsmanager.amazonaws.com",
                SourceAccount=samples.ACCOUNT,
                SourceArn=self.secret,
            )

    def rotate(self, **more: Any) -> dict[str, Any]:
        arguments = {
            "SecretId": self.secret,
            "RotationLambdaARN": self.function,
            "RotationRules": {"AutomaticallyAfterDays": 30},
            **more,
        }
        answer: dict[str, Any] = self.client.rotate_secret(**arguments)
        self.aws.settle()
        return answer

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_secret(SecretId=self.secret)
        return found

    def stages(self) -> dict[str, list[str]]:
        return {version: sorted(stages) for version, stages in self.described()["VersionIdsToStages"].items()}

    def steps(self) -> list[str]:
        return [json.loads(line)["Step"] for line in self.notes.read_text().splitlines()] if self.notes.exists() else []

    def fail(self, step: str, *, again: bool = True) -> None:
        marker = Path(f"{self.notes}.fail-{step}")
        marker.touch() if again else marker.unlink()

    def value(self, **which: str) -> str:
        return str(self.client.get_secret_value(SecretId=self.secret, **which)["SecretString"])
