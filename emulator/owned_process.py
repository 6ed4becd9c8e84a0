"""Runs one command for its owner, and ends it when the owner ends, however that happens.

Started as a script: ``owned_process.py USER GROUP COMMAND...`` (``-`` for both: stay who we are). The owner holds the other
end of our standard input: a line names the signal to pass on, with a ``+`` before it also to what the command started, and its
end means that the owner is gone. That also works where the
owner was killed with -9, where it started us from a thread that has ended since (a parent-death signal follows the thread), and
on systems that know no parent-death signal.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
HEARD = Path("heard")  # in the owner's directory: tells it that a signal was passed on
GRACE = 5  # seconds between asking an orphaned command to quit and killing it


def main(arguments: list[str]) -> int:
    user, group, *command = arguments
    identity = {} if user == "-" else {"user": int(user), "group": int(group), "extra_groups": []}
    # In preexec_fn, which runs after the change of user: that change clears the parent-death signal.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent, **identity)  # type: ignore[call-overload]
    threading.Thread(target=_obey, args=(child.pid,), daemon=True).start()
    return int(child.wait())


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _obey(pid: int) -> None:
    buffer = b""
    while chunk := os.read(0, 64):
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            name = line.decode()
            _send(signal.Signals[name.removeprefix("+")], _family(pid) if name.startswith("+") else [pid])
            HEARD.touch()
    _send(signal.SIGCONT, _family(pid))  # who was stopped would not hear what follows
    _send(signal.SIGQUIT, [pid])
    time.sleep(GRACE)
    _send(signal.SIGKILL, _family(pid))


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _family(pid: int) -> list[int]:
    """The command, first, and its children: those of PostgreSQL lead process groups of their own."""
    listed: list[list[str]] = []
    if Path("/proc/self/stat").exists():
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                listed.append(
                    [place.name, (place / "stat").read_text(errors="replace", encoding="utf-8").rpartition(")")[2].split()[1]]
                )
    else:
        answer = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False, encoding="utf-8")
        listed = [line.split() for line in answer.stdout.splitlines()]
    return [pid, *(int(child) for child, parent in listed if int(parent) == pid)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
