"""``docs/architecture.svg``: the rooms of the product on their floors and which imports which, drawn from the imports themselves.

An arrow is left out where others lead the same way; the title of each room names all that it imports.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from documents.imports import APART, AROUND, FLOORS, imports, product, room
from documents.page.markup import Html, joined, tag
from generator.assemble import BuildError

Arrows = Mapping[str, frozenset[str]]
"""Each room, and what it imports."""

Pair = tuple[str, str]
"""An arrow: who imports, and what."""

Key = TypeVar("Key", str, Pair)

STREETS = ("chain",)
"""Rooms that are drawn with the rooms that they have themselves."""

WIDTH, LEFT, GAP, PAD = 1180, 84, 22, 14
"""Pixels: the picture, what its floors' names take, between two rooms, within a room."""

BAND, BETWEEN, ROOM = 112, 54, 128
"""Pixels: the height of a floor without streets, from one floor to the next, and how wide a room is that stands apart."""

HEAD, DOOR, STREET = 70, 34, 32
"""Pixels: above the rooms within a room, the height of these, and from one row of them to the next."""

LETTER = 7.9
"""Pixels: as wide as a letter of 14 pixels is in a room's name, with some room."""

SHARES = {"chain": 2.8, "model": 1.6}
"""How wide a room is beside others of its floor, which take 1."""

SWEEPS = 6
"""How often the rooms of a street move towards those that they are tied to."""

CAPTION = (
    "An arrow says: imports. It is left out where others lead the same way. "
    f"Around this house stand {', '.join(AROUND[:-1])} and {AROUND[-1]}, which nothing here imports."
)

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #3b4654 }
text.name { font: 600 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #10202f }
text.floor { font-size: 12px; fill: #5a6775 }
text.halo { paint-order: stroke; stroke: #fff; stroke-width: 5 }
.ground { fill: #fff } .band { fill: #f0f3f7 } .room { fill: #fff; stroke: #8494a6; stroke-width: 1.2 }
.inner { fill: #e8f1fb; stroke: #3f78b5; stroke-width: 1.2 }
.arrow { fill: none; stroke: #4b5d70; stroke-width: 1.4 } .head { fill: #4b5d70 }
"""


@dataclass(frozen=True)
class Box:
    """Where a room is drawn."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


Ways = dict[Pair, list[Box]]
"""What an arrow passes, from its foot to its head."""


def picture(root: Path) -> str:
    """The product of this checkout. Raises BuildError where rooms import each other."""
    arrows = rooms(imports(root, product(root)))
    try:
        order = list(TopologicalSorter(arrows).static_order())
    except CycleError as circle:
        raise BuildError(f"These rooms import each other in a circle: {' > '.join(reversed(circle.args[1]))}.") from None
    return drawn(arrows, order, {name: _sentence(root, name) for name in (*arrows, *STREETS)})


def rooms(found: Mapping[Path, Iterable[Path]]) -> Arrows:
    """What each room imports from others."""
    arrows: dict[str, set[str]] = {}
    for path, others in found.items():
        arrows.setdefault(_room(path), set()).update(map(_room, others))
    return {name: frozenset(others - {name}) for name, others in sorted(arrows.items())}


def reduced(arrows: Arrows, order: Iterable[str]) -> Arrows:
    """Without the arrows that say no more than others that lead the same way. ``order`` names what is imported first."""
    below: dict[str, frozenset[str]] = {}
    for name in order:
        below[name] = arrows[name].union(*(below[other] for other in arrows[name]))
    return {name: others - frozenset().union(*(below[other] for other in others)) for name, others in arrows.items()}


def _room(path: Path) -> str:
    """The room as it is drawn: functions are one, and streets are told apart."""
    if path.parts[0] in STREETS and path.name != "__init__.py":
        return "/".join(path.parts[:2])
    return path.parts[0] if path.parts[0] in (*STREETS, *APART) else room(path)


def _sentence(root: Path, name: str) -> str:
    """What a room says of itself, up to the first colon or full stop."""
    path = root / name if name.endswith(".py") else root / name / "__init__.py"
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else None
    if said is None:
        return ", ".join(sorted(inner.name for inner in (root / name).iterdir() if any(inner.glob("*.py"))))
    return re.split(r"[:;.](?:\s|$)", said)[0].replace("`", "").replace("\n", " ")


def drawn(arrows: Arrows, order: Sequence[str], sentences: Mapping[str, str]) -> str:
    """The picture of these rooms. ``order`` names what is imported first."""
    few = [(name, other) for name, others in reduced(arrows, order).items() for other in sorted(others)]
    inner = {street: _rows(street, order, arrows) for street in STREETS}
    boxes, bands = _house([name for name in FLOORS if name in arrows or name in STREETS], few, max(map(len, inner.values())))
    ways: Ways = {}
    for street, rows in inner.items():
        placed, passed = _street(boxes[street], rows, few, boxes)
        boxes |= placed
        ways |= passed
    parts = [_text(PAD, 22, CAPTION, "floor")]
    for floor, band in bands.items():
        parts += [_rect(band, "band"), _text(PAD, band.y + 24, f"floor {floor}", "floor")]
    parts += [_drawn(name, box, _outside(name, arrows)) for name, box in boxes.items()]
    parts += _lines(few, boxes, ways)
    parts += [_named(name, boxes[name], sentences[name]) for name in boxes]
    height = _number(max(band.y + band.height for band in bands.values()))
    head = tag("path", {"class": "head", "d": "M0 0 8 4 0 8z"})
    marker = {
        "id": "head",
        "refX": 8,
        "refY": 4,
        "markerWidth": 8,
        "markerHeight": 8,
        "orient": "auto",
        "markerUnits": "userSpaceOnUse",
    }
    above = (
        tag("title", None, "The rooms of this project on their floors, and which of them imports which"),
        tag("style", None, Html(STYLE)),
        tag("defs", None, tag("marker", marker, head)),
        tag("rect", {"class": "ground", "width": WIDTH, "height": height, "rx": 6}),
    )
    size = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {WIDTH} {height}",
        "width": WIDTH,
        "height": height,
        "role": "img",
    }
    image = tag("svg", size, joined((*above, *parts), "\n"))
    return f"<!-- Generated by `make build` from the imports of the code. Do not edit. -->\n{image}\n"


def _rows(street: str, order: Iterable[str], arrows: Arrows) -> list[list[str]]:
    """The rooms of a street, the lowest first: each above all that it imports."""
    level: dict[str, int] = {}
    for name in order:
        if name.startswith(f"{street}/"):
            level[name] = 1 + max((level[other] for other in arrows[name] if other in level), default=-1)
    return [sorted(name for name in level if level[name] == row) for row in range(max(level.values()) + 1)]


def _house(names: Sequence[str], few: Sequence[Pair], rows: int) -> tuple[dict[str, Box], dict[int, Box]]:
    """The boxes of rooms and of floors. What stands apart reaches down past the floors that it may not import."""
    floors = sorted({FLOORS[name] for name in names}, reverse=True)
    crowded = max(FLOORS[street] for street in STREETS)
    bands: dict[int, Box] = {}
    y = 36.0
    for floor in floors:
        bands[floor] = Box(0, y, WIDTH, HEAD + rows * (DOOR + STREET) + PAD if floor == crowded else BAND)
        y += bands[floor].height + BETWEEN
    boxes: dict[str, Box] = {}
    x = WIDTH - PAD
    for name in (name for name in names if name in APART):
        x -= ROOM + GAP
        y = bands[FLOORS[name]].y + PAD
        boxes[name] = Box(x + GAP, y, ROOM, bands[1].y + bands[1].height - PAD - y)
    for floor in reversed(floors):
        of_floor = [name for name in names if FLOORS[name] == floor and name not in APART]
        span = Box(LEFT, bands[floor].y + PAD, (x if floor else WIDTH - PAD) - LEFT, bands[floor].height - 2 * PAD)
        if floor <= crowded:  # side by side, over the whole width
            share = (span.width - GAP * (len(of_floor) - 1)) / sum(SHARES.get(name, 1) for name in of_floor)
            width = {name: SHARES.get(name, 1) * share + GAP for name in of_floor}
            middles = _spread(dict(zip(of_floor, range(len(of_floor)), strict=True)), width, Box(LEFT - GAP / 2, 0, WIDTH, 0))
        else:  # each above what it imports, and where it imports past a floor above that
            width = dict.fromkeys(of_floor, 1.6 * ROOM + GAP)
            below = {name: [_outer(other) for one, other in few if one == name] for name in of_floor}
            past = {name: [other for other in others if FLOORS[other] < floor - 1] for name, others in below.items()}
            wanted = {name: _mean((boxes[other].middle for other in past[name] or below[name]), span.middle) for name in of_floor}
            middles = _spread(wanted, width, span)
        boxes |= {name: Box(middles[name] - (width[name] - GAP) / 2, span.y, width[name] - GAP, span.height) for name in of_floor}
    return boxes, bands


def _street(
    outer: Box, rows: Sequence[Sequence[str]], few: Sequence[Pair], boxes: Mapping[str, Box]
) -> tuple[dict[str, Box], Ways]:
    """The boxes of a street's rooms, and what each arrow passes on its way through rows that it only crosses."""
    top = len(rows) - 1
    level = {name: number for number, row in enumerate(rows) for name in row}
    width = {name: LETTER * len(name.partition("/")[2]) + 2 * PAD for name in level}
    cells = [list(row) for row in rows]
    lanes: dict[Pair, list[str]] = {}
    for one, other in few:
        if one in level or other in level:
            crossed = {f"{one} > {other} {row}": row for row in range(level.get(one, top + 1) - 1, level.get(other, -1), -1)}
            lanes[one, other] = [one, *crossed, other]
            width |= dict.fromkeys(crossed, 8)
            for cell, row in crossed.items():
                cells[row].append(cell)
    near: dict[str, list[str]] = {}
    for lane in lanes.values():
        for upper, lower in pairwise(lane):
            near.setdefault(upper, []).append(lower)
            near.setdefault(lower, []).append(upper)
    middle = {name: _within(box.middle, outer) for name, box in boxes.items()} | dict.fromkeys(width, outer.middle)
    for cells_of_row in SWEEPS * [*reversed(cells), *cells]:
        wanted = {cell: _mean((middle[other] for other in near.get(cell, ())), outer.middle) for cell in cells_of_row}
        middle |= _spread(wanted, {cell: width[cell] + GAP for cell in cells_of_row}, outer)
    heads = {cell: outer.y + HEAD + (top - number) * (DOOR + STREET) for number, row in enumerate(cells) for cell in row}
    placed = {cell: Box(middle[cell] - width[cell] / 2, y, width[cell], DOOR) for cell, y in heads.items()}
    return {name: placed[name] for name in sorted(level)}, {
        pair: [placed[cell] for cell in lane[1:-1]] for pair, lane in lanes.items()
    }


def _lines(few: Sequence[Pair], boxes: Mapping[str, Box], ways: Ways) -> list[Html]:
    """The arrows: each leaves a room at its foot and reaches the other at its head, apart from those beside it."""
    start: dict[Pair, float] = {}
    end: dict[Pair, float] = {}
    for name, box in boxes.items():
        first = {pair: (ways.get(pair) or [boxes[pair[1]]])[0].middle for pair in few if pair[0] == name}
        start |= _spread(first, dict.fromkeys(first, 18), box)
    for name, box in boxes.items():
        last = {pair: ways[pair][-1].middle if ways.get(pair) else start[pair] for pair in few if pair[1] == name}
        end |= _spread(last, dict.fromkeys(last, 18), box)
    return [_line(start[pair], boxes[pair[0]], ways.get(pair, []), end[pair], boxes[pair[1]]) for pair in few]


def _line(start: float, above: Box, passed: Sequence[Box], end: float, below: Box) -> Html:
    """One arrow, past what stands in its way."""
    x, y = start, above.y + above.height
    steps = [f"M{_number(x)} {_number(y)}"]
    for to, head, foot in (*((box.middle, box.y, box.y + box.height) for box in passed), (end, below.y, below.y)):
        half = (y + head) / 2
        steps.append(f"C{_number(x)} {_number(half)} {_number(to)} {_number(half)} {_number(to)} {_number(head)}")
        if foot != head:
            steps.append(f"V{_number(foot)}")
        x, y = to, foot
    return tag("path", {"class": "arrow", "d": "".join(steps), "marker-end": "url(#head)"})


def _outside(name: str, arrows: Arrows) -> set[str]:
    """What a room imports; a street, what its rooms import beyond it."""
    if name not in STREETS:
        return set(arrows[name])
    return {other for one, others in arrows.items() if _outer(one) == name for other in others if _outer(other) != name}


def _drawn(name: str, box: Box, others: Iterable[str]) -> Html:
    """A room, with all that it imports as its title."""
    said = f"{name} imports {', '.join(sorted(others)) or 'nothing of ours'}."
    return tag("g", None, tag("title", None, said), _rect(box, "inner" if _outer(name) != name else "room"))


def _named(name: str, box: Box, sentence: str) -> Html:
    """A room's name, and what it is for."""
    if _outer(name) != name:
        return _text(box.x + PAD, box.y + 22, name.partition("/")[2], "name")
    lines = textwrap.wrap(sentence, int((box.width - PAD) / 7), break_long_words=False, break_on_hyphens=False)
    said = [_text(box.x + 10, box.y + 43 + 17 * number, line, "halo") for number, line in enumerate(lines)]
    return joined((_text(box.x + 10, box.y + 23, name, "name"), *said))


def _outer(name: str) -> str:
    """The room, or the one with the street in which it stands."""
    return name.partition("/")[0] if name.partition("/")[0] in STREETS else name


def _spread(wanted: Mapping[Key, float], width: Mapping[Key, float], within: Box) -> dict[Key, float]:
    """Middles near those that are wanted, each as far from the next as both are wide, and within a box."""
    order = sorted(wanted, key=lambda key: (wanted[key], key))
    middles: dict[Key, float] = {}
    edge = within.x
    for key in order:
        middles[key] = max(wanted[key], edge + width[key] / 2)
        edge = middles[key] + width[key] / 2
    edge = within.x + within.width
    for key in reversed(order):
        middles[key] = min(middles[key], edge - width[key] / 2)
        edge = middles[key] - width[key] / 2
    return middles


def _within(x: float, box: Box) -> float:
    return min(max(x, box.x), box.x + box.width)


def _mean(values: Iterable[float], otherwise: float) -> float:
    found = list(values)
    return sum(found) / len(found) if found else otherwise


def _rect(box: Box, kind: str) -> Html:
    size = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
    return tag("rect", {"class": kind} | {name: _number(value) for name, value in size.items()} | {"rx": 6})


def _text(x: float, y: float, text: str, kind: str) -> Html:
    return tag("text", {"class": kind, "x": _number(x), "y": _number(y)}, text)


def _number(value: float) -> str:
    """Half pixels at most, written in one way."""
    return f"{round(2 * value) / 2:g}"
