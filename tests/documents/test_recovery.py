"""The document says every term with the property on which it rests."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from documents.recovery import document, said
from generator.systems import SYSTEMS
from generator.systems.ledger import LEDGER
from model import Disruption, read
from recovery.assess import findings
from recovery.measured import Measured
from recovery.service_times import service_times

TIMES = service_times()
TEXTS = {path.as_posix(): path.read_text() for path in sorted(Path("templates").glob("*/*.yaml"))}


def rendered(measured: tuple[Measured, ...] = ()) -> str:
    assessed = []
    for system in SYSTEMS:
        mine = {Path(name).stem: read(text) for name, text in TEXTS.items() if name.startswith(f"templates/{system.name}/")}
        assessed.append((system, findings(system, mine, TIMES, measured)))
    return document(assessed, TIMES, measured)


@pytest.fixture(scope="module")
def page() -> str:
    return rendered()


def test_every_link_leads_to_the_resource_that_it_names(page: str) -> None:
    links = re.findall(r"\[([\w-]+)\.(\w+)[^]]*\]\(\.\./(templates/[\w-]+/[\w-]+\.yaml)\)", page)
    assert len(links) > 100
    for layer, title, name in links:
        assert Path(name).stem == layer
        assert title in read(TEXTS[name])["Resources"]


def test_a_term_is_linked_to_the_property_from_which_it_is_read(page: str) -> None:
    row = next(line for line in page.splitlines() if "RDS notices and its standby takes over" in line)
    assert "[database.Instance.MultiAZ](../templates/citizen-registry/database.yaml)" in row


def test_every_system_and_disruption_has_a_row(page: str) -> None:
    for system in SYSTEMS:
        for disruption in Disruption:
            assert f"| [{system.name}](#{system.name}) | {disruption.value} | " in page


def test_the_deviation_stands_beside_what_it_explains(page: str) -> None:
    _, _, after = page.partition("### healthcare: region")
    assert "> Deviation on objects.Bucket: Replication in 15 minutes is promised for 99.99 % of objects" in after


def test_layers_that_may_be_left_out_are_named_where_there_are_some(page: str) -> None:
    assert page.count("Layers that an environment may leave out") == 1
    assert not any(layer.optional for layer in LEDGER.layers)


def test_a_measured_restore_stands_beside_its_formula(page: str) -> None:
    assert "not yet" in page
    measured = rendered((Measured("rds.pitr", 100, timedelta(minutes=42), "2026-11-21", "a rehearsal"),))
    assert "| 100 GiB in 42 min (2026-11-21, a rehearsal) |" in measured


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (None, "no bound"),
        (timedelta(), "0"),
        (timedelta(seconds=75), "1 min 15 s"),
        (timedelta(days=1, hours=4), "1 d 4 h"),
    ],
)
def test_lengths_are_said_in_units_of_people(length: timedelta | None, words: str) -> None:
    assert said(length) == words
