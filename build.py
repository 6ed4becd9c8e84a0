"""Render every template, package and generated document; `lint` lets cfn-lint judge the templates.

    python build.py            what changed; nothing when sources, lock and outputs are those of the last build
    python build.py packages   the functions' packages alone, where git holds the templates and their sources as they are
    python build.py evidence   out/evidence: every finding with its line, as text, as CSV and as OSCAL; git does not hold it
    python build.py lint       cfn-lint, once per template, region and environment

Exit codes: 0 done, 1 something is wrong with the systems or templates, 2 bad arguments.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:  # with PYTHONSAFEPATH=1
    sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from documents.page.document import Subject
    from documents.runbooks.costs import Bill, Values
    from generator.assemble import Built
    from generator.packages import Package
    from model import Document, Finding, System
    from recovery.assess import Assessment
    from recovery.measured import Measured
    from recovery.service_times import ServiceTimes

SOURCES = (
    "build.py",
    "chain",
    "compliance",
    "deploy.py",
    "docs/measured",
    "documents",
    "emulator",
    "functions",
    "generator",
    "model",
    "parameters",
    "protocol",
    "recovery",
    "replay",
    "requirements/run.lock",
)
RENDERED_FROM = ("build.py", "compliance", "functions", "generator", "model", "protocol", "recovery", "requirements/run.lock")
"""Of the sources those that templates and packages depend on; the others are of documents."""

KEY = re.compile(r"^ *S3Key: (\S+)$", re.MULTILINE)
EVIDENCE, PACKAGES, STAMP, LINTED = "out/evidence", "out/packages", "out/build.json", "out/lint"


@dataclass(frozen=True)
class Judged:
    """What was rendered and judged: all that outputs are made of."""

    systems: tuple[System, ...]
    layers: Mapping[str, Mapping[str, Built]]  # by system
    packages: Mapping[str, Package]  # by function
    findings: Sequence[tuple[System, Sequence[Finding]]]
    assessed: Sequence[tuple[System, Sequence[Assessment]]]
    times: ServiceTimes
    restores: Sequence[Measured]
    files: Mapping[str, str]
    """The default parameter file of each system, by path."""
    values: Mapping[str, Values]
    """The same as plain data, by system."""
    texts: dict[str, str]
    """What is to be written, by path: the templates, and each output once it is made."""

    @property
    def documents(self) -> list[tuple[System, dict[str, Document]]]:
        """Each system with its templates as plain data."""
        return [(one, {name: each.document for name, each in self.layers[one.name].items()}) for one in self.systems]

    @property
    def templates(self) -> list[Document]:
        """Those of all systems."""
        return [each for _, documents in self.documents for each in documents.values()]


def outputs() -> dict[str, Callable[[Judged], str | Mapping[str, str]]]:
    """Every output beside templates and packages: a file, or a folder of which what makes it names the files."""
    from chain import declared_calls
    from chain.cloudformation import statuses
    from chain.environment import exit_codes
    from documents import (
        architecture,
        conformance_packs,
        controls,
        fips,
        matrix,
        oscal,
        policies,
        reachability,
        readme,
        requirements,
        runbooks,
    )
    from documents import recovery as recoveries
    from documents.page.document import document as page
    from generator import type_schemas

    return {
        "templates": lambda it: readme.pages(it.systems, it.layers),
        "chain/types.json": lambda it: type_schemas.types(it.templates),
        "docs/architecture.svg": lambda _: architecture.picture(ROOT),
        "docs/compliance": lambda it: controls.documents(it.findings),
        "docs/conformance-packs.md": lambda _: conformance_packs.document(),
        "docs/exit-codes.md": lambda _: exit_codes.markdown(),
        "docs/fips.md": lambda it: fips.document(it.documents, declared_calls.BY_PERSON["deployer"]),
        "docs/operations": lambda it: runbooks.documents(it.systems, it.layers, it.values),
        "docs/policies": lambda it: policies.documents(it.templates, declared_calls.BY_PERSON),
        "docs/reachability.md": lambda it: reachability.document(it.documents),
        "docs/recovery.md": lambda it: recoveries.document(it.assessed, it.times, it.restores),
        "docs/requirements.md": lambda it: requirements.document(it.systems),
        "docs/statuses.md": lambda _: statuses.markdown(),
        "docs/index.html": lambda it: page(_subjects(it), {**it.texts, **it.files}, it.times),  # reads the runbooks
        EVIDENCE: lambda it: matrix.documents(it.findings, it.texts) | oscal.documents(it.findings, it.texts),
    }


def main(arguments: list[str] | None = None) -> int:
    """Build or lint, and say what was done."""
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("build", "packages", "evidence", "lint"), default="build")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        problems, done = {"build": build, "packages": packages, "evidence": evidence, "lint": lint}[options.what](options.root)
    except OSError as error:
        problems, done = (
            [f"{error.filename}: {error.strerror}. A build writes into its checkout: make it writable, or clone it anew."],
            "given up",
        )
    except _refusals() as error:
        problems, done = [str(error)], "nothing was written"
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{done} ({time.monotonic() - start:.1f} s)")
    return 1 if problems else 0


def build(root: Path) -> tuple[list[str], str]:
    """Write templates, packages and every output but the evidence, unless nothing changed since the last build."""
    from generator import up_to_date

    sources = [ROOT / name for name in SOURCES]
    if up_to_date.current(root / STAMP, sources):
        return [], "unchanged"
    it = judge()
    kept = [path for path in outputs() if path != EVIDENCE]
    made(it, kept)
    written = _write(root, it.texts) + _remove_gone(root, it.texts)
    for one in it.packages.values():
        one.write(root / PACKAGES)
    up_to_date.write(root / STAMP, sources, [root / name for name in (*kept, PACKAGES)])
    return [], f"{len(it.texts)} files, {written} of them changed; {len(it.packages)} packages"


def evidence(root: Path) -> tuple[list[str], str]:
    """Write the evidence anew."""
    texts = made(judge(), [EVIDENCE])
    shutil.rmtree(root / EVIDENCE, ignore_errors=True)
    return [], f"{_write(root, texts)} files in {EVIDENCE}"


def packages(root: Path) -> tuple[list[str], str]:
    """Write the packages that the templates name; build where templates or their sources are not those that git holds."""
    from generator.packages import package

    if not _committed(root):
        return build(root)
    named = {key for path in (root / "templates").glob("*/*.yaml") for key in KEY.findall(path.read_text(encoding="utf-8"))}
    ours = [package(name) for name in sorted({key.rpartition("-")[0] for key in named})]
    if {one.key for one in ours} != named:  # committed, but not built
        return build(root)
    for one in ours:
        one.write(root / PACKAGES)
    return [], f"templates as committed; {len(ours)} packages"


def _committed(root: Path) -> bool:
    """Whether git holds the templates, and what they are rendered from, just as they are here."""
    command = ["git", "status", "--porcelain", "--", *RENDERED_FROM, "templates"]
    try:
        asked = subprocess.run(command, cwd=root, capture_output=True, check=False)
    except FileNotFoundError:  # there is no git
        return False
    return asked.returncode == 0 and not asked.stdout


def judge() -> Judged:
    """Render and judge every system. Raises BuildError with all that is wrong."""
    from compliance.check import UnexplainedGapError, check
    from generator.assemble import BuildError, assemble, inspect, too_large
    from generator.packages import package
    from generator.systems import SYSTEMS
    from model import read
    from recovery.assess import UnheldObjectiveError, assess
    from recovery.measured import measured
    from recovery.service_times import service_times

    packages: dict[str, Package] = {}

    def key(function: str) -> str:
        packages.setdefault(function, package(function))
        return packages[function].key

    layers = {system.name: assemble(system, key) for system in SYSTEMS}
    problems = inspect(layers, SYSTEMS)
    if problems:
        raise BuildError("\n".join(problems))
    times = service_times()
    restores = measured((ROOT / "docs/measured/restores.yaml").read_text(encoding="utf-8"), times.formulas)
    names = {system.name: f"parameters/{system.name}/default.yaml" for system in SYSTEMS}
    if absent := [path for path in names.values() if not (ROOT / path).is_file()]:
        raise BuildError(
            "\n".join(f"{path} is missing. Write it: a block for each layer, with what has no default." for path in absent)
        )
    files = {path: (ROOT / path).read_text(encoding="utf-8") for path in names.values()}
    values = {name: read(files[path]) for name, path in names.items()}
    found, assessed, texts = [], [], dict[str, str]()
    for system in SYSTEMS:
        documents = {name: one.document for name, one in layers[system.name].items()}
        try:
            findings = check(system, documents)
            assessed.append((system, assess(system, documents, times, restores)))
        except (UnexplainedGapError, UnheldObjectiveError) as gap:
            problems.append(str(gap))
            continue
        found.append((system, findings))
        texts |= _templates(system, findings, layers[system.name])
    problems += [said for path, text in texts.items() for said in too_large(path, text)]
    if problems:
        raise BuildError("\n".join(problems))
    return Judged(SYSTEMS, layers, packages, found, assessed, times, restores, files, values, texts)


def _templates(system: System, found: Sequence[Finding], layers: Mapping[str, Built]) -> dict[str, str]:
    """The templates of a system by path, each with what it is evidence for."""
    from compliance import annotate
    from generator.render import render

    texts = {}
    evidence = annotate.evidence(found, system.deviations)
    for name, one in layers.items():
        one.document["Metadata"]["Compliance"] = annotate.metadata(found, system.deviations, name)
        above = {title: line for (layer, title), line in evidence.items() if layer == name}
        texts[f"templates/{system.name}/{name}.yaml"] = render(one.document, one.source, one.headings, above, one.reasons)
    return texts


def _refusals() -> tuple[type[Exception], ...]:
    """What says that nothing can be built from these sources."""
    from generator.assemble import BuildError
    from generator.packages import PackageError
    from recovery.service_times import DataError

    return BuildError, PackageError, DataError


def made(it: Judged, paths: Iterable[str]) -> dict[str, str]:
    """The texts of these outputs by path; a later one may read those before it."""
    table, found = outputs(), dict[str, str]()
    for path in paths:
        text = table[path](it)
        found |= {path: text} if isinstance(text, str) else {f"{path}/{name}": each for name, each in text.items()}
        it.texts.update(found)
    return found


def _subjects(it: Judged) -> list[Subject]:
    """What the page shows of each system."""
    from documents.page.document import Subject
    from documents.runbooks.costs import bill
    from documents.runbooks.facts import Facts

    def costs(one: System) -> dict[str, Bill]:
        return {site: bill(Facts.of(one, it.layers[one.name], site), it.values[one.name]) for site in one.regions}

    judged = zip(it.documents, it.findings, it.assessed, strict=True)
    return [
        Subject(one, documents, found, ways, it.values[one.name], costs(one))
        for (one, documents), (_, found), (_, ways) in judged
    ]


def lint(root: Path) -> tuple[list[str], str]:
    """cfn-lint over the committed templates in every region where they stand, with the values of every environment."""
    from chain.environment.exit_codes import InputError
    from chain.environment.graph import open_environment
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
    """Write what differs; the number of files changed."""
    changed = 0
    for name, text in texts.items():
        path = root / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed += 1
    return changed


def _remove_gone(root: Path, texts: Mapping[str, str]) -> int:
    """Remove templates of layers that are gone; the number of files removed."""
    gone = [path for path in root.glob("templates/*/*.yaml") if path.relative_to(root).as_posix() not in texts]
    for path in gone:
        path.unlink()
    return len(gone)


if __name__ == "__main__":
    sys.exit(main())
