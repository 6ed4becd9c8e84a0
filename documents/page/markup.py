"""HTML and SVG as strings that know that they are escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

VOID = frozenset({"br", "circle", "col", "input", "line", "link", "meta", "path", "rect"})
"""Elements that are written without an end; those of SVG close themselves."""

SVG = frozenset({"circle", "line", "path", "rect"})

Attributes = Mapping[str, object]


class Html(str):
    """Markup: what is put into an element as it is. Any other text is escaped."""

    __slots__ = ()


def tag(name: str, attributes: Attributes | None = None, *children: str) -> Html:
    """An element. An attribute that is ``True`` stands without a value, one that is ``None`` or ``False`` not at all."""
    given = "".join(map(_attribute, (attributes or {}).items()))
    if name in VOID:
        return Html(f"<{name}{given}{'/' if name in SVG else ''}>")
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Parts one after the other."""
    return Html(escaped(between).join(map(escaped, parts)))


def escaped(text: str) -> Html:
    """A text as markup."""
    return text if isinstance(text, Html) else Html(html.escape(text, quote=False))


def sentence(text: str) -> Html:
    """A sentence of the project's own in the Markdown that it is written in: code, bold, emphasis and links."""
    marked = re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escaped(text))
    marked = re.sub(r"\[([^]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', marked)
    return Html(
        re.sub(r"(?<![\w*])\*(?=\S)([^*]+)(?<=\S)\*", r"<em>\1</em>", re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked))
    )


def table(head: Iterable[str], rows: Iterable[Html], caption: str, attributes: Attributes | None = None) -> Html:
    """A table whose columns are headed; ``rows`` are elements ``tr``."""
    columns = [tag("th", {"scope": "col"}, one) for one in head]
    inner = (tag("caption", None, caption), tag("thead", None, tag("tr", None, *columns)), tag("tbody", None, *rows))
    return tag("div", {"class": "wide", "tabindex": 0, "role": "region", "aria-label": caption}, tag("table", attributes, *inner))


def row(*cells: str, attributes: Attributes | None = None) -> Html:
    """A row whose first cell heads it."""
    first, *others = cells
    return tag("tr", attributes, tag("th", {"scope": "row"}, first), *(tag("td", None, one) for one in others))


def swatch(kind: str) -> Html:
    """A spot of a colour."""
    spot = tag("rect", {"class": f"f-{kind}", "width": 12, "height": 12, "rx": 2})
    return tag("svg", {"width": 12, "height": 12, "aria-hidden": "true"}, spot)


def _attribute(given: tuple[str, object]) -> str:
    name, value = given
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
