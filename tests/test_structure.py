"""Imports go down only; siblings on a floor never import each other; no circle of files is left."""

import ast
import os
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

FLOORS = {
    "model": 0,
    "protocol": 0,
    "generator": 1,
    "compliance": 1,
    "recovery": 1,
    "chain": 1,
    "replay": 1,
    "generator/systems": 2,
    "documents": 2,
    "build.py": 3,
    "deploy.py": 3,
    "emulator": 3,
    "functions": 3,
    "requirements": 3,
    ".ci": 3,
    "tests/servers": 4,
    "tests/support": 5,
    "bench": 6,
    "tests": 7,
}
APART = {"emulator": (), "functions": ("functions/common", "protocol")}
"""What these may import although it is not their own, however far down it lies: functions, what is packed beside each."""

FILES = sorted({path for room in FLOORS for path in [Path(room), *Path(room).rglob("*.py")] if path.suffix == ".py"})
PRODUCT = [path for path in FILES if path.parts[0] not in ("requirements", ".ci", "tests", "bench")]


def _room(path: Path) -> str:
    """Where a file belongs. Each function is a room of its own, and so is what they share."""
    inner = "/".join(path.parts[:2])
    return inner if path.parts[0] == "functions" or inner in FLOORS else path.parts[0]


def _may_import(room: str, other: str) -> bool:
    floor, below = (name if name in FLOORS else name.split("/")[0] for name in (room, other))
    return other == room or (other in APART[floor] if floor in APART else FLOORS[below] < FLOORS[floor])


def _names(path: Path) -> list[str]:
    """The names under which a file is imported: of a function's also those that it has in its package."""
    *folders, name = path.with_suffix("").parts
    parts = folders if name == "__init__" else [*folders, name]
    return [".".join(parts[begin:]) for begin in range(3 if parts[0] == "functions" else 1)]


def _modules(path: Path) -> Iterator[tuple[str, ...]]:
    """What a file imports, wherever in it. What is taken from a package is a module of that, or stands in the package itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name,) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join([*(path.parts[: -node.level] if node.level else ()), *filter(None, [node.module])])
            yield from ((f"{package}.{name.name}", package) for name in node.names)


def _imports(files: Iterable[Path]) -> dict[Path, set[Path]]:
    """Each of these files, and which of them it imports; a function its own before those of others."""
    named: dict[str, list[Path]] = {}
    for path in files:
        for name in _names(path):
            named.setdefault(name, []).append(path)
    found: dict[Path, set[Path]] = {}
    for path in files:
        ours = [
            next(named[name] for name in names if name in named) for names in _modules(path) if not named.keys().isdisjoint(names)
        ]
        found[path] = {min(each, key=lambda other: _room(other) != _room(path)) for each in ours} - {path}
    return found


@pytest.fixture(scope="module")
def imports() -> dict[Path, set[Path]]:
    """Of all files."""
    return _imports(FILES)


def test_imports_go_down_only(imports: dict[Path, set[Path]]) -> None:
    assert {each.name for each in Path().iterdir() if each.suffix == ".py" or any(each.glob("*.py"))} <= FLOORS.keys()
    pairs = [(path, other) for path, others in imports.items() for other in sorted(others)]
    assert not [f"{path} imports {other}" for path, other in pairs if not _may_import(_room(path), _room(other))]


def test_no_circle_of_files_is_left(imports: dict[Path, set[Path]]) -> None:
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


def test_a_circle_is_found_wherever_the_imports_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    step, run = Path("functions/failover/steps/step.py"), Path("functions/failover/steps/run.py")
    step.parent.mkdir(parents=True)
    step.write_text("if TYPE_CHECKING:\n    from steps import run\n")
    run.write_text("def run():\n    from .step import Step\n")
    with pytest.raises(CycleError) as circle:
        TopologicalSorter(_imports([step, run])).prepare()
    assert {*circle.value.args[1]} == {step, run}


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.parts[0] in ("chain", "model", "recovery")], ids=str)
def test_nothing_downstream_of_templates_needs_troposphere(path: Path) -> None:
    imported = {name.split(".")[0] for names in _modules(path) for name in names}
    assert not imported & {"troposphere", "awacs", "cfnlint", "cfn_flip"}


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.parts[0] == "protocol"], ids=str)
def test_what_is_packed_into_every_function_needs_the_standard_library_alone(path: Path) -> None:
    imported = {names[-1].split(".")[0] for names in _modules(path)}
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
