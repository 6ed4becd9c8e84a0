"""The names of clusters, for processes in which Python runs: what a resolver of AWS answers in a VPC.

A name resolves while a file of its name is in one of the directories that are followed; it is looked for with every question. All
other names, and processes that ask libc itself, such as psql, are left to this machine.
"""

# ruff: noqa: PTH110, PTH118  # it stands in the way of every connection, and pathlib makes calls of its own

from __future__ import annotations

import os
import socket
from typing import Any

ZONE = ".rds.localhost"
"""The end of the names; RFC 6761 keeps everything below ``localhost`` on this machine, wherever it is asked for."""

_directories: list[str] = []
_theirs = socket.getaddrinfo


def follow(directory: str) -> None:
    """Names in ``directory`` resolve from now on."""
    _directories.append(directory)
    socket.getaddrinfo = _getaddrinfo


def leave(directory: str) -> None:
    """And no longer."""
    _directories.remove(directory)
    if not _directories:
        socket.getaddrinfo = _theirs


def _getaddrinfo(host: Any, *more: Any, **named: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if not isinstance(name, str) or not name.lower().rstrip(".").endswith(ZONE):
        return _theirs(host, *more, **named)
    if not any(os.path.exists(os.path.join(place, name.lower().rstrip("."))) for place in _directories):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return _theirs("127.0.0.1", *more, **named)
