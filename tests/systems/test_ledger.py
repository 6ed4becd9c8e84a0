"""LG-01 … LG-11, asserted over what is rendered."""

import json
from pathlib import Path

from model import read
from tests.support.committed_templates import only, resources, templates

LEDGER = "ledger"


def test_lg_01_the_database_is_multi_az_postgresql_15_with_a_week_of_backups() -> None:
    instance = only(LEDGER, "AWS::RDS::DBInstance")
    assert instance["Engine"] == "postgres"
    assert instance["EngineVersion"].startswith("15.")
    assert instance["MultiAZ"] is True
    assert instance["BackupRetentionPeriod"] == 7
    assert templates(LEDGER)["database"]["Metadata"]["Layer"]["Sites"] == {"primary": "us-east-1"}


def test_lg_01_every_class_that_is_allowed_is_db_r6g_large_or_larger() -> None:
    size = templates(LEDGER)["database"]["Parameters"]["InstanceClass"]
    assert size["Default"] == "db.r6g.large"
    sizes = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
    assert set(size["AllowedValues"]) == {f"db.{family}.{step}" for family in ("r6g", "r7g") for step in sizes}


def test_lg_02_storage_is_encrypted_with_the_aws_managed_key() -> None:
    instance = only(LEDGER, "AWS::RDS::DBInstance")
    assert instance["StorageEncrypted"] is True
    assert "KmsKeyId" not in instance


def test_lg_03_the_credential_comes_from_the_secret_and_is_no_output() -> None:
    instance = only(LEDGER, "AWS::RDS::DBInstance")
    for name, key in (("MasterUsername", "username"), ("MasterUserPassword", "password")):
        assert instance[name] == {"Fn::Sub": "{{resolve:secretsmanager:${SecretsDatabaseSecretArn}:SecretString:" + key + "}}"}
    secret = only(LEDGER, "AWS::SecretsManager::Secret")
    assert "SecretString" not in secret
    assert secret["GenerateSecretString"]["PasswordLength"] == 32
    for template in templates(LEDGER).values():
        assert "resolve:" not in json.dumps(template.get("Outputs", {}))


def test_lg_04_and_lg_05_statements_are_logged_and_tls_is_not_forced() -> None:
    parameters = only(LEDGER, "AWS::RDS::DBParameterGroup")
    assert parameters["Family"] == "postgres15"
    assert parameters["Parameters"]["log_statement"] == "all"
    assert parameters["Parameters"]["rds.force_ssl"] == "0"


def test_lg_06_every_exported_log_has_its_group_before_the_instance() -> None:
    layer = templates(LEDGER)["database"]["Resources"]
    instance = layer["Instance"]
    name = instance["Properties"]["DBInstanceIdentifier"]["Fn::Sub"]
    groups = {
        layer[title]["Properties"]["LogGroupName"]["Fn::Sub"]: layer[title]["Properties"] for title in instance["DependsOn"]
    }
    assert instance["Properties"]["EnableCloudwatchLogsExports"] == ["postgresql", "upgrade"]
    assert set(groups) == {f"/aws/rds/instance/{name}/{log}" for log in ("postgresql", "upgrade")}
    assert all(group["RetentionInDays"] >= 7 and "KmsKeyId" in group for group in groups.values())


def test_lg_07_alarms_stand_where_they_are_asked_for_and_reach_the_topic() -> None:
    alarms = {name: body["Properties"] for name, body in resources(LEDGER, "AWS::CloudWatch::Alarm")}
    cpu, storage = alarms["monitoring.CpuTooHigh"], alarms["monitoring.FreeStorageTooLow"]
    assert (cpu["MetricName"], cpu["Threshold"], cpu["ComparisonOperator"]) == (
        "CPUUtilization",
        80,
        "GreaterThanOrEqualToThreshold",
    )
    assert (storage["MetricName"], storage["Threshold"]) == ("FreeStorageSpace", 10_737_418_240)
    assert storage["ComparisonOperator"] == "LessThanThreshold"
    assert {"DatabaseConnections", "FreeableMemory"} <= {alarm["MetricName"] for alarm in alarms.values()}
    assert all(alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "NotifyTopicArn"}] for alarm in alarms.values())


def test_lg_07_the_dashboard_shows_the_metrics_that_are_asked_for() -> None:
    body = json.loads(only(LEDGER, "AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"])
    shown = {widget["properties"]["metrics"][0][1] for widget in body["widgets"] if widget["type"] == "metric"}
    assert {"DatabaseConnections", "FreeStorageSpace", "CPUUtilization", "FreeableMemory"} <= shown
    instance = only(LEDGER, "AWS::RDS::DBInstance")
    assert instance["EnablePerformanceInsights"] is True
    assert instance["DatabaseInsightsMode"] == "standard"


def test_lg_08_nothing_routes_from_the_database_subnets_to_the_nat_gateway() -> None:
    network = templates(LEDGER)["network"]["Resources"]
    routes = {title: body["Properties"] for title, body in network.items() if body["Type"] == "AWS::EC2::Route"}
    behind_nat = {route["RouteTableId"]["Ref"] for route in routes.values() if "NatGatewayId" in route}
    tables = {
        body["Properties"]["SubnetId"]["Ref"]: body["Properties"]["RouteTableId"]["Ref"]
        for body in network.values()
        if body["Type"] == "AWS::EC2::SubnetRouteTableAssociation"
    }
    with_any_route = {route["RouteTableId"]["Ref"] for route in routes.values()}
    assert {tables[f"ApplicationSubnet{zone}"] for zone in "ABC"} <= behind_nat
    assert not {tables[f"DatabaseSubnet{zone}"] for zone in "ABC"} & with_any_route
    assert only(LEDGER, "AWS::RDS::DBInstance")["PubliclyAccessible"] is False


def test_lg_08_only_clients_reach_the_database_and_only_on_its_port() -> None:
    rules = {name: body["Properties"] for name, body in resources(LEDGER, "AWS::EC2::SecurityGroupIngress")}
    into_database = [rule for rule in rules.values() if rule["GroupId"]["Fn::GetAtt"][0] == "DatabaseGroup"]
    (rule,) = into_database
    assert (rule["FromPort"], rule["ToPort"], rule["IpProtocol"]) == (5432, 5432, "tcp")
    assert rule["SourceSecurityGroupId"] == {"Fn::GetAtt": ["ClientGroup", "GroupId"]}
    assert all("CidrIp" not in rule for rule in rules.values())


def test_lg_09_rds_writes_os_metrics_with_a_role_of_ours() -> None:
    instance = only(LEDGER, "AWS::RDS::DBInstance")
    assert instance["MonitoringInterval"] == 60
    assert instance["MonitoringRoleArn"] == {"Fn::GetAtt": ["MonitoringRole", "Arn"]}


def test_lg_10_nothing_is_retained_protected_or_kept_by_a_final_snapshot() -> None:
    instance = dict(resources(LEDGER, "AWS::RDS::DBInstance"))["database.Instance"]
    assert (instance["DeletionPolicy"], instance["UpdateReplacePolicy"]) == ("Delete", "Delete")
    assert instance["Properties"]["DeletionProtection"] is False
    assert instance["Properties"]["DeleteAutomatedBackups"] is True
    assert "Endpoint" in templates(LEDGER)["database"]["Outputs"]


def test_lg_11_log_files_are_validated_and_kept_for_seven_years() -> None:
    trail = only(LEDGER, "AWS::CloudTrail::Trail")
    assert trail["IsMultiRegionTrail"] is trail["EnableLogFileValidation"] is trail["IsLogging"] is True
    bucket = dict(resources(LEDGER, "AWS::S3::Bucket"))["audit.Bucket"]["Properties"]
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] >= 7 * 365
    statements = dict(resources(LEDGER, "AWS::Logs::LogGroup"))["database.PostgresqlLogGroup"]["Properties"]
    assert statements["RetentionInDays"] >= 7 * 365


def test_the_parameters_of_every_environment_are_yaml() -> None:
    for path in Path("parameters", LEDGER).glob("*.yaml"):
        assert read(path.read_text())["tags"]["CostCenter"]
