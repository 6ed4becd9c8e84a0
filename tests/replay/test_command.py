"""The command line: sentences and exit codes."""

# ruff: noqa: S608  statements with names of our own

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.authority import Authority
from emulator.postgres import Server
from replay import verify
from replay.command import MEANING, Exit, arguments, main
from tests.servers.fixtures import PASSWORD, USER
from tests.servers.secrets_manager import SecretsManager
from tests.support.functions.archives import Registry

TABLE = "CREATE TABLE public.t (id integer PRIMARY KEY, note text)"


@pytest.fixture
def source(primary: Server, authority: Authority, scratch: Path, secrets: SecretsManager) -> Iterator[Registry]:
    """One table, three transactions, archived."""
    registry = Registry.create(primary, authority.root, scratch, secrets, TABLE)
    registry.archive()
    registry.run(*(f"INSERT INTO public.t VALUES ({number})" for number in (1, 2, 3)))
    registry.archive()
    yield registry
    registry.forget()


@pytest.fixture
def target(source: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty copy, named by the environment."""
    target = source.fresh(TABLE)
    values = {
        "PGHOST": "localhost",
        "PGPORT": str(target.server.port),
        "PGUSER": USER,
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": target.database,
        "PGSSLROOTCERT": str(target.root),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return target


def _start(source: Registry) -> list[str]:
    begins = source.begins()
    return ["--from", f"{begins >> 32:X}/{begins & 0xFFFFFFFF:X}"]


def test_archive_is_verified(source: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(source.directory)]) == Exit.DONE
    assert "2 entries, 1 to 2, 3 transactions, complete to " in capsys.readouterr().out
    assert main(["verify", str(source.directory), "--head", "0" * 64]) == Exit.BROKEN
    assert "no entry has the digest 000" in capsys.readouterr().err


def test_archive_is_applied(source: Registry, target: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", str(source.directory), *_start(source), "--until", "2000-01-01T00:00:00"]) == Exit.DONE
    assert "Replayed 0 transactions with 0 changes. Ended at what was asked for" in capsys.readouterr().out
    assert main(["apply", str(source.directory), *_start(source)]) == Exit.DONE
    assert "Replayed 3 transactions with 3 changes, up to " in capsys.readouterr().out
    assert target.hashes() == source.hashes()


def test_broken_archive_is_not_applied(source: Registry, target: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    source.entries()[0].unlink()
    assert main(["apply", str(source.directory)]) == Exit.BROKEN
    assert "is the oldest, and no entry says" in capsys.readouterr().err
    assert target.run("SELECT count(*) FROM public.t") == [[0]]


def test_what_could_not_be_replayed_is_an_exit_code_of_its_own(
    source: Registry, target: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    source.run(
        "ALTER TABLE public.t REPLICA IDENTITY NOTHING", "UPDATE public.t SET note = 'x'", "UPDATE public.t SET note = 'y'"
    )
    [[xid]] = source.run("SELECT xmin::text::int FROM public.t WHERE id = 1")
    source.archive()
    target.run("ALTER TABLE public.t REPLICA IDENTITY NOTHING", "INSERT INTO public.t VALUES (1)")
    begin = [*_start(source), "--schema", *(entry.end["fingerprint"] for entry in verify(source.directory).entries)]
    assert main(["apply", str(source.directory), *begin]) == Exit.STOPPED
    assert "--report-conflicts" in capsys.readouterr().err
    assert main(["apply", str(source.directory), *begin, "--report-conflicts", "--leave-out", str(xid)]) == Exit.INCOMPLETE
    captured = capsys.readouterr()
    assert f"Left out: {xid}, committed " in captured.out
    assert 'Not replayed, 3 times: UPDATE of "public"."t"' in captured.err
    assert "Did not fit: Transaction " in captured.err


def test_start_that_is_not_proven_stops(source: Registry, target: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    # The target is a database of the very server that was archived, and so knows all its transactions: nothing is left to do.
    assert main(["apply", str(source.directory)]) == Exit.DONE
    assert target.run("SELECT count(*) FROM public.t") == [[0]]
    captured = capsys.readouterr()
    assert "is the last that the target has" in captured.out
    assert main(["apply", str(source.directory), "--from", "0/1"]) == Exit.STOPPED


def test_session_that_ends_is_no_broken_archive_and_the_next_replay_goes_on(
    source: Registry, target: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    with target.login() as other:
        other.run("BEGIN")
        other.run("INSERT INTO public.t VALUES (3)")  # so that the third transaction waits
        ended: list[int] = []
        replay = threading.Thread(target=lambda: ended.append(main(["apply", str(source.directory), *_start(source)])))
        replay.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'standby-replay' AND wait_event_type = 'Lock'"
        while not (found := target.run(waiting)):
            time.sleep(0.05)
        target.run(f"SELECT pg_terminate_backend({found[0][0]})")
        replay.join()
        other.run("ROLLBACK")
    assert ended == [Exit.STOPPED]
    assert "What was applied stays; replay again, and it goes on from there" in capsys.readouterr().err
    assert target.run("SELECT count(*) FROM public.t") == [[2]]
    assert main(["apply", str(source.directory)]) == Exit.DONE
    assert target.run("SELECT count(*) FROM public.t") == [[3]]


def test_gap_is_shown(source: Registry, target: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    source.forget()
    source.run("INSERT INTO public.t VALUES (4)")
    source.archive()
    assert main(["verify", str(source.directory)]) == Exit.DONE
    assert "Entry 3 is a gap" in capsys.readouterr().out
    assert main(["apply", str(source.directory), *_start(source)]) == Exit.STOPPED
    assert main(["apply", str(source.directory), *_start(source), "--over-gaps"]) == Exit.DONE
    assert target.run("SELECT count(*) FROM public.t") == [[3]]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PGPASSWORD", "wrong", r"password authentication failed"),
        ("PGUSER", None, r"KeyError: 'PGUSER'"),
        ("PGPORT", "x", r"ValueError"),
        ("PGSSLROOTCERT", None, r"certificate verify failed"),
    ],
)
def test_database_that_lets_nobody_in_is_said(
    source: Registry,
    target: Registry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str | None,
    sentence: str,
) -> None:
    assert target.database
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    assert main(["apply", str(source.directory), *_start(source)]) == Exit.INPUT
    said = capsys.readouterr().err
    assert sentence in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    "wrong",
    [
        ["--until", "tomorrow"],
        ["--until", "x/y"],
        ["--from", "12"],
        ["--leave-out", "x"],
        ["--schema", ""],
        ["--harmless", ""],
        ["--harmless", "0123456789a"],
    ],
)
def test_wrong_words_are_said(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(["apply", "archive", *wrong])
    assert ended.value.code == Exit.INPUT
    assert wrong[1] in capsys.readouterr().err


@pytest.mark.parametrize("command", ["verify", "apply"])
def test_a_directory_that_is_none_is_wrong_input_and_no_broken_archive(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / "none")]) == Exit.INPUT
    assert "none is no directory; name the one that holds the archive." in capsys.readouterr().err


def test_words_are_understood() -> None:
    given = arguments(["apply", "archive", "--until", "2026-07-02T12:00:00+09:00", "--leave-out", "1", "2"])
    assert given.until.isoformat() == "2026-07-02T12:00:00+09:00"
    assert given.leave_out == [1, 2]
    assert arguments(["apply", "archive", "--harmless", "0123456789ab"]).harmless == ["0123456789ab"]
    assert arguments(["apply", "archive", "--until", "1/10"]).until == 0x100000010


def test_help_says_what_the_exit_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--help"])
    said = capsys.readouterr().out
    assert all(f"  {code:d}  {text}" in said for code, text in MEANING.items())
    assert "track_commit_timestamp" in said
