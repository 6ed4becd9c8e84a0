"""The picture of the rooms: it shows what imports what, each room on its floor, and the chain's own within the chain."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from documents.architecture import Box, drawn, picture, reduced, rooms
from documents.imports import FLOORS, imports, product, room
from generator.assemble import BuildError

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    """The picture as a browser reads it."""
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def boxes_of(svg: str) -> dict[str, Box]:
    """Where each room is drawn."""
    found = {}
    for group in parsed(svg).iter(f"{SVG}g"):
        title, rect = group.findtext(f"{SVG}title") or "", group.find(f"{SVG}rect")
        assert rect is not None
        found[title.partition(" imports ")[0]] = Box(*(float(rect.attrib[name]) for name in ("x", "y", "width", "height")))
    return found


def arrows_of(svg: str) -> set[tuple[str, str]]:
    """From which room's foot to which room's head each arrow leads."""
    boxes = boxes_of(svg)
    found = set()
    for path in parsed(svg).iterfind(f"{SVG}path"):
        x, y, *_, to, head = map(float, re.findall(r"[\d.]+", path.attrib["d"]))
        (start,) = (name for name, box in boxes.items() if box.x <= x <= box.x + box.width and y == box.y + box.height)
        (end,) = (name for name, box in boxes.items() if box.x <= to <= box.x + box.width and head == box.y)
        found.add((start, end))
    return found


@pytest.fixture(scope="module")
def svg() -> str:
    """The picture of this checkout."""
    return picture(ROOT)


def test_every_room_of_the_product_is_drawn_apart_from_others_and_above_those_of_lower_floors(svg: str) -> None:
    boxes = boxes_of(svg)
    outer = {name: box for name, box in boxes.items() if not name.startswith("chain/")}
    assert outer.keys() == {path.parts[0] if path.parts[0] == "functions" else room(path) for path in product(ROOT)}
    for name, box in outer.items():
        for other, below in outer.items():
            if FLOORS[name] > FLOORS[other] and name not in ("emulator", "functions"):
                assert box.y + box.height < below.y, f"{name} reaches down to {other}"
            if name != other:
                assert not _overlap(box, below), f"{name} lies on {other}"


def test_the_rooms_of_the_chain_are_drawn_within_it_and_apart(svg: str) -> None:
    boxes = boxes_of(svg)
    chain = boxes["chain"]
    inner = {name: box for name, box in boxes.items() if name.startswith("chain/")}
    folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "chain").glob("*/__init__.py")}
    assert folders < inner.keys()
    for name, box in inner.items():
        assert chain.x < box.x < box.x + box.width < chain.x + chain.width, name
        assert chain.y < box.y < box.y + box.height < chain.y + chain.height, name
        assert not [other for other in inner if other != name and _overlap(box, inner[other])], name


def _overlap(one: Box, other: Box) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


def test_whoever_follows_the_arrows_comes_to_all_that_a_room_imports_and_to_nothing_else(svg: str) -> None:
    arrows = rooms(imports(ROOT, product(ROOT)))
    drawn_from: dict[str, set[str]] = {name: set() for name in arrows}
    for start, end in arrows_of(svg):
        assert end in arrows[start]
        drawn_from[start].add(end)

    def reached(name: str) -> set[str]:
        return drawn_from[name].union(*(reached(other) for other in drawn_from[name]))

    assert not {name: others - reached(name) for name, others in arrows.items() if others - reached(name)}


def test_an_import_more_is_an_arrow_more() -> None:
    arrows = {name: frozenset[str]() for name in ("model", "chain/run", "replay", "build.py")} | {
        "build.py": frozenset({"model"})
    }
    sentences = dict.fromkeys((*arrows, "chain"), "")
    order = ["model", "chain/run", "replay", "build.py"]
    assert arrows_of(drawn(arrows, order, sentences)) == {("build.py", "model")}
    more = arrows | {"replay": frozenset({"model"}), "build.py": frozenset({"replay", "model"})}
    assert arrows_of(drawn(more, order, sentences)) == {("build.py", "replay"), ("replay", "model")}


def test_an_arrow_stays_unless_others_lead_the_same_way() -> None:
    arrows = {"a": frozenset("bcd"), "b": frozenset("c"), "c": frozenset[str](), "d": frozenset[str]()}
    assert reduced(arrows, "cdba") == arrows | {"a": frozenset("bd")}


def test_functions_are_one_room_and_the_chain_has_its_own() -> None:
    found = {
        Path("functions/probe/handler.py"): {Path("functions/common/clock.py")},
        Path("functions/common/clock.py"): {Path("protocol/names.py")},
        Path("chain/run/lock.py"): {Path("chain/drift.py"), Path("chain/run/record.py")},
    }
    assert rooms(found) == {"functions": {"protocol"}, "chain/run": {"chain/drift.py"}}


def test_rooms_that_import_each_other_stop_the_build(tmp_path: Path) -> None:
    for name, text in (
        ("run/lock.py", "from chain.deploy import plan"),
        ("run/record.py", ""),
        ("deploy/plan.py", "import chain.run.record"),
    ):
        (tmp_path / "chain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "chain" / name).write_text(text)
    with pytest.raises(
        BuildError, match=r"import each other in a circle: (?=.*chain/run > chain/deploy|.*chain/deploy > chain/run)"
    ):
        picture(tmp_path)
