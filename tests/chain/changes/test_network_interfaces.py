"""What stands in a network holds it, whoever put it there and whatever templates say of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError, ReadTimeoutError

import emulator
from chain import declared_calls
from chain.changes import guard
from chain.changes.guard import Danger
from chain.environment.exit_codes import GuardedError
from tests.support.chain.checkout import REGION, Checkout, Clients, ref, sub
from tests.support.chain.database import ENGINE, NAMED, SUBNETS, ZONES, database, finals, lay, network, put, resource
from tests.support.emulator.callers import allow, assume

MOVED = {"network": {"VpcCidr": "10.9.0.0/16"}}


def change(checkout: Checkout, layer: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edit a template in place."""
    path = checkout.root / f"templates/shop/{layer}.yaml"
    document = yaml.safe_load(path.read_text())
    edit(document)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def kept(document: dict[str, Any]) -> None:
    """A database that its stack lets go of."""
    for name in ("Instance", "Subnets"):
        document["Resources"][name]["DeletionPolicy"] = "Retain"


def protected(document: dict[str, Any]) -> None:
    """A database that RDS does not delete."""
    document["Resources"]["Instance"]["Properties"]["DeletionProtection"] = True


def unlink(checkout: Checkout, layer: str) -> None:
    """Its layer is gone."""
    (checkout.root / f"templates/shop/{layer}.yaml").unlink()


def outputs(checkout: Checkout, clients: Clients) -> dict[str, str]:
    """Of the network's stack."""
    found = clients("cloudformation", REGION).describe_stacks(StackName=checkout.stack("network"))["Stacks"][0]
    return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


def held(checkout: Checkout, clients: Clients, *allowed: str) -> list[Danger]:
    """What is refused whatever is allowed; nothing is begun, and the network stays."""
    before = outputs(checkout, clients)
    found = finals(checkout, clients)
    assert found, "it is not refused"
    with pytest.raises(GuardedError, match="cannot be moved"):
        put(checkout, clients, *allowed)
    assert outputs(checkout, clients) == before
    return found


@pytest.mark.parametrize("more", [lambda _: None, kept, protected])
def test_a_database_whose_layer_is_gone_holds_its_network_until_it_is_gone_itself(
    checkout: Checkout, clients: Clients, more: Callable[[dict[str, Any]], Any]
) -> None:
    lay(checkout, network())
    database(checkout)
    change(checkout, "database", more)
    put(checkout, clients)
    unlink(checkout, "database")
    checkout.values(MOVED)
    (danger,) = held(checkout, clients, "Instance", "Subnets", "Vpc")
    assert (danger.stack, danger.resource) == (checkout.id("network"), "Vpc")
    assert f"{checkout.id('database')}: Instance" in danger.what


def test_a_deletion_that_failed_holds_the_network_in_the_next_run(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    change(checkout, "database", protected)
    put(checkout, clients)
    unlink(checkout, "database")
    assert checkout.id("database") in put(checkout, clients, "Instance").failed
    checkout.values(MOVED)
    held(checkout, clients, "Instance")


def test_a_network_follows_its_database_that_went_before(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    unlink(checkout, "database")
    assert not put(checkout, clients, "Instance").failed
    checkout.values(MOVED)
    before = outputs(checkout, clients)
    assert finals(checkout, clients) == []
    assert not put(checkout, clients).failed
    assert outputs(checkout, clients)["VpcId"] != before["VpcId"]


def test_both_layers_may_go_at_once_for_the_database_goes_first(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    checkout.layer("other")
    put(checkout, clients)
    unlink(checkout, "database")
    unlink(checkout, "network")
    assert finals(checkout, clients) == []
    result = put(checkout, clients, "Instance")
    assert (set(result.removed), result.failed) == ({checkout.id("database"), checkout.id("network")}, {})


def test_a_database_that_is_let_go_of_with_its_network_holds_it(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    change(checkout, "database", kept)
    checkout.layer("other")
    put(checkout, clients)
    unlink(checkout, "database")
    unlink(checkout, "network")
    (danger,) = held(checkout, clients, "Instance")
    assert (danger.stack, "would be removed" in danger.what) == (checkout.id("network"), True)


def test_an_optional_layer_that_stands_but_is_left_out_holds_its_network(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)

    def optional(document: dict[str, Any]) -> None:
        document["Metadata"]["Layer"]["Optional"] = True
        document["Outputs"] = {"Name": {"Value": ref("Instance")}}

    change(checkout, "database", optional)
    checkout.layer("app", imports={"Db": "database.Name"})
    put(checkout, clients)
    checkout.values({"app": {"Db": "x"}, **MOVED})
    assert [each.stack for each in checkout.graph().left_out] == [checkout.id("database")]
    (danger,) = held(checkout, clients)
    assert f"{checkout.id('database')}: Instance" in danger.what
    checkout.values({"app": {"Db": "x"}})
    assert finals(checkout, clients) == [], "it is not taken for one whose layer is gone"


def by_ids(checkout: Checkout, ids: Any, *, system: str = "shop", parameters: Any = None) -> None:
    """A database that no wire binds to the network."""
    group = resource("AWS::RDS::DBSubnetGroup", SubnetIds=ids, **NAMED)
    made = resource("AWS::RDS::DBInstance", DBSubnetGroupName=ref("Subnets"), **ENGINE)
    checkout.layer("database", {"Subnets": group, "Instance": made}, system=system, parameters=parameters)


def instance(checkout: Checkout, clients: Clients) -> str:
    """The database that stands in this environment's group of subnets."""
    found = clients("rds", REGION).describe_db_instances()["DBInstances"]
    own = f"db-{checkout.suffix}"
    return next(
        str(each["DBInstanceIdentifier"]) for each in found if (each.get("DBSubnetGroup") or {}).get("DBSubnetGroupName") == own
    )


def named(checkout: Checkout, clients: Clients) -> str:
    """The one thing that stands in a network, as it is told."""
    return f"this stands in it: database {instance(checkout, clients)}."


def test_ids_that_a_template_writes_out_are_no_way_around(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    put(checkout, clients)
    by_ids(checkout, outputs(checkout, clients)["SubnetIds"].split(","))
    put(checkout, clients)
    checkout.values(MOVED)
    (danger,) = held(checkout, clients, "Vpc")
    assert named(checkout, clients) in danger.what
    assert danger.what.startswith("would be replaced, and ")


def test_an_exported_name_is_no_way_around(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    export = sub("net-${EnvironmentSuffix}")
    change(checkout, "network", lambda document: document["Outputs"]["SubnetIds"].update(Export={"Name": export}))
    put(checkout, clients)
    by_ids(checkout, {"Fn::Split": [",", {"Fn::ImportValue": export}]})
    put(checkout, clients)
    checkout.values(MOVED)
    (danger,) = held(checkout, clients)
    assert named(checkout, clients) in danger.what


def test_a_database_of_another_system_holds_the_network_that_it_was_given(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    put(checkout, clients)
    by_ids(
        checkout,
        {"Fn::Split": [",", ref("Ids")]},
        system="shelf",
        parameters={"Ids": {"Type": "String", "Default": outputs(checkout, clients)["SubnetIds"]}},
    )
    put(checkout, clients)
    (checkout.root / "templates/shelf/database.yaml").unlink()  # as if only the one system were looked at
    checkout.values(MOVED)
    (danger,) = held(checkout, clients)
    assert named(checkout, clients) in danger.what


def test_a_database_that_was_let_go_of_long_ago_holds_it_running_or_stopped(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    change(checkout, "database", kept)
    put(checkout, clients)
    unlink(checkout, "database")
    assert not put(checkout, clients, "Instance").failed
    checkout.values(MOVED)
    (danger,) = held(checkout, clients)
    assert named(checkout, clients) in danger.what
    clients("rds", REGION).stop_db_instance(DBInstanceIdentifier=instance(checkout, clients))
    (danger,) = held(checkout, clients)
    assert named(checkout, clients) in danger.what


def test_a_cluster_without_an_instance_holds_the_network_of_its_subnets(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    put(checkout, clients)
    rds, name, subnets = clients("rds", REGION), f"db-{checkout.suffix}", outputs(checkout, clients)["SubnetIds"].split(",")
    rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="Where it stands.", SubnetIds=subnets)
    rds.create_db_cluster(
        DBClusterIdentifier=name,
        DBSubnetGroupName=name,
        Engine="aurora-postgresql",
        MasterUserPassword="not-a-secret-of-anybody",
        MasterUsername="master",
    )
    checkout.values(MOVED)
    (danger,) = held(checkout, clients)
    assert f"this stands in it: cluster {name}." in danger.what


def test_within_one_template_what_is_kept_holds_what_is_removed_with_it(checkout: Checkout, clients: Clients) -> None:
    resources = network()
    resources["Subnets"] = resource("AWS::RDS::DBSubnetGroup", SubnetIds=[ref("Subnet0"), ref("Subnet1")], **NAMED)
    resources["Instance"] = resource("AWS::RDS::DBInstance", DBSubnetGroupName=ref("Subnets"), **ENGINE)
    kept({"Resources": resources})
    lay(checkout, resources)
    put(checkout, clients)
    text = yaml.safe_dump(network())
    for name in ("Vpc", "Subnet0", "Subnet1", "Group"):
        text = text.replace(f"{name}:\n", f"New{name}:\n").replace(f"Ref: {name}\n", f"Ref: New{name}\n")
    renamed = yaml.safe_load(text)
    places = {"Fn::Join": [",", [ref("NewSubnet0"), ref("NewSubnet1")]]}
    checkout.layer("network", renamed, parameters=ZONES, outputs={"SubnetIds": places, "VpcId": ref("NewVpc")})
    (danger,) = held(checkout, clients, "Instance", "Subnets")
    assert (danger.resource, "would be removed" in danger.what) == ("Vpc", True)


def test_a_network_that_is_only_let_go_of_is_taken_from_its_database_all_the_same(checkout: Checkout, clients: Clients) -> None:
    resources = network()
    for each in resources.values():
        each["DeletionPolicy"] = "Retain"
    lay(checkout, resources)
    database(checkout)
    put(checkout, clients)
    text = yaml.safe_dump(network()).replace("Vpc:\n", "NewVpc:\n").replace("Ref: Vpc\n", "Ref: NewVpc\n")
    outputs_ = {"SubnetIds": SUBNETS, "GroupId": {"Fn::GetAtt": ["Group", "GroupId"]}, "VpcId": ref("NewVpc")}
    checkout.layer("network", yaml.safe_load(text), parameters=ZONES, outputs=outputs_)
    assert checkout.id("network") in {each.stack for each in held(checkout, clients, "Vpc")}


@pytest.mark.parametrize("part", ["files", "server", "gateway"])
def test_whatever_has_an_interface_in_it_holds_it(checkout: Checkout, clients: Clients, part: str) -> None:
    lay(checkout, network())
    put(checkout, clients)
    subnet = outputs(checkout, clients)["SubnetIds"].split(",")[0]
    ec2, efs = clients("ec2", REGION), clients("efs", REGION)
    if part == "files":
        files = efs.create_file_system(CreationToken=checkout.suffix)["FileSystemId"]
        efs.create_mount_target(FileSystemId=files, SubnetId=subnet)
        said = f"(EFS mount target for {files} ("
    elif part == "server":
        made = ec2.create_network_interface(SubnetId=subnet, Description="A server's.")["NetworkInterface"]
        said = f"this stands in it: {made['NetworkInterfaceId']} (A server's.)."
    else:
        nat = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        said = f"(Interface for NAT Gateway {nat})"
    checkout.values(MOVED)
    (danger,) = held(checkout, clients)
    assert said in danger.what


def test_what_moves_with_its_network_does_not_hold_it(checkout: Checkout, clients: Clients) -> None:
    resources = network()
    resources["Nat"] = resource("AWS::EC2::NatGateway", SubnetId=ref("Subnet0"), ConnectivityType="private")
    service = sub("com.amazonaws.${AWS::Region}.ssm")
    resources["Endpoint"] = resource(
        "AWS::EC2::VPCEndpoint", VpcId=ref("Vpc"), ServiceName=service, VpcEndpointType="Interface", SubnetIds=[ref("Subnet1")]
    )
    lay(checkout, resources)
    put(checkout, clients)
    here = [{"Name": "vpc-id", "Values": [outputs(checkout, clients)["VpcId"]]}]  # other tests have theirs in the same account
    found = clients("ec2", REGION).describe_network_interfaces(Filters=here)["NetworkInterfaces"]
    assert {each["InterfaceType"] for each in found} == {"nat_gateway", "vpc_endpoint"}
    checkout.values(MOVED)
    assert finals(checkout, clients) == []


class Dumb:
    """A client of a service that gives no answer to one question."""

    def __init__(self, client: Any, error: Exception) -> None:
        self._client, self._error = client, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_paginator(self, _: str) -> Any:
        """Does not turn any page."""
        raise self._error


@pytest.mark.parametrize("service", ["ec2", "rds"])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "No."}}, "DescribeIt"),
            "UnauthorizedOperation on DescribeIt",
        ),
        (ReadTimeoutError(endpoint_url="https://ec2"), "ReadTimeoutError"),
    ],
)
def test_what_is_not_known_is_not_taken_away(
    checkout: Checkout, clients: Clients, service: str, error: Exception, said: str
) -> None:
    lay(checkout, network())
    put(checkout, clients)

    def dumb(name: str, region: str) -> Any:
        return Dumb(clients(name, region), error) if name == service else clients(name, region)

    assert finals(checkout, dumb) == [], "nothing is asked where nothing is taken away"
    checkout.values(MOVED)
    (danger,) = finals(checkout, dumb)
    assert f"whether anything stands in it is not known: {said}" in danger.what
    with pytest.raises(GuardedError, match="What is not known is not taken away"):
        put(checkout, dumb, "Vpc")


@pytest.mark.parametrize("missing", ["", "ec2:DescribeNetworkInterfaces", "rds:DescribeDBClusters", "rds:DescribeDBSubnetGroups"])
def test_whoever_plans_is_allowed_to_ask_and_must_be(
    checkout: Checkout, clients: Clients, aws: emulator.Emulator, missing: str
) -> None:
    lay(checkout, network())
    put(checkout, clients)
    own = [
        allow(action, [f"arn:aws:{arn.format(region=REGION)}" for arn in call.arns] or "*")
        for call in declared_calls.DEPLOYS
        if call.reviewer and call.sid in ("LookAround", "SeeWhichDatabasesStandInNetworks")
        for action in call.actions
        if action != missing
    ]
    role = assume(aws, f"plans-{checkout.suffix}", [*own, allow("cloudformation:*")])

    def caller(service: str, region: str) -> Any:
        return aws.client(service, region, **role)

    checkout.values(MOVED)
    said = [each.what for each in finals(checkout, caller)]
    assert ("; ".join(said).count("is not known: "), len(said)) == ((1, 1) if missing else (0, 0))


def test_what_comes_after_the_plan_is_seen_by_the_last_look(
    checkout: Checkout, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(checkout, network())
    put(checkout, clients)
    subnet = outputs(checkout, clients)["SubnetIds"].split(",")[0]
    checkout.values(MOVED)
    ours = guard.replaced

    def late(changes: Any) -> Any:
        clients("ec2", REGION).create_network_interface(SubnetId=subnet, Description="It came late.")
        return ours(changes)

    monkeypatch.setattr(guard, "replaced", late)
    failure = put(checkout, clients).failed[checkout.id("network")]
    assert (failure.status, "(It came late.)" in failure.reason) == ("refused by the guard", True)


@pytest.mark.parametrize("claimed", [None, True, False])
def test_a_parameter_that_only_bears_another_name_replaces_nothing(
    checkout: Checkout, clients: Clients, monkeypatch: pytest.MonkeyPatch, claimed: bool | None
) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    before = outputs(checkout, clients)
    path = checkout.root / "templates/shop/network.yaml"
    path.write_text(path.read_text().replace("VpcCidr", "Cidr"))
    if claimed is not None:  # what a change set might say of it all the same
        ours = guard.replaced
        said = {"Vpc": claimed, "Subnet0": claimed}
        monkeypatch.setattr(guard, "replaced", lambda changes: {**ours(changes), **said})
        monkeypatch.setattr("chain.deploy.plan.replaced", guard.replaced)
    assert finals(checkout, clients) == []
    assert not put(checkout, clients).failed
    assert outputs(checkout, clients) == before


def test_a_value_that_another_resource_gives_is_not_taken_for_the_same(checkout: Checkout, clients: Clients) -> None:
    resources = network()
    value = {"Name": sub("/block/${EnvironmentSuffix}"), "Type": "String", "Value": ref("VpcCidr")}
    resources["Block"] = {"Type": "AWS::SSM::Parameter", "Properties": value}
    block = {"Fn::GetAtt": ["Block", "Value"]}
    resources["Vpc"]["Properties"]["CidrBlock"] = block
    for number in (0, 1):
        resources[f"Subnet{number}"]["Properties"]["CidrBlock"] = {"Fn::Select": [number, {"Fn::Cidr": [block, 2, 8]}]}
    lay(checkout, resources)
    database(checkout)
    put(checkout, clients)
    checkout.values(MOVED)
    (danger,) = [each for each in finals(checkout, clients) if each.resource == "Vpc"]
    assert f"{checkout.id('database')}: Instance" in danger.what
    failure = put(checkout, clients, "Vpc").failed[checkout.id("network")]  # the review sees no value change: the last look does
    assert (failure.status, "cannot be moved" in failure.reason) == ("refused by the guard", True)


def fed_by(checkout: Checkout, *layers: str) -> None:
    """The network takes its range from the last of some layers, each of which takes it from the one before."""
    outputs_ = {"SubnetIds": SUBNETS, "GroupId": {"Fn::GetAtt": ["Group", "GroupId"]}, "VpcId": ref("Vpc")}
    zone = {"ZoneId": ZONES["ZoneId"]}
    checkout.layer("network", network(), parameters=zone, imports={"VpcCidr": f"{layers[-1]}.Cidr"}, outputs=outputs_)
    database(checkout)
    for giver, layer in pairwise(layers):
        checkout.layer(layer, imports={"Given": f"{giver}.Cidr"}, outputs={"Cidr": ref("Given")})


@pytest.mark.parametrize("way", ["written", "looked up", "through another"])
def test_a_range_that_another_layer_gives_is_refused_before_anything_is_begun(
    checkout: Checkout, clients: Clients, way: str
) -> None:
    def plans(block: str) -> None:
        value = {"Name": sub("/plan/${EnvironmentSuffix}"), "Type": "String", "Value": block}
        given = {"Fn::GetAtt": ["Block", "Value"]} if way == "looked up" else block
        checkout.layer("plans", {"Block": {"Type": "AWS::SSM::Parameter", "Properties": value}}, outputs={"Cidr": given})

    plans("10.0.0.0/16")
    fed_by(checkout, "plans", *(["between"] if way == "through another" else []))
    put(checkout, clients)
    assert finals(checkout, clients) == []
    plans("10.9.0.0/16")
    assert "Vpc" in {each.resource for each in held(checkout, clients, "Vpc")}


@pytest.mark.parametrize("giver", ["new", "replaced"])
def test_a_range_by_another_output_is_refused_where_what_gives_it_is_new_or_replaced(
    checkout: Checkout, clients: Clients, giver: str
) -> None:
    def plans(resource_: str, name: str, block: str, output: str) -> None:
        value = {"Name": sub(f"/{name}/${{EnvironmentSuffix}}"), "Type": "String", "Value": block}
        given = {output: {"Fn::GetAtt": [resource_, "Value"]}}
        checkout.layer("plans", {resource_: {"Type": "AWS::SSM::Parameter", "Properties": value}}, outputs=given)

    plans("Block", "plan", "10.0.0.0/16", "Cidr")
    fed_by(checkout, "plans")
    put(checkout, clients)
    plans("Fresh" if giver == "new" else "Block", "other", "10.0.0.0/16", "Range")  # what it gives is not known before it is made
    change(checkout, "network", lambda document: document["Metadata"]["Layer"]["Imports"].update(VpcCidr="plans.Range"))
    (danger,) = [each for each in held(checkout, clients, "Vpc", "Block") if each.resource == "Vpc"]
    assert danger.what.startswith("may be replaced, and a deployed database stands on it")


def test_a_tag_on_what_gives_a_range_changes_no_range(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    outputs_ = {"Cidr": {"Fn::GetAtt": ["Vpc", "CidrBlock"]}, "Vpc": ref("Vpc"), "SubnetIds": SUBNETS}
    checkout.layer("network", network(), parameters=ZONES, outputs={**outputs_, "GroupId": {"Fn::GetAtt": ["Group", "GroupId"]}})
    database(checkout)
    block = {"Fn::Select": [7, {"Fn::Cidr": [ref("Range"), 8, 8]}]}
    more = {"More": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=block)}
    checkout.layer("more", more, imports={"Range": "network.Cidr", "Vpc": "network.Vpc"}, outputs={"Id": ref("More")})
    put(checkout, clients)
    tags = [{"Key": "Owner", "Value": "somebody"}]
    change(checkout, "network", lambda document: document["Resources"]["Vpc"]["Properties"].update(Tags=tags))
    assert finals(checkout, clients) == []
    assert not put(checkout, clients).failed


def test_the_last_look_holds_where_the_review_saw_no_other_value(
    checkout: Checkout, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.layer("plans", outputs={"Cidr": "10.0.0.0/16"})
    fed_by(checkout, "plans")
    put(checkout, clients)
    checkout.layer("plans", outputs={"Cidr": "10.9.0.0/16"})
    monkeypatch.setattr("chain.changes.replacements.Moves._gives_another", lambda *_: False)
    failure = put(checkout, clients).failed[checkout.id("network")]
    assert (failure.status, "cannot be moved" in failure.reason) == ("refused by the guard", True)
