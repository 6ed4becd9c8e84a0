"""What a function is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping

from common.report import FunctionError


def needed(environment: Mapping[str, str], name: str) -> str:
    """A variable that the function cannot do without."""
    if not environment.get(name):
        raise FunctionError(f"The function's environment lacks {name}. Set it.")
    return environment[name]
