"""Set up and try what is committed, as on a fresh machine, with every supported Python that is here: `make clean-room`.

A new clone, an empty home, no cache and no variable of ours, and the pip that each Python brings. The oldest and the newest
deploy ledger to the embedded emulator (`make try SYSTEM=ledger`), those between make the environment and plan. Fails where one
of them fails, and where the oldest supported Python is missing: `python3 .ci/clean_room.py 3.13` asks for another instead.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ((3, 11), (3, 12), (3, 13), (3, 14))
NAME = re.compile(r"python3(\.\d+)?$")
ASKED = (
    "import ssl, venv, ensurepip, sys, platform; "
    "print(platform.python_version(), ensurepip.version(), sys.implementation.name, sys.base_prefix)"
)
PYTHON = ".venv/bin/python"
TRY = (("make", "try", "SYSTEM=ledger"),)
PLAN = (
    ("make", "setup"),
    (PYTHON, "-m", "emulator", "exec", "--opted-in", "--", PYTHON, "deploy.py", "plan", "--env", "fresh", "--system", "ledger"),
)
SECONDS = 900  # longer than any of it takes: something hangs


@dataclass(frozen=True, order=True)
class Interpreter:
    """A Python that can make virtual environments, and the pip that it puts into them."""

    version: tuple[int, ...]
    pip: str
    path: Path

    def __str__(self) -> str:
        return f"Python {'.'.join(map(str, self.version))}, pip {self.pip} ({self.path})"


def main() -> int:
    """Try each; the exit code is 1 where one fails, or where one is missing that must be there: the oldest, or those named."""
    needed = [tuple(map(int, name.split("."))) for name in sys.argv[1:]] or [SUPPORTED[0]]
    found = list(interpreters())
    minors = {one.version[:2] for one in found}
    for minor in SUPPORTED:
        if minor not in minors:
            print(f"Python {minor[0]}.{minor[1]}: not here", flush=True)
    if missing := [minor for minor in needed if minor not in minors]:
        print(*(f"Python {minor[0]}.{minor[1]} must be tried, and is not here" for minor in missing), sep="\n", file=sys.stderr)
        return 1
    failed = [one for number, one in enumerate(found) if not _tried(one, deploys=number in (0, len(found) - 1))]
    return 1 if failed else 0


def interpreters() -> Iterator[Interpreter]:
    """Every supported Python on PATH, in /usr/bin and of pyenv that runs and can make an environment; oldest first, each once."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [*map(Path, os.environ.get("PATH", "").split(os.pathsep)), Path("/usr/bin")]
    folders += sorted(pyenv.glob("versions/*/bin"))
    seen: dict[tuple[str, str], Interpreter] = {}
    for path in (path for folder in folders for path in _listed(folder) if NAME.match(path.name)):
        try:  # what fails is no Python that counts: a shim of pyenv, one without venv, another program
            asked = subprocess.run([path, "-c", ASKED], capture_output=True, check=True, timeout=60)
            version, pip, name, prefix = asked.stdout.decode("utf-8").strip().split(" ", 3)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
        numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
        if name == "cpython" and numbers[:2] in SUPPORTED:
            seen.setdefault((version, prefix), Interpreter(numbers, pip, path))
    yield from sorted(seen.values())


def _listed(folder: Path) -> list[Path]:
    """What a folder holds, as far as anybody may know."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _tried(one: Interpreter, *, deploys: bool) -> bool:
    """Whether a fresh machine with this Python gets what the README promises; what it said is shown where it does not."""
    with tempfile.TemporaryDirectory(prefix="standby-clean-room-") as scratch:
        home, checkout = Path(scratch, "home"), Path(scratch, "standby")
        home.mkdir()
        room = {"HOME": str(home), "PATH": f"{Path(scratch, 'bin')}:/usr/local/bin:/usr/bin:/bin"}
        Path(scratch, "bin").mkdir()
        Path(scratch, "bin/python3").symlink_to(one.path)
        subprocess.run(["git", "clone", "--quiet", ROOT, checkout], check=True)
        commands = TRY if deploys else PLAN
        start = time.monotonic()
        code, said = _run(commands, checkout, room)
        outcome = "passed" if code == 0 else f"FAILED ({code})"
        print(f"{one}: {' '.join(commands[0])} {outcome} in {time.monotonic() - start:.0f} s", flush=True)
        if code:
            print(said, flush=True)
        return code == 0


def _run(commands: Sequence[Sequence[str]], checkout: Path, room: Mapping[str, str]) -> tuple[int, str]:
    """How these commands end, one after the other until one fails, and all that they say."""
    said = ""
    for command in commands:
        try:
            ended = subprocess.run(
                command,
                cwd=checkout,
                env=room,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return 1, f"{said}{(late.stdout or b'').decode(errors='replace')}\nnot ended after {SECONDS} s"
        said += ended.stdout.decode(errors="replace")
        if ended.returncode:
            return ended.returncode, said
    return 0, said


if __name__ == "__main__":
    sys.exit(main())
