"""A real PostgreSQL server behind every RDS instance for PostgreSQL, where the machine has PostgreSQL."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator import postgres
from emulator.authority import Authority

log = logging.getLogger("emulator")

SSL_FORCED = "rds.force_ssl"
LOGICAL = "rds.logical_replication"
# Lets in AWS's own superuser only.
DOOR = f"host all {postgres.SUPERUSER} 127.0.0.1/32 scram-sha-256\n"
RELOAD_TIMEOUT = 10.0  # seconds


@dataclass
class _State:
    directory: Path | None = None
    authority: Authority | None = None
    reason: str = "databases were not asked for"


_state = _State()
_servers: dict[str, postgres.Server] = {}  # by instance ARN
_passwords: dict[str, str] = {}  # of AWS's own superuser, by instance ARN
_copies: dict[str, tuple[str, str, str]] = {}  # name -> master user, its database, password of AWS's own superuser
_asked: set[str] = set()  # instances that have none
_lock = threading.Lock()


def install(directory: Path, *, wanted: bool) -> None:
    """Makes the authority whose root the functions trust; servers come with their instances."""
    if not wanted:
        return
    if postgres.find() is None:
        _state.reason = "PostgreSQL 15 is not on this machine"
        return
    _state.directory = directory / "databases"
    _state.authority = Authority.create(directory / "authority")
    _state.reason = ""
    os.environ["PGSSLROOTCERT"] = str(_state.authority.root)


def available() -> bool:
    return _state.authority is not None


def unexercised() -> list[str]:
    if _state.reason and _asked:
        return [f"Databases: behind {', '.join(sorted(_asked))} stands no server, since {_state.reason}."]
    return []


def logs() -> dict[str, str]:
    return {arn.rsplit(":", 1)[1]: str(server.log) for arn, server in _servers.items()}


def missing_behind(value: dict[str, Any]) -> str:
    """Why there is no server behind the instance that a secret's value names; empty where there is one, or it names none."""
    name = value.get("dbInstanceIdentifier") or value.get("dbClusterIdentifier")
    return f"no server stands behind {name}, since {_state.reason}" if name in _asked else ""


def create(
    arn: str, *, user: str, password: str, database: str, parameters: dict[str, str], closed: bool = False
) -> tuple[str, int] | None:
    """Starts a server; where clients reach it, or None where there is none. ``closed``: nobody is let in yet."""
    identifier = arn.rsplit(":", 1)[1]
    if _state.authority is None or _state.directory is None:
        _asked.add(identifier)
        return None
    server = postgres.Server.create(
        _state.directory / arn.replace(":", "_"),
        user=user,
        password=password,
        authority=_state.authority,
        database=database or "postgres",
        settings=_settings(parameters),
    )
    # RDS changes a master password without knowing the old one, as its own superuser; so do we.
    ours = secrets.token_urlsafe(24)
    server._administer(f"ALTER ROLE {postgres.SUPERUSER} PASSWORD '{ours}';\n\n")
    return _begin(arn, server, ours, closed=closed)


def _begin(arn: str, server: postgres.Server, password: str, *, closed: bool) -> tuple[str, int]:
    access = server.data / "pg_hba.conf"
    # A server keeps its port only while it runs, so that of a cluster without an instance runs, too, behind a closed door.
    (server.directory / "open.conf").write_text(access.read_text(encoding="utf-8"), encoding="utf-8")
    if closed:
        access.write_text(DOOR, encoding="utf-8")
    server.start()
    with _lock:
        _servers[arn], _passwords[arn] = server, password
    return server.host, server.port


def let_in(arn: str, *, anybody: bool) -> None:
    """Opens the server to its users, or closes it and ends their sessions."""
    server = _servers.get(arn)
    if server is None:
        return
    wanted = (server.directory / "open.conf").read_text(encoding="utf-8") if anybody else DOOR
    access = server.data / "pg_hba.conf"
    if access.read_text(encoding="utf-8") == wanted:
        return
    access.write_text(wanted, encoding="utf-8")
    with _session(arn) as connection:
        before = connection.run("SELECT pg_conf_load_time()")
        connection.run("SELECT pg_reload_conf()")
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while time.monotonic() < deadline:  # it counts for sessions that begin once the server has read it
        with _session(arn) as connection:
            if connection.run("SELECT pg_conf_load_time()") != before:
                if not anybody:
                    connection.run(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE backend_type = 'client backend' AND usename <> current_user"
                    )
                return
        time.sleep(0.01)


def take(arn: str, name: str) -> None:
    """Keeps a copy of the data as it is now, under ``name``; the server goes on meanwhile."""
    server = _servers.get(arn)
    if server is None:
        return
    target = _kept(name)
    with _session(arn) as connection:
        connection.run("SELECT pg_backup_start('emulator', true)")
        shutil.copytree(server.data, target / "data", ignore=_left_out, copy_function=_copied)
        label = connection.run("SELECT labelfile FROM pg_backup_stop(false)")[0][0]
    # What was written meanwhile, and what makes the copy whole, is in the log of the server.
    shutil.copytree(server.data / "pg_wal", target / "data" / "pg_wal", dirs_exist_ok=True)
    (target / "data" / "backup_label").write_text(label, encoding="utf-8")
    shutil.copy(server.directory / "open.conf", target / "open.conf")
    with _lock:
        _copies[name] = (server.user, server.database, _passwords[arn])


def _copied(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # gone meanwhile, so the copy needs it as little
        shutil.copy2(source, target)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """What belongs to the running server, and slots, which a snapshot of RDS does not hold either."""
    if folder.endswith(("pg_replslot", "pg_wal")):
        return [name for name in names if name != "archive_status"]
    return [name for name in names if name in ("postmaster.pid", "postmaster.opts") or name.startswith("pgsql_tmp")]


def copy(source: str, name: str) -> None:
    if source in _copies:
        shutil.copytree(_kept(source), _kept(name))
        _copies[name] = _copies[source]


def forget(name: str) -> None:
    if _copies.pop(name, None) is not None:
        shutil.rmtree(_kept(name), ignore_errors=True)


def restore(name: str, arn: str, *, closed: bool) -> tuple[str, int] | None:
    """Starts a new server with the data that was kept under ``name``, on a timeline of its own as RDS does."""
    binaries = postgres.find()
    if name not in _copies or _state.directory is None or binaries is None:
        return None
    user, database, password = _copies[name]
    directory = _state.directory / arn.replace(":", "_")
    shutil.copytree(_kept(name), directory)
    shutil.copy(directory / "open.conf", directory / "data" / "pg_hba.conf")
    server = postgres.Server(directory, binaries, user, database, postgres._free_port())
    server.log.touch()
    (server.data / "recovery.signal").touch()
    with (server.data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        file.write("restore_command = 'false'\n")
    for place in (directory, *directory.rglob("*")):
        postgres._own(place)
    return _begin(arn, server, password, closed=closed)


def _kept(name: str) -> Path:
    assert _state.directory is not None  # noqa: S101
    return _state.directory / "copies" / name.replace(":", "_").replace("/", "_")


def _settings(parameters: dict[str, str]) -> dict[str, str]:
    """Of a parameter group, what PostgreSQL itself knows, and what its server here understands of RDS's own."""
    known = {name: value for name, value in parameters.items() if name == SSL_FORCED or "." not in name}
    return {"wal_level": "logical", **known} if parameters.get(LOGICAL) == "1" else known


def set_password(arn: str, user: str, password: str) -> None:
    """What ModifyDBInstance does: the master user's password is the new one; nothing of it reaches the server's log."""
    with _session(arn) as connection:
        if connection is not None:
            role, secret = user.replace('"', '""'), password.replace("'", "''")
            connection.run("SET log_statement = 'none'")
            connection.run("SET log_min_error_statement = 'panic'")
            connection.run(f"ALTER ROLE \"{role}\" PASSWORD '{secret}'")


def set_parameters(arn: str, parameters: dict[str, str]) -> None:
    """Parameters that apply without a restart are applied; the others wait for one, as on RDS."""
    with _session(arn) as connection:
        if connection is not None:
            for name, value in _settings(parameters).items():
                if "." not in name:
                    connection.run("ALTER SYSTEM SET \"{}\" = '{}'".format(name.replace('"', '""'), value.replace("'", "''")))
            connection.run("SELECT pg_reload_conf()")


@contextlib.contextmanager
def _session(arn: str) -> Any:
    import pg8000.native

    server = _servers.get(arn)
    if server is None or _state.authority is None:
        yield None
        return
    context = ssl.create_default_context(cafile=str(_state.authority.root))
    connection = pg8000.native.Connection(
        postgres.SUPERUSER, host=server.host, port=server.port, database="postgres", password=_passwords[arn], ssl_context=context
    )
    try:
        yield connection
    finally:
        connection.close()


def destroy(arn: str) -> None:
    with _lock:
        server = _servers.pop(arn, None)
    _asked.discard(arn.rsplit(":", 1)[1])
    if server is not None:
        server.destroy()


def stop_all() -> None:
    for arn in list(_servers):
        with contextlib.suppress(Exception):
            destroy(arn)
