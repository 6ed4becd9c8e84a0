"""The network of what holds data: whatever would replace it is refused, and whatever only adds to it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chain.changes import guard
from chain.changes.review import review
from chain.cli import json_lines, text
from chain.cloudformation import reachable_regions
from chain.cloudformation.stack import State
from chain.deploy import saved_plan
from chain.deploy.plan import plan
from chain.deploy.status import status
from chain.environment.exit_codes import GuardedError
from chain.environment.graph import Graph, Stack, open_environment
from chain.run.run import Run
from tests.support.chain.checkout import REGION, REPOSITORY, Checkout, Clients, get, ref, sub
from tests.support.chain.database import ENGINE, NAMED, SUBNETS, ZONES, database, finals, judge, lay, network, put, resource
from tests.support.chain.waiting import until

AWAY = "us-west-2"
MOVED = "The network of a deployed database cannot be moved; make a second environment and restore into it"


def marks(checkout: Checkout, clients: Clients) -> list[object]:
    """What differs as soon as an operation has begun."""
    states = reachable_regions.look(clients, checkout.graph().regions).standing[REGION]
    return [states[checkout.stack(layer)].mark for layer in ("network", "database")]


def test_a_network_that_feeds_a_database_is_not_replaced_and_no_permission_opens_it(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    checkout.values({"network": {"VpcCidr": "10.9.0.0/16"}})
    judged, steps, dangers = judge(checkout, clients)
    (danger,) = [each for each in dangers if each.final]
    assert (danger.stack, danger.resource, danger.type) == (checkout.id("network"), "Vpc", "AWS::EC2::VPC")
    assert f"Vpc -> Group -> GroupId -> {checkout.id('database')}: Instance." in danger.what
    assert MOVED in danger.what
    told = "\n".join([*guard.sentences(dangers, ["Vpc"]), *text.plan(checkout.graph(), steps, judged.orphans)])
    assert told.startswith(f"REFUSED  {checkout.id('network')}: Vpc (AWS::EC2::VPC) would be replaced")
    assert "ALLOW='Vpc' does not open this" in told
    assert f"{checkout.id('database')}: will change: its subnets are replaced, and its security groups (" in told
    assert "    ~ Subnets (AWS::RDS::DBSubnetGroup)\n" in told
    assert told.endswith("2 of 2 stacks would change.")
    assert '"allowed": false' in next(json_lines.plan(checkout.graph(), steps, judged, [danger], ["Vpc"]))
    before = marks(checkout, clients)
    for allowed in ((), ("Vpc", "network.Vpc", "Instance", "Subnets", "Subnet0", "Group")):
        with pytest.raises(GuardedError, match=MOVED):
            put(checkout, clients, *allowed)
    assert marks(checkout, clients) == before, "nothing was begun"


def test_a_saved_plan_does_not_open_it_either(checkout: Checkout, clients: Clients, tmp_path: Path) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    checkout.values({"network": {"ZoneId": "use1-az2"}})
    graph = checkout.graph()
    seen, path = reachable_regions.look(clients, graph.regions), tmp_path / "plan.json"
    saved_plan.save(path, "1", checkout.suffix, [], plan(Run(clients, graph), seen), seen.standing)
    with pytest.raises(GuardedError, match=MOVED):
        put(checkout, clients, "Subnet0", "Subnet1", given=saved_plan.load(path, checkout.suffix, []))


def test_where_no_database_stands_yet_the_network_may_be_replaced(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    put(checkout, clients)
    database(checkout)
    checkout.values({"network": {"VpcCidr": "10.9.0.0/16"}})
    assert finals(checkout, clients) == []
    assert not put(checkout, clients).failed


Change = Callable[[dict[str, Any]], Any]


def renamed(resources: dict[str, Any]) -> Any:
    """The VPC under another logical id."""
    resources["Other"] = resources.pop("Vpc")
    for name in ("Subnet0", "Subnet1", "Group"):
        resources[name]["Properties"]["VpcId"] = ref("Other")


def without(resources: dict[str, Any]) -> Any:
    """One subnet fewer."""
    del resources["Subnet1"]
    return ref("Subnet0")


def conditional(resources: dict[str, Any]) -> Any:
    """A subnet that is there no more, though it is still written."""
    resources["Subnet0"]["Condition"] = "Never"
    return ref("Subnet1")


@pytest.mark.parametrize(
    ("change", "root"),
    [
        (lambda each: each["Vpc"]["Properties"].update(CidrBlock="10.9.0.0/16"), "Vpc"),
        (lambda each: each["Vpc"]["Properties"].update(InstanceTenancy="dedicated"), "Vpc"),
        (lambda each: each["Vpc"]["Properties"].pop("CidrBlock"), "Vpc"),
        (lambda each: each["Subnet1"]["Properties"].update(CidrBlock="10.0.9.0/24"), "Subnet1"),
        (lambda each: each["Subnet1"]["Properties"].update(AvailabilityZoneId="use1-az6"), "Subnet1"),
        (lambda each: each["Group"]["Properties"].update(GroupDescription="Another sentence."), "Group"),
        (lambda each: each["Group"]["Properties"].update(GroupName="another"), "Group"),
        (renamed, "Vpc"),
        (without, "Subnet1"),
        (conditional, "Subnet0"),
    ],
)
def test_whatever_replaces_or_removes_a_part_of_it_is_refused(
    checkout: Checkout, clients: Clients, change: Change, root: str
) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    resources = network()
    subnets = change(resources)
    never = {"Never": {"Fn::Equals": ["a", "b"]}}
    outputs = {
        "SubnetIds": subnets if isinstance(subnets, dict) and ("Ref" in subnets) else SUBNETS,
        "GroupId": get("Group", "GroupId"),
    }
    checkout.layer("network", resources, parameters=ZONES, outputs=outputs, conditions=never)
    found = finals(checkout, clients)
    assert {each.resource for each in found} == {root}
    with pytest.raises(GuardedError, match="cannot be moved"):
        put(checkout, clients, root)


@pytest.mark.parametrize(
    "change",
    [
        lambda each: each["Vpc"]["Properties"].update(Tags=[{"Key": "Owner", "Value": "x"}]),
        lambda each: each["Vpc"]["Properties"].update(EnableDnsHostnames=True),
        lambda each: each["Group"]["Properties"].update(SecurityGroupIngress=[{"IpProtocol": "tcp", "CidrIp": "10.0.0.0/16"}]),
        lambda each: each.update(Table=resource("AWS::EC2::RouteTable", VpcId=ref("Vpc"))),
        lambda each: each.update(Extra=resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.8.0/24")),
    ],
)
def test_what_changes_it_in_place_or_adds_to_it_is_not_refused(checkout: Checkout, clients: Clients, change: Change) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    resources = network()
    change(resources)
    more = {"Fn::Join": [",", [ref("Subnet0"), ref("Subnet1"), ref("Extra")]]}
    lay(checkout, resources, more if "Extra" in resources else SUBNETS)
    assert finals(checkout, clients) == []
    steps = {step.stack.template.layer: step for step in judge(checkout, clients)[1]}
    assert (steps["database"].action, steps["database"].follows) == ("none", None)
    assert not put(checkout, clients, "Group").failed


def test_within_one_template_and_by_a_condition_that_a_value_turns_it_is_seen_as_well(
    checkout: Checkout, clients: Clients
) -> None:
    resources = network()
    resources["Subnets"] = resource("AWS::RDS::DBSubnetGroup", SubnetIds=[ref("Subnet0"), ref("Subnet1")], **NAMED)
    resources["Instance"] = resource("AWS::RDS::DBInstance", DBSubnetGroupName=ref("Subnets"), **ENGINE)
    resources["Vpc"]["Properties"]["CidrBlock"] = {"Fn::If": ["Wide", "10.0.0.0/16", "10.0.0.0/17"]}
    wide = {"Wide": {"Fn::Equals": [ref("Size"), "wide"]}}
    declared = {**ZONES, "Size": {"Type": "String", "Default": "wide"}}
    checkout.layer("all", resources, parameters=declared, conditions=wide)
    put(checkout, clients)
    checkout.values({"all": {"Size": "narrow"}})
    (danger,) = finals(checkout, clients)
    assert "Vpc -> Subnet0 -> Subnets -> Instance." in danger.what or "Vpc -> Subnet1 -> Subnets -> Instance." in danger.what


def test_a_group_of_subnets_that_is_replaced_takes_its_database_with_it_whatever_is_allowed(
    checkout: Checkout, clients: Clients
) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    path = checkout.root / "templates/shop/database.yaml"
    path.write_text(path.read_text().replace("db-${EnvironmentSuffix}", "other-${EnvironmentSuffix}"))
    (danger,) = finals(checkout, clients)
    assert (danger.resource, danger.type) == ("Subnets", "AWS::RDS::DBSubnetGroup")
    with pytest.raises(GuardedError, match=r"ALLOW='Subnets' does not open this"):
        put(checkout, clients, "Subnets", "Instance")


def test_each_site_is_held_by_what_stands_there(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network(), sites={"primary": REGION, "recovery": AWAY})
    database(checkout, sites={"recovery": AWAY})
    put(checkout, clients)
    checkout.values({"primary:network": {"VpcCidr": "10.9.0.0/16"}})
    assert finals(checkout, clients) == []
    checkout.values({"recovery:network": {"VpcCidr": "10.9.0.0/16"}})
    (danger,) = finals(checkout, clients)
    assert danger.stack == f"{AWAY}/{checkout.stack('network')}"
    assert f"{AWAY}/{checkout.stack('database')}: Instance" in danger.what


def test_a_path_through_a_stack_in_between_is_followed_and_a_tag_is_none(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    group = resource("AWS::RDS::DBSubnetGroup", SubnetIds={"Fn::Split": [",", ref("NetworkSubnetIds")]}, **NAMED)
    imports = {"NetworkSubnetIds": "network.SubnetIds"}
    checkout.layer("places", {"Subnets": group}, imports=imports, outputs={"Group": ref("Subnets")})
    instance = resource("AWS::RDS::DBInstance", DBSubnetGroupName=ref("PlacesGroup"), **ENGINE)
    checkout.layer("database", {"Instance": instance}, imports={"PlacesGroup": "places.Group"})
    tags = [{"Key": "Near", "Value": ref("Near")}]
    there = {"Copy": resource("AWS::RDS::DBInstance", Tags=tags, **ENGINE)}
    checkout.layer("copy", there, imports={"Near": "primary:network.VpcId"}, sites={"recovery": AWAY})
    put(checkout, clients)
    checkout.values({"network": {"VpcCidr": "10.9.0.0/16"}})
    _, steps, dangers = judge(checkout, clients)
    told = " ".join(each.what for each in dangers if each.final)
    assert f"SubnetIds -> {checkout.id('places')}: Subnets -> Group -> {checkout.id('database')}: Instance" in told
    assert f"{AWAY}/{checkout.stack('copy')}: Copy" not in told
    notes = {step.stack.template.layer: step.note for step in steps}
    assert notes["copy"] == "will change: its VPC is replaced (primary:network.VpcId)"
    assert notes["places"] == "will change: its subnets are replaced (primary:network.SubnetIds)"


def test_a_file_system_and_a_cache_keep_their_networks_too(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    imports = {"NetworkSubnetIds": "network.SubnetIds", "NetworkVpcId": "network.VpcId"}
    first = {"Fn::Select": [0, {"Fn::Split": [",", ref("NetworkSubnetIds")]}]}
    target = resource("AWS::EFS::MountTarget", FileSystemId=ref("Files"), SubnetId=first, SecurityGroups=[get("Door", "GroupId")])
    door = resource("AWS::EC2::SecurityGroup", GroupDescription="The files'.", VpcId=ref("NetworkVpcId"))
    checkout.layer("files", {"Files": resource("AWS::EFS::FileSystem"), "Door": door, "Target": target}, imports=imports)
    group = resource(
        "AWS::ElastiCache::SubnetGroup",
        CacheSubnetGroupName=sub("cache-${EnvironmentSuffix}"),
        Description="Where it stands.",
        SubnetIds={"Fn::Split": [",", ref("NetworkSubnetIds")]},
    )
    cache = resource(
        "AWS::ElastiCache::ReplicationGroup",
        CacheNodeType="cache.t4g.micro",
        CacheSubnetGroupName=ref("Subnets"),
        Engine="valkey",
        NumCacheClusters=1,
        ReplicationGroupDescription="A cache.",
        ReplicationGroupId=sub("cache-${EnvironmentSuffix}"),
        TransitEncryptionEnabled=True,
    )
    checkout.layer("cache", {"Subnets": group, "Cache": cache}, imports={"NetworkSubnetIds": "network.SubnetIds"})
    assert not put(checkout, clients).failed
    checkout.values({"network": {"VpcCidr": "10.9.0.0/16"}})
    said = {each.what.rpartition(". ")[2] for each in finals(checkout, clients)}
    remedy = "cannot be moved; make a second environment and restore into it"
    assert said == {f"The network of a deployed {what} {remedy}" for what in ("cache", "file system")}
    checkout.values({})
    target["Properties"]["SubnetId"] = {"Fn::Select": [1, {"Fn::Split": [",", ref("NetworkSubnetIds")]}]}
    checkout.layer("files", {"Files": resource("AWS::EFS::FileSystem"), "Door": door, "Target": target}, imports=imports)
    assert [(each.resource, each.type) for each in finals(checkout, clients)] == [("Target", "AWS::EFS::MountTarget")]


def test_another_network_by_another_wire_or_by_hand_is_refused(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    other = ",".join(clients("ec2", REGION).create_subnet(**each)["Subnet"]["SubnetId"] for each in free(clients))
    checkout.values({"database": {"NetworkSubnetIds": other}})
    (danger,) = finals(checkout, clients)
    assert (danger.stack, danger.resource) == (checkout.id("database"), "Subnets")
    assert "would be moved into another network" in danger.what
    checkout.values({})
    outputs = {"SubnetIds": SUBNETS, "GroupId": get("Group", "GroupId"), "VpcId": ref("Vpc")}
    checkout.layer("net", network(), parameters=ZONES, outputs=outputs)
    group = resource("AWS::RDS::DBSubnetGroup", SubnetIds={"Fn::Split": [",", ref("NetSubnetIds")]}, **NAMED)
    instance = resource(
        "AWS::RDS::DBInstance", DBSubnetGroupName=ref("Subnets"), VPCSecurityGroups=[ref("NetworkGroupId")], **ENGINE
    )
    imports = {"NetSubnetIds": "net.SubnetIds", "NetworkGroupId": "network.GroupId"}
    checkout.layer("database", {"Subnets": group, "Instance": instance}, imports=imports)
    (danger,) = finals(checkout, clients)
    assert "may be moved into another network" in danger.what
    (checkout.root / "templates/shop/network.yaml").unlink()
    checkout.layer("database", {"Subnets": group, "Instance": instance}, imports={**imports, "NetworkGroupId": "net.GroupId"})
    assert {each.stack for each in finals(checkout, clients)} == {checkout.id("network")}, "its layer is gone"


def test_what_was_wrecked_is_not_made_worse_by_either_value(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    cloudformation = clients("cloudformation", REGION)
    stack = checkout.stack("network")
    given = [{"ParameterKey": "VpcCidr", "ParameterValue": "10.9.0.0/16"}]
    given += [{"ParameterKey": each, "UsePreviousValue": True} for each in ("EnvironmentSuffix", "ZoneId")]
    cloudformation.update_stack(StackName=stack, UsePreviousTemplate=True, Parameters=given)  # past the chain
    until(lambda: cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE")
    assert {each.resource for each in finals(checkout, clients)} >= {"Vpc"}, "the old value makes a third network"
    checkout.values({"network": {"VpcCidr": "10.9.0.0/16"}})
    (danger,) = finals(checkout, clients)
    assert danger.resource == "Subnets"
    assert "would be moved into another network" in danger.what
    left = {each.physical for each in status(checkout.graph(), clients)[0].left}
    assert left >= {value for value in ids(checkout, clients) if value.startswith("subnet-")}


def ids(checkout: Checkout, clients: Clients) -> list[str]:
    """What the database's stack was given."""
    found = clients("cloudformation", REGION).describe_stacks(StackName=checkout.stack("database"))["Stacks"][0]
    return [value for each in found["Parameters"] for value in each["ParameterValue"].split(",")]


def free(clients: Clients) -> Iterator[dict[str, Any]]:
    """Two subnets of a VPC that is none of ours."""
    vpc = clients("ec2", REGION).create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    for number in (0, 1):
        yield {"VpcId": vpc, "CidrBlock": f"10.7.{number}.0/24"}


def test_an_output_that_only_bears_another_name_moves_nothing(checkout: Checkout, clients: Clients) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    outputs = {"Places": SUBNETS, "GroupId": get("Group", "GroupId")}
    checkout.layer("network", network(), parameters=ZONES, outputs=outputs)
    group = resource("AWS::RDS::DBSubnetGroup", SubnetIds={"Fn::Split": [",", ref("NetworkPlaces")]}, **NAMED)
    instance = resource(
        "AWS::RDS::DBInstance", DBSubnetGroupName=ref("Subnets"), VPCSecurityGroups=[ref("NetworkGroupId")], **ENGINE
    )
    imports = {"NetworkPlaces": "network.Places", "NetworkGroupId": "network.GroupId"}
    checkout.layer("database", {"Subnets": group, "Instance": instance}, imports=imports)
    assert finals(checkout, clients) == []
    assert not put(checkout, clients).failed


def test_a_replacement_that_only_a_change_set_shows_is_refused_before_it_is_executed(
    checkout: Checkout, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(checkout, network())
    database(checkout)
    put(checkout, clients)
    resources = network()
    resources["Vpc"]["Properties"]["EnableDnsHostnames"] = True
    lay(checkout, resources)
    ours = guard.replaced
    monkeypatch.setattr(guard, "replaced", lambda changes: {**ours(changes), **({"Vpc": False} if changes else {})})
    monkeypatch.setattr("chain.deploy.plan.replaced", guard.replaced)
    (danger,) = finals(checkout, clients)
    assert "may be replaced, and a deployed database stands on it" in danger.what
    failure = put(checkout, clients, "Vpc").failed[checkout.id("network")]
    assert (failure.status, MOVED in failure.reason, "ALLOW" in failure.reason) == ("refused by the guard", True, False)


def stands(graph: Graph, stack: Stack, outputs: dict[str, dict[str, str]]) -> State:
    """A stack as if it had been deployed: every id is made up, and none is another's."""
    answers, unknown = stack.parameters(outputs)
    assert unknown == []
    number = [each.id for each in graph.stacks].index(stack.id)
    names = [f"subnet-{number:04x}{place:04x}" for place in range(len(stack.template.document.get("Outputs", {})))]
    outputs[stack.id] = dict(zip(stack.template.document.get("Outputs", {}), names, strict=True))
    id_ = f"arn:aws:cloudformation:{stack.region}:123456789012:stack/{stack.name}/0"
    return State(id_, stack.name, "CREATE_COMPLETE", "", answers, stack.tags, outputs[stack.id], datetime.now(UTC))


STATEFUL_ON_NETWORKS = {
    "citizen-registry": {"database", "files"},
    "federal-records": {"cache", "database", "database-replica", "files", "files-replica"},
    "healthcare": {"aurora", "aurora-reader", "aurora-secondary", "aurora-secondary-instance"},
    "ledger": {"database"},
    "regional-platform": {"aurora"},
}


@pytest.mark.parametrize("system", STATEFUL_ON_NETWORKS)
@pytest.mark.parametrize("name", ["VpcCidr", "ZoneAId"])
def test_every_system_is_held_in_its_network(system: str, name: str) -> None:
    graph = open_environment(REPOSITORY, "example", [system])
    outputs: dict[str, dict[str, str]] = {}
    standing: dict[str, dict[str, State]] = {region: {} for region in graph.regions}
    for stack in graph.stacks:
        standing[stack.region][stack.name] = stands(graph, stack, outputs)
    bodies = {stack.name: stack.template.body for stack in graph.stacks}

    class Templates:
        """Gives back what stands."""

        def get_template(self, **given: str) -> dict[str, str]:
            return {"TemplateBody": bodies[given["StackName"].split("/")[1]]}

    def client(*_: str) -> Any:
        return Templates()

    assert review(graph, client, standing).dangers == ()
    other = {"VpcCidr": "10.99.0.0/16", "ZoneAId": "xyz9-az9"}[name]
    moved = [
        replace(stack, values={**stack.values, name: other}) if stack.template.layer == "network" else stack
        for stack in graph.stacks
    ]
    found = review(replace(graph, stacks=tuple(moved)), client, standing)
    finals_ = [each for each in found.dangers if each.final]
    assert {each.resource for each in finals_} <= {"Vpc", "DatabaseSubnetA", "ApplicationSubnetA"}
    told = " ".join(each.what for each in finals_)
    assert {stack.template.layer for stack in graph.stacks if f"{stack.id}: " in told} == STATEFUL_ON_NETWORKS[system]
    follows = found.moves.follows()
    assert {graph[id_].template.layer for id_ in follows} >= STATEFUL_ON_NETWORKS[system]
    assert all(str(each).startswith("will change: its ") for each in follows.values())
