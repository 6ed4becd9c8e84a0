"""What every layer module starts from: a name, its sites, and one method to fill in."""

from __future__ import annotations

from dataclasses import dataclass

from generator.template import Template
from model import PRIMARY, Site


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One template. Fields of a subclass are structural choices; its docstring's first line is the template's Description.

    An ``optional`` layer is deployed only while some stack is wired to it; one that names another layer, only where that one is.
    """

    name: str
    sites: tuple[Site, ...] = (PRIMARY,)
    optional: bool | str = False

    def define(self, t: Template) -> None:
        """Write the layer's resources and outputs."""
        raise NotImplementedError(f"{type(self).__name__} defines nothing")


def purpose(layer: object) -> str:
    """The sentence that says what a layer is for: the first line of its docstring."""
    return (type(layer).__doc__ or "").strip().splitlines()[0]
