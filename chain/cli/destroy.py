"""Destroy: show what will be deleted, ask once, delete it, and audit what is left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chain.cli import text
from chain.cli.session import MEMORY, Options, agreed, out, recorded, say
from chain.cloudformation.account import caller, ordinary_clients
from chain.cloudformation.durations import Durations
from chain.destroy.destruction import destroy, survey
from chain.environment import parameters
from chain.environment.exit_codes import Exit, InputError
from chain.environment.parameters import check_suffix
from chain.environment.templates import Template, load
from chain.failover import topology
from chain.run import record
from chain.run.progress import progress
from chain.run.run import Run


def run(root: Path, options: Options) -> Exit:
    """Destroy what stands, by its tags."""
    record.writable(root / record.FOLDER)
    problems = check_suffix(options.env)
    if problems:
        raise InputError(problems)
    templates = load(root / "templates", options.system)
    keeping = _keeping(root, templates, options.env)
    clients = ordinary_clients()
    who = caller(clients, sorted({region for template in templates for region in template.sites.values()}))
    run = Run(clients, caller=who, durations=Durations(root / MEMORY))
    say([str(who), ""], out(options))
    found = survey(templates, options.env, clients, who.account, keeping)
    known = [topology.read(clients, place) for place in topology.places(templates, options.env)]
    say([*text.topology(known), *text.doomed(found)], out(options))
    remembered = any(one.values for one in known)
    if (found.stacks or found.leftovers or remembered) and not options.yes and not agreed(out=out(options)):
        return Exit.LEFTOVERS

    board = progress(out(options), {each.id: len(each.resources) for each in found.stacks})
    with recorded("destroy", root, options, run, board) as (kept, run):
        kept(
            "approval",
            stacks=[each.id for each in found.stacks],
            by="--yes" if options.yes else "the question",
            reason=options.reason,
        )
        try:
            result = destroy(found, templates, run)
        finally:
            board.close()
        say(text.destroyed(result, options.resume), out(options))
        kept.code = Exit.FAILED if result.failed else Exit.LEFTOVERS if result.left else Exit.OK
    return kept.code


def _keeping(root: Path, templates: Sequence[Template], suffix: str) -> set[str]:
    """The systems whose environment asks for a last snapshot. A file that cannot be read may ask for it, so it stops us."""
    systems = {template.system: [each for each in templates if each.system == template.system] for template in templates}
    loaded = {system: parameters.load(root / "parameters", system, own, suffix) for system, own in systems.items()}
    if problems := [problem for _, found in loaded.values() for problem in found]:
        raise InputError(problems)
    return {system for system, (values, _) in loaded.items() if values.final_snapshot}
