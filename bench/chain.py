"""Measure the chain on a CloudFormation of our own (tests/support/chain/cloud.py): `python bench/chain.py [--runs N]`.

Twenty stacks on eight levels in two regions, edges across; 1.7 to 8.3 seconds a stack, which no poll divides. The critical path
is what nobody can beat. Each row is the median of whole processes. Sceptre deploys the same stacks beside it where it is
installed (`bench/README.md`). What takes long runs at once, each command on an endpoint of its own; what is quick runs
after it, alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import sceptre  # noqa: E402
from chain.cloudformation.durations import memory_name  # noqa: E402
from tests.support.chain.checkout import Checkout, ref  # noqa: E402
from tests.support.chain.cloud import Cloud, cloud  # noqa: E402

REGIONS = {"primary": "eu-west-1", "recovery": "eu-west-2"}
STACKS, LEVELS, SHORTEST, LONGEST = 20, 8, 1.7, 8.3
BASELINE = (
    "import boto3; session = boto3.Session(); session.client('sts', region_name='eu-west-1');"
    "[session.client('cloudformation', region_name=region) for region in ('eu-west-1', 'eu-west-2')]"
)


def shape(checkout: Checkout, seed: int) -> tuple[dict[str, float], float]:
    """Write the templates; the seconds of each stack, and of the critical path."""
    chance = random.Random(seed)  # noqa: S311  of no use to an attacker
    seconds, path = {}, {}
    levels: list[list[str]] = [[] for _ in range(LEVELS)]
    site: dict[str, str] = {}
    for number in range(STACKS):
        level = number if number < LEVELS else chance.randrange(LEVELS)
        name = f"l{number}"
        site[name] = chance.choice(list(REGIONS))
        below = levels[level - 1] if level else []
        needs = sorted({levels[level - 1][0], chance.choice(below)}) if below else []
        seconds[checkout.stack(name)] = round(chance.uniform(SHORTEST, LONGEST), 3)
        path[name] = seconds[checkout.stack(name)] + max((path[need] for need in needs), default=0.0)
        seconds[sceptre.name(site[name], name)] = seconds[checkout.stack(name)]
        levels[level].append(name)
        checkout.layer(
            name,
            imports={f"From{need}": f"{site[need]}:{need}.Out" for need in needs},
            sites={site[name]: REGIONS[site[name]]},
            outputs={"Out": ref("Value")},
        )
    return seconds, max(path.values())


PROGRAM = "import sys, pathlib, deploy; sys.exit(deploy.main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
LONG = ("first", "deploy", "throttled", "destroy")
QUICK = ("no-op", "plan", "status")
WHAT = {
    "first": "deploy, nothing remembered",
    "deploy": "deploy",
    "throttled": "deploy, 3 calls a second and region",
    "destroy": "destroy",
    "no-op": "deploy again, unchanged",
    "plan": "plan, unchanged",
    "status": "status",
    "clients": "import boto3, make the same clients",
}


@dataclass
class Tool:
    """Ours or Sceptre, on an endpoint of its own with the stacks written for it."""

    name: str
    running: Cloud
    checkout: Checkout
    seconds: dict[str, float]
    path: float
    took: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def run(self, command: str, *, measured: bool = True) -> None:
        """Run a command as a process of its own."""
        own = {"no-op": "deploy", "first": "deploy", "throttled": "deploy"}.get(command, command)
        if command == "clients":
            argv, folder = [sys.executable, "-c", BASELINE], ROOT
        elif self.name == "Sceptre":
            argv, folder = sceptre.argv(own), self.checkout.root / "sceptre"
        else:
            more = ["--yes"] if own == "destroy" else []
            argv, folder = (
                [sys.executable, "-c", PROGRAM, str(self.checkout.root), own, "--env", self.checkout.suffix, *more],
                ROOT,
            )
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.running.endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.running.calls.clear()
        self.running.rejected = 0
        self.running._levels.clear()
        began = time.monotonic()
        with (self.checkout.root / "said").open("wb") as said:
            process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=said, stderr=said)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        failed = process.returncode and not (self.name == "Sceptre" and command == "plan")  # its diff ends with the number
        if failed:
            raise SystemExit(f"{self.name} {command}: {(self.checkout.root / 'said').read_text(encoding='utf-8')[-2000:]}")
        if measured:
            self.took.append(time.monotonic() - began)
            self.calls.append(len(self.running.cloudformation()) / STACKS)
            self.rejected.append(self.running.rejected)
            self.memory.append(usage.ru_maxrss / 1024)

    def stand(self, *, remembered: bool) -> None:
        """Have all stacks stand, as fast as can be; remember the durations of what is measured, or nothing."""
        self.running.stacks.clear()
        self.running.weather.seconds = lambda *_: 0.0
        self.run("deploy", measured=False)
        memory = self.checkout.root / "out" / "durations.json"
        memory.unlink(missing_ok=True)
        if remembered:
            kinds = ("create", "update", "delete")
            kept = {f"{name} {kind}": [seconds] for name, seconds in self.lasting() for kind in kinds}
            memory.parent.mkdir(exist_ok=True)
            memory.write_text(json.dumps(kept), encoding="utf-8")
        self.running.weather.seconds = lambda _, name: self.seconds[name]

    def lasting(self) -> Iterator[tuple[str, float]]:
        """What the durations of each stack are kept under, and how long it takes."""
        for stack in self.checkout.graph().stacks:
            yield memory_name(stack), self.seconds[stack.name]

    def row(self, what: str) -> str:
        middle = statistics.median(self.took)
        beside = f"{middle / self.path:.3f} x" if what in LONG else ""
        calls = statistics.median(self.calls)
        return (
            f"| {WHAT[what]} | {self.name if what != 'clients' else ''} | {middle:.2f} s | {beside} | {calls:.2f} |"
            f" {max(self.rejected)} | {statistics.median(self.memory):.0f} |"
        )


@contextmanager
def tool(name: str, seed: int) -> Iterator[Tool]:
    """One of them, with nothing deployed."""
    with tempfile.TemporaryDirectory() as folder, cloud() as running:
        checkout = Checkout(Path(folder), "bench")
        seconds, path = shape(checkout, seed)
        if name == "Sceptre":
            sceptre.project(checkout.graph(), checkout.root / "sceptre")
        yield Tool(name, running, checkout, seconds, path)


def measure(name: str, what: str, runs: int, seed: int) -> str:
    """One command of one tool."""
    with tool(name, seed) as used:
        used.stand(remembered=what != "first")
        for _ in range(1 if what == "first" else runs):
            if what == "destroy":
                used.stand(remembered=True)
            elif what in LONG:
                used.running.stacks.clear()
            used.running.weather.rate = 3.0 if what == "throttled" else 0.0
            used.run(what)
            used.running.weather.rate = 0.0
        return used.row(what)


def figures(names: Sequence[str], runs: int, seed: int) -> Iterator[str]:
    with tool("this chain", seed) as used:
        yield f"Critical path {used.path:.1f} s, {STACKS} stacks on {LEVELS} levels, seed {seed}, median of {runs} runs.\n"
    yield "| what | tool | time | beside the critical path | CloudFormation calls a stack | rejected, at most | MiB |"
    yield "|---|---|---|---|---|---|---|"
    long = [(name, what) for what in LONG for name in names if (name, what) != ("Sceptre", "first")]
    with ThreadPoolExecutor(len(long)) as pool:
        parts = [[sys.executable, __file__, "--runs", str(runs), "--seed", str(seed), "--part", *each] for each in long]
        yield from pool.map(
            lambda argv: subprocess.run(argv, check=True, capture_output=True, text=True, encoding="utf-8").stdout.strip(), parts
        )
    for what in QUICK:
        for name in names:
            yield measure(name, what, runs, seed)
    yield measure("this chain", "clients", runs, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--part", nargs=2, metavar=("TOOL", "WHAT"))
    given = parser.parse_args()
    if given.part:
        print(measure(*given.part, given.runs, given.seed))
        return
    names = ["this chain", *(["Sceptre"] if sceptre.is_here() else [])]
    for line in figures(names, given.runs, given.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
