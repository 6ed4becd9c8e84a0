"""Packages as Lambda runs them: unpacked, the handler at the top, nothing beside it but the runtime's own boto3."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from generator.packages import package
from tests.support.functions.rotations import STEPS, Rotator

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")  # what Lambda's Python brings

LAMBDA = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import handler
for event in json.load(sys.stdin):
    handler.handler(event, None)
own = ("handler", "common", "pg8000", "scramp", "asn1crypto", "dateutil", "six", "redis")
loaded = {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if name.split(".")[0] in own}
print(json.dumps({name: file for name, file in loaded.items() if file}))
"""


def _unpacked(name: str, folder: Path) -> Path:
    with zipfile.ZipFile(package(name).write(folder)) as archive:
        archive.extractall(folder / "task")
    return folder / "task"


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """The rotation's package, written and unpacked."""
    return _unpacked("rotation", tmp_path)


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """The libraries of Lambda's runtime alone."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in RUNTIME:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        origin = Path(found.origin)
        part = origin.parent if origin.name == "__init__.py" else origin
        (folder / part.name).symlink_to(part)
    return folder


def _invoke(task: Path, runtime: Path, events: list[Any], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-ISBc", LAMBDA, str(task), str(runtime)],
        input=json.dumps(events),
        env={"PATH": os.environ["PATH"], **environment},
        cwd=task,
        capture_output=True,
        text=True,
        check=False,
    )


def test_package_rotates_with_nothing_but_itself_and_the_runtime(rotator: Rotator, task: Path, runtime: Path) -> None:
    token = rotator.service.rotate(rotator.arn)
    done = _invoke(task, runtime, [dict(event) for event in rotator.events(token)], rotator.environment)
    assert done.returncode == 0, done.stderr
    *lines, modules = map(json.loads, done.stdout.splitlines())
    assert [line["step"] for line in lines] == list(STEPS)
    assert {"handler", "common.database", "pg8000.native", "scramp.core", "asn1crypto.x509", "dateutil.parser", "six"} <= set(
        modules
    )
    assert all(Path(file).is_relative_to(task) for file in modules.values())
    rotator.check_one_valid_current(token, rotator.first)


def test_package_of_the_caches_rotation_brings_its_own_client_and_none_of_databases(tmp_path: Path, runtime: Path) -> None:
    task = _unpacked("cache_rotation", tmp_path)
    loaded = json.loads(_invoke(task, runtime, [], {}).stdout)
    assert loaded["redis"] == str(task / "redis/__init__.py")
    assert "pg8000" not in loaded


def test_package_brings_amazons_roots(rotator: Rotator, task: Path, runtime: Path) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    environment = {name: value for name, value in rotator.environment.items() if name != "PGSSLROOTCERT"}
    done = _invoke(task, runtime, [dict(rotator.events(token)[1])], environment)
    assert "by an authority in rds-global-bundle.pem" in done.stderr
    assert rotator.first not in done.stderr + done.stdout
    assert rotator.pending(token) not in done.stderr + done.stdout
