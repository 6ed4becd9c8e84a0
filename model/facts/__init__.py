"""What AWS does that no schema and no linter says: plain data, each with its source. The emulator reads the same files."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def fact(name: str) -> Any:
    """The content of ``model/facts/<name>.yaml``."""
    return yaml.safe_load((Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8"))
