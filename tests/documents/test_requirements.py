"""From every requirement a reviewer comes to what shows it and to the tests that hold it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from documents import requirements
from documents.requirements import ALL, asked, held
from generator.systems import SYSTEMS
from model import System
from model.line_numbers import Lines
from tests.support.page_subjects import texts

COUNTS = {ALL: ("A", 14), "citizen-registry": ("CR", 13), "federal-records": ("FR", 13), "healthcare": ("HC", 16)} | {
    "ledger": ("LG", 11),
    "regional-platform": ("RP", 12),
}
EACH = [(block, id_) for block, ids in asked().items() for id_ in ids]


@pytest.fixture(scope="module")
def page() -> str:
    return requirements.document(SYSTEMS)


def test_none_is_dropped() -> None:
    assert {block: list(ids) for block, ids in asked().items()} == {
        block: [f"{letters}-{number:02}" for number in range(1, last + 1)] for block, (letters, last) in COUNTS.items()
    }


def test_every_requirement_that_a_system_deviates_from_is_marked(page: str) -> None:
    for system in SYSTEMS:
        for id_ in {deviation.id for deviation in system.deviations} & set(asked()[system.name]):
            (row,) = re.findall(rf"^\| {id_} .*$", page, re.MULTILINE)
            assert f"[*otherwise*](compliance/{system.name}.md#deviations)" in row


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda one: one.name)
def test_what_shows_it_stands_in_the_template(system: System) -> None:
    lines = Lines(texts())
    for one in asked()[system.name].values():
        for shown in one.get("shown", ()):
            layer, title, path = (*shown.split(".", 2), "")[:3]
            name, line = lines.at(system, layer, title, path)
            assert f"{path.rpartition('.')[2] or title}:" in texts()[name].splitlines()[line - 1], shown


def test_a_row_leads_to_what_shows_it_and_to_the_tests(page: str) -> None:
    (row,) = re.findall(r"^\| LG-05 .*$", page, re.MULTILINE)
    assert "[database.ParameterGroup.Parameters.rds.force_ssl](../templates/ledger/database.yaml)" in row
    assert "[`-k lg_05`](../tests/systems/test_ledger.py)" in row
    assert "*otherwise*" not in row


@pytest.mark.parametrize(("block", "id_"), EACH, ids=[id_ for _, id_ in EACH])
def test_the_tests_that_are_named_exist(block: str, id_: str) -> None:
    one = asked()[block][id_]
    assert one["asks"].endswith(".")
    assert one.get("shown") or one.get("see"), "nothing shows it"
    for test in held(block, id_, one):
        file, names = re.split(r"::| -k |$", test, maxsplit=1)
        assert Path(file).exists()
        if names:
            assert re.search(rf"^def test_(\w+_)?{names.removeprefix('test_')}", Path(file).read_text(), re.MULTILINE)
