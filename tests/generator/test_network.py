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


def test_without_public_subnets_nothing_leads_to_the_internet() -> None:
    resources = _resources(Network(public=False, nat_gateways=0))
    assert not {"InternetGateway", "NatGateway", "EIP", "Route"} & {body["Type"].rsplit(":", 1)[1] for body in resources.values()}
    assert len(_of(resources, "Subnet")) == 6


def test_public_subnets_without_nat_leave_the_others_isolated() -> None:
    resources = _resources(Network(nat_gateways=0, host_bits=8))
    assert list(_of(resources, "Route")) == ["PublicRoute"]
    assert {subnet["CidrBlock"]["Fn::Select"][1]["Fn::Cidr"][2] for subnet in _of(resources, "Subnet").values()} == {"8"}


@pytest.mark.parametrize(("gateways", "behind"), [(1, "AAA"), (2, "ABA"), (3, "ABC")])
def test_each_zone_leaves_through_its_own_gateway_where_it_has_one(gateways: int, behind: str) -> None:
    resources = _resources(Network(nat_gateways=gateways))
    assert len(_of(resources, "NatGateway")) == len(_of(resources, "EIP")) == gateways
    routes = _of(resources, "Route")
    assert [routes[f"ApplicationRoute{zone}"]["NatGatewayId"]["Ref"][-1] for zone in "ABC"] == list(behind)


def test_gateway_endpoints_stand_in_every_isolated_route_table_with_a_policy_for_our_own_data() -> None:
    resources = _resources(Network(public=False, nat_gateways=0, gateways=("s3", "dynamodb")))
    endpoints = _of(resources, "VPCEndpoint")
    tables = {"DatabaseRouteTable", *(f"ApplicationRouteTable{zone}" for zone in "ABC")}
    for name in ("S3Endpoint", "DynamoDBEndpoint"):
        assert {table["Ref"] for table in endpoints[name]["RouteTableIds"]} == tables
        (statement,) = endpoints[name]["PolicyDocument"]["Statement"]
        assert "*" not in statement["Action"]
        assert "*" not in statement["Resource"]
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
