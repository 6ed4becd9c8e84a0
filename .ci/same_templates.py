"""Whether Resources, Parameters and Outputs of every template are those of another commit: for changes that only move code.

    python .ci/same_templates.py COMMIT [--packages]

Parsed, so comments and order do not count; `--packages` lets the names of packages differ. Exit codes: 0 the same, 1 not.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model import read  # noqa: E402

SECTIONS = ("Parameters", "Resources", "Outputs")
PACKAGE = re.compile(r"^( *S3Key: [a-z_]+-)[0-9a-f]{8}(\.zip)$", re.MULTILINE)


def main() -> int:
    """Compare, and name what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--packages", action="store_true")
    options = parser.parse_args()
    before = {name: _git("show", f"{options.commit}:{name}") for name in _listed(options.commit)}
    after = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.glob("templates/*/*.yaml")}
    if options.packages:
        before, after = ({name: PACKAGE.sub(r"\1\2", text) for name, text in texts.items()} for texts in (before, after))
    found = list(differences(before, after))
    print(*found, sep="\n")
    print(f"{len(after)} templates, {len(found)} differences")
    return 1 if found or not after else 0


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """What differs, a line for each name in a section."""
    for path in sorted(before.keys() | after.keys()):
        if path not in before or path not in after:
            yield f"{path}: {'new' if path in after else 'gone'}"
            continue
        if before[path] == after[path]:
            continue
        old, new = read(before[path]), read(after[path])
        for section in SECTIONS:
            one: Mapping[str, Any] = old.get(section, {})
            other: Mapping[str, Any] = new.get(section, {})
            yield from (f"{path}: {section}.{name}" for name in sorted({*one, *other}) if one.get(name) != other.get(name))


def _listed(commit: str) -> list[str]:
    return [name for name in _git("ls-tree", "-r", "--name-only", commit, "templates").split() if name.endswith(".yaml")]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
