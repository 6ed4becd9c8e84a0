"""The AWS CLI, loaded once: every ``aws`` of a runbook is a fork of this process, since loading it takes longer than its work.

``python cli.py SOCKET`` serves; ``CLIENT`` is the ``aws`` that stands in the PATH of the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLIENT = """#!{python} -IS
# Commands that the page's table names are checked by the AWS CLI against the API's model, and not sent. For RDS in us-east-1
# version 1 of the CLI overrules AWS_ENDPOINT_URL by an old host name, but not its own option.
import json, os, socket, sys
argv = sys.argv[1:]
operation = " ".join(["aws", *(argv[:3] if argv[1] == "wait" else argv[:2])])
if operation in os.environ.get("ONLY_CHECKED", "").splitlines():
    argv += ["--generate-cli-skeleton", "output"]
else:
    argv = ["--endpoint-url", os.environ["AWS_ENDPOINT_URL"], *argv]
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    socket.send_fds(server, [json.dumps([argv, dict(os.environ), os.getcwd()]).encode()], [0, 1, 2])
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(8) or 70))
"""


OFTEN = ("cloudformation", "cloudwatch", "logs", "rds", "secretsmanager", "sts")
"""Services whose models are read before the first fork."""


@contextlib.contextmanager
def command(folder: Path) -> Iterator[None]:
    """``aws`` in ``folder``, as long as the block lasts."""
    from tests.support import unmeasured  # not of the process that serves, which stands alone

    path = folder / "cli.socket"
    client = folder / "aws"
    client.write_text(CLIENT.format(python=sys.executable, path=str(path)))
    client.chmod(0o755)
    with subprocess.Popen([sys.executable, __file__, str(path)], env=unmeasured.environment()) as server:
        try:
            deadline = time.monotonic() + 30
            while not path.exists():
                assert server.poll() is None, "the AWS CLI could not be loaded: make test installs requirements/operations.lock"
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield
        finally:
            server.terminate()


def _serve(path: str) -> None:
    from awscli import clidriver

    driver = clidriver.create_clidriver()
    models = driver.session.get_component("data_loader")
    for service in OFTEN:
        for kind in ("service-2", "endpoint-rule-set-1"):
            models.load_service_model(service, kind)
    models.load_data("endpoints")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen(16)
        Path(f"{path}.new").rename(path)
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    os._exit(_one(connection, driver))


def _one(connection: socket.socket, driver: Any) -> int:
    """One command, in a process of its own; its exit code goes to the client."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while more := connection.recv(1 << 20):
        text += more
    argv, environment, folder = json.loads(text)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    data = os.environ["AWS_DATA_PATH"]  # which the CLI sets when it is loaded
    os.environ.clear()
    os.environ.update(environment, AWS_DATA_PATH=data)
    os.chdir(folder)
    try:
        code = driver.main(argv)
    except SystemExit as ended:
        code = int(ended.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])
