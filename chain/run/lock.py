"""One deployer per system, environment and region: an object in that region's artifacts bucket, made only if there is none.

Before that bucket stands, CloudFormation's refusal to create a stack twice is the lock.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any

from chain.cloudformation.stack import Clients, Standing, code
from chain.environment.exit_codes import LockedError
from chain.environment.graph import ARTIFACTS, BUCKET, Graph

CALLS = {
    "UploadPackages": ("s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
    "CountObjectsAndEmptyBuckets": ("s3:ListBucket",),  # without it S3 answers 403, not 404
}

KEY = "lock.json"
HEARTBEAT = 60.0  # seconds
STALE = 600.0  # seconds without a heartbeat
GRACE = 10.0  # seconds that a heartbeat under way is given at the end
ABSENT = ("NoSuchKey", "404", "NoSuchBucket")
TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")


@dataclass(frozen=True)
class Holder:
    """Who deploys: in whose name, since when, and the process."""

    caller: str
    since: str
    machine: str
    process: int
    started: str  # the process's own start, for numbers of processes are used again

    @staticmethod
    def here(caller: str) -> Holder:
        """This process."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Holder(caller, now, machine(), os.getpid(), started(os.getpid()))

    @property
    def is_dead(self) -> bool:
        """Whether it was a process of this machine that is no more."""
        return self.machine == machine() and started(self.process) != self.started


@dataclass(frozen=True)
class Found:
    """A lock as it lies there."""

    system: str
    suffix: str
    region: str
    bucket: str
    holder: Holder
    etag: str
    silent: float  # seconds without a heartbeat, by S3's own clock

    @property
    def is_stale(self) -> bool:
        """Whether nobody can be expected to hold it any more."""
        return self.silent > STALE

    def __str__(self) -> str:
        """Who holds it, and what can be done."""
        who = f"{self.holder.caller} on {self.holder.machine.partition('/')[0]} (process {self.holder.process})"
        what = f"{self.system} in {self.region} is being deployed or destroyed by {who} since {self.holder.since}"
        if not self.is_stale:
            return f"{what}; its last sign of life is {self.silent:.0f} s old"
        return (
            f"{what}, of whom there was no sign for {self.silent / 60:.0f} minutes. If that run has ended: make unlock"
            f" ENV={self.suffix} SYSTEM={self.system}"
        )


def machine() -> str:
    """This machine since its last start."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text(encoding='utf-8').strip() if boot.exists() else ''}"


def started(process: int) -> str:
    """When a process of this machine began, in the kernel's words; nothing if there is none."""
    stat = Path(f"/proc/{process}/stat")
    try:
        fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def find(s3: Any, system: str, suffix: str, region: str, bucket: str) -> Found | None:
    """The lock of a system in a region, if somebody holds it."""
    from botocore.exceptions import ClientError

    try:
        answer = s3.get_object(Bucket=bucket, Key=KEY)
    except ClientError as error:
        if code(error) in ABSENT:
            return None
        raise
    holder = Holder(**json.loads(answer["Body"].read())["holder"])
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return Found(system, suffix, region, bucket, holder, answer["ETag"], (now - answer["LastModified"]).total_seconds())


class Locks:
    """The locks of one run, kept alive until it ends."""

    def __init__(self, clients: Clients, caller: str = "") -> None:
        self._clients = clients
        self._holder = Holder.here(caller)
        self._held: dict[tuple[str, str], str] = {}  # region and bucket -> etag
        self._lives: list[tuple[Thread, str, str]] = []  # one for each lock: a region that is silent stops no other's
        self._lock = Lock()
        self._end = Event()

    def __enter__(self) -> Locks:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        self._end.set()
        for life, region, bucket in self._lives:
            life.join(GRACE)
            try:
                if not life.is_alive() and self._own(region, bucket):
                    self._clients("s3", region).delete_object(Bucket=bucket, Key=KEY)
            except (BotoCoreError, ClientError):
                continue  # it grows stale; how the run ended does not rest on it

    def take(self, system: str, suffix: str, region: str, bucket: str) -> None:
        """Take a lock, once; whoever holds it already is named in the refusal."""
        with self._lock:
            if (region, bucket) in self._held:
                return
            s3 = self._clients("s3", region)
            etag = self._put(s3, bucket, IfNoneMatch="*")
            while etag is None:
                found = find(s3, system, suffix, region, bucket)
                if found is None:  # it was let go in between
                    etag = self._put(s3, bucket, IfNoneMatch="*")
                elif found.holder == self._holder:  # it was made, and the answer was lost
                    etag = found.etag
                elif found.holder.is_dead:  # a process of this machine that is no more: killed, most likely
                    etag = self._put(s3, bucket, IfMatch=found.etag)
                else:
                    raise LockedError([str(found)])
            self._held[region, bucket] = etag
            life = Thread(target=self._live, args=(region, bucket), daemon=True)
            life.start()
            self._lives.append((life, region, bucket))

    def _put(self, s3: Any, bucket: str, **condition: str) -> str | None:
        from botocore.exceptions import ClientError

        body = json.dumps({"holder": asdict(self._holder)}).encode()
        try:
            etag: str = s3.put_object(Bucket=bucket, Key=KEY, Body=body, **condition)["ETag"]
        except ClientError as error:
            if code(error) in TAKEN:
                return None
            raise
        return etag

    def _live(self, region: str, bucket: str) -> None:
        """Show a sign of life now and then."""
        while not self._end.wait(HEARTBEAT):
            self.beat(region, bucket)

    def beat(self, region: str, bucket: str) -> None:
        """One sign of life; a lock that is gone, with its bucket or by ``unlock``, is not made again."""
        from botocore.exceptions import BotoCoreError, ClientError

        s3, etag = self._clients("s3", region), self._held[region, bucket]
        try:
            # One whose answer was lost has changed the tag, so that it is refused when it is repeated.
            new = self._put(s3, bucket, IfMatch=etag) or self._own(region, bucket)
        except (BotoCoreError, ClientError):
            return  # the next one may come through
        self._held[region, bucket] = new or etag

    def _own(self, region: str, bucket: str) -> str | None:
        """The tag of a lock that is ours."""
        found = find(self._clients("s3", region), "", "", region, bucket)
        return found.etag if found is not None and found.holder == self._holder else None


def places(graph: Graph, standing: Standing) -> list[tuple[str, str, str, str]]:
    """System, suffix, region and bucket of every lock that there can be."""
    found = []
    for stack in graph.stacks:
        state = standing.get(stack.region, {}).get(stack.name)
        if stack.template.layer == ARTIFACTS and state is not None and BUCKET in state.outputs:
            found.append((stack.template.system, stack.suffix, stack.region, state.outputs[BUCKET]))
    return found


def locks(clients: Clients, places: Sequence[tuple[str, str, str, str]]) -> list[Found]:
    """The locks that are held of these systems, suffixes, regions and buckets."""
    found = (find(clients("s3", region), system, suffix, region, bucket) for system, suffix, region, bucket in places)
    return [each for each in found if each is not None]


def remove(clients: Clients, found: Found) -> bool:
    """Take a lock away from whoever was found to hold it; whether it was theirs still, for a question takes its time."""
    s3 = clients("s3", found.region)
    now = find(s3, found.system, found.suffix, found.region, found.bucket)
    if now is None or now.holder != found.holder:
        return False
    s3.delete_object(Bucket=found.bucket, Key=KEY)
    return True
