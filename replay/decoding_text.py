r"""The language of ``test_decoding``: one line of text per change, with names and values quoted as in SQL.

``table public."We ird": UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 note[text]:'it''s'``

Nothing here guesses: a name is quoted or made of letters that need no quotes, a type ends at the first ``]:`` outside quotes, a
value ends with its closing quote, and what does not read so to its last character is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

_NAME = r'(?:"[^"]*(?:""[^"]*)*"|[a-z_][a-z0-9_$]*)'
_RELATION = re.compile(rf"({_NAME})\.({_NAME})")
_HEAD = re.compile(rf"table ({_NAME}\.{_NAME}(?:, {_NAME}\.{_NAME})*): (INSERT|UPDATE|DELETE|TRUNCATE):")
_COLUMN = re.compile(
    rf" ({_NAME})"
    r'\[((?:[^"\]]|"[^"]*(?:""[^"]*)*"|\](?!:))*)\]:'
    r"(?:'([^']*(?:''[^']*)*)'|B'([01]*)'|([-+.0-9A-Za-z]+))"
)
# Unquoted, in the only way that test_decoding writes them; a text of the same letters stands in quotes.
_WORDS = {"null": None, "true": "t", "false": "f"}
_TOAST = "unchanged-toast-datum"
_NOTHING = " (no-tuple-data)"
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Unchanged(Enum):
    """A large value that the statement did not touch, and that the log therefore does not hold."""

    UNCHANGED = auto()


UNCHANGED = Unchanged.UNCHANGED
Value = str | Unchanged | None
Row = Mapping[str, Value]
Relation = tuple[str, str]


class TextError(ValueError):
    """A line is not what test_decoding writes."""


@dataclass(frozen=True)
class Change:
    """What a transaction did to a row, or to some tables. ``old`` and ``new`` are None where the log has none."""

    action: str
    relations: tuple[Relation, ...]
    old: Row | None = None
    new: Row | None = None
    restart: bool = False


def unescape(text: str) -> str:
    """Takes back what COPY did to a value."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)


def head(text: str) -> tuple[tuple[Relation, ...], str, str]:
    """Which tables a change is of, what it is, and the rest."""
    found = _HEAD.match(text)
    if not found:
        raise TextError(f"this is no change: {text[:120]!r}")
    return _relations(found[1]), found[2], text[found.end() :]


def parse(text: str) -> Change:
    """Reads one change."""
    found = _HEAD.match(text)
    if not found:
        raise TextError(f"this is no change: {text[:120]!r}")
    relations, action, at = _relations(found[1]), found[2], found.end()
    if action == "TRUNCATE":
        return Change(action, relations, restart=" restart_seqs" in text[at:])
    if text.startswith(_NOTHING, at) and len(text) == at + len(_NOTHING):
        return Change(action, relations)
    old: Row | None = None
    if action == "UPDATE" and text.startswith(" old-key:", at):
        old, at = _row(text, at + 9)
        if not text.startswith(" new-tuple:", at):
            raise TextError(f"an old key without a new row: {text[at : at + 120]!r}")
        at += 11
    row, at = _row(text, at)
    if at != len(text):
        raise TextError(f"this is no column: {text[at : at + 120]!r}")
    return Change(action, relations, old=row) if action == "DELETE" else Change(action, relations, old=old, new=row)


def _row(text: str, at: int) -> tuple[Row, int]:
    row: dict[str, Value] = {}
    while found := _COLUMN.match(text, at):
        name, _, quoted, bits, word = found.groups()
        value: Value
        if quoted is not None:
            value = quoted.replace("''", "'") if "''" in quoted else quoted
        elif bits is not None:
            value = bits
        elif word == _TOAST:
            value = UNCHANGED
        else:
            value = _WORDS.get(word, word)
        row[name if name[0] != '"' else _plain(name)] = value
        at = found.end()
    return row, at


def relation(name: str) -> Relation:
    """A table's full name as PostgreSQL writes it."""
    return _relations(name)[0]


@cache
def _relations(text: str) -> tuple[Relation, ...]:
    return tuple((_plain(found[1]), _plain(found[2])) for found in _RELATION.finditer(text))


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name[0] == '"' else name
