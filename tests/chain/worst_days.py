"""Worst days by chance: `python -m tests.chain.worst_days [--runs N] [--seed S]`.

Each run is a small chain in two regions under one combination of weather: latencies, failing resources, throttling, stale
reads, dropped connections, a region that is dark, and kills. Whatever happens, what must hold is checked after it.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain.environment.exit_codes import Exit
from tests.support.chain.checkout import Checkout, parameter, ref
from tests.support.chain.cloud import Cloud, cloud

REGIONS = {"primary": "us-east-1", "recovery": "us-west-2"}
ALARM = 90.0  # seconds in which a run must end
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
PROGRAM = "import sys, pathlib, deploy; from chain.cloudformation import account; account.FIRST_READ = 1.0; " + (
    "sys.exit(deploy.main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
)


@dataclass
class Day:
    """One combination, all of it drawn from the seed."""

    seed: int
    feeds: dict[str, list[str]] = field(default_factory=dict)
    site: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failing: str = ""
    rate: float = 0.0
    stale: float = 0.0
    drops: float = 0.0
    dark: str = ""
    kills: tuple[int, ...] = ()

    @classmethod
    def of(cls, seed: int) -> Day:
        chance = random.Random(seed)  # noqa: S311  of no use to an attacker
        day = cls(seed)
        names = [f"l{number}" for number in range(chance.randint(3, 8))]
        for number, name in enumerate(names):
            day.feeds[name] = sorted(chance.sample(names[:number], min(number, chance.randint(0, 2))))
            day.site[name] = chance.choice(list(REGIONS))
            day.seconds[name] = round(chance.uniform(0.05, 0.8), 2)
        day.failing = chance.choice(names) if chance.random() < 0.4 else ""
        day.rate = chance.choice((0.0, 0.0, 5.0))
        day.stale = chance.choice((0.0, 0.0, 0.3))
        day.drops = chance.choice((0.0, 0.0, 0.08))
        day.dark = chance.choice(("", "", "", *REGIONS.values()))
        day.kills = tuple(chance.randint(3, 30) for _ in range(chance.choice((0, 0, 1, 2))))
        return day

    def beneath(self, name: str) -> set[str]:
        """What a layer waits for, directly or not."""
        return set(self.feeds[name]).union(*(self.beneath(each) for each in self.feeds[name]))

    def held(self) -> set[str]:
        """The layers that cannot stand while things are as they are."""
        first = {name for name in self.feeds if name == self.failing or REGIONS[self.site[name]] == self.dark}
        return first | {name for name in self.feeds if self.beneath(name) & first}


def write(day: Day, checkout: Checkout) -> None:
    """The day's layers."""
    for name, feeds in day.feeds.items():
        checkout.layer(
            name,
            {"Value": parameter(name, ref("Size"))},
            imports={f"From{each}": f"{day.site[each]}:{each}.Out" for each in feeds},
            sites={day.site[name]: REGIONS[day.site[name]]},
            parameters={"Size": {"Type": "String", "Default": "1"}},
            outputs={"Out": ref("Value")},
        )


def run(seed: int) -> list[str]:
    """Live through one day; what did not hold, as sentences."""
    day = Day.of(seed)
    with tempfile.TemporaryDirectory() as folder, cloud() as sky:
        checkout = Checkout(Path(folder), f"c{seed % 100000}")
        write(day, checkout)
        clients = sky.clients()
        chance = random.Random(seed + 1)  # noqa: S311
        sky.weather.seconds = lambda _, name: day.seconds[name.split("-")[1]]
        sky.weather.failing = {checkout.stack(day.failing): "Value"} if day.failing else {}
        sky.weather.rate, sky.weather.burst, sky.weather.stale = day.rate, 4, day.stale
        sky.weather.dark = {day.dark} - {""}
        sky.weather.drops = lambda *_: chance.choice(("before", "after")) if chance.random() < day.drops else ""
        wrong: list[str] = []
        for at in day.kills:
            command(checkout, sky, "deploy", wrong, kill=at)
        code = command(checkout, sky, "deploy", wrong)
        held = day.held()
        wrong += [f"deploy ended with {code}"] if code not in ((Exit.FAILED, Exit.ACCESS) if held else (Exit.OK,)) else []
        wrong += [
            f"{name} stands as {state}"
            for name in day.feeds
            if (state := standing(day, checkout, sky, name)) != "CREATE_COMPLETE" and name not in held
        ]
        wrong += [
            f"{name} was created {times} times"
            for name in day.feeds
            if (times := sky.begun["create", f"{REGIONS[day.site[name]]}/{checkout.stack(name)}"]) > 1 and name != day.failing
        ]
        for name in ("status", "plan"):
            code = command(checkout, sky, name, wrong)
            fine = (Exit.UNSEEN,) if day.dark and seen_by(day) else (Exit.OK, Exit.FAILED)
            wrong += [f"{name} ended with {code}"] if code not in (*fine, Exit.ACCESS) else []
        # The weather clears up: all of it is repaired by the same command, and once more changes nothing.
        sky.weather.failing, sky.weather.dark, sky.weather.rate, sky.weather.stale = {}, set(), 0.0, 0.0
        sky.weather.drops = lambda *_: ""
        for name in day.feeds:
            if standing(day, checkout, sky, name) == "DELETE_FAILED":  # what the failing resource did to the removal of its stack
                clients("cloudformation", REGIONS[day.site[name]]).delete_stack(StackName=checkout.stack(name))
                time.sleep(1.0)  # longer than any stack takes
        code = command(checkout, sky, "deploy", wrong)
        wrong += [f"deploy in clear weather ended with {code}"] if code != Exit.OK else []
        wrong += [
            f"{name} does not stand at the end"
            for name in day.feeds
            if not standing(day, checkout, sky, name).endswith("E_COMPLETE")
        ]
        begun = dict(sky.begun)
        wrong += ["deploying again failed"] if command(checkout, sky, "deploy", wrong) != Exit.OK else []
        wrong += ["deploying again changed something"] if dict(sky.begun) != begun else []
    return [f"{text}   ({day})" for text in wrong]


def seen_by(day: Day) -> bool:
    """Whether a stack of the day stands in the dark, and another does not."""
    regions = {REGIONS[site] for site in day.site.values()}
    return day.dark in regions and len(regions) > 1


def standing(day: Day, checkout: Checkout, sky: Cloud, name: str) -> str:
    """The status of a layer's stack."""
    with sky.lock:
        found = sky.stacks.get(REGIONS[day.site[name]], {}).get(checkout.stack(name))
        return sky.settle(found).status if found is not None else "absent"


def command(checkout: Checkout, sky: Cloud, name: str, wrong: list[str], kill: int = 0) -> int:
    """Run a command as a process, and kill it at its n-th call where that is asked."""
    process: Any = checkout.command(
        name, "--env", checkout.suffix, environment={**ENVIRONMENT, "AWS_ENDPOINT_URL": sky.endpoint}, program=PROGRAM
    )
    calls = [0]

    def watch(*_: Any) -> None:
        calls[0] += 1
        if kill and calls[0] == kill:
            process.send_signal(signal.SIGKILL)

    sky.weather.watch = watch
    alarm = threading.Timer(ALARM, process.kill)
    alarm.start()
    began = time.monotonic()
    err = process.communicate()[1]
    alarm.cancel()
    sky.weather.watch = lambda *_: None
    if time.monotonic() - began >= ALARM:
        wrong.append(f"{name} did not end in {ALARM:.0f} s")
    if "Traceback" in err:
        wrong.append(f"{name} fell over: {err.strip().splitlines()[-1]}")
    return int(process.returncode)


def main() -> int:
    """Run many, and say the seed of each that went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    print(f"{given.runs} days from seed {given.seed}", flush=True)
    bad = 0
    for seed in range(given.seed, given.seed + given.runs):
        wrong = run(seed)
        bad += bool(wrong)
        for text in wrong:
            print(f"seed {seed}: {text}", flush=True)
    print(f"{given.runs - bad} of {given.runs} days went as they should." + ("" if not bad else " Again: --runs 1 --seed SEED"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
