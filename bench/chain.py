"""Measure the chain on a CloudFormation of our own (tests/chain/cloud.py): `python bench/chain.py [--runs N]`.

Twenty stacks on eight levels in two regions, edges across; 1.7 to 8.3 seconds a stack, which no poll divides. The critical path
is what nobody can beat. Commands are whole processes; a deployment is what `chain.deploy` takes.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from chain.deploy import deploy  # noqa: E402
from chain.destroy import destroy, survey  # noqa: E402
from chain.durations import Durations  # noqa: E402
from chain.pace import Pace, attach  # noqa: E402
from chain.stack import Clients  # noqa: E402
from chain.templates import load  # noqa: E402
from tests.chain.cloud import ACCOUNT, Cloud, cloud  # noqa: E402
from tests.chain.world import Checkout, ref  # noqa: E402

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
        levels[level].append(name)
        checkout.layer(
            name,
            imports={f"From{need}": f"{site[need]}:{need}.Out" for need in needs},
            sites={site[name]: REGIONS[site[name]]},
            outputs={"Out": ref("Value")},
        )
    return seconds, max(path.values())


def clients_of(running: Cloud) -> Clients:
    """Clients with a pace, as those of the commands."""
    plain, made = running.clients(), {}

    def client(service: str, region: str) -> object:
        if (service, region) not in made:
            one = plain(service, region)
            made[service, region] = attach(one, Pace()) if service == "cloudformation" else one
        return made[service, region]

    return client


def figures(runs: int, seed: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, cloud() as running:
        checkout = Checkout(Path(folder), "bench")
        seconds, path = shape(checkout, seed)
        running.weather.seconds = lambda _, name: seconds[name]
        yield f"critical path {path:.1f} s, {STACKS} stacks, seed {seed}\n"
        memory = checkout.root / "out" / "durations.json"
        for name, rate in (("first, nothing remembered", 0.0), ("deploy", 0.0), ("throttled to 3 calls a second", 3.0)):
            took, calls, rejected = [], [], []
            for _ in range(1 if name.startswith("first") or rate else runs):
                clear(running)
                running.weather.rate = rate
                took.append(timed(lambda: put(checkout, running, memory)))
                calls.append(len(running.cloudformation()) / STACKS)
                rejected.append(running.rejected)
            yield row(name, took, path, calls, rejected)
        running.weather.rate = 0.0
        yield process("deploy again, unchanged", runs, checkout, running, "deploy")
        yield process("plan, unchanged", runs, checkout, running, "plan")
        yield process("status", runs, checkout, running, "status")
        yield process("boto3 and the same clients", runs, checkout, running, "")
        took, calls = [], []
        for _ in range(min(runs, 2)):
            put(checkout, running, memory)
            clear(running, keep=True)
            took.append(timed(lambda: take(checkout, running, memory)))
            calls.append(len(running.cloudformation()) / STACKS)
        yield row("destroy (the second remembers)", took[-1:], path, calls[-1:], [0])


def clear(running: Cloud, *, keep: bool = False) -> None:
    running.calls.clear()
    running.rejected = 0
    running._levels.clear()
    if not keep:
        running.stacks.clear()


def put(checkout: Checkout, running: Cloud, memory: Path) -> None:
    result = deploy(checkout.graph(), clients_of(running), lambda _: None, folder=checkout.root, durations=Durations(memory))
    if len(result.done) != STACKS:
        raise SystemExit(f"failed: {result.failed}")


def take(checkout: Checkout, running: Cloud, memory: Path) -> None:
    clients = clients_of(running)
    templates = load(checkout.root / "templates")
    found = survey(templates, checkout.suffix, clients, ACCOUNT)
    result = destroy(found, templates, clients, lambda _: None, ACCOUNT, patience=0, durations=Durations(memory))
    if len(result.deleted) != STACKS:
        raise SystemExit(f"failed: {result.failed}")


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def row(name: str, took: list[float], path: float, calls: list[float], rejected: list[int]) -> str:
    middle = statistics.median(took)
    asked = f"{statistics.median(calls):.2f} calls a stack | {max(rejected)} rejected"
    return f"| {name} | {middle:.2f} s | {middle / path:.3f} x | {asked} |"


def process(name: str, runs: int, checkout: Checkout, running: Cloud, command: str) -> str:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    program = "import sys, pathlib, deploy; sys.exit(deploy.main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
    argv = [sys.executable, "-c", program, str(checkout.root), command, "--env", checkout.suffix]
    whole = argv if command else [sys.executable, "-c", BASELINE]
    running.calls.clear()
    took = [timed(lambda: subprocess.run(whole, cwd=ROOT, env=environment, check=True, capture_output=True)) for _ in range(runs)]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    calls = len(running.cloudformation()) / runs
    return f"| {name} | {statistics.median(took):.2f} s | {memory:.0f} MiB | {calls:.0f} calls |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    for line in figures(given.runs, given.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
