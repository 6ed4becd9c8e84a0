"""Rotates the password of a PostgreSQL user: the four steps of Secrets Manager, for a single user.

Every step may be killed anywhere and run again, and two runs of one rotation may meet: what a step finds done it leaves, and the
password to be set is the one that the pending version holds, whoever wrote it. The server never learns the password: it gets a
SCRAM verifier, so that a log of all statements holds nothing that opens the database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common import clients, database, rotating, scram
from common.database import Connection, Server
from common.report import FunctionError, say
from common.secret import CURRENT, PREVIOUS, Credential

# Left are letters, digits and the four other characters that RFC 3986 reserves nowhere (- . _ ~): a password that can stand in a
# URL, an SQL literal, a shell word and a configuration file as it is. RDS itself refuses / @ " and spaces.
EXCLUDED = "\"@/\\ '!#$%&()*+,:;<=>?[]^`{|}"
NAME = 63  # bytes of a role's name; PostgreSQL takes no notice of more
LOCK = int.from_bytes(b"rotation", "big")  # the advisory lock that two runs of setSecret share, below 2^63
APPLICATION = "standby-rotation"


@dataclass(frozen=True)
class Rotation(rotating.Rotation):
    """A rotation of the secret that opens ``server``."""

    server: Server

    def pending(self) -> Credential:
        """The version that this rotation is about, which must be for this server."""
        credential = super().pending()
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
            # Settings of role and database must not change who we are, nor what a name means.
            connection.run("SET search_path = ''; SET ROLE NONE")
            [[standby, user]] = connection.run("SELECT pg_is_in_recovery(), session_user")
            if user.encode() != credential.username.encode()[:NAME]:
                raise FunctionError(
                    f"{self.server} takes the user {credential.username} for {user}, whose password must not be changed. Rotate "
                    "at the server itself, and let no setting there change the session's user."
                )
            if standby:
                raise FunctionError(
                    f"{self.server} is in recovery: it is a standby or a replica. Rotate where the primary is; nothing was "
                    "changed."
                )
        except BaseException:
            database.close(connection)
            raise
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
    rotation = Rotation(clients.client("secretsmanager"), secret, token, event.get("RotationToken"), server)
    try:
        did = rotating.run(STEPS, step, rotation)
    except database.BROKEN as error:
        raise FunctionError(f"{server} failed us: {database.said(error)}. Secrets Manager tries again by itself.") from None
    say(step=step, secret=secret, version=token, server=str(server), did=did)


def create_secret(rotation: Rotation) -> str:
    """Fills the pending version: the current secret with a new password."""
    return rotation.create(ExcludeCharacters=EXCLUDED)


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
    # Not CURRENT_USER, which is another where ALTER ROLE ... SET role says so.
    connection.run(f"ALTER ROLE SESSION_USER PASSWORD '{scram.verifier(pending.password)}'")
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
    """Makes the pending version the current one."""
    return rotation.finish()


STEPS: Mapping[str, Callable[[Rotation], str]] = {
    "createSecret": create_secret,
    "setSecret": set_secret,
    "testSecret": test_secret,
    "finishSecret": finish_secret,
}
