"""The archiver killed before each of its steps, and the server stopped at once under it: nothing is lost, nothing comes twice."""

# ruff: noqa: S608  statements with names of our own

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest

from emulator.authority import Authority
from emulator.postgres import Server
from replay import apply, verify
from replay.apply import Options
from replay.start import commits_of
from tests.servers.fixtures import Launch
from tests.servers.secrets_manager import SecretsManager
from tests.support.functions import archives
from tests.support.functions.archives import Archivers, Registry


def _work(registry: Registry, number: int) -> None:
    """A few transactions that only their exact repetition brings to the same state."""
    registry.run(
        f"INSERT INTO public.citizens SELECT {number} * 100 + n, md5(n::text), n FROM generate_series(1, 40) n",
        f"UPDATE public.citizens SET balance = balance * 3 + 1 WHERE id % 7 = {number % 7}",
        f"DELETE FROM public.citizens WHERE id = {number} * 100 + 1",
        f"INSERT INTO public.full_identity (a, b) VALUES ({number}, 'x'), (0, 'same'), (0, 'same')",
        "DELETE FROM public.full_identity WHERE ctid = (SELECT min(ctid) FROM public.full_identity WHERE b = 'same')",
        "SELECT nextval('public.tickets')",
    )


def _check(registry: Registry, transactions: int) -> None:
    """The chain is whole, holds each commit once, and brings another database to the same rows."""
    chain = verify(registry.directory)
    assert chain.problems == ()
    assert chain.gaps == ()
    commits = [commit.position for entry in chain.entries for commit in commits_of(entry)]
    assert [position for position, count in Counter(commits).items() if count > 1] == []
    assert commits == sorted(commits)
    assert len(commits) == transactions
    target = registry.fresh()
    with target.login() as connection:
        done = apply(registry.directory, connection, Options(start=registry.begins()))
    assert done.transactions == transactions
    assert target.hashes() == registry.hashes()
    sequence = "SELECT last_value FROM public.tickets"
    assert target.run(sequence) == registry.run(sequence)


def _steps(registry: Registry, archivers: Archivers) -> list[str]:
    answer = archivers.run(registry)
    assert "outcome" in answer
    steps: list[str] = answer["steps"]
    return steps


def _index(steps: list[str], beginning: str, start: int = 0) -> int:
    return next(index for index, step in enumerate(steps) if index >= start and step.startswith(beginning))


def test_nothing_is_named_before_it_is_on_disk_and_the_slot_moves_last(registry: Registry, archivers: Archivers) -> None:
    """What a killed process cannot show, and a loss of power would."""
    registry.archive()
    _work(registry, 1)
    steps = _steps(registry, archivers)
    peek = _index(steps, "COPY")
    written = _index(steps, "fsync next.tmp", peek)
    named = _index(steps, "replace next.tmp", written)
    lasting = _index(steps, f"fsync {registry.entries()[-1].parent.name}", named)
    noted = _index(steps, "replace head.tmp head.json", lasting)
    assert _index(steps, "fsync head.tmp", lasting) < noted
    assert _index(steps, f"fsync {registry.directory.name}", noted) < _index(steps, "SELECT pg_replication_slot_advance")
    assert not [step for step in steps[written + 1 : named] if step == "write"]
    assert set(steps) > {"connect", "close", "GetSecretValue", "write"}


def test_killed_before_every_step_it_loses_nothing_and_repeats_nothing(registry: Registry, archivers: Archivers) -> None:
    registry.archive()
    _work(registry, 0)
    steps = _steps(registry, archivers)
    for at in range(len(steps)):
        _work(registry, at + 1)
        assert archivers.run(registry, at=at, signal="SIGKILL") == {"killed": 9}, steps[at]
        if at % 4 == 0:  # between them, one killed run follows another
            assert "outcome" in archivers.run(registry), steps[at]
            assert verify(registry.directory).problems == (), steps[at]
    assert "outcome" in archivers.run(registry)
    _check(registry, 5 * (len(steps) + 1))


def test_first_run_killed_before_every_step_begins_all_the_same(registry: Registry, archivers: Archivers) -> None:
    steps = _steps(registry, archivers)
    assert _index(steps, "SELECT lsn::text FROM pg_create_logical_replication_slot")
    for at in range(_index(steps, "SELECT plugin"), _index(steps, "COPY")):
        registry.forget()
        for path in registry.directory.iterdir():
            archives.remove(path)
        assert archivers.run(registry, at=at, signal="SIGKILL") == {"killed": 9}, steps[at]
        _work(registry, at)
        assert "outcome" in archivers.run(registry), steps[at]
        chain = verify(registry.directory)
        assert (chain.problems, chain.gaps) == ((), ()), steps[at]
        assert chain.entries[0].kind == "begin"


def test_slot_made_anew_is_a_gap_of_the_same_reason_wherever_the_run_is_killed(registry: Registry, archivers: Archivers) -> None:
    registry.archive()
    registry.forget()
    steps = _steps(registry, archivers)
    begun = len(verify(registry.directory).entries)
    for at in range(_index(steps, "SELECT plugin"), _index(steps, "COPY")):
        registry.forget()
        assert archivers.run(registry, at=at, signal="SIGKILL") == {"killed": 9}, steps[at]
        _work(registry, at)
        assert "outcome" in archivers.run(registry), steps[at]
        chain = verify(registry.directory)
        assert chain.problems == (), steps[at]
        opened = [entry for entry in chain.entries if entry.number > begun and entry.kind == "gap"]
        assert {entry.header["reason"] for entry in opened} == {
            "the slot was gone: the server was restored, or somebody dropped it"
        }
        assert len({entry.epoch for entry in chain.entries if entry.number == begun or entry in opened}) == 2, steps[at]
        begun = len(chain.entries)


def test_pruning_killed_before_every_step_leaves_a_chain_that_proves_itself(registry: Registry, archivers: Archivers) -> None:
    registry.extra["ARCHIVE_DAYS"] = "1"
    numbers = itertools.count()

    def aged() -> None:
        registry.run(f"INSERT INTO public.citizens VALUES ({next(numbers)})")
        registry.archive()
        archives.days(registry, "2020-01-01")
        registry.run(f"INSERT INTO public.citizens VALUES ({next(numbers)})")

    registry.archive()
    aged()
    steps = _steps(registry, archivers)
    first = _index(steps, "SELECT ('")
    assert [step for step in steps if step.startswith("unlink 0")]
    for at in range(first, len(steps)):
        aged()
        assert archivers.run(registry, at=at, signal="SIGKILL") == {"killed": 9}, steps[at]
        assert verify(registry.directory).problems == (), steps[at]
        assert "outcome" in archivers.run(registry), steps[at]
        chain = verify(registry.directory)
        assert (chain.problems, chain.gaps) == ((), ()), steps[at]
        assert {path.parent.name for path in registry.entries()} != {"2020-01-01"}
        assert not list(registry.directory.glob("epoch-*/2020-01-01/*"))
        for empty in registry.directory.glob("epoch-*/2020-01-01"):
            empty.rmdir()  # the next day's pruning would; today is about to be aged


def test_run_that_has_lost_its_session_gives_way_to_the_next_one(registry: Registry, archivers: Archivers) -> None:
    """Its file system stalls until the server has ended the session and with it the lock; then it goes on."""
    registry.archive()
    _work(registry, 0)
    steps = _steps(registry, archivers)
    count = 5
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'standby-log-archive'"
    for step in ("write", "fsync next.tmp"):
        _work(registry, count)
        slow = archivers.run(registry, at=_index(steps, step, _index(steps, "COPY")), signal="SIGSTOP")
        registry.run(ended)
        _work(registry, count + 1)
        assert "outcome" in archivers.run(registry)
        answer = archivers.resume(slow["stopped"])
        assert answer["failure"].startswith("FunctionError: "), step
        count += 10
        assert verify(registry.directory).problems == (), step
    assert "outcome" in archivers.run(registry)
    _check(registry, count)


@pytest.mark.parametrize("seed", range(2))
def test_server_stopped_at_once_under_the_archiver_loses_nothing(
    seed: int, launch: Launch, authority: Authority, scratch: Any, secrets: SecretsManager, archivers: Archivers
) -> None:
    server: Server = launch(f"fragile-{seed}", settings=archives.SETTINGS, prepare=archives.prepare, database="postgres")
    registry = Registry.create(server, authority.root, scratch, secrets)
    registry.archive()
    _work(registry, 0)
    steps = _steps(registry, archivers)
    chosen = random.Random(seed)  # noqa: S311  not a secret
    points = sorted(chosen.sample(range(_index(steps, "connect"), len(steps)), 4))
    for number, at in enumerate(points, 1):
        _work(registry, number)
        slow = archivers.run(registry, at=at, signal="SIGSTOP")
        server.stop("immediate")
        server.start()
        answer = archivers.resume(slow["stopped"])
        assert "outcome" in answer or answer["failure"].startswith("FunctionError: "), (steps[at], answer)
        if chosen.random() < 0.5:
            assert "outcome" in archivers.run(registry), steps[at]
    assert "outcome" in archivers.run(registry)
    _check(registry, 5 * (len(points) + 1))
    server.destroy()


def test_replay_killed_at_its_statements_applies_everything_once(registry: Registry, archivers: Archivers) -> None:
    registry.archive()
    for number in range(6):
        _work(registry, number)
    registry.run(*archives.WORK)
    registry.archive()
    target = registry.fresh()
    start = registry.begins()
    killed = 0
    for at in range(1, 50, 3):
        answer = archivers.replay(target, registry.directory, start, at=at + 16, signal="SIGKILL")
        if "outcome" in answer:
            break
        assert answer == {"killed": 9}
        killed += 1
    assert "outcome" in archivers.replay(target, registry.directory, start)
    assert killed > 5
    assert target.hashes() == registry.hashes()
    progress = target.run("SELECT transactions FROM standby_replay.progress")
    assert progress == [[sum(entry.end["transactions"] for entry in verify(registry.directory).entries)]]
