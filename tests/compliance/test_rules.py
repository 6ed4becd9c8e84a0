"""Every rule: met in the small system, unmet after each change below; and a few changes that a rule must bear."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from compliance.catalogues import catalogues
from compliance.profiles.baseline import BASELINE
from compliance.profiles.fedramp_high import FEDRAMP_HIGH
from compliance.profiles.fedramp_moderate import FEDRAMP_MODERATE
from compliance.profiles.financial_audit import FINANCIAL_AUDIT
from compliance.profiles.hipaa import HIPAA
from compliance.rules import alarms, failover, iam, sns
from model import Rule
from model.resource_types import resource_types
from model.view import TEMPLATE, View
from tests.compliance import cache_table, elsewhere_table, failover_table, global_table, packs_table, platform_table
from tests.compliance.spared_table import SPARED
from tests.support import committed_templates
from tests.support.compliance.every_rule import all_rules
from tests.support.compliance.small_system import GONE, changed, resource, templates, verdict

RULES = {rule.id: rule for rule in all_rules()}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


INSTANCE = "data/Resources/Instance/Properties"
KEY = "base/Resources/Key/Properties"
STATEMENTS = f"{KEY}/KeyPolicy/Statement"
TOPIC = "base/Resources/TopicPolicy/Properties/PolicyDocument/Statement"
BUCKET = "base/Resources/Bucket/Properties"
BUCKET_POLICY = "base/Resources/BucketPolicy/Properties/PolicyDocument/Statement"
TRAIL = "base/Resources/Trail/Properties"
ROLE = "base/Resources/TrailRole/Properties"
CLIENTS = "network/Resources/Clients/Properties"
CLIENTS_IN = "network/Resources/ClientsIn/Properties"
CLIENTS_OUT = "network/Resources/ClientsOut/Properties"
SECRET = "data/Resources/Secret/Properties"
SCHEDULE = "data/Resources/Schedule/Properties"
CPU = "data/Resources/CpuTooHigh/Properties"
ROOT = "base/Resources/RootActed/Properties"
ENDPOINT = "network/Resources/Endpoint/Properties"
ROLE_ARN = "arn:aws:iam::1:role/x"
ALARM_ARN = "arn:${AWS::Partition}:cloudwatch:us-east-1:${AWS::AccountId}:alarm:"
DB_ARN = "arn:${AWS::Partition}:rds:us-east-1:${AWS::AccountId}:db:"

BREAKS: list[tuple[str, str, list[tuple[str, Any]]]] = [
    # rule, resource, what is changed: then the rule is unmet
    ("rds.multi_az", "data.Instance", [(f"{INSTANCE}/MultiAZ", GONE)]),
    ("rds.multi_az", "data.Instance", [(f"{INSTANCE}/MultiAZ", ref("Days"))]),
    ("rds.storage_encrypted", "data.Instance", [(f"{INSTANCE}/StorageEncrypted", False)]),
    ("rds.customer_key", "data.Instance", [(f"{INSTANCE}/KmsKeyId", GONE)]),
    ("rds.customer_key", "data.Instance", [(f"{INSTANCE}/KmsKeyId", "alias/aws/rds")]),
    ("rds.customer_key", "data.Instance", [("base/Resources/Key/Condition", "Sometimes")]),
    ("rds.customer_key", "data.Instance", [("data/Metadata/Layer/Imports/BaseKeyArn", GONE)]),
    ("rds.tls_forced", "data.Instance", [("data/Resources/Parameters/Properties/Parameters/rds.force_ssl", "0")]),
    ("rds.tls_forced", "data.Instance", [("data/Resources/Parameters/Properties/Parameters/rds.force_ssl", GONE)]),
    ("rds.tls_forced", "data.Instance", [(f"{INSTANCE}/DBParameterGroupName", "default.postgres15")]),
    ("rds.statements_logged", "data.Instance", [("data/Resources/Parameters/Properties/Parameters/log_statement", "none")]),
    ("rds.logins_logged", "data.Instance", [("data/Resources/Parameters/Properties/Parameters/log_connections", GONE)]),
    ("rds.logins_logged", "data.Instance", [("data/Resources/Parameters/Properties/Parameters/log_disconnections", "0")]),
    ("rds.backup_retained", "data.Instance", [(f"{INSTANCE}/BackupRetentionPeriod", 6)]),
    ("rds.backup_retained", "data.Instance", [(f"{INSTANCE}/BackupRetentionPeriod", ref("Days"))]),
    ("rds.backup_retained", "data.Instance", [("data/Parameters/BackupDays/MinValue", 1)]),
    ("rds.backup_retained", "data.Instance", [(f"{INSTANCE}/BackupRetentionPeriod", ref("Nobody"))]),
    ("rds.not_public", "data.Instance", [(f"{INSTANCE}/PubliclyAccessible", GONE)]),
    ("rds.isolated", "data.Instance", [("network/Resources/TableOfA/Properties/RouteTableId", ref("OpenTable"))]),
    ("rds.isolated", "data.Instance", [("network/Resources/TableOfA", GONE)]),
    ("rds.isolated", "data.Instance", [("network/Resources/TableOfA/Properties/RouteTableId", "rtb-1")]),
    ("rds.isolated", "data.Instance", [("data/Resources/SubnetGroup/Properties/SubnetIds", ["subnet-1"])]),
    ("rds.isolated", "data.Instance", [(f"{INSTANCE}/DBSubnetGroupName", GONE)]),
    ("rds.logs_exported", "data.Instance", [(f"{INSTANCE}/EnableCloudwatchLogsExports", GONE)]),
    ("rds.logs_exported", "data.Instance", [(f"{INSTANCE}/EnableCloudwatchLogsExports", ["postgresql", "upgrade"])]),
    ("rds.logs_exported", "data.Instance", [("data/Resources/Instance/DependsOn", [])]),
    ("rds.logs_exported", "data.Instance", [("data/Resources/PostgresqlGroup/Condition", "Sometimes")]),
    ("rds.logs_exported", "data.Instance", [(f"{INSTANCE}/DBInstanceIdentifier", GONE)]),
    ("rds.destroyable", "data.Instance", [(f"{INSTANCE}/DeletionProtection", True)]),
    ("rds.destroyable", "data.Instance", [(f"{INSTANCE}/DeletionProtection", ref("Days"))]),
    ("rds.destroyable", "data.Instance", [("data/Resources/Instance/DeletionPolicy", "Snapshot")]),
    ("rds.monitored", "data.Instance", [(f"{INSTANCE}/MonitoringInterval", 0)]),
    ("rds.monitored", "data.Instance", [(f"{INSTANCE}/MonitoringInterval", "often")]),
    ("rds.monitored", "data.Instance", [(f"{INSTANCE}/MonitoringRoleArn", ROLE_ARN)]),
    ("rds.monitored", "data.Instance", [(f"{INSTANCE}/EnablePerformanceInsights", False)]),
    (
        "rds.monitored",
        "data.Instance",
        [
            (
                "data/Resources/MonitoringRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal/Service",
                "rds.amazonaws.com",
            )
        ],
    ),
    ("rds.alarmed", "data.Instance", [("data/Resources/FreeMemoryTooLow", GONE)]),
    ("rds.alarmed", "data.Instance", [(f"{CPU}/Dimensions/0/Value", "another")]),
    ("rds.alarmed", "data.Instance", [("data/Resources/CpuTooHigh/Condition", "Sometimes")]),
    ("kms.rotated", "base.Key", [(f"{KEY}/EnableKeyRotation", GONE)]),
    ("kms.delegated", "base.Key", [(f"{STATEMENTS}/0", GONE)]),
    ("kms.delegated", "base.Key", [(f"{STATEMENTS}/0/Action", ["kms:Describe*"])]),
    ("sns.delivers", "data.CpuTooHigh", [("base/Resources/Topic/Properties/KmsMasterKeyId", "alias/aws/sns")]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{STATEMENTS}/2", GONE)]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{STATEMENTS}/2/Action", ["kms:Decrypt"])]),
    (
        "sns.delivers",
        "data.CpuTooHigh",
        [(f"{STATEMENTS}/2/Condition", {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}})],
    ),
    ("sns.delivers", "data.CpuTooHigh", [(f"{TOPIC}/0", GONE)]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{TOPIC}/0/Condition/ArnLike", {"aws:SourceArn": sub(ALARM_ARN + "other-*")})]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{TOPIC}/0/Condition/ArnLike", {"aws:SourceOrgID": "o-1"})]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{TOPIC}/0/Resource", "arn:aws:sns:us-east-1:1:other")]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{TOPIC}/0/Action", "sns:Subscribe")]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{TOPIC}/3/Condition", GONE)]),
    ("sns.delivers", "data.CpuTooHigh", [("base/Resources/TopicPolicy/Condition", "Sometimes")]),
    ("sns.delivers", "data.CpuTooHigh", [("base/Resources/Topic/Condition", "Sometimes")]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{CPU}/AlarmActions", GONE), (f"{CPU}/OKActions", GONE)]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{CPU}/ActionsEnabled", False)]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{CPU}/AlarmActions", GONE), (f"{CPU}/OKActions", [ref("BaseTopicArn")])]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{CPU}/AlarmActions", ["arn:aws:sns:us-east-1:1:elsewhere"])]),
    ("sns.delivers", "data.Subscription", [(f"{STATEMENTS}/4/Condition/StringEquals/aws:SourceAccount", "123456789012")]),
    ("sns.delivers", "data.Subscription", [(f"{STATEMENTS}/4/Condition/ArnLike", {"aws:SourceArn": sub(DB_ARN + "rds-*")})]),
    ("sns.delivers", "data.Subscription", [("data/Resources/Subscription/Properties/SourceIds", GONE)]),
    (
        "sns.delivers",
        "data.Subscription",
        [(f"{TOPIC}/2/Condition/ArnLike/aws:SourceArn", {"Fn::Join": ["", [{"Fn::Select": []}]]})],
    ),
    ("sns.delivers", "base.Rule", [(f"{TOPIC}/1/Condition", {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}})]),
    (
        "sns.delivers",
        "base.Rule",
        [(f"{STATEMENTS}/3/Condition", {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}})],
    ),
    ("sns.delivers", "base.Rule", [("base/Resources/Rule/Properties/Targets", GONE)]),
    ("sns.tls_only", "base.Topic", [(f"{TOPIC}/3", GONE)]),
    ("sns.tls_only", "base.Topic", [(f"{TOPIC}/3/Condition/Bool/aws:SecureTransport", "true")]),
    ("sns.tls_only", "base.Topic", [(f"{TOPIC}/3/Principal", {"Service": "cloudwatch.amazonaws.com"})]),
    ("sns.tls_only", "base.Topic", [(f"{TOPIC}/3/Resource", "arn:aws:sns:us-east-1:1:other")]),
    ("sns.customer_key", "base.Topic", [("base/Resources/Topic/Properties/KmsMasterKeyId", GONE)]),
    ("alarms.metric_exists", "data.CpuTooHigh", [(f"{CPU}/Dimensions/0/Name", "DBClusterIdentifier")]),
    ("alarms.metric_exists", "data.CpuTooHigh", [(f"{CPU}/Dimensions/0/Value", "elsewhere")]),
    ("alarms.metric_exists", "data.CpuTooHigh", [(f"{CPU}/Dimensions", GONE)]),
    (
        "alarms.metric_exists",
        "data.CpuTooHigh",
        [(f"{CPU}/Namespace", "AWS/DynamoDB"), (f"{CPU}/Dimensions/0/Name", "TableName")],
    ),
    ("alarms.metric_exists", "base.RootActed", [(f"{ROOT}/MetricName", "RootActs")]),
    ("alarms.metric_exists", "base.RootActed", [(f"{ROOT}/Namespace", "Small")]),
    ("alarms.metric_exists", "base.RootActed", [(f"{ROOT}/Dimensions", [{"Name": "User", "Value": "root"}])]),
    ("alarms.metric_exists", "base.RootActed", [("base/Resources/RootFilter/Condition", "Sometimes")]),
    (
        "alarms.metric_exists",
        "data.CpuTooHigh",
        [(f"{CPU}/Metrics", [{"Expression": "a"}, {"MetricStat": {"Metric": {"Namespace": "AWS/RDS", "MetricName": "x"}}}])],
    ),
    ("logs.retained", "base.TrailGroup", [("base/Resources/TrailGroup/Properties/RetentionInDays", GONE)]),
    ("logs.retained", "base.TrailGroup", [("base/Resources/TrailGroup/Properties/RetentionInDays", "until noticed")]),
    ("logs.encrypted", "data.PostgresqlGroup", [("data/Resources/PostgresqlGroup/Properties/KmsKeyId", GONE)]),
    ("logs.encrypted", "data.PostgresqlGroup", [(f"{STATEMENTS}/1", GONE)]),
    ("logs.encrypted", "data.PostgresqlGroup", [(f"{STATEMENTS}/1/Condition", GONE)]),
    ("logs.encrypted", "data.PostgresqlGroup", [(f"{STATEMENTS}/1/Principal/Service", "logs.eu-west-1.amazonaws.com")]),
    ("logs.encrypted", "data.PostgresqlGroup", [(f"{STATEMENTS}/1/Action", ["kms:Encrypt"])]),
    (
        "logs.encrypted",
        "data.PostgresqlGroup",
        [
            (
                f"{STATEMENTS}/1/Condition/ArnLike/kms:EncryptionContext:aws:logs:arn",
                sub("arn:aws:logs:us-east-1:${AWS::AccountId}:log-group:/aws/lambda/*"),
            )
        ],
    ),
    (
        "logs.encrypted",
        "data.PostgresqlGroup",
        [
            ("data/Resources/PostgresqlGroup/Properties/LogGroupName", GONE),
            (
                f"{STATEMENTS}/1/Condition/ArnLike/kms:EncryptionContext:aws:logs:arn",
                sub("arn:aws:logs:us-east-1:${AWS::AccountId}:log-group:/aws/*"),
            ),
        ],
    ),
    ("policies.nobody_named", "base.Key", [(f"{STATEMENTS}/0/Principal/AWS", ROLE_ARN)]),
    (
        "policies.nobody_named",
        "base.BucketPolicy",
        [(f"{BUCKET_POLICY}/1/Principal", {"AWS": {"Fn::GetAtt": ["TrailRole", "Arn"]}})],
    ),
    ("policies.nobody_named", "network.Endpoint", [(f"{ENDPOINT}/PolicyDocument/Statement/0/Principal", {"AWS": ROLE_ARN})]),
    ("policies.not_public", "base.TopicPolicy", [(f"{TOPIC}/1/Principal", "*")]),
    ("policies.not_public", "base.BucketPolicy", [(f"{BUCKET_POLICY}/1/Principal", {"AWS": "*"})]),
    ("policies.not_public", "base.BucketPolicy", [(f"{BUCKET_POLICY}/1/NotPrincipal", {"AWS": ROLE_ARN})]),
    ("policies.not_public", "base.BucketPolicy", [("base/Resources/BucketPolicy/Properties/PolicyDocument", ref("Given"))]),
    ("policies.endpoint_narrow", "network.Endpoint", [(f"{ENDPOINT}/PolicyDocument", GONE)]),
    ("policies.endpoint_narrow", "network.Endpoint", [(f"{ENDPOINT}/PolicyDocument/Statement/0/Action", "*")]),
    ("policies.endpoint_narrow", "network.Endpoint", [(f"{ENDPOINT}/PolicyDocument/Statement/0/Condition", GONE)]),
    ("iam.least_privilege", "base.TrailRole", [(f"{ROLE}/Policies/0/PolicyDocument/Statement/0/Action", "logs:*")]),
    ("iam.least_privilege", "base.TrailRole", [(f"{ROLE}/Policies/0/PolicyDocument/Statement/0/Action", "logs:Put*")]),
    ("iam.least_privilege", "base.TrailRole", [(f"{ROLE}/Policies/0/PolicyDocument/Statement/0/Action", "*")]),
    ("iam.least_privilege", "base.TrailRole", [(f"{ROLE}/Policies/0/PolicyDocument/Statement/0/Resource", "*")]),
    ("iam.least_privilege", "base.TrailRole", [(f"{ROLE}/Policies/0/PolicyDocument/Statement/1/Sid", GONE)]),
    ("iam.least_privilege", "base.TrailRole", [(f"{ROLE}/Policies/0/PolicyDocument/Statement/0/NotAction", "s3:*")]),
    (
        "iam.least_privilege",
        "base.TrailRole",
        [(f"{ROLE}/Policies/0/PolicyDocument/Statement/0/Resource", {"Fn::Select": [0, []]})],
    ),
    ("iam.least_privilege", "base.TrailRole", [(f"{ROLE}/ManagedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"])]),
    ("iam.trusted_service", "base.TrailRole", [(f"{ROLE}/AssumeRolePolicyDocument/Statement/Principal", {"AWS": "*"})]),
    ("iam.trusted_service", "base.TrailRole", [(f"{ROLE}/AssumeRolePolicyDocument", GONE)]),
    (
        "ec2.ingress_narrow",
        "network.ClientsIn",
        [(f"{CLIENTS_IN}/SourceSecurityGroupId", GONE), (f"{CLIENTS_IN}/CidrIp", "0.0.0.0/0")],
    ),
    ("ec2.ingress_narrow", "network.ClientsIn", [(f"{CLIENTS_IN}/CidrIp", "10.0.0.0/8")]),
    ("ec2.ingress_narrow", "network.ClientsIn", [(f"{CLIENTS_IN}/ToPort", 65535)]),
    ("ec2.ingress_narrow", "network.ClientsIn", [(f"{CLIENTS_IN}/IpProtocol", "-1")]),
    (
        "ec2.ingress_narrow",
        "network.Clients",
        [(f"{CLIENTS}/SecurityGroupIngress", [{"IpProtocol": "tcp", "CidrIp": "127.0.0.1/32"}])],
    ),
    ("ec2.ingress_narrow", "network.Clients", [(f"{CLIENTS}/SecurityGroupIngress", [ref("Given")])]),
    ("ec2.ingress_narrow", "network.Clients", [(f"{CLIENTS}/SecurityGroupIngress", ["given"])]),
    ("ec2.ingress_narrow", "network.Clients", [(f"{CLIENTS}/SecurityGroupIngress", ref("Given"))]),
    ("ec2.egress_narrow", "network.Clients", [(f"{CLIENTS}/SecurityGroupEgress", GONE)]),
    ("ec2.egress_narrow", "network.Clients", [(f"{CLIENTS}/SecurityGroupEgress/0/CidrIp", "0.0.0.0/0")]),
    ("ec2.egress_narrow", "network.ClientsOut", [(f"{CLIENTS_OUT}/CidrIpv6", "::/0")]),
    ("ec2.group_name_legal", "network.Clients", [(f"{CLIENTS}/GroupName", sub("sg-${EnvironmentSuffix}"))]),
    ("ec2.group_name_legal", "network.Clients", [(f"{CLIENTS}/GroupName", GONE)]),
    ("ec2.flow_logged", "network.Vpc", [("network/Resources/FlowLog/Properties/TrafficType", "REJECT")]),
    ("ec2.flow_logged", "network.Vpc", [("network/Resources/FlowLog", GONE)]),
    ("ec2.zones_distinct", "data.SubnetGroup", [("network/Resources/SubnetB/Properties/AvailabilityZoneId", ref("ZoneA"))]),
    ("ec2.zones_distinct", "data.SubnetGroup", [("network/Resources/SubnetB/Properties/AvailabilityZoneId", GONE)]),
    ("ec2.zones_distinct", "data.SubnetGroup", [("network/Outputs/SubnetIds/Value", ref("SubnetA"))]),
    ("s3.tls_only", "base.Bucket", [(f"{BUCKET_POLICY}/2", GONE)]),
    ("s3.tls_only", "base.Bucket", [(f"{BUCKET_POLICY}/3", GONE)]),
    ("s3.tls_only", "base.Bucket", [(f"{BUCKET_POLICY}/3/Condition/NumericLessThan/s3:TlsVersion", "1.1")]),
    ("s3.tls_only", "base.Bucket", [(f"{BUCKET_POLICY}/2/Resource", {"Fn::GetAtt": ["Bucket", "Arn"]})]),
    ("s3.tls_only", "base.Bucket", [("base/Resources/BucketPolicy/Properties/Bucket", "another")]),
    ("s3.not_public", "base.Bucket", [(f"{BUCKET}/PublicAccessBlockConfiguration/BlockPublicPolicy", False)]),
    ("s3.customer_key", "base.Bucket", [(f"{BUCKET}/BucketEncryption", GONE)]),
    (
        "s3.customer_key",
        "base.Bucket",
        [
            (
                f"{BUCKET}/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault",
                {"SSEAlgorithm": "AES256"},
            )
        ],
    ),
    ("s3.versioned", "base.Bucket", [(f"{BUCKET}/VersioningConfiguration/Status", "Suspended")]),
    ("trail.complete", "base.Trail", [(f"{TRAIL}/IsMultiRegionTrail", False)]),
    ("trail.complete", "base.Trail", [(f"{TRAIL}/EnableLogFileValidation", GONE)]),
    ("trail.encrypted", "base.Trail", [(f"{TRAIL}/KMSKeyId", GONE)]),
    ("trail.encrypted", "base.Trail", [(f"{STATEMENTS}/5", GONE)]),
    ("trail.encrypted", "base.Trail", [(f"{STATEMENTS}/6", GONE)]),
    ("trail.delivered", "base.Trail", [("base/Resources/Trail/DependsOn", GONE)]),
    ("trail.delivered", "base.Trail", [(f"{TRAIL}/S3BucketName", "another")]),
    ("trail.delivered", "base.Trail", [(f"{BUCKET_POLICY}/1/Action", "s3:GetObject")]),
    (
        "trail.delivered",
        "base.Trail",
        [(f"{BUCKET_POLICY}/0/Condition/StringEquals/aws:SourceArn", "arn:aws:cloudtrail:x:1:trail/y")],
    ),
    ("trail.watched", "base.Trail", [(f"{TRAIL}/CloudWatchLogsLogGroupArn", GONE)]),
    ("trail.watched", "base.Trail", [(f"{ROLE}/Policies", GONE)]),
    ("secrets.generated", "data.Secret", [(f"{SECRET}/GenerateSecretString", GONE)]),
    ("secrets.generated", "data.Secret", [(f"{SECRET}/GenerateSecretString/PasswordLength", 8)]),
    ("secrets.generated", "data.Secret", [(f"{SECRET}/SecretString", "letmein")]),
    ("secrets.customer_key", "data.Secret", [(f"{SECRET}/KmsKeyId", GONE)]),
    ("secrets.rotated", "data.Secret", [("data/Resources/Schedule", GONE)]),
    ("secrets.rotated", "data.Secret", [(f"{SCHEDULE}/RotationRules/AutomaticallyAfterDays", 31)]),
    ("secrets.rotated", "data.Secret", [(f"{SCHEDULE}/RotationRules/AutomaticallyAfterDays", ref("Days"))]),
    ("secrets.rotated", "data.Secret", [(f"{SCHEDULE}/RotationRules", {"ScheduleExpression": "rate(31 days)"})]),
    ("secrets.rotated", "data.Secret", [(f"{SCHEDULE}/RotationLambdaARN", "arn:aws:lambda:x")]),
    ("secrets.no_clear_credential", "data.Template", [(f"{INSTANCE}/MasterUserPassword", "letmein")]),
    ("secrets.no_clear_credential", "data.Template", [(f"{INSTANCE}/MasterUserPassword", ref("Days"))]),
    ("secrets.no_clear_credential", "data.Template", [("data/Parameters/DatabasePassword", {"Type": "String", "NoEcho": True})]),
    ("secrets.no_clear_credential", "data.Template", [("data/Parameters/Days/Default", "AKIAIOSFODNN7EXAMPLE")]),
    (
        "secrets.no_clear_credential",
        "data.Template",
        [("data/Outputs/SecretArn/Value", sub("{{resolve:secretsmanager:${Secret}:SecretString:password}}"))],
    ),
    (
        "secrets.no_clear_credential",
        "data.Template",
        [("data/Resources/Function/Properties/Environment/Variables/LOGIN", sub("{{resolve:secretsmanager:${Secret}}}"))],
    ),
    (
        "secrets.no_clear_credential",
        "data.Template",
        [("data/Resources/Function/Properties/Layers", ["-----BEGIN RSA PRIVATE KEY-----"])],
    ),
    (
        "secrets.no_clear_credential",
        "data.Template",
        [(f"{SECRET}/GenerateSecretString/SecretStringTemplate", '{"password": "letmein"}')],
    ),
    ("resources.destroyable", "base.Bucket", [("base/Resources/Bucket/UpdateReplacePolicy", GONE)]),
    ("resources.destroyable", "base.Bucket", [("base/Resources/Bucket/DeletionPolicy", "Retain")]),
    ("resources.nothing_retained", "base.Template", [("base/Resources/Topic/DeletionPolicy", "RetainExceptOnCreate")]),
    ("functions.log_group_first", "data.Function", [("data/Resources/Function/DependsOn", GONE)]),
    ("functions.log_group_first", "data.Function", [("data/Resources/Function/Properties/FunctionName", GONE)]),
    (
        "functions.log_group_first",
        "data.Function",
        [("data/Resources/Function/Properties/LoggingConfig", {"LogGroup": ref("Secret")})],
    ),
    ("functions.in_vpc", "data.Function", [("data/Resources/Function/Properties/VpcConfig", GONE)]),
    ("functions.in_vpc", "data.Function", [("data/Resources/Function/Properties/VpcConfig/SecurityGroupIds", ["sg-1"])]),
    ("functions.invoked_by_ours", "data.Permission", [("data/Resources/Permission/Properties/SourceAccount", GONE)]),
    *elsewhere_table.BREAKS,
    *platform_table.BREAKS,
    *failover_table.BREAKS,
    *global_table.BREAKS,
    *cache_table.BREAKS,
    *packs_table.BREAKS,
]

BEARS: list[tuple[str, str, list[tuple[str, Any]]]] = [
    # rule, resource, what is changed: the rule is still met
    ("rds.multi_az", "data.Instance", [(f"{INSTANCE}/MultiAZ", "true")]),
    (
        "rds.multi_az",
        "data.Instance",
        [(f"{INSTANCE}/MultiAZ", {"Fn::If": ["Always", True, ref("Days")]}), ("data/Parameters/Days/AllowedValues", ["true"])],
    ),
    ("rds.backup_retained", "data.Instance", [(f"{INSTANCE}/BackupRetentionPeriod", 35)]),
    (
        "rds.backup_retained",
        "data.Instance",
        [(f"{INSTANCE}/BackupRetentionPeriod", ref("Days")), ("data/Parameters/Days/AllowedPattern", "^(7|14)$")],
    ),
    (
        "rds.destroyable",
        "data.Instance",
        [(f"{INSTANCE}/DeletionProtection", {"Fn::If": ["Always", False, ref("AWS::NoValue")]})],
    ),
    (
        "rds.isolated",
        "data.Instance",
        [("data/Resources/SubnetGroup/Properties/SubnetIds", {"Fn::Split": [",", ref("NetworkSubnetIds")]})],
    ),
    ("rds.customer_key", "data.Instance", [(f"{INSTANCE}/KmsKeyId", sub("${BaseKeyArn}"))]),
    ("sns.customer_key", "base.Topic", [("base/Resources/Topic/Properties/KmsMasterKeyId", ref("KeyAlias"))]),
    ("sns.delivers", "data.CpuTooHigh", [("base/Resources/Topic/Properties/KmsMasterKeyId", GONE)]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{TOPIC}/0/Condition/ArnLike", {"aws:SourceArn": sub(ALARM_ARN + "alarm-cpu-*")})]),
    (
        "sns.delivers",
        "data.CpuTooHigh",
        [(f"{TOPIC}/0/Resource", sub("arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:topic-${EnvironmentSuffix}"))],
    ),
    (
        "sns.delivers",
        "data.Subscription",
        [
            ("data/Resources/Subscription/Properties/SourceIds", GONE),
            (f"{TOPIC}/2/Condition/ArnLike/aws:SourceArn", sub(DB_ARN + "*")),
        ],
    ),
    (
        "logs.encrypted",
        "data.PostgresqlGroup",
        [
            ("data/Resources/PostgresqlGroup/Properties/LogGroupName", GONE),  # invented by CloudFormation, matched by the bare *
        ],
    ),
    (
        "policies.endpoint_narrow",
        "network.Endpoint",
        [
            (f"{ENDPOINT}/PolicyDocument/Statement/0/Resource", "arn:aws:s3:::bucket"),
            (f"{ENDPOINT}/PolicyDocument/Statement/0/Condition", GONE),
        ],
    ),
    ("secrets.rotated", "data.Secret", [(f"{SCHEDULE}/SecretId", ref("Secret"))]),
    ("secrets.rotated", "data.Secret", [(f"{SCHEDULE}/RotationRules", {"ScheduleExpression": "rate(4 hours)"})]),
    ("secrets.generated", "data.Secret", [(f"{SECRET}/GenerateSecretString/PasswordLength", GONE)]),
    ("secrets.no_clear_credential", "data.Template", [(f"{INSTANCE}/ManageMasterUserPassword", True)]),
    ("secrets.no_clear_credential", "data.Template", [(f"{INSTANCE}/TdeCredentialPassword", "true")]),
    (
        "functions.log_group_first",
        "data.Function",
        [("data/Resources/Function/Properties/LoggingConfig", {"LogGroup": ref("FunctionGroup")})],
    ),
    ("functions.invoked_by_ours", "data.Permission", [("data/Resources/Permission/Properties/SourceArn", ref("Secret"))]),
    (
        "alarms.metric_exists",
        "data.CpuTooHigh",
        [
            (f"{CPU}/Namespace", "AWS/SNS"),
            (f"{CPU}/Dimensions", [{"Name": "TopicName", "Value": sub("topic-${EnvironmentSuffix}")}]),
        ],
    ),
    (
        "iam.least_privilege",
        "base.TrailRole",
        [
            (f"{ROLE}/Policies/0/PolicyDocument/Statement/0/Effect", "Deny"),
            (f"{ROLE}/Policies/0/PolicyDocument/Statement/0/Action", "*"),
        ],
    ),
    (
        "ec2.ingress_narrow",
        "network.Clients",
        [(f"{CLIENTS}/SecurityGroupIngress", [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "SourcePrefixListId": "pl-1"}])],
    ),
    *elsewhere_table.BEARS,
    *platform_table.BEARS,
    *failover_table.BEARS,
    *global_table.BEARS,
    *cache_table.BEARS,
    *packs_table.BEARS,
]


def judged(rule: str, address: str, changes: list[tuple[str, Any]]) -> bool | None:
    return verdict(RULES[rule], resource(changed(*changes), address))


@pytest.mark.parametrize(("rule", "address", "changes"), BREAKS)
def test_rule_sees_the_change(rule: str, address: str, changes: list[tuple[str, Any]]) -> None:
    assert judged(rule, address, []) is not False
    assert judged(rule, address, changes) is False


@pytest.mark.parametrize(("rule", "address", "changes"), BEARS)
def test_rule_bears_the_change(rule: str, address: str, changes: list[tuple[str, Any]]) -> None:
    assert judged(rule, address, changes) is True


@pytest.mark.parametrize(("rule", "address", "changes"), SPARED)
def test_what_a_rule_has_nothing_to_ask_of_is_no_evidence(rule: str, address: str, changes: list[tuple[str, Any]]) -> None:
    assert judged(rule, address, changes) is None


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_rule_is_met_by_all_of_the_small_system_and_asked_of_some(rule: Rule) -> None:
    found = {(each.layer, each.id): verdict(rule, each) for each in View(templates()).resources(*rule.types)}
    assert True in found.values()
    assert [name for name, met in found.items() if met is False] == []


def test_every_rule_has_a_change_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BREAKS} == set(RULES)


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_rule_is_written_for_a_reviewer(rule: Rule) -> None:
    assert rule.id.count(".") == 1
    assert rule.statement.endswith(".")
    assert rule.reason.endswith(".")
    assert rule.source
    assert rule.types


def test_every_rule_answers_some_control_and_every_control_is_in_its_catalogue() -> None:
    profiles = (BASELINE, FEDRAMP_HIGH, FEDRAMP_MODERATE, FINANCIAL_AUDIT, HIPAA)
    assert {rule.id for profile in profiles for rule in profile.controls} == set(RULES)
    for profile in profiles:
        known = [control.id for control in catalogues()[profile.name]]
        assert len(known) == len(set(known))
        assert {control for controls in profile.controls.values() for control in controls} <= set(known)


def test_judging_a_resource_without_properties_is_unmet_or_met_but_never_an_error() -> None:
    documents = templates()
    for template in documents.values():
        for body in template["Resources"].values():
            body["Properties"] = {}
    for rule in RULES.values():
        for each in View(documents).resources(*rule.types):
            found = rule.judge(each)
            assert found is None or [type(part) for part in found] == [str, bool]


def data(name: str) -> Any:
    spec = find_spec("cfnlint")
    assert spec is not None
    assert spec.origin is not None
    return json.loads((Path(spec.origin).parent / "data" / name).read_bytes())


def test_actions_without_resource_are_those_of_the_service_authorization_reference() -> None:
    reference = data("AdditionalSpecs/Policies.json")
    by_lambda = {f"ec2:{call}" for call in ("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")}
    by_lambda |= {f"ec2:{call}NetworkInterface" for call in ("Create", "Delete")}
    for action in iam.WITHOUT_RESOURCE - by_lambda:
        service, _, name = action.partition(":")
        assert not reference[service]["Actions"][name.lower()].get("Resources"), action


def test_rules_ask_types_that_exist() -> None:
    registry = data("schemas/providers/us-east-1.json")
    assert {type_ for rule in RULES.values() for type_ in rule.types} - {TEMPLATE} <= set(registry)
    assert set(sns.SENDERS) == set(sns.delivers.types)
    assert {type_ for type_ in alarms.DIMENSIONS.values() if isinstance(type_, str)} <= set(registry)


def test_types_that_a_stack_does_not_tag_are_those_that_cloudformation_does_not_tag_on_create() -> None:
    registry = data("schemas/providers/us-east-1.json")
    asked = {type_ for rule in RULES.values() for type_ in rule.types} - {TEMPLATE} | set(resource_types())
    tagging = {type_: data(f"schemas/resources/{registry[type_]}.json").get("tagging", {}) for type_ in asked}
    later = {type_: each["tagProperty"] for type_, each in tagging.items() if each.get("taggable") and not each["tagOnCreate"]}
    assert later == {type_: f"/properties/{known.tags}" for type_, known in resource_types().items() if known.tags}


def test_every_dimension_under_which_something_is_published_says_what_it_names() -> None:
    listed = [*alarms.TOGETHER.items(), *((namespace, sets) for (namespace, _), sets in alarms.OTHERWISE.items())]
    for namespace, sets in listed:
        for dimension in set().union(*sets):
            assert (namespace, dimension) in alarms.DIMENSIONS


@pytest.mark.parametrize("system", ["federal-records", "healthcare"])
def test_everything_between_evidence_and_act_is_asked_where_it_stands(system: str) -> None:
    """Were the decision not recognised, its rules would have nothing to say, and would be met by that."""
    view = View(committed_templates.templates(system))
    assert [one.layer for one in failover.deciders(view)] == ["failover"]
    found = {f"{one.layer}.{one.id}" for one in failover.decision(view)}
    assert {
        "configuration.Mode",
        "evidence.FailoverEvidence",
        "evidence.PrimaryUnreachable",
        "evidence.ReplicaDataStale",
        "failover.Evidence",
        "failover.Function",
        "failover.LogGroup",
        "failover.Schedule",
        "failover.Undelivered",
        "notify.Topic",
        "replica-age.Function",
    } <= found
