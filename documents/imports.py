"""What each file of the checkout imports, and the floors that the rooms stand on: imports go down only."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

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

AROUND = ("requirements", ".ci", "tests", "bench")
"""What stands around the product: it is neither deployed nor shipped."""


def files(root: Path) -> list[Path]:
    """Every Python file of every room, by its path in the checkout."""
    found = {
        path for name in FLOORS for path in (root / name, *(root / name).rglob("*.py")) if path.suffix == ".py" and path.is_file()
    }
    return sorted(path.relative_to(root) for path in found)


def product(root: Path) -> list[Path]:
    """Of these the product's."""
    return [path for path in files(root) if path.parts[0] not in AROUND]


def room(path: Path) -> str:
    """Where a file belongs. Each function is a room of its own, and so is what they share."""
    inner = "/".join(path.parts[:2])
    return inner if path.parts[0] == "functions" or inner in FLOORS else path.parts[0]


def imports(root: Path, files: Iterable[Path]) -> dict[Path, set[Path]]:
    """Each of these files, and which of them it imports; a function its own before those of others."""
    named: dict[str, list[Path]] = {}
    for path in files:
        for name in _names(path):
            named.setdefault(name, []).append(path)
    found: dict[Path, set[Path]] = {}
    for path in files:
        ours = [
            next(named[name] for name in names if name in named)
            for names in modules(root, path)
            if not named.keys().isdisjoint(names)
        ]
        found[path] = {min(each, key=lambda other: room(other) != room(path)) for each in ours} - {path}
    return found


def modules(root: Path, path: Path) -> Iterator[tuple[str, ...]]:
    """What a file imports, wherever in it. What is taken from a package is a module of that, or stands in the package itself."""
    for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name,) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join([*(path.parts[: -node.level] if node.level else ()), *filter(None, [node.module])])
            yield from ((f"{package}.{name.name}", package) for name in node.names)


def _names(path: Path) -> list[str]:
    """The names under which a file is imported: of a function's also those that it has in its package."""
    *folders, name = path.with_suffix("").parts
    parts = folders if name == "__init__" else [*folders, name]
    return [".".join(parts[begin:]) for begin in range(3 if parts[0] == "functions" else 1)]
