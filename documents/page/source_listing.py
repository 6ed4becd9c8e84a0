"""The templates and parameter files within the page, and the links to their lines.

A browser that opens the page as a file saves YAML instead of showing it, and knows no lines. So every such file stands at the end
of the page, and a link leads to its line there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from documents.page.markup import Html, escaped, joined, tag
from model import System
from model.line_numbers import Lines


class Sources:
    """Links to lines; remembers which, so that each of them can be found."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {name: text for name, text in texts.items() if name.endswith(".yaml")}
        self._lines = Lines(self._texts)
        self._linked: dict[str, set[int]] = {}

    def at(self, system: System, layer: str, title: str, path: str = "") -> str:
        """The address of a property's line within the page."""
        name, number = self._lines.at(system, layer, title, path)
        self._linked.setdefault(name, set()).add(number)
        return f"#{_short(name)}:{number}"

    def link(self, system: System, layer: str, title: str, path: str = "", said: str = "") -> Html:
        """A link to a property's line; it says where that is, or what it is told to say."""
        address = self.at(system, layer, title, path)
        return tag("a", {"class": "l", "href": address}, said or f"{layer}.yaml:{address.rpartition(':')[2]}")

    def values(self, system: System) -> str:
        """The address of a system's default parameter file within the page."""
        return f"#{_short(f'parameters/{system.name}/default.yaml')}"

    def appendix(self) -> Iterator[Html]:
        """Every file with the lines to which there are links. Comes last: only then all of them are known."""
        for name, text in sorted(self._texts.items()):
            linked = self._linked.get(name, set())
            lines = [
                tag("b", {"id": f"{_short(name)}:{number}", "tabindex": -1}, line) if number in linked else escaped(line)
                for number, line in enumerate(text.splitlines(), 1)
            ]
            file = tag("p", None, "The file: ", tag("a", {"href": f"../{name}"}, name))
            code = tag("pre", {"tabindex": 0}, joined(lines, "\n"))
            yield tag("details", {"class": "source", "id": _short(name)}, tag("summary", None, name), file, code)


def _short(name: str) -> str:
    return name.removeprefix("templates/").removesuffix(".yaml")
