"""Render every template, package and generated document; `lint` lets cfn-lint judge the templates.

    python build.py            what changed; nothing when sources, lock and outputs are those of the last build
    python build.py packages   the functions' packages alone, where git holds the templates and their sources as they are
    python build.py lint       cfn-lint, once per template, region and environment

Exit codes: 0 done, 1 something is wrong with the systems or templates, 2 bad arguments.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:  # with PYTHONSAFEPATH=1
    sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from generator.packages import Package

SOURCES = (
    "build.py",
    "chain",
    "compliance",
    "docs/measured",
    "documents",
    "functions",
    "generator",
    "model",
    "parameters",
    "protocol",
    "recovery",
    "requirements/run.lock",
)
OUTPUTS = (
    "templates",
    "docs/compliance.csv",
    "docs/compliance.md",
    "docs/conformance-packs.md",
    "docs/exit-codes.md",
    "docs/fips.md",
    "docs/index.html",
    "docs/operations",
    "docs/oscal",
    "docs/policies",
    "docs/reachability.md",
    "docs/recovery.md",
    "docs/requirements.md",
    "docs/statuses.md",
    "chain/types.json",
    "out/packages",
)
RENDERED_FROM = ("build.py", "compliance", "functions", "generator", "model", "protocol", "recovery", "requirements/run.lock")
"""Of the sources those that templates and packages depend on; the others are of documents."""

KEY = re.compile(r"^ *S3Key: (\S+)$", re.MULTILINE)
STAMP, LINTED = "out/build.json", "out/lint"


def main(arguments: list[str] | None = None) -> int:
    """Build or lint, and say what was done."""
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("build", "packages", "lint"), default="build")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        problems, done = {"build": build, "packages": packages, "lint": lint}[options.what](options.root)
    except OSError as error:
        problems, done = (
            [f"{error.filename}: {error.strerror}. A build writes into its checkout: make it writable, or clone it anew."],
            "given up",
        )
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{done} ({time.monotonic() - start:.1f} s)")
    return 1 if problems else 0


def build(root: Path) -> tuple[list[str], str]:
    """Write what ``generate`` returns, unless nothing changed since the last build."""
    from generator import stamp

    sources, outputs = [ROOT / name for name in SOURCES], [root / name for name in OUTPUTS]
    if stamp.current(root / STAMP, sources, outputs):
        return [], "unchanged"
    from generator.assemble import BuildError
    from generator.packages import PackageError
    from recovery.times import DataError

    packages: dict[str, Package] = {}
    try:
        texts = generate(packages)
    except (BuildError, PackageError, DataError) as error:
        return [str(error)], "nothing was written"
    written = _write(root, texts)
    for one in packages.values():
        one.write(root / "out/packages")
    stamp.write(root / STAMP, sources, outputs)
    return [], f"{len(texts)} files, {written} of them changed; {len(packages)} packages"


def packages(root: Path) -> tuple[list[str], str]:
    """Write the packages that the templates name; build where templates or their sources are not those that git holds."""
    from generator.packages import package

    if not _committed(root):
        return build(root)
    named = {key for path in (root / "templates").glob("*/*.yaml") for key in KEY.findall(path.read_text(encoding="utf-8"))}
    folder = root / "out/packages"
    made = [package(name) for name in sorted({key.rpartition("-")[0] for key in named})]
    if {one.key for one in made} != named:  # committed, but not built
        return build(root)
    for one in made:
        one.write(folder)
    return [], f"templates as committed; {len(made)} packages"


def _committed(root: Path) -> bool:
    """Whether git holds the templates, and what they are rendered from, just as they are here."""
    command = ["git", "status", "--porcelain", "--", *RENDERED_FROM, "templates"]
    try:
        asked = subprocess.run(command, cwd=root, capture_output=True, check=False)
    except FileNotFoundError:  # there is no git
        return False
    return asked.returncode == 0 and not asked.stdout


def generate(packages: dict[str, Package]) -> dict[str, str]:
    """Every generated text by its path, and the packages that templates name. Raises BuildError with all that is wrong."""
    from chain import calls
    from chain.cloudformation import statuses
    from chain.environment import outcome
    from compliance import annotate
    from compliance.check import UnexplainedGapError, check
    from compliance.profiles.fedramp_high import FEDRAMP_HIGH
    from documents import conformance_packs, fips, matrix, oscal, policies, reachability, readme, requirements, runbooks
    from documents import recovery as recoveries
    from documents.page.document import Subject
    from documents.page.document import document as page
    from documents.runbooks import costs
    from documents.runbooks.facts import Facts
    from generator import types
    from generator.assemble import BuildError, assemble, inspect, too_large
    from generator.packages import package
    from generator.render import render
    from generator.systems import SYSTEMS
    from model import read
    from recovery.assess import UnheldObjectiveError, assess
    from recovery.measured import measured
    from recovery.times import service_times

    def key(function: str) -> str:
        packages.setdefault(function, package(function))
        return packages[function].key

    built = {system.name: assemble(system, key) for system in SYSTEMS}
    problems = inspect(built, SYSTEMS)
    if problems:
        raise BuildError("\n".join(problems))

    texts: dict[str, str] = {}
    findings = {}
    times = service_times()
    restores = measured((ROOT / "docs/measured/restores.yaml").read_text(encoding="utf-8"), times.formulas)
    assessed = []
    for system in SYSTEMS:
        layers = built[system.name]
        documents = {name: one.document for name, one in layers.items()}
        try:
            found = check(system, documents)
            assessed.append((system, assess(system, documents, times, restores)))
        except (UnexplainedGapError, UnheldObjectiveError) as gap:
            problems.append(str(gap))
            continue
        findings[system.name] = found
        evidence = annotate.evidence(found, system.deviations)
        for name, one in layers.items():
            one.document["Metadata"]["Compliance"] = annotate.metadata(found, system.deviations, name)
            above = {title: line for (layer, title), line in evidence.items() if layer == name}
            text = render(one.document, one.source, one.headings, above, one.reasons)
            problems += too_large(system.name, name, text)
            texts[f"templates/{system.name}/{name}.yaml"] = text
        texts[f"templates/{system.name}/README.md"] = readme.page(
            system, layers, f"generator/systems/{system.name.replace('-', '_')}.py"
        )
    if problems:
        raise BuildError("\n".join(problems))

    texts["docs/exit-codes.md"] = outcome.markdown()
    every = [one.document for layers in built.values() for one in layers.values()]
    texts["docs/statuses.md"] = statuses.markdown()
    judged = [(system, findings[system.name]) for system in SYSTEMS]
    evidenced = {
        "docs/compliance.md": matrix.document(judged, texts),
        "docs/compliance.csv": matrix.table(judged, texts),
        "docs/conformance-packs.md": conformance_packs.document(),
        "docs/requirements.md": requirements.document(SYSTEMS, texts),
        "docs/reachability.md": reachability.document(
            [(system, {name: one.document for name, one in built[system.name].items()}) for system in SYSTEMS]
        ),
        **{f"docs/oscal/{name}": text for name, text in oscal.documents(judged, texts).items()},
    }
    texts |= evidenced
    texts["docs/recovery.md"] = recoveries.document(assessed, texts, times, restores)
    bound = [system for system in SYSTEMS if system.profile is FEDRAMP_HIGH]
    of_bound = [one.document for system in bound for one in built[system.name].values()]
    texts["docs/fips.md"] = fips.document(bound, of_bound, calls.BY_PERSON["deployer"])
    texts["chain/types.json"] = types.types(every).decode()
    texts |= {f"docs/policies/{name}": text for name, text in policies.documents(every, calls.BY_PERSON).items()}
    files = {system.name: (ROOT / "parameters" / system.name / "default.yaml").read_text(encoding="utf-8") for system in SYSTEMS}
    values = {name: read(text) for name, text in files.items()}
    texts |= runbooks.documents(SYSTEMS, built, values)
    ways = {system.name: found for system, found in assessed}
    subjects = [
        Subject(
            system,
            {name: one.document for name, one in built[system.name].items()},
            findings[system.name],
            ways[system.name],
            values[system.name],
            {site: costs.bill(Facts.of(system, built[system.name], site), values[system.name]) for site in system.regions},
        )
        for system in SYSTEMS
    ]
    shown = texts | {f"parameters/{name}/default.yaml": text for name, text in files.items()}
    texts["docs/index.html"] = page(subjects, shown, times)
    return texts


def lint(root: Path) -> tuple[list[str], str]:
    """cfn-lint over the committed templates in every region where they stand, with the values of every environment."""
    from chain.environment.graph import open_environment
    from chain.environment.outcome import InputError
    from compliance.lint import job
    from compliance.lint import lint as judge

    jobs = []
    for system in sorted(path.name for path in (root / "templates").iterdir()):
        for environment in _environments(root, system):
            try:
                stacks = open_environment(root, environment, (system,)).stacks
            except InputError as error:
                return list(error.problems), "nothing was judged"
            for stack in stacks:
                path = f"templates/{system}/{stack.template.layer}.yaml"
                jobs.append(job(path, stack.template.body, stack.template.document, stack.region, stack.values))
    problems = judge(jobs, root / LINTED)
    return problems, f"{len(jobs)} stacks judged, {len(problems)} findings"


def _environments(root: Path, system: str) -> list[str]:
    """The environments of a system: those with a file of their own, or one that stands for all the others."""
    named = sorted(path.stem for path in (root / "parameters" / system).glob("*.yaml") if path.stem != "default")
    return named or ["example"]


def _write(root: Path, texts: Mapping[str, str]) -> int:
    """Write what differs, remove templates of layers that are gone; the number of files changed."""
    changed = 0
    for name, text in texts.items():
        path = root / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed += 1
    for path in sorted((root / "templates").glob("*/*.yaml")):
        if path.relative_to(root).as_posix() not in texts:
            path.unlink()
            changed += 1
    return changed


if __name__ == "__main__":
    sys.exit(main())
