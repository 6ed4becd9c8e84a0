"""The commands that operators type, run against an emulator."""

import subprocess
import sys
from pathlib import Path

import deploy
from emulator import Emulator
from tests.support import unmeasured
from tests.support.chain.checkout import Checkout

ROOT = Path(__file__).resolve().parents[2]


def deploy_py(
    aws: Emulator, command: str, *arguments: str, suffix: str, credentials: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``deploy.py COMMAND --env SUFFIX``, as the account's root or with other ``credentials``."""
    return subprocess.run(
        [sys.executable, "deploy.py", command, "--env", suffix, *arguments],
        cwd=ROOT,
        env={**unmeasured.environment(), **aws.environment, **(credentials or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def call(checkout: Checkout, command: str, *arguments: str) -> int:
    """Run a command in this process."""
    return deploy.main([command, "--env", checkout.suffix, *arguments], checkout.root)


def deployed(aws: Emulator, system: str, suffix: str) -> None:
    """A system stands, and what began with its deployment has ended."""
    ended = deploy_py(aws, "deploy", "--system", system, suffix=suffix)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    aws.settle()
