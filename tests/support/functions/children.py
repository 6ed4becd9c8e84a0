"""A process that forks one child per job, so that a child can be killed or stopped at any of its calls: both its sides."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import unmeasured

ROOT = Path(__file__).parents[3]
PATHS = (ROOT, ROOT / "functions", ROOT / "functions/log_archive")


class Children:
    """The side of the test; ``module`` is the other side."""

    def __init__(self, module: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**unmeasured.environment(), "PYTHONPATH": os.pathsep.join(map(str, PATHS))},
            text=True,
        )

    def ask(self, **job: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def resume(self, child: int) -> dict[str, Any]:
        """Lets a stopped child go on to its end."""
        return self.ask(resume=child)

    def end(self) -> None:
        self.process.communicate()


def serve(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The other side: each job's ``work`` is done by a child, in the job's environment."""
    children: dict[int, int] = {}
    for line in sys.stdin:
        job = json.loads(line)
        if "resume" in job:
            child = job["resume"]
            os.kill(child, signal.SIGCONT)
            answer = _end(child, children.pop(child))
        else:
            child, said = _fork(job, work)
            answer = _end(child, said)
            if "stopped" in answer:
                children[child] = said
        print(json.dumps(answer), flush=True)


def _fork(job: dict[str, Any], work: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[int, int]:
    said = os.memfd_create("said")
    child = os.fork()
    if child:
        return child, said
    os.environ.update(job["environment"])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    answer = work(job)
    with os.fdopen(said, "w") as file:
        json.dump(answer, file)
    os._exit(0)


def _end(child: int, said: int) -> dict[str, Any]:
    """What became of a child. It says what it has to say into a file, which holds more than a pipe."""
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return {"stopped": child}
    with os.fdopen(said, "rb") as file:
        if os.WIFSIGNALED(status):
            return {"killed": os.WTERMSIG(status)}
        file.seek(0)
        answer: dict[str, Any] = json.load(file)
    return answer
