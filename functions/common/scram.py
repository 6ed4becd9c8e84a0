"""What PostgreSQL stores in place of a password: a SCRAM-SHA-256 verifier (RFC 5802 and 7677)."""

from __future__ import annotations

import os
from base64 import b64encode

ITERATIONS = 4096  # PostgreSQL's own; more would slow down every connection of every client
SALT_BYTES = 16  # PostgreSQL's own (SCRAM_DEFAULT_SALT_LEN)


def verifier(password: str) -> str:
    """The verifier of ``password``, with a new salt. A server takes it in place of the password, which it cannot tell from it.

    The password is prepared by SASLprep (RFC 4013) first, as both the server and its clients do.
    """
    from scramp import ScramMechanism

    salt, stored, server, iterations = ScramMechanism("SCRAM-SHA-256").make_auth_info(
        password, iteration_count=ITERATIONS, salt=os.urandom(SALT_BYTES)
    )
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
