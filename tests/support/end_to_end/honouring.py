"""A client that honours the epoch, beside the databases of both sites, for as long as a topology changes."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pg8000
import pg8000.native

from protocol.epoch import HONOURS

TABLE = "CREATE TABLE IF NOT EXISTS acknowledged (epoch bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())"
FAILURES = (pg8000.exceptions.Error, pg8000.exceptions.InterfaceError, OSError)


@dataclass(frozen=True)
class Door:
    """Where a database is, which one it is, and what opens it."""

    host: str
    port: int
    secret: Mapping[str, Any]
    name: str

    def whatever_its_role(self) -> Door:
        """By the reader's name, where it is a cluster: the writer's leads nowhere once it is no writer any more."""
        return replace(self, host=self.host.replace(".cluster-", ".cluster-ro-"))

    def connect(self, root: str) -> pg8000.native.Connection:
        wire = socket.create_connection((self.host, self.port), timeout=3)
        try:
            return pg8000.native.Connection(
                self.secret["username"],
                password=self.secret["password"],
                host=self.host,
                sock=wire,
                database=self.secret.get("dbname", "records"),
                ssl_context=ssl.create_default_context(cafile=root),
            )
        except BaseException:
            wire.close()  # pg8000 leaves it open
            raise


def acknowledged(door: Door, root: str, epoch: int) -> bool:
    """Whether a transaction of a client that honours this epoch was committed there."""
    try:
        connection = door.connect(root)
    except FAILURES:
        return False
    try:
        connection.run("BEGIN")
        if connection.run(HONOURS, epoch=epoch, name=door.name) != [[True]]:  # no row is no; no table is an error
            return False
        connection.run("INSERT INTO acknowledged (epoch) VALUES (:epoch)", epoch=epoch)
        connection.run("COMMIT")
    except FAILURES:
        return False
    else:
        return True
    finally:
        with suppress(*FAILURES):  # its server may be gone by now, whatever it has acknowledged
            connection.close()


@dataclass
class Watch:
    """What was acknowledged in each round: the regions, by the newest epoch of that time."""

    rounds: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def since(self, number: int) -> set[str]:
        """The regions that acknowledged in a round after the first so many."""
        return {one for _, regions in self.rounds[number:] for one in regions}

    def wrote(self) -> list[str]:
        """The regions that acknowledged, in order, each as long as it did."""
        found: list[str] = []
        for _, regions in self.rounds:
            found += [one for one in regions if found[-1:] != [one]]
        return found


@contextmanager
def watching(epoch: Callable[[], int], doors: Callable[[], Mapping[str, Door]], root: str) -> Iterator[Watch]:
    """One client tries both sites, round after round, under the newest epoch: never do two of them acknowledge."""
    done, watch = threading.Event(), Watch()

    def go_round() -> None:
        now = epoch()
        watch.rounds.append((now, tuple(region for region, door in doors().items() if acknowledged(door, root, now))))

    def work() -> None:
        while not done.is_set():
            go_round()
            time.sleep(0.1)

    go_round()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()
    go_round()
    assert not [one for one in watch.rounds if len(one[1]) > 1], "two acknowledged to a client that honours the epoch"
    assert watch.rounds[-1][1], "nobody writes in the end"
