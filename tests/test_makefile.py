"""What is wrong on the command line of make is said before anything is installed, built or called."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import deploy
from generator.systems import SYSTEMS
from protocol.journal import SWITCHOVER

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ("plan", "deploy", "status", "drift", "failover", "failback", "unlock", "destroy")


def _make(*words: str) -> subprocess.CompletedProcess[str]:
    """What make would do; nothing is done."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENV")}
    return subprocess.run(["make", "--dry-run", *words], cwd=ROOT, env=kept, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ENVIRONMENTS)
def test_an_environment_is_asked_for(target: str) -> None:
    ended = _make(target)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"name the environment: make {target} ENV=suffix." in ended.stderr
    assert _make(target, "ENV=dev").returncode == 0


def test_a_misspelt_word_is_refused_and_not_left_out() -> None:
    ended = _make("destroy", "ENV=dev", "SYSTEMS=ledger")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "SYSTEMS is nothing that make knows here; it knows ENV SYSTEM " in ended.stderr


@pytest.mark.parametrize("target", [*ENVIRONMENTS, "try"])
def test_a_system_that_there_is_not_is_refused_before_anything_is_built(target: str) -> None:
    ended = _make(target, "ENV=dev", "SYSTEM=ledger ledgr")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"ledgr is no system; there are: {' '.join(sorted(system.name for system in SYSTEMS))}." in ended.stderr
    assert _make(target, "ENV=dev", f"SYSTEM={' '.join(system.name for system in SYSTEMS)}").returncode == 0


def _options(*words: str) -> list[str]:
    """What deploy.py is given: make hands values on by the environment."""
    said = _make(*words).stdout
    line = next(each for each in said.splitlines() if " deploy.py " in each)
    values = dict(word.split("=", 1) for word in words if "=" in word)
    return shlex.split(re.sub(r"\$(\w+)", lambda name: values[name[1]].replace("$$", "$"), line))[2:]


def test_what_is_given_reaches_the_command() -> None:
    given = _options("failover", "ENV=dev", "SYSTEM=healthcare", "MODE=switchover", "YES=1")
    assert given == ["failover", "--env", "dev", "--system", "healthcare", "--mode", "switchover", "--yes"]
    given = _options("deploy", "ENV=dev", "SYSTEM=ledger healthcare", "ALLOW=Table Key", "REASON=it is $$5")
    assert given[3:] == ["--system", "ledger", "--system", "healthcare", "--allow", "Table Key", "--reason", "it is $5"]
    assert deploy.arguments(given).allow == ["Table", "Key"]


def test_a_word_that_a_command_does_not_take_is_refused_and_never_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        deploy.arguments(_options("deploy", "ENV=dev", "MODE=dry-run"))
    assert (ended.value.code, "--mode dry-run" in capsys.readouterr().err) == (2, True)
    for words in (("try", "MODE=x"), ("deploy", "ENV=dev", "ARGS=--plan"), ("status", "ENV=dev", "RUN=x"), ("build", "YES=1")):
        refused = _make(*words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"{words[-1].partition('=')[0]} is no word of make {words[0]}." in refused.stderr


@pytest.mark.parametrize("value", ["0", "no", "", "1 1"])
def test_a_question_is_answered_by_one_word_alone(value: str) -> None:
    refused = _make("destroy", "ENV=dev", f"YES={value}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f'YES is "{value}"; it is 1, or not given.' in refused.stderr


def test_what_the_environment_says_is_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODE", "APPROVE", "ALLOW", "REASON", "YES"):
        monkeypatch.setenv(name, "production")
    assert _options("status", "ENV=dev") == ["status", "--env", "dev"]


def test_a_word_of_make_is_an_option_of_the_same_name_and_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    (words,) = re.findall(r"^WORDS := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command in (*deploy.HELP, "show"):
        with pytest.raises(SystemExit):
            deploy.arguments([command, "--help"])
    options = set(re.findall(r"--([a-z]+)", capsys.readouterr().out))
    for word in set(words.split()) - {"ARGS", "BASE_PYTHON", "VENV"}:  # these are make's own
        assert word.lower() in options
        assert f"{word}=" in told


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("failover", "--env", "dev", "--mode", "nonsense"), SWITCHOVER),
        (("plan", "--env", "dev", "--system", "nonsense"), "ledger"),
        (("show", "--run", "nonsense"), "holds: none"),
    ],
)
def test_a_wrong_value_ends_with_2_and_the_values_there_are(
    arguments: tuple[str, ...], value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "templates").symlink_to(ROOT / "templates")
    (tmp_path / "parameters").symlink_to(ROOT / "parameters")
    try:
        code = deploy.main(arguments, tmp_path)
    except SystemExit as ended:
        code = int(str(ended.code))
    said = capsys.readouterr().err
    assert (code, "nonsense" in said, value in said) == (2, True, True), said


def test_every_target_has_a_rule_and_is_in_the_help() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (named,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(named.split()) == set(re.findall(r"^  ([a-z-]+)  ", shown, re.MULTILINE))
    does: dict[str, str] = {}
    for target in sorted(set(named.split()) - {"help"}):
        done = _make(target, *(["ENV=dev"] if target in ENVIRONMENTS else []), "--always-make")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip(), f"make {target} does nothing"
        assert done.stdout not in does, f"make {target} and make {does[done.stdout]} do the same"
        does[done.stdout] = target
