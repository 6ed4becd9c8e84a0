# ruff: noqa: S608, E501  statements with names of our own, laid out as statements
"""A registry on a real server, its archive, and what tests do with them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from emulator.authority import Authority
from emulator.postgres import Server
from replay import Replayed, apply, verify
from replay.apply import Options
from tests.servers import secrets_manager
from tests.servers.fixtures import PASSWORD, USER, Launch
from tests.servers.secrets_manager import SecretsManager
from tests.support.functions.children import Children

SETTINGS = {
    "wal_level": "logical",
    "fsync": "off",
    "max_slot_wal_keep_size": "1GB",
    "track_commit_timestamp": "on",
    "max_wal_senders": "20",
    "max_replication_slots": "40",
    "max_connections": "60",
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
    "autovacuum": "off",
}

KINDS = """
CREATE SCHEMA "Odd schema";
CREATE TYPE "Odd schema"."Mo[o]:d" AS ENUM ('glad', 'it''s "sad"', 'null');
CREATE TYPE public.place AS (street text, number integer);
CREATE DOMAIN public.positive AS numeric CHECK (VALUE > 0);
CREATE TABLE "Odd schema"."We""ird [table]: INSERT:" (
    "Id[integer]:1" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "a:b ' c" text, plain varchar(40), fixed char(6), bytes bytea, many text[], numbers numeric[], document jsonb, json json,
    at timestamptz, local timestamp, day date, clock time, lasting interval, exact numeric, rough float8, rougher real, small smallint,
    flag boolean, bits bit(5), varied bit varying, mood "Odd schema"."Mo[o]:d", home public.place, homes public.place[],
    positive public.positive, address inet, range tstzrange, uuid uuid, money money, xml xml, point point, word tsvector,
    oid oid, class regclass, "char" "char", name name, "new
line" text, doubled numeric GENERATED ALWAYS AS (exact * 2) STORED, large text
);
ALTER TABLE "Odd schema"."We""ird [table]: INSERT:" ALTER large SET STORAGE EXTERNAL;
CREATE TABLE public.full_identity (a integer, b text, c jsonb, d char(4), e boolean, f public.place);
ALTER TABLE public.full_identity REPLICA IDENTITY FULL;
CREATE TABLE public.by_index (id integer PRIMARY KEY, code text NOT NULL, note text);
CREATE UNIQUE INDEX by_code ON public.by_index (code) INCLUDE (note);
ALTER TABLE public.by_index REPLICA IDENTITY USING INDEX by_code;
CREATE TABLE public.parted (id integer, region text, note text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE public.parted_north PARTITION OF public.parted FOR VALUES IN ('north');
CREATE TABLE public.parted_rest PARTITION OF public.parted DEFAULT;
CREATE TABLE public.parent (id integer PRIMARY KEY, note text);
CREATE TABLE public.child (id integer PRIMARY KEY, parent integer REFERENCES public.parent ON DELETE CASCADE);
CREATE TABLE public.audit (id serial PRIMARY KEY, what text);
CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.audit (what) VALUES (TG_OP || ' ' || COALESCE(NEW.id, OLD.id)); RETURN NULL; END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON public.parent FOR EACH ROW EXECUTE FUNCTION public.audit();
CREATE TABLE public.citizens (id integer PRIMARY KEY, name text, balance numeric, seen timestamptz DEFAULT clock_timestamp());
CREATE SEQUENCE public.tickets INCREMENT -3 MAXVALUE 1000;
"""


@dataclass
class Registry:
    """One database of a server with its user's secret and its archive's directory."""

    server: Server
    root: Path
    directory: Path
    service: SecretsManager | None = None
    database: str = ""
    slot: str = "efs_archiver"
    arn: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, server: Server, root: Path, scratch: Path, service: SecretsManager, schema: str = KINDS) -> Registry:
        """A new database with a schema, and an empty directory."""
        name = f"registry_{uuid.uuid4().hex[:8]}"
        directory = scratch / f"archive-{name}"
        directory.mkdir()
        registry = cls(server, root, directory, service, name, f"slot_{name}")
        with registry.login("postgres") as connection:
            connection.run(f"CREATE DATABASE {name}")
        with registry.login() as connection:
            connection.run(schema)
        registry.arn = service.create({"username": USER, "password": PASSWORD, "dbname": name})
        return registry

    @contextlib.contextmanager
    def login(self, database: str = "") -> Iterator[pg8000.native.Connection]:
        connection = pg8000.native.Connection(
            USER,
            host=self.server.host,
            port=self.server.port,
            database=database or self.database,
            password=PASSWORD,
            ssl_context=ssl.create_default_context(cafile=str(self.root)),
        )
        try:
            yield connection
        finally:
            with contextlib.suppress(pg8000.native.InterfaceError, OSError):
                connection.close()

    def run(self, *statements: str) -> Any:
        """Runs statements, each a transaction of its own; returns the last one's rows."""
        rows = None
        with self.login() as connection:
            for statement in statements:
                rows = connection.run(statement)
        return rows

    @property
    def environment(self) -> dict[str, str]:
        assert self.service is not None
        return {
            **self.service.environment,
            "DATABASE_HOST": self.server.host,
            "DATABASE_PORT": str(self.server.port),
            "PGSSLROOTCERT": str(self.root),
            "SECRET_ARN": self.arn,
            "ARCHIVE_DIRECTORY": str(self.directory),
            "ARCHIVE_SLOT": self.slot,
            "AWS_LAMBDA_FUNCTION_NAME": "log-archive-test",
            **self.extra,
        }

    def archive(self, seconds: float | None = None) -> dict[str, Any]:
        """One run of the function in this process."""
        from unittest.mock import patch

        from log_archive.handler import handler

        with patch.dict(os.environ, self.environment):
            return handler({}, None if seconds is None else Time(seconds))

    def forget(self) -> None:
        """Drops the slot."""
        with self.login() as connection:
            connection.run(
                f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{self.slot}'"
            )

    def fresh(self, schema: str = KINDS) -> Registry:
        """Another database of the same server with the same schema and no rows: what a restored dump would be."""
        assert self.service is not None
        return Registry.create(self.server, self.root, self.directory.parent, self.service, schema)

    def hashes(self) -> dict[str, str]:
        """Each table's rows, in whatever order they lie, as one digest."""
        with self.login() as connection:
            connection.run("SET search_path = ''; SET TimeZone = 'UTC'; SET extra_float_digits = 1")
            names = connection.run(
                "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'r' AND relnamespace::regnamespace::text"
                " !~ '^(pg_|information_schema|standby_replay)' ORDER BY 1"
            )
            return {
                name: hashlib.sha256(
                    "\n".join(sorted(str(row[0]) for row in connection.run(f"SELECT t::text FROM {name} t"))).encode()
                ).hexdigest()
                + f" {connection.run(f'SELECT count(*) FROM {name}')[0][0]}"
                for (name,) in names
            }

    def begins(self) -> int:
        """The position from which the archive is whole."""

        return verify(self.directory).entries[0].to

    def entries(self) -> list[Path]:
        return sorted(self.directory.glob("epoch-*/*/*.log.gz"))


@dataclass
class Time:
    """Lambda's context, as far as it is asked."""

    seconds: float

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def prepare(server: Server) -> None:
    """What RDS's master user has by rds_replication and rds_superuser."""
    server._administer(f"ALTER ROLE {USER} REPLICATION;\n\nGRANT SET ON PARAMETER session_replication_role TO {USER};\n\n")


def said(output: str) -> list[Mapping[str, Any]]:
    """The JSON lines of a log."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def days(registry: Registry, day: str) -> None:
    """Makes the archive's one day another: moves its entries, and what head.json says of the newest."""
    [folder] = registry.directory.glob("epoch-*/*")
    folder.rename(folder.with_name(day))
    head = registry.directory / "head.json"
    values = json.loads(head.read_text())
    epoch, _, name = values["name"].split("/")
    head.write_text(json.dumps({**values, "name": f"{epoch}/{day}/{name}"}))


def remove(path: Path) -> None:
    """A file, or a folder with all that is in it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


WEIRD = '"Odd schema"."We""ird [table]: INSERT:"'
WORK = (
    f"""INSERT INTO {WEIRD} ("a:b ' c", plain, fixed, bytes, many, numbers, document, json, at, local, day, clock, lasting, exact,
    rough, rougher, small, flag, bits, varied, mood, home, homes, positive, address, range, uuid, money, xml, point, word, oid, class,
    "char", name, "new\nline", large) VALUES
    (E'it''s \\\\ a "quoted"\\nline\\twith [text]:''x'' \\r and \\\\N', '', 'ab', '\\x00ff5c27', ARRAY['a', NULL, 'NULL', 'x "y" \\ z', ''],
    ARRAY['NaN', 'Infinity', '-1.50']::numeric[], '{{"k": "it''s \\\\n", "n": [1, null, 1.0]}}', '{{"a" : 1}}', '2026-07-02 12:00:00.123456+09',
    'infinity', '-infinity', '23:59:59.999999', '-1 year 2 mons -3 days 04:05:06.7', 'NaN', '-Infinity', '1e-30', -32768, true,
    B'10110', B'', 'it''s "sad"', ROW('a "b", c', NULL), ARRAY[ROW('x', 1), NULL, ROW(NULL, NULL)]::public.place[], 0.1,
    '10.0.0.0/8', '[2026-01-01,)', '00000000-0000-0000-0000-000000000001', -1234.5, '<a b="c">d</a>', '(1.5,-2)', '''it'':1 b:2',
    4000000000, 'public.parent', '''', 'na me', 'null', repeat(md5('x'), 400)),
    ('日本語 ‮ 🏯', 'unchanged-toast-datum', 'null', '', '{{}}', '{{}}', 'null', 'null', 'infinity', '-infinity', '0044-03-15 BC', '00:00',
    '0', 'Infinity', 'NaN', 'NaN', 0, false, B'00000', B'1', 'null', NULL, '{{}}', NULL, '::1', 'empty', NULL, NULL, NULL, NULL, NULL,
    0, NULL, '', '', 'true', 'short')""",
    f"INSERT INTO {WEIRD} (exact) VALUES (123456789012345678901234567890.123456789)",
    f"""UPDATE {WEIRD} SET exact = exact + 1""",
    f"""UPDATE {WEIRD} SET "a:b ' c" = NULL, large = large || 'y' WHERE "Id[integer]:1" = 2""",
    f'DELETE FROM {WEIRD} WHERE "Id[integer]:1" = 3',
    "INSERT INTO public.full_identity VALUES (1, 'x', '{\"a\": 1.0}', 'ab', true, ROW('a', 1)), (1, 'x', '{\"a\": 1.0}', 'ab', true, ROW('a', 1)),"
    " (NULL, NULL, NULL, NULL, NULL, NULL), (2, '', 'null', '', false, ROW(NULL, NULL))",
    "UPDATE public.full_identity SET b = 'y' WHERE ctid = '(0,1)'",
    "UPDATE public.full_identity SET a = 7 WHERE a IS NULL",
    "DELETE FROM public.full_identity WHERE b = 'x'",
    "UPDATE public.full_identity SET d = 'z' WHERE a = 2",
    "INSERT INTO public.by_index SELECT n, 'code ' || n FROM generate_series(1, 20) n",
    "UPDATE public.by_index SET id = id + 100",
    "UPDATE public.by_index SET code = 'x' || code, note = 'moved' WHERE id > 110",
    "DELETE FROM public.by_index WHERE id = 120",
    "INSERT INTO public.parted SELECT n, CASE n % 2 WHEN 0 THEN 'north' ELSE 'else' END FROM generate_series(1, 30) n",
    "UPDATE public.parted SET region = 'north', note = 'moved' WHERE id < 6",
    "BEGIN; INSERT INTO public.parent SELECT n, 'p' FROM generate_series(1, 50) n; INSERT INTO public.child SELECT n, n FROM"
    " generate_series(1, 50) n; SAVEPOINT s; DELETE FROM public.parent WHERE id < 10; ROLLBACK TO s; UPDATE public.parent SET note = 'q'"
    " WHERE id < 5; DELETE FROM public.parent WHERE id > 40; COMMIT",
    "BEGIN; INSERT INTO public.parent VALUES (999); ROLLBACK",
    "SELECT nextval('public.tickets') FROM generate_series(1, 7)",
    "SELECT pg_logical_emit_message(true, 'marker', 'in a transaction of its own')",
    "SELECT pg_logical_emit_message(false, 'marker', 'outside')",
    "BEGIN; SELECT pg_logical_emit_message(true, 'm', E'with\\nnewline'); INSERT INTO public.parent VALUES (77, 'after a message'); COMMIT",
    "TRUNCATE public.parted",
    "INSERT INTO public.parted VALUES (1, 'north', 'again')",
    "TRUNCATE public.parent CASCADE",
    "INSERT INTO public.parent VALUES (1, 'new')",
    "TRUNCATE public.audit RESTART IDENTITY",
    "INSERT INTO public.audit (what) VALUES ('first again')",
)


@pytest.fixture(scope="session")
def primary(launch: Launch) -> Server:
    """A server as the registry's: changes can be decoded, commits have times."""
    return launch("primary", settings=SETTINGS, prepare=prepare, database="postgres")


@pytest.fixture(scope="session")
def secrets() -> Iterator[SecretsManager]:
    """Secrets Manager."""
    with secrets_manager.running() as running:
        yield running


@pytest.fixture
def registry(primary: Server, authority: Authority, scratch: Path, secrets: SecretsManager) -> Iterator[Registry]:
    """A new database with an empty archive; its slot goes with it, so that it holds no log back."""
    registry = Registry.create(primary, authority.root, scratch, secrets)
    yield registry
    registry.forget()


@pytest.fixture(scope="session")
def archivers() -> Iterator[Archivers]:
    """Runs archivers and replays in processes of their own."""
    started = Archivers()
    yield started
    started.end()


class Archivers(Children):
    """Runs archivers and replays in children."""

    def __init__(self) -> None:
        super().__init__("tests.support.functions.archive_runner")

    def run(self, registry: Registry, **how: Any) -> dict[str, Any]:
        """``how``: ``at`` (index of a step, which is not made any more) and ``signal`` (SIGKILL, SIGSTOP)."""
        return self.ask(environment=registry.environment, **how)

    def replay(self, target: Registry, directory: Path, start: int, **how: Any) -> dict[str, Any]:
        environment = {
            "PGHOST": target.server.host,
            "PGPORT": str(target.server.port),
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": target.database,
            "PGSSLROOTCERT": str(target.root),
        }
        return self.ask(environment=environment, replay=str(directory), start=start, **how)


@contextmanager
def restoration(source: Server, launch: Launch, name: str) -> Iterator[Server]:
    """A copy of the source as it is now, on a timeline of its own: what a snapshot's restoration makes."""
    source.stop()
    copy: Server

    def put(server: Server) -> None:
        keep = {path: path.read_bytes() for path in server.data.glob("*") if path.name in ("postgresql.conf", "pg_hba.conf")}
        owner = server.data.stat()
        shutil.rmtree(server.data)
        shutil.copytree(source.data, server.data)
        for path, content in keep.items():
            path.write_bytes(content)
        (server.data / "recovery.signal").touch()
        for path in (server.data, *server.data.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)

    copy = launch(name, settings={**SETTINGS, "restore_command": "false"}, prepare=put, database="postgres")
    source.start()
    try:
        yield copy
    finally:
        copy.destroy()


def until_writable(registry: Registry) -> None:
    while registry.run("SELECT pg_is_in_recovery()")[0][0]:
        time.sleep(0.05)


def replayed(source: Registry, target: Registry, **options: Any) -> Replayed:
    """The source's archive on another database, from its beginning if nothing else is said."""
    with target.login() as connection:
        return apply(source.directory, connection, Options(**{"start": source.begins(), **options}))
