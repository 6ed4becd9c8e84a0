"""What a value denotes, what is proven of it, and how it compares as text."""

from typing import Any

import pytest

from compliance.statements import matches
from model.view import TEMPLATE, View
from tests.support.compliance.small_system import changed, resource, templates


def address(found: Any) -> str | None:
    return f"{found.layer}.{found.id}" if found else None


@pytest.mark.parametrize(
    ("value", "denoted"),
    [
        ({"Ref": "Secret"}, "data.Secret"),
        ({"Fn::GetAtt": ["Secret", "Id"]}, "data.Secret"),
        ({"Ref": "BaseKeyArn"}, "base.Key"),
        ({"Fn::Sub": "${BaseTopicArn}"}, "base.Topic"),
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::${Secret}/${EnvironmentSuffix}"}, "data.Secret"),
        ({"Fn::Sub": "${Secret}${Instance}"}, None),
        ({"Fn::Sub": ["${Name}", {"Name": "x"}]}, None),
        ({"Ref": "Days"}, None),
        ({"Ref": "Nobody"}, None),
        ({"Ref": TEMPLATE}, None),
        ("arn:aws:kms:x", None),
        ({"Fn::Sub": ['["${Group}"]', {"Group": {"Ref": "NetworkClientsId"}}]}, "network.Clients"),
        ({"Fn::Sub": ["${A}${B}", {"A": {"Ref": "Secret"}, "B": {"Ref": "Secret"}}]}, None),
        ({"Fn::Select": [1, {"Ref": "NetworkSubnetIds"}]}, "network.SubnetB"),
        ({"Fn::Select": ["0", [{"Ref": "Secret"}]]}, "data.Secret"),
        ({"Fn::Select": [2, {"Ref": "NetworkSubnetIds"}]}, None),
        ({"Fn::Select": [{"Ref": "Days"}, {"Ref": "NetworkSubnetIds"}]}, None),
    ],
)
def test_a_value_denotes_the_resource_at_the_end_of_its_wire(value: Any, denoted: str | None) -> None:
    assert address(View(templates()).follow("data", value)) == denoted


def test_a_part_of_an_arn_denotes_what_the_arn_does() -> None:
    part = {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "ElsewhereFileSystemArn"}]}]}
    assert address(View(templates()).follow("platform", part)) == "elsewhere.FileSystem"
    assert View(templates()).follow("platform", {"Fn::Select": [1, {"Fn::Split": ["/", "arn/fs-1"]}]}) is None


def test_regions_tell_what_stands_together_and_what_apart() -> None:
    documents = templates()
    key, here, there = (resource(documents, name) for name in ("base.Key", "data.Instance", "elsewhere.Replica"))
    assert key.stands_with(here)
    assert key.stands_with(there)
    assert not here.stands_with(there)
    assert here.elsewhere(there)
    assert not here.elsewhere(key)
    del documents["elsewhere"]["Metadata"]["Layer"]["Sites"]
    assert not here.elsewhere(there), "where it stands is not known"


def test_a_wire_to_an_output_that_is_not_there_denotes_nothing() -> None:
    documents = changed(("data/Metadata/Layer/Imports/BaseKeyArn", "base.Missing"))
    assert View(documents).follow("data", {"Ref": "BaseKeyArn"}) is None
    assert not View(documents).proves("data", {"Ref": "BaseKeyArn"}, bool)


def test_members_of_a_joined_list_arrive_one_by_one() -> None:
    found = View(templates()).members("data", {"Ref": "NetworkSubnetIds"})
    assert [address(each) for each in found] == ["network.SubnetA", "network.SubnetB"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (7, "7"),
        (True, "true"),
        ({"Ref": "EnvironmentSuffix"}, "${EnvironmentSuffix}"),
        ({"Ref": "AWS::Region"}, "${AWS::Region}"),
        ({"Ref": "Days"}, "${data.Days}"),
        ({"Ref": "Instance"}, "rds-${EnvironmentSuffix}"),
        ({"Fn::GetAtt": ["Instance", "Endpoint.Address"]}, "${data.Instance.Endpoint.Address}"),
        ({"Ref": "BaseKeyArn"}, "${base.Key.Arn}"),
        ({"Fn::Sub": "/aws/${Instance}/log"}, "/aws/rds-${EnvironmentSuffix}/log"),
        ({"Fn::Sub": ["/aws/${Name}", {"Name": {"Ref": "Instance"}}]}, "/aws/rds-${EnvironmentSuffix}"),
        ({"Fn::Sub": ["/aws/${Name}", {"Name": {"Fn::Select": [0, []]}}]}, None),
        ({"Fn::Join": ["-", ["rds", {"Ref": "EnvironmentSuffix"}]]}, "rds-${EnvironmentSuffix}"),
        ({"Fn::Join": ["-", ["rds", {"Fn::Select": [0, []]}]]}, None),
        ({"Fn::Select": [0, []]}, None),
        ({"Fn::Select": [3, {"Fn::Split": [":", {"Ref": "BaseKeyArn"}]}]}, "${base.Key.Arn:3}"),
        ({"Fn::Select": [1, {"Fn::Split": ["/", "file-system/fs-1"]}]}, "fs-1"),
        ({"Fn::Select": [2, {"Fn::Split": ["/", "file-system/fs-1"]}]}, None),
        ({"Fn::Select": [0, {"Fn::Split": ["-", {"Ref": "Instance"}]}]}, None),
        ({"Fn::Select": [0, {"Fn::Split": ["-", {"Fn::Select": [0, []]}]}]}, None),
        (None, None),
    ],
)
def test_the_same_thing_is_the_same_text_however_it_is_written(value: Any, text: str | None) -> None:
    assert View(templates()).text("data", value) == text


@pytest.mark.parametrize(
    ("constraints", "proven"),
    [
        ({"Default": 9}, False),
        ({"MinValue": 7}, True),
        ({"MinValue": 6}, False),
        ({"AllowedValues": [7, 14]}, True),
        ({"AllowedValues": ["7", "1"]}, False),
        ({"AllowedPattern": "^(7|14)$"}, True),
        ({"AllowedPattern": "^7$"}, True),
        ({"AllowedPattern": "^[7-9]$"}, False),
        ({"AllowedPattern": "7"}, False),
        ({}, False),
    ],
)
def test_a_parameter_proves_what_its_own_constraints_prove_and_its_default_nothing(constraints: Any, proven: bool) -> None:
    documents = changed(("data/Parameters/Days", {"Type": "Number", **constraints}))
    assert View(documents).bounded("data", {"Ref": "Days"}, least=7) is proven


def test_a_number_through_a_wire_is_judged_where_it_stands() -> None:
    documents = changed(("base/Outputs/KeyArn/Value", 8))
    assert View(documents).bounded("data", {"Ref": "BaseKeyArn"}, least=7)
    assert not View(documents).bounded("data", {"Ref": "BaseKeyArn"}, least=9)
    assert View(documents).proves("data", {"Ref": "BaseKeyArn"}, lambda value: value == 8)


def test_both_branches_of_a_condition_must_hold() -> None:
    view = View(changed(("data/Parameters/Days", {"AllowedValues": ["a"]})))
    assert view.proves("data", {"Fn::If": ["C", {"Ref": "Days"}, "a"]}, lambda value: value == "a")
    assert not view.proves("data", {"Fn::If": ["C", {"Ref": "Days"}, "b"]}, lambda value: value == "a")
    assert not view.proves("data", {"Fn::If": ["C", {"Ref": "AWS::NoValue"}, "a"]}, lambda value: value == "a")
    assert not view.proves("data", {"Fn::Select": [0, ["a"]]}, lambda value: value == "a")


def test_a_layer_that_is_not_there_holds_no_resource() -> None:
    assert View(templates()).resource("nowhere", TEMPLATE) is None
    assert View(templates()).resource("data", "Nobody") is None


def test_a_list_through_no_path_has_no_members() -> None:
    assert resource(templates(), "data.Instance").members("ProcessorFeatures") == ()


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        ("kms:*", "kms:decrypt", True),
        ("secret-??????", "secret-abcdef", True),
        ("secret-??????", "secret-abc", False),
        ("a.c", "abc", False),
        ("*", "", True),
    ],
)
def test_wildcards_are_those_of_iam(pattern: str, text: str, does: bool) -> None:
    assert matches(pattern, text) is does
