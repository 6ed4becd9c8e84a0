"""OSCAL 1.2: what was found, for tools that read it: the catalogues by id and title, and of each system a component
definition and a fragment of a security plan.

A component is a layer. Every identifier is made of names (RFC 4122, version 5), so that the same build gives the same bytes;
OSCAL wants to know when a document was last modified, and the repository's history knows it better than a build.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from compliance.catalogues import catalogues
from compliance.profiles import Control, Status, status
from documents.matrix import Judged
from model import Finding, Profile, System
from model.line_numbers import Lines

OSCAL_VERSION = "1.2.1"
NAMES = "urn:standby:compliance"
UNDATED = "1970-01-01T00:00:00+00:00"
DEFINITION = "component-definition.json"

STATES = {True: "partial", False: "alternative"}
"""OSCAL's words for whether evidence was met. A property shows part of a control: nothing here is ever ``implemented``."""


def documents(judged: Judged, texts: Mapping[str, str]) -> dict[str, str]:
    """Each document by its name below ``out/evidence``: catalogues beside the systems' folders, since systems may share one."""
    lines = Lines(texts)
    plans = {f"{system.name}/ssp.json": _text(_plan(system, found, lines)) for system, found in judged}
    components = {f"{system.name}/{DEFINITION}": _text(_definition(system, found, lines)) for system, found in judged}
    profiles = dict.fromkeys(system.profile for system, _ in judged)
    catalogs = {f"{profile.name}-catalog.json": _text(_catalog(profile)) for profile in profiles}
    return catalogs | components | plans


def control_id(profile: Profile, found: str) -> str:
    """A control's id as OSCAL writes it: ``ac-2.1`` for AC-2(1), and a token that begins with a letter for any other."""
    plain = re.sub(r"\(([^)]*)\)", r".\1", found).lower()
    return plain if plain[0].isalpha() else f"{profile.name}-{plain}"


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _id(*names: str) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join((NAMES, *names))))


def _metadata(title: str) -> dict[str, Any]:
    return {
        "title": title,
        "last-modified": UNDATED,
        "version": "rendered",
        "oscal-version": OSCAL_VERSION,
        "roles": [{"id": "deployer", "title": "Whoever deploys"}],
        "remarks": "Rendered by `make evidence` from templates/: the repository's history says when it was last modified.",
    }


def _source(profile: Profile, folder: str = "") -> dict[str, Any]:
    return {
        "uuid": _id("source", profile.name),
        "title": profile.title,
        "citation": {"text": profile.source},
        "rlinks": [{"href": f"{folder}{profile.name}-catalog.json", "media-type": "application/oscal.catalog+json"}],
    }


def _catalog(profile: Profile) -> dict[str, Any]:
    """A catalogue as far as plans refer to it: ids and titles. The text of the controls is their author's."""
    return {
        "catalog": {
            "uuid": _id("catalog", profile.name),
            "metadata": _metadata(f"{profile.title}: ids and titles"),
            "controls": [
                {"id": control_id(profile, control.id), "title": control.title, "props": [{"name": "label", "value": control.id}]}
                for control in catalogues()[profile.name]
            ],
            "back-matter": {"resources": [{**_source(profile), "uuid": _id("catalog", profile.name, "source")}]},
        }
    }


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": NAMES, "value": value}


def _of_layer(layer: str, found: Sequence[Finding], control: str) -> list[Finding]:
    return [one for one in found if one.layer == layer and control in one.controls]


def _layers(system: System, found: Sequence[Finding]) -> list[str]:
    """The layers on which something was found for the system's own catalogue, in the order of the system."""
    shown = {one.layer for one in found for control in catalogues()[system.profile.name] if control.id in one.controls}
    return [layer.name for layer in system.layers if layer.name in shown]


def _said(system: System, own: Sequence[Finding], lines: Lines) -> dict[str, Any]:
    """The description of what was found, a link to each line, and the reason of each deviation."""
    sentences = [f"{one.resource}: {one.rule.statement}" if one.met else _differs(one) for one in own]
    places = [lines.at(system, one.layer, one.resource, one.property) for one in own]
    return {
        "description": " ".join(dict.fromkeys(sentences)),
        "links": [{"href": f"../../../{name}#L{line}", "rel": "evidence"} for name, line in dict.fromkeys(places)],
    }


def _differs(one: Finding) -> str:
    reason = one.deviation.reason if one.deviation else ""
    return f"{one.resource} deviates from {one.rule.id}. {reason}".rstrip()


def _definition(system: System, found: Sequence[Finding], lines: Lines) -> dict[str, Any]:
    return {
        "component-definition": {
            "uuid": _id(DEFINITION, system.name),
            "metadata": _metadata(f"Layers of {system.name}, and the controls that they are evidence for"),
            "components": [_component(system, layer, found, lines) for layer in _layers(system, found)],
            "back-matter": {"resources": [_source(system.profile, "../")]},
        }
    }


def _component(system: System, layer: str, found: Sequence[Finding], lines: Lines) -> dict[str, Any]:
    profile = system.profile
    requirements = []
    for control in catalogues()[profile.name]:
        own = _of_layer(layer, found, control.id)
        if own:
            stands = Status.EVIDENCED if all(one.met for one in own) else Status.DEVIATION
            requirements.append(
                {
                    "uuid": _id("component", system.name, layer, profile.name, control.id),
                    "control-id": control_id(profile, control.id),
                    "props": [_prop("status", stands)],
                    **_said(system, own, lines),
                }
            )
    return {
        "uuid": _id("component", system.name, layer),
        "type": "software",
        "title": f"{system.name} {layer}",
        "description": f"The layer {layer} of {system.name}: templates/{system.name}/{layer}.yaml.",
        "control-implementations": [
            {
                "uuid": _id("component", system.name, layer, profile.name),
                "source": f"#{_id('source', profile.name)}",
                "description": f"What the layer's template shows of {profile.title}.",
                "implemented-requirements": requirements,
            }
        ],
    }


def _plan(system: System, found: Sequence[Finding], lines: Lines) -> dict[str, Any]:
    profile, layers = system.profile, _layers(system, found)
    where = ", ".join(f"{region} ({site})" for site, region in system.regions.items())
    return {
        "system-security-plan": {
            "uuid": _id("plan", system.name),
            "metadata": _metadata(f"{system.name}: fragment of a system security plan, {profile.title}"),
            "import-profile": {"href": f"../{profile.name}-catalog.json"},
            "system-characteristics": {
                "system-ids": [{"id": f"{NAMES}:{system.name}"}],
                "system-name": system.name,
                "description": f"{system.title}. It serves {system.serves}.",
                "system-information": {
                    "information-types": [
                        {
                            "uuid": _id("information", system.name),
                            "title": "To be categorised",
                            "description": "What the system holds is categorised by its owner; templates do not know it.",
                        }
                    ]
                },
                "status": {"state": "under-development"},
                "authorization-boundary": {"description": f"The stacks of templates/{system.name} in {where}."},
            },
            "system-implementation": {
                "users": [{"uuid": _id("user", system.name), "title": "Whoever deploys", "role-ids": ["deployer"]}],
                "components": [_this(system), *(_deployed(system, layer) for layer in layers)],
            },
            "control-implementation": {
                "description": "Every control of the catalogue: by layer where templates are evidence, else by who answers it.",
                "implemented-requirements": [
                    _requirement(system, control, layers, found, lines) for control in catalogues()[profile.name]
                ],
            },
            "back-matter": {"resources": [_source(profile, "../")]},
        }
    }


def _this(system: System) -> dict[str, Any]:
    return {
        "uuid": _id("this", system.name),
        "type": "this-system",
        "title": system.name,
        "description": f"{system.name} as a whole, its owner and what it rests on.",
        "status": {"state": "under-development"},
    }


def _deployed(system: System, layer: str) -> dict[str, Any]:
    return {
        "uuid": _id("component", system.name, layer),
        "type": "software",
        "title": f"{system.name} {layer}",
        "description": f"The layer {layer}: templates/{system.name}/{layer}.yaml.",
        "status": {"state": "under-development"},
    }


def _requirement(
    system: System, control: Control, layers: Sequence[str], found: Sequence[Finding], lines: Lines
) -> dict[str, Any]:
    return {
        "uuid": _id("plan", system.name, control.id),
        "control-id": control_id(system.profile, control.id),
        "props": [_prop("status", status(control, found))],
        "by-components": list(_by_component(system, control, layers, found, lines)) or [_elsewhere(system, control)],
    }


def _by_component(
    system: System, control: Control, layers: Sequence[str], found: Sequence[Finding], lines: Lines
) -> Iterator[dict[str, Any]]:
    for layer in layers:
        own = _of_layer(layer, found, control.id)
        if own:
            yield {
                "component-uuid": _id("component", system.name, layer),
                "uuid": _id("plan", system.name, control.id, layer),
                **_said(system, own, lines),
                "implementation-status": {"state": STATES[all(one.met for one in own)]},
            }


def _elsewhere(system: System, control: Control) -> dict[str, Any]:
    """Who answers what no template shows; without a state, as OSCAL has no word for it that would not claim something."""
    return {
        "component-uuid": _id("this", system.name),
        "uuid": _id("plan", system.name, control.id, "elsewhere"),
        "description": control.elsewhere or "Nobody answers this yet.",
    }
