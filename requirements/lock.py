"""Pin every dependency group of pyproject.toml by hash: `make lock`; `--outdated` says what that would change.

Each group is pinned in requirements/<group>.lock for every platform and Python from 3.11 on. What is installed into one virtual
environment is held to one version: a group's lock is a constraint of those after it. No lock names an index.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from requirements.install import settings  # noqa: E402

FOLDER = Path("requirements")
PYTHON = "3.11"  # the oldest; what only later ones need is marked so
TOGETHER = ("run", "test", "operations", "page", "oscal", "policy-sentry")
"""What stands in one virtual environment, in the order in which one lock constrains the next."""

APART = ("installer", "checkov", "bench")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s\\;]+)(?: ; ([^\\]+?))?(?: \\)?$", re.MULTILINE)


def main(arguments: list[str] | None = None) -> int:
    """Write the locks, or print what would change in them; 1 where no versions fit each other, and nothing is written then."""
    parser = argparse.ArgumentParser(prog="make lock", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="keep each pin that still fits pyproject.toml")
    parser.add_argument("--outdated", action="store_true", help="write nothing, say what a new lock would change")
    options = parser.parse_args(arguments)
    asks = settings(Path(sys.prefix))
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        shutil.copytree(ROOT / FOLDER, made / FOLDER, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", made)
        for group in (*TOGETHER, *APART):
            print(f"{group}: looking for versions that fit", file=sys.stderr, flush=True)
            earlier = TOGETHER[: TOGETHER.index(group)] if group in TOGETHER else ()
            if subprocess.run(_compile(group, earlier, keep=options.keep), cwd=made, env=asks, check=False).returncode:
                print(f"{group} was not resolved; uv has said why. Nothing was written.", file=sys.stderr)
                return 1
        found = [line for group in (*TOGETHER, *APART) for line in differences(group, _pins(ROOT, group), _pins(made, group))]
        print(*(found or ["no pin differs"]), sep="\n")
        if not options.outdated:
            for group in (*TOGETHER, *APART):
                shutil.copy(made / FOLDER / f"{group}.lock", ROOT / FOLDER)
    return 0


def differences(group: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """What a lock gets, loses and changes, a line for each distribution."""
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{group}: {name} {before.get(name, 'is new,')} -> {after.get(name, 'goes')}"


def _compile(group: str, earlier: tuple[str, ...], *, keep: bool) -> list[str]:
    return [
        str(Path(sys.executable).with_name("uv")),
        *("pip", "compile", "--quiet", "--universal", "--python-version", PYTHON, "--generate-hashes"),
        *("--custom-compile-command", "make lock"),
        *([] if keep else ["--upgrade"]),
        *(word for name in earlier for word in ("--constraints", f"{FOLDER}/{name}.lock")),
        *("--group", f"pyproject.toml:{group}", "--output-file", f"{FOLDER}/{group}.lock"),
    ]


def _pins(root: Path, group: str) -> dict[str, str]:
    """Distribution to version, of a lock; to several where Pythons or platforms differ."""
    path = root / FOLDER / f"{group}.lock"
    pins: dict[str, str] = {}
    for name, version, _ in PIN.findall(path.read_text(encoding="utf-8") if path.exists() else ""):
        pins[name] = f"{pins[name]}, {version}" if name in pins else version
    return pins


if __name__ == "__main__":
    sys.exit(main())
