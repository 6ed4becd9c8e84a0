"""Stands between the chain and the emulator, and says in its place what the emulator never does: faults, lags, other states."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3

from tests.servers.serving import serving
from tests.support.chain.checkout import Clients

Answer = tuple[int, str]
Says = Callable[[str], Answer | None]
"""Given a request's body: status and body of the answer, or None to pass it on."""


@dataclass
class Proxy:
    """Where it listens, what it answers itself (by operation), and what it has seen."""

    endpoint: str
    says: dict[str, Says] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def clients(self) -> Clients:
        """Clients that go through it."""
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
        made: dict[tuple[str, str], Any] = {}

        def client(service: str, region: str) -> Any:
            key = (service, region)
            if key not in made:
                made[key] = session.client(service, region_name=region, endpoint_url=self.endpoint)  # type: ignore[call-overload]
            return made[key]

        return client


@contextmanager
def proxy(endpoint: str) -> Iterator[Proxy]:
    """Run one before ``endpoint``."""
    behind = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            target = self.headers.get("X-Amz-Target", "")
            rest = f"{self.command} {self.path.partition('&')[0]}"  # S3: the bucket, and what of it is asked
            operation = target.rpartition(".")[2] or parse_qs(body.decode("latin-1")).get("Action", [rest])[0]
            running.seen.append(operation)
            said = running.says[operation](body.decode("latin-1")) if operation in running.says else None
            status, kind, content = (said[0], "text/xml", said[1].encode()) if said else self.ask(body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def ask(self, body: bytes) -> tuple[int, str, bytes]:
            connection = http.client.HTTPConnection(behind, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer.status, answer.headers.get("Content-Type", "text/xml"), content

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with serving(Handler) as address:
        running = Proxy(address)
        yield running


def fault(code: str, message: str = "as the test wants it", status: int = 400) -> Answer:
    """An error in the query protocol's XML."""
    return status, f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
