"""Create and update stacks, and keep the record of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chain.cli import text
from chain.cli.session import DURATIONS, Options, Session, opened, output, recorded, say
from chain.cloudformation.durations import Durations, memory_name
from chain.cloudformation.stack import News, Report
from chain.deploy import saved_plan
from chain.deploy.deployment import deploy
from chain.deploy.saved_plan import Saved
from chain.environment.exit_codes import Exit, InputError
from chain.environment.graph import open_environment
from chain.run import record
from chain.run.lock import Locks
from chain.run.progress import Board, Lines, progress
from chain.run.record import Record


def run(root: Path, options: Options, resume: str) -> Exit:
    """Deploy an environment, or go on with the run that did not end."""
    record.writable(root / record.FOLDER)
    graph = open_environment(root, options.env, options.system)
    if options.allow and not options.reason:
        raise InputError(["ALLOW needs a reason, which is kept: REASON='why'"])
    saved = saved_plan.load(Path(options.plan), options.env, options.system) if options.plan else None
    session = opened(root, options, resume, graph)
    planned = saved.of(session.who.account) if saved is not None else None
    earlier = record.unfinished(session.root / record.FOLDER, options.env, options.system)
    allowed = options.allow
    if earlier is not None:
        say([*text.resumed(earlier), ""] if not options.json else [])
        if earlier.asked == record.asked(session.graph):  # what was allowed then is what is asked for now
            allowed = list(dict.fromkeys([*allowed, *earlier.allowed]))
    durations = Durations(session.root / DURATIONS)
    remembered = {stack.id: durations.expected(memory_name(stack), "create") for stack in session.graph.stacks}
    totals = {stack.id: len(stack.template.resources) for stack in session.graph.stacks}
    board = progress(output(options), totals, {id_: seconds for id_, seconds in remembered.items() if seconds is not None})
    with recorded("deploy", session.root, options, session.clients, session.who, earlier) as kept:
        if allowed:
            kept("approval", allowed=allowed, reason=options.reason or (earlier.reason if earlier else ""))

        def report(news: News) -> None:
            board(news)
            kept.news(news)

        kept.code = _deployed(session, kept, board, report, allowed, planned, durations)
    return kept.code


def _deployed(
    session: Session,
    kept: Record,
    board: Lines | Board,
    report: Report,
    allowed: Sequence[str],
    planned: Saved | None,
    durations: Durations,
) -> Exit:
    try:
        result = deploy(
            session.graph,
            session.clients,
            report,
            folder=session.root / "out" / "packages",
            rotation_patience=session.options.rotation_wait,
            durations=durations,
            locks=Locks(session.clients, session.who.arn),
            allowed=allowed,
            saved=planned,
            note=kept,
        )
    finally:
        board.close()
    say(text.deployed(session.graph, result, session.resume), output(session.options))
    left = any(each.left for each in result.done.values())
    return Exit.FAILED if result.failed else Exit.LEFT_BEHIND if left else Exit.OK
