"""How a command can end: its exit code, and the two ways in which it ends before it has begun."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of ``deploy.py``."""

    OK = 0
    FAILED = 1
    INPUT = 2
    DRIFT = 3
    ACCESS = 4
    LEFTOVERS = 5
    NOT_READY = 6
    LOCKED = 7
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done, or nothing to do",
    Exit.FAILED: "a stack failed; what depends on it was held back",
    Exit.INPUT: "the command line, a parameter file or a template is not usable; nothing was called",
    Exit.DRIFT: "drift: a resource differs from its template",
    Exit.ACCESS: "no credentials, or AWS was not reached or refused the caller",
    Exit.LEFTOVERS: "destroy: something is left besides keys in their waiting period, or the question was not answered with yes",
    Exit.NOT_READY: "deploy: the account or the environment is not ready; nothing was changed",
    Exit.LOCKED: "somebody else deploys or destroys this; nothing was changed",
    Exit.INTERRUPTED: "interrupted; what AWS had begun goes on there, and the same command resumes",
}
"""The one table of exit codes; ``deploy.py --help`` prints it."""


class InputError(Exception):
    """Something that the user wrote cannot be used. Every problem is a sentence, and all of them are listed at once."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class NotReadyError(Exception):
    """The account or the environment is not ready. Every finding is a sentence, and nothing was changed."""

    def __init__(self, findings: Iterable[str]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(self.findings))


class LockedError(Exception):
    """Somebody else is at it. Every sentence names who, and nothing was changed."""

    def __init__(self, holders: Iterable[str]) -> None:
        self.holders = tuple(holders)
        super().__init__("\n".join(self.holders))


class AccessError(Exception):
    """AWS could not be asked: no credentials, no way there, or no permission."""
