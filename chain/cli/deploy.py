"""Deploy: bring every stack to its committed template, with a record of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chain.cli import text
from chain.cli.session import Options, opened, out, recorded, say
from chain.cloudformation.durations import memory_name
from chain.deploy import saved_plan
from chain.deploy.deployment import deploy
from chain.environment.exit_codes import Exit, InputError
from chain.environment.graph import open_environment
from chain.run import record
from chain.run.progress import progress


def run(root: Path, options: Options) -> Exit:
    """Deploy what is committed, or go on where an earlier run ended."""
    record.writable(root / record.FOLDER)
    graph = open_environment(root, options.env, options.system)
    if options.allow and not options.reason:
        raise InputError(["ALLOW needs a reason, which is kept: REASON='why'"])
    planned = saved_plan.load(Path(options.plan), options.env, options.system) if options.plan else None
    run = opened(root, options, graph)
    saved = planned.of(run.caller.account) if planned is not None else None
    earlier = record.unfinished(root / record.FOLDER, options.env, options.system)
    allowed = options.allow
    if earlier is not None:
        say([*text.resumed(earlier), ""] if not options.json else [])
        if earlier.asked == record.asked(graph):  # what was allowed then is what is asked for now
            allowed = list(dict.fromkeys([*allowed, *earlier.allowed]))
    expected = {stack.id: run.durations.expected(memory_name(stack), "create") for stack in graph.stacks}
    totals = {stack.id: len(stack.template.resources) for stack in graph.stacks}
    board = progress(out(options), totals, {id_: seconds for id_, seconds in expected.items() if seconds is not None})
    run = replace(run, allowed=allowed, rotation_patience=options.rotation_wait)
    with recorded("deploy", root, options, run, board, earlier) as (kept, run):
        if allowed:
            kept("approval", allowed=allowed, reason=options.reason or (earlier.reason if earlier else ""))
        try:
            result = deploy(run, saved)
        finally:
            board.close()
        say(text.deployed(graph, result, options.resume), out(options))
        left = any(each.left for each in result.done.values())
        kept.code = Exit.FAILED if result.failed else Exit.LEFT_BEHIND if left else Exit.OK
    return kept.code
