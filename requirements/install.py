"""Install dependency groups into a virtual environment, exactly as their locks pin them: `make setup`.

    python requirements/install.py .venv run test

makes the environment where there is none that runs, lets its pip install uv, and uv installs the rest. uv asks the index that
pip is set up for. Exit codes: 0 done, 1 an installation failed (it has said why), 2 there is no place for it.
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
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = Path("requirements")
UV_OF_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
"""What pip's configuration calls a setting, and the variable that tells uv the same."""


def main(arguments: list[str]) -> int:
    """Install, and say each step before it is done."""
    os.chdir(ROOT)
    folder, groups = Path(arguments[0]), arguments[1:]
    start = time.monotonic()
    try:
        _environment(folder)
        _uv(folder)
        for group in groups:
            _group(folder, group)
    except OSError as error:
        print(
            f"{folder} cannot be written to: {error.strerror or error}. Clone the project where you may write, or name a folder "
            "for the virtual environment: VENV=/tmp/standby",
            file=sys.stderr,
        )
        return 2
    except subprocess.CalledProcessError as error:
        print(f"Not installed: {' '.join(map(str, error.cmd))} ended with {error.returncode}.", file=sys.stderr)
        return 1
    print(f"installed ({time.monotonic() - start:.1f} s)", flush=True)
    return 0


def _environment(folder: Path) -> None:
    """The virtual environment; one whose Python does not run, or is none of this project's, is made anew."""
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    python = folder / "bin/python"
    if python.exists() and not subprocess.run([python, "-c", check], capture_output=True, check=False).returncode:
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
    subprocess.run((*pip, "install", "--quiet", "--no-deps", "--require-hashes", "-r", LOCKS / "installer.lock"), check=True)


def _group(folder: Path, group: str) -> None:
    """What a group's lock pins, installed by uv; what an earlier lock left in another version is replaced."""
    lock = LOCKS / f"{group}.lock"
    _say(f"uv installs {len(re.findall('^[a-z0-9]', lock.read_text(encoding='utf-8'), re.MULTILINE))} packages of {lock}")
    command = (folder / "bin/uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", folder / "bin/python")
    subprocess.run((*command, "-r", lock), env=settings(folder), check=True)


def settings(folder: Path) -> dict[str, str]:
    """The environment for uv: pip's index and certificates where nobody has told uv of others, and a cache where one can be."""
    settings = {**asked_of_pip(_said(folder / "bin/python", "-m", "pip", "config", "list")), **os.environ}
    if "SSL_CERT_FILE" not in settings:
        settings.setdefault("UV_SYSTEM_CERTS", "1")
    cache = Path(settings.get("UV_CACHE_DIR") or Path(settings.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv")
    if not _writable(cache):
        settings["UV_NO_CACHE"] = "1"
    return settings


def asked_of_pip(listed: str) -> Mapping[str, str]:
    """What `pip config list` says, in uv's words. Where several sources set one thing, pip takes the last."""
    settings = {}
    for name, value in re.findall(r"^(?:[\w:]+)\.([\w-]+)=('.*'|\".*\")$", listed, re.MULTILINE):
        if name in UV_OF_PIP:
            settings[UV_OF_PIP[name]] = " ".join(str(ast.literal_eval(value)).split())
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
