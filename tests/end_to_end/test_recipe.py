"""CONTRIBUTING's recipe for a system, followed word by word in a copy of the checkout, from its first line to destroyed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import emulator
from tests.support import unmeasured

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^\d\. `([^`]+)`[^\n]*\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def recipe(title: str) -> str:
    """What CONTRIBUTING says below a heading."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition(f"\n### {title}\n")[2].partition("\n### ")[0]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What git holds, as it is here, without what it was built into."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_recipe_for_a_system_leads_from_nothing_to_deployed(checkout: Path) -> None:
    written = dict(BLOCK.findall(recipe("A system")))
    assert set(written) == {"generator/systems/library.py", "parameters/library/default.yaml"}
    for name, text in written.items():
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text(text, encoding="utf-8")
    names = checkout / "generator/systems/__init__.py"
    opening, _, rest = names.read_text(encoding="utf-8").partition("SYSTEMS = (")
    names.write_text(f"{opening}from generator.systems.library import LIBRARY\n\nSYSTEMS = (LIBRARY, {rest}", encoding="utf-8")

    def run(*words: str, **environment: str) -> str:
        ended = subprocess.run(
            [sys.executable, *words],
            cwd=checkout,
            env={**unmeasured.environment(), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    run("build.py")
    assert (checkout / "templates/library/table.yaml").exists()
    assert "Library: runbook" in (checkout / "docs/operations/library.md").read_text(encoding="utf-8")
    with emulator.running() as aws:
        run("deploy.py", "deploy", "--env", "try", "--system", "library", **aws.environment)
        assert "library-table-try" in run("deploy.py", "status", "--env", "try", "--system", "library", **aws.environment)
        run("deploy.py", "destroy", "--env", "try", "--system", "library", "--yes", **aws.environment)
