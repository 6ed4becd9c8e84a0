"""The graph of stacks: which there are, and which must stand before which."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from chain.environment import parameters, templates
from chain.environment.exit_codes import InputError
from chain.environment.parameters import Value, Values, text_of
from chain.environment.templates import Template, suggestion
from model import Site, address
from model.resource_types import resource_type

Outputs = Mapping[str, Mapping[str, str]]
"""The outputs of stacks, by the stack's id."""

ZONE = re.compile(r"Zone[A-Z](Id)?")
"""Parameters that take the id of an Availability Zone."""

ARTIFACTS, BUCKET = "artifacts", "BucketName"
"""The layer and output that say where function packages go."""


@dataclass(frozen=True)
class Wire:
    """An output of an earlier stack that answers a parameter."""

    stack: str  # its id
    output: str
    address: str  # as the template writes it


@dataclass(frozen=True, eq=False)
class Stack:
    """A layer at a site in an environment."""

    template: Template
    site: Site
    suffix: str
    values: Mapping[str, str]
    wires: Mapping[str, Wire]
    tags: Mapping[str, str]
    artifacts: str = ""  # id of the stack whose bucket takes its packages
    protected: bool = False  # whether its environment is

    @property
    def is_protected(self) -> bool:
        """Whether it holds data in an environment that is protected against termination."""
        return self.protected and any(resource_type(each["Type"]).holds_data for each in self.template.resources.values())

    @property
    def name(self) -> str:
        """Its name in CloudFormation."""
        return stack_name(self.template, self.suffix)

    @property
    def region(self) -> str:
        """Where it stands."""
        return self.template.sites[self.site]

    @property
    def id(self) -> str:
        """Region and name, for one layer may stand at two sites."""
        return f"{self.region}/{self.name}"

    def parameters(self, outputs: Outputs) -> tuple[dict[str, str], list[str]]:
        """The answer to every parameter that can be given now, and the addresses that are not known yet."""
        answers = dict(self.values)
        unknown = []
        for name, wire in self.wires.items():
            if wire.output in outputs.get(wire.stack, {}):
                answers[name] = outputs[wire.stack][wire.output]
            else:
                unknown.append(wire.address)
        return answers, unknown


@dataclass(frozen=True)
class LeftOut:
    """A stack that is none of a graph's although its template is there, and why."""

    stack: str  # its id
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, eq=False)
class Graph:
    """Stacks in an order in which they could be made one by one; ``after`` maps each id to the ids that it waits for."""

    stacks: tuple[Stack, ...]
    after: Mapping[str, Collection[str]]
    left_out: tuple[LeftOut, ...] = ()

    def __getitem__(self, id_: str) -> Stack:
        return next(stack for stack in self.stacks if stack.id == id_)

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region that a stack stands in."""
        return tuple(sorted({stack.region for stack in self.stacks}))


def stack_name(template: Template, suffix: str) -> str:
    """The name of a layer's stack in an environment."""
    return f"{template.system}-{template.layer}-{suffix}"


def open_environment(root: Path, suffix: str, systems: Sequence[str] = ()) -> Graph:
    """Read templates and parameter files below ``root`` into one graph; refuse with everything that is wrong at once."""
    problems = parameters.check_suffix(suffix)
    loaded = templates.load(root / "templates", systems)
    stacks: list[Stack] = []
    left_out: list[LeftOut] = []
    for system in dict.fromkeys(template.system for template in loaded):
        own = [template for template in loaded if template.system == system]
        values, wrong = parameters.load(root / "parameters", system, own, suffix)
        made, out, unmet = _system(own, values)
        stacks += made
        left_out += out
        problems += wrong + unmet
    if problems:
        raise InputError(problems)
    return _graph(stacks, left_out)


def _graph(stacks: Sequence[Stack], left_out: Sequence[LeftOut]) -> Graph:
    after = {stack.id: {wire.stack for wire in stack.wires.values()} | ({stack.artifacts} - {""}) for stack in stacks}
    try:
        order = list(TopologicalSorter(after).static_order())
    except CycleError as error:
        raise InputError([f"these stacks wait for each other in a circle: {' -> '.join(reversed(error.args[1]))}"]) from error
    return Graph(
        tuple(sorted(stacks, key=lambda stack: order.index(stack.id))), {id_: after[id_] for id_ in order}, tuple(left_out)
    )


def _system(own: Sequence[Template], values: Values) -> tuple[list[Stack], list[LeftOut], list[str]]:
    """The stacks of one system, what is left out, and what is missing."""
    layers = {template.layer: template for template in own}
    problems: list[str] = []
    candidates = {}
    for template in own:
        for site in template.sites:
            given = values.of(template.layer, site)
            wires = dict(_wires(template, site, given, layers, values.suffix, problems))
            candidates[template.layer, site] = (template, given, wires)
    ids = {f"{template.sites[site]}/{stack_name(template, values.suffix)}": (layer, site)
           for (layer, site), (template, _, _) in candidates.items()}  # fmt: skip
    wanted = [key for key, (template, _, _) in candidates.items() if not template.optional]
    for layer, site in wanted:  # grows while it is read: what a wanted stack is wired to is wanted too, and what goes with it
        fed_by = dict.fromkeys(ids[wire.stack] for wire in candidates[layer, site][2].values())
        beside = [key for key, (template, _, _) in candidates.items() if template.optional == layer and key[1] == site]
        wanted += [key for key in (*fed_by, *beside) if key not in wanted]
    problems += _half_answered(own, candidates, values.suffix)
    stacks = []
    for (layer, site), (template, given, wires) in candidates.items():
        if (layer, site) not in wanted:
            continue
        artifacts = ""
        if template.packages:
            home = layers.get(ARTIFACTS)
            if home is None or site not in home.sites:
                problems.append(
                    f"templates/{template.system}/{layer}.yaml names packages, but no {ARTIFACTS} layer stands at {site}"
                )
            else:
                artifacts = f"{home.sites[site]}/{stack_name(home, values.suffix)}"
        problems += _missing(template, site, given, wires, values.suffix)
        problems += _one_zone_twice(template, site, given, values.suffix)
        stacks.append(
            Stack(
                template=template,
                site=site,
                suffix=values.suffix,
                values={**_answers(template, values.suffix), **{name: value.text for name, value in given.items()}},
                wires=wires,
                tags={**values.tags, "System": template.system, "Layer": layer, "Site": site, "Environment": values.suffix},
                artifacts=artifacts,
                protected=values.protected,
            )
        )
    left_out = [
        LeftOut(
            f"{template.sites[site]}/{stack_name(template, values.suffix)}",
            f"{stack_name(template, values.suffix)} at {site}: optional, and "
            + ("nothing here is wired to it" if template.optional is True else f"{template.optional} is left out too"),
        )
        for (layer, site), (template, _, _) in candidates.items()
        if (layer, site) not in wanted
    ]
    return stacks, left_out, list(dict.fromkeys(problems))


def _wires(
    template: Template,
    site: Site,
    given: Mapping[str, Value],
    layers: Mapping[str, Template],
    suffix: str,
    problems: list[str],
) -> Iterator[tuple[str, Wire]]:
    """The imports that no value answers, as wires."""
    for name, wire in template.imports.items():
        if name in given:
            continue
        place, layer, output = address(site, wire)
        source = layers.get(layer)
        where = f"templates/{template.system}/{template.layer}.yaml: {name} is wired to {wire}"
        if source is None:
            problems.append(f"{where}, but {layer} is no layer{suggestion(layer, list(layers))}")
        elif place not in source.sites:
            problems.append(f"{where}, but {layer} does not stand at {place}")
        elif output not in source.document.get("Outputs", {}):
            problems.append(f"{where}, which is no output; there are: {', '.join(source.document.get('Outputs', {}))}")
        else:
            yield name, Wire(f"{source.sites[place]}/{stack_name(source, suffix)}", output, f"{place}:{layer}.{output}")


def _half_answered(
    own: Sequence[Template], candidates: Mapping[tuple[str, Site], tuple[Template, Mapping[str, object], object]], suffix: str
) -> Iterator[str]:
    """What another site's optional layers would give is given by the environment, or by them: a half of it would be a part of
    them without the rest."""
    optional = {template.layer for template in own if template.optional}
    asked: dict[Site, dict[str, bool]] = {}
    for (layer, site), (template, given, _) in candidates.items():
        for name, wire in template.imports.items():
            place, source, _ = address(site, wire)
            if place != site and source in optional:
                asked.setdefault(place, {})[f"{layer}.{name}"] = name in given
    for place, answers in asked.items():
        if len(set(answers.values())) > 1:
            told = [", ".join(name for name, answered in answers.items() if answered is wanted) for wanted in (True, False)]
            yield (
                f"parameters/{own[0].system}/{suffix}.yaml answers {told[0]}, and not {told[1]}: both come from optional layers "
                f"at {place}, which are left out as a whole or not at all; answer all of them, or none"
            )


def _answers(template: Template, suffix: str) -> dict[str, str]:
    """What needs no answer from a file: the suffix and the defaults. They are sent too, so that nothing is implied."""
    defaults = {name: text_of(declared["Default"]) for name, declared in template.parameters.items() if "Default" in declared}
    return {**defaults, "EnvironmentSuffix": suffix} if "EnvironmentSuffix" in template.parameters else defaults


def _one_zone_twice(template: Template, site: Site, given: Mapping[str, Value], suffix: str) -> Iterator[str]:
    """Zones that are one and the same: each template lints, AWS makes it, and the loss of one zone takes two."""
    seen: dict[str, str] = {}
    for name, text in {**_answers(template, suffix), **{name: value.text for name, value in given.items()}}.items():
        if not ZONE.fullmatch(name):
            continue
        if text in seen:
            yield (
                f"parameters/{template.system}/{suffix}.yaml: {_block(template, site)}.{seen[text]} and {name} are both {text};"
                " name different zones, or what should outlive the loss of one does not"
            )
        seen.setdefault(text, name)


def _block(template: Template, site: Site) -> str:
    """How a parameter file names a layer at a site."""
    return template.layer if len(template.sites) == 1 else f"{site}:{template.layer}"


def _missing(template: Template, site: Site, given: Mapping[str, Value], wires: Mapping[str, Wire], suffix: str) -> Iterator[str]:
    for name, declared in template.parameters.items():
        if name in given or name in wires or name in template.imports or name in _answers(template, suffix):
            continue
        purpose = f" ({declared['Description'].rstrip('.')})" if "Description" in declared else ""
        yield f"parameters/{template.system}/{suffix}.yaml: {_block(template, site)}.{name} is missing{purpose}"
