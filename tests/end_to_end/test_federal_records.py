"""Federal records in an environment, both ways: with the reference primary, and following an agency's own database."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest
import redis
from botocore.exceptions import ClientError
from redis.backoff import NoBackoff
from redis.retry import Retry

from chain.environment.exit_codes import Exit
from emulator import Emulator
from tests.support.commands import ROOT, deployed
from tests.support.emulator.databases import eventually
from tests.support.end_to_end.roles import ON_BEHALF, granted, permissions, without
from tests.support.end_to_end.sessions import session
from tests.support.reference_primary import REFERENCE_PRIMARY

pytestmark = pytest.mark.xdist_group("federal-records")

HERE, THERE = "eu-west-2", "eu-west-1"
SUFFIX, AGENCY = "e2e", "agency"
CACHE = f"secret-cache-{SUFFIX}"


def _run_in(root: Path, aws: Emulator, suffix: str, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``deploy.py`` on a checkout whose parameter files are the test's own."""
    program = "import sys, pathlib, deploy; sys.exit(deploy.main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
    asked = [command, "--env", suffix, "--system", "federal-records", *arguments]
    return subprocess.run(
        [sys.executable, "-c", program, str(root), *asked],
        cwd=ROOT,
        env={**aws.environment, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def _checkout(folder: Path, suffix: str, values: str) -> Path:
    """A copy of what the chain reads, with a file for one environment."""
    for name in ("templates", "parameters", "out/packages"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / f"parameters/federal-records/{suffix}.yaml").write_text(values)
    return folder


def _outputs(aws: Emulator, region: str, layer: str, suffix: str = SUFFIX) -> dict[str, str]:
    answer = aws.client("cloudformation", region).describe_stacks(StackName=f"federal-records-{layer}-{suffix}")
    return {output["OutputKey"]: output["OutputValue"] for output in answer["Stacks"][0]["Outputs"]}


def _secret(aws: Emulator, region: str, name: str = f"secret-database-{SUFFIX}") -> dict[str, Any]:
    text = aws.client("secretsmanager", region).get_secret_value(SecretId=name)["SecretString"]
    value: dict[str, Any] = json.loads(text)
    return value


@contextlib.contextmanager
def _source(aws: Emulator) -> Iterator[pg8000.native.Connection]:
    with session(aws, _secret(aws, THERE)) as connection:
        yield connection


@contextlib.contextmanager
def _replica(aws: Emulator, suffix: str = SUFFIX, name: str = "") -> Iterator[pg8000.native.Connection]:
    """With the secret's replica, at the database's replica."""
    found = _outputs(aws, HERE, "database-replica", suffix)
    secret = _secret(aws, HERE, name or f"secret-database-{suffix}")
    with session(aws, secret, found["Endpoint"], found["Port"]) as connection:
        yield connection


@pytest.fixture(scope="module")
def aws(aws: Emulator) -> Emulator:
    deployed(aws, "federal-records", SUFFIX)
    return aws


def test_what_is_committed_at_the_source_is_read_at_the_replica_which_takes_no_write(aws: Emulator) -> None:
    with _source(aws) as source:
        source.run("create table record (id int primary key, name text)")
        source.run("insert into record values (1, 'birth'), (2, 'tax')")
    with _replica(aws) as replica:
        eventually(lambda: replica.run("select count(*) from pg_class where relname = 'record'"), [[1]])
        eventually(lambda: replica.run("select id, name from record order by id"), [[1, "birth"], [2, "tax"]])
        assert replica.run("select pg_is_in_recovery()") == [[True]]
        with pytest.raises(pg8000.exceptions.DatabaseError, match="25006"):
            replica.run("insert into record values (3, 'none')")


def test_a_password_rotated_at_the_source_opens_the_replica_with_the_secrets_replica(aws: Emulator) -> None:
    before = _secret(aws, HERE)
    aws.client("secretsmanager", THERE).rotate_secret(SecretId=f"secret-database-{SUFFIX}")
    aws.settle()
    after = _secret(aws, HERE)
    assert after["password"] != before["password"]
    assert after == _secret(aws, THERE)
    with _replica(aws) as replica:
        assert replica.run("select 1") == [[1]]


def test_the_rotation_at_the_recovery_site_has_no_schedule_and_changes_nothing_when_it_is_asked(aws: Emulator) -> None:
    secrets = aws.client("secretsmanager", HERE)
    described = secrets.describe_secret(SecretId=f"secret-database-{SUFFIX}")
    assert described["PrimaryRegion"] == THERE
    assert "RotationLambdaARN" not in described
    with pytest.raises(ClientError, match="InvalidRequestException"):
        secrets.rotate_secret(
            SecretId=f"secret-database-{SUFFIX}",
            RotationLambdaARN=_outputs(aws, HERE, "rotation-standby")["FunctionArn"],
            RotationRules={"AutomaticallyAfterDays": 30},
        )
    before = _secret(aws, HERE)
    event = {"Step": "setSecret", "SecretId": described["ARN"], "ClientRequestToken": next(iter(described["VersionIdsToStages"]))}
    answer = aws.client("lambda", HERE).invoke(FunctionName=f"function-rotation-{SUFFIX}", Payload=json.dumps(event))
    assert "is not set up for rotation" in json.loads(answer["Payload"].read())["errorMessage"]
    assert _secret(aws, HERE) == before


def test_files_written_at_the_primary_site_are_read_at_the_recovery_site(aws: Emulator) -> None:
    source = aws.files(_outputs(aws, THERE, "files")["FileSystemId"])
    replica_id = _outputs(aws, HERE, "files-replica")["FileSystemId"]
    (source / "records").mkdir(parents=True, exist_ok=True)
    (source / "records/letter.txt").write_text("Dear citizen")
    assert replica_id in aws.replicate_files()
    assert (aws.files(replica_id) / "records/letter.txt").read_text() == "Dear citizen"


@pytest.mark.parametrize(("layer", "region", "other"), [("backup", THERE, HERE), ("backup-recovery", HERE, THERE)])
def test_the_hourly_backup_of_files_is_copied_into_the_vault_of_the_other_region(
    aws: Emulator, layer: str, region: str, other: str
) -> None:
    def held() -> int:
        vault = aws.client("backup", other)
        points = vault.list_recovery_points_by_backup_vault(BackupVaultName=f"backup-vault-{SUFFIX}", ByResourceType="EFS")
        return len(points["RecoveryPoints"])

    before = held()
    aws.back_up(_outputs(aws, region, layer)["EFSPlanId"], region)
    aws.settle()
    assert held() == before + 1


@pytest.fixture
def agency(aws: Emulator) -> Iterator[dict[str, str]]:
    """An instance with its secret that another stack, or nobody's, made in the source's region; the secret has a replica here."""
    rds, secrets = aws.client("rds", THERE), aws.client("secretsmanager", THERE)
    login = {"username": "agency", "password": "long-enough-to-be-one"}
    key = aws.client("kms", THERE).create_key()["KeyMetadata"]["Arn"]
    made = rds.create_db_instance(
        DBInstanceIdentifier="citizens",
        Engine="postgres",
        EngineVersion="16.15",
        DBInstanceClass="db.r6g.large",
        AllocatedStorage=100,
        DBName="records",
        MasterUsername=login["username"],
        MasterUserPassword=login["password"],
        StorageEncrypted=True,
        KmsKeyId=key,
        BackupRetentionPeriod=7,
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="citizens")
    found = rds.describe_db_instances(DBInstanceIdentifier="citizens")["DBInstances"][0]["Endpoint"]
    content = {**login, "engine": "postgres", "host": found["Address"], "port": found["Port"], "dbname": "records"}
    arn = secrets.create_secret(Name="agency/citizens", SecretString=json.dumps(content), AddReplicaRegions=[{"Region": HERE}])[
        "ARN"
    ]
    yield {"database": made["DBInstance"]["DBInstanceArn"], "secret": arn.replace(f":{THERE}:", f":{HERE}:")}
    for region in (HERE, THERE):  # each its own: the failover has promoted the replica
        aws.client("secretsmanager", region).delete_secret(SecretId="agency/citizens", ForceDeleteWithoutRecovery=True)
    rds.delete_db_instance(DBInstanceIdentifier="citizens", SkipFinalSnapshot=True)


def _stacks(aws: Emulator, region: str, suffix: str) -> set[str]:
    stacks = aws.client("cloudformation", region).describe_stacks()["Stacks"]
    names = [stack["StackName"] for stack in stacks if stack["StackName"].endswith(f"-{suffix}")]
    return {name.removeprefix("federal-records-").removesuffix(f"-{suffix}") for name in names}


def _leaves_and_does_not_come_back(root: Path, aws: Emulator) -> None:
    """A person approves the failover of an agency's database; the way back is the agency's own."""
    asked = _run_in(root, aws, AGENCY, "failover", "--mode", "failover", "--yes")
    assert asked.returncode == Exit.WAITING, asked.stdout + asked.stderr
    assert "the primary may be writing still" in asked.stdout
    (execution,) = re.findall(r"APPROVE=(\S+)", asked.stdout)
    approved = _run_in(root, aws, AGENCY, "failover", "--approve", execution, "--yes")
    assert approved.returncode == Exit.OK, approved.stdout + approved.stderr
    aws.settle()
    secret = _secret(aws, HERE, "agency/citizens")
    assert secret["host"] == _outputs(aws, HERE, "database-replica", AGENCY)["Endpoint"]
    with session(aws, secret) as connection:
        assert connection.run("select pg_is_in_recovery()") == [[False]]
    mode = aws.client("ssm", HERE).get_parameter(Name=f"/federal-records/{AGENCY}/config/mode")["Parameter"]["Value"]
    assert mode == "approve", "for nobody can fence that database"
    aws.forget_calls()
    refused = _run_in(root, aws, AGENCY, "failback", "--yes")
    assert refused.returncode == Exit.REFUSED, refused.stdout + refused.stderr
    assert "db:citizens is not of federal-records-agency" in refused.stdout
    assert not [call.action for call in aws.calls() if not re.match(r"\w+:(Describe|Get|List)", call.action)]


def test_an_agencys_database_is_followed_without_the_reference_primary(
    aws: Emulator, agency: dict[str, str], tmp_path: Path
) -> None:
    values = f"""
database-replica: {{SourceDatabaseArn: '{agency["database"]}', EngineFamily: postgres16}}
rotation-standby: {{SourceSecretArn: '{agency["secret"]}'}}
network: {{SourceSecretArn: '{agency["secret"]}'}}
"""
    root = _checkout(tmp_path, AGENCY, values)
    planned = _run_in(root, aws, AGENCY, "plan")
    assert planned.returncode == 0, planned.stderr
    left_out = set(re.findall(rf"federal-records-(\S+)-{AGENCY} at primary: optional", planned.stdout))
    assert left_out == REFERENCE_PRIMARY
    deployed = _run_in(root, aws, AGENCY, "deploy")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    try:
        assert _stacks(aws, THERE, AGENCY) == {"keys", "vault"}
        replica = aws.client("rds", HERE).describe_db_instances(DBInstanceIdentifier=f"rds-{AGENCY}")["DBInstances"][0]
        assert replica["ReadReplicaSourceDBInstanceIdentifier"] == agency["database"]
        assert replica["MultiAZ"] is True
        with _replica(aws, AGENCY, "agency/citizens") as connection:
            assert connection.run("select pg_is_in_recovery()") == [[True]]
        # Without a source to be replicated from, the file system here is the writable one.
        files = aws.client("efs", HERE)
        own = _outputs(aws, HERE, "files-replica", AGENCY)["FileSystemId"]
        with pytest.raises(files.exceptions.ReplicationNotFound):
            files.describe_replication_configurations(FileSystemId=own)
        _leaves_and_does_not_come_back(root, aws)
    finally:
        destroyed = _run_in(root, aws, AGENCY, "destroy", "--yes")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert _stacks(aws, HERE, AGENCY) == _stacks(aws, THERE, AGENCY) == set()
    source = aws.client("rds", THERE).describe_db_instances(DBInstanceIdentifier="citizens")["DBInstances"][0]
    assert source["DBInstanceStatus"] == "available"


def test_a_source_without_its_secret_is_refused_before_anything_is_called(aws: Emulator, tmp_path: Path) -> None:
    arn = "arn:aws:rds:eu-west-1:123456789012:db:citizens"
    root = _checkout(tmp_path, AGENCY, f"database-replica: {{SourceDatabaseArn: '{arn}'}}\n")
    refused = _run_in(root, aws, AGENCY, "plan")
    assert refused.returncode != 0
    assert "database-replica.SourceDatabaseArn" in refused.stderr
    assert "rotation-standby.SourceSecretArn" in refused.stderr


def _accounted_for(aws: Emulator, role: str, region: str, secret: str) -> None:
    """A rotation ends well, calls nothing that its role may not, and the role may nothing that is not called."""
    aws.forget_calls()
    before = _secret(aws, region, secret)
    aws.client("secretsmanager", region).rotate_secret(SecretId=secret, RotateImmediately=True)
    aws.settle()
    assert _secret(aws, region, secret) != before
    calls = [call for call in aws.calls() if call.role == role]
    assert [call for call in calls if not call.allowed] == []
    assert granted(aws, role) == {call.action for call in calls} | ON_BEHALF


@pytest.mark.parametrize(
    ("role", "region", "secret"), [("rotation", THERE, "secret-database"), ("cache-rotation", HERE, "secret-cache")]
)
def test_every_permission_of_a_rotation_is_used_by_it_or_by_aws_on_its_behalf(
    aws: Emulator, role: str, region: str, secret: str
) -> None:
    _accounted_for(aws, f"role-{role}-{region}-{SUFFIX}", region, f"{secret}-{SUFFIX}")


def _cache(aws: Emulator, label: str = "AWSCURRENT") -> redis.Redis:
    text = aws.client("secretsmanager", HERE).get_secret_value(SecretId=CACHE, VersionStage=label)["SecretString"]
    (group,) = aws.client("elasticache", HERE).describe_replication_groups()["ReplicationGroups"]
    place, login = group["NodeGroups"][0]["PrimaryEndpoint"], json.loads(text)
    return redis.Redis(
        host=place["Address"],
        port=place["Port"],
        username=login["username"],
        password=login["password"],
        ssl=True,
        ssl_ca_certs=str(aws.root),
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )


def test_the_application_may_keep_sessions_in_the_cache_and_nothing_else(aws: Emulator) -> None:
    assert _cache(aws, "AWSPREVIOUS").set("session:1", "value")
    session = _cache(aws)
    assert session.set("session:2", "value", ex=60)
    assert session.hset("session:3", mapping={"user": "4711"}) == 1
    assert session.pipeline(transaction=True).get("session:2").expire("session:3", 60).execute() == [b"value", True]
    forbidden = (
        lambda: session.get("other"),
        lambda: session.keys("*"),
        session.flushall,
        session.dbsize,
        session.acl_list,
        lambda: session.config_get("*"),
        session.client_list,
        lambda: session.publish("channel", "message"),
    )
    for call in forbidden:
        with pytest.raises(redis.exceptions.NoPermissionError):
            call()


@pytest.mark.parametrize(("sid", "action"), permissions("federal-records", "cache-rotation"))
def test_without_any_single_permission_the_rotation_of_the_caches_password_does_not_end(
    aws: Emulator, sid: str, action: str
) -> None:
    def rotate() -> None:
        secrets = aws.client("secretsmanager", HERE)
        with contextlib.suppress(secrets.exceptions.InvalidRequestException):  # one is under way already, and is tried again
            secrets.rotate_secret(SecretId=CACHE)
        aws.settle()

    before = _secret(aws, HERE, CACHE)
    with without(aws, f"role-cache-rotation-{HERE}-{SUFFIX}", sid, action):
        rotate()
        assert _secret(aws, HERE, CACHE) == before
        assert _cache(aws).ping()
    rotate()
    assert _secret(aws, HERE, CACHE)["password"] != before["password"]


def test_the_standby_rotation_once_armed_rotates_the_promoted_secret_with_no_permission_left_over(aws: Emulator) -> None:
    rds, secrets, name = aws.client("rds", HERE), aws.client("secretsmanager", HERE), f"secret-database-{SUFFIX}"
    rds.promote_read_replica(DBInstanceIdentifier=f"rds-{SUFFIX}", BackupRetentionPeriod=7)
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=f"rds-{SUFFIX}")
    secrets.stop_replication_to_replica(SecretId=name)
    found = _outputs(aws, HERE, "database-replica")
    moved = {**_secret(aws, HERE), "host": found["Endpoint"], "port": int(found["Port"])}
    # With both labels: were AWSPENDING left behind, Secrets Manager would say that the last rotation is not complete.
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(moved), VersionStages=["AWSCURRENT", "AWSPENDING"])
    arm = {"RotationLambdaARN": _outputs(aws, HERE, "rotation-standby")["FunctionArn"]}
    secrets.rotate_secret(SecretId=name, **arm, RotationRules={"AutomaticallyAfterDays": 30}, RotateImmediately=False)
    aws.settle()
    _accounted_for(aws, f"role-rotation-{HERE}-{SUFFIX}", HERE, name)
    with _replica(aws) as writer:
        assert writer.run("select pg_is_in_recovery()") == [[False]]
    assert _secret(aws, THERE)["password"] != _secret(aws, HERE)["password"]
