"""Measure what is watched: start-up, build, deployment to the emulator, memory. `make bench` prints the table of bench/README.md.

Each figure is the median of several whole processes, wall time in seconds and the largest resident set in MiB.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
STANDS = re.compile(r"^\d+ stacks: \d+ created\.$")


@dataclass(frozen=True)
class Figure:
    """What one command took: seconds of wall time, MiB of the largest process."""

    name: str
    seconds: float
    mebibytes: float
    target: str


def main() -> None:
    """Print the figures as a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as scratch:
        figures = list(_figures(runs, Path(scratch)))
    print(f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}; median of {runs} runs\n")
    print("| what | seconds | MiB | target |\n|---|---|---|---|")
    for one in figures:
        print(f"| {one.name} | {one.seconds:.2f} | {_mebibytes(one)} | {one.target} |")


def _mebibytes(figure: Figure) -> str:
    return "" if math.isnan(figure.mebibytes) else f"{figure.mebibytes:.0f}"


def _figures(runs: int, scratch: Path) -> Iterator[Figure]:
    yield _measure("`deploy.py --help`", "< 0.3 s", runs, [PYTHON, "deploy.py", "--help"])
    yield _first_try(min(runs, 3), scratch)
    fresh = scratch / "fresh"
    yield _measure("build from nothing", "", runs, [PYTHON, "build.py", "--root", str(fresh)], lambda: shutil.rmtree(fresh, True))
    yield _measure("build, unchanged", "< 1 s", runs, [PYTHON, "build.py", "--root", str(fresh)])
    lint = [PYTHON, "build.py", "lint", "--root", str(scratch / "lint")]

    def unlinted() -> None:
        shutil.rmtree(scratch / "lint", True)
        for name in ("templates", "parameters"):
            shutil.copytree(ROOT / name, scratch / "lint" / name)

    yield _measure("lint, nothing kept", "", min(runs, 3), lint, unlinted)
    yield _measure("lint, unchanged", "", runs, lint)
    with _emulator() as environment:
        suffix = iter(range(1000))

        def deploy() -> list[str]:
            return [PYTHON, "deploy.py", "deploy", "--system", "ledger", "--env", f"bench{next(suffix)}"]

        yield _measure("deploy ledger to the emulator", "", min(runs, 3), deploy, environment=environment)
        again = [PYTHON, "deploy.py", "deploy", "--system", "ledger", "--env", "bench0"]
        yield _measure("deploy ledger again, unchanged", "", runs, again, environment=environment)
        yield _measure(
            "plan, unchanged",
            "",
            runs,
            [PYTHON, "deploy.py", "plan", "--system", "ledger", "--env", "bench0"],
            environment=environment,
        )
        yield _measure(
            "drift",
            "",
            min(runs, 3),
            [PYTHON, "deploy.py", "drift", "--system", "ledger", "--env", "bench0"],
            environment=environment,
        )


def _measure(
    name: str,
    target: str,
    runs: int,
    command: list[str] | Callable[[], list[str]],
    before: Callable[[], object] = lambda: None,
    environment: dict[str, str] | None = None,
) -> Figure:
    seconds, mebibytes = [], []
    for _ in range(runs):
        before()
        arguments = command() if callable(command) else command
        start = time.perf_counter()
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - start)
        mebibytes.append(usage.ru_maxrss / 1024)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(arguments)} ended with {process.returncode}:\n{said.decode()}")
    return Figure(name, statistics.median(seconds), statistics.median(mebibytes), target)


def _first_try(runs: int, scratch: Path) -> Figure:
    """What a newcomer waits for: from the end of `git clone` to the line that says that ledger stands, packages cached."""
    seconds = []
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for number in range(runs + 1):  # the first one fills the caches
        clone = scratch / f"clone-{number}"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        start = time.perf_counter()
        with subprocess.Popen(
            ["make", "try", "SYSTEM=ledger"], cwd=clone, env=kept, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        ) as process:
            lines = iter(process.stdout or ())
            said = [next((line for line in lines if STANDS.search(line)), "")]
            took = time.perf_counter() - start
            said += lines
        if process.returncode or not said[0]:
            sys.exit(f"make try ended with {process.returncode}:\n{''.join(said)}")
        seconds += [took] if number else []
    return Figure("`make try SYSTEM=ledger` in a new clone, until it stands", statistics.median(seconds), float("nan"), "< 20 s")


@contextmanager
def _emulator() -> Iterator[dict[str, str]]:
    sys.path.insert(0, str(ROOT))
    import emulator

    with emulator.running() as aws:
        yield {**os.environ, **aws.environment}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
