"""Faults that are drawn are of one place each, and the committed list names places or says that they are gone."""

import ast
import difflib
from pathlib import Path

import pytest

from bench import faults

SOURCE = '''\
"""What nobody runs: a == b."""

from dataclasses import dataclass

__all__ = ["weigh"]
ZONES = ("é", "b")


@dataclass(frozen=True)
class Scale:
    """A scale: True."""

    name: str = "plain"

    def weigh(self, load: "Load", most: int = 3) -> list[str]:
        """Never more than 3."""
        if not load and most >= 2 or self.name in ZONES:
            raise ValueError("too much")
        say(f"{load == most}", "a sentence that people read")
        yield from sorted(
            load,
            reverse=True,
        )
        return [str(each) for each in load if each]
'''


def _drawn() -> list[faults.Place]:
    return faults.places(SOURCE.encode())


def test_each_kind_of_fault_is_found_where_the_program_runs() -> None:
    assert {(place.kind, place.function, place.replacement) for place in _drawn()} == {
        ("changed", "<module>", 'ZONES = ("éx", "b")'),
        ("changed", "<module>", 'ZONES = ("é", "bx")'),
        ("changed", "Scale", 'name: str = "plainx"'),
        ("changed", "Scale.weigh", 'def weigh(self, load: "Load", most: int = 4) -> list[str]:'),
        ("changed", "Scale.weigh", "if not load and most >= 3 or self.name in ZONES:"),
        ("changed", "Scale.weigh", "reverse=False,"),
        ("left out", "Scale.weigh", "pass"),
        ("left out", "Scale.weigh", "return [each for each in load if each]"),
        ("left out", "Scale.weigh", "yield from ()"),
        ("negated", "Scale.weigh", "if load and most >= 2 or self.name in ZONES:"),
        ("negated", "Scale.weigh", "if not load and most < 2 or self.name in ZONES:"),
        ("negated", "Scale.weigh", "if not load and most >= 2 and self.name in ZONES:"),
        ("negated", "Scale.weigh", "if not load and most >= 2 or self.name not in ZONES:"),
        ("negated", "Scale.weigh", "if not load or most >= 2 or self.name in ZONES:"),
        ("negated", "Scale.weigh", "return [str(each) for each in load if not each]"),
    }


@pytest.mark.parametrize("place", _drawn(), ids=lambda place: place.replacement)
def test_a_fault_is_another_program_that_differs_in_one_place(place: faults.Place) -> None:
    wrong = place.into(SOURCE.encode()).decode()
    assert ast.dump(ast.parse(wrong)) != ast.dump(ast.parse(SOURCE))
    matched = difflib.SequenceMatcher(None, SOURCE.splitlines(), wrong.splitlines()).get_opcodes()
    assert [tag for tag, *_ in matched].count("equal") == len(matched) - 1 <= 2


def test_what_is_drawn_is_the_seeds_and_of_every_kind() -> None:
    sources = {"a.py": SOURCE.encode(), "b.py": SOURCE.replace("Scale", "Other").encode()}
    drawn = faults.draw(sources, 7, 9)
    assert drawn == faults.draw(dict(reversed(sources.items())), 7, 9) != faults.draw(sources, 8, 9)
    assert sorted(fault.kind for fault in drawn) == sorted(faults.KINDS * 3)
    assert [fault.number for fault in drawn] == list(range(1, 10))


def test_a_place_is_known_after_its_line_and_its_file_have_moved_and_is_gone_when_it_is_there_twice() -> None:
    fault = faults.draw({"a.py": SOURCE.encode()}, 1, 6)[0]
    moved = ("# above\n" + SOURCE).encode()
    assert faults.find([fault], {"b.py": moved})[fault.number][0] == "b.py"
    assert faults.find([fault], {"b.py": moved, "c.py": moved}) == {}
    assert faults.find([fault], {"a.py": (SOURCE + SOURCE).encode()}) == {}
    assert faults.find([fault], {"a.py": b"pass\n"}) == {}


def test_the_list_holds_two_hundred_faults_each_of_which_is_at_a_place_or_gone() -> None:
    listed = faults.read()
    sources = faults.shipped(faults.ROOT)
    at = faults.find(listed, sources)
    assert [fault.number for fault in listed] == list(range(1, faults.COUNT + 1))
    assert at
    assert all(faults.parses(sources[file], place) for file, place in at.values())
    for number, (file, place) in at.items():
        wrong = place.into(sources[file]).decode().split("\n")
        assert wrong[place.number - 1].strip() == listed[number - 1].replacement


def test_the_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    listed = faults.read()
    faults.write(listed, tmp_path / "list.csv")
    assert (tmp_path / "list.csv").read_bytes() == faults.LIST.read_bytes()
