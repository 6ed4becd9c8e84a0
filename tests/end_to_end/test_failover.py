"""From the loss of a region to a write at the other site and home again, for both systems that can, under their own roles."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from chain.outcome import Exit
from chain.topology import Place, Record, read
from emulator import Emulator
from tests import unmeasured
from tests.end_to_end.commands import ROOT, deploy_py
from tests.end_to_end.honouring import TABLE, Door, Watch, acknowledged, watching
from tests.end_to_end.roles import user

pytestmark = pytest.mark.xdist_group("failover")

SUFFIX = "away"
PERIODS = 3  # of the alarms that are the evidence


@dataclass(frozen=True)
class Subject:
    """A deployed system."""

    aws: Emulator
    system: str
    home: str
    away: str
    prefix: str
    deployer: dict[str, str] = field(default_factory=dict)
    """Credentials of whoever deploys and destroys; all else, and without them this too, is done by the account's root."""

    def run(self, command: str, *arguments: str, code: Exit = Exit.OK) -> str:
        """A command, and what it said."""
        who = self.deployer if command in ("deploy", "destroy") else {}
        ended = deploy_py(self.aws, command, "--system", self.system, *arguments, suffix=SUFFIX, credentials=who)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout

    def minute(self) -> None:
        """What one minute brings, in the region that decides."""
        self.aws.pass_minute(self.away)
        self.aws.fire(f"{self.prefix}failover-{SUFFIX}", self.away)
        self.aws.settle()

    def record(self) -> Record:
        return read(self.aws.client, Place(self.system, SUFFIX, self.away))

    def ask(self, region: str, function: str, **event: Any) -> dict[str, Any]:
        name = f"{self.prefix}function-{function}-{SUFFIX}"
        said = self.aws.client("lambda", region).invoke(FunctionName=name, Payload=json.dumps(event))
        assert "FunctionError" not in said, said["Payload"].read()
        return dict(json.loads(said["Payload"].read()))

    def beat(self) -> None:
        """The heartbeat of both sites."""
        for region in (self.home, self.away):
            self.ask(region, "heartbeat")

    def writes(self, region: str, probe: str) -> bool:
        """Whether the database there takes a write."""
        return bool(self.ask(region, probe, do="probe")["writable"])

    def door(self, region: str) -> Door | None:
        """Of the database that stands in a region."""
        rds = self.aws.client("rds", region)
        if clusters := rds.describe_db_clusters()["DBClusters"]:
            one = clusters[0]
            return Door(one["Endpoint"], int(one["Port"]), self.secret(region), one["DBClusterArn"])
        found = [one for one in rds.describe_db_instances()["DBInstances"] if one.get("Endpoint")]
        if not found:
            return None
        place = found[0]["Endpoint"]
        return Door(place["Address"], int(place["Port"]), self.secret(region), found[0]["DBInstanceArn"])

    def doors(self, regions: tuple[str, ...] | None = None) -> dict[str, Door]:
        return {region: door for region in regions or (self.home, self.away) if (door := self.door(region)) is not None}

    @contextmanager
    def honoured(self, *dark: str) -> Iterator[Watch]:
        """While topologies change. What is dark is known from before: its database is there for clients beside it."""
        root, known = str(self.aws.root), {region: door for region, door in self.doors().items() if region in dark}
        seen = tuple(region for region in (self.home, self.away) if region not in dark)
        with watching(lambda: self.record().topology.epoch, lambda: {**known, **self.doors(seen)}, root) as watch:
            yield watch

    def grow_old(self, seconds: int) -> None:
        """The data, at both sites: as if the last heartbeat were so long ago."""
        door = self.door(self.home)
        assert door is not None
        connection = door.connect(str(self.aws.root))
        connection.run("UPDATE dr_heartbeat SET ts = ts - make_interval(secs => :seconds)", seconds=seconds)
        connection.close()
        while self.ask(self.away, "replica-age")["seconds"] < seconds:
            time.sleep(0.2)

    def let_pass(self, seconds: int) -> None:
        """As if the newest topology were recorded so much earlier: what is remembered, and when, is all that a failover sees."""
        newest = max(name for name in self.record().values if name.startswith("topology/"))
        said = json.loads(self.record().values[newest])
        said["since"] = (datetime.fromisoformat(said["since"]) - timedelta(seconds=seconds)).isoformat()
        path = Place(self.system, SUFFIX, self.away).path + newest
        self.aws.client("ssm", self.away).put_parameter(Name=path, Value=json.dumps(said), Overwrite=True)

    def secret(self, region: str) -> dict[str, Any]:
        """What opens the database, as a client of a region reads it."""
        name = f"{self.prefix}secret-database-{SUFFIX}"
        return dict(json.loads(self.aws.client("secretsmanager", region).get_secret_value(SecretId=name)["SecretString"]))

    def opens(self, region: str) -> None:
        """A client of a region finds host and password in its secret, and writes."""
        value = self.secret(region)
        connection = Door(value["host"], int(value["port"]), value, "").connect(str(self.aws.root))
        assert connection.run("SELECT pg_is_in_recovery()") == [[False]]
        connection.close()

    def until(self, state: str, each: Callable[[], None] = lambda: None) -> Record:
        """Minutes pass until the topology is this; ``each`` is done after every one."""
        for _ in range(40):
            self.minute()
            each()
            if (found := self.record()).topology.state == state and found.acting is None:
                return found
            time.sleep(0.2)
        raise AssertionError({one.id: list(one.entries.items()) for one in self.record().executions})


COOLDOWN = 3600
OLD = {"healthcare": 300, "federal-records": 1200}
"""Seconds: more than is stale, and less than may be lost."""

SYSTEMS = {"healthcare": ("eu-west-2", "eu-west-1", "healthcare-"), "federal-records": ("eu-west-1", "eu-west-2", "")}


@contextmanager
def standing(system: str, *, by_deployer: bool = False) -> Iterator[Subject]:
    """A system that is deployed, with a heartbeat; ``by_deployer``: under that policy, and not as root."""
    with unmeasured.running() as aws:
        aws.opt_in()
        made = Subject(aws, system, *SYSTEMS[system], *([user(aws, system, "deployer")] if by_deployer else []))
        made.run("deploy")
        aws.settle()
        made.beat()
        yield made


@pytest.fixture(scope="module", params=SYSTEMS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Deployed, with a table for a client."""
    with standing(request.param, by_deployer=True) as made:
        door = made.door(made.home)
        assert door is not None
        connection = door.connect(str(made.aws.root))
        connection.run(TABLE)
        connection.close()
        yield made


def test_at_home_a_dry_run_says_what_would_be_and_writes_nothing(subject: Subject) -> None:
    assert f"{subject.system}-{SUFFIX}  home, and never was elsewhere" in subject.run("status")
    said = subject.run("failover", code=Exit.WAITING)
    assert "would wait for an approval" in said
    assert "the primary may be writing still" in said
    assert "verify" in said
    assert not subject.record().executions


def test_a_planned_switchover_loses_nothing(subject: Subject) -> None:
    with subject.honoured() as watch:
        said = subject.run("failover", "--mode", "switchover", "--yes")
    assert watch.wrote() == [subject.home, subject.away]
    assert "completed" in said
    assert subject.record().topology.state == "failed-over"
    assert subject.record().topology.rpo_seconds == 0
    assert subject.writes(subject.away, "probe")
    if subject.system == "federal-records":
        subject.aws.settle()  # the rotation of the secret, which began at once
        subject.opens(subject.away)
        assert subject.secret(subject.away)["password"] != subject.secret(subject.home)["password"]


@contextmanager
def copying(aws: Emulator) -> Iterator[None]:
    """EFS copies, meanwhile."""
    done = threading.Event()

    def replicate() -> None:
        while not done.wait(0.5):
            aws.replicate_files()

    service = threading.Thread(target=replicate)
    service.start()
    try:
        yield
    finally:
        done.set()
        service.join()


def killed(subject: Subject, command: str, *arguments: str, after: str) -> None:
    """A command whose process ends when it has said this."""
    given = [sys.executable, "deploy.py", command, "--env", SUFFIX, "--system", subject.system, *arguments]
    environment = {**os.environ, **subject.aws.environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(given, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if after in line:
                break
        else:
            raise AssertionError("".join(seen))
        process.kill()


def test_back_home_drift_finds_nothing(subject: Subject) -> None:
    """Also by a command that is killed on the way, twice where there is a way."""
    with copying(subject.aws), subject.honoured() as watch:
        if subject.system == "federal-records":
            killed(subject, "failback", "--yes", after="-home-follows")
            killed(subject, "failback", "--yes", after="-recovery-kept")
            assert subject.record().topology.state == "failed-over"
            subject.run("status")
        said = subject.run("failback", "--yes")
    assert watch.wrote() == [subject.away, subject.home]
    assert re.search(r"\b0 different\.", said), said
    assert subject.record().topology.state == "home"
    assert len(subject.record().executions) == 2
    subject.beat()
    assert subject.writes(subject.home, "probe")
    assert not subject.writes(subject.away, "probe")
    if subject.system == "federal-records":
        subject.opens(subject.home)
        assert subject.secret(subject.away) == subject.secret(subject.home)


def cut_off(subject: Subject, each: Callable[[], None]) -> Record:
    """The region of home, until the system has failed over: nobody reaches it, and clients beside its database go on."""
    subject.aws.darken(subject.home, clients=True)
    for _ in range(PERIODS):
        subject.minute()
    subject.aws.pass_silence(subject.away)
    subject.aws.settle()
    return subject.until("failed-over", each)


def is_promoted(subject: Subject) -> bool:
    """Whether the database of the recovery site takes a write of who does not ask."""
    rds = subject.aws.client("rds", subject.away)
    if subject.system == "healthcare":
        members = rds.describe_global_clusters()["GlobalClusters"][0]["GlobalClusterMembers"]
        return any(one["IsWriter"] and subject.away in one["DBClusterArn"] for one in members)
    return not any(one.get("ReadReplicaSourceDBInstanceIdentifier") for one in rds.describe_db_instances()["DBInstances"])


def test_a_healthy_primary_stays_the_one_that_writes_though_the_recovery_site_fell_silent(subject: Subject) -> None:
    """Its schedule and its metrics stood still, which both alarms take for evidence; then it runs again."""
    subject.let_pass(COOLDOWN)
    before = subject.record()
    with subject.honoured() as watch:
        for _ in range(PERIODS):
            subject.aws.pass_minute(subject.away)
        subject.aws.pass_silence(subject.away)
        subject.aws.settle()
        for _ in range(PERIODS):
            subject.minute()
    found = subject.record()
    [refused] = [one for one in found.executions if one.id not in {each.id for each in before.executions}]
    assert refused.began["evidence"], "the alarms stood"
    assert refused.entries["99-ended"]["refusals"] == ["primary-answers"]
    assert found.topology == before.topology
    assert watch.wrote() == [subject.home]
    subject.beat()
    assert subject.writes(subject.home, "probe")
    assert not subject.writes(subject.away, "probe")


def test_a_region_that_is_cut_off_fails_over_by_itself_and_never_do_two_acknowledge(subject: Subject) -> None:
    """The alarms fall silent, which is their evidence; the rule invokes the function, and minutes pass.

    Clients beside the primary go on writing to it all the while, also when the recovery site's is promoted and not verified.
    """
    subject.let_pass(COOLDOWN)
    subject.grow_old(OLD[subject.system])
    doors, between = {region: door.whatever_its_role() for region, door in subject.doors().items()}, list[dict[str, bool]]()

    def look() -> None:
        topology, root = subject.record().topology, str(subject.aws.root)
        if is_promoted(subject) and topology.site != "recovery":
            between.append({region: acknowledged(door, root, topology.epoch) for region, door in doors.items()})

    with subject.honoured(subject.home) as watch:
        in_the_light = len(watch.rounds)
        found = cut_off(subject, look)
    assert between, "it was promoted a minute before it was verified"
    assert not any(one[subject.away] for one in between), between
    assert all(one[subject.home] for one in between), between
    assert subject.home in watch.since(in_the_light + 1), "in the dark it went on"
    assert watch.wrote() == [subject.home, subject.away], "the dark one took writes until there was a newer epoch, and none after"
    try:
        assert found.topology.rto_seconds is not None
        assert len(found.topology.evidence) == 2
        assert subject.writes(subject.away, "probe")
        said = subject.run("failover", code=Exit.REFUSED)
        assert "The recovery site writes already." in said
    finally:
        subject.aws.lighten(subject.home)
        subject.aws.settle()


def test_the_old_primary_that_comes_back_is_fenced(subject: Subject) -> None:
    subject.minute()
    assert not subject.writes(subject.home, "probe")
    assert subject.writes(subject.away, "probe")


def test_clients_are_let_in_again_at_home(subject: Subject) -> None:
    """From there it leaves again, for the next test."""
    if subject.system == "federal-records":
        return  # instances made anew, which the failback above has shown
    with subject.honoured() as watch:
        subject.run("failback", "--yes")
        subject.beat()
        subject.run("failover", "--mode", "switchover", "--yes")
    assert watch.wrote() == [subject.away, subject.home, subject.away]


def destroyed(subject: Subject) -> None:
    said = subject.run("destroy", "--yes")
    assert re.search(r"\d+ stacks deleted; left: \d+ KMS keys \(waiting period\)\.", said), said
    assert not subject.record().values
    for region in (subject.home, subject.away):
        rds = subject.aws.client("rds", region)
        assert not rds.describe_db_instances()["DBInstances"]
        assert not rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
        assert not subject.aws.client("efs", region).describe_file_systems()["FileSystems"]
        assert not subject.aws.client("secretsmanager", region).list_secrets()["SecretList"]


def test_it_is_destroyed_from_there(subject: Subject) -> None:
    destroyed(subject)


def test_it_is_destroyed_half_way(subject: Subject) -> None:
    """Decided, and asked to promote: nobody has recorded anything yet."""
    subject.run("deploy")
    subject.aws.settle()
    subject.beat()
    begun = subject.ask(subject.away, "failover", request="switchover", by="operator")
    assert begun["outcome"] == "begun", begun
    for _ in range(20):
        subject.minute()
        (execution,) = subject.record().executions
        if any(name.endswith("-promote-acted") for name in execution.entries):
            break
    assert execution.acts
    assert subject.record().topology.epoch == 0
    destroyed(subject)
