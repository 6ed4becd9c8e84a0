"""The table of names refuses what AWS would refuse, and what two resources would share."""

import pytest

from generator.names import LONGEST_SUFFIX, Named, check, name_of


def test_a_name_is_what_the_longest_suffix_gives() -> None:
    assert name_of({"Fn::Sub": "rds-${EnvironmentSuffix}"}, "us-east-1") == f"rds-{LONGEST_SUFFIX}"
    assert name_of({"Fn::Sub": "b-${AWS::AccountId}-${AWS::Region}"}, "eu-central-2") == "b-000000000000-eu-central-2"
    assert name_of("fixed", "us-east-1") == "fixed"
    assert name_of({"Ref": "Parameter"}, "us-east-1") is None


def test_a_name_with_a_variable_that_is_not_known_is_left_for_the_check_to_refuse() -> None:
    name = name_of({"Fn::Sub": "rds-${Parameter}-${EnvironmentSuffix}"}, "us-east-1")
    assert name == f"rds-${{Parameter}}-{LONGEST_SUFFIX}"
    (problem,) = check([Named("s/l.R", "AWS::RDS::DBInstance", "us-east-1", name)])
    assert "does not match" in problem


def test_a_joined_name_is_the_text_that_the_parts_give() -> None:
    split = {"Fn::Split": ["-", {"Fn::Sub": "dr-restore-test-${EnvironmentSuffix}"}]}
    assert name_of({"Fn::Join": ["_", split]}, "us-east-1") == f"dr_restore_test_{LONGEST_SUFFIX}"
    assert name_of({"Fn::Join": ["", ["a-", {"Fn::Sub": "${AWS::Region}"}]]}, "us-east-1") == "a-us-east-1"
    assert name_of({"Fn::Join": ["_", {"Fn::Split": ["-", {"Ref": "Parameter"}]}]}, "us-east-1") is None
    assert name_of({"Fn::Join": ["_", ["a", {"Ref": "Parameter"}]]}, "us-east-1") is None
    assert name_of({"Fn::Join": ["_", {"Ref": "List"}]}, "us-east-1") is None


@pytest.mark.parametrize(
    ("type_", "name", "said"),
    [
        ("AWS::Lambda::Function", "f" * 65, "has 65 characters with the longest suffix; AWS::Lambda::Function allows 64"),
        ("AWS::EC2::SecurityGroup", "sg-clients", "does not match"),
        ("AWS::RDS::DBInstance", "rds--dev", "does not match"),
        ("AWS::S3::Bucket", "Bucket-000000000000-us-east-1", "does not match"),
        ("AWS::S3::Bucket", "bucket-us-east-1", "names no account or no region"),
        ("AWS::S3::Bucket", "bucket-000000000000-eu-west-1", "names no account or no region"),
        ("AWS::KMS::Alias", "alias/aws/key", "does not match"),
        ("AWS::SNS::Topic", "", "does not match"),
    ],
)
def test_a_name_that_aws_refuses_is_a_problem(type_: str, name: str, said: str) -> None:
    (problem,) = check([Named("s/l.R at the primary site", type_, "us-east-1", name)])
    assert said in problem
    assert problem.startswith("s/l.R at the primary site: ")


def test_of_a_type_that_has_no_name_of_ours_nothing_is_asked() -> None:
    assert check([Named("s/l.R", "AWS::EC2::Route", "us-east-1", "any thing")]) == []


def _two(type_: str, regions: tuple[str, str]) -> list[str]:
    name = "name-000000000000-us-east-1-eu-west-1"
    return check([Named(f"s{n}/l.R", type_, region, name) for n, region in enumerate(regions)])


def test_one_name_twice_is_a_problem_in_its_space_only() -> None:
    assert _two("AWS::SNS::Topic", ("us-east-1", "eu-west-1")) == []
    assert "is taken by s0/l.R" in _two("AWS::SNS::Topic", ("us-east-1", "us-east-1"))[0]
    assert "must be unique in its account" in _two("AWS::IAM::Role", ("us-east-1", "eu-west-1"))[0]
    assert "must be unique in its partition" in _two("AWS::S3::Bucket", ("us-east-1", "eu-west-1"))[0]
