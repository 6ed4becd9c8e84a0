"""Functions as they stand in ``functions/``, and what stands around them: a user, its secret, a global database."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from emulator import Emulator
from emulator import postgres as postgres_server
from emulator.authority import Authority
from emulator.postgres import Server
from tests.servers import secrets_manager
from tests.servers.secrets_manager import SecretsManager
from tests.support import unmeasured
from tests.support.emulator.global_database import primary, secondary
from tests.support.functions.failovers import (
    DUBLIN,
    LONDON,
    OTHER,
    SUFFIXES,
    Failover,
    Site,
    Start,
    site,
)
from tests.support.functions.rotations import Rotator, Runner


@pytest.fixture(autouse=True)
def _own_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that a function's clients share keeps the credentials that it was made with; a test has its own."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    """One of this file's own."""
    assert postgres_server.find() is not None, postgres_server.MISSING
    with unmeasured.running() as running:
        yield running


@pytest.fixture(scope="session")
def service() -> Iterator[SecretsManager]:
    """Secrets Manager."""
    with secrets_manager.running() as running:
        yield running


@pytest.fixture
def rotator(
    postgres: Server,
    authority: Authority,
    service: SecretsManager,
    monkeypatch: pytest.MonkeyPatch,
) -> Rotator:
    """Rotates a new user of the running server."""
    found = Rotator(service, postgres, authority.root)
    found.introduce(monkeypatch)
    return found


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """Runs steps in processes of their own."""
    started = Runner()
    yield started
    started.end()


@pytest.fixture(scope="module")
def sites(aws: Emulator) -> dict[str, Site]:
    """A cluster that writes and one that follows, and what stands beside each."""
    first = primary(aws, "failing-home")
    aws.client("rds", LONDON).create_global_cluster(GlobalClusterIdentifier="failing", SourceDBClusterIdentifier=first)
    clusters = {LONDON: first, DUBLIN: secondary(aws, "failing-away", "failing")}
    return {region: site(aws, region, cluster) for region, cluster in clusters.items()}


@pytest.fixture
def start(aws: Emulator, sites: dict[str, Site], monkeypatch: pytest.MonkeyPatch) -> Start:
    """A new environment, whose recovery site is wherever nobody writes now: so no test has to put anything back."""

    def begin() -> Failover:
        aws.settle()
        found = aws.client("rds", LONDON).describe_global_clusters(GlobalClusterIdentifier="failing")["GlobalClusters"][0]
        [writes] = [one["DBClusterArn"].split(":")[3] for one in found["GlobalClusterMembers"] if one["IsWriter"]]
        begun = Failover(aws, monkeypatch, f"t{next(SUFFIXES)}", sites[OTHER[writes]], sites[writes])
        aws.client("rds", begun.here.region).modify_db_cluster(
            DBClusterIdentifier=begun.here.cluster.rpartition(":")[2],
            ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 2},
            ApplyImmediately=True,
        )
        aws.settle()
        begun.evidence()
        begun.told()
        return begun

    return begin
