"""What stands, committed or not, is what the sources build; a build that cannot vouch for its templates writes nothing."""

import dataclasses
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import build
import generator.systems
from compliance import lint
from generator.systems import SYSTEMS
from generator.systems.ledger import LEDGER
from model import Disruption, Objectives, read
from tests.support import unmeasured

ROOT = Path(__file__).resolve().parent.parent


pytestmark = pytest.mark.xdist_group("build")
"""In one process, since a whole build takes longer than most tests."""

STALE = "templates/ledger/gone.yaml"
EVIDENCE = ("compliance.md", "compliance.csv", "ssp.json", "component-definition.json")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one whole build writes, where a template lay whose layer is gone."""
    root = tmp_path_factory.mktemp("built")
    (root / STALE).parent.mkdir(parents=True)
    (root / STALE).write_text("Resources: {}\n")
    assert build.main(["--root", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def texts(built: Path) -> dict[str, str]:
    """Every text that was written, packages and stamps aside."""
    names = {path: path.relative_to(built) for path in built.rglob("*") if path.is_file()}
    return {name.as_posix(): path.read_text() for path, name in names.items() if name.parts[0] != "out"}


FOLDERS = ("templates/", "docs/compliance/", "docs/operations/", "docs/policies/")
"""In which nothing stands that is not generated."""


def _committed(texts: dict[str, str]) -> set[str]:
    folders = {str(Path(name).parent) for name in texts if name.startswith(FOLDERS)}
    return {path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).iterdir() if path.is_file()}


def test_every_generated_file_is_what_its_source_builds(texts: dict[str, str]) -> None:
    differing = [name for name, text in texts.items() if (ROOT / name).read_text() != text]
    assert differing == []


def test_nothing_generated_is_committed_without_its_source(texts: dict[str, str]) -> None:
    assert _committed(texts) <= set(texts)


def test_every_layer_of_every_system_has_its_template(texts: dict[str, str]) -> None:
    assert {f"templates/{system.name}/{layer.name}.yaml" for system in SYSTEMS for layer in system.layers} <= set(texts)


def _written(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder; of ``out`` the evidence alone, since a stamp tells where it was made."""
    names = {path: path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): path.read_bytes()
        for path, name in names.items()
        if name.parts[:2] not in {("out", "build.json"), ("out", "packages")}
    }


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_build_writes_the_same_bytes(built: Path, tmp_path: Path, seed: str) -> None:
    assert build.main(["evidence", "--root", str(built)]) == 0
    for what in ("build", "evidence"):
        subprocess.run(
            [sys.executable, "build.py", what, "--root", str(tmp_path / seed)],
            cwd=ROOT,
            env={**unmeasured.environment(), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
    made = _written(tmp_path / seed)
    assert {f"out/evidence/{one.name}/{name}" for one in SYSTEMS for name in EVIDENCE} <= set(made)
    assert made == _written(built)


def test_evidence_of_a_system_that_is_gone_goes_too(built: Path) -> None:
    (built / "out/evidence/gone").mkdir(parents=True)
    (built / "out/evidence/gone/ssp.json").write_text("{}")
    assert build.main(["evidence", "--root", str(built)]) == 0
    assert not (built / "out/evidence/gone").exists()
    assert (built / "templates").exists()


def test_evidence_is_refused_where_the_build_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _replaced(monkeypatch, deviations=())
    assert build.main(["evidence", "--root", str(tmp_path)]) == 1
    assert "rds.tls_forced" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_outputs_that_are_watched_are_those_that_are_written(texts: dict[str, str]) -> None:
    """What a build does not watch would stay as somebody changed it."""
    assert {path for path in build.outputs() if any(f"{name}/".startswith(f"{path}/") for name in texts)} == {
        *build.outputs()
    } - {build.EVIDENCE}


def test_what_reads_or_takes_apart_what_stands_needs_no_build_that_may_fail() -> None:
    for command, builds in {
        "plan": True,
        "deploy": True,
        "status": False,
        "drift": False,
        "unlock": False,
        "destroy": False,
    }.items():
        said = subprocess.run(
            ["make", "-n", command, "ENV=dev", "YES=1"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert f"deploy.py {command} --env dev" in said
        assert ("build.py\n" in said) is builds, command


def test_every_package_that_a_template_names_is_written(built: Path) -> None:
    named = {
        line.split()[-1]
        for path in built.glob("templates/*/*.yaml")
        for line in path.read_text().splitlines()
        if "S3Key:" in line
    }
    assert named
    assert named <= {path.name for path in (built / "out/packages").iterdir()}


def test_packages_of_templates_that_git_does_not_hold_as_they_are_come_from_a_whole_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "build", lambda root: ([], f"built {root.name}"))
    (tmp_path / "templates/ledger").mkdir(parents=True)
    (tmp_path / "templates/ledger/rotation.yaml").write_text("          S3Key: rotation-00000000.zip\n")
    assert build.packages(tmp_path) == ([], f"built {tmp_path.name}")  # in no repository
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        assert build.packages(ROOT) == ([], f"built {ROOT.name}")  # git is not there
    monkeypatch.setattr(build, "_committed", lambda _: True)
    assert build.packages(tmp_path) == ([], f"built {tmp_path.name}")  # another package was committed than the sources make


def test_a_checkout_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "templates").write_text("a file")
    _replaced(monkeypatch)
    assert build.main(["--root", str(tmp_path)]) == 1
    assert "A build writes into its checkout: make it writable" in capsys.readouterr().err


def test_a_template_whose_layer_is_gone_is_removed(built: Path) -> None:
    assert not (built / STALE).exists()


def _replaced(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    monkeypatch.setattr(generator.systems, "SYSTEMS", (dataclasses.replace(LEDGER, **changes),))  # type: ignore[arg-type]


def test_a_second_build_finds_nothing_to_do_until_an_output_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _replaced(monkeypatch)  # of one system, since it is built twice
    arguments = ["--root", str(tmp_path)]
    assert build.main(arguments) == 0
    assert build.main(arguments) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "files" in first
    assert second.startswith("unchanged (")
    template = next(tmp_path.glob("templates/*/*.yaml"))
    template.write_text(template.read_text() + "# by hand\n")
    assert build.main(arguments) == 0
    assert "1 of them changed" in capsys.readouterr().out
    assert not template.read_text().endswith("# by hand\n")


def test_an_unexplained_gap_stops_the_build_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _replaced(monkeypatch, deviations=())
    assert build.main(["--root", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "rds.tls_forced" in said.err
    assert "rds.customer_key" in said.err
    assert said.out.startswith("nothing was written")
    assert not list(tmp_path.iterdir())


def test_an_objective_that_is_not_held_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hour = timedelta(hours=1)
    _replaced(monkeypatch, objectives={Disruption.REGION: Objectives(rpo=hour, rto=hour)})
    assert build.main(["--root", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "database.Instance, region: the RTO of 60 min rests on a term without a bound, nothing brings it back" in said.err
    assert said.out.startswith("nothing was written")


def test_a_broken_wire_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _replaced(monkeypatch, layers=tuple(layer for layer in LEDGER.layers if layer.name != "keys"))
    assert build.main(["--root", str(tmp_path)]) == 1
    assert "keys.LogsKeyArn is no output at the primary site; there are " in capsys.readouterr().err


def test_a_system_without_values_stops_the_build_with_the_file_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _replaced(monkeypatch, name="library")
    assert build.main(["--root", str(tmp_path)]) == 1
    assert "parameters/library/default.yaml is missing. Write it" in capsys.readouterr().err


def _checkout(root: Path, *systems: str) -> None:
    for name in systems:
        for folder in ("templates", "parameters"):
            shutil.copytree(ROOT / folder / name, root / folder / name)


def test_lint_is_given_every_template_in_every_region(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cfn-lint says of all of them, ``make check`` asks; it would take as long again here."""
    given: list[lint.Job] = []
    monkeypatch.setattr(lint, "lint", lambda jobs, _: given.extend(jobs) or [])
    assert build.main(["lint"]) == 0
    templates = {path.relative_to(ROOT).as_posix(): read(path.read_text()) for path in ROOT.glob("templates/*/*.yaml")}
    stacks = [(path, region) for path, one in templates.items() for region in one["Metadata"]["Layer"]["Sites"].values()]
    assert sorted((one.path, one.region) for one in given) == sorted(stacks)
    assert all(one.text == (ROOT / one.path).read_text() for one in given)
    assert capsys.readouterr().out.startswith(f"{len(stacks)} stacks judged, 0 findings")


def test_lint_judges_templates_with_the_values_of_their_environments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _checkout(tmp_path, "ledger")
    values = tmp_path / "parameters/ledger"
    (values / "dev.yaml").write_text("database: {InstanceClass: db.r6g.xlarge}\n")
    stacks = len(list((tmp_path / "templates/ledger").glob("*.yaml")))
    assert build.main(["lint", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{stacks} stacks judged, 0 findings")
    (values / "prod.yaml").write_text("database: {InstanceClass: db.r6g.2xlarge}\n")
    assert build.main(["lint", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{2 * stacks} stacks judged, 0 findings")
    database = tmp_path / "templates/ledger/database.yaml"
    database.write_text(database.read_text().replace("Engine: postgres\n", "Engine: postgrez\n"))
    assert build.main(["lint", "--root", str(tmp_path)]) == 1
    assert "templates/ledger/database.yaml:" in capsys.readouterr().err


def test_lint_refuses_values_that_the_templates_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _checkout(tmp_path, "ledger")
    (tmp_path / "parameters/ledger/dev.yaml").write_text("database: {InstanceClas: db.r6g.large}\n")
    assert build.main(["lint", "--root", str(tmp_path)]) == 1
    assert "InstanceClas is no parameter" in capsys.readouterr().err
