"""The policies of people: bound to what the templates use, within IAM's limits, and enough for the chain."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import xform_name

from chain.declared_calls import BY_PERSON, DECLARED
from documents import policies
from generator.assemble import BuildError
from generator.systems import SYSTEMS
from model import Document, read
from model.facts import fact
from model.resource_types import resource_types
from tests.support.committed_templates import templates

ROOT = Path(__file__).parents[2]
TEMPLATES = [read(path.read_text()) for path in sorted((ROOT / "templates").glob("*/*.yaml"))]
FILES = policies.policies(TEMPLATES, BY_PERSON)
DOCUMENTS = policies.documents(TEMPLATES, BY_PERSON)
REFERENCE = policies._reference()

SMALL: Document = read("""
Metadata: {Layer: {System: small, Sites: {primary: eu-west-1, recovery: eu-west-2}}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Sub 'small-role-x-${AWS::Region}-${EnvironmentSuffix}'
      AssumeRolePolicyDocument: {Statement: [{Principal: {Service: [lambda.amazonaws.com]}}]}
      ManagedPolicyArns: [!Sub 'arn:${AWS::Partition}:iam::aws:policy/service-role/Given', !Ref Other]
""")


def statements(kind: str, files: dict[str, str] = FILES) -> list[dict[str, Any]]:
    return [each for name, text in files.items() if name.startswith(kind) for each in json.loads(text)["Statement"]]


def named(sid: str, kind: str = "deployer", files: dict[str, str] = FILES) -> dict[str, Any]:
    return next(each for each in statements(kind, files) if each["Sid"] == sid)


def allowed(kind: str, files: dict[str, str] = FILES) -> set[str]:
    return {action for each in statements(kind, files) if each["Effect"] == "Allow" for action in each["Action"]}


def test_there_are_templates_to_read() -> None:
    assert {template["Metadata"]["Layer"]["System"] for template in TEMPLATES} == {system.name for system in SYSTEMS}


@pytest.mark.parametrize("system", [system.name for system in SYSTEMS])
@pytest.mark.parametrize("kind", ["deployer", "reviewer"])
def test_each_policy_fits_into_a_managed_policy_and_a_role_can_carry_those_of_a_system(kind: str, system: str) -> None:
    texts = [text for name, text in DOCUMENTS.items() if name.startswith(f"{system}/{kind}")]
    assert 0 < len(texts) <= policies.MOST_POLICIES
    assert all(len(re.sub(r"\s", "", text)) <= policies.MOST_CHARACTERS for text in texts)


def test_what_does_not_fit_into_one_policy_is_divided_between_statements() -> None:
    one = policies._allow("One", [f"s3:Get{'A' * 60}{number}" for number in range(50)], ["*"])
    assert list(policies.split([one], "x")) == ["x.json"]
    assert list(policies.split([one, one], "x")) == ["x-1.json", "x-2.json"]


def test_the_same_templates_give_the_same_bytes_in_any_order() -> None:
    assert policies.documents(TEMPLATES[::-1], BY_PERSON) == DOCUMENTS
    assert policies.policies(TEMPLATES[::-1], BY_PERSON) == FILES


@pytest.mark.parametrize("kind", ["deployer", "reviewer", "operator", "failback"])
def test_actions_are_named_exist_and_are_bound_unless_aws_binds_them_to_nothing(kind: str) -> None:
    for statement in statements(kind):
        assert statement["Sid"].isalnum()
        assert len(statement["Resource"]) == len(set(statement["Resource"])) > 0
        for action in statement["Action"]:
            service, _, name = action.partition(":")
            kinds = REFERENCE[service]["Actions"][name.lower()].get("Resources")
            assert "*" not in action
            assert kinds or statement["Resource"] == ["*"], (statement["Sid"], action)
            about_all = statement["Sid"] in (
                "DescribeStacksWithoutAName",
                "DescribeBackupsWithoutAName",
                "DeletePointsWithoutAName",
                "CompositeAlarmsTakeNoScope",
            )
            assert not kinds or about_all or "*" not in statement["Resource"], (statement["Sid"], action)


def test_what_cloudwatch_takes_unscoped_only_is_allowed_unscoped_where_alarms_are_composed() -> None:
    composed = {
        system.name: any(
            one["Type"] == "AWS::CloudWatch::CompositeAlarm"
            for each in templates(system.name).values()
            for one in each["Resources"].values()
        )
        for system in SYSTEMS
    }
    assert set(composed.values()) == {True, False}
    asked = {"deployer": ["cloudwatch:DescribeAlarms", "cloudwatch:PutCompositeAlarm"], "reviewer": ["cloudwatch:DescribeAlarms"]}
    for system in SYSTEMS:
        for kind, actions in asked.items():
            own = statements(kind, files=_own(system.name))
            unscoped = [each for each in own if each["Sid"] == "CompositeAlarmsTakeNoScope"]
            assert [each["Action"] for each in unscoped] == ([actions] if composed[system.name] else [])
            for each in unscoped:
                assert each["Resource"] == ["*"]
                assert each["Condition"] == {"StringEquals": {"aws:RequestedRegion": sorted(set(system.regions.values()))}}
            assert not [each for each in own if "cloudwatch:PutCompositeAlarm" in each["Action"] and each["Resource"] != ["*"]]


OPERATED = [system.name for system in SYSTEMS if "failover" in templates(system.name)]


def test_where_something_fails_over_somebody_may_ask_for_it_in_one_region_and_nothing_else() -> None:
    assert OPERATED == ["federal-records", "healthcare"]
    assert {name.partition("/")[0] for name in DOCUMENTS if "/operator" in name} == set(OPERATED)
    for system in SYSTEMS:
        for each in statements("operator", files=_own(system.name)):
            assert {arn.split(":")[3] for arn in each["Resource"]} == {system.regions["recovery"]}
    assert {action.partition(":")[0] for action in allowed("operator")} == {"cloudformation", "lambda", "ssm"}


def _own(system: str) -> dict[str, str]:
    return {name.partition("/")[2]: text for name, text in DOCUMENTS.items() if name.startswith(f"{system}/")}


def test_instances_are_made_anew_by_whoever_fails_a_read_replica_back_and_on_its_names_only() -> None:
    assert {name.partition("/")[0] for name in DOCUMENTS if "/failback" in name} == {"federal-records"}
    own = _own("federal-records")
    making = named("MakeInstancesAnew", "failback", own)
    assert {arn.partition(":db:")[2] for arn in making["Resource"] if ":db:" in arn} == {"rds-*"}
    passing = named("PassTheMonitoringRole", "failback", own)
    assert all(":role/role-rds-monitoring-" in arn for arn in passing["Resource"])
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "monitoring.rds.amazonaws.com"}}
    assert "kms:ViaService" in named("UseKeysThroughServices", "failback", own)["Condition"]["StringEquals"]
    assert not [each for each in statements("failback", own) if each["Effect"] == "Deny"], "it brings the password home"
    assert not [
        action for action in allowed("failback", own) if action.startswith(("iam:Put", "iam:Create", "cloudformation:Create"))
    ]


def test_no_two_statements_of_a_kind_share_a_sid() -> None:
    for kind in ("deployer", "reviewer", "operator", "failback"):
        sids = [each["Sid"] for each in statements(kind)]
        assert len(sids) == len(set(sids))


def test_regional_actions_without_resource_are_bound_to_the_regions_of_the_systems() -> None:
    regions = sorted({region for system in SYSTEMS for region in system.regions.values()})
    assert named("AwsBindsTheseToNoResource")["Condition"] == {"StringEquals": {"aws:RequestedRegion": regions}}
    assert named("AwsBindsTheseToNoResourceOrRegion")["Action"] == [
        "iam:ListRoles",
        "route53:CreateHealthCheck",
        "route53:CreateHostedZone",
        "route53:ListHostedZones",
    ]


def test_kinds_of_arns_are_those_of_the_service_authorization_reference() -> None:
    for type_, known in resource_types().items():
        service = type_.split("::")[1].lower()
        actions = REFERENCE[policies.SERVICES.get(service, service)]["Actions"].values()
        assert set(known.arns) <= {kind for action in actions for kind in action.get("Resources", [])}, type_


def test_what_no_template_uses_is_not_allowed() -> None:
    services = {action.partition(":")[0] for action in allowed("deployer")}
    assert not services & {"s3tables", "redshift", "glue", "organizations"}
    without = [
        template for template in TEMPLATES if not any(b["Type"].startswith("AWS::RDS") for b in template["Resources"].values())
    ]
    fewer = policies.policies(without, BY_PERSON)
    assert len(without) < len(TEMPLATES)
    assert not any(action.startswith("rds:Create") for action in allowed("deployer", fewer))
    assert not any(each["Sid"] == "FirstDatabaseOfTheAccount" for each in statements("deployer", fewer))


def test_roles_are_passed_only_to_services_that_they_trust() -> None:
    passing = named("PassOwnRolesToTheirServices")
    prefixes = "|".join(system.prefix for system in SYSTEMS)
    assert all(re.match(rf"arn:aws:iam::\*:role/({prefixes})role-", arn) for arn in passing["Resource"])
    assert "lambda.amazonaws.com" in passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert [each["Sid"] for each in statements("deployer") if "iam:PassRole" in each["Action"]] == ["PassOwnRolesToTheirServices"]


def test_only_managed_policies_that_templates_name_can_be_attached() -> None:
    small = policies.policies([SMALL], BY_PERSON)
    attaching = named("AttachOnlyWhatTemplatesName", files=small)
    assert attaching["Condition"] == {"StringEquals": {"iam:PolicyARN": ["arn:aws:iam::aws:policy/service-role/Given"]}}
    assert attaching["Resource"] == [
        "arn:aws:iam::*:role/small-role-x-eu-west-1-*",
        "arn:aws:iam::*:role/small-role-x-eu-west-2-*",
    ]
    without = policies.policies(list(templates("ledger").values()), BY_PERSON)
    assert "iam:AttachRolePolicy" not in json.dumps(without)


def test_a_system_without_secrets_and_buckets_needs_no_refusal_of_them() -> None:
    assert not any(each["Effect"] == "Deny" for each in statements("reviewer", policies.policies([SMALL], BY_PERSON)))


def test_keys_and_network_are_ended_only_where_they_carry_the_tag_of_a_system() -> None:
    own = {"StringEquals": {"aws:ResourceTag/System": [system.name for system in SYSTEMS]}}
    for sid in ("RuleOwnKeys", "EndOwnNetwork"):
        assert named(sid)["Condition"] == own
    made = {
        "Null": {"aws:ResourceTag/System": "true"},
        "StringEquals": {"aws:CalledViaFirst": "cloudformation.amazonaws.com"},
    }
    for action, conditions in {
        "kms:ScheduleKeyDeletion": [own, made],
        "kms:PutKeyPolicy": [own, made],
        "ec2:DeleteVpc": [own],
        "ec2:DeleteSecurityGroup": [own],
        "ec2:ReleaseAddress": [own],
    }.items():
        holders = [each for each in statements("deployer") if action in each["Action"]]
        assert [each["Condition"] for each in holders] == conditions, action


TAGGED = "aws:ResourceTag/"


@pytest.mark.parametrize("system", [system.name for system in SYSTEMS])
def test_what_the_handler_that_creates_asks_for_does_not_wait_for_the_tag_that_it_gives(system: str) -> None:
    own = statements("deployer", files=_own(system))
    bound = {
        action
        for each in own
        if TAGGED in json.dumps(each.get("Condition", {}).get("StringEquals", {}))
        for action in each["Action"]
    }
    assert "kms:PutKeyPolicy" in bound
    free = {
        action
        for each in own
        if TAGGED not in json.dumps(each.get("Condition", {}).get("StringEquals", {}))
        for action in each["Action"]
    }
    types = policies.facts([each for each in TEMPLATES if each["Metadata"]["Layer"]["System"] == system]).types
    created = {action for type_ in types for action in policies._permissions(type_, "create")}
    # EC2 takes tags with what it creates, in one call: whoever may take that away again sees them.
    assert {action for action in created & bound - free if not action.startswith("ec2:")} == set()


LEFT_OUT = {
    "iam:AttachRolePolicy": "asked for only where templates attach managed policies, and then for those alone",
    "iam:DetachRolePolicy": "asked for only where templates attach managed policies, and then for those alone",
    "lambda:PassCapacityProvider": "no function runs on a capacity provider of the account's",
    "logs:CreateLogStream": "services write their logs with roles and policies of their own",
    "logs:PutLogEvents": "services write their logs with roles and policies of their own",
    "route53:DeleteQueryLoggingConfig": "no zone has its queries logged",
}
"""What handlers name, AWS binds to resources that no template has, and a deployer is not allowed; each with its reason."""


def _not_allowed(system: str) -> set[str]:
    """What handlers of a system's types ask for and its deployer is not allowed."""
    own = policies.facts([each for each in TEMPLATES if each["Metadata"]["Layer"]["System"] == system])
    asked = policies._handled(own, ("create", "read", "update", "delete"), REFERENCE)
    return asked - allowed("deployer", _own(system))


@pytest.mark.parametrize("system", [system.name for system in SYSTEMS])
def test_what_handlers_ask_for_is_allowed_or_left_out_with_a_reason(system: str) -> None:
    own = policies.facts([each for each in TEMPLATES if each["Metadata"]["Layer"]["System"] == system])
    assert _not_allowed(system) <= set(LEFT_OUT)
    assert "AWS::Route53::RecordSet" not in own.types or "route53:ChangeResourceRecordSets" in allowed("deployer", _own(system))
    assert "AWS::SQS::Queue" not in own.types or "sqs:CreateQueue" in allowed("deployer", _own(system))


def test_nothing_is_left_out_that_no_handler_asks_for() -> None:
    assert {action for system in SYSTEMS for action in _not_allowed(system.name)} == set(LEFT_OUT)


@pytest.mark.parametrize("system", [system.name for system in SYSTEMS])
def test_whatever_type_needs_a_service_linked_role_its_deployer_may_make_it_for_that_service_alone(system: str) -> None:
    own = statements("deployer", files=_own(system))
    holders = [each for each in own if "iam:CreateServiceLinkedRole" in each["Action"]]
    found = {}
    for each in holders:
        assert each["Action"] == ["iam:CreateServiceLinkedRole"]
        service = each["Condition"]["StringEquals"]["iam:AWSServiceName"]
        (arn,) = each["Resource"]
        assert arn.startswith(f"arn:aws:iam::*:role/aws-service-role/{service}/AWSServiceRoleFor")
        found[service] = arn.rpartition("/")[2]
    types = policies.facts([each for each in TEMPLATES if each["Metadata"]["Layer"]["System"] == system]).types
    needing = {
        t
        for t in types
        if "iam:CreateServiceLinkedRole" in {*policies._permissions(t, "create"), *policies._permissions(t, "update")}
    }
    for type_ in needing:
        assert [one for one in fact("service_linked_roles") if policies._needs(one, type_) and one["service"] in found], type_
    if "AWS::EFS::MountTarget" in types:
        assert found["elasticfilesystem.amazonaws.com"] == "AWSServiceRoleForAmazonElasticFileSystem"
    if "AWS::Backup::BackupSelection" in types:
        assert found["backup.amazonaws.com"] == "AWSServiceRoleForBackup"
    if "AWS::Backup::RestoreTestingPlan" in types:
        assert found["restore-testing.backup.amazonaws.com"] == "AWSServiceRoleForBackupRestoreTesting"


def _small(type_: str, **properties: Any) -> dict[str, str]:
    layer = {"Metadata": {"Layer": {"System": "small", "Sites": {"primary": "eu-central-2"}}}}
    return policies.policies([{**layer, "Resources": {"One": {"Type": type_, "Properties": properties}}}], BY_PERSON)


def test_a_type_whose_service_linked_role_nobody_wrote_down_stops_the_build() -> None:
    with pytest.raises(BuildError, match="AWS::Config::OrganizationConfigRule needs a service-linked role; write it into"):
        _small("AWS::Config::OrganizationConfigRule")


def test_a_key_of_several_regions_needs_a_role_that_its_schema_does_not_name() -> None:
    sids = {each["Sid"] for each in statements("deployer", _small("AWS::KMS::Key", MultiRegion=True))}
    assert "FirstKeyOfSeveralRegions" in sids
    assert "FirstKeyOfSeveralRegions" not in {each["Sid"] for each in statements("deployer", _small("AWS::KMS::Key"))}


@pytest.mark.parametrize("kind", ["deployer", "reviewer", "operator", "failback"])
def test_no_service_without_regions_is_bound_to_a_systems_region(kind: str) -> None:
    assert policies.home("route53") == policies.home("iam") == policies.home("cloudfront") == "us-east-1"
    assert policies.home("globalaccelerator") == "us-west-2"
    assert policies.home("s3") == policies.home("sts") == policies.home("ec2") == ""
    for system in SYSTEMS:
        for each in statements(kind, files=_own(system.name)):
            if "aws:RequestedRegion" in json.dumps(each.get("Condition", {})):
                assert not [action for action in each["Action"] if policies.home(action.partition(":")[0])]


@pytest.mark.parametrize(
    ("type_", "action"),
    [
        ("AWS::Route53::HealthCheck", "route53:CreateHealthCheck"),
        ("AWS::CloudFront::OriginAccessControl", "cloudfront:CreateOriginAccessControl"),
        ("AWS::GlobalAccelerator::Accelerator", "globalaccelerator:CreateAccelerator"),
        ("AWS::Organizations::Policy", "organizations:ListPolicies"),
    ],
)
def test_other_services_without_regions_are_known_as_such(type_: str, action: str) -> None:
    holders = [each for each in statements("deployer", _small(type_)) if action in each["Action"]]
    assert [each.get("Condition") for each in holders] == [None]


@pytest.mark.parametrize("system", [system.name for system in SYSTEMS])
def test_whoever_attaches_functions_to_a_network_may_do_what_lambdas_guide_asks(system: str) -> None:
    resources = [one for each in templates(system).values() for one in each["Resources"].values()]
    assert any(one["Type"] == "AWS::Lambda::Function" and "VpcConfig" in one["Properties"] for one in resources)
    assert "ec2:GetSecurityGroupsForVpc" in allowed("deployer", _own(system))


def test_what_guides_ask_for_beside_the_schemas_is_asked_where_the_property_is_stated_and_has_a_source() -> None:
    asked = {"ec2:DescribeSubnets", "ec2:GetSecurityGroupsForVpc"}
    assert asked <= allowed("deployer", _small("AWS::Lambda::Function", VpcConfig={}))
    assert not asked & allowed("deployer", _small("AWS::Lambda::Function"))
    for one in fact("callers"):
        assert one["source"]
        for action in one["actions"]:
            service, _, name = action.partition(":")
            assert name.lower() in REFERENCE[service]["Actions"]
    for one in fact("service_linked_roles"):
        assert one["source"]
        assert one["role"].startswith("AWSServiceRoleFor")


def test_whoever_reviews_reads_how_things_are_set_up_and_nothing_of_what_they_hold() -> None:
    verbs = {action.partition(":")[2] for action in allowed("reviewer")}
    assert all(verb.startswith(policies.READING) for verb in verbs)
    assert {"rds:DescribeDBInstances", "kms:GetKeyPolicy", "cloudformation:GetResource"} <= allowed("reviewer")
    assert not [action for action in allowed("reviewer") if policies.SECRETIVE.fullmatch(action)]
    refused = named("NeverWhatTheyHold", "reviewer")
    assert refused["Effect"] == "Deny"
    assert {"s3:GetObject", "secretsmanager:GetSecretValue"} <= set(refused["Action"])
    assert any(arn.endswith("secret:secret-database-*") for arn in refused["Resource"])


@pytest.mark.parametrize(
    "action",
    ["secretsmanager:GetSecretValue", "s3:GetObjectVersion", "kms:Decrypt", "kms:GenerateDataKeyPair", "logs:FilterLogEvents"],
)
def test_what_reads_content_is_known_as_such(action: str) -> None:
    assert policies.SECRETIVE.fullmatch(action)
    assert not policies.SECRETIVE.fullmatch("s3:GetBucketPolicy")


def test_many_names_of_one_kind_are_written_as_what_they_begin_with() -> None:
    names = [f"alarm-{letter}-*" for letter in "abcdef"]
    assert policies._shortened(names) == ["alarm-*"]
    assert policies._shortened(names[:2]) == names[:2]
    own = [f"dr-alarm-{letter}-*" for letter in "abcdef"]
    assert policies._shortened([*names, *own, "other-*"]) == ["alarm-*", "dr-alarm-*", "other-*"]
    assert policies._shortened([*own[:5], "other-*"]) == [*own[:5], "other-*"]


def test_the_readme_names_every_file() -> None:
    assert DOCUMENTS["README.md"].startswith("<!-- Generated by `make build`")
    for name in DOCUMENTS:
        assert name == "README.md" or f"]({name})" in DOCUMENTS["README.md"]


def test_the_readme_names_every_statement_about_everything() -> None:
    about = {
        one["Sid"]
        for kind in ("deployer", "reviewer", "operator", "failback")
        for one in statements(kind)
        if one["Resource"] == ["*"]
    }
    text = (ROOT / "docs/policies/README.md").read_text()
    assert "StopBackups" in about
    assert [sid for sid in about if f"`{sid}" not in text and not sid.startswith("AwsBindsTheseToNoResource")] == []


@pytest.mark.parametrize("missing", ["cfnlint", "botocore"])
def test_without_a_library_whose_data_it_reads_the_error_says_what_to_do(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for known in (policies._reference, policies._endpoints, policies.home):
        known.cache_clear()
    find = policies.find_spec
    monkeypatch.setattr(policies, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(LookupError, match="make setup"):
        policies.documents(TEMPLATES, BY_PERSON)


# What the chain calls. -------------------------------------------------------------------------------------------------

IAM_NAMES = {
    "lambda": {"invoke": ["lambda:InvokeFunction"]},
    "s3": {
        "head_object": ["s3:GetObject"],
        "head_bucket": ["s3:ListBucket"],
        "list_objects_v2": ["s3:ListBucket"],
        "list_object_versions": ["s3:ListBucketVersions"],
        "list_multipart_uploads": ["s3:ListBucketMultipartUploads"],
        "delete_objects": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
        "delete_bucket_replication": ["s3:PutReplicationConfiguration"],
        "delete_object": ["s3:DeleteObject"],
        "upload_file": ["s3:PutObject"],
    },
}
"""Calls of S3 whose permission has another name (Amazon S3 User Guide, Required permissions for Amazon S3 API operations)."""

IMPLIED = {
    "cloudformation:ListStacks",
    "cloudformation:TagResource",
    "cloudformation:UntagResource",
    "rds:AddTagsToResource",
    "s3:ListBucket",
    "ssm:AddTagsToResource",
}
"""Permissions that the chain needs without calling them by name; its declarations say when."""

PREFIXES = {
    "cloudcontrol": "cloudformation",
    "efs": "elasticfilesystem",
    "resourcegroupstaggingapi": "tag",
    "service-quotas": "servicequotas",
}


def calls(sources: list[str]) -> tuple[set[str], set[str]]:
    """The services for which a chain's sources make clients, and every attribute, with the names given to paginators."""
    services: set[str] = set()
    called: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                services.add(node.value)
            if isinstance(node, ast.Attribute):  # called, or handed on to be called
                called.add(node.attr)
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("get_paginator", "get_waiter")
            ):
                called.update(arg.value for arg in node.args if isinstance(arg, ast.Constant))
    session = boto3.Session()
    return services & {*session.get_available_services()}, called


def permissions(services: set[str], called: set[str]) -> dict[str, list[list[str]]]:
    """By call, the permissions that it needs with each of the services that know it."""
    found: dict[str, list[list[str]]] = {}
    session = boto3.Session()
    for service in sorted(services):
        model = session._session.get_service_model(service)
        for operation in model.operation_names:
            if (call := xform_name(operation)) in called:
                usual = [f"{PREFIXES.get(service, service)}:{operation}"]
                found.setdefault(call, []).append(IAM_NAMES.get(service, {}).get(call, usual))
    return found


SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text() for path in sorted((ROOT / "chain").rglob("*.py"))
}
CALLS = {name: getattr(import_module(name), "CALLS", {}) for name in SOURCES}


@cache
def _made_by_any() -> dict[str, list[list[str]]]:
    return permissions(*calls([*SOURCES.values()]))


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_of_the_chain_declares_the_calls_that_it_makes_and_no_others(name: str) -> None:
    """Some calls are made in trouble alone, which no run of an environment's life meets: so this reads what the source calls."""
    _, called = calls([SOURCES[name]])
    made = {call: needed for call, needed in _made_by_any().items() if call in called}
    declared = {action for actions in CALLS[name].values() for action in actions}
    assert {call: needed for call, needed in made.items() if not any(declared.issuperset(each) for each in needed)} == {}
    assert declared - {action for ways in made.values() for each in ways for action in each} <= IMPLIED


def test_every_declaration_is_collected_and_nothing_is_implied_that_none_declares() -> None:
    assert {id(each) for each in CALLS.values() if each} == {id(each) for each in DECLARED}
    assert len(SOURCES) > 40
    assert {action for each in DECLARED for actions in each.values() for action in actions} >= IMPLIED


def test_a_declared_call_is_allowed_by_the_statement_that_it_names() -> None:
    """In a policy of those who change something: of whoever deploys, or fails back."""
    granted = {
        (each["Sid"], action) for kind in ("deployer", "failback") for each in statements(kind) for action in each["Action"]
    }
    assert {(sid, action) for each in DECLARED for sid, actions in each.items() for action in actions} <= granted


def test_a_call_that_the_policy_does_not_know_is_found() -> None:
    services, called = calls(
        ["clients('rds', region).stop_db_instance(); clients('s3', region).get_paginator('list_objects_v2')"]
    )
    assert services == {"rds", "s3"}
    assert permissions(services, called) == {"stop_db_instance": [["rds:StopDBInstance"]], "list_objects_v2": [["s3:ListBucket"]]}
