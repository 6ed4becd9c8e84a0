"""The picture has everything in it, in its place, with its keys and its copies."""

import re
from xml.etree import ElementTree

import pytest

from documents.page.inventory import World
from documents.page.picture import picture
from documents.page.source_listing import Sources
from generator.systems import SYSTEMS
from model import RECOVERY
from tests.support.page_subjects import small, subject, texts

SPACE = "{http://www.w3.org/2000/svg}"


def _svg(name: str) -> tuple[ElementTree.Element, str]:
    one = subject(name)
    made = picture(World.of(one.system, one.documents), Sources(texts()), one.values)
    text = re.search(r"<svg.*?</svg>", made, re.DOTALL)[0]  # type: ignore[index]
    return ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)), made  # noqa: S314


def _bars(svg: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    return [
        (float(one.attrib["x"]), float(one.attrib["y"]), float(one.attrib["width"]), float(one.attrib["height"]))
        for one in svg.iter(f"{SPACE}rect")
        if one.attrib["class"] == "thing"
    ]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda one: str(one.name))
def test_every_thing_is_drawn_once_and_none_over_another(system) -> None:  # type: ignore[no-untyped-def]
    svg, _ = _svg(system.name)
    bars = _bars(svg)
    world = World.of(system, subject(system.name).documents)
    assert len(bars) == sum(len(world.things(site)) for site in system.regions)
    for index, (x, y, width, height) in enumerate(bars):
        for left, top, wide, high in bars[index + 1 :]:
            assert x + width <= left or left + wide <= x or y + height <= top or top + high <= y


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda one: str(one.name))
def test_everything_lies_within_the_picture(system) -> None:  # type: ignore[no-untyped-def]
    svg, _ = _svg(system.name)
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    for one in svg.iter(f"{SPACE}rect"):
        assert float(one.attrib["x"]) + float(one.attrib["width"]) <= width
        assert float(one.attrib["y"]) + float(one.attrib["height"]) <= height


def test_each_copy_between_the_regions_is_a_line_with_a_letter() -> None:
    svg, made = _svg("federal-records")
    copies = [one for one in svg.iter(f"{SPACE}path") if one.attrib["class"].startswith("copy")]
    letters = [one.text for one in svg.iter(f"{SPACE}text") if one.attrib["class"] == "in-letter"]
    assert len(copies) == 5
    assert letters == ["A", "B", "C", "D", "E"]
    assert len({one.attrib["d"] for one in copies}) == 5
    assert ">read replica</a>" in made


def test_the_zones_are_those_of_the_parameter_file() -> None:
    svg, _ = _svg("healthcare")
    zones = [one.text for one in svg.iter(f"{SPACE}text") if one.attrib["class"] == "zone"]
    assert zones == ["euw2-az1", "euw2-az2", "euw2-az3", "euw1-az1", "euw1-az2", "euw1-az3"]


def test_a_thing_carries_the_number_of_its_key_and_a_key_says_what_it_encrypts() -> None:
    svg, made = _svg("citizen-registry")
    named = {one.attrib["aria-label"] for one in svg.iter(f"{SPACE}a")}
    database = next(name for name in named if name.startswith("Database database.Instance"))
    number = re.search(r"encrypted with key (\d+)", database)[1]  # type: ignore[index]
    assert f"Key {number}: keys.DatabaseKey" in named
    assert ">database.Instance</a>" in made


def test_what_a_key_of_aws_encrypts_is_told() -> None:
    svg, made = _svg("ledger")
    named = {one.attrib["aria-label"] for one in svg.iter(f"{SPACE}a")}
    assert "Database database.Instance, postgres 15.19, several zones, AWS-managed key" in named
    assert "a key that AWS manages" in made
    assert "a key that AWS manages" not in _svg("healthcare")[1]


def test_who_reaches_whom_is_told_with_the_groups_lines() -> None:
    made = _svg("regional-platform")[1]
    client = r'href="#regional-platform/network:\d+">network.ClientGroup</a></th>'
    assert re.search(client + "<td><a [^>]+>network.DatabaseGroup</a></td><td>tcp 5432</td><td>reaches</td>", made)
    assert "prefix list" in made


def test_a_site_without_network_and_a_key_that_encrypts_nothing_are_drawn_too() -> None:
    world = small(
        keys={"sites": (RECOVERY,), "resources": {"Key": {"Type": "AWS::KMS::Key"}}},
        store={"resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {}}}},
    )
    own = {
        f"templates/small/{name}.yaml": f"Resources:\n  {title}:\n    Type: x\n"
        for name, title in (("keys", "Key"), ("store", "Bucket"))
    }
    made = picture(world, Sources(own), {})
    assert "nothing that templates hold" in made
    assert made.count("<p>Nothing.</p>") == 2
