"""Every command of every runbook, run by bash against a deployed environment in the emulator, as it stands on the page.

A real PostgreSQL stands behind the database. What the emulator cannot do stands in the page's own table with the reason: what is
the AWS CLI's is checked against the API's model, and a probe here shows that the emulator really cannot.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chain.failover import topology
from documents.runbooks import regions, restored_database, stores
from emulator import Emulator
from generator.systems import SYSTEMS
from model import PRIMARY
from tests.operations import cli, runbook
from tests.operations.runbook import Section
from tests.support import unmeasured
from tests.support.commands import deploy_py

ENV = "dev"  # as on the page
SITES = {
    system.name if site == PRIMARY else f"{system.name}-{site}": (system.name, region)
    for system in SYSTEMS
    # What is done to all sites stands on the primary's page and ends with the end of everything.
    for site, region in sorted(system.regions.items(), key=lambda place: place[0] == PRIMARY)
}
"""Each page: whose it is, and the region that its commands are for."""

PAGES = {name: runbook.read(runbook.FOLDER / f"{name}.md") for name in SITES if (runbook.FOLDER / f"{name}.md").exists()}
BASE, CONNECT, AFTER = "Before anything", restored_database.CONNECT, restored_database.AFTER
NOW = "$(date -u +%FT%T.%6NZ)"
ROWS = (
    'psql -c "create table if not exists entries (id int primary key, what text)"',
    "psql -c \"insert into entries select n, 'entry ' || n from generate_series(1, 100) n\"",
    f'echo "AT={NOW}" && sleep 0.01',
    "psql -c \"insert into entries select n, 'entry ' || n from generate_series(101, 110) n\"",
    f'echo "UNTIL={NOW}" && sleep 0.01',
    'psql -c "delete from entries where id <= 10"',
)
"""What happened before somebody opens the runbook: data were right, more came, then somebody deleted some."""


@dataclass
class Environment:
    """A deployed system, and a shell's surroundings in which a page is tried."""

    system: str
    aws: Emulator
    scratch: Path
    said: dict[str, str] = field(default_factory=dict)  # what an operator says: when, which

    def page(self, name: str) -> Page:
        folder = self.scratch / name
        folder.mkdir(exist_ok=True)
        return Page(name, self, folder)


@dataclass(frozen=True)
class Page:
    """One page, and what the shell holds after its sections."""

    name: str
    here: Environment
    folder: Path

    @property
    def region(self) -> str:
        return SITES[self.name][1]

    def client(self, service: str) -> Any:
        """A client in the page's region."""
        return self.here.aws.client(service, self.region)

    def section(self, title: str) -> Section | None:
        return next((one for one in PAGES[self.name] if one.title == title), None)

    def state(self, title: str) -> Path:
        return self.folder / title.replace(" ", "-")

    def run(self, section: Section) -> str:
        """Run a section after those that it says come first, if their shell is not there yet; what was printed."""
        before = []
        text = ""
        for title in section.first:
            first = self.section(title)
            if self.state(title).exists():
                text += f"source '{self.state(title)}'\n"
            elif first is not None:
                before.append(first)
        shell = {
            **self.here.aws.environment,
            "PATH": f"{self.here.scratch}:{os.environ['PATH']}",
            "PGSSLROOTCERT": str(self.here.aws.root),
            "YES": "1",
            **self.here.said,
        }
        ended = runbook.run(text + runbook.script([*before, section], self.state(section.title)), shell)
        assert ended.returncode == 0, f"{section.title}\n{ended.stdout}\n{ended.stderr}"
        self.here.aws.settle()
        if any("rotate-secret" in command for command in section.commands):
            self.state(CONNECT).unlink(missing_ok=True)  # its shell holds a password that is no longer one
        return ended.stdout

    def ask(self, *commands: str, after: str = CONNECT) -> str:
        """What commands print in the shell of a section."""
        return self.run(Section(f"asked after {after}", commands, (BASE, after), frozenset())).strip().splitlines()[-1]

    def value(self, title: str, variable: str) -> str:
        """What a section puts into a variable first."""
        section = self.section(title)
        assert section is not None
        line = next(command for command in section.commands if command.startswith(f"{variable}="))
        return self.ask(line, f'echo "${variable}"', after=BASE)

    def output(self, layer: str, name: str) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=f"{self.here.system}-{layer}-{ENV}")["Stacks"]
        return next(str(one["OutputValue"]) for one in stack["Outputs"] if one["OutputKey"] == name)


@contextlib.contextmanager
def _deployed(name: str, scratch: Path) -> Iterator[Environment]:
    assert shutil.which("psql"), "psql is missing: make test installs PostgreSQL 15."
    # make test has built and installed already; to do it in the middle of other tests would disturb them.
    make = scratch / "make"
    make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} -o build -o setup "$@"\n')
    make.chmod(0o755)
    with unmeasured.running() as aws, cli.command(scratch):
        aws.opt_in()
        deployed = deploy_py(aws, "deploy", "--system", name, suffix=ENV)
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        aws.settle()
        yield _opened(Environment(name, aws, scratch))


@pytest.fixture(scope="module")
def environment_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Environment]]:
    """The environment of a system, one at a time: that of the system before goes."""
    with contextlib.ExitStack() as open_now:
        standing: dict[str, Environment] = {}

        def of(name: str) -> Environment:
            if name not in standing:
                open_now.close()
                standing.clear()
                standing[name] = open_now.enter_context(_deployed(name, tmp_path_factory.mktemp(name)))
            return standing[name]

        yield of


def _opened(here: Environment) -> Environment:
    for name, (system, _) in SITES.items():
        page = here.page(name)
        if system != here.system:
            continue
        page.run(_section(page, BASE))
    return here


def _has_rows(page: Page) -> None:
    """Once, before the first section of a page that restores: another page may have moved the database meanwhile."""
    if page.section(restored_database.COPY) and "AT" not in page.here.said:
        _archive(page)
        printed = page.run(Section("rows", ROWS, (BASE, CONNECT), frozenset()))
        page.here.said.update(re.findall(r"^(AT|UNTIL)=(\S+)$", printed, re.MULTILINE))
        _archive(page)


def _section(page: Page, title: str) -> Section:
    found = page.section(title)
    assert found is not None
    return found


def _archive(page: Page) -> None:
    if page.section(restored_database.REPLAY):
        assert not page.here.aws.fire(f"log-archive-schedule-{ENV}", page.region)
        page.here.aws.settle()


def _refuses(call: Callable[..., Any], code: str, **arguments: Any) -> bool:
    """Whether the emulator answers with this error."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"]) == code
    return False


def _only_15(page: Page) -> bool:
    name = page.client("rds").describe_db_instances()["DBInstances"][0]["DBInstanceIdentifier"]
    lines = page.here.aws.database_log(name).read_text().splitlines()
    return {line.partition("starting PostgreSQL ")[2][:3] for line in lines if "starting PostgreSQL" in line} == {"15."}


def _not_in_that_state(action: str) -> Callable[[Page], bool]:
    def probe(page: Page) -> bool:
        cloudformation = page.client("cloudformation")
        stack = cloudformation.describe_stacks()["Stacks"][0]["StackName"]
        return _refuses(getattr(cloudformation, action), "ValidationError", StackName=stack)

    return probe


def _nothing_cold(page: Page) -> bool:
    s3, bucket = page.client("s3"), page.value(stores.OBJECTS, "BUCKET")
    version = s3.put_object(Bucket=bucket, Key="probe", Body=b"x")["VersionId"]
    try:
        return _refuses(
            s3.restore_object, "ObjectAlreadyInActiveTierError", Bucket=bucket, Key="probe", RestoreRequest={"Days": 1}
        )
    finally:
        s3.delete_object(Bucket=bucket, Key="probe", VersionId=version)


def _mounts_nothing(page: Page) -> bool:
    """The emulator listens on 127.0.0.1 alone, and no mount target is there."""
    efs = page.client("efs")
    (system, *_) = efs.describe_file_systems()["FileSystems"]
    targets = efs.describe_mount_targets(FileSystemId=system["FileSystemId"])["MountTargets"]
    return bool(targets) and not any(one["IpAddress"].startswith("127.") for one in targets)


PROBES: dict[tuple[str, str], Callable[[Page], bool]] = {
    ("Major engine upgrade", "aws rds modify-db-instance"): _only_15,
    ("A stack is stuck", "aws cloudformation rollback-stack"): _not_in_that_state("rollback_stack"),
    ("A stack is stuck", "aws cloudformation continue-update-rollback"): _not_in_that_state("continue_update_rollback"),
    (stores.OBJECTS, "aws s3api restore-object"): _nothing_cold,
    (restored_database.REPLAY, "sudo mount"): _mounts_nothing,
}
"""For every command that a page says is not run: whether the emulator still cannot. One that can belongs among those that run."""


def test_every_system_has_a_runbook_for_every_site() -> None:
    assert list(PAGES) == list(SITES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_what_it_has_or_says_why_not(name: str) -> None:
    for section in PAGES[name]:
        used = {operation for command in section.commands for operation in runbook.OPERATION.findall(command)}
        assert section.not_run <= used, f"{section.title}: the table names what the section does not have"
        assert {(section.title, operation) for operation in section.not_run} <= PROBES.keys()
    every = "\n".join(command for section in PAGES[name] for command in section.commands)
    syntax = runbook.run(f"set -n\n{every}\n", {})
    assert syntax.returncode == 0, syntax.stderr
    assert PAGES[name][0].title == BASE


def _group(name: str) -> pytest.MarkDecorator:
    """All pages of a system are tried in one process: in one environment, in their order."""
    return pytest.mark.xdist_group(f"runbooks of {SITES[name][0]}")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        pytest.param(name, section.title, marks=_group(name), id=f"{name}-{section.title}")
        for name in PAGES
        for section in PAGES[name]
        if section.title != BASE
    ],
)
def test_every_command_of_the_section_does_what_it_says(
    environment_of: Callable[[str], Environment], name: str, title: str
) -> None:
    """In the order of the page: a restore needs the snapshot before it, and the end of everything comes last."""
    page = environment_of(SITES[name][0]).page(name)
    _has_rows(page)
    for operation in _section(page, title).not_run:
        assert PROBES[title, operation](page), f"{title}: the emulator can do {operation}; run it"
    if title in BEFORE:
        BEFORE[title](page)
    with _copied(page) if title == regions.FAILBACK else contextlib.nullcontext():
        printed = page.run(_section(page, title))
    if title in EXPECTED:
        EXPECTED[title](page, printed)


def _restored(page: Page) -> list[str]:
    rds = page.client("rds")
    found = [one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]]
    return [name for name in found if name.endswith("-restored")]


def _without_restored(page: Page) -> None:
    """A page shows two ways to a restored database; here both are gone."""
    rds = page.client("rds")
    for name in _restored(page):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    for one in rds.describe_db_clusters()["DBClusters"]:
        if one["DBClusterIdentifier"].endswith("-restored"):
            rds.delete_db_cluster(DBClusterIdentifier=one["DBClusterIdentifier"], SkipFinalSnapshot=True)


def _with_restored(page: Page) -> None:
    """A swap needs a restored database, which the section before has tidied up."""
    _without_restored(page)
    for title in (restored_database.IN_TIME, AFTER):
        page.run(_section(page, title))


def _overwritten_and_deleted(page: Page) -> None:
    s3, bucket = page.client("s3"), page.value(stores.OBJECTS, "BUCKET")
    right = s3.put_object(Bucket=bucket, Key="reports/a", Body=b"right")["VersionId"]
    s3.put_object(Bucket=bucket, Key="reports/a", Body=b"wrong")
    s3.put_object(Bucket=bucket, Key="reports/b", Body=b"b")
    s3.delete_object(Bucket=bucket, Key="reports/b")
    page.here.said.update(PREFIX="reports/", KEY="reports/a", VERSION=right)


def _backed_up(page: Page) -> None:
    aws = page.here.aws
    files = aws.files(page.value(stores.FILES, "FILES"))
    files.mkdir(parents=True, exist_ok=True)
    (files / "kept").write_text("x")
    backup = page.client("backup")
    for plan in backup.list_backup_plans()["BackupPlansList"]:
        aws.back_up(plan["BackupPlanName"], page.region)


def _one_lost(page: Page) -> None:
    table = page.client("dynamodb")
    (name,) = (one for one in table.list_tables()["TableNames"] if one.endswith(ENV))
    table.put_item(TableName=name, Item={"id": {"S": "kept"}})


def _mounted(page: Page) -> None:
    (files,) = page.client("efs").describe_file_systems()["FileSystems"]
    page.here.said["ARCHIVE"] = str(page.here.aws.files(files["FileSystemId"]) / "log-archive")


def _beaten(page: Page) -> None:
    """A heartbeat of each site that has come to the other: how old the data are is known."""
    for system, region in SITES.values():
        if system == page.here.system:
            functions = page.here.aws.client("lambda", region)
            for one in functions.list_functions()["Functions"]:
                if f"function-heartbeat-{ENV}" in one["FunctionName"]:
                    assert "FunctionError" not in functions.invoke(FunctionName=one["FunctionName"])


def _dark(page: Page) -> None:
    """The primary region is lost, and the alarms have had their time."""
    _beaten(page)
    aws = page.here.aws
    aws.darken(SITES[page.here.system][1])
    for _ in range(4):
        aws.pass_minute(page.region)
    aws.pass_silence(page.region)
    aws.settle()


@contextlib.contextmanager
def _copied(page: Page) -> Iterator[None]:
    """EFS copies, as it does every few minutes."""
    done = threading.Event()

    def copy() -> None:
        while not done.wait(0.5):
            page.here.aws.replicate_files()

    service = threading.Thread(target=copy)
    service.start()
    try:
        yield
    finally:
        done.set()
        service.join()


BEFORE: dict[str, Callable[[Page], None]] = {
    restored_database.SNAPSHOT: _without_restored,
    restored_database.IN_TIME: _without_restored,
    restored_database.REPLAY: _mounted,
    regions.SWITCHOVER: _beaten,
    regions.LOSS: _dark,
    "Swap the instances": _with_restored,
    "Swap the clusters": _with_restored,
    stores.OBJECTS: _overwritten_and_deleted,
    stores.FILES: _backed_up,
    stores.TABLE: _one_lost,
}
"""What has happened before somebody needs a section."""

COUNT = "psql -Atc 'select count(*) from entries'"


def _has_what_was_right(page: Page, _: str) -> None:
    assert page.ask(COUNT.replace("psql", restored_database.THERE), after=AFTER) == "100"


def _has_all_that_was_right(page: Page, _: str) -> None:
    assert page.ask(COUNT.replace("psql", restored_database.THERE), after=restored_database.REPLAY) == "110"


def _is_whole_again(page: Page, _: str) -> None:
    assert page.ask(COUNT) == "110"


def _is_the_restored_one(page: Page, _: str) -> None:
    assert page.ask(COUNT) == "100"
    assert _restored(page) == []


def _objects_are_back(page: Page, _: str) -> None:
    s3, bucket = page.client("s3"), page.value(stores.OBJECTS, "BUCKET")
    assert [s3.get_object(Bucket=bucket, Key=f"reports/{key}")["Body"].read() for key in "ab"] == [b"right", b"b"]


def _nothing_stands(page: Page, _: str) -> None:
    assert page.client("cloudformation").describe_stacks()["Stacks"] == []


def _rotated(_: Page, printed: str) -> None:
    assert "THE LEAKED PASSWORD STILL WORKS" not in printed


def _writes_at(page: Page) -> str:
    return topology.read(page.here.aws.client, topology.Place(page.here.system, ENV, page.region)).topology.state


def _away(page: Page, _: str) -> None:
    assert _writes_at(page) == "failed-over"


def _home(page: Page, _: str) -> None:
    assert _writes_at(page) == "home"


def _away_and_home(page: Page, printed: str) -> None:
    """The region comes back, and the sections after this one find the system at home."""
    page.here.aws.lighten(SITES[page.here.system][1])
    page.here.aws.settle()
    _away(page, printed)
    with _copied(page):
        page.run(_section(page, regions.FAILBACK))
    _home(page, printed)


EXPECTED: dict[str, Callable[[Page, str], None]] = {
    AFTER: _has_what_was_right,
    restored_database.REPLAY: _has_all_that_was_right,
    restored_database.COPY: _is_whole_again,
    "Swap the instances": _is_the_restored_one,
    "Swap the clusters": _is_the_restored_one,
    stores.OBJECTS: _objects_are_back,
    regions.SWITCHOVER: _away,
    regions.FAILBACK: _home,
    regions.LOSS: _away_and_home,
    "Clean up": _nothing_stands,
    "Credential leak": _rotated,
}
"""What must be true after a section, beyond that none of its commands failed."""
