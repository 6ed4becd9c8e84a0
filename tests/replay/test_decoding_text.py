"""The language of test_decoding, against the server that writes it."""

# ruff: noqa: S608  statements with names of our own

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.decoding_text import UNCHANGED, Change, TextError, head, parse, unescape
from tests.support.functions.archives import Registry

# All that a text or a name of PostgreSQL may hold, with a liking for what the language itself is made of.
CHARACTERS = st.one_of(
    st.sampled_from("'\"[]:\\ \n\t\r\b\f\v,.(){}BNn$-"), st.characters(blacklist_characters="\0", blacklist_categories=("Cs",))
)
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=40),
    st.sampled_from(
        [
            "null",
            "unchanged-toast-datum",
            "true",
            "",
            " new-tuple: a[text]:'x'",
            "' b[integer]:1",
            "(no-tuple-data)",
            "\\N",
            "\\.",
            "B'1'",
        ]
    ),
)
NAMES = st.text(CHARACTERS, min_size=1, max_size=10).filter(lambda name: len(name.encode()) < 60 and not name.startswith("pg_"))


class Source:
    """A slot of its own, with the rows as replay gets them: through COPY."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        registry.run(f"SELECT pg_create_logical_replication_slot('{registry.slot}', 'test_decoding')")

    def changes(self) -> list[str]:
        rows: list[bytes] = []

        class Sink:
            def write(self, row: bytes) -> None:
                rows.append(bytes(row))

        with self.registry.login() as connection:
            connection.run("SET search_path = ''")
            connection.run(
                f"COPY (SELECT data FROM pg_logical_slot_get_changes('{self.registry.slot}', NULL, NULL)) TO STDOUT",
                stream=Sink(),
            )
        return [row[:-1].decode() for row in rows if row.startswith(b"table")]


@pytest.fixture
def source(registry: Registry) -> Source:
    """A slot whose changes are taken as they come."""
    return Source(registry)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    schema=NAMES,
    table=NAMES,
    kind=NAMES,
    columns=st.lists(NAMES, min_size=2, max_size=4, unique=True),
    first=st.lists(st.one_of(st.none(), TEXTS), min_size=4, max_size=4),
    second=st.lists(st.one_of(st.none(), TEXTS), min_size=4, max_size=4),
    labels=st.lists(NAMES, min_size=1, max_size=3, unique=True),
)
def test_whatever_names_and_values_are_they_are_read_as_they_were_written(
    source: Source,
    schema: str,
    table: str,
    kind: str,
    columns: list[str],
    first: list[str | None],
    second: list[str | None],
    labels: list[str],
) -> None:
    name, mood = f"{quoted(schema)}.{quoted(table)}", f"{quoted(schema)}.{quoted(kind)}"
    key, *others = columns
    old, new = dict(zip(others, first, strict=False)), dict(zip(others, second, strict=False))
    with source.registry.login() as connection:
        connection.run(f"CREATE SCHEMA {quoted(schema)}")
        try:
            # The type's name must not be the table's, which is a type as well.
            kind_name = mood if kind != table else f"{quoted(schema)}.{quoted(kind[:5] + '!type')}"
            connection.run(
                f"CREATE TYPE {kind_name} AS ENUM ({', '.join(literal(label) for label in labels)});"
                f"CREATE TABLE {name} ({quoted(key)} {kind_name} PRIMARY KEY, {', '.join(f'{quoted(o)} text' for o in others)});"
                f"ALTER TABLE {name} REPLICA IDENTITY FULL"
            )
            names = ", ".join(map(quoted, columns))
            connection.run(f"INSERT INTO {name} ({names}) VALUES ({', '.join(map(literal, [labels[0], *old.values()]))})")
            connection.run(f"UPDATE {name} SET {', '.join(f'{quoted(o)} = {literal(v)}' for o, v in new.items())}")
            connection.run(f"DELETE FROM {name}")
            connection.run(f"TRUNCATE {name} RESTART IDENTITY")
            inserted, updated, deleted, truncated = (parse(unescape(line)) for line in source.changes())
        finally:
            connection.run(f"DROP SCHEMA {quoted(schema)} CASCADE")
    relation = ((schema, table),)
    before, after = {key: labels[0], **old}, {key: labels[0], **new}
    assert inserted == Change("INSERT", relation, new=before)
    assert updated == Change("UPDATE", relation, old=present(before), new=after)
    assert deleted == Change("DELETE", relation, old=present(after))
    assert truncated == Change("TRUNCATE", relation, restart=True)


def present(row: dict[str, str | None]) -> dict[str, str]:
    """Without the nulls, which an old row leaves out."""
    return {name: value for name, value in row.items() if value is not None}


def literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.one_of(
        st.decimals(allow_nan=False, allow_infinity=False, places=6), st.sampled_from(["NaN", "Infinity", "-Infinity"])
    ),
    rough=st.floats(),
    flag=st.booleans(),
    bits=st.text("01", max_size=12),
    raw=st.binary(max_size=30),
    texts=st.lists(st.one_of(st.none(), TEXTS), max_size=4),
)
def test_values_of_every_kind_are_what_the_server_shows(
    source: Source, number: object, rough: float, flag: bool, bits: str, raw: bytes, texts: list[str | None]
) -> None:
    array = f"ARRAY[{', '.join(map(literal, texts))}]::text[]"
    with source.registry.login() as connection:
        connection.run(
            "CREATE TABLE public.kinds"
            " (a numeric, b float8, c boolean, d bit varying, e bytea, f text[], g jsonb, h public.place)"
        )
        try:
            connection.run(
                f"INSERT INTO public.kinds VALUES ('{number}', '{rough}', {flag}, B'{bits}', '\\x{raw.hex()}', {array},"
                f" to_jsonb({array}), ROW(array_to_string({array}, '|'), 1))"
            )
            [[*shown]] = connection.run(
                "SELECT a::text, b::text, c, d::text, e::text, f::text, g::text, h::text FROM public.kinds"
            )
            [inserted] = (parse(unescape(line)) for line in source.changes())
        finally:
            connection.run("DROP TABLE public.kinds")
    shown[2] = "t" if shown[2] else "f"
    assert inserted.new is not None
    assert list(inserted.new.values()) == shown
    assert list(inserted.new) == list("abcdefgh")


def test_large_value_that_was_not_touched_is_told_from_its_name_in_quotes(source: Source) -> None:
    source.registry.run(
        "CREATE TABLE public.large (id integer PRIMARY KEY, a text, b text)",
        "ALTER TABLE public.large ALTER a SET STORAGE EXTERNAL",
        "INSERT INTO public.large VALUES (1, repeat('x', 9000), 'unchanged-toast-datum')",
        "UPDATE public.large SET id = 2",
    )
    updated = parse(unescape(source.changes()[-1]))
    assert updated.old == {"id": "1"}
    assert updated.new == {"id": "2", "a": UNCHANGED, "b": "unchanged-toast-datum"}


def test_several_tables_truncated_at_once_are_all_named(source: Source) -> None:
    source.registry.run("TRUNCATE public.parent CASCADE")
    assert parse(source.changes()[0]) == Change("TRUNCATE", (("public", "parent"), ("public", "child")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BEGIN 1",
        "table t: INSERT: a[text]:'x'",
        "table public.t: UPSERT: a[text]:'x'",
        "table public.t: INSERT: a[text]:'x",
        "table public.t: INSERT: a[text]:'x'y",
        "table public.t: INSERT: A[text]:'x'",
        "table public.t: INSERT: a[text]='x'",
        "table public.t: INSERT: (no-tuple-data) ",
        "table public.t: UPDATE: old-key: a[text]:'x'",
        "table public.t: DELETE: a[text]:'x' new-tuple: a[text]:'x'",
    ],
)
def test_what_the_decoder_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(TextError):
        parse(text)


def test_a_line_that_names_no_table_is_no_change() -> None:
    with pytest.raises(TextError, match="this is no change: 'COMMIT 7'"):
        head("COMMIT 7")


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=60))
def test_escapes_of_copy_are_taken_back(text: str) -> None:
    # Python's own table, in the order of PostgreSQL's documentation of COPY.
    escaped = text.replace("\\", "\\\\")
    for letter, character in zip("bfnrtv", "\b\f\n\r\t\v", strict=True):
        escaped = escaped.replace(character, f"\\{letter}")
    assert unescape(escaped) == text
