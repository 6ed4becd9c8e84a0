"""Rotation against a real PostgreSQL 15 with TLS and log_statement=all, and a Secrets Manager that speaks HTTP."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from common import clients, database
from common.report import FunctionError
from common.secret import Credential
from pg8000.exceptions import DatabaseError
from rotation.handler import EXCLUDED, LOCK, handler

from emulator.authority import Authority
from emulator.postgres import Server
from tests.servers.fixtures import DATABASE, PASSWORD, USER, Launch
from tests.servers.secrets_manager import AwsError, Secret
from tests.support.functions.rotations import STEPS, Rotator, verifier


def test_rotation_ends_in_a_new_password_that_opens_the_database(rotator: Rotator) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, *STEPS)
    rotator.check_one_valid_current(token, rotator.first)
    assert rotator.service.value(rotator.arn, "AWSPREVIOUS")["password"] == rotator.first


def test_rotation_follows_rotation(rotator: Rotator) -> None:
    passwords = [rotator.first, rotator.rotate(), rotator.rotate(), rotator.rotate()]
    assert len(set(passwords)) == 4
    assert [rotator.opens(password) for password in passwords] == [False, False, False, True]


def test_every_step_runs_twice_as_well_as_once(rotator: Rotator, capsys: pytest.CaptureFixture[str]) -> None:
    token = rotator.service.rotate(rotator.arn)
    for step in STEPS:
        rotator.step(token, step, step)
    rotator.check_one_valid_current(token, rotator.first)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines] == [step for step in STEPS for _ in range(2)]
    did = [line["did"] for line in lines]
    assert did[0] == "wrote the pending version"
    assert did[2] == f"set the pending password of {rotator.user}, having logged in with AWSCURRENT"
    assert did[4] == did[5] == f"logged in as {rotator.user} with the pending password"
    assert did[6] == "made this version AWSCURRENT"
    assert did[1] == "nothing: the pending version is there"
    assert did[3] == f"nothing: {rotator.user} has the pending password already"
    assert did[7] == "nothing: this version is AWSCURRENT already"


def test_each_step_says_what_it_did_in_one_line_without_a_password(rotator: Rotator, capfd: pytest.CaptureFixture[str]) -> None:
    new = rotator.rotate()
    out, err = capfd.readouterr()
    assert err == ""
    assert [json.loads(line)["step"] for line in out.splitlines()] == list(STEPS)
    assert {json.loads(line)["secret"] for line in out.splitlines()} == {rotator.arn}
    assert new not in out
    assert rotator.first not in out


def test_old_connections_live_on(rotator: Rotator) -> None:
    with rotator.login(rotator.first) as connection:
        rotator.rotate()
        assert connection.run("SELECT current_user") == [[rotator.user]]


def test_servers_log_holds_the_verifier_and_no_clear_password(rotator: Rotator) -> None:
    new = rotator.rotate()
    newer = rotator.rotate()
    log = rotator.server.log.read_text()
    statement = rf"{rotator.user}@{DATABASE} LOG:  statement: ALTER ROLE SESSION_USER PASSWORD 'SCRAM-SHA-256\$4096:"
    assert len(re.findall(statement, log)) == 2
    for password in (rotator.first, new, newer, PASSWORD):
        assert password not in log


@pytest.mark.parametrize(
    "settings",
    [
        ("SET role = '{owner}'",),
        ("SET search_path = {evil}, pg_catalog", "SET role = '{owner}'"),
        ("IN DATABASE {database} SET role = '{owner}'", "IN DATABASE {database} SET search_path = {evil}, pg_catalog"),
    ],
    ids=["another role", "another role and other names", "in this database"],
)
def test_password_of_the_sessions_own_user_is_changed_whatever_its_settings_say(
    rotator: Rotator, settings: tuple[str, ...]
) -> None:
    """CURRENT_USER is the role that the session acts as: its password was overwritten, and each retry did it again."""
    names = {"owner": f"Owner of {rotator.user}", "evil": f"evil_{rotator.user}", "database": DATABASE}
    with rotator.master() as connection:
        connection.run(f"CREATE ROLE \"{names['owner']}\" LOGIN CREATEROLE PASSWORD '{verifier('the-owners-own')}'")
        connection.run(f'GRANT "{names["owner"]}" TO {rotator.user}')
        connection.run(f"CREATE SCHEMA {names['evil']}; GRANT USAGE ON SCHEMA {names['evil']} TO PUBLIC")
        connection.run(f"CREATE FUNCTION {names['evil']}.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        for setting in settings:
            connection.run(f"ALTER ROLE {rotator.user} {setting.format(**names)}")
    try:
        token = rotator.service.rotate(rotator.arn)
        for step in STEPS:
            rotator.step(token, step, step)
        secret = rotator.service.secrets[rotator.arn]
        assert secret.labels["AWSCURRENT"] == token
        for user, password in ((rotator.user, rotator.password), (names["owner"], "the-owners-own")):
            with rotator.login(password, user) as connection:
                assert connection.run("SELECT session_user") == [[user]]
        with pytest.raises(DatabaseError, match="28P01"), rotator.login(rotator.first):
            pass
    finally:
        with rotator.master() as connection:
            connection.run(f"DROP SCHEMA {names['evil']} CASCADE")


def test_master_that_acts_as_another_role_rotates_its_own_password(rotator: Rotator) -> None:
    """May set anybody's password: nothing but the name keeps it from another's."""
    with rotator.master() as connection:
        connection.run(f"ALTER ROLE {rotator.user} CREATEROLE")
        connection.run(f"CREATE ROLE owner_{rotator.user} LOGIN PASSWORD '{verifier('the-owners-own')}'")
        connection.run(f"GRANT owner_{rotator.user} TO {rotator.user}")
        connection.run(f"ALTER ROLE {rotator.user} SET role = 'owner_{rotator.user}'")
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, *STEPS)
    with rotator.login(rotator.password) as connection:
        assert connection.run("SELECT session_user, current_user") == [[rotator.user, f"owner_{rotator.user}"]]
    with rotator.login("the-owners-own", f"owner_{rotator.user}"):
        pass


def test_session_of_another_user_than_the_secrets_is_refused(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As behind a proxy that logs in under a name of its own."""
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    original = database.connect

    def mapped(server: Any, credential: Credential, application: str) -> database.Connection | None:
        return original(server, Credential({**credential.values, "username": USER, "password": PASSWORD}), application)

    monkeypatch.setattr(database, "connect", mapped)
    for event in rotator.events(token)[1:3]:
        said = rotator.refusal(event, capfd)
        assert f"takes the user {rotator.user} for {USER}, whose password must not be changed" in said
    assert rotator.opens(rotator.first)


def test_password_suits_urls_and_sql(rotator: Rotator) -> None:
    rotator.rotate()
    asked = next(asked for operation, asked in reversed(rotator.service.calls) if operation == "GetRandomPassword")
    assert asked == {"PasswordLength": 32, "ExcludeCharacters": EXCLUDED, "IncludeSpace": False, "RequireEachIncludedType": True}
    left = {chr(code) for code in range(33, 127) if not chr(code).isalnum()} - set(EXCLUDED)
    assert left == set("-._~"), "the unreserved characters of RFC 3986"
    assert set("\"@/\\ '") <= set(EXCLUDED)


def test_call_without_rotation_token_sends_none_and_a_call_with_one_passes_it_on(rotator: Rotator) -> None:
    for proof in ({}, {"RotationToken": "f" * 64}):
        token = rotator.service.rotate(rotator.arn)
        handler({**rotator.events(token)[0], **proof}, None)
        rotator.step(token, *STEPS[1:])
        put = next(asked for operation, asked in reversed(rotator.service.calls) if operation == "PutSecretValue")
        assert put.get("RotationToken") == proof.get("RotationToken")


def test_previous_password_helps_where_the_database_was_restored(rotator: Rotator, capsys: pytest.CaptureFixture[str]) -> None:
    rotator.rotate()
    with rotator.master() as connection:
        connection.run(f"ALTER ROLE {rotator.user} PASSWORD '{verifier(rotator.first)}'")
    lost = rotator.password
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, *STEPS)
    assert "having logged in with AWSPREVIOUS" in capsys.readouterr().out
    rotator.check_one_valid_current(token, lost)


def test_previous_credential_of_another_user_is_left_alone(rotator: Rotator, capfd: pytest.CaptureFixture[str]) -> None:
    service = rotator.service.secrets[rotator.arn]
    service.versions["0" * 32] = json.dumps({"username": USER, "password": PASSWORD})
    service.labels["AWSPREVIOUS"] = "0" * 32
    with rotator.master() as connection:
        connection.run(f"ALTER ROLE {rotator.user} PASSWORD '{verifier('something else')}'")
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    said = rotator.refusal(rotator.events(token)[1], capfd)
    assert said.startswith(f"Neither the pending nor the current nor the previous password of {rotator.arn} opens")
    with rotator.master():
        pass  # the other user's password still is what it was


def test_race_for_the_pending_version_is_won_by_the_first(rotator: Rotator, capsys: pytest.CaptureFixture[str]) -> None:
    token = rotator.service.rotate(rotator.arn)
    gate = threading.Barrier(8)
    errors: list[BaseException] = []

    def run() -> None:
        gate.wait()
        try:
            rotator.step(token, *STEPS)
        except FunctionError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    rotator.check_one_valid_current(token, rotator.first)
    assert capsys.readouterr().out.count("wrote the pending version") == 1


# What it refuses, and how it says so.


def test_step_that_does_not_exist_is_refused(rotator: Rotator, capfd: pytest.CaptureFixture[str]) -> None:
    said = rotator.refusal({**rotator.events("t")[0], "Step": "deleteSecret"}, capfd)
    assert said == "deleteSecret is no step of a rotation; they are createSecret, setSecret, testSecret, finishSecret."


@pytest.mark.parametrize("step", STEPS)
def test_secret_without_rotation_is_refused(rotator: Rotator, capfd: pytest.CaptureFixture[str], step: str) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.service.secrets[rotator.arn].rotates = False
    assert "is not set up for rotation" in rotator.refusal(rotator.events(token, (step,))[0], capfd)


@pytest.mark.parametrize("step", STEPS)
def test_token_of_no_version_is_refused(rotator: Rotator, capfd: pytest.CaptureFixture[str], step: str) -> None:
    said = rotator.refusal(rotator.events("7d6cd8ad-0000-0000-0000-000000000000", (step,))[0], capfd)
    assert said.startswith(f"{rotator.arn} has no version 7d6cd8ad-0000-0000-0000-000000000000.")


@pytest.mark.parametrize("step", STEPS)
def test_version_that_is_not_pending_is_refused(rotator: Rotator, capfd: pytest.CaptureFixture[str], step: str) -> None:
    rotator.rotate()
    previous = rotator.service.secrets[rotator.arn].labels["AWSPREVIOUS"]
    said = rotator.refusal(rotator.events(previous, (step,))[0], capfd)
    assert f"The version {previous} of {rotator.arn} is labelled AWSPREVIOUS, not AWSPENDING" in said


def test_secret_of_another_server_is_refused_before_anything_connects(
    rotator: Rotator, capfd: pytest.CaptureFixture[str]
) -> None:
    other = rotator.service.create({"username": rotator.user, "password": rotator.first, "host": "other.example"})
    rotator.arn = other
    token = rotator.service.rotate(other)
    rotator.step(token, "createSecret")
    logged = rotator.server.log.stat().st_size
    for step in ("setSecret", "testSecret"):
        said = rotator.refusal(rotator.events(token, (step,))[0], capfd)
        assert f"{other} belongs to the server other.example, and this function serves {rotator.server.host}." in said
    assert rotator.server.log.stat().st_size == logged


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("no JSON but correct-horse", "is no JSON object"),
        ('["correct-horse"]', "is no JSON object"),
        ({"username": "app"}, "has no password"),
        ({"password": "correct-horse"}, "has no username"),
        ({"username": "app", "password": 4711}, "has no password"),
        (None, "has no version AWSCURRENT"),
    ],
)
def test_secret_that_is_no_credential_is_refused(
    rotator: Rotator, capfd: pytest.CaptureFixture[str], value: dict[str, object] | str | None, sentence: str
) -> None:
    rotator.arn = rotator.service.create(value)
    token = rotator.service.rotate(rotator.arn)
    assert sentence in rotator.refusal(rotator.events(token)[0], capfd, "correct-horse")


def test_pending_version_that_is_empty_is_refused(rotator: Rotator, capfd: pytest.CaptureFixture[str]) -> None:
    token = rotator.service.rotate(rotator.arn)
    for step in ("setSecret", "testSecret"):
        said = rotator.refusal(rotator.events(token, (step,))[0], capfd)
        assert said == f"The version {token} of {rotator.arn} is empty. Rotate again: createSecret fills it."


def test_pending_password_that_was_never_set_fails_the_test(rotator: Rotator, capfd: pytest.CaptureFixture[str]) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    said = rotator.refusal(rotator.events(token)[2], capfd)
    assert f"The pending password does not open {rotator.server.host}:{rotator.server.port} for {rotator.user}" in said


@pytest.mark.parametrize(
    ("step", "operation"),
    [("createSecret", "GetSecretValue"), ("createSecret", "PutSecretValue"), ("finishSecret", "UpdateSecretVersionStage")],
)
def test_what_aws_refuses_is_said_in_its_own_words(
    rotator: Rotator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, step: str, operation: str
) -> None:
    token = rotator.service.rotate(rotator.arn)
    monkeypatch.setitem(rotator.service.refusals, operation, ("AccessDeniedException", "User: rotation is not authorized"))
    said = rotator.refusal(rotator.events(token, (step,))[0], capfd)
    assert "AccessDeniedException" in said
    assert operation in said


def test_run_that_waited_for_one_that_finished_sets_nothing(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    original = database.Connection.run

    def overtaken(connection: database.Connection, statement: str) -> object:
        if statement == "BEGIN":
            monkeypatch.setattr(database.Connection, "run", original)
            rotator.step(token, *STEPS[1:])
        return original(connection, statement)

    monkeypatch.setattr(database.Connection, "run", overtaken)
    rotator.step(token, "setSecret")
    assert "another run has finished, this version is AWSCURRENT" in capsys.readouterr().out.splitlines()[-1]
    rotator.check_one_valid_current(token, rotator.first)
    log = [line for line in rotator.server.log.read_text().splitlines() if f"{rotator.user}@" in line]
    assert sum("ALTER ROLE" in line for line in log) == 1


def test_run_that_another_overtakes_between_two_logins_finds_the_password_set(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    original = database.connect

    def overtaken(*arguments: Any) -> database.Connection | None:
        refused = original(*arguments)
        monkeypatch.setattr(database, "connect", original)
        rotator.step(token, "setSecret")
        return refused

    monkeypatch.setattr(database, "connect", overtaken)
    rotator.step(token, "setSecret")
    assert "another run has set the pending password" in capsys.readouterr().out.splitlines()[-1]
    rotator.step(token, *STEPS[2:])
    rotator.check_one_valid_current(token, rotator.first)


def test_label_that_moved_just_before_is_no_error(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, *STEPS[:3])
    original = rotator.service._DescribeSecret

    def overtaken(found: Secret, asked: dict[str, Any]) -> dict[str, Any]:
        answer = original(found, asked)
        found.labels.update(AWSCURRENT=token, AWSPREVIOUS=found.labels["AWSCURRENT"])  # the other run
        return answer

    monkeypatch.setattr(rotator.service, "_DescribeSecret", overtaken)
    rotator.step(token, "finishSecret")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["did"] == "nothing: this version is AWSCURRENT already"


def test_label_that_moved_to_this_version_meanwhile_is_no_error(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, *STEPS[:3])
    original = rotator.service._UpdateSecretVersionStage

    def overtaken(found: Secret, asked: dict[str, Any]) -> dict[str, Any]:
        original(found, asked)  # the other run
        raise AwsError("InvalidParameterException", "The staging label is not attached to that version.")

    monkeypatch.setattr(rotator.service, "_UpdateSecretVersionStage", overtaken)
    rotator.step(token, "finishSecret")
    assert "another run has made this version AWSCURRENT" in capsys.readouterr().out
    rotator.check_one_valid_current(token, rotator.first)


def test_label_that_moved_elsewhere_meanwhile_is_left_there(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, *STEPS[:3])
    original = rotator.service._UpdateSecretVersionStage

    def overtaken(found: Secret, asked: dict[str, Any]) -> dict[str, Any]:
        found.versions["elsewhere"] = found.versions[token]
        found.labels["AWSCURRENT"] = "elsewhere"
        return original(found, asked)

    monkeypatch.setattr(rotator.service, "_UpdateSecretVersionStage", overtaken)
    assert "InvalidParameterException" in rotator.refusal(rotator.events(token)[3], capfd)
    assert rotator.service.secrets[rotator.arn].labels["AWSCURRENT"] == "elsewhere"


def test_secrets_manager_that_does_not_answer_is_given_up_in_time(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    # One call that is never answered, the pause between its attempts (a second at most) included, ends well within 60 s.
    assert clients.ATTEMPTS * (clients.CONNECT_TIMEOUT + clients.READ_TIMEOUT + 1) < 30
    monkeypatch.setattr(clients, "READ_TIMEOUT", 0.2)
    with _silence() as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        said = rotator.refusal(rotator.events(token)[0], capfd)
    assert "Read timeout on endpoint URL" in said
    assert "need an endpoint for this service" in said


def test_transaction_of_a_run_that_was_frozen_in_it_is_ended_by_the_server(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_TIMEOUT", 0.3)
    server = database.Server.of(rotator.environment)
    credential = Credential(rotator.service.value(rotator.arn))
    frozen, next_one = (database.connect(server, credential, "a-run") for _ in range(2))
    assert frozen is not None
    assert next_one is not None
    try:
        frozen.run("BEGIN")
        frozen.run(f"SELECT pg_advisory_xact_lock({LOCK})")
        next_one.run(f"SELECT pg_advisory_xact_lock({LOCK})")  # within its own five seconds
        with pytest.raises(database.BROKEN):
            frozen.run("COMMIT")
    finally:
        database.close(frozen)
        database.close(next_one)


def test_server_that_does_not_answer_is_given_up_in_time(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    assert 3 * (database.CONNECT_TIMEOUT + database.ANSWER_TIMEOUT) < 60
    monkeypatch.setattr(database, "ANSWER_TIMEOUT", 0.2)
    with _silence() as port:
        monkeypatch.setenv("DATABASE_PORT", str(port))
        said = rotator.refusal(rotator.events(token)[1], capfd)
    assert said.startswith(f"localhost:{port} does not answer: ")


def test_server_that_is_not_there_is_said(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    with _silence() as port:
        pass
    monkeypatch.setenv("DATABASE_PORT", str(port))
    said = rotator.refusal(rotator.events(token)[1], capfd)
    assert said.startswith(f"localhost:{port} does not answer: ")
    assert "security group" in said


def test_user_that_may_not_enter_the_database_is_said(rotator: Rotator, capfd: pytest.CaptureFixture[str]) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    with rotator.master() as connection:
        connection.run(f"ALTER ROLE {rotator.user} NOLOGIN")
    said = rotator.refusal(rotator.events(token)[1], capfd)
    assert f"refuses the user {rotator.user} in the database {DATABASE}" in said
    assert "(28000)" in said


def test_statement_that_fails_is_said_with_the_servers_code(rotator: Rotator, capfd: pytest.CaptureFixture[str]) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    with rotator.master() as connection:
        connection.run(f"ALTER ROLE {rotator.user} SET default_transaction_read_only = on")
    said = rotator.refusal(rotator.events(token)[1], capfd)
    assert "cannot execute ALTER ROLE in a read-only transaction (25006)" in said
    assert rotator.opens(rotator.first)


def test_run_that_waits_for_another_ends_by_itself(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    monkeypatch.setattr(database, "STATEMENT_TIMEOUT", 1)
    with rotator.master() as connection:
        connection.run("BEGIN")
        connection.run(f"SELECT pg_advisory_xact_lock({LOCK})")
        said = rotator.refusal(rotator.events(token)[1], capfd)
    assert "canceling statement due to statement timeout (57014)" in said


def test_server_that_ends_the_session_is_said(
    rotator: Rotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")

    run = database.Connection.run

    def ended(connection: database.Connection, statement: str) -> object:
        if "pg_is_in_recovery" in statement:
            [[backend]] = run(connection, "SELECT pg_backend_pid()")
            with rotator.master() as master:
                run(master, f"SELECT pg_terminate_backend({backend})")
        return run(connection, statement)

    with rotator.master() as master:
        master.run(f"GRANT {rotator.user} TO {USER}")
    monkeypatch.setattr(database.Connection, "run", ended)
    said = rotator.refusal(rotator.events(token)[1], capfd)
    assert f"localhost:{rotator.server.port} failed us: " in said


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_HOST", None, "lacks a host or a port: 'DATABASE_HOST'"),
        ("DATABASE_PORT", None, "lacks a host or a port: 'DATABASE_PORT'"),
        ("DATABASE_PORT", "five", "'five'"),
        ("PGSSLROOTCERT", "/nowhere/root.pem", "PGSSLROOTCERT names /nowhere/root.pem, which is no file"),
    ],
)
def test_environment_that_lacks_something_is_said(
    rotator: Rotator,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
    value: str | None,
    sentence: str,
) -> None:
    token = rotator.service.rotate(rotator.arn)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    assert sentence in rotator.refusal(rotator.events(token)[0], capfd)


# Servers that must not be spoken to.


class At:
    """A rotation of the master user of another server, up to setSecret."""

    def __init__(self, rotator: Rotator, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rotator = Rotator(rotator.service, server, rotator.root, user=USER, first=PASSWORD)
        self.rotator.arn = rotator.service.create({"username": USER, "password": PASSWORD, "dbname": DATABASE})
        for name, value in self.rotator.environment.items():
            monkeypatch.setenv(name, value)
        self.token = rotator.service.rotate(self.rotator.arn)
        self.rotator.step(self.token, "createSecret")

    def refusal(self, capfd: pytest.CaptureFixture[str], step: str = "setSecret") -> str:
        return self.rotator.refusal(self.rotator.events(self.token, (step,))[0], capfd)


def test_server_of_another_authority_is_refused(
    rotator: Rotator, scratch: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    other = Authority.create(scratch / "other-authority")
    monkeypatch.setenv("PGSSLROOTCERT", str(other.root))
    said = rotator.refusal(rotator.events(token)[1], capfd)
    assert said.startswith(f"The certificate of localhost:{rotator.server.port} is refused: ")
    monkeypatch.delenv("PGSSLROOTCERT")
    said = rotator.refusal(rotator.events(token)[1], capfd)
    assert said.endswith("by an authority in rds-global-bundle.pem."), "Amazon's roots are the default"
    assert rotator.opens(rotator.first)


def test_server_of_another_name_is_refused(
    rotator: Rotator, launch: Launch, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server = launch("elsewhere", names=["elsewhere.example"])
    said = At(rotator, server, monkeypatch).refusal(capfd)
    assert "Hostname mismatch" in said
    assert "It must be issued for localhost" in said
    server.destroy()


def test_server_without_tls_is_refused(
    rotator: Rotator, launch: Launch, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server = launch("plain", settings={"ssl": "off"})
    assert "offers no TLS" in At(rotator, server, monkeypatch).refusal(capfd)
    server.destroy()


def test_server_of_an_old_tls_is_refused(
    rotator: Rotator, launch: Launch, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server = launch("old", settings={"ssl_min_protocol_version": "TLSv1", "ssl_max_protocol_version": "TLSv1.1"})
    assert "The server must speak TLS 1.2 or later" in At(rotator, server, monkeypatch).refusal(capfd)
    server.destroy()


def test_server_that_asks_for_the_password_itself_does_not_get_it(
    rotator: Rotator, launch: Launch, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def ask_for_it(server: Server) -> None:
        (server.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 password\n")

    server = launch("curious", prepare=ask_for_it)
    assert "the server asks for the clear password" in At(rotator, server, monkeypatch).refusal(capfd)
    server.destroy()


def test_server_in_recovery_is_refused_before_anything_is_written(
    rotator: Rotator, launch: Launch, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server = launch("standby", prepare=lambda server: (server.data / "standby.signal").touch(), settings={"log_statement": "all"})
    at = At(rotator, server, monkeypatch)
    assert f"localhost:{server.port} is in recovery" in at.refusal(capfd)
    assert "ALTER ROLE" not in server.log.read_text()
    # A standby that has the pending password already would pass a bare login.
    at.rotator.service.secrets[at.rotator.arn].versions[at.token] = json.dumps({"username": USER, "password": PASSWORD})
    assert f"localhost:{server.port} is in recovery" in at.refusal(capfd, "setSecret")
    assert f"localhost:{server.port} is in recovery" in at.refusal(capfd, "testSecret")
    server.destroy()


def test_password_that_scram_forbids_is_said(rotator: Rotator, capfd: pytest.CaptureFixture[str]) -> None:
    odd = "bell\u0007bell"
    rotator.arn = rotator.service.create({"username": rotator.user, "password": odd})
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    said = rotator.refusal(rotator.events(token)[1], capfd, odd)
    assert f"The password of {rotator.user} cannot be used with SCRAM: control characters forbidden." in said


@contextmanager
def _silence() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])
