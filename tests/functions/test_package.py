"""The rotation package as Lambda runs it: unpacked, its handler at the top, nothing beside it but the runtime's own boto3."""

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

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3")  # what Lambda's Python brings; dateutil and six are ours

LAMBDA = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import handler
for event in json.load(sys.stdin):
    handler.handler(event, None)
own = ("handler", "common", "pg8000", "scramp", "asn1crypto", "dateutil", "six")
loaded = {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if name.split(".")[0] in own}
print(json.dumps({name: file for name, file in loaded.items() if file}))
"""


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """The package, written and unpacked."""
    with zipfile.ZipFile(package("rotation").write(tmp_path)) as archive:
        archive.extractall(tmp_path / "task")
    return tmp_path / "task"


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """The libraries of Lambda's runtime alone."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in RUNTIME:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        (folder / name).symlink_to(Path(found.origin).parent)
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


def test_package_brings_amazons_roots(rotator: Rotator, task: Path, runtime: Path) -> None:
    token = rotator.service.rotate(rotator.arn)
    rotator.step(token, "createSecret")
    environment = {name: value for name, value in rotator.environment.items() if name != "PGSSLROOTCERT"}
    done = _invoke(task, runtime, [dict(rotator.events(token)[1])], environment)
    assert "by an authority in rds-global-bundle.pem" in done.stderr
    assert rotator.first not in done.stderr + done.stdout
    assert rotator.pending(token) not in done.stderr + done.stdout
