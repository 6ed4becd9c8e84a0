"""Show the record of a run; nothing is asked of AWS."""

from __future__ import annotations

from pathlib import Path

from chain.cli.session import say
from chain.environment.exit_codes import Exit
from chain.run import record, timeline


def run(root: Path, run: str, *, html: bool, verify: bool, json: bool) -> Exit:
    """Show the record of a run: as text, as its lines, as a page with its timeline, or whether its digests hold."""
    path = record.find(root / record.FOLDER, run)
    if verify:
        say([record.prove(path)])
        return Exit.OK
    events = record.read(path)
    if json:
        say(path.read_text(encoding="utf-8").splitlines()[: len(events)])  # as they were written, so that their digests hold
    else:
        say([timeline.page(events)] if html else timeline.lines(events))
    return Exit.OK
