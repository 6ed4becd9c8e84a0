"""Logs in with a secret whose password may be changing under our hands, or has changed since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from common import database
from common import secret as secrets
from common.database import Connection, Server
from common.secret import CURRENT, Credential


def read(client: Any, secret: str, label: str) -> Credential | None:
    """The version of a secret with this staging label, or None; the current one must be there."""
    return secrets.read(client, secret, {"VersionStage": label}, must=label == CURRENT)


def connect(credentials: Iterable[Credential | None], server: Server, application: str) -> Connection | None:
    """A session with the first of ``credentials`` that ``server`` accepts, or None. They are taken one by one, as needed."""
    for credential in credentials:
        connection = database.connect(server, credential, application) if credential else None
        if connection is not None:
            return connection
    return None
