"""Controls: what a regulation asks, the rule that looks for evidence, and where a system knowingly differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A question that rendered templates can answer.

    ``id`` is ``family.name`` (``rds.tls_forced``), ``statement`` the sentence that is true when it is met, ``source`` where
    AWS says so. ``types`` are the resource types that it asks; ``judge`` takes one such resource, in sight of all templates
    of its system, and returns the property that decided and whether it is met; None where it has nothing to ask of this one:
    what a rule does not ask of a resource, the resource is no evidence of.
    """

    id: str
    statement: str
    reason: str
    source: str
    types: tuple[str, ...]
    judge: Callable[[Any], tuple[str, bool] | None]


@dataclass(frozen=True)
class Profile:
    """The controls that a system answers to, by the rule that looks for their evidence.

    ``source`` names catalogue and revision.
    """

    name: str
    title: str
    source: str
    controls: Mapping[Rule, tuple[str, ...]]

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True)
class Deviation:
    """An accepted gap: the rule (or the id of a requirement) that is not met, by which resource, and why."""

    subject: Rule | str
    resource: str  # layer.LogicalId
    reason: str

    @property
    def id(self) -> str:
        """The rule's id or the requirement's."""
        return self.subject if isinstance(self.subject, str) else self.subject.id


@dataclass(frozen=True)
class Finding:
    """What a rule found on a resource: met, or explained by a deviation."""

    rule: Rule
    layer: str
    resource: str  # logical id
    property: str  # the path below Properties that decided, such as ``Parameters.rds.force_ssl``
    met: bool
    controls: tuple[str, ...]
    deviation: Deviation | None = None
