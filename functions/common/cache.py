"""Sessions with Redis: TLS verified to the host name by the runtime's own roots, and a bound on every wait.

ElastiCache's certificates come from Amazon Trust Services, whose roots are in every default store; RDS's bundle holds others.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.report import FunctionError
from common.secret import Credential

CONNECT_TIMEOUT = 5  # seconds
ANSWER_TIMEOUT = 5  # seconds without a byte from the server


@dataclass(frozen=True)
class Cache:
    """Where the replication group's primary is."""

    host: str
    port: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Cache:
        """From CACHE_HOST and CACHE_PORT."""
        try:
            return cls(environment["CACHE_HOST"], int(environment["CACHE_PORT"]))
        except (KeyError, ValueError) as error:
            raise FunctionError(
                f"The function's environment lacks a host or a port: {error}. Set CACHE_HOST and CACHE_PORT."
            ) from None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def accepts(cache: Cache, credential: Credential, key: str) -> bool:
    """Whether the credential opens the cache, and what its user is there for works: a PING, and a GET of ``key``.

    False where the server refuses the password. Anything else that is in the way is a FunctionError.
    """
    client = _client(cache, credential)
    try:
        client.ping()
        client.get(key)
    except redis.AuthenticationError:
        return False
    except redis.RedisError as error:
        raise FunctionError(_sentence(cache, credential, key, error)) from None
    finally:
        client.close()
    return True


def _client(cache: Cache, credential: Credential) -> Any:
    return redis.Redis(
        host=cache.host,
        port=cache.port,
        username=credential.username,
        password=credential.password,
        ssl=True,
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
        ssl_min_version=ssl.TLSVersion.TLSv1_2,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=ANSWER_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


def _sentence(cache: Cache, credential: Credential, key: str, error: Exception) -> str:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(error, redis.exceptions.NoPermissionError):
        return f"{cache} does not let the user {credential.username} read {key}: {error}. The user's access string must allow it."
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {cache} is refused: {cause.verify_message}. "
            f"It must be issued for {cache.host} by an authority in the default store."
        )
    if isinstance(cause, ssl.SSLError):
        return f"TLS with {cache} fails: {cause.reason}. The server must speak TLS 1.2 or later."
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return (
            f"{cache} does not answer: {error}. The function's security group must reach the cache's on this port, and the "
            "replication group must be available."
        )
    return f"{cache} failed us: {error}. Secrets Manager tries again by itself."
