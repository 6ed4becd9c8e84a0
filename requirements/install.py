"""Install dependency groups into a virtual environment, exactly as their locks pin them: `make setup`.

    python requirements/install.py .venv run test

makes the environment where there is none that runs, lets its pip install uv, and uv installs the rest. uv asks the index that
pip is set up for, and its own configuration is not read. Exit codes: 0 done, 1 an installation failed (it has said why), 2 there
is no place for it, 130 interrupted; the next run begins anew then.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import subprocess
import sys
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = Path("requirements")
NO_INDEX = "UV_NO_INDEX"
UV_OF_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "no-index": NO_INDEX,
}
"""What pip's configuration calls a setting, and the variable that tells uv the same."""

ELSEWHERE = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_CONSTRAINT", "PYTHONPATH", "PYTHONHOME")
UNPINNED = ("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE_NEWER", "UV_PYTHON", "UV_SYSTEM_PYTHON")
"""Variables that would install elsewhere, or something else than a lock says."""

MADE = {"bin", "etc", "include", "lib", "lib64", "man", "pyvenv.cfg", "share"}
"""What an environment consists of, beside names that begin with a dot. Anything else that is in it is somebody's work."""

UNFINISHED = ".unfinished"
"""In an environment that is being changed: whoever was interrupted has left it so, and nobody knows what of it is whole."""


def main(arguments: list[str]) -> int:
    """Install, and say each step before it is done."""
    os.chdir(ROOT)
    folder, groups = Path(arguments[0]), arguments[1:]
    start = time.monotonic()
    if problem := _unknown(groups) or _refused(folder):
        print(problem, file=sys.stderr)
        return 2
    try:
        _environment(folder)
        (folder / UNFINISHED).touch()
        _uv(folder)
        for group in groups:
            _group(folder, group)
        (folder / UNFINISHED).unlink()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        print(f"{folder} cannot be written to: {why}. Clone the project where you may write.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. The next run begins anew.", file=sys.stderr)
        return 130
    except subprocess.CalledProcessError as error:
        print(f"Not installed: {' '.join(map(str, error.cmd))} ended with {error.returncode}.", file=sys.stderr)
        return 1
    print(f"installed ({time.monotonic() - start:.1f} s)", flush=True)
    return 0


def _unknown(groups: Sequence[str]) -> str:
    """Which groups have no lock, before anything is installed."""
    there = sorted(path.stem for path in LOCKS.glob("*.lock"))
    wrong = [group for group in groups if group not in there]
    return f"There is no dependency group {', '.join(wrong)}; there are {', '.join(there)}." if wrong else ""


def _refused(folder: Path) -> str:
    """Why an environment cannot be made here: a folder that holds anything else is never emptied."""
    try:
        there = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
        is_ours = not folder.exists() or (folder.is_dir() and (not there or "pyvenv.cfg" in there))
    except OSError:
        return ""  # whoever makes it says why it cannot be made
    more = {name for name in there - MADE if not name.startswith(".")}
    if is_ours and folder.resolve() not in (ROOT, *ROOT.parents) and (not more or _is_whole(folder)):
        return ""
    what = (
        f"holds more than a virtual environment ({', '.join(sorted(more))})" if is_ours and more else "is no virtual environment"
    )
    return f"{folder} {what}, and what is in it stays. Name a folder that is none yet, or remove it yourself."


def _is_whole(folder: Path) -> bool:
    """Whether an environment was finished, and its Python runs and is of a version that will do."""
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    python = folder / "bin/python"
    return (
        python.exists()
        and not (folder / UNFINISHED).exists()
        and not subprocess.run([python, "-c", check], capture_output=True, check=False).returncode
    )


def _environment(folder: Path) -> None:
    """The virtual environment; one that was left unfinished, or whose Python does not run, is made anew."""
    if _is_whole(folder):
        return
    _say(f"Python {platform.python_version()} makes the virtual environment {folder}")
    venv.EnvBuilder(clear=True, symlinks=True, with_pip=True).create(folder)


def _uv(folder: Path) -> None:
    """uv as its lock pins it, installed by pip."""
    (version,) = re.findall(r"^uv==(\S+)", (LOCKS / "installer.lock").read_text(encoding="utf-8"), re.MULTILINE)
    uv = folder / "bin/uv"
    if uv.exists() and version in _said(uv, "--version").split():
        return
    _say(f"pip installs uv {version}")
    pip = (folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input")
    here = {**{name: value for name, value in os.environ.items() if name not in ELSEWHERE}, "PIP_USER": "0"}
    subprocess.run(
        (*pip, "install", "--quiet", "--no-deps", "--require-hashes", "-r", LOCKS / "installer.lock"), env=here, check=True
    )


def _group(folder: Path, group: str) -> None:
    """What a group's lock pins, installed by uv; what an earlier lock left in another version is replaced."""
    lock = LOCKS / f"{group}.lock"
    _say(f"uv installs {len(re.findall('^[a-z0-9]', lock.read_text(encoding='utf-8'), re.MULTILINE))} packages of {lock}")
    given = settings(folder)
    command = (folder / "bin/uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", folder / "bin/python")
    only = ("--no-index",) if NO_INDEX in given else ()  # which uv takes from no variable
    subprocess.run((*command, *only, "-r", lock), env=given, check=True)


def settings(folder: Path) -> dict[str, str]:
    """The environment for uv: pip's index and certificates where nobody has told uv of others, and a cache where one can be."""
    own = {name: value for name, value in os.environ.items() if name not in (*ELSEWHERE, *UNPINNED)}
    settings = {**asked_of_pip(_said(folder / "bin/python", "-m", "pip", "config", "list")), **own, "UV_NO_CONFIG": "1"}
    if "SSL_CERT_FILE" not in settings:
        settings.setdefault("UV_SYSTEM_CERTS", "1")
    cache = Path(settings.get("UV_CACHE_DIR") or Path(settings.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv")
    if not _writable(cache):
        settings["UV_NO_CACHE"] = "1"
    return settings


def asked_of_pip(listed: str) -> Mapping[str, str]:
    """What `pip config list` says, in uv's words. What is set for installing precedes what is set for all, a variable both."""
    settings = {}
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)=('.*'|\".*\")$", listed, re.MULTILINE)
    for _, name, value in sorted(found, key=lambda one: ("global", "install", ":env:").index(one[0])):
        if name in UV_OF_PIP:
            said = str(ast.literal_eval(value)).split()
            settings[UV_OF_PIP[name]] = ("," if name == "find-links" else " ").join(said)
    if settings.get(NO_INDEX, "").lower() in ("0", "false", "no", "off"):
        del settings[NO_INDEX]
    if "UV_INDEX" in settings:
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does; a file with another hash is refused all the same
    return settings


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder that may not exist yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False).stdout


def _say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
