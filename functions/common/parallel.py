"""Several pieces of work at once, each with a bound of its own: one that hangs neither holds up nor hides another."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


def run(
    work: Mapping[str, Callable[[], Result]], bounds: Mapping[str, float], limit: float = float("inf")
) -> dict[str, Result | Exception]:
    """What each piece returned or raised; TimeoutError where it had not ended within its bound, or ``limit``, in seconds."""
    _listen()
    began = time.monotonic()
    tasks = {name: _Task(name, piece) for name, piece in work.items()}
    for task in tasks.values():
        task.start()
    for name in sorted(work, key=lambda name: bounds[name]):
        bound = max(0.0, min(bounds[name], limit))
        tasks[name].join(max(0.0, began + bound - time.monotonic()))
        tasks[name].give_up(bound)
    return {name: task.results[0] for name, task in tasks.items()}


class _Task(threading.Thread, Generic[Result]):
    """One piece of work. The first of ``results`` counts; ``wires`` are its connections.

    A socket's timeout ends what waits in silence, but never what is fed a byte from time to time: that would go on for ever, and
    pile up in a function that is used again and again. So a task that is given up loses its connections, and gets no new one.
    """

    def __init__(self, name: str, piece: Callable[[], Result]) -> None:
        super().__init__(name=name, daemon=True)
        self.piece = piece
        self.results: list[Result | Exception] = []
        self.wires: list[socket.socket] = []

    def run(self) -> None:
        try:
            self.results.append(self.piece())
        except Exception as error:
            self.results.append(error)
        finally:
            for wire in self.wires:
                wire.close()

    def give_up(self, bound: float) -> None:
        """Ends what has not ended."""
        self.results.append(TimeoutError(f"It had not ended after {bound:.3g} s, and was given up."))
        for wire in list(self.wires):
            with suppress(OSError):  # not connected, or closed already
                wire.shutdown(socket.SHUT_RDWR)

    def connects(self, wire: socket.socket) -> None:
        # A handle of our own: TLS takes over the one that there is.
        self.wires.append(wire.dup())
        if self.results:
            raise TimeoutError("Too late for another connection.")


class _Ear:
    """Hears of every connection that is about to be made, whichever library makes it."""

    __cantrace__ = True  # or no debugger and no measurement of coverage could look into it

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        task = threading.current_thread() if event == "socket.connect" else None
        if isinstance(task, _Task):
            task.connects(arguments[0])


@cache
def _listen() -> None:
    """Once in a process: a hook of this kind stays."""
    sys.addaudithook(_Ear())
