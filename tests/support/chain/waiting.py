"""A test waits for a state, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.support.chain.checkout import REGION, Clients


def until(holds: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)


def open_gate(clients: Clients, name: str, status: str = "SUCCESS", region: str = REGION) -> None:
    """Let a stack's gate go on, or fail."""
    cloudformation = clients("cloudformation", region)

    def opened() -> bool:
        try:
            cloudformation.signal_resource(StackName=name, LogicalResourceId="Gate", UniqueId="1", Status=status)
        except cloudformation.exceptions.ClientError:  # it does not wait yet
            return False
        return True

    until(opened)


def in_background(work: Callable[[], Any]) -> Callable[[], Any]:
    """Run something in a thread; the function that is returned waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()

    def result() -> Any:
        thread.join(60)
        return results[0]

    return result
