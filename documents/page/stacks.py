"""The chain as a picture: every stack, in columns of those that can be made at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from documents.page.markup import Html, joined, row, swatch, table, tag
from documents.page.source_listing import Sources
from model import Document, System
from model.architecture import Stack, fed_by

WIDE, HIGH, ACROSS, DOWN = 188, 30, 54, 40
"""Pixels: a stack's width and height, between columns, and from one stack to the next."""

NARROW = 900
"""Pixels: a wider picture shrinks to this, and is then scrolled."""


@dataclass(frozen=True)
class Chain:
    """Stacks in columns; ``after`` has what each waits for."""

    columns: tuple[tuple[Stack, ...], ...]
    after: Mapping[Stack, frozenset[Stack]]

    @property
    def needed(self) -> Mapping[Stack, frozenset[Stack]]:
        """What each stack waits for and none of the others that it waits for does already: the lines that are drawn."""
        behind: dict[Stack, frozenset[Stack]] = {}
        for column in self.columns:
            for stack in column:
                behind[stack] = self.after[stack].union(*(behind[one] for one in self.after[stack]))
        return {
            stack: frozenset(one for one in waits if not any(one in behind[other] for other in waits))
            for stack, waits in self.after.items()
        }


def chain(documents: Mapping[str, Document]) -> Chain:
    """The stacks of a system, and the wires between them, as the templates' Metadata has them."""
    after = {stack: frozenset(waits) for stack, waits in fed_by(documents).items()}
    columns: list[tuple[Stack, ...]] = []
    done: set[Stack] = set()
    while len(done) < len(after):  # the build has refused circles
        ready = tuple(stack for stack, waits in after.items() if stack not in done and waits <= done)
        columns.append(ready)
        done.update(ready)
    return Chain(tuple(columns), after)


def graph(system: System, documents: Mapping[str, Document], sources: Sources) -> Html:
    """The picture, and the same as a table."""
    found = chain(documents)
    places = _places(found)
    height = max(y for _, y in places.values()) + HIGH + 2
    width = len(found.columns) * (WIDE + ACROSS) - ACROSS + 2
    lines = [_line(places, one, stack) for stack, waits in found.needed.items() for one in sorted(waits)]
    heads = [
        tag("text", {"class": "label", "x": index * (WIDE + ACROSS) + 1, "y": 14}, f"level {index + 1}")
        for index in range(len(found.columns))
    ]
    boxes = [_box(system, sources, stack, places[stack], documents[stack[1]]) for stack in places]
    said = f"The chain of {system.title}: {len(places)} stacks in {len(found.columns)} levels. The table below says the same."
    svg = tag(
        "svg",
        {
            "viewBox": f"0 0 {width:g} {height:g}",
            "role": "group",
            "aria-label": said,
            "class": "chain",
            "style": f"max-width:{width:g}px;min-width:{min(width, NARROW):g}px",
        },
        tag("g", {"class": "lines"}, *lines),
        *heads,
        *boxes,
    )
    frame = {"class": "wide figure", "tabindex": 0, "role": "region", "aria-label": f"Chain of {system.title}"}
    sites = [tag("li", None, swatch(f"site-{site}"), f" {region}, {site} site") for site, region in system.regions.items()]
    optional = [tag("li", None, "dashed: optional")] if any(_optional(document) for document in documents.values()) else []
    colours = (
        tag("ul", {"class": "legend", "aria-label": "Colours of the stacks"}, *sites, *optional) if len(sites) > 1 else Html("")
    )
    return joined([colours, tag("div", frame, svg), _table(system, documents, sources, found)])


def _places(found: Chain) -> dict[Stack, tuple[float, float]]:
    """Where each stack is drawn: in its column, near to what it waits for."""
    places: dict[Stack, tuple[float, float]] = {}
    most = max(map(len, found.columns))
    for index, column in enumerate(found.columns):

        def height(stack: Stack) -> float:
            waits = [places[one][1] for one in found.needed[stack]]
            return sum(waits) / len(waits) if waits else 0.0

        top = 28 + (most - len(column)) * DOWN / 2 * 0.6
        for number, stack in enumerate(sorted(column, key=lambda one: (height(one), one))):
            places[stack] = (index * (WIDE + ACROSS) + 1, top + number * DOWN)
    return places


def _line(places: Mapping[Stack, tuple[float, float]], start: Stack, end: Stack) -> Html:
    (x, y), (to_x, to_y) = ((x, y + HIGH / 2) for x, y in (places[start], places[end]))
    x += WIDE
    bend = min(ACROSS, to_x - x) / 2
    route = f"M{x:g} {y:g}C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"
    return tag("path", {"data-from": ":".join(start), "data-to": ":".join(end), "d": route})


def _box(system: System, sources: Sources, stack: Stack, place: tuple[float, float], document: Document) -> Html:
    site, layer = stack
    optional = _optional(document)
    said = f"{layer} at {site}, {system.regions[site]}{', optional' if optional else ''}"
    kind = f"stack {site}{' optional' if optional else ''}"
    return tag(
        "a",
        {"href": sources.at(system, layer, "Template", "Metadata.Layer"), "aria-label": said, "data-stack": ":".join(stack)},
        tag("title", None, said),
        tag("rect", {"class": kind, "x": f"{place[0]:g}", "y": f"{place[1]:g}", "width": WIDE, "height": HIGH, "rx": 6}),
        tag("text", {"class": "name", "x": f"{place[0] + 10:g}", "y": f"{place[1] + 19:g}"}, layer),
    )


def _optional(document: Document) -> bool:
    return bool(document["Metadata"]["Layer"].get("Optional"))


def _table(system: System, documents: Mapping[str, Document], sources: Sources, found: Chain) -> Html:
    rows = []
    for level, column in enumerate(found.columns, 1):
        for site, layer in column:
            link = sources.link(system, layer, "Template", "Metadata.Layer.Imports", layer)
            purpose = str(documents[layer].get("Description", "")).partition(": ")[2]
            waits = ", ".join(name if place == site else f"{place}:{name}" for place, name in sorted(found.after[site, layer]))
            rows.append(
                row(link, system.regions[site], str(level), purpose, str(len(documents[layer]["Resources"])), waits or "–")
            )
    head = ("stack", "region", "level", "what it is", "resources", "waits for")
    inner = table(head, rows, f"Stacks of {system.title}")
    return tag("details", {"class": "also"}, tag("summary", None, "The stacks as a table"), inner)
