"""Plans: what would happen, and nothing that happens."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

import emulator
from chain.changes.template_diff import Difference
from chain.cli import text as show
from chain.cloudformation import stack as cfn
from chain.cloudformation.stack import Change
from chain.deploy.plan import Step, plan
from chain.run.run import Run
from tests.support.chain.checkout import GATE, REGION, Checkout, Clients, parameter, ref, sub
from tests.support.chain.deployment import change_set, run
from tests.support.chain.waiting import in_background, open_gate, until


def steps(checkout: Checkout, clients: Clients) -> dict[str, Step]:
    """The plan by layers."""
    return {step.stack.template.layer: step for step in plan(Run(clients, checkout.graph()))}


def told(checkout: Checkout, clients: Clients) -> str:
    """The plan as text."""
    graph = checkout.graph()
    return "\n".join(show.plan(graph, plan(Run(clients, graph))))


def test_new_stacks_are_created_and_inputs_that_do_not_exist_yet_are_named(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("keys", outputs={"Name": ref("Value")})
    checkout.layer("data", imports={"KeysName": "keys.Name"})
    checkout.layer("spare", optional=True)
    found = steps(checkout, clients)
    assert {layer: step.action for layer, step in found.items()} == {"keys": "create", "data": "create"}
    assert found["data"].unknown == ("primary:keys.Name",)
    assert [(change.action, change.resource) for change in found["keys"].changes] == [("Add", "Value")]
    until(lambda: cfn.describe(clients("cloudformation", REGION), checkout.stack("keys")) is None)  # a plan leaves nothing behind
    text = told(checkout, clients)
    assert "inputs not known yet: primary:keys.Name" in text
    assert f"shop-spare-{checkout.suffix} at primary: optional, and nothing here is wired to it: left out" in text
    assert text.endswith("2 of 2 stacks would change.")


def test_a_current_environment_has_nothing_to_do(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("keys")
    run(checkout, clients)
    assert told(checkout, clients).endswith("Nothing to do: 1 stacks are current.")


def test_changes_are_shown_with_replacement_and_what_rests_on_them(checkout: Checkout, clients: Clients) -> None:
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": sub("/a/${EnvironmentSuffix}"), "RetentionInDays": 7}}
    checkout.layer("logs", {"Group": group, "Old": parameter("old")}, outputs={"Name": ref("Group")})
    checkout.layer("data", {"Value": parameter("data", ref("LogsName"))}, imports={"LogsName": "logs.Name"})
    run(checkout, clients)
    group["Properties"] = {"LogGroupName": sub("/b/${EnvironmentSuffix}"), "RetentionInDays": 7}
    checkout.layer("logs", {"Group": group, "New": parameter("new")}, outputs={"Name": ref("Group")})
    found = steps(checkout, clients)
    assert found["logs"].action == "change"
    changes = {change.resource: change for change in found["logs"].changes}
    assert (changes["Group"].action, changes["Group"].replacement, changes["Group"].properties) == (
        "Modify",
        "True",
        ("LogGroupName",),
    )
    assert {name: change.action for name, change in changes.items()} == {"Group": "Modify", "New": "Add", "Old": "Remove"}
    assert found["data"].action == "change"
    assert found["data"].note == "will change: its AWS::Logs::LogGroup is replaced (primary:logs.Name)"
    assert [(each.resource, each.replacement) for each in found["data"].changes] == [("Value", "False")]
    text = told(checkout, clients)
    assert f"{checkout.id('data')}: will change: its AWS::Logs::LogGroup is replaced (primary:logs.Name)\n    ~ Value" in text
    assert "~ Group (AWS::Logs::LogGroup)  REPLACED  LogGroupName" in text
    sets = clients("cloudformation", REGION).list_change_sets(StackName=checkout.stack("logs"))["Summaries"]
    assert not [each for each in sets if each["ExecutionStatus"] == "AVAILABLE"], "a plan leaves nothing behind"
    group["Properties"] = {"LogGroupName": sub("/a/${EnvironmentSuffix}"), "RetentionInDays": 14}
    checkout.layer("logs", {"Group": group, "Old": parameter("old")}, outputs={"Name": ref("Group")})
    step = steps(checkout, clients)["data"]
    assert (step.action, step.note) == ("none", "as long as these stay as they are: primary:logs.Name")


def test_a_better_sentence_changes_nothing_and_new_tags_do(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    run(checkout, clients)
    checkout.layer("data", description="Better.")
    assert steps(checkout, clients)["data"].action == "none"
    checkout.layer("data", parameters={"Unused": {"Type": "String", "Default": "x"}})
    assert steps(checkout, clients)["data"].action == "none", "CloudFormation finds nothing to change"
    checkout.layer("data")
    checkout.values({"tags": {"CostCenter": "x"}})
    assert steps(checkout, clients)["data"].action == "change"


def test_an_existing_stack_with_an_unknown_input_says_so(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    run(checkout, clients)
    checkout.layer("keys", outputs={"Name": ref("Value")})
    checkout.layer("data", imports={"KeysName": "keys.Name"})
    step = steps(checkout, clients)["data"]
    assert (step.action, step.unknown, step.note) == (
        "change",
        ("primary:keys.Name",),
        "what changes is known when its inputs are",
    )


def test_what_cannot_be_deployed_is_told_and_left_alone(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    change_set(checkout, clients, "theirs")
    assert (steps(checkout, clients)["data"].action, steps(checkout, clients)["data"].note) == (
        "refused",
        "a stack of this name is not ours",
    )
    checkout.layer("odd", {"Odd": {"Type": "AWS::No::Such", "Properties": {}}})
    assert "AWS::No::Such" in steps(checkout, clients)["odd"].note
    assert "cannot be deployed" in told(checkout, clients)


def test_what_an_earlier_run_left_is_removed_first(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    change_set(checkout, clients, f"{cfn.PREFIX}killed")
    step = steps(checkout, clients)["data"]
    assert (step.action, step.note) == ("create", "what is left of an earlier run is removed first (REVIEW_IN_PROGRESS)")


def test_a_stack_that_moves_is_said_to(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("slow", GATE)
    result = in_background(lambda: run(checkout, clients))
    cloudformation = clients("cloudformation", REGION)
    until(lambda: (state := cfn.describe(cloudformation, checkout.stack("slow"))) and state.status == "CREATE_IN_PROGRESS")
    assert steps(checkout, clients)["slow"].action == "wait"
    open_gate(clients, checkout.stack("slow"))
    result()


def test_a_stack_that_needs_a_hand_is_refused_with_the_command(checkout: Checkout, clients: Clients) -> None:
    bucket = {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": sub("full-${EnvironmentSuffix}")}}}
    checkout.layer("files", bucket)
    run(checkout, clients)
    clients("s3", REGION).put_object(Bucket=f"full-{checkout.suffix}", Key="k", Body=b"x")
    cloudformation = clients("cloudformation", REGION)
    cloudformation.delete_stack(StackName=checkout.stack("files"))
    until(lambda: (state := cfn.describe(cloudformation, checkout.stack("files"))) and state.status == "DELETE_FAILED")
    remedy = (
        "a deletion did not finish: `make destroy` again if all of it is to go; where this stack alone is to be made anew:"
        f" aws cloudformation delete-stack --region {REGION} --stack-name {checkout.stack('files')}"
    )
    step = steps(checkout, clients)["files"]
    assert (step.action, step.note) == (
        "refused",
        f"it is in DELETE_FAILED; {remedy}",
    )
    failure = run(checkout, clients).failed[checkout.id("files")]
    assert failure.reason == f"the stack is in DELETE_FAILED; {remedy}"


def test_a_region_that_is_lost_on_the_way_ends_a_plan(checkout: Checkout, aws: emulator.Emulator) -> None:
    checkout.layer("keys")

    def refusing(service: str, region: str) -> Any:
        def refuse(**_: Any) -> None:
            raise EndpointConnectionError(endpoint_url=aws.endpoint)

        client = aws.client(service, region)
        client.meta.events.register("before-call.cloudformation.CreateChangeSet", refuse)
        return client

    with pytest.raises(EndpointConnectionError):
        plan(Run(refusing, checkout.graph()))


def test_a_change_of_what_is_referred_to_is_known_later(checkout: Checkout) -> None:
    checkout.layer("keys")
    graph = checkout.graph()
    (stack,) = graph.stacks
    modified = Change("Modify", "Reader", "AWS::SSM::Parameter", "False")
    other = Difference("Value", "AWS::SSM::Parameter", "Modify")
    text = list(show.plan(graph, [Step(stack, "change", changes=(modified,), differences=(other,))]))
    assert "        known after apply: what it refers to changes" in text
