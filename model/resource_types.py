"""What the project knows of resource types: the table ``types.yaml``, read when something is first asked of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from model.cloudformation_yaml import read


class Holds(StrEnum):
    """What a new resource of a type would not have."""

    DATA = "data"
    BACKUPS = "backups"
    KEYS = "keys"
    RECORDS = "records"


@dataclass(frozen=True)
class Name:
    """How a type is named: ``pattern`` matches the whole name, ``limit`` is in characters."""

    property: str
    pattern: str
    limit: int
    unique: str = "region"
    ref: bool = True


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A row of the table, whose head says what each column means."""

    noun: str = ""
    name: Name | None = None
    arns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stateful: bool = False
    holds: Holds | None = None
    backup: str = ""
    tags: str = ""

    @property
    def holds_data(self) -> bool:
        """Whether a new one would be without the data of the old one."""
        return self.holds is Holds.DATA

    @property
    def named_by(self) -> str:
        """The property that names it, if one does."""
        return self.name.property if self.name else ""

    @property
    def referred_by(self) -> str:
        """The property whose value ``Ref`` returns: a reference and the name written out are the same text."""
        return self.name.property if self.name and self.name.ref else ""

    def name_in(self, arn: str) -> str:
        """The name in an ARN of this type; nothing in one of another."""
        own = re.escape(next(iter(self.arns.values()))[0])
        for part, accepted in (("{region}", r"[\w-]+"), ("*", r"\d+"), ("{name}", "(.+)")):
            own = own.replace(re.escape(part), accepted)
        found = re.fullmatch(rf"arn:[\w-]+:{own}", arn)
        return found[1] if found else ""


UNKNOWN = ResourceType()


@cache
def resource_types() -> Mapping[str, ResourceType]:
    """The whole table, by type."""
    return {type_: _row(**row) for type_, row in read(Path(__file__).with_name("types.yaml").read_text(encoding="utf-8")).items()}


def resource_type(type_: str) -> ResourceType:
    """What is known of a type; of one that is not in the table nothing."""
    return resource_types().get(type_, UNKNOWN)


def _row(*, name: Mapping[str, Any] | None = None, holds: str | None = None, **row: Any) -> ResourceType:
    return ResourceType(name=Name(**name) if name else None, holds=Holds(holds) if holds else None, **row)
