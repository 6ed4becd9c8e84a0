"""Puts our parts into ministack, once it is imported and before it serves."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from emulator import (
    authorizations,
    caches,
    cloudcontrol,
    cloudformation,
    darkness,
    databases,
    endpoint_names,
    policy_variables,
    request_resources,
    request_stores,
    rotation,
)
from emulator.services import (
    INSTALLERS,
    backup,
    efs,
    events,
    file_replication,
    global_clusters,
    lag,
    metrics,
    offers,
    restoring,
    route53,
    vaults,
)
from emulator.types import RESOURCES

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def install(directory: Path, *, with_databases: bool) -> Application:
    """The application to serve."""
    from ministack import app

    request_resources.install()
    request_stores.install()
    policy_variables.install()
    authorizations.install()
    for installer in INSTALLERS:
        installer()
    efs.install(directory)
    file_replication.install()
    endpoint_names.install(directory)
    databases.install(directory, wanted=with_databases)
    caches.install(directory, databases.authority(), wanted=with_databases)
    rotation.install()
    cloudformation.install(RESOURCES)
    cloudcontrol.install(RESOURCES)
    return _with_questions(app.app)


def _settle() -> None:
    events.settle()
    rotation.settle()
    global_clusters.settle()


QUESTIONS: dict[str, Callable[..., Any]] = {
    "/_emulator/calls": authorizations.calls,
    "/_emulator/forget": authorizations.forget,
    "/_emulator/unexercised": lambda: [*databases.unexercised(), *caches.unexercised(), *rotation.unexercised()],
    "/_emulator/databases": databases.logs,
    "/_emulator/caches": caches.logs,
    "/_emulator/settle": _settle,
    # What would happen by itself at some hour, for who cannot wait.
    "/_emulator/fire": events.fire,
    "/_emulator/back-up": backup.run,
    "/_emulator/hold-backups": lambda hold, region: backup.hold(jobs=hold == "true", region=region),
    "/_emulator/opt-in": vaults.opt_in,
    "/_emulator/test-restore": restoring.test,
    "/_emulator/replicate-files": file_replication.run,
    "/_emulator/pass-minute": metrics.pass_minute,
    "/_emulator/pass-silence": metrics.pass_silence,
    "/_emulator/measure": metrics.measure,
    "/_emulator/resolve": route53.resolve,
    "/_emulator/measure-lag": lag.measure,
    # A region that is lost.
    "/_emulator/darken": darkness.darken,
    "/_emulator/lighten": lambda region: darkness.lighten(region, global_clusters.before_light, global_clusters.after_light),
}


async def _quota(receive: Any, send: Any) -> None:
    """Service Quotas, which ministack does not have."""
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    status, answer = offers.quota(json.loads(body))
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/x-amz-json-1.1")]})
    await send({"type": "http.response.body", "body": answer})


def _with_questions(theirs: Application) -> Application:
    """Answers what our own side asks about the emulator, and passes everything else on."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        question = QUESTIONS.get(scope.get("path", "")) if scope["type"] == "http" else None
        if question is None and darkness.swallows(scope):
            await darkness.swallow(receive)
            return
        if scope["type"] == "http" and dict(scope["headers"]).get(b"x-amz-target") == offers.TARGET:
            await _quota(receive, send)
            return
        if question is None:
            await theirs(scope, receive, send)
            return
        given = dict(urllib.parse.parse_qsl(scope.get("query_string", b"").decode()))
        answer = json.dumps(await asyncio.to_thread(question, **given)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": answer})

    return application
