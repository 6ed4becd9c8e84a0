"""Drift: every declared property, read back and compared."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from chain.cli import json_lines, text
from chain.cli.session import Options, opened, remembered, say
from chain.cloudformation import reachable_regions
from chain.drift import drift
from chain.environment.exit_codes import Exit
from chain.failover import topology
from chain.failover.failover_leftovers import outside


def run(root: Path, options: Options) -> Exit:
    """Compare, also what recovery regions remember."""
    run = opened(root, options)
    known, silent = remembered(run, options.env)
    found = drift(run.graph, run.clients)
    held = topology.held(known, run.graph)
    beyond: list[str] = []
    for each in known:
        arns, why = reachable_regions.asked(each.place.region, partial(list[str], outside(each, run.clients)))
        beyond += arns or []
        silent += [f"{each.place.system}-{each.place.suffix}  NOT SEEN: what stands outside of every stack: {why}"] if why else []
    if options.json:
        say([*json_lines.topology(known, silent), *json_lines.drift(found, held, beyond)])
    else:
        say([*text.drift(found), *text.elsewhere(found, held, beyond), *silent])
    if found.differences or found.unseen or silent:
        return Exit.DRIFT if found.differences else Exit.UNSEEN
    return Exit.OK if found.stacks else Exit.ABSENT
