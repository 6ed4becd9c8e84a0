"""Errors name the layer and list what exists."""

import pytest
from troposphere import s3

from generator.assemble import Built, assemble, inspect, order, too_large
from generator.layer import Layer
from generator.names import Space
from generator.template import Template
from model import BOTH, PRIMARY, RECOVERY, System
from tests.support.pieces import Piece, system_of


def _problems(*systems: System) -> list[str]:
    return inspect({system.name: assemble(system, str) for system in systems}, systems)


def test_a_sound_system_has_no_problems() -> None:
    assert _problems(system_of(Piece(name="a"), Piece(name="b", imports=("a.Arn",)))) == []


def test_an_unknown_output_is_named_with_those_that_exist() -> None:
    (problem,) = _problems(system_of(Piece(name="a"), Piece(name="b", imports=("a.Arm",))))
    assert problem == "test/b: a.Arm is no output at the primary site; there are a.Arn, b.Arn"


def test_an_output_of_a_layer_that_does_not_stand_at_the_site_is_unknown() -> None:
    (problem,) = _problems(system_of(Piece(name="a"), Piece(name="b", sites=(RECOVERY,), imports=("a.Arn",))))
    assert problem == "test/b: a.Arn is no output at the recovery site; there are b.Arn"


def test_a_circle_is_named() -> None:
    (problem,) = _problems(system_of(Piece(name="a", imports=("b.Arn",)), Piece(name="b", imports=("a.Arn",))))
    assert problem.startswith("test: the layers feed each other in a circle: primary:")


def test_a_layer_at_two_sites_must_not_feed_itself() -> None:
    (problem,) = _problems(system_of(Piece(name="a", sites=BOTH, imports=("primary:a.Arn",))))
    assert "circle" in problem


def test_one_name_in_two_systems_is_a_problem() -> None:
    (problem,) = _problems(system_of(Piece(name="a"), name="one"), system_of(Piece(name="a"), name="two"))
    assert problem.startswith("two/a.Topic at the primary site: TopicName 'topic-a-ssssssssssssssss' is taken by one/a.Topic")


def test_a_stateful_resource_must_state_both_policies() -> None:
    def bucket(t: Template) -> list[object]:
        return [s3.Bucket("Bucket", BucketName=t.named("bucket", Space.PARTITION), DeletionPolicy="Delete")]

    assert _problems(system_of(Piece(name="a", make=bucket))) == [
        "test/a.Bucket: a AWS::S3::Bucket must state DeletionPolicy and UpdateReplacePolicy"
    ]


def test_retain_is_refused() -> None:
    def bucket(t: Template) -> list[object]:
        return [
            s3.Bucket(
                "Bucket", BucketName=t.named("bucket", Space.PARTITION), DeletionPolicy="Retain", UpdateReplacePolicy="Delete"
            )
        ]

    assert _problems(system_of(Piece(name="a", make=bucket))) == [
        "test/a.Bucket: Retain leaves a resource behind; everything must be destroyable (A-03)"
    ]


def test_a_template_over_the_limit_is_refused() -> None:
    assert too_large("templates/s/l.yaml", "x" * 51_200) == []
    assert too_large("templates/s/l.yaml", "x" * 51_201) == [
        "templates/s/l.yaml: the template has 51,201 bytes, 51,200 are allowed; divide the layer"
    ]


def test_metadata_says_what_the_chain_needs() -> None:
    built: Built = assemble(system_of(Piece(name="b", imports=("primary:a.Arn",), sites=(RECOVERY,), optional=True)), str)["b"]
    assert built.document["Metadata"]["Layer"] == {
        "System": "test",
        "Name": "b",
        "Sites": {"recovery": "us-west-2"},
        "Imports": {"PrimaryAArn": "primary:a.Arn"},
        "Packages": [],
        "Optional": True,
    }
    assert built.document["Description"] == "Test, b: One topic, and what a test wires to it."
    assert built.source == "tests/support/pieces.py"


def test_the_order_puts_feeders_first_and_keeps_the_declared_order_otherwise() -> None:
    system = system_of(Piece(name="c", imports=("b.Arn",)), Piece(name="a"), Piece(name="b", sites=BOTH))
    assert order(assemble(system, str)) == [
        (PRIMARY, "a"),
        (PRIMARY, "b"),
        (RECOVERY, "b"),
        (PRIMARY, "c"),
    ]


def test_a_layer_that_defines_nothing_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Layer defines nothing"):
        Layer(name="x").define(Template("x"))
