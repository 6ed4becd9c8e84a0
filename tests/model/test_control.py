"""A deviation speaks by its rule's id or by the requirement's."""

from model import Deviation, Profile, Rule

RULE = Rule("a.b", "It is so.", "Because.", "a page", ("AWS::S3::Bucket",), lambda _: ("X", True))


def test_a_deviation_is_known_by_its_rule_or_its_requirement() -> None:
    assert Deviation(RULE, "layer.Thing", "why").id == "a.b"
    assert Deviation("LG-05", "layer.Thing", "why").id == "LG-05"


def test_profiles_can_be_members_of_a_set() -> None:
    profile = Profile("p", "P", "here", {RULE: ("X-1",)})
    assert len({profile, Profile("p", "P", "here", {RULE: ("X-1",)})}) == 1
