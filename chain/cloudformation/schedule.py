"""The ready queue: work starts as soon as what it waits for is done, and a failure holds back only what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from queue import SimpleQueue
from threading import Event
from typing import Generic, TypeVar

T = TypeVar("T")

WORKERS = 64  # threads that wait for CloudFormation most of the time


class StoppedError(Exception):
    """Raised inside work that was told to stop waiting."""


@dataclass(frozen=True)
class Ended(Generic[T]):
    """How everything ended: values of what is done, errors of what failed, and what each held-back id waits for."""

    done: dict[str, T] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)


def run(
    after: Mapping[str, Collection[str]], work: Callable[[str], T], stop: Event, weights: Mapping[str, float] | None = None
) -> Ended[T]:
    """Do ``work`` for every id of ``after``, each as soon as its own predecessors are done.

    Of those that could start, the one on the longest remaining path does so first, by ``weights`` (seconds). An interrupt
    sets ``stop``, lets work under way notice it, and is raised again.
    """
    ended: Ended[T] = Ended()
    rest = remaining(after, weights or {})
    waiting = {id_: after[id_] for id_ in sorted(after, key=lambda id_: -rest[id_])}
    finished: SimpleQueue[tuple[str, T | None, Exception | None]] = SimpleQueue()

    def one(id_: str) -> None:
        try:
            finished.put((id_, work(id_), None))
        except Exception as error:  # whatever it is, it must hold back only what depends on it
            finished.put((id_, None, error))

    running = 0
    with ThreadPoolExecutor(max_workers=max(1, min(WORKERS, len(after)))) as pool:
        try:
            while True:
                for id_ in [id_ for id_, needs in waiting.items() if all(need in ended.done for need in needs)]:
                    del waiting[id_]
                    running += 1
                    pool.submit(one, id_)
                if not running:
                    break
                id_, value, error = finished.get()
                running -= 1
                if error is None:
                    ended.done[id_] = value  # type: ignore[assignment]  # without an error there is a value
                else:
                    ended.failed[id_] = error
        except BaseException:
            stop.set()
            raise
    for id_ in waiting:
        ended.held[id_] = tuple(sorted(_reach(id_, after) & set(ended.failed)))
    return ended


def remaining(after: Mapping[str, Collection[str]], weights: Mapping[str, float]) -> dict[str, float]:
    """How long it takes from the start of each id to the end of everything that waits for it; alike, unless weights say more."""
    followers: dict[str, list[str]] = {id_: [] for id_ in after}
    for id_, needs in after.items():
        for need in needs:
            followers[need].append(id_)
    found: dict[str, float] = {}
    for id_ in reversed(tuple(TopologicalSorter(after).static_order())):
        found[id_] = weights.get(id_, 1.0) + max((found[each] for each in followers[id_]), default=0.0)
    return found


def _reach(id_: str, after: Mapping[str, Collection[str]]) -> set[str]:
    """Everything that an id waits for, directly or not."""
    seen: set[str] = set()
    open_ = [id_]
    while open_:
        for need in after[open_.pop()]:
            if need not in seen:
                seen.add(need)
                open_.append(need)
    return seen
