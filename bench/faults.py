"""Two hundred faults in what is shipped, drawn by a seed: whether the suite finds after a change what it found before.

    python bench/faults.py run [NUMBERS...] [--write]     try faults of bench/faults.csv; `--write` puts down who found them
    python bench/faults.py map [ARGUMENTS...]             which tests reach which fault; arguments go on to pytest
    python bench/faults.py draw --seed N                  a new list, of which nothing is found yet

A comparison, a condition, `and`, `or` or `not` is negated, a constant changed, or a call left out; the rest of the file keeps its
bytes. A line of the list names its place by function and text, so that it survives moves, of files too. A place that is gone, or
that is there twice, is said to be gone and never counts as found: give its number a new line. Faults are tried in a clone of what
is committed, never in the work tree.

Exit codes of `run`: 0 what the list says is found is found, 1 a fault is no longer found, 2 it could not be tried.

cosmic-ray, mutmut and mutatest leave no calls out and keep no list that outlives a change of lines, so this reads `ast` itself.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "bench/faults.csv"
MAP = ROOT / "out/faults.json"
SEED, COUNT = 15, 200
SHIPPED = ("model", "protocol", "generator", "compliance", "recovery", "documents", "chain", "replay", "functions")
ALONE = ("build.py", "deploy.py")
PACKED = ("functions/", "protocol/")
SHAPED = ("model/", "protocol/", "generator/", "compliance/", "recovery/", "documents/", "build.py")
GOLDENS = "tests/test_build.py::test_every_generated_file_is_what_its_source_builds"
PAGE = "AssertionError: assert ['docs/index.html'] == []"
"""The page is not committed: every build makes it anew, so that the goldens alone find no fault in it."""

KINDS = ("negated", "changed", "left out")
PAIRS = (("==", "!="), ("<", ">="), (">", "<="), ("in", "not in"), ("is", "is not"), ("and", "or"))
NEGATED = {old: new for one, other in PAIRS for old, new in ((one, other), (other, one))}
OPERATOR = re.compile(rb"(?<![\w#])(==|!=|<=|>=|<|>|not\s+in|in|is\s+not|is|and|or)(?!\w)")
PLAIN = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)
WIDTHS = ("near", "room", "whole")
"""Tests named after the file; those of its package too; the whole suite."""

MEMORY = 6 << 30  # a fault may take without end


@dataclass(frozen=True)
class Fault:
    """A line of the list."""

    number: int
    file: str
    function: str
    kind: str
    line: str
    replacement: str
    found_by: str = ""


@dataclass(frozen=True)
class Place:
    """Where a fault goes into a source: bytes ``start`` to ``end`` become ``text``; ``lines`` are those of its statement."""

    function: str
    kind: str
    line: str
    replacement: str
    start: int
    end: int
    text: bytes
    number: int
    lines: range

    @property
    def name(self) -> tuple[str, str, str, str]:
        """By which the list knows it."""
        return self.function, self.kind, self.line, self.replacement

    def into(self, source: bytes) -> bytes:
        """The source with the fault."""
        return source[: self.start] + self.text + source[self.end :]


class _Reader(ast.NodeVisitor):
    """The places of one source. What only people or type checkers read is none, nor a sentence that is raised."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.rows = source.split(b"\n")
        self.begins = [0]
        for row in self.rows:
            self.begins.append(self.begins[-1] + len(row) + 1)
        self.names: list[str] = []
        self.lines = range(0)
        self.found: list[Place] = []
        self.visit(ast.parse(source))

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            self.lines = range(node.lineno, body[0].lineno if body else (node.end_lineno or node.lineno) + 1)
        super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._inside(node.name, [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside(node.name, node.body)

    def _inside(self, name: str, nodes: Iterable[ast.AST]) -> None:
        self.names.append(name)
        for node in nodes:
            self.visit(node)
        self.names.pop()

    def visit_Raise(self, node: ast.Raise) -> None:
        """A sentence."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Where its parts stand is not known before Python 3.12."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "strict":  # of zip: nothing but a check of ours
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if not re.match(r"(typing\.)?TYPE_CHECKING$|__name__ ==", ast.unparse(node.test)):
            self._condition(node)

    def _condition(self, node: ast.If | ast.While | ast.IfExp) -> None:
        self._asks(node.test)
        self.generic_visit(node)

    visit_While = visit_IfExp = _condition  # noqa: N815

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._asks(test)
        self.generic_visit(node)

    def _asks(self, test: ast.expr) -> None:
        if isinstance(test, PLAIN):
            self._add("negated", self._at(test)[0], self._at(test)[0], b"not ")

    def visit_Compare(self, node: ast.Compare) -> None:
        self._between([node.left, *node.comparators])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._between(node.values)
        self.generic_visit(node)

    def _between(self, operands: list[ast.expr]) -> None:
        for left, right in pairwise(operands):
            begin, end = self._at(left)[1], self._at(right)[0]
            found = list(OPERATOR.finditer(self.source, begin, end))
            if len(found) == 1:  # a comment may hold another
                old = b" ".join(found[0][1].split()).decode()
                self._add("negated", *found[0].span(1), NEGATED[old].encode())

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            start = self._at(node)[0]
            self._add("negated", start, start + len(re.match(rb"not\s*", self.source[start:])[0]), b"")  # type: ignore[index]
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        start, end = self._at(node)
        if isinstance(node.value, bool):
            self._add("changed", start, end, str(not node.value).encode())
        elif isinstance(node.value, int | float):
            self._add("changed", start, end, repr(node.value + 1).encode())
        elif isinstance(node.value, str | bytes) and not re.search(rb"\s", self.source[start:end]):  # with spaces it is a text
            quotes = 3 if self.source[start:end].endswith((b'"""', b"'''")) else 1
            self._add("changed", end - quotes, end - quotes, b"x")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._add("left out", *self._at(node), b"pass")
            ast.NodeVisitor.generic_visit(self, node.value)
        elif not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        if isinstance(node.value, ast.Call):
            self._add("left out", *self._at(node.value), b"()")
            ast.NodeVisitor.generic_visit(self, node.value)
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Of a call with one argument, that argument is left; a literal would be no more than its name for something else."""
        if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred | ast.JoinedStr | ast.Constant):
            start, end = self._at(node.args[0])
            left = self.source[start:end]
            self._add("left out", *self._at(node), left if isinstance(node.args[0], PLAIN) else b"(%s)" % left)
        self.generic_visit(node)

    def _at(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None  # noqa: S101
        assert node.end_col_offset is not None  # noqa: S101
        return self.begins[node.lineno - 1] + node.col_offset, self.begins[node.end_lineno - 1] + node.end_col_offset

    def _add(self, kind: str, start: int, end: int, text: bytes) -> None:
        row = self.source.count(b"\n", 0, start)
        line = self.rows[row].decode().strip()
        after = self.source.find(b"\n", end)
        new = self.source[self.begins[row] : start] + text + self.source[end : after if after >= 0 else None]
        if b"\n" not in new:
            function = ".".join(self.names) or "<module>"
            self.found.append(Place(function, kind, line, new.decode().strip(), start, end, text, row + 1, self.lines))


def places(source: bytes) -> list[Place]:
    """What may be made wrong in a source, where the list's names tell one from another."""
    found = _Reader(source).found
    count = Counter(place.name for place in found)
    return [place for place in found if count[place.name] == 1]


def parses(source: bytes, place: Place) -> bool:
    """Whether the source is Python with the fault too."""
    try:
        ast.parse(place.into(source))
    except SyntaxError:
        return False
    return True


def draw(sources: Mapping[str, bytes], seed: int, count: int) -> list[Fault]:
    """As many faults of each kind; of each, every line that has one is as likely as any other, and none is drawn twice."""
    chance = random.Random(seed)  # noqa: S311  of no use to an attacker
    of = {kind: list[tuple[str, Place]]() for kind in KINDS}
    for file in sorted(sources):
        for place in places(sources[file]):
            of[place.kind].append((file, place))
    taken = set[tuple[str, int]]()
    faults: list[Fault] = []
    while len(faults) < count:
        some = of[KINDS[len(faults) % len(KINDS)]]
        file, number = chance.choice(sorted({(file, place.number) for file, place in some} - taken))
        taken.add((file, number))
        place = chance.choice([place for at, place in some if (at, place.number) == (file, number)])
        if parses(sources[file], place):
            faults.append(Fault(len(faults) + 1, file, *place.name))
    placed = sorted(faults, key=lambda fault: (fault.file, fault.function, fault.line))
    return [replace(fault, number=number) for number, fault in enumerate(placed, 1)]


def shipped(root: Path) -> dict[str, bytes]:
    """The sources of the product, by their paths."""
    files = [*(root / name for name in ALONE), *(path for room in SHIPPED for path in (root / room).rglob("*.py"))]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(files)}


def find(faults: Iterable[Fault], sources: Mapping[str, bytes]) -> dict[int, tuple[str, Place]]:
    """Where faults are now, by number: in their files, or in the one other that has such a place."""
    known: dict[tuple[str, str, str, str], dict[str, Place]] = {}
    for file, source in sources.items():
        for place in places(source):
            known.setdefault(place.name, {})[file] = place
    found = {}
    for fault in faults:
        at = known.get((fault.function, fault.kind, fault.line, fault.replacement), {})
        file = fault.file if fault.file in at else next(iter(at), "") if len(at) == 1 else ""
        if file:
            found[fault.number] = file, at[file]
    return found


def read(path: Path = LIST) -> list[Fault]:
    """The list."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Fault(**{**row, "number": int(row["number"])}) for row in csv.DictReader(file)]  # type: ignore[arg-type]


def write(faults: Iterable[Fault], path: Path = LIST) -> None:
    """Put the list down, whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [*Fault.__dataclass_fields__], lineterminator="\n")
        table.writeheader()
        table.writerows(vars(fault) for fault in faults)
    part.replace(path)


@dataclass
class Tree:
    """A clone of what is committed, in which tests are run."""

    root: Path
    sound: dict[str, bool] = field(default_factory=dict)
    """Whether a test passes where nothing is wrong."""

    clock: int = field(default_factory=lambda: int(time.time()))

    def put(self, name: str, content: bytes) -> None:
        """Write a file; a time that it never had keeps Python from taking what it compiled of another content."""
        self.clock += 1
        (self.root / name).write_bytes(content)
        os.utime(self.root / name, (self.clock, self.clock))

    @contextmanager
    def fault(self, file: str, source: bytes) -> Iterator[None]:
        """The tree with one file changed; what is packed has its name, since every edit changes that."""
        kept = {file: (self.root / file).read_bytes()}
        self.put(file, source)
        try:
            if file.startswith(PACKED):
                for name, text in self._renamed():
                    kept[name] = (self.root / name).read_bytes()
                    self.put(name, text)
            yield
        finally:
            for name, content in kept.items():
                self.put(name, content)

    def _renamed(self) -> Iterator[tuple[str, bytes]]:
        program = (
            "from pathlib import Path; from generator.packages import package\n"
            "for path in Path('functions').glob('*/handler.py'):\n"
            "    print(package(path.parent.name).write(Path('out/packages')).name)"
        )
        told = subprocess.run(
            [sys.executable, "-c", program], cwd=self.root, env=_environment(), capture_output=True, text=True, check=False
        )
        names = {key.rsplit("-", 1)[0]: key for key in told.stdout.split()}
        for path in sorted((self.root / "templates").rglob("*.yaml")):
            old = path.read_text(encoding="utf-8")
            new = re.sub(r"\b([a-z_]+)-[0-9a-f]{8}\.zip", lambda match: names.get(match[1], match[0]), old)
            if new != old:
                yield path.relative_to(self.root).as_posix(), new.encode()

    def pytest(self, tests: Iterable[str], limit: float, *more: str) -> tuple[str, str]:
        """What came of tests (``passed``, ``failed``, ``hangs``, ``none``) and the function of the test that failed or hangs."""
        command = [sys.executable, "-m", "pytest", "-x", "-v", "-p", "no:cacheprovider", "--tb=no", *more, *tests]
        log = self.root / "out/faults.log"
        with log.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env=_environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_bounded,
            )
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)
        said = log.read_text(encoding="utf-8", errors="replace")
        if code is None:
            begun = re.findall(r"^(tests/\S+::\w+)", said, re.MULTILINE)
            return "hangs", begun[-1] if begun else ""
        if PAGE in said:
            return "passed", ""
        if code in (1, 2):
            failed = re.search(r"^(?:FAILED|ERROR) (tests/[\w/.]+(?:::\w+)*)", said, re.MULTILINE)
            return "failed", failed[1] if failed else ""
        if code == 4 and "while loading conftest" in said:  # which imports what is wrong
            return "failed", next(iter(tests), "")
        return ("passed" if code == 0 else "none"), ""

    def passes(self, test: str, limit: float) -> bool:
        """Whether a test passes in the tree as it is; asked once."""
        if test not in self.sound:
            self.sound[test] = self.pytest([test], limit)[0] == "passed"
        return self.sound[test]


def _environment() -> dict[str, str]:
    """As make's: where bytecode is not to be written, every process would compile all that it imports."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONUTF8": "1",
        "COLUMNS": "250",
    }


def _bounded() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a shell's background jobs do not hear
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End pytest and what it began: politely first, so that servers are taken down."""
    for sent in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
            process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


@contextmanager
def clone() -> Iterator[Tree]:
    """A throw-away clone that is built; it uses the environment of this one and installs nothing into it."""
    with tempfile.TemporaryDirectory(prefix="standby-faults-", ignore_cleanup_errors=True) as scratch:
        root = Path(scratch) / "standby"
        subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(root)], check=True)
        for name in (".venv", ".venv-checkov"):
            if (ROOT / name).exists():
                (root / name).symlink_to((ROOT / name).resolve())
        for lock in (root / "requirements").glob("*.lock"):
            os.utime(lock, (0, 0))
        subprocess.run([sys.executable, "build.py"], cwd=root, env=_environment(), check=True, stdout=subprocess.DEVNULL)
        yield Tree(root)


def attempts(fault: Fault, file: str, root: Path, reached: list[str], width: str) -> Iterator[list[str]]:
    """Tests that may find a fault, the likeliest and quickest first, as far as one of ``WIDTHS``."""
    if fault.found_by:
        yield where(fault.found_by.removesuffix(" (hangs)"), root)
    if file.startswith(SHAPED):
        yield [GOLDENS]
    yield reached
    files = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py")}
    room = f"tests/{file.split('/')[0]}"
    near = sorted(at for at in files if at.startswith((f"{room}/", "tests/test_")))
    names = [name for name in (*Path(file).parts[1:-1], Path(file).stem) if name not in ("handler", "__init__")]
    for name in reversed(names):  # tests/functions/test_failover_replica.py is of functions/failover/orchestration/replica.py
        yield [at for at in near if re.search(rf"_{name}s?(_|\.py)", at)]
    if width == "near":
        return
    asked = re.compile(rf"^(from|import) .*\b{names[-1] if names else Path(file).stem}\b", re.MULTILINE)
    yield [at for at in near if asked.search(files[at])]
    yield [room] if (root / room).is_dir() else []
    if width == "whole":
        yield ["tests"]


def where(test: str, root: Path) -> list[str]:
    """A test that the list names, wherever it is now."""
    path, _, name = test.partition("::")
    if not name:
        return [path] if (root / path).exists() else []
    text = f"def {name.rsplit('::')[-1]}("
    files = [root / path, *sorted((root / "tests").rglob("test_*.py"))]
    found = [one for one in files if one.exists() and text in one.read_text(encoding="utf-8")]
    return [f"{one.relative_to(root).as_posix()}::{name}" for one in found[:1]]


def seek(fault: Fault, file: str, wrong: bytes, tree: Tree, reached: list[str], limits: argparse.Namespace) -> tuple[str, str]:
    """What came of a fault (``found``, ``not found``, ``not found in time``), and the test that finds it."""
    end = time.monotonic() + limits.ceiling
    tried: list[str] = []
    for tests in attempts(fault, file, tree.root, reached, limits.width):
        left = [test for test in tests if test not in tried and test.split("::")[0] not in tried]
        came = "failed" if left else ""
        while came == "failed":  # by a test that fails where nothing is wrong, so that it tells nothing
            rest = end - time.monotonic()
            if rest < 5:
                return "not found in time", ""
            spared = [*tried, *(test for test, sound in tree.sound.items() if not sound)]
            with tree.fault(file, wrong):
                came, test = tree.pytest(left, rest, *(word for one in spared for word in ("--deselect", one)))
            if came == "failed" and (not test or tree.passes(test, limits.ceiling)):
                return ("found" if test else "could not be tried"), test
            if came == "hangs" and test and _hangs(test, tree, lambda: tree.fault(file, wrong)):
                return "found", f"{test} (hangs)"
        tried += left
    return "not found", ""


def _hangs(test: str, tree: Tree, wrong: Callable[[], AbstractContextManager[None]]) -> bool:
    """Whether a test that passes soon where nothing is wrong does not end."""
    begun = time.monotonic()
    if tree.pytest([test], 120)[0] != "passed":
        return False
    with wrong():
        return tree.pytest([test], max(30, 4 * (time.monotonic() - begun)))[0] == "hangs"


def run(options: argparse.Namespace) -> int:
    """Try faults and say what came of each."""
    faults = read()
    reached = json.loads(MAP.read_text(encoding="utf-8")) if MAP.exists() else {}
    came: Counter[str] = Counter()
    lost: list[int] = []
    gone: list[int] = []
    with clone() as tree:
        sources = shipped(tree.root)
        at = find(faults, sources)
        for fault in [one for one in faults if one.number in options.numbers or not options.numbers]:
            begun = time.monotonic()
            word, test = "gone", ""
            if fault.number in at:
                file, place = at[fault.number]
                word, test = seek(fault, file, place.into(sources[file]), tree, reached.get(str(fault.number), []), options)
            came[word] += 1
            said = f"{word} by {test}" if test else word
            if not test and fault.found_by:
                (gone if word == "gone" else lost).append(fault.number)
                said += f"; it was found by {fault.found_by}"
            print(f"{fault.number:4} {time.monotonic() - begun:6.1f} s  {fault.file} {fault.function}: {said}", flush=True)
            if options.write and test:
                faults = [replace(one, found_by=test) if one.number == fault.number else one for one in faults]
                write(faults)
    print(", ".join(f"{count} {word}" for word, count in sorted(came.items())))
    print(f"no longer found: {lost or 'none'}; gone: {gone or 'none'}")
    return 1 if lost else 2 if gone else 0


def chart(options: argparse.Namespace) -> int:
    """Run tests with coverage's contexts; keep for each fault the tests that reach its statement, the narrowest first."""
    from coverage import CoverageData  # of the tests, not of the product

    with clone() as tree:
        code = tree.pytest(
            ["--dist=no", "--cov", "--cov-context=test", "--cov-report=", "--maxfail=1000", *options.arguments], 3 * 3600
        )
        print(*code)
        data = CoverageData(str(tree.root / ".coverage"))
        data.read()
        at = find(read(), shipped(tree.root))
        files = {file: data.contexts_by_lineno(str(tree.root / file)) for file in shipped(tree.root)}
        width = Counter(_function(test) for lines in files.values() for tests in lines.values() for test in tests)
        reached = json.loads(MAP.read_text(encoding="utf-8")) if MAP.exists() else {}
        for number, (file, place) in at.items():
            tests = {_function(test) for line in place.lines for test in files[file].get(line, []) if test}
            if tests:
                reached[str(number)] = sorted(tests, key=lambda test: (width[test], test))[:40]
        MAP.parent.mkdir(exist_ok=True)
        MAP.write_text(json.dumps(reached, indent=1), encoding="utf-8")
    print(f"{len(reached)} faults are reached by tests; {MAP.relative_to(ROOT)}")
    return 0


def anew(options: argparse.Namespace) -> int:
    """Draw another list."""
    write(draw(shipped(ROOT), options.seed, COUNT))
    return 0


def _function(context: str) -> str:
    """The function of a test, of coverage's name for one of its phases."""
    return context.split("[")[0].split("|")[0]


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run", help="try faults")
    running.add_argument("numbers", type=int, nargs="*", help="default: all")
    running.add_argument("--write", action="store_true", help="put down in the list which test found them")
    running.add_argument("--ceiling", type=float, default=300, help="seconds for one fault; default 300")
    running.add_argument("--width", choices=WIDTHS, default="room", help="how far to look; default room, whole wants hours")
    running.set_defaults(do=run)
    mapping = commands.add_parser("map", help="which tests reach which fault")
    mapping.add_argument("arguments", nargs=argparse.REMAINDER, help="for pytest")
    mapping.set_defaults(do=chart)
    drawing = commands.add_parser("draw", help="a new list")
    drawing.add_argument("--seed", type=int, default=SEED)
    drawing.set_defaults(do=anew)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the clone goes, and what runs in it
    return int(options.do(options))


if __name__ == "__main__":
    sys.exit(main())
