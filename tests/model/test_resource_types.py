"""The table of resource types against what cfn-lint brings along: what is typed is what no schema says."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from model.resource_types import resource_type, resource_types

REFERS_OTHERWISE = {"AWS::Events::Rule": ["/properties/Name"]}
"""Where `Ref` does not return the schema's identifier: of a rule on the default bus its name (CloudFormation, Return values)."""


def data(name: str) -> Any:
    spec = find_spec("cfnlint")
    assert spec is not None
    assert spec.origin is not None
    return json.loads((Path(spec.origin).parent / "data" / name).read_bytes())


REGISTRY = data("schemas/providers/us-east-1.json")


def test_stateful_types_are_those_that_cfn_lint_knows() -> None:
    known = data("AdditionalSpecs/StatefulResources.json")["ResourceTypes"]
    assert {type_ for type_, row in resource_types().items() if row.stateful} == resource_types().keys() & known.keys()


@pytest.mark.parametrize("type_", [type_ for type_, known in resource_types().items() if known.name])
def test_a_name_is_a_property_of_its_type_and_what_ref_returns_is_its_identifier(type_: str) -> None:
    schema = data(f"schemas/resources/{REGISTRY[type_]}.json")
    named_by = resource_type(type_).named_by
    assert named_by in schema["properties"]
    returned = REFERS_OTHERWISE.get(type_, schema["primaryIdentifier"])
    assert resource_type(type_).referred_by == (named_by if returned == [f"/properties/{named_by}"] else "")


@pytest.mark.parametrize(
    ("type_", "arn", "name"),
    [
        ("AWS::RDS::DBInstance", "arn:aws:rds:eu-west-1:123456789012:db:rds-dev", "rds-dev"),
        ("AWS::RDS::DBInstance", "arn:aws:rds:eu-west-1:123456789012:cluster:rds-dev", ""),
        ("AWS::RDS::DBInstance", "arn:aws:rds:eu-west-1:123456789012:auto-backup:ab-1", ""),
        ("AWS::RDS::GlobalCluster", "arn:aws:rds::123456789012:global-cluster:whole", "whole"),
        ("AWS::EFS::FileSystem", "arn:aws-cn:elasticfilesystem:cn-north-1:123456789012:file-system/fs-1", "fs-1"),
        ("AWS::S3::Bucket", "arn:aws:s3:::bucket", "bucket"),
    ],
)
def test_an_arn_of_a_type_gives_the_name_and_one_of_another_nothing(type_: str, arn: str, name: str) -> None:
    assert resource_type(type_).name_in(arn) == name


def test_commands_start_without_reading_the_table() -> None:
    modules = "deploy, chain.cli.deploy, chain.cli.status, chain.cli.failover"
    asked = f"import {modules}; from model.resource_types import resource_types; print(resource_types.cache_info().misses)"
    assert subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stdout == "0\n"
