"""The network's fields choose its shape, and no shape lets the database's subnets out."""

import pytest

from generator.layers.network import Network
from generator.template import Template
from model import Document


def _resources(network: Network) -> dict[str, Document]:
    t = Template("x")
    network.define(t)
    resources: dict[str, Document] = t.document()["Resources"]
    return resources


def _of(resources: dict[str, Document], type_: str) -> dict[str, Document]:
    return {title: body["Properties"] for title, body in resources.items() if body["Type"] == f"AWS::EC2::{type_}"}


@pytest.mark.parametrize(("gateways", "behind"), [(1, "AAA"), (2, "ABA"), (3, "ABC")])
def test_each_zone_leaves_through_its_own_gateway_where_it_has_one(gateways: int, behind: str) -> None:
    resources = _resources(Network(nat_gateways=gateways))
    assert len(_of(resources, "NatGateway")) == len(_of(resources, "EIP")) == gateways
    routes = _of(resources, "Route")
    assert [routes[f"ApplicationRoute{zone}"]["NatGatewayId"]["Ref"][-1] for zone in "ABC"] == list(behind)
