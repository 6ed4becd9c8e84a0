"""What CloudFormation's functions come to, as far as it can be told, and which names a value mentions.

Who asks brings a lookup: what a name stands for in a stack, in any environment, or in words. What nobody can tell is
``Unknown``, says why, and keeps the expression with all that is known filled in.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOTHING = object()
"""``AWS::NoValue``: the property is not there."""

VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")
"""A variable of ``Fn::Sub``; ``${!Literal}`` is none."""

_LITERAL = re.compile(r"\$\{!([^}]*)\}")


@dataclass(frozen=True)
class Unknown:
    """A value that cannot be told: why, and what is left of it, the expression with what is known filled in."""

    why: str
    rest: Any = None


@dataclass(frozen=True)
class Parts:
    """The parts of a text that is not known itself: each is told by its number."""

    part: Callable[[int], str]

    def __getitem__(self, index: int) -> str:
        return self.part(index)


Lookup = Callable[[str], Any]
"""What a name stands for: a parameter, a resource (``Vpc``), its attribute (``Vpc.CidrBlock``) or ``AWS::Region``; or Unknown."""

Split = Callable[[str, str], list[str] | Parts | Unknown]
"""The parts of a text between separators."""


def evaluate(value: Any, lookup: Lookup, template: Mapping[str, Any] | None = None, split: Split = str.split) -> Any:
    """A value without functions. In mappings and lists what is Unknown stays where it is; a function of it is Unknown itself.

    ``template`` has the conditions and mappings; ``split`` is for who looks names up as other text than that which they will be.
    """
    return _Evaluator(lookup, template or {}, split).value(value)


def holds(condition: str | None, lookup: Lookup, template: Mapping[str, Any]) -> bool | Unknown:
    """Whether a condition of a template is true; no condition is."""
    return condition is None or _Evaluator(lookup, template, str.split).condition({"Condition": condition})


def mentions(value: Any) -> Iterator[str]:
    """The names of all that a value refers to, pseudo parameters too, in order: by ``Ref``, ``Fn::GetAtt`` or ``Fn::Sub``."""
    match value:
        case {"Ref": str(name)} if len(value) == 1:
            yield name
        case {"Fn::GetAtt": str(name) | [str(name), *_]} if len(value) == 1:
            yield name.partition(".")[0]
        case {"Fn::Sub": str(pattern) | [str(pattern)]} if len(value) == 1:
            yield from _mentioned(pattern, {})
        case {"Fn::Sub": [str(pattern), dict(given)]} if len(value) == 1:
            yield from _mentioned(pattern, given)
        case dict():
            for each in value.values():
                yield from mentions(each)
        case list():
            for each in value:
                yield from mentions(each)


def is_function(value: Any) -> bool:
    """Whether a value is one of CloudFormation's functions, and no mapping."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    (name,) = value
    return name == "Ref" or str(name).startswith("Fn::")


def text(value: Any) -> str:
    """A known value as CloudFormation writes it into a text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def unknown(value: Any) -> Unknown | None:
    """The first thing in a value that cannot be told."""
    if isinstance(value, Unknown):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next(filter(None, map(unknown, inner)), None)


def rest(value: Any) -> Any:
    """A value, and in place of what is Unknown that which is left of it."""
    if isinstance(value, dict):
        return {name: rest(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rest(each) for each in value]
    return value.rest if isinstance(value, Unknown) else value


def _mentioned(pattern: str, given: Mapping[str, Any]) -> Iterator[str]:
    for name in map(str.strip, VARIABLE.findall(pattern)):
        if name in given:
            yield from mentions(given[name])
        else:
            yield name.partition(".")[0]


@dataclass(frozen=True)
class _Evaluator:
    lookup: Lookup
    template: Mapping[str, Any]
    split: Split

    def value(self, value: Any) -> Any:
        if is_function(value):
            ((name, argument),) = value.items()
            return self._function(name, argument)
        if isinstance(value, dict):
            evaluated = {name: self.value(each) for name, each in value.items()}
            return {name: each for name, each in evaluated.items() if each is not NOTHING}
        if isinstance(value, list):
            return [each for each in map(self.value, value) if each is not NOTHING]
        return value

    def condition(self, expression: Any) -> bool | Unknown:
        match expression:
            case {"Condition": str(name)}:
                declared = self.template.get("Conditions", {}).get(name)
                return Unknown(f"no condition is called {name}", expression) if declared is None else self.condition(declared)
            case {"Fn::Not": [inner]}:
                held = self.condition(inner)
                return held if isinstance(held, Unknown) else not held
            case {"Fn::And": list(inner)}:
                return _joined(map(self.condition, inner), decisive=False)
            case {"Fn::Or": list(inner)}:
                return _joined(map(self.condition, inner), decisive=True)
            case {"Fn::Equals": [left, right]}:
                pair = [self.value(left), self.value(right)]
                found = unknown(pair)
                return Unknown(found.why, {"Fn::Equals": rest(pair)}) if found else text(pair[0]) == text(pair[1])
        return Unknown(f"{expression} is no condition", expression)

    def _function(self, name: str, argument: Any) -> Any:
        match name, argument:
            case "Ref", "AWS::NoValue":
                return NOTHING
            case "Ref", str():
                return self._named(argument, {name: argument})
            case "Fn::GetAtt", [str(resource), attribute]:
                path = self.value(attribute)
                return self._named(f"{resource}.{path}", {name: argument}) if isinstance(path, str) else path
            case "Fn::GetAtt", str():
                return self._named(argument, {name: argument})
            case "Fn::Sub", str(pattern) | [str(pattern)]:
                return self._sub(pattern, {})
            case "Fn::Sub", [str(pattern), dict(given)]:
                return self._sub(pattern, given)
            case "Fn::If", [str(condition), then, otherwise]:
                held = self.condition({"Condition": condition})
                if isinstance(held, Unknown):
                    return Unknown(held.why, {name: [condition, rest(self._branch(then)), rest(self._branch(otherwise))]})
                return self.value(then if held else otherwise)
        known = self.value(argument)
        found = unknown(known)
        if found is not None:
            return Unknown(found.why, {name: rest(known)})
        try:
            return self._computed(name, known)
        except (LookupError, TypeError, ValueError) as error:
            return Unknown(f"{name} has no answer: {error}", {name: known})

    def _computed(self, name: str, known: Any) -> Any:
        match name, known:
            case "Fn::Join", [str(separator), list(parts)]:
                return separator.join(map(text, parts))
            case "Fn::Split", [str(separator), str(whole)]:
                return self.split(whole, separator)
            case "Fn::Select", [index, list() | Parts() as parts]:
                return parts[int(index)]
            case "Fn::Select", [index, str(whole)]:  # a list parameter, as text
                return self._computed(name, [index, self.split(whole, ",")])
            case "Fn::FindInMap", [first, second, third, *_]:
                return self.template.get("Mappings", {})[first][second][third]
            case "Fn::Cidr", [str(block), count, bits]:
                return _cidr(block, int(count), int(bits))
            case "Fn::Base64", str():
                return base64.b64encode(known.encode()).decode()
        return Unknown(f"{name} is not known outside its stack", {name: known})  # Fn::ImportValue, Fn::GetAZs, Fn::Transform

    def _named(self, name: str, written: Any) -> Any:
        found = self.lookup(name)
        return Unknown(found.why, written if found.rest is None else found.rest) if isinstance(found, Unknown) else found

    def _branch(self, value: Any) -> Any:
        found = self.value(value)
        return {"Ref": "AWS::NoValue"} if found is NOTHING else found

    def _sub(self, pattern: str, given: Mapping[str, Any]) -> Any:
        values: dict[str, Any] = {}
        for name in map(str.strip, VARIABLE.findall(pattern)):
            values[name] = self.value(given[name]) if name in given else self._named(name, None)
        found = unknown(list(values.values()))
        if found is None:
            filled = VARIABLE.sub(lambda match: text(values[match[1].strip()]), pattern)
            return _LITERAL.sub(r"${\1}", filled)
        open_ = {name for name, each in values.items() if unknown(each)}
        left = VARIABLE.sub(lambda match: match[0] if match[1].strip() in open_ else text(values[match[1].strip()]), pattern)
        kept = {name: rest(values[name]) for name in open_ if rest(values[name]) is not None}
        return Unknown(found.why, {"Fn::Sub": [left, kept] if kept else left})


def _joined(conditions: Iterator[bool | Unknown], *, decisive: bool) -> bool | Unknown:
    """What several conditions come to, of which one such answer decides."""
    answers: Sequence[bool | Unknown] = list(conditions)
    if any(answer is decisive for answer in answers):
        return decisive
    return next((answer for answer in answers if isinstance(answer, Unknown)), not decisive)


def _cidr(block: str, count: int, bits: int) -> list[str]:
    network = ipaddress.ip_network(block)
    subnets = network.subnets(new_prefix=network.max_prefixlen - bits)
    return [str(subnet) for subnet, _ in zip(subnets, range(count), strict=False)]
