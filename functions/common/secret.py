"""A database's secret in Secrets Manager: credentials that never show their password."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.report import FunctionError

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"


def code(error: Any) -> str:
    """The AWS error code of a ClientError."""
    return str(error.response["Error"]["Code"])


@dataclass(frozen=True)
class Credential:
    """What one version of a secret says. ``values`` holds all of its keys, those that we do not know included."""

    values: Mapping[str, object] = field(repr=False)

    @classmethod
    def parse(cls, text: str, where: str) -> Credential:
        """Reads a version's JSON; ``where`` names the version in the sentence that is raised for what is no credential."""
        values = _json(text)
        if not isinstance(values, dict):
            raise FunctionError(f"{where} is no JSON object. Write it as {{'username': ..., 'password': ...}} and rotate again.")
        for key in ("username", "password"):
            if not (isinstance(values.get(key), str) and values[key]):
                raise FunctionError(f"{where} has no {key}. Add the key to the secret and rotate again.")
        return cls(values)

    @property
    def username(self) -> str:
        return str(self.values["username"])

    @property
    def password(self) -> str:
        return str(self.values["password"])

    @property
    def host(self) -> str | None:
        """The host that a SecretTargetAttachment has written, or None."""
        return str(self.values["host"]) if self.values.get("host") else None

    @property
    def database(self) -> str:
        """The database to connect to; every server has ``postgres``."""
        return str(self.values.get("dbname") or "postgres")

    def with_password(self, password: str) -> str:
        """The JSON of the same secret with another password; every other key stays as it is."""
        return json.dumps({**self.values, "password": password})


def read(client: Any, secret: str, version: Mapping[str, str], *, must: bool = False) -> Credential | None:
    """The version of a secret with this VersionId or VersionStage, or None where there is none or it is still empty.

    Where it ``must`` be there, Secrets Manager's own error is raised instead.
    """
    from botocore.exceptions import ClientError

    try:
        answer = client.get_secret_value(SecretId=secret, **version)
    except ClientError as error:
        if must or code(error) != "ResourceNotFoundException":
            raise
        return None
    return Credential.parse(answer.get("SecretString", ""), f"The version {' '.join(version.values())} of {secret}")


def _json(text: str) -> object:
    # The decoder's exception holds the whole text, which is a secret: it must not even be the context of what we raise.
    try:
        return json.loads(text)
    except ValueError:
        return None
