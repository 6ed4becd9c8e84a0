"""Policies are enforced, and what they allowed and refused is on record."""

from __future__ import annotations

import json

import pytest

from emulator import Call, Emulator
from tests.support.emulator.callers import allow, assume, code


@pytest.fixture(scope="module")
def secret(aws: Emulator) -> tuple[str, str]:
    """A secret and the customer managed key under which it is."""
    key = aws.client("kms").create_key()["KeyMetadata"]
    return aws.client("secretsmanager").create_secret(Name="recorded", SecretString="1", KmsKeyId=key["KeyId"])["ARN"], key["Arn"]


def test_what_no_policy_allows_is_refused_and_both_are_recorded(aws: Emulator, secret: tuple[str, str]) -> None:
    arn, _ = secret
    other = aws.client("secretsmanager").create_secret(Name="another", SecretString="1")["ARN"]
    client = aws.client("secretsmanager", **assume(aws, "one-secret", [allow("secretsmanager:DescribeSecret", arn)]))
    aws.forget_calls()
    assert code(client.describe_secret, SecretId=arn) == "allowed"
    assert code(client.describe_secret, SecretId=other) == "AccessDeniedException"
    principal = "arn:aws:sts::123456789012:assumed-role/one-secret/test"
    assert aws.calls() == (
        Call(principal, "secretsmanager:DescribeSecret", arn, True),
        Call(principal, "secretsmanager:DescribeSecret", other, False),
    )
    assert {call.role for call in aws.calls()} == {"one-secret"}


def test_the_root_of_the_account_leaves_no_record(aws: Emulator) -> None:
    aws.forget_calls()
    aws.client("s3").list_buckets()
    assert aws.calls() == ()


def test_a_secret_under_a_key_asks_for_the_key_with_the_secret_as_context(aws: Emulator, secret: tuple[str, str]) -> None:
    arn, key = secret
    read = allow("secretsmanager:GetSecretValue", arn)
    through = {
        "StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com", "kms:EncryptionContext:SecretARN": arn}
    }
    elsewhere = {
        "StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com", "kms:EncryptionContext:SecretARN": arn + "x"}
    }
    for name, statements, expected in (
        ("without-key", [read], "AccessDeniedException"),
        ("with-key", [read, allow("kms:Decrypt", key, Condition=through)], "allowed"),
        ("other-secret", [read, allow("kms:Decrypt", key, Condition=elsewhere)], "AccessDeniedException"),
        ("key-only", [allow("kms:Decrypt", key)], "AccessDeniedException"),
    ):
        client = aws.client("secretsmanager", **assume(aws, name, statements))
        assert (name, code(client.get_secret_value, SecretId=arn)) == (name, expected)
    assert aws.calls()[-1].action == "secretsmanager:GetSecretValue"
    asked = [call for call in aws.calls() if call.role == "with-key" and call.action == "kms:Decrypt"]
    assert [(call.resource, call.allowed, call.via) for call in asked] == [(key, True, "secretsmanager.us-east-1.amazonaws.com")]


def test_writing_a_secret_under_a_key_makes_a_data_key(aws: Emulator, secret: tuple[str, str]) -> None:
    arn, key = secret
    write = allow("secretsmanager:PutSecretValue", arn)
    for name, actions, expected in (
        ("writes", ["kms:Decrypt", "kms:GenerateDataKey"], "allowed"),
        ("cannot-make", ["kms:Decrypt"], "AccessDeniedException"),
        ("cannot-read", ["kms:GenerateDataKey"], "AccessDeniedException"),
    ):
        client = aws.client("secretsmanager", **assume(aws, name, [write, allow(actions, key)]))
        assert (name, code(client.put_secret_value, SecretId=arn, SecretString="2")) == (name, expected)


@pytest.mark.parametrize("bucket_key", [True, False])
def test_objects_under_a_key_ask_for_it_with_the_bucket_or_the_object_as_context(aws: Emulator, bucket_key: bool) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    name = f"under-a-key-{str(bucket_key).lower()}"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{name}/*")
    context = f"arn:aws:s3:::{name}" if bucket_key else f"arn:aws:s3:::{name}/one"
    told = {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": context, "kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    for role, actions, expected in (
        ("none", [], ["AccessDenied", "AccessDenied"]),
        ("writes", ["kms:GenerateDataKey"], ["allowed", "AccessDenied"]),
        ("both", ["kms:GenerateDataKey", "kms:Decrypt"], ["allowed", "allowed"]),
    ):
        permitted = [objects, allow(actions, key, Condition=told)] if actions else [objects]
        client = aws.client("s3", **assume(aws, f"{name}-{role}", permitted))
        got = [code(client.put_object, Bucket=name, Key="one", Body=b""), code(client.get_object, Bucket=name, Key="one")]
        assert (role, got) == (role, expected)


def test_a_table_under_a_key_asks_for_it(aws: Emulator) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    arn = aws.client("dynamodb").create_table(
        TableName="under-a-key",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )["TableDescription"]["TableArn"]
    table, item = allow("dynamodb:PutItem", arn), {"TableName": "under-a-key", "Item": {"id": {"S": "1"}}}
    through = {"StringEquals": {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}}
    for role, permitted, expected in (
        ("table-only", [table], "AccessDeniedException"),
        ("table-and-key", [table, allow("kms:Decrypt", key, Condition=through)], "allowed"),
    ):
        client = aws.client("dynamodb", **assume(aws, role, permitted))
        assert (role, code(client.put_item, **item)) == (role, expected)


def test_an_instance_under_the_key_of_its_cluster_asks_for_the_key_and_the_subnet_group(aws: Emulator) -> None:
    rds, key = aws.client("rds"), aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    common = {"Engine": "aurora-postgresql", "DBClusterIdentifier": "under-a-key"}
    rds.create_db_cluster(**common, MasterUsername="one", MasterUserPassword="12345678", StorageEncrypted=True, KmsKeyId=key)
    here = "arn:aws:rds:us-east-1:123456789012:"
    through = {"StringEquals": {"kms:ViaService": "rds.us-east-1.amazonaws.com"}}
    for_aws = {**through, "Bool": {"kms:GrantIsForAWSResource": "true"}}
    instance = allow("rds:CreateDBInstance", [f"{here}db:member", f"{here}subgrp:own"])
    grant, see = allow("kms:CreateGrant", key, Condition=for_aws), allow("kms:DescribeKey", key, Condition=through)
    for name, permitted, group, expected in (
        ("no-key", [instance], "own", "AccessDenied"),
        ("no-look", [instance, grant], "own", "AccessDenied"),
        ("another-group", [instance, grant, see], "another", "AccessDenied"),
        ("whole", [instance, grant, see], "own", "allowed"),
    ):
        client = aws.client("rds", **assume(aws, f"adds-{name}", permitted))
        made = code(
            client.create_db_instance,
            **common,
            DBInstanceIdentifier="member",
            DBInstanceClass="db.t4g.medium",
            DBSubnetGroupName=group,
        )
        assert (name, made) == (name, expected)
    rds.delete_db_instance(DBInstanceIdentifier="member", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="under-a-key", SkipFinalSnapshot=True)


def test_a_secret_under_the_key_of_aws_asks_for_no_key(aws: Emulator) -> None:
    arn = aws.client("secretsmanager").create_secret(Name="default-key", SecretString="1")["ARN"]
    client = aws.client("secretsmanager", **assume(aws, "default-key", [allow("secretsmanager:GetSecretValue", arn)]))
    assert code(client.get_secret_value, SecretId=arn) == "allowed"


def test_a_policy_of_the_secret_can_refuse_what_the_role_allows(aws: Emulator) -> None:
    arn = aws.client("secretsmanager").create_secret(Name="guarded", SecretString="1")["ARN"]
    client = aws.client("secretsmanager", **assume(aws, "guarded", [allow("secretsmanager:*", arn)]))
    statement = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    over_tls = {**statement, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    for one, expected in ((over_tls, "allowed"), (statement, "AccessDeniedException")):
        aws.client("secretsmanager").put_resource_policy(
            SecretId=arn, ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [one]})
        )
        assert code(client.get_secret_value, SecretId=arn) == expected


def test_a_wrong_signature_is_refused(aws: Emulator) -> None:
    credentials = assume(aws, "wrong-signature", [allow("sts:*")])
    client = aws.client("s3", **{**credentials, "aws_secret_access_key": "wrong"})
    assert code(client.list_buckets) == "SignatureDoesNotMatch"


def test_a_variable_in_the_resource_of_a_statement_stands_for_its_value(aws: Emulator) -> None:
    client = aws.client(
        "s3", **assume(aws, "with-variable", [allow("s3:CreateBucket", "arn:aws:s3:::of-${aws:PrincipalAccount}")])
    )
    assert code(client.create_bucket, Bucket="of-999999999999") == "AccessDenied"
    assert code(client.create_bucket, Bucket="of-123456789012") == "allowed"


def test_a_message_to_a_topic_under_a_key_makes_a_data_key(aws: Emulator) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    topic = aws.client("sns").create_topic(Name="under-a-key", Attributes={"KmsMasterKeyId": key})["TopicArn"]
    through = {"StringEquals": {"kms:ViaService": "sns.us-east-1.amazonaws.com"}}
    for name, actions, expected in (
        ("tells", ["kms:Decrypt", "kms:GenerateDataKey"], "allowed"),
        ("tells-nobody", ["kms:Decrypt"], "AuthorizationError"),
        ("tells-none", ["kms:GenerateDataKey"], "AuthorizationError"),
    ):
        client = aws.client("sns", **assume(aws, name, [allow("sns:Publish", topic), allow(actions, key, Condition=through)]))
        assert (name, code(client.publish, TopicArn=topic, Message="1")) == (name, expected)


def test_tags_that_come_with_a_parameter_are_an_action_of_their_own(aws: Emulator) -> None:
    arn = "arn:aws:ssm:us-east-1:123456789012:parameter/tagged/*"
    given = {"Value": "1", "Type": "String", "Tags": [{"Key": "System", "Value": "small"}]}
    writes = aws.client("ssm", **assume(aws, "writes-parameters", [allow("ssm:PutParameter", arn)]))
    assert code(writes.put_parameter, Name="/tagged/one", **given) == "AccessDeniedException"
    assert code(writes.put_parameter, Name="/tagged/bare", Value="1", Type="String") == "allowed"
    both = assume(aws, "tags-parameters", [allow(["ssm:PutParameter", "ssm:AddTagsToResource"], arn)])
    assert code(aws.client("ssm", **both).put_parameter, Name="/tagged/two", **given) == "allowed"


def test_tags_that_come_with_a_snapshot_are_an_action_of_their_own(aws: Emulator) -> None:
    arns = [f"arn:aws:rds:us-east-1:123456789012:{kind}" for kind in ("db:tagged", "snapshot:tagged-*")]
    given = {"DBInstanceIdentifier": "tagged", "Tags": [{"Key": "System", "Value": "small"}]}
    keeps = aws.client("rds", **assume(aws, "keeps-snapshots", [allow("rds:CreateDBSnapshot", arns)]))
    assert code(keeps.create_db_snapshot, DBSnapshotIdentifier="tagged-1", **given) == "AccessDenied"
    both = assume(aws, "tags-snapshots", [allow(["rds:CreateDBSnapshot", "rds:AddTagsToResource"], arns)])
    found = code(aws.client("rds", **both).create_db_snapshot, DBSnapshotIdentifier="tagged-1", **given)
    assert found == "DBInstanceNotFound", "allowed, and there is no such instance"


def test_whoever_begins_a_rotation_must_be_allowed_to_invoke_its_function(aws: Emulator, secret: tuple[str, str]) -> None:
    function = "arn:aws:lambda:us-east-1:123456789012:function:rotates"
    for name, more, expected in (
        ("begins", [allow("lambda:InvokeFunction", function)], "ResourceNotFoundException"),  # allowed, and there is none
        ("begins-not", [], "AccessDeniedException"),
    ):
        client = aws.client("secretsmanager", **assume(aws, name, [allow("secretsmanager:RotateSecret", secret[0]), *more]))
        aws.forget_calls()
        assert (name, code(client.rotate_secret, SecretId=secret[0], RotationLambdaARN=function)) == (name, expected)
        asked = [(call.action, call.resource, call.allowed) for call in aws.calls() if call.role == name]
        assert asked == [("secretsmanager:RotateSecret", secret[0], True), ("lambda:InvokeFunction", function, bool(more))]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("describe_db_instances", "db"),
        ("describe_db_snapshots", "snapshot"),
        ("describe_db_clusters", "cluster"),
        ("describe_db_cluster_snapshots", "cluster-snapshot"),
    ],
)
def test_a_question_about_all_databases_is_authorized_as_one_about_each(aws: Emulator, call: str, kind: str) -> None:
    action = f"rds:{''.join(word.capitalize() for word in call.split('_'))}".replace("Db", "DB")
    for number, (name, answer) in enumerate((("*", "allowed"), ("one", "AccessDenied"))):
        statement = allow(action, f"arn:aws:rds:*:*:{kind}:{name}")
        rds = aws.client("rds", **assume(aws, f"lists-{kind}-{number}", [statement]))
        assert code(getattr(rds, call)) == answer


@pytest.mark.parametrize(("backups", "answer"), [("ab-*", "DBInstanceAutomatedBackupNotFound"), ("another", "AccessDenied")])
def test_what_a_deleted_instance_leaves_is_deleted_as_an_automated_backup(aws: Emulator, backups: str, answer: str) -> None:
    statement = allow("rds:DeleteDBInstanceAutomatedBackup", f"arn:aws:rds:*:*:auto-backup:{backups}")
    rds = aws.client("rds", **assume(aws, f"sweeps-{backups[:2]}", [statement]))
    assert code(rds.delete_db_instance_automated_backup, DbiResourceId="db-ABC") == answer
