"""What is done with a restored database, whatever it is: an instance or a cluster. ``where`` are the commands that find it."""

from __future__ import annotations

from documents.runbooks.chain import BEFORE
from documents.runbooks.facts import Facts, Resource
from documents.runbooks.page import Section, anchor, command, shell, word

CONNECT, AFTER, SNAPSHOT, IN_TIME = "Connect", "After a restore", "Restore from a snapshot", "Point-in-time recovery"
COPY, REPLAY, TIDY = "Copy back", "Replay the archive of changes", "Tidy up after a restore"
ARCHIVER = "ARCHIVE_DIRECTORY"
"""The variable by which a function that archives changes is known."""

WHEN = (
    "Say in `AT` the last second at which the data were right, in UTC: `AT=2026-03-01T02:55:00Z`. The first line refuses to go "
    "on without."
)
AT = ': "${AT:?say the last second at which the data were right, in UTC}"'
THERE = 'psql -h "$RESTORED_HOST" -p "$RESTORED_PORT"'
LOOK = (
    f"{THERE} -c 'select now(), pg_size_pretty(pg_database_size(current_database()))'",
    f"{THERE} -c 'select relname, n_live_tup from pg_stat_user_tables order by 2 desc limit 20'",  # noqa: S608 - a command for people
)
"""What shows a restored database before anybody uses it."""


def go_on() -> str:
    """The sentence that leads from a restore to what comes next."""
    return f"Go on with [{AFTER}]({anchor(AFTER)})."


def ways(swap: str) -> str:
    """The sentence that leads on from a restored database. ``swap``: the title of that section, where it can be done."""
    back = f"[copy back]({anchor(COPY)}) what was lost, which is right for some tables"
    if not swap:
        return f"Then {back}; what replicates to the other region is the database that runs, so it stays."
    return f"Then either {back}, or [swap]({anchor(swap)}), which is right for all of them."


def archive(facts: Facts) -> Resource | None:
    """The function that archives changes to a file system."""
    found = (one for one in facts.all("AWS::Lambda::Function") if ARCHIVER in _environment(one))
    return next(found, None)


def _environment(one: Resource) -> dict[str, object]:
    variables: dict[str, object] = one.properties.get("Environment", {}).get("Variables", {})
    return variables


def copy(where: tuple[str, ...]) -> Section:
    """Rows of one table, from the restored database into the one that runs."""
    return Section(
        COPY,
        (
            "The table as it was goes beside the one that runs, under another name; then you see the difference and decide. "
            "CloudFormation, the secret and the applications notice nothing.",
            shell(
                "TABLE=entries",
                *where,
                f"{THERE} -c \"\\copy (select * from $TABLE) to '$NOTES/restored.csv' csv\"",  # noqa: S608 - a command for people
                'psql -c "create table restored_$TABLE (like $TABLE)" '
                "-c \"\\copy restored_$TABLE from '$NOTES/restored.csv' csv\"",
                'psql -c "(select * from restored_$TABLE except select * from $TABLE) limit 100"',
            ),
            "Rows that are gone come back so; rows that were changed need a statement of your own, since only you know which "
            "side is right.",
            shell(
                'psql -c "insert into $TABLE select * from restored_$TABLE on conflict do nothing"',
                'psql -c "drop table restored_$TABLE"',
                'rm "$NOTES/restored.csv"',
            ),
            "A sequence does not move by this: compare it with the highest key.",
        ),
        (BEFORE, CONNECT),
    )


def replay(facts: Facts, function: Resource, where: tuple[str, ...]) -> Section:
    """Changes after the restored time, from the archive, up to a moment or without one transaction."""
    (files,) = facts.all("AWS::EFS::FileSystem")
    (point,) = facts.all("AWS::EFS::AccessPoint")
    mounted = 'sudo mount -t efs -o "tls,iam,ro,accesspoint=$POINT" "$FILES:/" /mnt'
    log = f"/aws/lambda/{facts.name(function)}"
    return Section(
        REPLAY,
        (
            "The archive holds every committed change and goes on where a restore ends: to a moment after it, when the automated "
            "backups are gone, or with the one transaction left out that did the harm. The target must be a restored copy to "
            f"which nobody has written since: go on from [{AFTER}]({anchor(AFTER)}). On a machine that is in the group "
            "`WriterGroupId` of the layer `files`, under a role that may `elasticfilesystem:ClientMount`; without `ClientWrite` "
            "nothing there can be changed. `amazon-efs-utils` is needed.",
            shell(
                f"FILES={facts.text(files.layer, {'Ref': files.title})}",
                f"POINT={facts.text(point.layer, {'Ref': point.title})}",
            ),
            shell(mounted, not_run="it takes a network, a kernel's mount and root; the emulator's files are a directory"),
            "Is the archive whole? The digest that the archiver logged last shows that nothing is missing at its end.",
            shell(
                'ARCHIVE="${ARCHIVE:-/mnt}"',
                'make replay ARGS="verify $ARCHIVE"',
                command(
                    f"aws logs filter-log-events --log-group-name {word(log)} --filter-pattern head",
                    "--start-time \"$(since 60)\" --max-items 5 --query 'events[].message' --output text",
                ),
            ),
            "Say in `UNTIL` the last moment that is right, `UNTIL=2026-03-01T02:59:30Z`, or a position in the log (LSN). A "
            "single "
            "transaction is left out by `--leave-out XID` in `ARGS`. It shows what it could not replay, and ends with 3 if there "
            "was something, with 4 before a gap: `make replay ARGS=--help` says what else.",
            shell(
                ': "${UNTIL:?say up to when}"',
                *where,
                'PGHOST="$RESTORED_HOST" PGPORT="$RESTORED_PORT" make replay ARGS="apply --until $UNTIL $ARCHIVE"',
                *LOOK[:1],
            ),
            "Sequences and changes of schema are not replayed; it names both.",
        ),
        (BEFORE, CONNECT),
    )
