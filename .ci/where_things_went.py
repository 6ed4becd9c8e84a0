"""Whether docs/decisions/0023-where-things-went.md is complete: every file of Python of 4af59d0 is where it was, or stands there.

    python .ci/where_things_went.py            what is wrong, a line for each; exit 1 if anything is
    python .ci/where_things_went.py --rows     a row for each file that is missing, as git follows renames

Without that commit in the history (an archive, a shallow clone) only the rows themselves are looked at.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
THEN = "4af59d0"
TABLE = "docs/decisions/0023-where-things-went.md"
ROW = re.compile(r"^\| `([^`]+)` \| (?:gone: )?`([^`]+)`.* \|$", re.MULTILINE)


def rows(text: str) -> dict[str, str]:
    """The old paths of the table, each with its new one, or with what asks the same where it is gone."""
    return dict(ROW.findall(text))


def wrong(table: dict[str, str], then: list[str], root: Path = ROOT) -> Iterator[str]:
    """What does not hold. ``then`` are the files of before, where they are known."""
    for old, new in table.items():
        if (root / old).exists():
            yield f"{old} is where it was, and {TABLE} says that it is not."
        if not (root / new).exists():
            yield f"{old} went to {new}, which is not there. Say in {TABLE} where it is now."
    for old in then:
        if old not in table and not (root / old).exists():
            yield f"{old} of {THEN} is neither where it was nor in {TABLE}. `--rows` writes its row."


def then(root: Path = ROOT) -> list[str]:
    """The files of Python of that commit; nothing where there is no history that goes back to it."""
    if not is_known(root):
        return []
    asked = subprocess.run(["git", "ls-tree", "-r", "--name-only", THEN], cwd=root, capture_output=True, text=True, check=True)
    return [path for path in asked.stdout.splitlines() if path.endswith(".py")]


def is_known(root: Path = ROOT) -> bool:
    """Whether the history goes back to it: an archive has none, and a shallow clone not all."""
    return subprocess.run(["git", "cat-file", "-e", THEN], cwd=root, capture_output=True, check=False).returncode == 0


def found(missing: list[str], root: Path = ROOT) -> Iterator[str]:
    """A row for each, as git follows renames."""
    command = ["git", "diff", "-M30", "-l0", "--name-status", "--diff-filter=RD", THEN, "HEAD"]
    for line in subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines():
        _, old, *new = line.split("\t")
        if old in missing:
            yield f"| `{old}` | {f'`{new[0]}`' if new else 'gone: `who asks the same`'} |"


def main(arguments: list[str]) -> int:
    """Say what is wrong, or write the rows that are missing."""
    table, before = rows((ROOT / TABLE).read_text(encoding="utf-8")), then()
    if arguments == ["--rows"]:
        print("\n".join(found([old for old in before if old not in table and not (ROOT / old).exists()])))
        return 0
    problems = list(wrong(table, before))
    looked = f"{len(before)} files of {THEN} were looked for" if before else f"{THEN} is not in the history here"
    print("\n".join(problems) or f"{len(table)} rows hold; {looked}.")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
