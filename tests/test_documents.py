"""Every committed document: links lead somewhere, and the commands and files that it names exist."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from awscli.clidriver import create_clidriver

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    path.relative_to(ROOT)
    for path in (
        *ROOT.glob("*.md"),
        *(
            path
            for folder in ("bench", "compliance", "docs", "emulator", "templates")
            for path in sorted((ROOT / folder).rglob("*.md"))
        ),
    )
]
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yaml|json|csv|lock|in|pem))`")
LATER = {"out/durations.json"}  # what a run writes


def _prose(path: Path) -> str:
    return re.sub(r"^```.*?^```", "", (ROOT / path).read_text(), flags=re.MULTILINE | re.DOTALL)


@cache
def _anchors(path: Path) -> frozenset[str]:
    """The headings of a page as GitHub names them, or the lines of any other file."""
    if path.suffix != ".md":
        return frozenset(f"L{number}" for number, _ in enumerate((ROOT / path).read_text().splitlines(), 1))
    headings = re.findall(r"^#+ (.+)$", _prose(path), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(path)):
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            target = (ROOT / path.parent / name).resolve().relative_to(ROOT) if name else path
            assert (ROOT / target).exists(), link
            assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_no_document_names_a_line_of_a_template(path: Path) -> None:
    """One resource more would change it in as many places as lines are named: what names them is built, and not committed."""
    assert not re.search(r"templates/[\w/-]+\.yaml(:\d|#L)|\w\.yaml:\d", (ROOT / path).read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_every_file_and_every_target_of_make_that_is_named_exists(path: Path) -> None:
    text = (ROOT / path).read_text()
    prose = re.sub(r"^\| `[^`]+` \| (?=`|gone)", "", _prose(path), flags=re.MULTILINE)  # what a table leads away from
    for name in set(FILE.findall(prose)) - LATER:
        assert (ROOT / name).exists() or (ROOT / path.parent / name).exists(), name
    (targets,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    blocks = "\n".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"`make ([a-z-]+)", text) + re.findall(r"^make ([a-z-]+)", blocks, re.MULTILINE)
    assert set(named) <= set(targets.split())


def test_every_line_that_only_an_account_can_confirm_has_the_command_that_settles_it() -> None:
    rows = [line.split(" | ") for line in (ROOT / "docs/real-account.md").read_text().splitlines() if line.startswith("| ")]
    assert rows[0] == ["| what", "settled by", "where it matters", "rests on |"]
    assert len(rows) > 10
    services = create_clidriver()._get_command_table()
    for row in rows[1:]:
        assert len(row) == len(rows[0]), row
        commands = [shlex.split(code) for code in re.findall(r"`([^`]+)`", row[1])]
        assert {words[0] for words in commands} & {"aws", "make", "dig"}, f"no command settles it: {row[0]}"
        for _, service, operation, *rest in (words for words in commands if words[0] == "aws"):
            options = services[service]._get_command_table()[operation].arg_table
            assert {word[2:] for word in rest if word.startswith("--")} <= {*options, "query", "region"}, (operation, rest)
