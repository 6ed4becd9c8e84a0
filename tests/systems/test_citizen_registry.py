"""CR-01 … CR-13, asserted over what is rendered."""

import json

from compliance.catalogues import catalogues
from generator.systems.citizen_registry import CITIZEN_REGISTRY
from model import Document
from tests.support.committed_templates import only, resources, templates

SYSTEM = "citizen-registry"


def _key_of(value: Document) -> str:
    """The parameter that a key comes from."""
    return str(value["Ref"])


def test_cr_01_the_database_is_multi_az_postgresql_in_zurich() -> None:
    instance = only(SYSTEM, "AWS::RDS::DBInstance")
    assert instance["Engine"] == "postgres"
    assert instance["MultiAZ"] is True
    assert {site: region for one in templates(SYSTEM).values() for site, region in one["Metadata"]["Layer"]["Sites"].items()} == {
        "primary": "eu-central-2"
    }


def test_cr_02_storage_and_insights_are_encrypted_with_a_customer_managed_key() -> None:
    instance = only(SYSTEM, "AWS::RDS::DBInstance")
    assert instance["StorageEncrypted"] is True
    assert _key_of(instance["KmsKeyId"]) == _key_of(instance["PerformanceInsightsKMSKeyId"]) == "KeysDatabaseKeyArn"


def test_cr_03_and_cr_04_credentials_are_generated_and_rotated_every_thirty_days() -> None:
    assert "GenerateSecretString" in only(SYSTEM, "AWS::SecretsManager::Secret")
    rules = only(SYSTEM, "AWS::SecretsManager::RotationSchedule")["RotationRules"]
    assert rules["AutomaticallyAfterDays"] == 30


def test_cr_05_the_file_system_takes_transaction_logs_encrypted_in_every_zone() -> None:
    files = only(SYSTEM, "AWS::EFS::FileSystem")
    assert files["Encrypted"] is True
    assert _key_of(files["KmsKeyId"]) == "KeysFilesKeyArn"
    statements = {one["Sid"]: one for one in files["FileSystemPolicy"]["Statement"]}
    assert statements["DenyWithoutTls"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    writer = statements["TheArchiverMountsAndWrites"]
    assert writer["Principal"] == "*"
    assert writer["Condition"]["Bool"] == {"elasticfilesystem:AccessedViaMountTarget": "true"}
    role = dict(resources(SYSTEM, "AWS::IAM::Role"))["log-archive.Role"]["Properties"]["RoleName"]["Fn::Sub"]
    assert writer["Condition"]["ArnEquals"]["aws:PrincipalArn"]["Fn::Sub"].endswith(f":role/{role}")
    zones = [body["Properties"]["SubnetId"]["Fn::Select"][0] for _, body in resources(SYSTEM, "AWS::EFS::MountTarget")]
    assert sorted(zones) == [0, 1, 2]


def test_cr_05_the_archiver_mounts_it_and_can_never_fill_the_primarys_disk() -> None:
    function = dict(resources(SYSTEM, "AWS::Lambda::Function"))["log-archive.Function"]["Properties"]
    assert function["FileSystemConfigs"] == [{"Arn": {"Ref": "FilesAccessPointArn"}, "LocalMountPath": "/mnt/archive"}]
    assert function["Environment"]["Variables"]["ARCHIVE_DIRECTORY"] == "/mnt/archive"
    parameters = only(SYSTEM, "AWS::RDS::DBParameterGroup")["Parameters"]
    assert parameters["rds.logical_replication"] == "1"
    assert parameters["max_slot_wal_keep_size"] == {"Ref": "ArchiveBacklogMiB"}
    assert templates(SYSTEM)["database"]["Parameters"]["ArchiveBacklogMiB"]["MinValue"] >= 1


def test_cr_06_and_cr_07_nothing_leads_to_the_internet_and_aws_is_reached_through_endpoints() -> None:
    types = {body["Type"] for template in templates(SYSTEM).values() for body in template["Resources"].values()}
    assert not types & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route"}
    endpoints = [body["Properties"] for _, body in resources(SYSTEM, "AWS::EC2::VPCEndpoint")]
    assert {endpoint["VpcEndpointType"] for endpoint in endpoints} == {"Interface", "Gateway"}
    assert all(endpoint["PolicyDocument"]["Statement"] for endpoint in endpoints)


def test_cr_08_the_database_is_watched_and_shown() -> None:
    metrics = {body["Properties"]["MetricName"] for _, body in resources(SYSTEM, "AWS::CloudWatch::Alarm")}
    assert {"CPUUtilization", "FreeStorageSpace", "DatabaseConnections", "FreeableMemory", "OldestReplicationSlotLag"} <= metrics
    assert only(SYSTEM, "AWS::CloudWatch::Dashboard")["DashboardBody"]
    assert only(SYSTEM, "AWS::RDS::DBInstance")["DatabaseInsightsMode"] == "standard"


def test_cr_09_failovers_are_told_by_rds_and_by_eventbridge() -> None:
    assert "failover" in only(SYSTEM, "AWS::RDS::EventSubscription")["EventCategories"]
    rule = dict(resources(SYSTEM, "AWS::Events::Rule"))["monitoring.DatabaseEvents"]["Properties"]
    assert "failover" in rule["EventPattern"]["detail"]["EventCategories"]
    assert rule["Targets"][0]["Arn"] == {"Ref": "NotifyTopicArn"}


def test_cr_10_calls_are_recorded_and_health_is_checked() -> None:
    assert only(SYSTEM, "AWS::CloudTrail::Trail")["IsLogging"] is True
    check = only(SYSTEM, "AWS::Route53::HealthCheck")["HealthCheckConfig"]
    assert check["AlarmIdentifier"]["Name"] == {"Ref": "DatabaseSilent"}
    followed = dict(resources(SYSTEM, "AWS::CloudWatch::Alarm"))["monitoring.DatabaseSilent"]["Properties"]
    assert followed["DatapointsToAlarm"] == followed["EvaluationPeriods"], "Route 53 follows no M-of-N alarm"


def test_cr_11_fedramp_moderate_controls_are_mapped() -> None:
    assert CITIZEN_REGISTRY.profile.name in catalogues()
    shown = json.dumps([template["Metadata"]["Compliance"] for template in templates(SYSTEM).values()])
    assert '"CP-10"' in shown
    assert '"SC-28"' in shown


def test_cr_12_tls_is_forced() -> None:
    parameters = only(SYSTEM, "AWS::RDS::DBParameterGroup")["Parameters"]
    assert parameters["rds.force_ssl"] == "1"
    assert parameters["ssl_min_protocol_version"] == "TLSv1.2"


def test_cr_13_key_identifiers_are_outputs() -> None:
    for layer, output in (("database", "Endpoint"), ("files", "FileSystemId"), ("vault", "VaultArn"), ("notify", "TopicArn")):
        assert output in templates(SYSTEM)[layer]["Outputs"]
