"""This site's own database: a session with the secret of the site's region, whichever of its passwords is the right one now.

The secret of the recovery site is the replica of the primary's and names the primary's host; where the database is, the
function's environment says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from common import clients, database, login
from common.database import Connection, Server
from common.environment import needed
from common.report import FunctionError
from common.secret import CURRENT, PENDING, PREVIOUS, Credential

Answer = TypeVar("Answer")


def asked(application: str, question: Callable[[Connection], Answer]) -> Answer:
    """What ``question`` finds out in a session with this site's database; whatever keeps it from that is a FunctionError."""
    environment = dict(os.environ)
    server = Server.of(environment)
    connection = _session(environment, server, application)
    try:
        return question(connection)
    except database.BROKEN as error:
        raise FunctionError(f"{server} took the login and failed us: {database.said(error)}.") from None
    finally:
        database.close(connection)


def adopt(application: str, check: Callable[[Connection], object]) -> dict[str, Any]:
    """Writes into the secret where this site's database is, with the password that opens it, whichever version holds it.

    ``check`` sees a session first, and may raise. Both labels go to what is written: a version that was left pending elsewhere
    would keep every later rotation from beginning.
    """
    environment = dict(os.environ)
    server, secret, client = Server.of(environment), needed(environment, "SECRET_ARN"), clients.client("secretsmanager")
    for label in (CURRENT, PENDING, PREVIOUS):
        credential = login.read(client, secret, label)
        connection = database.connect(server, credential, application) if credential else None
        if credential is not None and connection is not None:
            break
    else:
        raise FunctionError(f"{server} refuses every password of {secret}. Set the one of {CURRENT} at the server.")
    try:
        check(connection)
    finally:
        database.close(connection)
    value = {**credential.values, "host": server.host, "port": server.port}
    stages = client.get_secret_value(SecretId=secret, VersionStage=CURRENT)["VersionStages"]
    if label == CURRENT and value == credential.values and PENDING in stages:
        return {"adopted": False, "host": server.host, "opened_by": label}
    client.put_secret_value(SecretId=secret, SecretString=json.dumps(value), VersionStages=[CURRENT, PENDING])
    return {"adopted": True, "host": server.host, "opened_by": label}


def _session(environment: Mapping[str, str], server: Server, application: str) -> Connection:
    secret = needed(environment, "SECRET_ARN")
    try:
        connection = login.connect(_credentials(secret), server, application)
    except FunctionError:
        raise
    except Exception as error:  # of botocore, which is loaded where it is used alone
        raise FunctionError(f"{secret} cannot be read: {type(error).__name__}: {clients.said(error)}") from None
    if connection is None:
        raise FunctionError(
            f"{server} refuses the password of {secret}: of its current, pending and previous version. Rotate the secret; where "
            "it is a replica, see that it is in sync with its primary."
        )
    return connection


def _credentials(secret: str) -> Iterator[Credential | None]:
    """A rotation may be under way: the pending password is the right one before it becomes current, which it may be by now.

    A replica that is behind has the password of before a rotation that its secret has seen already.
    """
    client: Any = clients.client("secretsmanager")
    yield login.read(client, secret, CURRENT)
    yield login.read(client, secret, PENDING)
    yield login.read(client, secret, CURRENT)
    yield login.read(client, secret, PREVIOUS)
