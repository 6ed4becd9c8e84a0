"""Our PostgreSQL servers: found or said to be missing, like RDS, and gone when their owner is."""

from __future__ import annotations

import os
import pwd
import signal
import ssl
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pg8000.native
import pytest

from emulator import postgres as emulated
from emulator.authority import Authority
from emulator.postgres import PostgresError, Server, find
from tests.servers.fixtures import DATABASE, PASSWORD, USER, Launch

ROOT = Path(__file__).parents[2]


def _login(server: Server, authority: Authority | None, password: str = PASSWORD) -> pg8000.native.Connection:
    context = ssl.create_default_context(cafile=str(authority.root)) if authority else False
    if isinstance(context, ssl.SSLContext):
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python 3.13 does by itself
    return pg8000.native.Connection(
        USER, host=server.host, port=server.port, database=DATABASE, password=password, ssl_context=context
    )


def test_server_is_like_an_instance_of_rds(postgres: Server, authority: Authority) -> None:
    connection = _login(postgres, authority)
    try:
        [[version, superuser, roles, tls, listens, encryption]] = connection.run(
            "SELECT current_setting('server_version_num')::int / 10000, rolsuper, rolcreaterole, ssl,"
            " current_setting('listen_addresses'), current_setting('password_encryption')"
            " FROM pg_roles, pg_stat_ssl WHERE rolname = current_user AND pid = pg_backend_pid()"
        )
    finally:
        connection.close()
    assert (version, superuser, roles, tls, listens, encryption) == (15, False, True, True, "127.0.0.1", "scram-sha-256")


def test_clear_connections_are_taken_unless_tls_is_forced(launch: Launch, postgres: Server, authority: Authority) -> None:
    _login(postgres, None).close()
    forced = launch("forced", settings={"rds.force_ssl": "1"})
    with pytest.raises(pg8000.native.DatabaseError, match="28000"):
        _login(forced, None)
    _login(forced, authority).close()
    forced.destroy()


def test_creation_leaves_no_password_in_the_directory(postgres: Server) -> None:
    files = [path for path in postgres.directory.rglob("*") if path.is_file() and path.name != "postmaster.pid"]
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
    assert stat.S_IMODE((postgres.data / "server.key").stat().st_mode) == 0o600


def test_data_and_port_outlive_a_crash_and_a_stop(launch: Launch, authority: Authority) -> None:
    server = launch("crash")
    port = server.port
    for mode in ("immediate", "fast"):
        connection = _login(server, authority)
        connection.run(f"CREATE TABLE {mode} ()")
        server.stop(mode)  # type: ignore[arg-type]
        with pytest.raises(pg8000.native.Error):
            connection.run("SELECT 1")
        with suppress(pg8000.native.Error):
            connection.close()
        assert not server.running
        server.start()
        server.start()  # it runs already
        assert server.port == port
        again = _login(server, authority)
        again.run(f"SELECT FROM {mode}")
        again.close()
    server.destroy()
    assert not server.directory.exists()
    server.stop()  # it has stopped already


def test_odd_names_and_passwords_are_taken_as_they_are(launch: Launch, authority: Authority) -> None:
    password = 'it\'s \\ "ö" $1 ;; -- x'
    server = launch("odd", user='o"dd; user', password=password, database='d"b', settings={"application_name": "it's \\"})
    connection = pg8000.native.Connection(
        'o"dd; user',
        host=server.host,
        port=server.port,
        database='d"b',
        password=password,
        ssl_context=ssl.create_default_context(cafile=str(authority.root)),
    )
    assert connection.run("SELECT current_user, reset_val FROM pg_settings WHERE name = 'application_name'") == [
        ['o"dd; user', "it's \\"]
    ]
    connection.close()
    server.destroy()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_all_the_memory_that_it_shares_by_name_is_in_its_directory(postgres: Server) -> None:
    """So that it goes with the directory, however the server ends."""
    main = (postgres.data / "postmaster.pid").read_text().split()[0]
    shared = {line.split()[-1] for line in Path(f"/proc/{main}/maps").read_text().splitlines() if " rw-s " in line}
    assert any(name.startswith(str(postgres.data / "pg_dynshmem")) for name in shared)
    assert not [name for name in shared if name.startswith("/dev/shm/PostgreSQL")]


def test_setting_that_does_not_exist_is_said_with_the_servers_words(launch: Launch) -> None:
    with pytest.raises(PostgresError, match="no_such_setting"):
        launch("wrong", settings={"no_such_setting": "1"})


def test_server_that_cannot_start_says_why(launch: Launch) -> None:
    def spoil(server: Server) -> None:
        (server.data / "pg_hba.conf").write_text("nonsense\n")

    with pytest.raises(PostgresError, match=r"did not start\. It says:(.|\n)*pg_hba\.conf"):
        launch("spoilt", prepare=spoil)


def test_port_that_somebody_took_meanwhile_is_exchanged_once_only(launch: Launch, postgres: Server) -> None:
    server = launch("late", prepare=lambda late: setattr(late, "port", postgres.port))
    assert server.port != postgres.port
    server.stop()
    kept, server.port = server.port, postgres.port
    with pytest.raises(PostgresError, match="Address already in use"):
        server.start()
    server.port = kept
    server.start()
    server.destroy()


def test_missing_postgresql_is_said_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: Authority
) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    assert find() is None
    with pytest.raises(PostgresError, match=r"^PostgreSQL 15 is not on this machine\. Install .*apt-get install postgresql-15"):
        Server.create(tmp_path / "server", user=USER, password=PASSWORD, authority=authority)
    assert not (tmp_path / "server").exists()


def test_only_version_15_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version, place in (("16.4", "new"), ("15.9", "right"), ("9.15", "old")):
        (tmp_path / place).mkdir()
        for program in ("initdb", "postgres"):
            (tmp_path / place / program).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version} (Debian)'\n")
            (tmp_path / place / program).chmod(0o755)
    for place, found in (("new", None), ("old", None), ("right", tmp_path / "right")):
        monkeypatch.setenv("PG_BIN", str(tmp_path / place))
        assert find() == found


def test_postgresql_is_looked_for_where_packages_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    right = find()
    assert right is not None
    monkeypatch.delenv("PG_BIN", raising=False)
    (tmp_path / "pg_config").write_text(f"#!/bin/sh\necho {right}\n")
    (tmp_path / "pg_config").chmod(0o755)
    for path, usual in ((str(right), ()), (str(tmp_path), ()), ("", (str(right),))):
        monkeypatch.setenv("PATH", path + (os.pathsep + "/bin" if path == str(tmp_path) else ""))
        monkeypatch.setattr(emulated, "USUAL", usual)
        assert find() == right
    monkeypatch.setattr(emulated, "USUAL", ())
    assert find() is None


def test_directory_that_the_servers_user_cannot_reach_is_said(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = pwd.struct_passwd(("somebody", "", os.geteuid() + 1, os.getegid() + 1, "", "", ""))
    monkeypatch.setattr(emulated, "_account", lambda: somebody)  # as if root had started it
    tmp_path.chmod(0o700)
    with pytest.raises(PostgresError, match=r"cannot pass through .* chmod o\+x"):
        Server.create(tmp_path / "server", user=USER, password=PASSWORD, authority=authority)


OWNER = """
import sys, threading, time
from pathlib import Path
from emulator.authority import Authority
from emulator.postgres import Server

directory = Path(sys.argv[1])
server = Server.create(directory / "server", user="app", password="app", authority=Authority.create(directory / "ca"))
thread = threading.Thread(target=server.start)  # a thread that ends must not take the server with it
thread.start()
thread.join()
print(server.process.pid, (server.data / "postmaster.pid").read_text().split()[0], flush=True)
if sys.argv[2] == "wait":
    time.sleep(60)
"""


@pytest.mark.parametrize("end", ["killed", "returned", "guard killed"])
def test_server_ends_with_its_owner(scratch: Path, end: str) -> None:
    directory = scratch / end.replace(" ", "-")
    owner = subprocess.Popen(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", OWNER, str(directory), "return" if end == "returned" else "wait"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert owner.stdout is not None
    guard, server = map(int, owner.stdout.readline().split())
    if end != "returned":
        time.sleep(0.2)
        assert _alive(server), "it lives on while its owner does"
        os.kill(owner.pid if end == "killed" else guard, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _alive(server) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(server)
    owner.kill()
    owner.communicate()


def _alive(process: int) -> bool:
    """Whether it runs; what waits for its parent to read its end has ended."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return done.returncode == 0 and not done.stdout.strip().startswith("Z")
