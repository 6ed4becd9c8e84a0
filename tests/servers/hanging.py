"""Servers that hang: one that takes no connection, one that says nothing, and those that say something for ever."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PAUSE = 0.05  # seconds between two bytes of a trickle
Talk = Callable[[socket.socket], None]


@contextmanager
def black_hole() -> Iterator[int]:
    """A port whose queue is full: the system drops what arrives, as a firewall does."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.05)
        with socket.socket() as probe:
            probe.settimeout(0.2)
            with suppress(TimeoutError):
                probe.connect(listener.getsockname())
                raise AssertionError("this system takes connections beyond its queue")
        yield listener.getsockname()[1]


@contextmanager
def talking(talk: Talk) -> Iterator[int]:
    """A port where ``talk`` speaks with whoever connects, until it returns or the other side has gone."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stop = threading.Event()

        def serve(wire: socket.socket) -> None:
            with wire, suppress(OSError):
                talk(wire)

        def accept() -> None:
            while True:
                wire, _ = listener.accept()
                if stop.is_set():
                    wire.close()
                    return
                threading.Thread(target=serve, args=(wire,), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join()


def silent(wire: socket.socket) -> None:
    """Takes what comes and answers nothing."""
    while wire.recv(65536):
        pass


def trickle(wire: socket.socket, said: bytes, forever: bytes) -> None:
    """Sends ``said``, then ``forever`` again and again, byte by byte."""
    wire.sendall(said)
    for byte in itertools.cycle(forever):
        wire.sendall(bytes([byte]))
        time.sleep(PAUSE)


def http_trickle(wire: socket.socket) -> None:
    """An answer whose headers never end."""
    wire.recv(65536)
    trickle(wire, b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n")


def http_body_trickle(wire: socket.socket) -> None:
    """An answer whose body never ends."""
    wire.recv(65536)
    trickle(wire, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b".")


def postgres_trickle(certificate: Path, key: Path) -> Talk:
    """A PostgreSQL server with TLS that tells parameter after parameter, and never whether one is let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    text = b"name\0value\0"
    message = b"S" + (4 + len(text)).to_bytes(4, "big") + text

    def talk(wire: socket.socket) -> None:
        wire.recv(8)
        wire.sendall(b"S")
        with context.wrap_socket(wire, server_side=True) as secure:
            secure.recv(65536)
            trickle(secure, b"", message)

    return talk
