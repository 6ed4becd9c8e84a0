"""Replay: how far, over what, and what it says of the rest."""

# ruff: noqa: S608  statements with names of our own

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from emulator.authority import Authority
from emulator.postgres import Server
from replay import apply, verify
from replay.apply import LOCK, PROGRESS, SCHEMA, Options, StoppedError
from replay.chain import show
from replay.start import commits_of
from tests.servers.fixtures import PASSWORD, Launch
from tests.servers.secrets_manager import SecretsManager
from tests.support.forgery import Forgery, read
from tests.support.functions.archives import SETTINGS, Registry, prepare, replayed

TABLE = "CREATE TABLE public.t (id integer PRIMARY KEY, note text)"


@pytest.fixture
def source(primary: Server, authority: Authority, scratch: Path, secrets: SecretsManager) -> Any:
    """A database with one table and an archive that has begun."""
    registry = Registry.create(primary, authority.root, scratch, secrets, TABLE)
    registry.archive()
    yield registry
    registry.forget()


def rows(registry: Registry) -> list[list[Any]]:
    found: list[list[Any]] = registry.run("SELECT * FROM public.t ORDER BY 1")
    return found


@pytest.fixture
def five(source: Registry) -> Registry:
    """Five transactions."""
    source.run(*(f"INSERT INTO public.t VALUES ({number}, 'n')" for number in range(1, 6)))
    source.archive()
    return source


def test_replay_ends_at_a_position_or_a_time_and_goes_on_from_there(five: Registry) -> None:
    commits = [commit for entry in verify(five.directory).entries for commit in commits_of(entry)]
    target = five.fresh(TABLE)
    done = replayed(five, target, until=commits[1].position)
    assert (done.transactions, len(rows(target))) == (2, 2)
    assert done.ended.startswith(f"what was asked for; next would be {commits[2].xid}")
    assert replayed(five, target, until=commits[0].position).transactions == 0
    done = replayed(five, target, until=datetime.fromisoformat(commits[3].time))
    assert (done.transactions, len(rows(target))) == (2, 4)
    assert done.notes[0].startswith("Goes on after ")
    assert replayed(five, target, until=datetime(2000, 1, 1, tzinfo=UTC)).transactions == 0
    assert replayed(five, target).transactions == 1
    assert target.hashes() == five.hashes()


def test_transactions_are_left_out_and_named(five: Registry) -> None:
    commits = [commit for entry in verify(five.directory).entries for commit in commits_of(entry)]
    target = five.fresh(TABLE)
    done = replayed(five, target, leave_out=[commits[2].xid, 1])
    assert [row[0] for row in rows(target)] == [1, 2, 4, 5]
    assert done.left_out == [commits[2]]
    assert "Transaction 1, which was to be left out, was not met." in done.notes
    assert any(note.startswith("Foreign keys are not checked") for note in done.notes)


def test_change_that_does_not_fit_stops_the_replay_before_its_transaction(five: Registry) -> None:
    five.run(
        "BEGIN; INSERT INTO public.t VALUES (6); UPDATE public.t SET note = 'x' WHERE id = 3; COMMIT",
        "DELETE FROM public.t WHERE id = 3",
    )
    five.archive()
    target = five.fresh(TABLE)
    replayed(five, target, until=verify(five.directory).entries[1].to)
    target.run("DELETE FROM public.t WHERE id = 3")
    with pytest.raises(StoppedError, match=r"the row is not as it was \(0 instead of 1 were met\).*UPDATE: id\[integer\]:3"):
        replayed(five, target)
    assert [row[0] for row in rows(target)] == [1, 2, 4, 5], "nothing of the transaction"
    target.run("INSERT INTO public.t VALUES (6, 'here already')")
    with pytest.raises(StoppedError, match=r"--report-conflicts"):
        replayed(five, target)
    done = replayed(five, target, conflicts=True)
    assert len(done.conflicts) == 3
    assert not done.whole
    assert [row[0] for row in rows(target)] == [1, 2, 4, 5, 6]
    assert replayed(five, target).transactions == 0


def test_first_row_that_is_there_already_is_named(five: Registry) -> None:
    target = five.fresh(TABLE)
    target.run("INSERT INTO public.t VALUES (1, 'mine')")
    with pytest.raises(StoppedError, match=r"INSERT: id\[integer\]:1 note\[text\]:'n'"):
        replayed(five, target)
    assert rows(target) == [[1, "mine"]]


def test_table_or_column_that_the_target_lacks_is_named(five: Registry) -> None:
    five.run("TRUNCATE public.t")
    five.archive()
    with pytest.raises(StoppedError, match=r"the target has no table public\.t"):
        replayed(five, five.fresh("SELECT 1"))
    target = five.fresh("CREATE TABLE public.t (id integer PRIMARY KEY)")
    with pytest.raises(StoppedError, match=r'column "note" of relation "t" does not exist \(42703\)'):
        replayed(five, target)
    done = replayed(five, five.fresh("SELECT 1"), conflicts=True)
    assert len(done.conflicts) == 6


def test_materialized_view_is_to_be_refreshed(source: Registry) -> None:
    view = "CREATE MATERIALIZED VIEW public.seen AS SELECT id FROM public.t; CREATE UNIQUE INDEX ON public.seen (id)"
    source.run(view, "INSERT INTO public.t VALUES (1)", "REFRESH MATERIALIZED VIEW CONCURRENTLY public.seen")
    source.archive()
    target = source.fresh(TABLE)
    target.run(view)
    done = replayed(source, target, schemas=[""])
    assert done.not_replayed == {'"public"."seen" is a materialized view: refresh it': 1}
    assert target.hashes() == source.hashes()


def test_triggers_rules_of_foreign_keys_and_clocks_do_not_work_twice(source: Registry) -> None:
    objects = (
        "CREATE TABLE public.log (id serial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());"
        "CREATE FUNCTION public.logged() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO public.log DEFAULT VALUES; RETURN NULL; END $$;"
        "CREATE TRIGGER logged AFTER INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.logged()"
    )
    source.run(objects, "INSERT INTO public.t SELECT n FROM generate_series(1, 5) n")
    source.archive()
    target = source.fresh(TABLE)
    target.run(objects)
    replayed(source, target, schemas=[""])
    assert target.hashes() == source.hashes()
    assert target.run("INSERT INTO public.t VALUES (9); SELECT max(id) FROM public.log") == [[6]]


ACTING = {
    "a trigger that always fires": (
        "ALTER TABLE public.t ENABLE ALWAYS TRIGGER logged",
        r"the trigger logged on public\.t are .*ALTER TABLE public\.t DISABLE TRIGGER logged\.",
        "ALTER TABLE public.t DISABLE TRIGGER logged",
    ),
    "a trigger that fires for replicas": (
        "ALTER TABLE public.t ENABLE REPLICA TRIGGER logged",
        r"the trigger logged on public\.t are",
        "ALTER TABLE public.t DISABLE TRIGGER logged",
    ),
    "a rule that always works": (
        "CREATE RULE counted AS ON UPDATE TO public.t DO ALSO INSERT INTO public.log DEFAULT VALUES;"
        " ALTER TABLE public.t ENABLE ALWAYS RULE counted",
        r"the rule counted on public\.t are .*ALTER TABLE public\.t DISABLE RULE counted\.",
        "ALTER TABLE public.t DISABLE RULE counted",
    ),
    "a rule that works for replicas": (
        'CREATE RULE "No t" AS ON DELETE TO public.t DO INSTEAD NOTHING; ALTER TABLE public.t ENABLE REPLICA RULE "No t"',
        r'the rule "No t" on public\.t are .*ALTER TABLE public\.t DISABLE RULE "No t"\.',
        'ALTER TABLE public.t DISABLE RULE "No t"',
    ),
}


@pytest.mark.parametrize("what", ACTING)
def test_target_that_would_act_by_itself_is_refused_before_the_first_transaction(source: Registry, what: str) -> None:
    objects = (
        "CREATE TABLE public.log (at timestamptz DEFAULT clock_timestamp());"
        "CREATE FUNCTION public.logged() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO public.log DEFAULT VALUES; RETURN NULL; END $$;"
        "CREATE TRIGGER logged AFTER INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.logged()"
    )
    acting, sentence, remedy = ACTING[what]
    source.run(objects, acting, "INSERT INTO public.t SELECT n FROM generate_series(1, 4) n", "UPDATE public.t SET note = 'x'")
    source.archive()
    target = source.fresh(TABLE)
    target.run(objects, acting)
    with pytest.raises(StoppedError, match=rf"Nothing was applied: .*{sentence}"):
        replayed(source, target, schemas=[""])
    assert rows(target) == []
    assert target.run("SELECT to_regnamespace('standby_replay')") == [[None]]
    target.run(remedy)
    assert replayed(source, target, schemas=[""]).whole
    assert target.hashes() == source.hashes()


def test_event_triggers_and_foreign_keys_that_always_act_are_refused(
    launch: Launch, authority: Authority, scratch: Path, secrets: SecretsManager
) -> None:
    """Only a superuser makes them: they come along in a copy of a server that is not RDS's."""
    schema = TABLE + "; CREATE TABLE public.u (id integer PRIMARY KEY, t integer REFERENCES public.t ON DELETE CASCADE)"
    server = launch("acting", settings=SETTINGS, prepare=prepare, database="postgres")
    target = Registry.create(server, authority.root, scratch, secrets, schema)
    target.archive()
    server.stop()
    server._administer(
        "CREATE FUNCTION public.noted() RETURNS event_trigger LANGUAGE plpgsql"
        " AS 'BEGIN INSERT INTO public.t VALUES (0); END';\n\n"
        "CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION public.noted();\n\n"
        "ALTER EVENT TRIGGER noted ENABLE ALWAYS;\n\n"
        "UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = 'public.t'::regclass;\n\n",
        target.database,
    )
    server.start()
    with pytest.raises(
        StoppedError, match=r"the event trigger noted, the trigger \"RI_\w+\" on public\.t.*EVENT TRIGGER noted DIS"
    ):
        replayed(target, target)
    assert rows(target) == [], "not even our own schema was made, which the event trigger would have noted"
    server.destroy()


IDENTITIES = {
    "a key": (
        "CREATE TABLE public.i (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text)",
        ("INSERT INTO public.i (note) VALUES ('a'), ('b')", "UPDATE public.i SET id = DEFAULT WHERE id = 1"),
    ),
    "the only column": (
        "CREATE TABLE public.i (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
        (
            "INSERT INTO public.i VALUES (DEFAULT), (DEFAULT)",
            "UPDATE public.i SET id = DEFAULT WHERE id = 1",
            "ALTER TABLE public.i ALTER id SET GENERATED BY DEFAULT; UPDATE public.i SET id = id;"
            " ALTER TABLE public.i ALTER id SET GENERATED ALWAYS",
        ),
    ),
    "no key": (
        "CREATE TABLE public.i (code text PRIMARY KEY, n integer GENERATED ALWAYS AS IDENTITY UNIQUE, large text,"
        " twice integer GENERATED ALWAYS AS (length(code) * 2) STORED, short varchar(3), at timestamptz);"
        "ALTER TABLE public.i ALTER large SET STORAGE EXTERNAL",
        (
            "INSERT INTO public.i (code, large, at) VALUES ('a', repeat('x', 5000), '2026-07-02'), ('b', NULL, NULL)",
            "UPDATE public.i SET n = DEFAULT WHERE code = 'a'",
            "UPDATE public.i SET n = DEFAULT, code = 'it''s', short = 'abc' WHERE code = 'b'",
            "UPDATE public.i SET short = 'x'",
        ),
    ),
    "a part of the key": (
        "CREATE TABLE public.i (a integer, n bigint GENERATED ALWAYS AS IDENTITY, note text, PRIMARY KEY (a, n))",
        (
            "INSERT INTO public.i (a) VALUES (1), (1), (2)",
            "UPDATE public.i SET n = DEFAULT WHERE a = 1",
            "UPDATE public.i SET a = 3, note = 'y' WHERE a = 2",
        ),
    ),
    "a column of a table whose identity is full": (
        "CREATE TABLE public.i (v integer, n integer GENERATED ALWAYS AS IDENTITY);ALTER TABLE public.i REPLICA IDENTITY FULL",
        (
            "INSERT INTO public.i (v) VALUES (1), (1), (NULL)",
            "UPDATE public.i SET n = DEFAULT WHERE n = 2 OR v IS NULL",
            "UPDATE public.i SET v = 7 WHERE n = 1",
        ),
    ),
    "a column that another index than the key's tells apart": (
        "CREATE TABLE public.i (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text NOT NULL UNIQUE, note text);"
        "ALTER TABLE public.i REPLICA IDENTITY USING INDEX i_code_key",
        (
            "INSERT INTO public.i (code) VALUES ('a'), ('b')",
            "UPDATE public.i SET id = DEFAULT WHERE code = 'a'",
            "UPDATE public.i SET note = 'same'",
        ),
    ),
}


@pytest.mark.parametrize("what", IDENTITIES)
def test_identity_column_that_changed_is_written(source: Registry, what: str) -> None:
    schema, statements = IDENTITIES[what]
    source.run(schema)
    source.archive()
    source.run(*statements)
    source.archive()
    target = source.fresh(TABLE + ";" + schema)
    # That a column was no identity for a while is a mark.
    assert replayed(source, target, schemas=[""], harmless=[""]).whole
    assert target.hashes() == source.hashes()


def test_identity_column_of_a_row_that_is_not_there_stops_the_replay(source: Registry) -> None:
    schema, statements = IDENTITIES["no key"]
    source.run(schema, *statements)
    source.archive()
    target = source.fresh(TABLE + ";" + schema)
    replayed(source, target, schemas=[""], until=next(iter(commits_of(verify(source.directory).entries[-1]))).position)
    target.run("DELETE FROM public.i WHERE code = 'a'")
    with pytest.raises(StoppedError, match=r"the row is not as it was \(0 instead of 1 were met\)"):
        replayed(source, target, schemas=[""])


DEFERRABLE = "CREATE TABLE public.pos (id integer PRIMARY KEY DEFERRABLE, note text)"


def test_deferrable_key_is_no_key(source: Registry) -> None:
    """The log does not hold its old values, so that a row would be sought by its new ones, which are another row's."""
    source.run(DEFERRABLE)
    source.archive()
    source.run(
        "INSERT INTO public.pos VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "UPDATE public.pos SET id = id + 1",
        "DELETE FROM public.pos WHERE id = 4",
    )
    source.archive()
    assert "public.pos" in verify(source.directory).entries[-2].end["without_key"]
    for schema in (DEFERRABLE, DEFERRABLE.replace(" DEFERRABLE", "")):  # what the source had counts, not what the target has
        target = source.fresh(TABLE + ";" + schema)
        done = replayed(source, target, schemas=[""])
        assert done.not_replayed == {
            'UPDATE of "public"."pos": the archive does not say of which row (no key)': 3,
            'DELETE of "public"."pos": the archive does not say of which row (no key)': 1,
        }
        assert target.run("SELECT id, note FROM public.pos ORDER BY 1") == [[1, "a"], [2, "b"], [3, "c"]]
        assert any(note.startswith("public.pos has no replica identity") for note in done.notes)


def test_deferrable_key_of_a_table_whose_identity_is_full_is_replayed(source: Registry) -> None:
    """Two rows have one key for a while: the whole row tells them apart."""
    schema = DEFERRABLE + "; ALTER TABLE public.pos REPLICA IDENTITY FULL"
    source.run(schema)
    source.archive()
    source.run("INSERT INTO public.pos VALUES (1, 'a'), (2, 'b'), (3, 'c')", "UPDATE public.pos SET id = id + 1")
    source.run("UPDATE public.pos SET id = 7 - id", "DELETE FROM public.pos WHERE note = 'b'")
    source.archive()
    target = source.fresh(TABLE + ";" + schema)
    assert replayed(source, target, schemas=[""]).whole
    assert target.hashes() == source.hashes()


def test_identity_whose_index_was_dropped_is_none(source: Registry) -> None:
    """The server does not fall back to the primary key then."""
    schema = (
        "CREATE TABLE public.pos (id integer PRIMARY KEY, code text NOT NULL);"
        "CREATE UNIQUE INDEX by_code ON public.pos (code); ALTER TABLE public.pos REPLICA IDENTITY USING INDEX by_code;"
        "DROP INDEX public.by_code"
    )
    source.run(schema)
    source.archive()
    source.run(
        "INSERT INTO public.pos VALUES (1, 'a'), (2, 'b')",
        "UPDATE public.pos SET id = 3 WHERE id = 1",
        "UPDATE public.pos SET code = 'z' WHERE id = 2",
    )
    source.archive()
    target = source.fresh(TABLE + ";" + schema)
    done = replayed(source, target, schemas=[""])
    assert done.not_replayed == {'UPDATE of "public"."pos": the archive does not say of which row (no key)': 2}
    assert target.run("SELECT id, code FROM public.pos ORDER BY 1") == [[1, "a"], [2, "b"]]


def test_what_an_earlier_run_could_not_replay_is_not_forgotten_by_the_one_that_goes_on(source: Registry) -> None:
    """The target lacks it still, whether the run before came to its end, stopped or was killed."""
    schema = "CREATE TABLE public.loose (v integer)"
    source.run(schema)
    source.archive()
    source.run("INSERT INTO public.loose VALUES (1), (2)", "DELETE FROM public.loose WHERE v = 1")
    source.run("INSERT INTO public.t VALUES (1, 'n')", "UPDATE public.t SET note = 'x'", "UPDATE public.loose SET v = 3")
    source.archive()
    commits = [commit for entry in verify(source.directory).entries for commit in commits_of(entry)]
    target = source.fresh(TABLE + ";" + schema)
    replayed(source, target, until=commits[2].position, schemas=[""])
    target.run("DELETE FROM public.t")
    done = replayed(source, target, until=commits[3].position, conflicts=True)
    deleted, updated = (
        f'{action} of "public"."loose": the archive does not say of which row (no key)' for action in ("DELETE", "UPDATE")
    )
    assert (done.transactions, done.not_replayed, len(done.conflicts)) == (1, {deleted: 1}, 1)
    conflicts = done.conflicts
    for transactions in (1, 0):
        done = replayed(source, target)
        assert (done.transactions, done.not_replayed, done.conflicts) == (transactions, {deleted: 1, updated: 1}, conflicts)
        assert not done.whole


def test_many_changes_of_many_tables_are_sent_in_portions(source: Registry) -> None:
    source.run(
        "INSERT INTO public.t SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 3000) n",
        "UPDATE public.t SET note = note || 'x'",
        "BEGIN; DELETE FROM public.t WHERE id % 2 = 0;"
        " INSERT INTO public.t SELECT n, 'new' FROM generate_series(2, 3000, 2) n; COMMIT",
        "UPDATE public.t SET id = id WHERE id = 1",
    )
    source.archive()
    target = source.fresh(TABLE)
    done = replayed(source, target)
    assert (done.transactions, done.changes, done.whole) == (4, 9001, True)
    assert target.hashes() == source.hashes()


def test_row_of_which_nothing_can_be_set_must_be_there_all_the_same(source: Registry) -> None:
    schema = "CREATE TABLE public.f (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, large text);"
    source.run(
        schema,
        "ALTER TABLE public.f ALTER large SET STORAGE EXTERNAL",
        "INSERT INTO public.f (large) VALUES (repeat('x', 5000))",
        "UPDATE public.f SET large = large",
    )
    source.archive()
    target = source.fresh(TABLE + ";" + schema)
    assert replayed(source, target, schemas=[""]).whole
    assert target.hashes() == source.hashes()


def test_change_of_a_parent_does_not_touch_the_tables_that_inherit_from_it(source: Registry) -> None:
    schema = (
        "CREATE TABLE public.whole (a integer PRIMARY KEY, b text); CREATE TABLE public.part () INHERITS (public.whole);"
        "CREATE TABLE public.loose (a integer, b text); ALTER TABLE public.loose REPLICA IDENTITY FULL;"
        "CREATE TABLE public.looser () INHERITS (public.loose); ALTER TABLE public.looser REPLICA IDENTITY FULL"
    )
    source.run(
        schema,
        *(f"INSERT INTO public.{table} VALUES (1, 'x'), (2, 'y')" for table in ("whole", "part", "loose", "looser")),
        *(f"UPDATE ONLY public.{table} SET b = '{table}' WHERE a = 1" for table in ("whole", "loose", "looser")),
        *(f"DELETE FROM ONLY public.{table} WHERE a = 2" for table in ("whole", "loose")),
    )
    source.archive()
    target = source.fresh(TABLE + ";" + schema)
    assert replayed(source, target, schemas=[""]).whole
    assert target.hashes() == source.hashes()
    assert target.run("SELECT b FROM public.part ORDER BY 1") == [["x"], ["y"]]


def test_sequence_that_the_target_lacks_is_named_and_one_that_is_ahead_stays(source: Registry) -> None:
    source.run("CREATE SEQUENCE public.s", "CREATE SEQUENCE public.u", "SELECT setval('public.s', 10), setval('public.u', 10)")
    source.archive()
    target = source.fresh(TABLE)
    target.run("CREATE SEQUENCE public.u", "SELECT setval('public.u', 20)")
    done = replayed(source, target, schemas=[""])
    assert "The target has no sequence public.s; its value was 10." in done.notes
    assert target.run("SELECT last_value FROM public.u") == [[20]]


def test_replay_of_a_database_that_was_itself_replayed_into_leaves_its_record_out(five: Registry) -> None:
    middle = five.fresh(TABLE)
    middle.archive()
    replayed(five, middle)
    middle.archive()
    target = five.fresh(TABLE)
    done = replayed(middle, target, schemas=[""])
    assert done.whole
    assert rows(target) == rows(five)
    assert done.changes == 5
    middle.forget()


def test_copy_of_a_server_that_was_replayed_into_and_worked_on_begins_where_it_was_copied(source: Registry) -> None:
    """Its record of that replay is older than what it knows: what it was not to have, or has already, would be applied to it."""
    schema = "CREATE TABLE public.loose (v integer)"
    source.run(schema)
    source.archive()
    source.run("INSERT INTO public.loose VALUES (1)")
    source.archive()
    entry = verify(source.directory).entries[-1]
    assert entry.last is not None
    [[system]] = source.run("SELECT system_identifier::text FROM pg_control_system()")
    reached = show(entry.last.position)
    with source.login() as connection:
        connection.run(PROGRESS)
        connection.run(
            f"INSERT INTO {SCHEMA}.progress VALUES (true, '{system}', {entry.number}, '{reached}', '{entry.last.time}', 1);"
            f" INSERT INTO {SCHEMA}.lacking VALUES ('id', 'a change that did not fit then', true, 1)"
        )
    source.run("INSERT INTO public.loose VALUES (2)", "UPDATE public.t SET note = 'x'", "INSERT INTO public.t VALUES (2)")
    source.archive()
    with source.login() as connection:
        done = apply(source.directory, connection, Options(schemas=[""]))
    assert (done.transactions, done.whole) == (0, True)
    assert done.notes[0].startswith(f"An earlier replay stopped after {reached}; the server has worked on")
    assert source.run("SELECT v FROM public.loose ORDER BY 1") == [[1], [2]]


def test_schema_that_changed_in_the_entry_in_which_replay_begins_is_noted(source: Registry) -> None:
    source.run("CREATE VIEW public.more AS SELECT 1 AS one", "INSERT INTO public.t VALUES (1)")
    source.archive()
    entry = verify(source.directory).entries[-1]
    done = replayed(source, source.fresh(TABLE), start=entry.after + 1)
    assert any("be sure that the target has it" in note for note in done.notes)


def test_small_messages_do_not_wait_for_receipts(five: Registry) -> None:
    """Otherwise each of a transaction's messages waits 40 ms: replay was measured to be sixty times slower."""
    with five.fresh(TABLE).login() as connection:
        apply(five.directory, connection, Options(start=five.begins()))
        assert connection._usock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# Targets and archives that do not serve.


def test_broken_archive_is_not_applied(five: Registry) -> None:
    five.entries()[-1].write_bytes(b"")
    target = five.fresh(TABLE)
    with target.login() as connection, pytest.raises(StoppedError, match="The archive is broken, and nothing was applied"):
        apply(five.directory, connection)
    assert rows(target) == []


def test_second_replay_waits_for_nobody(five: Registry) -> None:
    target = five.fresh(TABLE)
    with target.login() as connection:
        connection.run(f"SELECT pg_advisory_lock({LOCK})")
        with pytest.raises(StoppedError, match="Another replay is at work"):
            replayed(five, target)


def test_user_that_may_not_silence_triggers_is_told(five: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    user = f"plain_{five.database}"
    five.run(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    from tests.support.functions import archives

    monkeypatch.setattr(archives, "USER", user)
    with pytest.raises(StoppedError, match=r"session_replication_role to replica: .*\(42501\).*rds_superuser"):
        replayed(five, five, start=0)


def test_target_in_recovery_is_refused(launch: Launch, five: Registry) -> None:
    def stand_by(server: Server) -> None:
        prepare(server)
        (server.data / "standby.signal").touch()

    server = launch("standing-by", settings=SETTINGS, prepare=stand_by, database="postgres")
    target = Registry(server, five.root, five.directory, database="postgres")
    with pytest.raises(StoppedError, match="in recovery and cannot be written to"):
        replayed(five, target)
    server.destroy()


def test_target_of_another_archive_is_refused(five: Registry, tmp_path: Path) -> None:
    target = five.fresh(TABLE)
    replayed(five, target)
    forgery = Forgery(tmp_path)
    forgery.add("begin")
    with target.login() as connection, pytest.raises(StoppedError, match="the archive does not have it"):
        apply(tmp_path, connection)


def test_position_that_the_archive_does_not_cover_is_refused(five: Registry) -> None:
    with pytest.raises(StoppedError, match=r"does not hold what follows 0/1; it begins at "):
        replayed(five, five.fresh(TABLE), start=1)
    with pytest.raises(StoppedError, match="does not hold what follows"):
        replayed(five, five.fresh(TABLE), epoch=2)


def _restored_twice(directory: Path, system: str) -> Forgery:
    """Two epochs whose positions came again, the second with a gap before it."""
    forgery = Forgery(directory, system)
    forgery.add("begin")
    forgery.add("segment", forgery.transaction(1, 0x200, "table public.t: INSERT: id[integer]:1 note[text]:'old'"))
    forgery.epoch, forgery.position = 2, 0x180
    forgery.add("gap", header={"reason": "restored", "gap": {"after": "0/200", "until": "0/180"}, "timeline": 2})
    forgery.add("segment", forgery.transaction(2, 0x300, "table public.t: INSERT: id[integer]:2 note[text]:'new'"))
    return forgery


def test_position_that_came_twice_needs_its_epoch(five: Registry, tmp_path: Path) -> None:
    _restored_twice(tmp_path, "1")
    target = five.fresh(TABLE)
    with target.login() as connection:
        with pytest.raises(StoppedError, match=r"lies in the epochs 1, 2: the server was restored in between"):
            apply(tmp_path, connection, Options(start=0x190))
        assert apply(tmp_path, connection, Options(start=0x190, epoch=2)).transactions == 1
    assert rows(target) == [[2, "new"]]
    with (
        five.fresh(TABLE).login() as connection,
        pytest.raises(StoppedError, match=r"does not hold what follows 0/210; .* and has gaps"),
    ):
        apply(tmp_path, connection, Options(start=0x210, epoch=1))


def test_row_that_nobody_can_read_stops_the_replay(five: Registry, tmp_path: Path) -> None:
    forgery = Forgery(tmp_path)
    forgery.add("begin")
    rows_ = forgery.transaction(1, 0x200, "table public.t: INSERT: id[integer]:1 note[text]:'a'", "table public.t: INSERT: id")
    forgery.add("segment", rows_)
    target = five.fresh(TABLE)
    with target.login() as connection:
        with pytest.raises(StoppedError, match=r"this is no column: ' id'"):
            apply(tmp_path, connection, Options(start=0x100))
        done = apply(tmp_path, connection, Options(start=0x100, conflicts=True))
    assert len(done.conflicts) == 1
    assert rows(target) == [[1, "a"]]


def test_keys_that_the_archive_does_not_hold_are_reported(five: Registry, tmp_path: Path) -> None:
    forgery = Forgery(tmp_path)
    forgery.add("begin")
    changes = (
        "table public.t: UPDATE: id[integer]:unchanged-toast-datum note[text]:'a'",
        "table public.t: DELETE: (no-tuple-data)",
    )
    forgery.add("segment", forgery.transaction(1, 0x200, *changes))
    with five.fresh(TABLE).login() as connection:
        done = apply(tmp_path, connection, Options(start=0x100))
    assert sum(done.not_replayed.values()) == 2


# Where to begin.


def _unproven(target: Registry, directory: Path) -> str:
    with target.login() as connection, pytest.raises(StoppedError, match="Where to begin cannot be proven") as caught:
        apply(directory, connection)
    return str(caught.value)


def test_start_that_cannot_be_proven_is_refused(five: Registry, launch: Launch, tmp_path: Path) -> None:
    forgery = Forgery(tmp_path / "other", "1")
    forgery.add("begin")
    assert "holds no transaction of the server" in _unproven(five.fresh(TABLE), tmp_path / "other")
    [[system]] = five.run("SELECT system_identifier::text FROM pg_control_system()")
    forgery = Forgery(tmp_path / "none", system)
    forgery.add("begin")
    forgery.add("segment", forgery.transaction(700, 0x200, "table public.t: INSERT: id[integer]:1 note[text]:'a'"))
    assert "has none of the archive's transactions" in _unproven(five.fresh(TABLE), tmp_path / "none")
    settings = {name: value for name, value in SETTINGS.items() if name != "track_commit_timestamp"}
    server = launch("forgetful", settings=settings, prepare=prepare, database="postgres")
    assert "track_commit_timestamp is off" in _unproven(
        Registry(server, five.root, five.directory, database="postgres"), five.directory
    )
    server.destroy()


@pytest.mark.parametrize("known", range(1, 8))
def test_start_is_proven_by_the_times_of_commits(source: Registry, known: int) -> None:
    """The target is the server itself, which has them all; in the archive the times of the later ones are another's."""
    for number in range(1, 8):
        source.run(f"INSERT INTO public.t VALUES ({number})")
        if number in (3, 4):
            source.archive()
    source.archive()
    commits = [commit for entry in verify(source.directory).entries for commit in commits_of(entry)]
    [[system]] = source.run("SELECT system_identifier::text FROM pg_control_system()")
    forgery = Forgery(source.directory.parent / f"forged-{source.database}", system)
    forgery.add("begin", to=source.begins())
    later = [f"COMMIT {commit.xid} " for commit in commits[known:]]
    for path in source.entries()[1:]:
        rows_ = [row.replace("(at 20", "(at 19") if any(text in row for text in later) else row for row in read(path)[1:-1]]
        forgery.add("segment", rows_)
    with source.login() as connection:
        if known == len(commits):
            done = apply(forgery.directory, connection)
            assert done.transactions == 0
            assert f"transaction {commits[-1].xid}, committed" in done.notes[0]
        else:
            with pytest.raises(StoppedError) as caught:
                apply(forgery.directory, connection)
            # The first that the target is not known to have is the first that is tried; here it is there, and does not fit.
            assert str(caught.value).startswith(f"Transaction {commits[known].xid}, committed")


def test_progress_in_the_target_is_what_the_report_says(five: Registry) -> None:
    target = five.fresh(TABLE)
    done = replayed(five, target)
    assert done.reached is not None
    assert target.run("SELECT entry, lsn::text, transactions FROM standby_replay.progress") == [
        [2, show(done.reached.position), 5]
    ]
