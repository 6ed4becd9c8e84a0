"""What Cloud Control says of resources is what their services say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, running, schemas
from emulator.types import RESOURCES
from tests.support.emulator import samples, stacks

pytestmark = pytest.mark.xdist_group("readback")  # else every worker would set up what they share

STACK = "sample"
SHOWN = [name for name, (kind, _) in samples.RESOURCES.items() if schemas.readable(kind)]


@pytest.fixture(scope="module")
def sample() -> Iterator[Emulator]:
    with running(databases=False) as aws:
        stack = stacks.deploy(aws, STACK, samples.template(), tags={"System": "sample"})
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack["Failures"]
        yield aws


def read(aws: Emulator, name: str) -> stacks.Properties:
    kind, declared = samples.RESOURCES[name]
    ids = stacks.physical(aws, STACK)
    return stacks.get(aws, kind, stacks.identifier(aws, kind, declared, ids, ids[name]))


def test_every_type_has_a_sample() -> None:
    assert {kind for kind, _ in samples.RESOURCES.values()} == set(RESOURCES)


@pytest.mark.parametrize("name", SHOWN)
def test_every_declared_property_is_read_back(sample: Emulator, name: str) -> None:
    kind, declared = samples.RESOURCES[name]
    expected = stacks.resolved(stacks.readable(kind, declared), stacks.physical(sample, STACK))
    if kind == "AWS::KMS::Alias":  # KMS names the key by its id, however it was named
        expected["TargetKeyId"] = expected["TargetKeyId"].rsplit("/", 1)[-1]
    assert stacks.differences(expected, read(sample, name)) == []


@pytest.mark.parametrize("name", [name for name in SHOWN if schemas.tag_property(samples.RESOURCES[name][0])])
def test_stack_tags_reach_the_resource(sample: Emulator, name: str) -> None:
    assert ("System", "sample") in stacks.tags(samples.RESOURCES[name][0], read(sample, name))


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_is_said_that_the_schema_does_not_know(sample: Emulator, name: str) -> None:
    schema = schemas.of(samples.RESOURCES[name][0])
    found = read(sample, name)
    assert set(found) <= set(schema["properties"])
    assert not set(found) & set(schemas.properties(samples.RESOURCES[name][0], "writeOnlyProperties"))


# Service, call and its arguments; then where GetResource has to show it, and what. {Name} is a resource's physical id.
BEHIND: dict[str, tuple[str, str, dict[str, Any], str, Any]] = {
    "Key": ("kms", "disable_key_rotation", {"KeyId": "{Key}"}, "/EnableKeyRotation", False),
    "Alias": ("kms", "update_alias", {"AliasName": "alias/sample", "TargetKeyId": "{OtherKey}"}, "/TargetKeyId", "{OtherKey}"),
    "Bucket": (
        "s3",
        "put_bucket_versioning",
        {"Bucket": "sample-bucket", "VersioningConfiguration": {"Status": "Suspended"}},
        "/VersioningConfiguration/Status",
        "Suspended",
    ),
    "BucketPolicy": (
        "s3",
        "put_bucket_policy",
        {"Bucket": "sample-bucket", "Policy": json.dumps({"Version": "2012-10-17", "Statement": []})},
        "/PolicyDocument/Statement",
        [],
    ),
    "Vpc": (
        "ec2",
        "modify_vpc_attribute",
        {"VpcId": "{Vpc}", "EnableDnsHostnames": {"Value": False}},
        "/EnableDnsHostnames",
        False,
    ),
    "Gateway": (
        "ec2",
        "create_tags",
        {"Resources": ["{Gateway}"], "Tags": [{"Key": "Name", "Value": "x"}]},
        "/Tags/0/Value",
        "x",
    ),
    "SubnetA": (
        "ec2",
        "modify_subnet_attribute",
        {"SubnetId": "{SubnetA}", "MapPublicIpOnLaunch": {"Value": False}},
        "/MapPublicIpOnLaunch",
        False,
    ),
    "Routes": ("ec2", "create_tags", {"Resources": ["{Routes}"], "Tags": [{"Key": "Name", "Value": "x"}]}, "/Tags/0/Value", "x"),
    "Route": (
        "ec2",
        "replace_route",
        {"RouteTableId": "{Routes}", "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "{Nat}"},
        "/NatGatewayId",
        "{Nat}",
    ),
    "Nat": ("ec2", "create_tags", {"Resources": ["{Nat}"], "Tags": [{"Key": "Name", "Value": "x"}]}, "/Tags/0/Value", "x"),
    "Group": (
        "ec2",
        "authorize_security_group_ingress",
        {
            "GroupId": "{Group}",
            "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        },
        "/SecurityGroupIngress/2/FromPort",
        22,
    ),
    "FlowLog": (
        "ec2",
        "create_tags",
        {"Resources": ["{FlowLog}"], "Tags": [{"Key": "Name", "Value": "x"}]},
        "/Tags/0/Value",
        "x",
    ),
    "Endpoint": (
        "ec2",
        "modify_vpc_endpoint",
        {"VpcEndpointId": "{Endpoint}", "RemoveSecurityGroupIds": ["{Group}"], "AddSecurityGroupIds": ["{OtherGroup}"]},
        "/SecurityGroupIds/0",
        "{OtherGroup}",
    ),
    "LogGroup": ("logs", "delete_retention_policy", {"logGroupName": "/sample/log"}, "/RetentionInDays", None),
    "Filter": (
        "logs",
        "put_metric_filter",
        {
            "logGroupName": "/sample/log",
            "filterName": "sample-filter",
            "filterPattern": "x",
            "metricTransformations": [{"metricName": "a", "metricNamespace": "b", "metricValue": "1"}],
        },
        "/FilterPattern",
        "x",
    ),
    "Role": (
        "iam",
        "detach_role_policy",
        {"RoleName": "sample-role", "PolicyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"},
        "/ManagedPolicyArns",
        [],
    ),
    "Topic": (
        "sns",
        "set_topic_attributes",
        {"TopicArn": "{Topic}", "AttributeName": "DisplayName", "AttributeValue": "x"},
        "/DisplayName",
        "x",
    ),
    "Subscription": (
        "sns",
        "set_subscription_attributes",
        {"SubscriptionArn": "{Subscription}", "AttributeName": "RawMessageDelivery", "AttributeValue": "true"},
        "/RawMessageDelivery",
        True,
    ),
    "Secret": ("secretsmanager", "update_secret", {"SecretId": "{Secret}", "Description": "x"}, "/Description", "x"),
    "SecretPolicy": (
        "secretsmanager",
        "put_resource_policy",
        {"SecretId": "{Secret}", "ResourcePolicy": '{"Statement": []}'},
        "/ResourcePolicy/Statement",
        [],
    ),
    "SecretAttachment": (
        "secretsmanager",
        "put_secret_value",
        {"SecretId": "{Secret}", "SecretString": '{"username": "u", "dbInstanceIdentifier": "another"}'},
        "/TargetId",
        "another",
    ),
    "SubnetGroup": (
        "rds",
        "modify_db_subnet_group",
        {"DBSubnetGroupName": "sample-subnets", "SubnetIds": ["{SubnetB}"]},
        "/SubnetIds",
        ["{SubnetB}"],
    ),
    "ParameterGroup": (
        "rds",
        "modify_db_parameter_group",
        {
            "DBParameterGroupName": "sample-parameters",
            "Parameters": [{"ParameterName": "log_statement", "ParameterValue": "none", "ApplyMethod": "immediate"}],
        },
        "/Parameters/log_statement",
        "none",
    ),
    "Database": (
        "rds",
        "modify_db_instance",
        {"DBInstanceIdentifier": "sample-database", "BackupRetentionPeriod": 1, "ApplyImmediately": True},
        "/BackupRetentionPeriod",
        1,
    ),
    "Events": ("rds", "modify_event_subscription", {"SubscriptionName": "sample-events", "Enabled": False}, "/Enabled", False),
    "Function": ("lambda", "update_function_configuration", {"FunctionName": "sample-function", "Timeout": 5}, "/Timeout", 5),
    "Rotation": (
        "secretsmanager",
        "rotate_secret",
        {"SecretId": "{Secret}", "RotationRules": {"AutomaticallyAfterDays": 5}, "RotateImmediately": False},
        "/RotationRules/AutomaticallyAfterDays",
        5,
    ),
    "Alarm": (
        "cloudwatch",
        "put_metric_alarm",
        {
            "AlarmName": "sample-alarm",
            "Namespace": "a",
            "MetricName": "b",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": 1,
        },
        "/Threshold",
        1,
    ),
    "Parameter": (
        "ssm",
        "put_parameter",
        {"Name": "/sample/dev/config/mode", "Value": "approve", "Overwrite": True},
        "/Value",
        "approve",
    ),
    "Zone": ("route53", "update_hosted_zone_comment", {"Id": "{Zone}", "Comment": "x"}, "/HostedZoneConfig/Comment", "x"),
    "SecondaryRecord": (
        "route53",
        "change_resource_record_sets",
        {
            "HostedZoneId": "{Zone}",
            "ChangeBatch": {
                "Changes": [
                    {
                        "Action": "UPSERT",
                        "ResourceRecordSet": {
                            "Name": "writer.sample.internal",
                            "Type": "CNAME",
                            "SetIdentifier": "secondary",
                            "Failover": "SECONDARY",
                            "TTL": 60,
                            "ResourceRecords": [{"Value": "x"}],
                        },
                    }
                ]
            },
        },
        "/ResourceRecords",
        ["x"],
    ),
    "Dashboard": (
        "cloudwatch",
        "put_dashboard",
        {"DashboardName": "sample", "DashboardBody": '{"widgets":[1]}'},
        "/DashboardBody",
        '{"widgets":[1]}',
    ),
    "ClusterParameters": (
        "rds",
        "modify_db_cluster_parameter_group",
        {
            "DBClusterParameterGroupName": "sample-cluster-parameters",
            "Parameters": [{"ParameterName": "log_statement", "ParameterValue": "none", "ApplyMethod": "immediate"}],
        },
        "/Parameters/log_statement",
        "none",
    ),
    "Cluster": (
        "rds",
        "modify_db_cluster",
        {"DBClusterIdentifier": "sample-cluster", "DeletionProtection": True},
        "/DeletionProtection",
        True,
    ),
    "Global": (
        "rds",
        "modify_global_cluster",
        {"GlobalClusterIdentifier": "sample-global", "DeletionProtection": True},
        "/DeletionProtection",
        True,
    ),
    "Member": (
        "rds",
        "modify_db_instance",
        {"DBInstanceIdentifier": "sample-member", "PromotionTier": 15},
        "/PromotionTier",
        15,
    ),
    "Table": (
        "dynamodb",
        "update_continuous_backups",
        {"TableName": "sample-table", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}},
        "/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled",
        False,
    ),
    "Files": (
        "efs",
        "put_lifecycle_configuration",
        {"FileSystemId": "{Files}", "LifecyclePolicies": []},
        "/LifecyclePolicies",
        [],
    ),
    "TargetA": (
        "efs",
        "modify_mount_target_security_groups",
        {"MountTargetId": "{TargetA}", "SecurityGroups": ["{OtherGroup}"]},
        "/SecurityGroups",
        ["{OtherGroup}"],
    ),
    "AccessPoint": (
        "efs",
        "tag_resource",
        {"ResourceId": "{AccessPoint}", "Tags": [{"Key": "Name", "Value": "x"}]},
        "/AccessPointTags/0/Value",
        "x",
    ),
    "Queue": (
        "sqs",
        "set_queue_attributes",
        {"QueueUrl": "{Queue}", "Attributes": {"VisibilityTimeout": "5"}},
        "/VisibilityTimeout",
        5,
    ),
    "Schedule": ("events", "disable_rule", {"Name": "sample-schedule"}, "/State", "DISABLED"),
    "Jobs": ("events", "remove_targets", {"Rule": "sample-jobs", "Ids": ["topic"]}, "/Targets", []),
    "Vault": ("backup", "delete_backup_vault_access_policy", {"BackupVaultName": "sample-vault"}, "/AccessPolicy", None),
    "Plan": (
        "backup",
        "update_backup_plan",
        {
            "BackupPlanId": "{Plan}",
            "BackupPlan": {"BackupPlanName": "x", "Rules": [{"RuleName": "x", "TargetBackupVaultName": "sample-vault"}]},
        },
        "/BackupPlan/BackupPlanName",
        "x",
    ),
    "Testing": (
        "backup",
        "update_restore_testing_plan",
        {"RestoreTestingPlanName": "sample_testing", "RestoreTestingPlan": {"StartWindowHours": 9}},
        "/StartWindowHours",
        9,
    ),
    "Tested": (
        "backup",
        "update_restore_testing_selection",
        {
            "RestoreTestingPlanName": "sample_testing",
            "RestoreTestingSelectionName": "sample_tested",
            "RestoreTestingSelection": {"ValidationWindowHours": 9},
        },
        "/ValidationWindowHours",
        9,
    ),
    "Composite": (
        "cloudwatch",
        "put_composite_alarm",
        {"AlarmName": "sample-composite", "AlarmRule": "FALSE"},
        "/AlarmRule",
        "FALSE",
    ),
    "HealthCheck": (
        "route53",
        "update_health_check",
        {"HealthCheckId": "{HealthCheck}", "Inverted": True},
        "/HealthCheckConfig/Inverted",
        True,
    ),
    "CacheSubnets": (
        "elasticache",
        "modify_cache_subnet_group",
        {"CacheSubnetGroupName": "sample-cache-subnets", "CacheSubnetGroupDescription": "x"},
        "/Description",
        "x",
    ),
    "CacheParameters": (
        "elasticache",
        "modify_cache_parameter_group",
        {
            "CacheParameterGroupName": "{CacheParameters}",
            "ParameterNameValues": [{"ParameterName": "timeout", "ParameterValue": "30"}],
        },
        "/Properties/timeout",
        "30",
    ),
    "CacheUser": (
        "elasticache",
        "add_tags_to_resource",
        {
            "ResourceName": "arn:aws:elasticache:us-east-1:123456789012:user:sample-user",
            "Tags": [{"Key": "Name", "Value": "x"}],
        },
        "/Tags/0/Value",
        "x",
    ),
    "CacheUsers": (
        "elasticache",
        "modify_user_group",
        {"UserGroupId": "sample-users", "UserIdsToRemove": ["sample-user"]},
        "/UserIds",
        ["sample-nobody"],
    ),
    "Cache": (
        "elasticache",
        "modify_replication_group",
        {"ReplicationGroupId": "sample-cache", "SnapshotRetentionLimit": 9, "ApplyImmediately": True},
        "/SnapshotRetentionLimit",
        9,
    ),
    "GatewayEndpoint": (
        "ec2",
        "modify_vpc_endpoint",
        {"VpcEndpointId": "{GatewayEndpoint}", "RemoveRouteTableIds": ["{Routes}"]},
        "/RouteTableIds",
        [],
    ),
    "Trail": ("cloudtrail", "stop_logging", {"Name": "sample-trail"}, "/IsLogging", False),
}

# Deleted behind CloudFormation's back: then there is no such resource.
GONE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Association": ("ec2", "disassociate_route_table", {"AssociationId": "{Association}"}),
    "Ingress": ("ec2", "revoke_security_group_ingress", {"GroupId": "{Group}", "SecurityGroupRuleIds": ["{Ingress}"]}),
    "Egress": ("ec2", "revoke_security_group_egress", {"GroupId": "{OtherGroup}", "SecurityGroupRuleIds": ["{Egress}"]}),
    "Permission": ("lambda", "remove_permission", {"FunctionName": "sample-function", "StatementId": "{Permission}"}),
    "Attachment": ("ec2", "detach_internet_gateway", {"InternetGatewayId": "{Gateway}", "VpcId": "{Vpc}"}),
    "Selection": ("backup", "delete_backup_selection", {"BackupPlanId": "{Plan}", "SelectionId": "{SelectionId}"}),
}
FIRST = {"Attachment": ("ec2", "delete_nat_gateway", {"NatGatewayId": "{Nat}"})}


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("{") and value.endswith("}") and value[1:-1] in ids:
        return ids[value[1:-1]]
    if isinstance(value, list):
        return [filled(one, ids) for one in value]
    return {key: filled(one, ids) for key, one in value.items()} if isinstance(value, dict) else value


def at(path: str, value: Any) -> Any:
    for key in path.strip("/").split("/"):
        value = _item(value, int(key)) if isinstance(value, list) else (value or {}).get(key)
    return value


def _item(values: list[Any], number: int) -> Any:
    return values[number] if number < len(values) else None


@pytest.fixture(scope="module")
def changed() -> Iterator[tuple[Emulator, dict[str, str]]]:
    with running(databases=False) as aws:
        assert stacks.deploy(aws, STACK, samples.template())["StackStatus"] == "CREATE_COMPLETE"
        ids = stacks.physical(aws, STACK)
        selection = aws.client("backup").list_backup_selections(BackupPlanId=ids["Plan"])["BackupSelectionsList"][0]
        ids["SelectionId"] = selection["SelectionId"]
        yield aws, {**ids, "OtherKey": aws.client("kms").create_key()["KeyMetadata"]["KeyId"]}


@pytest.mark.parametrize("name", BEHIND)
def test_a_change_behind_the_back_of_cloudformation_shows(changed: tuple[Emulator, dict[str, str]], name: str) -> None:
    aws, ids = changed
    service, call, arguments, path, expected = BEHIND[name]
    expected = filled(expected, ids)
    assert at(path, read(aws, name)) != expected
    getattr(aws.client(service), call)(**filled(arguments, ids))
    assert at(path, read(aws, name)) == expected


@pytest.mark.parametrize("name", GONE)
def test_what_was_deleted_behind_the_back_of_cloudformation_is_not_found(
    name: str, changed: tuple[Emulator, dict[str, str]]
) -> None:
    aws, ids = changed
    read(aws, name)
    for service, call, arguments in ([FIRST[name]] if name in FIRST else []) + [GONE[name]]:
        getattr(aws.client(service), call)(**filled(arguments, ids))
    with pytest.raises(ClientError) as refused:
        read(aws, name)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_every_readable_type_is_changed_or_deleted_by_a_test() -> None:
    tried = {samples.RESOURCES[name][0] for name in (*BEHIND, *GONE)}
    # An address has no other setting than its tags, which the test of changes through CloudFormation sees.
    assert {kind for kind in RESOURCES if schemas.readable(kind)} - tried == {"AWS::EC2::EIP"}


@pytest.mark.parametrize(
    ("kind", "identifier", "code"),
    [
        ("AWS::SNS::TopicPolicy", "any", "UnsupportedActionException"),
        ("AWS::No::Such", "any", "TypeNotFoundException"),
        ("AWS::S3::Bucket", "no-such-bucket", "ResourceNotFoundException"),
        ("AWS::EC2::VPC", "vpc-0", "ResourceNotFoundException"),
        ("AWS::KMS::Key", "00000000-0000-0000-0000-000000000000", "ResourceNotFoundException"),
        ("AWS::RDS::DBInstance", "none", "ResourceNotFoundException"),
        ("AWS::Lambda::Permission", "no-second-part", "ValidationException"),
        ("AWS::ApiGateway::RestApi", "any", "UnsupportedActionException"),
        ("AWS::Backup::BackupVault", "none", "ResourceNotFoundException"),
        ("AWS::ElastiCache::ReplicationGroup", "none", "ResourceNotFoundException"),
        ("AWS::ElastiCache::User", "none", "ResourceNotFoundException"),
        ("AWS::EFS::AccessPoint", "fsap-0", "ResourceNotFoundException"),
        ("AWS::Events::Rule", "arn:aws:events:us-east-1:123456789012:rule/none", "ResourceNotFoundException"),
        ("AWS::RDS::DBCluster", "none", "ResourceNotFoundException"),
        ("AWS::Route53::HealthCheck", "00000000-0000-0000-0000-000000000000", "ResourceNotFoundException"),
        ("AWS::SSM::Parameter", "/no/such", "ResourceNotFoundException"),
        ("AWS::Route53::HostedZone", "Z0000000000000", "ResourceNotFoundException"),
        ("AWS::Route53::RecordSet", "a|Z0000000000000|CNAME|", "ResourceNotFoundException"),
        ("AWS::SQS::Queue", "http://127.0.0.1:4566/123456789012/none", "ResourceNotFoundException"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_code_of_aws(aws: Emulator, kind: str, identifier: str, code: str) -> None:
    with pytest.raises(ClientError) as refused:
        stacks.get(aws, kind, identifier)
    assert refused.value.response["Error"]["Code"] == code


def test_a_key_that_waits_for_its_deletion_is_not_found(aws: Emulator) -> None:
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with pytest.raises(ClientError) as refused:
        stacks.get(aws, "AWS::KMS::Key", key)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
