"""The emulator's own life: where it listens, what it leaves behind, what it says when it cannot start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from emulator import EmulatorError, postgres, private_names, run_directory, running
from emulator.__main__ import FOREIGN

CHECKOUT = Path(__file__).parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emulator", *arguments]
    return subprocess.run(
        command, cwd=CHECKOUT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120
    )


def processes(directory: str) -> list[str]:
    """Command lines that name the run's directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if directory in line:
            found.append(line)
    return found


def test_it_begins_empty_and_leaves_nothing_behind() -> None:
    with running() as aws:
        directory = aws.directory
        assert aws.client("s3").list_buckets()["Buckets"] == []
        assert aws.client("cloudformation").describe_stacks()["Stacks"] == []
    assert not directory.exists()
    assert processes(str(directory)) == []


@pytest.mark.parametrize(
    ("memory", "room", "temporary", "expected"),
    [("memory", 0, "", "memory"), ("memory", 1 << 60, "", "disk"), ("missing", 0, "", "disk"), ("memory", 0, "disk", "disk")],
    ids=["room", "no room", "no such memory", "somebody says where"],
)
def test_it_is_kept_in_memory_where_the_machine_has_room_and_nobody_says_where(
    memory: str, room: int, temporary: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("memory", "disk"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(run_directory, "MEMORY", tmp_path / memory)
    monkeypatch.setattr(run_directory, "ROOM", room)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    monkeypatch.setenv("TMPDIR", temporary)
    if not temporary:
        monkeypatch.delenv("TMPDIR")
    assert run_directory.directory("a-").parent == tmp_path / expected


def test_two_run_beside_each_other() -> None:
    with running(databases=False) as one, running(databases=False) as other:
        one.client("s3").create_bucket(Bucket="of-one")
        assert other.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_on_loopback_only() -> None:
    with running() as aws:
        aws.client("rds").create_db_instance(
            DBInstanceIdentifier="a",
            Engine="postgres",
            DBInstanceClass="db.r6g.large",
            MasterUsername="m",
            MasterUserPassword="secret-enough",
        )
        aws.client("iot").list_things()
        inodes = {inode for process in processes_of(aws.directory) for inode in sockets(process)}
        listening = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        addresses = {row[1].split(":")[0] for row in listening if row[3] == "0A" and row[9] in inodes}
        assert addresses == {"0100007F"}


def processes_of(directory: Path) -> list[Path]:
    return [
        path.parent
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(directory) in path.read_bytes().decode(errors="replace")
    ]


def sockets(process: Path) -> list[str]:
    links = [str(one.readlink()) for one in (process / "fd").iterdir() if one.is_symlink()]
    return [link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")]


HOLD = """
from emulator import running
import time
with running() as aws:
    aws.client("rds").create_db_instance(
        DBInstanceIdentifier="a",
        Engine="postgres",
        DBInstanceClass="db.r6g.large",
        MasterUsername="m",
        MasterUserPassword="secret-enough",
        BackupRetentionPeriod=1,
    )
    arn = "arn:aws:rds:us-east-1:123456789012:db:a"
    aws.client("rds", "us-east-2").create_db_instance_read_replica(DBInstanceIdentifier="b", SourceDBInstanceIdentifier=arn)
    aws.darken("us-east-2")
    print(aws.directory, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_and_its_servers_end_when_their_owner_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLD], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout as said:
        directory = said.readline().strip()
    assert len(processes(directory)) >= (3 if postgres.find() else 1)
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 20
    while (processes(directory) or Path(directory).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes(directory) == []
    assert not Path(directory).exists()


def test_a_port_in_use_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorError, match=f"^Port {port} of 127.0.0.1 cannot be used"), running(port=port):
            pass
        assert run("serve", "--port", str(port)).returncode == 2


def test_a_private_name_that_is_gone_stops_the_start_with_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A package of this name that comes first, as another version of the real one would.
    package = tmp_path / "ministack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "app.py").write_text("app = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sentence = r"^ministack\.app has no pin_request_origin, on which the emulator rests: install the pinned version 1\.5\.33 "
    with pytest.raises(EmulatorError, match=sentence), running():
        pass


def test_the_private_names_are_all_there() -> None:
    private_names.check()


def test_exec_runs_a_command_against_a_fresh_emulator_and_passes_its_exit_code_on() -> None:
    script = (
        "import boto3, sys\n"
        "print(boto3.client('sts').get_caller_identity()['Account'], boto3.client('rds').meta.region_name)\n"
        "sys.exit(3)"
    )
    done = run(
        "exec",
        "--",
        sys.executable,
        "-c",
        script,
        AWS_PROFILE="somebody",
        AWS_REGION="eu-central-1",
        AWS_ENDPOINT_URL_STS="http://127.0.0.1:9",
    )
    assert done.stdout == "123456789012 us-east-1\n"
    assert done.returncode == 3


def test_exec_of_what_does_not_exist_is_a_sentence() -> None:
    done = run("exec", "--", "no-such-command")
    assert (done.returncode, done.stderr) == (127, "The command 'no-such-command' does not exist.\n")


MAKE_DATABASE = """
import boto3
rds = boto3.client("rds")
rds.create_db_instance(
    DBInstanceIdentifier="lonely",
    Engine="postgres",
    DBInstanceClass="db.r6g.large",
    MasterUsername="m",
    MasterUserPassword="secret-enough",
)
assert rds.describe_db_instances()["DBInstances"][0]["DBInstanceStatus"] == "available"
"""


def test_exec_ends_with_what_was_not_exercised(tmp_path: Path) -> None:
    done = run("exec", "--", sys.executable, "-c", MAKE_DATABASE, PG_BIN=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "\nNot exercised on this machine:\n"
        "  - Databases: behind lonely stands no server, since PostgreSQL 15 is not on this machine.\n"
    )


def test_serve_prints_what_to_export_and_ends_in_order() -> None:
    command = [sys.executable, "-m", "emulator", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("export AWS_EC2_METADATA_DISABLED"):
            lines.append(process.stdout.readline().strip())
        directory = lines[0].split("its log is ")[1].split("/emulator.log")[0]
        assert [line for line in lines if line.startswith("unset ")] == [f"unset {name}" for name in FOREIGN]
        assert any(line.startswith("export AWS_ENDPOINT_URL=http://127.0.0.1:") for line in lines)
        process.terminate()
        assert process.wait(30) == 143
    assert not Path(directory).exists()
