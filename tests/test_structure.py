"""Imports go down only; siblings on a floor never import each other; no circle of files is left."""

import ast
import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from documents.imports import APART, FLOORS, files, modules, product, room
from documents.imports import imports as imports_of

FILES = files(Path())
PRODUCT = product(Path())


def _may_import(importer: str, other: str) -> bool:
    floor, below = (name if name in FLOORS else name.split("/")[0] for name in (importer, other))
    return other == importer or (other in APART[floor] if floor in APART else FLOORS[below] < FLOORS[floor])


ENTRIES = {
    *("README.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "pyproject.toml", "build.py", "deploy.py"),
    *("templates", "parameters", "model", "protocol", "generator", "compliance", "recovery", "documents", "chain"),
    *("functions", "replay", "emulator", "tests", "bench", "docs", "requirements"),
}
"""The top level, beside what begins with a dot."""


@pytest.fixture(scope="module")
def imports() -> dict[Path, set[Path]]:
    """Of all files."""
    return imports_of(Path(), FILES)


def test_imports_go_down_only(imports: dict[Path, set[Path]]) -> None:
    assert {each.name for each in Path().iterdir() if each.suffix == ".py" or any(each.glob("*.py"))} <= FLOORS.keys()
    pairs = [(path, other) for path, others in imports.items() for other in sorted(others)]
    assert not [f"{path} imports {other}" for path, other in pairs if not _may_import(room(path), room(other))]


def test_the_top_level_holds_what_has_its_place_there_and_nothing_else() -> None:
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    entries = {Path(path).parts[0] for path in tracked}
    assert {entry for entry in entries if not entry.startswith(".")} - {"examples"} == ENTRIES


def test_no_circle_of_files_is_left(imports: dict[Path, set[Path]]) -> None:
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


def test_a_room_of_the_chain_uses_of_another_what_stands_at_its_door(imports: dict[Path, set[Path]]) -> None:
    """``chain/declared_calls.py`` collects from all rooms, and is in none."""
    rooms = {
        path: path.parent if len(path.parts) > 2 else path
        for path in FILES
        if path.parts[0] == "chain" and path.name != "__init__.py"
    }
    used = {(path, other) for path in rooms for other in imports[path] & rooms.keys() if rooms[path] != rooms[other]}
    doors = {room: set(import_module(".".join(room.parts)).__all__) for room in rooms.values() if not room.suffix}
    assert doors == {room: {other.stem for _, other in used if rooms[other] == room} for room in doors}
    arrows = {(rooms[path], rooms[other]) for path, other in used if path != Path("chain/declared_calls.py")}
    TopologicalSorter({room: [to for begin, to in arrows if begin == room] for room in rooms.values()}).prepare()
    assert len(arrows) <= 29


def test_a_circle_is_found_wherever_the_imports_stand(tmp_path: Path) -> None:
    step, run = Path("functions/failover/steps/step.py"), Path("functions/failover/steps/run.py")
    (tmp_path / step).parent.mkdir(parents=True)
    (tmp_path / step).write_text("if TYPE_CHECKING:\n    from steps import run\n")
    (tmp_path / run).write_text("def run():\n    from .step import Step\n")
    with pytest.raises(CycleError) as circle:
        TopologicalSorter(imports_of(tmp_path, [step, run])).prepare()
    assert {*circle.value.args[1]} == {step, run}


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.parts[0] in ("chain", "model", "recovery")], ids=str)
def test_nothing_downstream_of_templates_needs_troposphere(path: Path) -> None:
    imported = {name.split(".")[0] for names in modules(Path(), path) for name in names}
    assert not imported & {"troposphere", "awacs", "cfnlint", "cfn_flip"}


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.parts[0] == "protocol"], ids=str)
def test_what_is_packed_into_every_function_needs_the_standard_library_alone(path: Path) -> None:
    imported = {names[-1].split(".")[0] for names in modules(Path(), path)}
    assert imported <= {*sys.stdlib_module_names, "protocol"}


@pytest.mark.xdist_group("one")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="without workers there are no groups")
def test_workers_see_groups(request: pytest.FixtureRequest) -> None:
    """What is tried in one deployed environment stays in one process, or every worker deploys its own."""
    assert request.node.nodeid.endswith("@one")


TEXTS = {"read_text": 0, "write_text": 1}
"""How many arguments these have, beside the encoding."""


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.parts[0] != "functions"], ids=str)
def test_a_text_is_read_and_written_as_utf_8_whatever_the_machines_encoding_is(path: Path) -> None:
    """Lambda's is UTF-8, so functions need not say so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TEXTS:
            said = len(node.args) > TEXTS[node.func.attr] or any(given.arg == "encoding" for given in node.keywords)
            assert said, f"{path}:{node.lineno} takes the encoding of the machine"
