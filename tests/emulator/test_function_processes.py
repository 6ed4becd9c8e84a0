"""The processes of functions: as if Python had started each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator import function_processes
from emulator.function_processes import Fork, popen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python starts each")
CHECKOUT = Path(__file__).parents[2]

SHOW = """
import json, os, sys
print(json.dumps({
    "environment": dict(os.environ), "folder": os.getcwd(), "argv": sys.argv, "path": sys.path[0], "name": __name__,
    "said": sys.stdin.readline(), "loaded": "boto3" in sys.modules, "customized": getattr(sys, "customized", False),
}))
print("aside", file=sys.stderr)
"""

DEAF = """
import signal
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("ready", flush=True)
input()
"""


@pytest.fixture(scope="module", autouse=True)
def origin() -> Iterator[None]:
    yield
    while function_processes._started:  # by whichever of these tests runs in this process
        process, requests = function_processes._started.pop()
        requests.close()
        assert process.wait(10) == 0


def fork(folder: Path, script: str, **environment: str) -> Fork:
    file = folder / "script.py"
    file.write_text(script)
    return Fork(str(file), folder=str(folder), environment=environment)


def end(process: Fork) -> tuple[str, str]:
    """What it said, and said aside."""
    process.stdin.close()
    with process.stdout, process.stderr:
        said = process.stdout.read(), process.stderr.read()
    process.wait(10)
    return said


def test_a_script_finds_what_it_would_find_in_a_process_of_its_own(tmp_path: Path) -> None:
    process = fork(tmp_path, SHOW, ONLY="this")
    process.stdin.write("a line\n")
    said, aside = end(process)
    assert json.loads(said) == {
        "environment": {"ONLY": "this"},
        "folder": str(tmp_path),
        "argv": [str(tmp_path / "script.py")],
        "path": str(tmp_path),
        "name": "__main__",
        "said": "a line\n",
        "loaded": True,
        "customized": False,
    }
    assert aside == "aside\n"


def test_what_its_path_customizes_is_customized_in_it_alone(tmp_path: Path) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path/sitecustomize.py").write_text("import sys\nsys.customized = True\n")
    first, second = fork(tmp_path, SHOW, PYTHONPATH=str(tmp_path / "path")), fork(tmp_path, SHOW)
    assert [json.loads(end(one)[0])["customized"] for one in (first, second)] == [True, False]


def test_it_runs_until_it_ends_or_is_ended(tmp_path: Path) -> None:
    process = fork(tmp_path, DEAF)
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.stdout.readline() == "asked\n"
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait(10) == process.poll() == 1
    process.kill()  # which nobody is left to notice
    end(process)


def test_an_error_is_said_as_python_says_it(tmp_path: Path) -> None:
    _, aside = end(fork(tmp_path, "raise ValueError('of its own')\n"))
    assert aside.endswith("ValueError: of its own\n")
    assert f'File "{tmp_path}/script.py", line 1' in aside


def test_other_programs_are_started_as_ever(tmp_path: Path) -> None:
    process = popen(subprocess.Popen, ["cat"], cwd=str(tmp_path), env={}, stdin=subprocess.DEVNULL)
    assert isinstance(process, subprocess.Popen)
    assert process.wait(10) == 0


def test_what_they_are_forked_from_ends_with_its_owner(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("input()\n")
    owner = (
        "import os\nfrom emulator.function_processes import Fork, _started\n"
        f"Fork({str(tmp_path / 'script.py')!r}, folder={str(tmp_path)!r}, environment={{}})\n"
        "print(_started[0][0].pid, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    said = subprocess.run([sys.executable, "-c", owner], cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout
    deadline = time.monotonic() + 20
    while Path(f"/proc/{said.strip()}/stat").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{said.strip()}").exists()
