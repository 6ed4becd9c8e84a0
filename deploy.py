"""Plan, deploy, inspect and destroy an environment. Where the calls go is decided by the AWS configuration alone."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:  # with PYTHONSAFEPATH=1
    sys.path.insert(0, str(ROOT))

from chain.environment.exit_codes import (  # noqa: E402
    MEANING,
    AccessError,
    BrokenError,
    Exit,
    GuardedError,
    InputError,
    LockedError,
    MovedError,
    NotReadyError,
)
from protocol.journal import DRY, FAILBACK, FAILOVER, SWITCHOVER  # noqa: E402

HELP = {
    "plan": "show what a deployment would do",
    "deploy": "create and update stacks, as soon as what they wait for stands",
    "status": "show each stack, its outputs, and what waits for a person",
    "drift": "read every declared property back and compare",
    "failover": "say what a failover would do and lose, ask once, have the recovery region do it, and follow it",
    "failback": "bring a system home again: each name to its declared role, until drift finds no difference",
    "unlock": "show who holds the locks of an environment, and take away those of runs that have ended",
    "destroy": "show what will be deleted, ask once, delete it, and audit what is left",
}

MODES = {FAILOVER: (DRY, SWITCHOVER, FAILOVER), FAILBACK: (FAILBACK, DRY)}

WORDS = "A message names an option as a make line does, in capitals: MODE=switchover YES=1 is --mode switchover --yes."

RECORD = "the record of the run, as lines of JSON (chain/record.schema.json)"
FOUND = "what was found or done, as lines of JSON (chain/lines.schema.json)"
JSON = {name: RECORD if name in ("deploy", "destroy") else FOUND for name in HELP}


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    codes = "\n".join(f"  {code:3d}  {text}" for code, text in MEANING.items())
    parser = argparse.ArgumentParser(
        "deploy.py",
        description=__doc__,
        epilog=f"{WORDS}\n\nexit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in HELP.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--env", required=True, metavar="SUFFIX", help="ends the name of every stack and resource")
        command.add_argument("--system", action="extend", nargs="+", default=[], metavar="NAME", help="default: all")
        if name == "deploy":
            command.add_argument(
                "--rotation-wait", type=float, default=120, metavar="SECONDS", help="longest wait for a secret's first rotation"
            )
            command.add_argument("--plan", default="", metavar="FILE", help="apply this saved plan, or nothing")
        if name == "plan":
            command.add_argument("--save", default="", metavar="FILE", help="save the plan, for deploy --plan")
        if name in ("plan", "deploy"):
            command.add_argument(
                "--allow",
                action="extend",
                type=str.split,
                default=[],
                metavar="IDS",
                help="what may be lost or opened, by its logical ids; repeatable",
            )
        if name in ("plan", "deploy", "destroy"):
            command.add_argument("--reason", default="", metavar="TEXT", help="kept in the record")
        if name in JSON:
            command.add_argument("--json", action="store_true", help=JSON[name])
        if name in MODES:
            command.add_argument("--mode", choices=MODES[name], default=MODES[name][0], help="default: %(default)s")
        if name == "failover":
            command.add_argument("--approve", default="", metavar="EXECUTION", help="one that waits for a person")
        if name == "failback":
            command.set_defaults(approve="")
        if name in ("destroy", "unlock", *MODES):
            command.add_argument(
                "--yes", action="store_true", default=os.environ.get("YES") == "1", help="answer the question with yes"
            )
    reading = commands.add_parser("show", help="show the record of a run", description="show the record of a run")
    reading.add_argument("--run", default="last", metavar="NAME", help="its name, its file, or last (default)")
    reading.add_argument("--html", action="store_true", help="a page with the timeline and the critical path")
    reading.add_argument("--verify", action="store_true", help="whether its chain of digests is unbroken")
    reading.add_argument("--json", action="store_true", help=RECORD)
    commands.add_parser("replay", help="verify an archive of changes, or apply it to a restored database")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run one command; the exit code says how it ended."""
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that lacks a letter gets a question mark for it; a page says of itself that it is UTF-8.
            stream.reconfigure(encoding="utf-8" if "--html" in argv else None, errors="replace")
    if argv[:1] == ["replay"]:
        from replay.command import main as replay

        return replay(argv[1:])
    given = arguments(argv)
    if given.command == "show":
        return _show(root, given)
    given.resume = resume = _again(given, given.command)
    from chain.cloudformation.account import access
    from chain.cloudformation.stack import StackError

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is cancelled ends as one that is interrupted
    try:
        with access():
            return int(import_module(f"chain.cli.{given.command}").run(root, given))
    except InputError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return Exit.INPUT
    except AccessError as error:
        print(error, file=sys.stderr)
        return Exit.ACCESS
    except LockedError as error:
        print(*error.holders, sep="\n", file=sys.stderr)
        return Exit.LOCKED
    except NotReadyError as error:
        print(*error.findings, f"Nothing was changed. When this is settled: {resume}", sep="\n", file=sys.stderr)
        return Exit.NOT_READY
    except StackError as error:
        print(error, f"When the cause is removed, go on with: {resume}", sep="\n", file=sys.stderr)
        return Exit.FAILED
    except GuardedError as error:
        print(*error.dangers, f"Nothing was changed. To look at it: {_again(given, 'plan')}", sep="\n", file=sys.stderr)
        return Exit.GUARDED
    except MovedError as error:
        print(*error.differences, sep="\n", file=sys.stderr)
        return Exit.MOVED
    except KeyboardInterrupt:
        print(f"\nInterrupted. What AWS had begun goes on there; join it with: {resume}", file=sys.stderr)
        return Exit.INTERRUPTED


def _again(given: argparse.Namespace, command: str) -> str:
    """A command that goes on from this one, as it would be typed: a failover without its mode would be a dry run."""
    options = {name: getattr(given, name, "") for name in ("system", "mode", "approve", "allow", "reason")}
    if command in MODES and given.mode == MODES[command][0]:
        del options["mode"]
    texts = {name: value if isinstance(value, str) else " ".join(value) for name, value in options.items()}
    words = {name.upper(): text.replace("'", "'\\''").replace("$", "$$") for name, text in texts.items()}  # for shell and make
    return f"make {command} ENV={given.env}" + "".join(f" {name}='{text}'" for name, text in words.items() if text)


def _show(root: Path, given: argparse.Namespace) -> int:
    """Show a record; nothing is asked of AWS."""
    from chain.cli import show

    try:
        return show.run(root, given.run, html=given.html, verify=given.verify, json=given.json)
    except InputError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return Exit.INPUT
    except BrokenError as error:
        print(error, file=sys.stderr)
        return Exit.BROKEN


if __name__ == "__main__":
    sys.exit(main())
