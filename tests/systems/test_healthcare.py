"""HC-01 … HC-16 without the failover itself, asserted over what is rendered."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from compliance.lint import Job, judge
from generator.layers import aurora
from generator.systems.healthcare import HEALTHCARE
from model import PRIMARY, RECOVERY, Disruption, Document, read
from tests.support.committed_templates import only, resources, templates

SYSTEM = "healthcare"
VALUES = read(Path("parameters", SYSTEM, "default.yaml").read_text())
PRIMARY_CLUSTER, SECONDARY = "aurora.Cluster", "aurora-secondary.Cluster"


def _all(type_: str) -> dict[str, Document]:
    return {name: body["Properties"] for name, body in resources(SYSTEM, type_)}


def _imports(layer: str) -> Document:
    found: Document = templates(SYSTEM)[layer]["Metadata"]["Layer"]["Imports"]
    return found


def _sites(layer: str) -> Document:
    found: Document = templates(SYSTEM)[layer]["Metadata"]["Layer"]["Sites"]
    return found


def _wired(layer: str, value: Any) -> str:
    wire: str = _imports(layer)[value["Ref"]]
    return wire


def _name(value: Any) -> str:
    text: str = value["Fn::Sub"]
    return text


def _region_of(layer: str, value: Any) -> str:
    """The address of the ARN whose region a value is."""
    index, split = value["Fn::Select"]
    separator, arn = split["Fn::Split"]
    assert (index, separator) == (3, ":")
    return _wired(layer, arn)


def test_every_requirement_that_is_not_met_as_written_says_so() -> None:
    told = {deviation.id for deviation in HEALTHCARE.deviations}
    assert {f"HC-{number:02}" for number in (1, 2, 3, 4, 7, 8, 9, 14, 15)} <= told
    assert not {"HC-10", "HC-11"} & told, "built as asked"


def test_the_objectives_are_those_of_the_requirements() -> None:
    asked = {Disruption.INSTANCE, Disruption.ZONE, Disruption.REGION}
    assert set(HEALTHCARE.objectives) == asked
    assert {(each.rpo, each.rto) for each in HEALTHCARE.objectives.values()} == {(timedelta(minutes=15), timedelta(hours=1))}
    assert HEALTHCARE.regions == {PRIMARY: "eu-west-2", RECOVERY: "eu-west-1"}


def test_hc_01_instances_scale_between_half_a_unit_and_two_and_stand_in_two_zones() -> None:
    clusters = _all("AWS::RDS::DBCluster")
    assert {each["ServerlessV2ScalingConfiguration"]["MinCapacity"] for each in clusters.values()} == {0.5}
    assert {each["ServerlessV2ScalingConfiguration"]["MaxCapacity"] for each in clusters.values()} == {2}
    instances = _all("AWS::RDS::DBInstance")
    assert {each["DBInstanceClass"] for each in instances.values()} == {"db.serverless"}
    at_home = [name for name in instances if PRIMARY in _sites(name.split(".")[0])]
    assert len(at_home) == 2
    assert sorted(instances[name]["AvailabilityZone"]["Fn::Select"][0] for name in at_home) == [0, 1]
    assert all(instances[name]["PromotionTier"] in (0, 1) for name in at_home), "those scale with the writer"


def test_hc_01_no_instance_runs_performance_insights_which_would_take_half_of_its_memory() -> None:
    for each in _all("AWS::RDS::DBInstance").values():
        assert each["EnablePerformanceInsights"] is False
        assert "PerformanceInsightsKMSKeyId" not in each


def test_hc_02_the_recovery_cluster_follows_the_primary_in_a_global_database() -> None:
    whole = only(SYSTEM, "AWS::RDS::GlobalCluster")
    assert _wired("global", whole["SourceDBClusterIdentifier"]) == "aurora.ClusterIdentifier"
    assert not {"Engine", "EngineVersion", "StorageEncrypted", "DatabaseName"} & set(whole), "AWS refuses to be told them again"
    assert "${AWS::Region}" in _name(whole["GlobalClusterIdentifier"]), "its name is the account's"
    clusters = _all("AWS::RDS::DBCluster")
    secondary = clusters[SECONDARY]
    assert _sites("aurora-secondary") == {RECOVERY: "eu-west-1"}
    assert _wired("aurora-secondary", secondary["GlobalClusterIdentifier"]) == "primary:global.GlobalClusterId"
    assert secondary["EngineVersion"] == clusters[PRIMARY_CLUSTER]["EngineVersion"]
    assert not {"MasterUsername", "MasterUserPassword", "DatabaseName"} & set(secondary)
    assert _wired("aurora-secondary", secondary["KmsKeyId"]) == "keys.AuroraKeyArn", "of its own region"
    assert _region_of("aurora-secondary", secondary["SourceRegion"]) == "primary:global.HomeClusterArn"
    assert not set(clusters[PRIMARY_CLUSTER]) & {"GlobalClusterIdentifier", "SourceRegion"}
    home = templates(SYSTEM)["global"]["Outputs"]["HomeClusterArn"]["Value"]
    assert _wired("global", home) == "aurora.ClusterArn"


def test_hc_02_every_stack_can_be_made_in_a_quarter_of_an_hour() -> None:
    """A cluster, or an instance, takes up to ten minutes: no stack makes two instances, nor a secondary and an instance."""
    for layer, template in templates(SYSTEM).items():
        types = [body["Type"] for body in template["Resources"].values()]
        assert types.count("AWS::RDS::DBInstance") <= 1, layer
        if layer == "aurora-secondary":
            assert "AWS::RDS::DBInstance" not in types


def _plans() -> Iterator[tuple[str, Document]]:
    for name, plan in _all("AWS::Backup::BackupPlan").items():
        for rule in plan["BackupPlan"]["BackupPlanRule"]:
            yield name, rule


def test_hc_03_one_rule_is_continuous_and_every_hour_is_countable() -> None:
    rules = {rule["RuleName"]: rule for _, rule in _plans()}
    continuous = rules["continuous"]
    assert continuous["EnableContinuousBackup"] is True
    assert continuous["ScheduleExpression"] == "cron(0 */1 * * ? *)"
    hours = [rules[name]["ScheduleExpression"].split()[1] for name in ("hourly", "daily-copy")]
    counted: list[int] = []
    for field in hours:
        for part in field.split(","):
            first, _, last = part.partition("-")
            counted += range(int(first), int(last or first) + 1)
    assert sorted(counted) == list(range(24)), "each hour once"
    assert {rule["Lifecycle"]["DeleteAfterDays"] for rule in rules.values()} == {7}
    assert all(rule["StartWindowMinutes"] >= 60 for rule in rules.values())


def test_hc_03_no_two_rules_of_one_plan_can_start_in_the_same_hour() -> None:
    """AWS Backup would run only one of them, and the other's recovery points would be missing."""
    by_plan: dict[str, list[str]] = {}
    for plan, rule in _plans():
        by_plan.setdefault(plan, []).append(rule["RuleName"])
    assert sorted(map(sorted, by_plan.values())) == [["continuous"], ["daily-copy", "hourly"]]


def test_hc_03_a_copy_a_day_off_peak_reaches_the_vault_of_the_other_region_under_its_own_key() -> None:
    (copied,) = [rule for _, rule in _plans() if "CopyActions" in rule]
    assert copied["ScheduleExpression"] == "cron(0 2 * * ? *)"
    (action,) = copied["CopyActions"]
    assert _wired("backup", action["DestinationBackupVaultArn"]) == "recovery:vault.VaultArn"
    assert _sites("vault") == HEALTHCARE.regions
    assert _wired("vault", only(SYSTEM, "AWS::Backup::BackupVault")["EncryptionKeyArn"]) == "keys.BackupKeyArn"


def test_hc_03_a_rehearsed_restore_is_asked_by_a_function_and_selects_the_cluster_once() -> None:
    selections = _all("AWS::Backup::RestoreTestingSelection")
    assert list(selections) == ["backup.RehearseAurora"]
    assert selections["backup.RehearseAurora"]["ValidationWindowHours"] >= 1
    validator = _all("AWS::Lambda::Function")["restore-validation.Function"]["Environment"]["Variables"]
    assert validator["INSTANCE_CLASS"] == "db.t4g.medium", "a restored cluster scales between no units"


def _judged(layer: str, version: str) -> list[str]:
    template = templates(SYSTEM)[layer]
    text = json.dumps(template).replace(f'"{aurora.ENGINE_VERSION}"', f'"{version}"')
    (region,) = _sites(layer).values()
    return [line for line in judge(Job(layer, text, region, ())) if re.search("[EW]369[01]", line)]


@pytest.mark.parametrize("layer", ["aurora", "aurora-secondary"])
def test_hc_04_the_engine_is_the_newest_postgresql_15_that_the_region_creates(layer: str) -> None:
    assert aurora.ENGINE_VERSION.split(".")[0] == "15"
    assert _judged(layer, aurora.ENGINE_VERSION) == []
    assert _judged(layer, "15.3"), "what was asked for is gone"


def test_hc_04_the_credential_is_generated_and_has_a_replica_under_the_other_regions_key() -> None:
    secret = only(SYSTEM, "AWS::SecretsManager::Secret")
    assert secret["GenerateSecretString"]["PasswordLength"] == 32
    (replica,) = secret["ReplicaRegions"]
    assert _wired("secrets", replica["KmsKeyId"]) == "recovery:keys.SecretsKeyArn"
    assert _region_of("secrets", replica["Region"]) == "recovery:keys.SecretsKeyArn"
    assert _imports("rotation-standby")["PrimarySecretsReplicaSecretArn"] == "primary:secrets.ReplicaSecretArn"
    scheduled = [name for name, _ in resources(SYSTEM, "AWS::SecretsManager::RotationSchedule")]
    assert scheduled == ["rotation.Schedule"], "a replica takes no schedule"


def test_hc_05_the_database_takes_postgresql_from_members_of_one_group_of_its_own_vpc() -> None:
    for layer in ("aurora", "aurora-secondary"):
        (group,) = templates(SYSTEM)[layer]["Resources"]["Cluster"]["Properties"]["VpcSecurityGroupIds"]
        assert _wired(layer, group) == "network.DatabaseGroupId"
    network = templates(SYSTEM)["network"]["Resources"]
    into = [
        body["Properties"]
        for body in network.values()
        if body["Type"] == "AWS::EC2::SecurityGroupIngress" and body["Properties"]["GroupId"]["Fn::GetAtt"][0] == "DatabaseGroup"
    ]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in into] == [("tcp", 5432, 5432)]
    assert into[0]["SourceSecurityGroupId"] == {"Fn::GetAtt": ["ClientGroup", "GroupId"]}
    assert not {body["Type"] for body in network.values()} & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway"}
    assert _all("AWS::EC2::VPCPeeringConnection") == {}


BUCKETS = ("objects", "objects-replica")


@pytest.mark.parametrize("layer", BUCKETS)
def test_hc_06_objects_are_tiered_after_30_days_and_old_versions_gone_after_90(layer: str) -> None:
    bucket = templates(SYSTEM)[layer]["Resources"]["Bucket"]["Properties"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["Transitions"] == [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": 30}]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert "NoncurrentVersionTransitions" not in rule
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert _wired(layer, encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == "keys.ObjectsKeyArn"


def test_hc_07_every_object_is_replicated_in_15_minutes_deletions_and_encrypted_ones_too() -> None:
    replication = templates(SYSTEM)["objects"]["Resources"]["Bucket"]["Properties"]["ReplicationConfiguration"]
    (rule,) = replication["Rules"]
    assert (rule["Status"], rule["Filter"]) == ("Enabled", {"Prefix": ""})
    assert rule["DeleteMarkerReplication"] == {"Status": "Enabled"}
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    there = rule["Destination"]
    assert _wired("objects", there["Bucket"]) == "recovery:objects-replica.BucketArn"
    assert _wired("objects", there["EncryptionConfiguration"]["ReplicaKmsKeyID"]) == "recovery:keys.ObjectsKeyArn"
    assert there["ReplicationTime"] == {"Status": "Enabled", "Time": {"Minutes": 15}}
    assert there["Metrics"] == {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}
    alike = [templates(SYSTEM)[layer]["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"] for layer in BUCKETS]
    assert alike[0] == alike[1]


def test_hc_07_the_role_uses_each_key_through_s3_in_its_region_for_these_buckets_only() -> None:
    role = templates(SYSTEM)["objects"]["Resources"]["ReplicationRole"]["Properties"]
    statements = {one["Sid"]: one for one in role["Policies"][0]["PolicyDocument"]["Statement"]}
    here, there = statements["ReadUnderTheKeyOfThisRegion"], statements["WriteUnderTheKeyOfTheOtherRegion"]
    assert here["Action"] == ["kms:Decrypt"]
    assert there["Action"] == ["kms:Encrypt", "kms:GenerateDataKey"]
    assert [_wired("objects", key) for one in (here, there) for key in one["Resource"]] == [
        "keys.ObjectsKeyArn",
        "recovery:keys.ObjectsKeyArn",
    ]
    assert here["Condition"]["StringEquals"] == {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.amazonaws.com"}}
    pattern, given = there["Condition"]["StringEquals"]["kms:ViaService"]["Fn::Sub"]
    assert pattern == "s3.${Region}.amazonaws.com"
    assert _region_of("objects", given["Region"]) == "recovery:keys.ObjectsKeyArn"
    bucket = templates(SYSTEM)["objects"]["Resources"]["Bucket"]["Properties"]["BucketName"]
    assert _name(here["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"][0]) == (
        f"arn:${{AWS::Partition}}:s3:::{_name(bucket)}"
    )


@pytest.mark.parametrize(
    ("layer", "cluster", "other", "objects"),
    [
        ("monitoring", "aurora", "recovery:aurora-secondary.ClusterArn", "OperationsFailedReplication"),
        ("monitoring-recovery", "aurora-secondary", "primary:aurora.ClusterArn", "ReplicationLatency"),
    ],
)
def test_hc_08_each_region_watches_its_cluster_its_lag_and_what_s3_publishes_there(
    layer: str, cluster: str, other: str, objects: str
) -> None:
    alarms = {one["MetricName"]: one for one in (body["Properties"] for body in _of_type(layer, "AWS::CloudWatch::Alarm"))}
    assert set(alarms) == {
        "CPUUtilization",
        "DatabaseConnections",
        "ACUUtilization",
        "FreeableMemory",
        "AuroraGlobalDBRPOLag",
        objects,
    }
    assert (alarms["CPUUtilization"]["Threshold"], alarms["CPUUtilization"]["Statistic"]) == (80, "Maximum")
    for name in ("CPUUtilization", "DatabaseConnections", "ACUUtilization", "FreeableMemory"):
        (dimension,) = alarms[name]["Dimensions"]
        assert _wired(layer, dimension["Value"]) == f"{cluster}.ClusterIdentifier"
    lag = alarms["AuroraGlobalDBRPOLag"]
    (dimension,) = lag["Dimensions"]
    assert dimension["Name"] == "SourceRegion"
    assert _region_of(layer, dimension["Value"]) == other
    assert (lag["Threshold"], lag["TreatMissingData"]) == (60_000, "notBreaching"), "milliseconds; the writer has no lag"
    assert [_wired(layer, each["Value"]) for each in alarms[objects]["Dimensions"][:2]] == [
        "primary:objects.BucketName",
        "recovery:objects-replica.BucketName",
    ]
    for each in alarms.values():
        assert [_wired(layer, topic) for topic in each["AlarmActions"]] == ["notify.TopicArn"]


def _of_type(layer: str, type_: str) -> list[Document]:
    return [body for body in templates(SYSTEM)[layer]["Resources"].values() if body["Type"] == type_]


def test_hc_09_every_log_group_keeps_30_days() -> None:
    groups = _all("AWS::Logs::LogGroup")
    assert len(groups) >= 7
    assert {each["RetentionInDays"] for each in groups.values()} == {30}


def test_hc_09_the_trail_records_all_regions_all_objects_and_all_functions_and_keeps_six_years() -> None:
    trail = only(SYSTEM, "AWS::CloudTrail::Trail")
    for switch in ("IsMultiRegionTrail", "IncludeGlobalServiceEvents", "EnableLogFileValidation"):
        assert trail[switch] is True
    assert "EventSelectors" not in trail, "AWS takes one kind of selectors"
    management, objects, functions = (
        {field["Field"]: field for field in selector["FieldSelectors"]} for selector in trail["AdvancedEventSelectors"]
    )
    assert list(management) == ["eventCategory"]
    assert management["eventCategory"]["Equals"] == ["Management"]
    (beginning,) = objects["resources.ARN"]["StartsWith"]
    for layer in BUCKETS:
        bucket = templates(SYSTEM)[layer]["Resources"]["Bucket"]["Properties"]["BucketName"]
        assert f"arn:${{AWS::Partition}}:s3:::{_name(bucket)}/".startswith(_name(beginning))
    here, there = functions["resources.ARN"]["StartsWith"]
    pattern, given = there["Fn::Sub"]
    assert _region_of("audit", given["Elsewhere"]) == "recovery:keys.LogsKeyArn"
    for function in _all("AWS::Lambda::Function").values():
        name = f"function:{_name(function['FunctionName'])}"
        assert all(name.startswith(text.rpartition("AccountId}:")[2]) for text in (_name(here), pattern))
    parameter = templates(SYSTEM)["audit"]["Parameters"]["LogFilesKeptDays"]
    assert parameter["MinValue"] == parameter["Default"] == VALUES["audit"]["LogFilesKeptDays"] == 2192
    bucket = templates(SYSTEM)["audit"]["Resources"]["Bucket"]["Properties"]
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == {"Ref": "LogFilesKeptDays"}


def test_hc_10_the_configuration_stands_where_failover_will_run() -> None:
    assert _sites("configuration") == {RECOVERY: "eu-west-1"}
    parameters = _all("AWS::SSM::Parameter")
    told = {_name(one["Name"]).rpartition("/")[2]: one for one in parameters.values()}
    assert all(_name(one["Name"]).startswith("/healthcare/${EnvironmentSuffix}/config/") for one in parameters.values())
    assert set(told) == {
        "mode",
        "rpo-seconds",
        "max-lag-seconds",
        "cooldown-seconds",
        "global-cluster-id",
        "home-cluster-arn",
        "target-cluster-arn",
    }
    assert told["rpo-seconds"]["Value"] == "900"
    assert {(one["Type"], one["Tier"]) for one in parameters.values()} == {("String", "Standard")}
    assert all({"System", "Environment"} <= set(one["Tags"]) for one in parameters.values())
    mode = templates(SYSTEM)["configuration"]["Parameters"][told["mode"]["Value"]["Ref"]]
    assert mode["AllowedValues"] == ["auto", "approve", "disabled"]


def test_hc_02_one_call_by_one_role_makes_the_recovery_cluster_the_writer() -> None:
    statements = {one["Sid"]: one for one in _granted("failover")}
    change = statements["ChangeWhichOneWrites"]
    assert {"rds:FailoverGlobalCluster", "rds:SwitchoverGlobalCluster"} <= set(change["Action"])
    assert [_wired("failover", one) for one in change["Resource"] if "Ref" in one] == [
        "primary:aurora.ClusterArn",
        "aurora-secondary.ClusterArn",
    ]
    assert _wired("failover", change["Resource"][0]["Fn::Sub"][1]["Name"]) == "primary:global.GlobalClusterId"


def _granted(layer: str) -> list[Document]:
    (policy,) = templates(SYSTEM)[layer]["Resources"]["Role"]["Properties"]["Policies"]
    found: list[Document] = policy["PolicyDocument"]["Statement"]
    return found


def test_hc_10_the_function_is_triggered_by_alarms_describes_and_modifies_clusters_tells_and_reads_its_configuration() -> None:
    resources_ = templates(SYSTEM)["failover"]["Resources"]
    assert _sites("failover") == _sites("evidence") == {RECOVERY: "eu-west-1"}
    assert "VpcConfig" not in resources_["Function"]["Properties"]
    assert len(_of_type("failover", "AWS::Lambda::Permission")) == 2, "its clock and its evidence, and nobody else"
    (alarm,) = resources_["Evidence"]["Properties"]["EventPattern"]["resources"]
    assert _wired("failover", alarm) == "evidence.AlarmArn"
    may = {one["Sid"]: one for one in _granted("failover")}
    actions = {action for one in may.values() if one["Effect"] == "Allow" for action in one["Action"]}
    assert {"rds:DescribeDBClusters", "rds:ModifyDBCluster", "sns:Publish", "ssm:GetParametersByPath"} <= actions
    assert _wired("failover", may["TellOperators"]["Resource"][0]) == "notify.TopicArn"
    assert may["NeverItsOwnConfiguration"]["Effect"] == "Deny"
    variables = resources_["Function"]["Properties"]["Environment"]["Variables"]
    assert variables["KIND"] == "aurora"
    pattern, named = variables["EVIDENCE_ALARMS"]["Fn::Sub"]
    assert pattern.count(",") == 1
    wired = {_wired("failover", named[name]) for name in named}
    assert wired == {"evidence.StaleAlarmName", "evidence.UnreachableAlarmName"}, "lag, CPU and connections are no evidence"


def test_hc_11_the_databases_name_follows_what_the_failover_function_publishes_every_minute() -> None:
    dns = templates(SYSTEM)["dns"]["Resources"]
    assert dns["PrimaryNotActive"]["Properties"]["MetricName"] == "PrimaryActive"
    config = dns["PrimaryHealthCheck"]["Properties"]["HealthCheckConfig"]
    assert config["AlarmIdentifier"]["Name"] == {"Ref": "PrimaryNotActive"}
    assert config["InsufficientDataHealthStatus"] == "LastKnownStatus", "silence decides nothing"
    home, away = dns["Home"]["Properties"], dns["Away"]["Properties"]
    assert (home["Failover"], away["Failover"]) == ("PRIMARY", "SECONDARY")
    assert home["HealthCheckId"] == {"Ref": "PrimaryHealthCheck"}
    assert "HealthCheckId" not in away
    assert [_wired("dns", one["ResourceRecords"][0]) for one in (home, away)] == [
        "primary:aurora.Endpoint",
        "recovery:aurora-secondary.Endpoint",
    ]
    assert int(home["TTL"]) <= 60


CHANGING = ("heartbeat", "heartbeat-recovery", "probe", "probe-recovery", "replica-age")
"""The layers whose function asks a cluster whatever its role is."""


@pytest.mark.parametrize("layer", CHANGING)
def test_hc_10_who_asks_a_cluster_that_changes_its_role_knows_its_readers_name(layer: str) -> None:
    variables = templates(SYSTEM)[layer]["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    writer, reader = (_wired(layer, variables[name]) for name in ("DATABASE_HOST", "DATABASE_READ_HOST"))
    assert (writer.partition(".")[0], writer.partition(".")[2]) == (reader.partition(".")[0], "Endpoint")
    assert reader.endswith(".ReadEndpoint")


def test_hc_10_no_other_function_asks_the_database_by_the_clock() -> None:
    """Rotation writes, so that it has the writer's name alone: at a secondary it fails, and changes nothing."""
    asking = {
        name.partition(".")[0]
        for name, function in _all("AWS::Lambda::Function").items()
        if "DATABASE_HOST" in function.get("Environment", {}).get("Variables", {})
    }
    assert asking == {*CHANGING, "rotation", "rotation-standby"}


def test_hc_02_nobody_asks_cloudformation_for_the_writer_of_a_secondary() -> None:
    secondary = templates(SYSTEM)["aurora-secondary"]
    assert '"Cluster", "Endpoint.Address"' not in json.dumps(secondary)
    assert "${Cluster.Endpoint.Address}" not in json.dumps(secondary)
    assert secondary["Outputs"]["Endpoint"]["Value"] == {
        "Fn::Join": [".cluster-", {"Fn::Split": [".cluster-ro-", {"Fn::GetAtt": ["Cluster", "ReadEndpoint.Address"]}]}]
    }


@pytest.mark.parametrize("layer", ["monitoring", "monitoring-recovery"])
def test_hc_11_a_health_check_follows_the_lag(layer: str) -> None:
    ((check,),) = [_of_type(layer, "AWS::Route53::HealthCheck")]
    config = check["Properties"]["HealthCheckConfig"]
    assert config["Type"] == "CLOUDWATCH_METRIC"
    assert config["AlarmIdentifier"] == {"Name": {"Ref": "ReplicaTooLate"}, "Region": {"Ref": "AWS::Region"}}
    alarm = templates(SYSTEM)[layer]["Resources"]["ReplicaTooLate"]["Properties"]
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"], "Route 53 takes no M out of N"
    assert alarm["Statistic"] == "Maximum"


def test_hc_12_every_key_rotates_and_the_trails_has_one_region_only() -> None:
    keys = _all("AWS::KMS::Key")
    assert all(each["EnableKeyRotation"] is True for each in keys.values())
    assert _sites("trail-key") == {PRIMARY: "eu-west-2"}
    assert _wired("audit", only(SYSTEM, "AWS::CloudTrail::Trail")["KMSKeyId"]) == "trail-key.TrailKeyArn"


@pytest.mark.parametrize(("block", "expected"), [("network", "10.0."), ("recovery:network", "10.1.")])
def test_hc_13_subnets_of_256_addresses_begin_with_the_second(block: str, expected: str) -> None:
    cidr = VALUES[block]["VpcCidr"]
    assert cidr == f"{expected}0.0/16"
    subnets = _all("AWS::EC2::Subnet")
    found = []
    for subnet in subnets.values():
        index, cut = subnet["CidrBlock"]["Fn::Select"]
        _, count, bits = cut["Fn::Cidr"]
        found.append(str(list(IPv4Network(cidr).subnets(new_prefix=32 - int(bits)))[: int(count)][int(index)]))
    assert sorted(found) == [f"{expected}{number}.0/24" for number in range(1, 7)]
    assert len({subnet["AvailabilityZoneId"]["Ref"] for subnet in subnets.values()}) == 3
    assert len({VALUES[block][f"Zone{letter}Id"] for letter in "ABC"}) == 3


def test_hc_14_nothing_is_protected_from_deletion_and_nothing_stays() -> None:
    for type_ in ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::RDS::GlobalCluster", "AWS::S3::Bucket"):
        for name, body in resources(SYSTEM, type_):
            assert body["DeletionPolicy"] == body["UpdateReplacePolicy"] == "Delete", name
            assert body["Properties"].get("DeletionProtection", False) is False, name


def test_hc_15_what_stacks_are_made_of_lies_in_an_encrypted_bucket_of_each_region() -> None:
    assert _sites("artifacts") == HEALTHCARE.regions
    bucket = templates(SYSTEM)["artifacts"]["Resources"]["Bucket"]["Properties"]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_hc_16_a_second_instance_is_only_where_availability_needs_it() -> None:
    counted = {PRIMARY: 0, RECOVERY: 0}
    for name in _all("AWS::RDS::DBInstance"):
        (site,) = _sites(name.split(".")[0])
        counted[site] += 1
    assert counted == {PRIMARY: 2, RECOVERY: 1}


@pytest.mark.parametrize("layer", ["monitoring", "monitoring-recovery"])
def test_the_dashboard_of_each_region_carries_it_and_shows_the_lag(layer: str) -> None:
    ((board,),) = [_of_type(layer, "AWS::CloudWatch::Dashboard")]
    assert _name(board["Properties"]["DashboardName"]) == "healthcare-dashboard-${AWS::Region}-${EnvironmentSuffix}"
    body, given = board["Properties"]["DashboardBody"]["Fn::Sub"]
    assert set(given) == {"OtherRegion"}
    shown = {metric[1] for widget in json.loads(body)["widgets"] for metric in widget["properties"].get("metrics", [])}
    assert {"AuroraGlobalDBRPOLag", "ServerlessDatabaseCapacity", "CPUUtilization", "DatabaseConnections"} <= shown
