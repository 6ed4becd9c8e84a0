"""Real PostgreSQL 15 servers on loopback, set up as RDS sets them up: TLS on, SCRAM only, a master user who is no superuser."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from emulator import owned_process
from emulator.authority import Authority

MAJOR = 15
MISSING = (
    f"PostgreSQL {MAJOR} is not on this machine. Install its server (Debian 12: apt-get install postgresql-{MAJOR}; "
    f"Red Hat: dnf install postgresql{MAJOR}-server from the PostgreSQL repository; Homebrew: brew install postgresql@{MAJOR}), "
    "or set PG_BIN to the directory that holds its initdb and postgres."
)
# Where packages put a server that is not on PATH: Debian, Red Hat (PostgreSQL's own and Red Hat's), Homebrew on Arm and Intel.
USUAL = (
    f"/usr/lib/postgresql/{MAJOR}/bin",
    f"/usr/pgsql-{MAJOR}/bin",
    f"/opt/homebrew/opt/postgresql@{MAJOR}/bin",
    f"/usr/local/opt/postgresql@{MAJOR}/bin",
    "/usr/bin",
)
HOST = "localhost"
NAMES = (HOST, "127.0.0.1")
START_TIMEOUT = 60.0  # seconds; recovery after an immediate stop on a busy machine included
STOP_TIMEOUT = 60.0
SUPERUSER = "rdsadmin"  # as on RDS: AWS's own, has no password here and so cannot log in
OURS = "# What follows is the emulator's.\n"  # parts initdb's settings in postgresql.conf from ours


class PostgresError(RuntimeError):
    """A server could not be made, started or stopped; the message says why and what to do."""


def find() -> Path | None:
    """The directory of PostgreSQL 15's programs, or None. ``PG_BIN``, where it is set, is the only place that is looked at."""
    override = os.environ.get("PG_BIN")
    return next((place for place in ([Path(override)] if override else _places()) if _is_right(place)), None)


def _places() -> list[Path]:
    places = []
    on_path = shutil.which("postgres")
    if on_path:
        places.append(Path(on_path).resolve().parent)
    config = shutil.which("pg_config")
    if config:
        places += _named(config)
    return [*places, *map(Path, USUAL)]


@cache
def _named(config: str) -> list[Path]:
    """The directory that ``pg_config`` names, which may be a script that takes longer than PostgreSQL to start."""
    answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False, encoding="utf-8")
    return [Path(answer.stdout.strip())] if answer.returncode == 0 and answer.stdout.strip() else []


@cache
def _is_right(place: Path) -> bool:
    if not all(os.access(place / program, os.X_OK) for program in ("initdb", "postgres")):
        return False
    answer = subprocess.run([place / "postgres", "--version"], capture_output=True, text=True, check=False, encoding="utf-8")
    return re.search(rf"\(PostgreSQL\) {MAJOR}\b", answer.stdout) is not None


@dataclass
class Server:
    """One server in one directory. It runs only while its owner lives: it ends with the process that started it."""

    directory: Path
    binaries: Path
    user: str
    database: str
    port: int
    host: str = HOST
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    frozen: bool = False

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        user: str,
        password: str,
        authority: Authority,
        database: str = "postgres",
        settings: Mapping[str, str] | None = None,
        names: Sequence[str] = NAMES,
        ours: str = "",
    ) -> Server:
        """A new server, not yet started. ``settings`` go to postgresql.conf; ``rds.force_ssl=1`` refuses clear connections.

        ``names`` are those that its certificate carries, ``ours`` is the password of AWS's own superuser, who else has none.
        """
        binaries = find()
        if binaries is None:
            raise PostgresError(MISSING)
        directory = directory.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        _ensure_reachable(directory)
        settings = dict(settings or {})
        server = cls(directory, binaries, user, database, _free_port())
        _own(directory)
        server.log.touch()
        _own(server.log)
        server._run(
            "initdb",
            "-D",
            str(server.data),
            "-U",
            SUPERUSER,
            "-A",
            "reject",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
            "--wal-segsize=1",  # which is copied and kept whole, however little it holds
            "--no-instructions",
        )
        server.certify(authority, names)
        server.configure(settings)
        server._administer("CREATE ROLE rds_superuser NOLOGIN;\n\n" + _slots(), "template1")
        login = f"ALTER ROLE {SUPERUSER} PASSWORD '{ours}';\n\n" if ours else ""
        server._administer(_master(user, password, database) + _slots() + login)
        return server

    def certify(self, authority: Authority, names: Sequence[str]) -> None:
        """A certificate with these names; one that runs shows it when it starts again."""
        certificate, key = authority.issue(names)
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            target = self.data / name
            target.unlink(missing_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o600)
            _own(target)
        key.unlink()

    @classmethod
    def copy_of(
        cls, source: Server, directory: Path, *, password: str, slot: str, root: Path, settings: Mapping[str, str]
    ) -> Server:
        """A standby of ``source`` by streaming replication, not yet started; ``password`` is that of the superuser."""
        directory = directory.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        _ensure_reachable(directory)
        server = cls(directory, source.binaries, source.user, source.database, _free_port())
        _own(directory)
        server.log.touch()
        _own(server.log)
        server.copy(source, password=password, slot=slot, root=root, settings=settings)
        return server

    def copy(self, source: Server, *, password: str, slot: str, root: Path, settings: Mapping[str, str]) -> None:
        """Takes the data of ``source`` instead of its own, and follows it from then on through a new ``slot``."""
        shutil.rmtree(self.data, ignore_errors=True)
        self._remember(password)
        address = self.address(source, slot, root)
        self._run("pg_basebackup", "-N", "-D", str(self.data), "-d", address, "-X", "stream", "-c", "fast", "-C", "-S", slot)
        self.configure(settings)
        self.follow(source, password=password, slot=slot, root=root)

    def follow(self, source: Server, *, password: str, slot: str, root: Path) -> None:
        """Makes the stopped server a standby of ``source``, whose data it has."""
        self._remember(password)
        own = self.data / "postgresql.auto.conf"
        kept = [line for line in own.read_text(encoding="utf-8").splitlines(keepends=True) if not line.startswith("primary_")]
        address = _quoted(self.address(source, slot, root))
        own.write_text("".join(kept) + f"primary_conninfo = {address}\nprimary_slot_name = '{slot}'\n", encoding="utf-8")
        (self.data / "standby.signal").touch()
        _own(self.data / "standby.signal")

    def _remember(self, password: str) -> None:
        # In a file, since whoever may read settings also reads primary_conninfo.
        secret = self.directory / "replication.pass"
        secret.touch(mode=0o600)
        secret.write_text(f"{HOST}:*:*:{SUPERUSER}:{password}\n", encoding="utf-8")
        _own(secret)

    def address(self, source: Server, slot: str, root: Path) -> str:
        """Where and as whom it reaches ``source``, in libpq's words."""
        secret = self.directory / "replication.pass"
        return (
            f"host={source.host} port={source.port} user={SUPERUSER} passfile={secret} "
            f"sslmode=verify-full sslrootcert={root} application_name={slot}"
        )

    def configure(self, settings: Mapping[str, str]) -> None:
        """Writes what the server is set to, and who may connect: ``settings`` go to postgresql.conf."""
        kind = "hostssl" if settings.get("rds.force_ssl") in ("1", "on", "true") else "host"
        (self.data / "pg_hba.conf").write_text(
            f"{kind} all all 127.0.0.1/32 scram-sha-256\n{kind} replication all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8"
        )
        ours = {
            "listen_addresses": "127.0.0.1",
            # The path of a socket may have 107 bytes at most, which a temporary directory soon exceeds; nobody needs it here.
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": "server.crt",
            "ssl_key_file": "server.key",
            "password_encryption": "scram-sha-256",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "lc_messages": "C",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "dynamic_shared_memory_type": "mmap",  # in its own directory: what is killed leaves no memory behind
            "fsync": "off",  # nothing here outlives the machine
            "wal_retrieve_retry_interval": "200ms",  # a standby is soon back at a source that was away
        }
        file = self.data / "postgresql.conf"
        before = file.read_text(encoding="utf-8").partition(OURS)[0]
        after = [f"{name} = {_quoted(value)}\n" for name, value in {**ours, **settings}.items()]
        file.write_text(before + OURS + "".join(after), encoding="utf-8")

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """What the server has logged, statements included where ``log_statement`` says so."""
        return self.directory / "postgres.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts the server and returns when it answers. Its port stays the same once it has been started."""
        if self.running:
            return
        for _ in range(5):
            offset = self.log.stat().st_size
            self._spawn()
            if self._await_ready():
                return
            said = self.log.read_bytes()[offset:].decode(errors="replace")
            if "Address already in use" not in said or (self.directory / "started").exists():
                break
            self.port = _free_port()  # somebody was quicker; nobody knows our port yet, so take another
        raise PostgresError(f"PostgreSQL in {self.directory} did not start. It says:\n{said}")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stops the server: ``fast`` ends sessions and writes everything, ``immediate`` is a crash."""
        process, self.process = self.process, None
        if process is None or process.stdin is None:
            return
        frozen, self.frozen = self.frozen, False
        try:
            process.stdin.write(b"+SIGKILL\n" if frozen else {"fast": b"SIGINT\n", "immediate": b"SIGQUIT\n"}[mode])
            process.stdin.flush()
            process.wait(STOP_TIMEOUT)
        except BrokenPipeError:
            pass  # it had ended by itself
        except subprocess.TimeoutExpired:
            raise PostgresError(f"PostgreSQL in {self.directory} did not stop in {STOP_TIMEOUT:.0f} s; see {self.log}.") from None
        finally:
            # The end of its input makes the guard kill what is left, so nothing outlives this.
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()

    def freeze(self, frozen: bool = True) -> None:
        """Stops the server's processes where they stand: whoever connects waits for an answer. ``frozen=False``: they go on."""
        if self.frozen == frozen or self.process is None or self.process.stdin is None:
            return
        heard = self.directory / owned_process.HEARD
        heard.unlink(missing_ok=True)
        self.process.stdin.write(b"+SIGSTOP\n" if frozen else b"+SIGCONT\n")
        self.process.stdin.flush()
        self.frozen = frozen
        while self.running and not heard.exists():
            time.sleep(0.005)

    def checkpoint(self) -> int:
        """Where the log of the stopped server ends: the place of its last checkpoint."""
        said = self._run("pg_controldata", "-D", str(self.data))
        high, low = re.findall(r"Latest checkpoint location: *([0-9A-F]+)/([0-9A-F]+)", said)[0]
        return (int(high, 16) << 32) + int(low, 16)

    def destroy(self) -> None:
        """Stops the server and removes its directory."""
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _spawn(self) -> None:
        account = _account()
        identity = ("-", "-") if account is None else (str(account.pw_uid), str(account.pw_gid))
        command = [str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of a server that was killed; ours is known not to run
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", owned_process.__file__, *identity, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=_environment(),
                start_new_session=True,  # an interrupt from the terminal is for the owner, who then stops us in order
            )

    def _await_ready(self) -> bool:
        """Whether it came up: its pid file's eighth line becomes ``ready`` then (miscadmin.h, LOCK_FILE_LINE_PM_STATUS)."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.running:
            try:
                lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")
            except FileNotFoundError:
                lines = []
            if len(lines) > 7 and lines[7].strip() == "ready":
                (self.directory / "started").touch()
                return True
            time.sleep(0.01)
        self.stop("immediate")
        return False

    def _administer(self, script: str, database: str = "postgres") -> None:
        """Runs SQL as the superuser while the server is down, in its single-user mode; nothing of it reaches the log."""
        self._run(
            "postgres",
            "--single",
            "-j",
            "-O",  # what is the system's own may be changed
            "-D",
            str(self.data),
            "-c",
            "log_statement=none",
            "-c",
            "exit_on_error=on",
            database,
            text=script,
        )

    def _run(self, program: str, *arguments: str, text: str = "") -> str:
        account = _account()
        identity: dict[str, object] = (
            {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        )
        done = subprocess.run(  # type: ignore[call-overload]
            [str(self.binaries / program), *arguments],
            input=text,
            text=True,
            capture_output=True,
            cwd=self.directory,
            env=_environment(),
            check=False,
            **identity,
        )
        if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
            raise PostgresError(f"{program} failed in {self.directory}. It says:\n{done.stderr}")
        return str(done.stdout)


def _master(user: str, password: str, database: str) -> str:
    """The master user as RDS makes it: may create roles and databases, is no superuser."""
    name = '"' + user.replace('"', '""') + '"'
    secret = "'" + password.replace("'", "''") + "'"
    statements = [
        "SET standard_conforming_strings = on",
        "GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser",
        "GRANT SET ON PARAMETER session_replication_role TO rds_superuser",
        f"CREATE ROLE {name} LOGIN CREATEROLE CREATEDB VALID UNTIL 'infinity' IN ROLE rds_superuser PASSWORD {secret}",
    ]
    if database == "postgres":
        statements.append(f"ALTER DATABASE postgres OWNER TO {name}")
    else:
        statements.append('CREATE DATABASE "{}" OWNER {}'.format(database.replace('"', '""'), name))
    return "".join(f"{statement};\n\n" for statement in statements)


CHANGES = (
    "IN slot_name name, IN upto_lsn pg_lsn, IN upto_nchanges int, VARIADIC options text[] DEFAULT '{}', "
    "OUT lsn pg_lsn, OUT xid xid, OUT data text"
)
SLOT_FUNCTIONS = {
    "pg_create_logical_replication_slot": (
        "IN slot_name name, IN plugin name, IN temporary boolean DEFAULT false, IN twophase boolean DEFAULT false, "
        "OUT slot_name name, OUT lsn pg_lsn",
        "record",
    ),
    "pg_drop_replication_slot": ("IN slot_name name", "void"),
    "pg_logical_slot_get_changes": (CHANGES, "SETOF record"),
    "pg_logical_slot_peek_changes": (CHANGES, "SETOF record"),
    "pg_replication_slot_advance": ("IN slot_name name, IN upto_lsn pg_lsn, OUT slot_name name, OUT end_lsn pg_lsn", "record"),
}


def _slots() -> str:
    """Lets roles use logical slots that are no superuser and have no REPLICATION, as RDS lets those of rds_superuser.

    The attribute itself would not do: PostgreSQL 15 lets only a superuser change the password of a role that has it. PostgreSQL
    runs its own functions without a look at their security, so each gets a twin under its name that is one's own.
    """
    return "".join(
        f"ALTER FUNCTION pg_catalog.{name} RENAME TO {name}_of_superusers;\n\n"
        f"CREATE FUNCTION pg_catalog.{name}({arguments}) RETURNS {result} "
        f"LANGUAGE internal VOLATILE SECURITY DEFINER AS '{name}';\n\n"
        f"REVOKE EXECUTE ON FUNCTION pg_catalog.{name} FROM PUBLIC;\n\n"
        f"GRANT EXECUTE ON FUNCTION pg_catalog.{name} TO rds_superuser;\n\n"
        for name, (arguments, result) in SLOT_FUNCTIONS.items()
    )


@cache
def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to run as root, so root starts it as ``postgres``, or else as ``nobody``."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError(
        "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody. Add one of them."
    )


def _own(path: Path) -> None:
    account = _account()
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def _ensure_reachable(directory: Path) -> None:
    account = _account()
    if account is None:
        return
    for parent in directory.parents:
        status = parent.stat()
        if status.st_uid != account.pw_uid and not status.st_mode & stat.S_IXOTH:
            raise PostgresError(
                f"The server runs as the user {account.pw_name}, who cannot pass through {parent} to reach {directory}. "
                f"Choose another directory, or let others pass: chmod o+x {parent}"
            )


def _environment() -> dict[str, str]:
    """Ours without what would change PostgreSQL's programs: libpq's variables and files, and the locale."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C", "HOME": "/nonexistent"}  # libpq reads certificates at home


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
