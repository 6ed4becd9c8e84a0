"""Unlock: who holds the locks of an environment, and those of runs that have ended taken away."""

from __future__ import annotations

from pathlib import Path

from chain.cli import json_lines
from chain.cli.session import Options, agreed, opened, say
from chain.cli.session import out as out_of
from chain.cloudformation import reachable_regions
from chain.environment.exit_codes import Exit
from chain.run import lock


def run(root: Path, options: Options) -> Exit:
    """Take away the locks of runs that have ended without letting go; of one that shows signs of life only after a question."""
    run = opened(root, options)
    seen = reachable_regions.look(run.clients, run.graph.regions)
    held = lock.locks(run.clients, lock.places(run.graph, seen.standing))
    out = out_of(options)
    say([*(map(str, held) if held else ["Nothing is locked."]), *(f"NOT SEEN  {why}" for why in seen.dark.values())], out)
    say([*json_lines.dark(seen.dark), *json_lines.locks(held)] if options.json else [])
    live = [each for each in held if not each.is_stale and not each.holder.is_dead]
    if live and not options.yes and not agreed("Take these locks away? Whoever holds one may be at work. Type yes: ", out):
        return Exit.LOCKED
    for each in held:
        if not lock.remove(run.clients, each):
            say([f"{each.system} in {each.region}: whoever held it has let it go meanwhile; nothing was taken away"], out)
            continue
        say([json_lines.unlocked(each) if options.json else f"unlocked  {each.system} in {each.region}"])
    return Exit.UNSEEN if seen.dark else Exit.OK
