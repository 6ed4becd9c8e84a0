"""A build is current only while sources and outputs are those that it read and wrote."""

from pathlib import Path

import pytest

from generator import up_to_date


def test_any_change_makes_a_build_stale(tmp_path: Path) -> None:
    source, output, record = tmp_path / "source", tmp_path / "out.txt", tmp_path / "made" / "stamp.json"
    source.mkdir()
    (source / "a.py").write_text("1")
    output.write_text("x")
    assert not up_to_date.current(record, [source])
    up_to_date.write(record, [source], [output])
    assert up_to_date.current(record, [source])
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("cache")
    assert up_to_date.current(record, [source])
    output.unlink()
    assert not up_to_date.current(record, [source])
    output.write_text("x")
    (source / "b.py").write_text("")
    assert not up_to_date.current(record, [source])


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json"])
def test_a_broken_record_is_no_record(tmp_path: Path, text: str) -> None:
    record = tmp_path / "stamp.json"
    record.write_text(text)
    assert not up_to_date.current(record, [])
