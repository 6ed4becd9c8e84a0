"""Show what a deployment would do."""

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


def run(root: Path, options: Options, resume: str) -> Exit:
    """What would happen to each stack, what would be lost or opened, and what is not ready."""
    environment = open_environment(root, options.env, options.system)
    if options.save:
        saved_plan.writable(Path(options.save))
    session = opened(root, options, resume, environment)
    seen = reachable_regions.look(session.clients, session.graph.regions)
    graph = reachable_regions.within(session.graph, seen)[0]
    found = preflight.check(session.graph, session.clients, seen)
    judged = review(graph, session.clients, seen.standing)
    held = topology.held(topology.records(graph, session.clients), graph)
    steps = plan(session.graph, session.clients, seen, judged=judged, held=held)
    dangers, allowed = text.dangers(judged, steps), options.allow
    if options.json:
        say([*json_lines.plan(session.graph, steps, judged, dangers, allowed), *json_lines.ready(found)])
    else:
        say(guard.sentences(dangers, allowed))
        say([*text.ready(found)])
        say(text.plan(session.graph, steps, judged.orphans))
    if options.save:
        saved_plan.save(Path(options.save), session.who.account, options.env, options.system, steps, seen.standing)
    if found.findings:
        return Exit.NOT_READY
    if guard.refused(dangers, allowed):
        return Exit.GUARDED
    actions = {step.action for step in steps}
    return Exit.FAILED if "refused" in actions else Exit.UNSEEN if "unseen" in actions else Exit.OK
