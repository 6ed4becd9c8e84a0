"""The guard: what cannot be got back is named, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chain.changes.guard import Danger, by_change_set, dangers, gone, refused, sentences
from chain.changes.template_diff import Later, differences, text
from chain.cloudformation.stack import Change, _change
from tests.support.chain.checkout import ref, sub

OPEN = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "CidrIp": "10.0.0.0/16"}


def document(type_: str, properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A template with one resource."""
    return {"Resources": {"Thing": {"Type": type_, "Properties": dict(properties), **more}}}


def said(type_: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What the guard says of a change to one resource."""
    found = differences(document(type_, before), {}, document(type_, after), {})
    return [each.what for each in dangers("r/s", "layer", found)]


def policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """A role's own policy."""
    return {"Policies": [{"PolicyName": "one", "PolicyDocument": {"Statement": list(statements)}}]}


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("type_", "before", "after", "what"),
    [
        ("AWS::RDS::DBInstance", {"BackupRetentionPeriod": 7}, {"BackupRetentionPeriod": 1}, "would shorten a retention"),
        ("AWS::RDS::DBInstance", {"BackupRetentionPeriod": 7}, {}, "would shorten a retention"),
        ("AWS::Logs::LogGroup", {}, {"RetentionInDays": 30}, "would shorten a retention"),
        ("AWS::Backup::BackupPlan", {"Plan": {"Rules": [{"Lifecycle": {"DeleteAfterDays": 35}}]}},
         {"Plan": {"Rules": [{"Lifecycle": {"DeleteAfterDays": 7}}]}}, "would shorten a retention"),
        ("AWS::ElastiCache::ReplicationGroup", {"NumCacheClusters": 3}, {"NumCacheClusters": 2}, "would drop a replica"),
        ("AWS::RDS::DBInstance", {"MultiAZ": True}, {"MultiAZ": False}, "would weaken a replica"),
        ("AWS::SecretsManager::Secret", {"ReplicaRegions": [{"Region": "b"}]}, {}, "would drop a copy"),
        ("AWS::S3::Bucket", {"ReplicationConfiguration": {"Role": "x"}}, {}, "would drop a copy"),
        ("AWS::S3::Bucket", {"VersioningConfiguration": {"Status": "Enabled"}},
         {"VersioningConfiguration": {"Status": "Suspended"}}, "would give up what protects it"),
        ("AWS::ElastiCache::ReplicationGroup", {"NumNodeGroups": 3}, {"NumNodeGroups": 2}, "would drop a shard"),
        ("AWS::KMS::Key", {"EnableKeyRotation": True}, {"EnableKeyRotation": False}, "would weaken the key"),
        ("AWS::KMS::Key", {"Enabled": True}, {"Enabled": False}, "would weaken the key: Enabled"),
        ("AWS::KMS::Key", {}, {"Enabled": False}, "would weaken the key: Enabled"),
        ("AWS::RDS::EventSubscription", {"Enabled": True}, {"Enabled": False}, "would weaken what operators are told of"),
        ("AWS::SNS::Topic", {"KmsMasterKeyId": "a"}, {"KmsMasterKeyId": "b"}, "would change how it is encrypted"),
        ("AWS::RDS::DBInstance", {"SourceDBInstanceIdentifier": "a"}, {}, "would end being a replica"),
        ("AWS::RDS::DBInstance", {}, {"PubliclyAccessible": True}, "would open or lose what was safe"),
        ("AWS::DynamoDB::Table", {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
         {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}}, "would weaken recovery to a point in time"),
        ("AWS::RDS::DBInstance", {"DBInstanceIdentifier": "a"}, {"DBInstanceIdentifier": "b"}, "would be replaced"),
        ("AWS::IAM::Role", policy(allow("s3:GetObject", "a")), policy(allow("s3:*", "a")), "would widen access: Allow s3:*"),
        ("AWS::IAM::Role", policy(allow("s3:Get*", "a")), policy(allow("s3:GetObject", "b")), "would widen access: Allow s3:Get"),
        ("AWS::IAM::Role", policy(allow("a:B", Condition={"Bool": {"x": "y"}})), policy(allow("a:B")), "would widen access"),
        ("AWS::IAM::Role", policy({**allow("a:*"), "Effect": "Deny"}), policy(), "would widen access: no longer Deny a:*"),
        ("AWS::IAM::Role", {}, {"ManagedPolicyArns": ["arn:x"]}, "would widen access: the policy arn:x is added"),
        ("AWS::IAM::Role", {"PermissionsBoundary": "arn:x"}, {}, "would widen access: its permissions boundary changes"),
        ("AWS::IAM::Role", policy(), policy({"Effect": "Allow", "NotAction": "a:B", "Resource": "*"}), "everything but"),
        ("AWS::KMS::Key", {}, {"KeyPolicy": {"Statement": {"Effect": "Allow", "Action": "kms:*", "Principal": "*"}}}, "to *"),
        ("AWS::IAM::Role", {"AssumeRolePolicyDocument": {"Statement": []}},
         {"AssumeRolePolicyDocument": {"Statement": [{"Principal": {"AWS": ["a", ref("B")]}, "Action": "sts:AssumeRole"}]}},
         "to AWS a"),
        ("AWS::EFS::FileSystem", {}, {"FileSystemPolicy": '{"Statement": [{"Effect": "Allow", "Action": "x:Y"}]}'}, "x:Y"),
        ("AWS::EC2::VPCEndpoint", {"PolicyDocument": {"Statement": []}}, {}, "an endpoint without a policy"),
        ("AWS::Lambda::Permission", {"Principal": "a"}, {"Principal": "b", "FunctionName": "f"}, "would let b call f"),
        ("AWS::EC2::SecurityGroup", {"SecurityGroupIngress": [OPEN]},
         {"SecurityGroupIngress": [{**OPEN, "CidrIp": "0.0.0.0/0"}]}, "would widen the network: tcp 5432-5432 from 0.0.0.0/0"),
        ("AWS::EC2::SecurityGroup", {"SecurityGroupEgress": [OPEN]}, {}, "would widen the network: -1 any-any to 0.0.0.0/0"),
        ("AWS::EC2::SecurityGroupIngress", OPEN, {**OPEN, "ToPort": 5433}, "would widen the network: tcp 5432-5433"),
        ("AWS::EC2::SecurityGroupIngress", OPEN, {**OPEN, "IpProtocol": "udp"}, "would widen the network: udp"),
        ("AWS::EC2::SecurityGroupIngress", {**OPEN, "CidrIp": ref("A")}, OPEN, "would widen the network"),
    ],
)  # fmt: skip
def test_what_gets_worse_is_said(type_: str, before: dict[str, Any], after: dict[str, Any], what: str) -> None:
    assert what in " | ".join(said(type_, before, after))


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        ("AWS::RDS::DBInstance", {"BackupRetentionPeriod": 1}, {"BackupRetentionPeriod": 7}),
        ("AWS::RDS::DBInstance", {"BackupRetentionPeriod": ref("A")}, {"BackupRetentionPeriod": ref("B")}),
        ("AWS::Logs::LogGroup", {"RetentionInDays": 7}, {}),
        ("AWS::RDS::DBInstance", {"DBInstanceClass": "db.t4g.small"}, {"DBInstanceClass": "db.t4g.medium"}),
        ("AWS::SNS::Topic", {}, {"KmsMasterKeyId": "b"}),
        ("AWS::S3::Bucket", {}, {"VersioningConfiguration": {"Status": "Enabled"}}),
        ("AWS::IAM::Role", policy(allow("s3:*", "*")), policy(allow(["s3:GetObject"], "arn:x"))),
        ("AWS::EC2::SecurityGroup", {"SecurityGroupIngress": [{**OPEN, "IpProtocol": "-1"}]}, {"SecurityGroupIngress": [OPEN]}),
        (
            "AWS::EC2::SecurityGroup",
            {"SecurityGroupIngress": OPEN},
            {"SecurityGroupIngress": [{**OPEN, "CidrIp": "10.0.1.0/24"}]},
        ),
        ("AWS::SSM::Parameter", {"Name": "a"}, {"Name": "b"}),
        (
            "AWS::DynamoDB::Table",
            {"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True}},
            {"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": False}},
        ),
    ],
)
def test_what_gets_better_or_is_no_matter_is_not_said(type_: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert said(type_, before, after) == []


def test_a_policy_that_keeps_less_is_said() -> None:
    before, after = (document("AWS::S3::Bucket", {}, DeletionPolicy=each) for each in ("Retain", "Delete"))
    found = dangers("r/s", "layer", differences(before, {}, after, {}))
    assert [each.what for each in found] == ["would be kept less safely: DeletionPolicy Retain -> Delete"]


def test_what_is_removed_is_said_if_it_holds_something_and_what_opens_nothing_old_is_not() -> None:
    bucket, parameter = {"Type": "AWS::S3::Bucket"}, {"Type": "AWS::SSM::Parameter"}
    rotation = {"Type": "AWS::SecretsManager::RotationSchedule"}
    old = {"Resources": {"Bucket": bucket, "Value": parameter, "Turn": rotation, "Other": bucket}}
    group = {"Type": "AWS::EC2::SecurityGroup", "Properties": {}}
    rule = {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {**OPEN, "GroupId": {"Fn::GetAtt": ["Group", "GroupId"]}}}
    grant = {"Type": "AWS::IAM::Policy", "Properties": {"Roles": [ref("Role")], "PolicyDocument": {"Statement": allow("a:B")}}}
    role = {"Type": "AWS::IAM::Role", "Properties": policy(allow("a:B"))}
    new = {"Resources": {"Other": parameter, "Group": group, "Rule": rule, "Grant": grant, "Role": role}}
    found = dangers("r/s", "layer", differences(old, {}, new, {}))
    assert {(each.resource, each.what) for each in found} == {
        ("Bucket", "would be deleted"),
        ("Other", "would be deleted"),
        ("Turn", "would no longer rotate the secret"),
    }
    late = {"Resources": {**old["Resources"], "Grant": grant}}
    assert "would widen access: Allow a:B" in dangers("r/s", "l", differences(old, {}, late, {}))[0].what
    call = {"Resources": {**old["Resources"], "Call": {"Type": "AWS::Lambda::Permission", "Properties": {}}}}
    assert dangers("r/s", "l", differences(call, {}, old, {})) == []


def test_values_are_compared_as_they_would_be_sent() -> None:
    declared = {"Days": {"Type": "Number"}, "Zones": {"Type": "CommaDelimitedList"}, "Word": {"Type": "String", "NoEcho": True}}
    body = {
        "Parameters": declared,
        **document(
            "AWS::RDS::DBInstance",
            {
                "BackupRetentionPeriod": ref("Days"),
                "Zones": ref("Zones"),
                "Word": ref("Word"),
                "DBInstanceIdentifier": sub("a-${X}"),
            },
        ),
    }
    before = {"Days": "7", "Zones": "a,b", "Word": "****", "X": "1"}
    (found,) = differences(body, before, body, {**before, "Days": "1", "Word": "other", "X": Later("keys.Id")})
    assert [(each.path, each.before, text(each.after)) for each in found.properties] == [
        ("BackupRetentionPeriod", "7", "1"),
        ("DBInstanceIdentifier", "a-1", "(known after apply: keys.Id)"),
    ]
    assert found.replacement == "Conditional"
    (sure,) = differences(body, before, body, {**before, "X": "2"})
    assert sure.replacement == "True"
    assert [each.what for each in dangers("r/s", "l", [found])] == ["would shorten a retention: BackupRetentionPeriod 7 -> 1"]
    assert (text(None), text([1])) == ("nothing", "[1]")


def test_a_change_set_that_replaces_is_told_unless_only_names_of_what_stays_cause_it() -> None:
    def raw(replacement: str, evaluation: str, entity: str = "") -> Change:
        target = {"Attribute": "Properties", "Name": "KmsKeyId", "RequiresRecreation": "Always"}
        detail = {"Target": target, "Evaluation": evaluation, "CausingEntity": entity}
        about = {"Action": "Modify", "LogicalResourceId": "Db", "ResourceType": "AWS::RDS::DBInstance"}
        return _change({**about, "Replacement": replacement, "Details": [detail]})

    key = Change("Modify", "Key", "AWS::KMS::Key", "False")
    assert by_change_set("r/s", "l", [raw("Conditional", "Dynamic", "Key.Arn"), key]) == []
    changed = Change("Modify", "Key", "AWS::KMS::Key", "False", ("Port",))
    assert by_change_set("r/s", "l", [raw("Conditional", "Dynamic", "Key.Arn"), changed]) == []
    assert len(by_change_set("r/s", "l", [raw("Conditional", "Dynamic", "Key.Endpoint.Port"), changed])) == 1, (
        "it gives another value"
    )
    moved = Change("Modify", "Key", "AWS::KMS::Key", "True")
    first, second = by_change_set("r/s", "l", [raw("Conditional", "Dynamic", "Key.Arn"), moved])
    assert (first.what, second.what) == ("may be replaced, for KmsKeyId cannot change in place", "would be replaced")
    assert [each.what for each in by_change_set("r/s", "l", [raw("Conditional", "Static")])] == [
        "may be replaced, for KmsKeyId cannot change in place"
    ]
    gone_, other = Change("Remove", "Db", "AWS::RDS::DBInstance", ""), Change("Remove", "P", "AWS::SSM::Parameter", "")
    assert [each.what for each in by_change_set("r/s", "l", [gone_, other])] == ["would be deleted"]


def test_each_thing_is_allowed_by_its_own_name_and_what_is_final_by_none() -> None:
    one, other = gone("r/s", "files", [("Bucket", "AWS::S3::Bucket"), ("Key", "AWS::KMS::Key"), ("P", "AWS::SSM::Parameter")])
    last = Danger("r/s", "data", "Db", "AWS::RDS::DBInstance", "would go back", final=True)
    assert refused([one, other, last], ["files.Bucket", "Db"]) == [other, last]
    lines = list(sentences([one, other, last], ["Bucket"]))
    assert [line.split()[0] for line in lines] == ["ALLOWED", "REFUSED", "REFUSED", "This"]
    assert "ALLOW='Key' REASON='why'" in lines[-1]
    assert list(sentences([last], []))[-1].startswith("REFUSED")


def test_a_trail_and_a_global_database_hold_what_a_new_one_would_not_and_a_queue_does_not() -> None:
    resources = [("Trail", "AWS::CloudTrail::Trail"), ("Whole", "AWS::RDS::GlobalCluster"), ("Letters", "AWS::SQS::Queue")]
    assert [each.resource for each in gone("r/s", "l", resources)] == ["Trail", "Whole"]


def test_functions_are_compared_by_what_they_come_to_and_secrets_by_nothing() -> None:
    declared = {"Parameters": {"Word": {"Type": "String", "NoEcho": True}, "Range": {"Type": "String"}}}
    wide = {"Fn::Select": [0, {"Fn::Cidr": [ref("Range"), 9, 8]}]}
    said_of_nobody = {"Conditions": {"Quiet": {"Fn::Equals": [ref("Word"), ""]}}}
    secret = {"Word": {"Fn::If": ["Quiet", ref("AWS::NoValue"), ref("Word")]}, "Name": sub("${Range}-${B.Arn}-${Word}")}
    old = document("AWS::EC2::Subnet", {"CidrBlock": {"Fn::Select": [0, {"Fn::Cidr": [ref("Range"), 4, 8]}]}, **secret})
    new = document("AWS::EC2::Subnet", {"CidrBlock": wide, **secret})
    old, new = ({**declared, **said_of_nobody, **each} for each in (old, new))
    assert differences(old, {"Word": "a", "Range": "10.0.0.0/16"}, new, {"Word": "b", "Range": "10.0.0.0/16"}) == ()
    (found,) = differences(old, {"Word": "a", "Range": "10.0.0.0/16"}, new, {"Word": "", "Range": "10.1.0.0/16"})
    block, name = sorted(found.properties, key=lambda each: each.path)
    assert (block.path, block.before, block.after) == ("CidrBlock", "10.0.0.0/24", "10.1.0.0/24")
    assert (name.path, name.after) == ("Name", {"Fn::Sub": ["10.1.0.0/16-${B.Arn}-${Word}", {"Word": "(hidden)"}]})
