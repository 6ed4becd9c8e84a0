"""Parameter files, checked against the templates' own constraints before anything is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from chain.environment.templates import Template, suggestion
from model import SUFFIX, Site, read

SUFFIX_LENGTH = range(2, 17)  # characters; two below the tightest AWS limit that a resource name meets
DEFAULT = "default"  # the file with the values of all environments
FIXED_TAGS = ("System", "Layer", "Site", "Environment")
TAG_TEXT = re.compile(r"[\w\s.:/=+\-@]*")  # what every service accepts, see "Tag naming limits and requirements"
MOST_TAGS = 50 - len(FIXED_TAGS)  # CloudFormation's limit for a stack


@dataclass(frozen=True)
class Value:
    """One answer: its text as CloudFormation takes it, and the file that it stands in."""

    text: str
    file: str


@dataclass(frozen=True)
class Values:
    """What a system's parameter files say: blocks named ``layer`` or ``site:layer``, and tags."""

    suffix: str
    blocks: Mapping[str, Mapping[str, Value]]
    tags: Mapping[str, str]
    final_snapshot: bool = False  # whether destroy keeps a last snapshot of each database
    protected: bool = False  # whether stacks that hold data are protected against termination

    def of(self, layer: str, site: Site) -> Mapping[str, Value]:
        """The answers for a layer at a site: its own block, the site's laid over it."""
        return {**self.blocks.get(layer, {}), **self.blocks.get(f"{site}:{layer}", {})}


def check_suffix(suffix: str) -> list[str]:
    """What is wrong with an environment's suffix."""
    if suffix == DEFAULT:
        return [f"{suffix!r} is no environment suffix: {DEFAULT}.yaml is what lies beneath the file of every environment"]
    if SUFFIX.fullmatch(suffix) and len(suffix) in SUFFIX_LENGTH:
        return []
    return [f"{suffix!r} is no environment suffix: 2 to 16 lower-case letters and digits, single hyphens between them"]


def load(folder: Path, system: str, templates: Sequence[Template], suffix: str) -> tuple[Values, list[str]]:
    """Read ``default.yaml`` and ``<suffix>.yaml``, which is laid over it block by block, name by name."""
    known = {template.layer: template for template in templates}
    blocks: dict[str, dict[str, Value]] = {}
    tags: dict[str, str] = {}
    problems: list[str] = []
    final = False
    protected = False
    for name in (DEFAULT, suffix):
        path = folder / system / f"{name}.yaml"
        if not path.exists():
            continue
        file = f"{folder.name}/{system}/{name}.yaml"
        try:
            text = path.read_text("utf-8")
            content: Any = read(text)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            problems.append(f"{file}: not YAML: {' '.join(str(error).split())}")
            continue
        problems += [f"{file}: {problem}" for problem in _twice(yaml.compose(text, Loader=yaml.CSafeLoader))]
        if not isinstance(content, dict):
            problems.append(f"{file}: holds no blocks; write one per layer, such as `{next(iter(known))}:` with names below it")
            continue
        for block, answers in content.items():
            if block == "protected":
                protected = answers is True
                if not isinstance(answers, bool):
                    problems.append(f"{file}: protected is {answers!r}; it is true or false")
                elif name == DEFAULT:
                    problems.append(f"{file}: protected belongs to an environment: write it into {suffix}.yaml")
                continue
            if block == "tags":
                problems += [f"{file}: {problem}" for problem in _tag_problems(answers)]
                tags |= {str(key): _scalar(value) for key, value in answers.items()} if isinstance(answers, dict) else {}
                continue
            if block == "finalSnapshot":
                final = answers is True
                problems += [] if isinstance(answers, bool) else [f"{file}: finalSnapshot is {answers!r}; it is true or false"]
                continue
            template, wrong = _layer(str(block), known)
            if template is None:
                problems.append(f"{file}: {wrong}")
            elif not isinstance(answers, dict):
                problems.append(f"{file}: {block} holds no names; write `name: value` below it")
            else:
                texts, wrongs = _block(str(block), answers, template, file)
                problems += wrongs
                blocks.setdefault(str(block), {}).update(texts)
    return Values(suffix, blocks, tags, final_snapshot=final, protected=protected), problems


def _twice(node: Any, path: str = "") -> Iterator[str]:
    """Names that stand twice in a block: whoever reads YAML takes the last, and says nothing."""
    seen = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{path}{key.value}"
        if name in seen:
            yield f"{name} stands twice, the second time in line {key.start_mark.line + 1}; only that would count: keep one"
        seen.add(name)
        yield from _twice(value, f"{name}.")


def _layer(block: str, known: Mapping[str, Template]) -> tuple[Template | None, str]:
    site, _, layer = block.rpartition(":")
    template = known.get(layer)
    if template is None:
        return None, f"{block} is no layer; there are: {', '.join(known)}{suggestion(layer, list(known))}"
    if site and site not in template.sites:
        return None, f"{block}: {layer} does not stand at {site!r}; it stands at: {', '.join(template.sites)}"
    return template, ""


def _block(block: str, answers: Mapping[Any, Any], template: Template, file: str) -> tuple[dict[str, Value], list[str]]:
    texts: dict[str, Value] = {}
    problems = []
    for name, value in answers.items():
        declared = template.parameters.get(name)
        if declared is None:
            problems.append(f"{file}: {block}.{name} is no parameter{suggestion(name, list(template.parameters))}")
        elif name == "EnvironmentSuffix":
            problems.append(f"{file}: {block}.{name} never stands in a file; it is given as ENV")
        else:
            problems += [f"{file}: {block}.{name} {problem}" for problem in check(declared, value)]
            texts[name] = Value(text_of(value), file)
    return texts, problems


def text_of(value: Any) -> str:
    """A value as CloudFormation takes it: lists joined by commas, booleans in lower case."""
    return ",".join(_scalar(item) for item in value) if isinstance(value, list) else _scalar(value)


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_list(type_: str) -> bool:
    """Whether a parameter of this type is a list, written with commas."""
    return type_ == "CommaDelimitedList" or "List<" in type_


def check(declared: Mapping[str, Any], value: Any) -> Iterator[str]:
    """What a parameter's own declaration says against a value; each problem continues the name of the parameter."""
    type_: str = declared["Type"]
    if value is None:
        yield "has no value; leave the line out to use the default"
        return
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value)):
        yield "is a mapping or a nested list; a parameter takes one value or a plain list"
        return
    if isinstance(value, list) and not is_list(type_):
        yield f"is a list, but its type is {type_}: give one value"
        return
    text = text_of(value)
    for item in text.split(",") if is_list(type_) else [text]:
        yield from _check_one(declared, item.strip() if is_list(type_) else item)


def _check_one(declared: Mapping[str, Any], text: str) -> Iterator[str]:
    type_: str = declared["Type"]
    shown = "(hidden)" if declared.get("NoEcho") else repr(text)
    why = f": {declared['ConstraintDescription']}" if "ConstraintDescription" in declared else ""
    allowed = [_scalar(item) for item in declared.get("AllowedValues", ())]
    if allowed and text not in allowed:
        yield f"is {shown}; allowed: {', '.join(allowed)}"
    if type_ in ("Number", "List<Number>"):
        number = _number(text)
        if not number.is_finite():
            yield f"is {shown}, which is no number"
            return
        if "MinValue" in declared and number < Decimal(str(declared["MinValue"])):
            yield f"is {shown}; it must be at least {declared['MinValue']}{why}"
        if "MaxValue" in declared and number > Decimal(str(declared["MaxValue"])):
            yield f"is {shown}; it must be at most {declared['MaxValue']}{why}"
        return
    pattern = declared.get("AllowedPattern")
    # CloudFormation matches the whole value, whether or not the pattern is anchored.
    if pattern is not None and not re.fullmatch(pattern, text):
        yield f"is {shown}, which does not match {pattern}{why}"
    if type_ == "String":
        if len(text) < int(declared.get("MinLength", 0)):
            yield f"is {shown}; it must have at least {declared['MinLength']} characters{why}"
        if "MaxLength" in declared and len(text) > int(declared["MaxLength"]):
            yield f"is {shown}; it must have at most {declared['MaxLength']} characters{why}"


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _tag_problems(tags: Any) -> Iterator[str]:
    if not isinstance(tags, dict):
        yield "tags holds no names; write `name: value` below it"
        return
    if len(tags) > MOST_TAGS:
        yield f"tags holds {len(tags)} tags; a stack takes {MOST_TAGS} besides {', '.join(FIXED_TAGS)}"
    for key, value in tags.items():
        name = str(key)
        if name in FIXED_TAGS:
            yield f"tags.{name} is given by the chain itself"
        elif name.lower().startswith("aws:") or not 1 <= len(name) <= 128 or not TAG_TEXT.fullmatch(name):
            yield f"tags: {name!r} is no tag name: up to 128 letters, digits, spaces and . : / = + - @ _, not beginning with aws:"
        if value is None or isinstance(value, dict | list):
            yield f"tags.{name} takes one value"
        elif len(_scalar(value)) > 256 or not TAG_TEXT.fullmatch(_scalar(value)):
            yield f"tags.{name} is {value!r}; a tag holds up to 256 letters, digits, spaces and . : / = + - @ _"
