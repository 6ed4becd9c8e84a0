"""Healthcare in two regions: deployed, replicating, rotated, backed up and copied, a restore rehearsed, read back, destroyed."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from emulator import Emulator
from tests.support import unmeasured
from tests.support.commands import ROOT, deploy_py, deployed
from tests.support.emulator.databases import eventually
from tests.support.end_to_end.roles import ON_BEHALF, granted
from tests.support.end_to_end.sessions import session

pytestmark = pytest.mark.xdist_group("healthcare")

SYSTEM, SUFFIX = "healthcare", "e2e"
HERE, THERE = "eu-west-2", "eu-west-1"
SECRET = f"healthcare-secret-database-{SUFFIX}"
REPLICATES = f"healthcare-role-replication-{HERE}-{SUFFIX}"
ROLES = {
    "rotation": f"healthcare-role-rotation-{HERE}-{SUFFIX}",
    "restore-validation": f"healthcare-role-restore-validator-{HERE}-{SUFFIX}",
}


def _run(aws: Emulator, command: str, *arguments: str) -> str:
    ended = deploy_py(aws, command, "--system", SYSTEM, *arguments, suffix=SUFFIX)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _output(aws: Emulator, region: str, layer: str, name: str) -> str:
    stack = aws.client("cloudformation", region).describe_stacks(StackName=f"{SYSTEM}-{layer}-{SUFFIX}")["Stacks"][0]
    return next(str(output["OutputValue"]) for output in stack["Outputs"] if output["OutputKey"] == name)


def _secret(aws: Emulator, region: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(aws.client("secretsmanager", region).get_secret_value(SecretId=SECRET)["SecretString"])
    return found


@contextlib.contextmanager
def _writer(aws: Emulator) -> Iterator[pg8000.native.Connection]:
    with session(aws, _secret(aws, HERE)) as connection:
        yield connection


@contextlib.contextmanager
def _secondary(aws: Emulator) -> Iterator[pg8000.native.Connection]:
    """With the secret's replica, at the cluster of the other region."""
    host, port = (_output(aws, THERE, "aurora-secondary", name) for name in ("ReadEndpoint", "Port"))
    with session(aws, _secret(aws, THERE), host, port) as connection:
        yield connection


@pytest.fixture(scope="module")
def aws(aws: Emulator) -> Emulator:
    aws.opt_in()
    deployed(aws, SYSTEM, SUFFIX)
    with _writer(aws) as connection:
        connection.run("create table visits (id int primary key)")
        connection.run("insert into visits values (1), (2)")
    return aws


def test_what_is_committed_at_home_is_read_in_the_other_region_which_takes_no_write(aws: Emulator) -> None:
    with _secondary(aws) as connection:
        eventually(lambda: connection.run("select count(*) from pg_class where relname = 'visits'"), [[1]])
        eventually(lambda: connection.run("select count(*) from visits"), [[2]])
        assert connection.run("select pg_is_in_recovery()") == [[True]]
        with pytest.raises(pg8000.exceptions.DatabaseError, match="25006"):
            connection.run("insert into visits values (3)")


def test_the_global_database_has_its_writer_at_home_and_one_reader_elsewhere(aws: Emulator) -> None:
    name = _output(aws, HERE, "global", "GlobalClusterId")
    (whole,) = aws.client("rds", HERE).describe_global_clusters(GlobalClusterIdentifier=name)["GlobalClusters"]
    members = {one["DBClusterArn"].split(":")[3]: one["IsWriter"] for one in whole["GlobalClusterMembers"]}
    assert members == {HERE: True, THERE: False}
    clusters = {region: aws.client("rds", region).describe_db_clusters()["DBClusters"][0] for region in members}
    assert [len(clusters[region]["DBClusterMembers"]) for region in (HERE, THERE)] == [2, 1]
    keys = {region: cluster["KmsKeyId"] for region, cluster in clusters.items()}
    assert all(f":{region}:" in key for region, key in keys.items()), "each volume under a key of its own region"
    assert clusters[HERE]["EngineVersion"] == clusters[THERE]["EngineVersion"]


def _buckets(aws: Emulator) -> dict[str, str]:
    return {HERE: _output(aws, HERE, "objects", "BucketName"), THERE: _output(aws, THERE, "objects-replica", "BucketName")}


def test_an_object_arrives_under_the_other_regions_key_and_its_deletion_follows(aws: Emulator) -> None:
    buckets = _buckets(aws)
    here, there = aws.client("s3", HERE), aws.client("s3", THERE)
    aws.forget_calls()
    here.put_object(Bucket=buckets[HERE], Key="scan.dcm", Body=b"an image", Tagging="kind=scan")
    aws.settle()
    found = there.get_object(Bucket=buckets[THERE], Key="scan.dcm")
    assert found["Body"].read() == b"an image"
    assert f":{THERE}:" in found["SSEKMSKeyId"]
    assert here.head_object(Bucket=buckets[HERE], Key="scan.dcm")["ReplicationStatus"] == "COMPLETED"
    here.delete_object(Bucket=buckets[HERE], Key="scan.dcm")
    aws.settle()
    versions = there.list_object_versions(Bucket=buckets[THERE], Prefix="scan.dcm")
    assert [marker["IsLatest"] for marker in versions["DeleteMarkers"]] == [True]
    assert len(versions["Versions"]) == 1, "what was deleted can be brought back"
    calls = [call for call in aws.calls() if call.role == REPLICATES]
    assert calls
    assert all(call.allowed for call in calls)


def _rotate(aws: Emulator) -> bool:
    client = aws.client("secretsmanager", HERE)
    before = _secret(aws, HERE)["password"]
    # After a rotation that failed, Secrets Manager answers so and tries that one again.
    with contextlib.suppress(client.exceptions.InvalidRequestException):
        client.rotate_secret(SecretId=SECRET)
    aws.settle()
    return bool(_secret(aws, HERE)["password"] != before)


def test_a_password_rotated_at_home_opens_the_secondary_with_the_secrets_replica(aws: Emulator) -> None:
    assert _rotate(aws)
    assert _secret(aws, THERE) == _secret(aws, HERE)

    def opens() -> list[list[int]]:
        try:
            with _secondary(aws) as connection:
                return [list(row) for row in connection.run("select 1")]
        except pg8000.exceptions.DatabaseError:
            return []

    eventually(opens, [[1]])
    described = aws.client("secretsmanager", THERE).describe_secret(SecretId=SECRET)
    assert described["PrimaryRegion"] == HERE
    assert "RotationLambdaARN" not in described, "a replica takes no schedule before a failover"


def _points(aws: Emulator, region: str) -> list[dict[str, Any]]:
    vault = f"healthcare-backup-vault-{SUFFIX}"
    found: list[dict[str, Any]] = aws.client("backup", region).list_recovery_points_by_backup_vault(BackupVaultName=vault)[
        "RecoveryPoints"
    ]
    return found


def test_each_plan_makes_its_recovery_points_and_the_daily_one_is_copied_to_the_other_region(aws: Emulator) -> None:
    assert _points(aws, THERE) == []
    aws.back_up(_output(aws, HERE, "backup", "PlanId"), HERE)
    aws.back_up(_output(aws, HERE, "backup", "AuroraPlanId"), HERE)
    aws.settle()
    made = [point["Status"] for point in _points(aws, HERE)]
    assert sorted(made) == ["AVAILABLE", "COMPLETED", "COMPLETED"], "a continuous one, one of the hour and one of the day"
    (copy,) = _points(aws, THERE)
    assert copy["ResourceType"] == "Aurora"


def _rehearse(aws: Emulator) -> str:
    aws.back_up(_output(aws, HERE, "backup", "PlanId"), HERE)
    (job,) = aws.test_restore(_output(aws, HERE, "backup", "RestoreTestingPlanName"), HERE)
    aws.settle()
    return job


def test_a_rehearsed_restore_is_given_an_instance_asked_and_taken_away(aws: Emulator) -> None:
    job = aws.client("backup", HERE).describe_restore_job(RestoreJobId=_rehearse(aws))
    assert (job["ValidationStatus"], job["DeletionStatus"]) == ("SUCCESSFUL", "SUCCESSFUL")
    clusters = aws.client("rds", HERE).describe_db_clusters()["DBClusters"]
    assert [cluster["DBClusterIdentifier"] for cluster in clusters] == [f"healthcare-aurora-{SUFFIX}"]


EXERCISES: dict[str, Callable[[Emulator], object]] = {"rotation": _rotate, "restore-validation": _rehearse}


@pytest.mark.parametrize("layer", ROLES)
def test_every_permission_of_a_function_is_used_by_it_or_by_aws_on_its_behalf(aws: Emulator, layer: str) -> None:
    aws.forget_calls()
    assert EXERCISES[layer](aws)
    calls = [call for call in aws.calls() if call.role == ROLES[layer]]
    assert not [call for call in calls if not call.allowed]
    used = {call.action for call in calls}
    assert granted(aws, ROLES[layer]) == used | ON_BEHALF


def test_failover_finds_its_configuration_in_the_region_where_it_will_run(aws: Emulator) -> None:
    path = f"/healthcare/{SUFFIX}/config/"
    found = aws.client("ssm", THERE).get_parameters_by_path(Path=path)["Parameters"]
    told = {one["Name"].removeprefix(path): one["Value"] for one in found}
    assert (told["mode"], told["rpo-seconds"]) == ("auto", "900")
    assert told["home-cluster-arn"] == _output(aws, HERE, "aurora", "ClusterArn")
    assert told["target-cluster-arn"] == _output(aws, THERE, "aurora-secondary", "ClusterArn")


def test_the_lag_is_published_where_the_secondary_is_under_the_dimension_that_the_alarm_asks(aws: Emulator) -> None:
    aws.measure_lag()
    cloudwatch = aws.client("cloudwatch", THERE)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[f"healthcare-alarm-replica-too-late-{SUFFIX}"])["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "SourceRegion", "Value": HERE}]
    published = cloudwatch.list_metrics(Namespace="AWS/RDS", MetricName=alarm["MetricName"])["Metrics"]
    assert alarm["Dimensions"] in [metric["Dimensions"] for metric in published]
    assert alarm["StateValue"] != "ALARM"


def test_a_second_deployment_changes_nothing(aws: Emulator) -> None:
    assert "35 stacks: 35 unchanged." in _run(aws, "deploy")


def test_a_value_changed_at_one_site_changes_one_stack(aws: Emulator, tmp_path: Path) -> None:
    for name in ("templates", "parameters", "out/packages"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / f"parameters/healthcare/{SUFFIX}.yaml").write_text("configuration: {FailoverMode: approve}\n")
    program = "import sys, pathlib, deploy; sys.exit(deploy.main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
    planned = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), "plan", "--env", SUFFIX, "--system", SYSTEM],
        cwd=ROOT,
        env={**unmeasured.environment(), **aws.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert planned.returncode == 0, planned.stderr
    lines = [line for line in planned.stdout.splitlines() if re.match(r"\S+/healthcare-\S+: ", line)]
    assert len(lines) == 35
    assert [line.partition(":")[0] for line in lines if "no change" not in line] == [f"{THERE}/healthcare-configuration-{SUFFIX}"]


def test_the_functions_of_both_sites_reach_their_cluster_whatever_its_role_is(aws: Emulator) -> None:
    """From the first deployment on: the name of the secondary's writer leads nowhere."""

    def ask(region: str, function: str, **event: Any) -> dict[str, Any]:
        name = f"healthcare-function-{function}-{SUFFIX}"
        said = aws.client("lambda", region).invoke(FunctionName=name, Payload=json.dumps(event))
        answer = json.loads(said["Payload"].read())
        assert "FunctionError" not in said, answer
        return dict(answer)

    def written() -> list[bool]:
        return [bool(ask(region, "heartbeat")["written"]) for region in (HERE, THERE)]

    def writable() -> list[bool]:
        return [bool(ask(region, "probe", do="probe")["writable"]) for region in (HERE, THERE)]

    with pytest.raises(socket.gaierror):
        socket.create_connection((_output(aws, THERE, "aurora-secondary", "Endpoint"), 1))
    whole, clusters = _output(aws, HERE, "global", "GlobalClusterId"), ((HERE, "aurora"), (THERE, "aurora-secondary"))
    arns = [_output(aws, region, layer, "ClusterArn") for region, layer in clusters]
    assert (written(), writable()) == ([True, False], [True, False])
    assert ask(THERE, "replica-age")["in_recovery"] is True
    for region, target, expected in ((HERE, arns[1], [False, True]), (THERE, arns[0], [True, False])):
        aws.client("rds", region).switchover_global_cluster(GlobalClusterIdentifier=whole, TargetDbClusterIdentifier=target)
        aws.settle()
        assert (written(), writable()) == (expected, expected)
        assert ask(THERE, "replica-age")["in_recovery"] is (target == arns[0])


def test_the_standby_rotation_once_armed_rotates_the_promoted_secret_with_no_permission_left_over(aws: Emulator) -> None:
    role, secrets = f"healthcare-role-rotation-{THERE}-{SUFFIX}", aws.client("secretsmanager", THERE)
    target = _output(aws, THERE, "aurora-secondary", "ClusterArn")
    aws.client("rds", HERE).switchover_global_cluster(
        GlobalClusterIdentifier=_output(aws, HERE, "global", "GlobalClusterId"), TargetDbClusterIdentifier=target
    )
    aws.settle()
    secrets.stop_replication_to_replica(SecretId=SECRET)
    host, port = (_output(aws, THERE, "aurora-secondary", name) for name in ("Endpoint", "Port"))
    # With both labels: were AWSPENDING left behind, Secrets Manager would say that the last rotation is not complete.
    moved = {**_secret(aws, THERE), "host": host, "port": int(port)}
    secrets.put_secret_value(SecretId=SECRET, SecretString=json.dumps(moved), VersionStages=["AWSCURRENT", "AWSPENDING"])
    arm = {"RotationLambdaARN": _output(aws, THERE, "rotation-standby", "FunctionArn")}
    before = _secret(aws, THERE)["password"]
    aws.forget_calls()
    secrets.rotate_secret(SecretId=SECRET, **arm, RotationRules={"AutomaticallyAfterDays": 30}, RotateImmediately=True)
    aws.settle()
    assert _secret(aws, THERE)["password"] != before
    calls = [call for call in aws.calls() if call.role == role]
    assert [call for call in calls if not call.allowed] == []
    assert granted(aws, role) == {call.action for call in calls} | ON_BEHALF


def test_an_environment_with_replicas_objects_and_recovery_points_is_destroyed_clean(aws: Emulator) -> None:
    aws.client("s3", HERE).put_object(Bucket=_buckets(aws)[HERE], Key="left", Body=b"behind")
    aws.settle()
    assert _points(aws, HERE)
    assert _points(aws, THERE)
    _run(aws, "destroy", "--yes")
    for region in (HERE, THERE):
        assert aws.client("cloudformation", region).describe_stacks()["Stacks"] == []
        assert aws.client("backup", region).list_backup_vaults()["BackupVaultList"] == []
        assert aws.client("rds", region).describe_db_clusters()["DBClusters"] == []
        assert aws.client("rds", region).describe_global_clusters()["GlobalClusters"] == []
        assert aws.client("ssm", region).describe_parameters()["Parameters"] == []
