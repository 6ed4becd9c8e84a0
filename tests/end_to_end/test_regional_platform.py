"""Regional platform in an environment: deployed, asked for its health, rotated, a restore rehearsed, read back, destroyed."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pg8000.native
import pytest

from emulator import Emulator
from tests.servers.hanging import silent, talking
from tests.support.commands import deploy_py, deployed
from tests.support.end_to_end.roles import ON_BEHALF, granted, permissions, without
from tests.support.end_to_end.sessions import session

pytestmark = pytest.mark.xdist_group("regional-platform")

PLATFORM, SUFFIX, REGION = "regional-platform", "e2e", "us-east-1"
SECRET, HEALTH, VALIDATOR = f"dr-secret-database-{SUFFIX}", f"dr-function-{SUFFIX}", f"dr-function-restore-validator-{SUFFIX}"
ADDED = f"dr-restore-validation-{SUFFIX}"
ROLES = {
    "health": f"dr-role-health-{REGION}-{SUFFIX}",
    "rotation": f"dr-role-rotation-{REGION}-{SUFFIX}",
    "restore-validation": f"dr-role-restore-validator-{REGION}-{SUFFIX}",
}
DEPENDENCIES = ("secret", "database", "table", "bucket")


def _run(aws: Emulator, command: str, *arguments: str) -> str:
    ended = deploy_py(aws, command, "--system", PLATFORM, *arguments, suffix=SUFFIX)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def aws(aws: Emulator) -> Emulator:
    aws.opt_in()
    deployed(aws, PLATFORM, SUFFIX)
    with _database(aws) as connection:
        connection.run("create table orders (id int primary key)")
        connection.run("insert into orders values (1), (2)")
    return aws


def _output(aws: Emulator, layer: str, name: str) -> str:
    stack = aws.client("cloudformation").describe_stacks(StackName=f"{PLATFORM}-{layer}-{SUFFIX}")["Stacks"][0]
    return next(str(output["OutputValue"]) for output in stack["Outputs"] if output["OutputKey"] == name)


@contextlib.contextmanager
def _database(aws: Emulator) -> Iterator[pg8000.native.Connection]:
    secret = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"])
    with session(aws, secret) as connection:
        yield connection


def _health(aws: Emulator) -> tuple[bool, dict[str, Any]]:
    """Whether Lambda calls it a success, and the answer."""
    answer = aws.client("lambda").invoke(FunctionName=HEALTH, Payload=b"{}")
    return "FunctionError" not in answer, json.loads(answer["Payload"].read())


def _rotate(aws: Emulator) -> bool:
    """Ask for a rotation; whether the password is another one once it has ended."""
    client = aws.client("secretsmanager")

    def current() -> str:
        return str(json.loads(client.get_secret_value(SecretId=SECRET)["SecretString"])["password"])

    before = current()
    # After a rotation that failed, Secrets Manager answers so and tries that one again.
    with contextlib.suppress(client.exceptions.InvalidRequestException):
        client.rotate_secret(SecretId=SECRET)
    aws.settle()
    return current() != before


def _rehearse(aws: Emulator) -> str:
    """What the hour of the restore testing plan does; the restore job of the cluster, once the functions have ended."""
    aws.back_up(_output(aws, "backup", "PlanId"))
    jobs = aws.test_restore(_output(aws, "backup", "RestoreTestingPlanName"))
    aws.settle()
    return next(job for job in jobs if _job(aws, job)["ResourceType"] == "Aurora")


def _job(aws: Emulator, job: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("backup").describe_restore_job(RestoreJobId=job)
    return found


def _instances(aws: Emulator) -> set[str]:
    return {one["DBInstanceIdentifier"] for one in aws.client("rds").describe_db_instances()["DBInstances"]}


def _clusters(aws: Emulator) -> set[str]:
    return {one["DBClusterIdentifier"] for one in aws.client("rds").describe_db_clusters()["DBClusters"]}


STANDING = {f"dr-aurora-a-{SUFFIX}", f"dr-aurora-b-{SUFFIX}"}
EXERCISES = {"health": _health, "rotation": _rotate, "restore-validation": _rehearse}


def test_every_dependency_is_reported_with_its_latency(aws: Emulator) -> None:
    well, report = _health(aws)
    assert well, report
    assert set(report) == set(DEPENDENCIES)
    for told in report.values():
        assert told["works"] is True
        assert 0 < told["milliseconds"] < 60_000
    table, bucket = _output(aws, "table", "TableName"), _output(aws, "objects", "BucketName")
    assert aws.client("dynamodb").scan(TableName=table)["Items"] == [], "it clears up after itself"
    left = aws.client("s3").list_object_versions(Bucket=bucket)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_what_it_found_is_a_metric_with_the_dimensions_that_its_alarms_name(aws: Emulator) -> None:
    assert aws.fire(f"dr-health-schedule-{SUFFIX}") == ()
    cloudwatch = aws.client("cloudwatch")
    kept = {
        (metric["MetricName"], tuple(sorted((one["Name"], one["Value"]) for one in metric["Dimensions"])))
        for metric in cloudwatch.list_metrics(Namespace="Standby")["Metrics"]
    }
    for dependency in DEPENDENCIES:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=[f"dr-alarm-{dependency}-fails-{SUFFIX}"])["MetricAlarms"]
        dimensions = tuple(sorted((one["Name"], one["Value"]) for one in alarm["Dimensions"]))
        assert ("Dependency", dependency) in dimensions
        assert {(alarm["MetricName"], dimensions), ("Latency", dimensions)} <= kept


@pytest.mark.parametrize("layer", ROLES)
def test_every_permission_of_a_function_is_used_by_it_or_by_aws_on_its_behalf(aws: Emulator, layer: str) -> None:
    aws.forget_calls()
    assert EXERCISES[layer](aws)
    calls = [call for call in aws.calls() if call.role == ROLES[layer]]
    assert not [call for call in calls if not call.allowed]
    used = {call.action for call in calls}
    assert granted(aws, ROLES[layer]) == used | ON_BEHALF
    assert not used & ON_BEHALF


NEEDS = {"Secret": "secret", "Credential": "secret", "Table": "table", "Items": "table", "Objects": "bucket"}


@pytest.mark.parametrize(("sid", "action"), permissions(PLATFORM, "health"))
def test_without_any_single_permission_the_health_function_fails_and_names_what_it_could_not_use(
    aws: Emulator, sid: str, action: str
) -> None:
    with without(aws, ROLES["health"], sid, action):
        well, answer = _health(aws)
    assert not well
    lacking = next(dependency for word, dependency in NEEDS.items() if word in sid)
    assert answer["errorMessage"].startswith(f"1 of 4 dependencies fail. {lacking}: ")
    assert _health(aws)[0]


@contextlib.contextmanager
def _told(aws: Emulator, **variables: str) -> Iterator[None]:
    """The health function has other values in its environment for a while."""
    client = aws.client("lambda")
    before = client.get_function_configuration(FunctionName=HEALTH)["Environment"]["Variables"]
    client.update_function_configuration(FunctionName=HEALTH, Environment={"Variables": {**before, **variables}})
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=HEALTH, Environment={"Variables": before})


def _only(answer: dict[str, Any], dependency: str) -> None:
    assert answer["errorMessage"].startswith(f"1 of 4 dependencies fail. {dependency}: "), answer


@pytest.mark.parametrize(
    ("dependency", "variable"),
    [("database", "DATABASE_PORT"), ("table", "AWS_ENDPOINT_URL_DYNAMODB"), ("bucket", "AWS_ENDPOINT_URL_S3")],
)
def test_the_function_fails_within_its_time_when_a_dependency_hangs(aws: Emulator, dependency: str, variable: str) -> None:
    with talking(silent) as port, _told(aws, **{variable: str(port) if dependency == "database" else f"http://127.0.0.1:{port}"}):
        well, answer = _health(aws)
    assert not well
    _only(answer, dependency)


def test_a_function_that_fails_every_time_raises_the_alarm_on_its_errors(aws: Emulator) -> None:
    cloudwatch, name = aws.client("cloudwatch"), f"Lambda-Errors-{SUFFIX}"
    with _told(aws, DYNAMODB_TABLE="another"):
        well, answer = _health(aws)
        assert not well
        _only(answer, "table")
        for _ in range(6):  # with Lambda's own attempts, two minutes of the schedule
            assert aws.fire(f"dr-health-schedule-{SUFFIX}")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
    assert alarm["AlarmActions"] == [_output(aws, "notify", "TopicArn")]


def test_throttled_reads_and_writes_together_raise_the_alarm(aws: Emulator) -> None:
    cloudwatch, name = aws.client("cloudwatch"), f"DynamoDB-Throttled-Requests-{SUFFIX}"

    def throttled(metric: str, count: int) -> str:
        dimensions = [{"Name": "TableName", "Value": _output(aws, "table", "TableName")}]
        cloudwatch.put_metric_data(
            Namespace="AWS/DynamoDB", MetricData=[{"MetricName": metric, "Dimensions": dimensions, "Value": count}]
        )
        return str(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])

    assert throttled("ReadThrottleEvents", 6) != "ALARM"
    assert throttled("WriteThrottleEvents", 5) == "ALARM"


def test_a_rehearsed_restore_is_given_an_instance_asked_measured_and_taken_away(aws: Emulator) -> None:
    aws.forget_calls()
    job = _job(aws, _rehearse(aws))
    assert (job["ValidationStatus"], job["DeletionStatus"]) == ("SUCCESSFUL", "SUCCESSFUL")
    assert job["ValidationStatusMessage"] == "It let us in over TLS. 1 of 1 tables were read and 1 had rows."
    did = [call.action for call in aws.calls() if call.role == ROLES["restore-validation"]]
    steps = ("rds:CreateDBInstance", "secretsmanager:GetSecretValue", "rds:DeleteDBInstance", "backup:PutRestoreValidationResult")
    assert [did.index(step) for step in steps] == sorted(did.index(step) for step in steps)
    assert _instances(aws) == STANDING
    assert _clusters(aws) == {f"dr-aurora-{SUFFIX}"}
    told = [call for call in aws.calls() if call.action == "sns:Publish" and call.principal == "events.amazonaws.com"]
    assert told, "operators are told of every restore that ends"
    measured = aws.client("cloudwatch").list_metrics(
        Namespace="Standby", MetricName="RestoreSeconds", Dimensions=[{"Name": "FunctionName", "Value": VALIDATOR}]
    )["Metrics"]
    (alarm,) = aws.client("cloudwatch").describe_alarms(AlarmNames=[f"dr-alarm-restore-too-slow-{SUFFIX}"])["MetricAlarms"]
    assert alarm["Dimensions"] in [metric["Dimensions"] for metric in measured]


@pytest.mark.parametrize(("sid", "action"), permissions(PLATFORM, "restore-validation"))
def test_without_any_single_permission_a_restore_is_not_validated_and_with_it_the_same_event_is_finished(
    aws: Emulator, sid: str, action: str
) -> None:
    with without(aws, ROLES["restore-validation"], sid, action):
        job = _rehearse(aws)
    assert _job(aws, job)["ValidationStatus"] == "VALIDATING"
    event = json.dumps({"detail": {"restoreJobId": job}})
    answer = aws.client("lambda").invoke(FunctionName=VALIDATOR, Payload=event.encode())
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert _job(aws, job)["ValidationStatus"] == "SUCCESSFUL"
    assert _instances(aws) == STANDING


def test_the_instance_that_the_validator_adds_says_whose_it_is(aws: Emulator) -> None:
    with without(aws, ROLES["restore-validation"], "AndTakeItAway", "rds:DeleteDBInstance"):
        job = _rehearse(aws)
    (one,) = aws.client("rds").describe_db_instances(DBInstanceIdentifier=ADDED)["DBInstances"]
    tags = {tag["Key"]: tag["Value"] for tag in one["TagList"]}
    assert {"System": PLATFORM, "Environment": SUFFIX}.items() <= tags.items()
    aws.client("lambda").invoke(FunctionName=VALIDATOR, Payload=json.dumps({"detail": {"restoreJobId": job}}).encode())
    assert _instances(aws) == STANDING


def test_an_environment_with_recovery_points_is_destroyed_and_leaves_nothing_but_keys(aws: Emulator) -> None:
    vault, backup = _output(aws, "vault", "VaultName"), aws.client("backup")
    for plan in ("PlanId", "DynamoDBPlanId"):
        aws.back_up(_output(aws, "backup", plan))
    points = backup.list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"]
    assert {point["ResourceType"] for point in points} == {"Aurora", "DynamoDB"}
    assert re.search(r"stacks deleted; left: \d+ KMS keys \(waiting period\)\.", _run(aws, "destroy", "--yes"))
    assert aws.client("cloudformation").describe_stacks()["Stacks"] == []
    assert backup.list_backup_vaults()["BackupVaultList"] == []
    assert _instances(aws) == _clusters(aws) == set()
    assert aws.client("dynamodb").list_tables()["TableNames"] == []
    assert [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]] == []
    found = aws.client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "Environment", "Values": [SUFFIX]}])
    assert all(":kms:" in resource["ResourceARN"] for resource in found["ResourceTagMappingList"])
