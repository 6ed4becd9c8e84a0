"""Packages of functions: what a function's zip holds, and its name, which is the digest of that.

A template names the package that it deploys, so a reviewer reads which code runs, and an old checkout deploys the old code. The
name depends on sources and pinned distributions alone, not on the Python, the platform or the zip library that packs them.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from io import BytesIO
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PYTHON = "3.12"
"""What functions run on. Later ones check certificates more strictly (RFC 5280) than anybody has tried with those of RDS."""

LOCK = "requirements/run.lock"
BROUGHT = ("boto3", "botocore")  # by Lambda's runtime
SHARED = ("functions/common", "protocol")
"""What is packed into each function, under the last part of its path."""

LAMBDA = {
    "extra": "",
    "implementation_name": "cpython",
    "implementation_version": f"{PYTHON}.0",
    "os_name": "posix",
    "platform_machine": "aarch64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}
"""Where a package runs, in the words of a requirement's marker; the machine that packs it is another."""

OWN = (".py", ".pem")  # what is packed of our own folders
LICENCES = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
MODE = 0o100644 << 16  # a regular file that Lambda's user can read
UNIX = 3


class PackageError(ValueError):
    """A package cannot be made; the sentence says which one and what to do."""


@dataclass(frozen=True)
class Package:
    """A function's zip: ``key`` is its name in the artifacts bucket, ``files`` its paths and their bytes."""

    name: str
    key: str
    files: Mapping[str, bytes] = field(repr=False)

    def write(self, directory: Path) -> Path:
        """The zip in ``directory``, written where it is absent; nobody ever sees a part of it."""
        path = directory / self.key
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            part = directory / f".{self.key}.{os.getpid()}"
            part.write_bytes(_zip(self.files))
            part.replace(path)
        return path


def package(name: str, root: Path = ROOT) -> Package:
    """The package of the function in ``functions/<name>``, with what all functions share and the distributions that it needs."""
    folder = root / "functions" / name
    if not (folder / "handler.py").is_file():
        known = sorted(path.parent.name for path in (root / "functions").glob("*/handler.py"))
        raise PackageError(f"functions/{name} has no handler.py. The functions are {', '.join(known) or 'none yet'}.")
    shared = {path.name: path for path in (root / each for each in SHARED)}
    vendored = _vendored(_imported(folder, shared), root / LOCK)
    files = {**_own(folder, ""), **vendored}
    for top, path in shared.items():
        files |= _own(path, f"{top}/")
    return Package(name, f"{name}-{digest(files)[:8]}.zip", dict(sorted(files.items())))


def digest(files: Mapping[str, bytes]) -> str:
    """The digest of a content: of its sorted paths with the digest of each file."""
    lines = (f"{path}\0{hashlib.sha256(content).hexdigest()}\n" for path, content in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _own(folder: Path, prefix: str) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.suffix in OWN and path.is_file())
    return {prefix + path.relative_to(folder).as_posix(): _text(path.read_bytes()) for path in found}


def _text(content: bytes) -> bytes:
    """A text with the line ends that git holds, whatever those of the checkout are: two people pack the same."""
    return content.replace(b"\r\n", b"\n")


def _imported(folder: Path, shared: Mapping[str, Path]) -> set[str]:
    """What the function imports that neither Python nor its runtime brings, itself or through what it imports of the shared.

    What is imported has the name of its distribution.
    """
    own = {path.stem for path in folder.iterdir()}
    waiting, seen, found = sorted(folder.rglob("*.py")), set[Path](), set[str]()
    while waiting:
        source = waiting.pop()
        seen.add(source)
        for module in _modules(source):
            top, *rest = module.split(".")
            if top in shared:
                path = shared[top] / f"{rest[0] if rest else '__init__'}.py"
                waiting.extend(path for path in [path] if path.is_file() and path not in seen)
            elif top not in sys.stdlib_module_names and top not in own and top not in BROUGHT:
                found.add(top)
    return found


def _modules(source: Path) -> Iterator[str]:
    """Every module that a source imports, wherever in it; of ``from a import b`` both a and a.b, which may be one."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"), str(source))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _vendored(names: set[str], lock: Path) -> dict[str, bytes]:
    """Sources, licences and metadata of these distributions, and of those that they need."""
    pins = _pins(lock)
    files: dict[str, bytes] = {}
    waiting, seen = sorted(names), set[str]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        distribution = _installed(name, pins)
        waiting.extend(need for need in _requirements(distribution) if need not in seen)
        files.update(_contents(distribution))
    return files


def _pins(lock: Path) -> dict[str, str]:
    """Distribution to version, of a lock file."""
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {_canonical(name): version for name, version in pinned}


def _installed(name: str, pins: Mapping[str, str]) -> metadata.Distribution:
    if name not in pins:
        raise PackageError(
            f"{name} is packed into functions, but {LOCK} does not pin it. Name it in pyproject.toml, then: make lock ARGS=--keep"
        )
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise PackageError(f"{name} {pins[name]} is packed into functions, but is not installed. Run make setup.") from None
    if distribution.version != pins[name]:
        raise PackageError(
            f"{name} {distribution.version} is installed, but {LOCK} pins {pins[name]}. Run make setup: a function's "
            "package holds the pinned version only."
        )
    return distribution


def _requirements(distribution: metadata.Distribution) -> Iterator[str]:
    """What it needs where it runs, without extras: all machines pack the same."""
    for requirement in map(Requirement, distribution.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate(LAMBDA):
            yield _canonical(requirement.name)


def _contents(distribution: metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    """Its ``*.py``, and of its metadata the licences and METADATA, from which a distribution reads its own version."""
    for file in distribution.files or ():
        path = PurePosixPath(file.as_posix())
        about = path.parts[0].endswith(".dist-info")
        if path.parts[0] == "..":  # a script, beside the packages
            continue
        if path.suffix == ".py" or (about and (path.name == "METADATA" or LICENCES.match(path.name))):
            yield path.as_posix(), Path(str(distribution.locate_file(file))).read_bytes()


def _canonical(name: str) -> str:
    """A distribution's one spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _zip(files: Mapping[str, bytes]) -> bytes:
    """A zip with nothing in it but the content: sorted, stored, of one date and one mode."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.create_system = UNIX
            entry.external_attr = MODE
            archive.writestr(entry, content)
    return buffer.getvalue()
