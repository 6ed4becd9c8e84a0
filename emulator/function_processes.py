"""The processes of Python functions: forks of one that has loaded what functions load, which takes longer than most of them run.

``python function_processes.py SOCKET DIRECTORY`` is it; DIRECTORY shows whose it is. It ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

OFTEN = ("backup", "dynamodb", "ec2", "efs", "elasticache", "rds", "s3", "secretsmanager")
"""Services whose models are read before the first fork."""

_started: list[tuple[subprocess.Popen[bytes], socket.socket]] = []
_starting = threading.Lock()


def popen(theirs: Callable[..., Any], command: list[str], **given: Any) -> Any:
    """``subprocess.Popen``, here ``theirs``, for the process of a function."""
    if command[0] != sys.executable or not hasattr(socket, "SOCK_SEQPACKET"):
        return theirs(command, **given)
    return Fork(command[1], folder=given["cwd"], environment=given["env"])


class Fork:
    """A fork that runs a script, with as much of ``subprocess.Popen`` as the workers of ministack ask for."""

    def __init__(self, script: str, *, folder: str, environment: dict[str, str]) -> None:
        ours, theirs = zip(os.pipe()[::-1], os.pipe(), os.pipe(), strict=True)
        self._alive, told = socket.socketpair()
        with told:
            request = json.dumps([script, folder, environment]).encode()
            socket.send_fds(_origin(), [request], [*theirs, told.fileno()])
        for descriptor in theirs:
            os.close(descriptor)
        self.stdin: IO[str] = open(ours[0], "w", buffering=1, encoding="utf-8")  # noqa: PTH123, SIM115
        self.stdout: IO[str] = open(ours[1], encoding="utf-8")  # noqa: PTH123, SIM115
        self.stderr: IO[str] = open(ours[2], encoding="utf-8")  # noqa: PTH123, SIM115
        self.pid = int(self._alive.recv(16) or 0)
        self._looking = threading.Lock()
        self._ended = select.poll()
        self._ended.register(self._alive, select.POLLIN)

    def poll(self) -> int | None:
        """None while it runs; which code it ended with, nobody asks."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired("a function", timeout or 0)
        return 1

    def _look(self, timeout: float | None) -> int | None:
        with self._looking:
            if self._alive.fileno() >= 0 and self._ended.poll(None if timeout is None else timeout * 1000):
                self._alive.close()
            return 1 if self._alive.fileno() < 0 else None

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _origin() -> socket.socket:
    """Where to ask for a fork; what is asked early waits there."""
    with _starting:
        if not _started:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            # -P: the names of modules here are those of others, too.
            command = [sys.executable, "-P", __file__, str(theirs.fileno()), tempfile.gettempdir()]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
            theirs.close()
            _started.append((process, ours))
        return _started[0][1]


def _serve(descriptor: int) -> Path | None:
    """In a fork: the script that it is to run. In the one process that is none: nothing, once its owner is gone."""
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    requests = socket.socket(fileno=descriptor)
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 4)
        if not text:
            return None
        if os.fork() == 0:
            requests.close()
            return _become(json.loads(text), descriptors)
        for one in descriptors:
            os.close(one)


def _load() -> None:
    import functools

    import boto3
    from botocore.loaders import JSONFileLoader

    # What one session has read, the next reads anew.
    cached = functools.cache(functools.partial(JSONFileLoader.load_file, JSONFileLoader()))
    loader: Any = JSONFileLoader
    loader.load_file = lambda _, path: cached(path)
    session: Any = boto3.session.Session()
    for service in OFTEN:
        session.client(service, region_name="us-east-1")
    gc.collect()
    gc.freeze()  # or each fork copies all of it when it collects


def _become(request: tuple[str, str, dict[str, str]], descriptors: list[int]) -> Path:
    script, folder, environment = request
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.write(descriptors[3], str(os.getpid()).encode())  # it stays open: its end is ours
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [script]
    sys.dont_write_bytecode = True  # the code of a function is unpacked anew for each process
    added = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[:0] = [str(Path(script).parent), *added]
    if added:  # as when Python starts
        sys.modules.pop("sitecustomize", None)
        with contextlib.suppress(ImportError):
            importlib.import_module("sitecustomize")
    return Path(script)


if __name__ == "__main__":
    script = _serve(int(sys.argv[1]))
    if script is not None:
        import runpy

        runpy.run_path(str(script), run_name="__main__")
