"""Sessions with the databases of deployed systems, as a client of an application has them."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pg8000.native

from emulator import Emulator


@contextmanager
def session(aws: Emulator, secret: dict[str, Any], host: str = "", port: int | str = 0) -> Iterator[pg8000.native.Connection]:
    """Where and as whom the secret says, over verified TLS; at another place where one is given."""
    connection = pg8000.native.Connection(
        secret["username"],
        password=secret["password"],
        host=host or secret["host"],
        port=int(port or secret["port"]),
        database=secret["dbname"],
        ssl_context=ssl.create_default_context(cafile=str(aws.root)),
    )
    try:
        yield connection
    finally:
        connection.close()
