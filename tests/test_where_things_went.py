"""The table of what moved since 4af59d0 leads to what is there."""

import importlib.util
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_spec = importlib.util.spec_from_file_location("where_things_went", ROOT / ".ci/where_things_went.py")
assert _spec is not None
assert _spec.loader is not None
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


def test_every_file_of_before_is_where_it_was_or_in_the_table() -> None:
    table = script.rows((ROOT / script.TABLE).read_text(encoding="utf-8"))
    assert len(table) > 150
    before = script.then()
    assert not list(script.wrong(table, before))
    asked = ["git", "rev-parse", "--is-shallow-repository"]
    whole = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout == "false\n"
    assert len(before) > 500 or not whole


def test_what_does_not_hold_is_said(tmp_path: Path) -> None:
    for name in ("here.py", "new.py", "still.py"):
        (tmp_path / name).touch()
    table = {"old.py": "new.py", "here.py": "new.py", "moved.py": "nowhere.py"}
    said = list(script.wrong(table, ["old.py", "still.py", "lost.py"], tmp_path))
    assert [one.split()[0] for one in said] == ["here.py", "moved.py", "lost.py"]
