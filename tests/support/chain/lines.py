"""What commands say with ``--json``, held against the schema."""

from __future__ import annotations

import json
from typing import Any

from cfnlint.jsonschema import StandardValidator

from tests.support.chain.checkout import REPOSITORY

SCHEMA = StandardValidator(schema=json.loads((REPOSITORY / "chain/lines.schema.json").read_text()))


def read(text: str) -> list[dict[str, Any]]:
    """Lines of JSON that fit the schema."""
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        assert not list(SCHEMA.iter_errors(line)), line
    return found


def of(kind: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of a kind."""
    return [line for line in found if line["kind"] == kind]
