"""Packages of functions: named by their content, the same bytes wherever they are made."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from generator.packages import PYTHON, ROOT, PackageError, digest, package

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
VENDORED = ("pg8000", "scramp", "asn1crypto", "python-dateutil", "six")
PINNED = "".join(f"{name}=={metadata.version(name)} \\\n" for name in VENDORED)
INSTALLED = metadata.version("scramp")
WITH_REDIS = ("cache_rotation",)
WITH_NOTHING = {"failover"}  # it calls AWS only, by the runtime's own boto3


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small checkout: one function, the shared folders and a lock."""
    root = tmp_path / "checkout"
    (root / "functions/hello/part").mkdir(parents=True)
    (root / "functions/common").mkdir()
    (root / "protocol").mkdir()
    (root / "protocol/words.py").write_text("import json\n")
    (root / "requirements").mkdir()
    (root / "functions/hello/handler.py").write_text("import json\n\nimport boto3\nimport pg8000.native\nfrom part import more\n")
    (root / "functions/hello/part/more.py").write_text("MORE = 1\n")
    (root / "functions/hello/notes.txt").write_text("not packed")
    (root / "functions/common/__init__.py").write_text("")
    (root / "functions/common/roots.pem").write_text("roots")
    (root / "requirements/run.lock").write_text(PINNED)
    return root


def _paths(root: Path) -> set[str]:
    """What is packed of our own."""
    vendored = ("asn1crypto", "dateutil", "pg8000", "python_dateutil", "scramp", "six")
    return {path for path in package("hello", root).files if not path.startswith(vendored)}


def test_package_holds_the_function_and_what_it_shares(tree: Path) -> None:
    assert _paths(tree) == {"handler.py", "part/more.py", "common/__init__.py", "common/roots.pem", "protocol/words.py"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_package_is_pure_python_with_licences_and_roots(name: str) -> None:
    files = package(name).files
    kinds = re.compile(r".*\.py|common/rds-global-bundle\.pem|[^/]+\.dist-info/(METADATA|(licenses/)?LICENSE)")
    assert [path for path in files if not kinds.fullmatch(path)] == []
    distributions = _distributions(files)
    with_postgresql = {"pg8000", "scramp", "asn1crypto", "python_dateutil", "six"}
    assert distributions == (set() if name in WITH_NOTHING else {"redis"} if name in WITH_REDIS else with_postgresql)
    for distribution in distributions:
        about = [path.split("/")[-1] for path in files if path.startswith(f"{distribution}-")]
        assert sorted(about) == ["LICENSE", "METADATA"]
    assert files["common/rds-global-bundle.pem"].count(b"BEGIN CERTIFICATE") == 84


def _distributions(files: Mapping[str, bytes]) -> set[str]:
    return {path.split(".dist-info")[0].rsplit("-", 1)[0] for path in files if ".dist-info" in path}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_package_holds_what_its_modules_load_and_no_other_distribution(name: str) -> None:
    files = package(name).files
    assert name in WITH_NOTHING or f"{'redis' if name in WITH_REDIS else 'pg8000'}/__init__.py" in files
    assert not {"redis/__init__.py", "pg8000/__init__.py"} <= set(files)


def test_what_only_a_shared_module_imports_is_packed_where_that_is_imported(tree: Path) -> None:
    (tree / "functions/hello/handler.py").write_text("def handler():\n    from common import near\n")
    (tree / "functions/common/near.py").write_text("import common.far\nfrom . import near\n")
    (tree / "functions/common/far.py").write_text("import six\nfrom common import near\n")
    (tree / "functions/common/other.py").write_text("import pg8000\n")
    assert _distributions(package("hello", tree).files) == {"six"}


def test_name_is_the_digest_of_the_content(tree: Path) -> None:
    made = package("hello", tree)
    expected = hashlib.sha256()
    for path in sorted(made.files):
        expected.update(f"{path}\0{hashlib.sha256(made.files[path]).hexdigest()}\n".encode())
    assert made.key == f"hello-{expected.hexdigest()[:8]}.zip"


def test_name_changes_with_a_content_and_with_a_path() -> None:
    assert len({digest(files) for files in ({"a": b"1"}, {"a": b"2"}, {"b": b"1"}, {"a": b"1", "b": b"1"}, {})}) == 5
    assert digest({"a": b"1", "b": b"2"}) == digest({"b": b"2", "a": b"1"})


def test_name_changes_with_the_source_and_back(tree: Path) -> None:
    source = tree / "functions/hello/handler.py"
    before = package("hello", tree).key
    text = source.read_text()
    source.write_text(f"{text}# changed\n")
    assert package("hello", tree).key != before
    source.write_text(text)
    assert package("hello", tree).key == before


def test_compiled_files_are_not_packed(tree: Path) -> None:
    before = package("hello", tree)
    cache = tree / "functions/hello/__pycache__"
    cache.mkdir()
    (cache / "handler.cpython-311.pyc").write_bytes(b"code")
    assert package("hello", tree) == before


def test_same_bytes_from_every_checkout_and_at_every_time(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tree, other)
    for path in other.rglob("*"):
        path.chmod(0o700)
    first, second = (package("hello", root).write(tmp_path / root.name / "out") for root in (tree, other))
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_zip_is_stored_sorted_and_of_one_date_and_mode(tree: Path, tmp_path: Path) -> None:
    made = package("hello", tree)
    with zipfile.ZipFile(made.write(tmp_path / "out")) as archive:
        entries = archive.infolist()
        assert {entry.filename: archive.read(entry) for entry in entries} == made.files
    assert [entry.filename for entry in entries] == sorted(made.files)
    assert {(entry.compress_type, entry.date_time, entry.external_attr >> 16, entry.create_system) for entry in entries} == {
        (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o100644, 3)
    }


def test_package_is_written_once_and_leaves_nothing_beside_it(tree: Path, tmp_path: Path) -> None:
    made = package("hello", tree)
    path = made.write(tmp_path / "deep/out")
    assert path == tmp_path / "deep/out" / made.key
    path.write_bytes(b"already here")
    assert made.write(tmp_path / "deep/out").read_bytes() == b"already here"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["goodbye", "common", ""])
def test_function_that_does_not_exist_is_said_with_those_that_do(tree: Path, name: str) -> None:
    with pytest.raises(PackageError, match=rf"^functions/{name} has no handler\.py\. The functions are hello\.$"):
        package(name, tree)


def test_checkout_without_functions_is_said(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"The functions are none yet\.$"):
        package("hello", tmp_path)


def test_distribution_of_another_version_is_refused(tree: Path) -> None:
    (tree / "requirements/run.lock").write_text(PINNED.replace(INSTALLED, "0.0.1"))
    with pytest.raises(PackageError, match=rf"^scramp {re.escape(INSTALLED)} is installed, but .* pins 0\.0\.1\. Run make setup"):
        package("hello", tree)


def test_distribution_that_is_not_pinned_is_refused(tree: Path) -> None:
    (tree / "requirements/run.lock").write_text(PINNED.replace("python-dateutil", "python-datutil"))
    with pytest.raises(PackageError, match=r"^python-dateutil is packed into functions, but .* does not pin it"):
        package("hello", tree)


def test_distribution_that_is_not_installed_is_refused(tree: Path) -> None:
    (tree / "functions/hello/handler.py").write_text("import standbyabsent\n")
    (tree / "requirements/run.lock").write_text(PINNED + "standbyabsent==1.0\n")
    with pytest.raises(PackageError, match=r"^standbyabsent 1\.0 is packed into functions, but is not installed\."):
        package("hello", tree)


def test_extras_and_scripts_of_a_distribution_are_not_packed(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "site/example-1.0.dist-info"
    about.mkdir(parents=True)
    (tmp_path / "site/example.py").write_text("")
    old = f"Requires-Dist: absent-too; python_full_version < '{PYTHON}' or sys_platform == 'win32'\n"
    needs = f"Requires-Dist: six>=1; python_version == '{PYTHON}'\n{old}Requires-Dist: absent; extra == 'more'\n"
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: example\nVersion: 1.0\n{needs}")
    (about / "RECORD").write_text("example.py,,\n../bin/example.py,,\nexample.so,,\nexample-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tree / "functions/hello/handler.py").write_text("import example\n")
    (tree / "requirements/run.lock").write_text("example==1.0\n" + PINNED)
    own = {"handler.py", "part/more.py", "common/__init__.py", "common/roots.pem", "protocol/words.py"}
    vendored = set(package("hello", tree).files) - own
    assert {path for path in vendored if not path.startswith("six")} == {"example.py", "example-1.0.dist-info/METADATA"}
    assert "six.py" in vendored, "markers are those of the functions' Python and platform, not of this machine"
