"""A read replica is promoted by the function, with its files and its secret, and every name returns to its role afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError
from common.report import FunctionError

from emulator import Emulator
from tests.support.emulator import databases
from tests.support.emulator.replicas import HERE as SINGAPORE
from tests.support.emulator.replicas import THERE, create, described, follow
from tests.support.functions.failovers import BACK, PROBE, SYSTEM, Failover, Site, answers, function, onward, site
from tests.support.functions.failovers import THERE as OVER
from tests.support.functions.harm import KILLS, TROUBLES, Everywhere, Harm

HOME, AWAY = "failing-source", "failing-replica"
SUFFIXES = count(1)
AHEAD = PROBE.replace('"epoch": 0', '"epoch": 99')
"""A probe that has heard of every epoch: what is written by the fence has come with the stream."""

STUBBORN = PROBE.replace('return {"fenced": True', 'raise RuntimeError("of the test")\n        return {"fenced": True')

ADOPTS = """
    if do == "adopt":
        import boto3
        secrets = boto3.client("secretsmanager")
        value = secrets.get_secret_value(SecretId="{secret}")["SecretString"]
        secrets.put_secret_value(SecretId="{secret}", SecretString=value)
    if do"""
"""What the probe of the recovery site does to the secret there, beside what the one ahead says."""

Start = Callable[..., Failover]


@pytest.fixture(scope="module")
def aws(aws: Emulator) -> Emulator:
    for region in (SINGAPORE, THERE):
        subnets(aws, region)
        aws.client("rds", region).create_db_parameter_group(
            DBParameterGroupName="failing", DBParameterGroupFamily="postgres15", Description="Of the test"
        )
        site(aws, region, "")
        function(aws, "ahead", region, AHEAD)
        function(aws, "behind", region)
        function(aws, "stubborn", region, STUBBORN)
    function(aws, "rotation", THERE)
    aws.client("lambda", THERE).add_permission(
        FunctionName="rotation",
        StatementId="it",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    return aws


@pytest.fixture
def start(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A source with a replica, files that replicate, a secret with a replica; all of it of an environment of its own."""
    made: list[Made] = []

    def begin(**owner: str) -> Failover:
        made.append(make(aws, f"r{next(SUFFIXES)}", owner))
        return made[-1].begin(aws, monkeypatch)

    yield begin
    for one in made:
        one.delete(aws)


@pytest.fixture(scope="module")
def still(aws: Emulator) -> Iterator[Made]:
    """An environment in which nothing changes its role."""
    made = make(aws, "still", {})
    yield made
    made.delete(aws)


@pytest.fixture
def at_rest(aws: Emulator, still: Made, monkeypatch: pytest.MonkeyPatch) -> Failover:
    """What would fail over there."""
    return still.begin(aws, monkeypatch)


@dataclass(frozen=True)
class Made:
    """What stands of one environment, and the variables of its failover function."""

    suffix: str
    sites: dict[str, Site]
    environment: dict[str, str]

    def begin(self, aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Failover:
        begun = Failover(aws, monkeypatch, self.suffix, self.sites[THERE], self.sites[SINGAPORE])
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        return begun

    def delete(self, aws: Emulator) -> None:
        for region, name in ((SINGAPORE, f"{HOME}-{self.suffix}"), (THERE, f"{AWAY}-{self.suffix}")):
            rds = aws.client("rds", region)
            if name in [one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]]:
                rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def make(aws: Emulator, suffix: str, owner: dict[str, str]) -> Made:
    """Both sites; of this environment, or of another ``owner``, by their tags."""
    owner = owner or {"System": SYSTEM, "Environment": suffix}
    tags = [{"Key": key, "Value": value} for key, value in owner.items()]
    monitored = {"EnablePerformanceInsights": True, "PerformanceInsightsRetentionPeriod": 7}
    source = create(
        aws,
        f"{HOME}-{suffix}",
        DBSubnetGroupName="failing",
        DBParameterGroupName="failing",
        Tags=tags,
        PreferredBackupWindow="03:00-04:00",
        PerformanceInsightsKMSKeyId=databases.key(aws, SINGAPORE),
        **monitored,
    )
    replica = follow(
        aws,
        f"{AWAY}-{suffix}",
        source["DBInstanceArn"],
        DBSubnetGroupName="failing",
        Tags=tags,
        PerformanceInsightsKMSKeyId=databases.key(aws, THERE),
        **monitored,
    )
    aws.client("rds", THERE).modify_db_instance(
        DBInstanceIdentifier=f"{AWAY}-{suffix}",
        BackupRetentionPeriod=7,
        PreferredBackupWindow="01:00-01:30",
        DBParameterGroupName="failing",
        ApplyImmediately=True,
    )
    aws.client("rds", THERE).reboot_db_instance(DBInstanceIdentifier=f"{AWAY}-{suffix}")
    aws.client("rds", THERE).get_waiter("db_instance_available").wait(DBInstanceIdentifier=f"{AWAY}-{suffix}")
    sites = {
        region: Site(
            region,
            one["DBInstanceArn"],
            f"arn:aws:lambda:{region}:123456789012:function:ahead",
            f"arn:aws:sns:{region}:123456789012:operators",
            "",
        )
        for region, one in ((SINGAPORE, source), (THERE, replica))
    }
    files, target = (
        aws.client("efs", region).create_file_system(CreationToken=suffix, Encrypted=True)["FileSystemId"]
        for region in (SINGAPORE, THERE)
    )
    aws.client("efs", THERE).update_file_system_protection(FileSystemId=target, ReplicationOverwriteProtection="DISABLED")
    aws.client("efs", SINGAPORE).create_replication_configuration(
        SourceFileSystemId=files, Destinations=[{"FileSystemId": target, "Region": THERE}]
    )
    credential = {"username": "u", "password": "of-then", "host": "of-home", "port": 1, "dbname": "kept"}
    secret = aws.client("secretsmanager", SINGAPORE).create_secret(
        Name=f"failing-{suffix}",
        SecretString=json.dumps(credential),
        AddReplicaRegions=[{"Region": THERE, "KmsKeyId": databases.key(aws, THERE)}],
    )["ARN"]
    environment = {
        "KIND": "replica",
        "HOME_ARN": source["DBInstanceArn"],
        "TARGET_ARN": replica["DBInstanceArn"],
        "FILE_SYSTEM_ID": target,
        "SECRET_ARN": secret.replace(SINGAPORE, THERE),
        "SECRET_HOME_ARN": secret,
        "ROTATION_ARN": f"arn:aws:lambda:{THERE}:123456789012:function:rotation",
    }
    return Made(suffix, sites, environment)


def subnets(aws: Emulator, region: str) -> None:
    ec2 = aws.client("ec2", region)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=region + zone)["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    ]
    aws.client("rds", region).create_db_subnet_group(
        DBSubnetGroupName="failing", DBSubnetGroupDescription="Of the test", SubnetIds=made
    )


def home(failover: Failover) -> dict[str, Any]:
    return described(failover.aws, f"{HOME}-{failover.suffix}", SINGAPORE)


def away(failover: Failover) -> dict[str, Any]:
    return described(failover.aws, f"{AWAY}-{failover.suffix}", THERE)


def source_of(found: dict[str, Any]) -> str:
    return str(found.get("ReadReplicaSourceDBInstanceIdentifier") or "").rpartition(":")[2]


def fail_over(failover: Failover) -> None:
    failover.both()
    assert failover.invoke(failover.event())["outcome"] == "begun"
    said = failover.drive()
    assert said[-1]["outcome"] == "completed", said


def ask_back(failover: Failover) -> str:
    back = failover.invoke({"request": "failback", "by": "operator"})
    assert back["outcome"] == "begun", back
    return str(back["execution"])


def drive_back(failover: Failover, execution: str, until: str = "") -> dict[str, Any]:
    """Acts as the command asks for them, until one of a step, or until nothing more is to be done by us."""
    for _ in range(60):
        answer = failover.invoke({"request": "failback", "execution": execution})
        if not answer["more"] or answer.get("step") in (until, "drift-free") or answer["outcome"] == "step-failed":
            break
        failover.aws.settle()
    return answer


def say_drift_free(failover: Failover, execution: str) -> None:
    path = f"/{SYSTEM}/{failover.suffix}/execution/{execution}/drift-free"
    failover.ssm.put_parameter(Name=path, Value=json.dumps({"at": datetime.now(UTC).isoformat()}), Type="String")


def is_home(failover: Failover, before: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Each name has its role again, and what was declared of it."""
    assert failover.topology["state"] == "home"
    assert source_of(home(failover)) == ""
    assert source_of(away(failover)) == f"{HOME}-{failover.suffix}"
    for now, then in zip((home(failover), away(failover)), before, strict=True):
        for name in (
            "DBParameterGroups",
            "BackupRetentionPeriod",
            "PreferredBackupWindow",
            "PreferredMaintenanceWindow",
            "KmsKeyId",
            "PerformanceInsightsKMSKeyId",
            "PerformanceInsightsEnabled",
            "PerformanceInsightsRetentionPeriod",
            "StorageType",
            "TagList",
        ):
            assert now.get(name) == then.get(name), name
        assert now["DbiResourceId"] != then["DbiResourceId"]


def test_a_replica_is_promoted_with_files_and_secret_and_every_name_returns_to_its_role(aws: Emulator, start: Start) -> None:
    failover = start()
    before = home(failover), away(failover)
    fail_over(failover)
    promoted = away(failover)
    assert source_of(promoted) == ""
    assert (promoted["BackupRetentionPeriod"], promoted["PreferredBackupWindow"]) == (7, "01:00-01:30"), "as it is declared"
    assert (failover.topology["state"], failover.topology["site"]) == ("failed-over", "recovery")
    files = aws.client("efs", THERE).describe_file_systems()["FileSystems"]
    assert all(one["FileSystemProtection"]["ReplicationOverwriteProtection"] != "REPLICATING" for one in files)
    (kept,) = snapshots(failover, THERE)
    assert kept["DBSnapshotIdentifier"] == f"{AWAY}-{failover.suffix}-epoch-1-promoted"
    assert {"Key": "Topology", "Value": "failed-over"} in kept["TagList"]

    manager = aws.client("secretsmanager", THERE)
    secret = manager.describe_secret(SecretId=f"failing-{failover.suffix}")
    assert secret["RotationEnabled"]
    value = {"username": "u", "password": "of-now", "host": "of-the-recovery-site", "port": 2, "dbname": "kept"}
    manager.put_secret_value(SecretId=secret["ARN"], SecretString=json.dumps(value))

    execution = ask_back(failover)
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do", "the clock makes no act of a failback"
    answer = drive_back(failover, execution)
    assert (answer["step"], answer["outcome"]) == ("drift-free", "waiting"), answer
    assert failover.topology["state"] == "failed-over", "not before somebody has read everything back"
    say_drift_free(failover, execution)
    assert drive_back(failover, execution)["outcome"] == "completed"
    is_home(failover, before)
    assert [one["DBSnapshotIdentifier"] for one in snapshots(failover, SINGAPORE)] == [
        f"{HOME}-{failover.suffix}-epoch-2-before-failback"
    ]
    assert {one["DBSnapshotIdentifier"] for one in snapshots(failover, THERE)} == {
        f"{AWAY}-{failover.suffix}-epoch-1-promoted",
        f"{AWAY}-{failover.suffix}-epoch-2-before-failback",
    }
    for region in (SINGAPORE, THERE):
        found = aws.client("secretsmanager", region).describe_secret(SecretId=f"failing-{failover.suffix}")
        assert found.get("PrimaryRegion", region) == SINGAPORE, "a replica again"
        held = aws.client("secretsmanager", region).get_secret_value(SecretId=f"failing-{failover.suffix}")
        endpoint = home(failover)["Endpoint"]
        assert json.loads(held["SecretString"]) == {
            "username": "u",
            "password": "of-now",
            "host": endpoint["Address"],
            "port": endpoint["Port"],
            "dbname": "kept",
        }
        assert set(held["VersionStages"]) >= {"AWSCURRENT", "AWSPENDING"}


def snapshots(failover: Failover, region: str) -> list[dict[str, Any]]:
    pages = failover.aws.client("rds", region).describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    return [one for one in pages if one["DBInstanceIdentifier"].endswith(f"-{failover.suffix}")]


def test_an_instance_that_is_somebody_elses_is_never_touched(start: Start) -> None:
    failover = start(Owner="an agency", Environment="r2")
    fail_over(failover)
    before = home(failover)
    answer = drive_back(failover, ask_back(failover))
    assert (answer["outcome"], answer["step"]) == ("step-failed", "home-kept")
    assert "is not ours" in answer["why"]
    assert home(failover) == before
    assert not snapshots(failover, SINGAPORE)


def test_a_switchover_fences_first_and_waits_until_the_fence_has_come_with_the_stream(start: Start) -> None:
    failover = start()
    assert failover.invoke({"request": "switchover", "by": "operator"})["outcome"] == "begun"
    failover.monkeypatch.setenv("PROBE_PRIMARY_ARN", f"arn:aws:lambda:{SINGAPORE}:123456789012:function:absent")
    answer = failover.invoke({"tick": True})
    assert (answer["step"], answer["outcome"]) == ("fence", "step-failed")
    assert "cannot be fenced, so a switchover would lose what it writes" in answer["why"]
    failover.monkeypatch.setenv("PROBE_PRIMARY_ARN", f"arn:aws:lambda:{SINGAPORE}:123456789012:function:stubborn")
    answer = failover.invoke({"tick": True})
    assert "answers its probe, and its fence failed" in answer["why"]
    failover.monkeypatch.setenv("PROBE_PRIMARY_ARN", failover.away.probe)
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", f"arn:aws:lambda:{THERE}:123456789012:function:behind")
    assert failover.invoke({"tick": True})["step"] == "fence"
    for _ in range(2):
        answer = failover.invoke({"tick": True})
        assert (answer["step"], answer["outcome"]) == ("caught-up", "waiting")
    assert source_of(away(failover)), "not yet"
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", failover.here.probe)
    assert failover.drive()[-1]["outcome"] == "completed"
    assert failover.topology["rpo_seconds"] == 0


def test_a_rotation_that_one_error_kept_from_beginning_begins_a_minute_later(aws: Emulator, start: Start) -> None:
    failover = start()
    failover.both()
    failover.refuse("RotateSecret", 3)  # the attempts of one call
    failover.invoke(failover.event())
    said = failover.drive()
    assert [one["outcome"] for one in said if one.get("step") == "rotation"] == ["step-failed", "acted"]
    assert said[-1]["outcome"] == "completed"
    secret = aws.client("secretsmanager", THERE).describe_secret(SecretId=f"failing-{failover.suffix}")
    assert secret["RotationEnabled"] is True


def test_a_switchover_whose_replica_does_not_catch_up_opens_its_fence_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration import run

    failover = start()
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", f"arn:aws:lambda:{THERE}:123456789012:function:behind")
    failover.invoke({"request": "switchover", "by": "operator"})
    said = failover.drive(4)
    assert [one.get("step") for one in said] == ["fence", "caught-up", "caught-up", "caught-up"]
    monkeypatch.setattr(run, "PLANNED", timedelta(0))
    last = failover.drive()[-1]
    assert (last["outcome"], failover.topology) == ("failed", {})
    assert "nothing is fenced: all is as it was before" in last["why"]
    assert source_of(away(failover)), "never promoted"


def test_a_switchover_whose_replica_is_gone_opens_its_fence_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run

    failover = start()
    failover.invoke({"request": "switchover", "by": "operator"})
    answers(failover, "fence")
    failover.aws.client("rds", THERE).delete_db_instance(DBInstanceIdentifier=f"{AWAY}-{failover.suffix}", SkipFinalSnapshot=True)
    failover.aws.settle()
    monkeypatch.setattr(run, "PLANNED", timedelta(0))
    asked = asking(monkeypatch)
    last = failover.drive()[-1]
    assert "unfence" in asked
    assert (last["outcome"], failover.topology) == ("failed", {})
    assert "nothing is fenced: all is as it was before" in last["why"]


def test_who_was_fenced_and_never_left_is_let_in_again_at_home(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run, shared

    failover = start()
    before = home(failover), away(failover)
    failover.both()
    failover.refuse("PromoteReadReplica")
    failover.invoke(failover.event())
    assert {"fence", "promote"} <= {one.get("step") for one in failover.drive(6)}
    monkeypatch.setattr(run, "DEADLINE", timedelta(0))
    assert failover.drive(1)[0]["step"] == "giving-up", "what was asked for may show late"
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    failover.primary("absent")  # it cannot be opened again
    assert failover.drive()[-1]["outcome"] == "failed"
    assert (failover.topology["state"], failover.topology["writer"]) == ("broken", "")
    failover.disturb()
    failover.primary("ahead")
    execution = ask_back(failover)
    drive_back(failover, execution)
    say_drift_free(failover, execution)
    assert drive_back(failover, execution)["outcome"] == "completed"
    assert (failover.topology["state"], failover.topology["site"]) == ("home", "primary")
    assert [now["DbiResourceId"] for now in (home(failover), away(failover))] == [then["DbiResourceId"] for then in before]
    assert not any("removed" in name for name in failover.parameters(f"execution/{execution}/"))


@pytest.mark.parametrize("shown", ["as a replica", "as none", "not answered"])
def test_a_promotion_that_takes_longer_than_its_bound_is_told_and_ends_well(
    start: Start, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    """The instance is not there for hours after AWS was asked: did its answer come, does RDS show its source still."""
    from orchestration import replica, run

    failover, real = start(), replica.instance

    def slow(world: Any, which: str, rds: Any = None) -> dict[str, Any] | None:
        found = real(world, which, rds)
        if which != replica.TARGET or found is None or source_of(found):
            return found
        source = {} if shown == "as none" else {"ReadReplicaSourceDBInstanceIdentifier": home(failover)["DBInstanceArn"]}
        return {**found, **source, "DBInstanceStatus": "modifying"}

    failover.invoke({"request": "switchover", "by": "operator"})
    monkeypatch.setattr(replica, "instance", slow)
    if shown == "not answered":
        unanswered(failover, "PromoteReadReplica")
    while source_of(away(failover)):
        failover.drive(1)
    failover.disturb()
    for name in ("PLANNED", "DEADLINE"):
        monkeypatch.setattr(run, name, timedelta(0))
    said = [failover.drive(1)[0] for _ in range(3)]
    assert {one["outcome"] for one in said} <= {"waiting", "step-failed"}, said
    assert (failover.topology, failover.outcomes()) == ({}, [])
    late = [value for name, value in failover.parameters("execution/").items() if "/late-" in name]
    assert len(late) == 1
    assert "nothing is given up" in late[0]["why"]
    assert "The primary site is fenced: nobody writes." in late[0]["why"]
    monkeypatch.setattr(replica, "instance", real)
    monkeypatch.setattr(run, "DEADLINE", timedelta(hours=4))
    assert failover.drive()[-1]["outcome"] == "completed", "files and secret have their own time, from the proof on"
    assert (failover.topology["state"], failover.topology["writer"]) == ("failed-over", away(failover)["DBInstanceArn"])


def unanswered(failover: Failover, call: str) -> None:
    """The service does what the call asks for, and nobody hears of it."""

    def lose(name: str) -> None:
        if name == call:
            raise ReadTimeoutError(endpoint_url="https://of-the-test")

    failover.disturb(after=lose)


def asking(monkeypatch: pytest.MonkeyPatch, fails: str = "") -> list[str]:
    """What the function asks of probes from now on; one of these questions ``fails``."""
    from orchestration.world import World

    asked: list[str] = []
    ask = World.ask

    def noted(world: Any, function: str, *bounds: Any, **event: Any) -> dict[str, Any]:
        asked.append(str(event.get("do")))
        if fails and event.get("do") == fails:
            raise FunctionError("of the test")
        return ask(world, function, *bounds, **event)

    monkeypatch.setattr(World, "ask", noted)
    return asked


@pytest.mark.parametrize("opens", [True, False])
def test_a_replica_that_was_not_promoted_is_opened_to_clients_again(
    start: Start, monkeypatch: pytest.MonkeyPatch, opens: bool
) -> None:
    from orchestration import run, shared

    failover = start()
    failover.invoke({"request": "switchover", "by": "operator"})
    failover.refuse("PromoteReadReplica")
    answers(failover, "promote")
    monkeypatch.setattr(run, "PLANNED", timedelta(0))
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    asked = asking(monkeypatch, fails="" if opens else "open")
    last = failover.drive()[-1]
    assert "open" in asked
    assert (last["outcome"], failover.topology) == ("failed", {})
    assert ("Clients do not reach the replica" in last["why"]) is not opens
    assert ("but for that, all is as it was before" in last["why"]) is not opens


def test_what_would_be_promoted_is_told_by_its_state(at_rest: Failover) -> None:
    from orchestration import replica
    from orchestration.world import World

    assert replica.target(World.of_process(), "failover") == "available"
    at_rest.monkeypatch.setenv("TARGET_ARN", f"arn:aws:rds:{THERE}:123456789012:db:absent")
    assert replica.target(World.of_process(), "failover") == "absent"
    at_rest.monkeypatch.setenv("TARGET_ARN", home(at_rest)["DBInstanceArn"])
    assert replica.target(World.of_process(), "failover") == "a replica no more"


FAILED = b"<ErrorResponse><Error><Code>%s</Code><Message>of the test</Message></Error></ErrorResponse>"


def answer(failover: Failover, call: str, body: bytes, kind: str = "") -> None:
    """The service answers one call so, from now on: a state through which the emulator passes in no time, or an error."""

    def make(name: str) -> AWSResponse | None:
        if name != call:
            return None
        said = AWSResponse("https://of-the-test", 400 if kind or b"__type" in body else 200, {"x-amzn-errortype": kind}, None)
        said._content = body
        return said

    failover.disturb(before=make)


@pytest.mark.parametrize(
    ("call", "body", "act"),
    [
        ("DescribeDBInstances", FAILED % b"Refused", lambda replica, run: replica.instance(run.world, replica.TARGET)),
        ("DescribeReplicationConfigurations", b"{}", lambda replica, run: replica._files_open(run)),
        ("CreateDBSnapshot", FAILED % b"Refused", lambda replica, run: replica._backup(run)),
    ],
)
def test_an_error_that_says_nothing_about_what_is_there_is_raised(
    at_rest: Failover, call: str, body: bytes, act: Callable[[Any, Any], object]
) -> None:
    from orchestration import replica

    answer(at_rest, call, body, "Refused")
    with pytest.raises(ClientError, match="Refused"):
        act(replica, of(at_rest))


def of(failover: Failover, **entries: object) -> Any:  # noqa: ARG001  it stands in the environment
    """A run of the function in this process, as it acts."""
    from orchestration.step import Run
    from orchestration.world import World

    return Run(World.of_process(), "manual-1", {"request": "failback"}, {f"02-{k}": v for k, v in entries.items()}, 2)


def test_what_is_under_way_is_waited_for(at_rest: Failover) -> None:
    from orchestration import replica

    files = at_rest.aws.client("efs", THERE)
    (one,) = files.describe_replication_configurations(FileSystemId=of(at_rest).world["FILE_SYSTEM_ID"])["Replications"]
    one["Destinations"][0] = {**one["Destinations"][0], "Status": "DELETING"}
    answer(at_rest, "DescribeReplicationConfigurations", json.dumps({"Replications": [one]}, default=str).encode())
    assert replica._open_files(of(at_rest)) is None
    at_rest.disturb()
    assert replica._promote(of(at_rest), replica.HOME) is None, "no replica: promoted, and restarting"
    assert replica._follow(of(at_rest), replica.HOME, "home-kept") is None, "it is being made"
    shown = """<DescribeDBSnapshotsResponse><DescribeDBSnapshotsResult><DBSnapshots><DBSnapshot>
        <DBSnapshotIdentifier>it</DBSnapshotIdentifier><Status>creating</Status>
        </DBSnapshot></DBSnapshots></DescribeDBSnapshotsResult></DescribeDBSnapshotsResponse>"""
    answer(at_rest, "DescribeDBSnapshots", shown.encode())
    assert replica._kept(of(at_rest), replica.HOME, "home-kept") is None
    assert home(at_rest)["DBInstanceStatus"] == "available"
    tags = "".join(f"<Tag><Key>{k}</Key><Value>{v}</Value></Tag>" for k, v in _owner(at_rest).items())
    for status, act in (
        ("deleting", lambda: replica._remove(of(at_rest), replica.HOME)),
        ("modifying", lambda: replica._set_up(of(at_rest), replica.HOME, "home-kept")),
    ):
        shown = f"""<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance>
            <DBInstanceStatus>{status}</DBInstanceStatus><TagList>{tags}</TagList>
            </DBInstance></DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>"""
        answer(at_rest, "DescribeDBInstances", shown.encode())
        assert act() is None
    at_rest.disturb()
    declared = {"afterwards": {"BackupRetentionPeriod": home(at_rest)["BackupRetentionPeriod"]}}
    assert replica._set_up(of(at_rest, **{"home-kept": declared}), replica.HOME, "home-kept") is None, "nothing is left to do"


def _owner(failover: Failover) -> dict[str, str]:
    return {"System": SYSTEM, "Environment": failover.suffix}


def test_a_secret_whose_replication_failed_is_replicated_again(start: Start) -> None:
    from orchestration import replica

    failover = start()
    name, manager = f"failing-{failover.suffix}", failover.aws.client("secretsmanager", SINGAPORE)
    failover.aws.client("secretsmanager", THERE).stop_replication_to_replica(SecretId=name)
    key = databases.key(failover.aws, THERE)
    manager.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": THERE, "KmsKeyId": key}])
    assert manager.describe_secret(SecretId=name)["ReplicationStatus"][0]["Status"] == "Failed", "the promoted one has its name"
    ended = replica._copy_secret(of(failover))
    assert ended is not None
    assert ended["ended"] == "Failed"
    assert not replica._secret_follows(of(failover))
    status = {"ReplicationStatus": [{"Region": THERE, "Status": "InProgress"}]}
    answer(failover, "DescribeSecret", json.dumps(status).encode())
    assert replica._copy_secret(of(failover)) is None
    failover.disturb()
    assert replica._copy_secret(of(failover)) == {"secret": "a replica again"}
    assert replica._secret_follows(of(failover))


def test_no_step_that_changes_an_instance_goes_by_without_its_tags(start: Start) -> None:
    """Each of the acts that could, by itself: whatever a journal says has been done."""
    from orchestration import replica
    from orchestration.step import Run
    from orchestration.world import World

    start(System="another")
    entries = {
        f"{number}-{which}-kept": {"afterwards": {}, "declared": {}} for number, which in (("02", "home"), ("12", "recovery"))
    }
    run = Run(World.of_process(), "manual-1", {"request": "failback"}, entries, 2)
    acts: list[Callable[[], object]] = [
        lambda: replica._kept(run, replica.HOME, "home-kept"),
        lambda: replica._remove(run, replica.HOME),
        lambda: replica._remove(run, replica.TARGET),
        lambda: replica._set_up(run, replica.HOME, "home-kept"),
        lambda: replica._set_up(run, replica.TARGET, "recovery-kept"),
    ]
    for act in acts:
        with pytest.raises(FunctionError, match="is not ours"):
            act()


def test_the_old_primary_is_not_removed_while_nobody_else_writes(at_rest: Failover) -> None:
    from orchestration import replica
    from orchestration.step import Run
    from orchestration.world import World

    run = Run(World.of_process(), "manual-1", {"request": "failback"}, {}, 1)
    with pytest.raises(FunctionError, match="does not write, so"):
        replica._remove(run, replica.HOME)
    assert home(at_rest)["DBInstanceStatus"] == "available"


def test_a_failback_that_was_given_up_is_gone_on_with_by_the_next_one(start: Start) -> None:
    failover = start()
    before = home(failover), away(failover)
    fail_over(failover)
    execution = ask_back(failover)
    drive_back(failover, execution, "home-follows")
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do", "the command makes its acts, and nothing is fenced"
    path = f"/{SYSTEM}/{failover.suffix}/execution/{execution}/99-ended"
    ended = {"at": datetime.now(UTC).isoformat(), "outcome": "failed", "why": "of the test"}
    failover.ssm.put_parameter(Name=path, Value=json.dumps(ended), Type="String")
    execution = ask_back(failover)
    assert drive_back(failover, execution)["step"] == "drift-free"
    say_drift_free(failover, execution)
    drive_back(failover, execution)
    is_home(failover, before)


def test_an_instance_that_is_gone_and_that_no_journal_knows_is_told(start: Start) -> None:
    failover = start()
    fail_over(failover)
    failover.aws.client("rds", SINGAPORE).delete_db_instance(
        DBInstanceIdentifier=f"{HOME}-{failover.suffix}", SkipFinalSnapshot=True
    )
    answer = drive_back(failover, ask_back(failover))
    assert answer["outcome"] == "step-failed"
    assert "no journal has home-kept" in answer["why"]


def _adopting(failover: Failover) -> None:
    """The probe of the recovery site writes into the secret there, as it does."""
    name = f"adopting-{failover.suffix}"
    source = AHEAD.replace("\n    if do", ADOPTS.format(secret=f"failing-{failover.suffix}"), 1)
    made = function(failover.aws, name, THERE, source)
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:*", "kms:*"], "Resource": "*"}]}
    failover.aws.client("iam").put_role_policy(RoleName="probe", PolicyName="adopts", PolicyDocument=json.dumps(may))
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", made)


def test_a_failback_after_a_failover_that_was_given_up_promotes_the_secret_before_it_writes_into_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration import run

    failover = start()
    before = home(failover), away(failover)
    _adopting(failover)
    failover.both()
    failover.refuse("StopReplicationToReplica")
    failover.invoke(failover.event())
    assert failover.drive(14)[-1]["step"] == "secret"
    with monkeypatch.context() as late:
        late.setattr(run, "DEADLINE", timedelta(0))
        assert "a failback puts all of it right" in failover.drive()[-1]["why"]
    failover.disturb()
    failover.calls.clear()
    secret = failover.aws.client("secretsmanager", THERE).describe_secret(SecretId=f"failing-{failover.suffix}")
    assert secret["PrimaryRegion"] == SINGAPORE, "a replica still"
    execution = ask_back(failover)
    answer = drive_back(failover, execution)
    assert (answer["step"], answer["outcome"]) == ("drift-free", "waiting"), answer
    assert failover.calls.index("StopReplicationToReplica") < failover.calls.index("DeleteDBInstance")
    say_drift_free(failover, execution)
    assert drive_back(failover, execution)["outcome"] == "completed"
    is_home(failover, before)
    for region in (SINGAPORE, THERE):
        held = failover.aws.client("secretsmanager", region).get_secret_value(SecretId=f"failing-{failover.suffix}")
        assert json.loads(held["SecretString"])["host"] == home(failover)["Endpoint"]["Address"]


NOT_ASKED = PROBE.replace("def handler", "raise RuntimeError('of the test')\ndef handler")
BEHIND = PROBE.replace('"in_recovery": False', '"in_recovery": True')


def test_a_failback_that_could_not_go_on_deletes_nothing_and_says_each_reason(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    from orchestration import replica

    failover, real = start(), replica.instance
    fail_over(failover)
    execution, was = ask_back(failover), home(failover)["DbiResourceId"]
    for name, region, source in (("broken", THERE, NOT_ASKED), ("broken", SINGAPORE, NOT_ASKED), ("follows", THERE, BEHIND)):
        function(failover.aws, f"{name}-{failover.suffix}", region, source)
    name, source, target = (f"{one}-{failover.suffix}" for one in ("failing", HOME, AWAY))
    here, there = (failover.aws.client("secretsmanager", region) for region in (SINGAPORE, THERE))
    rds_home, rds_away = (failover.aws.client("rds", region) for region in (SINGAPORE, THERE))
    value = there.get_secret_value(SecretId=name)["SecretString"]

    def probe(variable: str, region: str, name: str) -> Callable[[], object]:
        return lambda: failover.monkeypatch.setenv(variable, f"arn:aws:lambda:{region}:123456789012:function:{name}")

    def keeps(days: int) -> Callable[[], object]:
        return lambda: rds_away.modify_db_instance(DBInstanceIdentifier=target, BackupRetentionPeriod=days, ApplyImmediately=True)

    def is_protected(protected: bool) -> Callable[[], object]:
        return lambda: rds_home.modify_db_instance(
            DBInstanceIdentifier=source, DeletionProtection=protected, ApplyImmediately=True
        )

    def holds(text: str) -> Callable[[], object]:
        return lambda: there.put_secret_value(SecretId=name, SecretString=text)

    def stops() -> None:
        rds_away.stop_db_instance(DBInstanceIdentifier=target)
        failover.aws.settle()

    def starts() -> None:
        rds_away.start_db_instance(DBInstanceIdentifier=target)
        rds_away.get_waiter("db_instance_available").wait(DBInstanceIdentifier=target)

    def again(world: Any, which: str, rds: Any = None) -> dict[str, Any] | None:
        follows = {"ReadReplicaSourceDBInstanceIdentifier": "another"} if which == replica.TARGET else {}
        return {**(real(world, which, rds) or {}), **follows}

    refused = lambda: answer(failover, "PutSecretValue", b'{"__type": "AccessDenied"}')  # noqa: E731
    told = json.dumps({"ARN": "it", "PrimaryRegion": "eu-west-3"}).encode()
    cases: tuple[tuple[str, Callable[[], object], Callable[[], object]], ...] = (
        (
            "waits for its deletion",
            lambda: here.delete_secret(SecretId=name),
            lambda: here.restore_secret(SecretId=name),
        ),
        ("is a replica of eu-west-3", lambda: answer(failover, "DescribeSecret", told), failover.disturb),
        ("AccessDenied", refused, failover.disturb),
        ("holds no JSON object", holds("a word"), holds(value)),
        ("lacks password", holds('{"username": "u"}'), holds(value)),
        (
            "finds a replica",
            probe("PROBE_RECOVERY_ARN", THERE, f"follows-{failover.suffix}"),
            probe("PROBE_RECOVERY_ARN", THERE, "ahead"),
        ),
        (
            "of the test",
            probe("PROBE_RECOVERY_ARN", THERE, f"broken-{failover.suffix}"),
            probe("PROBE_RECOVERY_ARN", THERE, "ahead"),
        ),
        ("cannot be asked", probe("PROBE_PRIMARY_ARN", SINGAPORE, "absent"), probe("PROBE_PRIMARY_ARN", SINGAPORE, "ahead")),
        ("keeps no backups", keeps(0), keeps(7)),
        ("is protected from deletion", is_protected(True), is_protected(False)),
        (f"{target} is stopped, not available", stops, starts),
        (
            f"{target} is a replica of another: promote it first",
            lambda: failover.monkeypatch.setattr(replica, "instance", again),
            lambda: failover.monkeypatch.setattr(replica, "instance", real),
        ),
    )
    for why, make, mend in cases:
        make()
        said = drive_back(failover, execution)
        assert (said["outcome"], said["step"]) == ("step-failed", "ready"), (why, said)
        assert "Nothing is deleted" in said["why"]
        assert why in said["why"], said["why"]
        assert home(failover)["DbiResourceId"] == was, why
        mend()
    probe("PROBE_PRIMARY_ARN", SINGAPORE, f"broken-{failover.suffix}")()
    capsys.readouterr()
    assert drive_back(failover, execution, "home-kept")["step"] == "home-kept", "its database is made anew, and need not answer"
    assert '"event": "primary-silent"' in capsys.readouterr().out
    is_protected(True)()
    assert drive_back(failover, execution)["step"] == "home-removed", "and once more when the snapshot is there"
    assert home(failover)["DbiResourceId"] == was
    is_protected(False)()
    assert drive_back(failover, execution, "home-removed")["outcome"] == "acted"


def test_what_became_of_an_instance_for_good_is_not_waited_for(at_rest: Failover) -> None:
    from orchestration import replica

    shown = b"""<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance>
        <DBInstanceStatus>incompatible-network</DBInstanceStatus>
        </DBInstance></DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>"""
    answer(at_rest, "DescribeDBInstances", shown)
    for waits in (
        lambda: replica._follows(of(at_rest), replica.HOME),
        lambda: replica._is_set_up(of(at_rest), replica.HOME, "home-kept"),
        lambda: replica._home_promoted(of(at_rest)),
    ):
        with pytest.raises(FunctionError, match="is incompatible-network, and does not become available by itself"):
            waits()


def test_a_primary_that_does_not_answer_while_nobody_writes_is_told(at_rest: Failover) -> None:
    from orchestration import replica

    at_rest.monkeypatch.setenv("PROBE_PRIMARY_ARN", f"arn:aws:lambda:{SINGAPORE}:123456789012:function:absent")
    with pytest.raises(FunctionError, match=r"Nobody writes until .*:absent answers"):
        replica._home_has_the_fence(of(at_rest))


def test_a_primary_that_is_back_before_the_promotion_keeps_its_replica_and_its_clients(start: Start) -> None:
    """It was fenced, for its database took no writes; each try of the promotion asks it anew."""
    from orchestration import shared

    failover = start()
    before = home(failover), away(failover)
    failover.both()
    failover.refuse("PromoteReadReplica")
    failover.invoke(failover.event())
    assert {"fence", "promote"} <= {one.get("step") for one in failover.drive(6)}
    failover.disturb()
    failover.calls.clear()
    failover.primary("ahead")
    answer = failover.invoke({"tick": True})
    assert (answer["outcome"], answer["step"]) == ("waiting", "not-promoted"), "what was asked for may show late"
    failover.monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    answer = failover.drive()[-1]
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["primary-answers"])
    [opened] = [value for name, value in failover.parameters("execution/").items() if name.endswith("-home-open")]
    assert (opened["fenced"], opened["epoch"]) == (False, 0)
    assert "PromoteReadReplica" not in failover.calls
    assert failover.topology == {}
    assert [now["DbiResourceId"] for now in (home(failover), away(failover))] == [then["DbiResourceId"] for then in before]
    assert source_of(away(failover)) == f"{HOME}-{failover.suffix}"


def test_a_promotion_that_rds_accepted_though_nobody_said_so_is_gone_on_with(start: Start) -> None:
    """A primary that answers then is fenced: the other one writes already."""
    from orchestration import shared

    failover = start()
    failover.both()
    failover.primary("absent")
    failover.invoke(failover.event())

    def lose(name: str) -> None:
        if name == "PromoteReadReplica":
            raise ReadTimeoutError(endpoint_url="https://of-the-test")

    failover.disturb(after=lose)
    failover.drive(2)
    failover.disturb()
    failover.primary("ahead")
    failover.monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    assert failover.drive()[-1]["outcome"] == "completed"
    assert (failover.topology["state"], failover.topology["site"]) == ("failed-over", "recovery")
    assert source_of(away(failover)) == ""


ALARM, PLANNED = "alarm", "planned"
CHANGES = {
    "CancelRotateSecret",
    "CreateDBInstanceReadReplica",
    "CreateDBSnapshot",
    "DeleteDBInstance",
    "DeleteReplicationConfiguration",
    "Invoke",
    "ModifyDBInstance",
    "PromoteReadReplica",
    "PutParameter",
    "PutSecretValue",
    "ReplicateSecretToRegions",
    "RotateSecret",
    "StopReplicationToReplica",
}
"""What a failover and the failback after it call that changes something."""


@pytest.mark.parametrize(("asked", "harms"), [(ALARM, KILLS), (PLANNED, TROUBLES)], ids=["killed", "in trouble"])
def test_harmed_at_every_call_of_a_failover_and_of_a_failback_each_name_returns_to_its_role(
    start: Start, monkeypatch: pytest.MonkeyPatch, asked: str, harms: tuple[Harm, ...]
) -> None:
    failover = start()
    before = home(failover), away(failover)
    harm = Everywhere(failover, harms, monkeypatch)
    failover.both()
    request = {"request": "switchover", "by": "operator", "execution": OVER}
    harm.through(failover.event() if asked == ALARM else request, onward(failover, "" if asked == ALARM else OVER))
    assert (failover.topology["state"], failover.topology["site"]) == ("failed-over", "recovery")
    assert source_of(away(failover)) == ""

    act = {"request": "failback", "execution": BACK, "by": "operator"}
    refused = count(1)

    def following(answer: dict[str, Any]) -> dict[str, Any] | None:
        if answer["outcome"] == "refused":
            act["execution"] = f"{BACK}{next(refused):02d}"
        return None if answer.get("step") == "drift-free" or answer["outcome"] == "completed" else act

    harm.through(act, following)
    say_drift_free(failover, str(act["execution"]))
    harm.through(act, following)
    is_home(failover, before)
    assert failover.outcomes().count("completed") == 2
    assert set(failover.outcomes()) <= {"completed", "refused"}
    assert harm.calls() >= CHANGES
    assert harm.again() >= {"DescribeDBInstances", "DescribeSecret", "GetParametersByPath", "Invoke", "PutParameter"}


def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets time pass for the function."""
    from orchestration import run, state

    passed = [timedelta(0)]
    for module in (run, state):
        monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) + passed[0])

    def wait(by: timedelta) -> None:
        passed[0] += by

    return wait


def withdrawn(failover: Failover, primary: str = "ahead") -> None:
    """Fenced, not promoted, and the primary is back."""
    failover.both()
    failover.refuse("PromoteReadReplica")
    failover.invoke(failover.event())
    assert {"fence", "promote"} <= {one.get("step") for one in failover.drive(6)}
    failover.disturb()
    failover.primary(primary)


SHUT = AHEAD.replace('"writable": True', '"writable": False').replace('"fenced": False, "seconds"', '"fenced": True, "seconds"')
"""A probe of a primary that lives behind our fence."""

NOT_OPENED = 'if do == "unfence":\n        raise RuntimeError("of the test")\n    if do == "unfence":'


def shut_for_good(start: Start, monkeypatch: pytest.MonkeyPatch) -> Failover:
    """A failover that was withdrawn and has ended, and could not take its fence off; the probe ``shut`` shows that."""
    from orchestration import shared

    failover, wait = start(), clock(monkeypatch)
    for name, source in (("stays", AHEAD.replace('if do == "unfence":', NOT_OPENED)), ("shut", SHUT)):
        function(failover.aws, f"{name}-{failover.suffix}", SINGAPORE, source)
    withdrawn(failover, f"stays-{failover.suffix}")
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    failover.drive(4)
    wait(timedelta(minutes=20))
    assert failover.drive()[-1]["outcome"] == "refused"
    return failover


def test_a_primary_that_could_not_be_opened_again_is_not_left_for_our_own_fence(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    failover = shut_for_good(start, monkeypatch)
    failover.primary(f"shut-{failover.suffix}")
    for _ in range(3):
        assert failover.invoke({"tick": True})["outcome"] == "home is open"
    assert (failover.topology, bool(source_of(away(failover)))) == ({}, True)


def test_a_promotion_that_shows_late_is_not_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody heard RDS accept it, and the time is over."""
    from orchestration import replica, run

    failover, real, hidden = start(), replica.instance, [True]
    source = home(failover)["DBInstanceArn"]

    def slow(world: Any, which: str, rds: Any = None) -> dict[str, Any] | None:
        found = real(world, which, rds)
        if which != replica.TARGET or found is None or source_of(found) or not hidden[0]:
            return found
        return {**found, "ReadReplicaSourceDBInstanceIdentifier": source, "DBInstanceStatus": "available"}

    failover.invoke({"request": "switchover", "by": "operator"})
    monkeypatch.setattr(replica, "instance", slow)
    unanswered(failover, "PromoteReadReplica")
    while source_of(away(failover)):
        failover.drive(1)
    failover.disturb()
    monkeypatch.setattr(run, "PLANNED", timedelta(0))
    assert failover.drive(1)[0]["step"] == "giving-up"
    hidden[0] = False
    failover.aws.settle()
    assert failover.drive()[-1]["outcome"] == "completed"
    assert failover.topology["state"] == "failed-over"


def test_a_destroy_that_deletes_nothing_does_not_end_an_accepted_promotion(start: Start) -> None:
    failover = start()
    failover.invoke({"request": "switchover", "by": "operator"})
    answers(failover, "promote")
    name = f"/{SYSTEM}/{failover.suffix}/state/destroying"
    failover.ssm.put_parameter(Name=name, Value="{}", Type="String")
    assert failover.invoke({"tick": True})["outcome"] == "waiting"
    failover.ssm.delete_parameter(Name=name)
    assert failover.drive()[-1]["outcome"] == "completed"
    assert failover.topology["state"] == "failed-over"


def test_a_fence_that_nobody_confirmed_is_opened_when_all_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run, shared

    failover = start()
    failover.both()
    half = STUBBORN.replace('"writable": True, "epoch": 0', '"writable": False, "epoch": 1')
    function(failover.aws, f"half-{failover.suffix}", SINGAPORE, half)
    failover.primary(f"half-{failover.suffix}")
    failover.refuse("PromoteReadReplica")
    failover.invoke(failover.event())
    failover.drive(5)
    monkeypatch.setattr(run, "DEADLINE", timedelta(0))
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    asked = asking(monkeypatch)
    last = failover.drive()[-1]
    assert "unfence" in asked
    assert (last["outcome"], failover.topology) == ("failed", {})


def test_a_withdrawal_is_undone_though_the_replica_is_broken_for_good(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import replica, shared

    failover, real = start(), replica.instance
    withdrawn(failover)

    def full(world: Any, which: str, rds: Any = None) -> dict[str, Any] | None:
        found = real(world, which, rds)
        return found if which != replica.TARGET or found is None else {**found, "DBInstanceStatus": "storage-full"}

    monkeypatch.setattr(replica, "instance", full)
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    assert failover.drive()[-1]["outcome"] == "refused"
    assert any(name.endswith("-home-open") for name in failover.parameters("execution/"))


def test_a_primary_that_goes_dark_after_a_withdrawal_is_failed_over_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration import shared

    failover, wait = start(), clock(monkeypatch)
    withdrawn(failover)
    assert failover.invoke({"tick": True})["step"] == "not-promoted"
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    failover.primary("absent")
    seen = []
    for _ in range(8):
        wait(timedelta(minutes=1))
        seen.append(failover.invoke({"tick": True}))
        failover.aws.settle()
    [refused] = [one for one in seen[:2] if one["outcome"] == "refused"]
    assert "The primary is silent: home-open is left until it answers." in refused["why"]
    assert failover.topology["state"] == "failed-over", seen


def test_a_primary_of_which_nobody_could_say_whether_it_writes_is_not_left_once_it_took_our_fence(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person had approved it, for its probe could not be read."""
    from orchestration import shared

    failover = start()
    failover.both()
    unclear = AHEAD.replace('    return {"writable": True', '    return 7\n    return {"writable": True')
    failover.primary(f"unclear-{failover.suffix}")
    function(failover.aws, f"unclear-{failover.suffix}", SINGAPORE, unclear)
    waits = failover.invoke(failover.event())
    assert waits["outcome"] == "waiting-for-approval"
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    failover.invoke({"approve": waits["execution"], "by": "operator"})
    last = failover.drive()[-1]
    assert (last["outcome"], last["refusals"]) == ("refused", ["primary-answers"])
    assert any(name.endswith("-home-open") for name in failover.parameters("execution/"))
    assert bool(source_of(away(failover)))


def test_a_fence_that_is_left_behind_is_taken_off_also_after_an_earlier_failover_came_home(start: Start) -> None:
    failover = start()
    fail_over(failover)
    execution = ask_back(failover)
    drive_back(failover, execution)
    say_drift_free(failover, execution)
    assert drive_back(failover, execution)["outcome"] == "completed"
    function(failover.aws, f"shut-{failover.suffix}", SINGAPORE, SHUT)
    failover.primary(f"shut-{failover.suffix}")
    assert failover.invoke({"tick": True})["outcome"] == "home is open"


def test_a_fence_is_not_taken_off_where_somebody_has_begun_to_act_meanwhile(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    failover = start()
    function(failover.aws, f"shut-{failover.suffix}", SINGAPORE, SHUT)
    failover.primary(f"shut-{failover.suffix}")
    said: list[dict[str, Any]] = []

    def begin(name: str) -> None:
        if name == "Invoke" and failover.calls.count(name) == 1:  # the clock's own question, after it has read what is remembered
            said.append(failover.invoke({"request": "switchover", "by": "operator"}))

    failover.disturb(before=begin)
    asked = asking(monkeypatch)
    assert failover.invoke({"tick": True}) == {"outcome": "busy"}
    assert said[0]["outcome"] == "begun"
    assert "unfence" not in asked


def test_a_primary_whose_replica_was_promoted_after_all_stays_fenced_and_that_is_told(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failover = shut_for_good(start, monkeypatch)
    failover.aws.client("rds", THERE).promote_read_replica(DBInstanceIdentifier=f"{AWAY}-{failover.suffix}")
    failover.aws.settle()
    assert source_of(away(failover)) == ""
    failover.primary(f"shut-{failover.suffix}")
    asked = asking(monkeypatch)
    capsys.readouterr()
    assert failover.invoke({"tick": True})["outcome"] == "home is fenced"
    assert "the primary is fenced, and its replica is none any more" in capsys.readouterr().out
    assert "unfence" not in asked


def test_an_execution_that_was_withdrawn_supersedes_none() -> None:
    from orchestration.state import State

    def journal(name: str, at: str, ended: str) -> dict[str, str]:
        entries = {"00-began": {"at": at}, "01-decided": {"at": at, "epoch": 1}}
        if ended:
            entries["99-ended"] = {"at": "2026-01-01T00:09:00+00:00", "outcome": ended}
        return {f"execution/{name}/{entry}": json.dumps(value) for entry, value in entries.items()}

    waits = {"execution/waits/00-began": json.dumps({"at": "2026-01-01T00:00:00+00:00"})}
    for outcome, other in (("refused", ""), ("completed", "other"), ("failed", "other"), ("", "")):
        assert State({**waits, **journal("other", "2026-01-01T00:01:00+00:00", outcome)}).superseded("waits") == other


RESTARTED = AHEAD.replace('"writable": True', '"writable": False').replace('"in_recovery": False', '"in_recovery": True')
"""A probe that finds a replica, at a database that takes a fence a moment later."""

UNCLEAR = '    return 7\n    return {"writable": True'


@pytest.mark.parametrize("heard", ["of its fence", "of nothing"])
def test_a_primary_that_takes_a_fence_without_having_said_that_it_writes_is_not_left(
    start: Start, monkeypatch: pytest.MonkeyPatch, heard: str
) -> None:
    """Its first answer said nothing, or spoke of a replica; of its second one nobody heard, or that it is fenced."""
    from orchestration import shared

    failover = start()
    failover.both()
    source = RESTARTED if heard == "of its fence" else STUBBORN.replace('    return {"writable": True', UNCLEAR)
    function(failover.aws, f"first-{failover.suffix}", SINGAPORE, source)
    function(failover.aws, f"shut-{failover.suffix}", SINGAPORE, SHUT)
    failover.primary(f"first-{failover.suffix}")
    began = failover.invoke(failover.event())
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    if began["outcome"] == "waiting-for-approval":
        failover.invoke({"approve": began["execution"], "by": "operator"})
    answers(failover, "fence")
    failover.primary(f"shut-{failover.suffix}")
    for _ in range(8):
        if failover.outcomes():
            break
        failover.drive(1)
    [ended] = [value for name, value in failover.parameters("execution/").items() if name.endswith("99-ended")]
    assert (ended["outcome"], ended["refusals"]) == ("refused", ["primary-answers"])
    assert any(name.endswith("-home-open") for name in failover.parameters("execution/"))
    assert source_of(away(failover))


def test_writes_are_stopped_only_where_home_answers_and_follows(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its region is dark again when the failback is gone on with, or RDS says that it follows no more."""
    from orchestration import replica

    failover, real = start(), replica.instance
    fail_over(failover)
    execution = ask_back(failover)
    drive_back(failover, execution, "password-home")
    failover.primary("absent")
    dark = drive_back(failover, execution)
    failover.primary("ahead")

    def apart(world: Any, which: str, rds: Any = None) -> dict[str, Any] | None:
        found = real(world, which, rds)
        return found if which != replica.HOME or found is None else {**found, "StatusInfos": [{"Normal": False}]}

    with monkeypatch.context() as broken:
        broken.setattr(replica, "instance", apart)
        torn = drive_back(failover, execution)
    for said, why in ((dark, "does not. Read its log"), (torn, "does not. Look at its events")):
        assert (said["outcome"], said["step"]) == ("step-failed", "writes-stopped")
        assert why in said["why"]
    assert not [name for name in failover.parameters("execution/") if name.endswith("-writes-stopped")]
    assert drive_back(failover, execution)["step"] == "drift-free"


def test_the_recovery_site_is_removed_only_where_home_answers_that_it_has_taken_over(start: Start) -> None:
    failover = start()
    fail_over(failover)
    execution, was = ask_back(failover), away(failover)["DbiResourceId"]
    drive_back(failover, execution, "recovery-kept")
    for probe in ("absent", "behind"):
        failover.primary(probe)
        said = drive_back(failover, execution)
        assert (said["outcome"], said["step"]) == ("step-failed", "recovery-removed")
        assert "was not removed" in said["why"]
    assert away(failover)["DbiResourceId"] == was
    failover.primary("ahead")
    assert drive_back(failover, execution)["step"] == "drift-free"
    assert away(failover)["DbiResourceId"] != was


def test_what_is_being_given_up_is_asked_for_no_more_though_its_replica_is_busy_meanwhile(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for then could be accepted after it was said that nothing was promoted."""
    from orchestration import run, shared

    failover = start()
    failover.invoke({"request": "switchover", "by": "operator"})
    failover.refuse("PromoteReadReplica")
    answers(failover, "promote")
    monkeypatch.setattr(run, "PLANNED", timedelta(0))
    assert failover.drive(1)[0]["step"] == "giving-up"
    failover.calls.clear()
    with monkeypatch.context() as busy:
        busily(busy, "backing-up")
        assert failover.drive(1)[0]["outcome"] == "waiting"
    assert "PromoteReadReplica" not in failover.calls
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    assert failover.drive()[-1]["outcome"] == "failed"


def busily(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """RDS shows the replica in this state."""
    from orchestration import replica

    real = replica.instance

    def shown(world: Any, which: str, rds: Any = None) -> dict[str, Any] | None:
        found = real(world, which, rds)
        return found if which != replica.TARGET or found is None else {**found, "DBInstanceStatus": status}

    monkeypatch.setattr(replica, "instance", shown)


def test_a_failback_says_of_what_it_would_wait_for_in_vain(start: Start) -> None:
    from orchestration import replica

    failover = start()
    shown = """<DescribeDBSnapshotsResponse><DescribeDBSnapshotsResult><DBSnapshots><DBSnapshot>
        <DBSnapshotIdentifier>it</DBSnapshotIdentifier><Status>failed</Status>
        </DBSnapshot></DBSnapshots></DescribeDBSnapshotsResult></DescribeDBSnapshotsResponse>"""
    answer(failover, "DescribeDBSnapshots", shown.encode())
    with pytest.raises(FunctionError, match=rf"The snapshot {HOME}-.* has failed\. Delete it"):
        replica._kept(of(failover), replica.HOME, "home-kept")
    failover.disturb()
    failed = {"Region": THERE, "Status": "Failed", "StatusMessage": "the key says no"}
    answer(failover, "DescribeSecret", json.dumps({"ReplicationStatus": [failed]}).encode())
    manager = failover.aws.client("secretsmanager", SINGAPORE)
    with pytest.raises(FunctionError, match=r"has failed, and is made anew\. Secrets Manager says: the key says no"):
        replica._copy_secret(of(failover, **{"secret-home-acted": {"ended": "InSync"}}))
    assert not manager.describe_secret(SecretId=f"failing-{failover.suffix}").get("ReplicationStatus")
    failover.disturb()
    failover.aws.client("rds", SINGAPORE).delete_db_instance(
        DBInstanceIdentifier=f"{HOME}-{failover.suffix}", SkipFinalSnapshot=True
    )
    failover.aws.settle()
    for waits in (
        lambda: replica._promote(of(failover), replica.HOME),
        lambda: replica._is_set_up(of(failover), replica.HOME, "home-kept"),
    ):
        with pytest.raises(FunctionError, match=f"{HOME}-.* is gone"):
            waits()


def test_what_a_withdrawal_waits_for_is_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The primary is well and behind our fence meanwhile."""
    from orchestration import shared

    failover = start()
    withdrawn(failover)
    assert failover.invoke({"tick": True})["outcome"] == "waiting"
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    with monkeypatch.context() as busy:
        busily(busy, "backing-up")
        said = failover.invoke({"tick": True})
        assert (said["outcome"], said["step"]) == ("step-failed", "not-promoted")
        assert "The primary stays fenced" in said["why"]
    assert failover.drive()[-1]["outcome"] == "refused"


def test_of_a_replica_that_is_busy_it_is_not_said_that_it_is_none(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    failover = shut_for_good(start, monkeypatch)
    failover.primary(f"shut-{failover.suffix}")
    told = telling(monkeypatch)
    with monkeypatch.context() as busy:
        busily(busy, "backing-up")
        assert failover.invoke({"tick": True})["outcome"] == "home is fenced"
    assert told == ["the primary is fenced, and whether its replica was promoted cannot be seen now"]
    assert failover.invoke({"tick": True})["outcome"] == "home is open"


def telling(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The subjects of what is told from now on."""
    from orchestration.world import World

    told: list[str] = []
    monkeypatch.setattr(World, "tell", lambda _, subject, **__: told.append(subject) or True)
    return told


def test_a_network_that_was_left_closed_is_opened_when_the_primary_answers_and_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database never took the fence, so no probe shows it."""
    from orchestration import shared

    failover = start()
    half = STUBBORN.replace('"writable": True, "epoch": 0', '"writable": False, "epoch": 1')
    function(failover.aws, f"half-{failover.suffix}", SINGAPORE, half)
    failover.both()
    failover.primary(f"half-{failover.suffix}")
    failover.refuse("PromoteReadReplica")
    failover.invoke(failover.event())
    answers(failover, "promote")
    failover.disturb()
    failover.evidence()
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    failover.primary("absent")
    assert "home-open is left until it answers" in failover.drive()[-1]["why"]
    asked = asking(monkeypatch)
    failover.primary("ahead")
    said = [failover.invoke({"tick": True})["outcome"] for _ in range(3)]
    assert said == ["home is open", "nothing to do", "nothing to do"]
    assert asked.count("unfence") == 1


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"fence-asked": {}, "02-fence": {"failed": "of the test"}}, "The primary site may be fenced."),
        ({"fence-asked": {}, "02-fence": {"fenced": True}}, "The primary site is fenced: nobody writes."),
        ({"02-fence": {"fenced": False}}, "The primary site was not fenced by this execution."),
    ],
)
def test_that_nobody_writes_is_said_only_of_a_fence_that_was_confirmed(
    at_rest: Failover, monkeypatch: pytest.MonkeyPatch, entries: dict[str, Any], says: str
) -> None:
    from orchestration import run
    from orchestration.world import World

    told: list[str] = []
    monkeypatch.setattr(World, "tell", lambda _, __, **body: told.append(body["why"]))
    began = {"request": "failover"}
    run._tell_late(replace(of(at_rest), began=began, entries=entries, execution=says), timedelta(hours=5), timedelta(hours=4))
    assert told[0].endswith(says)


def test_a_region_that_was_lost_during_a_backup_of_the_replica_is_failed_over_after_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    failover, wait = start(), clock(monkeypatch)
    failover.both()
    failover.primary("absent")
    with monkeypatch.context() as busy:
        busily(busy, "backing-up")
        assert failover.invoke(failover.event(datetime.now(UTC).isoformat()))["refusals"] == ["target-not-available"]
        for _ in range(4):
            wait(timedelta(minutes=1))
            assert failover.invoke({"tick": True})["outcome"] == "nothing to do", "it is told once"
    assert failover.invoke({"tick": True})["outcome"] == "begun"
