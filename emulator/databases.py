"""A real PostgreSQL server behind every RDS instance for PostgreSQL, where the machine has PostgreSQL."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from emulator import endpoint_names, postgres
from emulator.authority import Authority

log = logging.getLogger("emulator")

SSL_FORCED = "rds.force_ssl"
LOGICAL = "rds.logical_replication"
# Lets in AWS's own superuser only, also in its standbys.
DOOR = "".join(f"host {what} {postgres.SUPERUSER} 127.0.0.1/32 scram-sha-256\n" for what in ("all", "replication"))
LOG = "archive"  # in a server's directory

SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
}
"""What RDS for PostgreSQL takes in ssl_ciphers from version 16 on, by IANA's names, and what OpenSSL calls it."""

RELOAD_TIMEOUT = 10.0  # seconds
REPLICATION_TIMEOUT = 30.0  # seconds for a standby to connect, and for one to receive what is left
# A standby does not start with less than its source has (PostgreSQL, "Administrator's Overview" of hot standby).
NOT_LESS = (
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
)


# What RDS keeps of the log, for recovery to a point in time; standbys keep none.
KEEP_LOG = {"archive_mode": "on", "archive_command": f"cp %p ../{LOG}/%f"}


@dataclass
class _State:
    directory: Path | None = None
    authority: Authority | None = None
    reason: str = "databases were not asked for"


_state = _State()
_servers: dict[str, postgres.Server] = {}  # by instance ARN
_passwords: dict[str, str] = {}  # of AWS's own superuser, by instance ARN
_copies: dict[str, tuple[str, str, str]] = {}  # name -> master user, its database, password of AWS's own superuser
_sources: dict[str, str] = {}  # of standbys, by ARN of the standby
_severed: dict[str, str] = {}  # standbys that were cut off, by ARN, and where their source is
_pasts: dict[str, str] = {}  # by ARN: the copy that recovery to a point in time begins with
_left: dict[str, int] = {}  # by ARN: the port of a name whose database has another name, or is gone
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


def authority() -> Authority | None:
    """What issues the certificates of the servers, if there are any."""
    return _state.authority


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
    # RDS changes a master password without knowing the old one, as its own superuser; so do we.
    ours = secrets.token_urlsafe(24)
    server = postgres.Server.create(
        _directory(arn),
        user=user,
        password=password,
        authority=_state.authority,
        database=database or "postgres",
        settings={**_settings(parameters), **KEEP_LOG},
        ours=ours,
    )
    _hang_door(server, closed=closed)
    past = _name_past(arn)
    _kept(past).mkdir(parents=True)
    _copy_whole(server.data, _kept(past) / "data")
    shutil.copy(server.directory / "open.conf", _kept(past) / "open.conf")
    with _lock:
        _copies[past] = (server.user, server.database, ours)
    return _begin(arn, server, ours)


def _directory(arn: str) -> Path:
    """Where a new server may be: a database that was renamed has the directory of its first name."""
    assert _state.directory is not None  # noqa: S101
    first = _state.directory / arn.replace(":", "_")
    others = (first.with_name(f"{first.name}_{number}") for number in count(2))
    return next(place for place in chain((first,), others) if not place.exists())


def _name_past(arn: str) -> str:
    """What the copy is called that recovery of a new server begins with; where its log will be kept."""
    _pasts[arn] = f"past:{secrets.token_hex(8)}"
    return _pasts[arn]


def _begin(arn: str, server: postgres.Server, password: str) -> tuple[str, int]:
    log_kept = server.directory / LOG
    log_kept.mkdir(exist_ok=True)
    postgres._own(log_kept)
    server.port = _left.pop(arn, 0) or server.port  # an endpoint is the name's, as on RDS: one of the same name has its port
    _certify(arn, server)
    server.start()
    with _lock:
        _servers[arn], _passwords[arn] = server, password
    return server.host, server.port


def _certify(arn: str, server: postgres.Server) -> None:
    """The stopped server of a cluster gets a certificate with the names of this cluster: copied data bring that of another."""
    if _state.authority is not None and arn.split(":")[5] == "cluster":
        called = endpoint_names.of(arn)
        server.certify(_state.authority, (*postgres.NAMES, called.writer, called.reader))


def _hang_door(server: postgres.Server, *, closed: bool) -> None:
    # A server keeps its port only while it runs, so that of a cluster without an instance runs, too, behind a closed door.
    access = server.data / "pg_hba.conf"
    (server.directory / "open.conf").write_text(access.read_text(encoding="utf-8"), encoding="utf-8")
    if closed:
        access.write_text(DOOR, encoding="utf-8")


def follow(source: str, arn: str, *, parameters: dict[str, str], closed: bool = False) -> tuple[str, int] | None:
    """Starts a standby that replicates the server of ``source``; where clients reach it, or None where there is none."""
    leader = _servers.get(source)
    if leader is None or _state.authority is None or _state.directory is None:
        _asked.add(arn.rsplit(":", 1)[1])
        return None
    _make_slot_free(source, arn)
    directory = _directory(arn)
    try:
        server = postgres.Server.copy_of(
            leader,
            directory,
            password=_passwords[source],
            slot=slot(arn),
            root=_state.authority.root,
            settings=_standby_settings(source, parameters),
        )
        _hang_door(server, closed=closed)
        place = _begin(arn, server, _passwords[source])
    except postgres.PostgresError:
        _make_slot_free(source, arn)
        shutil.rmtree(directory, ignore_errors=True)
        raise
    _sources[arn] = source
    _await_stream(arn)
    return place


def slot(arn: str) -> str:
    """The replication slot of a standby, on its source."""
    return f"rds_{arn.split(':')[3].replace('-', '_')}_{hashlib.sha256(arn.encode()).hexdigest()[:12]}"


def _standby_settings(source: str, parameters: dict[str, str]) -> dict[str, str]:
    with _session(source) as connection:
        least = connection.run("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)", names=list(NOT_LESS))
    return {**dict(least), **_settings(parameters), **KEEP_LOG}  # of what it writes itself, when it is promoted


def _make_slot_free(source: str, arn: str) -> None:
    with _session(source) as connection:
        if connection is not None:
            for act in ("pg_terminate_backend(active_pid, 5000)", "pg_drop_replication_slot(slot_name)"):
                connection.run(f"SELECT {act} FROM pg_replication_slots WHERE slot_name = :slot", slot=slot(arn))  # noqa: S608


def _await_stream(arn: str) -> None:
    _await(lambda: replicates(arn), f"The standby {arn} did not connect to its source; see {_servers[arn].log}.")


def _await(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + REPLICATION_TIMEOUT
    while not done():
        if time.monotonic() > deadline:
            raise postgres.PostgresError(otherwise)
        time.sleep(0.02)


def replicates(arn: str) -> bool:
    """Whether the standby is connected to its source. Where no servers stand behind databases, each standby is."""
    from pg8000.exceptions import DatabaseError, InterfaceError

    if arn not in _servers:
        return True
    try:
        with _session(arn) as connection:
            return connection is not None and connection.run("SELECT status FROM pg_stat_wal_receiver") == [["streaming"]]
    except (DatabaseError, InterfaceError, OSError):
        return False  # it starts or stops just now, which no question to RDS fails for


def _recovers(arn: str) -> bool:
    with _session(arn) as connection:
        return connection is not None and connection.run("SELECT pg_is_in_recovery()") == [[True]]


def standbys() -> dict[str, str]:
    """Which server follows which, by ARN."""
    return dict(_sources)


def lag(arn: str, *, cut_off: bool) -> float | None:
    """How many seconds the standby is behind; None where it does not follow. ``cut_off``: its source may have written more."""
    with _session(arn) as connection:
        if connection is None or not replicates(arn):
            return None
        ((all_of_it, age),) = connection.run(
            "SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn(),"
            " extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())"
        )
        return 0.0 if all_of_it and not cut_off else float(age or 0)


def promote(arn: str) -> None:
    """Makes the standby a server of its own, which takes writes; sessions end, as on RDS."""
    with _session(arn) as connection:
        if connection is None:
            return
        if _recovers(arn) and connection.run("SELECT pg_promote()") != [[True]]:
            raise postgres.PostgresError(f"{arn} was not promoted; see {_servers[arn].log}.")
        connection.run("ALTER SYSTEM RESET primary_conninfo")
        connection.run("ALTER SYSTEM RESET primary_slot_name")
        _end_sessions(connection)
    source = _sources.pop(arn, None)
    if source is not None:
        _make_slot_free(source, arn)
        take(arn, _name_past(arn))


def switch(old: str, new: str) -> None:
    """Exchanges the roles of a server and its standby, and loses nothing; PostgresError where the standby is not up to it."""
    leader, standby = _servers.get(old), _servers.get(new)
    if leader is None or standby is None or _state.authority is None:
        return
    leader.stop("fast")  # which ends sessions, and waits for connected standbys to receive everything
    end, received = leader.checkpoint(), 0
    deadline = time.monotonic() + REPLICATION_TIMEOUT
    while received <= end and time.monotonic() < deadline:
        with _session(new) as connection:
            received = int(connection.run("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')")[0][0])
        time.sleep(0.02)
    if received <= end:
        leader.start()
        raise postgres.PostgresError(f"{new} did not receive everything that {old} wrote.")
    _sources.pop(new, None)
    promote(new)
    others = [arn for arn, source in _sources.items() if source == old]
    for other in others:
        turn(other, new)
    _new_slot(new, old)
    leader.follow(standby, password=_passwords[new], slot=slot(old), root=_state.authority.root)
    leader.start()
    _sources[old] = new
    forget(_pasts.pop(old, ""))  # its log goes on at another server, which keeps none
    for former in (new, *others):
        _make_slot_free(old, former)
    _await_stream(old)
    take(new, _name_past(new))


def rebuild(arn: str, source: str, *, parameters: dict[str, str], closed: bool) -> None:
    """Makes the server a new standby of ``source``, whatever it was and held; who was connected to it is cut off at once."""
    server, leader = _servers.get(arn), _servers.get(source)
    if server is None or leader is None or _state.authority is None:
        return
    server.stop("immediate")
    _make_slot_free(source, arn)
    server.copy(
        leader,
        password=_passwords[source],
        slot=slot(arn),
        root=_state.authority.root,
        settings=_standby_settings(source, parameters),
    )
    _hang_door(server, closed=closed)
    _certify(arn, server)
    server.start()
    _sources[arn] = source
    forget(_pasts.pop(arn, ""))
    _await_stream(arn)


def turn(arn: str, source: str) -> None:
    """Lets a standby follow another source, which has all that it has."""
    leader = _servers.get(source)
    with _session(arn) as connection:
        if connection is not None and leader is not None and _state.authority is not None:
            _new_slot(source, arn)
            _stream_from(connection, _servers[arn].address(leader, slot(arn), _state.authority.root))
            _sources[arn] = source


def _new_slot(source: str, arn: str) -> None:
    _make_slot_free(source, arn)
    with _session(source) as connection:
        connection.run(f"SELECT pg_create_physical_replication_slot('{slot(arn)}', true)")


def restart(arn: str) -> None:
    """What RebootDBInstance does: parameters that wait for it apply."""
    stop(arn)
    start(arn)


def stop(arn: str) -> None:
    if arn in _servers:
        _servers[arn].stop("fast")


def kill(arn: str) -> None:
    if arn in _servers:
        _servers[arn].stop("immediate")


def start(arn: str) -> None:
    if arn in _servers:
        _servers[arn].start()


def freeze(region: str, *, frozen: bool) -> None:
    """Whether the servers of a region hang; new ones are not among them."""
    for arn, server in list(_servers.items()):
        if arn.split(":")[3] == region:
            server.freeze(frozen)


def sever(region: str) -> None:
    """Ends the streams between a region and the others; the servers of both go on, and serve who reaches them."""
    for arn, source in standbys().items():
        if (arn.split(":")[3] == region) == (source.split(":")[3] == region) or arn in _severed:
            continue
        with _session(arn) as connection:
            if connection is None:
                continue
            [[_severed[arn]]] = connection.run("SHOW primary_conninfo")
            _stream_from(connection, "")
        _await(lambda arn=arn: not replicates(arn), f"The standby {arn} still follows its source.")  # type: ignore[misc]


def mend(region: str) -> None:
    """Lets those follow again that still have the source from which they were cut off."""
    for arn, address in list(_severed.items()):
        if region not in (arn.split(":")[3], _sources.get(arn, arn).split(":")[3]):
            continue
        del _severed[arn]
        with _session(arn) as connection:
            if connection is not None and arn in _sources and connection.run("SHOW primary_conninfo") == [[""]]:
                _stream_from(connection, address)


def _stream_from(connection: Any, address: str) -> None:
    quoted = address.replace("'", "''")
    connection.run(f"ALTER SYSTEM SET primary_conninfo = '{quoted}'")
    connection.run("SELECT pg_reload_conf()")


def _end_sessions(connection: Any) -> None:
    connection.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> current_user"
    )


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
        if connection is None:  # it counts when the server starts
            return
        before = connection.run("SELECT pg_conf_load_time()")
        connection.run("SELECT pg_reload_conf()")
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while time.monotonic() < deadline:  # it counts for sessions that begin once the server has read it
        with _session(arn) as connection:
            if connection.run("SELECT pg_conf_load_time()") != before:
                if not anybody:
                    _end_sessions(connection)
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
    shutil.copytree(server.data / "pg_wal", target / "data" / "pg_wal", dirs_exist_ok=True, copy_function=_copied)
    (target / "data" / "backup_label").write_text(label, encoding="utf-8")
    shutil.copy(server.directory / "open.conf", target / "open.conf")
    with _lock:
        _copies[name] = (server.user, server.database, _passwords[arn])


def _copy_whole(source: Path, target: Path) -> None:
    """A directory in which nobody writes: shutil would take several times as long."""
    subprocess.run(["cp", "-a", source, target], check=True)


def _copied(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # gone meanwhile, so the copy needs it as little
        shutil.copy2(source, target)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """What belongs to the running server, and slots, which a snapshot of RDS does not hold either."""
    if folder.endswith(("pg_dynshmem", "pg_replslot", "pg_wal")):
        return [name for name in names if name != "archive_status"]
    own = ("postmaster.pid", "postmaster.opts", "standby.signal")
    return [name for name in names if name in own or name.startswith("pgsql_tmp")]


def copy(source: str, name: str) -> None:
    if source in _copies:
        _copy_whole(_kept(source), _kept(name))
        _copies[name] = _copies[source]


def forget(name: str) -> None:
    if _copies.pop(name, None) is not None:
        shutil.rmtree(_kept(name), ignore_errors=True)


def restore(name: str, arn: str, *, closed: bool, source: str = "", until: str = "") -> tuple[str, int] | None:
    """Starts a new server with the data that was kept under ``name``, on a timeline of its own as RDS does.

    With the log of ``source`` on top of them it is as that was at the time ``until``.
    """
    binaries = postgres.find()
    if name not in _copies or _state.directory is None or binaries is None:
        return None
    user, database, password = _copies[name]
    directory = _directory(arn)
    _copy_whole(_kept(name), directory)
    server = postgres.Server(directory, binaries, user, database, postgres._free_port())
    shutil.copy(directory / "open.conf", server.data / "pg_hba.conf")
    server.log.touch()
    (server.data / "recovery.signal").touch()
    target = ["restore_command = 'false'\n"]
    if until:
        _add_log(source, server.data / "pg_wal")
        target += [f"recovery_target_time = '{until}'\n", "recovery_target_action = 'promote'\n"]
    own = server.data / "postgresql.auto.conf"
    before = own.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in before if not line.startswith(("restore_", "recovery_"))]
    own.write_text("".join([*kept, *target]), encoding="utf-8")
    _hang_door(server, closed=closed)
    for place in (directory, *directory.rglob("*")):
        postgres._own(place)
    reached = _begin(arn, server, password)
    # It answers as soon as it can be read, a moment before it takes writes.
    _await(lambda: not _recovers(arn), f"The recovery of {arn} did not end; see {server.log}.")
    take(arn, _name_past(arn))
    return reached


def restore_at(source: str, at: str, arn: str, *, closed: bool) -> tuple[str, int] | None:
    """Starts a new server that is as ``source`` was at a time since it began; LookupError where its log is not kept."""
    if source not in _servers:
        return None
    if source not in _pasts:
        raise LookupError(source)
    with _session(source) as connection:
        # Recovery goes on to the first transaction that ended after the target. RDS itself writes one every few minutes.
        connection.run("SELECT txid_current()")
        connection.run("CHECKPOINT")
    return restore(_pasts[source], arn, closed=closed, source=source, until=at)


def _add_log(source: str, target: Path) -> None:
    """All of a server's log: what it has still, then what was kept of it, which is whole."""
    server = _servers[source]
    for folder in (server.data / "pg_wal", server.directory / LOG):
        for file in folder.iterdir():
            if file.is_file():
                _copied(str(file), str(target / file.name))


def rename(old: str, new: str) -> tuple[str, int] | None:
    """Another name for a database, after a restart, as on RDS: an endpoint is the name's, and so is its port."""
    server = _servers.get(old)
    if server is None:
        return None
    server.stop("fast")
    _certify(new, server)
    (server.directory / "started").unlink()  # so it may take another port
    _left[old], server.port = server.port, _left.pop(new, 0) or postgres._free_port()
    server.start()
    with _lock:
        for table in (_servers, _passwords, _pasts, _sources):
            if old in table:
                table[new] = table.pop(old)  # type: ignore[assignment]
    for standby in [arn for arn, source in _sources.items() if source == old]:
        turn(standby, new)
    return server.host, server.port


def _kept(name: str) -> Path:
    assert _state.directory is not None  # noqa: S101
    return _state.directory / "copies" / name.replace(":", "_").replace("/", "_")


def _settings(parameters: dict[str, str]) -> dict[str, str]:
    """Of a parameter group, what PostgreSQL itself knows, and what its server here understands of RDS's own."""
    known = {name: value for name, value in parameters.items() if name == SSL_FORCED or "." not in name}
    if "ssl_ciphers" in known:
        known["ssl_ciphers"] = ":".join(SUITES.get(suite, suite) for suite in known["ssl_ciphers"].split(","))
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
    if server is None or _state.authority is None or server.frozen or not server.running:
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
    source = _sources.pop(arn, None)
    with _lock:
        server = _servers.pop(arn, None)
    _asked.discard(arn.rsplit(":", 1)[1])
    forget(_pasts.pop(arn, ""))
    if server is not None:
        _left[arn] = server.port
        server.destroy()
    if source is not None:
        _make_slot_free(source, arn)


def stop_all() -> None:
    _sources.clear()
    for arn in list(_servers):
        with contextlib.suppress(Exception):
            destroy(arn)
