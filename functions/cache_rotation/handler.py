"""Rotates the password of a user of ElastiCache so that nobody is ever locked out: two passwords are valid at any time.

A rotation adds the new password and takes the one before the last away, so an application that still has the last one goes on
logging in with it until the next rotation; sessions stay open anyway. Passwords cannot be read back from ElastiCache: the labels
of the secret are the truth, and what the user shall have is derived from them alone, the current password and the pending one.
So every step may be killed anywhere and run again, and of two runs that meet each sets the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common import cache, clients, rotating
from common import secret as secrets
from common.cache import Cache
from common.environment import needed
from common.report import FunctionError, say
from common.rotating import Stages
from common.secret import CURRENT, PENDING, PREVIOUS, Credential

ACTIVE_TIMEOUT = 240.0  # seconds that setSecret waits for ElastiCache in all; the function's own limit is above that
PAUSE = 1.0  # seconds between two looks at the user


@dataclass(frozen=True)
class Rotation(rotating.Rotation):
    """A rotation of the secret of the user ``user`` of ``cache``, whose application reads keys like ``key``."""

    elasticache: Any
    user: str
    cache: Cache
    key: str

    def pending(self) -> Credential:
        """The version that this rotation is about."""
        credential = super().pending()
        name = self.described()["UserName"]
        if credential.username != name:
            raise FunctionError(
                f"{self.secret} belongs to the user {credential.username}, and this function serves {name} ({self.user}). "
                "Write the right name to the secret, or rotate it with the function of its own."
            )
        return credential

    def described(self) -> Mapping[str, Any]:
        """The user as ElastiCache has it."""
        found: Mapping[str, Any] = self.elasticache.describe_users(UserId=self.user)["Users"][0]
        return found

    def accepts(self, credential: Credential) -> bool:
        """Whether this credential opens the cache, and the application could work with it."""
        return cache.accepts(self.cache, credential, self.key)

    def both_open(self, pending: Credential) -> bool:
        """Whether the pending password opens the cache, and the current one does too."""
        current = self.read(VersionStage=CURRENT)
        return self.accepts(pending) and (current is None or self.accepts(current))

    def passwords(self, stages: Stages) -> list[str]:
        """What the user shall have by these labels: the current password, and the one to come or else the last one."""
        versions = {label: version for version, labels in stages.items() for label in labels}
        chosen = [versions.get(CURRENT), versions.get(PENDING), versions.get(PREVIOUS)]
        found: list[str] = []
        for version in dict.fromkeys(one for one in chosen if one):
            credential = self.read(VersionId=version)
            if credential is not None and credential.password not in found:
                found.append(credential.password)
        return found[:2]

    def wait(self, deadline: float) -> None:
        """Returns once no change of the user is under way."""
        while (status := self.described()["Status"]) != "active":
            if time.monotonic() >= deadline:
                raise FunctionError(
                    f"The user {self.user} is still {status} after {ACTIVE_TIMEOUT:.0f} s. Secrets Manager tries again by "
                    "itself; if that does not help, look at the replication group's events."
                )
            time.sleep(PAUSE)

    def modify(self, passwords: list[str]) -> bool:
        """Gives the user these passwords; False where another change of it is under way."""
        from botocore.exceptions import ClientError

        refusal = ""
        try:
            self.elasticache.modify_user(UserId=self.user, Passwords=passwords)
        except ClientError as error:
            refusal = secrets.code(error)
        if refusal in ("", "InvalidUserState"):
            return not refusal
        # Not in the handler of the exception, and without its message: that of a parameter could repeat it.
        raise FunctionError(f"ElastiCache refuses new passwords of the user {self.user}: {refusal}.")


def handler(event: Mapping[str, Any], context: object) -> None:  # noqa: ARG001  Lambda's signature
    """What Secrets Manager invokes, once for each step."""
    step, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    rotation = Rotation(
        clients.client("secretsmanager"),
        secret,
        token,
        event.get("RotationToken"),
        clients.client("elasticache"),
        needed(os.environ, "CACHE_USER"),
        Cache.of(os.environ),
        needed(os.environ, "CACHE_KEY"),
    )
    did = rotating.run(STEPS, step, rotation)
    say(step=step, secret=secret, version=token, cache=str(rotation.cache), did=did)


def create_secret(rotation: Rotation) -> str:
    """Fills the pending version: the current secret with a new password, of letters and digits."""
    return rotation.create(ExcludePunctuation=True)


def set_secret(rotation: Rotation) -> str:
    """Makes the current and the pending password the user's.

    A run that was held up must not set what another rotation has made obsolete, so it looks at the labels last; where they moved
    even so, before its change arrived, it sets what they say by then.
    """
    pending = rotation.pending()
    deadline = time.monotonic() + ACTIVE_TIMEOUT
    changed: Stages | None = None
    while True:
        rotation.wait(deadline)
        if changed is None and rotation.both_open(pending):
            return f"nothing: {pending.username} has the pending password already, and the current one"
        stages = rotation.stages() if changed is None else rotation.labels()
        if stages == changed:
            rotation.stages()
            while not rotation.accepts(pending) and time.monotonic() < deadline:
                time.sleep(PAUSE)  # the user is said to be active, and a node does not know it yet
            return f"set the current and the pending password of {pending.username}"
        if rotation.modify(rotation.passwords(stages)):
            changed = stages
        if time.monotonic() >= deadline:
            raise FunctionError(
                f"The user {rotation.user}, or the labels of {rotation.secret}, did not rest for {ACTIVE_TIMEOUT:.0f} s. "
                "Secrets Manager tries again by itself."
            )


def test_secret(rotation: Rotation) -> str:
    """Logs in with the pending password, and with the current one, which must not stop working before the next rotation."""
    pending = rotation.pending()
    current = rotation.read(VersionStage=CURRENT)
    for credential, label in ((pending, "pending"), (current, "current")):
        if credential is not None and not rotation.accepts(credential):
            raise FunctionError(
                f"The {label} password does not open {rotation.cache} for {credential.username}: setSecret has not set it."
            )
    return f"logged in as {pending.username} with the pending password, and with the current one"


def finish_secret(rotation: Rotation) -> str:
    """Makes the pending version the current one."""
    return rotation.finish()


STEPS: Mapping[str, Callable[[Rotation], str]] = {
    "createSecret": create_secret,
    "setSecret": set_secret,
    "testSecret": test_secret,
    "finishSecret": finish_secret,
}
