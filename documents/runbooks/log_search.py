"""Searching a log group from a shell."""

from __future__ import annotations

from documents.runbooks.page import command, word


def search(group: str, pattern: str, minutes: int) -> str:
    """The command that prints what a log group holds of the last minutes; the ``$`` of a filter pattern is not for the shell."""
    quoted = "'" + " ".join(pattern.split()).replace("'", "'\\''") + "'"
    return command(
        f"aws logs filter-log-events --log-group-name {word(group)}",
        f"--start-time \"$(python3 -c 'import time; print(int(time.time() - {minutes * 60}) * 1000)')\"",
        *([f"--filter-pattern {quoted}"] if pattern else []),
        "--max-items 50 --query 'events[].[timestamp,message]' --output text",
    )
