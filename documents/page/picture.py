"""A system as a picture: regions, zones, subnets, what stands in them, which key encrypts it and where it is copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from documents.page.inventory import Subnet, Thing, World
from documents.page.markup import Html, escaped, joined, row, tag
from documents.page.source_listing import Sources
from documents.reachability import matrix
from model import Site, System
from model.architecture import LIVE, Address, Edge

ZONE, GAP, PAD = 182, 8, 14
"""Pixels: the width of a zone, between two of them, and within a frame."""

BAR, STEP = 40, 46
"""Pixels: the height of a thing, and from one to the next."""

GUTTER, TRACK = 44, 22
"""Pixels: between two regions, and for each copy from one to the other."""

NARROW = 900
"""Pixels: a wider picture shrinks to this, and is then scrolled."""

LETTER = 7.0
"""Pixels: as wide as a bold letter of 11.5 pixels is on the average, with some room."""

MONO = 6.2
"""Pixels: a letter of an address."""


@dataclass(frozen=True)
class Box:
    """Where a thing is drawn."""

    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.y + BAR / 2

    @property
    def right(self) -> float:
        return self.x + self.width


@dataclass(frozen=True)
class Drawn:
    """A region: its markup, where its things are, and how high it is."""

    parts: tuple[Html, ...]
    boxes: Mapping[Address, Box]
    height: float


@dataclass(frozen=True)
class Places:
    """Everything that a region's drawing needs beside its site."""

    world: World
    sources: Sources
    numbers: Mapping[Address, int]  # of keys
    keyed: Mapping[Address, Sequence[Address]]  # thing -> its keys
    zones: Mapping[tuple[Site, str], str]  # site and parameter -> the zone's id
    copied: frozenset[Address]  # between the regions

    @property
    def system(self) -> System:
        return self.world.system


WIDTH = 3 * ZONE + 2 * GAP + 4 * PAD


def picture(world: World, sources: Sources, values: Mapping[str, Mapping[str, Any]]) -> Html:
    """The picture, and below it the same as tables. ``values`` is the default parameter file: it names the zones."""
    system = world.system
    numbers = {key: number for site in system.regions for number, key in enumerate(world.keys(site), 1)}
    encryption, copies = world.encryption(), world.copies
    keyed: dict[Address, list[Address]] = {}
    for edge in encryption:
        if edge.source[0] == edge.target[0]:
            keyed.setdefault(edge.target, []).append(edge.source)
    across = [edge for edge in copies if edge.source[0] != edge.target[0]]
    zones = {
        (site, name): str(value)
        for site in system.regions
        for block in ("network", f"{site}:network")
        for name, value in values.get(block, {}).items()
    }
    touched = frozenset(end for edge in across for end in (edge.source, edge.target))
    places = Places(world, sources, numbers, keyed, zones, touched)
    gutter = GUTTER + TRACK * len(across)
    drawn = [_region(places, site, index * (WIDTH + gutter), index == 0) for index, site in enumerate(system.regions)]
    height = max(one.height for one in drawn)
    frames = [
        tag(
            "rect",
            {"class": "region", "x": index * (WIDTH + gutter) + 1, "y": 1, "width": WIDTH - 2, "height": height - 2, "rx": 10},
        )
        for index in range(len(drawn))
    ]
    boxes = {address: box for one in drawn for address, box in one.boxes.items()}
    across.sort(key=lambda edge: _track(boxes[edge.source], boxes[edge.target]))
    width = len(drawn) * WIDTH + (len(drawn) - 1) * gutter
    lines = []
    for number, edge in enumerate(across):
        twice = sum({edge.source, edge.target} == {other.source, other.target} for other in across[:number])
        lines.append(_arrow(places, edge, boxes, number, twice * 10))
    regions = ", ".join(f"{region} ({site})" for site, region in system.regions.items())
    said = f"{system.title}: {regions}. The tables below say the same."
    svg = tag(
        "svg",
        {
            "viewBox": f"0 0 {width:g} {height:g}",
            "role": "group",
            "aria-label": said,
            "class": "picture",
            "style": f"max-width:{width:g}px;min-width:{min(width, NARROW):g}px",
        },
        *frames,
        *(part for one in drawn for part in one.parts),
        *lines,
    )
    frame = {"class": "wide figure", "tabindex": 0, "role": "region", "aria-label": f"Architecture of {system.title}"}
    return joined([tag("div", frame, svg), _lists(places, encryption, copies, across)])


def _region(places: Places, site: Site, left: float, keys_left: bool) -> Drawn:
    world, region = places.world, places.system.regions[site]
    parts = [_text(left + PAD, 26, region, "title"), _text(left + PAD + 11 * len(region) + 6, 26, f"{site} site", "quiet")]
    boxes: dict[Address, Box] = {}
    y = 42.0
    things = world.things(site)
    subnets = world.subnets(site)
    zones = list(dict.fromkeys(subnet.zone for subnet in subnets))
    for vpc in world.at(site, "AWS::EC2::VPC"):
        top, inner = y, left + 2 * PAD
        y += 46
        rows: list[Html] = []
        for index, zone in enumerate(zones):
            x = inner + index * (ZONE + GAP) + ZONE / 2
            named = places.zones.get((site, zone), zone)
            label = _text(x, y - 4, named, "zone", anchor="middle")
            rows.append(tag("a", {"href": places.sources.values(world.system), "aria-label": f"Zone {named}"}, label))
        bottom = y
        for tier in dict.fromkeys(subnet.tier for subnet in sorted(subnets, key=_depth)):
            here = [one for one in things if one.tier == tier]
            drawn, bottom = _tier(places, tier, here, subnets, zones, inner, bottom + 6, boxes)
            rows += drawn
        bottom += 8
        columns = [
            tag(
                "rect",
                {
                    "class": "column",
                    "x": inner + i * (ZONE + GAP),
                    "y": top + 26,
                    "width": ZONE,
                    "height": bottom - top - 34,
                    "rx": 6,
                },
            )
            for i in range(len(zones))
        ]
        frame = tag(
            "rect", {"class": "vpc", "x": left + PAD, "y": top, "width": WIDTH - 2 * PAD, "height": bottom - top, "rx": 8}
        )
        name = _anchor(places, vpc.layer, vpc.id, "", [_text(left + PAD + 10, top + 18, "VPC", "label")], "The VPC")
        parts += [frame, *columns, name, *rows]
        y = bottom + 14
    rest = [one for one in things if not one.tier]
    # What is copied to the other region stands nearest to it.
    near = [one for one in rest if one.address in places.copied]
    far = [one for one in rest if one not in near]
    half = (WIDTH - 2 * PAD - GAP) / 2
    inner, outer = (left + PAD + half + GAP, left + PAD) if keys_left else (left + PAD, left + PAD + half + GAP)
    while len(near) < len(far) - 1 and far:
        near.append(far.pop())
    for x, column in ((outer, far), (inner, near)):
        for index, one in enumerate(column):
            boxes[one.address] = Box(x, y + index * STEP, half)
            parts.append(_bar(places, one, boxes[one.address]))
    y += max(len(far), len(near)) * STEP + 8
    drawn, y = _keys(places, site, left, y)
    return Drawn((*parts, *drawn), boxes, y + PAD)


def _tier(
    places: Places,
    tier: str,
    things: Sequence[Thing],
    subnets: Sequence[Subnet],
    zones: Sequence[str],
    left: float,
    top: float,
    boxes: dict[Address, Box],
) -> tuple[list[Html], float]:
    """The subnets of a tier, one per zone, with what is in them; and where they end."""
    taken: list[set[str]] = []
    lines: list[tuple[int, Thing]] = []
    for one in things:
        number = next((i for i, used in enumerate(taken) if not used & set(one.zones)), len(taken))
        if number == len(taken):
            taken.append(set())
        taken[number] |= set(one.zones)
        lines.append((number, one))
    height = 24 + len(taken) * STEP + (2 if taken else 0)
    parts = []
    for subnet in subnets:
        if subnet.tier == tier:
            x = left + zones.index(subnet.zone) * (ZONE + GAP) + 5
            inside = [
                tag("rect", {"class": "subnet", "x": x, "y": top, "width": ZONE - 10, "height": height, "rx": 5}),
                _text(x + 8, top + 16, subnet.title, "label"),
            ]
            parts.append(_anchor(places, subnet.layer, subnet.title, "", inside, f"Subnet {subnet.title}"))
    for number, one in lines:
        columns = [zones.index(zone) for zone in one.zones]
        x = left + min(columns) * (ZONE + GAP) + 12
        width = (max(columns) - min(columns)) * (ZONE + GAP) + ZONE - 24
        boxes[one.address] = Box(x, top + 24 + number * STEP, width)
        parts.append(_bar(places, one, boxes[one.address]))
    return parts, top + height


def _bar(places: Places, one: Thing, box: Box) -> Html:
    """One thing: what it is, its address, and the numbers of its keys."""
    numbers = sorted({places.numbers[key] for key in places.keyed.get(one.address, ())})
    room = box.width - 18 - 20 * len(numbers)
    kind = _cut(", ".join(filter(None, (one.kind, one.detail))), room)
    inside = [
        tag("rect", {"class": "thing", "x": box.x, "y": box.y, "width": box.width, "height": BAR, "rx": 5}),
        _text(box.x + 10, box.y + 17, kind, "name"),
        _text(box.x + 10, box.y + 32, _cut(f"{one.layer}.{one.title}", room * LETTER / MONO), "address"),
    ]
    for index, number in enumerate(reversed(numbers)):
        inside += _badge(box.right - 15 - 20 * index, box.middle, str(number), "key")
    keys = ", ".join(f"key {number}" for number in numbers)
    said = ", ".join(filter(None, (f"{one.kind} {one.layer}.{one.title}", one.detail, keys and f"encrypted with {keys}")))
    return _anchor(places, one.layer, one.title, "", inside, said)


def _keys(places: Places, site: Site, left: float, top: float) -> tuple[list[Html], float]:
    """The numbers of a region's keys."""
    parts = [_text(left + PAD, top + 10, "Keys", "label")]
    keys, width = places.world.keys(site), (WIDTH - 2 * PAD) / 3
    for index, (_, layer, title) in enumerate(keys):
        x, y = left + PAD + index % 3 * width, top + 28 + index // 3 * 24
        inside = [
            *_badge(x + 9, y, str(index + 1), "key"),
            _text(x + 24, y + 4, _cut(f"{layer}.{title}", (width - 30) * LETTER / MONO), "address"),
        ]
        hit = tag("rect", {"class": "hit", "x": x - 2, "y": y - 11, "width": width - 4, "height": 22, "rx": 5})
        parts.append(_anchor(places, layer, title, "", [hit, *inside], f"Key {index + 1}: {layer}.{title}"))
    return parts, top + 16 + (len(keys) + 2) // 3 * 24


def _arrow(places: Places, edge: Edge, boxes: Mapping[Address, Box], number: int, lower: int) -> Html:
    """A copy from one region to the other, with its letter; somewhat lower where another one goes between the same."""
    source, target = (replace(boxes[end], y=boxes[end].y + lower) for end in (edge.source, edge.target))
    track = WIDTH + GUTTER / 2 + TRACK * (number + 0.5)
    start, end, head = (source.right, target.x, 7) if source.x < target.x else (source.x, target.right, -7)
    route = f"M{start:g} {source.middle:g}H{track:g}V{target.middle:g}H{end - head:g}"
    tip = f"M{end:g} {target.middle:g}l{-head:g} -4.5v9z"
    inside = [
        tag("path", {"class": f"copy{' data' if edge.how in LIVE else ''}", "d": route}),
        tag("path", {"class": "tip", "d": tip}),
        *_badge(track, (source.middle + target.middle) / 2, _letter(number), "letter"),
    ]
    return _anchor(places, edge.layer, edge.title, edge.path, inside, f"{_letter(number)}: {edge.how}")


def _track(source: Box, target: Box) -> tuple[bool, float]:
    """The order in which copies are drawn so that they hardly cross: the rising from above, then the falling from below."""
    left = source if source.x < target.x else target
    falls = (target if left is source else source).y > left.y
    return falls, -left.y if falls else left.y


def _lists(places: Places, encryption: Sequence[Edge], copies: Sequence[Edge], across: Sequence[Edge]) -> Html:
    """The picture in words."""
    return tag(
        "div",
        {"class": "pair"},
        _list("What encrypts what", ("key", "encrypts"), _encrypted(places, encryption)),
        _list("Who can reach what", ("from", "to", "port", ""), _reached(places)),
        _list("What is copied where", ("", "what", "from", "to"), _copied(places, copies, across)),
    )


def _list(title: str, head: Sequence[str], rows: Iterator[Html]) -> Html:
    listed = list(rows)
    columns = [tag("th", {"scope": "col"}, one) if one else tag("td") for one in head]
    body = tag("table", None, tag("thead", None, tag("tr", None, *columns)), tag("tbody", None, *listed))
    return tag("details", {"class": "also"}, tag("summary", None, title), body if listed else tag("p", None, "Nothing."))


def _encrypted(places: Places, encryption: Sequence[Edge]) -> Iterator[Html]:
    for site, region in places.system.regions.items():
        for key in places.world.keys(site):
            _, layer, title = key
            targets = [
                places.sources.link(
                    places.system, edge.layer, edge.title, edge.path,
                    f"{edge.target[1]}.{edge.target[2]}{'' if edge.target[0] == site else ', its replicas'}",
                )
                for edge in encryption
                if edge.source == key
            ]  # fmt: skip
            where = f" in {region}" if len(places.system.regions) > 1 else ""
            name = [
                tag("b", {"class": "n"}, str(places.numbers[key])),
                " ",
                places.sources.link(places.system, layer, title, "", f"{layer}.{title}"),
                where,
            ]
            found = joined(targets, ", ") if targets else Html("what its policy names: nothing that templates hold")
            yield tag("tr", None, tag("th", {"scope": "row"}, *name), tag("td", None, found))

    managed = [
        places.sources.link(places.system, one.layer, one.id, path, f"{one.layer}.{one.id}")
        for one, path in places.world.managed()
    ]
    if managed:
        yield tag("tr", None, tag("th", {"scope": "row"}, "a key that AWS manages"), tag("td", None, joined(managed, ", ")))


def _copied(places: Places, copies: Sequence[Edge], across: Sequence[Edge]) -> Iterator[Html]:
    for edge in sorted(copies, key=lambda one: (one not in across, across.index(one) if one in across else 0)):
        letter = tag("b", {"class": "n"}, _letter(across.index(edge))) if edge in across else ""
        how = places.sources.link(places.system, edge.layer, edge.title, edge.path, edge.how)
        ends = [f"{layer}.{title} in {places.system.regions[site]}" for site, layer, title in (edge.source, edge.target)]
        yield tag("tr", None, tag("td", None, letter), tag("th", {"scope": "row"}, how), *(tag("td", None, one) for one in ends))


def _reached(places: Places) -> Iterator[Html]:
    for way, worth in matrix(places.world.view):
        ends = (_group(places, way.group), _group(places, way.peer))
        yield row(*ends, way.ports, worth)


def _group(places: Places, address: str) -> Html:
    """A security group with its line, or what a rule names instead."""
    layer, _, title = address.partition(".")
    if places.world.view.resource(layer, title) is None:
        return escaped(address)
    return places.sources.link(places.system, layer, title, "", address)


def _anchor(places: Places, layer: str, title: str, path: str, inside: Sequence[Html], said: str) -> Html:
    address = places.sources.at(places.system, layer, title, path)
    return tag("a", {"href": address, "aria-label": said}, tag("title", None, said), *inside)


def _badge(x: float, y: float, said: str, kind: str) -> list[Html]:
    return [
        tag("circle", {"class": kind, "cx": f"{x:g}", "cy": f"{y:g}", "r": 8}),
        _text(x, y + 3.5, said, f"in-{kind}", anchor="middle"),
    ]


def _text(x: float, y: float, said: str, kind: str, anchor: str | None = None) -> Html:
    return tag("text", {"class": kind, "x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor}, said)


def _cut(text: str, room: float) -> str:
    most = int(room / LETTER)
    return text if len(text) <= most else text[: most - 1].rstrip(" ,.-") + "…"


def _depth(subnet: Subnet) -> int:
    """Tiers from the outside to the inside."""
    return {"Public": 0, "Application": 1}.get(subnet.tier, 2)


def _letter(number: int) -> str:
    return chr(ord("A") + number)
