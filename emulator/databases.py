"""A real PostgreSQL server behind every RDS instance for PostgreSQL, where the machine has PostgreSQL."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator import postgres
from emulator.authority import Authority

log = logging.getLogger("emulator")

SSL_FORCED = "rds.force_ssl"


@dataclass
class _State:
    directory: Path | None = None
    authority: Authority | None = None
    reason: str = "databases were not asked for"


_state = _State()
_servers: dict[str, postgres.Server] = {}  # by instance ARN
_passwords: dict[str, str] = {}  # of AWS's own superuser, by instance ARN
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
    name = value.get("dbInstanceIdentifier")
    return f"no server stands behind {name}, since {_state.reason}" if name in _asked else ""


def create(arn: str, *, user: str, password: str, database: str, parameters: dict[str, str]) -> tuple[str, int] | None:
    """Starts a server; where clients reach it, or None where there is none."""
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
    server.start()
    with _lock:
        _servers[arn], _passwords[arn] = server, ours
    return server.host, server.port


def _settings(parameters: dict[str, str]) -> dict[str, str]:
    """Of a parameter group, what PostgreSQL itself knows, and what its server here understands of RDS's own."""
    return {name: value for name, value in parameters.items() if name == SSL_FORCED or "." not in name}


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
