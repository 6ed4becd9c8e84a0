"""From the loss of a region to a write at the other site and home again, for both systems that can, under their own roles."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chain.environment.exit_codes import Exit
from chain.failover.topology import Record
from emulator import Emulator
from tests.support.commands import ROOT
from tests.support.end_to_end.failover import SUFFIX, SYSTEMS, Subject, standing
from tests.support.end_to_end.honouring import TABLE, acknowledged

pytestmark = pytest.mark.xdist_group("failover")

PERIODS = 3  # of the alarms that are the evidence


COOLDOWN = 3600
OLD = {"healthcare": 300, "federal-records": 1200}
"""Seconds: more than is stale, and less than may be lost."""


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
