"""A runbook as an operator has it: sections with shell commands, read from the committed Markdown and run by bash."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support import unmeasured

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/operations"
TABLE = "How these commands are tested"
OPERATION = re.compile(r"\b(aws [a-z0-9-]+ (?:wait )?[a-z0-9-]+|sudo [a-z]+)")


@dataclass(frozen=True)
class Section:
    """A section of a runbook. ``first`` are the sections in whose shell it goes on."""

    title: str
    commands: tuple[str, ...]
    first: tuple[str, ...]
    not_run: frozenset[str]  # operations that the page's table names


def commands(block: str) -> list[str]:
    """The commands of a block: a line each, with those that a backslash continues."""
    joined = re.sub(r"\\\n\s*", " ", block)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def read(path: Path) -> list[Section]:
    """Every section with commands, in the order of the page."""
    text = path.read_text()
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \| not run \| .+ \|$", text, re.MULTILINE)
    found = []
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        first = re.search(r"^First: (.*), in this shell\.$", body, re.MULTILINE)
        listed = frozenset(operation for section, operation in rows if section == title)
        blocks = re.findall(r"^```sh\n(.*?)\n```$", body, re.MULTILINE | re.DOTALL)
        every = tuple(command for block in blocks for command in commands(block))
        if every or listed:
            found.append(Section(title, every, tuple(re.findall(r"\[(.+?)\]", first[1])) if first else (), listed))
    return found


def script(sections: list[Section], state: Path) -> str:
    """Bash that runs every command of these sections, one after the other, and stops at the first that fails.

    The shell's variables and functions go to ``state`` at the end, so that another section can go on from there.
    """
    lines = ["set -uo pipefail"]
    for section in sections:
        lines.append(f"export ONLY_CHECKED={_quote(chr(10).join(sorted(section.not_run)))}")
        left_out = tuple(one for one in section.not_run if not one.startswith("aws "))
        run = (one for one in section.commands if not one.startswith(left_out))
        lines += [f"{{ {command}\n}} || {{ {_failed(command)}; exit 1; }}" for command in run]
    lines.append(f"{{ declare -p | grep -Ev '^declare -[a-zA-Z]*r'; declare -f; }} > {_quote(str(state))}")
    return "\n".join(lines) + "\n"


def _failed(command: str) -> str:
    return f"printf 'FAILED with %s: %s\\n' $? {_quote(command)} >&2"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def run(text: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run bash on ``text`` in the checkout, as an operator's shell would stand."""
    kept = {
        name: value for name, value in unmeasured.environment().items() if not name.startswith(("AWS_", "PG")) or name == "PG_BIN"
    }
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(text)
        file.flush()
        return subprocess.run(
            ["bash", file.name],
            cwd=ROOT,
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
