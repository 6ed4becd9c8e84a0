"""A runbook as data: sections of sentences and shell commands, and the Markdown that operators read.

Every command is run by ``tests/operations``. One that the emulator cannot do says so by ``not_run``: it is then only checked
against the API's model, and stands with its reason in the table that closes the page.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 128
"""Columns of a command; a longer one gets a line for every option."""

PLAIN = re.compile(r"[\w./:=,@%+-]+")
OPERATION = re.compile(r"\b(aws [a-z0-9-]+ (?:wait )?[a-z0-9-]+|sudo [a-z]+)")


@dataclass(frozen=True)
class Shell:
    """Commands that belong together. ``not_run``: why the tests can only check them."""

    commands: tuple[str, ...]
    not_run: str = ""


@dataclass(frozen=True)
class Section:
    """One procedure. ``first`` are the titles of the sections whose shell it goes on in."""

    title: str
    parts: tuple[str | Shell, ...]
    first: tuple[str, ...] = ()


def shell(*commands: str, not_run: str = "") -> Shell:
    """A block of commands."""
    return Shell(commands, not_run)


def word(text: str) -> str:
    """One word of a shell command; what begins with ``$`` is for the shell to replace."""
    if PLAIN.fullmatch(text):
        return text
    if "$" in text:
        return '"' + text.replace('"', '\\"') + '"'
    return shlex.quote(text)


def command(start: str, *options: str) -> str:
    """A command with its options, on one line where that can be read."""
    line = " ".join([start, *options])
    return line if len(line) <= WIDTH else " \\\n  ".join([start, *options])


def anchor(title: str) -> str:
    """The link to a section, as GitHub makes it."""
    return "#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def render(heading: str, opening: str, sections: Sequence[Section]) -> str:
    """The page: contents, sections, and the table of commands that are not run."""
    contents = " · ".join(f"[{one.title}]({anchor(one.title)})" for one in (*sections, Section(TABLE, ())))
    pages = [f"# {heading}\n\n{opening}\n\n{contents}\n", *map(_section, sections), _table(sections)]
    return "\n".join(pages)


def _section(one: Section) -> str:
    first = ""
    if one.first:
        first = "First: " + ", ".join(f"[{title}]({anchor(title)})" for title in one.first) + ", in this shell.\n\n"
    parts = (f"```sh\n{chr(10).join(part.commands)}\n```" if isinstance(part, Shell) else part for part in one.parts)
    return f"## {one.title}\n\n{first}" + "\n\n".join(parts) + "\n"


TABLE = "How these commands are tested"


def _table(sections: Iterable[Section]) -> str:
    rows = {
        f"| {one.title} | `{operation}` | not run | {part.not_run} |": None
        for one in sections
        for part in one.parts
        if isinstance(part, Shell) and part.not_run
        for line in part.commands
        for operation in OPERATION.findall(line)
    }
    run = "is run in a test, on a deployed environment in the emulator with a real PostgreSQL behind it."
    if not rows:
        return f"## {TABLE}\n\nEvery command above {run}\n"
    return "\n".join(
        [
            f"## {TABLE}\n",
            f"Every command above, but those of this table, {run}",
            "These the emulator cannot do; what is the AWS CLI's is checked against the API's model by the CLI itself.\n",
            "| section | command | state | why |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
