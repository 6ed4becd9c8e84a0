"""The command line of replay: verifies an archive, or applies it to a restored database."""

from __future__ import annotations

import argparse
import os
import re
import ssl
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

from replay.chain import Chain, position, show, verify

ROOTS = Path(__file__).resolve().parent.parent / "functions" / "common" / "rds-global-bundle.pem"


class Exit(IntEnum):
    """How a run ended."""

    DONE = 0
    BROKEN = 1
    INPUT = 2
    INCOMPLETE = 3
    STOPPED = 4


MEANING = {
    Exit.DONE: "done",
    Exit.BROKEN: "the archive is broken; nothing was applied",
    Exit.INPUT: "wrong input, or the database does not let us in; nothing was applied",
    Exit.INCOMPLETE: "replayed, but for what is listed",
    Exit.STOPPED: "stopped before a gap, a change of schema or a change that does not fit, or since the target would act by "
    "itself; or the session ended, or where to begin is not proven",
}
EXPLANATION = """
The target must be a copy of the archived server, restored from a snapshot and written to by nobody since. Where it was restored
at is proven by the times of its transactions, which it remembers if track_commit_timestamp was on at the source; otherwise name
the position with --from. Connection: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, and PGSSLROOTCERT where another authority
than Amazon's is meant; the certificate and its name are verified.
"""


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    codes = "\n".join(f"  {code:d}  {text}" for code, text in MEANING.items())
    parser = argparse.ArgumentParser(
        "replay",
        description=__doc__,
        epilog=f"{EXPLANATION}\nexit codes:\n{codes}",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    checks = commands.add_parser("verify", help="read the whole archive and say what is broken")
    applies = commands.add_parser("apply", help="replay what the database named by PGHOST ... lacks")
    for command in (checks, applies):
        command.add_argument("directory", type=Path, help="the archive, as it is mounted")
        command.add_argument(
            "--head", metavar="DIGEST", help="a digest that the archiver logged: nothing up to it may be missing"
        )
    applies.add_argument(
        "--until", type=_until, metavar="WHEN", help="a time (2026-07-02T12:00:00+09:00) or a position (16/B374D848)"
    )
    applies.add_argument("--leave-out", type=int, nargs="+", default=[], metavar="XID", help="transactions that are not replayed")
    applies.add_argument(
        "--from", dest="start", type=_position, metavar="LSN", help="the target holds all up to here, and no more"
    )
    applies.add_argument("--epoch", type=int, metavar="N", help="in which --from lies, where the server was restored before")
    applies.add_argument("--over-gaps", action="store_true", help="go on over what is missing")
    applies.add_argument(
        "--schema",
        type=_fingerprint,
        nargs="+",
        default=[],
        metavar="FINGERPRINT",
        help="changes by DDL, of schema or rows, that the target has",
    )
    applies.add_argument(
        "--harmless",
        type=_fingerprint,
        nargs="+",
        default=[],
        metavar="FINGERPRINT",
        help="changes by DDL over which rows mean the same",
    )
    applies.add_argument("--report-conflicts", action="store_true", help="list changes that do not fit, and go on")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code says how it ended."""
    given = arguments(argv)
    if not given.directory.is_dir():
        print(f"{given.directory} is no directory; name the one that holds the archive.", file=sys.stderr)
        return Exit.INPUT
    chain = verify(given.directory, given.head)
    _say(chain)
    if chain.problems:
        print(*chain.problems, sep="\n", file=sys.stderr)
        return Exit.BROKEN
    return Exit.DONE if given.command == "verify" else _apply(given, chain)


def _apply(given: argparse.Namespace, chain: Chain) -> int:
    from pg8000.exceptions import DatabaseError, InterfaceError
    from scramp import ScramException

    from replay.apply import Options, StoppedError, apply, said

    try:
        connection = connect(os.environ)
    except (DatabaseError, InterfaceError, ScramException, OSError, KeyError, ValueError) as error:
        sentence = said(error) if isinstance(error, DatabaseError) else f"{type(error).__name__}: {error}"
        print(f"The database does not let us in: {sentence}. Look at PGHOST, PGPORT, PGUSER, PGPASSWORD ...", file=sys.stderr)
        return Exit.INPUT
    options = Options(
        until=given.until,
        leave_out=given.leave_out,
        start=given.start,
        epoch=given.epoch,
        over_gaps=given.over_gaps,
        schemas=given.schema,
        harmless=given.harmless,
        conflicts=given.report_conflicts,
    )
    try:
        done = apply(given.directory, connection, options, chain)
    except StoppedError as stopped:
        print(stopped, file=sys.stderr)
        return Exit.STOPPED
    except (DatabaseError, InterfaceError, OSError) as error:
        sentence = said(error) if isinstance(error, DatabaseError) else f"{type(error).__name__}: {error}"
        print(
            f"The session with the database ended: {sentence}. What was applied stays; replay again, and it goes on from there.",
            file=sys.stderr,
        )
        return Exit.STOPPED
    finally:
        with suppress(InterfaceError, OSError):
            connection.close()
    reached = done.reached
    where = f", up to {reached.xid}, committed {reached.time} at {show(reached.position)}" if reached else ""
    print(f"Replayed {done.transactions} transactions with {done.changes} changes{where}. Ended at {done.ended}.")
    print(*done.notes, sep="\n")
    for commit in done.left_out:
        print(f"Left out: {commit.xid}, committed {commit.time} at {show(commit.position)}.")
    for what, count in sorted(done.not_replayed.items()):
        print(f"Not replayed, {count} times: {what}.", file=sys.stderr)
    for conflict in done.conflicts:
        print(f"Did not fit: {conflict}", file=sys.stderr)
    return Exit.DONE if done.whole else Exit.INCOMPLETE


def connect(environment: Mapping[str, str]) -> Any:
    """A session, over TLS that is verified to the host's name."""
    import pg8000.native

    return pg8000.native.Connection(
        environment["PGUSER"],
        host=environment["PGHOST"],
        port=int(environment.get("PGPORT", "5432")),
        database=environment.get("PGDATABASE", "postgres"),
        password=environment["PGPASSWORD"],
        ssl_context=ssl.create_default_context(cafile=environment.get("PGSSLROOTCERT") or str(ROOTS)),
        application_name="standby-replay",
        timeout=None,
    )


def _say(chain: Chain) -> None:
    if chain.entries:
        first, last = chain.entries[0], chain.entries[-1]
        print(
            f"{len(chain.entries)} entries, {first.number} to {last.number}, "
            f"{sum(int(entry.end['transactions']) for entry in chain.entries)} transactions, "
            f"complete to {last.end['to']} of {last.end['complete']}, newest digest {last.sha256}."
        )
    print(*chain.gaps, sep="\n", end="\n" if chain.gaps else "")


def _fingerprint(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{12,64}", text):  # a shorter one, or none, would answer for changes that nobody has read of
        raise argparse.ArgumentTypeError(f"{text!r} is no fingerprint: a stop says it, 12 digits or more of 0-9 and a-f")
    return text


def _position(text: str) -> int:
    try:
        return position(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no position; one looks like 16/B374D848") from None


def _until(text: str) -> datetime | int:
    if "/" in text:
        return _position(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text} is neither a time (2026-07-02T12:00:00+09:00) nor a position (16/B374D848)"
        ) from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
