"""Bring a system home again: each name to its declared role, until drift finds no difference."""

from __future__ import annotations

from pathlib import Path

from chain.cli.failover import transfer
from chain.cli.session import Options
from chain.environment.exit_codes import Exit
from protocol.journal import FAILBACK


def run(root: Path, options: Options, resume: str) -> Exit:
    """Have the primary region take over again."""
    return transfer(FAILBACK, root, options, resume)
