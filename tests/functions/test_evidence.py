"""Heartbeat, age and probe against a real PostgreSQL and its streaming replica, a Secrets Manager and an EC2 that speak HTTP."""

from __future__ import annotations

import gc
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from common import clients, database
from common.database import BROKEN, Connection
from common.report import FunctionError
from common.secret import Credential
from heartbeat import handler as heartbeat
from probe import handler as probe
from replica_age import handler as replica_age

import emulator
from emulator.authority import Authority
from emulator.postgres import SUPERUSER, Server
from protocol.epoch import HONOURS
from tests.servers import hanging
from tests.servers.fixtures import DATABASE, PASSWORD, USER, Launch
from tests.support.functions.rotations import Runner

REPLICATION = "Replication-password.of_the~super"
TABLES = ("dr_heartbeat", "dr_epoch", "dr_probe")
DESCRIPTION = "PostgreSQL from clients"
HOME, AWAY = (f"arn:aws:rds:{region}:123456789012:db:it" for region in ("eu-west-1", "eu-west-2"))
OLD_TABLE = (
    "CREATE TABLE dr_epoch (id integer PRIMARY KEY CHECK (id = 1), epoch bigint NOT NULL, token bigint NOT NULL, fenced text, "
    "since timestamptz NOT NULL)"
)
"""As it was before a row named its writer."""


@dataclass
class World:
    """The two servers, the environment of functions beside them, and what those said."""

    aws: emulator.Emulator
    writer: Server
    replica: Server
    authority: Authority
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]
    name: str
    environment: dict[str, str]

    def at(self, server: Server, name: str = HOME) -> None:
        self.set(DATABASE_HOST=server.host, DATABASE_PORT=str(server.port), DATABASE_ARN=name)

    def opens(self, epoch: int, name: str = HOME, server: Server | None = None) -> bool:
        """Whether a client of this epoch that is connected to this server, and knows it by this name, may write."""
        session = self.session(server)
        try:
            return session.run(HONOURS, epoch=epoch, name=name) == [[True]]
        finally:
            database.close(session)

    def set(self, **variables: str) -> None:
        self.environment.update(variables)
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def write_secret(self, password: str, **how: Any) -> None:
        text = json.dumps({"username": USER, "password": password, "dbname": DATABASE, "host": "the-primarys"})
        self.aws.client("secretsmanager").put_secret_value(SecretId=self.name, SecretString=text, **how)

    def session(self, server: Server | None = None) -> Connection:
        """As an application has it, of the same user."""
        server = server or self.writer
        credential = Credential({"username": USER, "password": PASSWORD, "dbname": DATABASE})
        found = database.connect(database.Server(server.host, server.port, self.authority.root), credential, "an-application")
        assert found is not None
        return found

    def run(self, *statements: str, server: Server | None = None) -> Any:
        session = self.session(server)
        try:
            return [session.run(statement) for statement in statements][-1]
        finally:
            database.close(session)

    def ask(self, **event: object) -> dict[str, Any]:
        return probe.handler(event, None)

    def lets_in(self) -> str:
        """Which group the clients' rule names, and as what."""
        wanted = self.environment["CLIENT_RULE_ID"]
        [rule] = self.aws.client("ec2").describe_security_group_rules(SecurityGroupRuleIds=[wanted])["SecurityGroupRules"]
        names = {self.environment["CLIENT_GROUP_ID"]: "clients", self.environment["DATABASE_GROUP_ID"]: "nobody"}
        return names[rule["ReferencedGroupInfo"]["GroupId"]]

    def metrics(self) -> dict[str, float]:
        lines = [json.loads(line) for line in self.capfd.readouterr().out.splitlines()]
        blocks = [(line, block) for line in lines for block in line.get("_aws", {}).get("CloudWatchMetrics", [])]
        assert all(block["Dimensions"] == [["FunctionName"]] and line["FunctionName"] == "it" for line, block in blocks)
        return {metric["Name"]: line[metric["Name"]] for line, block in blocks for metric in block["Metrics"]}

    def caught_up(self) -> None:
        """The replica has what was written so far."""
        end = self.run("SELECT pg_current_wal_lsn()")[0][0]
        _until(lambda: bool(self.run(f"SELECT pg_last_wal_replay_lsn() >= '{end}'", server=self.replica)[0][0]))

    def epoch(self) -> list[Any]:
        return list(self.run("SELECT epoch, token, fenced FROM dr_epoch")[0])


ENDED = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A session that the server ends: pg8000 leaves its socket to the collector."""


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _replica(writer: Server, authority: Authority, name: str) -> Server:
    found = Server.copy_of(
        writer,
        writer.directory.parent / name,
        password=REPLICATION,
        slot=name.replace("-", "_"),
        root=authority.root,
        settings={"fsync": "off"},
    )
    found.start()
    return found


@pytest.fixture(scope="module")
def writer(launch: Launch) -> Server:
    def prepare(server: Server) -> None:
        server._administer(f"ALTER ROLE {SUPERUSER} PASSWORD '{REPLICATION}';\n\n")

    return launch("evidence-writer", settings={"fsync": "off"}, prepare=prepare)


@pytest.fixture(scope="module")
def replica(writer: Server, authority: Authority) -> Iterator[Server]:
    found = _replica(writer, authority, "evidence-replica")
    yield found
    found.destroy()


@pytest.fixture
def world(
    aws: emulator.Emulator,
    writer: Server,
    replica: Server,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[World]:
    name, ec2 = f"evidence-{uuid.uuid4().hex[:8]}", aws.client("ec2")
    groups = {
        who: ec2.create_security_group(GroupName=f"{name}-{who}", Description=who)["GroupId"] for who in ("database", "clients")
    }
    pair = {"GroupId": groups["clients"], "Description": DESCRIPTION}
    rule = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [pair]}
    made = ec2.authorize_security_group_ingress(GroupId=groups["database"], IpPermissions=[rule])
    arn = aws.client("secretsmanager").create_secret(Name=name)["ARN"]
    found = World(aws, writer, replica, authority, monkeypatch, capfd, name, {})
    found.set(
        **aws.environment,
        AWS_LAMBDA_FUNCTION_NAME="it",
        SECRET_ARN=arn,
        PGSSLROOTCERT=str(authority.root),
        DATABASE_GROUP_ID=groups["database"],
        CLIENT_GROUP_ID=groups["clients"],
        CLIENT_RULE_ID=made["SecurityGroupRules"][0]["SecurityGroupRuleId"],
        CLIENT_RULE_DESCRIPTION=DESCRIPTION,
    )
    monkeypatch.setattr(probe, "PAUSE", 0.01)
    found.at(writer)
    found.write_secret(PASSWORD)
    writable = "SET default_transaction_read_only = off"
    found.run(writable, f"ALTER DATABASE {DATABASE} RESET default_transaction_read_only")
    found.run(*(f"DROP TABLE IF EXISTS {table}" for table in TABLES), "CREATE TABLE IF NOT EXISTS work (id serial)")
    found.caught_up()
    yield found
    gc.collect()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((clients, "CONNECT_TIMEOUT"), (clients, "READ_TIMEOUT"), (database, "CONNECT_TIMEOUT")):
        monkeypatch.setattr(module, name, 0.3)


# A cluster that changes its role

WRITER = "it.cluster-0.eu-west-1.rds.localhost"
"""The name of a writer's endpoint to which no address answers: that of a secondary."""


def test_a_secondary_is_reached_by_its_readers_name(world: World) -> None:
    heartbeat.handler({}, None)
    world.caught_up()
    world.at(world.replica)
    world.set(DATABASE_HOST=WRITER)
    with pytest.raises(FunctionError, match=f"{WRITER}:{world.replica.port} does not answer: .*not known"):
        replica_age.handler({}, None)
    world.set(DATABASE_READ_HOST=world.replica.host)
    assert replica_age.handler({}, None)["in_recovery"] is True
    assert heartbeat.handler({}, None) == {"written": False, "why": "the database is a replica"}
    found = world.ask(do="probe")
    assert (found["writable"], found["in_recovery"]) == (False, True)


def test_what_is_reached_by_its_readers_name_is_called_by_its_writers(world: World) -> None:
    """A promoted database keeps one name in its row, whether its writer's is known everywhere by then or not."""
    world.set(DATABASE_HOST=WRITER, DATABASE_READ_HOST=world.writer.host)
    world.ask(do="fence", epoch=1, token=1)
    world.at(world.writer)
    assert world.epoch()[2] == f"{WRITER}:{world.writer.port}"
    world.ask(do="unfence", epoch=1, token=2)


def test_a_writer_that_has_a_name_is_asked_by_it_alone(world: World) -> None:
    world.set(DATABASE_READ_HOST=WRITER)
    assert heartbeat.handler({}, None)["written"] is True


@pytest.mark.parametrize(
    ("code", "reached"),
    [(socket.EAI_NONAME, True), (socket.EAI_NODATA, True), (socket.EAI_AGAIN, False), (socket.EAI_FAIL, False)],
)
def test_a_resolver_that_is_ill_says_nothing_about_a_role(world: World, code: int, reached: bool) -> None:
    theirs = socket.getaddrinfo

    def resolve(host: str, *more: Any, **named: Any) -> Any:
        if host == "writer.example":
            raise socket.gaierror(code, "of the test")
        return theirs(host, *more, **named)

    world.monkeypatch.setattr(socket, "getaddrinfo", resolve)
    world.set(DATABASE_HOST="writer.example", DATABASE_READ_HOST=world.writer.host)
    if reached:
        assert heartbeat.handler({}, None)["written"] is True
        return
    with pytest.raises(FunctionError, match="of the test"):
        heartbeat.handler({}, None)


def test_the_certificate_must_be_that_of_the_name_by_which_it_is_reached(world: World) -> None:
    theirs = socket.getaddrinfo
    led = {"reader.example": "127.0.0.1"}
    world.monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: theirs(led.get(host, host), *more, **named))
    world.set(DATABASE_HOST=WRITER, DATABASE_READ_HOST="reader.example")
    with pytest.raises(FunctionError, match=r"The certificate of reader\.example:[0-9]+ is refused"):
        heartbeat.handler({}, None)


# Heartbeat and age


def test_heartbeat_is_written_where_the_database_writes_and_its_age_is_read_at_the_replica(world: World) -> None:
    first, second = heartbeat.handler({}, None), heartbeat.handler({}, None)
    assert (first["written"], first["epoch"]) == (True, 0)
    assert first["at"] < second["at"]
    assert world.metrics() == {"HeartbeatWritten": 1}
    world.caught_up()
    time.sleep(0.3)
    world.at(world.replica)
    told = replica_age.handler({}, None)
    assert 0.3 <= told["seconds"] < 20
    assert (told["by"], told["at"], told["epoch"], told["in_recovery"]) == ("heartbeat", second["at"], 0, True)
    assert world.metrics() == {"ReplicaDataAge": told["seconds"]}


def test_heartbeat_stands_idle_at_a_replica_and_behind_a_fence(world: World) -> None:
    world.at(world.replica)
    assert heartbeat.handler({}, None) == {"written": False, "why": "the database is a replica"}
    assert world.metrics() == {"HeartbeatWritten": 0}
    world.at(world.writer)
    world.ask(do="fence", epoch=1, token=1)
    assert heartbeat.handler({}, None) == {"written": False, "why": "the database is fenced at epoch 1", "epoch": 1}
    world.ask(do="unfence", epoch=1, token=2)
    assert heartbeat.handler({}, None)["epoch"] == 1


def test_age_of_a_replica_without_heartbeats_is_that_of_what_it_replayed(world: World) -> None:
    world.run("INSERT INTO work DEFAULT VALUES")
    world.caught_up()
    world.at(world.replica)
    told = replica_age.handler({}, None)
    assert told["by"] == "replay"
    assert 0 <= told["seconds"] < 20


def test_age_that_nobody_knows_is_an_error_and_no_metric(world: World) -> None:
    with pytest.raises(FunctionError, match="holds no heartbeat"):
        replica_age.handler({}, None)
    assert world.metrics() == {}


# Who may write


@contextmanager
def promotable(world: World) -> Iterator[Server]:
    """A replica of its own, which the test promotes."""
    found = _replica(world.writer, world.authority, "evidence-promoted")
    try:
        yield found
    finally:
        found.destroy()
        with suppress(FunctionError):
            world.run(
                "SET default_transaction_read_only = off",
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
            )


def follows(world: World, replica: Server) -> None:
    end = world.run("SELECT pg_current_wal_lsn()")[0][0]
    _until(lambda: bool(world.run(f"SELECT pg_last_wal_replay_lsn() >= '{end}'", server=replica)[0][0]))


def promote(server: Server) -> None:
    server._run("pg_ctl", "promote", "-w", "-D", str(server.data))


@pytest.mark.parametrize("fenced", [False, True], ids=["unreachable", "fenced"])
def test_promoted_replica_is_shut_to_clients_that_honour_the_epoch_until_it_is_verified(world: World, fenced: bool) -> None:
    assert heartbeat.handler({}, None)["writer"] == HOME
    assert world.opens(0)
    assert not world.opens(0, AWAY, world.replica)
    if fenced:
        world.ask(do="fence", epoch=1, token=1)
    with promotable(world) as promoted:
        follows(world, promoted)
        promote(promoted)
        world.at(promoted, AWAY)
        world.monkeypatch.delenv("DATABASE_ARN")  # as the heartbeat of the recovery site has it
        heartbeat.handler({}, None)
        for epoch in (0, 1):
            assert not world.opens(epoch, AWAY, promoted), "its row names the database whose replica it was"
        assert world.opens(0) is not fenced, "and that one writes on"
        world.at(promoted, AWAY)
        assert world.ask(do="verify", epoch=1, token=2)["writer"] == AWAY
        assert world.opens(1, AWAY, promoted)
        assert not world.opens(1)
        world.at(world.writer)
        assert heartbeat.handler({}, None)["written"] is not fenced
        assert not world.opens(1), "who was left behind does not name itself for the new epoch"


def test_way_back_turns_the_name_back(world: World) -> None:
    """What follows the recovery site's database has its name in the row, until it is verified at home."""
    world.at(world.writer, AWAY)
    world.ask(do="verify", epoch=1, token=1)
    world.ask(do="fence", epoch=2, token=2)
    with promotable(world) as home:
        follows(world, home)
        promote(home)
        world.at(home)
        assert not heartbeat.handler({}, None)["written"]
        assert world.ask(do="probe")["writer"] == AWAY
        for _ in range(2):
            assert world.ask(do="verify", epoch=2, token=3)["writer"] == HOME
        assert world.ask(do="unfence", epoch=2, token=3)["group"] == "open"
        assert world.opens(2, HOME, home)
        assert not world.opens(2, AWAY)


@pytest.mark.parametrize("number", [0, 2], ids=["never left", "home again"])
def test_table_of_before_there_were_names_gets_its_column_and_its_name_once(world: World, number: int) -> None:
    world.run(OLD_TABLE, f"INSERT INTO dr_epoch VALUES (1, {number}, 7, NULL, clock_timestamp())")  # noqa: S608
    assert world.ask(do="probe")["writer"] is None
    world.monkeypatch.delenv("DATABASE_ARN")
    assert heartbeat.handler({}, None)["writer"] is None, "the recovery site's names nobody"
    world.at(world.writer)
    for _ in range(2):
        assert heartbeat.handler({}, None)["writer"] == HOME
    world.set(DATABASE_ARN=AWAY)
    assert heartbeat.handler({}, None)["writer"] == HOME, "who is named stays named"
    assert world.epoch() == [number, 7, None]
    assert world.opens(number)


def test_table_of_before_there_were_names_is_fenced_as_it_is_and_verified_with_a_name(world: World) -> None:
    world.run(OLD_TABLE, "INSERT INTO dr_epoch VALUES (1, 1, 7, NULL, clock_timestamp())")
    reader = world.session()
    reader.run("BEGIN")
    reader.run("SELECT * FROM dr_epoch")  # it keeps a column from being added
    assert world.ask(do="fence", epoch=2, token=8)["fenced"]
    assert world.run("SELECT fenced IS NOT NULL FROM dr_epoch") == [[True]]
    with suppress(*BROKEN):
        database.close(reader)
    assert world.ask(do="unfence", epoch=2, token=9)["group"] == "open"
    assert world.opens(2)


def test_heartbeat_is_written_though_the_writer_cannot_be_named(world: World) -> None:
    world.run(OLD_TABLE, "INSERT INTO dr_epoch VALUES (1, 0, 0, NULL, clock_timestamp())")
    reader = world.session()
    reader.run("BEGIN")
    reader.run("SELECT * FROM dr_epoch")
    told = heartbeat.handler({}, None)
    assert (told["written"], told["writer"]) == (True, None)
    assert "could not be named" in told["why"]
    assert world.metrics() == {"HeartbeatWritten": 1}
    reader.run("COMMIT")
    database.close(reader)
    assert heartbeat.handler({}, None)["writer"] == HOME


def test_heartbeat_names_nobody_behind_a_fence(world: World) -> None:
    world.ask(do="fence", epoch=1, token=1)
    assert not heartbeat.handler({}, None)["written"]
    assert world.ask(do="probe")["writer"] is None


@pytest.mark.parametrize("do", ["verify", "unfence"])
def test_database_that_does_not_know_its_name_takes_no_epoch(world: World, do: str) -> None:
    world.monkeypatch.delenv("DATABASE_ARN")
    with pytest.raises(FunctionError, match="lacks DATABASE_ARN"):
        world.ask(do=do, epoch=1, token=1)


# What keeps a function from the database


def test_pending_password_opens_while_a_rotation_is_under_way(world: World) -> None:
    for number in range(2):  # neither the current nor the previous version opens
        world.write_secret(f"Another-password.of_the~master{number}")
    with pytest.raises(FunctionError, match=r"refuses the password of .*Rotate the secret"):
        world.ask(do="probe")
    world.write_secret(PASSWORD, VersionStages=["AWSPENDING"])
    assert world.ask(do="probe")["writable"]


def test_replica_that_is_behind_a_rotation_is_opened_by_the_previous_password(world: World) -> None:
    world.write_secret("Another-password.of_the~master")  # what opens is the previous version now
    assert world.ask(do="probe")["writable"]


@pytest.mark.usefixtures("impatient")
def test_what_does_not_answer_is_given_up_with_a_sentence(world: World) -> None:
    with hanging.black_hole() as hole:
        world.set(DATABASE_PORT=str(hole))
        began = time.monotonic()
        with pytest.raises(FunctionError, match="does not answer"):
            world.ask(do="probe")
        world.set(AWS_ENDPOINT_URL_SECRETS_MANAGER=f"http://127.0.0.1:{hole}")
        with pytest.raises(FunctionError, match=r"cannot be read: ConnectTimeoutError.* need an endpoint"):
            world.ask(do="probe")
        assert time.monotonic() - began < 6


def test_statement_that_fails_is_told_with_the_servers_words(world: World) -> None:
    world.run("CREATE TABLE dr_probe (id text)")
    with pytest.raises(FunctionError, match=r"took the login and failed us: .* \(42\w{3}\)"):
        world.ask(do="probe")


def test_environment_that_lacks_a_name_says_which(world: World) -> None:
    world.monkeypatch.delenv("SECRET_ARN")
    with pytest.raises(FunctionError, match="lacks SECRET_ARN"):
        world.ask(do="probe")


# Probe


def test_probe_tells_a_writer_from_a_replica(world: World) -> None:
    told = world.ask(do="probe")
    assert (told["writable"], told["epoch"], told["fenced"], told["in_recovery"]) == (True, 0, False, False)
    assert world.ask(do="probe")["at"] > told["at"]
    world.at(world.replica)
    told = world.ask(do="probe")
    assert (told["writable"], told["in_recovery"]) == (False, True)


@pytest.mark.parametrize("event", [{}, {"do": "promote"}])
def test_unknown_event_is_refused(event: dict[str, Any], world: World) -> None:
    with pytest.raises(FunctionError, match="Ask to probe, fence, unfence, verify"):
        probe.handler(event, None)
    assert world.lets_in() == "clients"


@pytest.mark.parametrize("event", [{}, {"epoch": -1}, {"epoch": True}, {"epoch": "1"}, {"epoch": 1, "token": 1.5}])
def test_numbers_of_an_event_are_whole(world: World, event: dict[str, Any]) -> None:
    with pytest.raises(FunctionError, match="whole number"):
        world.ask(do="fence", **event)
    assert world.lets_in() == "clients"


# Fence


@ENDED
def test_fence_ends_writers_that_are_connected_and_stops_those_that_come_later(world: World) -> None:
    idle, busy = world.session(), world.session()
    busy.run("BEGIN")
    busy.run("INSERT INTO work DEFAULT VALUES")
    before = world.run("SELECT count(*) FROM work")[0][0]
    told = world.ask(do="fence", epoch=1, token=7)
    assert (told["fenced"], told["epoch"], told["group"]) == (True, 1, "closed")
    assert told["ended"] >= 2
    for session, statement in ((busy, "COMMIT"), (idle, "INSERT INTO work DEFAULT VALUES")):
        with pytest.raises(BROKEN):
            session.run(statement)
    later = world.session()
    with pytest.raises(database.DatabaseError) as refused:
        later.run("INSERT INTO work DEFAULT VALUES")
    assert database.sqlstate(refused.value) == "25006"
    assert later.scalar("SELECT count(*) FROM work") == before
    database.close(later)
    assert world.lets_in() == "nobody"
    told = world.ask(do="probe")
    assert (told["writable"], told["epoch"], told["fenced"]) == (False, 1, True)
    assert world.epoch() == [1, 7, f"{world.writer.host}:{world.writer.port}"]


def test_fence_and_its_end_may_be_asked_twice(world: World) -> None:
    for _ in range(2):
        assert world.ask(do="fence", epoch=1, token=1)["fenced"]
    for _ in range(2):
        assert world.ask(do="unfence", epoch=1, token=1)["group"] == "open"
    assert world.lets_in() == "clients"
    assert world.run("INSERT INTO work DEFAULT VALUES RETURNING 1") == [[1]]
    assert world.ask(do="probe")["writable"]


def test_client_that_honours_the_epoch_stops_at_the_fence_whatever_it_sets(world: World) -> None:
    honest = "SELECT count(*) FROM dr_epoch WHERE epoch = 1 AND fenced IS NULL"
    world.ask(do="verify", epoch=1, token=1)
    assert world.run(honest) == [[1]]
    world.ask(do="fence", epoch=2, token=2)
    assert world.run("SET default_transaction_read_only = off", honest) == [[0]]


@pytest.mark.parametrize(("number", "token"), [(1, 9), (2, 4)])
def test_older_epoch_or_token_changes_nothing(world: World, number: int, token: int) -> None:
    world.ask(do="fence", epoch=2, token=5)
    for do in ("fence", "verify", *(["unfence"] if token < 5 else [])):
        with pytest.raises(FunctionError, match="by token"):
            world.ask(do=do, epoch=number, token=token)
    with pytest.raises(FunctionError, match="by token"):
        world.ask(do="unfence", epoch=1)
    assert world.epoch()[:2] == [2, 5]
    assert not world.ask(do="probe")["writable"]


def test_failover_that_was_given_up_may_be_begun_again(world: World) -> None:
    world.ask(do="fence", epoch=1, token=1)
    assert world.ask(do="unfence", epoch=0, token=2)["epoch"] == 0
    assert world.ask(do="probe")["writable"]
    assert world.ask(do="fence", epoch=1, token=3)["fenced"]


def test_database_that_writes_in_an_epoch_is_not_fenced_for_it(world: World) -> None:
    world.ask(do="verify", epoch=3)
    with pytest.raises(FunctionError, match="writes in this epoch"):
        world.ask(do="fence", epoch=3, token=9)
    assert world.ask(do="probe")["writable"]


def test_fence_that_comes_late_or_to_the_wrong_one_leaves_the_network_as_it_is(world: World) -> None:
    """Its answer says that nothing was changed."""
    world.ask(do="fence", epoch=1, token=1)
    world.ask(do="unfence", epoch=0, token=5)
    with pytest.raises(FunctionError, match=r"by token 5 already\. Nothing was changed"):
        world.ask(do="fence", epoch=1, token=1)
    world.ask(do="verify", epoch=2, token=6)
    with pytest.raises(FunctionError, match=r"writes in this epoch\. Nothing was changed"):
        world.ask(do="fence", epoch=2, token=9)
    assert world.lets_in() == "clients"
    assert world.ask(do="probe")["writable"]


def test_database_that_does_not_answer_is_fenced_on_the_network(world: World) -> None:
    world.set(DATABASE_PORT="1")
    with pytest.raises(FunctionError, match="does not answer"):
        world.ask(do="fence", epoch=1, token=1)
    assert world.lets_in() == "nobody"


def test_database_that_was_fenced_is_not_verified_for_the_same_epoch(world: World) -> None:
    world.ask(do="fence", epoch=1, token=1)
    with pytest.raises(FunctionError, match="was fenced for it"):
        world.ask(do="verify", epoch=1)


@pytest.mark.parametrize("do", ["fence", "unfence", "verify"])
def test_replica_takes_no_epoch(world: World, do: str) -> None:
    world.at(world.replica)
    with pytest.raises(FunctionError, match="is a replica"):
        world.ask(do=do, epoch=1, token=1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("do", "told"), [("fence", "is fenced at epoch 1"), ("unfence", "is open at epoch 1")])
def test_network_that_cannot_be_turned_is_told_after_the_database_is_done(world: World, do: str, told: str) -> None:
    with hanging.black_hole() as hole:
        world.set(AWS_ENDPOINT_URL_EC2=f"http://127.0.0.1:{hole}")
        with pytest.raises(FunctionError, match=f"{told}, its security group is not: ConnectTimeoutError"):
            world.ask(do=do, epoch=1, token=1)
    assert world.epoch()[0] == 1


@ENDED
def test_session_that_does_not_end_is_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PATIENCE", 0.0)
    session = world.session()
    with pytest.raises(FunctionError, match="did not end within"):
        world.ask(do="fence", epoch=1, token=1)
    database.close(session)


def test_fence_that_is_killed_at_any_call_is_completed_by_the_next_one(world: World, runner: Runner) -> None:
    event = {"do": "fence", "epoch": 1, "token": 1}
    whole = runner.run([event], world.environment, function="probe")
    token = 1
    assert whole["outcomes"] == [""]
    for at in range(len(whole["calls"])):  # killed before each call: after the one before it
        world.ask(do="unfence", epoch=0, token=token + 1)
        token += 2
        event = {**event, "token": token}
        assert "killed" in runner.run([event], world.environment, function="probe", at=at, when="before", signal="SIGKILL")
        world.ask(**event)
        assert world.lets_in() == "nobody"
        assert not world.ask(do="probe")["writable"]


@pytest.mark.parametrize("do", ["unfence", "verify", "adopt"])
def test_what_is_killed_at_any_call_is_completed_by_the_next_one(world: World, runner: Runner, do: str) -> None:
    def before(number: int) -> dict[str, Any]:
        if do == "unfence":
            world.ask(do="fence", epoch=number, token=number)
        if do == "adopt":
            world.write_secret("Another-password.of_the~master", VersionStages=["AWSPENDING"])
            world.write_secret(PASSWORD)
        return {"do": do} if do == "adopt" else {"do": do, "epoch": number, "token": number}

    world.ask(do="probe")  # the first of all makes a table
    whole = runner.run([before(1)], world.environment, function="probe")
    assert whole["outcomes"] == [""]
    for number in range(len(whole["calls"])):
        event = before(number + 2)
        assert "killed" in runner.run([event], world.environment, function="probe", at=number, when="before", signal="SIGKILL")
        world.ask(**event)
        found = world.ask(do="probe")
        assert (found["writable"], found["fenced"], world.lets_in()) == (True, False, "clients")
        if do == "adopt":
            current = world.aws.client("secretsmanager").get_secret_value(SecretId=world.name)
            assert json.loads(current["SecretString"])["host"] == world.writer.host
            assert set(current["VersionStages"]) == {"AWSCURRENT", "AWSPENDING"}
        else:
            assert world.epoch() == [number + 2, number + 2, None]


# Verify


def test_promoted_replica_is_verified_and_rid_of_the_fence_that_it_inherited(world: World) -> None:
    with promotable(world) as promoted:
        world.ask(do="fence", epoch=1, token=4)
        follows(world, promoted)
        world.at(promoted, AWAY)
        told = world.ask(do="probe")
        assert (told["fenced"], told["in_recovery"]) == (True, True)
        promote(promoted)
        assert not world.ask(do="probe")["writable"], "the fence has come with the data"
        told = world.ask(do="verify", epoch=1)
        assert (told["verified"], told["writable"], told["epoch"], told["fenced"]) == (True, True, 1, False)
        assert world.run("INSERT INTO work DEFAULT VALUES RETURNING 1", server=promoted) == [[1]]
        assert world.ask(do="verify", epoch=1)["verified"]
        world.at(world.writer)
        assert not world.ask(do="probe")["writable"], "the old one stays fenced"


def test_verified_database_that_takes_no_write_is_told(world: World) -> None:
    world.run(f"ALTER ROLE {USER} SET default_transaction_read_only = on")
    try:
        with pytest.raises(FunctionError, match="took epoch 1 and takes no write"):
            world.ask(do="verify", epoch=1)
    finally:
        world.run("SET default_transaction_read_only = off", f"ALTER ROLE {USER} RESET default_transaction_read_only")


def test_way_to_what_is_promoted_is_closed_before_and_opens_when_it_is_verified(world: World) -> None:
    with pytest.raises(FunctionError, match="is no replica, so its group stays as it is"):
        world.ask(do="close")
    assert world.lets_in() == "clients"
    world.at(world.replica, AWAY)
    for _ in range(2):
        assert world.ask(do="close") == {"group": "closed"}
    assert world.lets_in() == "nobody"
    world.at(world.writer)  # as if that had been promoted
    assert world.ask(do="verify", epoch=1, token=1)["group"] == "open"
    assert world.lets_in() == "clients"


@pytest.mark.usefixtures("impatient")
def test_verified_database_that_cannot_be_opened_is_verified_and_says_so(world: World) -> None:
    with hanging.black_hole() as hole:
        world.set(AWS_ENDPOINT_URL_EC2=f"http://127.0.0.1:{hole}")
        told = world.ask(do="verify", epoch=1, token=1)
    assert (told["verified"], told["group"]) == (True, "closed")
    assert "ConnectTimeoutError" in told["why"]
    assert world.opens(1)


# After a promotion, and at a replica again


@pytest.mark.parametrize("opens", ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"])
def test_adopted_secret_names_this_database_with_the_password_that_opens_it(world: World, opens: str) -> None:
    manager, other = world.aws.client("secretsmanager"), "Another-password.of_the~master"
    if opens != "AWSCURRENT":
        world.write_secret(other)
    if opens == "AWSPENDING":
        world.write_secret(other)
        world.write_secret(PASSWORD, VersionStages=["AWSPENDING"])
    told = world.ask(do="adopt")
    assert (told["adopted"], told["opened_by"], told["host"]) == (True, opens, world.writer.host)
    current = manager.get_secret_value(SecretId=world.name)
    assert json.loads(current["SecretString"]) == {
        "username": USER,
        "password": PASSWORD,
        "dbname": DATABASE,
        "host": world.writer.host,
        "port": world.writer.port,
    }
    assert set(current["VersionStages"]) == {"AWSCURRENT", "AWSPENDING"}, "no other version is pending, so it can be rotated"
    assert world.ask(do="adopt") == {**told, "adopted": False, "opened_by": "AWSCURRENT"}
    assert manager.get_secret_value(SecretId=world.name)["VersionId"] == current["VersionId"]


def test_secret_that_opens_nothing_is_not_adopted(world: World) -> None:
    for number in range(2):
        world.write_secret(f"Another-password.of_the~master{number}")
    with pytest.raises(FunctionError, match="refuses every password of"):
        world.ask(do="adopt")


def test_replica_adopts_no_secret(world: World) -> None:
    world.at(world.replica)
    with pytest.raises(FunctionError, match="is a replica"):
        world.ask(do="adopt")
    held = world.aws.client("secretsmanager").get_secret_value(SecretId=world.name)
    assert json.loads(held["SecretString"])["host"] == "the-primarys"


def test_group_alone_is_opened_at_a_replica_and_nowhere_else(world: World) -> None:
    world.ask(do="fence", epoch=1, token=1)
    with pytest.raises(FunctionError, match="is no replica, so its group stays as it is"):
        world.ask(do="open")
    assert world.lets_in() == "nobody"
    world.at(world.replica)
    assert world.ask(do="open") == {"group": "open"} == world.ask(do="open")
    assert world.lets_in() == "clients"


@pytest.mark.usefixtures("impatient")
def test_group_that_cannot_be_opened_is_told(world: World) -> None:
    world.at(world.replica)
    with hanging.black_hole() as hole:
        world.set(AWS_ENDPOINT_URL_EC2=f"http://127.0.0.1:{hole}")
        with pytest.raises(FunctionError, match="is not open: ConnectTimeoutError"):
            world.ask(do="open")
