"""What works in one checkout works in any: whatever its path, its line ends, the locale and the variables of Python are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import build
from generator import packages
from tests.support import unmeasured

ROOT = Path(__file__).resolve().parents[1]
ODD = "sp ace, ünï'q & $x"
FOLDERS = (*build.RENDERED_FROM, "templates", "parameters", "chain", "emulator", "deploy.py", "Makefile", "pyproject.toml")
HARD = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
"""A terminal and files that are not UTF-8, as far as Python can tell."""

RUN = {
    "number": 0,
    "at": "2026-01-01T00:00:00.000+00:00",
    "kind": "run",
    "previous": "0" * 64,
    "version": 1,
    "command": "deploy",
    "env": "dév",
    "systems": ["ledger"],
    "account": "1",
    "actor": "me",
    "regions": ["us-east-1"],
}


def _run(command: list[str], where: Path, **changes: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=where, env={**unmeasured.environment(), **changes}, capture_output=True, check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds what stands here, at an odd path; what is installed here is installed there."""
    root = tmp_path_factory.mktemp("odd") / ODD
    for name in (*FOLDERS, *(f"requirements/{path.name}" for path in (ROOT / "requirements").glob("*.lock")), ".gitattributes"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, root / name)
    for path in (root / "requirements").iterdir():
        os.utime(path, (0, 0))  # older than what is installed
    (root / ".gitignore").write_text("/out/\n/.venv\n__pycache__/\n")
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").symlink_to(sys.executable)
    (root / ".venv/.run").touch()
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "."],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    (root / ".venv/bin/python").unlink()
    (root / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (root / ".venv/bin/python").chmod(0o755)
    return root


@pytest.mark.xdist_group("try")
def test_make_try_works_at_an_odd_path_without_a_home_in_a_plain_locale_and_does_not_build(checkout: Path) -> None:
    ended = _run(["make", "try", "SYSTEM=ledger"], checkout, HOME="/dev/null/home", LANG="C", LC_ALL="C", PYTHONSAFEPATH="1")
    said = ended.stdout.decode("utf-8")
    assert ended.returncode == 0, said + ended.stderr.decode()
    assert "templates as committed; " in said
    assert " 0 different." in said
    assert "stacks deleted; left: " in said


def test_a_text_in_another_encoding_than_the_machines_is_read_and_written(checkout: Path) -> None:
    ended = _run([sys.executable, "build.py", "packages"], checkout, **HARD)
    assert ended.returncode == 0, ended.stderr.decode()
    record = checkout / "out/runs/20260101T000000Z-dev-deploy.ndjson"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(RUN) + "\n")
    page = _run([sys.executable, "deploy.py", "show", "--run", str(record), "--html"], checkout, **HARD)
    assert page.returncode == 0, page.stderr.decode()
    assert "dév" in page.stdout.decode("utf-8")
    shown = _run([sys.executable, "deploy.py", "show", "--run", str(record)], checkout, **HARD)
    assert shown.returncode == 0, shown.stderr.decode()


@pytest.mark.parametrize("command", ["deploy.py", "build.py"])
def test_a_program_is_found_beside_its_modules(command: str) -> None:
    here = {**os.environ, "PYTHONSAFEPATH": "1"}  # its lines are counted
    ended = subprocess.run([sys.executable, command, "--help"], cwd=ROOT, env=here, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("command", [("deploy",), ("destroy", "--yes")])
def test_a_checkout_that_cannot_be_written_is_refused_before_any_call(tmp_path: Path, command: tuple[str, ...]) -> None:
    for name in ("templates", "parameters"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "out").write_text("no folder can be made here")
    program = f"import deploy, pathlib, sys; sys.exit(deploy.main(sys.argv[1:], pathlib.Path({str(tmp_path)!r})))"
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    ended = _run([sys.executable, "-c", program, *command, "--env", "dev", "--system", "ledger"], ROOT, **nowhere)
    said = ended.stderr.decode()
    assert (ended.returncode, said.count("\n")) == (2, 1), said
    assert f"{tmp_path / 'out/runs'} cannot be written to (" in said


def test_a_build_that_cannot_write_says_where(tmp_path: Path) -> None:
    (tmp_path / "templates").write_text("no folder")
    ended = _run([sys.executable, "build.py", "packages", "--root", str(tmp_path)], ROOT)
    said = ended.stderr.decode()
    assert (ended.returncode, said.count("\n")) == (1, 1), said
    assert str(tmp_path / "templates") in said


def test_git_holds_every_text_with_the_same_line_ends() -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    asked = subprocess.run(
        ["git", "check-attr", "-z", "--stdin", "text", "eol"], cwd=ROOT, input=names, capture_output=True, check=True
    ).stdout.decode()
    fields = asked.split("\0")
    told = {(fields[at], fields[at + 1]): fields[at + 2] for at in range(0, len(fields) - 2, 3)}
    assert len(told) == 2 * names.count(b"\0") > 0
    assert {value for (name, attribute), value in told.items() if attribute == "eol"} == {"lf"}
    assert {value for (name, attribute), value in told.items() if attribute == "text"} <= {"auto", "set"}


def test_a_package_does_not_depend_on_line_ends(tmp_path: Path) -> None:
    for name in ("functions", "protocol"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / packages.LOCK, tmp_path / packages.LOCK)
    for path in (path for path in tmp_path.rglob("*") if path.suffix in packages.OWN):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    for name in ("rotation", "failover"):
        assert packages.package(name, tmp_path).key == packages.package(name).key


def test_packages_are_made_without_a_build_only_where_git_holds_what_stands(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []
    monkeypatch.setattr(build, "build", lambda root: (built.append(root), ([], "built"))[1])
    assert build.packages(checkout)[1].startswith("templates as committed; ")
    named = {key for path in checkout.glob("templates/*/*.yaml") for key in build.KEY.findall(path.read_text(encoding="utf-8"))}
    assert named
    assert named == {path.name for path in (checkout / "out/packages").iterdir()}
    (checkout / "parameters/ledger/mine.yaml").write_text("{}\n")
    assert build.packages(checkout)[1].startswith("templates as committed; ")
    assert built == []
    for name in ("templates/ledger/new.yaml", "functions/common/new.py", "protocol/new.py"):
        (checkout / name).write_text("")
        assert build.packages(checkout)[1] == "built"
        (checkout / name).unlink()
    changed = checkout / "generator/up_to_date.py"
    before = changed.read_text(encoding="utf-8")
    changed.write_text(before + "\n", encoding="utf-8")
    assert build.packages(checkout)[1] == "built"
    changed.write_text(before, encoding="utf-8")
    assert build.packages(checkout)[1].startswith("templates as committed; ")
    assert len(built) == 4
