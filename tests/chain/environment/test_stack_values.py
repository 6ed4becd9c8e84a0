"""What names stand for in a stack that stands."""

from __future__ import annotations

from typing import Any

import pytest

from chain.environment.stack_values import lookup, pseudo
from model.values import Unknown

DOCUMENT: dict[str, Any] = {"Parameters": {"Zones": {"Type": "CommaDelimitedList"}, "None": {"Type": "CommaDelimitedList"}}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Zones", ["a", "b"]),
        ("None", ""),
        ("Email", "a,b"),
        ("Bucket", "b"),
        ("AWS::Region", "eu-west-1"),
        ("Database.Endpoint.Port", "Port of Database at Endpoint"),
        ("Nobody", Unknown("Nobody does not stand in the stack")),
    ],
)
def test_a_name_is_what_the_stack_has_for_it(name: str, value: Any) -> None:
    def attribute(resource: str, path: str) -> str:
        place, part = path.split(".")
        return f"{part} of {resource} at {place}"

    known = pseudo("eu-west-1", "123456789012", "shop-data-dev", "arn:stack")
    told = lookup(DOCUMENT, {"Zones": "a, b", "None": "", "Email": "a,b"}, known, {"Bucket": "b"}, attribute)
    assert told(name) == value


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-central-2", "aws")]
)
def test_the_partition_follows_the_region(region: str, partition: str) -> None:
    assert pseudo(region, "1", "n", "i")["AWS::Partition"] == partition
