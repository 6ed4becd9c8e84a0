"""Runs steps of the rotation in forked children, and stops or kills them at a call: before it is made, or after it is answered.

A call is whatever leaves the process: an AWS call, a connection, a statement, the end of a connection. They are not listed
here; a first run without a signal says which ones there are.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import boto3
import botocore.client
from cache_rotation import handler as cache_rotation
from common import cache, database
from probe import handler as probe
from rotation import handler as rotation

from tests.support import models
from tests.support.functions import children

POLLED = "DescribeUsers"  # asked until it is as it should be: several in a row count as one, however long that took
HANDLERS = {"rotation": rotation.handler, "cache_rotation": cache_rotation.handler, "probe": probe.handler}


def main() -> None:
    models.read_once()
    for service in ("secretsmanager", "elasticache", "ec2"):
        boto3.client(service, region_name="us-east-1")  # loads what every child then has
    children.serve(_work)


def _work(job: dict[str, Any]) -> dict[str, Any]:
    calls: list[str] = []
    outcomes: list[str] = []
    _instrument(calls, job.get("at"), job.get("when"), job.get("signal"))
    database.STATEMENT_TIMEOUT = job.get("statement_timeout", database.STATEMENT_TIMEOUT)
    cache_rotation.PAUSE = probe.PAUSE = 0.02
    for event in job["events"]:
        try:
            HANDLERS[job.get("function", "rotation")](event, None)
            outcomes.append("")
        except Exception as error:
            outcomes.append(f"{type(error).__name__}: {error}")
            break
    return {"calls": calls, "outcomes": outcomes}


def _instrument(calls: list[str], at: int | None, when: str | None, signal_name: str | None) -> None:
    def recorded(call: Callable[..., Any], describe: Callable[..., str]) -> Callable[..., Any]:
        def made(*arguments: Any, **keywords: Any) -> Any:
            index, name = len(calls), describe(*arguments)
            if name == POLLED and calls[-1:] == [POLLED]:
                return call(*arguments, **keywords)
            calls.append(name)
            if index == at and when == "before":
                os.kill(os.getpid(), signal.Signals[signal_name or ""])
            try:
                return call(*arguments, **keywords)
            finally:
                if index == at and when == "after":
                    os.kill(os.getpid(), signal.Signals[signal_name or ""])

        return made

    client: Any = botocore.client.BaseClient
    client._make_api_call = recorded(client._make_api_call, lambda _, operation, __: str(operation))
    connection: Any = database.Connection
    connection.__init__ = recorded(connection.__init__, lambda *_: "connect")
    connection.run = recorded(connection.run, lambda _, statement: " ".join(str(statement).split()[:2]))
    connection.close = recorded(connection.close, lambda _: "close")
    cache.accepts = recorded(cache.accepts, lambda *_: "login")


if __name__ == "__main__":
    main()
