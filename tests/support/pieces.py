"""Small systems of topics, wired as a test wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from troposphere import sns

from generator.layer import Layer
from generator.template import Template
from model import PRIMARY, RECOVERY, Profile, System

PROFILE = Profile("none", "None", "nowhere", {})


@dataclass(frozen=True, kw_only=True)
class Piece(Layer):
    """One topic, and what a test wires to it."""

    imports: tuple[str, ...] = ()
    make: Callable[[Template], list[object]] = field(default=lambda _: [])

    def define(self, t: Template) -> None:
        for wire in self.imports:
            t.output_of(wire)
        topic = sns.Topic("Topic", TopicName=t.named(f"topic-{self.name}"))
        t.section("A topic.", topic, *self.make(t))
        t.output("Arn", topic.ref(), "The topic.")


def system_of(*layers: Layer, name: str = "test") -> System:
    return System(
        name=name,
        title="Test",
        serves="a test",
        regions={PRIMARY: "us-east-1", RECOVERY: "us-west-2"},
        profile=PROFILE,
        layers=layers,
    )
