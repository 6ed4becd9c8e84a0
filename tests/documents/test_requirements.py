"""From every requirement a reviewer comes to the line that shows it and to the tests that hold it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from documents import requirements
from documents.requirements import ALL, asked, held
from generator.systems import SYSTEMS

COUNTS = {ALL: ("A", 14), "citizen-registry": ("CR", 13), "federal-records": ("FR", 13), "healthcare": ("HC", 16)} | {
    "ledger": ("LG", 11),
    "regional-platform": ("RP", 12),
}
EACH = [(block, id_) for block, ids in asked().items() for id_ in ids]


@pytest.fixture(scope="module")
def page() -> str:
    texts = {path.as_posix(): path.read_text() for path in Path("templates").glob("*/*.yaml")}
    return requirements.document(SYSTEMS, texts)


def test_none_is_dropped() -> None:
    assert {block: list(ids) for block, ids in asked().items()} == {
        block: [f"{letters}-{number:02}" for number in range(1, last + 1)] for block, (letters, last) in COUNTS.items()
    }


def test_every_requirement_that_a_system_deviates_from_is_marked(page: str) -> None:
    for system in SYSTEMS:
        for id_ in {deviation.id for deviation in system.deviations} & set(asked()[system.name]):
            (row,) = re.findall(rf"^\| {id_} .*$", page, re.MULTILINE)
            assert "*otherwise*" in row


def test_a_row_leads_to_the_line_and_the_tests(page: str) -> None:
    (row,) = re.findall(r"^\| LG-05 .*$", page, re.MULTILINE)
    path, line = re.findall(r"\]\(\.\./(templates/ledger/database\.yaml)#L(\d+)\)", row)[0]
    assert "rds.force_ssl: '0'" in Path(path).read_text().splitlines()[int(line) - 1]
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
