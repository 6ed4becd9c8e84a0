"""The committed templates as plain data: what reviewers read and the chain deploys."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from model import Document, read


@cache
def templates(system: str) -> dict[str, Document]:
    """Every layer of a system, by name."""
    return {path.stem: read(path.read_text()) for path in sorted(Path("templates", system).glob("*.yaml"))}


def resources(system: str, type_: str) -> Iterator[tuple[str, Document]]:
    """Every resource of a type, as ``layer.LogicalId`` and body."""
    for layer, template in templates(system).items():
        for title, body in template["Resources"].items():
            if body["Type"] == type_:
                yield f"{layer}.{title}", body


def only(system: str, type_: str) -> Document:
    """The properties of the one resource of a type."""
    ((_, body),) = resources(system, type_)
    properties: Document = body["Properties"]
    return properties
