"""The table of test_rules for what stands in two regions: replicas, copies, and the endpoints and suites that FIPS asks for."""

from __future__ import annotations

from typing import Any

from tests.support.compliance.small_system import GONE

Changes = list[tuple[str, Any]]


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def _of(layer: str, title: str) -> str:
    return f"{layer}/Resources/{title}/Properties"


REPLICA, LAG, STOPPED = _of("elsewhere", "Replica"), _of("elsewhere", "Behind"), _of("elsewhere", "Stopped")
SUITES = f"{_of('data', 'Parameters')}/Parameters/ssl_ciphers"
MOST_TLS = f"{_of('data', 'Parameters')}/Parameters/ssl_max_protocol_version"
FAMILY = f"{_of('data', 'Parameters')}/Family"
GCM = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
LEAST_TLS = f"{_of('data', 'Parameters')}/Parameters/ssl_min_protocol_version"
CLUSTER_SUITES = f"{_of('platform', 'ClusterParameters')}/Parameters/ssl_ciphers"
REPLICATION = f"{_of('platform', 'FileSystem')}/ReplicationConfiguration"
TARGET = _of("elsewhere", "FileSystem")
TOO_OLD = _of("platform", "ReplicaTooOld")
SECRET = f"{_of('data', 'Secret')}/ReplicaRegions"
COPIED = f"{_of('platform', 'Snapshots')}/BackupPlan/BackupPlanRule/0/CopyActions"
BACK = f"{_of('elsewhere', 'Files')}/BackupPlan/BackupPlanRule/0/CopyActions"
NEARBY = ("elsewhere/Metadata/Layer/Sites", {"primary": "us-east-1"})
KMS = _of("network", "KmsFipsEndpoint")
RDS_MISSING = "elsewhere/Resources/RDSMissing/Properties"
DAILY = f"{_of('elsewhere', 'Daily')}/BackupPlan/BackupPlanRule/0"

BREAKS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: then the rule is unmet
    ("rds.storage_encrypted", "elsewhere.Replica", [(f"{REPLICA}/KmsKeyId", GONE)]),
    ("rds.storage_encrypted", "elsewhere.Replica", [(f"{REPLICA}/SourceDBInstanceIdentifier", GONE)]),
    ("rds.customer_key", "elsewhere.Replica", [(f"{REPLICA}/KmsKeyId", "alias/aws/rds")]),
    ("rds.logs_exported", "elsewhere.Replica", [("elsewhere/Resources/PostgresqlGroup", GONE)]),
    ("rds.alarmed", "elsewhere.Replica", [("elsewhere/Resources/CpuTooHigh", GONE)]),
    ("rds.approved_suites", "data.Instance", [(SUITES, GONE)]),
    ("rds.approved_suites", "data.Instance", [(SUITES, "HIGH:!aNULL:!3DES")]),
    ("rds.approved_suites", "data.Instance", [(SUITES, "ECDHE-RSA-AES256-GCM-SHA384")]),
    ("rds.approved_suites", "data.Instance", [(SUITES, f"{GCM},TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")]),
    ("rds.approved_suites", "data.Instance", [(SUITES, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256")]),
    ("rds.approved_suites", "data.Instance", [(LEAST_TLS, "TLSv1.1")]),
    ("rds.approved_suites", "data.Instance", [(MOST_TLS, "TLSv1.3")]),
    ("rds.approved_suites", "data.Instance", [(MOST_TLS, GONE)]),
    ("rds.approved_suites", "data.Instance", [(FAMILY, "postgres15")]),
    ("rds.approved_suites", "data.Instance", [(FAMILY, ref("Days"))]),
    ("rds.approved_suites", "data.Instance", [(f"{_of('data', 'Instance')}/DBParameterGroupName", "default.postgres15")]),
    ("rds.approved_suites", "platform.WriterInstance", [(CLUSTER_SUITES, GONE)]),
    ("rds.replicated_elsewhere", "data.Instance", [("elsewhere/Resources/Replica", GONE)]),
    ("rds.replicated_elsewhere", "data.Instance", [("elsewhere/Resources/Replica/Condition", "Sometimes")]),
    ("rds.replicated_elsewhere", "data.Instance", [NEARBY]),
    ("rds.replicated_elsewhere", "elsewhere.Replica", [NEARBY]),
    ("rds.replicated_elsewhere", "elsewhere.Replica", [(f"{REPLICA}/SourceDBInstanceIdentifier", "arn:aws:rds:x:1:db:y")]),
    ("rds.replica_watched", "elsewhere.Replica", [("elsewhere/Resources/Behind", GONE)]),
    ("rds.replica_watched", "elsewhere.Replica", [("elsewhere/Resources/Stopped", GONE)]),
    ("rds.replica_watched", "elsewhere.Replica", [(f"{STOPPED}/TreatMissingData", "notBreaching")]),
    ("rds.replica_watched", "elsewhere.Replica", [(f"{LAG}/MetricName", "CPUUtilization")]),
    ("files.replicated_elsewhere", "platform.FileSystem", [(REPLICATION, GONE)]),
    ("files.replicated_elsewhere", "platform.FileSystem", [(f"{TARGET}/FileSystemProtection", GONE)]),
    ("files.replicated_elsewhere", "platform.FileSystem", [(f"{REPLICATION}/Destinations/0/FileSystemId", "fs-1")]),
    ("files.replicated_elsewhere", "platform.FileSystem", [(f"{REPLICATION}/Destinations/0", {"Region": "us-west-2"})]),
    ("files.replicated_elsewhere", "elsewhere.FileSystem", [NEARBY]),
    ("files.replica_watched", "platform.FileSystem", [("platform/Resources/ReplicaTooOld", GONE)]),
    ("files.replica_watched", "platform.FileSystem", [(f"{TOO_OLD}/TreatMissingData", "missing")]),
    (
        "files.replica_watched",
        "platform.FileSystem",
        [(f"{TOO_OLD}/Dimensions/0/Value", "fs-1"), (f"{TOO_OLD}/Dimensions/1", GONE)],
    ),
    # the jobs of a plan that runs once a day may be 25 hours apart
    ("backup.absence_told", "elsewhere.Daily", [(f"{RDS_MISSING}/EvaluationPeriods", 24)]),
    ("backup.absence_told", "elsewhere.Daily", [(f"{RDS_MISSING}/DatapointsToAlarm", 1)]),
    (  # for how many periods it waits is not known, so how long each of them is does not matter
        "backup.absence_told",
        "elsewhere.Daily",
        [(f"{RDS_MISSING}/Period", 604_800), (f"{RDS_MISSING}/EvaluationPeriods", GONE)],
    ),
    ("backup.absence_told", "elsewhere.Daily", [(f"{DAILY}/ScheduleExpression", "cron(0 15 1 * ? *)")]),
    ("secrets.replicated", "data.Secret", [(SECRET, GONE)]),
    ("secrets.replicated", "data.Secret", [(f"{SECRET}/0/KmsKeyId", GONE)]),
    ("secrets.replicated", "data.Secret", [("base/Metadata/Layer/Sites", {"primary": "us-east-1"})]),
    ("backup.elsewhere", "platform.Snapshots", [(COPIED, GONE)]),
    ("backup.elsewhere", "platform.Snapshots", [(f"{COPIED}/0/DestinationBackupVaultArn", ref("Nobody"))]),
    ("backup.elsewhere", "platform.Snapshots", [NEARBY]),
    ("backup.elsewhere", "elsewhere.Files", [(BACK, GONE)]),
    ("backup.elsewhere", "elsewhere.Daily", [(f"{REPLICA}/SourceDBInstanceIdentifier", GONE)]),
    ("ec2.fips_reached", "network.Vpc", [("network/Resources/KmsFipsEndpoint", GONE)]),
    ("ec2.fips_reached", "network.Vpc", [("network/Resources/FilesFipsEndpoint/Condition", "Sometimes")]),
    ("ec2.fips_reached", "network.Vpc", [(f"{KMS}/PrivateDnsEnabled", False)]),
    ("ec2.fips_reached", "network.Vpc", [(f"{KMS}/VpcId", "vpc-1")]),
]

BEARS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: the rule is still met
    ("rds.approved_suites", "data.Instance", [(SUITES, GCM)]),
    ("rds.approved_suites", "data.Instance", [(FAMILY, "postgres17")]),
    ("backup.elsewhere", "elsewhere.Daily", [(BACK, GONE)]),
]
