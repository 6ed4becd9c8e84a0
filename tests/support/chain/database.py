"""A network and a database on it, which a change may move, and what a plan finds dangerous in that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chain.changes.guard import Danger
from chain.changes.review import Review, review
from chain.cli import text
from chain.cloudformation import reachable_regions
from chain.deploy import saved_plan
from chain.deploy.deployment import Result, deploy
from chain.deploy.plan import Step, plan
from chain.run.run import Run
from tests.support.chain.checkout import Checkout, Clients, Heard, get, ref, sub

ZONES = {
    "VpcCidr": {"Type": "String", "Default": "10.0.0.0/16"},
    "ZoneId": {"Type": "String", "Default": "use1-az1"},
}

ENGINE = {
    "AllocatedStorage": "20",
    "DBInstanceClass": "db.t3.micro",
    "Engine": "postgres",
    "MasterUserPassword": "not-a-secret-of-anybody",
    "MasterUsername": "master",
}

NAMED = {"DBSubnetGroupDescription": "Where it stands.", "DBSubnetGroupName": sub("db-${EnvironmentSuffix}")}


def resource(type_: str, **properties: Any) -> dict[str, Any]:
    """A resource."""
    return {"Type": type_, "Properties": properties}


def network() -> dict[str, Any]:
    """A VPC with two subnets and a group."""
    block = {"Fn::Cidr": [ref("VpcCidr"), 2, 8]}
    subnets = {
        f"Subnet{number}": resource(
            "AWS::EC2::Subnet",
            VpcId=ref("Vpc"),
            CidrBlock={"Fn::Select": [number, block]},
            AvailabilityZoneId=ref("ZoneId") if number else "use1-az4",
        )
        for number in (0, 1)
    }
    group = resource("AWS::EC2::SecurityGroup", GroupDescription="The database's.", VpcId=ref("Vpc"))
    return {"Vpc": resource("AWS::EC2::VPC", CidrBlock=ref("VpcCidr")), **subnets, "Group": group}


SUBNETS = {"Fn::Join": [",", [ref("Subnet0"), ref("Subnet1")]]}


def lay(checkout: Checkout, resources: Mapping[str, Any], subnets: Any = SUBNETS, **more: Any) -> None:
    """The network's layer, whose outputs a database takes."""
    outputs = {"SubnetIds": subnets, "GroupId": get("Group", "GroupId"), "VpcId": ref("Vpc")}
    checkout.layer("network", resources, parameters=ZONES, outputs=outputs, **more)


def database(checkout: Checkout, sites: Mapping[str, str] | None = None) -> None:
    """A database on the network: its group of subnets has a name, and is changed in place."""
    group = resource("AWS::RDS::DBSubnetGroup", SubnetIds={"Fn::Split": [",", ref("NetworkSubnetIds")]}, **NAMED)
    instance = resource(
        "AWS::RDS::DBInstance", DBSubnetGroupName=ref("Subnets"), VPCSecurityGroups=[ref("NetworkGroupId")], **ENGINE
    )
    imports = {"NetworkSubnetIds": "network.SubnetIds", "NetworkGroupId": "network.GroupId"}
    checkout.layer("database", {"Subnets": group, "Instance": instance}, imports=imports, sites=sites)


def put(checkout: Checkout, clients: Clients, *allowed: str, given: saved_plan.Saved | None = None) -> Result:
    """Deploy."""
    return deploy(Run(clients, checkout.graph(), Heard(), packages=checkout.root / "out", allowed=allowed), given)


def judge(checkout: Checkout, clients: Clients) -> tuple[Review, list[Step], list[Danger]]:
    """Plan: what is reviewed, the steps, and every danger."""
    graph = checkout.graph()
    judged = review(graph, clients, reachable_regions.look(clients, graph.regions).standing)
    steps = plan(Run(clients, graph), judged=judged)
    return judged, steps, text.dangers(judged, steps)


def finals(checkout: Checkout, clients: Clients) -> list[Danger]:
    """Those that nothing opens."""
    return [each for each in judge(checkout, clients)[2] if each.final]
