"""An AWS to try everything on, on this machine, without an account: ``with running() as aws: ...``.

Nothing outside this package knows what it is made of; what it hides from you compared with AWS stands in README.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from emulator import endpoint_names, run_directory
from emulator.mounted import emulator_names

ACCOUNT = "123456789012"
# Looks like no real key on purpose: where these reach AWS by mistake, AWS refuses them.
ACCESS_KEY = "emulator"
SECRET_KEY = "emulator"
REGION = "us-east-1"
START_TIMEOUT = 60.0  # seconds, on a busy machine; usually well below one
STOP_TIMEOUT = 15.0
RUN_TIMEOUT = 1000.0  # a function may run for 900


class EmulatorError(RuntimeError):
    """The emulator could not start or answer; the message says why and what to do."""


@dataclass(frozen=True)
class Call:
    """An action that was allowed or refused: who, what, on which resource. ``via`` is the service that asked for them."""

    principal: str
    action: str
    resource: str
    allowed: bool
    via: str = ""

    @property
    def role(self) -> str:
        """The name of the role behind an assumed-role principal, else an empty string."""
        return self.principal.split("/")[1] if ":assumed-role/" in self.principal else ""


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    endpoint: str
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment so that its AWS calls come here, and read no configuration of the user's."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # libpq asks libc, which does not know the names of clusters; it verifies them nevertheless.
            "PGHOSTADDR": "127.0.0.1",
        }

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.session.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=REGION)

    def client(self, service: str, region: str = REGION, **credentials: str) -> Any:
        """A boto3 client of ``service`` in ``region``: as the account's root, or with other ``credentials``."""
        return self._session.client(service, region_name=region, endpoint_url=self.endpoint, **credentials)

    @property
    def root(self) -> Path:
        """The root certificate of the database servers: what PGSSLROOTCERT names in the functions."""
        return self.directory / "authority" / "root.pem"

    @property
    def log(self) -> Path:
        """What the emulator had to say."""
        return self.directory / "emulator.log"

    def calls(self) -> tuple[Call, ...]:
        """Every action that was authorized or refused so far, those of the account's root aside, in order."""
        return tuple(Call(**call) for call in self._get("calls"))

    def forget_calls(self) -> None:
        """Begins the record of calls anew."""
        self._get("forget")

    def unexercised(self) -> tuple[str, ...]:
        """One sentence for each thing that could not be tried on this machine."""
        return tuple(self._get("unexercised"))

    def database_log(self, instance: str) -> Path:
        """The log of the PostgreSQL server behind the RDS instance ``instance``."""
        logs: dict[str, str] = self._get("databases")
        if instance not in logs:
            raise EmulatorError(
                f"No PostgreSQL server stands behind {instance!r}; there are: {', '.join(sorted(logs)) or 'none'}."
            )
        return Path(logs[instance])

    def settle(self) -> None:
        """Returns when no rotation is under way, no function that an event invoked, and no global database changes its writer."""
        self._get("settle")

    def files(self, file_system: str) -> Path:
        """The directory that stands for a file system, below which each access point has its root."""
        return self.directory / "files" / file_system

    def fire(self, rule: str, region: str = REGION) -> tuple[str, ...]:
        """Invokes the targets of a scheduled rule, as its hour would; a sentence for each that failed, once all have ended."""
        return tuple(self._ask("fire", rule=rule, region=region)["failures"])

    def back_up(self, plan: str, region: str = REGION) -> tuple[str, ...]:
        """Backs up by all rules of a plan, named or by id, what its selections name; the recovery points, copies included."""
        return tuple(self._ask("back-up", plan=plan, region=region)["points"])

    def opt_in(self) -> None:
        """Opts in to every type in AWS Backup, in each region whose settings nobody has looked at yet."""
        self._get("opt-in")

    def test_restore(self, plan: str, region: str = REGION) -> tuple[str, ...]:
        """Runs a restore testing plan; the ids of the restore jobs, which are done by then."""
        return tuple(self._ask("test-restore", plan=plan, region=region)["jobs"])

    def hold_backups(self, hold: bool = True, region: str = REGION) -> None:
        """Whether backup jobs that start from now on stay in RUNNING, until somebody stops them."""
        self._get(f"hold-backups?hold={str(hold).lower()}&region={region}")

    def replicate_files(self) -> tuple[str, ...]:
        """Copies every file system that replicates to its destination, as EFS does every few minutes; the destinations."""
        return tuple(self._ask("replicate-files")["copied"])

    def measure(self, namespace: str, name: str, value: float, region: str = REGION, **dimensions: str) -> None:
        """Publishes a value of a service's own metric, such as AWS/EFS, as the service would."""
        given = {"namespace": namespace, "name": name, "value": str(value), "dimensions": json.dumps(dimensions)}
        self._ask("measure", **given, region=region)

    def pass_silence(self, region: str = REGION) -> tuple[str, ...]:
        """Lets the periods of all alarms end: metrics that are silent count as each alarm says. The alarms that changed."""
        return tuple(self._ask("pass-silence", region=region)["changed"])

    def pass_minute(self, region: str = REGION) -> None:
        """Makes every value of every metric a minute older, and looks at the alarms again."""
        self._ask("pass-minute", region=region)

    def resolve(self, name: str, kind: str = "CNAME") -> tuple[str, ...]:
        """What the hosted zones of the account answer for a name, by failover and health checks; empty where they have none."""
        return tuple(self._ask("resolve", name=name, kind=kind)["values"])

    def measure_lag(self) -> None:
        """Publishes how far read replicas and secondary clusters are behind, as RDS does every minute."""
        self._ask("measure-lag")

    def darken(self, region: str, *, clients: bool = False) -> None:
        """From now on no call to the region is answered, and whoever connects to its databases waits. Nothing is refused.

        ``clients``: those beside its databases are served, as in a region that is cut off; nothing is replicated out of it.
        """
        self._ask("darken", region=region, **({"clients": "served"} if clients else {}))

    def lighten(self, region: str) -> None:
        """The region is back. Its databases go on where they stood, but for those whose place another cluster took."""
        self._ask("lighten", region=region)

    def _ask(self, what: str, **given: str) -> Any:
        answer = self._get(f"{what}?{urllib.parse.urlencode(given)}", timeout=RUN_TIMEOUT)
        if "error" in answer:
            raise EmulatorError(answer["error"])
        return answer

    def _get(self, what: str, timeout: float = START_TIMEOUT) -> Any:
        with urllib.request.urlopen(f"{self.endpoint}/_emulator/{what}", timeout=timeout) as answer:  # noqa: S310
            return json.load(answer)


@contextlib.contextmanager
def running(*, databases: bool = True, port: int = 0) -> Iterator[Emulator]:
    """A fresh emulator that ends with the block, and with this process however that ends.

    ``databases=False``: no PostgreSQL servers behind RDS instances. ``port=0``: a free one.
    """
    directory = run_directory.directory("standby-emulator-")
    # Database servers that root starts run as another user, who has to pass through.
    directory.chmod(0o711)
    process = None
    try:
        with _listen(port) as listener:
            endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
            process = _spawn(listener, directory, databases=databases)
        emulator = Emulator(endpoint, directory)
        _await(process, emulator)
        with _naming(str(endpoint_names.place(directory))):
            yield emulator
    finally:
        if process is not None:
            _end(process)
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _naming(directory: str) -> Iterator[None]:
    """Names of clusters resolve in this process too, where they do."""
    emulator_names.follow(directory)
    try:
        yield
    finally:
        emulator_names.leave(directory)


def _listen(port: int) -> socket.socket:
    # We listen and the child inherits the socket: no port is free in between, and early connections wait in the queue.
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise EmulatorError(f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). Name another one, or none.") from error
    listener.listen(128)
    return listener


def _spawn(listener: socket.socket, directory: Path, *, databases: bool) -> subprocess.Popen[bytes]:
    with (directory / "emulator.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "emulator.server", str(listener.fileno()), str(directory), "1" if databases else "0"],
            stdin=subprocess.PIPE,  # its end tells the child that we are gone
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[1],
            pass_fds=[listener.fileno()],
            start_new_session=True,  # an interrupt from the terminal is for us, who then end it in order
        )


def _await(process: subprocess.Popen[bytes], emulator: Emulator) -> None:
    try:
        with urllib.request.urlopen(f"{emulator.endpoint}/_ministack/health", timeout=START_TIMEOUT):  # noqa: S310
            return
    except (OSError, urllib.error.URLError) as error:
        process.kill()
        process.wait()
        said = emulator.log.read_text(errors="replace", encoding="utf-8").strip()
        raise EmulatorError(said.splitlines()[-1] if said else f"The emulator did not start: {error}") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101
    process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
