"""Status: each stack, its outputs, and what waits for a person."""

from __future__ import annotations

from pathlib import Path

from chain.cli import json_lines, text
from chain.cli.session import Options, opened, remembered, say
from chain.deploy.account_checks import Check
from chain.deploy.preflight import gathered, opt_ins
from chain.deploy.status import status
from chain.environment.exit_codes import Exit


def run(root: Path, options: Options) -> Exit:
    """Read what stands."""
    run = opened(root, options)
    known, silent = remembered(run, options.env)
    # First: it needs no region but the surviving one.
    say(json_lines.topology(known, silent) if options.json else [*text.topology(known), *silent])
    states = status(run.graph, run.clients)
    dark = {each.stack.region for each in states if each.state is None and each.unseen}
    found = gathered([Check("AWS Backup", lambda: opt_ins(run.graph, run.clients, dark))])
    if options.json:
        say([*json_lines.status(run.graph, states), *json_lines.ready(found)])
    else:
        say([*text.status(states), *text.ready(found)])
    return Exit.UNSEEN if silent or any(each.unseen for each in states) else Exit.OK
