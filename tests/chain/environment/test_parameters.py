"""Parameter files are checked before anything is called, and every problem is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from chain.environment.exit_codes import InputError
from chain.environment.parameters import check, check_suffix
from tests.support.chain.checkout import Checkout

DECLARED: dict[str, Any] = {
    "InstanceClass": {"Type": "String", "AllowedValues": ["db.r6g.large", "db.r6g.xlarge"], "Default": "db.r6g.large"},
    "Days": {"Type": "Number", "MinValue": 7, "MaxValue": 35, "Default": 7},
    "Cidr": {
        "Type": "String",
        "AllowedPattern": "10\\..*",
        "ConstraintDescription": "a block that begins with 10",
        "Description": "Range.",
    },
    "Zones": {"Type": "CommaDelimitedList", "AllowedPattern": "[a-z0-9-]+", "Default": "a"},
    "Counts": {"Type": "List<Number>", "MaxValue": 5, "Default": "1"},
    "Code": {"Type": "String", "MinLength": 2, "MaxLength": 4, "Default": "ab"},
    "Hidden": {"Type": "String", "NoEcho": True, "MinLength": 8, "Default": "abcdefgh"},
    "Exact": {"Type": "Number", "AllowedValues": [7, 14], "Default": 7},
}


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("InstanceClass", "db.t3.micro", "is 'db.t3.micro'; allowed: db.r6g.large, db.r6g.xlarge"),
        ("Days", 3, "is '3'; it must be at least 7"),
        ("Days", 36, "is '36'; it must be at most 35"),
        ("Days", "many", "is 'many', which is no number"),
        ("Days", float("nan"), "is 'nan', which is no number"),
        ("Days", float("inf"), "is 'inf', which is no number"),
        ("Cidr", "192.168.0.0/16", "is '192.168.0.0/16', which does not match 10\\..*: a block that begins with 10"),
        ("Zones", ["use1-az1", "Use1"], "is 'Use1', which does not match [a-z0-9-]+"),
        ("Counts", [1, 9], "is '9'; it must be at most 5"),
        ("Code", "a", "is 'a'; it must have at least 2 characters"),
        ("Code", "abcde", "is 'abcde'; it must have at most 4 characters"),
        ("Hidden", "short", "is (hidden); it must have at least 8 characters"),
        ("Exact", 8, "is '8'; allowed: 7, 14"),
        ("Code", None, "has no value; leave the line out to use the default"),
        ("Code", ["ab", "cd"], "is a list, but its type is String: give one value"),
        ("Code", {"a": 1}, "is a mapping or a nested list; a parameter takes one value or a plain list"),
        ("Zones", [["a"]], "is a mapping or a nested list; a parameter takes one value or a plain list"),
    ],
)
def test_a_value_is_held_against_its_declaration(name: str, value: object, problem: str) -> None:
    assert list(check(DECLARED[name], value)) == [problem]


@pytest.mark.parametrize(
    ("name", "value"), [("Days", 7), ("Days", 35), ("Days", "14"), ("Zones", "a, b"), ("Counts", [5, 1]), ("Exact", 14)]
)
def test_a_value_at_the_bound_is_right(name: str, value: object) -> None:
    assert not list(check(DECLARED[name], value))


@pytest.mark.parametrize("suffix", ["d", "Dev", "-dev", "dev-", "a--b", "a_b", "x" * 17, "", "dev\n"])
def test_a_suffix_that_would_break_names_is_refused(suffix: str) -> None:
    assert check_suffix(suffix) == [
        f"{suffix!r} is no environment suffix: 2 to 16 lower-case letters and digits, single hyphens between them"
    ]


def test_the_file_beneath_all_environments_is_none(checkout: Checkout) -> None:
    checkout.layer("data")
    checkout.suffix = "default"
    with pytest.raises(InputError, match=r"'default' is no environment suffix: default\.yaml is what lies beneath"):
        checkout.graph()


@pytest.mark.parametrize("suffix", ["ab", "pr-42", "x" * 16, "0a"])
def test_a_suffix_within_the_limits_is_taken(suffix: str) -> None:
    assert check_suffix(suffix) == []


def test_all_problems_of_both_files_are_listed_at_once(checkout: Checkout) -> None:
    checkout.layer("database", parameters=DECLARED, sites={"primary": "us-east-1"})
    checkout.values({"database": {"InstanceClas": "db.r6g.large", "Days": 1}, "databse": {"Days": 7}, "tags": {"System": "mine"}})
    checkout.values({"recovery:database": {"Days": 7}, "database": {"EnvironmentSuffix": "x1"}}, name=checkout.suffix)
    with pytest.raises(InputError) as refused:
        checkout.graph()
    own = f"parameters/shop/{checkout.suffix}.yaml"
    assert refused.value.problems == (
        "parameters/shop/default.yaml: database.InstanceClas is no parameter; did you mean InstanceClass?",
        "parameters/shop/default.yaml: database.Days is '1'; it must be at least 7",
        "parameters/shop/default.yaml: databse is no layer; there are: database; did you mean database?",
        "parameters/shop/default.yaml: tags.System is given by the chain itself",
        f"{own}: recovery:database: database does not stand at 'recovery'; it stands at: primary",
        f"{own}: database.EnvironmentSuffix never stands in a file; it is given as ENV",
        f"{own}: database.Cidr is missing (Range)",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"tags: {Team: \xe9}", "parameters/shop/default.yaml: not YAML: 'utf-8' codec can't decode byte 0xe9"),
        (
            "files: {}\ntags: {Team: a}\nfiles: {}",
            "parameters/shop/default.yaml: files stands twice, the second time in line 3; only that would count: keep one",
        ),
        ("tags:\n  Team: a\n  Team: b", "parameters/shop/default.yaml: tags.Team stands twice, the second time in line 3"),
        ("a: [1", "parameters/shop/default.yaml: not YAML: while parsing a flow sequence"),
        ("- a", "parameters/shop/default.yaml: holds no blocks; write one per layer, such as `files:` with names below it"),
        ("files: 3", "parameters/shop/default.yaml: files holds no names; write `name: value` below it"),
        ("tags: x", "parameters/shop/default.yaml: tags holds no names; write `name: value` below it"),
        ("tags: {'aws:x': 1}", "parameters/shop/default.yaml: tags: 'aws:x' is no tag name: up to 128 letters"),
        ("tags: {Team: [a]}", "parameters/shop/default.yaml: tags.Team takes one value"),
        ("tags: {Team: 'a;b'}", "parameters/shop/default.yaml: tags.Team is 'a;b'; a tag holds up to 256 letters"),
        (
            "tags: {" + ", ".join(f"t{n}: {n}" for n in range(47)) + "}",
            "parameters/shop/default.yaml: tags holds 47 tags; a stack takes 46 besides System, Layer, Site, Environment",
        ),
    ],
)
def test_a_file_of_the_wrong_shape_is_told_as_such(checkout: Checkout, text: str | bytes, problem: str) -> None:
    checkout.layer("files")
    checkout.values(text if isinstance(text, str) else "")
    if isinstance(text, bytes):
        (checkout.root / "parameters/shop/default.yaml").write_bytes(text)
    with pytest.raises(InputError) as refused:
        checkout.graph()
    (only,) = refused.value.problems
    assert only.startswith(problem)


def test_the_environment_is_laid_over_the_default_block_by_block_and_name_by_name(checkout: Checkout) -> None:
    given = {name: {"Type": "String"} for name in ("One", "Two", "Three", "Flag")}
    checkout.layer("network", parameters=given, sites={"primary": "us-east-1", "recovery": "us-west-2"})
    checkout.values(
        {"tags": {"CostCenter": 7, "Keep": True}, "network": {"One": 1, "Two": "default", "Flag": False, "Three": "x"}}
    )
    checkout.values(
        {"tags": {"CostCenter": 8}, "network": {"Two": "own"}, "recovery:network": {"Three": "there"}}, name=checkout.suffix
    )
    primary, recovery = sorted(checkout.graph().stacks, key=lambda stack: stack.site)
    own = {"EnvironmentSuffix": checkout.suffix}
    assert primary.values == {"One": "1", "Two": "own", "Three": "x", "Flag": "false", **own}
    assert recovery.values == {"One": "1", "Two": "own", "Three": "there", "Flag": "false", **own}
    fixed = {"System": "shop", "Layer": "network", "Environment": checkout.suffix}
    assert primary.tags == {"CostCenter": "8", "Keep": "true", "Site": "primary", **fixed}


def test_a_block_of_a_site_wins_over_the_layers_own_even_from_the_default(checkout: Checkout) -> None:
    checkout.layer("network", parameters={"Cidr": {"Type": "String"}}, sites={"primary": "us-east-1", "recovery": "us-west-2"})
    checkout.values({"recovery:network": {"Cidr": "10.1"}})
    checkout.values({"network": {"Cidr": "10.0"}}, name=checkout.suffix)
    assert {stack.site: stack.values["Cidr"] for stack in checkout.graph().stacks} == {"primary": "10.0", "recovery": "10.1"}
