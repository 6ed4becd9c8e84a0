"""Clients of AWS services that give up in time, and what to tell an operator when one did.

boto3 is loaded at once: a function begins with a whole processor and goes on with the fraction that its memory gives it.
"""

from __future__ import annotations

import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

# Seconds. An endpoint inside the VPC answers in milliseconds; where it does not answer at all, two attempts of one call still
# leave most of a function's 60 seconds.
CONNECT_TIMEOUT = 3
READ_TIMEOUT = 6
ATTEMPTS = 2
UNREACHABLE = (ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, ConnectionClosedError)
MAKING = threading.Lock()


def client(service: str) -> Any:
    """A client from the runtime's own boto3, by the ordinary AWS configuration alone.

    All come from the one session of the process, which has read what there is to know of a service once; it is not made for
    several threads, as its clients are.
    """
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    make: Any = boto3.client  # whose type is a list of all services
    with MAKING:
        return make(service, config=config)


def said(error: Exception) -> str:
    """An error of a client as a sentence; what a subnet without a way out looks like comes with its remedy."""
    if isinstance(error, UNREACHABLE):
        return f"{error} The function's subnets need an endpoint for this service that its security group reaches."
    return str(error)
