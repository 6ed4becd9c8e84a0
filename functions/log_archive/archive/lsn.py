"""Positions in the write-ahead log: integers here, ``16/B374D848`` in PostgreSQL and in the archive."""

from __future__ import annotations


def parse(text: str) -> int:
    """The position that PostgreSQL writes so."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def show(position: int) -> str:
    """As PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
