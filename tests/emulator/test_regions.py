"""What has one name in two regions is two things, for every service that the templates use."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, running
from tests.support.emulator import samples, stacks

FIRST, SECOND = "eu-west-1", "eu-west-2"
ACCOUNT = samples.ACCOUNT


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with running(databases=False) as emulator:
        yield emulator


@dataclass(frozen=True)
class Named:
    """One resource of a service: how it is made with a mark, what shows the mark, how it is removed, and who lists it."""

    service: str
    make: tuple[str, dict[str, Any]]
    show: tuple[str, dict[str, Any], str]
    remove: tuple[str, dict[str, Any]]
    names: tuple[str, dict[str, Any], str]


def at(value: Any, path: str) -> Any:
    """What a path of keys leads to; a star stands for all items of a list."""
    for key in path.strip("/").split("/") if path.strip("/") else []:
        if key == "*":
            return [at(one, path.split("*", 1)[1]) for one in value]
        value = value[int(key)] if isinstance(value, list) else value.get(key)
        if value is None:
            return None
    return value


def packed() -> bytes:
    """The package of a function."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("index.py", samples.HANDLER)
    return written.getvalue()


TRUST = json.dumps(samples.trust("lambda"))
SUBNETS = {"DBSubnetGroupName": "same", "SubnetIds": ["{subnet}"]}
# {mark} is what differs between the regions; {subnet} and {role} are there already.
SERVICES: dict[str, Named] = {
    "logs": Named(
        "logs",
        ("create_log_group", {"logGroupName": "same", "tags": {"mark": "{mark}"}}),
        ("list_tags_log_group", {"logGroupName": "same"}, "tags/mark"),
        ("delete_log_group", {"logGroupName": "same"}),
        ("describe_log_groups", {}, "logGroups/*/logGroupName"),
    ),
    "cloudwatch": Named(
        "cloudwatch",
        (
            "put_metric_alarm",
            {
                "AlarmName": "same",
                "AlarmDescription": "{mark}",
                "Namespace": "n",
                "MetricName": "m",
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "ComparisonOperator": "LessThanThreshold",
                "Threshold": 1,
            },
        ),
        ("describe_alarms", {"AlarmNames": ["same"]}, "MetricAlarms/0/AlarmDescription"),
        ("delete_alarms", {"AlarmNames": ["same"]}),
        ("describe_alarms", {}, "MetricAlarms/*/AlarmName"),
    ),
    "kms": Named(
        "kms",
        ("create_alias", {"AliasName": "alias/same", "TargetKeyId": "{key}"}),
        ("describe_key", {"KeyId": "alias/same"}, "KeyMetadata/Description"),
        ("delete_alias", {"AliasName": "alias/same"}),
        ("list_aliases", {}, "Aliases/*/AliasName"),
    ),
    "sns": Named(
        "sns",
        ("create_topic", {"Name": "same", "Attributes": {"DisplayName": "{mark}"}}),
        ("get_topic_attributes", {"TopicArn": f"arn:aws:sns:{{region}}:{ACCOUNT}:same"}, "Attributes/DisplayName"),
        ("delete_topic", {"TopicArn": f"arn:aws:sns:{{region}}:{ACCOUNT}:same"}),
        ("list_topics", {}, "Topics/*/TopicArn"),
    ),
    "sqs": Named(
        "sqs",
        ("create_queue", {"QueueName": "same", "tags": {"mark": "{mark}"}}),
        ("list_queue_tags", {"QueueUrl": "{queue}"}, "Tags/mark"),
        ("delete_queue", {"QueueUrl": "{queue}"}),
        ("list_queues", {}, "QueueUrls/*"),
    ),
    "lambda": Named(
        "lambda",
        (
            "create_function",
            {
                "FunctionName": "same",
                "Description": "{mark}",
                "Runtime": "python3.12",
                "Handler": "index.handler",
                "Role": "{role}",
                "Code": {"ZipFile": packed()},
            },
        ),
        ("get_function_configuration", {"FunctionName": "same"}, "Description"),
        ("delete_function", {"FunctionName": "same"}),
        ("list_functions", {}, "Functions/*/FunctionName"),
    ),
    "events": Named(
        "events",
        ("put_rule", {"Name": "same", "Description": "{mark}", "ScheduleExpression": "rate(1 minute)"}),
        ("describe_rule", {"Name": "same"}, "Description"),
        ("delete_rule", {"Name": "same"}),
        ("list_rules", {}, "Rules/*/Name"),
    ),
    "secretsmanager": Named(
        "secretsmanager",
        ("create_secret", {"Name": "same", "SecretString": "{mark}"}),
        ("get_secret_value", {"SecretId": "same"}, "SecretString"),
        ("delete_secret", {"SecretId": "same", "ForceDeleteWithoutRecovery": True}),
        ("list_secrets", {}, "SecretList/*/Name"),
    ),
    "ssm": Named(
        "ssm",
        ("put_parameter", {"Name": "/same/name", "Value": "{mark}", "Type": "String"}),
        ("get_parameter", {"Name": "/same/name"}, "Parameter/Value"),
        ("delete_parameter", {"Name": "/same/name"}),
        ("describe_parameters", {}, "Parameters/*/Name"),
    ),
    "backup vaults": Named(
        "backup",
        ("create_backup_vault", {"BackupVaultName": "same", "EncryptionKeyArn": "{key}"}),
        ("describe_backup_vault", {"BackupVaultName": "same"}, "EncryptionKeyArn"),
        ("delete_backup_vault", {"BackupVaultName": "same"}),
        ("list_backup_vaults", {}, "BackupVaultList/*/BackupVaultName"),
    ),
    "dynamodb": Named(
        "dynamodb",
        (
            "create_table",
            {
                "TableName": "same",
                "AttributeDefinitions": [{"AttributeName": "{mark}", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "{mark}", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        ),
        ("describe_table", {"TableName": "same"}, "Table/KeySchema/0/AttributeName"),
        ("delete_table", {"TableName": "same"}),
        ("list_tables", {}, "TableNames/*"),
    ),
    "rds parameter groups": Named(
        "rds",
        (
            "create_db_parameter_group",
            {"DBParameterGroupName": "same", "DBParameterGroupFamily": "postgres15", "Description": "{mark}"},
        ),
        ("describe_db_parameter_groups", {"DBParameterGroupName": "same"}, "DBParameterGroups/0/Description"),
        ("delete_db_parameter_group", {"DBParameterGroupName": "same"}),
        ("describe_db_parameter_groups", {}, "DBParameterGroups/*/DBParameterGroupName"),
    ),
    "rds subnet groups": Named(
        "rds",
        ("create_db_subnet_group", {**SUBNETS, "DBSubnetGroupDescription": "{mark}"}),
        ("describe_db_subnet_groups", {"DBSubnetGroupName": "same"}, "DBSubnetGroups/0/DBSubnetGroupDescription"),
        ("delete_db_subnet_group", {"DBSubnetGroupName": "same"}),
        ("describe_db_subnet_groups", {}, "DBSubnetGroups/*/DBSubnetGroupName"),
    ),
    "rds instances": Named(
        "rds",
        (
            "create_db_instance",
            {
                "DBInstanceIdentifier": "same",
                "DBName": "{mark}",
                "Engine": "postgres",
                "DBInstanceClass": "db.r6g.large",
                "MasterUsername": "master",
                "MasterUserPassword": "the-first-password",
            },
        ),
        ("describe_db_instances", {"DBInstanceIdentifier": "same"}, "DBInstances/0/DBName"),
        ("delete_db_instance", {"DBInstanceIdentifier": "same", "SkipFinalSnapshot": True}),
        ("describe_db_instances", {}, "DBInstances/*/DBInstanceIdentifier"),
    ),
    "rds clusters": Named(
        "rds",
        (
            "create_db_cluster",
            {
                "DBClusterIdentifier": "same",
                "DatabaseName": "{mark}",
                "Engine": "aurora-postgresql",
                "MasterUsername": "master",
                "MasterUserPassword": "the-first-password",
            },
        ),
        ("describe_db_clusters", {"DBClusterIdentifier": "same"}, "DBClusters/0/DatabaseName"),
        ("delete_db_cluster", {"DBClusterIdentifier": "same", "SkipFinalSnapshot": True}),
        ("describe_db_clusters", {}, "DBClusters/*/DBClusterIdentifier"),
    ),
    "cloudtrail": Named(
        "cloudtrail",
        ("create_trail", {"Name": "same", "S3BucketName": "trails", "S3KeyPrefix": "{mark}"}),
        ("get_trail", {"Name": "same"}, "Trail/S3KeyPrefix"),
        ("delete_trail", {"Name": "same"}),
        ("describe_trails", {}, "trailList/*/Name"),
    ),
    "elasticache parameter groups": Named(
        "elasticache",
        (
            "create_cache_parameter_group",
            {"CacheParameterGroupName": "same", "CacheParameterGroupFamily": "redis7", "Description": "{mark}"},
        ),
        ("describe_cache_parameter_groups", {"CacheParameterGroupName": "same"}, "CacheParameterGroups/0/Description"),
        ("delete_cache_parameter_group", {"CacheParameterGroupName": "same"}),
        ("describe_cache_parameter_groups", {}, "CacheParameterGroups/*/CacheParameterGroupName"),
    ),
    "elasticache replication groups": Named(
        "elasticache",
        (
            "create_replication_group",
            {"ReplicationGroupId": "same", "ReplicationGroupDescription": "{mark}", "CacheNodeType": "cache.t4g.small"},
        ),
        ("describe_replication_groups", {"ReplicationGroupId": "same"}, "ReplicationGroups/0/Description"),
        ("delete_replication_group", {"ReplicationGroupId": "same"}),
        ("describe_replication_groups", {}, "ReplicationGroups/*/ReplicationGroupId"),
    ),
}


@pytest.fixture(scope="module")
def there(aws: Emulator) -> dict[str, dict[str, str]]:
    """What the services need of others, by region."""
    role = aws.client("iam").create_role(RoleName="same", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    found = {}
    for region in (FIRST, SECOND):
        ec2, mark = aws.client("ec2", region), region.replace("-", "")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone=f"{region}a")["Subnet"]["SubnetId"]
        key = aws.client("kms", region).create_key(Description=mark)["KeyMetadata"]["Arn"]
        queue = f"{aws.endpoint}/{ACCOUNT}/same"
        found[region] = {"mark": mark, "region": region, "subnet": subnet, "key": key, "role": role, "queue": queue}
    aws.client("s3").create_bucket(Bucket="trails")
    return found


def filled(value: Any, given: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**given)
    if isinstance(value, list):
        return [filled(one, given) for one in value]
    return {key: filled(one, given) for key, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", SERVICES)
def test_one_name_in_two_regions_is_two_things(aws: Emulator, there: dict[str, dict[str, str]], name: str) -> None:
    named = SERVICES[name]

    def call(region: str, operation: str, arguments: dict[str, Any]) -> Any:
        return getattr(aws.client(named.service, region), operation)(**filled(arguments, there.get(region, {})))

    def listed(region: str) -> list[str]:
        operation, arguments, path = named.names
        return [one for one in at(call(region, operation, arguments), path) or [] if "same" in one]

    for region in (FIRST, SECOND):
        call(region, *named.make)
    for region in (FIRST, SECOND):
        operation, arguments, path = named.show
        assert at(call(region, operation, arguments), path) in (there[region]["mark"], there[region]["key"])
        assert len(listed(region)) == 1
    assert listed("us-east-1") == []
    call(FIRST, *named.remove)
    assert (len(listed(FIRST)), len(listed(SECOND))) == (0, 1)
    call(SECOND, *named.remove)
    assert listed(SECOND) == []


def test_a_bucket_is_in_one_region_and_its_name_is_everybodys(aws: Emulator) -> None:
    first, second = aws.client("s3", FIRST), aws.client("s3", SECOND)
    first.create_bucket(Bucket="only-one", CreateBucketConfiguration={"LocationConstraint": FIRST})
    assert second.get_bucket_location(Bucket="only-one")["LocationConstraint"] == FIRST
    with pytest.raises(second.exceptions.BucketAlreadyOwnedByYou):
        second.create_bucket(Bucket="only-one", CreateBucketConfiguration={"LocationConstraint": SECOND})
    first.delete_bucket(Bucket="only-one")


def test_a_metric_raises_the_alarm_of_its_region_alone(aws: Emulator) -> None:
    for region in (FIRST, SECOND):
        aws.client("cloudwatch", region).put_metric_alarm(
            AlarmName="regional",
            Namespace="AWS/EFS",
            MetricName="TimeSinceLastSync",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            ComparisonOperator="GreaterThanThreshold",
            Threshold=900,
            Dimensions=[{"Name": "FileSystemId", "Value": "fs-1"}],
        )
    aws.measure("AWS/EFS", "TimeSinceLastSync", 1000, SECOND, FileSystemId="fs-1")
    states = [
        aws.client("cloudwatch", region).describe_alarms(AlarmNames=["regional"])["MetricAlarms"][0]["StateValue"]
        for region in (FIRST, SECOND)
    ]
    assert states == ["INSUFFICIENT_DATA", "ALARM"]


def template(region: str) -> dict[str, Any]:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "of-a-stack", "DisplayName": region}}
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/of/a/stack", "RetentionInDays": 30}}
    output = {"Region": {"Value": {"Fn::Sub": "${AWS::Region} ${Topic.TopicName}"}}}
    return {"Resources": {"Topic": topic, "Group": group}, "Outputs": output}


def test_stacks_of_one_name_are_two_and_cloud_control_reads_each(aws: Emulator) -> None:
    first = ""
    for region in (FIRST, SECOND):
        stack = stacks.deploy(aws, "twice", template(region), region=region)
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
        assert stacks.outputs(stack) == {"Region": f"{region} of-a-stack"}
        assert f":{region}:" in stack["StackId"]
        first = first or stack["StackId"]
    for region in (FIRST, SECOND):
        control = aws.client("cloudcontrol", region)
        found = control.get_resource(TypeName="AWS::SNS::Topic", Identifier=f"arn:aws:sns:{region}:{ACCOUNT}:of-a-stack")
        assert json.loads(found["ResourceDescription"]["Properties"])["DisplayName"] == region
    aws.client("cloudformation", FIRST).delete_stack(StackName="twice")
    gone = stacks.settled(aws, first, FIRST)
    assert gone["StackStatus"] == "DELETE_COMPLETE", gone["Failures"]
    assert [one["StackName"] for one in aws.client("cloudformation", SECOND).describe_stacks()["Stacks"]] == ["twice"]
    asked = {"TypeName": "AWS::Logs::LogGroup", "Identifier": "/of/a/stack"}
    assert aws.client("cloudcontrol", SECOND).get_resource(**asked)
    with pytest.raises(ClientError) as refused:
        aws.client("cloudcontrol", FIRST).get_resource(**asked)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
