"""What was measured stands beside its formula, or is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from recovery.measured import measured
from recovery.service_times import DataError, service_times

FORMULAS = service_times().formulas
ONE = "restores: [{formula: rds.pitr, size_gib: 100, seconds: 2700, date: 2026-11-21, where: a rehearsal}]"


def test_a_measurement_is_read_with_its_size_and_place() -> None:
    (one,) = measured(ONE, FORMULAS)
    assert (one.formula, one.size_gib, one.took, one.date, one.where) == (
        "rds.pitr",
        100,
        timedelta(minutes=45),
        "2026-11-21",
        "a rehearsal",
    )


def test_the_committed_file_is_valid() -> None:
    measured(Path("docs/measured/restores.yaml").read_text(), FORMULAS)


def test_a_measurement_of_nothing_known_is_refused() -> None:
    with pytest.raises(DataError, match=r"rds\.pitrr is no formula; there are aurora\.pitr"):
        measured(ONE.replace("rds.pitr", "rds.pitrr"), FORMULAS)


def test_a_measurement_without_its_size_is_refused() -> None:
    with pytest.raises(DataError, match="lacks size_gib"):
        measured(ONE.replace("size_gib: 100, ", ""), FORMULAS)
