"""The runs that a region's loss is reckoned with are those that the failover function makes."""

from __future__ import annotations

from types import ModuleType

import pytest
from orchestration import aurora, replica
from orchestration.step import Run
from orchestration.world import World

from protocol.journal import FAILOVER, SWITCHOVER
from protocol.steps import AURORA, REPLICA, STEPS
from recovery import region_loss

KINDS = {REPLICA: replica, AURORA: aurora}
WORLD = World({"FILE_SYSTEM_ID": "fs-1", "SECRET_ARN": "arn:aws:secretsmanager:eu-west-2:1:secret:x"})


@pytest.mark.parametrize("request_", [SWITCHOVER, FAILOVER])
@pytest.mark.parametrize("kind", KINDS)
def test_what_mends_is_left_out_and_what_is_awaited_can_say_that_it_is_under_way(kind: str, request_: str) -> None:
    """An act that may return nothing has begun what takes its time."""
    module: ModuleType = KINDS[kind]
    made = [step for step in module.steps(request_) if step.only(Run(WORLD, "some", {"request": request_}, {}, 1))]
    declared = [step for step in STEPS[kind] if request_ in step.requests and not step.mends]
    assert [step.name for step in made] == [step.name for step in declared]
    waiting = [step.name for step in made if "None" in str(step.act.__annotations__["return"]) and step.done is not None]
    assert waiting == [step.name for step in declared if step.awaited]


def test_a_cluster_is_over_in_seven_runs_and_a_replica_with_its_files_in_ten() -> None:
    assert region_loss.runs(AURORA) == (
        "decide",
        "fence",
        "capacity",
        "promote",
        "promote seen",
        "verify",
        "site told",
    )
    assert len(region_loss.runs(REPLICA)) == 10
