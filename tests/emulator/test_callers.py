"""What AWS asks of whoever calls besides the action: services' own roles, rule over a key to be made, regions of the world."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator
from tests.support import unmeasured
from tests.support.emulator.callers import allow, assume, code

REGION = "eu-central-2"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*", "Resource": "*"}
        ],
    }
)
BY_TAG = {"Condition": {"StringEquals": {"aws:ResourceTag/System": "x"}}}
MADE = {
    "Condition": {
        "StringEquals": {"aws:CalledViaFirst": "cloudformation.amazonaws.com"},
        "Null": {"aws:ResourceTag/System": "true"},
    }
}


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    """One whose account has used nothing yet."""
    with unmeasured.running(databases=False) as aws:
        yield aws


def _client(aws: Emulator, service: str, name: str, *statements: dict[str, Any]) -> Any:
    return aws.client(service, REGION, **assume(aws, name, list(statements)))


def _deploy(client: Any, name: str, type_: str, **properties: Any) -> str:
    """What became of a stack of one resource, or why not."""
    body = json.dumps({"Resources": {"One": {"Type": type_, "Properties": properties}}})
    client.create_stack(StackName=name, TemplateBody=body, OnFailure="DO_NOTHING")
    while (found := client.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"].endswith("IN_PROGRESS"):
        time.sleep(0.05)
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    return str(
        next((one["ResourceStatusReason"] for one in events if one["ResourceStatus"] == "CREATE_FAILED"), found["StackStatus"])
    )


def test_a_service_without_regions_is_asked_where_it_is(aws: Emulator) -> None:
    here = {"Condition": {"StringEquals": {"aws:RequestedRegion": REGION}}}
    home = {"Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}}
    assert code(_client(aws, "route53", "r1", allow("route53:ListHostedZones", **here)).list_hosted_zones) == "AccessDenied"
    assert code(_client(aws, "route53", "r2", allow("route53:ListHostedZones", **home)).list_hosted_zones) == "allowed"
    assert code(_client(aws, "kms", "r3", allow("kms:ListAliases", **here)).list_aliases) == "allowed"
    assert code(_client(aws, "iam", "r4", allow("iam:ListRoles", **here)).list_roles) == "AccessDenied"


def test_a_key_is_made_only_for_who_could_change_its_policy_while_it_carries_no_tag(aws: Emulator) -> None:
    create = allow(["kms:CreateKey", "kms:TagResource"])
    tags = [{"TagKey": "System", "TagValue": "x"}]
    by_tag = _client(aws, "kms", "k1", create, allow("kms:PutKeyPolicy", **BY_TAG))
    assert code(by_tag.create_key, Policy=POLICY, Tags=tags) == "MalformedPolicyDocumentException"
    assert code(by_tag.create_key, Policy=POLICY, Tags=tags, BypassPolicyLockoutSafetyCheck=True) == "allowed"
    assert code(_client(aws, "kms", "k2", create, allow("kms:PutKeyPolicy")).create_key, Policy=POLICY, Tags=tags) == "allowed"
    nobody = json.dumps({"Version": "2012-10-17", "Statement": []})
    assert code(_client(aws, "kms", "k3", create, allow("kms:*")).create_key, Policy=nobody) == "MalformedPolicyDocumentException"
    assert code(_client(aws, "kms", "k4", create, allow("kms:PutKeyPolicy", **MADE)).create_key, Policy=POLICY) != "allowed"


def test_so_it_is_through_cloudformation_with_the_callers_permissions(aws: Emulator) -> None:
    stacks = allow("cloudformation:*")
    tags = [{"Key": "System", "Value": "x"}]
    given = {"KeyPolicy": json.loads(POLICY), "Tags": tags}
    by_tag = _client(aws, "cloudformation", "c1", stacks, allow("kms:CreateKey"), allow("kms:PutKeyPolicy", **BY_TAG))
    assert "will not allow you to update the key policy" in _deploy(by_tag, "by-tag", "AWS::KMS::Key", **given)
    made = _client(aws, "cloudformation", "c2", stacks, allow("kms:CreateKey"), allow("kms:PutKeyPolicy", **MADE))
    assert _deploy(made, "made", "AWS::KMS::Key", **given) == "CREATE_COMPLETE"
    made.delete_stack(StackName="made")  # the tag is there by now, and nothing allows it any more
    while (found := made.describe_stacks(StackName="made")["Stacks"][0])["StackStatus"].endswith("IN_PROGRESS"):
        time.sleep(0.05)
    assert found["StackStatus"] == "DELETE_FAILED"


def test_a_services_own_role_is_made_with_the_permission_of_who_needs_it_first(aws: Emulator) -> None:
    plan = {"BackupPlanName": "p", "Rules": [{"RuleName": "r", "TargetBackupVaultName": "Default"}]}
    made = aws.client("backup", REGION).create_backup_plan(BackupPlan=plan)["BackupPlanId"]
    selection = {"SelectionName": "s", "IamRoleArn": "arn:aws:iam::123456789012:role/b1", "Resources": ["*"]}
    given = {"BackupPlanId": made, "BackupSelection": selection}
    select = allow(["backup:CreateBackupSelection", "iam:PassRole"])
    only = {"Condition": {"StringEquals": {"iam:AWSServiceName": "backup.amazonaws.com"}}}
    other = {"Condition": {"StringEquals": {"iam:AWSServiceName": "rds.amazonaws.com"}}}
    make = "iam:CreateServiceLinkedRole"
    assert code(_client(aws, "backup", "b1", select).create_backup_selection, **given) == "AccessDeniedException"
    assert code(_client(aws, "backup", "b2", select, allow(make, **other)).create_backup_selection, **given) != "allowed"
    assert code(_client(aws, "backup", "b3", select, allow(make, **only)).create_backup_selection, **given) == "allowed"
    role = aws.client("iam").get_role(RoleName="AWSServiceRoleForBackup")["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup"
    assert code(_client(aws, "backup", "b4", select).create_backup_selection, **given) == "allowed", "it is there now"


def test_cloudformation_asks_for_the_role_of_a_service_that_the_account_has_not_used(aws: Emulator) -> None:
    name, given = (
        "AWS::Backup::RestoreTestingPlan",
        {
            "RestoreTestingPlanName": "rehearsal",
            "ScheduleExpression": "cron(0 10 ? * MON *)",
            "RecoveryPointSelection": {
                "Algorithm": "LATEST_WITHIN_WINDOW",
                "IncludeVaults": ["*"],
                "RecoveryPointTypes": ["SNAPSHOT"],
            },
        },
    )
    may = [allow(["cloudformation:*", "backup:*"])]
    refused = _deploy(_client(aws, "cloudformation", "t1", *may), "refused", name, **given)
    assert "iam:CreateServiceLinkedRole on resource: arn:aws:iam::123456789012:role/aws-service-role/restore-testing" in refused
    assert _deploy(_client(aws, "cloudformation", "t2", *may, allow("iam:CreateServiceLinkedRole")), "taken", name, **given) == (
        "CREATE_COMPLETE"
    )


def test_cloudformation_asks_for_what_aws_binds_to_no_resource_in_the_region_that_it_is_in(aws: Emulator) -> None:
    given = {"HealthCheckConfig": {"Type": "CALCULATED", "ChildHealthChecks": [], "HealthThreshold": 0}}
    here = {"Condition": {"StringEquals": {"aws:RequestedRegion": REGION}}}
    bound = _client(aws, "cloudformation", "h1", allow("cloudformation:*"), allow("route53:*", **here))
    assert "route53:CreateHealthCheck" in _deploy(bound, "bound", "AWS::Route53::HealthCheck", **given)
    free = _client(aws, "cloudformation", "h2", allow(["cloudformation:*", "route53:*"]))
    assert _deploy(free, "free", "AWS::Route53::HealthCheck", **given) == "CREATE_COMPLETE"


def test_a_role_that_a_service_has_is_not_made_twice(aws: Emulator) -> None:
    iam = aws.client("iam")
    made = iam.create_service_linked_role(AWSServiceName="elasticfilesystem.amazonaws.com")["Role"]
    assert made["RoleName"] == "AWSServiceRoleForAmazonElasticFileSystem"
    with pytest.raises(ClientError, match="has been taken"):
        iam.create_service_linked_role(AWSServiceName="elasticfilesystem.amazonaws.com")


def test_the_selections_of_a_plan_are_asked_of_the_plan(aws: Emulator) -> None:
    plan = {"BackupPlanName": "asked", "Rules": [{"RuleName": "r", "TargetBackupVaultName": "Default"}]}
    made = aws.client("backup", REGION).create_backup_plan(BackupPlan=plan)["BackupPlanId"]
    one, other = (f"arn:aws:backup:{REGION}:123456789012:backup-plan:{name}" for name in (made, "other"))
    listed = "backup:ListBackupSelections"
    assert code(_client(aws, "backup", "l1", allow(listed, one)).list_backup_selections, BackupPlanId=made) == "allowed"
    assert code(_client(aws, "backup", "l2", allow(listed, other)).list_backup_selections, BackupPlanId=made) != "allowed"
