"""What happens to a table without a row being decoded: the replay stops and says so, and what is innocent does not stop it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from archive import server as server_of
from archive.directory import Directory
from archive.state import State

from emulator.authority import Authority
from emulator.postgres import Server
from replay import apply, table_files, verify
from replay.apply import StoppedError
from replay.chain import lines, position
from replay.target import SESSION
from tests.servers.fixtures import Launch
from tests.servers.secrets_manager import SecretsManager
from tests.support.forgery import read
from tests.support.functions.archives import SETTINGS, Registry, days, prepare, replayed, restoration, until_writable

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
GRANT SELECT ON public.bare TO PUBLIC;
CREATE TABLE public.two (id integer PRIMARY KEY, a integer, b integer);
CREATE TABLE public.whole (a integer, b integer);
ALTER TABLE public.whole REPLICA IDENTITY FULL;
CREATE TYPE public.mood AS ENUM ('glad', 'sad');
CREATE DOMAIN public.moods AS public.mood[];
CREATE TABLE public.felt (id integer PRIMARY KEY, mood public.moods);
CREATE FUNCTION public.doubled(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE public.made (id integer PRIMARY KEY, v integer, w integer GENERATED ALWAYS AS (public.doubled(v)) STORED);
CREATE SCHEMA first;
CREATE SCHEMA second;
CREATE TABLE first.t (id integer PRIMARY KEY);
CREATE TABLE second.t (id integer PRIMARY KEY);
CREATE TABLE public.elder (id integer PRIMARY KEY);
CREATE TABLE public.younger () INHERITS (public.elder);
ALTER TABLE public.younger NO INHERIT public.elder;
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
    "INSERT INTO public.two VALUES (1, 10, 20), (2, 30, 40)",
    "INSERT INTO public.whole VALUES (10, 20), (20, 10)",
    "INSERT INTO public.felt VALUES (1, '{glad}')",
    "INSERT INTO public.made VALUES (1, 1)",
    "INSERT INTO first.t VALUES (1)",
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


def _arrives(source: Registry) -> None:
    """All of it, on a new target."""
    target = source.fresh(SCHEMA)
    assert replayed(source, target).whole
    assert target.hashes() == source.hashes()


def stop(source: Registry, target: Registry, **options: Any) -> str:
    """The sentence with which the replay stops."""
    with pytest.raises(StoppedError, match=r"DDL is not in the archive.*(--schema|--harmless) [0-9a-f]{12}") as caught:
        replayed(source, target, **options)
    return str(caught.value)


ANOTHER = "is another table than before: it was dropped and made anew, or has taken another one's name"
FILE = "lies in another file: VACUUM FULL or CLUSTER wrote it anew"
KEY = "has another key: what tells its rows apart was made anew"
ALTERED = "was altered, although it looks as before"
READ = "was altered: its columns, its name, its schema's or what its types mean may have been others meanwhile"
CODE = "has a generated column that calls a function"


def swapped(what: str, one: str, other: str) -> tuple[str, ...]:
    """Two things take each other's name."""
    return tuple(f"ALTER {what} {old} TO {new}" for old, new in ((one, "aside"), (other, one), ("aside", other)))


COLUMNS = swapped("TABLE public.two RENAME COLUMN", "a", "b")
WHOLE = swapped("TABLE public.whole RENAME COLUMN", "a", "b")
LABELS = swapped("TYPE public.mood RENAME VALUE", "'glad'", "'sad'")
LABELS = tuple(statement.replace("aside", "'aside'") for statement in LABELS)
SCHEMAS = tuple(
    f"ALTER SCHEMA {old} RENAME TO {new}" for old, new in (("first", "aside"), ("second", "first"), ("aside", "second"))
)
TABLES = tuple(
    f"ALTER TABLE public.{old} RENAME TO {new}" for old, new in (("bare", "aside"), ("other", "bare"), ("aside", "other"))
)
FUNCTION = "CREATE OR REPLACE FUNCTION public.doubled(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * {}'"


def at_once(*statements: str) -> str:
    return "; ".join(("BEGIN", *statements, "COMMIT"))


UNLOGGED_MEANWHILE = (
    "ALTER TABLE public.{0} SET UNLOGGED",
    "INSERT INTO public.{0} VALUES (3)",
    "ALTER TABLE public.{0} SET LOGGED",
)
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
    "table of numbers that one transaction empties and loads unlogged": (
        (at_once("TRUNCATE public.bare", *(s.format("bare") for s in UNLOGGED_MEANWHILE)),),
        {"public.bare": FILE},
    ),
    "table without an index that one transaction empties and loads unlogged": (
        (at_once("TRUNCATE public.loose", *(s.format("loose") for s in UNLOGGED_MEANWHILE)), "ANALYZE public.loose"),
        {"public.loose": FILE},
    ),
    "table that is loaded unlogged in one savepoint and was emptied in another": (
        (
            at_once(
                "SAVEPOINT a",
                "TRUNCATE public.loose",
                "RELEASE a",
                *(s.format("loose") for s in UNLOGGED_MEANWHILE),
                "SAVEPOINT b",
            ),
        ),
        {"public.loose": FILE},
    ),
    "table that is emptied between two rewritings": (
        (
            at_once(
                "ALTER TABLE public.bare ALTER v TYPE bigint",
                "TRUNCATE public.bare",
                "INSERT INTO public.bare VALUES (7, 8)",
                "ALTER TABLE public.bare ALTER v TYPE integer USING v * 2",
            ),
        ),
        {"public.bare": FILE},
    ),
    "values that are changed in the transaction of a TRUNCATE": (
        (
            at_once(
                "TRUNCATE public.bare",
                "INSERT INTO public.bare VALUES (5, 5)",
                "ALTER TABLE public.bare ALTER v TYPE integer USING v + 1",
            ),
        ),
        {"public.bare": FILE},
    ),
    "identity that was another for a while in the transaction of a TRUNCATE": (
        (
            at_once(
                "TRUNCATE public.bare",
                "INSERT INTO public.bare VALUES (5, 5), (6, 6)",
                "ALTER TABLE public.bare REPLICA IDENTITY NOTHING",
                "UPDATE public.bare SET id = id + 1 WHERE id = 6; UPDATE public.bare SET id = 6 WHERE id = 5",
                "ALTER TABLE public.bare REPLICA IDENTITY DEFAULT",
            ),
        ),
        {"public.bare": ALTERED},
    ),
    "columns that have each other's names for a while": (
        (*COLUMNS, "INSERT INTO public.two (id, a, b) VALUES (3, 1, 2)", *COLUMNS),
        {"public.two": READ},
    ),
    "columns that have each other's names within one transaction": (
        (at_once(*COLUMNS, "UPDATE public.two SET a = 0", *COLUMNS),),
        {"public.two": READ},
    ),
    "columns of a full identity that have each other's names for a while": (
        (*WHOLE, "DELETE FROM public.whole WHERE a = 10", *WHOLE),
        {"public.whole": READ},
    ),
    "labels that have each other's names for a while": (
        (*LABELS, "INSERT INTO public.felt VALUES (2, '{glad}')", *LABELS),
        {"public.felt": READ},
    ),
    "schemas that have each other's names for a while": (
        (*SCHEMAS, "INSERT INTO first.t VALUES (5)", *SCHEMAS),
        {"first.t": READ},
    ),
    "tables that have each other's names for a while": (
        (*TABLES, "INSERT INTO public.bare VALUES (9, 9)", *TABLES),
        {"public.bare": READ},
    ),
    "table whose name another one has for a while": (
        (
            "ALTER TABLE public.loose RENAME TO aside",
            "CREATE TABLE public.loose (v integer)",
            "INSERT INTO public.loose VALUES (9)",
            "DROP TABLE public.loose",
            "ALTER TABLE public.aside RENAME TO loose",
        ),
        {"public.loose": READ},
    ),
    "function of a generated column that was another for a while": (
        (FUNCTION.format(3), "INSERT INTO public.made VALUES (2, 1)", FUNCTION.format(2)),
        {"public.made": CODE},
    ),
    "index of the identity that was another for a while": (
        (
            "CREATE UNIQUE INDEX by_v ON public.by_index (v); ALTER TABLE public.by_index ALTER v SET NOT NULL",
            "ALTER TABLE public.by_index REPLICA IDENTITY USING INDEX by_v",
            "UPDATE public.by_index SET id = 3 WHERE id = 2",
            "UPDATE public.by_index SET id = 2 WHERE id = 1",
            "ALTER TABLE public.by_index REPLICA IDENTITY USING INDEX by_id",
            "ALTER TABLE public.by_index ALTER v DROP NOT NULL; DROP INDEX public.by_v",
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
        name
        for name in ("bare", "by_index", "felt", "loose", "made", "north", "other", "south", "stage", "two", "whole")
        if f"public.{name} " in sentence
    } == {name.removeprefix("public.") for name in tables if name != "first.t"}
    assert target.run("SELECT id FROM public.stage ORDER BY 1") == [[1], [2]], (
        "what came before is there, nothing of what follows"
    )
    assert stop(source, target) == sentence, "and so for as long as nobody says that the target has it"


@pytest.mark.parametrize(
    ("statements", "row", "table"),
    [
        (LABELS, "INSERT INTO public.felt VALUES (2, '{glad}')", "public.felt"),
        (SCHEMAS, "INSERT INTO first.t VALUES (5)", "first.t"),
    ],
    ids=["labels", "schemas"],
)
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("later", [False, True], ids=["at once", "some entries later"])
def test_row_of_a_transaction_that_was_open_when_names_changed_stops_the_replay(
    source: Registry, statements: tuple[str, ...], row: str, table: str, times: int, later: bool
) -> None:
    """It was written by the old names and committed by the new ones: these do not wait for whoever writes to the table."""
    if times > 1:
        source.run(*statements)
    with source.login() as connection:
        connection.run("BEGIN")
        connection.run(row)
        source.run(*statements)
        if later:
            source.archive()
            source.run("INSERT INTO public.stage VALUES (3)")
            source.archive()
        connection.run("COMMIT")
    source.archive()
    target = source.fresh(SCHEMA)
    sentence = stop(source, target, schemas=[""])
    if later:
        assert f"was open when {table} was altered" in sentence
        assert sentence == stop(source, target, schemas=[""])
        assert replayed(source, target, harmless=[sentence[-13:-1]]).whole
        return
    assert re.search(rf"{re.escape(table)} (is another|was altered).* Transaction \d+ changed it before that", sentence)
    assert "--schema" not in sentence


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


MIXED = {
    "table dropped and made anew": (
        ("INSERT INTO public.loose VALUES (5)", "DROP TABLE public.loose", "CREATE TABLE public.loose (v integer)"),
        "INSERT INTO public.loose VALUES (6)",
        ANOTHER,
    ),
    "table with a key dropped and made anew": (
        (
            "INSERT INTO public.bare VALUES (5, 5)",
            "DROP TABLE public.bare",
            "CREATE TABLE public.bare (id integer PRIMARY KEY, v integer); GRANT SELECT ON public.bare TO PUBLIC",
        ),
        "INSERT INTO public.bare VALUES (6, 6)",
        ANOTHER,
    ),
    "values changed": (
        ("INSERT INTO public.bare VALUES (5, 5)", "ALTER TABLE public.bare ALTER v TYPE integer USING v + 1"),
        "INSERT INTO public.bare VALUES (6, 6)",
        FILE,
    ),
    "rows that came while the table was unlogged": (
        ("INSERT INTO public.loose VALUES (5)", *(s.format("loose") for s in UNLOGGED_MEANWHILE)),
        "INSERT INTO public.loose VALUES (6)",
        FILE,
    ),
    "columns that have each other's names from now on": (
        ("INSERT INTO public.two VALUES (5, 1, 2)", "ALTER TABLE public.two DROP COLUMN a; ALTER TABLE public.two RENAME b TO a"),
        "INSERT INTO public.two (id, a) VALUES (6, 1)",
        READ,
    ),
    "key that is deferrable no longer": (
        (
            "UPDATE public.other SET id = 3 - id",
            "ALTER TABLE public.other DROP CONSTRAINT other_pkey",
            "ALTER TABLE public.other ADD PRIMARY KEY (id)",
        ),
        "INSERT INTO public.other VALUES (6, 6)",
        KEY,
    ),
    "new table that was altered once it had rows": (
        (
            "CREATE TABLE public.n (v integer)",
            "INSERT INTO public.n VALUES (5)",
            "ALTER TABLE public.n ALTER v TYPE integer USING v + 1",
        ),
        "INSERT INTO public.n VALUES (6)",
        "was altered, or made once more, after it had been made",
    ),
}


@pytest.mark.parametrize("what", MIXED)
def test_no_schema_is_right_for_rows_of_before_and_after(source: Registry, what: str) -> None:
    """Brought to the end of the entry, as the stop had said, the target got the rows of before as well, and was called whole."""
    statements, after, why = MIXED[what]
    deferrable = "ALTER TABLE public.other DROP CONSTRAINT other_pkey; ALTER TABLE public.other ADD PRIMARY KEY (id) DEFERRABLE"
    schema = SCHEMA
    if "deferrable" in what:
        source.run(deferrable)
        source.archive()
        schema += deferrable
    source.run(*statements, after)
    source.archive()
    target = source.fresh(schema)
    sentence = stop(source, target, schemas=[""])
    assert why in sentence
    assert "--schema" not in sentence
    assert re.search(
        r"Transaction \d+ changed it before that\. No target is right .* restore a copy of a time after 20", sentence
    )


def test_what_came_after_it_is_replayed_onto_a_target_that_was_brought_to_it(source: Registry) -> None:
    source.run(
        "INSERT INTO public.other VALUES (5, 5)",
        "DROP TABLE public.loose; CREATE TABLE public.loose (v integer)",
        "INSERT INTO public.loose VALUES (6)",
        "CREATE TABLE public.n AS SELECT 1 AS v",
        "INSERT INTO public.n VALUES (2)",
    )
    source.archive()
    target = source.fresh(SCHEMA)
    known = stop(source, target)[-13:-1]
    target.run("DROP TABLE public.loose", "CREATE TABLE public.loose (v integer)", "CREATE TABLE public.n (v integer)")
    assert replayed(source, target, schemas=[known]).whole
    assert target.hashes() == source.hashes()


def test_operator_who_knows_that_rows_mean_the_same_goes_on(source: Registry) -> None:
    source.run(
        "UPDATE public.bare SET v = 7",
        "GRANT INSERT ON public.bare TO PUBLIC",
        "REVOKE INSERT ON public.bare FROM PUBLIC",
        "UPDATE public.other SET v = 8",
        "VACUUM FULL public.other",
        "INSERT INTO public.two VALUES (7, 7, 7)",
        "ALTER TABLE public.two ALTER a SET STATISTICS 100",
    )
    source.archive()
    target = source.fresh(SCHEMA)
    sentence = stop(source, target, schemas=[""])
    for name, why in (("bare", ALTERED), ("other", FILE), ("two", READ)):
        assert f"public.{name} {why}" in sentence
    done = replayed(source, target, harmless=[sentence[-13:-1]])
    assert any("as told, rows mean the same before and after" in note for note in done.notes)
    assert done.whole
    assert target.hashes() == source.hashes()


NEW = "is new: it was made, or was altered, or made once more, after it had been made"
GONE = "is gone: it was dropped, or bears another name"
AFTER_IT_BEGINS = {
    "columns that have each other's names": (COLUMNS, "public.two", READ),
    "columns that had each other's names when it began": (COLUMNS, "public.two", READ),
    "labels that have each other's names": (LABELS, "public.felt", READ),
    "schemas that have each other's names": (SCHEMAS, "first.t", ANOTHER),
    "a column more": (("ALTER TABLE public.bare ADD w integer DEFAULT 5",), "public.bare", READ),
    "a table more": (("CREATE TABLE public.n (v integer)",), "public.n", NEW),
    "a table less": (("DROP TABLE public.loose",), "public.loose", GONE),
    "another name": (("ALTER TABLE public.loose RENAME TO n",), "public.loose", GONE),
    "a partition less": (("ALTER TABLE public.parted DETACH PARTITION public.north",), "public.north", READ),
    "another function of a generated column": ((FUNCTION.format(3),), "public.made", CODE),
}


@pytest.mark.parametrize("portions", [1, 2])
@pytest.mark.parametrize("what", AFTER_IT_BEGINS)
def test_what_is_altered_after_the_replay_begins_and_before_the_entry_ends_stops_it(
    source: Registry, what: str, portions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target has the beginning of the entry, and nothing of what was altered in the rest: the replay told somebody to
    be sure of it, and ended green. Of a backlog that is archived in portions the first one already says what came last."""
    if portions > 1:
        monkeypatch.setattr("archive.archiver.FEW", 3)
    statements, table, why = AFTER_IT_BEGINS[what]
    meanwhile: tuple[str, ...] = ()
    if "had" in what:
        meanwhile = statements
    source.run("INSERT INTO public.stage VALUES (10)", *meanwhile, "INSERT INTO public.stage VALUES (11)")
    with source.login() as connection:
        [[start]] = connection.run("SELECT pg_current_wal_insert_lsn()::text")
    source.run(*statements, "INSERT INTO public.stage VALUES (12)")
    source.archive()
    target = source.fresh(SCHEMA)
    target.run(*FILLED, "INSERT INTO public.stage VALUES (10), (11)", *meanwhile)
    sentence = stop(source, target, start=position(start))
    assert f"{table} {why}" in sentence
    assert target.run("SELECT max(id) FROM public.stage") == [[11]]
    target.run(*statements)
    assert replayed(source, target, start=position(start), schemas=[sentence[-13:-1]]).whole
    assert target.hashes() == source.hashes()


@pytest.mark.parametrize("portions", [1, 2])
def test_what_was_altered_before_something_that_the_target_has_does_not_stop_the_replay(
    source: Registry, portions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if portions > 1:
        monkeypatch.setattr("archive.archiver.FEW", 3)
    statements = (*COLUMNS, *LABELS, "CREATE TABLE public.n (v integer)", "ALTER TABLE public.bare ADD w integer DEFAULT 5")
    source.run(*statements, "INSERT INTO public.stage VALUES (10)")
    with source.login() as connection:
        [[start]] = connection.run("SELECT pg_current_wal_insert_lsn()::text")
    source.run("INSERT INTO public.two (id, a, b) VALUES (3, 1, 2)", "INSERT INTO public.n VALUES (1)")
    source.archive()
    target = source.fresh(SCHEMA)
    target.run(*FILLED, *statements, "INSERT INTO public.stage VALUES (10)")
    assert replayed(source, target, start=position(start)).whole
    assert target.hashes() == source.hashes()


@pytest.mark.parametrize("what", ["made anew", "swapped for a while", "emptied", "nothing"])
def test_oldest_entry_that_is_left_shows_what_changed_within_itself(source: Registry, what: str) -> None:
    """The entry before it, with which it would be compared, was removed for its age."""
    days(source, "2020-01-01")
    with source.login() as connection:
        [[start]] = connection.run("SELECT pg_current_wal_insert_lsn()::text")
    source.run(
        *{
            "made anew": ("DROP TABLE public.bare", SCHEMA.split(";")[1], "GRANT SELECT ON public.bare TO PUBLIC"),
            "swapped for a while": (*COLUMNS, "INSERT INTO public.two (id, a, b) VALUES (3, 1, 2)", *COLUMNS),
            "emptied": ("TRUNCATE public.bare, public.stage",),
            "nothing": ("UPDATE public.bare SET v = 5",),
        }[what],
        "INSERT INTO public.bare VALUES (7, 7)",
    )
    source.archive()
    assert verify(source.directory).entries[0].number == 3
    target = source.fresh(SCHEMA)
    target.run(*FILLED)
    if what in ("emptied", "nothing"):
        assert replayed(source, target, start=position(start)).whole
        assert target.hashes() == source.hashes()
        return
    name = "bare" if what == "made anew" else "two"
    assert f"public.{name} was altered or made anew in the oldest entry that is left" in stop(
        source, target, start=position(start)
    )


def test_oldest_entry_of_an_earlier_version_is_replayed_with_a_note(source: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Directory.begin
    monkeypatch.setattr(
        Directory, "begin", lambda self, header: begin(self, {key: header[key] for key in header if key != "preceding"})
    )
    days(source, "2020-01-01")
    with source.login() as connection:
        [[start]] = connection.run("SELECT pg_current_wal_insert_lsn()::text")
    source.run("INSERT INTO public.bare VALUES (7, 7)")
    source.archive()
    target = source.fresh(SCHEMA)
    target.run(*FILLED)
    done = replayed(source, target, start=position(start))
    assert done.notes[1].startswith("Entry 3 is the oldest that is left, and does not say what was before it")
    assert target.hashes() == source.hashes()


HOSTILE = {
    "quote_all_identifiers": "on",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "search_path": "first",
    "DateStyle": "German",
    "extra_float_digits": "-5",
}


@pytest.mark.parametrize("where", ["source", "target"])
def test_settings_of_a_database_change_nothing(source: Registry, where: str) -> None:
    table = "CREATE TABLE public.texts (id integer PRIMARY KEY, x text[], at date, f float8)"
    source.run(table)
    source.archive()
    target = source.fresh(SCHEMA + table)
    database = source.database if where == "source" else target.database
    with source.login("postgres") as connection:
        for name, value in HOSTILE.items():
            connection.run(f"ALTER DATABASE {database} SET {name} = {value}")
    with source.login() as connection:
        connection.run("SET default_transaction_read_only = off; SET array_nulls = on; SET DateStyle = ISO")
        connection.run("INSERT INTO public.texts VALUES (1, ARRAY['a', NULL, 'NULL'], '2026-07-02', 1.23456789)")
        connection.run("TRUNCATE public.stage")
        connection.run("UPDATE public.bare SET id = id + 10")
    source.archive()
    assert replayed(source, target, schemas=[""]).whole
    with source.login("postgres") as connection:
        connection.run(f"ALTER DATABASE {database} RESET ALL")
    assert target.hashes() == source.hashes()


def test_archive_and_replay_fix_the_same_settings() -> None:
    meaning = server_of.SESSION.keys() - {"client_connection_check_interval", "idle_session_timeout", "tcp_user_timeout", "jit"}
    assert {name: server_of.SESSION[name] for name in meaning} == {name: SESSION.get(name) for name in meaning}


def test_table_without_columns_is_replayed(source: Registry) -> None:
    source.run("CREATE TABLE public.none ()")
    source.archive()
    source.run("INSERT INTO public.none DEFAULT VALUES")
    source.archive()
    target = source.fresh(SCHEMA + "CREATE TABLE public.none ()")
    assert replayed(source, target, schemas=[""]).whole
    assert target.run("SELECT count(*) FROM public.none") == [[1]]


def test_row_without_columns_is_replayed_beside_a_change_that_does_not_fit(source: Registry) -> None:
    """Change by change, which is how the one that does not fit is found, a row does not go by COPY."""
    source.run("CREATE TABLE public.none ()")
    source.archive()
    source.run(at_once("UPDATE public.bare SET v = 7 WHERE id = 2", "INSERT INTO public.none DEFAULT VALUES"))
    source.archive()
    target = source.fresh(SCHEMA + "CREATE TABLE public.none ()")
    target.run("INSERT INTO public.bare VALUES (3, 3)")
    begun = position(verify(source.directory).entries[-1].header["after"])
    done = replayed(source, target, start=begun, conflicts=True)
    assert len(done.conflicts) == 1
    assert "UPDATE: id[integer]:2" in done.conflicts[0]
    assert target.run("SELECT count(*) FROM public.none") == [[1]]


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
    "TRUNCATE, and what is done to the rows that follow": (
        at_once(
            "TRUNCATE public.bare, public.loose, public.other",
            "INSERT INTO public.bare VALUES (9, 9)",
            "UPDATE public.bare SET v = 8",
            "INSERT INTO public.loose VALUES (9)",
        ),
        "ANALYZE",
    ),
    "TRUNCATE after other work, and in savepoints": (
        at_once(
            "DELETE FROM public.stage",
            "SAVEPOINT a",
            "TRUNCATE public.bare",
            "INSERT INTO public.bare VALUES (9, 9)",
            "SAVEPOINT b",
            "TRUNCATE public.bare",
            "ROLLBACK TO b",
        ),
    ),
    "REINDEX of an identity that is no constraint": (
        "REINDEX INDEX CONCURRENTLY public.by_id",
        "UPDATE public.by_index SET id = id + 10",
        "UPDATE public.by_index SET v = 5",
    ),
    "ANALYZE of a table whose last child went": (
        "INSERT INTO public.elder VALUES (1), (2)",
        "ANALYZE public.elder",
        "UPDATE public.elder SET id = id + 10",
    ),
    "GRANT and REVOKE that cancel": (
        "GRANT INSERT ON public.bare TO PUBLIC",
        "INSERT INTO public.bare VALUES (9, 9)",
        "UPDATE public.bare SET id = id + 10",
        "DELETE FROM public.bare WHERE id = 12",
        "REVOKE INSERT ON public.bare FROM PUBLIC",
        "UPDATE public.bare SET v = 7",
    ),
    "GRANT on a schema": ("GRANT USAGE ON SCHEMA public TO PUBLIC",),
    "trigger that was made and dropped": (
        "INSERT INTO public.bare VALUES (9, 9)",
        "CREATE TRIGGER quiet BEFORE UPDATE ON public.bare FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "DROP TRIGGER quiet ON public.bare",
        "UPDATE public.bare SET v = 5",
    ),
    "statistics, and a default that goes": (
        "ALTER TABLE public.two ALTER a SET STATISTICS 100; ALTER TABLE public.two ALTER b SET DEFAULT 5",
        "ALTER TABLE public.two ALTER b DROP DEFAULT",
        "INSERT INTO public.two VALUES (9, 9, 9)",
    ),
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
    _arrives(source)


def _overtaken(source: Registry, monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    """The third entry, whose look at the tables comes after these statements, and its rows before them."""
    original = server_of.Server.peek

    def overtaken(server: server_of.Server, changes: int, into: Any) -> None:
        original(server, changes, into)
        monkeypatch.setattr(server_of.Server, "peek", original)
        source.run(*statements)

    monkeypatch.setattr(server_of.Server, "peek", overtaken)
    source.run("INSERT INTO public.stage VALUES (1000, 'before')")
    source.archive()


def test_truncate_that_comes_between_the_rows_and_the_look_at_the_tables_does_not_stop_the_replay(
    source: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _overtaken(source, monkeypatch, "TRUNCATE public.bare")
    source.run("INSERT INTO public.bare VALUES (9, 9)")
    source.archive()
    held = [any("table public.bare: TRUNCATE:" in row for row in read(path)[1:-1]) for path in source.entries()]
    assert held == [False, False, False, True], "what the third entry says of its tables, the fourth explains"
    _arrives(source)


def test_table_that_is_made_anew_between_the_rows_and_the_look_at_the_tables_stops_the_replay(
    source: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third entry says that it is another, and the fourth has the rows of before and of after."""
    anew = ("INSERT INTO public.loose VALUES (5)", "DROP TABLE public.loose", "CREATE TABLE public.loose (v integer)")
    _overtaken(source, monkeypatch, *anew, "INSERT INTO public.loose VALUES (6)")
    source.archive()
    sentence = stop(source, source.fresh(SCHEMA), schemas=[""])
    assert f"public.loose {ANOTHER}" in sentence
    assert "--schema" not in sentence
    third = next(entry for entry in verify(source.directory).entries if entry.number == 3)
    assert stop(source, source.fresh(SCHEMA), start=third.to) == sentence, "a target that has all of the third is of before"


def test_what_would_explain_another_file_is_not_sought_in_all_that_follows(
    source: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives hold years: no entry is read for a TRUNCATE that would have had to come before it."""
    source.run("VACUUM FULL public.bare", "INSERT INTO public.other VALUES (5, 5)")
    source.archive()
    for insert in ("INSERT INTO public.other VALUES (6, 6)", "INSERT INTO public.other VALUES (7, 7)"):
        source.run(insert)
        source.archive()
    sought: list[Path] = []

    def seen(path: Path) -> Iterator[bytes]:
        sought.append(path)
        return lines(path)

    monkeypatch.setattr(table_files, "lines", seen)
    assert f"public.bare {FILE}" in stop(source, source.fresh(SCHEMA))
    *_, third, _, fifth = source.entries()
    assert third in sought
    assert fifth not in sought


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


def test_new_table_of_which_an_earlier_version_did_not_say_when_it_was_altered_is_replayed(
    source: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, known = State.told, ("oid", "file", "toast", "persistence", "identity", "key", "by", "at")

    def formerly(state: State, *arguments: Any) -> dict[str, Any]:
        end = told(state, *arguments)
        tables = {name: {fact: facts[fact] for fact in known} for name, facts in end["storage"].items()}
        return {**end, "storage": tables}

    monkeypatch.setattr(State, "told", formerly)
    made = "CREATE TABLE public.n (v integer)"
    source.run(made, "INSERT INTO public.n VALUES (5)", "GRANT SELECT ON public.n TO PUBLIC", "INSERT INTO public.n VALUES (6)")
    source.archive()
    target = source.fresh(SCHEMA + made)
    assert replayed(source, target, schemas=[""]).whole
    assert target.hashes() == source.hashes()


def test_oldest_entry_that_is_left_shows_a_change_of_schema_since_the_first_version(source: Registry) -> None:
    with _first_version(source):
        source.run("INSERT INTO public.bare VALUES (6, 6)")
        source.archive()
    days(source, "2020-01-01")
    view = "CREATE VIEW public.seen AS SELECT 1 AS one"
    source.run(view, "INSERT INTO public.bare VALUES (7, 7)")
    source.archive()
    [oldest, _] = verify(source.directory).entries
    target = source.fresh(SCHEMA)
    target.run(*FILLED, "INSERT INTO public.bare VALUES (6, 6)")
    known = stop(source, target, start=oldest.after)[-13:-1]
    target.run(view)
    assert replayed(source, target, start=oldest.after, schemas=[known]).whole
    assert target.hashes() == source.hashes()


def test_head_that_is_lost_does_not_stop_the_replay(source: Registry) -> None:
    source.run("TRUNCATE public.bare")
    source.archive()
    (source.directory / "head.json").unlink()
    source.run("INSERT INTO public.bare VALUES (3, 3)")
    source.archive()
    _arrives(source)


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
        until_writable(found)
        return found

    with restoration(server, launch, "before") as before:
        source.run("DROP TABLE public.stage", "CREATE TABLE public.stage (id integer PRIMARY KEY, note text)")
        source.run("INSERT INTO public.stage VALUES (5)", "VACUUM FULL public.bare")
        with restoration(server, launch, "after") as after:
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
