"""Policy documents as statements that can be asked, whatever resource carries them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model import Document
from model.view import Resource, View

ANYONE = ("*", "*")
ROLE = "AWS::IAM::Role"

DOCUMENTS = {
    "AWS::Backup::BackupVault": "AccessPolicy",
    "AWS::EFS::FileSystem": "FileSystemPolicy",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
    "AWS::SecretsManager::ResourcePolicy": "ResourcePolicy",
}
"""Where each type keeps the policy of a resource."""


@dataclass(frozen=True)
class Condition:
    """One condition: the operator in lower case, the key in lower case, and the values as comparable text."""

    operator: str
    key: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy. A principal is its kind and text: ``("Service", "logs.us-east-1.amazonaws.com")``."""

    sid: str
    allows: bool
    principals: tuple[tuple[str, str | None], ...]
    actions: tuple[str, ...]
    resources: tuple[str | None, ...]
    conditions: tuple[Condition, ...]
    inverted: bool  # NotAction, NotPrincipal or NotResource: nobody can say what it leaves out

    def covers(self, *actions: str) -> bool:
        """Whether every one of these actions is among the statement's."""
        return not self.inverted and all(any(matches(own.lower(), action.lower()) for own in self.actions) for action in actions)

    def condition(self, key: str) -> Condition | None:
        """The condition on a key, or None."""
        return next((condition for condition in self.conditions if condition.key == key.lower()), None)

    def names_service(self, service: str, regions: tuple[str, ...]) -> bool:
        """Whether it is for an AWS service principal, written for one region, for each, or for the stack's own."""
        wanted = [f"{service}.amazonaws.com"] + [f"{service}.{region}.amazonaws.com" for region in (*regions, "${AWS::Region}")]
        return any(kind == "Service" and text in wanted for kind, text in self.principals)


def statements(view: View, layer: str, document: Any) -> tuple[Statement, ...]:
    """The statements of a policy document; none where the template does not show it."""
    found = document.get("Statement", []) if isinstance(document, Mapping) else []
    return tuple(_statement(view, layer, raw) for raw in ([found] if isinstance(found, Mapping) else found))


def of(resource: Resource, *path: str) -> tuple[Statement, ...]:
    """The statements of the policy document under a path of a resource's properties."""
    return statements(resource.view, resource.layer, resource.get(*path))


def matches(pattern: str, text: str) -> bool:
    """Whether IAM's wildcards, ``*`` and ``?``, make the pattern match the text."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def documents(template: Document) -> Iterator[tuple[str, str, Document]]:
    """Every policy of a template: its resource, whether it is a role's own (``identity``) or ``resource``, and the document."""
    for title, body in template["Resources"].items():
        properties = body.get("Properties") or {}
        if body["Type"] == ROLE:
            yield from ((title, "identity", each["PolicyDocument"]) for each in properties.get("Policies") or ())
            yield title, "resource", properties["AssumeRolePolicyDocument"]
        name = DOCUMENTS.get(body["Type"], "PolicyDocument")
        if body["Type"] != ROLE and name in properties:
            yield title, "resource", properties[name]


def listed(value: Any) -> list[Any]:
    """A value of a policy as a list, as IAM takes it: one stands for a list of one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _statement(view: View, layer: str, raw: Mapping[str, Any]) -> Statement:
    principal = raw.get("Principal")
    named = principal.items() if isinstance(principal, Mapping) else [("*", one) for one in listed(principal)]
    return Statement(
        sid=raw.get("Sid", ""),
        allows=raw.get("Effect") == "Allow",
        principals=tuple((kind, text) for kind, value in named for text in view.texts(layer, value)),
        actions=tuple(str(action) for action in listed(raw.get("Action"))),
        resources=tuple(view.text(layer, resource) for resource in listed(raw.get("Resource"))),
        conditions=tuple(
            Condition(operator.lower(), key.lower(), view.texts(layer, values))
            for operator, keys in raw.get("Condition", {}).items()
            for key, values in keys.items()
        ),
        inverted=any(name in raw for name in ("NotAction", "NotPrincipal", "NotResource")),
    )
