"""Behind a replication group stand Redis servers that let in whom the API says, and nobody else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from botocore.exceptions import ClientError
from redis.backoff import NoBackoff
from redis.retry import Retry

from emulator import Emulator, redis_server, running

FIRST, SECOND, THIRD = "the-first-password", "the-second-password", "the-third-password"
ACCESS = "on ~a:* -@all +@connection +get +set"


@pytest.fixture(scope="module")
def group(aws: Emulator) -> Iterator[dict[str, Any]]:
    assert redis_server.find() is not None, redis_server.MISSING
    elasticache = aws.client("elasticache")
    elasticache.create_cache_parameter_group(
        CacheParameterGroupName="caches", CacheParameterGroupFamily="redis7", Description="x"
    )
    values = {"maxmemory-policy": "allkeys-lfu", "reserved-memory-percent": "25"}
    elasticache.modify_cache_parameter_group(
        CacheParameterGroupName="caches",
        ParameterNameValues=[{"ParameterName": name, "ParameterValue": value} for name, value in values.items()],
    )
    elasticache.create_user(
        UserId="caches-nobody", UserName="default", Engine="redis", AccessString="off -@all", NoPasswordRequired=True
    )
    elasticache.create_user(UserId="Caches-User", UserName="user", Engine="redis", AccessString=ACCESS, Passwords=[FIRST])
    elasticache.create_user_group(UserGroupId="caches-users", Engine="redis", UserIds=["caches-nobody", "caches-user"])
    yield elasticache.create_replication_group(**wanted())["ReplicationGroup"]
    elasticache.delete_replication_group(ReplicationGroupId="caches")


def wanted(**change: Any) -> dict[str, Any]:
    return {
        "ReplicationGroupId": "caches",
        "ReplicationGroupDescription": "x",
        "Engine": "redis",
        "NumCacheClusters": 3,
        "AutomaticFailoverEnabled": True,
        "TransitEncryptionEnabled": True,
        "TransitEncryptionMode": "required",
        "CacheParameterGroupName": "caches",
        "UserGroupIds": ["caches-users"],
        **change,
    }


def login(aws: Emulator, place: dict[str, Any], password: str = "", **how: Any) -> redis.Redis:
    given = {"username": "user", "password": password} if password else {}
    given |= {"ssl": True, "ssl_ca_certs": str(aws.root), "retry": Retry(NoBackoff(), 0), "socket_timeout": 10, **how}
    return redis.Redis(host=place["Address"], port=place["Port"], single_connection_client=True, **given)


def primary(group: dict[str, Any]) -> dict[str, Any]:
    place: dict[str, Any] = group["NodeGroups"][0]["PrimaryEndpoint"]
    return place


def modify(aws: Emulator, **change: Any) -> None:
    elasticache = aws.client("elasticache")
    assert elasticache.modify_user(UserId="caches-user", **change)["Status"] == "modifying"
    while elasticache.describe_users(UserId="caches-user")["Users"][0]["Status"] != "active":
        time.sleep(0.02)


def test_it_answers_over_verified_tls_and_under_a_name_only(aws: Emulator, group: dict[str, Any]) -> None:
    modify(aws, Passwords=[FIRST])
    session = login(aws, primary(group), FIRST)
    assert session.set("a:key", "value")
    assert session.get("a:key") == b"value"
    with pytest.raises(redis.exceptions.NoPermissionError):
        session.set("b:key", "value")
    with pytest.raises(redis.exceptions.NoPermissionError):
        session.config_get("*")
    with pytest.raises(redis.AuthenticationError):
        login(aws, primary(group), SECOND)
    with pytest.raises(redis.RedisError):
        login(aws, primary(group)).ping()


def test_clear_connections_are_refused(aws: Emulator, group: dict[str, Any]) -> None:
    with pytest.raises(redis.ConnectionError):
        login(aws, primary(group), FIRST, ssl=False, ssl_ca_certs=None)


def test_replicas_have_the_data_and_the_users(aws: Emulator, group: dict[str, Any]) -> None:
    modify(aws, Passwords=[FIRST])
    login(aws, primary(group), FIRST).set("a:copied", "value")
    members = [member for member in group["NodeGroups"][0]["NodeGroupMembers"] if member["CurrentRole"] == "replica"]
    assert [member["CacheClusterId"] for member in members] == ["caches-002", "caches-003"]
    for member in members:
        session, deadline = login(aws, member["ReadEndpoint"], FIRST), time.monotonic() + 20
        while session.get("a:copied") != b"value" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert session.get("a:copied") == b"value"
        with pytest.raises(redis.exceptions.ReadOnlyError):
            session.set("a:copied", "other")


def test_two_passwords_are_valid_and_sessions_outlive_theirs(aws: Emulator, group: dict[str, Any]) -> None:
    modify(aws, Passwords=[FIRST])
    session = login(aws, primary(group), FIRST)
    identity = session.client_id()
    modify(aws, Passwords=[FIRST, SECOND])
    assert [login(aws, primary(group), one).ping() for one in (FIRST, SECOND)] == [True, True]
    modify(aws, Passwords=[SECOND, THIRD])
    with pytest.raises(redis.AuthenticationError):
        login(aws, primary(group), FIRST)
    assert session.client_id() == identity
    modify(aws, Passwords=[FIRST])


def test_a_change_reaches_the_servers_a_while_after_it_was_asked_for(aws: Emulator, group: dict[str, Any]) -> None:
    """A slow machine may miss the while, and then looks at the next one."""
    elasticache, seen = aws.client("elasticache"), set()

    def is_modifying() -> bool:
        return bool(elasticache.describe_users(UserId="caches-user")["Users"][0]["Status"] == "modifying")

    for _ in range(20):
        modify(aws, Passwords=[FIRST])
        elasticache.modify_user(UserId="caches-user", Passwords=[SECOND])
        try:
            login(aws, primary(group), SECOND)
        except redis.AuthenticationError:
            seen.add("not yet")
        try:
            elasticache.modify_user(UserId="caches-user", Passwords=[SECOND])
        except ClientError as refused:
            assert "InvalidUserState" in str(refused)  # noqa: PT017  it may be over by now
            seen.add("refused")
        while is_modifying():
            time.sleep(0.02)
        assert login(aws, primary(group), SECOND).ping()
        if seen == {"not yet", "refused"}:
            break
    assert seen == {"not yet", "refused"}
    modify(aws, Passwords=[FIRST])


def test_what_is_appended_to_an_access_string_counts(aws: Emulator, group: dict[str, Any]) -> None:
    modify(aws, Passwords=[FIRST], AppendAccessString="~c:*")
    session = login(aws, primary(group), FIRST)
    assert session.set("c:key", "value")
    modify(aws, AccessString=ACCESS)
    with pytest.raises(redis.exceptions.NoPermissionError):
        session.set("c:key", "value")


def test_parameters_of_the_group_that_redis_knows_are_applied(aws: Emulator, group: dict[str, Any]) -> None:
    modify(aws, Passwords=[FIRST], AccessString=f"{ACCESS} +info")
    assert login(aws, primary(group), FIRST).info("memory")["maxmemory_policy"] == "allkeys-lfu"
    elasticache = aws.client("elasticache")
    changed = [{"ParameterName": "maxmemory-policy", "ParameterValue": "noeviction"}]
    elasticache.modify_cache_parameter_group(CacheParameterGroupName="caches", ParameterNameValues=changed)
    assert login(aws, primary(group), FIRST).info("memory")["maxmemory_policy"] == "noeviction"
    modify(aws, AccessString=ACCESS)


def test_a_failover_makes_a_replica_the_primary_under_the_same_address(aws: Emulator, group: dict[str, Any]) -> None:
    modify(aws, Passwords=[FIRST])
    elasticache = aws.client("elasticache")
    session = login(aws, primary(group), FIRST)
    session.set("a:kept", "value")
    assert session.wait(2, 10_000) == 2  # so many replicas have it
    elasticache.test_failover(ReplicationGroupId="caches", NodeGroupId="0001")
    found = elasticache.describe_replication_groups(ReplicationGroupId="caches")["ReplicationGroups"][0]
    assert primary(found) == primary(group)
    roles = {member["CacheClusterId"]: member["CurrentRole"] for member in found["NodeGroups"][0]["NodeGroupMembers"]}
    assert roles == {"caches-001": "replica", "caches-002": "primary", "caches-003": "replica"}
    with pytest.raises(redis.ConnectionError):
        session.get("a:kept")
    after = login(aws, primary(group), FIRST)
    assert after.get("a:kept") == b"value"
    assert after.set("a:kept", "other")
    elasticache.test_failover(ReplicationGroupId="caches", NodeGroupId="0001")


def test_replicas_come_and_go(aws: Emulator, group: dict[str, Any]) -> None:
    assert len(group["MemberClusters"]) == 3
    modify(aws, Passwords=[FIRST])
    elasticache = aws.client("elasticache")
    more = elasticache.increase_replica_count(ReplicationGroupId="caches", NewReplicaCount=3, ApplyImmediately=True)
    assert more["ReplicationGroup"]["MemberClusters"] == [f"caches-00{number}" for number in (1, 2, 3, 4)]
    last = more["ReplicationGroup"]["NodeGroups"][0]["NodeGroupMembers"][-1]["ReadEndpoint"]
    assert login(aws, last, FIRST).ping()
    elasticache.decrease_replica_count(ReplicationGroupId="caches", NewReplicaCount=2, ApplyImmediately=True)
    with pytest.raises(redis.ConnectionError):
        login(aws, last, FIRST)


def test_a_user_that_leaves_the_group_is_out(aws: Emulator, group: dict[str, Any]) -> None:
    modify(aws, Passwords=[FIRST])
    elasticache = aws.client("elasticache")
    elasticache.modify_user_group(UserGroupId="caches-users", UserIdsToRemove=["caches-user"])
    with pytest.raises(redis.AuthenticationError):
        login(aws, primary(group), FIRST)
    elasticache.modify_user_group(UserGroupId="caches-users", UserIdsToAdd=["caches-user"])
    assert login(aws, primary(group), FIRST).ping()


@pytest.mark.parametrize(
    ("operation", "given", "code"),
    [
        ("create_replication_group", wanted(), "ReplicationGroupAlreadyExists"),
        ("create_replication_group", wanted(ReplicationGroupId="a" * 41), "InvalidParameterValue"),
        ("create_replication_group", wanted(ReplicationGroupId="a--b"), "InvalidParameterValue"),
        ("create_replication_group", wanted(ReplicationGroupId="x", NumCacheClusters=1), "InvalidParameterValue"),
        (
            "create_replication_group",
            wanted(ReplicationGroupId="x", AutomaticFailoverEnabled=False, MultiAZEnabled=True),
            "InvalidParameterCombination",
        ),
        (
            "create_replication_group",
            wanted(ReplicationGroupId="x", TransitEncryptionEnabled=False),
            "InvalidParameterCombination",
        ),
        ("create_replication_group", wanted(ReplicationGroupId="x", AuthToken="x" * 16), "InvalidParameterCombination"),
        ("create_replication_group", wanted(ReplicationGroupId="x", KmsKeyId="alias/x"), "InvalidParameterCombination"),
        ("create_replication_group", wanted(ReplicationGroupId="x", CacheParameterGroupName="x"), "CacheParameterGroupNotFound"),
        ("create_replication_group", wanted(ReplicationGroupId="x", CacheSubnetGroupName="x"), "CacheSubnetGroupNotFoundFault"),
        ("create_user", {"UserId": "x", "UserName": "x", "Engine": "redis", "AccessString": "on"}, "InvalidParameterValue"),
        (
            "create_user",
            {"UserId": "x", "UserName": "x", "Engine": "redis", "AccessString": "on", "Passwords": ["short"]},
            "InvalidParameterValue",
        ),
        (
            "create_user",
            {"UserId": "x", "UserName": "x", "Engine": "redis", "AccessString": "on", "Passwords": [FIRST, SECOND, THIRD]},
            "InvalidParameterValue",
        ),
        (
            "create_user",
            {"UserId": "x", "UserName": "x", "Engine": "redis", "AccessString": f"on >{FIRST}", "Passwords": [FIRST]},
            "InvalidParameterValue",
        ),
        (
            "create_user",
            {
                "UserId": "x",
                "UserName": "x",
                "Engine": "redis",
                "AccessString": "on",
                "Passwords": [FIRST],
                "NoPasswordRequired": True,
            },
            "InvalidParameterCombination",
        ),
        ("modify_user", {"UserId": "none", "Passwords": [FIRST]}, "UserNotFound"),
        ("modify_user", {"UserId": "caches-user", "AccessString": "on nopass"}, "InvalidParameterValue"),
        ("delete_user", {"UserId": "caches-nobody"}, "DefaultUserAssociatedToUserGroup"),
        ("create_user_group", {"UserGroupId": "x", "Engine": "redis", "UserIds": ["caches-user"]}, "DefaultUserRequired"),
        ("create_user_group", {"UserGroupId": "x", "Engine": "redis", "UserIds": ["none"]}, "UserNotFound"),
        ("modify_user_group", {"UserGroupId": "caches-users", "UserIdsToAdd": ["caches-user"]}, "DuplicateUserName"),
        ("modify_user_group", {"UserGroupId": "caches-users", "UserIdsToRemove": ["caches-nobody"]}, "DefaultUserRequired"),
        ("delete_user_group", {"UserGroupId": "caches-users"}, "InvalidUserGroupState"),
        ("delete_cache_parameter_group", {"CacheParameterGroupName": "caches"}, "InvalidCacheParameterGroupState"),
        ("test_failover", {"ReplicationGroupId": "none", "NodeGroupId": "0001"}, "ReplicationGroupNotFoundFault"),
        ("test_failover", {"ReplicationGroupId": "caches", "NodeGroupId": "0002"}, "NodeGroupNotFoundFault"),
    ],
)
def test_what_aws_refuses_is_refused_with_its_code(
    aws: Emulator, group: dict[str, Any], operation: str, given: dict[str, Any], code: str
) -> None:
    assert group["Status"] == "available"
    with pytest.raises(ClientError) as refused:
        getattr(aws.client("elasticache"), operation)(**given)
    assert refused.value.response["Error"]["Code"] == code


def test_access_string_that_redis_does_not_take_makes_no_group(aws: Emulator, group: dict[str, Any]) -> None:
    assert group["Status"] == "available"
    elasticache = aws.client("elasticache")
    elasticache.create_user(UserId="odd", UserName="odd", Engine="redis", AccessString="on +no-such-command", Passwords=[FIRST])
    elasticache.create_user_group(UserGroupId="odd", Engine="redis", UserIds=["caches-nobody", "odd"])
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        elasticache.create_replication_group(**wanted(ReplicationGroupId="odd", UserGroupIds=["odd"]))
    with pytest.raises(ClientError, match="ReplicationGroupNotFoundFault"):
        elasticache.describe_replication_groups(ReplicationGroupId="odd")


def test_a_group_without_users_lets_anybody_in_even_without_tls(aws: Emulator) -> None:
    elasticache = aws.client("elasticache")
    made = elasticache.create_replication_group(
        ReplicationGroupId="open", ReplicationGroupDescription="x", Engine="redis", NumCacheClusters=1
    )
    assert login(aws, primary(made["ReplicationGroup"]), ssl=False, ssl_ca_certs=None).set("key", "value")
    elasticache.delete_replication_group(ReplicationGroupId="open")
    with pytest.raises(redis.ConnectionError):
        login(aws, primary(made["ReplicationGroup"]), ssl=False, ssl_ca_certs=None)


def test_policies_are_asked_about_the_user(aws: Emulator, group: dict[str, Any]) -> None:
    assert group["Status"] == "available"
    iam = aws.client("iam")
    iam.create_user(UserName="rotator")
    key = iam.create_access_key(UserName="rotator")["AccessKey"]
    user = "arn:aws:elasticache:us-east-1:123456789012:user:caches-user"
    statement = f'{{"Effect": "Allow", "Action": ["elasticache:DescribeUsers", "elasticache:ModifyUser"], "Resource": "{user}"}}'
    iam.put_user_policy(
        UserName="rotator", PolicyName="p", PolicyDocument=f'{{"Version": "2012-10-17", "Statement": [{statement}]}}'
    )
    mine = aws.client("elasticache", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert mine.describe_users(UserId="caches-user")["Users"][0]["UserName"] == "user"
    for refused in (
        lambda: mine.describe_users(UserId="caches-nobody"),
        lambda: mine.modify_user(UserId="caches-nobody", AccessString="on ~* +@all"),
        lambda: mine.describe_user_groups(UserGroupId="caches-users"),
        mine.describe_users,
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()


OWNER = """
import os, signal, sys
from emulator import running
with running() as aws:
    made = aws.client("elasticache").create_replication_group(
        ReplicationGroupId="left", ReplicationGroupDescription="x", Engine="redis", NumCacheClusters=2
    )
    print(aws.directory, made["ReplicationGroup"]["NodeGroups"][0]["PrimaryEndpoint"]["Port"], flush=True)
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["end", "kill"])
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_servers_end_with_the_emulator(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWNER, how], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=60
    )
    directory, port = done.stdout.split()
    deadline = time.monotonic() + 20
    while _left(directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _left(directory) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))


def _left(directory: str) -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in lines if directory in line]


def test_where_redis_is_missing_it_is_said(tmp_path: Path) -> None:
    script = (
        "import boto3; boto3.client('elasticache').create_replication_group("
        "ReplicationGroupId='absent', ReplicationGroupDescription='x', Engine='redis')"
    )
    done = subprocess.run(
        [sys.executable, "-m", "emulator", "exec", "--", sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "REDIS_BIN": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Caches: behind absent stands no server, since Redis 7 is not on this machine." in done.stdout


def test_without_databases_nothing_is_started() -> None:
    with running(databases=False) as aws:
        made = aws.client("elasticache").create_replication_group(
            ReplicationGroupId="absent", ReplicationGroupDescription="x", Engine="redis"
        )
        assert primary(made["ReplicationGroup"])["Port"] == 6379
        assert aws.unexercised() == ("Caches: behind absent stands no server, since databases were not asked for.",)


def test_program_of_another_version_is_no_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'Redis server v=6.0.16'\n")
    program.chmod(0o755)
    monkeypatch.setenv("REDIS_BIN", str(tmp_path))
    assert redis_server.find() is None
