"""Second opinions on what is committed: checkov on every template, policy_sentry on every policy.

Each of their findings is mended or accepted, with its reason, in ``second_opinions.yaml``; none is silenced in a template.
``python -m compliance.external_checks`` fails on a finding that is neither, on an acceptance of what is no longer found, and on a
``*`` that has no reason in ``wildcards.yaml``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compliance import wildcards
from compliance.statements import documents, listed, matches
from model import Document, read

ACCEPTED = Path(__file__).with_name("second_opinions.yaml")

CALLS = ("--framework", "cloudformation", "--output", "json", "--skip-download", "--quiet", "--compact")
"""How checkov is called. ``--skip-download``: it fetches nothing, neither guidelines nor settings of a platform."""

ALONE = {"LOG_LEVEL": "ERROR", "CKV_SKIP_PACKAGE_UPDATE_CHECK": "1"}
"""Nor does it ask whether there is a later version: the lock decides that."""


@dataclass(frozen=True, order=True)
class Opinion:
    """One finding: the check that failed, the resource as ``system/layer.Title``, and what the tool says of it."""

    check: str
    where: str
    says: str


def accepted(text: str) -> Mapping[tuple[str, str], str]:
    """The reason of each accepted finding, by check and resource. Raises ValueError where one is given twice or has none."""
    reasons: dict[tuple[str, str], str] = {}
    for entry in read(text)["accepted"]:
        for where in entry["where"]:
            key = (entry["check"], where)
            if key in reasons:
                raise ValueError(f"{ACCEPTED.name}: {key[0]} on {key[1]} is accepted twice; keep one")
            if not str(entry.get("reason", "")).strip():
                raise ValueError(f"{ACCEPTED.name}: {key[0]} on {key[1]} is accepted without a reason; say why")
            reasons[key] = entry["reason"]
    return reasons


def unsettled(found: Iterable[Opinion], reasons: Mapping[tuple[str, str], str]) -> list[str]:
    """What is neither mended nor accepted, and what is accepted and no longer found: a sentence each."""
    opinions = sorted(set(found))
    keys = {(each.check, each.where) for each in opinions}
    new = [
        f"{each.where}: {each.check} {each.says}; mend the layer, or accept it with a reason in {ACCEPTED.name}"
        for each in opinions
        if (each.check, each.where) not in reasons
    ]
    gone = [
        f"{where}: {check} is no longer found; take it out of {ACCEPTED.name}" for check, where in sorted(reasons.keys() - keys)
    ]
    return new + gone


def checkov(program: Path, templates: Path, resources: int) -> list[Opinion]:
    """What checkov finds in templates of so many resources.

    It runs in a folder with nothing but a link to them. No settings file of anybody's silences a check there; and where the
    checkout lies plays no part: checkov takes a path of forty letters and slashes for a credential (CKV_AWS_45).
    """
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | ALONE
    with tempfile.TemporaryDirectory() as empty:
        (Path(empty) / "templates").symlink_to(templates.resolve(), target_is_directory=True)
        ran = subprocess.run(
            [program.absolute(), "--directory", "templates", *CALLS],
            cwd=empty,
            env=environment | {"HOME": empty},
            capture_output=True,
            text=True,
            check=False,
            encoding="utf-8",
        )
    try:
        report = json.loads(ran.stdout)
    except json.JSONDecodeError:
        raise ValueError(f"{program} gave no report (status {ran.returncode}): {ran.stderr.strip() or ran.stdout!r}") from None
    return opinions_of(report, resources)


def opinions_of(report: Document, resources: int) -> list[Opinion]:
    """The failed checks of a report. Raises ValueError where it does not cover every resource, or something was silenced."""
    summary, failed = report.get("summary", {}), report.get("results", {}).get("failed_checks", [])
    if summary.get("resource_count") != resources or summary.get("parsing_errors") or summary.get("failed") != len(failed):
        raise ValueError(f"checkov did not judge all {resources} resources: {summary or report}")
    if summary["skipped"]:
        raise ValueError(
            f"{summary['skipped']} checks of checkov are silenced in the templates; accept them in {ACCEPTED.name} instead"
        )
    return [
        Opinion(each["check_id"], _where(each["file_path"], each["resource"].rpartition(".")[2]), each["check_name"])
        for each in failed
    ]


def _where(path: str, title: str) -> str:
    return f"{path.strip('/').removesuffix('.yaml')}.{title}"


def policy_sentry(templates: Mapping[str, Document]) -> list[Opinion]:
    """What policy_sentry's data say of each statement of each policy, by ``system/layer``."""
    return [
        Opinion(check, f"{path}.{title}", says)
        for path, template in templates.items()
        for title, kind, document in documents(template)
        for statement in listed(document["Statement"])
        for check, says in _of_statement(kind, statement)
    ]


INVERTED = ("NotAction", "NotPrincipal", "NotResource")
"""Parts of a statement that say whom or what it is not for."""


def _of_statement(kind: str, statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from policy_sentry.querying.actions import get_action_matching_access_level, get_actions_for_service

    actions = listed(statement.get("Action"))
    granted = kind == "identity" and statement["Effect"] == "Allow"
    if statement["Effect"] == "Allow":
        yield from ((f"PS_INVERTED {part}", "allows whatever it does not name") for part in INVERTED if part in statement)
    for action in actions:
        service, _, name = action.partition(":")
        known = get_actions_for_service(service, lowercase=True)
        if not any(matches(action.lower(), each) for each in known):
            yield f"PS_UNKNOWN {action}", "is no action that AWS defines"
        elif granted and get_action_matching_access_level(service, name, "Permissions management"):
            yield f"PS_PERMISSIONS {action}", "manages permissions"
    if granted and "*" in listed(statement.get("Resource")):
        for action in with_resource(actions):
            yield f"PS_STAR {action}", "is allowed on *, and AWS defines resources for it"


def with_resource(actions: Iterable[str]) -> list[str]:
    """Those actions for which AWS defines a resource: ``*`` is not the only one that they can be allowed on."""
    from policy_sentry.querying.actions import remove_actions_that_are_not_wildcard_arn_only

    asked = sorted(set(actions))
    without = {action.lower() for action in remove_actions_that_are_not_wildcard_arn_only(asked)}
    return [action for action in asked if action.lower() not in without]


def main(arguments: list[str] | None = None) -> int:
    """Ask both, print what is unsettled, and return how a command ends."""
    parser = argparse.ArgumentParser(prog="python -m compliance.external_checks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkov", type=Path, required=True, help="the program, in an environment of its own")
    parser.add_argument("--templates", type=Path, default=Path("templates"))
    given = parser.parse_args(arguments)
    templates = {
        str(path.relative_to(given.templates).with_suffix("")): read(path.read_text(encoding="utf-8"))
        for path in sorted(given.templates.glob("*/*.yaml"))
    }
    resources = sum(len(template["Resources"]) for template in templates.values())
    found = [*checkov(given.checkov, given.templates, resources), *policy_sentry(templates)]
    opinions = unsettled(found, accepted(ACCEPTED.read_text(encoding="utf-8")))
    wild = list(wildcards.stars(templates))
    puzzles = wildcards.unexplained(wild, wildcards.reasons(wildcards.REASONS.read_text(encoding="utf-8")))
    for line in (*opinions, *puzzles):
        print(line)
    print(f"{len(set(found))} findings of checkov and policy_sentry, {len(opinions)} of them unsettled")
    print(f"{len(wild)} times a * in a policy, {len(puzzles)} of them, or of their reasons, unsettled")
    return 1 if opinions or puzzles else 0


if __name__ == "__main__":
    raise SystemExit(main())
