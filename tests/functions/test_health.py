"""The health function against a real PostgreSQL, DynamoDB, S3 and Secrets Manager, and against everything that hangs."""

from __future__ import annotations

import gc
import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from common import clients, database
from common.report import FunctionError
from health import handler as health

import emulator
from emulator.authority import Authority
from emulator.postgres import Server
from tests.servers import hanging
from tests.servers.fixtures import DATABASE, PASSWORD, USER, Launch

CLUSTER = "arn:aws:rds:us-east-1:123456789012:cluster:dr-aurora-test"
NAMES = ("secret", "database", "table", "bucket")
ENDPOINTS = {"secret": "AWS_ENDPOINT_URL_SECRETS_MANAGER", "table": "AWS_ENDPOINT_URL_DYNAMODB", "bucket": "AWS_ENDPOINT_URL_S3"}
PATIENCE = 15.0  # seconds that a busy machine may be late


@dataclass
class World:
    """What the function depends on, its environment, and what it said."""

    aws: emulator.Emulator
    server: Server
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]
    name: str = field(default_factory=lambda: f"dr-{uuid.uuid4().hex[:8]}")
    arn: str = ""
    said: list[dict[str, Any]] = field(default_factory=list)

    def value(self, **more: object) -> dict[str, object]:
        own = {"host": self.server.host, "port": self.server.port, "dbname": DATABASE, "dbClusterIdentifier": "dr-aurora-test"}
        return {"username": USER, "password": PASSWORD, **own, **more}

    def write(self, value: dict[str, object] | str, **how: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.aws.client("secretsmanager").put_secret_value(SecretId=self.arn, SecretString=text, **how)

    def run(self, context: object = None) -> dict[str, Any]:
        self.capfd.readouterr()
        try:
            return health.handler({}, context)
        finally:
            self.said = [json.loads(line) for line in self.capfd.readouterr().out.splitlines()]

    def fails(self, *names: str, context: object = None) -> dict[str, str]:
        """Runs, and expects just these dependencies to fail, in the exception, the report and the metrics; why they do."""
        with pytest.raises(FunctionError) as caught:
            self.run(context)
        report = self.report
        assert [name for name in NAMES if report[name]["works"] is False] == list(names)
        assert str(caught.value).startswith(f"{len(names)} of 4 dependencies fail. ")
        assert all(f"{name}: {report[name]['reason']}" in str(caught.value) for name in names)
        assert [name for name in NAMES if self.metrics.get(name, {}).get("Works") == 0] == list(names)
        assert PASSWORD not in json.dumps(self.said) + str(caught.value)
        return {name: str(report[name]["reason"]) for name in names}

    @property
    def report(self) -> dict[str, Any]:
        [report] = [line for line in self.said if line.get("event") == "health"]
        return report

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Dependency to metric to value, as CloudWatch reads them out of the lines."""
        found: dict[str, dict[str, float]] = {}
        for line in self.said:
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                assert directive["Namespace"] == "Standby"
                assert directive["Dimensions"] == [["FunctionName", "Dependency"]]
                assert line["FunctionName"] == self.name
                found[line["Dependency"]] = {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}
        return found

    def leftovers(self) -> list[object]:
        items = self.aws.client("dynamodb").scan(TableName=self.name)["Items"]
        versions = self.aws.client("s3").list_object_versions(Bucket=self.name)
        return [*items, *versions.get("Versions", []), *versions.get("DeleteMarkers", [])]


@pytest.fixture
def world(
    aws: emulator.Emulator,
    postgres: Server,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> World:
    found = World(aws, postgres, monkeypatch, capfd)
    aws.client("dynamodb").create_table(
        TableName=found.name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    aws.client("s3").create_bucket(Bucket=found.name)
    aws.client("s3").put_bucket_versioning(Bucket=found.name, VersioningConfiguration={"Status": "Enabled"})
    found.arn = aws.client("secretsmanager").create_secret(Name=found.name, SecretString=json.dumps(found.value()))["ARN"]
    environment = {
        **aws.environment,
        "AWS_LAMBDA_FUNCTION_NAME": found.name,
        "DB_SECRET_ARN": found.arn,
        "DB_CLUSTER_ARN": CLUSTER,
        "DYNAMODB_TABLE": found.name,
        "S3_BUCKET": found.name,
        "DATABASE_HOST": postgres.host,
        "DATABASE_PORT": str(postgres.port),
        "PGSSLROOTCERT": str(authority.root),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bounds in the same order, twenty times as short."""
    for name in ("CONNECT_TIMEOUT", "READ_TIMEOUT"):
        monkeypatch.setattr(clients, name, getattr(clients, name) / 20)
    for name in ("CONNECT_TIMEOUT", "ANSWER_TIMEOUT"):
        monkeypatch.setattr(database, name, getattr(database, name) / 20)
    # What does not shrink: up to a second between attempts, one for S3's "100 Continue", and making a client.
    monkeypatch.setattr(health, "BOUNDS", {name: bound / 20 + 3 for name, bound in health.BOUNDS.items()})


def test_all_that_works_is_reported_with_its_latency_and_leaves_nothing(world: World) -> None:
    report = world.run()
    assert list(report) == list(NAMES)
    assert all(told["works"] and 0 < told["milliseconds"] < 10_000 for told in report.values())
    assert world.report == {"event": "health", "works": True, "cluster": CLUSTER, **report}
    assert world.metrics == {name: {"Works": 1, "Latency": told["milliseconds"]} for name, told in report.items()}
    assert world.leftovers() == []
    assert "SELECT 1" in world.server.log.read_text()


def test_bucket_without_versions_is_cleaned_up_too(world: World) -> None:
    name = f"{world.name}-plain"
    world.aws.client("s3").create_bucket(Bucket=name)
    world.monkeypatch.setenv("S3_BUCKET", name)
    assert world.run()["bucket"]["works"]
    assert "Contents" not in world.aws.client("s3").list_objects_v2(Bucket=name)


def test_every_failure_is_named_and_hides_no_other(world: World) -> None:
    world.monkeypatch.setenv("DB_SECRET_ARN", world.arn + "-gone")
    world.monkeypatch.setenv("DYNAMODB_TABLE", "gone")
    world.monkeypatch.setenv("S3_BUCKET", "gone")
    world.monkeypatch.setenv("DATABASE_PORT", "1")
    why = world.fails(*NAMES)
    assert "ResourceNotFoundException" in why["secret"]
    assert "shakes no hands" in why["database"]
    assert "ResourceNotFoundException" in why["table"]
    assert "NoSuchBucket" in why["bucket"]


@pytest.mark.parametrize(
    ("variable", "name"), [("DB_SECRET_ARN", "secret"), ("DYNAMODB_TABLE", "table"), ("S3_BUCKET", "bucket")]
)
def test_missing_setting_fails_its_own_check_only(world: World, variable: str, name: str) -> None:
    world.monkeypatch.delenv(variable)
    assert variable in world.fails(name)[name]


@pytest.mark.parametrize("variable", ["DATABASE_HOST", "DB_CLUSTER_ARN"])
def test_missing_setting_of_the_database_fails_it_only(world: World, variable: str) -> None:
    world.monkeypatch.delenv(variable)
    assert variable in world.fails("database")["database"]


def test_database_is_neither_well_nor_ill_without_the_secret(world: World) -> None:
    world.monkeypatch.setenv("DB_SECRET_ARN", world.arn + "-gone")
    world.fails("secret")
    assert world.report["database"]["works"] is None
    assert "answers with a valid certificate" in world.report["database"]["reason"]
    assert "database" not in world.metrics


def test_secret_that_is_none_fails_without_being_shown(world: World) -> None:
    world.write(f"password={PASSWORD}")
    assert "is no JSON object" in world.fails("secret")["secret"]


def test_wrong_password_is_the_databases_failure(world: World) -> None:
    world.write(world.value(password="wrong"))
    assert "refuses the password" in world.fails("database")["database"]


def test_rotation_in_its_middle_is_no_failure(world: World) -> None:
    world.write(world.value(password="not yet the password"))
    world.write(world.value(), VersionStages=["AWSPENDING"])
    assert world.run()["database"]["works"]


def test_rotation_that_ends_while_we_look_is_no_failure(world: World) -> None:
    old = health.Credential.parse(json.dumps(world.value(password="the last one")), "It")
    given = list(health._credentials(world.arn, old))
    assert [one and one.password for one in given] == ["the last one", None, PASSWORD]


@pytest.mark.parametrize("key", ["host", "dbClusterIdentifier"])
def test_secret_of_another_cluster_is_refused(world: World, key: str) -> None:
    world.write(world.value(**{key: "another"}))
    assert "Give those of one cluster" in world.fails("database")["database"]


def test_secret_that_was_never_attached_is_used_as_it_is(world: World) -> None:
    value = world.value()
    world.write({name: value[name] for name in ("username", "password")})
    assert world.run()["database"]["works"]


def test_certificate_of_a_stranger_is_refused_with_and_without_secret(world: World, launch: Launch, scratch: Path) -> None:
    stranger = launch("stranger", authority=Authority.create(scratch / "strange"), settings={"fsync": "off"})
    world.monkeypatch.setenv("DATABASE_PORT", str(stranger.port))
    assert "certificate" in world.fails("database")["database"]
    world.monkeypatch.setenv("DB_SECRET_ARN", world.arn + "-gone")
    assert "certificate" in world.fails("secret", "database")["database"].lower()
    stranger.destroy()


def test_server_without_tls_is_refused_with_and_without_secret(world: World, launch: Launch) -> None:
    clear = launch("clear", settings={"ssl": "off", "fsync": "off"})
    world.monkeypatch.setenv("DATABASE_PORT", str(clear.port))
    assert "offers no TLS" in world.fails("database")["database"]
    world.monkeypatch.setenv("DB_SECRET_ARN", world.arn + "-gone")
    assert "offers no TLS" in world.fails("secret", "database")["database"]
    clear.destroy()


def test_query_that_fails_after_the_login_is_a_failure(world: World) -> None:
    # The server ends the session right after the login, as it does when it is shut down.
    def end(connection: database.Connection, statement: str) -> object:
        return connection.run(f"{statement} FROM pg_terminate_backend(pg_backend_pid())")

    world.monkeypatch.setattr(database.Connection, "scalar", end)
    assert "took the login and failed at SELECT 1" in world.fails("database")["database"]


@pytest.mark.parametrize(("name", "answer"), [("table", b'{"Item": {}}'), ("bucket", b"something else")])
def test_other_data_than_what_was_written_is_a_failure(world: World, name: str, answer: bytes) -> None:
    def talk(wire: Any) -> None:
        while asked := wire.recv(65536):
            body = b"" if asked.startswith((b"PUT", b"DELETE")) else answer
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with hanging.talking(talk) as port:
        world.monkeypatch.setenv(ENDPOINTS[name], f"http://127.0.0.1:{port}")
        assert "does not give back what was written" in world.fails(name)[name]


@pytest.mark.parametrize(("name", "refused"), [("table", "dynamodb:GetItem"), ("bucket", "s3:GetObject")])
def test_what_was_written_is_deleted_although_it_cannot_be_read(world: World, name: str, refused: str) -> None:
    iam = world.aws.client("iam")
    iam.create_user(UserName=world.name)
    policy = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": refused, "Resource": "*"}]
    iam.put_user_policy(
        UserName=world.name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": policy})
    )
    key = iam.create_access_key(UserName=world.name)["AccessKey"]
    world.monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    world.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    why = world.fails(name)[name]
    assert "AccessDenied" in why
    assert world.leftovers() == []


Hang = Callable[[], AbstractContextManager[int]]
HTTP_HANGS: dict[str, Hang] = {
    "black hole": hanging.black_hole,
    "silence": partial(hanging.talking, hanging.silent),
    "trickle": partial(hanging.talking, hanging.http_trickle),
    "body trickle": partial(hanging.talking, hanging.http_body_trickle),
}


# What was abandoned leaves its socket to the garbage collector, which says so.
ABANDONED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _given_up(name: str) -> str:
    """What is told of what hangs for as long as it is asked: it was left at its own bound."""
    return f"It had not ended after {health.BOUNDS[name]:.3g} s, and was given up."


@ABANDONED
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("hang", HTTP_HANGS)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_service_that_hangs_is_given_up_while_it_hangs_and_hides_nothing(world: World, name: str, hang: str) -> None:
    if "trickle" not in hang:  # the client gives up by itself, however late a busy machine lets it
        world.monkeypatch.setattr(health, "BOUNDS", {key: bound + PATIENCE for key, bound in health.BOUNDS.items()})
    with HTTP_HANGS[hang]() as port:
        world.monkeypatch.setenv(ENDPOINTS[name], f"http://127.0.0.1:{port}")
        why = world.fails(name)[name]
        assert (_given_up(name) if "trickle" in hang else "need an endpoint for this service") in why
        _nobody_goes_on()


@ABANDONED
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("hang", ["black hole", "silence", "trickle"])
@pytest.mark.parametrize("with_secret", [True, False])
def test_database_that_hangs_is_given_up_while_it_hangs_and_hides_nothing(
    world: World, authority: Authority, hang: str, *, with_secret: bool
) -> None:
    hangs: dict[str, Hang] = {
        **HTTP_HANGS,
        "trickle": partial(hanging.talking, hanging.postgres_trickle(*authority.issue(["localhost"]))),
    }
    if not with_secret:
        world.monkeypatch.setenv("DB_SECRET_ARN", world.arn + "-gone")
    with hangs[hang]() as port:
        world.monkeypatch.setenv("DATABASE_PORT", str(port))
        if hang == "trickle" and not with_secret:  # which shakes hands, and no more is asked of it
            world.fails("secret")
        else:
            why = world.fails(*(["database"] if with_secret else ["secret", "database"]))["database"]
            assert hang != "trickle" or why == _given_up("database")
        _nobody_goes_on()


@pytest.mark.usefixtures("impatient")
def test_all_may_hang_at_once(world: World) -> None:
    with hanging.black_hole() as hole:
        for variable in ENDPOINTS.values():
            world.monkeypatch.setenv(variable, f"http://127.0.0.1:{hole}")
        world.monkeypatch.setenv("DATABASE_PORT", str(hole))
        world.fails(*NAMES)


def test_silent_services_are_told_by_their_own_timeouts_before_any_is_given_up(world: World) -> None:
    with hanging.talking(hanging.silent) as port, hanging.black_hole() as hole:
        for variable in ENDPOINTS.values():
            world.monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
        world.monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{hole}")
        world.monkeypatch.setenv("DATABASE_PORT", str(hole))
        why = world.fails(*NAMES)
        assert all("need an endpoint for this service" in why[name] for name in ("table", "bucket"))
        assert "was given up" not in why["database"]


def test_bounds_leave_time_within_the_functions_60_seconds() -> None:
    assert max(health.BOUNDS.values()) + health.RESERVE < 60
    # Nothing is given up before its own timeouts have told what is wrong; up to a second lies between two attempts.
    call = clients.ATTEMPTS * clients.READ_TIMEOUT + (clients.ATTEMPTS - 1)
    assert call <= health.BOUNDS["secret"]
    assert 3 * call <= health.BOUNDS["table"]
    assert 3 * call <= health.BOUNDS["bucket"]
    assert health.BOUNDS["secret"] + database.CONNECT_TIMEOUT + 2 * database.ANSWER_TIMEOUT <= health.BOUNDS["database"]


def test_time_that_is_left_is_above_all_bounds(world: World) -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 12000

    with hanging.black_hole() as hole:
        world.monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{hole}")
        assert "after 7 s" in world.fails("table", context=Context())["table"]


def _nobody_goes_on() -> None:
    """Also what trickles comes to its end, so that nothing piles up in a function that is used again."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(thread.name in NAMES for thread in threading.enumerate()):
        time.sleep(0.02)
    assert not [thread for thread in threading.enumerate() if thread.name in NAMES]
    gc.collect()


def test_said_error_of_a_service_is_its_own_words() -> None:
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "not yours"}}, "GetItem")
    assert health._told(error) == {
        "works": False,
        "reason": "ClientError: An error occurred (AccessDenied) when calling the GetItem operation: not yours",
    }
