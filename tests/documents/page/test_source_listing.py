"""A link to a line leads to that line."""

import re

from documents.page.source_listing import Sources
from generator.systems.ledger import LEDGER
from tests.support.page_subjects import texts


def test_a_link_names_the_line_of_the_property_and_the_line_can_be_found() -> None:
    sources = Sources(texts())
    link = sources.link(LEDGER, "database", "Instance", "StorageEncrypted")
    number = int(re.search(r"#ledger/database:(\d+)", link)[1])  # type: ignore[index]
    line = texts()["templates/ledger/database.yaml"].splitlines()[number - 1]
    assert line.strip() == "StorageEncrypted: true"
    assert f"database.yaml:{number}</a>" in link
    assert f'<b id="ledger/database:{number}" tabindex="-1">{line}</b>' in "".join(sources.appendix())


def test_lines_that_nothing_links_to_are_no_targets() -> None:
    sources = Sources(texts())
    made = list(sources.appendix())
    assert len(made) == sum(name.endswith(".yaml") for name in texts())
    assert not any("<b " in one for one in made)


def test_a_link_says_what_it_is_told_to() -> None:
    assert Sources(texts()).link(LEDGER, "database", "Instance", "", "the database").endswith(">the database</a>")
