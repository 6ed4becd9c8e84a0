"""Intrinsic functions, resolved as CloudFormation resolves them."""

from __future__ import annotations

from typing import Any

import pytest

from chain.resolve import NOTHING, Resolver, UnresolvedError, pseudo

DOCUMENT: dict[str, Any] = {
    "Parameters": {"Zones": {"Type": "CommaDelimitedList"}, "Email": {"Type": "String"}, "Cidr": {"Type": "String"}},
    "Conditions": {
        "HasEmail": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Email"}, ""]}]},
        "Both": {"Fn::And": [{"Condition": "HasEmail"}, {"Fn::Equals": ["a", "a"]}]},
        "Either": {"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Condition": "HasEmail"}]},
    },
    "Mappings": {"Size": {"small": {"GiB": 10}}},
}
ATTRIBUTES = {("Bucket", "Arn"): "arn:aws:s3:::b", ("Database", "Endpoint.Port"): 5432}


def attribute(name: str, path: str) -> Any:
    """What GetAtt would say."""
    if (name, path) not in ATTRIBUTES:
        raise UnresolvedError(f"{name}.{path}")
    return ATTRIBUTES[name, path]


def resolver(email: str = "") -> Resolver:
    """A resolver for a stack in Ireland."""
    known = pseudo("eu-west-1", "123456789012", "shop-data-dev", "arn:stack")
    return Resolver(DOCUMENT, {"Zones": "a, b", "Email": email, "Cidr": "10.0.0.0/16"}, known, {"Bucket": "b"}, attribute)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Zones"}, ["a", "b"]),
        ({"Ref": "Bucket"}, "b"),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::b"),
        ({"Fn::GetAtt": "Database.Endpoint.Port"}, 5432),
        ({"Fn::Sub": "${AWS::Region}/${Bucket}/${Bucket.Arn}/${!literal}"}, "eu-west-1/b/arn:aws:s3:::b/${literal}"),
        ({"Fn::Sub": ["${Own}-${Bucket}", {"Own": {"Ref": "AWS::AccountId"}}]}, "123456789012-b"),
        ({"Fn::Join": [",", {"Ref": "Zones"}]}, "a,b"),
        ({"Fn::Select": [1, {"Ref": "Zones"}]}, "b"),
        ({"Fn::Select": ["2", {"Fn::Cidr": [{"Ref": "Cidr"}, 4, 8]}]}, "10.0.2.0/24"),
        ({"Fn::Split": ["-", "x-y"]}, ["x", "y"]),
        ({"Fn::Base64": "hi"}, "aGk="),
        ({"Fn::FindInMap": ["Size", "small", "GiB"]}, 10),
        ({"A": {"Ref": "AWS::NoValue"}, "B": [1, {"Ref": "AWS::NoValue"}]}, {"B": [1]}),
        ({"Fn::If": ["HasEmail", "yes", {"Ref": "AWS::NoValue"}]}, NOTHING),
        ({"Fn::If": ["Both", 1, 2]}, 2),
        ({"Fn::If": ["Either", 1, 2]}, 2),
    ],
)
def test_a_value_resolves(value: Any, resolved: Any) -> None:
    assert resolver()(value) == resolved


def test_conditions_follow_the_values() -> None:
    assert not resolver().holds("HasEmail")
    assert resolver("a@b").holds("HasEmail")
    assert resolver("a@b").holds("Both")
    assert resolver().holds(None)


@pytest.mark.parametrize("value", [{"Ref": "Nobody"}, {"Fn::GetAtt": ["Bucket", "Nothing"]}, {"Fn::ImportValue": "x"}])
def test_what_cannot_be_told_is_said_to_be_so(value: Any) -> None:
    with pytest.raises(UnresolvedError):
        resolver()(value)


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-central-2", "aws")]
)
def test_the_partition_follows_the_region(region: str, partition: str) -> None:
    assert pseudo(region, "1", "n", "i")["AWS::Partition"] == partition
