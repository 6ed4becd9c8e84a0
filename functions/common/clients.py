"""Clients of AWS services that give up in time, and what to tell an operator when one did."""

from __future__ import annotations

from typing import Any

from common import secret

UNREACHABLE = ("ConnectTimeoutError", "EndpointConnectionError", "ReadTimeoutError", "ConnectionClosedError")


def client(service: str) -> Any:
    """A client from the runtime's own boto3, with the bounds that the client of a secret has.

    Each has a session of its own: the default one is not made for several threads.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=secret.CONNECT_TIMEOUT,
        read_timeout=secret.READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": secret.ATTEMPTS},
    )
    session: Any = boto3.session.Session()
    return session.client(service, config=config)


def said(error: Exception) -> str:
    """An error of a client as a sentence; what a subnet without a way out looks like comes with its remedy."""
    if type(error).__name__ in UNREACHABLE and type(error).__module__.startswith("botocore."):
        return f"{error} The function's subnets need an endpoint for this service that its security group reaches."
    return str(error)
