"""The reader and cfn-flip read the same; parameter files and templates alike."""

from pathlib import Path

import pytest
from cfn_flip import load_yaml

from model import read

TEMPLATES = sorted(Path("templates").glob("*/*.yaml"))


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
def test_every_template_reads_as_cfn_flip_reads_it(path: Path) -> None:
    assert read(path.read_text()) == load_yaml(path.read_text())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!Ref A", {"Ref": "A"}),
        ("!Condition A", {"Condition": "A"}),
        ("!GetAtt A.B.C", {"Fn::GetAtt": ["A", "B.C"]}),
        ("!GetAtt [A, B]", {"Fn::GetAtt": ["A", "B"]}),
        ("!Sub ['${x}', {x: !Ref A}]", {"Fn::Sub": ["${x}", {"x": {"Ref": "A"}}]}),
        ("!Transform {Name: A, Parameters: {B: c}}", {"Fn::Transform": {"Name": "A", "Parameters": {"B": "c"}}}),
        ("2010-09-09", "2010-09-09"),
    ],
)
def test_short_forms_become_long_forms(text: str, value: object) -> None:
    assert read(f"x: {text}") == {"x": value}


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert read("# nothing\n") == {}


def test_a_tag_that_makes_python_objects_makes_none() -> None:
    assert read("x: !!str 1") == {"x": "1"}
    with pytest.raises(Exception, match="could not determine a constructor"):
        read("x: !!python/object/apply:os.getcwd []")
