"""Measure the log archive: throughput and memory of archiving and replaying, beside ``pg_recvlogical`` on the same workload.

Prints a table of Markdown. A real PostgreSQL 15 on loopback; each program is a process of its own with its largest resident set.
MB are those of the decoder's text, which is what each of the three has to handle.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]
PATHS = os.pathsep.join(str(ROOT / name) for name in ("", "functions", "functions/log_archive"))
USER, PASSWORD = "bench", "Password.of_the~bench-0000000"
SETTINGS = {
    "wal_level": "logical",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "512MB",
    "log_min_messages": "warning",
}
TABLE = (
    "CREATE TABLE public.citizens (id bigint PRIMARY KEY, name text, address text, born date, balance numeric, document jsonb)"
)
ROWS = (
    "INSERT INTO public.citizens SELECT n, md5(n::text), repeat(md5((n * 7)::text), 3), '1970-01-01'::date + (n % 20000)::int,"
    " n * 1.25, jsonb_build_object('number', n, 'tags', ARRAY['a', 'b']) FROM generate_series({first}, {last}) n"
)
ARCHIVE = "import sys; from log_archive.handler import handler; print(handler({}, None))"
REPLAY = "import sys; from replay.command import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True)
class Workload:
    """What is committed, as statements that are transactions of their own."""

    name: str
    prepared: Sequence[str]
    statements: Sequence[str]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    rows = parser.parse_args().rows
    from emulator.authority import Authority
    from emulator.postgres import Server

    scratch = Path(tempfile.mkdtemp(prefix="standby-bench-"))
    scratch.chmod(0o711)
    authority = Authority.create(scratch / "authority")
    server = Server.create(scratch / "server", user=USER, password=PASSWORD, authority=authority, settings=SETTINGS)
    server._administer(f"ALTER ROLE {USER} REPLICATION;\n\nGRANT SET ON PARAMETER session_replication_role TO {USER};\n\n")
    print(f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}; PostgreSQL 15 on loopback, TLS\n")
    print("| workload | program | rows | MB | seconds | rows/s | MB/s | peak MiB |\n|---|---|---|---|---|---|---|---|")
    try:
        server.start()
        for index, workload in enumerate(_workloads(rows)):
            for line in _measured(server, authority.root, scratch, f"bench{index}", workload):
                print(line, flush=True)
        print(
            "\nThe look at the catalogue, in every run: "
            + ", ".join(_look(server, root=authority.root, tables=n) for n in (100, 3_000))
        )
    finally:
        server.destroy()
        shutil.rmtree(scratch)


def _workloads(rows: int) -> Iterator[Workload]:
    yield Workload("one transaction of inserts", (), (ROWS.format(first=1, last=rows),))
    small = rows // 10
    statements = [ROWS.format(first=at, last=at + 9) for at in range(1, small, 10)]
    yield Workload("transactions of 10 inserts", (), statements)
    yield Workload(
        "updates and deletes by key",
        (ROWS.format(first=1, last=rows // 2),),
        ("UPDATE public.citizens SET balance = balance + 1", "DELETE FROM public.citizens WHERE id % 2 = 0"),
    )


def _measured(server: Any, root: Path, scratch: Path, name: str, workload: Workload) -> Iterator[str]:
    from tests.servers import secrets_manager

    for database in (name, f"{name}_target"):
        _run(server, root, "postgres", f"CREATE DATABASE {database}")
        _run(server, root, database, TABLE, *workload.prepared)
    directory = scratch / name
    directory.mkdir()
    slots = [f"{name}_recvlogical", f"{name}_archive"]
    for slot in slots[:1]:
        _run(server, root, name, f"SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')")
    with secrets_manager.running() as service:
        arn = service.create({"username": USER, "password": PASSWORD, "dbname": name})
        environment = {
            **service.environment,
            "DATABASE_HOST": server.host,
            "DATABASE_PORT": str(server.port),
            "PGSSLROOTCERT": str(root),
            "SECRET_ARN": arn,
            "ARCHIVE_DIRECTORY": str(directory),
            "ARCHIVE_SLOT": slots[1],
        }
        archive = [sys.executable, "-c", ARCHIVE]
        _process(archive, environment)  # the slot, and the archive's beginning
        begins = _begins(directory)
        _run(server, root, name, *workload.statements)
        end = _run(server, root, name, "SELECT pg_current_wal_flush_lsn()::text")[0][0]
        text = scratch / f"{name}.txt"
        received = [
            str(server.binaries / "pg_recvlogical"),
            *("-d", f"host={server.host} port={server.port} dbname={name} user={USER} sslmode=verify-full sslrootcert={root}"),
            *("-S", slots[0], "--start", "--endpos", end, "--no-loop", "-f", str(text), "--fsync-interval", "0"),
        ]
        first = _process(received, {"PGPASSWORD": PASSWORD})
        with text.open("rb") as file:
            changes = sum(line.startswith(b"table ") for line in file)
        size = text.stat().st_size / 1e6
        yield _line(workload.name, "pg_recvlogical to a file", changes, size, first)
        yield _line(workload.name, "archive", changes, size, _process(archive, environment))
    target = {
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": USER,
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": f"{name}_target",
        "PGSSLROOTCERT": str(root),
    }
    yield _line(
        workload.name, "verify", changes, size, _process([sys.executable, "-c", REPLAY, "verify", str(directory)], target)
    )
    apply = [sys.executable, "-c", REPLAY, "apply", str(directory), "--from", begins]
    yield _line(workload.name, "verify and replay", changes, size, _process(apply, target))
    compare = "SELECT count(*), md5(string_agg(md5(c::text), '' ORDER BY id)) FROM public.citizens c"
    if _run(server, root, name, compare) != _run(server, root, f"{name}_target", compare):
        sys.exit(f"{workload.name}: the target's rows are not the source's.")
    for slot in slots:
        _run(server, root, name, f"SELECT pg_drop_replication_slot('{slot}')")


def _look(server: Any, root: Path, tables: int) -> str:
    """What an entry says of the catalogue, with many tables: the median of five in one session."""
    sys.path[:0] = PATHS.split(os.pathsep)
    from archive import server as server_of
    from archive.state import State
    from common.database import Connection

    name = f"bench_{tables}_tables"
    _run(server, root, "postgres", f"CREATE DATABASE {name}")
    made = [f"{TABLE.replace('citizens', f't{number}')[:-1]}, mood public.mood)" for number in range(tables)]
    _run(server, root, name, "CREATE TYPE public.mood AS ENUM ('glad', 'sad')", *made, "ANALYZE")
    context = ssl.create_default_context(cafile=str(root))
    connection = Connection(USER, host=server.host, port=server.port, database=name, password=PASSWORD, ssl_context=context)
    server_of.Server(connection, name).settle()
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        State.of(connection)
        taken.append(time.perf_counter() - start)
    connection.close()
    return f"{statistics.median(taken):.2f} s with {tables:,} tables"


def _begins(directory: Path) -> str:
    from replay import verify
    from replay.chain import show

    return show(verify(directory).entries[0].to)


def _line(workload: str, program: str, rows: int, size: float, taken: tuple[float, float]) -> str:
    seconds, peak = taken
    rates = f"{rows / seconds:,.0f} | {size / seconds:.1f}"
    return f"| {workload} | {program} | {rows:,} | {size:.0f} | {seconds:.1f} | {rates} | {peak:.0f} |"


def _process(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall time in seconds and the largest resident set in MiB of a whole process, its start included.

    Asked of /proc while it runs: what wait4 says begins with the size of the process that started it.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PATHS, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    peak = 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
        peak = max(peak, int(found[1])) if found else peak
        time.sleep(0.005)
    seconds = time.perf_counter() - start
    said = process.stderr.read() if process.stderr else b""
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}:\n{said.decode()}")
    return seconds, peak / 1024


def _run(server: Any, root: Path, database: str, *statements: str) -> Any:
    with _login(server, root, database) as connection:
        rows = None
        for statement in statements:
            rows = connection.run(statement)
        return rows


@contextmanager
def _login(server: Any, root: Path, database: str) -> Iterator[Any]:
    import pg8000.native

    context = ssl.create_default_context(cafile=str(root))
    with pg8000.native.Connection(
        USER, host=server.host, port=server.port, database=database, password=PASSWORD, ssl_context=context
    ) as connection:
        yield connection


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
