"""Show who holds the locks of an environment, and take away those of runs that have ended."""

from __future__ import annotations

from pathlib import Path

from chain.cli import json_lines
from chain.cli.session import Options, confirmed, opened, output, say
from chain.cloudformation import reachable_regions
from chain.environment.exit_codes import Exit
from chain.environment.graph import open_environment
from chain.run import lock


def run(root: Path, options: Options, resume: str) -> Exit:
    """Take away the locks of runs that have ended without letting go; of one that shows signs of life only after a question."""
    session = opened(root, options, resume, open_environment(root, options.env, options.system))
    seen = reachable_regions.look(session.clients, session.graph.regions)
    held = lock.locks(session.clients, lock.places(session.graph, seen.standing))
    out = output(options)
    say([*(map(str, held) if held else ["Nothing is locked."]), *(f"NOT SEEN  {why}" for why in seen.dark.values())], out)
    say([*json_lines.dark(seen.dark), *json_lines.locks(held)] if options.json else [])
    live = [each for each in held if not each.is_stale and not each.holder.is_dead]
    if live and not options.yes and not confirmed("Take these locks away? Whoever holds one may be at work. Type yes: ", out):
        return Exit.LOCKED
    for each in held:
        if not lock.remove(session.clients, each):
            say([f"{each.system} in {each.region}: whoever held it has let it go meanwhile; nothing was taken away"], out)
            continue
        say([json_lines.unlocked(each) if options.json else f"unlocked  {each.system} in {each.region}"])
    return Exit.UNSEEN if seen.dark else Exit.OK
