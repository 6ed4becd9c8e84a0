"""What happens to a table without a row being decoded: the replay stops and says so, and what is innocent does not stop it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from archive import server as server_of
from archive.state import State

from emulator.authority import Authority
from emulator.postgres import Server
from replay import Replayed, apply, verify
from replay.apply import Options, StoppedError
from tests.functions.archives import SETTINGS, Registry, prepare
from tests.functions.test_log_archive import _restored, _writable
from tests.replay.forgery import read
from tests.servers.fixtures import Launch
from tests.servers.secrets_manager import SecretsManager

SCHEMA = """
CREATE TABLE public.stage (id integer PRIMARY KEY, note text);
CREATE TABLE public.bare (id integer PRIMARY KEY, v integer);
CREATE TABLE public.other (id integer PRIMARY KEY, v integer);
CREATE TABLE public.loose (v integer);
CREATE TABLE public."Odd, one: TRUNCATE: (no-flags)" (id integer PRIMARY KEY, v integer);
CREATE TABLE public.parent (id integer PRIMARY KEY);
CREATE TABLE public.child (id integer PRIMARY KEY, parent integer REFERENCES public.parent);
CREATE TABLE public.parted (id integer, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE public.north PARTITION OF public.parted FOR VALUES IN ('north');
CREATE TABLE public.south PARTITION OF public.parted FOR VALUES IN ('south');
CREATE TABLE public.by_index (id integer NOT NULL, v integer);
CREATE UNIQUE INDEX by_id ON public.by_index (id);
ALTER TABLE public.by_index REPLICA IDENTITY USING INDEX by_id;
"""
FILLED = (
    "INSERT INTO public.stage VALUES (1, 'x'), (2, 'y')",
    "INSERT INTO public.bare VALUES (1, 1), (2, 2)",
    "INSERT INTO public.other VALUES (1, 10), (2, 20)",
    "INSERT INTO public.loose VALUES (1), (2)",
    "INSERT INTO public.by_index VALUES (1, 1), (2, 2)",
    "INSERT INTO public.parent VALUES (1)",
    "INSERT INTO public.child VALUES (1, 1)",
    "INSERT INTO public.parted VALUES (1, 'north'), (2, 'south')",
    'INSERT INTO public."Odd, one: TRUNCATE: (no-flags)" VALUES (1, 1)',
)


@pytest.fixture
def source(primary: Server, authority: Authority, scratch: Path, secrets: SecretsManager) -> Iterator[Registry]:
    """A database with rows that are in its archive."""
    registry = Registry.create(primary, authority.root, scratch, secrets, SCHEMA)
    registry.archive()
    registry.run(*FILLED)
    registry.archive()
    yield registry
    registry.forget()


def replayed(source: Registry, target: Registry, **options: Any) -> Replayed:
    with target.login() as connection:
        return apply(source.directory, connection, Options(**{"start": source.begins(), **options}))


def stop(source: Registry, target: Registry, **options: Any) -> str:
    """The sentence with which the replay stops."""
    with pytest.raises(StoppedError, match=r"DDL is not in the archive.*--schema [0-9a-f]{12}") as caught:
        replayed(source, target, **options)
    return str(caught.value)


ANOTHER = "is another table than before: it was dropped and made anew, or has taken another one's name"
FILE = "lies in another file: VACUUM FULL or CLUSTER wrote it anew"
KEY = "has another key: what tells its rows apart was made anew"
ALTERED = "was altered, although it looks as before"
UNSEEN = {
    "table dropped and made anew": (
        ("DROP TABLE public.stage", "CREATE TABLE public.stage (id integer PRIMARY KEY, note text)"),
        {"public.stage": ANOTHER},
    ),
    "table dropped and made anew in one transaction, and emptied": (
        (
            "BEGIN; DROP TABLE public.loose; CREATE TABLE public.loose (v integer); COMMIT",
            "INSERT INTO public.loose VALUES (3)",
            "TRUNCATE public.loose",
        ),
        {"public.loose": ANOTHER},
    ),
    "partition dropped and made anew": (
        ("DROP TABLE public.north", "CREATE TABLE public.north PARTITION OF public.parted FOR VALUES IN ('north')"),
        {"public.north": ANOTHER},
    ),
    "tables that swap names": (
        (
            "BEGIN; ALTER TABLE public.bare RENAME TO aside; ALTER TABLE public.other RENAME TO bare; ALTER TABLE aside RENAME TO"
            " other; ALTER INDEX bare_pkey RENAME TO aside; ALTER INDEX other_pkey RENAME TO bare_pkey; ALTER INDEX aside RENAME"
            " TO other_pkey; ALTER TABLE public.bare RENAME CONSTRAINT bare_pkey TO bare_pkey1; ALTER TABLE public.bare RENAME"
            " CONSTRAINT bare_pkey1 TO bare_pkey; COMMIT",
        ),
        {"public.bare": ANOTHER, "public.other": ANOTHER},
    ),
    "partitions that swap names": (
        (
            "BEGIN; ALTER TABLE public.parted DETACH PARTITION public.north; ALTER TABLE public.parted DETACH PARTITION"
            " public.south; DELETE FROM public.south; INSERT INTO public.south VALUES (5, 'north');"
            " ALTER TABLE public.north RENAME TO aside;"
            " ALTER TABLE public.south RENAME TO north; ALTER TABLE public.aside RENAME TO south; DELETE FROM public.south;"
            " ALTER INDEX public.north_pkey RENAME TO aside; ALTER INDEX public.south_pkey RENAME TO north_pkey;"
            " ALTER INDEX public.aside RENAME TO south_pkey;"
            " ALTER TABLE public.parted ATTACH PARTITION public.north FOR VALUES IN ('north');"
            " ALTER TABLE public.parted ATTACH PARTITION public.south FOR VALUES IN ('south'); COMMIT",
        ),
        {"public.north": ANOTHER, "public.south": ANOTHER},
    ),
    "rows that came while the table was unlogged": (
        (
            "ALTER TABLE public.stage SET UNLOGGED",
            "INSERT INTO public.stage SELECT n FROM generate_series(3, 101) n",
            "ALTER TABLE public.stage SET LOGGED",
        ),
        {"public.stage": FILE},
    ),
    "rows that came to a table of numbers while it was unlogged": (
        (
            "ALTER TABLE public.bare SET UNLOGGED",
            "INSERT INTO public.bare SELECT n FROM generate_series(3, 101) n",
            "ALTER TABLE public.bare SET LOGGED",
            "ANALYZE public.bare",
        ),
        {"public.bare": FILE},
    ),
    "table that was emptied before it was loaded unlogged": (
        (
            "TRUNCATE public.bare",
            "ALTER TABLE public.bare SET UNLOGGED",
            "INSERT INTO public.bare VALUES (3, 3)",
            "ALTER TABLE public.bare SET LOGGED",
        ),
        {"public.bare": FILE},
    ),
    "table that was emptied and loaded unlogged in one transaction": (
        (
            "BEGIN; TRUNCATE public.stage; ALTER TABLE public.stage SET UNLOGGED; INSERT INTO public.stage VALUES (3, 'z');"
            " ALTER TABLE public.stage SET LOGGED; COMMIT",
        ),
        {"public.stage": FILE},
    ),
    "table that was loaded unlogged before it was emptied": (
        (
            "ALTER TABLE public.stage SET UNLOGGED",
            "INSERT INTO public.stage VALUES (3, 'z')",
            "ALTER TABLE public.stage SET LOGGED",
            "TRUNCATE public.stage",
        ),
        {"public.stage": FILE},
    ),
    "values that ALTER TABLE changed": (
        ("ALTER TABLE public.bare ALTER v TYPE integer USING v + 1",),
        {"public.bare": FILE},
    ),
    "table that is unlogged now": (
        ("ALTER TABLE public.bare SET UNLOGGED", "INSERT INTO public.bare VALUES (3, 3)"),
        {"public.bare": "became logged or unlogged"},
    ),
    "identity that was another for a while": (
        (
            "ALTER TABLE public.bare REPLICA IDENTITY NOTHING",
            "UPDATE public.bare SET id = id + 100",
            "ALTER TABLE public.bare REPLICA IDENTITY DEFAULT",
        ),
        {"public.bare": ALTERED},
    ),
    "key that was gone for a while": (
        (
            "ALTER TABLE public.bare DROP CONSTRAINT bare_pkey",
            "UPDATE public.bare SET id = 3 - id",
            "ALTER TABLE public.bare ADD PRIMARY KEY (id)",
        ),
        {"public.bare": KEY},
    ),
    "index of the identity that was gone for a while": (
        (
            "DROP INDEX public.by_id",
            "UPDATE public.by_index SET id = 3 - id",
            "CREATE UNIQUE INDEX by_id ON public.by_index (id)",
            "ALTER TABLE public.by_index REPLICA IDENTITY USING INDEX by_id",
        ),
        {"public.by_index": KEY},
    ),
}


@pytest.mark.parametrize("what", UNSEEN)
def test_what_no_row_shows_stops_the_replay(source: Registry, what: str) -> None:
    """Each of these left source and target with other rows, and the replay ended green."""
    statements, tables = UNSEEN[what]
    source.run(*statements, "INSERT INTO public.stage VALUES (1000, 'after')")
    source.archive()
    target = source.fresh(SCHEMA)
    sentence = stop(source, target)
    assert all(f"{name} {why}" in sentence for name, why in tables.items())
    assert {
        name for name in ("bare", "by_index", "loose", "north", "other", "south", "stage") if f"public.{name} " in sentence
    } == {name.removeprefix("public.") for name in tables}
    assert target.run("SELECT id FROM public.stage ORDER BY 1") == [[1], [2]], (
        "what came before is there, nothing of what follows"
    )
    assert stop(source, target) == sentence, "and so for as long as nobody says that the target has it"


def test_what_happens_in_the_first_run_stops_a_replay_that_begins_before_it(
    primary: Server, authority: Authority, scratch: Path, secrets: SecretsManager
) -> None:
    """Entry 2 is the one in which this replay begins, and all of it is still to come."""
    source = Registry.create(primary, authority.root, scratch, secrets, SCHEMA)
    source.archive()
    source.run(
        "INSERT INTO public.stage VALUES (1)",
        "DROP TABLE public.stage",
        "CREATE TABLE public.stage (id integer PRIMARY KEY, note text)",
        "INSERT INTO public.stage VALUES (2)",
    )
    source.archive()
    assert f"public.stage {ANOTHER}" in stop(source, source.fresh(SCHEMA))
    inside = verify(source.directory).entries[-1].after + 1
    assert f"public.stage {ANOTHER}" in stop(source, source.fresh(SCHEMA), start=inside)
    source.forget()


def test_replay_goes_on_when_the_target_has_been_brought_to_it(source: Registry) -> None:
    source.run("DROP TABLE public.stage", "CREATE TABLE public.stage (id integer PRIMARY KEY, note text)")
    source.run("INSERT INTO public.stage VALUES (2)")
    source.archive()
    source.run("VACUUM FULL public.bare", "UPDATE public.bare SET v = 7", "TRUNCATE public.other")
    source.archive()
    target = source.fresh(SCHEMA)
    known = [stop(source, target)[-13:-1]]
    target.run("DROP TABLE public.stage", "CREATE TABLE public.stage (id integer PRIMARY KEY, note text)")
    sentence = stop(source, target, schemas=known)
    assert f"public.bare {FILE}" in sentence
    assert "public.other" not in sentence
    assert "where it was VACUUM FULL or CLUSTER there is nothing to do" in sentence
    done = replayed(source, target, schemas=[*known, sentence[-13:-1]])
    assert any("as told, the target has it" in note for note in done.notes)
    assert done.whole
    assert target.hashes() == source.hashes()


INNOCENT = {
    "TRUNCATE": ("TRUNCATE public.stage, public.bare, public.loose",),
    "TRUNCATE of an odd name": ('TRUNCATE public."Odd, one: TRUNCATE: (no-flags)" RESTART IDENTITY',),
    "TRUNCATE again": ("TRUNCATE public.bare", "INSERT INTO public.bare VALUES (9, 9)", "TRUNCATE public.bare"),
    "TRUNCATE with others": ("TRUNCATE public.parent CASCADE", "TRUNCATE public.parted"),
    "TRUNCATE of a partition": ("TRUNCATE public.north", "INSERT INTO public.north VALUES (9, 'north')"),
    "TRUNCATE in a subtransaction": (
        "DO $$ BEGIN BEGIN TRUNCATE public.bare; INSERT INTO public.bare VALUES (9, 9);"
        " EXCEPTION WHEN division_by_zero THEN NULL; END; END $$",
    ),
    "TRUNCATE that was taken back": ("BEGIN; TRUNCATE public.bare; ROLLBACK", "UPDATE public.bare SET v = 5"),
    "upkeep": (
        "VACUUM (FREEZE, ANALYZE)",
        "REINDEX TABLE public.bare",
        "REINDEX TABLE CONCURRENTLY public.bare",
        "CREATE INDEX aside ON public.stage (note)",
        "DROP INDEX public.aside",
        "COMMENT ON TABLE public.bare IS 'a table'",
        "CHECKPOINT",
        "UPDATE public.bare SET id = id + 10",
    ),
}


@pytest.mark.parametrize("what", INNOCENT)
def test_what_the_archive_holds_or_what_moves_no_row_does_not_stop_the_replay(source: Registry, what: str) -> None:
    source.run(*INNOCENT[what], "INSERT INTO public.stage VALUES (1000, 'after')")
    source.archive()
    source.run("INSERT INTO public.stage VALUES (1001, 'later')")
    source.archive()
    target = source.fresh(SCHEMA)
    assert replayed(source, target).whole
    assert target.hashes() == source.hashes()


def test_truncate_that_comes_between_the_rows_and_the_look_at_the_tables_does_not_stop_the_replay(
    source: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = server_of.Server.peek

    def overtaken(server: server_of.Server, changes: int, into: Any) -> None:
        original(server, changes, into)
        monkeypatch.setattr(server_of.Server, "peek", original)
        source.run("TRUNCATE public.bare")

    monkeypatch.setattr(server_of.Server, "peek", overtaken)
    source.run("INSERT INTO public.stage VALUES (1000, 'before')")
    source.archive()
    source.run("INSERT INTO public.bare VALUES (9, 9)")
    source.archive()
    held = [any("table public.bare: TRUNCATE:" in row for row in read(path)[1:-1]) for path in source.entries()]
    assert held == [False, False, False, True], "what the third entry says of its tables, the fourth explains"
    target = source.fresh(SCHEMA)
    assert replayed(source, target).whole
    assert target.hashes() == source.hashes()


def test_table_that_is_truncated_elsewhere_explains_nothing(source: Registry) -> None:
    """One transaction empties a table and writes another anew."""
    source.run("BEGIN; TRUNCATE public.other; ALTER TABLE public.bare ALTER v TYPE integer USING v + 1; COMMIT")
    source.archive()
    sentence = stop(source, source.fresh(SCHEMA))
    assert f"public.bare {FILE}" in sentence
    assert "public.other" not in sentence


@contextmanager
def _first_version(source: Registry) -> Iterator[None]:
    """Makes the archiver say what it said before it looked at where rows lie."""
    told = State.told

    def formerly(state: State, *arguments: Any) -> dict[str, Any]:
        end = {**told(state, *arguments), "fingerprint": state.definitions}
        return {key: value for key, value in end.items() if key not in ("definitions", "storage", "materialized")}

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(State, "told", formerly)
        yield
    head = source.directory / "head.json"
    values = json.loads(head.read_text())
    values["fingerprint"] = values.pop("definitions")
    head.write_text(json.dumps(values))


def test_archive_of_the_first_version_is_replayed_and_says_what_it_does_not_show(
    primary: Server, authority: Authority, scratch: Path, secrets: SecretsManager
) -> None:
    source = Registry.create(primary, authority.root, scratch, secrets, SCHEMA)
    with _first_version(source):
        source.archive()
        source.run(*FILLED)
        source.archive()
        source.run("TRUNCATE public.bare")
        source.archive()
    old = source.fresh(SCHEMA)
    assert replayed(source, old).whole
    assert old.hashes() == source.hashes()
    source.run("INSERT INTO public.bare VALUES (3, 3)")
    source.archive()
    target = source.fresh(SCHEMA)
    done = replayed(source, target)
    assert done.whole
    assert target.hashes() == source.hashes()
    assert any(note.startswith("Entry 4 is the first that says in which file each table lies") for note in done.notes)
    # The function was set back for a while, and then again to what it is.
    with _first_version(source):
        source.run("INSERT INTO public.bare VALUES (4, 4)")
        source.archive()
    source.run("DROP TABLE public.stage", "CREATE TABLE public.stage (id integer PRIMARY KEY, note text)")
    source.archive()
    assert f"public.stage {ANOTHER}" in stop(source, target)
    assert target.run("SELECT id FROM public.bare ORDER BY 1") == [[3], [4]]
    source.forget()


def test_head_that_is_lost_does_not_stop_the_replay(source: Registry) -> None:
    source.run("TRUNCATE public.bare")
    source.archive()
    (source.directory / "head.json").unlink()
    source.run("INSERT INTO public.bare VALUES (3, 3)")
    source.archive()
    target = source.fresh(SCHEMA)
    assert replayed(source, target).whole
    assert target.hashes() == source.hashes()


def test_restored_server_that_has_it_goes_on_and_one_that_lacks_it_stops(
    launch: Launch, authority: Authority, scratch: Path, secrets: SecretsManager
) -> None:
    """Begun within the entry, the replay asks the copy itself: it has the very files of its source."""
    server = launch("stored", settings=SETTINGS, prepare=prepare, database="postgres")
    source = Registry.create(server, authority.root, scratch, secrets, SCHEMA)
    source.archive()
    source.run(*FILLED)

    def copy(restored: Server) -> Registry:
        found = Registry(restored, source.root, source.directory, secrets, source.database, source.slot, source.arn)
        _writable(found)
        return found

    with _restored(server, launch, "before") as before:
        source.run("DROP TABLE public.stage", "CREATE TABLE public.stage (id integer PRIMARY KEY, note text)")
        source.run("INSERT INTO public.stage VALUES (5)", "VACUUM FULL public.bare")
        with _restored(server, launch, "after") as after:
            source.run("TRUNCATE public.other", "INSERT INTO public.stage VALUES (6)")
            source.archive()
            lacking, having = copy(before), copy(after)
            with lacking.login() as connection, pytest.raises(StoppedError, match=rf"public\.stage {ANOTHER}"):
                apply(source.directory, connection)
            with having.login() as connection:
                done = apply(source.directory, connection)
            assert done.whole
            assert having.hashes() == source.hashes()
    server.destroy()
    shutil.rmtree(source.directory)


def test_materialized_view_is_named(source: Registry) -> None:
    view = "CREATE MATERIALIZED VIEW public.seen AS SELECT id FROM public.stage"
    source.run(view)
    source.archive()
    source.run("INSERT INTO public.stage VALUES (7)", "REFRESH MATERIALIZED VIEW public.seen")
    source.archive()
    target = source.fresh(SCHEMA + view)
    assert "public.seen is a materialized view: its rows are not in the archive. Refresh it." in (
        replayed(source, target, schemas=[""]).notes
    )
