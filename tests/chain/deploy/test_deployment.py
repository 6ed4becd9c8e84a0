"""Deployments against the emulator: order, concurrency, failures, resumption, and what is not ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain.cloudformation import stack as cfn
from chain.cloudformation.stack import CAPABILITIES, StackError
from chain.cloudformation.statuses import DECISIONS, REMEDIES, Decision
from chain.deploy.deployment import Result
from tests.support.chain.checkout import GATE, REGION, Checkout, Clients, Heard, parameter, ref, sub
from tests.support.chain.deployment import change_set, run
from tests.support.chain.resources import NO_ROLE
from tests.support.chain.waiting import in_background, open_gate, until

Deploy = Callable[..., Result]
BROKEN = {
    "Broken": parameter("broken", value={"Fn::GetAtt": ["Role", "Arn"]}),
    "Role": {"Type": "AWS::IAM::Role", "Properties": {}},
}


def test_outputs_are_passed_on_and_a_second_run_changes_nothing(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("keys", outputs={"Name": ref("Value")})
    checkout.layer(
        "data",
        {"Value": parameter("shop-data", ref("KeysName"))},
        imports={"KeysName": "keys.Name"},
        outputs={"Id": ref("Value")},
    )
    checkout.values({"tags": {"CostCenter": "shop"}})
    heard = Heard()
    result = run(checkout, clients, heard=heard)
    assert {id_: done.action for id_, done in result.done.items()} == {
        checkout.id("keys"): "created",
        checkout.id("data"): "created",
    }
    assert result.done[checkout.id("data")].outputs == {"Id": f"/shop-data/{checkout.suffix}"}
    stored = clients("ssm", REGION).get_parameter(Name=f"/shop-data/{checkout.suffix}")["Parameter"]["Value"]
    assert stored == f"/shop-keys/{checkout.suffix}"
    assert heard.order("CREATE_COMPLETE") == [checkout.id("keys"), checkout.id("data")]
    assert ("Value", "CREATE_COMPLETE") in {(news.resource, news.status) for news in heard}
    state = cfn.describe(clients("cloudformation", REGION), checkout.stack("data"))
    assert state is not None
    assert state.tags == {
        "System": "shop", "Layer": "data", "Site": "primary", "Environment": checkout.suffix, "CostCenter": "shop",
    }  # fmt: skip

    heard = Heard()
    again = run(checkout, clients, heard=heard)
    assert {done.action for done in again.done.values()} == {"unchanged"}
    assert again.done[checkout.id("data")].outputs == result.done[checkout.id("data")].outputs
    assert [news.status for news in heard] == ["unchanged", "unchanged"]
    sets = clients("cloudformation", REGION).list_change_sets(StackName=checkout.stack("data"))["Summaries"]
    assert not [each for each in sets if each["ExecutionStatus"] == "AVAILABLE"]


@pytest.mark.parametrize(
    ("change", "action"),
    [
        (lambda c: c.layer("data", {"Value": parameter("shop-data", "two")}), "updated"),
        (lambda c: c.values({"tags": {"CostCenter": "new"}}), "updated"),
        (lambda c: c.layer("data", description="A better sentence."), "unchanged"),
        (
            lambda c: c.layer("data", parameters={"EnvironmentSuffix": {"Type": "String", "Description": "Ends names."}}),
            "unchanged",
        ),
    ],
)
def test_a_stack_is_current_when_template_values_and_tags_agree(
    checkout: Checkout, clients: Clients, change: Callable[[Checkout], None], action: str
) -> None:
    checkout.layer("data", {"Value": parameter("shop-data")})
    run(checkout, clients)
    change(checkout)
    result = run(checkout, clients)
    assert result.done[checkout.id("data")].action == action
    assert run(checkout, clients).done[checkout.id("data")].action == "unchanged"


def test_a_changed_value_updates_what_it_feeds(checkout: Checkout, clients: Clients) -> None:
    size = {"Size": {"Type": "Number", "Default": 1}}
    checkout.layer(
        "keys",
        {"Value": parameter("shop-keys", ref("Size"))},
        parameters=size,
        outputs={"Size": {"Fn::GetAtt": ["Value", "Value"]}},
    )
    checkout.layer("data", {"Value": parameter("shop-data", ref("KeysSize"))}, imports={"KeysSize": "keys.Size"})
    run(checkout, clients)
    checkout.values({"keys": {"Size": 2}})
    assert {done.action for done in run(checkout, clients).done.values()} == {"updated"}
    assert clients("ssm", REGION).get_parameter(Name=f"/shop-data/{checkout.suffix}")["Parameter"]["Value"] == "2"


def test_a_stack_starts_as_soon_as_its_own_predecessors_stand(checkout: Checkout, clients: Clients) -> None:
    """``slow`` and ``quick`` are on one level; ``next`` waits for ``quick`` only and must stand while ``slow`` still moves."""
    checkout.layer("slow", GATE)
    checkout.layer("quick", outputs={"Name": ref("Value")})
    checkout.layer("next", imports={"QuickName": "quick.Name"})
    result = in_background(lambda: run(checkout, clients))
    cloudformation = clients("cloudformation", REGION)
    until(lambda: (state := cfn.describe(cloudformation, checkout.stack("next"))) and state.status == "CREATE_COMPLETE")
    slow = cfn.describe(cloudformation, checkout.stack("slow"))
    assert slow is not None
    assert slow.status == "CREATE_IN_PROGRESS"
    open_gate(clients, checkout.stack("slow"))
    assert len(result().done) == 3


def test_a_failure_holds_back_only_its_dependents_and_gives_the_first_reason(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("bad", NO_ROLE, outputs={"Name": "x"})
    checkout.layer("held", imports={"BadName": "bad.Name"}, outputs={"Name": "x"})
    checkout.layer("far", imports={"HeldName": "held.Name"})
    checkout.layer("good")
    checkout.layer("other", system="bank")
    heard = Heard()
    result = run(checkout, clients, heard=heard)
    assert set(result.done) == {checkout.id("good"), checkout.id("other", "bank")}
    assert result.held == {checkout.id("held"): (checkout.id("bad"),), checkout.id("far"): (checkout.id("bad"),)}
    failure = result.failed[checkout.id("bad")]
    assert (failure.resource, failure.type) == ("Wrong", "AWS::CloudFormation::WaitCondition")
    assert "timed out" in failure.reason
    assert failure.status == "ROLLBACK_COMPLETE"
    assert heard.order("held back") == [checkout.id("held"), checkout.id("far")]
    assert heard.order("failed") == [checkout.id("bad")]

    checkout.layer("bad", outputs={"Name": "x"})  # the cause is removed
    heard = Heard()
    again = run(checkout, clients, heard=heard)
    assert again.failed == {}
    assert again.done[checkout.id("bad")].action == "created"
    assert again.done[checkout.id("far")].action == "created"
    assert again.done[checkout.id("good")].action == "unchanged"
    assert [news.reason for news in heard if news.status == "removing"] == ["ROLLBACK_COMPLETE of an earlier run"]


def test_a_failed_update_gives_its_own_reason_and_is_tried_again(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data", {"Fine": parameter("fine")})
    run(checkout, clients)
    checkout.layer("data", {**NO_ROLE, "Fine": parameter("fine", "two")})
    failure = run(checkout, clients).failed[checkout.id("data")]
    assert (failure.resource, failure.status) == ("Wrong", "UPDATE_ROLLBACK_COMPLETE")
    checkout.layer("data", {"Fine": parameter("fine", "two")})
    assert run(checkout, clients).done[checkout.id("data")].action == "updated"


def test_a_refused_template_is_told_in_awss_words(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data", {"Odd": {"Type": "AWS::No::Such", "Properties": {}}})
    failure = run(checkout, clients).failed[checkout.id("data")]
    assert "ValidationError on CreateStack" in failure.reason
    assert "AWS::No::Such" in failure.reason
    until(lambda: cfn.describe(clients("cloudformation", REGION), checkout.stack("data")) is None)


def test_a_stack_that_moves_is_joined(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("slow", GATE)
    first = in_background(lambda: run(checkout, clients))
    cloudformation = clients("cloudformation", REGION)
    until(lambda: (state := cfn.describe(cloudformation, checkout.stack("slow"))) and state.status == "CREATE_IN_PROGRESS")
    heard = Heard()
    second = in_background(lambda: run(checkout, clients, heard=heard))
    until(lambda: heard.order("joined"))
    open_gate(clients, checkout.stack("slow"))
    assert first().done[checkout.id("slow")].action == "created"
    assert second().done[checkout.id("slow")].action == "unchanged"


def test_our_own_change_set_that_was_never_executed_is_replaced(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    change_set(checkout, clients, f"{cfn.PREFIX}killed")
    heard = Heard()
    assert run(checkout, clients, heard=heard).done[checkout.id("data")].action == "created"
    assert heard.order("removing") == [checkout.id("data")]


def test_somebody_elses_change_set_is_left_alone(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    change_set(checkout, clients, "theirs")
    failure = run(checkout, clients).failed[checkout.id("data")]
    assert failure.reason == "somebody else's change set waits to create this stack: theirs"
    assert clients("cloudformation", REGION).list_change_sets(StackName=checkout.stack("data"))["Summaries"]


def test_a_stack_without_our_tags_is_left_alone(checkout: Checkout, clients: Clients) -> None:
    path = checkout.layer("data")
    given = [{"ParameterKey": "EnvironmentSuffix", "ParameterValue": checkout.suffix}]
    cloudformation = clients("cloudformation", REGION)
    cloudformation.create_stack(
        StackName=checkout.stack("data"), TemplateBody=path.read_text(), Parameters=given, Capabilities=CAPABILITIES
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=checkout.stack("data"), WaiterConfig={"Delay": 1})
    failure = run(checkout, clients).failed[checkout.id("data")]
    assert failure.reason.startswith("a stack of this name is not ours")
    state = cfn.describe(cloudformation, checkout.stack("data"))
    assert state is not None
    assert state.tags == {}


def test_an_output_that_its_stack_does_not_give_is_told(checkout: Checkout, clients: Clients) -> None:
    never = {"Never": {"Fn::Equals": ["a", "b"]}}
    path = checkout.layer("keys", outputs={"Name": "x"}, conditions=never)
    path.write_text(path.read_text().replace("    Value: x", "    Value: x\n    Condition: Never"))
    checkout.layer("data", imports={"KeysName": "keys.Name"})
    failure = run(checkout, clients).failed[checkout.id("data")]
    assert failure.reason == "these outputs do not exist, though their stacks stand: primary:keys.Name"


def test_packages_are_uploaded_once_and_a_missing_one_names_the_remedy(checkout: Checkout, clients: Clients) -> None:
    bucket = {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": sub("artifacts-${EnvironmentSuffix}")}}}
    checkout.layer("artifacts", bucket, outputs={"BucketName": ref("Bucket")})
    checkout.layer("function", packages=("work-1.zip",))
    failure = run(checkout, clients).failed[checkout.id("function")]
    assert failure.reason.startswith("the package work-1.zip is neither in the bucket artifacts-")
    assert failure.reason.endswith("run `make build`")
    (checkout.root / "out").mkdir()
    (checkout.root / "out" / "work-1.zip").write_bytes(b"code")
    heard = Heard()
    run(checkout, clients, heard=heard)
    assert [news.reason for news in heard if news.status == "uploaded"] == ["work-1.zip"]
    s3 = clients("s3", REGION)
    assert s3.get_object(Bucket=f"artifacts-{checkout.suffix}", Key="work-1.zip")["Body"].read() == b"code"

    (checkout.root / "out" / "work-1.zip").unlink()  # as after a checkout of last month: the bucket has it
    checkout.layer("function", {"Value": parameter("f", "new")}, packages=("work-1.zip",))
    assert run(checkout, clients).done[checkout.id("function")].action == "updated"


def test_every_status_of_cloudformation_has_a_decision() -> None:
    import botocore.session

    model = botocore.session.get_session().get_service_model("cloudformation")
    assert set(DECISIONS) == set(model.shape_for("StackStatus").enum)
    refused = {status for status, decision in DECISIONS.items() if decision in (Decision.REFUSE, Decision.CONTINUE)}
    assert refused == set(REMEDIES)
    assert {status for status, decision in DECISIONS.items() if decision is Decision.WAIT} == {
        status for status in DECISIONS if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
    }


def test_any_error_becomes_a_reason() -> None:
    assert str(cfn.explain(ValueError("odd"))) == "ValueError: odd"
    assert str(StackError("it broke", "Role", "AWS::IAM::Role")) == "Role (AWS::IAM::Role): it broke"
