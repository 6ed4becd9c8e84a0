"""Work at once: bounds, results, and that nothing goes on for ever."""

from __future__ import annotations

import socket
import threading
import time
from functools import partial

import pytest
from common import parallel

from tests.servers import hanging


def _running(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """So long each piece of work is waited for at most, by its name; the clock of a busy machine says nothing of that."""
    asked: dict[str, float] = {}

    def join(task: threading.Thread, timeout: float) -> None:
        asked[task.name] = timeout
        threading.Thread.join(task, timeout)

    monkeypatch.setattr(parallel._Task, "join", join)
    return asked


def test_results_and_errors_keep_their_names_and_order() -> None:
    def fail() -> int:
        raise ValueError("seven")

    results = parallel.run({"b": fail, "a": lambda: 7}, {"a": 5, "b": 5})
    assert list(results) == ["b", "a"]
    assert results["a"] == 7
    assert str(results["b"]) == "seven"


def test_one_that_hangs_neither_holds_up_nor_hides_another(waits: dict[str, float]) -> None:
    gate = threading.Event()
    results = parallel.run(
        {"hangs": gate.wait, "late": lambda: time.sleep(0.2), "quick": lambda: True}, {"hangs": 0.1, "late": 5, "quick": 5}
    )
    assert waits["hangs"] <= 0.1
    assert isinstance(results["hangs"], TimeoutError)
    assert "0.1 s" in str(results["hangs"])
    assert (results["late"], results["quick"]) == (None, True)
    gate.set()


def test_bound_counts_although_another_is_waited_for() -> None:
    results = parallel.run({"long": lambda: time.sleep(0.6), "short": lambda: time.sleep(0.3)}, {"long": 5, "short": 0.05})
    assert results["long"] is None
    assert isinstance(results["short"], TimeoutError)


@pytest.mark.parametrize("limit", [0.1, -3.0])
def test_limit_is_above_all_bounds(waits: dict[str, float], limit: float) -> None:
    gate = threading.Event()
    [result] = parallel.run({"long": gate.wait}, {"long": 60}, limit).values()
    assert 0 <= waits["long"] <= max(limit, 0)
    assert str(result) == f"It had not ended after {max(limit, 0):.3g} s, and was given up."
    gate.set()


def test_what_is_fed_a_byte_from_time_to_time_is_ended_and_connects_no_more() -> None:
    again: list[str] = []

    def endless(port: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as wire:
                while wire.recv(1):
                    pass
        finally:
            try:
                socket.create_connection(("127.0.0.1", port), 5)
            except OSError as error:
                again.append(str(error))

    with hanging.talking(partial(hanging.trickle, said=b"", forever=b".")) as port:
        results = parallel.run({"endless": partial(endless, port)}, {"endless": 0.3})
        assert isinstance(results["endless"], TimeoutError)
        deadline = time.monotonic() + 5
        while _running("endless") and time.monotonic() < deadline:
            time.sleep(0.01)
    assert not _running("endless")
    assert again == ["Too late for another connection."]


def test_connection_that_is_not_made_yet_is_given_up_too() -> None:
    with hanging.black_hole() as port:
        results = parallel.run({"hole": lambda: socket.create_connection(("127.0.0.1", port), 1)}, {"hole": 0.2})
        assert isinstance(results["hole"], TimeoutError)
        deadline = time.monotonic() + 5
        while _running("hole") and time.monotonic() < deadline:
            time.sleep(0.01)
    assert not _running("hole")
