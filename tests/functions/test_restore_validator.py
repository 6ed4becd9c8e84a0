"""The validator against restored databases that are real, and against jobs that are late, strange or somebody else's."""

from __future__ import annotations

import json
import os
import ssl
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import pg8000.native
import pytest
from botocore.exceptions import ClientError
from common import clients, metrics
from common.report import FunctionError
from restore_validator import handler as validator

import emulator
from emulator.authority import Authority
from tests.servers import backup as stand_in

pytestmark = pytest.mark.xdist_group("restore validator")  # else every worker would set up what they share

FIRST = "First-password.of_the~master-0000"
ROLE = "arn:aws:iam::123456789012:role/backup"
INSTANCE = "dr-restore-validation-test"
ACCOUNT = "arn:aws:rds:us-east-1:123456789012"


@dataclass
class Minutes:
    """Lambda's context, with time left."""

    milliseconds: int = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass
class World:
    """An account with a cluster and an instance that are backed up, and their restore tests."""

    aws: emulator.Emulator
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]
    said: list[dict[str, Any]] = field(default_factory=list)

    def restore(self) -> str:
        [job] = self.aws.test_restore("plan")
        return str(job)

    def job(self, job: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.aws.client("backup").describe_restore_job(RestoreJobId=job)
        return answer

    def run(self, job: str, context: object = None) -> dict[str, str]:
        self.capfd.readouterr()
        try:
            return validator.handler({"detail": {"restoreJobId": job}}, context)
        finally:
            self.said = [json.loads(line) for line in self.capfd.readouterr().out.splitlines()]

    def steps(self, job: str) -> list[str]:
        """What it does, invoked again and again, until nothing is left."""
        did = []
        while True:
            answer = self.run(job)
            did.append(answer["did"])
            if answer["left"] == "nothing":
                return did

    def refuses(self, job: str, context: object = None) -> str:
        with pytest.raises(FunctionError) as caught:
            self.run(job, context)
        assert FIRST not in str(caught.value) + json.dumps(self.said)
        return str(caught.value)

    @property
    def measured(self) -> dict[tuple[str, ...], dict[str, float]]:
        """The values of the dimensions, to metric to value."""
        found = {}
        for line in self.said:
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                [names] = directive["Dimensions"]
                assert directive["Namespace"] == metrics.NAMESPACE
                found[tuple(line[name] for name in names)] = {one["Name"]: line[one["Name"]] for one in directive["Metrics"]}
        return found

    def rehearsal(self, job: str) -> validator.Rehearsal:
        client = cache(clients.client)
        return validator.Rehearsal(dict(os.environ), client, validator.Job.read(client("backup"), job))

    def instances(self) -> list[str]:
        return [one["DBInstanceIdentifier"] for one in self.aws.client("rds").describe_db_instances()["DBInstances"]]

    def add(self, cluster: str, **more: Any) -> None:
        self.aws.client("rds").create_db_instance(
            DBInstanceIdentifier=INSTANCE,
            DBInstanceClass="db.t4g.medium",
            DBClusterIdentifier=cluster,
            Engine="aurora-postgresql",
            **more,
        )


def _secret(aws: emulator.Emulator, *passwords: str) -> str:
    """A secret that had these passwords, the last one being the current one."""
    client = aws.client("secretsmanager")
    name, arn = f"secret-{uuid.uuid4().hex[:8]}", ""
    for password in passwords:
        text = json.dumps({"username": "master", "password": password, "dbname": "books"})
        if arn:
            client.put_secret_value(SecretId=arn, SecretString=text)
        else:
            arn = client.create_secret(Name=name, SecretString=text)["ARN"]
    return arn


@pytest.fixture(scope="module")
def aws(aws: emulator.Emulator) -> emulator.Emulator:
    _build(aws)
    return aws


def _build(aws: emulator.Emulator) -> None:
    ec2, rds, backup = aws.client("ec2"), aws.client("rds"), aws.client("backup")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    ]
    group = {"DBSubnetGroupName": "subnets"}
    rds.create_db_subnet_group(**group, DBSubnetGroupDescription="Two zones", SubnetIds=subnets)
    master = {"MasterUsername": "master", "MasterUserPassword": FIRST}
    rds.create_db_cluster(DBClusterIdentifier="books", Engine="aurora-postgresql", DatabaseName="books", **group, **master)
    rds.create_db_instance(
        DBInstanceIdentifier="writer", DBClusterIdentifier="books", Engine="aurora-postgresql", DBInstanceClass="db.t4g.medium"
    )
    backup.update_region_settings(ResourceTypeOptInPreference={"Aurora": True})
    backup.create_backup_vault(BackupVaultName="vault")
    with _session(aws, _endpoint(rds, "writer")) as connection:
        connection.run('CREATE TABLE "The Books" AS SELECT 1 AS one')
        connection.run("CREATE TABLE empty ()")
    arn = f"{ACCOUNT}:cluster:books"
    backup.start_backup_job(BackupVaultName="vault", ResourceArn=arn, IamRoleArn=ROLE)
    chosen = {"Algorithm": "LATEST_WITHIN_WINDOW", "IncludeVaults": ["*"], "RecoveryPointTypes": ["SNAPSHOT"]}
    backup.create_restore_testing_plan(
        RestoreTestingPlan={
            "RestoreTestingPlanName": "plan",
            "ScheduleExpression": "cron(0 5 * * ? *)",
            "RecoveryPointSelection": chosen,
        }
    )
    backup.create_restore_testing_selection(
        RestoreTestingPlanName="plan",
        RestoreTestingSelection={
            "RestoreTestingSelectionName": "one",
            "IamRoleArn": ROLE,
            "ProtectedResourceType": "Aurora",
            "ProtectedResourceArns": [arn],
            "RestoreMetadataOverrides": {"dbSubnetGroupName": "subnets"},
            "ValidationWindowHours": 1,
        },
    )


def _endpoint(rds: Any, name: str) -> dict[str, Any]:
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    [found] = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    endpoint: dict[str, Any] = found["Endpoint"]
    return endpoint


def _session(aws: emulator.Emulator, endpoint: dict[str, Any]) -> closing[pg8000.native.Connection]:
    return closing(
        pg8000.native.Connection(
            "master",
            host=endpoint["Address"],
            port=endpoint["Port"],
            database="books",
            password=FIRST,
            ssl_context=ssl.create_default_context(cafile=str(aws.root)),
        )
    )


@pytest.fixture
def world(aws: emulator.Emulator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[World]:
    environment = {
        **aws.environment,
        "AWS_LAMBDA_FUNCTION_NAME": "validator",
        "DB_SECRET_ARN": _secret(aws, FIRST),
        "INSTANCE_IDENTIFIER": INSTANCE,
        "INSTANCE_CLASS": "db.t4g.medium",
        "SUBNET_GROUP": "subnets",
        "PGSSLROOTCERT": str(aws.root),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(validator, "PAUSE", 0.05)
    found = World(aws, monkeypatch, capfd)
    yield found
    rds = aws.client("rds")
    if INSTANCE in found.instances():
        rds.delete_db_instance(DBInstanceIdentifier=INSTANCE, SkipFinalSnapshot=True)
    for cluster in rds.describe_db_clusters()["DBClusters"]:
        if cluster["DBClusterIdentifier"].startswith("awsbackup"):
            rds.delete_db_cluster(DBClusterIdentifier=cluster["DBClusterIdentifier"], SkipFinalSnapshot=True)


@pytest.fixture
def late(world: World) -> Iterator[stand_in.Backup]:
    """AWS Backup where a test says what was restored, and when."""
    with stand_in.running() as service:
        world.monkeypatch.setenv("AWS_ENDPOINT_URL_BACKUP", service.endpoint)
        yield service


def test_restored_cluster_gets_an_instance_is_asked_and_reported_step_by_step(world: World) -> None:
    job = world.restore()
    cluster = world.job(job)["CreatedResourceArn"].rsplit(":", 1)[1]
    assert world.run(job)["did"] == f"added the instance {INSTANCE}"
    [instance] = world.aws.client("rds").describe_db_instances(DBInstanceIdentifier=INSTANCE)["DBInstances"]
    assert (instance["DBClusterIdentifier"], instance["PubliclyAccessible"]) == (cluster, False)
    assert INSTANCE in world.instances()
    assert world.run(job)["did"].startswith("wrote down: SUCCESSFUL ")
    assert world.measured == {}
    assert world.run(job)["did"] == f"deletes the instance {INSTANCE}"
    assert INSTANCE not in world.instances()
    assert world.job(job)["ValidationStatus"] == "VALIDATING"
    assert world.run(job)["did"].startswith("reported SUCCESSFUL: It let us in over TLS. 2 of 2 tables were read and 1 had rows.")
    assert (world.job(job)["ValidationStatus"], world.job(job)["DeletionStatus"]) == ("SUCCESSFUL", "SUCCESSFUL")
    [measured] = world.measured.values()
    assert 0 <= measured["RestoreSeconds"] < 120
    assert measured["RestoreValid"] == 1
    assert world.run(job) == {"job": job, "did": "found SUCCESSFUL: nothing is left to do", "left": "nothing"}


def test_with_time_it_does_all_of_it_at_once(world: World) -> None:
    job = world.restore()
    assert world.run(job, Minutes())["left"] == "nothing"
    assert world.job(job)["ValidationStatus"] == "SUCCESSFUL"
    assert INSTANCE not in world.instances()


def test_time_of_the_restore_and_of_the_instance_are_added_and_waiting_for_us_is_not(world: World, late: stand_in.Backup) -> None:
    arn = _restored(world)
    job = late.restored("Aurora", arn, ago=100, took=1200)
    tag = {"Key": validator.STARTED, "Value": (datetime.now(UTC) - timedelta(seconds=300)).isoformat(timespec="seconds")}
    world.add(arn.rsplit(":", 1)[1], Tags=[tag])
    world.steps(job)
    assert 1500 <= world.measured["validator",]["RestoreSeconds"] < 1530


def _restored(world: World) -> str:
    """The ARN of a cluster that was restored, by the emulator's own AWS Backup."""
    arn: str = world.job(world.restore())["CreatedResourceArn"]
    return arn


def test_backup_from_before_the_last_rotation_opens_with_the_previous_password(world: World) -> None:
    world.monkeypatch.setenv("DB_SECRET_ARN", _secret(world.aws, FIRST, "the second"))
    assert world.steps(world.restore())[-1].startswith("reported SUCCESSFUL")


def test_cluster_that_lets_nobody_in_loses_its_instance_before_it_is_reported(world: World) -> None:
    world.monkeypatch.setenv("DB_SECRET_ARN", _secret(world.aws, FIRST, "the second", "the third"))
    job = world.restore()
    assert "older than the last rotation" in world.refuses(job, Minutes())
    assert world.measured["validator",] == {"RestoreValid": 0}
    assert (world.job(job)["ValidationStatus"], world.job(job)["DeletionStatus"]) == ("FAILED", "SUCCESSFUL")
    assert INSTANCE not in world.instances()
    assert world.run(job)["left"] == "nothing"


def test_what_is_not_ready_is_waited_for_and_then_no_good(world: World, late: stand_in.Backup) -> None:
    arn = _restored(world)
    name, job = arn.rsplit(":", 1)[1], late.restored("Aurora", arn)
    world.run(job)
    world.aws.client("rds").stop_db_cluster(DBClusterIdentifier=name)
    answer = world.run(job)
    assert (answer["did"], answer["left"]) == (f"waits: {INSTANCE} is stopped.", "something")
    assert "Invoked again, this function goes on." in world.refuses(job, Minutes(int(validator.RESERVE * 1000) + 120))
    assert len([line for line in world.said if line.get("event") == "restore"]) == 1, "the same is not said again"
    world.monkeypatch.setattr(validator, "PATIENCE", -1.0)
    assert f"minutes: {INSTANCE} is stopped" in world.run(job)["did"]
    assert world.run(job)["did"] == f"waits: {INSTANCE} cannot be deleted just now"
    world.aws.client("rds").start_db_cluster(DBClusterIdentifier=name)
    assert world.run(job)["did"] == f"deletes the instance {INSTANCE}"


def test_cluster_that_takes_no_instance_yet_is_waited_for(world: World, late: stand_in.Backup) -> None:
    arn = _restored(world)
    name, job = arn.rsplit(":", 1)[1], late.restored("Aurora", arn)
    world.aws.client("rds").stop_db_cluster(DBClusterIdentifier=name)
    assert world.run(job)["did"] == f"waits: {name} is stopped and takes no instance"
    world.aws.client("rds").start_db_cluster(DBClusterIdentifier=name)
    assert world.run(job)["did"] == f"added the instance {INSTANCE}"


def test_what_is_out_of_reach_is_waited_for(world: World, tmp_path: Path) -> None:
    world.monkeypatch.setenv("PGSSLROOTCERT", str(Authority.create(tmp_path / "another").root))
    job = world.restore()
    world.run(job)
    assert world.run(job)["did"].startswith("waits: The certificate of localhost")
    assert world.job(job)["ValidationStatus"] == "VALIDATING"


def test_query_that_fails_is_tried_again(world: World) -> None:
    job = world.restore()
    world.run(job)
    world.monkeypatch.setattr(validator, "OWN_TABLES", "SELECT 'SELECT 1 FROM gone'")
    assert 'let us in and failed: relation "gone" does not exist (42P01)' in world.run(job)["did"]


def test_server_that_is_in_recovery_is_waited_for() -> None:
    class Standby:
        def scalar(self, _: str) -> bool:
            return True

    with pytest.raises(validator.NotYetError, match="in recovery"):
        validator._read(Standby())  # type: ignore[arg-type]


def test_reading_stops_when_its_time_is_over(world: World) -> None:
    world.monkeypatch.setattr(validator, "READING", -1.0)
    assert "0 of 2 tables were read" in world.steps(world.restore())[-1]


@pytest.mark.parametrize("name", ["DB_SECRET_ARN", "INSTANCE_IDENTIFIER", "INSTANCE_CLASS"])
def test_missing_setting_is_no_verdict_on_the_backup(world: World, name: str) -> None:
    job = world.restore()
    if name == "DB_SECRET_ARN":
        world.run(job)
    world.monkeypatch.delenv(name)
    assert f"lacks {name}" in world.refuses(job)
    assert world.job(job)["ValidationStatus"] == "VALIDATING"


def test_restore_by_hand_is_left_alone(world: World, late: stand_in.Backup) -> None:
    arn = f"{ACCOUNT}:cluster:by-hand"
    assert "is left alone" in world.refuses(late.restored("Aurora", arn, CreatedBy={}))
    assert "is RUNNING" in world.refuses(late.restored("Aurora", arn, Status="RUNNING"))
    assert "restored DynamoDB, and only Aurora is validated here" in world.refuses(late.restored("DynamoDB", arn))


def test_what_is_gone_is_no_good(world: World, late: stand_in.Backup) -> None:
    job = late.restored("Aurora", f"{ACCOUNT}:cluster:gone")
    assert "gone does not exist any more" in world.refuses(job)
    assert late.jobs[job]["ValidationStatus"] == "FAILED"


def test_two_runs_at_once_do_no_harm(world: World) -> None:
    job = world.restore()
    rehearsal = world.rehearsal(job)
    rds = rehearsal.client("rds")
    [cluster] = rds.describe_db_clusters(DBClusterIdentifier=rehearsal.job.name)["DBClusters"]
    add = partial(validator._add_instance, rehearsal, cluster, INSTANCE)
    assert [add().said, add().said] == [f"added the instance {INSTANCE}", f"found that another run has added {INSTANCE}"]
    [instance] = rds.describe_db_instances(DBInstanceIdentifier=INSTANCE)["DBInstances"]
    assert [validator._delete(rds, instance).waits, validator._delete(rds, instance).waits] == [False, True]
    report = partial(rehearsal.report, validator.Verdict(True, 1, "well"))
    assert [report().said, report().said] == ["reported SUCCESSFUL: well", "somebody else has reported"]


def test_time_of_a_restore_is_measured_although_the_run_is_killed_as_soon_as_it_has_reported(
    world: World, late: stand_in.Backup
) -> None:
    job = late.restored("Aurora", f"{ACCOUNT}:cluster:x")
    backup = clients.client("backup")

    def killed(**_: object) -> None:
        raise KeyboardInterrupt

    backup.meta.events.register("after-call.backup.PutRestoreValidationResult", killed)
    rehearsal = validator.Rehearsal(dict(os.environ), lambda _: backup, validator.Job.read(backup, job))
    world.capfd.readouterr()
    with pytest.raises(KeyboardInterrupt):
        rehearsal.report(validator.Verdict(True, 1, "well"))
    world.said = [json.loads(line) for line in world.capfd.readouterr().out.splitlines()]
    assert late.jobs[job]["ValidationStatus"] == "SUCCESSFUL"
    assert world.measured[("validator",)] == {"RestoreValid": 1, "RestoreSeconds": 1}


def test_other_refusals_are_not_swallowed(world: World, late: stand_in.Backup) -> None:
    job = late.restored("Aurora", f"{ACCOUNT}:cluster:x")
    rehearsal = world.rehearsal(job)
    del late.jobs[job]["ValidationStatus"]
    with pytest.raises(ClientError, match="InvalidRequestException"):
        rehearsal.report(validator.Verdict(True, 1, "well"))
    iam, name = world.aws.client("iam"), uuid.uuid4().hex
    iam.create_user(UserName=name)
    stranger = iam.create_access_key(UserName=name)["AccessKey"]
    rds = world.aws.client("rds", aws_access_key_id=stranger["AccessKeyId"], aws_secret_access_key=stranger["SecretAccessKey"])
    refused = validator.Rehearsal(rehearsal.environment, lambda _: rds, rehearsal.job)
    cluster = {"DBClusterIdentifier": "books", "Engine": "aurora-postgresql"}
    for call in (
        lambda: validator._add_instance(refused, cluster, INSTANCE),
        lambda: validator._delete(rds, {"DBInstanceIdentifier": INSTANCE}),
        lambda: validator._find_instance(refused, INSTANCE),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def test_instance_of_another_rehearsal_is_waited_for_until_it_was_forgotten(world: World, late: stand_in.Backup) -> None:
    theirs, ours = _restored(world), _restored(world)
    job = late.restored("Aurora", ours)
    for seconds, did in ((10, "waits: the instance of another rehearsal"), (2 * validator.PATIENCE + 1, "deletes the instance")):
        tag = {"Key": validator.STARTED, "Value": (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()}
        world.add(theirs.rsplit(":", 1)[1], Tags=[tag])
        assert world.run(job)["did"].startswith(did)
        late.jobs[job]["ValidationStatus"] = "FAILED"
        assert world.run(job)["did"] == "found FAILED: nothing is left to do", "nor does what has ended wait for it"
        late.jobs[job]["ValidationStatus"] = "VALIDATING"
        if INSTANCE in world.instances():
            world.aws.client("rds").delete_db_instance(DBInstanceIdentifier=INSTANCE, SkipFinalSnapshot=True)


def test_instance_that_is_not_ours_is_never_touched(world: World) -> None:
    job = world.restore()
    world.add(world.job(job)["CreatedResourceArn"].rsplit(":", 1)[1])
    assert "it is not this function's" in world.refuses(job)
    assert INSTANCE in world.instances()


def test_instance_is_taken_away_although_the_window_has_ended(world: World, late: stand_in.Backup) -> None:
    arn = _restored(world)
    job = late.restored("Aurora", arn)
    assert world.run(job)["did"] == f"added the instance {INSTANCE}"
    late.jobs[job]["ValidationStatus"] = "TIMED_OUT"
    assert world.steps(job) == [f"deletes the instance {INSTANCE}", "found TIMED_OUT: nothing is left to do"]


def test_instance_carries_the_tags_of_its_environment(world: World) -> None:
    world.monkeypatch.setenv("TAGS", json.dumps({"System": "regional-platform", "Environment": "test"}))
    world.monkeypatch.delenv("SUBNET_GROUP")
    world.run(world.restore())
    [instance] = world.aws.client("rds").describe_db_instances(DBInstanceIdentifier=INSTANCE)["DBInstances"]
    tags = {tag["Key"]: tag["Value"] for tag in instance["TagList"]}
    assert datetime.now(UTC) - datetime.fromisoformat(tags.pop(validator.STARTED)) < timedelta(minutes=1)
    assert tags == {"System": "regional-platform", "Environment": "test"}


def test_verdict_survives_the_tag_that_it_is_written_to() -> None:
    verdict = validator.Verdict(False, 12.6, "It said: \"no\", (28P01); 'x' & " + "y" * 300)
    value = verdict.remembered()
    assert len(value) <= 256
    assert not set(value) & set("\"'(),;&")
    recalled = validator.Verdict.recalled([{"Key": "other", "Value": "x"}, {"Key": validator.RESULT, "Value": value}])
    assert recalled is not None
    assert (recalled.good, recalled.seconds) == (False, 13)
    assert recalled.said.startswith("It said:  no")
    assert validator.Verdict.recalled([]) is None
