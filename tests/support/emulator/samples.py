"""One stack with a resource of every type that the emulator handles, with more properties than our own templates set."""

from __future__ import annotations

from typing import Any

Properties = dict[str, Any]

ACCOUNT = "123456789012"
ZONE_A, ZONE_B = "use1-az1", "use1-az4"


def ref(name: str) -> Any:
    return {"Ref": name}


def att(name: str, attribute: str) -> Any:
    return {"Fn::GetAtt": [name, attribute]}


def tags(kind: str) -> Any:
    return [{"Key": "Name", "Value": f"{kind}-sample"}]


def policy(action: str | list[str], resource: Any = "*", **more: Any) -> Any:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Sample", "Effect": "Allow", "Action": action, "Resource": resource, **more}],
    }


def trust(service: str) -> Any:
    statement = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
HANDLER = "def handler(event, context):\n    return event\n"

# Logical id -> type and properties.
RESOURCES: dict[str, tuple[str, Properties]] = {
    "Key": (
        "AWS::KMS::Key",
        {
            "Description": "Everything of the sample",
            "EnableKeyRotation": True,
            "PendingWindowInDays": 7,
            "KeyPolicy": policy("kms:*", Principal=ROOT),
            "Tags": tags("key"),
        },
    ),
    "Alias": ("AWS::KMS::Alias", {"AliasName": "alias/sample", "TargetKeyId": ref("Key")}),
    "LogBucket": (
        "AWS::S3::Bucket",
        {"BucketName": "sample-logs", "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}},
    ),
    "Bucket": (
        "AWS::S3::Bucket",
        {
            "BucketName": "sample-bucket",
            "VersioningConfiguration": {"Status": "Enabled"},
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "BucketKeyEnabled": True,
                        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": att("Key", "Arn")},
                    }
                ]
            },
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "Id": "old",
                        "Status": "Enabled",
                        "Prefix": "logs/",
                        "ExpirationInDays": 400,
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 3},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                        "Transitions": [{"TransitionInDays": 90, "StorageClass": "GLACIER"}],
                        "NoncurrentVersionTransitions": [
                            {"TransitionInDays": 30, "StorageClass": "GLACIER", "NewerNoncurrentVersions": 2}
                        ],
                    },
                    {"Id": "tagged", "Status": "Disabled", "TagFilters": [{"Key": "keep", "Value": "no"}], "ExpirationInDays": 1},
                ]
            },
            "LoggingConfiguration": {"DestinationBucketName": ref("LogBucket"), "LogFilePrefix": "access/"},
            "Tags": tags("bucket"),
        },
    ),
    "BucketPolicy": (
        "AWS::S3::BucketPolicy",
        {"Bucket": ref("Bucket"), "PolicyDocument": policy("s3:GetObject", "arn:aws:s3:::sample-bucket/*", Principal=ROOT)},
    ),
    "Vpc": (
        "AWS::EC2::VPC",
        {"CidrBlock": "10.9.0.0/16", "EnableDnsSupport": True, "EnableDnsHostnames": True, "Tags": tags("vpc")},
    ),
    "Gateway": ("AWS::EC2::InternetGateway", {"Tags": tags("igw")}),
    "Attachment": ("AWS::EC2::VPCGatewayAttachment", {"VpcId": ref("Vpc"), "InternetGatewayId": ref("Gateway")}),
    "SubnetA": (
        "AWS::EC2::Subnet",
        {
            "VpcId": ref("Vpc"),
            "CidrBlock": "10.9.0.0/24",
            "AvailabilityZoneId": ZONE_A,
            "MapPublicIpOnLaunch": True,
            "Tags": tags("subnet"),
        },
    ),
    "SubnetB": ("AWS::EC2::Subnet", {"VpcId": ref("Vpc"), "CidrBlock": "10.9.1.0/24", "AvailabilityZoneId": ZONE_B}),
    "Routes": ("AWS::EC2::RouteTable", {"VpcId": ref("Vpc"), "Tags": tags("rtb")}),
    "Route": (
        "AWS::EC2::Route",
        {"RouteTableId": ref("Routes"), "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": ref("Gateway")},
    ),
    "Association": ("AWS::EC2::SubnetRouteTableAssociation", {"SubnetId": ref("SubnetA"), "RouteTableId": ref("Routes")}),
    "Address": ("AWS::EC2::EIP", {"Domain": "vpc", "Tags": tags("eip")}),
    "Nat": (
        "AWS::EC2::NatGateway",
        {"SubnetId": ref("SubnetA"), "AllocationId": att("Address", "AllocationId"), "Tags": tags("nat")},
    ),
    "Group": (
        "AWS::EC2::SecurityGroup",
        {
            "GroupName": "sample-group",
            "GroupDescription": "Of the sample",
            "VpcId": ref("Vpc"),
            "SecurityGroupIngress": [
                {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.9.0.0/16", "Description": "HTTPS inside"}
            ],
            "SecurityGroupEgress": [
                {"IpProtocol": "-1", "CidrIp": "127.0.0.1/32", "Description": "Nowhere"},
                *(
                    {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "DestinationPrefixListId": id_, "Description": name}
                    for id_, name in (("pl-63a5400a", "S3"), ("pl-02cd2c6b", "DynamoDB"))
                ),
            ],
            "Tags": tags("group"),
        },
    ),
    "OtherGroup": ("AWS::EC2::SecurityGroup", {"GroupDescription": "The other one", "VpcId": ref("Vpc")}),
    "Ingress": (
        "AWS::EC2::SecurityGroupIngress",
        {
            "GroupId": ref("Group"),
            "IpProtocol": "tcp",
            "FromPort": 5432,
            "ToPort": 5432,
            "SourceSecurityGroupId": att("OtherGroup", "GroupId"),
            "Description": "PostgreSQL",
        },
    ),
    "Egress": (
        "AWS::EC2::SecurityGroupEgress",
        {
            "GroupId": ref("OtherGroup"),
            "IpProtocol": "tcp",
            "FromPort": 5432,
            "ToPort": 5432,
            "DestinationSecurityGroupId": att("Group", "GroupId"),
            "Description": "PostgreSQL",
        },
    ),
    "FlowLog": (
        "AWS::EC2::FlowLog",
        {
            "ResourceId": ref("Vpc"),
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogDestinationType": "cloud-watch-logs",
            "LogGroupName": ref("LogGroup"),
            "DeliverLogsPermissionArn": att("Role", "Arn"),
            "MaxAggregationInterval": 60,
            "Tags": tags("flow-log"),
        },
    ),
    "Endpoint": (
        "AWS::EC2::VPCEndpoint",
        {
            "VpcId": ref("Vpc"),
            "ServiceName": "com.amazonaws.us-east-1.secretsmanager",
            "VpcEndpointType": "Interface",
            "PrivateDnsEnabled": True,
            "SubnetIds": [ref("SubnetA"), ref("SubnetB")],
            "SecurityGroupIds": [ref("Group")],
            "PolicyDocument": policy("secretsmanager:GetSecretValue", Principal="*"),
            "Tags": tags("endpoint"),
        },
    ),
    "LogGroup": (
        "AWS::Logs::LogGroup",
        {"LogGroupName": "/sample/log", "RetentionInDays": 30, "KmsKeyId": att("Key", "Arn"), "Tags": tags("log")},
    ),
    "Filter": (
        "AWS::Logs::MetricFilter",
        {
            "FilterName": "sample-filter",
            "LogGroupName": ref("LogGroup"),
            "FilterPattern": '{ $.errorCode = "AccessDenied*" }',
            "MetricTransformations": [
                {"MetricName": "Denied", "MetricNamespace": "Sample", "MetricValue": "1", "DefaultValue": 0, "Unit": "Count"}
            ],
        },
    ),
    "Role": (
        "AWS::IAM::Role",
        {
            "RoleName": "sample-role",
            "Path": "/",
            "Description": "Of the sample",
            "MaxSessionDuration": 7200,
            "AssumeRolePolicyDocument": trust("lambda"),
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"],
            "Policies": [
                {
                    "PolicyName": "network",
                    "PolicyDocument": policy(
                        [f"ec2:{verb}NetworkInterface{s}" for verb, s in (("Create", ""), ("Describe", "s"), ("Delete", ""))]
                    ),
                }
            ],
            "Tags": tags("role"),
        },
    ),
    "Topic": (
        "AWS::SNS::Topic",
        {"TopicName": "sample-topic", "DisplayName": "Sample", "KmsMasterKeyId": ref("Key"), "Tags": tags("topic")},
    ),
    "TopicPolicy": (
        "AWS::SNS::TopicPolicy",
        {"Topics": [ref("Topic")], "PolicyDocument": policy("sns:Publish", ref("Topic"), Principal=ROOT)},
    ),
    "Subscription": (
        "AWS::SNS::Subscription",
        {
            "TopicArn": ref("Topic"),
            "Protocol": "lambda",
            "Endpoint": att("Function", "Arn"),
            "FilterPolicy": {"kind": ["alarm"]},
        },
    ),
    "Secret": (
        "AWS::SecretsManager::Secret",
        {
            "Name": "sample-secret",
            "Description": "Of the sample",
            "KmsKeyId": ref("Key"),
            "GenerateSecretString": {
                "SecretStringTemplate": '{"username": "master"}',
                "GenerateStringKey": "password",
                "PasswordLength": 40,
                "ExcludeCharacters": "\"@/\\ '",
            },
            "Tags": tags("secret"),
        },
    ),
    "SecretPolicy": (
        "AWS::SecretsManager::ResourcePolicy",
        {
            "SecretId": ref("Secret"),
            "BlockPublicPolicy": True,
            "ResourcePolicy": policy("secretsmanager:GetSecretValue", Principal=ROOT),
        },
    ),
    "SubnetGroup": (
        "AWS::RDS::DBSubnetGroup",
        {
            "DBSubnetGroupName": "sample-subnets",
            "DBSubnetGroupDescription": "Of the sample",
            "SubnetIds": [ref("SubnetA"), ref("SubnetB")],
            "Tags": tags("subnets"),
        },
    ),
    "ParameterGroup": (
        "AWS::RDS::DBParameterGroup",
        {
            "DBParameterGroupName": "sample-parameters",
            "Description": "Of the sample",
            "Family": "postgres15",
            "Parameters": {"log_statement": "all", "rds.force_ssl": "0", "rds.log_retention_period": "1440"},
            "Tags": tags("parameters"),
        },
    ),
    "Database": (
        "AWS::RDS::DBInstance",
        {
            "DBInstanceIdentifier": "sample-database",
            "DBName": "sample",
            "Engine": "postgres",
            "EngineVersion": "15.10",
            "DBInstanceClass": "db.r6g.large",
            "StorageType": "gp3",
            "AllocatedStorage": "100",
            "MaxAllocatedStorage": 200,
            "AutoMinorVersionUpgrade": False,
            "DBParameterGroupName": ref("ParameterGroup"),
            "DBSubnetGroupName": ref("SubnetGroup"),
            "VPCSecurityGroups": [ref("Group")],
            "MultiAZ": True,
            "PubliclyAccessible": False,
            "CACertificateIdentifier": "rds-ca-ecc384-g1",
            "StorageEncrypted": True,
            "KmsKeyId": att("Key", "Arn"),
            "MasterUsername": {"Fn::Sub": "{{resolve:secretsmanager:${Secret}:SecretString:username}}"},
            "MasterUserPassword": {"Fn::Sub": "{{resolve:secretsmanager:${Secret}:SecretString:password}}"},
            "BackupRetentionPeriod": 7,
            "PreferredBackupWindow": "01:00-02:00",
            "PreferredMaintenanceWindow": "mon:02:30-mon:03:30",
            "CopyTagsToSnapshot": True,
            "DeleteAutomatedBackups": True,
            "DeletionProtection": False,
            "EnableCloudwatchLogsExports": ["postgresql", "upgrade"],
            "MonitoringInterval": 60,
            "MonitoringRoleArn": att("Role", "Arn"),
            "DatabaseInsightsMode": "standard",
            "EnablePerformanceInsights": True,
            "PerformanceInsightsRetentionPeriod": 7,
            "EnableIAMDatabaseAuthentication": True,
            "Tags": tags("database"),
        },
    ),
    "Replica": (
        "AWS::RDS::DBInstance",
        {
            "DBInstanceIdentifier": "sample-replica",
            "SourceDBInstanceIdentifier": ref("Database"),
            "DBInstanceClass": "db.r6g.xlarge",
            "AutoMinorVersionUpgrade": False,
            "DBParameterGroupName": ref("ParameterGroup"),
            "VPCSecurityGroups": [ref("Group")],
            "MultiAZ": True,
            "PubliclyAccessible": False,
            "CACertificateIdentifier": "rds-ca-ecc384-g1",
            "BackupRetentionPeriod": 1,
            "PreferredBackupWindow": "03:00-04:00",
            "PreferredMaintenanceWindow": "tue:04:30-tue:05:30",
            "CopyTagsToSnapshot": True,
            "DeleteAutomatedBackups": True,
            "DeletionProtection": False,
            "EnableCloudwatchLogsExports": ["postgresql"],
            "MonitoringInterval": 30,
            "MonitoringRoleArn": att("Role", "Arn"),
            "EnablePerformanceInsights": True,
            "PerformanceInsightsRetentionPeriod": 7,
            "EnableIAMDatabaseAuthentication": True,
            "MaxAllocatedStorage": 300,
            "Tags": tags("replica"),
        },
    ),
    "SecretAttachment": (
        "AWS::SecretsManager::SecretTargetAttachment",
        {"SecretId": ref("Secret"), "TargetType": "AWS::RDS::DBInstance", "TargetId": ref("Database")},
    ),
    "Events": (
        "AWS::RDS::EventSubscription",
        {
            "SubscriptionName": "sample-events",
            "SnsTopicArn": ref("Topic"),
            "SourceType": "db-instance",
            "SourceIds": [ref("Database")],
            "EventCategories": ["failover", "failure"],
            "Enabled": True,
            "Tags": tags("events"),
        },
    ),
    "Function": (
        "AWS::Lambda::Function",
        {
            "FunctionName": "sample-function",
            "Description": "Of the sample",
            "Runtime": "python3.13",
            "Architectures": ["arm64"],
            "Handler": "index.handler",
            "Code": {"ZipFile": HANDLER},
            "Role": att("Role", "Arn"),
            "Timeout": 60,
            "MemorySize": 256,
            "KmsKeyArn": att("Key", "Arn"),
            "VpcConfig": {"SubnetIds": [ref("SubnetA"), ref("SubnetB")], "SecurityGroupIds": [ref("Group")]},
            "Environment": {"Variables": {"GREETING": "hello"}},
            "ReservedConcurrentExecutions": 2,
            "TracingConfig": {"Mode": "Active"},
            "EphemeralStorage": {"Size": 1024},
            "LoggingConfig": {"LogGroup": ref("LogGroup"), "LogFormat": "JSON"},
            "FileSystemConfigs": [{"Arn": att("AccessPoint", "Arn"), "LocalMountPath": "/mnt/logs"}],
            "Tags": tags("function"),
        },
    ),
    "Permission": (
        "AWS::Lambda::Permission",
        {
            "FunctionName": ref("Function"),
            "Action": "lambda:InvokeFunction",
            "Principal": "secretsmanager.amazonaws.com",
            "SourceAccount": ref("AWS::AccountId"),
            "SourceArn": ref("Secret"),
        },
    ),
    "Rotation": (
        "AWS::SecretsManager::RotationSchedule",
        {
            "SecretId": ref("Secret"),
            "RotationLambdaARN": att("Function", "Arn"),
            "RotateImmediatelyOnUpdate": False,
            "RotationRules": {"AutomaticallyAfterDays": 30, "Duration": "3h"},
        },
    ),
    "Alarm": (
        "AWS::CloudWatch::Alarm",
        {
            "AlarmName": "sample-alarm",
            "AlarmDescription": "Of the sample",
            "Namespace": "AWS/RDS",
            "MetricName": "CPUUtilization",
            "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": ref("Database")}],
            "Statistic": "Average",
            "Period": 300,
            "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 80.5,
            "TreatMissingData": "breaching",
            "Unit": "Percent",
            "ActionsEnabled": True,
            "AlarmActions": [ref("Topic")],
            "OKActions": [ref("Topic")],
            "InsufficientDataActions": [ref("Topic")],
            "Tags": tags("alarm"),
        },
    ),
    "AlarmOnExpression": (
        "AWS::CloudWatch::Alarm",
        {
            "AlarmName": "sample-alarm-on-expression",
            "Metrics": [
                {"Id": "all", "Label": "All", "Expression": "SUM([FILL(one, 0), FILL(two, 0)])", "ReturnData": True},
                *(
                    {
                        "Id": id_,
                        "ReturnData": False,
                        "MetricStat": {
                            "Metric": {
                                "Namespace": "AWS/RDS",
                                "MetricName": name,
                                "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": ref("Database")}],
                            },
                            "Period": 300,
                            "Stat": "Sum",
                        },
                    }
                    for id_, name in (("one", "ReadIOPS"), ("two", "WriteIOPS"))
                ),
            ],
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 10,
            "TreatMissingData": "notBreaching",
            "Tags": tags("alarm"),
        },
    ),
    "Dashboard": (
        "AWS::CloudWatch::Dashboard",
        {"DashboardName": "sample", "DashboardBody": '{"widgets": []}', "Tags": tags("dashboard")},
    ),
    "Trail": (
        "AWS::CloudTrail::Trail",
        {
            "TrailName": "sample-trail",
            "S3BucketName": ref("Bucket"),
            "S3KeyPrefix": "trail",
            "IsLogging": True,
            "IsMultiRegionTrail": True,
            "IncludeGlobalServiceEvents": True,
            "EnableLogFileValidation": True,
            "KMSKeyId": att("Key", "Arn"),
            "CloudWatchLogsLogGroupArn": att("LogGroup", "Arn"),
            "CloudWatchLogsRoleArn": att("Role", "Arn"),
            "EventSelectors": [
                {
                    "ReadWriteType": "All",
                    "IncludeManagementEvents": True,
                    "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::sample-bucket/"]}],
                }
            ],
            "Tags": tags("trail"),
        },
    ),
    "ClusterParameters": (
        "AWS::RDS::DBClusterParameterGroup",
        {
            "DBClusterParameterGroupName": "sample-cluster-parameters",
            "Description": "Of the sample",
            "Family": "aurora-postgresql15",
            "Parameters": {"log_statement": "ddl", "rds.force_ssl": "1", "rds.logical_replication": "1"},
            "Tags": tags("cluster-parameters"),
        },
    ),
    "Cluster": (
        "AWS::RDS::DBCluster",
        {
            "DBClusterIdentifier": "sample-cluster",
            "DatabaseName": "sample",
            "Engine": "aurora-postgresql",
            "EngineVersion": "15.10",
            "DBClusterParameterGroupName": ref("ClusterParameters"),
            "DBSubnetGroupName": ref("SubnetGroup"),
            "VpcSecurityGroupIds": [ref("Group")],
            "Port": 5432,
            "StorageEncrypted": True,
            "KmsKeyId": att("Key", "Arn"),
            "StorageType": "aurora-iopt1",
            "MasterUsername": {"Fn::Sub": "{{resolve:secretsmanager:${ClusterSecret}:SecretString:username}}"},
            "MasterUserPassword": {"Fn::Sub": "{{resolve:secretsmanager:${ClusterSecret}:SecretString:password}}"},
            "BackupRetentionPeriod": 7,
            "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 2},
            "PreferredMaintenanceWindow": "mon:12:30-mon:13:30",
            "CopyTagsToSnapshot": True,
            "DeletionProtection": False,
            "EnableCloudwatchLogsExports": ["postgresql"],
            "EnableIAMDatabaseAuthentication": True,
            "DatabaseInsightsMode": "standard",
            "PerformanceInsightsEnabled": True,
            "PerformanceInsightsKmsKeyId": att("Key", "Arn"),
            "PerformanceInsightsRetentionPeriod": 7,
            "MonitoringInterval": 60,
            "MonitoringRoleArn": att("Role", "Arn"),
            "AutoMinorVersionUpgrade": False,
            "Tags": tags("cluster"),
        },
    ),
    "Global": (
        "AWS::RDS::GlobalCluster",
        {
            "GlobalClusterIdentifier": "sample-global",
            "SourceDBClusterIdentifier": att("Cluster", "DBClusterArn"),
            "DeletionProtection": False,
            "Tags": tags("global"),
        },
    ),
    "ClusterSecret": (
        "AWS::SecretsManager::Secret",
        {
            "Name": "sample-cluster-secret",
            "GenerateSecretString": {
                "SecretStringTemplate": '{"username": "master"}',
                "GenerateStringKey": "password",
                "PasswordLength": 32,
                "ExcludeCharacters": "\"@/\\ '",
            },
        },
    ),
    "ClusterAttachment": (
        "AWS::SecretsManager::SecretTargetAttachment",
        {"SecretId": ref("ClusterSecret"), "TargetType": "AWS::RDS::DBCluster", "TargetId": ref("Cluster")},
    ),
    "Member": (
        "AWS::RDS::DBInstance",
        {
            "DBInstanceIdentifier": "sample-member",
            "DBClusterIdentifier": ref("Cluster"),
            "DBInstanceClass": "db.t4g.medium",
            "Engine": "aurora-postgresql",
            "DBParameterGroupName": ref("ParameterGroup"),
            "AutoMinorVersionUpgrade": False,
            "CACertificateIdentifier": "rds-ca-rsa2048-g1",
            "PromotionTier": 1,
            "PubliclyAccessible": False,
            "EnablePerformanceInsights": True,
            "PerformanceInsightsKMSKeyId": att("Key", "Arn"),
            "MonitoringInterval": 60,
            "MonitoringRoleArn": att("Role", "Arn"),
            "Tags": tags("member"),
        },
    ),
    "Table": (
        "AWS::DynamoDB::Table",
        {
            "TableName": "sample-table",
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "kind", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by-kind",
                    "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "TableClass": "STANDARD",
            "DeletionProtectionEnabled": False,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7},
            "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": att("Key", "Arn")},
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
            "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
            "ResourcePolicy": {"PolicyDocument": policy("dynamodb:GetItem", "*", Principal=ROOT)},
            "Tags": tags("table"),
        },
    ),
    "Files": (
        "AWS::EFS::FileSystem",
        {
            "Encrypted": True,
            "KmsKeyId": att("Key", "Arn"),
            "PerformanceMode": "generalPurpose",
            "ThroughputMode": "elastic",
            "BackupPolicy": {"Status": "DISABLED"},
            "LifecyclePolicies": [{"TransitionToIA": "AFTER_7_DAYS"}, {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}],
            "FileSystemProtection": {"ReplicationOverwriteProtection": "DISABLED"},
            "FileSystemPolicy": policy(
                ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], Principal={"AWS": "*"}
            ),
            "FileSystemTags": tags("files"),
        },
    ),
    "TargetA": (
        "AWS::EFS::MountTarget",
        {"FileSystemId": ref("Files"), "SubnetId": ref("SubnetA"), "SecurityGroups": [ref("Group")]},
    ),
    "TargetB": (
        "AWS::EFS::MountTarget",
        {"FileSystemId": ref("Files"), "SubnetId": ref("SubnetB"), "SecurityGroups": [ref("Group")]},
    ),
    "AccessPoint": (
        "AWS::EFS::AccessPoint",
        {
            "FileSystemId": ref("Files"),
            "PosixUser": {"Uid": "1000", "Gid": "1000"},
            "RootDirectory": {"Path": "/logs", "CreationInfo": {"OwnerUid": "1000", "OwnerGid": "1000", "Permissions": "0750"}},
            "AccessPointTags": tags("access-point"),
        },
    ),
    "Queue": (
        "AWS::SQS::Queue",
        {
            "QueueName": "sample-queue",
            "MessageRetentionPeriod": 1209600,
            "VisibilityTimeout": 60,
            "KmsMasterKeyId": ref("Key"),
            "KmsDataKeyReusePeriodSeconds": 300,
            "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
            "Tags": tags("queue"),
        },
    ),
    "QueuePolicy": (
        "AWS::SQS::QueuePolicy",
        {
            "Queues": [ref("Queue")],
            "PolicyDocument": policy("sqs:SendMessage", att("Queue", "Arn"), Principal={"Service": "events.amazonaws.com"}),
        },
    ),
    "Schedule": (
        "AWS::Events::Rule",
        {
            "Name": "sample-schedule",
            "Description": "Of the sample",
            "ScheduleExpression": "rate(1 minute)",
            "State": "ENABLED",
            "Targets": [
                {
                    "Id": "function",
                    "Arn": att("Function", "Arn"),
                    "Input": '{"why": "schedule"}',
                    "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 300},
                    "DeadLetterConfig": {"Arn": att("Queue", "Arn")},
                }
            ],
            "Tags": tags("schedule"),
        },
    ),
    "Jobs": (
        "AWS::Events::Rule",
        {
            "Name": "sample-jobs",
            "EventPattern": {"source": ["aws.backup"], "detail": {"state": ["FAILED", "EXPIRED"]}},
            "Targets": [
                {
                    "Id": "topic",
                    "Arn": ref("Topic"),
                    "InputTransformer": {"InputPathsMap": {"state": "$.detail.state"}, "InputTemplate": '"A job is <state>"'},
                }
            ],
        },
    ),
    "Vault": (
        "AWS::Backup::BackupVault",
        {
            "BackupVaultName": "sample-vault",
            "EncryptionKeyArn": att("Key", "Arn"),
            "AccessPolicy": policy("backup:CopyIntoBackupVault", Principal=ROOT),
            "BackupVaultTags": {"Name": "vault-sample"},
        },
    ),
    "Plan": (
        "AWS::Backup::BackupPlan",
        {
            "BackupPlan": {
                "BackupPlanName": "sample-plan",
                "BackupPlanRule": [
                    {
                        "RuleName": "continuous",
                        "TargetBackupVault": ref("Vault"),
                        "ScheduleExpression": "cron(0 * * * ? *)",
                        "ScheduleExpressionTimezone": "Etc/UTC",
                        "StartWindowMinutes": 60,
                        "CompletionWindowMinutes": 180,
                        "EnableContinuousBackup": True,
                        "Lifecycle": {"DeleteAfterDays": 7},
                        "RecoveryPointTags": {"Rule": "continuous"},
                        "CopyActions": [
                            {"DestinationBackupVaultArn": att("Vault", "BackupVaultArn"), "Lifecycle": {"DeleteAfterDays": 30}}
                        ],
                    }
                ],
                "AdvancedBackupSettings": [{"ResourceType": "EC2", "BackupOptions": {"WindowsVSS": "disabled"}}],
            },
            "BackupPlanTags": {"Name": "plan-sample"},
        },
    ),
    "Selection": (
        "AWS::Backup::BackupSelection",
        {
            "BackupPlanId": ref("Plan"),
            "BackupSelection": {
                "SelectionName": "sample-selection",
                "IamRoleArn": att("Role", "Arn"),
                "Resources": [att("Cluster", "DBClusterArn"), att("Table", "Arn")],
                "NotResources": ["arn:aws:ec2:*:*:volume/*"],
            },
        },
    ),
    "Testing": (
        "AWS::Backup::RestoreTestingPlan",
        {
            "RestoreTestingPlanName": "sample_testing",
            "ScheduleExpression": "cron(0 5 ? * MON *)",
            "ScheduleExpressionTimezone": "Etc/UTC",
            "StartWindowHours": 2,
            "RecoveryPointSelection": {
                "Algorithm": "LATEST_WITHIN_WINDOW",
                "IncludeVaults": [att("Vault", "BackupVaultArn")],
                "RecoveryPointTypes": ["SNAPSHOT", "CONTINUOUS"],
                "SelectionWindowDays": 7,
            },
            "Tags": tags("testing"),
        },
    ),
    "Tested": (
        "AWS::Backup::RestoreTestingSelection",
        {
            "RestoreTestingPlanName": ref("Testing"),
            "RestoreTestingSelectionName": "sample_tested",
            "IamRoleArn": att("Role", "Arn"),
            "ProtectedResourceType": "Aurora",
            "ProtectedResourceArns": [att("Cluster", "DBClusterArn")],
            "RestoreMetadataOverrides": {"dbSubnetGroupName": ref("SubnetGroup")},
            "ValidationWindowHours": 4,
        },
    ),
    "Composite": (
        "AWS::CloudWatch::CompositeAlarm",
        {
            "AlarmName": "sample-composite",
            "AlarmDescription": "Of the sample",
            "AlarmRule": {"Fn::Sub": 'ALARM("${Alarm}")'},
            "ActionsEnabled": True,
            "AlarmActions": [ref("Topic")],
            "OKActions": [ref("Topic")],
            "InsufficientDataActions": [ref("Topic")],
            "ActionsSuppressor": att("Alarm", "Arn"),
            "ActionsSuppressorWaitPeriod": 60,
            "ActionsSuppressorExtensionPeriod": 120,
            "Tags": tags("composite"),
        },
    ),
    "HealthCheck": (
        "AWS::Route53::HealthCheck",
        {
            "HealthCheckConfig": {
                "Type": "CLOUDWATCH_METRIC",
                "AlarmIdentifier": {"Name": ref("Alarm"), "Region": ref("AWS::Region")},
                "InsufficientDataHealthStatus": "LastKnownStatus",
                "Inverted": False,
            },
            "HealthCheckTags": tags("health-check"),
        },
    ),
    "CacheSubnets": (
        "AWS::ElastiCache::SubnetGroup",
        {
            "CacheSubnetGroupName": "sample-cache-subnets",
            "Description": "Sample",
            "SubnetIds": [ref("SubnetA"), ref("SubnetB")],
            "Tags": tags("cache-subnets"),
        },
    ),
    "CacheParameters": (
        "AWS::ElastiCache::ParameterGroup",
        {
            "CacheParameterGroupFamily": "redis7",
            "Description": "Sample",
            "Properties": {"maxmemory-policy": "allkeys-lru", "timeout": "20"},
            "Tags": tags("cache-parameters"),
        },
    ),
    "CacheNobody": (
        "AWS::ElastiCache::User",
        {
            "UserId": "sample-nobody",
            "UserName": "default",
            "Engine": "redis",
            "AccessString": "off -@all",
            "NoPasswordRequired": True,
            "Tags": tags("nobody"),
        },
    ),
    "CacheUser": (
        "AWS::ElastiCache::User",
        {
            "UserId": "sample-user",
            "UserName": "application",
            "Engine": "redis",
            "AccessString": "on ~* -@all +get",
            "AuthenticationMode": {"Type": "password", "Passwords": ["a-long-enough-one", "another-of-that-size"]},
            "Tags": tags("user"),
        },
    ),
    "CacheUsers": (
        "AWS::ElastiCache::UserGroup",
        {
            "UserGroupId": "sample-users",
            "Engine": "redis",
            "UserIds": [ref("CacheNobody"), ref("CacheUser")],
            "Tags": tags("users"),
        },
    ),
    "Cache": (
        "AWS::ElastiCache::ReplicationGroup",
        {
            "ReplicationGroupId": "sample-cache",
            "ReplicationGroupDescription": "Sample",
            "Engine": "redis",
            "EngineVersion": "7.1",
            "AutoMinorVersionUpgrade": False,
            "CacheNodeType": "cache.t4g.small",
            "CacheParameterGroupName": ref("CacheParameters"),
            "NumCacheClusters": 2,
            "AutomaticFailoverEnabled": True,
            "MultiAZEnabled": True,
            "CacheSubnetGroupName": ref("CacheSubnets"),
            "SecurityGroupIds": [ref("Group")],
            "Port": 6379,
            "AtRestEncryptionEnabled": True,
            "KmsKeyId": att("Key", "Arn"),
            "TransitEncryptionEnabled": True,
            "TransitEncryptionMode": "required",
            "UserGroupIds": [ref("CacheUsers")],
            "SnapshotRetentionLimit": 3,
            "SnapshotWindow": "02:00-03:00",
            "PreferredMaintenanceWindow": "sun:04:00-sun:05:00",
            "NotificationTopicArn": ref("Topic"),
            "LogDeliveryConfigurations": [
                {
                    "LogType": "slow-log",
                    "LogFormat": "json",
                    "DestinationType": "cloudwatch-logs",
                    "DestinationDetails": {"CloudWatchLogsDetails": {"LogGroup": ref("LogGroup")}},
                }
            ],
            "Tags": tags("cache"),
        },
    ),
    "GatewayEndpoint": (
        "AWS::EC2::VPCEndpoint",
        {
            "VpcId": ref("Vpc"),
            "ServiceName": "com.amazonaws.us-east-1.dynamodb",
            "VpcEndpointType": "Gateway",
            "RouteTableIds": [ref("Routes")],
            "PolicyDocument": policy("dynamodb:GetItem", Principal="*"),
            "Tags": tags("gateway-endpoint"),
        },
    ),
    "ScheduleMayInvoke": (
        "AWS::Lambda::Permission",
        {
            "FunctionName": ref("Function"),
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
            "SourceArn": att("Schedule", "Arn"),
        },
    ),
    "Parameter": (
        "AWS::SSM::Parameter",
        {
            "Name": "/sample/dev/config/mode",
            "Type": "String",
            "Value": "auto",
            "Description": "Of the sample",
            "Tier": "Standard",
            "DataType": "text",
            "AllowedPattern": "^(auto|approve)$",
            "Tags": {"Name": "parameter-sample"},
        },
    ),
    "Zone": (
        "AWS::Route53::HostedZone",
        {
            "Name": "sample.internal",
            "HostedZoneConfig": {"Comment": "Of the sample"},
            "VPCs": [{"VPCId": ref("Vpc"), "VPCRegion": ref("AWS::Region")}],
            "HostedZoneTags": tags("zone"),
        },
    ),
    "PrimaryRecord": (
        "AWS::Route53::RecordSet",
        {
            "HostedZoneId": ref("Zone"),
            "Name": "writer.sample.internal",
            "Type": "CNAME",
            "SetIdentifier": "primary",
            "Failover": "PRIMARY",
            "TTL": "5",
            "ResourceRecords": ["first.example.com"],
            "HealthCheckId": ref("HealthCheck"),
        },
    ),
    "SecondaryRecord": (
        "AWS::Route53::RecordSet",
        {
            "HostedZoneId": ref("Zone"),
            "Name": "writer.sample.internal",
            "Type": "CNAME",
            "SetIdentifier": "secondary",
            "Failover": "SECONDARY",
            "TTL": "5",
            "ResourceRecords": ["second.example.com"],
        },
    ),
    "AliasRecord": (
        "AWS::Route53::RecordSet",
        {
            "HostedZoneId": ref("Zone"),
            "Name": "alias.sample.internal",
            "Type": "CNAME",
            "AliasTarget": {"HostedZoneId": ref("Zone"), "DNSName": "writer.sample.internal.", "EvaluateTargetHealth": True},
        },
    ),
    "Calculated": (
        "AWS::Route53::HealthCheck",
        {
            "HealthCheckConfig": {
                "Type": "CALCULATED",
                "ChildHealthChecks": [ref("HealthCheck")],
                "HealthThreshold": 1,
                "Inverted": True,
            },
            "HealthCheckTags": tags("calculated"),
        },
    ),
    "ReplicaBucket": (
        "AWS::S3::Bucket",
        {"BucketName": "sample-replica", "VersioningConfiguration": {"Status": "Enabled"}},
    ),
    "SourceBucket": (
        "AWS::S3::Bucket",
        {
            "BucketName": "sample-source",
            "VersioningConfiguration": {"Status": "Enabled"},
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "Id": "tier",
                        "Status": "Enabled",
                        "Transitions": [{"TransitionInDays": 30, "StorageClass": "INTELLIGENT_TIERING"}],
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                        "ExpiredObjectDeleteMarker": True,
                    },
                    {
                        "Id": "large",
                        "Status": "Enabled",
                        "Prefix": "in/",
                        "TagFilters": [{"Key": "keep", "Value": "no"}],
                        "ObjectSizeGreaterThan": "1024",
                        "ObjectSizeLessThan": "4096",
                        "ExpirationInDays": 7,
                    },
                ]
            },
            "ReplicationConfiguration": {
                "Role": att("Role", "Arn"),
                "Rules": [
                    {
                        "Id": "all",
                        "Priority": 1,
                        "Status": "Enabled",
                        "Filter": {"And": {"Prefix": "in/", "TagFilters": [{"Key": "keep", "Value": "yes"}]}},
                        "DeleteMarkerReplication": {"Status": "Disabled"},
                        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
                        "Destination": {
                            "Bucket": att("ReplicaBucket", "Arn"),
                            "StorageClass": "STANDARD_IA",
                            "EncryptionConfiguration": {"ReplicaKmsKeyID": att("Key", "Arn")},
                            "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
                            "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
                        },
                    },
                    {
                        "Id": "tagged",
                        "Priority": 2,
                        "Status": "Disabled",
                        "Filter": {"TagFilter": {"Key": "keep", "Value": "no"}},
                        "DeleteMarkerReplication": {"Status": "Disabled"},
                        "Destination": {"Bucket": att("ReplicaBucket", "Arn")},
                    },
                ],
            },
            "IntelligentTieringConfigurations": [
                {
                    "Id": "cold",
                    "Status": "Enabled",
                    "Prefix": "old/",
                    "TagFilters": [{"Key": "cold", "Value": "yes"}],
                    "Tierings": [{"AccessTier": "ARCHIVE_ACCESS", "Days": 90}],
                },
                {"Id": "gone", "Status": "Enabled", "Tierings": [{"AccessTier": "DEEP_ARCHIVE_ACCESS", "Days": 180}]},
            ],
            "MetricsConfigurations": [
                {"Id": "whole"},
                {"Id": "part", "TagFilters": [{"Key": "keep", "Value": "yes"}]},
            ],
            "NotificationConfiguration": {
                "EventBridgeConfiguration": {"EventBridgeEnabled": True},
                "LambdaConfigurations": [
                    {
                        "Event": "s3:ObjectCreated:*",
                        "Function": att("Function", "Arn"),
                        "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "in/"}]}},
                    }
                ],
            },
        },
    ),
    "BucketMayInvoke": (
        "AWS::Lambda::Permission",
        {
            "FunctionName": ref("Function"),
            "Action": "lambda:InvokeFunction",
            "Principal": "s3.amazonaws.com",
            "SourceAccount": ref("AWS::AccountId"),
            "SourceArn": "arn:aws:s3:::sample-source",
        },
    ),
    "ReplicatedSecret": (
        "AWS::SecretsManager::Secret",
        {
            "Name": "sample-replicated-secret",
            "SecretString": "x",
            "ReplicaRegions": [{"Region": "eu-west-1", "KmsKeyId": "alias/aws/secretsmanager"}],
        },
    ),
    "SourceFiles": (
        "AWS::EFS::FileSystem",
        {"Encrypted": True, "ReplicationConfiguration": {"Destinations": [{"Region": "eu-west-1"}]}},
    ),
    "DataTrail": (
        "AWS::CloudTrail::Trail",
        {
            "TrailName": "sample-data-trail",
            "S3BucketName": ref("Bucket"),
            "IsLogging": True,
            "AdvancedEventSelectors": [
                {
                    "Name": "Objects",
                    "FieldSelectors": [
                        {"Field": "eventCategory", "Equals": ["Data"]},
                        {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
                        {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::sample-bucket/"]},
                    ],
                }
            ],
        },
    ),
}

# What has to wait for what, where no reference says so.
DEPENDS = {
    "Nat": ["Attachment"],
    "Route": ["Attachment"],
    "Address": ["Attachment"],
    "Rotation": ["Permission", "SecretAttachment"],
    "Database": ["LogGroup"],
    "Function": ["TargetA", "TargetB"],
    "SourceBucket": ["BucketMayInvoke"],
    "AliasRecord": ["PrimaryRecord", "SecondaryRecord"],
}

# Logical id -> changed properties that need no replacement: each of a type's update calls has one.
CHANGES: dict[str, Properties] = {
    "Key": {
        "Description": "Changed",
        "EnableKeyRotation": False,
        "KeyPolicy": policy(["kms:*"], Principal=ROOT),
        "Tags": tags("changed"),
    },
    "Alias": {"TargetKeyId": att("Key", "Arn")},
    "Bucket": {
        "VersioningConfiguration": {"Status": "Suspended"},
        "LifecycleConfiguration": {"Rules": [{"Id": "new", "Status": "Enabled", "ExpirationInDays": 10}]},
        "Tags": tags("changed"),
    },
    "BucketPolicy": {"PolicyDocument": policy("s3:PutObject", "arn:aws:s3:::sample-bucket/*", Principal=ROOT)},
    "Vpc": {"EnableDnsHostnames": False, "Tags": tags("changed")},
    "Gateway": {"Tags": tags("changed")},
    "SubnetA": {"MapPublicIpOnLaunch": False, "Tags": tags("changed")},
    "Routes": {"Tags": tags("changed")},
    "Address": {"Tags": tags("changed")},
    "Nat": {"Tags": tags("changed")},
    "Group": {
        "SecurityGroupIngress": [
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "10.9.0.0/16", "Description": "HTTP inside"}
        ],
        "Tags": tags("changed"),
    },
    "Ingress": {"Description": "Changed"},
    "Egress": {"Description": "Changed"},
    "FlowLog": {"Tags": tags("changed")},
    "Endpoint": {
        "PolicyDocument": policy("secretsmanager:DescribeSecret", Principal="*"),
        "SubnetIds": [ref("SubnetB")],
        "SecurityGroupIds": [ref("OtherGroup")],
        "PrivateDnsEnabled": False,
        "Tags": tags("changed"),
    },
    "LogGroup": {"RetentionInDays": 60, "Tags": tags("changed")},
    "Filter": {
        "FilterPattern": "ERROR",
        "MetricTransformations": [{"MetricName": "Errors", "MetricNamespace": "Sample", "MetricValue": "2"}],
    },
    "Role": {
        "Description": "Changed",
        "MaxSessionDuration": 3600,
        "AssumeRolePolicyDocument": trust("monitoring.rds"),
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"],
        "Policies": [{"PolicyName": "other", "PolicyDocument": policy("logs:PutLogEvents")}],
        "Tags": tags("changed"),
    },
    "Topic": {"DisplayName": "Changed", "Tags": tags("changed")},
    "Subscription": {"FilterPolicy": {"kind": ["event"]}},
    "Secret": {"Description": "Changed", "Tags": tags("changed")},
    "SecretPolicy": {"ResourcePolicy": policy("secretsmanager:DescribeSecret", Principal=ROOT)},
    "SubnetGroup": {"DBSubnetGroupDescription": "Changed", "Tags": tags("changed")},
    "ParameterGroup": {"Parameters": {"log_statement": "ddl", "rds.force_ssl": "0"}, "Tags": tags("changed")},
    "Database": {
        "AllocatedStorage": "120",
        "MaxAllocatedStorage": 300,
        "BackupRetentionPeriod": 8,
        "EnableCloudwatchLogsExports": ["postgresql"],
        "PreferredBackupWindow": "04:00-05:00",
        "VPCSecurityGroups": [ref("OtherGroup")],
        "AutoMinorVersionUpgrade": True,
        "CACertificateIdentifier": "rds-ca-rsa2048-g1",
        "DeletionProtection": False,
        "Tags": tags("changed"),
    },
    "Events": {"Enabled": False, "EventCategories": ["failure"], "Tags": tags("changed")},
    "Function": {
        "Description": "Changed",
        "Timeout": 30,
        "Environment": {"Variables": {"GREETING": "good bye"}},
        "ReservedConcurrentExecutions": 1,
        "Tags": tags("changed"),
    },
    "Rotation": {"RotationRules": {"AutomaticallyAfterDays": 10}},
    "Alarm": {"Threshold": 90, "Period": 60, "Tags": tags("changed")},
    "AlarmOnExpression": {"Threshold": 20, "EvaluationPeriods": 2, "Tags": tags("changed")},
    "Dashboard": {"DashboardBody": '{"widgets": [], "start": "-PT6H"}', "Tags": tags("changed")},
    "ClusterParameters": {"Parameters": {"log_statement": "all", "rds.force_ssl": "1"}, "Tags": tags("changed")},
    "Cluster": {
        "BackupRetentionPeriod": 14,
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 1, "MaxCapacity": 4.5},
        "EnableCloudwatchLogsExports": [],
        "VpcSecurityGroupIds": [ref("OtherGroup")],
        "PreferredMaintenanceWindow": "tue:12:30-tue:13:30",
        "MonitoringInterval": 30,
        "AutoMinorVersionUpgrade": True,
        "Tags": tags("changed"),
    },
    "Global": {"DeletionProtection": True, "Tags": tags("changed")},
    "Member": {"DBInstanceClass": "db.r6g.large", "PromotionTier": 2, "Tags": tags("changed")},
    "Replica": {
        "BackupRetentionPeriod": 2,
        "DBInstanceClass": "db.r6g.large",
        "EnableCloudwatchLogsExports": ["postgresql", "upgrade"],
        "Tags": tags("changed"),
    },
    "Table": {
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "owner", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-owner",
                "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 14},
        "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": False},
        "SSESpecification": {"SSEEnabled": False},
        "ResourcePolicy": {"PolicyDocument": policy("dynamodb:Query", "*", Principal=ROOT)},
        "Tags": tags("changed"),
    },
    "Files": {
        "ThroughputMode": "provisioned",
        "ProvisionedThroughputInMibps": 10,
        "BackupPolicy": {"Status": "ENABLED"},
        "LifecyclePolicies": [{"TransitionToIA": "AFTER_30_DAYS"}],
        "FileSystemProtection": {"ReplicationOverwriteProtection": "ENABLED"},
        "FileSystemPolicy": policy("elasticfilesystem:ClientMount", Principal={"AWS": "*"}),
        "FileSystemTags": tags("changed"),
    },
    "TargetA": {"SecurityGroups": [ref("OtherGroup")]},
    "AccessPoint": {"AccessPointTags": tags("changed")},
    "Queue": {"MessageRetentionPeriod": 86400, "RedriveAllowPolicy": {"redrivePermission": "allowAll"}, "Tags": tags("changed")},
    "Schedule": {
        "Description": "Changed",
        "ScheduleExpression": "rate(5 minutes)",
        "State": "DISABLED",
        "Targets": [{"Id": "another", "Arn": att("Function", "Arn"), "RetryPolicy": {"MaximumRetryAttempts": 0}}],
        "Tags": tags("changed"),
    },
    "Jobs": {"EventPattern": {"source": ["aws.backup"]}},
    "Vault": {
        "AccessPolicy": policy("backup:StartRestoreJob", Principal=ROOT),
        "BackupVaultTags": {"Name": "vault-changed"},
    },
    "Plan": {
        "BackupPlan": {
            "BackupPlanName": "sample-plan",
            "BackupPlanRule": [
                {
                    "RuleName": "snapshots",
                    "TargetBackupVault": ref("Vault"),
                    "ScheduleExpression": "cron(30 * * * ? *)",
                    "Lifecycle": {"DeleteAfterDays": 120, "MoveToColdStorageAfterDays": 30},
                }
            ],
        },
        "BackupPlanTags": {"Name": "plan-changed"},
    },
    "Testing": {
        "ScheduleExpression": "cron(0 6 ? * TUE *)",
        "StartWindowHours": 1,
        "RecoveryPointSelection": {
            "Algorithm": "RANDOM_WITHIN_WINDOW",
            "IncludeVaults": ["*"],
            "RecoveryPointTypes": ["SNAPSHOT"],
        },
        "Tags": tags("changed"),
    },
    "Tested": {"ValidationWindowHours": 8, "RestoreMetadataOverrides": {"dbSubnetGroupName": "another"}},
    "Composite": {"AlarmRule": {"Fn::Sub": 'OK("${Alarm}")'}, "ActionsEnabled": False, "Tags": tags("changed")},
    "HealthCheck": {
        "HealthCheckConfig": {
            "Type": "CLOUDWATCH_METRIC",
            "AlarmIdentifier": {"Name": ref("Alarm"), "Region": ref("AWS::Region")},
            "InsufficientDataHealthStatus": "Unhealthy",
            "Inverted": True,
        },
        "HealthCheckTags": tags("changed"),
    },
    "CacheSubnets": {"Description": "Changed", "SubnetIds": [ref("SubnetA")], "Tags": tags("changed")},
    "CacheParameters": {"Properties": {"maxmemory-policy": "noeviction"}, "Tags": tags("changed")},
    "CacheNobody": {"AccessString": "off -@all -get", "Tags": tags("changed")},
    "CacheUser": {"AccessString": "on ~* -@all +set", "Tags": tags("changed")},
    "CacheUsers": {"UserIds": [ref("CacheNobody")], "Tags": tags("changed")},
    "Cache": {
        "ReplicationGroupDescription": "Changed",
        "NumCacheClusters": 3,
        "SnapshotRetentionLimit": 5,
        "SnapshotWindow": "01:00-02:00",
        "AutoMinorVersionUpgrade": True,
        "MultiAZEnabled": False,
        "CacheNodeType": "cache.t4g.medium",
        "UserGroupIds": [],
        "LogDeliveryConfigurations": [
            {
                "LogType": "engine-log",
                "LogFormat": "text",
                "DestinationType": "cloudwatch-logs",
                "DestinationDetails": {"CloudWatchLogsDetails": {"LogGroup": ref("LogGroup")}},
            }
        ],
        "Tags": tags("changed"),
    },
    "GatewayEndpoint": {
        "PolicyDocument": policy("dynamodb:PutItem", Principal="*"),
        "RouteTableIds": [],
        "Tags": tags("changed"),
    },
    "Parameter": {"Value": "approve", "Description": "Changed", "Tags": {"Name": "parameter-changed"}},
    "Zone": {"HostedZoneConfig": {"Comment": "Changed"}, "HostedZoneTags": tags("changed")},
    "PrimaryRecord": {"TTL": "10", "ResourceRecords": ["third.example.com"]},
    "SecondaryRecord": {"TTL": "20"},
    "Calculated": {
        "HealthCheckConfig": {
            "Type": "CALCULATED",
            "ChildHealthChecks": [ref("HealthCheck")],
            "HealthThreshold": 0,
            "Inverted": False,
        },
        "HealthCheckTags": tags("changed"),
    },
    "SourceBucket": {
        "ReplicationConfiguration": {
            "Role": att("Role", "Arn"),
            "Rules": [
                {
                    "Id": "all",
                    "Priority": 1,
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "DeleteMarkerReplication": {"Status": "Enabled"},
                    "Destination": {"Bucket": att("ReplicaBucket", "Arn"), "Metrics": {"Status": "Enabled"}},
                }
            ],
        },
        "IntelligentTieringConfigurations": [
            {
                "Id": "cold",
                "Status": "Disabled",
                "TagFilters": [{"Key": "cold", "Value": "yes"}],
                "Tierings": [{"AccessTier": "ARCHIVE_ACCESS", "Days": 120}],
            }
        ],
        "MetricsConfigurations": [{"Id": "whole", "Prefix": "in/"}],
        "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
    },
    "ReplicatedSecret": {"ReplicaRegions": [{"Region": "eu-west-2", "KmsKeyId": "alias/aws/secretsmanager"}]},
    "SourceFiles": {"ReplicationConfiguration": {"Destinations": [{"Region": "eu-west-2"}]}},
    "DataTrail": {
        "AdvancedEventSelectors": [
            {
                "Name": "Functions",
                "FieldSelectors": [
                    {"Field": "eventCategory", "Equals": ["Data"]},
                    {"Field": "resources.type", "Equals": ["AWS::Lambda::Function"]},
                ],
            }
        ]
    },
    "Trail": {"S3KeyPrefix": "changed", "IsLogging": False, "EnableLogFileValidation": False, "Tags": tags("changed")},
}


def chosen(*names: str) -> dict[str, dict[str, Any]]:
    """Resources of a template that are those of the sample; their properties can be changed."""
    return {name: {"Type": RESOURCES[name][0], "Properties": dict(RESOURCES[name][1])} for name in names}


def template(*, changed: bool = False) -> dict[str, Any]:
    """The stack's template, before or after the changes."""
    resources = {}
    for name, (kind, properties) in RESOURCES.items():
        more = CHANGES.get(name, {}) if changed else {}
        body: Properties = {"Type": kind, "Properties": {**properties, **more}}
        if name in DEPENDS:
            body["DependsOn"] = DEPENDS[name]
        if kind in ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance"):
            body["DeletionPolicy"] = "Delete"
        resources[name] = body
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
