"""The systems of two regions, killed again and again while they are deployed and destroyed: the same command ends it."""

import operator
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from emulator import Emulator
from tests.support import unmeasured
from tests.support.commands import ROOT, deploy_py
from tests.support.committed_templates import templates

SUFFIX = "cut"
DEPLOY = ("deploy", "--rotation-wait", "0")  # no servers stand behind the emulator here
REGIONS = ("eu-west-1", "eu-west-2")
POINTS = (0.2, 0.7)
"""Parts of the stacks after which a command is killed: early and late."""


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with unmeasured.running(databases=False) as aws:
        aws.opt_in()
        yield aws


def _stacks(aws: Emulator) -> list[dict[str, Any]]:
    """Those of both regions."""
    return [stack for region in REGIONS for stack in aws.client("cloudformation", region).describe_stacks()["Stacks"]]


def _killed(aws: Emulator, system: str, command: tuple[str, ...], reached: Callable[[int], bool]) -> None:
    """A command that is killed when so many stacks stand, and still runs then."""
    process = subprocess.Popen(
        [sys.executable, "deploy.py", *command, "--system", system, "--env", SUFFIX],
        cwd=ROOT,
        env={**unmeasured.environment(), **aws.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and not reached(len(_stacks(aws))) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it was killed"
    process.kill()
    process.wait()


@pytest.mark.parametrize("system", ["federal-records", "healthcare"])
def test_killed_early_and_late_and_run_again_it_is_deployed_and_destroyed_whole(aws: Emulator, system: str) -> None:
    whole = sum(len(document["Metadata"]["Layer"]["Sites"]) for document in templates(system).values())
    for part in POINTS:
        _killed(aws, system, DEPLOY, partial(operator.le, part * whole))
    deployed = deploy_py(aws, *DEPLOY, "--system", system, suffix=SUFFIX)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    made = _stacks(aws)
    assert len(made) == len({stack["StackId"] for stack in made}) == whole
    assert {stack["StackStatus"] for stack in made} <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}

    for part in POINTS:
        _killed(aws, system, ("destroy", "--yes"), partial(operator.ge, (1 - part) * whole))
    destroyed = deploy_py(aws, "destroy", "--yes", "--system", system, suffix=SUFFIX)
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert _stacks(aws) == []
    for region in REGIONS:
        tagged = aws.client("resourcegroupstaggingapi", region)
        found = tagged.get_resources(TagFilters=[{"Key": "Environment", "Values": [SUFFIX]}])
        assert all(":kms:" in one["ResourceARN"] for one in found["ResourceTagMappingList"])
