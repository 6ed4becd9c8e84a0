"""Whether anything changed since the last build: digests of what a build reads and writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


def digest(paths: Iterable[Path]) -> str:
    """One digest of the names and contents of ``paths``, folders taken whole; what is missing counts as missing."""
    total = hashlib.sha256()
    for path in sorted({file for folder in paths for file in _files(folder)}):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
        total.update(f"{path.as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def current(stamp: Path, sources: Iterable[Path], outputs: Iterable[Path]) -> bool:
    """Whether sources and outputs are those of the build that wrote ``stamp``."""
    try:
        recorded = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(recorded == {"sources": digest(sources), "outputs": digest(outputs)})


def write(stamp: Path, sources: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Record what this build read and wrote."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps({"sources": digest(sources), "outputs": digest(outputs)}), encoding="utf-8")


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
