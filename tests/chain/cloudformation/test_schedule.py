"""The ready queue, without AWS."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from chain.cloudformation import schedule


def test_work_starts_as_soon_as_its_own_predecessors_are_done() -> None:
    """c waits for a only; it must not wait for b, which stands on the same level as a."""
    c_began = threading.Event()

    def work(id_: str) -> str:
        if id_ == "b":
            assert c_began.wait(10), "c waited for b"
        if id_ == "c":
            c_began.set()
        return id_.upper()

    ended = schedule.run({"a": (), "b": (), "c": ("a",)}, work, threading.Event())
    assert ended.done == {"a": "A", "b": "B", "c": "C"}


def test_independent_work_runs_at_once() -> None:
    meeting = threading.Barrier(8)
    ended = schedule.run({str(n): () for n in range(8)}, lambda _: meeting.wait(10), threading.Event())
    assert len(ended.done) == 8


def test_a_failure_holds_back_only_what_depends_on_it() -> None:
    def work(id_: str) -> str:
        if id_ == "bad":
            raise ValueError("broken")
        return id_

    after = {"bad": (), "good": (), "next": ("good",), "held": ("bad", "good"), "far": ("held",)}
    ended = schedule.run(after, work, threading.Event())
    assert set(ended.done) == {"good", "next"}
    assert str(ended.failed["bad"]) == "broken"
    assert ended.held == {"held": ("bad",), "far": ("bad",)}


def test_an_interrupt_tells_running_work_to_stop_and_starts_nothing_more() -> None:
    stop = threading.Event()
    began = []

    def work(id_: str) -> str:
        began.append(id_)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(10)
        return id_

    with pytest.raises(KeyboardInterrupt):
        schedule.run({"a": (), "b": ("a",)}, work, stop)
    assert began == ["a"]


def test_nothing_to_do_ends_without_waiting_for_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(*_: object, **__: object) -> None:
        raise AssertionError("nothing will come")

    monkeypatch.setattr(schedule, "SimpleQueue", lambda: type("Queue", (), {"get": waits, "put": waits})())
    assert schedule.run({}, lambda id_: id_, threading.Event()) == schedule.Ended()
