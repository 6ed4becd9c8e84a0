"""Runs one command for its owner, and ends it when the owner ends, however that happens.

Started as a script of its own: ``guard.py USER GROUP COMMAND...`` (``-`` for both: stay who we are). The owner holds the other
end of our standard input: a line names the signal to pass on, its end means that the owner is gone. That also works where the
owner was killed with -9, where it started us from a thread that has ended since (a parent-death signal follows the thread), and
on systems that know no parent-death signal.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
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
            os.kill(pid, signal.Signals[line.decode()])
    os.kill(pid, signal.SIGQUIT)
    time.sleep(GRACE)
    os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
