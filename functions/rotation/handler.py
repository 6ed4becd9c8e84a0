"""Rotates the password of a PostgreSQL user: the four steps of Secrets Manager, for a single user.

Every step may be killed anywhere and run again, and two runs of one rotation may meet: what a step finds done it leaves, and the
password to be set is the one that the pending version holds, whoever wrote it. The server never learns the password: it gets a
SCRAM verifier, so that a log of all statements holds nothing that opens the database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from common import database, scram
from common import secret as secrets
from common.database import Connection, Server
from common.report import FunctionError, say
from common.secret import Credential

LENGTH = 32
# Left are letters, digits and the four other characters that RFC 3986 reserves nowhere (- . _ ~): a password that can stand in a
# URL, an SQL literal, a shell word and a configuration file as it is. RDS itself refuses / @ " and spaces.
EXCLUDED = "\"@/\\ '!#$%&()*+,:;<=>?[]^`{|}"
CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
LOCK = int.from_bytes(b"rotation", "big")  # the advisory lock that two runs of setSecret share, below 2^63
APPLICATION = "standby-rotation"


@dataclass(frozen=True)
class Rotation:
    """One rotation of one secret: the version ``token`` is to become the current one."""

    client: Any
    secret: str
    token: str
    server: Server
    proof: str | None = field(repr=False)

    def stages(self) -> dict[str, tuple[str, ...]]:
        """The staging labels of every version; refuses what is no rotation (Secrets Manager's own guard)."""
        answer = self.client.describe_secret(SecretId=self.secret)
        if not answer.get("RotationEnabled"):
            raise FunctionError(f"{self.secret} is not set up for rotation. Give it a rotation schedule.")
        versions = {version: tuple(labels) for version, labels in answer.get("VersionIdsToStages", {}).items()}
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
        from botocore.exceptions import ClientError

        try:
            answer = self.client.get_secret_value(SecretId=self.secret, **version)
        except ClientError as error:
            if secrets.code(error) != "ResourceNotFoundException":
                raise
            return None
        return Credential.parse(answer.get("SecretString", ""), f"The version {' '.join(version.values())} of {self.secret}")

    def pending(self) -> Credential:
        """The version that this rotation is about."""
        credential = self.read(VersionId=self.token)
        if credential is None:
            raise FunctionError(f"The version {self.token} of {self.secret} is empty. Rotate again: createSecret fills it.")
        if credential.host and credential.host.lower() != self.server.host.lower():
            raise FunctionError(
                f"{self.secret} belongs to the server {credential.host}, and this function serves {self.server.host}. "
                "Attach the secret to this server, or rotate it with the function of its own."
            )
        return credential

    def open(self, credential: Credential) -> Connection | None:
        """A connection to the writable server, or None where the password is not this one's."""
        connection = database.connect(self.server, credential, APPLICATION)
        if connection is None:
            return None
        try:
            standby = connection.scalar("SELECT pg_is_in_recovery()")
        except BaseException:
            database.close(connection)
            raise
        if standby:
            database.close(connection)
            raise FunctionError(
                f"{self.server} is in recovery: it is a standby or a replica. Rotate where the primary is; nothing was changed."
            )
        return connection

    def accepts(self, credential: Credential) -> bool:
        """Whether this credential opens the writable server, and a query runs there."""
        connection = self.open(credential)
        if connection is not None:
            database.close(connection)
        return connection is not None


def handler(event: Mapping[str, Any], context: object) -> None:  # noqa: ARG001  Lambda's signature
    """What Secrets Manager invokes, once for each step."""
    server = Server.of(os.environ)
    step, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    if step not in STEPS:
        raise FunctionError(f"{step} is no step of a rotation; they are {', '.join(STEPS)}.")
    did = _run(STEPS[step], Rotation(secrets.client(), secret, token, server, event.get("RotationToken")))
    say(step=step, secret=secret, version=token, server=str(server), did=did)


def _run(step: Callable[[Rotation], str], rotation: Rotation) -> str:
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

    try:
        if CURRENT in rotation.stages()[rotation.token]:
            return f"nothing: this version is {CURRENT} already"
        return step(rotation)
    except (ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError) as error:
        raise FunctionError(
            f"{error} The function's subnets need an endpoint for Secrets Manager that its security group reaches."
        ) from None
    except database.BROKEN as error:
        raise FunctionError(
            f"{rotation.server} failed us: {database.said(error)}. Secrets Manager tries again by itself."
        ) from None


def create_secret(rotation: Rotation) -> str:
    """Fills the pending version: the current secret with a new password."""
    from botocore.exceptions import ClientError

    if rotation.read(VersionId=rotation.token) is not None:
        return "nothing: the pending version is there"
    current = rotation.read(VersionStage=CURRENT)
    if current is None:
        raise FunctionError(f"{rotation.secret} has no version {CURRENT}. Write user name and password of the database to it.")
    answer = rotation.client.get_random_password(
        PasswordLength=LENGTH, ExcludeCharacters=EXCLUDED, IncludeSpace=False, RequireEachIncludedType=True
    )
    # Secrets Manager's proof that it was it who asked, where this function works under a role of another account.
    proof = {"RotationToken": rotation.proof} if rotation.proof else {}
    try:
        rotation.client.put_secret_value(
            SecretId=rotation.secret,
            ClientRequestToken=rotation.token,
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


def set_secret(rotation: Rotation) -> str:
    """Makes the pending password the database's."""
    pending = rotation.pending()
    if rotation.accepts(pending):
        return f"nothing: {pending.username} has the pending password already"
    for label in (CURRENT, PREVIOUS):
        credential = rotation.read(VersionStage=label)
        if credential is None or credential.username != pending.username:
            continue
        connection = rotation.open(credential)
        if connection is not None:
            try:
                return _alter(rotation, connection, pending, label)
            finally:
                database.close(connection)
    # Another run may have set it after our first look and before we tried the others.
    if rotation.accepts(pending):
        return f"nothing: another run has set the pending password of {pending.username}"
    raise FunctionError(
        f"Neither the pending nor the current nor the previous password of {rotation.secret} opens {rotation.server} "
        f"for {pending.username}. Set the password of the version {CURRENT} at the server by hand (for the master user: "
        "ModifyDBInstance) and rotate again."
    )


def _alter(rotation: Rotation, connection: Connection, pending: Credential, label: str) -> str:
    """Writes the verifier, one run at a time, and only while this rotation is still the one that is pending.

    Without the lock two runs at once would fail ("tuple concurrently updated"). Without the second look a run that was held up
    could set the password of a rotation that has been finished and followed by another since.
    """
    connection.run("BEGIN")
    connection.run(f"SELECT pg_advisory_xact_lock({LOCK})")
    if CURRENT in rotation.stages()[rotation.token]:
        return f"nothing: another run has finished, this version is {CURRENT}"
    connection.run(f"ALTER ROLE CURRENT_USER PASSWORD '{scram.verifier(pending.password)}'")
    connection.run("COMMIT")
    return f"set the pending password of {pending.username}, having logged in with {label}"


def test_secret(rotation: Rotation) -> str:
    """Logs in with the pending password and runs a query."""
    pending = rotation.pending()
    if not rotation.accepts(pending):
        raise FunctionError(
            f"The pending password does not open {rotation.server} for {pending.username}: setSecret has not set it."
        )
    return f"logged in as {pending.username} with the pending password"


def finish_secret(rotation: Rotation) -> str:
    """Makes the pending version the current one. Secrets Manager itself moves AWSPREVIOUS and takes AWSPENDING away."""
    from botocore.exceptions import ClientError

    current = next((version for version, labels in rotation.stages().items() if CURRENT in labels), None)
    if current == rotation.token:
        return f"nothing: this version is {CURRENT} already"
    source = {"RemoveFromVersionId": current} if current else {}
    try:
        rotation.client.update_secret_version_stage(
            SecretId=rotation.secret, VersionStage=CURRENT, MoveToVersionId=rotation.token, **source
        )
    except ClientError as error:
        # The label has moved since we looked. To this version: another run has done it. Elsewhere: not ours to decide.
        if secrets.code(error) != "InvalidParameterException" or CURRENT not in rotation.stages()[rotation.token]:
            raise
        return f"nothing: another run has made this version {CURRENT}"
    return f"made this version {CURRENT}"


STEPS: Mapping[str, Callable[[Rotation], str]] = {
    "createSecret": create_secret,
    "setSecret": set_secret,
    "testSecret": test_secret,
    "finishSecret": finish_secret,
}
