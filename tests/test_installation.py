"""What is installed is what the locks pin, and the locks pin what pyproject.toml names, wherever and whenever that is done."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from requirements import install, lock

ROOT = Path(__file__).resolve().parents[1]
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
LOCKS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "requirements").glob("*.lock")}


def _pins(group: str) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for name, version, _ in lock.PIN.findall(LOCKS[group]):
        pins.setdefault(name, set()).add(version)
    return pins


def test_every_group_has_its_lock_and_every_lock_its_group() -> None:
    assert set(LOCKS) == set(GROUPS) == {*lock.TOGETHER, *lock.APART}


@pytest.mark.parametrize("group", GROUPS)
def test_a_lock_pins_what_its_group_names(group: str) -> None:
    pins = _pins(group)
    for needed in map(Requirement, GROUPS[group]):
        versions = pins[re.sub("[-_.]+", "-", needed.name).lower()]
        assert all(needed.specifier.contains(version) for version in versions), needed


@pytest.mark.parametrize("group", GROUPS)
def test_every_pin_has_its_hashes_and_no_lock_names_a_place(group: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", LOCKS[group], flags=re.MULTILINE)[1:]
    assert len(entries) == len(lock.PIN.findall(LOCKS[group])) > 0
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|--index|--find-links|--trusted", LOCKS[group])


def test_what_stands_in_one_environment_is_held_to_one_version() -> None:
    seen: dict[str, set[str]] = {}
    for group in lock.TOGETHER:
        for name, versions in _pins(group).items():
            assert versions == seen.setdefault(name, versions), name


def test_what_runs_needs_nothing_of_the_tests() -> None:
    assert not {"pytest", "mypy", "ruff", "coverage", "playwright", "awscli", "uv", "pip-tools"} & set(_pins("run"))


def test_what_a_new_lock_would_change_is_a_line_for_each_distribution() -> None:
    before, after = {"boto3": "1.1", "six": "1.17", "old": "3"}, {"boto3": "1.2", "six": "1.17", "new": "4"}
    assert list(lock.differences("run", before, after)) == [
        "run: boto3 1.1 -> 1.2",
        "run: new is new, -> 4",
        "run: old 3 -> goes",
    ]


@pytest.mark.parametrize(
    ("listed", "settings"),
    [
        ("", {}),
        ("global.timeout='60'\nglobal.constraint='/etc/constraints.txt'\n", {}),
        ("global.index-url='https://mirror.example/simple'\n", {"UV_DEFAULT_INDEX": "https://mirror.example/simple"}),
        (
            ":env:.index-url='https://env.example/simple'\nglobal.index-url='https://a.example/simple'\ninstall.index-url='https://b.example/'\n",
            {"UV_DEFAULT_INDEX": "https://env.example/simple"},
        ),
        (
            "global.extra-index-url='\\nhttps://a.example/simple\\nhttps://b.example/simple'\n",
            {"UV_INDEX": "https://a.example/simple https://b.example/simple", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ("install.find-links='/srv/wheels'\n", {"UV_FIND_LINKS": "/srv/wheels"}),
        (":env:.find-links='/a /b'\n", {"UV_FIND_LINKS": "/a,/b"}),
        ("global.no-index='true'\nglobal.proxy='http://p:1'\n", {"UV_NO_INDEX": "true", "ALL_PROXY": "http://p:1"}),
        ("global.no-index='false'\ndownload.index-url='https://no.example'\n", {}),
        ('global.cert="/etc/o\'hara.pem"\n', {"SSL_CERT_FILE": "/etc/o'hara.pem"}),
    ],
)
def test_uv_asks_the_index_that_pip_is_set_up_for(listed: str, settings: dict[str, str]) -> None:
    assert install.asked_of_pip(listed) == settings


def test_where_no_environment_can_be_made_one_sentence_says_so() -> None:
    ended = subprocess.run(
        [sys.executable, "requirements/install.py", "/dev/null/venv", "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "/dev/null/venv cannot be written to: Not a directory." in ended.stderr


def test_a_cache_that_cannot_be_written_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("UV_CACHE_DIR", "XDG_CACHE_HOME", "UV_NO_CACHE"):
        monkeypatch.delenv(name, raising=False)
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.setenv("HOME", "/dev/null/home")
    assert install.settings(tmp_path)["UV_NO_CACHE"] == "1"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "UV_NO_CACHE" not in install.settings(tmp_path)


def _install(folder: Path, *groups: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "requirements/install.py", str(folder), *groups], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_folder_that_holds_anything_else_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    for folder in (tmp_path, link, tmp_path / "thesis.txt", ROOT, ROOT.parent):
        ended = _install(folder, "run")
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), folder
        assert "what is in it stays" in ended.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_group_that_there_is_not_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    ended = _install(tmp_path / "v", "run", "tests")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("There is no dependency group tests; there are ")
    assert not (tmp_path / "v").exists()


def test_an_environment_that_has_to_be_made_anew_is_not_emptied_of_somebodys_work(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").touch()  # and no Python that runs
    (tmp_path / "thesis.txt").write_text("mine")
    ended = _install(tmp_path, "run")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "holds more than a virtual environment (thesis.txt), and what is in it stays" in ended.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("words", [["VENV="], ["VENV=/x/my envs/v"]])
def test_make_refuses_a_folder_that_is_none_or_two(words: list[str]) -> None:
    ended = subprocess.run(["make", "--dry-run", "setup", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "VENV is one folder without a space in its path" in ended.stderr


def test_an_environment_that_was_left_unfinished_or_has_no_python_is_made_anew(tmp_path: Path) -> None:
    def setup() -> str:
        done = subprocess.run(
            ["make", "--dry-run", "setup", f"VENV={tmp_path}/v"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout

    (tmp_path / "v/bin").mkdir(parents=True)
    (tmp_path / "v/bin/python").symlink_to(sys.executable)
    (tmp_path / "v/.run").touch()
    assert "install.py" not in setup()
    (tmp_path / "v" / install.UNFINISHED).touch()
    assert "install.py" in setup()
    (tmp_path / "v" / install.UNFINISHED).unlink()
    (tmp_path / "v/bin/python").unlink()
    (tmp_path / "v/bin/python").symlink_to("/nowhere/python")
    assert "install.py" in setup()


def test_uv_installs_what_the_lock_says_whatever_the_users_own_settings_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (*install.ELSEWHERE, *install.UNPINNED):
        monkeypatch.setenv(name, "/elsewhere")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    found = install.settings(tmp_path)
    assert not {*install.ELSEWHERE, *install.UNPINNED} & set(found)
    assert found["UV_NO_CONFIG"] == "1"
