# ruff: noqa: S608  statements with names of our own
"""The log archive on a real PostgreSQL 15 with wal_level=logical."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from archive import archiver as archiving
from archive import lsn
from archive import server as server_of
from archive.archiver import Rows
from archive.directory import Directory, Part
from archive.server import LOCK
from archive.state import STORAGE
from common import database
from common.report import FunctionError
from common.secret import Credential

from emulator.authority import Authority
from emulator.postgres import Server
from replay import Chain, apply, verify
from replay.apply import StoppedError
from tests.servers.fixtures import PASSWORD, USER, Launch
from tests.servers.secrets_manager import SecretsManager
from tests.support.functions import archives
from tests.support.functions.archives import (
    SETTINGS,
    WORK,
    Archivers,
    Registry,
    prepare,
    replayed,
    restoration,
    said,
    until_writable,
)

SMALL = "CREATE TABLE public.t (id integer PRIMARY KEY, note text)"


def _sound(registry: Registry) -> Chain:
    chain = verify(registry.directory)
    assert chain.problems == ()
    return chain


def _end(path: Path) -> dict[str, Any]:
    with gzip.open(path) as file:
        end: dict[str, Any] = json.loads(file.read().splitlines()[-1])
    return end


def _header(path: Path) -> dict[str, Any]:
    with gzip.open(path) as file:
        header: dict[str, Any] = json.loads(file.readline())
    return header


def _metrics(output: str) -> dict[str, Any]:
    return dict(next(line for line in reversed(said(output)) if "_aws" in line))


# What was committed comes back.


def test_all_that_was_committed_is_replayed_and_nothing_twice(registry: Registry) -> None:
    registry.archive()
    for number, statement in enumerate(WORK):
        registry.run(statement)
        if number % 7 == 0:
            registry.archive()
    registry.archive()
    target = registry.fresh()
    done = replayed(registry, target)
    assert done.whole
    assert target.hashes() == registry.hashes()
    assert all(not digest.endswith(" 0") for name, digest in registry.hashes().items() if name.endswith(("audit", "identity")))
    sequences = "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2"
    assert target.run(sequences) == registry.run(sequences)
    assert done.transactions == sum(entry.end["transactions"] for entry in _sound(registry).entries)
    again = replayed(registry, target)
    assert (again.transactions, again.changes) == (0, 0)
    assert target.hashes() == registry.hashes()


def test_large_transaction_is_archived_and_replayed_in_little_memory(registry: Registry, archivers: Archivers) -> None:
    registry.archive()
    baseline = archivers.run(registry)["grown"]
    registry.run("INSERT INTO public.citizens SELECT n, repeat(md5(n::text), 4), n FROM generate_series(1, 100000) n")
    answer = archivers.run(registry)
    assert answer["outcome"]["changes"] == 100_000
    assert answer["grown"] - baseline < 12 * 1024, "KiB; the transaction's text is 20 MB and more"
    target = registry.fresh()
    assert archivers.replay(target, registry.directory, registry.begins())["outcome"] == {"transactions": 1}
    assert target.hashes() == registry.hashes()


def test_backlog_is_archived_in_portions_that_grow(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "FEW", 10)
    registry.archive()
    registry.run(*(f"INSERT INTO public.citizens VALUES ({n}, 'n')" for n in range(60)))
    outcome = registry.archive()
    assert (outcome["transactions"], outcome["idle"]) == (60, True)
    sizes = [entry.end["transactions"] for entry in _sound(registry).entries[1:]]
    assert sizes[0] < sizes[1] < 60
    assert sum(sizes) == 60


def test_run_ends_when_it_has_caught_up_although_the_database_goes_on_writing(registry: Registry) -> None:
    """Else it would write as many small segments as its minute allows, hundreds of thousands a day."""
    registry.archive()
    stop = threading.Event()

    def write() -> None:
        with registry.login() as connection:
            for number in itertools.count():
                connection.run(f"INSERT INTO public.citizens VALUES ({number})")
                if stop.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(0.5)
        found = registry.archive(seconds=30)
    finally:
        stop.set()
        writer.join()
    assert found["idle"], "not because its time was over"
    assert found["segments"] < 10, "the portions grow until one holds the rest"
    assert found["transactions"] > 5
    registry.archive()
    target = registry.fresh()
    replayed(registry, target)
    assert target.hashes() == registry.hashes()


def test_messages_outside_transactions_do_not_hold_the_archive_up(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "FEW", 2)
    monkeypatch.setattr(archiving, "QUICK", 0)
    registry.archive()
    registry.run(
        "SELECT pg_logical_emit_message(false, 'm', 'x') FROM generate_series(1, 20)", "INSERT INTO public.citizens VALUES (1)"
    )
    assert registry.archive()["transactions"] == 1
    assert _end(registry.entries()[-1])["changes"] == 1


def test_time_that_runs_out_leaves_the_rest_for_the_next_run(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.archive()
    registry.run("INSERT INTO public.citizens VALUES (1)")
    outcome = registry.archive(seconds=14)  # 10 of them are a reserve, and 5 must be left to begin
    assert (outcome["transactions"], outcome["idle"]) == (0, False)
    assert registry.archive(seconds=60)["transactions"] == 1
    monkeypatch.setattr(archiving, "ENOUGH", 0.0)
    registry.run("INSERT INTO public.citizens SELECT n FROM generate_series(2, 300000) n")
    with pytest.raises(FunctionError, match=r"could not be read in the \d s.*longer timeout"):
        registry.archive(seconds=10.35)
    assert registry.archive()["changes"] == 299_999
    _sound(registry)


def test_commit_out_of_order_is_refused(tmp_path: Path) -> None:
    with Part(tmp_path / "next.tmp", {}) as part:
        rows = Rows(part, 0x10)
        for row in (b"0/18\tBEGIN 1\n", b"0/18\ttable public.t: INSERT: id[integer]:1\n", b"0/20\tCOMMIT 1 (at now)\n"):
            rows.write(row)
        with pytest.raises(FunctionError, match="the commit at 0/8 out of order"):
            rows.write(b"0/8\tCOMMIT 2 (at now)\n")


def test_commits_that_do_not_wait_for_the_disk_are_not_lost(registry: Registry) -> None:
    """They are written, and not flushed, when a run looks: the slot must not be moved past them."""
    registry.archive()
    with registry.login() as connection:
        connection.run("SET synchronous_commit = off")
        archived = 0
        for number in range(30):
            connection.run(f"INSERT INTO public.citizens VALUES ({number})")
            archived += registry.archive()["transactions"]
        connection.run("SET synchronous_commit = on; UPDATE public.citizens SET name = 'x'")
    archived += registry.archive()["transactions"]
    assert archived == 31
    target = registry.fresh()
    replayed(registry, target)
    assert target.hashes() == registry.hashes()


# The slot.


def test_idle_runs_move_the_slot_and_write_nothing(registry: Registry) -> None:
    registry.archive()
    other = registry.fresh(SMALL)
    other.run("INSERT INTO public.t SELECT n FROM generate_series(1, 1000) n")
    written = len(registry.entries())
    flushed = registry.run("SELECT pg_current_wal_flush_lsn()::text")[0][0]
    outcome = registry.archive()
    assert outcome["segments"] == 0
    assert len(registry.entries()) == written
    confirmed = registry.run(f"SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '{registry.slot}'")
    assert lsn.parse(confirmed[0][0]) >= lsn.parse(flushed)
    assert lsn.parse(outcome["position"]) == lsn.parse(confirmed[0][0])


def test_what_a_crash_delivers_again_is_left_out(
    launch: Launch, authority: Authority, scratch: Path, secrets: SecretsManager
) -> None:
    server = launch("crashing", settings=SETTINGS, prepare=prepare, database="postgres")
    registry = Registry.create(server, authority.root, scratch, secrets, SMALL)
    registry.archive()
    position = f"SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '{registry.slot}'"
    registry.run("CHECKPOINT")
    for number in range(5):
        registry.run(f"INSERT INTO public.t VALUES ({number})")
        registry.archive()
    [[before]] = registry.run(position)
    server.stop("immediate")
    server.start()
    [[after]] = registry.run(position)
    assert lsn.parse(after) < lsn.parse(before), "the server has forgotten what it was told"
    assert registry.archive()["transactions"] == 0
    registry.run("INSERT INTO public.t VALUES (99)")
    server.stop("immediate")
    server.start()
    assert registry.archive()["transactions"] == 1
    target = registry.fresh(SMALL)
    assert replayed(registry, target).transactions == 6
    assert target.hashes() == registry.hashes()
    assert _sound(registry).gaps == ()
    server.destroy()


def test_second_archiver_leaves_in_peace(registry: Registry, archivers: Archivers, capfd: pytest.CaptureFixture[str]) -> None:
    registry.archive()
    steps = archivers.run(registry)["steps"]
    locked = next(index for index, step in enumerate(steps) if "pg_try_advisory_lock" in step)
    for at in range(locked + 1, len(steps) - 1, 3):
        registry.run(f"INSERT INTO public.citizens VALUES ({at})")
        slow = archivers.run(registry, at=at, signal="SIGSTOP")
        assert archivers.run(registry)["outcome"] == {}, steps[at]
        assert "outcome" in archivers.resume(slow["stopped"]), steps[at]
    assert archivers.run(registry)["outcome"]["idle"]
    target = registry.fresh()
    replayed(registry, target)
    assert target.hashes() == registry.hashes()
    with registry.login() as connection:
        connection.run(f"SELECT pg_advisory_lock({LOCK})")
        capfd.readouterr()
        assert registry.archive() == {}
    assert f"another archiver is at work on {registry.slot}" in capfd.readouterr().out


def test_lock_of_a_run_that_was_frozen_goes_with_its_session(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(server_of.SESSION, "idle_session_timeout", "300ms")
    server = database.Server(registry.server.host, registry.server.port, registry.root)
    credential = Credential({"username": USER, "password": PASSWORD, "dbname": registry.database})
    connections = [connection for _ in range(2) if (connection := database.connect(server, credential, "an-archiver"))]
    frozen, other = (server_of.Server(connection, registry.slot) for connection in connections)
    frozen.settle()
    assert frozen.alone()
    assert not other.alone()
    deadline = time.monotonic() + 10
    while not other.alone():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(database.BROKEN):
        frozen.still_alone()
    for connection in connections:
        database.close(connection)


def test_slot_that_is_being_streamed_is_left_alone(registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    registry.archive()
    registry.run("INSERT INTO public.citizens VALUES (1)")
    target = f"host=localhost port={registry.server.port} dbname={registry.database} user={USER} sslrootcert={registry.root}"
    with subprocess.Popen(
        [registry.server.binaries / "pg_recvlogical", "-d", target, "-S", registry.slot, "--start", "-f", os.devnull],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD},
    ) as stream:
        active = f"SELECT active FROM pg_replication_slots WHERE slot_name = '{registry.slot}'"
        while not registry.run(active)[0][0]:
            time.sleep(0.05)
        assert registry.archive() == {}
        stream.send_signal(signal.SIGKILL)
    assert "another archiver" in capfd.readouterr().out
    while registry.run(active)[0][0]:
        time.sleep(0.05)


def test_slot_of_somebody_else_is_not_touched(registry: Registry) -> None:
    registry.run(f"SELECT pg_create_logical_replication_slot('{registry.slot}', 'pgoutput')")
    with pytest.raises(FunctionError, match=r"belongs to somebody else \(plugin pgoutput, this database\)"):
        registry.archive()
    other = registry.fresh(SMALL)
    other.slot = registry.slot
    with pytest.raises(FunctionError, match="another database"):
        other.archive()


def test_slot_waits_for_old_transactions_and_says_so(registry: Registry) -> None:
    with registry.login() as connection:
        connection.run("BEGIN; INSERT INTO public.citizens VALUES (1)")
        with pytest.raises(FunctionError, match="every transaction that was running has ended"):
            registry.archive(seconds=10.5)
        connection.run("COMMIT")
    registry.archive()
    assert [entry.kind for entry in _sound(registry).entries] == ["begin"]


# Gaps.


def test_lost_slot_is_a_gap_that_replay_does_not_go_over_unasked(
    launch: Launch, authority: Authority, scratch: Path, secrets: SecretsManager, capfd: pytest.CaptureFixture[str]
) -> None:
    server = launch(
        "small",
        settings={**SETTINGS, "max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"},
        prepare=prepare,
        database="postgres",
    )
    registry = Registry.create(server, authority.root, scratch, secrets, SMALL)
    registry.archive()
    registry.run("INSERT INTO public.t VALUES (1)")
    registry.archive()
    registry.run("INSERT INTO public.t VALUES (2)")
    for _ in range(5):
        registry.run("SELECT pg_logical_emit_message(false, 'x', repeat('x', 20000000))", "CHECKPOINT")
    assert registry.run("SELECT wal_status FROM pg_replication_slots") == [["lost"]]
    capfd.readouterr()
    registry.archive()
    assert _metrics(capfd.readouterr().out)["Gaps"] == 1
    assert registry.run("SELECT wal_status FROM pg_replication_slots") == [["reserved"]]
    registry.run("INSERT INTO public.t VALUES (3)")
    registry.archive()
    assert _metrics(capfd.readouterr().out)["Gaps"] == 0
    chain = _sound(registry)
    assert [entry.epoch for entry in chain.entries] == [1] * len(chain.entries)
    [gap] = chain.gaps
    assert "the slot was lost: more log had piled up" in gap
    target = registry.fresh(SMALL)
    with pytest.raises(Exception, match=r"is a gap.*--over-gaps"):
        replayed(registry, target)
    assert target.run("SELECT id FROM public.t") == [[1]]
    assert gap in replayed(registry, target, over_gaps=True).notes
    assert target.run("SELECT id FROM public.t ORDER BY 1") == [[1], [3]]
    server.destroy()


def test_slot_that_was_dropped_begins_a_new_epoch(registry: Registry) -> None:
    registry.archive()
    registry.forget()
    registry.run("INSERT INTO public.citizens VALUES (1)")
    registry.archive()
    chain = _sound(registry)
    assert [(entry.kind, entry.epoch) for entry in chain.entries] == [("begin", 1), ("gap", 2)]
    assert "the slot was gone" in chain.gaps[0]


def test_changes_that_somebody_else_took_are_a_gap(registry: Registry) -> None:
    registry.archive()
    registry.run("INSERT INTO public.citizens VALUES (1)")
    registry.run(f"SELECT pg_logical_slot_get_changes('{registry.slot}', NULL, NULL)")
    registry.archive()
    assert "somebody else has read from the slot" in _sound(registry).gaps[0]


def test_entries_that_were_taken_out_are_a_gap(registry: Registry) -> None:
    registry.archive()
    registry.run("INSERT INTO public.citizens VALUES (1)")
    registry.archive()
    newest = registry.entries()[-1]
    newest.unlink()
    assert "knows entry 2, and the newest that is there is 1" in str(verify(registry.directory).problems[0])
    registry.archive()
    assert (
        f"entries were taken out of the archive, {newest.relative_to(registry.directory)} among them" in _sound(registry).gaps[0]
    )
    for path in registry.entries():
        path.unlink()
    registry.archive()
    assert "is the oldest, and no entry says" in str(verify(registry.directory).problems[0])


def test_head_that_is_lost_is_found_in_the_newest_entry(registry: Registry) -> None:
    registry.archive()
    registry.run("INSERT INTO public.citizens VALUES (1)", "SELECT nextval('public.tickets')")
    registry.archive()
    registry.fresh(SMALL).run("INSERT INTO public.t VALUES (1)")  # moves the server on
    assert registry.archive()["segments"] == 0
    head = Directory(registry.directory).head()
    (registry.directory / "head.json").unlink()
    found = Directory(registry.directory).head()
    assert head is not None
    assert found is not None
    assert (found.number, found.name, found.sha256, found.fingerprint) == (head.number, head.name, head.sha256, head.fingerprint)
    registry.run("INSERT INTO public.citizens VALUES (2)")
    # The slot stands where an idle run has moved it, and only head.json knew: that cannot be told from somebody else's reading.
    registry.archive()
    assert [entry.kind for entry in _sound(registry).entries] == ["begin", "segment", "gap", "segment"]
    assert _end(registry.entries()[-2])["sequences"]["public.tickets"] == 1000, "told again, since nobody knows what was told"


@pytest.mark.parametrize("text", ["{", "[]", '{"number": 1}', '{"position": 1}', b"\xff"], ids=repr)
def test_head_that_cannot_be_read_is_written_anew(registry: Registry, text: str | bytes) -> None:
    registry.archive()
    head = registry.directory / "head.json"
    head.write_bytes(text if isinstance(text, bytes) else text.encode())
    registry.run("INSERT INTO public.citizens VALUES (1)")
    assert registry.archive()["transactions"] == 1
    _sound(registry)


def test_server_that_is_behind_its_archive_begins_a_new_epoch(registry: Registry) -> None:
    registry.archive()
    head = registry.directory / "head.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "position": "FF/0"}))
    registry.archive()
    chain = _sound(registry)
    assert "behind what was archived of it" in chain.gaps[0]
    assert chain.entries[-1].epoch == 2


def test_server_that_was_set_back_and_has_overtaken_its_archive_begins_a_new_epoch(
    launch: Launch, authority: Authority, scratch: Path, secrets: SecretsManager
) -> None:
    """A snapshot that was restored under the old name: timeline, slot and history are the same, the latest part is not."""
    server = launch("set-back", settings=SETTINGS, prepare=prepare, database="postgres")
    registry = Registry.create(server, authority.root, scratch, secrets, SMALL)
    registry.archive()
    registry.run("INSERT INTO public.t VALUES (1)")
    registry.archive()
    server.stop()
    owner, snapshot = server.data.stat(), scratch / "snapshot"
    shutil.copytree(server.data, snapshot)
    server.start()
    registry.run("INSERT INTO public.t VALUES (2)")
    archived = registry.archive()
    server.stop()
    shutil.rmtree(server.data)
    shutil.copytree(snapshot, server.data)
    for path in (server.data, *server.data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    server.start()
    registry.run("INSERT INTO public.t VALUES (3)", "SELECT pg_logical_emit_message(false, 'x', repeat('x', 20000000))")
    assert registry.run(f"SELECT pg_current_wal_flush_lsn() > '{archived['position']}'") == [[True]]
    registry.archive()
    chain = _sound(registry)
    [gap] = chain.gaps
    assert "the server does not know transaction" in gap
    assert chain.entries[-1].epoch == 2
    [newest] = [entry.end["transactions"] for entry in chain.entries if entry.epoch == 2 and entry.kind == "segment"]
    assert newest == 1, "what was committed after the snapshot's restoration is in the archive"
    target = registry.fresh(SMALL)
    with pytest.raises(StoppedError, match="begins another history: the server was set back"):
        replayed(registry, target, over_gaps=True)
    assert target.run("SELECT id FROM public.t ORDER BY 1") == [[1], [2]], "the two histories are not mixed"
    server.destroy()


def test_server_that_keeps_no_times_is_archived_all_the_same(launch: Launch, registry: Registry) -> None:
    server = launch("timeless", settings={**SETTINGS, "track_commit_timestamp": "off"}, prepare=prepare, database="postgres")
    assert registry.service is not None
    timeless = Registry.create(server, registry.root, registry.directory.parent, registry.service, SMALL)
    for number in range(3):
        timeless.run(f"INSERT INTO public.t VALUES ({number})")
        timeless.archive()
    assert _sound(timeless).gaps == ()
    server.destroy()


def test_other_server_begins_a_new_epoch(registry: Registry, launch: Launch) -> None:
    registry.archive()
    server = launch("other", settings=SETTINGS, prepare=prepare, database=registry.database)
    other = Registry(server, registry.root, registry.directory, registry.service, registry.database, registry.slot, registry.arn)
    other.run(SMALL)
    other.archive()
    assert "another server" in _sound(registry).gaps[0]
    server.destroy()


# A restored server.


def test_restored_server_is_brought_up_to_date_and_archived_in_an_epoch_of_its_own(
    launch: Launch, authority: Authority, scratch: Path, secrets: SecretsManager
) -> None:
    server = launch("source", settings=SETTINGS, prepare=prepare, database="postgres")
    registry = Registry.create(server, authority.root, scratch, secrets)
    registry.archive()
    registry.run(*WORK[: len(WORK) // 2])
    registry.archive()
    registry.run("INSERT INTO public.citizens SELECT n, 'before' FROM generate_series(1, 5) n")
    with restoration(server, launch, "restored") as restored:
        copy = Registry(restored, registry.root, registry.directory, secrets, registry.database, registry.slot, registry.arn)
        until_writable(copy)
        registry.run(*WORK[len(WORK) // 2 :], "INSERT INTO public.citizens SELECT n, 'after' FROM generate_series(6, 9) n")
        registry.archive()
        with copy.login() as connection:
            done = apply(registry.directory, connection)
        assert "is the last that the target has" in done.notes[0]
        assert copy.hashes() == registry.hashes()
        # The restored server takes over, with the same archive: what it has done by itself is not the old one's future.
        before = len(registry.entries())
        copy.run("INSERT INTO public.citizens VALUES (100, 'on the new timeline')")
        copy.archive()
        chain = _sound(copy)
        opened = chain.entries[before]
        assert (opened.kind, opened.epoch, opened.header["timeline"]) == ("gap", 2, 2)
        assert "a restored or promoted server: timeline 2 instead of 1" in chain.gaps[0]
    server.destroy()


# What cannot be replayed.


def test_look_at_the_catalogue_is_not_compiled(registry: Registry) -> None:
    """With 3,000 tables the compiler took three seconds of every run, and the query itself a third of one."""
    with registry.login() as connection:
        [[compiler]] = connection.run("SET jit = on; SET jit_above_cost = 0; SELECT pg_jit_available()")

        def compiled() -> bool:
            return any("JIT:" in line for (line,) in connection.run(f"EXPLAIN ANALYZE {STORAGE}"))

        assert compiled() == compiler
        server_of.Server(connection, registry.slot).settle()
        assert not compiled()


def test_table_without_a_key_works_on_and_is_reported(registry: Registry) -> None:
    registry.run("CREATE TABLE public.keyless (a integer)", "CREATE UNLOGGED TABLE public.quick (a integer)")
    registry.archive()
    registry.run(
        "INSERT INTO public.keyless SELECT n FROM generate_series(1, 10) n",
        "UPDATE public.keyless SET a = -1 WHERE a = 1",
        "DELETE FROM public.keyless WHERE a > 8",
        "INSERT INTO public.citizens VALUES (1)",
        "INSERT INTO public.quick VALUES (1)",
        "SELECT lo_create(0)",
    )
    registry.archive()
    target = registry.fresh()
    target.run("CREATE TABLE public.keyless (a integer)", "CREATE TABLE public.quick (a integer)")
    done = replayed(registry, target)
    assert done.not_replayed == {
        'UPDATE of "public"."keyless": the archive does not say of which row (no key)': 1,
        'DELETE of "public"."keyless": the archive does not say of which row (no key)': 2,
    }
    assert not done.whole
    assert target.run("SELECT a FROM public.keyless ORDER BY 1") == [[n] for n in range(1, 11)]
    assert target.run("SELECT id FROM public.citizens") == [[1]]
    assert "public.quick is unlogged: its rows are not in the archive." in done.notes
    assert "The source has large objects: they are not in the archive." in done.notes
    assert any(note.startswith("public.keyless has no replica identity") for note in done.notes)


def test_change_of_schema_is_recorded_and_stops_the_replay_until_the_target_has_it(registry: Registry) -> None:
    registry.archive()
    registry.run("INSERT INTO public.citizens VALUES (1)")
    registry.archive()
    registry.run(
        "ALTER TABLE public.citizens ADD prefecture text", "INSERT INTO public.citizens (id, prefecture) VALUES (2, '東京')"
    )
    registry.archive()
    newest = _end(registry.entries()[-1])
    assert any(line.startswith("column public.citizens.prefecture 5 text") for line in newest["schema"])
    assert newest["fingerprint"] != _end(registry.entries()[-2])["fingerprint"]
    assert "schema" not in _end(registry.entries()[-2])
    target = registry.fresh()
    with pytest.raises(Exception, match=r"DDL is not in the archive.*--schema"):
        replayed(registry, target)
    target.run("ALTER TABLE public.citizens ADD prefecture text")
    done = replayed(registry, target, schemas=[newest["fingerprint"][:12]])
    assert any("as told, the target has it" in note for note in done.notes)
    assert target.hashes() == registry.hashes()


def test_sequences_are_recorded_when_nothing_else_happens(registry: Registry) -> None:
    registry.archive()
    registry.run("SELECT nextval('public.tickets')", "SELECT nextval('public.tickets')")
    registry.archive()
    end = _end(registry.entries()[-1])
    assert end["sequences"] == {"public.tickets": 997}
    target = registry.fresh()
    replayed(registry, target)
    assert target.run("SELECT nextval('public.tickets')") == [[994]]


# Retention.


def test_old_days_are_removed_and_the_rest_still_proves_itself(registry: Registry) -> None:
    registry.extra["ARCHIVE_DAYS"] = "30"
    registry.archive()
    registry.run("INSERT INTO public.citizens VALUES (1)")
    registry.archive()
    archives.days(registry, "2020-01-01")
    registry.run("INSERT INTO public.citizens VALUES (2)", "SELECT nextval('public.tickets')")
    outcome = registry.archive()
    assert outcome["removed"] == 2
    assert [entry.kind for entry in _sound(registry).entries] == ["segment", "prune"]
    assert not (registry.directory / "epoch-000001" / "2020-01-01").exists()
    # What is left begins with the whole state.
    first = _end(registry.entries()[0])
    assert first["schema"]
    assert first["sequences"]["public.tickets"] == 1000
    registry.run("INSERT INTO public.citizens VALUES (3)")
    assert registry.archive()["removed"] == 0
    target = registry.fresh()
    target.run("INSERT INTO public.citizens VALUES (1)")
    replayed(registry, target, start=_sound(registry).entries[0].after)
    assert target.run("SELECT id FROM public.citizens ORDER BY 1") == [[1], [2], [3]]
    with pytest.raises(Exception, match="does not hold what follows 0/1;"):
        replayed(registry, registry.fresh(), start=1)


def test_epoch_that_is_empty_goes_with_its_last_day(registry: Registry) -> None:
    registry.archive()
    archives.days(registry, "2020-01-01")
    registry.forget()
    assert registry.archive()["removed"] == 1
    assert [path.name for path in registry.directory.glob("epoch-*")] == ["epoch-000002"]
    assert [entry.kind for entry in _sound(registry).entries] == ["gap", "prune"]


def test_idle_day_has_an_entry_all_the_same(registry: Registry) -> None:
    registry.archive()
    archives.days(registry, "2020-01-01")
    registry.extra["ARCHIVE_DAYS"] = "30"
    outcome = registry.archive()
    assert (outcome["transactions"], outcome["segments"], outcome["removed"]) == (0, 1, 1)
    _sound(registry)


# Servers and environments that do not serve.


def test_server_in_recovery_is_refused(launch: Launch, registry: Registry) -> None:
    def stand_by(server: Server) -> None:
        prepare(server)
        (server.data / "standby.signal").touch()

    server = launch("in-recovery", settings=SETTINGS, prepare=stand_by, database="postgres")
    other = Registry(server, registry.root, registry.directory, registry.service, "postgres", registry.slot)
    assert registry.service is not None
    other.arn = registry.service.create({"username": USER, "password": PASSWORD})
    with pytest.raises(FunctionError, match="in recovery: it is a standby"):
        other.archive()
    server.destroy()


def test_server_without_logical_log_is_refused(postgres: Server, registry: Registry) -> None:
    assert registry.service is not None
    other = Registry(postgres, registry.root, registry.directory, registry.service, "", registry.slot)
    other.arn = registry.service.create({"username": USER, "password": PASSWORD})
    with pytest.raises(FunctionError, match=r"wal_level is replica.*rds\.logical_replication"):
        other.archive()


def test_unbounded_slot_is_warned_about(
    launch: Launch, authority: Authority, scratch: Path, secrets: SecretsManager, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != "max_slot_wal_keep_size"}
    server = launch("unbounded", settings=settings, prepare=prepare, database="postgres")
    registry = Registry.create(server, authority.root, scratch, secrets, SMALL)
    registry.archive()
    output = capfd.readouterr().out
    assert _metrics(output)["SlotUnbounded"] == 1
    assert "SlotSafeBytes" not in _metrics(output)
    assert "max_slot_wal_keep_size is -1" in output
    server.destroy()


def test_metrics_are_in_the_log_in_cloudwatchs_embedded_format(registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    registry.archive()
    registry.run("INSERT INTO public.citizens VALUES (1)")
    capfd.readouterr()
    registry.archive()
    line = _metrics(capfd.readouterr().out)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Standby", [["FunctionName"]])
    assert line["FunctionName"] == "log-archive-test"
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == {
        "ArchiveLagSeconds": "Seconds",
        "ArchiveLagBytes": "Bytes",
        "SegmentsWritten": "Count",
        "TransactionsArchived": "Count",
        "Gaps": "Count",
        "SlotUnbounded": "Count",
        "SlotSafeBytes": "Bytes",
    }
    assert all(isinstance(line[name], int | float) for name in units)
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 60
    assert 0 <= line["ArchiveLagSeconds"] < 60


def test_lag_is_measured_when_archiving_fails(registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    registry.archive()
    registry.forget()
    registry.run(f"SELECT pg_create_logical_replication_slot('{registry.slot}', 'test_decoding')")
    capfd.readouterr()
    with registry.login() as connection:
        connection.run("BEGIN; INSERT INTO public.citizens VALUES (1)")
        registry.forget()
        with pytest.raises(FunctionError, match="has ended"):
            registry.archive(seconds=10.5)
        connection.run("ROLLBACK")
    assert _metrics(capfd.readouterr().out)["ArchiveLagSeconds"] > 0.4


def test_session_that_the_server_ends_is_said(registry: Registry, archivers: Archivers) -> None:
    registry.archive()
    steps = archivers.run(registry)["steps"]
    peek = next(index for index, step in enumerate(steps) if step.startswith("COPY"))
    slow = archivers.run(registry, at=peek, signal="SIGSTOP")
    registry.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'standby-log-archive'")
    answer = archivers.resume(slow["stopped"])
    assert answer["failure"].startswith("FunctionError: ")
    assert "The next run goes on where this one stopped" in answer["failure"]


def test_file_system_that_takes_no_more_is_said_and_nothing_is_lost(registry: Registry) -> None:
    registry.archive()
    registry.run("INSERT INTO public.citizens SELECT n, md5(n::text) FROM generate_series(1, 50000) n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(FunctionError, match=r"The archive in .* failed: .*File too large"):
            registry.archive()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    _sound(registry)
    assert registry.archive()["changes"] == 50_000
    target = registry.fresh()
    replayed(registry, target)
    assert target.hashes() == registry.hashes()


def test_moment_of_a_rotation_is_no_failure(registry: Registry) -> None:
    assert registry.service is not None
    secret = registry.service.secrets[registry.arn]
    value = registry.service.value(registry.arn)
    token = registry.service.rotate(registry.arn)
    secret.versions[token] = json.dumps(value)
    secret.versions[secret.labels["AWSCURRENT"]] = json.dumps({**value, "password": "old"})
    assert registry.archive()["idle"]
    secret.versions[token] = None
    with pytest.raises(FunctionError, match="refuses the password of arn:"):
        registry.archive()
    registry.service.refusals["GetSecretValue"] = ("AccessDeniedException", "no")
    try:
        with pytest.raises(Exception, match="AccessDeniedException"):
            registry.archive()
    finally:
        registry.service.refusals.clear()


def test_sequence_that_may_not_be_read_is_named(registry: Registry) -> None:
    assert registry.service is not None
    user = f"archiver_{registry.database}"
    with registry.login() as connection:
        connection.run(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    registry.server.stop()
    registry.server._administer(f"GRANT rds_superuser TO {user};\n\n")
    registry.server.start()
    registry.arn = registry.service.create({"username": user, "password": PASSWORD, "dbname": registry.database})
    registry.archive()
    assert "public.tickets" in _end(registry.entries()[-1])["unreadable_sequences"]
    target = registry.fresh()
    assert "The archiver could not read the sequence public.tickets: set its value by hand." in replayed(registry, target).notes


def test_user_that_may_not_replicate_is_told(registry: Registry) -> None:
    assert registry.service is not None
    user = f"plain_{registry.database}"
    registry.run(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    registry.arn = registry.service.create({"username": user, "password": PASSWORD, "dbname": registry.database})
    with pytest.raises(FunctionError, match=r"\(42501\)"):
        registry.archive()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SECRET_ARN", None, "environment is wrong: 'SECRET_ARN'"),
        ("ARCHIVE_DIRECTORY", None, "environment is wrong: 'ARCHIVE_DIRECTORY'"),
        ("ARCHIVE_DIRECTORY", "/nowhere", "names /nowhere, which is no directory"),
        ("ARCHIVE_DAYS", "many", "environment is wrong: .*'many'"),
        ("ARCHIVE_DAYS", "0", "ARCHIVE_DAYS is 0"),
        ("ARCHIVE_SLOT", "It's", "ARCHIVE_SLOT is"),
        ("DATABASE_PORT", "five", "lacks a host or a port"),
    ],
)
def test_environment_that_is_wrong_is_said(name: str, value: str | None, sentence: str, tmp_path: Path) -> None:
    from log_archive.handler import Settings

    environment = {"DATABASE_HOST": "h", "DATABASE_PORT": "5432", "SECRET_ARN": "arn", "ARCHIVE_DIRECTORY": str(tmp_path)}
    if value is None:
        del environment[name]
    else:
        environment[name] = value
    with pytest.raises(FunctionError, match=sentence):
        Settings.of(environment)


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    from log_archive.handler import Settings

    settings = Settings.of(
        {"DATABASE_HOST": "h", "DATABASE_PORT": "5432", "SECRET_ARN": "arn", "ARCHIVE_DIRECTORY": str(tmp_path)}
    )
    assert (settings.slot, settings.days) == ("efs_archiver", 35)
    assert Credential.parse('{"username": "u", "password": "p"}', "x").database == "postgres"
