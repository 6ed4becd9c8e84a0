"""What tests share lies in tests/support or in a conftest.py; a test file is nobody's library."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FILES = {".".join(path.with_suffix("").parts): path for path in sorted(Path("tests").rglob("*.py")) if path.name != "__init__.py"}
SHARED = [module for module in FILES if module.startswith("tests.support.")]


def _tests(module: str) -> bool:
    """Whether pytest reads it by itself."""
    return FILES[module].name.startswith("test_") or FILES[module].name == "conftest.py"


def _used(path: Path) -> set[str]:
    """The modules of tests that a file imports, or names to pytest or to another interpreter."""
    named = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: say where it is imported from"
            named |= {f"{node.module}", *(f"{node.module}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Import):
            named |= {each.name for each in node.names}
        elif isinstance(node, ast.Constant):
            named.add(str(node.value))
    return named & FILES.keys()


USED = {module: _used(path) for module, path in FILES.items()}


@pytest.mark.parametrize("module", FILES)
def test_nobody_imports_a_test_file(module: str) -> None:
    assert [each for each in USED[module] if _tests(each)] == []


@pytest.mark.parametrize("module", SHARED)
def test_what_lies_in_support_is_shared(module: str) -> None:
    users = [each for each in FILES if module in USED[each]]
    assert len(users) >= 2 or [each for each in users if not _tests(each)], f"{users} alone: put it beside that file"
