"""The runs that a region's loss is reckoned with are those that the failover function makes."""

from __future__ import annotations

from types import ModuleType

import pytest
from orchestration import aurora, replica
from orchestration.step import Run
from orchestration.world import World

from recovery import elsewhere
from recovery.stores import CLUSTER, INSTANCE

KINDS = {INSTANCE: replica, CLUSTER: aurora}
WORLD = World({"FILE_SYSTEM_ID": "fs-1", "SECRET_ARN": "arn:aws:secretsmanager:eu-west-2:1:secret:x"})


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_are_those_of_the_function(kind: str) -> None:
    module: ModuleType = KINDS[kind]
    run = Run(WORLD, "some", {"request": "failover"}, {}, 1)
    assert elsewhere.STEPS[kind] == tuple(step.name for step in module.steps("failover") if step.only(run))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_awaited_is_what_says_that_it_is_under_way(kind: str) -> None:
    """An act that may return nothing has begun what takes its time."""
    module: ModuleType = KINDS[kind]
    run = Run(WORLD, "some", {"request": "failover"}, {}, 1)
    waiting = {
        step.name
        for step in module.steps("failover")
        if step.only(run) and "None" in str(step.act.__annotations__["return"]) and step.done is not None
    }
    assert waiting == set(elsewhere.STEPS[kind]) & set(elsewhere.AWAITED)


def test_a_cluster_is_over_in_seven_runs_and_a_replica_with_its_files_in_ten() -> None:
    assert elsewhere.runs(CLUSTER) == (
        "decide",
        "fence",
        "capacity",
        "promote",
        "promote seen",
        "verify",
        "site told",
    )
    assert len(elsewhere.runs(INSTANCE)) == 10
