"""Whatever is done to an archive, verification says what."""

# ruff: noqa: S608  statements with names of our own

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from replay import verify
from replay.chain import position, show
from tests.support.forgery import Forgery, read, write
from tests.support.functions.archives import Registry


@pytest.fixture
def forgery(tmp_path: Path) -> Forgery:
    """A begin and three segments."""
    forgery = Forgery(tmp_path)
    forgery.add("begin")
    for number in (1, 2, 3):
        rows = forgery.transaction(700 + number, 0x100 + number * 0x100, f"table public.t: INSERT: id[integer]:{number}")
        forgery.add("segment", rows)
    return forgery


def said(directory: Path, head: str | None = None) -> str:
    return "\n".join(map(str, verify(directory, head).problems))


def test_whole_archive_has_no_problem(forgery: Forgery) -> None:
    chain = verify(forgery.directory, forgery.digest)
    assert chain.problems == ()
    assert [entry.number for entry in chain.entries] == [1, 2, 3, 4]
    last = chain.entries[-1].last
    assert last is not None
    assert (last.xid, last.position, last.time) == (703, 0x400, "2026-07-02 12:00:00+00")


def test_archive_of_the_archiver_is_whole_and_every_changed_byte_is_found(registry: Registry) -> None:
    registry.archive()
    for number in range(3):
        registry.run(f"INSERT INTO public.citizens VALUES ({number})")
        registry.archive()
    assert verify(registry.directory).problems == ()
    assert len(registry.entries()) == 4
    for path in registry.entries():
        content = path.read_bytes()
        for at in range(0, len(content), 97):
            path.write_bytes(content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :])
            assert verify(registry.directory).problems != (), (path, at)
        for length in (0, 5, 40, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            assert verify(registry.directory).problems != (), (path, length)
        path.unlink()
        assert verify(registry.directory).problems != (), path
        path.write_bytes(content)
    assert verify(registry.directory).problems == ()


def _edited(index: int, edit: Callable[[list[str]], list[str]]) -> Callable[[Forgery], None]:
    return lambda forgery: void(write(forgery.paths[index], edit(read(forgery.paths[index]))))


def void(_: object) -> None:
    """For what is done for its effect."""


def _end(edit: Callable[[dict[str, object]], object]) -> Callable[[list[str]], list[str]]:
    def edited(lines: list[str]) -> list[str]:
        values = json.loads(lines[-1])
        edit(values)
        return [*lines[:-1], json.dumps(values)]

    return edited


def _header(edit: Callable[[dict[str, object]], object]) -> Callable[[list[str]], list[str]]:
    def edited(lines: list[str]) -> list[str]:
        values = json.loads(lines[0])
        edit(values)
        return [json.dumps(values), *lines[1:]]

    return edited


@pytest.mark.parametrize(
    ("done", "sentence"),
    [
        (_edited(1, lambda x: [x[0], x[1], x[2].replace(":1", ":9"), *x[3:]]), "says that entry 2 has the digest"),
        (_edited(1, lambda x: x[:-1]), "holds no end: it was cut off or changed"),
        (_edited(1, lambda x: x[:1]), "holds no end: it was cut off."),
        (_edited(1, lambda x: x[1:]), "holds no header"),
        (_edited(1, lambda x: ["no json", *x[1:]]), "holds no header"),
        (_edited(1, _header(lambda x: x.update(format=2))), "is of format 2; this program reads 1"),
        (_edited(1, _header(lambda x: x.pop("system"))), "its header lacks system"),
        (_edited(1, _end(lambda x: x.update(to=5))), "its end lacks to"),
        (_edited(1, _end(lambda x: x.pop("unreadable_sequences"))), "its end lacks unreadable_sequences"),
        (_edited(1, _end(lambda x: x.update(definitions=None))), "its end lacks definitions"),
        (_edited(1, _end(lambda x: x.update(storage=[]))), "its end lacks storage"),
        (_edited(1, _end(lambda x: x.update(to="x"))), "says 'x' where a position belongs"),
        (_edited(1, _header(lambda x: x.update(after="1/2/3"))), "says '1/2/3' where a position belongs"),
        (_edited(1, lambda x: [*x[:3], x[3].replace("0/", "0:"), *x[4:]]), "line 4 is a COMMIT without a position"),
        (_edited(1, _end(lambda x: x.update(changes=2))), "its end says 1 transactions with 2 changes, and it holds 1 with 1"),
        (_edited(1, lambda x: [x[0], *x[2:]]), "line 2 is a change outside a transaction"),
        (_edited(1, lambda x: [x[0], x[1], *x[1:]]), "line 3 is a BEGIN inside a transaction"),
        (_edited(1, lambda x: [*x[:-1], x[-2], x[-1]]), "is a COMMIT that ends nothing"),
        (_edited(1, lambda x: [*x[:-1], x[1], x[3], x[-1]]), "the commit at 0/200 is not after the one before it"),
        (lambda f: f.paths[1].write_bytes(b"\x1f\x8b\x08" + b"x" * 40), "cannot be unpacked beyond line 0"),
        (lambda f: f.paths[2].unlink(), "entry 3 before it is missing or cannot be read"),
        (lambda f: (f.paths[1].unlink(), f.paths[2].unlink()), "entry 2 to 3 before it is missing"),
        (lambda f: f.paths[0].unlink(), "is the oldest, and no entry says that those before number 2 were removed in order"),
        (
            lambda f: f.paths[1].rename(f.paths[1].with_name(f.paths[1].name.replace("002-", "009-"))),
            "it was renamed or replaced",
        ),
        (
            lambda f: shutil.copy(f.paths[1], f.paths[1].with_name(f.paths[1].name.replace("0200", "0201"))),
            "number 2 is there twice",
        ),
        (lambda f: f.paths[1].with_name("note.txt").write_text("x"), "note.txt: is no entry, by its name"),
        (lambda f: f.add("segment", to=0x500, header={"epoch": 2}), "epoch 2 follows epoch 1 without an entry that says why"),
        (lambda f: f.add("segment", to=0x500, header={"after": "0/3FF"}), "begins at 0/3FF, before the end of entry 4 at 0/400"),
        (lambda f: (f.directory / "head.json").write_text("{"), "head.json: cannot be read"),
        (
            lambda f: (f.directory / "head.json").write_text('{"number": 5, "sha256": ""}'),
            "the newest that is there is 4: the end",
        ),
        (lambda f: (f.directory / "head.json").write_text('{"number": 4, "sha256": "x"}'), "the entry was changed"),
        (lambda f: shutil.rmtree(f.directory / "epoch-000001"), "holds no entry of an archive"),
        (lambda f: shutil.rmtree(f.directory), "is no directory"),
    ],
)
def test_what_was_done_to_an_archive_is_said(forgery: Forgery, done: Callable[[Forgery], object], sentence: str) -> None:
    done(forgery)
    assert sentence in said(forgery.directory)


def test_end_that_was_cut_off_is_found_by_a_digest_from_elsewhere(forgery: Forgery) -> None:
    forgery.paths[-1].unlink()
    assert said(forgery.directory) == ""
    assert f"no entry has the digest {forgery.digest}" in said(forgery.directory, forgery.digest)


def test_what_pruning_condemned_is_not_missed(forgery: Forgery) -> None:
    header = json.loads(read(forgery.paths[2])[0])
    forgery.add("prune", header={"through": 2, "digest": header["previous"]})
    assert said(forgery.directory) == ""
    forgery.paths[0].unlink()
    assert said(forgery.directory) == ""
    forgery.paths[1].unlink()
    assert [entry.number for entry in verify(forgery.directory).entries] == [3, 4, 5]
    assert said(forgery.directory) == ""
    forgery.paths[2].unlink()
    assert "no entry says that those before number 4" in said(forgery.directory)


def test_positions_are_written_as_postgresql_does() -> None:
    assert (show(0x16B374D848), position("16/B374D848")) == ("16/B374D848", 0x16B374D848)
