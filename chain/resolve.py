"""What a template's intrinsic functions come to in a stack that stands."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from chain.parameters import is_list
from model import Document

NOTHING = object()
"""``AWS::NoValue``: the property is not there."""

PARTITIONS = (("cn-", "aws-cn", "amazonaws.com.cn"), ("us-gov-", "aws-us-gov", "amazonaws.com"))
VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")
LITERAL = re.compile(r"\$\{!([^}]*)\}")


class UnresolvedError(Exception):
    """A value that cannot be told from outside, and why."""


def named(value: Any, known: Collection[str]) -> set[str]:
    """Which of the known parameters and resources a value names, by Ref, GetAtt or Sub."""
    if isinstance(value, list):
        return set().union(*(named(item, known) for item in value)) if value else set()
    if not isinstance(value, dict):
        return set()
    names = named(list(value.values()), known)
    if "Fn::GetAtt" in value:
        target = value["Fn::GetAtt"]
        names |= {target.partition(".")[0] if isinstance(target, str) else target[0]} & set(known)
    if isinstance(value.get("Ref"), str):
        names |= {value["Ref"]} & set(known)
    if "Fn::Sub" in value:
        text = value["Fn::Sub"][0] if isinstance(value["Fn::Sub"], list) else value["Fn::Sub"]
        names |= {name for name in known if f"${{{name}." in text or f"${{{name}}}" in text}
    return names


def pseudo(region: str, account: str, stack_name: str, stack_id: str) -> dict[str, Any]:
    """The pseudo parameters of a stack."""
    partition, domain = next(
        ((name, dns) for start, name, dns in PARTITIONS if region.startswith(start)), ("aws", "amazonaws.com")
    )
    return {
        "AWS::AccountId": account,
        "AWS::NoValue": NOTHING,
        "AWS::NotificationARNs": [],
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": domain,
    }


class Resolver:
    """Resolves values of one template.

    ``parameters`` are the stack's, as text; ``physical`` maps logical to physical ids; ``attribute`` answers ``GetAtt``.
    """

    def __init__(
        self,
        document: Document,
        parameters: Mapping[str, str],
        known: Mapping[str, Any],
        physical: Mapping[str, str],
        attribute: Callable[[str, str], Any],
    ) -> None:
        declared = document.get("Parameters", {})
        self._names = {**known, **{name: _typed(declared.get(name, {}), text) for name, text in parameters.items()}}
        self._conditions = document.get("Conditions", {})
        self._mappings = document.get("Mappings", {})
        self._physical = physical
        self._attribute = attribute

    def __call__(self, value: Any) -> Any:
        """The value without intrinsic functions; ``NOTHING`` where there is none."""
        if isinstance(value, dict):
            if len(value) == 1:
                ((name, argument),) = value.items()
                if name == "Ref":
                    return self._ref(argument)
                if name.startswith("Fn::"):
                    return self._function(name.removeprefix("Fn::"), argument)
            resolved = {key: self(item) for key, item in value.items()}
            return {key: item for key, item in resolved.items() if item is not NOTHING}
        if isinstance(value, list):
            return [item for item in map(self, value) if item is not NOTHING]
        return value

    def holds(self, condition: str | None) -> bool:
        """Whether a condition of the template is true; no condition is."""
        return condition is None or self._condition(self._conditions[condition])

    def _ref(self, name: str) -> Any:
        if name in self._names:
            return self._names[name]
        if name in self._physical:
            return self._physical[name]
        raise UnresolvedError(f"{name} does not stand in the stack")

    def _function(self, name: str, argument: Any) -> Any:
        if name == "GetAtt":
            resource, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
            return self._attribute(resource, self(attribute))
        if name == "If":
            condition, yes, no = argument
            return self(yes if self.holds(condition) else no)
        if name == "Sub":
            return self._sub(argument)
        if name == "FindInMap":
            first, second, third = (self(item) for item in argument[:3])
            return self._mappings[first][second][third]
        if name not in FUNCTIONS:
            raise UnresolvedError(f"Fn::{name} is not resolved from outside")
        return FUNCTIONS[name](self(argument))

    def _sub(self, argument: Any) -> str:
        text, extra = argument if isinstance(argument, list) else (argument, {})

        def fill(match: re.Match[str]) -> str:
            name = match.group(1).strip()
            if name in extra:
                return str(self(extra[name]))
            return str(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))

        return LITERAL.sub(r"${\1}", VARIABLE.sub(fill, text))

    def _condition(self, expression: Any) -> bool:
        ((name, argument),) = expression.items()
        if name == "Condition":
            return self.holds(argument)
        if name == "Fn::Not":
            return not self._condition(argument[0])
        if name == "Fn::And":
            return all(map(self._condition, argument))
        if name == "Fn::Or":
            return any(map(self._condition, argument))
        left, right = map(self, argument)  # Fn::Equals is the last that there is
        return bool(left == right)


def _typed(declared: Mapping[str, Any], text: str) -> Any:
    return [item.strip() for item in text.split(",")] if is_list(declared.get("Type", "String")) and text else text


def _cidr(argument: list[Any]) -> list[str]:
    block, count, bits = argument
    network = ipaddress.ip_network(block)
    subnets = network.subnets(new_prefix=network.max_prefixlen - int(bits))
    return [str(subnet) for subnet, _ in zip(subnets, range(int(count)), strict=False)]


def _base64(argument: Any) -> str:
    import base64

    return base64.b64encode(str(argument).encode()).decode()


FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "Base64": _base64,
    "Cidr": _cidr,
    "Join": lambda argument: argument[0].join(str(item) for item in argument[1]),
    "Select": lambda argument: argument[1][int(argument[0])],
    "Split": lambda argument: argument[1].split(argument[0]),
}
"""Those that need nothing but their argument."""
