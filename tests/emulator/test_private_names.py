"""Every private name of ministack that the package uses is one that it checks when it starts."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from emulator import private_names

PACKAGE = Path(private_names.__file__).parent


def test_every_name_that_is_used_is_checked() -> None:
    assert {name for path in PACKAGE.rglob("*.py") for name in used(path)} == {
        (module, name) for module, names in private_names.NAMES.items() for name in names
    }


def used(path: Path) -> set[tuple[str, str]]:
    """The names of ministack's modules that a file reads or sets: imported ones, and attributes of imported modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules: dict[str, str] = {}
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ministack":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if is_module(full):
                    modules[alias.asname or alias.name] = full.removeprefix("ministack.")
                else:
                    found.add((str(node.module).removeprefix("ministack."), alias.name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            found.add((modules[node.value.id], node.attr))
    return found


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_the_pinned_version_is_the_one_that_is_named() -> None:
    lines = (PACKAGE.parent / "requirements/run.lock").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith(f"ministack=={private_names.VERSION} ") for line in lines)


def test_nothing_outside_the_package_knows_of_it() -> None:
    known = [
        str(path.relative_to(PACKAGE.parent))
        for folder in ("model", "generator", "compliance", "chain", "functions")
        for path in (PACKAGE.parent / folder).rglob("*.py")
        if "ministack" in path.read_text(encoding="utf-8")
    ]
    assert known == []
