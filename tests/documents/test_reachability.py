"""Who can reach what, over all systems as they are committed: what must not be reachable, and how each row is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from documents.reachability import Way, matrix
from generator.systems import SYSTEMS
from model import read
from model.view import View

ROOT = Path(__file__).parents[2]
PORTS = {"DatabaseGroup": "tcp 5432", "CacheGroup": "tcp 6379", "TargetGroup": "tcp 2049", "EndpointGroup": "tcp 443"}
"""Groups that serve something, by their logical id, and the one port at which they do."""

CLIENTS = {
    # The probe has a group of its own: a fence keeps clients out, and it must get in behind one.
    "DatabaseGroup": {"network.ClientGroup", "probe.Group", "probe-recovery.Group"},
    "CacheGroup": {"cache.ClientGroup", "cache-rotation.RotationGroup"},
    "TargetGroup": {"files.WriterGroup", "files-replica.WriterGroup"},
}
"""Who may reach what holds data. Whoever is not here must not."""


def _templates(name: str) -> dict[str, Any]:
    return {path.stem: read(path.read_text()) for path in sorted((ROOT / "templates" / name).glob("*.yaml"))}


ROWS = [(system.name, way, worth) for system in SYSTEMS for way, worth in matrix(View(_templates(system.name)))]


def test_every_rule_of_a_group_has_its_other_half() -> None:
    assert [(name, way) for name, way, worth in ROWS if worth != "reaches"] == []


def test_what_holds_data_is_reached_by_its_clients_only_and_on_its_port_only() -> None:
    reached = [(way.peer.partition(".")[2], way) for _, way, _ in ROWS]
    held = [(title, way) for title, way in reached if title in CLIENTS]
    assert {title for title, _ in held} == set(CLIENTS)
    for title, way in held:
        assert way.group in CLIENTS[title], way


def test_nobody_reaches_a_client_and_every_server_has_one_port() -> None:
    for _, way, _ in ROWS:
        if not way.peer.startswith("prefix list"):
            assert PORTS.get(way.peer.partition(".")[2]) == way.ports, way


def test_what_holds_data_reaches_nothing() -> None:
    assert not [way for _, way, _ in ROWS if way.group.partition(".")[2] in CLIENTS]


def test_no_address_range_is_let_in_or_out() -> None:
    assert not [way for _, way, _ in ROWS if "/" in way.peer]


def test_only_the_health_function_leaves_through_gateways() -> None:
    through = {(name, way.group) for name, way, _ in ROWS if way.peer.startswith("prefix list")}
    assert through == {("regional-platform", "health.Group")}


def _view(egress: list[dict[str, Any]], ingress: list[dict[str, Any]]) -> View:
    def group(**rules: Any) -> dict[str, Any]:
        return {"Type": "AWS::EC2::SecurityGroup", "Properties": rules}

    return View({"n": {"Resources": {"A": group(SecurityGroupEgress=egress), "B": group(SecurityGroupIngress=ingress)}}})


def _rule(port: int, **peer: Any) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer}


@pytest.mark.parametrize(
    ("out", "into", "expected"),
    [
        (443, 443, [(Way("n.A", "n.B", "tcp 443"), "reaches")]),
        (443, 5432, [(Way("n.A", "n.B", "tcp 443"), "let out only"), (Way("n.A", "n.B", "tcp 5432"), "let in only")]),
    ],
)
def test_a_way_needs_both_sides(out: int, into: int, expected: list[tuple[Way, str]]) -> None:
    egress = [_rule(out, DestinationSecurityGroupId={"Ref": "B"})]
    ingress = [_rule(into, SourceSecurityGroupId={"Ref": "A"})]
    assert list(matrix(_view(egress, ingress))) == expected


def test_ranges_of_ports_and_addresses_are_shown_as_they_are_written() -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 9, "CidrIp": "10.0.0.0/8"}
    assert list(matrix(_view([rule], []))) == [(Way("n.A", "10.0.0.0/8", "tcp 1 to 9"), "let out only")]
