"""The table of test_rules for what protects: clusters, tables, file systems, backups, endpoints and health checks."""

from __future__ import annotations

from typing import Any

from tests.support.compliance.small_system import GONE

Changes = list[tuple[str, Any]]


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def _of(layer: str, title: str) -> str:
    return f"{layer}/Resources/{title}/Properties"


BUCKET = _of("base", "Bucket")
RULES = f"{BUCKET}/LifecycleConfiguration/Rules/0"
CHECK, ROOT = f"{_of('base', 'HealthCheck')}/HealthCheckConfig", _of("base", "RootActed")
INSTANCE, PARAMETERS = _of("data", "Instance"), f"{_of('data', 'Parameters')}/Parameters"
FUNCTION, CALLS = (
    _of("data", "Function"),
    "data/Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement",
)
ARCHIVE = _of("data", "ArchiveTooLate")
CLOCK, INVOKES = _of("data", "Clock"), _of("data", "ClockInvokes")
ENDPOINT, GATEWAY = _of("network", "Endpoint"), _of("network", "S3Endpoint")
CLUSTER, READER = _of("platform", "Cluster"), _of("platform", "ReaderInstance")
CLUSTER_PARAMETERS = f"{_of('platform', 'ClusterParameters')}/Parameters"
TABLE, THROTTLED = _of("platform", "Table"), _of("platform", "Throttled")
FILES = _of("platform", "FileSystem")
FILES_POLICY = f"{FILES}/FileSystemPolicy/Statement"
VAULT = _of("platform", "Vault")
CONTINUOUS = f"{_of('platform', 'Continuous')}/BackupPlan/BackupPlanRule/0"
SNAPSHOTS = f"{_of('platform', 'Snapshots')}/BackupPlan/BackupPlanRule/0"
SELECTED = f"{_of('platform', 'SnapshotsSelection')}/BackupSelection/Resources"
BACKUP_ROLE = _of("platform", "BackupRole")
BACKUP_EVENTS, RESTORE_EVENTS = _of("platform", "BackupEnded"), _of("platform", "RestoreEnded")
MISSING = _of("platform", "EFSMissing")
CLUSTER_RESTORED, RESTORE_TOO_SLOW = _of("platform", "ClusterRestored"), _of("platform", "RestoreTooSlow")
TEST_INSTANCE, TEST_CLUSTER = _of("platform", "TestInstance"), _of("platform", "TestCluster")
TEST_TABLE, TEST_FILES = _of("platform", "TestTable"), _of("platform", "TestFiles")


def dimensions(**values: Any) -> list[dict[str, Any]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


BREAKS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: then the rule is unmet
    ("rds.multi_az", "platform.Cluster", [("platform/Resources/ReaderInstance", GONE)]),
    ("rds.multi_az", "platform.Cluster", [("platform/Resources/ReaderInstance/Condition", "Sometimes")]),
    ("rds.multi_az", "platform.Cluster", [(f"{_of('platform', 'WriterInstance')}/AvailabilityZone", "us-east-1b")]),
    ("rds.multi_az", "platform.Cluster", [(f"{_of('platform', 'WriterInstance')}/AvailabilityZone", GONE)]),
    ("rds.multi_az", "platform.WriterInstance", [(f"{READER}/DBClusterIdentifier", "another")]),
    ("rds.storage_encrypted", "platform.WriterInstance", [(f"{CLUSTER}/StorageEncrypted", False)]),
    ("rds.customer_key", "platform.Cluster", [(f"{CLUSTER}/KmsKeyId", GONE)]),
    ("rds.tls_forced", "platform.Cluster", [(f"{CLUSTER_PARAMETERS}/rds.force_ssl", "0")]),
    ("rds.tls_forced", "platform.WriterInstance", [(f"{CLUSTER}/DBClusterParameterGroupName", "default.aurora-postgresql15")]),
    ("rds.backup_retained", "platform.Cluster", [(f"{CLUSTER}/BackupRetentionPeriod", 1)]),
    ("rds.isolated", "platform.Cluster", [(f"{CLUSTER}/DBSubnetGroupName", GONE)]),
    ("rds.logs_exported", "platform.Cluster", [("platform/Resources/Cluster/DependsOn", GONE)]),
    ("rds.destroyable", "platform.Cluster", [(f"{CLUSTER}/DeletionProtection", True)]),
    ("rds.alarmed", "platform.Cluster", [(f"{_of('platform', 'WriterCpuTooHigh')}/Dimensions/1", GONE)]),
    ("rds.alarmed", "platform.WriterInstance", [("platform/Resources/WriterMemory", GONE)]),
    ("rds.slots_bounded", "data.Instance", [(f"{PARAMETERS}/max_slot_wal_keep_size", GONE)]),
    ("rds.slots_bounded", "data.Instance", [(f"{PARAMETERS}/max_slot_wal_keep_size", -1)]),
    ("rds.slots_bounded", "data.Instance", [(f"{PARAMETERS}/max_slot_wal_keep_size", ref("Days"))]),
    ("rds.slots_bounded", "platform.Cluster", [(f"{CLUSTER_PARAMETERS}/rds.logical_replication", "1")]),
    ("rds.slots_bounded", "platform.WriterInstance", [("platform/Resources/ClusterParameters/Condition", "Sometimes")]),
    ("rds.slots_watched", "data.Instance", [("data/Resources/SlotTooFarBehind", GONE)]),
    ("rds.slots_watched", "data.Instance", [("data/Resources/SlotTooFarBehind/Condition", "Sometimes")]),
    ("s3.tidied", "base.Bucket", [(f"{BUCKET}/LifecycleConfiguration", GONE)]),
    ("s3.tidied", "base.Bucket", [(f"{RULES}/Status", "Disabled")]),
    ("s3.tidied", "base.Bucket", [(f"{RULES}/Prefix", "logs/")]),
    ("s3.tidied", "base.Bucket", [(f"{RULES}/AbortIncompleteMultipartUpload", GONE)]),
    ("s3.tidied", "base.Bucket", [(f"{RULES}/NoncurrentVersionExpiration", GONE)]),
    ("resources.tagged", "base.HealthCheck", [("base/Resources/HealthCheck/Properties/HealthCheckTags/1", GONE)]),
    ("resources.tagged", "base.HealthCheck", [("base/Resources/HealthCheck/Properties/HealthCheckTags", GONE)]),
    ("iam.least_privilege", "platform.BackupRole", [(f"{BACKUP_ROLE}/ManagedPolicyArns/0", "arn:aws:iam::aws:policy/Admin")]),
    (
        "iam.least_privilege",
        "platform.BackupRole",
        [(f"{BACKUP_ROLE}/AssumeRolePolicyDocument/Statement/0/Principal/Service", "lambda.amazonaws.com")],
    ),
    ("policies.not_public", "platform.Vault", [(f"{VAULT}/AccessPolicy", '{"Statement": [{"Effect": "Deny"}]}')]),
    ("sns.delivers", "data.Clock", [(f"{CLOCK}/State", "DISABLED")]),
    ("sns.delivers", "data.Clock", [("data/Resources/ClockInvokes", GONE)]),
    ("sns.delivers", "data.Clock", [(f"{INVOKES}/SourceArn", ref("Instance"))]),
    ("sns.delivers", "data.Clock", [(f"{INVOKES}/Principal", "secretsmanager.amazonaws.com")]),
    ("sns.delivers", "data.Clock", [("data/Resources/Function/Condition", "Sometimes")]),
    ("sns.delivers", "data.CpuTooHigh", [(f"{_of('data', 'CpuTooHigh')}/AlarmActions", [{"Fn::GetAtt": ["Function", "Arn"]}])]),
    (
        "sns.delivers",
        "platform.ClusterEvents",
        [("platform/Resources/ClusterEvents/Properties/SourceType", "db-instance")],
    ),
    # metrics and their dimensions
    ("alarms.metric_exists", "data.ArchiveTooLate", [(f"{ARCHIVE}/Namespace", "Standby/LogArchive")]),
    ("alarms.metric_exists", "data.ArchiveTooLate", [(f"{ARCHIVE}/MetricName", "Lag")]),
    ("alarms.metric_exists", "data.ArchiveTooLate", [(f"{ARCHIVE}/Dimensions/0/Value", "another")]),
    ("alarms.metric_exists", "data.ArchiveTooLate", [(f"{FUNCTION}/Code/S3Key", "rotation-0123abcd.zip")]),
    (
        "alarms.metric_exists",
        "data.ArchiveTooLate",
        [(f"{ARCHIVE}/Dimensions", dimensions(FunctionName=ref("Function"), Dependency="secret"))],
    ),
    ("alarms.metric_exists", "platform.Throttled", [(f"{THROTTLED}/Metrics/0/Expression", "reads + deletes")]),
    ("alarms.metric_exists", "platform.Throttled", [(f"{THROTTLED}/Metrics/1/ReturnData", True)]),
    ("alarms.metric_exists", "platform.Throttled", [(f"{THROTTLED}/Metrics/1/MetricStat/Metric/MetricName", "UserErrors")]),
    (
        "alarms.metric_exists",
        "platform.Throttled",
        [(f"{THROTTLED}/Metrics/1/MetricStat/Metric/MetricName", "ThrottledRequests")],
    ),
    (
        "alarms.metric_exists",
        "data.FreeStorageTooLow",
        [(f"{_of('data', 'FreeStorageTooLow')}/Dimensions", dimensions(DBInstanceIdentifier={"Fn::Sub": "elsewhere"}))],
    ),
    (
        "alarms.metric_exists",
        "data.FreeStorageTooLow",
        [(f"{INSTANCE}/DBClusterIdentifier", "aurora")],
    ),
    (
        "alarms.metric_exists",
        "platform.WriterCpuTooHigh",
        [(f"{_of('platform', 'WriterCpuTooHigh')}/Dimensions/1/Value", "BOTH")],
    ),
    ("alarms.metric_exists", "platform.EFSMissing", [(f"{MISSING}/Dimensions", dimensions(VaultName=ref("Vault")))]),
    ("alarms.evaluable", "platform.WriterMemory", [(f"{_of('platform', 'WriterMemory')}/EvaluationPeriods", 1441)]),
    ("alarms.evaluable", "platform.EFSMissing", [(f"{MISSING}/EvaluationPeriods", 8)]),
    ("alarms.evaluable", "platform.EFSMissing", [(f"{MISSING}/Period", GONE)]),
    ("alarms.evaluable", "platform.EFSMissing", [(f"{MISSING}/EvaluationPeriods", GONE)]),
    ("alarms.evaluable", "platform.Throttled", [(f"{THROTTLED}/Metrics/2/MetricStat/Period", ref("Days"))]),
    ("alarms.followable", "base.HealthCheck", [(f"{ROOT}/Period", 10)]),
    ("alarms.followable", "base.HealthCheck", [(f"{ROOT}/ExtendedStatistic", "p99")]),
    ("alarms.followable", "base.HealthCheck", [(f"{ROOT}/Metrics", [])]),
    ("alarms.followable", "base.HealthCheck", [(f"{ROOT}/EvaluationPeriods", 3), (f"{ROOT}/DatapointsToAlarm", 2)]),
    ("alarms.followable", "base.HealthCheck", [("base/Resources/RootActed/Condition", "Sometimes")]),
    ("alarms.followable", "base.HealthCheck", [(f"{CHECK}/AlarmIdentifier/Name", "elsewhere")]),
    ("alarms.silence_is_unhealthy", "base.HealthCheck", [(f"{ROOT}/TreatMissingData", "breaching")]),
    ("alarms.silence_is_unhealthy", "base.HealthCheck", [(f"{CHECK}/InsufficientDataHealthStatus", GONE)]),
    ("alarms.silence_is_unhealthy", "base.HealthCheck", [(f"{CHECK}/AlarmIdentifier/Name", "elsewhere")]),
    # what a function calls
    ("reach.endpoints", "data.Function", [("network/Resources/Endpoint", GONE)]),
    ("reach.endpoints", "data.Function", [("network/Resources/Endpoint/Condition", "Sometimes")]),
    ("reach.endpoints", "data.Function", [("network/Resources/ClientsOutToEndpoint", GONE)]),
    ("reach.endpoints", "data.Function", [("network/Resources/ClientsIn", GONE)]),
    ("reach.endpoints", "data.Function", [("network/Resources/ClientsIn/Condition", "Sometimes")]),
    ("reach.endpoints", "data.Function", [(f"{ENDPOINT}/PrivateDnsEnabled", False)]),
    ("reach.endpoints", "data.Function", [(f"{ENDPOINT}/SecurityGroupIds", ["sg-1"])]),
    ("reach.endpoints", "data.Function", [(f"{ENDPOINT}/PolicyDocument/Statement/0/Action", "secretsmanager:DescribeSecret")]),
    ("reach.endpoints", "data.Function", [(f"{GATEWAY}/RouteTableIds", [ref("OpenTable")])]),
    ("reach.endpoints", "data.Function", [("network/Resources/ClientsOutToS3", GONE)]),
    ("reach.endpoints", "data.Function", [(f"{GATEWAY}/ServiceName", "com.amazonaws.us-east-1.dynamodb")]),
    ("reach.endpoints", "data.Function", [(f"{CALLS}/1/Action", ["s3:GetObject", "s3:PutObject"])]),
    ("reach.endpoints", "data.Function", [(f"{CALLS}/3/Condition", GONE)]),
    ("reach.peers", "data.Function", [("network/Resources/ClientsOut", GONE)]),
    ("reach.peers", "data.Function", [("network/Resources/ClientsInToDatabase", GONE)]),
    ("reach.peers", "data.Function", [(f"{INSTANCE}/VPCSecurityGroups", ["sg-1"])]),
    ("reach.peers", "data.Function", [("network/Resources/ClientsInToFiles", GONE)]),
    ("reach.peers", "data.Function", [(f"{_of('platform', 'MountB')}/SecurityGroups", ["sg-1"])]),
    ("reach.peers", "data.Function", [("platform/Resources/MountA", GONE), ("platform/Resources/MountB", GONE)]),
    ("reach.peers", "data.Function", [(f"{FUNCTION}/FileSystemConfigs/0/Arn", "arn:aws:elasticfilesystem:x")]),
    ("sns.subscribed", "base.Topic", [("base/Resources/Operator/Properties/TopicArn", "arn:aws:sns:us-east-1:1:another")]),
    # tables
    ("tables.recoverable", "platform.Table", [(f"{TABLE}/PointInTimeRecoverySpecification", GONE)]),
    ("tables.customer_key", "platform.Table", [(f"{TABLE}/SSESpecification/SSEEnabled", False)]),
    ("tables.customer_key", "platform.Table", [(f"{TABLE}/SSESpecification/KMSMasterKeyId", GONE)]),
    ("tables.destroyable", "platform.Table", [(f"{TABLE}/DeletionProtectionEnabled", True)]),
    ("tables.alarmed", "platform.Table", [(f"{THROTTLED}/Metrics/2", GONE)]),
    ("tables.alarmed", "platform.Table", [("platform/Resources/Throttled/Condition", "Sometimes")]),
    ("tables.alarmed", "platform.Table", [(f"{THROTTLED}/Metrics/2/MetricStat/Metric/Dimensions/0/Value", "another")]),
    # file systems
    ("files.customer_key", "platform.FileSystem", [(f"{FILES}/Encrypted", False)]),
    ("files.customer_key", "platform.FileSystem", [(f"{FILES}/KmsKeyId", "alias/aws/elasticfilesystem")]),
    ("files.tls_only", "platform.FileSystem", [(f"{FILES_POLICY}/0", GONE)]),
    ("files.tls_only", "platform.FileSystem", [(f"{FILES_POLICY}/0/Action", "elasticfilesystem:ClientMount")]),
    ("files.tls_only", "platform.FileSystem", [(f"{FILES_POLICY}/0/Principal", {"AWS": "arn:aws:iam::1:root"})]),
    ("files.tls_only", "platform.FileSystem", [(f"{FILES_POLICY}/0/Condition/StringEquals", {"aws:PrincipalAccount": "1"})]),
    ("files.mounted_only", "platform.FileSystem", [(f"{FILES_POLICY}/1/Condition/Bool", GONE)]),
    ("files.mounted_only", "platform.FileSystem", [(f"{FILES_POLICY}/1", GONE)]),
    ("files.in_every_zone", "platform.FileSystem", [("platform/Resources/MountB", GONE)]),
    ("files.in_every_zone", "platform.FileSystem", [("platform/Resources/MountB/Condition", "Sometimes")]),
    ("files.in_every_zone", "platform.FileSystem", [(f"{_of('platform', 'MountB')}/SecurityGroups", GONE)]),
    ("files.in_every_zone", "platform.FileSystem", [(f"{_of('platform', 'MountB')}/SubnetId", "subnet-1")]),
    ("files.in_every_zone", "platform.FileSystem", [(f"{_of('network', 'SubnetB')}/AvailabilityZoneId", GONE)]),
    (
        "files.in_every_zone",
        "platform.FileSystem",
        [
            (
                "network/Resources/SubnetC",
                {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": ref("Vpc"), "AvailabilityZone": "us-east-1c"}},
            )
        ],
    ),
    ("files.one_plan", "platform.FileSystem", [(f"{FILES}/BackupPolicy/Status", "ENABLED")]),
    ("files.alarmed", "platform.FileSystem", [("platform/Resources/FilesTooBusy", GONE)]),
    ("files.alarmed", "platform.FileSystem", [("platform/Resources/FilesTooBusy/Condition", "Sometimes")]),
    # backups
    ("backup.windows", "platform.Snapshots", [(f"{SNAPSHOTS}/StartWindowMinutes", 30)]),
    ("backup.windows", "platform.Snapshots", [(f"{SNAPSHOTS}/CompletionWindowMinutes", 119)]),
    ("backup.windows", "platform.Snapshots", [(f"{SNAPSHOTS}/StartWindowMinutes", GONE)]),  # eight hours, and three to end
    ("backup.windows", "platform.Snapshots", [(f"{SNAPSHOTS}/StartWindowMinutes", ref("Minutes"))]),
    ("backup.windows", "platform.Snapshots", [(SNAPSHOTS, GONE)]),
    ("backup.continuous", "platform.Continuous", [(f"{CONTINUOUS}/Lifecycle/DeleteAfterDays", 90)]),
    ("backup.continuous", "platform.Continuous", [(f"{CONTINUOUS}/Lifecycle", GONE)]),
    ("backup.continuous", "platform.Continuous", [(f"{CONTINUOUS}/Lifecycle/MoveToColdStorageAfterDays", 1)]),
    ("backup.continuous", "platform.Snapshots", [(f"{SNAPSHOTS}/EnableContinuousBackup", True)]),
    ("backup.expires", "platform.Snapshots", [(f"{SNAPSHOTS}/Lifecycle", GONE)]),
    ("backup.expires", "platform.Snapshots", [(f"{SNAPSHOTS}/Lifecycle/MoveToColdStorageAfterDays", 7)]),
    ("backup.expires", "platform.Snapshots", [(f"{SNAPSHOTS}/Lifecycle/MoveToColdStorageAfterDays", ref("Days"))]),
    ("backup.expires", "platform.Snapshots", [(SNAPSHOTS, GONE)]),
    ("backup.retention_agrees", "platform.Cluster", [(f"{CLUSTER}/BackupRetentionPeriod", 8)]),
    ("backup.retention_agrees", "platform.Cluster", [(f"{CLUSTER}/BackupRetentionPeriod", GONE)]),
    ("backup.retention_agrees", "platform.WriterInstance", [(f"{CLUSTER}/PreferredBackupWindow", "03:00-04:00")]),
    (
        "backup.retention_agrees",
        "platform.Cluster",
        [(f"{CLUSTER}/BackupRetentionPeriod", GONE), (f"{CONTINUOUS}/Lifecycle/DeleteAfterDays", GONE)],
    ),
    ("backup.covers", "platform.Snapshots", [(f"{SELECTED}/1", GONE)]),
    ("backup.covers", "platform.Continuous", [(f"{SELECTED}/0", "arn:aws:rds:us-east-1:1:db:another")]),
    ("backup.covers", "platform.Snapshots", [("platform/Resources/SnapshotsSelection/Condition", "Sometimes")]),
    ("backup.covers", "platform.Snapshots", [("platform/Resources/ContinuousSelection/Properties/BackupPlanId", "another")]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{SNAPSHOTS}/ScheduleExpression", "cron(0 * * * ? *)")]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{SNAPSHOTS}/ScheduleExpression", "cron(30 1 * * ? *)")]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{SNAPSHOTS}/ScheduleExpression", "cron(0 6 ? * SUN *)")]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{SNAPSHOTS}/ScheduleExpression", "rate(1 hour)")]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{SNAPSHOTS}/ScheduleExpressionTimezone", "Asia/Tokyo")]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{SNAPSHOTS}/StartWindowMinutes", 240)]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{INSTANCE}/PreferredBackupWindow", GONE)]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{INSTANCE}/PreferredMaintenanceWindow", "mon:16:30-mon:17:00")]),
    ("backup.failures_told", "platform.Snapshots", [(f"{BACKUP_EVENTS}/EventPattern/detail/state", ["FAILED", "ABORTED"])]),
    ("backup.failures_told", "platform.Snapshots", [(f"{BACKUP_EVENTS}/State", "DISABLED")]),
    ("backup.failures_told", "platform.Snapshots", [(f"{BACKUP_EVENTS}/Targets/0/Arn", "arn:aws:sqs:us-east-1:1:queue")]),
    (
        "backup.failures_told",
        "platform.Snapshots",
        [
            (f"{BACKUP_EVENTS}/EventPattern/detail/status", ["ABORTED", "EXPIRED", "FAILED", "PARTIAL"]),
            (f"{BACKUP_EVENTS}/EventPattern/detail/state", GONE),
        ],
    ),
    ("backup.restore_failures_told", "platform.Testing", [(f"{RESTORE_EVENTS}/EventPattern/detail/status", ["COMPLETED"])]),
    ("backup.restore_failures_told", "platform.Testing", [(f"{RESTORE_EVENTS}/EventPattern/source", ["aws.rds"])]),
    ("backup.restore_failures_told", "platform.Testing", [("platform/Resources/RestoreEnded/Condition", "Sometimes")]),
    ("backup.absence_told", "platform.Snapshots", [("platform/Resources/EFSMissing", GONE)]),
    ("backup.absence_told", "platform.Snapshots", [("platform/Resources/EFSMissing/Condition", "Sometimes")]),
    ("backup.absence_told", "platform.Snapshots", [(f"{MISSING}/TreatMissingData", "missing")]),
    ("backup.absence_told", "platform.Snapshots", [(f"{MISSING}/ComparisonOperator", "GreaterThanThreshold")]),
    ("backup.absence_told", "platform.Snapshots", [(f"{MISSING}/Dimensions/0", GONE)]),
    ("backup.absence_told", "platform.Snapshots", [(f"{SNAPSHOTS}/TargetBackupVault", "Default")]),
    ("backup.absence_told", "platform.Snapshots", [(SNAPSHOTS, GONE)]),
    ("backup.customer_key", "platform.Vault", [(f"{VAULT}/EncryptionKeyArn", GONE)]),
    ("backup.unlocked", "platform.Vault", [(f"{VAULT}/LockConfiguration", {"MinRetentionDays": 7})]),
    ("backup.rehearsed", "platform.Snapshots", [("platform/Resources/TestTable", GONE)]),
    ("backup.rehearsed", "platform.Continuous", [("platform/Resources/TestCluster/Condition", "Sometimes")]),
    ("backup.rehearsed", "platform.Continuous", [(f"{TEST_CLUSTER}/ProtectedResourceType", "RDS")]),
    ("backup.rehearsed", "platform.Continuous", [(f"{TEST_CLUSTER}/RestoreTestingPlanName", "another")]),
    ("backup.rehearsed", "platform.Continuous", [("platform/Resources/ContinuousSelection", GONE)]),
    ("backup.validated", "platform.TestCluster", [(f"{TEST_CLUSTER}/ValidationWindowHours", GONE)]),
    ("backup.validated", "platform.TestCluster", [(f"{TEST_CLUSTER}/ValidationWindowHours", 0)]),
    ("backup.validated", "platform.TestCluster", [("platform/Resources/ClusterRestored", GONE)]),
    ("backup.validated", "platform.TestCluster", [(f"{CLUSTER_RESTORED}/State", "DISABLED")]),
    ("backup.validated", "platform.TestCluster", [(f"{CLUSTER_RESTORED}/EventPattern/detail/status", ["FAILED"])]),
    ("backup.validated", "platform.TestCluster", [(f"{CLUSTER_RESTORED}/Targets/0/Arn", ref("BaseTopicArn"))]),
    ("backup.validated", "platform.TestCluster", [("platform/Resources/RestoreTooSlow", GONE)]),
    ("backup.validated", "platform.TestCluster", [(f"{RESTORE_TOO_SLOW}/MetricName", "RestoreValid")]),
    ("backup.validated", "platform.TestCluster", [(f"{RESTORE_TOO_SLOW}/ComparisonOperator", "LessThanThreshold")]),
    ("backup.validated", "platform.TestCluster", [(f"{RESTORE_TOO_SLOW}/Dimensions/0/Value", "another")]),
    ("backup.restore_name_legal", "platform.TestTable", [(f"{TEST_TABLE}/RestoreTestingSelectionName", "table-restore")]),
    (
        "backup.restore_name_legal",
        "platform.TestTable",
        [(f"{TEST_TABLE}/RestoreTestingSelectionName", {"Fn::Sub": "table_${EnvironmentSuffix}"})],
    ),
    (
        "backup.restore_name_legal",
        "platform.TestTable",
        [(f"{TEST_TABLE}/RestoreTestingSelectionName", {"Fn::Join": ["-", ["restore", "table"]]})],
    ),
    (
        "backup.restore_name_legal",
        "platform.Testing",
        [("platform/Resources/Testing/Properties/RestoreTestingPlanName", {"Fn::Join": ["_", [ref("EnvironmentSuffix")]]})],
    ),
    ("backup.own_network", "platform.TestInstance", [(f"{TEST_INSTANCE}/RestoreMetadataOverrides/dbSubnetGroupName", GONE)]),
    ("backup.own_network", "platform.TestInstance", [(f"{TEST_INSTANCE}/RestoreMetadataOverrides", GONE)]),
    (
        "backup.own_network",
        "platform.TestCluster",
        [(f"{TEST_CLUSTER}/RestoreMetadataOverrides/VpcSecurityGroupIds", '["sg-1"]')],
    ),
    (
        "backup.own_network",
        "platform.TestInstance",
        [(f"{TEST_INSTANCE}/RestoreMetadataOverrides/vpcSecurityGroupIds", {"Fn::Sub": ["${A}${B}", {"A": "a", "B": "b"}]})],
    ),
    ("backup.own_key", "platform.TestFiles", [(f"{TEST_FILES}/RestoreMetadataOverrides", GONE)]),
    ("backup.own_key", "platform.TestTable", [(f"{TEST_TABLE}/RestoreMetadataOverrides/encryptionType", "Default")]),
    ("backup.own_key", "platform.TestTable", [(f"{TEST_TABLE}/RestoreMetadataOverrides/kmsMasterKeyArn", GONE)]),
]

BEARS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: the rule is still met
    ("rds.slots_bounded", "data.Instance", [(f"{PARAMETERS}/max_slot_wal_keep_size", ref("BackupDays"))]),
    ("alarms.metric_exists", "data.ArchiveTooLate", [(f"{FUNCTION}/Code/S3Key", "log_archive-ffffffff.zip")]),
    (
        "alarms.metric_exists",
        "data.ArchiveTooLate",
        [
            (f"{FUNCTION}/Code/S3Key", "health-0123abcd.zip"),
            (f"{ARCHIVE}/MetricName", "Works"),
            (f"{ARCHIVE}/Dimensions", dimensions(FunctionName=ref("Function"), Dependency="secret")),
        ],
    ),
    (
        "alarms.metric_exists",
        "data.CpuTooHigh",
        [
            (f"{_of('data', 'CpuTooHigh')}/Namespace", "AWS/DynamoDB"),
            (f"{_of('data', 'CpuTooHigh')}/MetricName", "UserErrors"),
            (f"{_of('data', 'CpuTooHigh')}/Dimensions", GONE),
        ],
    ),
    ("alarms.followable", "base.HealthCheck", [(f"{ROOT}/DatapointsToAlarm", 1)]),
    (
        "alarms.silence_is_unhealthy",
        "base.HealthCheck",
        [(f"{ROOT}/TreatMissingData", "breaching"), (f"{CHECK}/InsufficientDataHealthStatus", "Unhealthy")],
    ),
    (
        "reach.endpoints",
        "data.Function",  # a rule within the group itself
        [
            ("network/Resources/ClientsOutToS3", GONE),
            (
                "network/Resources/Clients/Properties/SecurityGroupEgress",
                [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "DestinationPrefixListId": "pl-1"}],
            ),
        ],
    ),
    ("files.one_plan", "platform.FileSystem", [(f"{FILES}/BackupPolicy", GONE)]),
    ("backup.windows", "platform.Snapshots", [(f"{SNAPSHOTS}/CompletionWindowMinutes", GONE)]),
    ("backup.windows", "platform.Snapshots", [(f"{SNAPSHOTS}/StartWindowMinutes", "60")]),
    (
        "backup.expires",
        "platform.Snapshots",
        [(f"{SNAPSHOTS}/Lifecycle", {"MoveToColdStorageAfterDays": 7, "DeleteAfterDays": 97})],
    ),
    (
        "backup.retention_agrees",
        "data.Instance",  # an instance may have a window of its own
        [
            (f"{SNAPSHOTS}/EnableContinuousBackup", True),
            (f"{SNAPSHOTS}/Lifecycle/DeleteAfterDays", 7),
            (f"{INSTANCE}/BackupRetentionPeriod", 7),
        ],
    ),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{SNAPSHOTS}/ScheduleExpression", "cron(0 7 * * ? *)")]),
    ("backup.clear_of_windows", "platform.Snapshots", [(f"{SNAPSHOTS}/ScheduleExpressionTimezone", "Etc/UTC")]),
]
