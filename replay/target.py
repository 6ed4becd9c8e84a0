"""The database that is replayed into: its tables as its own catalogue describes them, and the statements for each change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replay.decoding_text import UNCHANGED, Change, Relation, Row, Value

# As the archiver's session, so that a value's text means here what it meant there. Triggers and foreign keys have done their work
# at the source, and what they did is in the archive: they must not do it again.
SESSION = {
    "search_path": "",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "xmloption": "content",
    "client_encoding": "UTF8",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "row_security": "off",  # a policy that would hide a row raises an error
    "session_replication_role": "replica",
    # A transaction and the row that says so are lost together or not at all, so nothing need wait for the disk.
    "synchronous_commit": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
}
# Who acts in spite of session_replication_role = replica, with what silences it. Those of foreign keys are among the triggers.
# Rules of views are not asked: rows are written to tables. An event trigger at login has acted by now, and is named all the same.
ACTORS = """
SELECT format('the trigger %I on %s', tgname, tgrelid::regclass),
    format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname)
FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE tgenabled IN ('A', 'R') AND relkind IN ('r', 'p')
UNION ALL
SELECT format('the rule %I on %s', rulename, ev_class::regclass),
    format('ALTER TABLE %s DISABLE RULE %I', ev_class::regclass, rulename)
FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class WHERE ev_enabled IN ('A', 'R') AND relkind IN ('r', 'p')
UNION ALL
SELECT format('the event trigger %I', evtname), format('ALTER EVENT TRIGGER %I DISABLE', evtname)
FROM pg_event_trigger WHERE evtenabled IN ('A', 'R') OR evtevent = 'login' AND evtenabled <> 'D'
ORDER BY 1
"""
# A key is taken where the server takes it (RelationGetIndexList): not a deferrable one, for one, whose old values the log does
# not hold, and whose values two rows may share for a while. Where the log holds whole rows, such a primary key tells them apart.
TABLE = """
SELECT c.oid, relkind, relreplident, (
    SELECT indexrelid FROM pg_index WHERE indrelid = c.oid AND indisunique AND indimmediate AND indisvalid AND indislive
    AND indpred IS NULL AND (indisprimary AND relreplident IN ('d', 'f') OR indisreplident AND relreplident = 'i')
) FROM pg_class c WHERE relnamespace = to_regnamespace(quote_ident(:schema)) AND relname = :name
"""
COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attgenerated <> '', attidentity = 'a', attnum = ANY (
    SELECT k FROM pg_index, unnest(indkey) WITH ORDINALITY u(k, n) WHERE indexrelid = CAST(:key AS oid) AND n <= indnkeyatts
) FROM pg_attribute WHERE attrelid = CAST(:table AS oid) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_COPY = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


@dataclass(frozen=True)
class Column:
    """A column of the target; ``fixed`` ones (GENERATED ALWAYS AS IDENTITY) can be inserted, and updated to no value of ours."""

    name: str
    type: str
    generated: bool
    fixed: bool


@dataclass(frozen=True)
class Table:
    """A relation of the target: ``kind`` as in pg_class, ``key`` the columns that tell its rows apart, empty if none do."""

    name: str
    kind: str
    identity: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]

    @property
    def only(self) -> str:
        """It alone, without the tables that inherit from it. A partitioned one has no rows of its own."""
        return self.name if self.kind == "p" else f"ONLY {self.name}"

    def copy(self, names: Sequence[str]) -> str:
        """Takes rows of these columns in, as COPY writes them."""
        columns = f" ({', '.join(map(identifier, names))})" if names else ""
        return f"COPY {self.name}{columns} FROM STDIN"

    def written(self, row: Row) -> tuple[str, ...]:
        """Those columns of a row that can be inserted."""
        return tuple(name for name in row if name not in self.columns or not self.columns[name].generated)

    def insert(self, row: Row) -> str:
        """Inserts one row, unless its key is there."""
        names = self.written(row)
        if not names:
            return f"INSERT INTO {self.name} DEFAULT VALUES ON CONFLICT DO NOTHING"  # noqa: S608
        columns, values = ", ".join(map(identifier, names)), ", ".join(literal(row[name]) for name in names)
        return f"INSERT INTO {self.name} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608

    def update(self, change: Change) -> str | None:
        """Updates the one row, or None where nothing tells which."""
        new = change.new or {}
        where = self._where(change.old, new)
        if where and self._moved(change.old, new):
            return self._anew(new, where)
        sets = [
            f"{identifier(name)} = {literal(value)}"
            for name, value in new.items()
            if value is not UNCHANGED
            and not (name in self.columns and (self.columns[name].generated or self.columns[name].fixed))
        ]
        # Nothing to set: the row must be there all the same.
        return where and f"UPDATE {self.only} SET {', '.join(sets) or self._same(new)} WHERE {where}"  # noqa: S608

    def delete(self, change: Change) -> str | None:
        """Deletes the one row, or None where nothing tells which."""
        where = None if change.old is None else self._where(change.old, {})
        return where and f"DELETE FROM {self.only} WHERE {where}"  # noqa: S608

    def _moved(self, old: Row | None, new: Row) -> bool:
        """Whether a value that UPDATE cannot set may have changed, or there is nothing else to set."""
        fixed = [name for name in new if name in self.columns and self.columns[name].fixed]
        # Without an old key the key is as it was. Of a column outside the key nothing says what it was.
        return any(new[name] != old[name] if old and name in old else name not in self.key for name in fixed) or all(
            name in fixed or (name in self.columns and self.columns[name].generated) for name in new
        )

    def _anew(self, new: Row, where: str) -> str:
        """Takes the one row out and puts it in again with its new values; those that the log does not hold are its old ones."""
        names = self.written(new)
        values = ", ".join(f"o.{identifier(n)}" if new[n] is UNCHANGED else literal(new[n]) for n in names)
        return (
            f"WITH o AS (DELETE FROM {self.only} WHERE {where} RETURNING *) INSERT INTO {self.name} "  # noqa: S608
            f"({', '.join(map(identifier, names))}) OVERRIDING SYSTEM VALUE SELECT {values} FROM o"
        )

    def _same(self, new: Row) -> str:
        name = identifier(next(name for name in new if not self.columns[name].generated and not self.columns[name].fixed))
        return f"{name} = {name}"

    def _where(self, old: Row | None, new: Row) -> str | None:
        row = new if old is None else old
        if self.key and all(isinstance(row.get(name), str) for name in self.key):
            return " AND ".join(f"{identifier(name)} = {literal(row[name])}::{self.columns[name].type}" for name in self.key)
        if old is None or self.identity != "f":
            return None
        # The whole old row is the key, without its nulls. Its values are compared as they are written, since not every type
        # can be compared; of rows that are the same in everything one is as good as another.
        tests = " AND ".join(
            f"format('%s', {identifier(name)}) = {literal(value or '')} AND {_present(identifier(name), value)}"
            for name, value in ((name, old.get(name)) for name in self.columns)
        )
        return f"ctid = (SELECT ctid FROM {self.only} WHERE {tests} LIMIT 1)"  # noqa: S608


def _present(name: str, value: Value) -> str:
    # Not IS NULL, which is true of a composite value whose fields are all null.
    return f"{name} IS NOT DISTINCT FROM NULL" if value is None else f"{name} IS DISTINCT FROM NULL"


@dataclass
class Target:
    """The session, and what has been learnt of its tables."""

    connection: Any
    tables: dict[Relation, Table | None]

    def table(self, relation: Relation) -> Table | None:
        """The table of this name, or None where there is none."""
        if relation not in self.tables:
            self.tables[relation] = self._find(*relation)
        return self.tables[relation]

    def _find(self, schema: str, name: str) -> Table | None:
        rows = self.connection.run(TABLE, schema=schema, name=name)
        if not rows:
            return None
        [[oid, kind, identity, key]] = rows
        columns = self.connection.run(COLUMNS, table=oid, key=key)
        return Table(
            f"{identifier(schema)}.{identifier(name)}",
            kind,
            identity,
            {name: Column(name, kind, generated, fixed) for name, kind, generated, fixed, _ in columns},
            tuple(name for name, _, _, _, within in columns if within),
        )


def identifier(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """A value as SQL takes it, with its type left to where it stands."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def copied(values: Iterable[Value]) -> str:
    """A row as COPY takes it."""
    return "\t".join("\\N" if value is None else str(value).translate(_COPY) for value in values) + "\n"
