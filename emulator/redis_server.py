"""Real Redis servers on loopback, set up as ElastiCache sets them up: TLS, ACLs, a user of AWS's own, nothing on disk."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from emulator import owned_process, postgres
from emulator.authority import Authority

MAJOR = 7
MISSING = (
    f"Redis {MAJOR} is not on this machine. Install its server (Debian 12: apt-get install redis-server; Homebrew: brew install "
    "redis), or set REDIS_BIN to the directory that holds redis-server. It must be built with TLS."
)
USUAL = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
START_TIMEOUT = 30.0  # seconds, on a busy machine; usually well below one
STOP_TIMEOUT = 10.0
ADMINISTRATOR = "aws-administrator"  # AWS's own, through which the API acts
# What ElastiCache refuses whoever asks (ElastiCache User Guide, Supported and restricted commands).
RESTRICTED = (
    *("-acl|setuser", "-acl|deluser", "-acl|load", "-acl|save", "-bgrewriteaof", "-bgsave", "-config", "-debug", "-failover"),
    *("-migrate", "-module", "-psync", "-replicaof", "-save", "-shutdown", "-slaveof", "-sync"),
)


_QUOTES = '""'  # an empty value


class RedisError(RuntimeError):
    """A server could not be made or started; the message says why and what to do."""


class RuleError(ValueError):
    """Redis does not take an access string; the message is its own."""


def find() -> Path | None:
    """The program, or None. ``REDIS_BIN``, where it is set, is the only place that is looked at."""
    override = os.environ.get("REDIS_BIN")
    on_path = shutil.which("redis-server")
    places = [Path(override)] if override else [*([Path(on_path).parent] if on_path else []), *map(Path, USUAL)]
    return next((place / "redis-server" for place in places if _is_right(place / "redis-server")), None)


@cache
def _is_right(program: Path) -> bool:
    if not os.access(program, os.X_OK):
        return False
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, encoding="utf-8")
    if not re.search(rf"\bv={MAJOR}\.", answer.stdout):
        return False
    # One without TLS ends at once and says so; one with TLS ends at once, since it has no port at all.
    tried = subprocess.run(
        [program, "-"],
        input="port 0\ntls-port 0\ntls-cert-file /nowhere\n",
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    return "Bad directive" not in tried.stdout + tried.stderr


def free_port() -> int:
    """A port that nobody has at the moment."""
    return postgres._free_port()


def digest(password: str) -> str:
    """What a server keeps of a password (ACL SETUSER, ``#``)."""
    return hashlib.sha256(password.encode()).hexdigest()


@dataclass
class Server:
    """One server in one directory. It runs only while its owner lives: it ends with the process that started it."""

    directory: Path
    program: Path
    root: Path
    tls: bool
    port: int
    password: str = field(repr=False)  # the administrator's
    host: str = postgres.HOST
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        authority: Authority,
        password: str,
        tls: bool = True,
        settings: Mapping[str, str] | None = None,
        names: Sequence[str] = (postgres.HOST, "127.0.0.1"),
    ) -> Server:
        """A new server, not yet started. With ``tls`` nobody gets in without; ``settings`` are those of a parameter group.

        ``names`` are those that its certificate carries.
        """
        program = find()
        if program is None:
            raise RedisError(MISSING)
        directory.mkdir(parents=True)
        server = cls(directory, program, authority.root, tls, free_port(), password)
        certificate, key = authority.issue(names)
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            shutil.copyfile(source, directory / name)
        (directory / "server.key").chmod(0o600)
        key.unlink()
        (directory / "settings.conf").write_text(
            "".join(f"{name} {value or _QUOTES}\n" for name, value in (settings or {}).items()), encoding="utf-8"
        )
        return server

    @property
    def log(self) -> Path:
        """What the server has logged."""
        return self.directory / "redis.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts the server and returns when it answers."""
        for _ in range(5):
            offset = self.log.stat().st_size if self.log.exists() else 0
            self._spawn()
            if self._await_ready():
                return
            said = self.log.read_bytes()[offset:].decode(errors="replace")
            if "already in use" not in said:
                break
            self.port = free_port()  # somebody was quicker; nobody knows our port yet, so take another
        raise RedisError(f"Redis in {self.directory} did not start. It says:\n{said}")

    def destroy(self) -> None:
        """Ends the server and removes its directory."""
        self._end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def follow(self, primary: Server | None) -> None:
        """Copies ``primary`` from now on, or nobody."""
        where = ("NO", "ONE") if primary is None else (primary.host, str(primary.port))
        self.run("REPLICAOF", *where)

    def listen(self, port: int) -> None:
        """Listens on ``port`` from now on; sessions that there are stay."""
        self.run("CONFIG", "SET", "tls-port" if self.tls else "port", str(port))
        self.port = port

    def set_user(self, name: str, rules: Sequence[str], digests: Sequence[str] | None) -> None:
        """Makes a user what an access string says, in one step; sessions that there are stay. No ``digests``: no password."""
        import redis

        passwords = ["nopass"] if digests is None else [f"#{one}" for one in digests]
        try:
            self.run("ACL", "SETUSER", name, "reset", *rules, *RESTRICTED, *passwords)
        except redis.ResponseError as error:
            raise RuleError(str(error)) from None

    def drop_user(self, name: str) -> None:
        """Takes a user away, and ends its sessions; Redis has to have one that is called default."""
        if name == "default":
            self.run("ACL", "SETUSER", name, "reset")
        else:
            self.run("ACL", "DELUSER", name)

    def drop_sessions(self) -> None:
        """Ends the sessions of clients, as a failover does."""
        self.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def run(self, *command: str) -> Any:
        """What the server answers its administrator."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        secured: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self.root), "ssl_check_hostname": False} if self.tls else {}
        client = redis.Redis(
            host=self.host,
            port=self.port,
            username=ADMINISTRATOR,
            password=self.password,
            socket_timeout=START_TIMEOUT,
            decode_responses=True,
            single_connection_client=True,
            retry=Retry(NoBackoff(), 0),
            **secured,
        )
        try:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
        finally:
            client.close()

    def _configuration(self) -> str:
        secured = (
            f"port 0\ntls-port {self.port}\ntls-cert-file server.crt\ntls-key-file server.key\ntls-ca-cert-file {self.root}\n"
            'tls-auth-clients no\ntls-replication yes\ntls-protocols "TLSv1.2 TLSv1.3"\n'
        )
        return (
            "bind 127.0.0.1\n"
            + (secured if self.tls else f"port {self.port}\n")
            + f"dir {self.directory}\nsave {_QUOTES}\nappendonly no\nprotected-mode no\ndaemonize no\n"
            # A replica asks for the whole copy at once, and not after five seconds.
            "repl-diskless-sync yes\nrepl-diskless-sync-delay 0\nrepl-diskless-load swapdb\n"
            f"include {self.directory / 'settings.conf'}\n"
            f"masteruser {ADMINISTRATOR}\nmasterauth {self.password}\n"
            f"user {ADMINISTRATOR} on ~* &* +@all #{digest(self.password)}\nuser default reset\n"
        )

    def _spawn(self) -> None:
        configuration = self.directory / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(self._configuration(), encoding="utf-8")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", owned_process.__file__, "-", "-", str(self.program), str(configuration)],
                stdin=subprocess.PIPE,  # its end tells the guard that we are gone
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # an interrupt from the terminal is for the owner, who then stops us in order
            )

    def _await_ready(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.running:
            with suppress(Exception):  # not yet
                return bool(self.run("PING"))
            time.sleep(0.02)
        self._end()
        return False

    def _end(self) -> None:
        process, self.process = self.process, None
        if process is None or process.stdin is None:
            return
        with suppress(BrokenPipeError):
            process.stdin.write(f"{signal.SIGKILL.name}\n".encode())  # nothing on disk is worth an orderly end
            process.stdin.flush()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait(STOP_TIMEOUT)


def new_password() -> str:
    """An administrator's password."""
    return secrets.token_hex(24)
