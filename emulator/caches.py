"""Real Redis servers behind every replication group for Redis, where the machine has Redis: a primary and its replicas."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator import redis_server
from emulator.authority import Authority
from emulator.redis_server import Server

# Parameters of ElastiCache that Redis itself does not know.
NOT_OF_REDIS = (
    "cluster-allow-reads-when-down",
    "cluster-enabled",
    "cluster-require-full-coverage",
    "close-on-replica-write",
    "close-on-slave-write",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "min-slaves-max-lag",
    "min-slaves-to-write",
    "reserved-memory",
    "reserved-memory-percent",
)


@dataclass(frozen=True)
class User:
    """A user as a server has it. ``digests`` is None for one that needs no password."""

    name: str
    rules: tuple[str, ...]
    digests: tuple[str, ...] | None = field(repr=False)


@dataclass
class _State:
    directory: Path | None = None
    authority: Authority | None = None
    reason: str = "databases were not asked for"


_state = _State()
_groups: dict[str, list[Server]] = {}  # by the replication group's ARN; the primary first
_users: dict[str, tuple[User, ...]] = {}  # those that a group's servers have
_asked: set[str] = set()  # replication groups that have none
_lock = threading.Lock()
_numbers = itertools.count()


def install(directory: Path, authority: Authority | None, *, wanted: bool) -> None:
    """Makes the authority's root the one that functions trust, where Redis can be started; servers come with their groups."""
    if not wanted:
        return
    if redis_server.find() is None:
        _state.reason = f"Redis {redis_server.MAJOR} is not on this machine"
        return
    _state.directory = directory / "caches"
    _state.directory.mkdir()
    _state.authority = authority or Authority.create(directory / "authority")
    _state.reason = ""
    # What signs ElastiCache's certificates is in every default store, and so is ours in that of what runs here.
    os.environ["SSL_CERT_FILE"] = str(_state.authority.root)


def unexercised() -> list[str]:
    if _state.reason and _asked:
        names = ", ".join(sorted(arn.rsplit(":", 1)[1] for arn in _asked))
        return [f"Caches: behind {names} stands no server, since {_state.reason}."]
    return []


def logs() -> dict[str, list[str]]:
    return {arn.rsplit(":", 1)[1]: [str(server.log) for server in servers] for arn, servers in _groups.items()}


def missing_behind(groups: Sequence[str]) -> str:
    """Why no server stands behind one of these replication groups (ARNs); empty where there is one behind each."""
    found = next((arn for arn in groups if arn in _asked), None)
    return f"no server stands behind {found.rsplit(':', 1)[1]}, since {_state.reason}" if found else ""


def create(arn: str, *, nodes: int, tls: bool, parameters: Mapping[str, str], users: Sequence[User]) -> list[tuple[str, int]]:
    """Starts a primary and its replicas; where clients reach them, in this order. Empty where there are none."""
    if _state.authority is None or _state.directory is None:
        _asked.add(arn)
        return []
    with _lock:
        _groups[arn], _users[arn] = [], ()
    try:
        password = redis_server.new_password()
        for _ in range(nodes):
            _add(arn, password, tls=tls, parameters=parameters)
        set_users(arn, users)
    except BaseException:
        destroy(arn)
        raise
    return places(arn)


def resize(arn: str, nodes: int) -> list[tuple[str, int]]:
    """Adds replicas, or takes the last ones away."""
    servers = _groups.get(arn)
    if not servers:
        return []
    while len(servers) < nodes:
        first = servers[0]
        _add(arn, first.password, tls=first.tls, parameters={})
        set_users(arn, _users[arn])
    while len(servers) > nodes:
        servers.pop().destroy()
    return places(arn)


def _add(arn: str, password: str, *, tls: bool, parameters: Mapping[str, str]) -> None:
    assert _state.authority is not None  # noqa: S101
    assert _state.directory is not None  # noqa: S101
    server = Server.create(
        _state.directory / f"{arn.replace(':', '_')}-{next(_numbers)}",
        authority=_state.authority,
        password=password,
        tls=tls,
        settings=_settings(parameters),
    )
    server.start()
    with _lock:
        _groups[arn].append(server)
    if _groups[arn][0] is not server:
        server.follow(_groups[arn][0])


def places(arn: str) -> list[tuple[str, int]]:
    """Where clients reach the servers of a group, the primary first."""
    return [(server.host, server.port) for server in _groups.get(arn, [])]


def set_users(arn: str, users: Sequence[User]) -> None:
    """Makes these the users of every server of the group. Who opened a session as one of them keeps it."""
    servers = _groups.get(arn)
    if servers is None:
        return
    for server in servers:
        for user in users:
            server.set_user(user.name, user.rules, user.digests)
        for name in sorted({user.name for user in _users[arn]} - {user.name for user in users}):
            server.drop_user(name)
    _users[arn] = tuple(users)


def set_parameters(arn: str, parameters: Mapping[str, str]) -> None:
    """Parameters that apply without a restart are applied; the others wait for one, as on ElastiCache."""
    for server in _groups.get(arn, []):
        for name, value in _settings(parameters).items():
            with contextlib.suppress(Exception):
                server.run("CONFIG", "SET", name, value)


def fail_over(arn: str) -> list[int]:
    """The first replica takes over, under the primary's address; the new order, by the old positions."""
    servers = _groups.get(arn, [])
    order = list(range(len(servers)))
    if len(servers) < 2:
        return order
    old, new = servers[0], servers[1]
    address, other = old.port, new.port
    new.follow(None)
    old.listen(redis_server.free_port())
    new.listen(address)
    old.listen(other)
    servers[0], servers[1] = new, old
    for server in servers[1:]:
        server.follow(new)
    old.drop_sessions()  # they hang on the address, which is another's now
    return [1, 0, *order[2:]]


def _settings(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name not in NOT_OF_REDIS}


def destroy(arn: str) -> None:
    with _lock:
        servers = _groups.pop(arn, [])
        _users.pop(arn, None)
    _asked.discard(arn)
    for server in servers:
        server.destroy()


def stop_all() -> None:
    for arn in list(_groups):
        with contextlib.suppress(Exception):
            destroy(arn)
