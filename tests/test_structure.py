"""Imports go down only; siblings on a floor never import each other; the emulator knows nothing of us."""

import ast
import os
from pathlib import Path

import pytest

FLOORS = {
    "model": 0,
    "generator": 1,
    "compliance": 1,
    "recovery": 1,
    "chain": 1,
    "replay": 1,
    "generator.systems": 2,
    "page": 2,
    "build": 3,
    "deploy": 3,
}
APART = ("emulator", "functions")
ROOMS = ("model", "generator", "compliance", "recovery", "chain", "replay", "page")
FILES = [
    *sorted(path for name in (*ROOMS, *APART) for path in Path(name).rglob("*.py")),
    Path("build.py"),
    Path("deploy.py"),
]


def _room(module: str) -> str:
    return "generator.systems" if module.startswith("generator.systems") else module.split(".")[0]


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: say where it is imported from"
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_go_down_only(path: Path) -> None:
    room = _room(".".join(path.with_suffix("").parts))
    for module in _imported(path):
        other = _room(module)
        if other not in FLOORS and other not in APART:
            continue
        if room in APART:
            assert other == room, f"{path} stands alone and imports {module}"
        else:
            assert other == room or (other in FLOORS and FLOORS[other] < FLOORS[room]), f"{path} imports {module}"


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] in ("chain", "model", "recovery")], ids=str)
def test_nothing_downstream_of_templates_needs_troposphere(path: Path) -> None:
    assert not {module.split(".")[0] for module in _imported(path)} & {"troposphere", "awacs", "cfnlint", "cfn_flip"}


@pytest.mark.xdist_group("one")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="without workers there are no groups")
def test_workers_see_groups(request: pytest.FixtureRequest) -> None:
    """What is tried in one deployed environment stays in one process, or every worker deploys its own."""
    assert request.node.nodeid.endswith("@one")


TEXTS = {"read_text": 0, "write_text": 1}
"""How many arguments these have, beside the encoding."""


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] != "functions"], ids=str)
def test_a_text_is_read_and_written_as_utf_8_whatever_the_machines_encoding_is(path: Path) -> None:
    """Lambda's is UTF-8, so functions need not say so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TEXTS:
            said = len(node.args) > TEXTS[node.func.attr] or any(given.arg == "encoding" for given in node.keywords)
            assert said, f"{path}:{node.lineno} takes the encoding of the machine"
