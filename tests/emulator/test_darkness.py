"""A region that is dark answers nobody, and refuses nobody either."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from emulator import ACCESS_KEY, SECRET_KEY, Emulator
from tests.support.emulator import global_database, replicas
from tests.support.emulator.databases import eventually, run, session

DARK, LIT = "ap-northeast-1", "ap-northeast-2"
WAIT = 1.0  # seconds, which a client of a region that may be lost would give it
SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))  # the first that a client of PostgreSQL says
HANGS = (ReadTimeoutError, ConnectTimeoutError)


@pytest.fixture
def lit(aws: Emulator) -> Iterator[None]:
    yield
    aws.lighten(DARK)


def impatient(aws: Emulator, service: str, region: str = DARK) -> Any:
    config = Config(connect_timeout=WAIT, read_timeout=WAIT, retries={"total_max_attempts": 1})
    return aws._session.client(
        service,
        region_name=region,
        endpoint_url=aws.endpoint,
        config=config,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


@pytest.mark.usefixtures("lit")
def test_calls_to_a_dark_region_hang_and_others_do_not(aws: Emulator) -> None:
    aws.darken(DARK)
    for service, call in (("rds", "describe_db_instances"), ("ssm", "describe_parameters"), ("sns", "list_topics")):
        began = time.monotonic()
        with pytest.raises(HANGS):
            getattr(impatient(aws, service), call)()
        assert time.monotonic() - began >= WAIT
        getattr(impatient(aws, service, LIT), call)()
    aws.lighten(DARK)
    impatient(aws, "rds").describe_db_instances()


@pytest.mark.usefixtures("lit")
def test_a_replica_is_promoted_while_its_source_is_dark_and_the_source_comes_back_writable(aws: Emulator) -> None:
    source = replicas.create(aws, "lost", DARK)
    copy = replicas.follow(aws, "left", source["DBInstanceArn"], LIT)
    with session(aws, source["Endpoint"], timeout=WAIT) as connection:
        aws.darken(DARK)
        with pytest.raises(TimeoutError):
            connection.run("SELECT 1")
    place = (source["Endpoint"]["Address"], source["Endpoint"]["Port"])
    with socket.create_connection(place, WAIT) as newcomer:
        newcomer.sendall(SSL_REQUEST)
        with pytest.raises(TimeoutError):
            newcomer.recv(1)
    assert replicas.count(aws, copy) == 1
    with pytest.raises(ClientError):  # there is nothing to copy
        replicas.follow(aws, "another", source["DBInstanceArn"], LIT)
    aws.client("rds", LIT).promote_read_replica(DBInstanceIdentifier="left")
    run(aws, copy["Endpoint"], "INSERT INTO kept VALUES (2)")
    aws.lighten(DARK)
    # Nothing on AWS fences an instance: this is what a program that fails over has to live with.
    run(aws, source["Endpoint"], "INSERT INTO kept VALUES (3)", "INSERT INTO kept VALUES (4)")
    assert (replicas.count(aws, source), replicas.count(aws, copy)) == (3, 2)
    for name, region in (("left", LIT), ("lost", DARK)):
        replicas.delete(aws, name, region)


@pytest.mark.usefixtures("lit")
def test_clients_beside_a_region_that_is_cut_off_are_served_and_nothing_of_it_comes_out(aws: Emulator) -> None:
    source = replicas.create(aws, "cut", DARK)
    copy = replicas.follow(aws, "stays", source["DBInstanceArn"], LIT)
    aws.darken(DARK, clients=True)
    with pytest.raises(HANGS):
        impatient(aws, "rds").describe_db_instances()
    run(aws, source["Endpoint"], "INSERT INTO kept VALUES (2)")
    assert (replicas.count(aws, source), replicas.count(aws, copy)) == (2, 1)
    aws.lighten(DARK)
    eventually(lambda: replicas.count(aws, copy), 2)
    aws.darken(DARK, clients=True)
    aws.client("rds", LIT).promote_read_replica(DBInstanceIdentifier="stays")
    for one in (source, copy):  # two that write, which is what honouring the epoch is for
        run(aws, one["Endpoint"], "INSERT INTO kept VALUES (3)")
    aws.lighten(DARK)
    assert (replicas.count(aws, source), replicas.count(aws, copy)) == (3, 3), "what was promoted follows nobody any more"
    for name, region in (("stays", LIT), ("cut", DARK)):
        replicas.delete(aws, name, region)


@pytest.mark.usefixtures("lit")
def test_a_primary_cluster_that_was_dark_while_another_took_over_comes_back_as_its_secondary(aws: Emulator) -> None:
    first = global_database.primary(aws, "gone", DARK)
    aws.client("rds", DARK).create_global_cluster(GlobalClusterIdentifier="dark", SourceDBClusterIdentifier=first)
    second = global_database.secondary(aws, "here", "dark", LIT)
    old, new = global_database.place(aws, "gone", DARK), global_database.place(aws, "here", LIT)
    with session(aws, old) as connection:
        aws.darken(DARK)
        global_database.switch(aws, second, region=LIT, lossy=True, name="dark")
        eventually(lambda: global_database.roles(aws, "dark"), {second: (True, "connected"), first: (False, "pending-resync")})
        run(aws, new, "INSERT INTO kept VALUES (2)")
        aws.settle()
        aws.lighten(DARK)
        with pytest.raises(Exception, match=r"(?i)network|closed|reset"):  # fenced: it never wrote again
            connection.run("INSERT INTO kept VALUES (3)")
    aws.settle()
    assert global_database.roles(aws, "dark") == {second: (True, "connected"), first: (False, "connected")}
    eventually(lambda: global_database.rows(aws, old), [1, 2])
    assert run(aws, old, "SELECT pg_is_in_recovery()") == [[True]]
    global_database.take_apart(aws, "dark", ("gone", DARK), ("here", LIT))


def test_an_emulator_ends_with_a_region_in_the_dark() -> None:
    from emulator import running

    with running() as aws:
        source = replicas.create(aws, "lost", DARK)
        replicas.follow(aws, "left", source["DBInstanceArn"], LIT)
        pids = [
            int((aws.database_log(name).parent / "data" / "postmaster.pid").read_text().split()[0]) for name in ("lost", "left")
        ]
        aws.darken(DARK)
    for pid in pids:
        eventually(lambda pid=pid: is_there(pid), False)  # type: ignore[misc]


def is_there(pid: int) -> bool:
    from pathlib import Path

    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
