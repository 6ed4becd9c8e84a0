"""The committed templates, as the chain reads them: plain data with the wires that ``Metadata.Layer`` states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from chain.environment.exit_codes import InputError
from model import Document, Site, read


@dataclass(frozen=True, eq=False)
class Template:
    """One layer of a system. ``sites`` maps a site to its region, ``imports`` a parameter to the address of an output.

    An ``optional`` one stands while some stack is wired to it, or where the layer stands that it names.
    """

    system: str
    layer: str
    sites: Mapping[Site, str]
    imports: Mapping[str, str]
    packages: tuple[str, ...]
    optional: bool | str
    body: str
    document: Document

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """The declarations under ``Parameters``."""
        declared: Mapping[str, Mapping[str, Any]] = self.document.get("Parameters", {})
        return declared

    @property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        """The declarations under ``Resources``."""
        declared: Mapping[str, Mapping[str, Any]] = self.document["Resources"]
        return declared

    def has(self, type_: str) -> bool:
        """Whether a resource of this type is declared."""
        return any(resource["Type"] == type_ for resource in self.resources.values())


def parse(body: str) -> Template:
    """Read one rendered template."""
    document = read(body)
    layer, _ = document["Metadata"]["Layer"], document["Resources"]
    return Template(
        system=layer["System"],
        layer=layer["Name"],
        sites=layer["Sites"],
        imports=layer.get("Imports") or {},
        packages=tuple(layer.get("Packages") or ()),
        optional=layer.get("Optional", False),
        body=body,
        document=document,
    )


def load(folder: Path, systems: Sequence[str] = ()) -> tuple[Template, ...]:
    """The templates of the systems named, or of all that exist."""
    existing = sorted(path.name for path in folder.iterdir() if any(path.glob("*.yaml"))) if folder.is_dir() else []
    unknown = [name for name in systems if name not in existing]
    if unknown or not existing:
        problems = [f"{name} is no system; there are: {', '.join(existing)}{suggestion(name, existing)}" for name in unknown]
        raise InputError(problems or [f"{folder.name}/ holds no templates: run `make build`"])
    paths = [path for name in dict.fromkeys(systems or existing) for path in sorted((folder / name).glob("*.yaml"))]
    found = [_parsed(path, f"{folder.name}/{path.parent.name}/{path.name}") for path in paths]
    if wrong := [each for each in found if isinstance(each, str)]:
        raise InputError(wrong)
    return tuple(each for each in found if isinstance(each, Template))


def _parsed(path: Path, name: str) -> Template | str:
    """A template, or what is wrong with its file."""
    try:
        return parse(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return f"{name}: not YAML: {' '.join(str(error).split())}; run `make build`"
    except (KeyError, TypeError):
        return f"{name}: no template of ours, for it has no Resources or no Metadata.Layer; run `make build`"


def suggestion(name: str, known: Sequence[str]) -> str:
    """The nearest right name as the end of a sentence, or nothing."""
    near = get_close_matches(str(name), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
