"""Says whether what the application depends on really works, and fails where it does not.

The secret is read, Aurora is asked ``SELECT 1`` over verified TLS, and an item and an object are written, read back and deleted.
All at once, each within a bound: whichever hangs, the function answers within its 60 seconds and says what about the others.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from common import clients, database, login, metrics, parallel
from common.database import Server
from common.environment import needed
from common.report import FunctionError, say
from common.secret import CURRENT, PENDING, Credential

from protocol.metrics import LATENCY, WORKS

APPLICATION = "standby-health"
MARKED = "health"  # what keys of our items and objects begin with
# Seconds. Three calls of two attempts each that are never answered take about 40 (see common/clients.py), a login with each of
# three passwords less; the function's own 60 are above all of them.
BOUNDS = {"secret": 18.0, "database": 42.0, "table": 42.0, "bucket": 42.0}
RESERVE = 5.0  # seconds of the function's time that are left for the report
EXPIRY = 3600  # seconds after which an item that could not be deleted may go, where the table has a time to live on ``expires``
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's protocol, 55.7: SSLRequest


class UntestedError(Exception):
    """Neither works nor fails as far as we can tell."""


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """What a schedule, or anybody who wants to know, invokes."""
    environment = dict(os.environ)
    limit = context.get_remaining_time_in_millis() / 1000 - RESERVE if context else float("inf")
    credential: Future[Credential] = Future()
    work = {
        "secret": partial(_secret, environment, credential),
        "database": partial(_database, environment, credential),
        "table": partial(_table, environment),
        "bucket": partial(_bucket, environment),
    }
    results = parallel.run(work, BOUNDS, limit)
    report = {name: _told(result) for name, result in results.items()}
    failed = {name: told["reason"] for name, told in report.items() if told["works"] is False}
    say(event="health", works=not failed, cluster=environment.get("DB_CLUSTER_ARN"), **report)
    for name, told in report.items():
        _measure(name, told)
    if failed:
        raise FunctionError(
            f"{len(failed)} of {len(report)} dependencies fail. " + " ".join(f"{name}: {why}" for name, why in failed.items())
        )
    return report


def _told(result: float | Exception) -> dict[str, Any]:
    if isinstance(result, UntestedError):
        return {"works": None, "reason": str(result)}
    if isinstance(result, FunctionError | TimeoutError):
        return {"works": False, "reason": str(result)}
    if isinstance(result, Exception):
        return {"works": False, "reason": f"{type(result).__name__}: {clients.said(result)}"}
    return {"works": True, "milliseconds": round(result * 1000, 1)}


def _measure(dependency: str, told: Mapping[str, Any]) -> None:
    """``Works`` is 1 or 0, ``Latency`` there only where it works; neither where nothing is known."""
    if told["works"] is None:
        return
    values: dict[str, float] = {WORKS: int(told["works"])}
    if "milliseconds" in told:
        values[LATENCY] = told["milliseconds"]
    metrics.emit("health", values, dependency)


def _secret(environment: Mapping[str, str], found: Future[Credential]) -> float:
    """Reads the secret, and hands it to the check of the database."""
    try:
        secret = needed(environment, "DB_SECRET_ARN")
        client = clients.client("secretsmanager")
        began = time.monotonic()
        credential = login.read(client, secret, CURRENT)
        took = time.monotonic() - began
        assert credential is not None  # noqa: S101  the current version is there, or reading it has raised
    except Exception as error:
        found.set_exception(error)
        raise
    found.set_result(credential)
    return took


def _database(environment: Mapping[str, str], found: Future[Credential]) -> float:
    """Logs in over verified TLS and runs a query; where there is no secret to log in with, the handshake alone."""
    server = Server.of(environment)
    try:
        credential = found.result(BOUNDS["secret"])
    except Exception:
        _shake_hands(server)
        raise UntestedError(f"{server} answers with a valid certificate; without the secret nobody can log in.") from None
    _check_belongs(credential, server, environment)
    began = time.monotonic()
    connection = login.connect(_credentials(environment["DB_SECRET_ARN"], credential), server, APPLICATION)
    if connection is None:
        raise FunctionError(
            f"{server} refuses the password of {environment['DB_SECRET_ARN']}, its current version's and the pending one's. "
            "Rotate the secret, or set the password of its current version at the cluster (ModifyDBCluster)."
        )
    try:
        connection.scalar("SELECT 1")
        return time.monotonic() - began
    except database.BROKEN as error:
        raise FunctionError(f"{server} took the login and failed at SELECT 1: {database.said(error)}.") from None
    finally:
        database.close(connection)


def _credentials(secret: str, current: Credential) -> Iterator[Credential | None]:
    """A rotation may be under way: the pending password is the right one before it becomes current, which it may be by now."""
    yield current
    client = clients.client("secretsmanager")
    yield login.read(client, secret, PENDING)
    yield login.read(client, secret, CURRENT)


def _check_belongs(credential: Credential, server: Server, environment: Mapping[str, str]) -> None:
    """The secret, DATABASE_HOST and DB_CLUSTER_ARN are of one cluster; what its attachment wrote into the secret says so."""
    secret, cluster = environment["DB_SECRET_ARN"], needed(environment, "DB_CLUSTER_ARN").rsplit(":", 1)[-1]
    if credential.host and credential.host.lower() != server.host.lower():
        raise FunctionError(
            f"{secret} belongs to {credential.host}, and DATABASE_HOST is {server.host}. Give those of one cluster."
        )
    named = credential.values.get("dbClusterIdentifier") or cluster
    if named != cluster:
        raise FunctionError(
            f"{secret} belongs to the cluster {named}, and DB_CLUSTER_ARN is {cluster}'s. Give those of one cluster."
        )


def _shake_hands(server: Server) -> None:
    """TLS as far as it goes without a credential: the port answers, and with a certificate that is this host's."""
    context = ssl.create_default_context(cafile=str(server.roots))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with socket.create_connection((server.host, server.port), database.CONNECT_TIMEOUT) as wire:
            wire.settimeout(database.ANSWER_TIMEOUT)
            wire.sendall(SSL_REQUEST)
            if wire.recv(1) != b"S":
                raise FunctionError(f"{server} offers no TLS.")
            with context.wrap_socket(wire, server_hostname=server.host):
                return
    except OSError as error:
        raise FunctionError(f"{server} shakes no hands: {error}.") from None


def _table(environment: Mapping[str, str]) -> float:
    """Writes an item, reads it back and deletes it."""
    table = needed(environment, "DYNAMODB_TABLE")
    client = clients.client("dynamodb")
    marker = uuid.uuid4().hex
    key = {"id": {"S": f"{MARKED}#{marker}"}}
    item = {**key, "marker": {"S": marker}, "expires": {"N": str(int(time.time()) + EXPIRY)}}
    began = time.monotonic()
    try:
        client.put_item(TableName=table, Item=item)
        read = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    except Exception:
        with suppress(Exception):  # of two failures the first one is told
            client.delete_item(TableName=table, Key=key)
        raise
    client.delete_item(TableName=table, Key=key)
    if read != item:
        raise FunctionError(f"{table} does not give back what was written: {read} in place of {item}.")
    return time.monotonic() - began


def _bucket(environment: Mapping[str, str]) -> float:
    """Writes an object, reads it back and deletes that version of it, so that none stays for the life of old versions."""
    bucket = needed(environment, "S3_BUCKET")
    client = clients.client("s3")
    marker = uuid.uuid4().hex
    place = {"Bucket": bucket, "Key": f"{MARKED}/{marker}"}
    began = time.monotonic()
    written = client.put_object(**place, Body=marker.encode())
    version = {"VersionId": written["VersionId"]} if "VersionId" in written else {}
    try:
        read = client.get_object(**place)["Body"].read()
    except Exception:
        with suppress(Exception):  # of two failures the first one is told
            client.delete_object(**place, **version)
        raise
    client.delete_object(**place, **version)
    if read != marker.encode():
        raise FunctionError(f"{bucket} does not give back what was written: {read!r} in place of {marker!r}.")
    return time.monotonic() - began
