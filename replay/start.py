"""Where a replay begins: after which commit the target knows no more.

A database that was restored from a snapshot does not say at which position the snapshot was taken. Either somebody knows it (a
dump with its slot's position, a fresh database), or it is proven: with ``track_commit_timestamp`` on, the target remembers when
each of its transactions was committed, to the microsecond, and the archive holds number and time of each. Those that agree are
there; the first that does not is where replay begins. What agrees in number alone is a transaction of the target's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from replay.chain import COMMIT, Commit, Entry, lines, position

AT_ONCE = 1_000
# An age beyond half of all numbers has come round; NULL for what is not remembered, or has not been.
KNOWN = """
SELECT number FROM unnest(string_to_array(:numbers, ',')::xid[], string_to_array(:times, ',')::timestamptz[]) t(number, time)
WHERE pg_xact_commit_timestamp(number) = time
"""


class UnprovenError(Exception):
    """The starting point cannot be proven; the sentence says what would."""


def prove(connection: Any, entries: Sequence[Entry]) -> tuple[Entry, Commit]:
    """The last archived commit that the target has, and its entry."""
    [[tracked, system]] = connection.run(
        "SELECT current_setting('track_commit_timestamp') = 'on', (SELECT system_identifier FROM pg_control_system())"
    )
    if not tracked:
        raise UnprovenError(
            "track_commit_timestamp is off in the target, so that it cannot say which transactions it has. Name the position at "
            "which it was restored (--from), and be sure of it: another makes changes appear twice, or not at all."
        )
    ours = [entry for entry in entries if entry.last and entry.header["system"] == str(system)]
    if not ours:
        raise UnprovenError(
            f"The archive holds no transaction of the server {system}, which the target is a copy of. Name the position to "
            "begin after (--from), if you know it."
        )
    known = _known(connection, [entry.last for entry in ours if entry.last])
    there = [index for index, entry in enumerate(ours) if entry.last and entry.last.xid in known]
    # The boundary lies in the entry after the last one that is there whole, which may be the first of all.
    index = there[-1] + 1 if there else 0
    found = _within(connection, ours[index]) if index < len(ours) else None
    if found:
        return ours[index], found
    last = ours[index - 1].last if there else None
    if last is None:
        raise UnprovenError(
            "The target has none of the archive's transactions, or remembers none: the snapshot is older than the archive, or "
            "was not taken of this server. Restore a later one, or name the position to begin after (--from), if you know it."
        )
    return ours[index - 1], last


def _within(connection: Any, entry: Entry) -> Commit | None:
    commits = list(commits_of(entry))
    known: set[int] = set()
    for at in range(0, len(commits), AT_ONCE):
        known |= _known(connection, commits[at : at + AT_ONCE])
    return next((commit for commit in reversed(commits) if commit.xid in known), None)


def _known(connection: Any, commits: Iterable[Commit]) -> set[int]:
    asked = list(commits)
    numbers, times = ",".join(str(c.xid) for c in asked), ",".join(c.time for c in asked)
    return {int(number) for (number,) in connection.run(KNOWN, numbers=numbers, times=times)}


def commits_of(entry: Entry) -> Iterable[Commit]:
    """The transactions of an entry in their order."""
    for line in lines(entry.path):
        at, _, text = line.partition(b"\t")
        found = COMMIT.match(text)
        if found:
            yield Commit(int(found[1]), position(at.decode()), found[2].decode())
