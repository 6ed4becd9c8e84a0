"""Why a ``*`` stands in a policy: every one that is rendered has one reason in ``wildcards.yaml``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compliance.statements import documents, listed
from model import Document, read

REASONS = Path(__file__).with_name("wildcards.yaml")
PARTS = ("Action", "Principal", "Resource")


@dataclass(frozen=True)
class Star:
    """One ``*``: the resource, its type, the statement's Sid and effect, the part that it stands in, and the actions."""

    where: str
    type: str
    sid: str
    effect: str
    part: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class Reason:
    """Why a ``*`` stands there, and which ones it is for: in a part of the policies of types, with these Sids or any."""

    why: str
    types: tuple[str, ...]
    part: str
    sids: tuple[str, ...]
    effect: str
    without_resource: bool

    def covers(self, star: Star) -> bool:
        """Whether it is for this one."""
        of_kind = star.type in self.types and star.part == self.part and self.effect in ("", star.effect)
        return of_kind and (not self.sids or star.sid in self.sids)


def reasons(text: str) -> tuple[Reason, ...]:
    """The table of ``wildcards.yaml``."""
    return tuple(
        Reason(
            each["why"],
            tuple(each["types"]),
            each["part"],
            tuple(each.get("sids", ())),
            each.get("effect", ""),
            each.get("without_resource", False),
        )
        for each in read(text)["stars"]
    )


def stars(templates: Mapping[str, Document]) -> Iterator[Star]:
    """Every part of every statement of every policy in which a ``*`` stands."""
    for path, template in templates.items():
        for title, _, document in documents(template):
            for statement in listed(document["Statement"]):
                for part in PARTS:
                    if "*" in _written(statement.get(part)):
                        yield Star(
                            f"{path}.{title}",
                            template["Resources"][title]["Type"],
                            statement.get("Sid", ""),
                            statement["Effect"],
                            part,
                            tuple(listed(statement.get("Action"))),
                        )


def _written(value: Any) -> str:
    return json.dumps(value)


def unexplained(found: list[Star], table: tuple[Reason, ...]) -> list[str]:
    """What has no reason, or more than one; and reasons, or Sids of one, that are for nothing: a sentence each."""
    problems = []
    for star in found:
        count = sum(reason.covers(star) for reason in table)
        if count != 1:
            problems.append(
                f"{star.where}: {star.part} of {star.sid or 'a statement without Sid'} holds a * "
                f"for which {REASONS.name} gives {count} reasons; it takes one"
            )
    for reason in table:
        covered = [star for star in found if reason.covers(star)]
        idle = sorted(set(reason.sids) - {star.sid for star in covered})
        if idle or not covered:
            problems.append(f"{REASONS.name}: {', '.join(idle) or reason.why} is for no * of any template; take it out")
    return problems
