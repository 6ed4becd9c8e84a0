"""The layers of a cache and its rotation, deployed to the emulator: the function runs from its package, under its own role."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import deploy
from compliance.profiles.fedramp_moderate import FEDRAMP_MODERATE
from compliance.rules import connectivity, elasticache
from emulator import Emulator
from generator.assemble import assemble, inspect
from generator.layers.artifacts import Artifacts
from generator.layers.cache import ACCESS, Cache
from generator.layers.cache_rotation import CacheRotation
from generator.layers.keys import CACHE, LOGS, SECRETS, Keys
from generator.layers.network import Network
from generator.layers.notify import Notify
from generator.packages import Package, package
from generator.render import render
from model import PRIMARY, RECOVERY, Document, Rule, System
from model.view import View
from tests.support import unmeasured
from tests.support.compliance.small_system import verdict
from tests.support.end_to_end.roles import ON_BEHALF, granted, without

pytestmark = pytest.mark.xdist_group("cache rotation deployed")  # else every worker would set up what they share

REGION, SUFFIX = "eu-west-2", "test"
SECRET, ROLE = f"secret-cache-{SUFFIX}", f"role-cache-rotation-{REGION}-{SUFFIX}"
THERE = (RECOVERY,)
SESSIONS = System(
    name="sessions",
    title="Sessions",
    serves="a test",
    regions={PRIMARY: "eu-west-1", RECOVERY: REGION},
    profile=FEDRAMP_MODERATE,
    layers=(
        Artifacts(sites=THERE),
        Keys(sites=THERE, purposes=(LOGS, SECRETS, CACHE)),
        Network(sites=THERE, public=False, nat_gateways=0),
        Notify(sites=THERE),
        Cache(sites=THERE),
        CacheRotation(sites=THERE),
    ),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that has this system alone."""
    folder = tmp_path_factory.mktemp("checkout")
    made: dict[str, Package] = {}

    def key(name: str) -> str:
        return made.setdefault(name, package(name)).key

    built = assemble(SESSIONS, key)
    assert inspect({SESSIONS.name: built}, [SESSIONS]) == []
    (folder / "templates/sessions").mkdir(parents=True)
    for name, layer in built.items():
        text = render(layer.document, layer.source, layer.headings, {})
        (folder / f"templates/sessions/{name}.yaml").write_text(text, encoding="utf-8")
    for one in made.values():
        one.write(folder / "out/packages")
    (folder / "parameters/sessions").mkdir(parents=True)
    zones = "{ZoneAId: euw2-az1, ZoneBId: euw2-az2, ZoneCId: euw2-az3}"
    (folder / "parameters/sessions/default.yaml").write_text(f"network: {zones}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def aws(root: Path) -> Iterator[Emulator]:
    with unmeasured.running() as aws:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in aws.environment.items():
                patch.setenv(name, value)
            assert deploy.main(["deploy", "--system", "sessions", "--env", SUFFIX], root) == 0
        aws.settle()
        yield aws


def _documents() -> dict[str, Document]:
    return {name: layer.document for name, layer in assemble(SESSIONS, lambda name: f"{name}-0.zip").items()}


@pytest.mark.parametrize(
    "rule",
    [*(one for one in vars(elasticache).values() if isinstance(one, Rule)), connectivity.endpoints, connectivity.peers],
    ids=lambda one: one.id,
)
def test_layers_meet_the_rules(rule: Rule) -> None:
    found = {(each.layer, each.id): verdict(rule, each) for each in View(_documents()).resources(*rule.types)}
    assert True in found.values()
    assert [name for name, met in found.items() if met is False] == []


def test_rotation_that_may_not_reach_the_cache_breaks_a_rule() -> None:
    documents = _documents()
    del documents["cache-rotation"]["Resources"]["CacheDoor"]
    function = View(documents).resource("cache-rotation", "Function")
    assert function is not None
    assert verdict(connectivity.peers, function) is False


def _version(aws: Emulator, label: str = "AWSCURRENT") -> dict[str, Any]:
    text = aws.client("secretsmanager", REGION).get_secret_value(SecretId=SECRET, VersionStage=label)["SecretString"]
    value: dict[str, Any] = json.loads(text)
    return value


def _rotate(aws: Emulator) -> None:
    secrets = aws.client("secretsmanager", REGION)
    with contextlib.suppress(secrets.exceptions.InvalidRequestException):  # one is under way already, and is tried again
        secrets.rotate_secret(SecretId=SECRET)
    aws.settle()


def _login(aws: Emulator, value: dict[str, Any]) -> redis.Redis:
    groups = aws.client("elasticache", REGION).describe_replication_groups()["ReplicationGroups"]
    place = groups[0]["NodeGroups"][0]["PrimaryEndpoint"]
    return redis.Redis(
        host=place["Address"],
        port=place["Port"],
        username=value["username"],
        password=value["password"],
        ssl=True,
        ssl_ca_certs=str(aws.root),
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )


def test_the_first_rotation_follows_the_deployment_and_two_passwords_open(aws: Emulator) -> None:
    assert _version(aws)["password"] != _version(aws, "AWSPREVIOUS")["password"]
    for label in ("AWSCURRENT", "AWSPREVIOUS"):
        assert _login(aws, _version(aws, label)).set("session:1", "value")


def test_the_application_may_keep_sessions_and_nothing_else(aws: Emulator) -> None:
    session = _login(aws, _version(aws))
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
    assert "~session:*" in ACCESS


def test_sessions_outlive_rotations(aws: Emulator) -> None:
    session = _login(aws, _version(aws))
    identity = session.client_id()
    for _ in range(2):
        _rotate(aws)
    assert session.client_id() == identity
    assert _login(aws, _version(aws)).ping()


def test_every_permission_is_used_by_the_function_or_by_aws_on_its_behalf(aws: Emulator) -> None:
    aws.forget_calls()
    _rotate(aws)
    calls = [call for call in aws.calls() if call.role == ROLE]
    assert [call for call in calls if not call.allowed] == []
    used = {call.action for call in calls}
    assert {"elasticache:DescribeUsers", "elasticache:ModifyUser"} <= used
    assert granted(aws, ROLE) - ON_BEHALF == used - ON_BEHALF


ACTIONS = (
    *(f"secretsmanager:{name}" for name in ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")),
    *("secretsmanager:GetRandomPassword", "kms:Decrypt", "kms:GenerateDataKey"),
    *("elasticache:DescribeUsers", "elasticache:ModifyUser"),
)


@pytest.mark.parametrize("action", ACTIONS)
def test_without_any_single_permission_the_rotation_does_not_end(aws: Emulator, action: str) -> None:
    before = _version(aws)
    with without(aws, ROLE, "", action):
        _rotate(aws)
        assert _version(aws) == before
        assert _login(aws, before).ping()
    _rotate(aws)
    assert _version(aws)["password"] != before["password"]


def test_no_password_is_in_a_log(aws: Emulator) -> None:
    logs = aws.client("logs", REGION)
    group = f"/aws/lambda/function-cache-rotation-{SUFFIX}"
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    lines = [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    ]
    assert any("finishSecret" in line for line in lines)
    passwords = {_version(aws, label)["password"] for label in ("AWSCURRENT", "AWSPREVIOUS")}
    assert not [line for line in lines for password in passwords if password in line]


def _runtime(scratch: Path) -> Path:
    """What Lambda's Python brings, and no more."""
    folder = scratch / "runtime"
    folder.mkdir()
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six"):
        found = importlib.util.find_spec(name)
        assert found is not None
        origin = Path(str(found.origin))
        part = origin.parent if origin.name == "__init__.py" else origin
        (folder / part.name).symlink_to(part)
    return folder


def test_package_needs_nothing_but_itself_and_the_runtime(tmp_path: Path) -> None:
    with zipfile.ZipFile(package("cache_rotation").write(tmp_path)) as archive:
        archive.extractall(tmp_path / "task")
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]; import handler; print(handler.cache.redis.__file__, 'pg8000' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-ISBc", script, str(tmp_path / "task"), str(_runtime(tmp_path))],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [str(tmp_path / "task/redis/__init__.py"), "False"], done.stderr
