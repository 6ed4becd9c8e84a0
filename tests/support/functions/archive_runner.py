"""Runs archivers and replays in forked children, and stops or kills them before one of their steps.

A step is whatever leaves the process: an AWS call, a connection, a statement, bytes that go to a file, what is made of files and
folders. They are not listed here; a first run without a signal says which ones there are.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pg8000.native
from archive.directory import Part
from common import database
from common.report import FunctionError
from log_archive import handler as function

from replay import apply, command
from replay.apply import Options
from tests.support.functions import children


def main() -> None:
    boto3.client("secretsmanager", region_name="us-east-1")  # loads what every child then has
    children.serve(_work)


def _work(job: dict[str, Any]) -> dict[str, Any]:
    steps: list[str] = []
    _instrument(steps, job.get("at"), job.get("signal"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer: dict[str, Any] = {}
    try:
        if "replay" in job:
            done = apply(Path(job["replay"]), command.connect(os.environ), Options(start=job["start"]))
            answer["outcome"] = {"transactions": done.transactions}
        else:
            answer["outcome"] = function.handler({}, None)
    except (FunctionError, *database.BROKEN) as error:
        answer["failure"] = f"{type(error).__name__}: {error}"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"steps": steps, "grown": grown, **answer}


def _instrument(steps: list[str], at: int | None, name: str | None) -> None:
    def recorded(call: Callable[..., Any], describe: Callable[..., str]) -> Callable[..., Any]:
        def made(*arguments: Any, **keywords: Any) -> Any:
            index = len(steps)
            steps.append(describe(*arguments))
            if index == at:
                os.kill(os.getpid(), signal.Signals[name or ""])
            return call(*arguments, **keywords)

        return made

    client: Any = botocore.client.BaseClient
    client._make_api_call = recorded(client._make_api_call, lambda _, operation, __: str(operation))
    for connection in (pg8000.native.Connection, database.Connection):
        made: Any = connection
        made.__init__ = recorded(made.__init__, lambda *_: "connect")
        made.close = recorded(made.close, lambda _: "close")
    run: Any = pg8000.native.Connection
    run.run = recorded(run.run, lambda _, statement: " ".join(str(statement).split())[:60])
    part: Any = Part
    part._put = recorded(part._put, lambda *_: "write")
    for function_name in ("fsync", "replace", "unlink"):
        setattr(os, function_name, recorded(getattr(os, function_name), _described(function_name)))
    path: Any = Path
    path.mkdir = recorded(path.mkdir, lambda where, *_: f"mkdir {where.name}")
    path.rmdir = recorded(path.rmdir, lambda where, *_: f"rmdir {where.name}")


def _described(name: str) -> Callable[..., str]:
    def describe(what: Any, *more: Any) -> str:
        path = Path(f"/proc/self/fd/{what}").readlink() if isinstance(what, int) else Path(what)
        return " ".join([name, path.name, *(Path(other).name for other in more)])

    return describe


if __name__ == "__main__":
    main()
