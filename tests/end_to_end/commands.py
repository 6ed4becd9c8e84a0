"""The commands that operators type, run against an emulator."""

import os
import subprocess
import sys
from pathlib import Path

from emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]


def deploy_py(
    aws: Emulator, command: str, *arguments: str, suffix: str, credentials: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``deploy.py COMMAND --env SUFFIX``, as the account's root or with other ``credentials``."""
    return subprocess.run(
        [sys.executable, "deploy.py", command, "--env", suffix, *arguments],
        cwd=ROOT,
        env={**os.environ, **aws.environment, **(credentials or {})},
        capture_output=True,
        text=True,
        check=False,
    )
