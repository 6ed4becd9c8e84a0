"""Regions that nobody reaches: calls to them get no answer, and their databases hang. That is worse than a refusal."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from emulator import databases

# Where a signed request says for which region: in its header, or in its address.
SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([a-z0-9-]+)/")

_dark: set[str] = set()
_lock = threading.Lock()


def is_dark(region: str) -> bool:
    return region in _dark


def darken(region: str, clients: str = "") -> Mapping[str, Any]:
    """From now on the region does not answer; what runs there goes on, but reaches nothing of it either.

    ``clients`` says that those beside its databases are served: the region is cut off, and not lost.
    """
    with _lock:
        _dark.add(region)
        if clients:
            databases.sever(region)
        else:
            databases.freeze(region, frozen=True)
    return {}


def lighten(region: str, before: Callable[[str], None], after: Callable[[], None]) -> Mapping[str, Any]:
    """The region answers again. Its databases go on where they stood, but for those whose place another one took.

    What becomes of these is done ``before`` anybody reaches the region, and ``after``.
    """
    from ministack.core.responses import get_account_id, request_scope

    with _lock, request_scope(get_account_id(), region):
        before(region)
        databases.freeze(region, frozen=False)
        databases.mend(region)
        _dark.discard(region)
        after()
    return {}


def swallows(scope: Mapping[str, Any]) -> bool:
    """Whether a request is one that gets no answer."""
    if not _dark:
        return False
    headers = {name.lower(): value for name, value in scope.get("headers", [])}
    said = SCOPE.search(headers.get(b"authorization", b"").decode() or unquote(scope.get("query_string", b"").decode()))
    return said is not None and said[1] in _dark


async def swallow(receive: Any) -> None:
    """Returns when who asked has given up."""
    while (await receive())["type"] != "http.disconnect":
        pass
