"""The failover layer in its two shapes."""

from __future__ import annotations

from typing import Any

import pytest

from generator.layers.failover import Failover
from generator.template import Template

SHAPES = {
    "aurora": Failover(
        home="primary:aurora.ClusterArn", target="aurora-secondary.ClusterArn", whole="primary:global.GlobalClusterId"
    ),
    "replica": Failover(
        home="database-replica.SourceArn",
        target="database-replica.InstanceArn",
        files="files-replica.FileSystemId",
        secret="rotation-standby.SecretArn",
        rotation="rotation-standby.FunctionArn",
    ),
}


def rendered(kind: str) -> dict[str, Any]:
    t = Template("Of the test.", system="of-the-test")
    SHAPES[kind].define(t)
    return dict(t.document()["Resources"])


def statements(kind: str) -> list[dict[str, Any]]:
    [policy] = rendered(kind)["Role"]["Properties"]["Policies"]
    return list(policy["PolicyDocument"]["Statement"])


@pytest.mark.parametrize("kind", SHAPES)
def test_the_function_is_outside_of_any_vpc_and_told_its_kind(kind: str) -> None:
    function = rendered(kind)["Function"]["Properties"]
    assert "VpcConfig" not in function
    assert function["Environment"]["Variables"]["KIND"] == kind


@pytest.mark.parametrize("kind", SHAPES)
def test_nothing_is_allowed_on_all_of_anything(kind: str) -> None:
    assert [each["Action"] for each in statements(kind) if "*" in each["Resource"]] == []


@pytest.mark.parametrize("kind", SHAPES)
def test_no_function_may_delete_a_database(kind: str) -> None:
    actions = [action for each in statements(kind) for action in each["Action"]]
    assert not [action for action in actions if "Delete" in action and action.startswith("rds:")]


@pytest.mark.parametrize("kind", SHAPES)
def test_the_clock_and_the_evidence_invoke_it_and_nobody_else(kind: str) -> None:
    resources = rendered(kind)
    assert resources["Schedule"]["Properties"]["Targets"][0]["Input"] == '{"tick": true}'
    assert resources["Evidence"]["Properties"]["Targets"][0]["DeadLetterConfig"]
    callers = [one for one in resources.values() if one["Type"] == "AWS::Lambda::Permission"]
    assert len(callers) == 2
