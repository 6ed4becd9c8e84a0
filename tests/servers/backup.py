"""AWS Backup over HTTP, as far as a validation depends on it: a restore job is described, and takes one result.

Beside the emulator's own, which restores databases only: here a test says what was restored, and when.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.servers.serving import serving

PLAN = "arn:aws:backup:us-east-1:123456789012:restore-testing-plan:plan-1"


@dataclass
class Backup:
    """The service's state, and what tests ask of it."""

    endpoint: str = ""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def restored(self, kind: str, arn: str, *, ago: float = 60, took: float = 600, **more: Any) -> str:
        """A job that ended ``ago`` seconds ago and ``took`` so many; its id."""
        job = str(uuid.uuid4()).upper()
        ended = time.time() - ago
        self.jobs[job] = {
            "RestoreJobId": job,
            "Status": "COMPLETED",
            "ResourceType": kind,
            "CreatedResourceArn": arn,
            "CreationDate": ended - took,
            "CompletionDate": ended,
            "CreatedBy": {"RestoreTestingPlanArn": PLAN},
            "ValidationStatus": "VALIDATING",
            **more,
        }
        return job

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any] | None, str]:
        parts = path.strip("/").split("/")
        job = self.jobs.get(parts[1]) if len(parts) > 1 and parts[0] == "restore-jobs" else None
        if job is None:
            return 400, {"message": "The job cannot be found."}, "ResourceNotFoundException"
        if method == "GET" and len(parts) == 2:
            return 200, job, ""
        if method != "PUT" or parts[2:] != ["validations"]:
            return 404, {"message": f"{method} {path}"}, "UnknownOperationException"
        asked = json.loads(body)
        if set(asked) - {"ValidationStatus", "ValidationStatusMessage"} or asked["ValidationStatus"] not in (
            "FAILED",
            "SUCCESSFUL",
            "TIMED_OUT",
            "VALIDATING",
        ):
            return 400, {"message": "Something is wrong with a parameter's value."}, "InvalidParameterValueException"
        if job.get("ValidationStatus") != "VALIDATING":
            return 400, {"message": "The job waits for no result."}, "InvalidRequestException"
        job.update(asked)
        return 204, None, ""


@contextmanager
def running() -> Iterator[Backup]:
    """The service on a free loopback port."""
    service = Backup()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def _answer(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with service.lock:
                status, answer, code = service.answer(self.command, self.path, asked)
            body = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            if code:
                self.send_header("x-amzn-ErrorType", code)
            if answer is not None:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = _answer  # noqa: N815  the library's names

        def log_message(self, *_: object) -> None:
            """Silent."""

    with serving(Handler) as service.endpoint:
        yield service
