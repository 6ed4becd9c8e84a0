"""What the names of a template stand for in a stack that stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chain.environment.parameters import is_list
from model import Document
from model.values import Lookup, Unknown

PARTITIONS = (("cn-", "aws-cn", "amazonaws.com.cn"), ("us-gov-", "aws-us-gov", "amazonaws.com"))


def pseudo(region: str, account: str, stack_name: str, stack_id: str) -> dict[str, Any]:
    """The pseudo parameters of a stack."""
    partition, domain = next(
        ((name, dns) for start, name, dns in PARTITIONS if region.startswith(start)), ("aws", "amazonaws.com")
    )
    return {
        "AWS::AccountId": account,
        "AWS::NotificationARNs": [],
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": domain,
    }


def lookup(
    document: Document,
    parameters: Mapping[str, str],
    known: Mapping[str, Any],
    physical: Mapping[str, str],
    attribute: Callable[[str, str], Any],
) -> Lookup:
    """What names stand for in one stack.

    ``parameters`` are the stack's, as text; ``known`` are pseudo parameters and the like; ``physical`` maps logical to physical
    ids; ``attribute`` answers ``GetAtt``.
    """
    declared = document.get("Parameters", {})
    names = {**physical, **known, **{name: _typed(declared.get(name, {}), text) for name, text in parameters.items()}}

    def told(name: str) -> Any:
        resource, dot, path = name.partition(".")
        if dot:
            return attribute(resource, path)
        return names[name] if name in names else Unknown(f"{name} does not stand in the stack")

    return told


def _typed(declared: Mapping[str, Any], text: str) -> Any:
    return [item.strip() for item in text.split(",")] if is_list(declared.get("Type", "String")) and text else text
