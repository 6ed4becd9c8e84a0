"""Secrets Manager over HTTP, to the letter of its API reference where a rotation depends on it.

The emulator's own is more forgiving: it lets a version be written twice, and has no empty pending version. Here a version is
written once (ResourceExistsException), a label is moved only from where it is (InvalidParameterException), and moving AWSCURRENT
takes AWSPENDING away from the version and gives AWSPREVIOUS to the last one.
"""

from __future__ import annotations

import json
import secrets
import string
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.servers.serving import serving


class AwsError(Exception):
    """An AWS error: code and message."""


@dataclass
class Secret:
    """``versions`` maps a version's id to its value, None while it is empty; ``labels`` a staging label to a version's id."""

    versions: dict[str, str | None]
    labels: dict[str, str]
    rotates: bool = True


@dataclass
class SecretsManager:
    """The service's state, and what tests ask of it."""

    endpoint: str = ""
    secrets: dict[str, Secret] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    refusals: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def create(self, value: dict[str, Any] | str | None) -> str:
        """A secret with one current version (or none); returns its ARN."""
        arn = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:ledger-{uuid.uuid4().hex[:6]}"
        first = str(uuid.uuid4())
        text = json.dumps(value) if isinstance(value, dict) else value
        self.secrets[arn] = Secret({}, {}) if text is None else Secret({first: text}, {"AWSCURRENT": first})
        return arn

    def rotate(self, arn: str) -> str:
        """Begins a rotation as RotateSecret does: an empty version labelled AWSPENDING. Returns its token."""
        secret, token = self.secrets[arn], str(uuid.uuid4())
        if secret.labels.get("AWSPENDING", secret.labels.get("AWSCURRENT")) != secret.labels.get("AWSCURRENT"):
            raise AwsError("InvalidRequestException", "A previous rotation isn't complete.")
        secret.versions[token] = None
        secret.labels["AWSPENDING"] = token
        return token

    def value(self, arn: str, label: str = "AWSCURRENT") -> dict[str, Any]:
        """What the version with this label says."""
        secret = self.secrets[arn]
        value: dict[str, Any] = json.loads(secret.versions[secret.labels[label]] or "")
        return value

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.calls.append((operation, asked))
            if operation in self.refusals:
                raise AwsError(*self.refusals[operation])
            if operation == "GetRandomPassword":
                return {"RandomPassword": _random(asked)}
            if asked["SecretId"] not in self.secrets:
                raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
            answer: dict[str, Any] = getattr(self, f"_{operation}")(self.secrets[asked["SecretId"]], asked)
            return {"ARN": asked["SecretId"], **answer}

    def _DescribeSecret(self, secret: Secret, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stages: dict[str, list[str]] = {}
        for label, version in sorted(secret.labels.items()):
            stages.setdefault(version, []).append(label)
        return {"RotationEnabled": secret.rotates, "VersionIdsToStages": stages}

    def _GetSecretValue(self, secret: Secret, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        version = asked.get("VersionId") or secret.labels.get(asked.get("VersionStage", "AWSCURRENT"), "")
        if secret.versions.get(version) is None:
            raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.")
        if "VersionStage" in asked and secret.labels.get(asked["VersionStage"]) != version:
            raise AwsError(
                "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."
            )
        return {"VersionId": version, "SecretString": secret.versions[version]}

    def _PutSecretValue(self, secret: Secret, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        version, value = asked["ClientRequestToken"], asked["SecretString"]
        written = secret.versions.get(version)
        if written is not None and written != value:
            raise AwsError("ResourceExistsException", "A resource with the ID you requested already exists.")
        if written is None:
            secret.versions[version] = value
            for label in asked["VersionStages"]:
                secret.labels[label] = version
        return {"VersionId": version}

    def _UpdateSecretVersionStage(self, secret: Secret, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        label, target = asked["VersionStage"], asked["MoveToVersionId"]
        holder = secret.labels.get(label)
        if holder not in (None, target) and asked.get("RemoveFromVersionId") != holder:
            raise AwsError("InvalidParameterException", f"The staging label {label} is currently attached to version {holder}.")
        if target not in secret.versions:
            raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")
        secret.labels[label] = target
        if label == "AWSCURRENT" and holder != target:
            if holder is not None:
                secret.labels["AWSPREVIOUS"] = holder
            if secret.labels.get("AWSPENDING") == target:
                del secret.labels["AWSPENDING"]
        return {}


def _random(asked: dict[str, Any]) -> str:
    kinds = [string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation]
    if asked.get("ExcludePunctuation"):
        kinds.pop()
    pools = ["".join(sorted(set(kind) - set(asked.get("ExcludeCharacters", "")))) for kind in kinds]
    length = asked.get("PasswordLength", 32)
    drawn = [secrets.choice(pool) for pool in pools] + [secrets.choice("".join(pools)) for _ in range(length - len(pools))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


@contextmanager
def running() -> Iterator[SecretsManager]:
    """The service on a free loopback port."""
    service = SecretsManager()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one write per answer; two would wait 40 ms for the other side's delayed acknowledgement

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].split(".")[1]
            try:
                status, answer = 200, service.answer(operation, asked)
            except AwsError as refusal:
                status, answer = 400, {"__type": refusal.args[0], "message": refusal.args[1]}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with serving(Handler) as service.endpoint:
        yield service
