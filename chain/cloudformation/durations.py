"""How long stacks take, remembered from run to run: what takes longest starts first, and questions come at the right time."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from threading import Lock

from chain.environment.graph import Stack

KEPT = 3  # durations of each operation
STACK = 5.0  # seconds that a stack takes beside its resources
TYPICAL: Mapping[str, float] = {
    # Seconds on AWS, roughly; only for what has never been measured here, and only to say what starts first.
    "AWS::EC2::NatGateway": 120.0,
    "AWS::EC2::VPCEndpoint": 60.0,
    "AWS::EFS::MountTarget": 90.0,
    "AWS::ElastiCache::ReplicationGroup": 600.0,
    "AWS::RDS::DBCluster": 120.0,
    "AWS::RDS::DBInstance": 600.0,
    "AWS::RDS::GlobalCluster": 60.0,
}


class Durations:
    """Seconds by stack and operation; a file keeps them."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._lock = path, Lock()
        self._kept: dict[str, list[float]] = {}
        if path is not None and path.exists():
            try:
                self._kept = {str(name): [float(each) for each in kept] for name, kept in json.loads(path.read_bytes()).items()}
            except (ValueError, AttributeError, TypeError):
                self._kept = {}  # what cannot be read is measured again

    def expected(self, name: str, kind: str) -> float | None:
        """The shortest of the last ones: to ask a little early costs one question, to ask late costs time."""
        kept = self._kept.get(f"{name} {kind}")
        return min(kept) if kept else None

    def note(self, name: str, kind: str, seconds: float) -> None:
        """Keep a measured one."""
        with self._lock:
            kept = self._kept.setdefault(f"{name} {kind}", [])
            kept.append(round(seconds, 3))
            del kept[:-KEPT]

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self._path is None or not self._kept:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            text = json.dumps(self._kept, indent=1, sort_keys=True)
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(text, encoding="utf-8")
        new.replace(self._path)


def memory_name(stack: Stack) -> str:
    """What a stack's durations are kept under: they are alike in every environment."""
    return f"{stack.template.system}/{stack.template.layer}/{stack.site}"


def typical(types: Collection[str]) -> float:
    """What a stack of these types may take: the slowest of them, for the rest is made beside it."""
    return STACK + max((TYPICAL.get(type_, 0.0) for type_ in types), default=0.0)
