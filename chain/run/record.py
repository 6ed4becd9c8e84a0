"""The record of a run: one file, a line of JSON for every event, each with the digest of the line before it.

A line is on the disk before the run goes on, and the file is copied to the artifacts buckets while the run lasts. Whoever alters,
drops or inserts a line breaks the chain of digests, unless all lines after it are written anew: the digest of the last line then
differs from that of the copies, whose earlier versions the buckets keep for a while. Whoever cuts the end off takes the line away
that says how the run ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, TextIO

from chain.changes.template_diff import HIDDEN, text
from chain.cloudformation.stack import Change, Clients, StackEvent
from chain.environment.exit_codes import BrokenError, Exit, InputError

if TYPE_CHECKING:
    from chain.changes.review import Review
    from chain.environment.graph import Graph, Stack

CALLS = {"UploadPackages": ("s3:PutObject",)}

VERSION = 1
FIRST = "0" * 64  # the digest before the first line
COPYING = 10.0  # seconds between two copies: a bucket keeps every version
GRACE = 30.0  # seconds that are waited for a copy: more than one takes that comes through at all
FOLDER = Path("out", "runs")
"""Where records are kept; in a bucket the same without ``out``."""

ASKED = ("template", "values", "tags")
"""What of a stack's review says what was asked for."""

Note = Callable[..., None]
"""Takes the kind of an event and what belongs to it."""


def nothing(kind: str, **data: Any) -> None:
    """Keep no record."""


class Record:
    """The record that a run writes."""

    def __init__(self, path: Path, clients: Clients, echo: TextIO | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.code = Exit.OK  # how the run ends, once that is known
        self._clients, self._echo = clients, echo
        self._file = path.open("xb")
        self._lock, self._end = Lock(), Event()
        self._digest, self._number = FIRST, 0
        self._buckets: dict[str, str] = {}  # bucket -> region
        self._copies: dict[str, Thread] = {}  # bucket -> the copy that was begun last
        self._thread: Thread | None = None

    def __call__(self, kind: str, **data: Any) -> None:
        """Write one event; a place to copy to is remembered besides."""
        with self._lock:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            event = {"number": self._number, "at": at, "kind": kind, "previous": self._digest, **data}
            line = json.dumps(event, sort_keys=True, separators=(",", ":"), default=str).encode()
            self._file.write(line + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._digest, self._number = digest(line), self._number + 1
            if self._echo is not None:
                self._echo.write(line.decode() + "\n")
                self._echo.flush()
            if kind == "copy":
                self._buckets[data["bucket"]] = data["region"]
                if self._thread is None:
                    self._thread = Thread(target=self._copying, daemon=True)
                    self._thread.start()

    def news(self, news: StackEvent) -> None:
        """Write a piece of news."""
        self("news", **{name: value for name, value in vars(news).items() if value})

    def close(self, code: int) -> None:
        """Write how the run ended, and copy the record a last time."""
        self("end", code=code)
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self.copy()
        self._file.close()

    def copy(self) -> None:
        """Copy what there is so far, to all buckets at once. One that is gone or dark costs the run nothing, nor its time."""
        body = self.path.read_bytes()
        for bucket, region in list(self._buckets.items()):
            last = self._copies.get(bucket)
            if last is None or not last.is_alive():
                self._copies[bucket] = Thread(target=self._copy, args=(bucket, region, body), daemon=True)
                self._copies[bucket].start()
        for each in self._copies.values():
            each.join(GRACE)

    def _copy(self, bucket: str, region: str, body: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(BotoCoreError, ClientError):  # the file on the disk is the record; this is its copy
            self._clients("s3", region).put_object(Bucket=bucket, Key=f"runs/{self.path.name}", Body=body)

    def _copying(self) -> None:
        while not self._end.wait(COPYING):
            self.copy()


def writable(folder: Path) -> None:
    """Refuse a place where no record can be kept, before anything is called."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise InputError(
            [
                f"{folder} cannot be written to ({error.strerror}): the record of each run is kept there. "
                "Make the checkout writable, or clone it to where it is."
            ]
        ) from error


def digest(line: bytes) -> str:
    """The digest of one line, without its end."""
    return sha256(line).hexdigest()


def name(env: str, command: str) -> str:
    """A name for a new record: they sort by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{env}-{command}"


def find(folder: Path, run: str) -> Path:
    """The file of a run: its path, its name, or ``last``."""
    known = sorted(folder.glob("*.ndjson"))
    if run == "last" and known:
        return known[-1]
    for path in (Path(run), folder / run, folder / f"{run}.ndjson"):
        if path.is_file():
            return path
    raise InputError([f"{run} is no record of a run; {folder} holds: {', '.join(path.stem for path in known) or 'none'}"])


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a record. A last line that was cut by the end of the process is left out."""
    lines = path.read_bytes().split(b"\n")
    events = []
    for number, line in enumerate(lines[:-1]):
        try:
            event = json.loads(line)
        except ValueError as error:
            raise BrokenError(f"{path}: line {number + 1} is not JSON") from error
        if not isinstance(event, dict) or not {"number", "at", "kind", "previous"} <= event.keys():
            raise BrokenError(f"{path}: line {number + 1} is no event of a run")
        events.append(event)
    if not events:
        raise BrokenError(f"{path}: holds no event")
    return events


def prove(path: Path) -> str:
    """Check the chain of digests; a sentence that says what was found. Raises BrokenError where it is broken."""
    events = read(path)
    lines = path.read_bytes().split(b"\n")
    before = FIRST
    for number, event in enumerate(events):
        if event["previous"] != before:
            raise BrokenError(f"{path}: line {number + 1} does not follow the line before it: something was altered or taken out")
        if event["number"] != number:
            raise BrokenError(f"{path}: line {number + 1} bears the number {event['number']}, not {number}")
        before = digest(lines[number])
    if events[0]["kind"] != "run":
        raise BrokenError(f"{path}: does not begin with its run")
    to_compare = f"Digest of the last line, to compare with a copy's: {before}"
    cut = f"; {len(lines[-1])} bytes of a line that was not finished follow" if lines[-1] else ""
    ended = "and says how it ended" if events[-1]["kind"] == "end" else f"but not how it ended: it was killed, or is cut{cut}"
    return f"{path.stem}: {len(events)} events, an unbroken chain, {ended}. {to_compare}"


@dataclass(frozen=True)
class Earlier:
    """A run that did not come to its end: its name, what was under way, and what somebody had allowed."""

    name: str
    under_way: tuple[str, ...]
    allowed: tuple[str, ...]
    reason: str
    asked: Mapping[str, Any]  # as ``asked`` says it of a graph


def unfinished(folder: Path, env: str, systems: Sequence[str]) -> Earlier | None:
    """The last deployment of this environment and these systems, if it was killed."""
    for path in sorted(folder.glob(f"*-{env}-deploy.ndjson"), reverse=True):
        try:
            events = read(path)
        except BrokenError:
            continue  # killed before its first line was whole
        run = events[0]
        if run.get("env") != env or run.get("systems") != list(systems):
            continue
        if events[-1]["kind"] == "end":
            return None
        reviews = [event for event in events if event["kind"] == "review"]
        stacks = reviews[-1]["stacks"] if reviews else []
        begun = {event["stack"] for event in events if event["kind"] == "begin"}
        under_way = begun - {event["stack"] for event in events if event["kind"] == "done"}
        given = next((event for event in events if event["kind"] == "approval"), {})
        before = {each["stack"]: {name: each[name] for name in ASKED} for each in stacks}
        return Earlier(path.stem, tuple(sorted(under_way)), tuple(given.get("allowed", ())), given.get("reason", ""), before)
    return None


def digests(graph: Graph) -> dict[str, str]:
    """The digests of the committed templates by the ids of stacks."""
    return {stack.id: sha256(stack.template.body.encode()).hexdigest() for stack in graph.stacks}


def asked(graph: Graph) -> dict[str, dict[str, Any]]:
    """What is asked of CloudFormation by the ids of stacks: templates by their digests, and values without secrets."""
    bodies = digests(graph)
    return {stack.id: {"template": bodies[stack.id], "values": values(stack), "tags": dict(stack.tags)} for stack in graph.stacks}


def values(stack: Stack) -> dict[str, str]:
    """A stack's values, without secrets."""
    hidden = {name for name, declared in stack.template.parameters.items() if declared.get("NoEcho")}
    return {name: HIDDEN if name in hidden else value for name, value in stack.values.items()}


def told(graph: Graph, judged: Review, allowed: Collection[str]) -> dict[str, Any]:
    """What a run is about to do."""
    wanted = asked(graph)
    return {
        "stacks": [
            {
                "stack": stack.id,
                **wanted[stack.id],
                "after": sorted(judged.order.after[stack.id]),
                "differences": list(_differences(judged, stack.id)),
            }
            for stack in graph.stacks
        ],
        "gone": [orphan.id for orphan in judged.orphans],
        "dangers": [{"danger": str(each), "allowed": each.is_allowed(allowed)} for each in judged.dangers],
    }


def _differences(judged: Review, id_: str) -> Iterator[dict[str, Any]]:
    for each in judged.differences.get(id_, ()):
        properties = [{"path": one.path, "before": text(one.before), "after": text(one.after)} for one in each.properties]
        yield {"action": each.action, "resource": each.resource, "type": each.type, "properties": properties}


def shown(change: Change) -> dict[str, Any]:
    """One change of a change set."""
    return {
        "action": change.action,
        "resource": change.resource,
        "type": change.type,
        "replacement": change.replacement,
        "properties": list(change.properties),
    }
