"""Drift: what was changed behind CloudFormation's back is found, and what cannot be read is said to be so."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

import emulator
from chain.cli import text as show
from chain.cloudformation import stack as cfn
from chain.drift import Drift, drift
from tests.support.chain.checkout import REGION, Checkout, Clients, parameter, ref, sub
from tests.support.chain.deployment import run
from tests.support.chain.proxy import proxy
from tests.support.chain.resources import NO_ROLE, logs


def network(with_rule: bool = True) -> dict[str, Any]:
    """A VPC with two security groups, one rule declared on its own, and an address."""
    egress = [{"IpProtocol": "-1", "CidrIp": "127.0.0.1/32", "Description": "Instead of everything"}]
    resources: dict[str, Any] = {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Database": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "The database", "VpcId": ref("Vpc"), "SecurityGroupEgress": egress},
        },
        "Client": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "Clients", "VpcId": ref("Vpc"), "SecurityGroupEgress": egress},
        },
        "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
    }
    if with_rule:
        resources["In"] = {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {
                "GroupId": {"Fn::GetAtt": ["Database", "GroupId"]},
                "SourceSecurityGroupId": {"Fn::GetAtt": ["Client", "GroupId"]},
                "IpProtocol": "tcp",
                "FromPort": 5432,
                "ToPort": 5432,
            },
        }
    return resources


def found(checkout: Checkout, clients: Clients) -> Drift:
    """The drift of the checkout's environment."""
    return drift(checkout.graph(), clients)


def different(result: Drift) -> list[tuple[str, str]]:
    """Resource and path of each difference."""
    return [(each.resource, each.path.path) for each in result.differences]


def test_a_fresh_deployment_has_no_drift(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("logs", logs(), outputs={"Arn": {"Fn::GetAtt": ["Group", "Arn"]}})
    run(checkout, clients)
    result = found(checkout, clients)
    assert different(result) == []
    assert result.not_read == ()
    assert (result.declared, result.read) == (6, 6)
    assert list(show.drift(result)) == ["6 properties declared, 6 read back (100.0 %), 0 different."]


def test_a_change_behind_the_stacks_back_is_found(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("logs", logs("other"))
    run(checkout, clients)
    clients("logs", REGION).put_retention_policy(logGroupName=f"/other/{checkout.suffix}", retentionInDays=1)
    wide = {"Version": "2012-10-17", "Statement": [{"Sid": "Own", "Effect": "Allow", "Action": "*", "Resource": "*"}]}
    role = f"role-{REGION}-{checkout.suffix}"
    clients("iam", REGION).put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=json.dumps(wide))
    clients("iam", REGION).put_role_policy(RoleName=role, PolicyName="extra", PolicyDocument=json.dumps(wide))
    result = found(checkout, clients)
    assert different(result) == [("Group", "RetentionInDays"), ("Role", "Policies[own].PolicyDocument"), ("Role", "Policies[+]")]
    retention, policy, extra = result.differences
    assert (retention.path.declared, retention.path.found) == (7, 1)
    assert policy.path.reason == "statement Own"
    assert extra.path.found["PolicyName"] == "extra"
    assert result.declared == 6, "what was added is no declared path"
    text = "\n".join(show.drift(result))
    assert f"{checkout.id('logs')}  Group (AWS::Logs::LogGroup)  RetentionInDays\n    declared  7\n    found     1" in text


def test_a_resource_that_is_gone_is_found(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("logs", logs("gone"))
    run(checkout, clients)
    clients("logs", REGION).delete_log_group(logGroupName=f"/gone/{checkout.suffix}")
    result = found(checkout, clients)
    assert different(result) == [("Group", "LogGroupName"), ("Group", "RetentionInDays")]
    assert {each.path.reason for each in result.differences} == {"the resource does not exist"}
    (policy,) = result.not_read
    assert policy.path.reason == "rests on Group.Arn: the resource does not exist"


def test_a_rule_of_its_own_is_no_drift_of_its_group_but_an_undeclared_one_is(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("network", network(), outputs={"Group": ref("Database")})
    group = run(checkout, clients).done[checkout.id("network")].outputs["Group"]
    assert different(found(checkout, clients)) == []
    world = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    clients("ec2", REGION).authorize_security_group_ingress(GroupId=group, IpPermissions=world)
    result = found(checkout, clients)
    assert different(result) == [("Database", "SecurityGroupIngress[+]")]
    assert result.differences[0].path.found["FromPort"] == 22


def test_what_cannot_be_read_is_listed_with_its_reason(checkout: Checkout, clients: Clients) -> None:
    topic = {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": sub("topic-${EnvironmentSuffix}")}},
        "Policy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [ref("Topic")], "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
        },
        "Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 1}},
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"PendingWindowInDays": 7, "EnableKeyRotation": True}},
    }
    checkout.layer("notify", topic)
    checkout.layer("later")
    run(checkout, clients, "shop")
    cloudformation = clients("cloudformation", REGION)
    cloudformation.delete_stack(StackName=checkout.stack("later"))
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=checkout.stack("later"), WaiterConfig={"Delay": 1})
    result = found(checkout, clients)
    assert {(each.resource, each.path.path): each.path.reason for each in result.not_read} == {
        ("Policy", "Topics"): "its schema has no read handler",
        ("Policy", "PolicyDocument"): "its schema has no read handler",
        ("Stream", "ShardCount"): "UnsupportedActionException: The emulator cannot read AWS::Kinesis::Stream yet.",
        ("Key", "PendingWindowInDays"): "write-only by its schema",
    }
    text = "\n".join(show.drift(result))
    assert "    2 not read: its schema has no read handler" in text
    assert f"{checkout.id('later')} does not stand: nothing to read" in text


def test_a_resource_that_its_condition_leaves_out_is_not_looked_for(checkout: Checkout, clients: Clients) -> None:
    never = {"Never": {"Fn::Equals": ["a", "b"]}}
    resources = {"Group": logs("cond")["Group"], "Absent": {**logs("absent")["Group"], "Condition": "Never"}}
    resources["Named"] = parameter("named", {"Fn::If": ["Never", {"Fn::GetAtt": ["Absent", "Arn"]}, "none"]})
    checkout.layer("logs", resources, conditions=never)
    run(checkout, clients)
    assert {each.resource for each in found(checkout, clients).findings} == {"Group", "Named"}


def test_a_stack_that_is_only_under_review_does_not_stand(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("logs", logs("review"))
    (stack,) = checkout.graph().stacks
    asked = cfn.asked(stack, stack.parameters({})[0])
    clients("cloudformation", REGION).create_change_set(ChangeSetName="standby-x", ChangeSetType="CREATE", **asked)
    result = found(checkout, clients)
    assert (result.absent, result.findings) == ((checkout.id("logs"),), ())


def test_what_nobody_is_let_to_read_is_no_all_clear(checkout: Checkout, clients: Clients, aws: emulator.Emulator) -> None:
    checkout.layer("logs", logs("denied"))
    run(checkout, clients)
    denied = json.dumps({"__type": "AccessDeniedException", "message": "is not authorized"})
    with proxy(aws.endpoint) as between:
        between.says["GetResource"] = lambda body: (400, denied) if "AWS::IAM::Role" in body else None
        result = found(checkout, between.clients())
    assert result.unseen == {checkout.id("logs"): "1 of 2 resources were not read: AccessDeniedException on GetResource"}
    assert {each.resource for each in result.not_read} == {"Role"}
    assert (result.declared, result.read) == (6, 2)


def test_a_region_that_falls_silent_is_not_asked_for_everything_that_is_left(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("many", {f"Value{number}": parameter(f"many{number}") for number in range(60)})
    run(checkout, clients)
    asked: list[str] = []

    def silent(service: str, region: str) -> Any:
        return Silent(asked) if service == "cloudcontrol" else clients(service, region)

    with pytest.raises(EndpointConnectionError):
        found(checkout, silent)
    assert len(asked) < 60


class Silent:
    """A Cloud Control that is not reached, which takes its time."""

    def __init__(self, asked: list[str]) -> None:
        self.asked = asked

    def get_resource(self, **given: str) -> None:
        self.asked.append(given["Identifier"])
        time.sleep(0.05)
        raise EndpointConnectionError(endpoint_url="https://x")


def test_what_was_never_made_is_said_to_be_gone(checkout: Checkout, clients: Clients) -> None:
    checkout.layer(
        "bad", {**NO_ROLE, "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}, "DependsOn": "Wrong"}}
    )
    assert run(checkout, clients).failed
    found = drift(checkout.graph(), clients)
    assert any("does not exist" in line for line in show.drift(found))
