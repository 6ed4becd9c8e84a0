"""What CloudFormation leaves behind: an update that ends well is not green as long as something of it is still there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from io import StringIO
from typing import Any

import pytest
from cfnlint.jsonschema import StandardValidator

import deploy as program
import emulator
from chain.cli import json_lines, text
from chain.cloudformation import cleanup_failures
from chain.cloudformation.account import Caller
from chain.cloudformation.cleanup_failures import Undeleted
from chain.cloudformation.stack import StackEvent
from chain.deploy.deployment import Result, deploy
from chain.deploy.status import status
from chain.destroy.destruction import destroy, survey
from chain.environment.exit_codes import Exit
from chain.environment.templates import load
from chain.run import record
from chain.run.progress import GREEN, YELLOW, Board
from chain.run.run import Run
from tests.support.chain.checkout import REGION, REPOSITORY, Checkout, Clients, Heard, ref

OWN = "arn:aws:cloudformation:us-east-1:123456789012:stack/one/1"
TAGS = {"Tags": [{"Key": "System", "Value": "shop"}, {"Key": "Environment", "Value": ref("EnvironmentSuffix")}]}


def lay(checkout: Checkout, block: str) -> None:
    """A VPC alone."""
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": block, **TAGS}}
    checkout.layer("network", {"Vpc": vpc}, outputs={"VpcId": ref("Vpc")})


def schema(name: str) -> StandardValidator:
    """What a line must be."""
    return StandardValidator(schema=json.loads((REPOSITORY / "chain" / f"{name}.schema.json").read_text()))


def put(checkout: Checkout, clients: Clients, heard: Heard | None = None, **more: Any) -> Result:
    """Deploy."""
    return deploy(Run(clients, checkout.graph(), heard if heard is not None else Heard(), packages=checkout.root / "out", **more))


def occupied(checkout: Checkout, clients: Clients) -> tuple[str, str]:
    """A VPC that is replaced while a subnet of somebody else's is in it: the two ids."""
    lay(checkout, "10.0.0.0/16")
    vpc = put(checkout, clients).done[checkout.id("network")].outputs["VpcId"]
    subnet = clients("ec2", REGION).create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    lay(checkout, "10.1.0.0/16")
    return vpc, subnet


def test_an_update_that_left_something_says_what_and_how_it_goes(checkout: Checkout, clients: Clients) -> None:
    vpc, subnet = occupied(checkout, clients)
    heard, noted = Heard(), list[Mapping[str, Any]]()
    result = put(checkout, clients, heard, note=lambda kind, **data: noted.append({"kind": kind, **data}))
    done = result.done[checkout.id("network")]
    assert (done.action, done.behind, result.failed) == ("updated", "1 thing left behind", {})
    assert [(each.resource, each.type, each.physical) for each in done.left] == [("Vpc", "AWS::EC2::VPC", vpc)]
    assert "DependencyViolation" in done.left[0].reason
    assert StackEvent(checkout.id("network"), "updated", reason="1 thing left behind") in heard
    told = "\n".join(text.deployed(checkout.graph(), result, ""))
    assert f"LEFT BEHIND  {checkout.id('network')}: updated, 1 thing left behind" in told
    assert f"    Vpc (AWS::EC2::VPC) {vpc}: " in told
    assert f"        aws ec2 delete-vpc --region {REGION} --vpc-id {vpc}\n" in told
    assert told.endswith("1 stacks: 1 updated; 1 left behind.")
    (event,) = [each for each in noted if each["kind"] == "done"]
    assert event["left"] == [{"resource": "Vpc", "type": "AWS::EC2::VPC", "physical": vpc, "reason": done.left[0].reason}]
    assert not list(schema("record").iter_errors({"number": 1, "at": "", "previous": "0" * 64, **event}))

    (state,) = status(checkout.graph(), clients)
    assert [each.physical for each in state.left] == [vpc]
    assert f"    LEFT BEHIND: Vpc (AWS::EC2::VPC) {vpc}" in "\n".join(text.status([state]))
    for line in json_lines.status(checkout.graph(), [state]):
        assert not list(schema("lines").iter_errors(json.loads(line)))
    again = put(checkout, clients).done[checkout.id("network")]
    assert (again.action, len(again.left)) == ("unchanged", 1), "it is still there"

    clients("ec2", REGION).delete_subnet(SubnetId=subnet)
    clients("ec2", REGION).delete_vpc(VpcId=vpc)
    (state,) = status(checkout.graph(), clients)
    assert state.left == (), "it is gone"
    assert put(checkout, clients).done[checkout.id("network")].left == ()


def test_the_command_ends_with_a_code_of_its_own(
    checkout: Checkout,
    clients: Clients,
    aws: emulator.Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    vpc, _ = occupied(checkout, clients)
    assert program.main(["deploy", "--env", checkout.suffix], checkout.root) == Exit.LEFT_BEHIND == 15
    assert "updated: 1 thing left behind\n" in capsys.readouterr().out
    events = record.read(record.find(checkout.root / record.FOLDER, "last"))
    assert events[-1]["code"] == 15
    assert [each["physical"] for event in events for each in event.get("left", ())] == [vpc]
    assert program.main(["status", "--env", checkout.suffix], checkout.root) == Exit.OK
    assert "LEFT BEHIND" in capsys.readouterr().out


@pytest.mark.parametrize("freed", [True, False])
def test_destroy_knows_it_deletes_it_and_prints_the_commands_for_the_rest(
    checkout: Checkout, clients: Clients, freed: bool
) -> None:
    vpc, subnet = occupied(checkout, clients)
    put(checkout, clients)
    if freed:
        clients("ec2", REGION).delete_subnet(SubnetId=subnet)
    templates = load(checkout.root / "templates")
    found = survey(templates, checkout.suffix, clients, "000000000000")
    assert f"    left behind by an update: Vpc (AWS::EC2::VPC) {vpc}" in "\n".join(text.doomed(found))
    result = destroy(found, templates, Run(clients, report=Heard(), caller=Caller("000000000000", "", ())), patience=0)
    told = "\n".join(text.destroyed(result, ""))
    there = clients("ec2", REGION).describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Vpcs"]
    if freed:
        assert (there, result.left, result.commands) == ([], (), ())
        assert f"swept  {REGION}  AWS::EC2::VPC {vpc}" in told
    else:
        assert len(there) == 1
        assert len(result.left) == 1
        assert vpc in result.left[0]
        assert f"    aws ec2 delete-vpc --region {REGION} --vpc-id {vpc}\n" in told
        clients("ec2", REGION).delete_subnet(SubnetId=subnet)
        clients("ec2", REGION).delete_vpc(VpcId=vpc)


def event(status_: str, resource: str = "", physical: str = OWN) -> dict[str, str]:
    """One event, as CloudFormation tells it."""
    kind = "AWS::EC2::Subnet" if resource else "AWS::CloudFormation::Stack"
    about = {"LogicalResourceId": resource or "one", "PhysicalResourceId": physical, "ResourceType": kind}
    return {**about, "ResourceStatus": status_, "ResourceStatusReason": "because"}


def test_three_attempts_leave_one_thing_and_a_late_success_none() -> None:
    failed = [event("DELETE_FAILED", "A", "subnet-a")] * 3
    late = [event("DELETE_COMPLETE", "B", "subnet-b"), event("DELETE_FAILED", "B", "subnet-b")]
    begun = [event("UPDATE_IN_PROGRESS")]
    left = cleanup_failures.undeleted([event("UPDATE_COMPLETE"), *failed, *late, *begun], OWN)
    assert left == (Undeleted("A", "AWS::EC2::Subnet", "subnet-a", "because", REGION),)
    assert left[0].command == f"aws ec2 delete-subnet --region {REGION} --subnet-id subnet-a"
    assert cleanup_failures.undeleted([event("UPDATE_ROLLBACK_COMPLETE"), *failed, *begun], OWN) == left
    assert cleanup_failures.undeleted([event("DELETE_FAILED"), *failed, event("DELETE_IN_PROGRESS")], OWN) == ()
    assert cleanup_failures.undeleted([], OWN) == ()


def test_what_holds_data_is_deleted_by_a_person(clients: Clients) -> None:
    held = Undeleted("Db", "AWS::RDS::DBInstance", "db-1", "because", REGION)
    gone = Undeleted("A", "AWS::EC2::Subnet", "subnet-00000000", "because", REGION)
    assert list(cleanup_failures.delete(clients, [held, gone])) == [held]
    assert held.command == (
        f"aws cloudcontrol delete-resource --region {REGION} --type-name AWS::RDS::DBInstance --identifier 'db-1'"
    )
    arns = [f"arn:aws:ec2:{REGION}:1:{each}" for each in ("vpc/vpc-1", "subnet/subnet-1")] + [f"arn:aws:kms:{REGION}:1:key/1"]
    assert [each.split()[2] for each in cleanup_failures.commands(arns)] == ["delete-subnet", "delete-vpc"]
    assert set(asdict(held)) == {"resource", "type", "physical", "reason", "region"}


def test_the_board_does_not_show_it_in_green() -> None:
    out = StringIO()
    board = Board(out, {"one": 1, "other": 1})
    board(StackEvent("one", "updated", reason="1 thing left behind"))
    board(StackEvent("other", "updated"))
    board.close()
    assert f"one  {YELLOW}updated" in out.getvalue()
    assert f"other  {GREEN}updated" in out.getvalue()
