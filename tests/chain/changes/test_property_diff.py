"""What is a difference, and what is only another way to write the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chain.changes.property_diff import DIFFERS, SAME, UNREAD, Facts, additions, compare, unread
from chain.drift import all_facts
from model.values import Unknown

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": False}},
        }
    ],
}
REORDERED = {
    "Version": "2012-10-17",
    "Statement": {
        "Sid": "Read",
        "Effect": "Allow",
        "Principal": {"AWS": ["123456789012"]},
        "Action": ["s3:ListBucket", "s3:GetObject"],
        "Resource": ["*"],
        "Condition": {"Bool": {"aws:SecureTransport": ["false"]}},
    },
}


def states(declared: Any, found: Any, facts: Facts = Facts(), left_out: dict[str, str] | None = None) -> dict[str, str]:  # noqa: B008
    """Path to state."""
    return {each.path: each.state for each in compare(declared, found, facts, left_out or {})}


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        (10737418240, "10737418240"),
        ("5", 5.0),
        (True, "true"),
        (["b", "a"], ["a", "b"]),
        ("a", ["a"]),
        ("", None),
        ("arn:aws:kms:us-east-1:123456789012:key/abc", "abc"),
        ("rotation", "arn:aws:lambda:us-east-1:123456789012:function:rotation"),
        ("arn:aws:logs:us-east-1:1:log-group:/aws/x:*", "/aws/x"),
        (POLICY, REORDERED),
        (POLICY, {**REORDERED, "Id": "1"}),
        (json.dumps(POLICY), REORDERED),
        ('{"widgets": [1, 2]}', '{ "widgets":[1,2] }'),
        ({"Principal": "*", "Statement": []}, {"Principal": {"AWS": "*"}, "Statement": []}),
        ({}, {}),
        ({}, {"Default": 1}),
    ],
)
def test_the_same_written_otherwise_is_no_difference(declared: Any, found: Any) -> None:
    assert set(states({"P": declared}, {"P": found}).values()) == {SAME}


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        (7, 8),
        (True, False),
        ("a", "A"),
        (["a", "b"], ["a"]),
        (["a"], ["a", "b"]),
        ("arn:aws:kms:us-east-1:1:key/abc", "arn:aws:kms:us-east-1:1:key/abd"),
        ("arn:aws:kms:us-east-1:1:key/abc", ""),
        (POLICY, {**POLICY, "Statement": []}),
        ('{"a": 1}', "no json"),
        ('{"a": 1}', None),
        ("a", {"b": 1}),
    ],
)
def test_a_difference_is_a_difference(declared: Any, found: Any) -> None:
    assert DIFFERS in states({"P": declared}, {"P": found}).values()


def test_a_declared_property_that_is_gone_is_a_difference_unless_its_handler_is_known_to_leave_it_out() -> None:
    assert states({"KmsKeyId": "k"}, {}) == {"KmsKeyId": DIFFERS}
    (left_out,) = compare({"KmsKeyId": "k"}, {}, Facts(), {"KmsKeyId": "a page of AWS"})
    assert (left_out.state, left_out.reason) == (UNREAD, "not returned (a page of AWS)")
    assert states({"KmsKeyId": "k"}, {"KmsKeyId": "other"}, left_out={"KmsKeyId": "s"}) == {"KmsKeyId": DIFFERS}


def test_what_aws_adds_is_no_drift_but_an_element_of_a_declared_list_is() -> None:
    assert states({"A": 1}, {"A": 1, "Default": 2}) == {"A": SAME}
    tags = [{"Key": "Name", "Value": "n"}]
    assert set(states({"Tags": tags}, {"Tags": [{"Key": "aws:x", "Value": "y"}, *tags]}).values()) == {SAME}
    rules = [{"FromPort": 443}]
    assert states({"Rules": rules}, {"Rules": [{"FromPort": 22}, *rules]}) == {"Rules[0].FromPort": SAME, "Rules[+]": DIFFERS}
    (added,) = additions({"Rules": [{"FromPort": 22}]}, "Rules")
    assert (added.path, added.state, added.found) == ("Rules[+]", DIFFERS, {"FromPort": 22})


def test_elements_are_paired_by_name_so_that_the_right_one_is_told() -> None:
    declared = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]
    found = [{"Key": "b", "Value": "9"}, {"Key": "a", "Value": "1"}]
    assert states({"Tags": declared}, {"Tags": found}) == {
        "Tags[a].Key": SAME,
        "Tags[a].Value": SAME,
        "Tags[b].Key": SAME,
        "Tags[b].Value": DIFFERS,
        "Tags[c].Key": DIFFERS,
        "Tags[c].Value": DIFFERS,
    }


def test_a_policy_that_differs_names_its_statements() -> None:
    weaker = {**POLICY, "Statement": [{**POLICY["Statement"][0], "Action": "s3:*"}, {"Sid": "New", "Effect": "Allow"}]}  # type: ignore[dict-item]
    (path,) = compare({"P": POLICY}, {"P": weaker}, Facts(), {})
    assert (path.state, path.reason) == (DIFFERS, "statement New, Read")


def test_the_schema_says_what_cannot_be_read_and_what_is_written_small() -> None:
    facts = Facts(write_only=("Password", "Rules.*.Old"), lower_case=("Window",))
    declared = {"Password": {"a": 1}, "Rules": [{"Id": "x.y", "Old": 1, "New": 2}], "Window": "Sun:05"}
    found = {"Rules": [{"Id": "x.y", "New": 2}], "Window": "sun:05"}
    assert states(declared, found, facts) == {
        "Password": UNREAD,
        "Rules[x.y].Id": SAME,
        "Rules[x.y].Old": UNREAD,
        "Rules[x.y].New": SAME,
        "Window": SAME,
    }
    assert states({"Window": "Sun:05"}, {"Window": "sun:05"}) == {"Window": DIFFERS}


def test_what_a_service_calls_otherwise_while_it_works_is_the_declared_value() -> None:
    facts = all_facts()["AWS::EFS::FileSystem"]
    declared = {"FileSystemProtection": {"ReplicationOverwriteProtection": "DISABLED"}}
    path = "FileSystemProtection.ReplicationOverwriteProtection"
    for found, state in (("DISABLED", SAME), ("REPLICATING", SAME), ("ENABLED", DIFFERS)):
        assert states(declared, {"FileSystemProtection": {"ReplicationOverwriteProtection": found}}, facts) == {path: state}
    other = {"FileSystemProtection": {"ReplicationOverwriteProtection": "REPLICATING"}}
    assert states({"FileSystemProtection": {"ReplicationOverwriteProtection": "ENABLED"}}, other, facts) == {path: DIFFERS}


def test_a_resource_without_properties_has_no_paths() -> None:
    assert states({}, {"Default": 1}) == {}


def test_secrets_and_unresolved_values_are_not_read() -> None:
    declared = {"P": "{{resolve:secretsmanager:x}}", "Q": Unknown("rests on A.B")}
    assert [(each.path, each.reason) for each in compare(declared, {"P": "x", "Q": "y"}, Facts(), {})] == [
        ("P", "a secret value, given by a dynamic reference"),
        ("Q", "rests on A.B"),
    ]


def test_a_list_or_a_policy_is_not_read_if_a_part_of_it_cannot_be_told() -> None:
    part = Unknown("rests on A.B", {"Fn::GetAtt": ["A", "B"]})
    declared = {"P": ["a", part], "Q": {"Statement": [{"Sid": "S", "Resource": part}]}, "R": [{"Key": "a", "Value": part}]}
    found = {"P": ["a", "b"], "Q": {"Statement": [{"Sid": "S", "Resource": "b"}]}, "R": []}
    assert [(each.path, each.state, each.reason) for each in compare(declared, found, Facts(), {})] == [
        (name, UNREAD, "rests on A.B") for name in ("P", "Q", "R")
    ]


def test_every_path_of_an_unreadable_resource_carries_the_reason() -> None:
    paths = list(unread({"A": 1, "B": {"C": [1, 2]}}, "no read handler"))
    assert [(each.path, each.state, each.reason) for each in paths] == [
        ("A", UNREAD, "no read handler"),
        ("B.C", UNREAD, "no read handler"),
    ]


def test_tags_that_stacks_add_are_no_drift_whatever_the_property_is_called() -> None:
    declared, found = [{"Key": "Name", "Value": "a"}], [{"Key": "Name", "Value": "a"}, {"Key": "System", "Value": "b"}]
    assert DIFFERS not in states({"FileSystemTags": declared}, {"FileSystemTags": found}, Facts(tags="FileSystemTags")).values()
    assert DIFFERS in states({"Others": declared}, {"Others": found}, Facts(tags="FileSystemTags")).values()


def test_an_id_that_a_policy_declares_is_compared() -> None:
    assert states({"P": {**POLICY, "Id": "mine"}}, {"P": {**POLICY, "Id": "1"}}) == {"P": DIFFERS}
