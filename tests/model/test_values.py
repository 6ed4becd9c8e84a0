"""CloudFormation's functions come to what CloudFormation makes of them; what cannot be told stays as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.values import NOTHING, Lookup, Parts, Unknown, evaluate, holds, is_function, mentions, rest, unknown

TEMPLATE: dict[str, Any] = {
    "Conditions": {
        "HasEmail": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Email"}, ""]}]},
        "Both": {"Fn::And": [{"Condition": "HasEmail"}, {"Fn::Equals": ["a", "a"]}]},
        "Either": {"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Condition": "HasEmail"}]},
        "Open": {"Fn::Equals": [{"Ref": "Nobody"}, {"Ref": "Email"}]},
        "Wrong": {"Fn::Xor": []},
    },
    "Mappings": {"Size": {"small": {"GiB": 10}}},
}
KNOWN = {
    "AWS::Region": "eu-west-1",
    "Bucket": "b",
    "Bucket.Arn": "arn:aws:s3:::b",
    "Cidr": "10.0.0.0/16",
    "Database.Endpoint.Port": 5432,
    "Email": "",
    "Zones": ["a", "b"],
}
NOBODY = {"Ref": "Nobody"}


def names(known: Mapping[str, Any]) -> Lookup:
    """A lookup that knows these names."""
    return lambda name: known[name] if name in known else Unknown(f"{name} is not there")


def of(value: Any, **more: Any) -> Any:
    """What a value comes to."""
    return evaluate(value, names(KNOWN | more), TEMPLATE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ({"Ref": "Zones"}, ["a", "b"]),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::b"),
        ({"Fn::GetAtt": "Database.Endpoint.Port"}, 5432),
        ({"Fn::Sub": "${AWS::Region}/${ Bucket }/${Bucket.Arn}/${!Literal}"}, "eu-west-1/b/arn:aws:s3:::b/${Literal}"),
        ({"Fn::Sub": ["${Own}-${Bucket}", {"Own": {"Ref": "AWS::Region"}, "Bucket": True}]}, "eu-west-1-true"),
        ({"Fn::Join": [",", {"Ref": "Zones"}]}, "a,b"),
        ({"Fn::Join": ["", ["a", 1, False]]}, "a1false"),
        ({"Fn::Select": [1, {"Ref": "Zones"}]}, "b"),
        ({"Fn::Select": ["5", {"Fn::Split": [":", {"Fn::GetAtt": ["Bucket", "Arn"]}]}]}, "b"),
        ({"Fn::Select": [1, "a,b"]}, "b"),
        ({"Fn::Select": ["2", {"Fn::Cidr": [{"Ref": "Cidr"}, 4, 8]}]}, "10.0.2.0/24"),
        ({"Fn::Split": ["-", "x-y"]}, ["x", "y"]),
        ({"Fn::Base64": "hi"}, "aGk="),
        ({"Fn::FindInMap": ["Size", "small", "GiB"]}, 10),
        ({"A": {"Ref": "AWS::NoValue"}, "B": [1, {"Ref": "AWS::NoValue"}]}, {"B": [1]}),
        ({"Fn::If": ["HasEmail", "yes", {"Ref": "AWS::NoValue"}]}, NOTHING),
        ({"Fn::If": ["Both", 1, 2]}, 2),
        ({"Fn::If": ["Either", 1, 2]}, 2),
        ({"Reference": "Bucket"}, {"Reference": "Bucket"}),
    ],
)
def test_a_value_is_what_its_functions_come_to(value: Any, expected: Any) -> None:
    assert of(value) == expected


@pytest.mark.parametrize(
    ("value", "why", "left"),
    [
        (NOBODY, "Nobody is not there", NOBODY),
        ({"Fn::GetAtt": ["Bucket", "Nothing"]}, "Bucket.Nothing is not there", {"Fn::GetAtt": ["Bucket", "Nothing"]}),
        ({"Fn::GetAtt": ["Bucket", NOBODY]}, "Nobody is not there", NOBODY),
        ({"Fn::Sub": "${Bucket}-${Nobody}-${!L}"}, "Nobody is not there", {"Fn::Sub": "b-${Nobody}-${!L}"}),
        (
            {"Fn::Sub": ["${Bucket}-${N}", {"N": {"Fn::Join": ["", [{"Ref": "Bucket"}, NOBODY]]}}]},
            "Nobody is not there",
            {"Fn::Sub": ["b-${N}", {"N": {"Fn::Join": ["", ["b", NOBODY]]}}]},
        ),
        ({"Fn::If": ["Open", {"Ref": "Bucket"}, {"Ref": "AWS::NoValue"}]}, "Nobody is not there", None),
        ({"Fn::Select": [7, {"Ref": "Zones"}]}, "Fn::Select has no answer: list index out of range", None),
        ({"Fn::Cidr": ["x", 1, 8]}, "Fn::Cidr has no answer: 'x' does not appear to be an IPv4 or IPv6 network", None),
        ({"Fn::FindInMap": ["Size", "large", "GiB"]}, "Fn::FindInMap has no answer: 'large'", None),
        ({"Fn::ImportValue": {"Ref": "Bucket"}}, "Fn::ImportValue is not known outside its stack", {"Fn::ImportValue": "b"}),
        ({"Fn::GetAZs": ""}, "Fn::GetAZs is not known outside its stack", {"Fn::GetAZs": ""}),
        ({"Fn::If": ["Absent", 1, 2]}, "no condition is called Absent", None),
        ({"Fn::If": ["Wrong", 1, 2]}, "{'Fn::Xor': []} is no condition", None),
    ],
)
def test_what_cannot_be_told_says_why_and_keeps_the_rest(value: Any, why: str, left: Any) -> None:
    found = of(value)
    assert isinstance(found, Unknown)
    assert found.why == why
    if left is not None:
        assert found.rest == left


def test_a_condition_that_cannot_be_told_keeps_both_branches() -> None:
    found = of({"Fn::If": ["Open", {"Ref": "Bucket"}, {"Ref": "AWS::NoValue"}]})
    assert found.rest == {"Fn::If": ["Open", "b", {"Ref": "AWS::NoValue"}]}


def test_one_part_that_cannot_be_told_leaves_the_others() -> None:
    found = of({"A": {"Ref": "Bucket"}, "B": [NOBODY, 1]})
    assert found == {"A": "b", "B": [Unknown("Nobody is not there", NOBODY), 1]}
    assert unknown(found) == found["B"][0]
    assert unknown(found["A"]) is None
    assert rest(found) == {"A": "b", "B": [NOBODY, 1]}


def test_a_lookup_may_say_what_is_left_of_a_name() -> None:
    found = evaluate({"Fn::Sub": "a-${X}"}, lambda _: Unknown("later", 7))
    assert found == Unknown("later", {"Fn::Sub": ["a-${X}", {"X": 7}]})


def test_who_gives_other_texts_says_how_they_are_split() -> None:
    def split(whole: str, separator: str) -> Parts | Unknown:
        return Parts(lambda index: f"{whole}{separator}{index}") if whole == "x" else Unknown("no x")

    def of(value: Any) -> Any:
        return evaluate(value, lambda name: name, split=split)

    assert of({"Fn::Select": [3, {"Fn::Split": [":", {"Ref": "x"}]}]}) == "x:3"
    assert of({"Fn::Select": [3, {"Ref": "x"}]}) == "x,3"
    assert of({"Fn::Select": [3, {"Fn::Split": [":", "y"]}]}).why == "no x"
    assert isinstance(of({"Fn::Join": ["", {"Fn::Split": [":", {"Ref": "x"}]}]}), Unknown)


def test_conditions_follow_the_values() -> None:
    def held(name: str | None, **more: Any) -> bool | Unknown:
        return holds(name, names(KNOWN | more), TEMPLATE)

    assert held("HasEmail") is False
    assert held("HasEmail", Email="a@b") is True
    assert held("Both", Email="a@b") is True
    assert held(None) is True
    assert isinstance(held("Open"), Unknown)
    assert held("Open", Nobody="") is True


@pytest.mark.parametrize(("name", "decided"), [("Fn::And", False), ("Fn::Or", True)])
def test_one_answer_decides_over_what_is_unknown(name: str, *, decided: bool) -> None:
    template = {
        "Conditions": {
            "Open": {"Fn::Equals": [NOBODY, "a"]},
            "Sure": {"Fn::Equals": ["a", "a" if decided else "b"]},
            "Whole": {name: [{"Condition": "Open"}, {"Condition": "Sure"}]},
            "Rest": {name: [{"Condition": "Open"}, {"Fn::Not": [{"Condition": "Sure"}]}]},
        }
    }
    assert holds("Whole", names({}), template) is decided
    assert isinstance(holds("Rest", names({}), template), Unknown)


def test_conditions_compare_texts() -> None:
    template = {"Conditions": {"C": {"Fn::And": [{"Fn::Equals": [1, "1"]}, {"Fn::Equals": [True, "true"]}]}}}
    assert holds("C", names({}), template) is True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "A"}, ["A"]),
        ({"Fn::GetAtt": ["A", "Arn"]}, ["A"]),
        ({"Fn::GetAtt": "A.Arn"}, ["A"]),
        ({"Fn::Sub": "${A.Arn} ${AWS::Region} ${!B} ${C}"}, ["A", "AWS::Region", "C"]),
        ({"Fn::Sub": ["${A} ${B}", {"A": {"Ref": "C"}}]}, ["C", "B"]),
        ({"P": [{"Fn::Join": ["", [{"Ref": "A"}, "B"]]}], "Q": {"Ref": "A"}}, ["A", "A"]),
        ("${A}", []),
        (None, []),
    ],
)
def test_names_that_a_value_mentions(value: Any, expected: list[str]) -> None:
    assert list(mentions(value)) == expected


def test_functions_are_told_from_mappings() -> None:
    assert is_function({"Ref": "A"})
    assert is_function({"Fn::Sub": "A"})
    assert not is_function({"Refresh": 1})
    assert not is_function({"Ref": "A", "B": 1})
    assert not is_function(["Ref"])


NAMES = ("A", "B", "C.Arn", "AWS::Region")
TEXTS = st.text("abc:,", max_size=5)
PATTERNS = st.lists(st.one_of(TEXTS, st.sampled_from([f"${{{name}}}" for name in NAMES])), max_size=4).map("".join)
VALUES = st.recursive(
    st.one_of(
        TEXTS,
        st.integers(0, 9),
        st.sampled_from(["A", "B", "AWS::Region", "AWS::NoValue"]).map(lambda name: {"Ref": name}),
        st.just({"Fn::GetAtt": ["C", "Arn"]}),
        PATTERNS.map(lambda pattern: {"Fn::Sub": pattern}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["P", "Q"]), inner, max_size=2),
        st.tuples(TEXTS.filter(bool), st.lists(inner, max_size=3)).map(lambda each: {"Fn::Join": list(each)}),
        st.tuples(TEXTS.filter(bool), inner).map(lambda each: {"Fn::Split": list(each)}),
        st.tuples(st.integers(0, 2), st.one_of(inner, st.lists(inner, max_size=3))).map(lambda each: {"Fn::Select": list(each)}),
        st.tuples(inner, inner).map(lambda each: {"Fn::If": ["Chosen", *each]}),
        st.tuples(PATTERNS, inner).map(lambda each: {"Fn::Sub": [each[0], {"A": each[1]}]}),
    ),
    max_leaves=8,
)
CHOSEN = {"Conditions": {"Chosen": {"Fn::Equals": [{"Ref": "A"}, {"Ref": "B"}]}}}


@given(value=VALUES, all_=st.fixed_dictionaries(dict.fromkeys(NAMES, TEXTS)), told=st.sets(st.sampled_from(NAMES)))
def test_what_is_left_comes_to_the_same_when_the_rest_is_known(value: Any, all_: dict[str, str], told: set[str]) -> None:
    some = {name: text for name, text in all_.items() if name in told}
    left = rest(evaluate(value, names(some), CHOSEN))
    assert evaluate(left, names(all_), CHOSEN) == evaluate(value, names(all_), CHOSEN)


@given(value=VALUES, told=st.sets(st.sampled_from(NAMES)))
def test_what_is_left_mentions_nothing_that_is_known_and_nothing_new(value: Any, told: set[str]) -> None:
    some = dict.fromkeys(told, "a")
    left = set(mentions(rest(evaluate(value, names(some)))))
    assert left <= set(mentions(value))
    assert not left & {name.partition(".")[0] for name in told}
