"""Facts about types, as cfn-lint's schemas give them."""

from __future__ import annotations

import json

import pytest

from generator import type_schemas as module
from generator.type_schemas import facts, types


def test_the_same_types_give_the_same_bytes_whatever_their_order() -> None:
    one = {"Resources": {"A": {"Type": "AWS::S3::Bucket"}, "B": {"Type": "AWS::SNS::TopicPolicy"}}}
    other = {"Resources": {"C": {"Type": "AWS::RDS::DBInstance"}}}
    assert types([one, other]) == types([other, one, one])
    assert list(json.loads(types([one, other]))) == ["AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::SNS::TopicPolicy"]


def test_facts_are_those_of_the_schema() -> None:
    assert facts("AWS::EC2::EIP")["identifier"] == ["PublicIp", "AllocationId"]
    assert not facts("AWS::SNS::TopicPolicy")["readable"]
    bucket = facts("AWS::S3::Bucket")
    assert bucket["readable"]
    assert bucket["taggable"]
    assert (bucket["tags"], facts("AWS::EFS::FileSystem")["tags"]) == ("Tags", "FileSystemTags")
    assert "LifecycleConfiguration.Rules.*.NoncurrentVersionExpirationInDays" in bucket["writeOnly"]
    assert "DBInstanceIdentifier" in facts("AWS::RDS::DBInstance")["lowerCase"]


def test_an_unknown_type_is_told() -> None:
    with pytest.raises(LookupError, match="AWS::No::Such is no type that cfn-lint's schemas know in us-east-1"):
        facts("AWS::No::Such")


def test_without_cfn_lint_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(LookupError, match="cfn-lint is not installed: run `make setup`"):
        facts("AWS::S3::Bucket")
