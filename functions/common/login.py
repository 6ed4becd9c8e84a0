"""Logs in with a secret whose password may be changing under our hands, or has changed since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from common import database
from common import secret as secrets
from common.database import Connection, Server
from common.secret import Credential

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"


def read(client: Any, secret: str, label: str) -> Credential | None:
    """The version of a secret with this staging label, or None where there is none or it is still empty."""
    from botocore.exceptions import ClientError

    try:
        answer = client.get_secret_value(SecretId=secret, VersionStage=label)
    except ClientError as error:
        if label == CURRENT or secrets.code(error) != "ResourceNotFoundException":
            raise
        return None
    return Credential.parse(answer.get("SecretString", ""), f"The version {label} of {secret}")


def connect(credentials: Iterable[Credential | None], server: Server, application: str) -> Connection | None:
    """A session with the first of ``credentials`` that ``server`` accepts, or None. They are taken one by one, as needed."""
    for credential in credentials:
        connection = database.connect(server, credential, application) if credential else None
        if connection is not None:
            return connection
    return None
