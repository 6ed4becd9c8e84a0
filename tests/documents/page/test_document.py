"""The page is one file that holds everything."""

import re
from dataclasses import replace

import pytest

from documents.page.document import document
from generator.systems import SYSTEMS
from recovery.service_times import service_times
from tests.support.page_subjects import ROOT, subject, texts

MOST = 3_000_000
"""Bytes: all templates are a third of it, and it opens within a second."""


@pytest.fixture(scope="module")
def made() -> str:
    return document([subject(system.name) for system in SYSTEMS], texts(), service_times())


def test_it_is_the_page_that_a_build_writes(made: str) -> None:
    assert made == (ROOT / "docs/index.html").read_text()


def test_it_asks_for_nothing_else(made: str) -> None:
    assert not re.findall(r"<(?:script|img|iframe|object|embed)[^>]* src=|@import|url\(", made)
    assert re.findall(r"<link[^>]*>", made) == ['<link rel="icon" href="data:,">']


def test_what_has_no_price_is_told() -> None:
    one = subject("ledger")
    bills = {site: replace(bill, unpriced=("db.x9 (`Instance`)",)) for site, bill in one.bills.items()}
    made = document([replace(one, bills=bills)], texts(), service_times())
    assert "not in the sum: db.x9 (<code>Instance</code>)." in made


def test_it_stays_small(made: str) -> None:
    assert len(made.encode()) < MOST


def test_every_system_has_its_parts(made: str) -> None:
    for system in SYSTEMS:
        for part in ("architecture", "chain", "recovery", "runbooks", "costs"):
            assert f'<h3 id="{system.name}-{part}">' in made


def test_every_site_has_its_runbook(made: str) -> None:
    for system in SYSTEMS:
        for site in system.regions:
            page = system.name if site == "primary" else f"{system.name}-{site}"
            assert f'href="operations/{page}.md#' in made
