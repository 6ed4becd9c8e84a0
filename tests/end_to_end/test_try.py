"""`make try` ends clean, again and again, with a PostgreSQL on the machine and without one."""

import re
import subprocess

import pytest

from tests.support import unmeasured
from tests.support.commands import ROOT

pytestmark = pytest.mark.xdist_group("try")

ENDS_CLEAN = re.compile(r"stacks deleted; left: \d+ KMS keys \(waiting period\)\.")


def _try(*given: str, **environment: str) -> str:
    ended = subprocess.run(
        ["make", "try", *given],
        cwd=ROOT,
        env={**unmeasured.environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    return said


def test_make_try_run_twice_in_a_row_ends_clean() -> None:
    for said in (_try(), _try("SYSTEM=ledger")):
        assert "rotated" in said
        assert " 0 different." in said
        assert ENDS_CLEAN.search(said)


def test_without_postgresql_make_try_deploys_all_the_same_and_says_what_was_not_exercised() -> None:
    said = _try("SYSTEM=ledger", PG_BIN="/nowhere")
    assert ENDS_CLEAN.search(said)
    end = said.strip().splitlines()[-3:]
    assert any("PostgreSQL" in line for line in end), end
