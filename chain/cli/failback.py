"""Failback: bring a system home again, each name to its declared role, until drift finds no difference."""

from __future__ import annotations

from pathlib import Path

from chain.cli.failover import move
from chain.cli.session import Options
from chain.environment.exit_codes import Exit
from protocol.journal import FAILBACK


def run(root: Path, options: Options) -> Exit:
    """Bring one system home."""
    return move(FAILBACK, root, options)
