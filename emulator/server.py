"""The emulator's own process: ``python -m emulator.server SOCKET DIRECTORY DATABASES``; only emulator.running starts it.

SOCKET is an inherited listening socket, DIRECTORY is private to this run. The end of standard input means that the owner is gone.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

from emulator import ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY


def main(arguments: list[str]) -> int:
    descriptor, directory, with_databases = int(arguments[0]), Path(arguments[1]), arguments[2] == "1"
    port = socket.socket(fileno=os.dup(descriptor)).getsockname()[1]
    threading.Thread(target=_outlive_nobody, args=(directory,), daemon=True).start()
    _set_environment(f"http://127.0.0.1:{port}", port, directory)
    gc.disable()  # what is loaded now stays
    from emulator import private_names

    try:
        private_names.check()
        from emulator import extension

        application = extension.install(directory, with_databases=with_databases)
    except private_names.NameGoneError as gone:
        print(gone, file=sys.stderr, flush=True)
        return 1
    except (AttributeError, KeyError) as gone:  # a part of what is there, such as one of a service's actions
        print(private_names.sentence("ministack", str(gone)), file=sys.stderr, flush=True)
        return 1
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # a service's model alone makes more objects than the ordinary thresholds let pass
    gc.enable()
    _serve(descriptor, application)
    return 0


def _set_environment(endpoint: str, port: int, directory: Path) -> None:
    """ministack reads all of this when it is imported; functions that run inherit it."""
    foreign = ("AWS_", "LAMBDA_", "MINISTACK_", "LOCALSTACK_", "RDS_", "PG", "SSL_CERT_")
    for name in [name for name in os.environ if name.startswith(foreign) and name != "PG_BIN"]:
        del os.environ[name]
    temporary, state = directory / "tmp", directory / "state"
    temporary.mkdir()
    state.mkdir()
    os.environ.update(
        AWS_ENDPOINT_URL=endpoint,
        AWS_ACCESS_KEY_ID=ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        AWS_DEFAULT_REGION=REGION,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        AUTH="true",  # policies are enforced
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_REGION=REGION,
        IOT_MTLS_ENABLED="0",  # or it listens on every address
        SFTP_ENABLED="0",
        LAMBDA_EXECUTOR="local",  # functions run as processes
        DOCKER_HOST=f"unix://{directory}/no-docker",  # never somebody's containers
        TMPDIR=str(temporary),
        STATE_DIR=str(state),
        LOG_LEVEL="WARNING",
    )


def _outlive_nobody(directory: Path) -> None:
    while os.read(0, 64):
        pass
    from emulator import caches, databases

    databases.stop_all()
    caches.stop_all()
    shutil.rmtree(directory, ignore_errors=True)
    _save_coverage()
    os.killpg(os.getpid(), signal.SIGKILL)  # us, who lead a process group of our own, and the functions that run


def _save_coverage() -> None:
    """What the tests ran of us, where they measure it; the end below leaves no time for it."""
    coverage = sys.modules.get("coverage")
    measured = coverage.Coverage.current() if coverage else None
    if measured:
        measured.stop()
        measured.save()


def _serve(descriptor: int, application: object) -> None:
    import asyncio

    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    asyncio.run(serve(application, config))  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
