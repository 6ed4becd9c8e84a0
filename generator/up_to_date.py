"""Whether anything changed since the last build: digests of what a build reads and writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def digest(paths: Iterable[Path]) -> str:
    """One digest of the names and contents of ``paths``, folders taken whole; what is missing counts as missing."""
    total = hashlib.sha256()
    for path in sorted({file for folder in paths for file in _files(folder)}):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
        total.update(f"{path.as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def current(stamp: Path, sources: Iterable[Path]) -> bool:
    """Whether sources and outputs are those of the build that wrote ``stamp``, which knows what its outputs were."""
    try:
        recorded = json.loads(stamp.read_text(encoding="utf-8"))
        outputs = [Path(name) for name in recorded["outputs"]]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return bool(recorded == _record(sources, outputs))


def write(stamp: Path, sources: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Record what this build read and wrote."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps(_record(sources, list(outputs))), encoding="utf-8")


def _record(sources: Iterable[Path], outputs: Sequence[Path]) -> dict[str, Any]:
    return {"sources": digest(sources), "outputs": [path.as_posix() for path in outputs], "written": digest(outputs)}


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
