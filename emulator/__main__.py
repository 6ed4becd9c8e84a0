"""``python -m emulator serve [--port N]`` or ``python -m emulator exec -- COMMAND...``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence

from emulator import EmulatorError, running

# What would send the command's calls elsewhere, or sign them with something else, although our environment is set.
FOREIGN = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_REGION",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m emulator", description="An AWS to try everything on, on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run until interrupted; prints the environment to export")
    serve.add_argument("--port", type=int, default=4566, help="on 127.0.0.1 (default: %(default)s; 0: a free one)")
    execute = commands.add_parser("exec", help="run a command against a fresh emulator")
    execute.add_argument("--opted-in", action="store_true", help="AWS Backup is opted in to every type, in every region")
    execute.add_argument("argv", nargs="+", metavar="COMMAND")
    options = parser.parse_args(arguments)
    # A request to end is an exception, so that what we started is taken down in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return _serve(options.port) if options.command == "serve" else _execute(options.argv, opted_in=options.opted_in)
    except EmulatorError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # for the command, which had it too; what we started is down by now
        return 128 + signal.SIGINT


def _serve(port: int) -> int:
    with running(port=port) as aws:
        print(f"# The emulator listens at {aws.endpoint}; its log is {aws.log}. End it with Ctrl-C.")
        for name in FOREIGN:
            print(f"unset {name}")
        for name, value in aws.environment.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("# The emulator has ended.")
    return 0


def _execute(command: Sequence[str], *, opted_in: bool = False) -> int:
    with running() as aws:
        if opted_in:
            aws.opt_in()
        kept = {
            name: value for name, value in os.environ.items() if name not in FOREIGN and not name.startswith("AWS_ENDPOINT_URL")
        }
        try:
            code = subprocess.run(command, env={**kept, **aws.environment}, check=False).returncode
        except FileNotFoundError:
            print(f"The command {command[0]!r} does not exist.", file=sys.stderr)
            return 127
        missing = aws.unexercised()
    if missing:
        print("\nNot exercised on this machine:")
        for sentence in missing:
            print(f"  - {sentence}")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
