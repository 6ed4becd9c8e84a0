"""Names: how they end, and every rendered one held against what AWS accepts, with the longest suffix, over all systems and
sites together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from model.resource_types import resource_type
from model.values import Unknown, evaluate

LONGEST_SUFFIX = "s" * 16
"""What the limits are checked with: model.SUFFIX allows 16 characters."""

ACCOUNT_ID = "0" * 12


class Space(StrEnum):
    """Where a name must be unique."""

    REGION = "region"
    ACCOUNT = "account"
    PARTITION = "partition"


TAILS = {
    Space.REGION: "-${EnvironmentSuffix}",
    Space.ACCOUNT: "-${AWS::Region}-${EnvironmentSuffix}",
    Space.PARTITION: "-${EnvironmentSuffix}-${AWS::AccountId}-${AWS::Region}",
}
"""What follows the kind in a name, by the space in which it must be unique."""


@dataclass(frozen=True)
class Named:
    """A resource's name as one site of one system will have it."""

    where: str  # system/layer.LogicalId, and the site
    type: str
    region: str
    name: str


def name_of(value: Any, region: str) -> str | None:
    """The name that a rendered property gives in ``region`` with the longest suffix; None where it is not ours to know."""
    known = {"EnvironmentSuffix": LONGEST_SUFFIX, "AWS::Region": region, "AWS::AccountId": ACCOUNT_ID}
    match evaluate(value, lambda name: known.get(name, Unknown(f"{name} differs between environments"))):
        case str(name) | Unknown(rest={"Fn::Sub": str(name)}):  # a variable is left in a name for ``check`` to refuse
            return name
    return None


def check(names: Iterable[Named]) -> list[str]:
    """Say of each name that AWS would refuse, or that two resources would share, what is wrong with it."""
    problems = []
    taken: dict[tuple[str, ...], Named] = {}
    for named in names:
        naming = resource_type(named.type).name
        if naming is None:
            continue
        if len(named.name) > naming.limit:
            problems.append(
                f"{named.where}: {naming.property} {named.name!r} has {len(named.name)} characters with the longest suffix; "
                f"{named.type} allows {naming.limit}"
            )
        if not re.fullmatch(naming.pattern, named.name):
            problems.append(f"{named.where}: {naming.property} {named.name!r} does not match {naming.pattern} of {named.type}")
        key = (named.type, named.name, named.region if naming.unique == Space.REGION else "")
        other = taken.setdefault(key, named)
        if other is not named:
            problems.append(
                f"{named.where}: {naming.property} {named.name!r} is taken by {other.where}; "
                f"a {named.type} must be unique in its {naming.unique}"
            )
        if naming.unique == Space.PARTITION and not (ACCOUNT_ID in named.name and named.region in named.name):
            problems.append(
                f"{named.where}: {naming.property} {named.name!r} names no account or no region; somebody else in the "
                f"{naming.unique} may have it already"
            )
    return problems
