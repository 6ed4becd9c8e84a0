"""A small system in which every rule is met: five layers, most resources once. Tests change one thing in it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from compliance.profiles.financial_audit import FINANCIAL_AUDIT
from model import PRIMARY, Deviation, Document, Profile, Rule, System, read
from model.view import Resource, View

_FOLDER = Path(__file__).parent / "small_system"

GONE = object()
"""In place of a value: the entry is taken away."""

LAYERS = ("base", "network", "data", "platform", "cache", "elsewhere", "whole", "second", "failover")
"""In the order in which they would be deployed; ``small/<layer>.yaml`` holds each."""


def templates() -> dict[str, Document]:
    """The small system, fresh: a test may change it."""
    return copy.deepcopy(_READ)


def changed(*changes: tuple[str, Any]) -> dict[str, Document]:
    """The small system with these changes: a path ``layer/Resources/Key/…``, and the value that now stands there."""
    documents = templates()
    for path, value in changes:
        *above, last = path.split("/")
        entry: Any = documents
        for name in above:
            entry = entry[int(name)] if isinstance(entry, list) else entry.setdefault(name, {})
        if value is GONE:
            del entry[int(last) if isinstance(entry, list) else last]
        else:
            entry[int(last) if isinstance(entry, list) else last] = value
    return documents


def resource(documents: dict[str, Document], address: str) -> Resource:
    """One resource of it in sight of all of them."""
    layer, _, title = address.partition(".")
    found = View(documents).resource(layer, title)
    assert found is not None, address
    return found


def verdict(rule: Rule, asked: Resource) -> bool | None:
    """Whether the rule is met; None where it has nothing to ask of this resource."""
    found = rule.judge(asked)
    return None if found is None else found[1]


_READ = {name: read((_FOLDER / f"{name}.yaml").read_text()) for name in LAYERS}


def system(*deviations: Deviation, profile: Profile = FINANCIAL_AUDIT) -> System:
    return System(
        name="small",
        title="Small",
        serves="tests",
        regions={PRIMARY: "us-east-1"},
        profile=profile,
        layers=(),
        deviations=deviations,
    )


NO_STANDBY = ("data/Resources/Instance/Properties/MultiAZ", False)


TEXTS = {f"templates/small/{path.stem}.yaml": path.read_text() for path in _FOLDER.glob("*.yaml")}
