"""Plan: what a deployment would do, and what it would lose."""

from __future__ import annotations

from pathlib import Path

from chain.changes import guard
from chain.changes.review import review
from chain.cli import json_lines, text
from chain.cli.session import Options, opened, say
from chain.cloudformation import reachable_regions
from chain.deploy import preflight, saved_plan
from chain.deploy.plan import plan
from chain.environment.exit_codes import Exit
from chain.environment.graph import open_environment
from chain.failover import topology


def run(root: Path, options: Options) -> Exit:
    """Show it, and save it if a file is named."""
    graph = open_environment(root, options.env, options.system)
    if options.save:
        saved_plan.writable(Path(options.save))
    run = opened(root, options, graph)
    seen = reachable_regions.look(run.clients, graph.regions)
    reachable = reachable_regions.within(graph, seen)[0]
    found = preflight.check(graph, run.clients, seen)
    judged = review(reachable, run.clients, seen.standing)
    held = topology.held(topology.records(reachable, run.clients), reachable)
    steps = plan(run, seen, judged=judged, held=held)
    dangers, allowed = text.dangers(judged, steps), options.allow
    if options.json:
        say([*json_lines.plan(graph, steps, judged, dangers, allowed), *json_lines.ready(found)])
    else:
        say(guard.sentences(dangers, allowed))
        say([*text.ready(found)])
        say(text.plan(graph, steps, judged.orphans))
    if options.save:
        saved_plan.save(Path(options.save), run.caller.account, options.env, options.system, steps, seen.standing)
    if found.findings:
        return Exit.NOT_READY
    if guard.refused(dangers, allowed):
        return Exit.GUARDED
    actions = {step.action for step in steps}
    return Exit.FAILED if "refused" in actions else Exit.UNSEEN if "unseen" in actions else Exit.OK
