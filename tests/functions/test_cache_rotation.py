"""Rotation against the emulator's ElastiCache, behind which stands a real Redis, and a Secrets Manager that speaks HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from cache_rotation import handler as cache_rotation
from common import cache
from common.report import FunctionError

from emulator import Emulator
from emulator.authority import Authority
from emulator.redis_server import MISSING, Server, find
from tests.functions.cache_rotations import ACCESS, FIRST, CacheRotator
from tests.servers.secrets_manager import SecretsManager
from tests.support import unmeasured
from tests.support.functions.rotations import STEPS, Runner, loggable

GROUP = "sessions"


@pytest.fixture(scope="module")
def sessions() -> Iterator[tuple[Emulator, int]]:
    """An emulator with a replication group that one user group may enter, and the port of its primary."""
    assert find() is not None, MISSING
    with unmeasured.running() as aws:
        elasticache = aws.client("elasticache")
        elasticache.create_user(
            UserId="nobody", UserName="default", Engine="redis", AccessString="off -@all", NoPasswordRequired=True
        )
        elasticache.create_user_group(UserGroupId=GROUP, Engine="redis", UserIds=["nobody"])
        made = elasticache.create_replication_group(
            ReplicationGroupId="sessions",
            ReplicationGroupDescription="Sessions",
            Engine="redis",
            NumCacheClusters=2,
            AutomaticFailoverEnabled=True,
            TransitEncryptionEnabled=True,
            TransitEncryptionMode="required",
            UserGroupIds=[GROUP],
        )
        yield aws, made["ReplicationGroup"]["NodeGroups"][0]["PrimaryEndpoint"]["Port"]


@pytest.fixture
def rotator(sessions: tuple[Emulator, int], service: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> CacheRotator:
    """Rotates a new user of the running cache."""
    found = CacheRotator(service, *sessions)
    found.introduce(monkeypatch, GROUP)
    monkeypatch.setattr(cache_rotation, "PAUSE", 0.02)
    return found


def refusal(rotator: CacheRotator, event: Any, capfd: pytest.CaptureFixture[str]) -> str:
    """The sentence with which the function refuses; nothing that it says anywhere holds a password."""
    with pytest.raises(FunctionError) as caught:
        cache_rotation.handler(event, None)
    passwords = {
        FIRST,
        *(json.loads(text)["password"] for text in rotator.service.secrets[rotator.arn].versions.values() if text),
    }
    everything = "\n".join([*loggable(caught.value), *capfd.readouterr()])
    assert not [password for password in passwords if password in everything]
    return str(caught.value)


def test_rotation_ends_in_a_new_password_and_the_last_one_still_opens(rotator: CacheRotator) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, *STEPS)
    rotator.check(token, FIRST)
    assert rotator.service.value(rotator.arn, "AWSPREVIOUS")["password"] == FIRST


def test_a_password_ends_with_the_rotation_after_the_next(rotator: CacheRotator) -> None:
    passwords = [FIRST, rotator.rotate(), rotator.rotate(), rotator.rotate()]
    assert [rotator.opens(password) for password in passwords] == [False, False, True, True]


def test_every_step_runs_twice_as_well_as_once(rotator: CacheRotator, capsys: pytest.CaptureFixture[str]) -> None:
    token = rotator.service.rotate(rotator.arn)
    for step in STEPS:
        rotator.step(token, step, step)
    rotator.check(token, FIRST)
    said = capsys.readouterr().out
    assert [json.loads(line)["did"].split(":")[0] for line in said.splitlines()] == [
        "wrote the pending version",
        "nothing",
        f"set the current and the pending password of name-{rotator.user}",
        "nothing",
        *[f"logged in as name-{rotator.user} with the pending password, and with the current one"] * 2,
        "made this version AWSCURRENT",
        "nothing",
    ]
    assert FIRST not in said
    assert rotator.password not in said


class Hammer(threading.Thread):
    """Sends commands as fast as it may, until it is stopped; ``failure`` is what went wrong."""

    def __init__(self, work: Callable[[int], None]) -> None:
        super().__init__(daemon=True)
        self.work, self.count, self.failure = work, 0, ""
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set() and not self.failure:
            try:
                self.work(self.count)
            except Exception as error:
                self.failure = f"{type(error).__name__}: {error}"
            self.count += 1

    def end(self) -> int:
        """How many commands it sent."""
        self.stopped.set()
        self.join(20)
        assert self.failure == ""
        return self.count


def _round(session: redis.Redis, name: str, number: int) -> None:
    assert session.set(f"session:{name}", number) is True
    assert session.get(f"session:{name}") == str(number).encode()


def test_no_session_drops_and_no_command_is_lost_over_several_rotations(rotator: CacheRotator) -> None:
    open_before = rotator.login(FIRST)
    identity = open_before.execute_command("CLIENT", "ID")
    sessions = [Hammer(lambda number: _round(open_before, "before", number))]
    kept = [FIRST]  # by an application that reads the secret once between two rotations

    def reconnect(name: str, password: Callable[[], str]) -> Callable[[int], None]:
        def work(number: int) -> None:
            session = rotator.login(password())
            _round(session, name, number)
            session.close()

        return work

    newcomers = [
        Hammer(reconnect("current", lambda: rotator.password)),
        Hammer(reconnect("kept", lambda: kept[0])),
    ]
    for thread in (*sessions, *newcomers):
        thread.start()
    for number in range(4):
        token = rotator.service.rotate(rotator.arn)
        rotator.step(token, "createSecret", "setSecret")
        during = rotator.login(rotator.pending(token))
        sessions.append(Hammer(lambda n, during=during, number=number: _round(during, f"during-{number}", n)))
        sessions[-1].start()
        rotator.step(token, "testSecret", "finishSecret")
        time.sleep(0.1)
        kept[0] = rotator.password
        time.sleep(0.1)  # whoever took the older one a moment ago has logged in by now
    assert all(thread.end() > 10 for thread in (*sessions, *newcomers))
    assert open_before.execute_command("CLIENT", "ID") == identity, "the first session is still the same"
    assert not rotator.opens(FIRST), "although its password opened nothing for long"


def test_sessions_outlive_a_failover_of_the_cache_under_the_same_address(rotator: CacheRotator) -> None:
    new = rotator.rotate()
    session = rotator.login(new)
    session.set("session:kept", "value")
    assert session.wait(1, 10_000) >= 1  # so many replicas have it
    rotator.aws.client("elasticache").test_failover(ReplicationGroupId="sessions", NodeGroupId="0001")
    assert rotator.login(new).get("session:kept") == b"value"
    assert rotator.opens(FIRST)
    rotator.check(rotator.service.secrets[rotator.arn].labels["AWSCURRENT"], FIRST)


# Killed and overtaken.


def _calls(rotator: CacheRotator, runner: Runner) -> list[str]:
    """The calls of one undisturbed rotation, as they were made."""
    answer = _run(rotator, runner, rotator.service.rotate(rotator.arn))
    assert answer["outcomes"] == [""] * len(STEPS)
    calls: list[str] = answer["calls"]
    return calls


def _run(rotator: CacheRotator, runner: Runner, token: str, **how: Any) -> dict[str, Any]:
    return runner.run(rotator.events(token), rotator.environment, function="cache_rotation", **how)


def test_killed_before_and_after_every_call_it_ends_in_two_valid_passwords(rotator: CacheRotator, runner: Runner) -> None:
    calls = _calls(rotator, runner)
    assert {"ModifyUser", "DescribeUsers", "PutSecretValue", "UpdateSecretVersionStage", "login"} <= set(calls)
    old = rotator.password
    for at in range(len(calls)):
        for when in ("before", "after"):
            token = rotator.service.rotate(rotator.arn)
            assert _run(rotator, runner, token, at=at, when=when, signal="SIGKILL") == {"killed": 9}, (at, when)
            assert rotator.opens(old), "at any time the current password opens"
            assert _run(rotator, runner, token)["outcomes"] == [""] * len(STEPS), (at, when)
            rotator.check(token, old)
            old = rotator.password


@pytest.mark.parametrize("rotations", [1, 2], ids=["by the same rotation", "by the same rotation and the next one"])
def test_overtaken_at_every_call_it_ends_in_two_valid_passwords(rotator: CacheRotator, runner: Runner, rotations: int) -> None:
    for at in range(len(_calls(rotator, runner))):
        token = rotator.service.rotate(rotator.arn)
        old = rotator.password
        slow = _run(rotator, runner, token, at=at, when="before", signal="SIGSTOP")
        assert slow.keys() == {"stopped"}
        assert _run(rotator, runner, token)["outcomes"] == [""] * len(STEPS), at
        for _ in range(rotations - 1):
            old, token = rotator.password, rotator.service.rotate(rotator.arn)
            assert _run(rotator, runner, token)["outcomes"] == [""] * len(STEPS), at
        runner.resume(slow["stopped"])
        rotator.check(token, old)


def test_two_runs_at_once_end_as_one(rotator: CacheRotator) -> None:
    token = rotator.service.rotate(rotator.arn)
    gate, errors = threading.Barrier(4), list[BaseException]()

    def run() -> None:
        gate.wait()
        try:
            rotator.step(token, *STEPS)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    rotator.check(token, FIRST)


# What it refuses, and how it says so.


def test_step_that_does_not_exist_is_refused(rotator: CacheRotator, capfd: pytest.CaptureFixture[str]) -> None:
    said = refusal(rotator, {**rotator.events("t")[0], "Step": "deleteSecret"}, capfd)
    assert said == "deleteSecret is no step of a rotation; they are createSecret, setSecret, testSecret, finishSecret."


def test_secret_of_another_user_is_refused(rotator: CacheRotator, capfd: pytest.CaptureFixture[str]) -> None:
    rotator.arn = rotator.service.create({"username": "somebody", "password": FIRST})
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    said = refusal(rotator, rotator.events(token)[1], capfd)
    assert f"belongs to the user somebody, and this function serves name-{rotator.user}" in said


def test_pending_password_that_was_never_set_fails_the_test(rotator: CacheRotator, capfd: pytest.CaptureFixture[str]) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    said = refusal(rotator, rotator.events(token)[2], capfd)
    assert f"The pending password does not open localhost:{rotator.port} for name-{rotator.user}" in said


def test_current_password_that_was_lost_fails_the_test_and_setting_it_again_helps(
    rotator: CacheRotator, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    _modify(rotator, Passwords=[rotator.pending(token)])
    assert refusal(rotator, rotator.events(token)[2], capfd).startswith("The current password does not open")
    rotator.step(token, "setSecret", "testSecret", "finishSecret")
    rotator.check(token, FIRST)


def _modify(rotator: CacheRotator, **change: Any) -> None:
    elasticache = rotator.aws.client("elasticache")
    elasticache.modify_user(UserId=rotator.user, **change)
    while elasticache.describe_users(UserId=rotator.user)["Users"][0]["Status"] != "active":
        time.sleep(0.05)


def test_application_that_could_not_read_its_keys_fails_the_test(
    rotator: CacheRotator, capfd: pytest.CaptureFixture[str]
) -> None:
    _modify(rotator, AccessString="on ~other:* -@all +@connection +get")
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    said = refusal(rotator, rotator.events(token)[1], capfd)
    assert f"does not let the user name-{rotator.user} read session:rotation" in said


def test_user_that_stays_in_a_change_is_given_up_in_time(
    rotator: CacheRotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    monkeypatch.setattr(cache_rotation, "ACTIVE_TIMEOUT", 0.1)
    stuck = {"UserName": f"name-{rotator.user}", "Status": "modifying"}
    monkeypatch.setattr(cache_rotation.Rotation, "described", lambda _: stuck)
    said = refusal(rotator, rotator.events(token)[1], capfd)
    assert f"The user {rotator.user} is still modifying after 0 s." in said


def test_change_that_elasticache_refuses_is_said_by_its_code_alone(
    rotator: CacheRotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    monkeypatch.setattr(cache_rotation.Rotation, "passwords", lambda *_: ["too short"])
    said = refusal(rotator, rotator.events(token)[1], capfd)
    assert said == f"ElastiCache refuses new passwords of the user {rotator.user}: InvalidParameterValue."


def test_change_under_way_is_waited_for(rotator: CacheRotator, monkeypatch: pytest.MonkeyPatch) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    original = cache_rotation.Rotation.passwords

    def overtaken(rotation: cache_rotation.Rotation, stages: Any) -> list[str]:
        monkeypatch.setattr(cache_rotation.Rotation, "passwords", original)
        rotator.aws.client("elasticache").modify_user(UserId=rotator.user, Passwords=[FIRST])
        return original(rotation, stages)

    monkeypatch.setattr(cache_rotation.Rotation, "passwords", overtaken)
    rotator.step(token, *STEPS[1:])
    rotator.check(token, FIRST)


def test_labels_that_never_rest_are_given_up(
    rotator: CacheRotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    monkeypatch.setattr(cache_rotation, "ACTIVE_TIMEOUT", 0.2)
    monkeypatch.setattr(cache_rotation.Rotation, "wait", lambda *_: None)
    numbers = iter(range(1000))
    original = cache_rotation.Rotation.labels
    monkeypatch.setattr(cache_rotation.Rotation, "labels", lambda rotation: {**original(rotation), f"other-{next(numbers)}": ()})
    assert "did not rest for 0 s" in refusal(rotator, rotator.events(token)[1], capfd)


def test_node_that_knows_the_password_later_is_waited_for(rotator: CacheRotator, monkeypatch: pytest.MonkeyPatch) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    answers = iter([False, False])  # before the change, and once after it
    original = cache_rotation.Rotation.accepts
    monkeypatch.setattr(
        cache_rotation.Rotation, "accepts", lambda rotation, one: next(answers, None) is None and original(rotation, one)
    )
    rotator.step(token, "setSecret")
    assert next(answers, None) is None, "it looked again"
    rotator.step(token, *STEPS[2:])
    rotator.check(token, FIRST)


@pytest.mark.parametrize("missing", ["CACHE_HOST", "CACHE_PORT", "CACHE_USER", "CACHE_KEY"])
def test_environment_that_lacks_a_name_is_said(
    rotator: CacheRotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], missing: str
) -> None:
    monkeypatch.delenv(missing)
    said = refusal(rotator, rotator.events("t")[0], capfd)
    assert missing in said
    assert "Set" in said


def test_elasticache_that_cannot_be_reached_is_said(
    rotator: CacheRotator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{_closed()}")
    assert "need an endpoint for this service" in refusal(rotator, rotator.events(token)[1], capfd)


def _closed() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# The connection itself.


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[Server, Authority]]:
    """A server of an authority of its own."""
    authority = Authority.create(tmp_path / "authority")
    server = Server.create(tmp_path / "redis", authority=authority, password="administrator")
    server.start()
    yield server, authority
    server.destroy()


def _says(rotator: CacheRotator, where: cache.Cache) -> str:
    from common.secret import Credential

    with pytest.raises(FunctionError) as caught:
        cache.accepts(where, Credential({"username": f"name-{rotator.user}", "password": FIRST}), "session:x")
    assert not [line for line in loggable(caught.value) if FIRST in line]
    return str(caught.value)


def test_certificate_of_an_unknown_authority_is_refused(rotator: CacheRotator, alone: tuple[Server, Authority]) -> None:
    said = _says(rotator, cache.Cache("localhost", alone[0].port))
    assert said.startswith(f"The certificate of localhost:{alone[0].port} is refused: ")


def test_certificate_of_another_name_is_refused(rotator: CacheRotator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority.create(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    server = Server.create(tmp_path / "redis", authority=authority, password="administrator", names=("other.example",))
    server.start()
    try:
        said = _says(rotator, cache.Cache("localhost", server.port))
    finally:
        server.destroy()
    assert "Hostname mismatch" in said
    assert said.endswith("It must be issued for localhost by an authority in the default store.")


def _answers(line: bytes) -> int:
    """The port of a server that speaks no TLS."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as wire:
            wire.recv(1)
            wire.sendall(line)
            wire.recv(1000)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def test_server_without_tls_gets_no_password(rotator: CacheRotator) -> None:
    port = _answers(b"-ERR unknown command\r\n")
    said = _says(rotator, cache.Cache("localhost", port))
    assert said.startswith(f"TLS with localhost:{port} fails: ")
    assert said.endswith("The server must speak TLS 1.2 or later.")


def test_what_else_redis_refuses_is_said_in_its_words(rotator: CacheRotator) -> None:
    from common.secret import Credential

    _modify(rotator, AccessString=f"{ACCESS} +hset")
    rotator.login(FIRST).hset("session:hash", "field", "value")
    credential = Credential({"username": f"name-{rotator.user}", "password": FIRST})
    with pytest.raises(FunctionError, match="WRONGTYPE Operation against a key"):
        cache.accepts(cache.Cache("localhost", rotator.port), credential, "session:hash")


def test_server_that_is_not_there_is_said(rotator: CacheRotator) -> None:
    port = _closed()
    assert _says(rotator, cache.Cache("localhost", port)).startswith(f"localhost:{port} does not answer: ")


def test_server_that_does_not_answer_is_given_up_in_time(rotator: CacheRotator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "ANSWER_TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "does not answer" in _says(rotator, cache.Cache("127.0.0.1", silent.getsockname()[1]))
