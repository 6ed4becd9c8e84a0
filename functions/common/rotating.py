"""What the four steps of a rotation share, whatever the password opens: the labels, the pending version, its beginning and end.

Every step may be killed anywhere and run again, and two runs of one rotation may meet: what a step finds done it leaves, and the
password to be set is the one that the pending version holds, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from common import clients
from common import secret as secrets
from common.report import FunctionError
from common.secret import CURRENT, PENDING, Credential

LENGTH = 32
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

Stages = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Rotation:
    """One rotation of one secret: the version ``token`` is to become the current one."""

    client: Any
    secret: str
    token: str
    proof: str | None = field(repr=False)

    def labels(self) -> Stages:
        """The staging labels of every version; refuses a secret that does not rotate."""
        answer = self.client.describe_secret(SecretId=self.secret)
        if not answer.get("RotationEnabled"):
            raise FunctionError(f"{self.secret} is not set up for rotation. Give it a rotation schedule.")
        return {version: tuple(labels) for version, labels in answer.get("VersionIdsToStages", {}).items()}

    def stages(self) -> Stages:
        """The same; refuses what is no rotation (Secrets Manager's own guard)."""
        versions = self.labels()
        if self.token not in versions:
            raise FunctionError(f"{self.secret} has no version {self.token}. Rotate it through RotateSecret, which makes one.")
        if not {CURRENT, PENDING} & set(versions[self.token]):
            raise FunctionError(
                f"The version {self.token} of {self.secret} is labelled {' '.join(versions[self.token]) or 'nothing'}, "
                f"not {PENDING}: another rotation has taken its place."
            )
        return versions

    def read(self, **version: str) -> Credential | None:
        """One version of the secret, or None where there is none or it is still empty."""
        return secrets.read(self.client, self.secret, version)

    def pending(self) -> Credential:
        """The version that this rotation is about."""
        credential = self.read(VersionId=self.token)
        if credential is None:
            raise FunctionError(f"The version {self.token} of {self.secret} is empty. Rotate again: createSecret fills it.")
        return credential

    def create(self, **characters: Any) -> str:
        """createSecret: fills the pending version with the current one and a new password of these ``characters``."""
        from botocore.exceptions import ClientError

        if self.read(VersionId=self.token) is not None:
            return "nothing: the pending version is there"
        current = self.read(VersionStage=CURRENT)
        if current is None:
            raise FunctionError(f"{self.secret} has no version {CURRENT}. Write user name and password to it.")
        answer = self.client.get_random_password(
            PasswordLength=LENGTH, IncludeSpace=False, RequireEachIncludedType=True, **characters
        )
        # Secrets Manager's proof that it was it who asked, where this function works under a role of another account.
        proof = {"RotationToken": self.proof} if self.proof else {}
        try:
            self.client.put_secret_value(
                SecretId=self.secret,
                ClientRequestToken=self.token,
                SecretString=current.with_password(answer["RandomPassword"]),
                VersionStages=[PENDING],
                **proof,
            )
        except ClientError as error:
            # A version is written once. Another run was quicker, and its password is the one to be set.
            if secrets.code(error) != "ResourceExistsException":
                raise
            return "nothing: another run has written the pending version"
        return "wrote the pending version"

    def finish(self) -> str:
        """finishSecret: makes the pending version the current one. Secrets Manager itself moves the other two labels."""
        from botocore.exceptions import ClientError

        current = next((version for version, labels in self.stages().items() if CURRENT in labels), None)
        if current == self.token:
            return f"nothing: this version is {CURRENT} already"
        source = {"RemoveFromVersionId": current} if current else {}
        try:
            self.client.update_secret_version_stage(
                SecretId=self.secret, VersionStage=CURRENT, MoveToVersionId=self.token, **source
            )
        except ClientError as error:
            # The label has moved since we looked. To this version: another run has done it. Elsewhere: not ours to decide.
            if secrets.code(error) != "InvalidParameterException" or CURRENT not in self.stages()[self.token]:
                raise
            return f"nothing: another run has made this version {CURRENT}"
        return f"made this version {CURRENT}"


Kind = TypeVar("Kind", bound=Rotation)


def run(steps: Mapping[str, Callable[[Kind], str]], step: str, rotation: Kind) -> str:
    """Runs one step and says what it did. A rotation that has ended needs nothing more."""
    if step not in steps:
        raise FunctionError(f"{step} is no step of a rotation; they are {', '.join(steps)}.")
    try:
        if CURRENT in rotation.stages()[rotation.token]:
            return f"nothing: this version is {CURRENT} already"
        return steps[step](rotation)
    except clients.UNREACHABLE as error:
        raise FunctionError(clients.said(error)) from None
