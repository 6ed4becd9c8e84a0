"""Replicas of a secret follow it in other regions, under keys of their own, change by themselves never, and can be promoted."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator
from tests.support.emulator import samples, stacks
from tests.support.emulator.rotated_secrets import Rotated

HERE, THERE, ELSEWHERE = "us-east-1", "eu-west-2", "eu-west-1"
KEPT = ("VersionId", "SecretString", "VersionStages")
KEY_POLICY = json.dumps(samples.policy("kms:*", Principal=samples.ROOT))


@dataclass(frozen=True)
class Replicated:
    """A secret with a replica, both under customer managed keys."""

    aws: Emulator
    name: str
    arn: str
    keys: dict[str, str]

    @property
    def here(self) -> Any:
        return self.aws.client("secretsmanager", HERE)

    @property
    def there(self) -> Any:
        return self.aws.client("secretsmanager", THERE)

    @property
    def replica(self) -> str:
        return self.arn.replace(HERE, THERE)

    def status(self) -> list[tuple[str, str]]:
        found = self.here.describe_secret(SecretId=self.arn).get("ReplicationStatus", [])
        return [(one["Region"], one["Status"]) for one in found]


def key(aws: Emulator, region: str) -> str:
    return str(aws.client("kms", region).create_key(Policy=KEY_POLICY)["KeyMetadata"]["Arn"])


@pytest.fixture
def secret(aws: Emulator) -> Iterator[Replicated]:
    keys = {region: key(aws, region) for region in (HERE, THERE)}
    name = f"replicated-{uuid.uuid4().hex[:12]}"
    made = aws.client("secretsmanager", HERE).create_secret(
        Name=name,
        SecretString="first",
        KmsKeyId=keys[HERE],
        AddReplicaRegions=[{"Region": THERE, "KmsKeyId": keys[THERE]}],
        Tags=[{"Key": "System", "Value": "sample"}],
    )
    assert made["ReplicationStatus"][0]["Status"] == "InSync"
    found = Replicated(aws, name, made["ARN"], keys)
    yield found
    regions = [region for region, _ in found.status()]
    if regions:
        found.here.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=regions)
    found.here.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    with contextlib.suppress(ClientError):  # there only if it was promoted
        found.there.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def session(aws: Emulator, region: str, *statements: dict[str, Any]) -> Any:
    """Secrets Manager in a region as a role that may what the statements say."""
    iam, name = aws.client("iam"), f"caller-{uuid.uuid4().hex[:12]}"
    trust = {**samples.trust("lambda"), "Statement": [{"Effect": "Allow", "Principal": samples.ROOT, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    given = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey", "aws_session_token": "SessionToken"}
    return aws.client("secretsmanager", region, **{name: given[value] for name, value in names.items()})


def test_a_replica_has_the_same_name_and_arn_save_for_the_region(secret: Replicated) -> None:
    found = secret.there.describe_secret(SecretId=secret.name)
    assert (found["ARN"], found["Name"], found["PrimaryRegion"]) == (secret.replica, secret.name, HERE)
    assert found["KmsKeyId"] == secret.keys[THERE]
    assert found["Tags"] == [{"Key": "System", "Value": "sample"}]
    assert secret.status() == [(THERE, "InSync")]


def test_every_version_and_label_follows(secret: Replicated) -> None:
    secret.here.put_secret_value(SecretId=secret.arn, SecretString="second", ClientRequestToken="2" * 32)
    pending = {"VersionStages": ["AWSPENDING"], "ClientRequestToken": "3" * 32}
    secret.here.put_secret_value(SecretId=secret.arn, SecretString="third", **pending)
    for stage, value in (("AWSCURRENT", "second"), ("AWSPREVIOUS", "first"), ("AWSPENDING", "third")):
        assert secret.there.get_secret_value(SecretId=secret.replica, VersionStage=stage)["SecretString"] == value
    move = {"VersionStage": "AWSCURRENT", "MoveToVersionId": "3" * 32, "RemoveFromVersionId": "2" * 32}
    secret.here.update_secret_version_stage(SecretId=secret.arn, **move)
    both = [client.describe_secret(SecretId=secret.name)["VersionIdsToStages"] for client in (secret.here, secret.there)]
    assert both[0] == both[1]
    assert secret.there.get_secret_value(SecretId=secret.name)["SecretString"] == "third"


def test_a_rotation_of_the_primary_reaches_the_replica_which_has_none_of_its_own(aws: Emulator, tmp_path: Path) -> None:
    rotated = Rotated(aws, tmp_path / "notes")
    rotated.client.replicate_secret_to_regions(SecretId=rotated.secret, AddReplicaRegions=[{"Region": THERE}])
    rotated.client.rotate_secret(
        SecretId=rotated.secret, RotationLambdaARN=rotated.function, RotationRules={"AutomaticallyAfterDays": 30}
    )
    aws.settle()
    there, replica = aws.client("secretsmanager", THERE), rotated.secret.replace(HERE, THERE)
    value = rotated.client.get_secret_value(SecretId=rotated.secret)["SecretString"]
    assert value.startswith("new-")
    assert there.get_secret_value(SecretId=replica)["SecretString"] == value
    found = there.describe_secret(SecretId=replica)
    assert (found["RotationEnabled"], "RotationLambdaARN" in found) == (False, False)
    here = rotated.client.describe_secret(SecretId=rotated.secret)
    assert found["VersionIdsToStages"] == here["VersionIdsToStages"]


def test_a_replica_is_read_only(secret: Replicated) -> None:
    there, arguments = secret.there, {"SecretId": secret.replica}
    calls = (
        (there.put_secret_value, {"SecretString": "x"}),
        (there.update_secret, {"Description": "x"}),
        (there.rotate_secret, {"RotationLambdaARN": f"arn:aws:lambda:{THERE}:123456789012:function:f"}),
        (there.cancel_rotate_secret, {}),
        (there.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
        (there.put_resource_policy, {"ResourcePolicy": "{}"}),
        (there.delete_secret, {"ForceDeleteWithoutRecovery": True}),
        (there.replicate_secret_to_regions, {"AddReplicaRegions": [{"Region": ELSEWHERE}]}),
        (there.remove_regions_from_replication, {"RemoveReplicaRegions": [THERE]}),
    )
    before = there.get_secret_value(SecretId=secret.replica)
    same = {"SecretString": before["SecretString"], "ClientRequestToken": before["VersionId"]}
    for call, more in (*calls, (there.put_secret_value, same)):
        assert code(call, **arguments, **more) == "InvalidRequestException", call
    after = there.get_secret_value(SecretId=secret.replica)
    assert [after[name] for name in KEPT] == [before[name] for name in KEPT], "a refused call changes nothing"
    assert there.describe_secret(SecretId=secret.name)["VersionIdsToStages"] == {before["VersionId"]: ["AWSCURRENT"]}


def test_what_is_refused_because_a_secret_waits_for_its_deletion_moves_no_label(aws: Emulator) -> None:
    secrets = aws.client("secretsmanager", HERE)
    arn = secrets.create_secret(Name=f"waiting-{uuid.uuid4().hex[:12]}", SecretString="first")["ARN"]
    secrets.delete_secret(SecretId=arn)
    assert code(secrets.put_secret_value, SecretId=arn, SecretString="second") == "InvalidRequestException"
    secrets.restore_secret(SecretId=arn)
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "first"
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def test_a_replica_is_read_with_the_key_of_its_region(secret: Replicated) -> None:
    read = {"Action": "secretsmanager:GetSecretValue", "Resource": secret.replica}
    via = {
        "StringEquals": {
            "kms:ViaService": f"secretsmanager.{THERE}.amazonaws.com",
            "kms:EncryptionContext:SecretARN": secret.replica,
        }
    }
    decrypt = {"Action": "kms:Decrypt", "Condition": via}
    wrong = session(secret.aws, THERE, read, {**decrypt, "Resource": secret.keys[HERE]})
    assert code(wrong.get_secret_value, SecretId=secret.replica) == "AccessDeniedException"
    right = session(secret.aws, THERE, read, {**decrypt, "Resource": secret.keys[THERE]})
    assert right.get_secret_value(SecretId=secret.replica)["SecretString"] == "first"


def test_who_replicates_has_to_be_allowed_both_keys(secret: Replicated) -> None:
    target = key(secret.aws, ELSEWHERE)
    replicate = {"Action": "secretsmanager:ReplicateSecretToRegions", "Resource": secret.arn}
    decrypt = {"Action": "kms:Decrypt", "Resource": secret.keys[HERE]}
    encrypt = {"Action": ["kms:Encrypt", "kms:GenerateDataKey"], "Resource": target}
    regions = [{"Region": ELSEWHERE, "KmsKeyId": target}]
    for allowed, expected in (((decrypt,), "Failed"), ((encrypt,), "Failed"), ((decrypt, encrypt), "InSync")):
        caller = session(secret.aws, HERE, replicate, *allowed)
        answer = caller.replicate_secret_to_regions(SecretId=secret.arn, AddReplicaRegions=regions)
        status = next(one for one in answer["ReplicationStatus"] if one["Region"] == ELSEWHERE)
        assert status["Status"] == expected, status
    elsewhere = secret.aws.client("secretsmanager", ELSEWHERE)
    assert elsewhere.get_secret_value(SecretId=secret.name)["SecretString"] == "first"


def test_a_replica_that_cannot_be_made_says_why(secret: Replicated) -> None:
    elsewhere = secret.aws.client("secretsmanager", ELSEWHERE)
    elsewhere.create_secret(Name=secret.name, SecretString="another")
    wanted: list[tuple[dict[str, str], str]] = [
        ({"Region": ELSEWHERE}, "same name"),
        ({"Region": "us-west-2", "KmsKeyId": secret.keys[HERE]}, "not found"),
    ]
    for one, reason in wanted:
        secret.here.replicate_secret_to_regions(SecretId=secret.arn, AddReplicaRegions=[one])
        found = secret.here.describe_secret(SecretId=secret.arn)["ReplicationStatus"]
        status = next(status for status in found if status["Region"] == one["Region"])
        assert (status["Status"], reason in status["StatusMessage"]) == ("Failed", True)
    assert elsewhere.get_secret_value(SecretId=secret.name)["SecretString"] == "another"
    force = {"AddReplicaRegions": [{"Region": ELSEWHERE}], "ForceOverwriteReplicaSecret": True}
    secret.here.replicate_secret_to_regions(SecretId=secret.arn, **force)
    assert elsewhere.get_secret_value(SecretId=secret.name)["SecretString"] == "first"
    own = [{"Region": HERE}]
    assert code(secret.here.replicate_secret_to_regions, SecretId=secret.arn, AddReplicaRegions=own) == "InvalidRequestException"


def test_a_primary_with_replicas_is_not_deleted(secret: Replicated) -> None:
    delete = {"SecretId": secret.arn, "ForceDeleteWithoutRecovery": True}
    assert code(secret.here.delete_secret, **delete) == "InvalidRequestException"
    regions = {"SecretId": secret.arn, "RemoveReplicaRegions": [THERE]}
    assert secret.here.remove_regions_from_replication(**regions)["ReplicationStatus"] == []
    assert code(secret.there.describe_secret, SecretId=secret.replica) == "ResourceNotFoundException"
    assert code(secret.here.remove_regions_from_replication, **regions) == "InvalidRequestException"


def test_a_promoted_replica_is_a_secret_of_its_own(secret: Replicated) -> None:
    assert code(secret.here.stop_replication_to_replica, SecretId=secret.arn) == "InvalidRequestException"
    assert secret.there.stop_replication_to_replica(SecretId=secret.replica)["ARN"] == secret.replica
    secret.there.put_secret_value(SecretId=secret.replica, SecretString="of its own")
    secret.here.put_secret_value(SecretId=secret.arn, SecretString="of the former primary")
    assert secret.there.get_secret_value(SecretId=secret.replica)["SecretString"] == "of its own"
    found = secret.there.describe_secret(SecretId=secret.replica)
    assert ("PrimaryRegion" in found, found["KmsKeyId"]) == (False, secret.keys[THERE])
    assert secret.status() == []
    secret.here.replicate_secret_to_regions(
        SecretId=secret.arn, AddReplicaRegions=[{"Region": THERE, "KmsKeyId": secret.keys[THERE]}]
    )
    secret.here.put_secret_value(SecretId=secret.arn, SecretString="after an attempt that failed")
    assert secret.there.get_secret_value(SecretId=secret.replica)["SecretString"] == "of its own"


def template(**regions: str) -> dict[str, Any]:
    replicas = [{"Region": region.replace("_", "-"), **({"KmsKeyId": one} if one else {})} for region, one in regions.items()]
    properties: dict[str, Any] = {"Name": "of-a-stack", "SecretString": "x", "Description": str(len(replicas))}
    if replicas:
        properties["ReplicaRegions"] = replicas
    return {"Resources": {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": properties}}}


def test_a_stack_makes_changes_and_removes_replicas(aws: Emulator) -> None:
    first, second = key(aws, THERE), key(aws, THERE)
    for wanted in ({"eu_west_2": first}, {"eu_west_2": second, "eu_west_1": ""}, {"eu_west_1": ""}, {}, {"eu_west_2": first}):
        body = template(**wanted)
        stack = stacks.deploy(aws, "replicas", body)
        assert stack["StackStatus"].endswith("_COMPLETE"), stack["Failures"]
        read = stacks.get(aws, "AWS::SecretsManager::Secret", stacks.physical(aws, "replicas")["Secret"])
        declared = body["Resources"]["Secret"]["Properties"].get("ReplicaRegions", [])
        assert len(read.get("ReplicaRegions", [])) == len(declared)
        assert stacks.differences(declared, read.get("ReplicaRegions", [])) == []
    assert stacks.delete(aws, "replicas") == "DELETE_COMPLETE"
    assert code(aws.client("secretsmanager", THERE).describe_secret, SecretId="of-a-stack") == "ResourceNotFoundException"


def test_a_stack_fails_where_a_replica_cannot_be_made(aws: Emulator) -> None:
    elsewhere = aws.client("secretsmanager", THERE)
    elsewhere.create_secret(Name="of-a-stack", SecretString="another")
    stack = stacks.deploy(aws, "no-replica", template(eu_west_2=""))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "same name" in stack["Failures"][0]
    stacks.delete(aws, "no-replica")
    elsewhere.delete_secret(SecretId="of-a-stack", ForceDeleteWithoutRecovery=True)
