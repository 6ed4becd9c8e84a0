"""The table of controls is the one that stands in the evidence."""

import csv
import html
import re
from collections import Counter

import pytest

from documents import matrix
from documents.page.controls import compliance, deviations
from documents.page.source_listing import Sources
from tests.support.page_subjects import judged, subject, texts

NAMES = ("healthcare", "ledger")


@pytest.fixture(scope="module")
def made() -> str:
    return "".join(compliance([(subject(name).system, subject(name).findings) for name in NAMES], Sources(texts())))


def test_every_control_stands_as_in_the_table_of_findings(made: str) -> None:
    rows = csv.DictReader(matrix.table(judged(), texts()).splitlines())
    known: dict[tuple[str, str, str], set[str]] = {}
    for row in rows:
        if row["system"] in NAMES:
            known.setdefault((row["catalogue"], row["control"], row["system"]), set()).add(row["status"])
    expected = Counter((key[2], "deviation" if "deviation" in said else said.pop().split()[0]) for key, said in known.items())
    shown = Counter(re.findall(r'data-system="([a-z-]+)" data-status="([a-z]+)"', made))
    assert shown == expected


def test_each_rule_that_is_named_has_its_evidence_with_lines(made: str) -> None:
    named = set(re.findall(r'class="e" href="#([^"]+)"', made))
    assert named
    assert named <= set(re.findall(r'class="evidence" id="([^"]+)"', made))
    lines = re.findall(r'class="l" href="#(?:healthcare|ledger)/[a-z-]+:\d+"', made)
    assert len(lines) == sum(len(subject(name).findings) for name in NAMES)


def test_deviations_are_all_there_with_their_reasons() -> None:
    one = subject("healthcare")
    shown = html.unescape(re.sub(r"<[^>]+>", "", deviations([(one.system, one.findings)], Sources(texts()))))
    for deviation in one.system.deviations:
        assert deviation.reason.replace("`", "") in shown
