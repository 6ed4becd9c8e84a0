"""Connections to PostgreSQL: TLS verified to the host name, a bound on every wait, and never a clear password on the wire."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pg8000.native
from pg8000.exceptions import DatabaseError, InterfaceError
from scramp import ScramException

from common.report import FunctionError
from common.secret import Credential

ROOTS = Path(__file__).parent / "rds-global-bundle.pem"  # the roots of Amazon RDS in all commercial regions
CONNECT_TIMEOUT = 5  # seconds, to the first answer
STATEMENT_TIMEOUT = 5  # seconds, by the server
ANSWER_TIMEOUT = 7  # seconds without a byte from the server; above the server's own bound, so that its reason arrives
IDLE_TIMEOUT = 10  # seconds after which the server ends a transaction of a function that was killed inside it
INVALID_PASSWORD = "28P01"  # noqa: S105  PostgreSQL's error code
ABSENT = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))  # no such name, or none with an address
CLEARTEXT = 3  # AuthenticationCleartextPassword
BROKEN = (DatabaseError, InterfaceError, OSError)  # whatever a statement on an open connection may raise


@dataclass(frozen=True)
class Server:
    """Where the database is and whom its certificate must come from."""

    host: str
    port: int
    roots: Path
    reader: str = ""
    """Where it is reached while the name of its writer does not resolve: that of a global database's secondary is inactive."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Server:
        """From DATABASE_HOST, DATABASE_PORT and, where the database has one, DATABASE_READ_HOST; and PGSSLROOTCERT, where another
        authority than Amazon's is meant."""
        roots = Path(environment.get("PGSSLROOTCERT") or ROOTS)
        if not roots.is_file():
            raise FunctionError(f"PGSSLROOTCERT names {roots}, which is no file. Leave it out to use the roots of Amazon RDS.")
        try:
            return cls(
                environment["DATABASE_HOST"],
                int(environment["DATABASE_PORT"]),
                roots,
                environment.get("DATABASE_READ_HOST", ""),
            )
        except (KeyError, ValueError) as error:
            raise FunctionError(
                f"The function's environment lacks a host or a port: {error}. Set DATABASE_HOST and DATABASE_PORT."
            ) from None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Connection(pg8000.native.Connection):  # type: ignore[misc]
    """pg8000's connection that answers no server that wants the password itself."""

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: Any) -> None:  # noqa: N802  pg8000's name
        if int.from_bytes(data[:4], "big") == CLEARTEXT:
            raise InterfaceError("the server asks for the clear password")
        super().handle_AUTHENTICATION_REQUEST(data, context)

    def scalar(self, statement: str) -> Any:
        """The one value that a query returns."""
        return self.run(statement)[0][0]


def connect(server: Server, credential: Credential, application: str) -> Connection | None:
    """A connection, or None where the server refuses this password. Anything else that keeps us out is a FunctionError."""
    context = ssl.create_default_context(cafile=str(server.roots))  # checks chain, dates and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    wire: socket.socket | None = None
    host = server.host
    try:
        host, wire = _reach(server)
        wire.settimeout(ANSWER_TIMEOUT)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as libpq: else each small message waits for an answer
        return Connection(
            credential.username,
            host=host,  # whom the certificate must come from
            port=server.port,
            database=credential.database,
            password=credential.password,
            sock=wire,
            ssl_context=context,
            application_name=application,
            startup_params={
                "statement_timeout": f"{STATEMENT_TIMEOUT}s",
                "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT}s",
            },
        )
    except (OSError, InterfaceError, DatabaseError, ScramException) as error:
        if wire is not None:
            wire.close()  # pg8000 leaves it open where the negotiation of TLS ends early
        # Where the server was quicker to hang up than pg8000 to say good-bye, its reason is the context of that failure.
        if INVALID_PASSWORD in (sqlstate(error), sqlstate(error.__context__)):
            return None
        raise FunctionError(_sentence(replace(server, host=host), credential, error)) from None


def _reach(server: Server) -> tuple[str, socket.socket]:
    """By which of its names it is reached, and how.

    Only where there is no such name is the reader asked: a resolver that is ill says nothing about a role. What the database is
    called stays the writer's name, also while it is reached by the other one.
    """
    try:
        return server.host, socket.create_connection((server.host, server.port), CONNECT_TIMEOUT)
    except socket.gaierror as error:
        if not server.reader or error.errno not in ABSENT:
            raise
    return server.reader, socket.create_connection((server.reader, server.port), CONNECT_TIMEOUT)


def close(connection: Connection) -> None:
    """Ends a session; one that is broken already needs nothing more."""
    with suppress(InterfaceError, OSError):
        connection.close()


def sqlstate(error: BaseException | None) -> str:
    """PostgreSQL's five characters for what went wrong, or nothing where the server did not say."""
    fields = error.args[0] if isinstance(error, DatabaseError) and error.args else None
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""


def said(error: BaseException) -> str:
    """The server's own sentence with its code; the statement itself is never part of it."""
    fields = error.args[0] if isinstance(error, DatabaseError) and error.args else None
    return f"{fields.get('M')} ({fields.get('C')})" if isinstance(fields, dict) else str(error)


def _sentence(server: Server, credential: Credential, error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {server} is refused: {error.verify_message} "
            f"It must be issued for {server.host} by an authority in {server.roots.name}."
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS with {server} fails: {error.reason}. The server must speak TLS 1.2 or later."
    if isinstance(error, InterfaceError) and "refuses SSL" in str(error):
        return f"{server} offers no TLS, and no credential goes out without it. Turn ssl on at the server."
    if isinstance(error, ScramException):
        return (
            f"The password of {credential.username} cannot be used with SCRAM: {error.args[0]}. "
            "Write one of printable ASCII characters to the database and to the secret."
        )
    if isinstance(error, OSError):
        return (
            f"{server} does not answer: {error}. The function's security group must reach the database's on this port, and the "
            "instance must be available."
        )
    return f"{server} refuses the user {credential.username} in the database {credential.database}: {said(error)}."
