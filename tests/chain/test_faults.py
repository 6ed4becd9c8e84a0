"""What CloudFormation and its neighbours say on AWS and the emulator never does, said by a proxy between them."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from chain.changes.property_diff import UNREAD
from chain.cloudformation import stack as cfn
from chain.cloudformation.schedule import StoppedError
from chain.cloudformation.stack import Wait
from chain.deploy import packages
from chain.deploy.deployment import deploy
from chain.deploy.plan import plan
from chain.drift import drift
from chain.run.run import Run
from tests.support.chain.checkout import REGION, Checkout, Clients, Heard, parameter, sub
from tests.support.chain.deployment import run
from tests.support.chain.proxy import Answer, Proxy, fault


def change_set_answer(status: str, reason: str = "", more: str = "") -> Answer:
    """DescribeChangeSet's."""
    name = "DescribeChangeSet"
    change = (
        "<member><Type>Resource</Type><ResourceChange><Action>Modify</Action><LogicalResourceId>{}</LogicalResourceId>"
        "<ResourceType>AWS::SSM::Parameter</ResourceType><Details><member><Target><Attribute>Tags</Attribute></Target></member></Details>"
        "</ResourceChange></member>"
    )
    token = f"<NextToken>{more}</NextToken>" if more else ""
    body = (
        f"<Status>{status}</Status><StatusReason>{reason}</StatusReason><Changes>{change.format(more or 'Last')}</Changes>{token}"
    )
    return 200, f"<{name}Response><{name}Result>{body}</{name}Result></{name}Response>"


def test_a_change_set_is_waited_for_and_read_to_its_last_page(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    checkout.layer("data")
    run(checkout, clients)
    checkout.layer("data", {"Value": parameter("shop-data", "two")})
    answers = [
        change_set_answer("CREATE_PENDING"),
        change_set_answer("CREATE_COMPLETE", more="First"),
        change_set_answer("CREATE_COMPLETE"),
    ]
    between.says["DescribeChangeSet"] = lambda _: answers.pop(0)
    (step,) = plan(Run(between.clients(), checkout.graph()))
    assert [(change.resource, change.properties) for change in step.changes] == [("First", ("Tags",)), ("Last", ("Tags",))]
    assert answers == []


def test_a_change_set_that_validation_refuses_gives_the_findings(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    checkout.layer("data")
    run(checkout, clients)
    checkout.layer("data", {"Value": parameter("shop-data", "two")})
    events = (
        "<member><LogicalResourceId>Value</LogicalResourceId><ValidationStatusReason>Taken</ValidationStatusReason></member>"
        "<member><EventId>1</EventId></member>"
    )
    between.says["DescribeChangeSet"] = lambda _: change_set_answer("FAILED", "The following hook(s)/validation failed")
    between.says["DescribeEvents"] = lambda _: (
        200,
        f"<DescribeEventsResponse><DescribeEventsResult><OperationEvents>{events}</OperationEvents></DescribeEventsResult></DescribeEventsResponse>",
    )
    (step,) = plan(Run(between.clients(), checkout.graph()))
    assert (step.action, step.note) == ("refused", "Value: Taken")
    between.says.pop("DescribeEvents")
    (step,) = plan(Run(between.clients(), checkout.graph()))
    assert step.note == "The following hook(s)/validation failed"


def test_a_change_without_effect_is_no_change(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    run(checkout, clients)
    checkout.layer("data", parameters={"Unused": {"Type": "String", "Default": "x"}})
    assert run(checkout, clients).done[checkout.id("data")].action == "unchanged"


def test_only_a_missing_stack_is_none(between: Proxy) -> None:
    cloudformation = between.clients()("cloudformation", REGION)
    assert cfn.describe(cloudformation, "none") is None
    between.says["DescribeStacks"] = lambda _: fault("AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        cfn.describe(cloudformation, "none")


def test_a_plan_that_cannot_read_does_not_invent(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    checkout.layer("data")
    run(checkout, clients)
    between.says["GetTemplate"] = lambda _: fault("AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        plan(Run(between.clients(), checkout.graph()))


def test_a_template_that_is_json_is_read_too(checkout: Checkout, clients: Clients) -> None:
    path = checkout.layer("data")
    from model import read

    path.write_text(json.dumps(read(path.read_text())))
    run(checkout, clients)
    assert run(checkout, clients).done[checkout.id("data")].action == "unchanged"


def test_a_head_that_is_refused_is_not_taken_for_a_missing_package(checkout: Checkout, between: Proxy, tmp_path: Path) -> None:
    checkout.layer("artifacts", outputs={"BucketName": "b"})
    checkout.layer("function", packages=("p.zip",))
    stack = checkout.graph()[checkout.id("function")]
    between.says["HEAD /b/p.zip"] = lambda _: (403, "")
    with pytest.raises(ClientError, match="403"):
        packages.upload(stack, {checkout.id("artifacts"): {"BucketName": "b"}}, between.clients(), tmp_path)


def test_a_stack_deleted_while_it_is_made_is_told(checkout: Checkout, between: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.layer("data")
    monkeypatch.setattr("chain.cloudformation.poller.VISIBLE", 0.0)
    none = "<DescribeStacksResponse><DescribeStacksResult><Stacks/></DescribeStacksResult></DescribeStacksResponse>"
    between.says["DescribeStacks"] = lambda _: (200, none) if "CreateStack" in between.seen else None
    failure = deploy(Run(between.clients(), checkout.graph(), Heard(), packages=checkout.root)).failed[checkout.id("data")]
    assert str(failure) == "the stack was deleted while it was being made"


def test_a_failure_without_a_resource_gives_the_stacks_own_reason(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    run(checkout, clients)
    state = cfn.describe(clients("cloudformation", REGION), checkout.stack("data"))
    assert state is not None
    assert str(cfn.first_failure(clients("cloudformation", REGION), state)) == "the stack is in CREATE_COMPLETE"


def test_what_is_told_to_stop_begins_nothing(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data")
    stop = threading.Event()
    stop.set()
    result = deploy(Run(clients, checkout.graph(), Heard(), packages=checkout.root, stop=stop))
    assert list(result.failed) == [checkout.id("data")]
    assert cfn.describe(clients("cloudformation", REGION), checkout.stack("data")) is None
    with pytest.raises(StoppedError):
        Wait(stop)()


def gateway() -> dict[str, object]:
    """A type whose identifier has two halves, of which a template declares one."""
    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Gateway": {"Type": "AWS::EC2::InternetGateway", "Properties": {}},
        "Attachment": {
            "Type": "AWS::EC2::VPCGatewayAttachment",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "InternetGatewayId": {"Ref": "Gateway"}},
        },
    }


def test_an_identifier_that_only_a_list_shows_is_found_there(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    checkout.layer("network", gateway())
    run(checkout, clients)
    vpc = cfn.resources(clients("cloudformation", REGION), checkout.stack("network"))["Vpc"]["PhysicalResourceId"]

    physical = ["shop-Attachment-1"]

    def with_another_physical_id(_: str) -> Answer:
        listed = clients("cloudformation", REGION).list_stack_resources(StackName=checkout.stack("network"))[
            "StackResourceSummaries"
        ]
        members = "".join(
            f"<member><LogicalResourceId>{each['LogicalResourceId']}</LogicalResourceId><ResourceType>{each['ResourceType']}</ResourceType>"
            f"<PhysicalResourceId>{physical[0] if each['LogicalResourceId'] == 'Attachment' else each['PhysicalResourceId']}"
            f"</PhysicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
            for each in listed
        )
        name = "ListStackResources"
        return (
            200,
            f"<{name}Response><{name}Result><StackResourceSummaries>{members}</StackResourceSummaries></{name}Result></{name}Response>",
        )

    between.says["ListStackResources"] = with_another_physical_id
    # A read handler that takes nothing but the identifier itself, as AWS's does.
    missing = (400, '{"__type": "ResourceNotFoundException", "message": "none"}')
    between.says["GetResource"] = lambda body: missing if "shop-Attachment-1" in body else None
    there = {"ResourceDescriptions": [{"Identifier": "IGW|vpc-other"}, {"Identifier": f"IGW|{vpc}"}]}
    between.says["ListResources"] = lambda _: (200, json.dumps(there))
    found = drift(checkout.graph(), between.clients())
    assert found.differences == ()
    assert found.not_read == ()
    between.says["ListResources"] = lambda _: (400, '{"__type": "UnsupportedActionException", "message": "no list handler"}')
    reasons = drift(checkout.graph(), between.clients()).reasons()
    assert dict(reasons) == {"its identifier is not known, and UnsupportedActionException on listing its type": 2}
    physical[0] = f"IGW|{vpc}"
    assert drift(checkout.graph(), between.clients()).not_read == ()


def test_an_attribute_that_is_not_returned_leaves_what_rests_on_it_unread(
    checkout: Checkout, clients: Clients, between: Proxy
) -> None:
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": sub("/attr/${EnvironmentSuffix}")}}
    topic = {
        "Type": "AWS::SNS::Topic",
        "Properties": {"TopicName": sub("topic-${EnvironmentSuffix}"), "DisplayName": sub("${Group.Arn}")},
    }
    checkout.layer("logs", {"Group": group, "Topic": topic})
    run(checkout, clients)
    short = {
        "TypeName": "AWS::Logs::LogGroup",
        "ResourceDescription": {"Properties": json.dumps({"LogGroupName": f"/attr/{checkout.suffix}"})},
    }
    between.says["GetResource"] = lambda body: (200, json.dumps(short)) if "LogGroup" in body else None
    found = drift(checkout.graph(), between.clients())
    assert [(each.path.path, each.path.state, each.path.reason) for each in found.not_read] == [
        ("DisplayName", UNREAD, "rests on Group.Arn, which was not returned")
    ]


def test_an_attribute_of_what_does_not_stand_leaves_what_rests_on_it_unread(
    checkout: Checkout, clients: Clients, between: Proxy
) -> None:
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": sub("/absent/${EnvironmentSuffix}")}}
    checkout.layer("logs", {"Group": group})
    run(checkout, clients)
    absent = {**group, "Condition": "Never"}
    changed = {**group, "Properties": {**group["Properties"], "KmsKeyId": {"Fn::GetAtt": ["Absent", "Arn"]}}}  # type: ignore[dict-item]
    body = json.dumps({"Conditions": {"Never": {"Fn::Equals": ["a", "b"]}}, "Resources": {"Absent": absent, "Group": changed}})
    name = "GetTemplate"
    between.says[name] = lambda _: (
        200,
        f"<{name}Response><{name}Result><TemplateBody>{body}</TemplateBody></{name}Result></{name}Response>",
    )
    found = drift(checkout.graph(), between.clients())
    assert dict(found.reasons()) == {"Absent does not stand in the stack": 1}
    assert found.differences == ()
