"""The commands that operators type, run against an emulator."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from emulator import Emulator
from tests import unmeasured

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


@contextlib.contextmanager
def opted_in(system: str, suffix: str) -> Iterator[Emulator]:
    """A system in an account that has opted in to backups of every type; what began with the deployment has ended."""
    with unmeasured.running() as aws:
        aws.opt_in()
        ended = deploy_py(aws, "deploy", "--system", system, suffix=suffix)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        aws.settle()
        yield aws
