"""Stacks: what a template says is what the services get, at first and with every change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator, running, schemas
from emulator.types import RESOURCES
from tests.support.emulator import samples, stacks

pytestmark = pytest.mark.xdist_group("cloudformation")  # else every worker would set up what they share

STACK = "sample"
SHOWN = [name for name in samples.CHANGES if schemas.readable(samples.RESOURCES[name][0])]


@pytest.fixture(scope="module")
def updated() -> Iterator[Emulator]:
    """The sample stack, created and then changed in every way that needs no replacement."""
    with running(databases=False) as aws:
        assert stacks.deploy(aws, STACK, samples.template())["StackStatus"] == "CREATE_COMPLETE"
        before = stacks.physical(aws, STACK)
        stack = stacks.deploy(aws, STACK, samples.template(changed=True), tags={"Owner": "somebody"})
        assert stack["StackStatus"] == "UPDATE_COMPLETE", stack["Failures"]
        assert stacks.physical(aws, STACK) == before
        yield aws


@pytest.mark.parametrize("name", SHOWN)
def test_a_changed_property_reaches_the_service(updated: Emulator, name: str) -> None:
    kind, declared = samples.RESOURCES[name]
    ids = stacks.physical(updated, STACK)
    changed = stacks.resolved(stacks.readable(kind, samples.CHANGES[name]), ids)
    found = stacks.get(updated, kind, stacks.identifier(updated, kind, declared, ids, ids[name]))
    assert stacks.differences(changed, found) == []
    if schemas.tag_property(kind):
        assert ("Owner", "somebody") in stacks.tags(kind, found)


def test_what_a_change_takes_away_is_gone(updated: Emulator) -> None:
    ids = stacks.physical(updated, STACK)
    assert len(stacks.get(updated, "AWS::S3::Bucket", ids["Bucket"])["LifecycleConfiguration"]["Rules"]) == 1
    assert [policy["PolicyName"] for policy in stacks.get(updated, "AWS::IAM::Role", ids["Role"])["Policies"]] == ["other"]
    assert (
        "rds.log_retention_period" not in stacks.get(updated, "AWS::RDS::DBParameterGroup", ids["ParameterGroup"])["Parameters"]
    )
    assert stacks.get(updated, "AWS::EC2::VPCEndpoint", ids["Endpoint"])["SubnetIds"] == [ids["SubnetB"]]
    ports = [rule["FromPort"] for rule in stacks.get(updated, "AWS::EC2::SecurityGroup", ids["Group"])["SecurityGroupIngress"]]
    assert sorted(ports) == [80, 5432]


def test_every_type_that_can_change_is_changed_by_a_test() -> None:
    changed = {samples.RESOURCES[name][0] for name in samples.CHANGES}
    # Nothing of these can change in place but what these samples do not have.
    fixed = {
        "AWS::Backup::BackupSelection",
        "AWS::EC2::Route",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::Lambda::Permission",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SecretsManager::SecretTargetAttachment",
    }
    assert set(RESOURCES) - changed == fixed


def bucket(**more: Any) -> dict[str, Any]:
    return {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": more}}}


def topic(name: str, **more: Any) -> dict[str, Any]:
    return {"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name, **more}}}}


def test_parts_of_a_bucket_that_a_template_drops_are_removed(aws: Emulator) -> None:
    full = {
        name: value
        for name, value in samples.RESOURCES["Bucket"][1].items()
        if name not in ("LoggingConfiguration", "BucketEncryption")
    }
    assert stacks.deploy(aws, "dropping", bucket(**{**full, "BucketName": "dropping"}))["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.deploy(aws, "dropping", bucket(BucketName="dropping"))["StackStatus"] == "UPDATE_COMPLETE"
    found = stacks.get(aws, "AWS::S3::Bucket", "dropping")
    assert "LifecycleConfiguration" not in found
    assert "PublicAccessBlockConfiguration" not in found
    assert found["VersioningConfiguration"] == {"Status": "Suspended"}
    assert found["Tags"] == []


def test_a_change_of_what_only_creation_sets_makes_a_new_resource_and_removes_the_old_one(aws: Emulator) -> None:
    stacks.deploy(aws, "replaced", topic("first-name"))
    old = stacks.physical(aws, "replaced")["Topic"]
    stack = stacks.deploy(aws, "replaced", topic("second-name"))
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    new = stacks.physical(aws, "replaced")["Topic"]
    assert new.endswith(":second-name")
    topics = {one["TopicArn"] for one in aws.client("sns").list_topics()["Topics"]}
    assert new in topics
    assert old not in topics


def test_a_resource_without_a_name_gets_one_of_its_stack(aws: Emulator) -> None:
    stacks.deploy(aws, "unnamed", {"Resources": {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {}}}})
    assert stacks.physical(aws, "unnamed")["Group"].startswith("unnamed-Group-")


def change_set(aws: Emulator, stack: str, template: dict[str, Any], kind: str) -> dict[str, Any]:
    cloudformation = aws.client("cloudformation")
    cloudformation.create_change_set(StackName=stack, ChangeSetName="plan", ChangeSetType=kind, TemplateBody=json.dumps(template))
    found: dict[str, Any] = cloudformation.describe_change_set(StackName=stack, ChangeSetName="plan")
    return found


def test_a_change_set_says_what_it_would_replace(aws: Emulator) -> None:
    stacks.deploy(aws, "planned", topic("planned-name"))
    (change,) = change_set(aws, "planned", topic("other-name"), "UPDATE")["Changes"]
    assert change["ResourceChange"]["Replacement"] == "True"
    aws.client("cloudformation").delete_change_set(StackName="planned", ChangeSetName="plan")
    (change,) = change_set(aws, "planned", topic("planned-name", DisplayName="x"), "UPDATE")["Changes"]
    assert change["ResourceChange"]["Replacement"] == "False"


def test_a_change_set_creates_a_stack(aws: Emulator) -> None:
    found = change_set(aws, "by-change-set", topic("by-change-set"), "CREATE")
    assert [change["ResourceChange"]["Action"] for change in found["Changes"]] == ["Add"]
    aws.client("cloudformation").execute_change_set(StackName="by-change-set", ChangeSetName="plan")
    assert stacks.settled(aws, "by-change-set")["StackStatus"] == "CREATE_COMPLETE"


def test_a_change_set_without_changes_fails_and_says_so(aws: Emulator) -> None:
    stacks.deploy(aws, "unchanged", topic("unchanged"))
    found = change_set(aws, "unchanged", topic("unchanged"), "UPDATE")
    assert found["Status"] == "FAILED"
    assert "didn't contain changes" in found["StatusReason"]


def test_a_parameter_in_the_place_of_what_was_written_out_or_under_another_name_changes_nothing(aws: Emulator) -> None:
    def named(parameter: str, default: str) -> dict[str, Any]:
        declared = {parameter: {"Type": "String", "Default": default}}
        return {**topic("named", DisplayName={"Ref": parameter}), "Parameters": declared}

    stacks.deploy(aws, "named", topic("named", DisplayName="shown"))
    for template in (named("Shown", "shown"), named("Renamed", "shown")):
        assert change_set(aws, "named", template, "UPDATE")["Changes"] == []
        aws.client("cloudformation").delete_change_set(StackName="named", ChangeSetName="plan")
        assert stacks.deploy(aws, "named", template)["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    for template in (named("Renamed", "other"), named("Again", "other")):
        (change,) = change_set(aws, "named", template, "UPDATE")["Changes"]
        assert change["ResourceChange"]["LogicalResourceId"] == "Topic"
        aws.client("cloudformation").delete_change_set(StackName="named", ChangeSetName="plan")


def test_a_refused_resource_fails_the_stack_with_the_reason_of_its_service_and_rolls_back(aws: Emulator) -> None:
    template = topic("rolled-back")
    template["Resources"]["Alias"] = {
        "Type": "AWS::KMS::Alias",
        "DependsOn": "Topic",
        "Properties": {"AliasName": "alias/none", "TargetKeyId": "00000000-0000-0000-0000-000000000000"},
    }
    stack = stacks.deploy(aws, "failing", template)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stack["Failures"][0].startswith("Alias CREATE_FAILED: An error occurred (NotFoundException)")
    assert not any(one["TopicArn"].endswith("rolled-back") for one in aws.client("sns").list_topics()["Topics"])


def test_an_unknown_property_fails_the_resource_that_has_it(aws: Emulator) -> None:
    template = {
        "Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**samples.RESOURCES["Alarm"][1], "Treshold": 1}}}
    }
    properties = template["Resources"]["Alarm"]["Properties"]
    for name in ("Dimensions", "AlarmActions", "OKActions", "InsufficientDataActions"):
        del properties[name]
    stack = stacks.deploy(aws, "misspelt", template)
    assert "no member 'Treshold'" in stack["Failures"][0]


def test_a_function_in_a_vpc_needs_a_role_that_manages_network_interfaces(aws: Emulator) -> None:
    role = {name: value for name, value in samples.RESOURCES["Role"][1].items() if name not in ("Policies", "RoleName")}
    function = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Code": {"ZipFile": samples.HANDLER},
        "Role": samples.att("Role", "Arn"),
        "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    }
    template = {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        }
    }
    stack = stacks.deploy(aws, "no-interfaces", template)
    assert "(InvalidParameterValueException)" in stack["Failures"][0]
    assert "CreateNetworkInterface" in stack["Failures"][0]


def test_a_bucket_that_holds_anything_is_not_deleted_and_the_delete_can_be_repeated(aws: Emulator) -> None:
    stacks.deploy(aws, "filled", bucket(BucketName="filled", VersioningConfiguration={"Status": "Enabled"}))
    s3 = aws.client("s3")
    s3.put_object(Bucket="filled", Key="a", Body=b"1")
    s3.delete_object(Bucket="filled", Key="a")  # its versions and a marker remain
    assert stacks.delete(aws, "filled") == "DELETE_FAILED"
    assert "(BucketNotEmpty)" in stacks.failures(aws, "filled")[0]
    listed = s3.list_object_versions(Bucket="filled")
    for one in listed["Versions"] + listed["DeleteMarkers"]:
        s3.delete_object(Bucket="filled", Key="a", VersionId=one["VersionId"])
    assert stacks.delete(aws, "filled") == "DELETE_COMPLETE"


def test_a_resource_that_somebody_deleted_does_not_stop_the_delete_of_its_stack(aws: Emulator) -> None:
    stacks.deploy(aws, "emptied", topic("emptied"))
    aws.client("sns").delete_topic(TopicArn=stacks.physical(aws, "emptied")["Topic"])
    assert stacks.delete(aws, "emptied") == "DELETE_COMPLETE"


def test_everything_goes_with_its_stack_and_only_keys_are_left_in_waiting() -> None:
    with running(databases=False) as aws:
        stacks.deploy(aws, STACK, samples.template(), tags={"System": "sample"})
        tagging = aws.client("resourcegroupstaggingapi")

        def tagged() -> set[str]:
            pages = tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": "System", "Values": ["sample"]}])
            return {one["ResourceARN"].split(":")[2] for page in pages for one in page["ResourceTagMappingList"]}

        assert tagged() == {
            "backup",
            "cloudtrail",
            "cloudwatch",
            "dynamodb",
            "ec2",
            "elasticache",
            "elasticfilesystem",
            "events",
            "kms",
            "lambda",
            "logs",
            "rds",
            "s3",
            "secretsmanager",
            "sns",
            "sqs",
            "ssm",
        }
        assert stacks.delete(aws, STACK) == "DELETE_COMPLETE"
        assert tagged() <= {"kms"}
        states = [
            aws.client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]
            for key in aws.client("kms").list_keys()["Keys"]
        ]
        assert states == ["PendingDeletion"]
        assert aws.client("s3").list_buckets()["Buckets"] == []
        with pytest.raises(ClientError):
            aws.client("iam").get_role(RoleName="sample-role")


def test_the_policy_of_a_topic_goes_back_to_the_first_one(aws: Emulator) -> None:
    template = topic("with-policy")
    body = {
        "Topics": [samples.ref("Topic")],
        "PolicyDocument": samples.policy("sns:Publish", samples.ref("Topic"), Principal=samples.ROOT),
    }
    template["Resources"]["Policy"] = {"Type": "AWS::SNS::TopicPolicy", "Properties": body}
    stacks.deploy(aws, "with-policy", template)
    arn = stacks.physical(aws, "with-policy")["Topic"]

    def sid() -> str:
        policy = json.loads(aws.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
        return str(policy["Statement"][0]["Sid"])

    assert sid() == "Sample"
    template["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"][0]["Sid"] = "Changed"
    stacks.deploy(aws, "with-policy", template)
    assert sid() == "Changed"
    stacks.deploy(aws, "with-policy", topic("with-policy"))
    assert sid() == "__default_statement_ID"


def offering(value: Any, default: str = "x") -> dict[str, Any]:
    """A topic's template with one output."""
    declared = {"Offered": {"Type": "String", "Default": default}}
    return {**topic("offering"), "Parameters": declared, "Outputs": {"Out": {"Value": value, "Description": "What it offers."}}}


def test_a_change_of_outputs_alone_can_be_executed(aws: Emulator) -> None:
    cloudformation = aws.client("cloudformation")
    stacks.deploy(aws, "offering", offering("one"))
    for template, out in (
        (offering("two"), "two"),
        (offering({"Ref": "Offered"}), "x"),
        (offering({"Ref": "Offered"}, "y"), "y"),
    ):
        found = change_set(aws, "offering", template, "UPDATE")
        assert (found["Status"], found["ExecutionStatus"], found["Changes"]) == ("CREATE_COMPLETE", "AVAILABLE", [])
        cloudformation.execute_change_set(StackName="offering", ChangeSetName="plan")
        assert stacks.settled(aws, "offering")["Outputs"][0]["OutputValue"] == out
        cloudformation.delete_change_set(StackName="offering", ChangeSetName="plan")
    unchanged = offering({"Ref": "Offered"}, "y")
    unchanged["Outputs"]["Out"]["Description"] = "A better sentence."
    assert change_set(aws, "offering", unchanged, "UPDATE")["Status"] == "FAILED"


def test_a_parameter_is_of_the_pattern_that_it_allows(aws: Emulator) -> None:
    properties = {"Name": "/patterned", "Type": "String", "Value": "never", "AllowedPattern": "^(auto|approve)$"}
    body = {"Resources": {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": properties}}}
    stack = stacks.deploy(aws, "patterned", body)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "allowedPattern" in stack["Failures"][0]
    stacks.delete(aws, "patterned")
