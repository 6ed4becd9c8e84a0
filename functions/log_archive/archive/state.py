"""What the decoder does not show: the schema, the values of sequences, and what can never be replayed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.database import Connection

# One line per object, each complete in itself, so that the difference of two schemas is the difference of two sets.
# Objects of extensions are the extension's; what PostgreSQL makes by itself (_RETURN rules, internal triggers) is left out.
SCHEMA = """
WITH space AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), member AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), kind AS (
    SELECT t.* FROM pg_type t JOIN space ON space.oid = typnamespace
    WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_type'::regclass AND objid = t.oid)
), relation AS (
    SELECT c.* FROM pg_class c JOIN space ON space.oid = relnamespace
    WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = c.oid)
)
SELECT format('schema %I', nspname) FROM space
UNION ALL
SELECT format('extension %I version %s in %s', extname, extversion, extnamespace::regnamespace) FROM pg_extension
UNION ALL
SELECT format('type %s enum %s', oid::regtype, (
    SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = kind.oid
)) FROM kind WHERE typtype = 'e'
UNION ALL
SELECT format('domain %s as %s not null %s default %s %s', oid::regtype, format_type(typbasetype, typtypmod), typnotnull,
    typdefault, (
    SELECT string_agg(pg_get_constraintdef(c.oid), ' ' ORDER BY conname) FROM pg_constraint c WHERE contypid = kind.oid
)) FROM kind WHERE typtype = 'd'
UNION ALL
SELECT format('range %s of %s', rngtypid::regtype, rngsubtype::regtype) FROM pg_range JOIN kind ON kind.oid = rngtypid
UNION ALL
SELECT format(
    'relation %s kind %s persistence %s identity %s options %s of %s bound %s key %s access %s', r.oid::regclass, relkind,
    relpersistence, relreplident, reloptions, (
        SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = r.oid
    ), pg_get_expr(relpartbound, r.oid), CASE relkind WHEN 'p' THEN pg_get_partkeydef(r.oid) END, relacl
) FROM relation r WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c', 'S')
UNION ALL
SELECT format(
    'column %s.%I %s %s not null %s default %s generated %s identity %s collation %s', r.oid::regclass, attname, attnum,
    format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attgenerated, attidentity,
    attcollation::regcollation
) FROM pg_attribute JOIN relation r ON r.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
UNION ALL
SELECT format('constraint %I on %s %s', conname, conrelid::regclass, pg_get_constraintdef(c.oid))
FROM pg_constraint c JOIN relation r ON r.oid = conrelid
UNION ALL
SELECT format('index %s identity %s', pg_get_indexdef(indexrelid), indisreplident)
FROM pg_index JOIN relation r ON r.oid = indrelid
UNION ALL
SELECT format(
    'sequence %s as %s start %s by %s from %s to %s cache %s cycle %s', r.oid::regclass, seqtypid::regtype, seqstart,
    seqincrement, seqmin, seqmax, seqcache, seqcycle
) FROM pg_sequence JOIN relation r ON r.oid = seqrelid
UNION ALL
SELECT format('view %s %s', oid::regclass, pg_get_viewdef(oid)) FROM relation WHERE relkind IN ('v', 'm')
UNION ALL
SELECT format('function %s %s', p.oid::regprocedure, CASE WHEN prokind <> 'a' THEN pg_get_functiondef(p.oid) END)
FROM pg_proc p JOIN space ON space.oid = pronamespace
WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_proc'::regclass AND objid = p.oid)
UNION ALL
SELECT format('trigger %s enabled %s', pg_get_triggerdef(t.oid), tgenabled)
FROM pg_trigger t JOIN relation r ON r.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT format('rule %s', definition) FROM pg_rules JOIN space ON nspname = schemaname
UNION ALL
SELECT format('policy %s', p) FROM pg_policies p
"""
# The index whose columns the log holds of an old row, by the server's own rule (RelationGetIndexList): a deferrable primary key,
# for one, is none.
IDENTITY = """
indrelid = c.oid AND indisunique AND indimmediate AND indisvalid AND indislive AND indpred IS NULL
AND (relreplident = 'd' AND indisprimary OR relreplident = 'i' AND indisreplident)
"""
HERE = "(SELECT oid FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)')"
WITHOUT_KEY = f"""
SELECT oid::regclass::text FROM pg_class c
WHERE relkind = 'r' AND relpersistence = 'p' AND relnamespace IN {HERE}
AND relreplident <> 'f' AND NOT EXISTS (SELECT FROM pg_index WHERE {IDENTITY})
ORDER BY 1
"""  # noqa: S608  our own text
# What rows lie in, what tells them apart and what they mean: the decoder shows none of it. Each line of the catalogue has the
# number of the transaction that wrote it last (xmin), so that a change and its undoing leave a mark; VACUUM, ANALYZE and new
# indexes write in place. ``oid``, ``file`` and ``toast`` are others where a table was made anew, swapped or rewritten. ``by`` is
# of the table's own line, which GRANT and the first trigger write as well; ``columns`` is over what rows are read by: columns,
# names of table and schema, the labels and fields of their types; ``code`` over all functions, for a generated column that calls
# one. A key has the oid of its constraint, which REINDEX CONCURRENTLY keeps; ``index`` is of one that was named as identity.
# ``at`` and ``since`` are when ``by`` and the others were committed; ``newest`` is the transaction that wrote ``columns`` last:
# names of schemas and labels change without waiting for those that write to the table.
#
# A TRUNCATE takes another file as ALTER TABLE does, whose rewriting of a table without a TOAST table leaves nothing else. It uses
# many commands whose lines are gone in the end: ``alone`` is a table whose line was written by a transaction that had left one
# line in pg_class at each of its commands until then (two after an index). Where the index has the number after the table's,
# there was no room between them for what a rewriting makes (``emptied``).
MARKED = "CASE current_setting('track_commit_timestamp') WHEN 'on' THEN pg_xact_commit_timestamp({}) END"
STORAGE = f"""
WITH RECURSIVE relation AS (
    SELECT oid, relfilenode, reltoastrelid, relpersistence, relreplident, reltype, relnamespace, xmin AS by, xmax AS ended,
        cmin::text::bigint AS command
    FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace IN {HERE}
), used (relation, type) AS (
    SELECT attrelid, atttypid FROM pg_attribute WHERE attnum > 0 AND atttypid >= 16384
    UNION
    SELECT relation, part FROM used JOIN pg_type t ON t.oid = type CROSS JOIN LATERAL (
        SELECT typelem UNION ALL SELECT typbasetype
        UNION ALL SELECT rngsubtype FROM pg_range WHERE t.oid IN (rngtypid, rngmultitypid)
        UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0
    ) parts (part) WHERE part >= 16384
), mark (relation, what, by) AS (
    SELECT attrelid, 'column ' || attnum, a.xmin FROM pg_attribute a JOIN relation r ON r.oid = attrelid WHERE attnum > 0
    UNION ALL SELECT r.oid, 'name', t.xmin FROM pg_type t JOIN relation r ON r.reltype = t.oid
    UNION ALL SELECT r.oid, 'schema', n.xmin FROM pg_namespace n JOIN relation r ON relnamespace = n.oid
    UNION ALL SELECT relation, 'label ' || e.oid, e.xmin FROM pg_enum e JOIN used ON enumtypid = type
    UNION ALL SELECT relation, 'field ' || a.attrelid || ' ' || attnum, a.xmin FROM pg_attribute a
        JOIN pg_type t ON t.typrelid = a.attrelid JOIN used ON t.oid = type WHERE attnum > 0
), meaning AS (
    SELECT relation, md5(string_agg(what || ' ' || by::text, ',' ORDER BY what)) AS columns, max({MARKED.format("by")}) AS since,
        (array_agg(by ORDER BY age(by)))[1]::text AS newest
    FROM mark GROUP BY 1
), key AS (
    SELECT c.oid AS relation, coalesce(k.oid, indexrelid)::text AS key,
        CASE relreplident WHEN 'i' THEN i.xmin::text END AS index,
        greatest(
            {MARKED.format("coalesce(k.xmin, i.xmin)")}, CASE relreplident WHEN 'i' THEN {MARKED.format("i.xmin")} END
        ) AS since
    FROM relation c JOIN pg_index i ON {IDENTITY}
    LEFT JOIN pg_constraint k ON conindid = indexrelid AND conrelid = indrelid AND contype IN ('p', 'u')
), code AS (
    SELECT md5(string_agg(oid || ' ' || xmin::text, ',' ORDER BY oid)) AS code FROM pg_proc WHERE pronamespace IN {HERE}
), command AS (
    SELECT DISTINCT xmin::text AS by, cmin::text::bigint + more AS command
    FROM pg_class, generate_series(0, CASE relkind WHEN 'i' THEN 1 ELSE 0 END) more WHERE xmax = '0'
), gapless AS (
    SELECT by, command, row_number() OVER (PARTITION BY by ORDER BY command) - 1 = command AS gapless FROM command
)
SELECT c.oid::regclass::text, c.oid::text, relfilenode::text, reltoastrelid::text, relpersistence, relreplident, key.key,
    key.index, c.by::text, columns, CASE WHEN EXISTS (
        SELECT FROM pg_attribute a JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
        JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = d.oid
        AND refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
        WHERE attrelid = c.oid AND attgenerated <> ''
    ) THEN code.code END, {MARKED.format("c.by")}::text, greatest(meaning.since, key.since)::text,
    ended = '0' AND gapless, reltoastrelid <> 0 OR EXISTS (
        SELECT FROM pg_index JOIN pg_class i ON i.oid = indexrelid
        WHERE indrelid = c.oid AND i.relfilenode::bigint = c.relfilenode::bigint + 1
    ), newest
FROM relation c JOIN meaning ON meaning.relation = c.oid LEFT JOIN key ON key.relation = c.oid CROSS JOIN code
LEFT JOIN gapless g ON g.by = c.by::text AND g.command = c.command
"""  # noqa: S608  our own text
FACTS = ("oid", "file", "toast", "persistence", "identity", "key", "index", "by", "columns", "code")
TOLD = ("at", "since", "alone", "emptied", "newest")
"""What the server forgets, or may find out otherwise later: not in the fingerprint."""

LOOKED = "SELECT clock_timestamp()::text"
UNLOGGED = f"""
SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u' AND relnamespace IN {HERE} ORDER BY 1
"""  # noqa: S608  our own text
MATERIALIZED = f"""
SELECT oid::regclass::text FROM pg_class WHERE relkind = 'm' AND relnamespace IN {HERE} ORDER BY 1
"""  # noqa: S608  our own text
# One that has never been asked for has no value, and neither has one that we may not read. Those of other sessions are theirs.
SEQUENCES = """
SELECT s.seqrelid::regclass::text, CASE WHEN readable THEN pg_sequence_last_value(s.seqrelid) END, readable
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid, has_sequence_privilege(s.seqrelid, 'SELECT, USAGE') readable
WHERE relpersistence <> 't' ORDER BY 1
"""
LARGE_OBJECTS = "SELECT count(*) FROM pg_largeobject_metadata"


@dataclass(frozen=True)
class State:
    """The schema as lines with their digest, and what else goes into every entry.

    ``definitions`` is the digest of the lines alone, ``fingerprint`` that of the lines and of where each table's rows lie.
    """

    fingerprint: str
    definitions: str
    lines: tuple[str, ...]
    storage: Mapping[str, Mapping[str, str | bool | None]]
    looked: str
    without_key: tuple[str, ...]
    unlogged: tuple[str, ...]
    materialized: tuple[str, ...]
    sequences: Mapping[str, int]
    unreadable: tuple[str, ...]
    large_objects: int

    @classmethod
    def of(cls, connection: Connection) -> State:
        """As it is now, which is after every change that has been peeked at."""
        lines = tuple(sorted(line for (line,) in connection.run(SCHEMA)))
        storage = {name: dict(zip(FACTS + TOLD, facts, strict=True)) for name, *facts in sorted(connection.run(STORAGE))}
        values = connection.run(SEQUENCES)
        return cls(
            _digest([*lines, *(_line(name, facts) for name, facts in storage.items())]),
            _digest(lines),
            lines,
            storage,
            connection.scalar(LOOKED),
            tuple(name for (name,) in connection.run(WITHOUT_KEY)),
            tuple(name for (name,) in connection.run(UNLOGGED)),
            tuple(name for (name,) in connection.run(MATERIALIZED)),
            {name: value for name, value, _ in values if value is not None},
            tuple(name for name, _, readable in values if not readable),
            connection.scalar(LARGE_OBJECTS),
        )

    def told(self, fingerprint: str, definitions: str, sequences: Mapping[str, int], whole: bool) -> dict[str, Any]:
        """What an entry says of it: all, or what has changed since an entry that said the rest."""
        told: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "definitions": self.definitions,
            "looked": self.looked,
            "sequences": {name: value for name, value in self.sequences.items() if whole or sequences.get(name) != value},
            "large_objects": self.large_objects,
            "unreadable_sequences": list(self.unreadable),
        }
        if whole or fingerprint != self.fingerprint:
            told["storage"] = self.storage
            told["without_key"] = list(self.without_key)
            told["unlogged"] = list(self.unlogged)
            told["materialized"] = list(self.materialized)
        if whole or definitions != self.definitions:
            told["schema"] = list(self.lines)
        return told


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _line(name: str, facts: Mapping[str, str | bool | None]) -> str:
    return " ".join([f"storage {name}", *(f"{fact} {facts[fact]}" for fact in FACTS)])
