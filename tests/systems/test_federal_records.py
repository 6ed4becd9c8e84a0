"""FR-01 … FR-13, asserted over what is rendered."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from chain.environment.graph import Graph, open_environment
from chain.environment.templates import load
from compliance.profiles.fedramp_high import FEDRAMP_HIGH
from emulator import Emulator
from generator.systems.federal_records import FEDERAL_RECORDS
from model import BOTH, PRIMARY, RECOVERY, Document
from model.schedule import fires, window
from tests.support.committed_templates import resources, templates
from tests.support.reference_primary import REFERENCE_PRIMARY

NAME = "federal-records"

RECEIVES_COPIES = {"keys", "vault"}
"""The layers at the primary site that every environment has: where copies of backups go, and the key that this needs."""

ANSWERS = """\
database-replica: {SourceDatabaseArn: 'arn:aws:rds:eu-west-1:123456789012:db:citizens'}
rotation-standby: {SourceSecretArn: 'arn:aws:secretsmanager:eu-west-2:123456789012:secret:citizens-AbCdEf'}
network: {SourceSecretArn: 'arn:aws:secretsmanager:eu-west-2:123456789012:secret:citizens-AbCdEf'}
"""


def _layer(name: str) -> Document:
    return templates(NAME)[name]


def _properties(address: str) -> Document:
    layer, title = address.split(".")
    found: Document = _layer(layer)["Resources"][title]["Properties"]
    return found


def _sites(name: str) -> dict[str, str]:
    sites: dict[str, str] = _layer(name)["Metadata"]["Layer"]["Sites"]
    return sites


def _all(type_: str, site: str) -> Iterator[tuple[str, Document]]:
    for address, body in resources(NAME, type_):
        if site in _sites(address.split(".")[0]):
            yield address, body["Properties"]


@pytest.fixture
def graphs(tmp_path: Path) -> dict[str, Graph]:
    """An environment with the reference primary, and one that follows an agency's database."""
    root = Path.cwd()
    (tmp_path / "templates").symlink_to(root / "templates")
    folder = tmp_path / "parameters" / NAME
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text((root / "parameters" / NAME / "default.yaml").read_text())
    (folder / "agency.yaml").write_text(ANSWERS)
    return {suffix: open_environment(tmp_path, suffix, (NAME,)) for suffix in ("reference", "agency")}


def _stand(graph: Graph, site: str) -> set[str]:
    return {stack.template.layer for stack in graph.stacks if stack.site == site}


def test_fr_01_both_databases_are_multi_az_postgresql() -> None:
    for layer in ("database", "database-replica"):
        assert _properties(f"{layer}.Instance")["MultiAZ"] is True
    assert _properties("database.Instance")["Engine"] == "postgres"
    family = _layer("database-replica")["Parameters"]["EngineFamily"]
    assert re.fullmatch(family["AllowedPattern"], "postgres17")
    assert not re.fullmatch(family["AllowedPattern"], "postgres15"), "RDS lets nobody choose its suites"
    assert family["Default"] == _properties("database.ParameterGroup")["Family"]


def test_fr_02_the_replica_follows_an_instance_given_by_arn_and_says_nothing_that_a_replica_may_not() -> None:
    assert _layer("database-replica")["Metadata"]["Layer"]["Imports"]["SourceDatabaseArn"] == "primary:database.InstanceArn"
    replica = _properties("database-replica.Instance")
    assert replica["SourceDBInstanceIdentifier"] == {"Ref": "SourceDatabaseArn"}
    assert replica["SourceRegion"] == {"Fn::Select": [3, {"Fn::Split": [":", {"Ref": "SourceDatabaseArn"}]}]}
    assert replica["KmsKeyId"] == {"Ref": "KeysDatabaseKeyArn"}
    assert _layer("database-replica")["Metadata"]["Layer"]["Imports"]["KeysDatabaseKeyArn"] == "keys.DatabaseKeyArn"
    refused = "AllocatedStorage DBName DatabaseInsightsMode Engine EngineVersion Iops MasterUserPassword MasterUsername"
    assert not {*refused.split(), "StorageEncrypted", "StorageType"} & set(replica)
    assert replica["BackupRetentionPeriod"] >= 1, "a replica without backups is not promoted"
    assert replica["DBParameterGroupName"] == {"Ref": "ParameterGroup"}
    assert _sites("database-replica") == {"recovery": "eu-west-2"}


def test_fr_03_backups_go_back_to_any_second_and_no_two_windows_meet() -> None:
    for layer in ("database", "database-replica"):
        assert _properties(f"{layer}.Instance")["BackupRetentionPeriod"] == 7
    spans = sorted(
        span
        for layer in ("database", "database-replica")
        for name in ("PreferredBackupWindow", "PreferredMaintenanceWindow")
        for span in window(_properties(f"{layer}.Instance")[name])
    )
    assert all(start + length <= following for (start, length), (following, _) in pairwise(spans))


def _rules(address: str) -> list[Document]:
    rules: list[Document] = _properties(address)["BackupPlan"]["BackupPlanRule"]
    return rules


@pytest.mark.parametrize(("layer", "other"), [("backup", "Recovery"), ("backup-recovery", "Primary")])
def test_fr_04_files_are_backed_up_every_hour_and_copied_to_the_other_region_under_its_key(layer: str, other: str) -> None:
    (hourly,) = _rules(f"{layer}.EFSPlan")
    times = fires(hourly["ScheduleExpression"])
    assert times is not None
    assert {later - earlier for earlier, later in pairwise(sorted(times))} == {60}
    (copy,) = hourly["CopyActions"]
    assert copy["DestinationBackupVaultArn"] == {"Ref": f"{other}VaultVaultArn"}
    (rehearsed,) = [
        p for _, p in resources_of(layer, "AWS::Backup::RestoreTestingSelection") if p["ProtectedResourceType"] == "EFS"
    ]
    assert rehearsed["RestoreMetadataOverrides"]["kmsKeyId"] == {"Ref": "KeysFilesKeyArn"}
    assert _properties("vault.Vault")["EncryptionKeyArn"] == {"Ref": "KeysBackupKeyArn"}


def resources_of(layer: str, type_: str) -> list[tuple[str, Document]]:
    return [(title, body["Properties"]) for title, body in _layer(layer)["Resources"].items() if body["Type"] == type_]


def test_fr_04_files_are_replicated_into_a_file_system_of_ours_which_nothing_protects_from_it() -> None:
    (there,) = _properties("files.FileSystem")["ReplicationConfiguration"]["Destinations"]
    arn = {"Ref": "RecoveryFilesReplicaFileSystemArn"}
    assert there == {
        "FileSystemId": {"Fn::Select": [1, {"Fn::Split": ["/", arn]}]},
        "Region": {"Fn::Select": [3, {"Fn::Split": [":", arn]}]},
    }
    assert _properties("files-replica.FileSystem")["FileSystemProtection"] == {"ReplicationOverwriteProtection": "DISABLED"}
    assert _layer("files")["Metadata"]["Layer"]["Imports"][arn["Ref"]] == "recovery:files-replica.FileSystemArn"
    late = _properties("files.ReplicaTooOld")
    assert (late["MetricName"], late["Threshold"], late["TreatMissingData"]) == ("TimeSinceLastSync", 1800, "breaching")
    assert {d["Name"] for d in late["Dimensions"]} == {"FileSystemId", "DestinationFileSystemId"}


def test_fr_05_the_secret_is_rotated_at_the_source_and_replicated_under_a_key_of_the_other_region() -> None:
    (replica,) = _properties("secrets.DatabaseSecret")["ReplicaRegions"]
    assert replica["KmsKeyId"] == {"Ref": "RecoveryKeysSecretsKeyArn"}
    assert _properties("rotation.Schedule")["RotationRules"]["AutomaticallyAfterDays"] == 30
    standby = _layer("rotation-standby")
    types = {body["Type"] for body in standby["Resources"].values()}
    assert {"AWS::Lambda::Function", "AWS::Lambda::Permission"} <= types
    assert "AWS::SecretsManager::RotationSchedule" not in types
    assert standby["Metadata"]["Layer"]["Imports"]["SourceSecretArn"] == "primary:secrets.ReplicaSecretArn"


def test_fr_05_the_endpoint_of_secrets_manager_lets_an_agencys_secret_through() -> None:
    (allowed, _) = _properties("network.SecretsEndpoint")["PolicyDocument"]["Statement"]
    assert {"Ref": "SourceSecretArn"} in allowed["Resource"]


def test_fr_06_sessions_are_kept_where_the_system_lives_over_zones_with_tls() -> None:
    group = _properties("cache.ReplicationGroup")
    assert (group["AutomaticFailoverEnabled"], group["MultiAZEnabled"]) == (True, True)
    assert (group["TransitEncryptionEnabled"], group["TransitEncryptionMode"]) == (True, "required")
    assert group["AtRestEncryptionEnabled"] is True
    assert _sites("cache") == _sites("cache-rotation") == {"recovery": "eu-west-2"}


def test_fr_07_what_stands_outside_of_the_recovery_region_is_the_reference_primary_or_takes_copies() -> None:
    at_primary = {layer: one for layer, one in templates(NAME).items() if PRIMARY in _sites(layer)}
    assert set(at_primary) == REFERENCE_PRIMARY | RECEIVES_COPIES
    optional = {layer for layer, one in at_primary.items() if one["Metadata"]["Layer"]["Optional"]}
    assert optional == REFERENCE_PRIMARY
    assert not [layer for layer in set(templates(NAME)) - set(at_primary) if _layer(layer)["Metadata"]["Layer"]["Optional"]]
    assert {layer for layer in at_primary if len(_sites(layer)) == len(BOTH)} >= RECEIVES_COPIES


def test_fr_07_an_environment_with_an_agencys_database_has_nothing_there_but_what_takes_copies(graphs: dict[str, Graph]) -> None:
    assert _stand(graphs["agency"], PRIMARY) == RECEIVES_COPIES
    assert _stand(graphs["reference"], PRIMARY) == REFERENCE_PRIMARY | RECEIVES_COPIES
    assert _stand(graphs["agency"], RECOVERY) == _stand(graphs["reference"], RECOVERY)
    assert graphs["reference"].left_out == ()


def test_fr_08_tls_is_limited_to_approved_suites_on_both_databases() -> None:
    for layer in ("database", "database-replica"):
        given = _properties(f"{layer}.ParameterGroup")["Parameters"]
        assert given["rds.force_ssl"] == "1"
        assert given["ssl_min_protocol_version"] == given["ssl_max_protocol_version"] == "TLSv1.2"
        assert set(given["ssl_ciphers"].split(",")) == {
            f"TLS_ECDHE_{kind}_WITH_AES_{bits}_GCM_SHA{digest}"
            for kind in ("ECDSA", "RSA")
            for bits, digest in ((128, 256), (256, 384))
        }


def test_fr_08_fips_endpoints_stand_where_the_page_says_that_there_are_any() -> None:
    page = Path("docs/fips.md").read_text()
    named = {line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ") and "-fips.eu-west-2." in line}
    served = {
        p["ServiceName"]["Fn::Sub"].rpartition(".")[2].removesuffix("-fips")
        for _, p in resources_of("network", "AWS::EC2::VPCEndpoint")
        if p["ServiceName"]["Fn::Sub"].endswith("-fips")
    }
    assert served == named == {"kms", "elasticfilesystem"}


def test_fr_08_no_function_is_told_to_use_fips_endpoints_everywhere() -> None:
    for _, body in resources(NAME, "AWS::Lambda::Function"):
        assert "AWS_USE_FIPS_ENDPOINT" not in body["Properties"]["Environment"]["Variables"]


def test_fr_09_both_networks_are_closed_and_do_not_overlap(graphs: dict[str, Graph]) -> None:
    types = {body["Type"] for body in _layer("network")["Resources"].values()}
    assert not {f"AWS::EC2::{kind}" for kind in ("InternetGateway", "NatGateway", "VPCPeeringConnection")} & types
    blocks = [stack.values["VpcCidr"] for stack in graphs["reference"].stacks if stack.template.layer == "network"]
    assert len(blocks) == len(set(blocks)) == 2


@pytest.mark.parametrize("site", BOTH)
def test_fr_10_every_component_of_a_site_has_logs_and_alarms(site: str) -> None:
    watched = {str(alarm["Namespace"]) for _, alarm in _all("AWS::CloudWatch::Alarm", site)}
    assert {"AWS/RDS", "AWS/EFS", "AWS/Lambda", "AWS/Backup"} <= watched
    assert len(list(_all("AWS::CloudWatch::Dashboard", site))) == 1
    groups = [json.dumps(group["LogGroupName"]) for _, group in _all("AWS::Logs::LogGroup", site)]
    for part in ("/aws/rds/instance/", "/aws/lambda/function-rotation", "/aws/vpc/flow-log"):
        assert any(part in group for group in groups), part
    topics = {json.dumps(alarm["AlarmActions"]) for _, alarm in _all("AWS::CloudWatch::Alarm", site)}
    assert topics == {'[{"Ref": "NotifyTopicArn"}]'}


def test_fr_10_the_recovery_site_watches_cache_and_trail_too() -> None:
    watched = {str(alarm["Namespace"]) for _, alarm in _all("AWS::CloudWatch::Alarm", RECOVERY)}
    assert "AWS/ElastiCache" in watched
    assert _sites("audit") == {"recovery": "eu-west-2"}, "a trail of all regions is there in each of them, under one name"


def test_fr_10_a_lag_that_is_large_and_one_that_nobody_knows_ring_and_decide_nothing() -> None:
    large, unknown = (_properties(f"monitoring-recovery.{title}") for title in ("ReplicationLagTooHigh", "ReplicationStopped"))
    assert large["MetricName"] == unknown["MetricName"] == "ReplicaLag"
    assert (large["Threshold"], large["TreatMissingData"]) == (900, "ignore")
    assert large["Threshold"] > 300, "an idle source is five minutes behind by itself"
    assert (unknown["ComparisonOperator"], unknown["Threshold"]) == ("LessThanThreshold", 0)
    assert unknown["TreatMissingData"] == "breaching"
    for alarm in (large, unknown):
        assert alarm["AlarmActions"] == [{"Ref": "NotifyTopicArn"}], "they notify, and nothing else"


def _deviations(id_: str) -> list[Any]:
    return [deviation for deviation in FEDERAL_RECORDS.deviations if deviation.id == id_]


@pytest.mark.parametrize("id_", ["FR-04", "FR-05", "FR-06", "FR-07", "FR-08", "FR-11", "FR-12", "A-13"])
def test_what_is_built_otherwise_than_asked_is_said_with_its_reason(id_: str) -> None:
    assert _deviations(id_)
    committed = Path("docs/compliance/federal-records.md").read_text()
    for deviation in _deviations(id_):
        assert deviation.reason in committed


def test_fr_11_database_files_and_secret_go_over_by_a_function_of_the_recovery_site() -> None:
    function = _properties("failover.Function")
    assert _sites("failover") == _sites("evidence") == _sites("configuration") == {"recovery": "eu-west-2"}
    assert "VpcConfig" not in function
    assert len(resources_of("failover", "AWS::Lambda::Permission")) == 2, "its clock and its evidence, and nobody else"
    variables = function["Environment"]["Variables"]
    assert variables["KIND"] == "replica"
    imports = _layer("failover")["Metadata"]["Layer"]["Imports"]
    wired = {name: imports[variables[name]["Ref"]] for name in ("TARGET_ARN", "FILE_SYSTEM_ID", "SECRET_ARN", "ROTATION_ARN")}
    assert wired == {
        "TARGET_ARN": "database-replica.InstanceArn",
        "FILE_SYSTEM_ID": "files-replica.FileSystemId",
        "SECRET_ARN": "rotation-standby.SecretArn",
        "ROTATION_ARN": "rotation-standby.FunctionArn",
    }
    (policy,) = _properties("failover.Role")["Policies"]
    may = {action for one in policy["PolicyDocument"]["Statement"] for action in one["Action"] if one["Effect"] == "Allow"}
    assert {
        "rds:PromoteReadReplica",
        "elasticfilesystem:DeleteReplicationConfiguration",
        "secretsmanager:StopReplicationToReplica",
        "secretsmanager:RotateSecret",
    } <= may
    assert not [action for action in may if action.startswith(("rds:Delete", "rds:CreateDBInstance"))], "those are a person's"


def test_fr_11_cache_and_endpoints_stand_in_every_zone_of_the_recovery_site() -> None:
    assert _properties("cache.ReplicationGroup")["AutomaticFailoverEnabled"] is True
    subnets = {str(subnet) for _, body in resources_of("files-replica", "AWS::EFS::MountTarget") for subnet in [body["SubnetId"]]}
    assert len(subnets) == 3
    for _, endpoint in resources_of("network", "AWS::EC2::VPCEndpoint"):
        if endpoint["VpcEndpointType"] == "Interface":
            assert len(endpoint["SubnetIds"]) == 3


def test_fr_11_no_name_flips_for_clients_keep_their_sites_endpoints_which_is_said() -> None:
    types = {body["Type"] for layer in templates(NAME).values() for body in layer["Resources"].values()}
    assert not {type_ for type_ in types if type_.startswith("AWS::Route53::")}
    assert "Endpoint" in _layer("database-replica")["Outputs"]
    (said,) = [one for one in _deviations("FR-11") if one.resource == "network.Vpc"]
    assert "topology" in said.reason


def test_fr_11_an_agency_answers_for_its_database_once_and_no_failover_begins_by_itself(aws: Emulator) -> None:
    """What CloudFormation makes of the mode, for a source that is ours and for one that is not."""
    path = Path("templates/federal-records/configuration.yaml")
    stacks = aws.client("cloudformation", "eu-west-2")
    for suffix, source, asked, expected in (
        ("ours", "rds-ours", "auto", "auto"),
        ("theirs", "citizens", "auto", "approve"),
        ("resting", "citizens", "disabled", "disabled"),
        ("careful", "rds-careful", "approve", "approve"),
    ):
        names = {"DatabaseReplicaSourceIdentifier": source, "DatabaseReplicaInstanceIdentifier": f"rds-{suffix}"}
        given = {"EnvironmentSuffix": suffix, "FailoverMode": asked, **names}
        stacks.create_stack(
            StackName=f"configuration-{suffix}",
            TemplateBody=path.read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        )
        stacks.get_waiter("stack_create_complete").wait(StackName=f"configuration-{suffix}", WaiterConfig={"Delay": 1})
        found = aws.client("ssm", "eu-west-2").get_parameter(Name=f"/federal-records/{suffix}/config/mode")
        assert (suffix, found["Parameter"]["Value"]) == (suffix, expected)
    for layer in ("database", "database-replica"):
        assert _properties(f"{layer}.Instance")["DBInstanceIdentifier"] == {"Fn::Sub": "rds-${EnvironmentSuffix}"}, (
            "by which it knows"
        )
    answered = {block for block in yaml.safe_load(ANSWERS) if "SourceDatabaseArn" in yaml.safe_load(ANSWERS)[block]}
    assert answered == {"database-replica"}


def test_fr_12_fedramp_high_is_the_profile_and_not_an_authorisation() -> None:
    assert FEDERAL_RECORDS.profile is FEDRAMP_HIGH
    text = Path("docs/compliance/federal-records.md").read_text()
    assert "federal-records runs in eu-west-1, eu-west-2: controls aligned, not authorised in these regions" in text
    for template in templates(NAME).values():
        assert "arn:aws:" not in json.dumps(template["Resources"])


def test_fr_13_nothing_is_retained() -> None:
    for template in templates(NAME).values():
        for body in template["Resources"].values():
            assert body.get("DeletionPolicy", "Delete") == body.get("UpdateReplacePolicy", "Delete") == "Delete"


def test_every_layer_is_read_by_the_chain() -> None:
    assert {template.layer for template in load(Path("templates"), (NAME,))} == {layer.name for layer in FEDERAL_RECORDS.layers}
