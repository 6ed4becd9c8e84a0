"""A recipe of CONTRIBUTING.md, followed: from its own text to stacks that stand."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import build
from tests.support import unmeasured

ROOT = Path(__file__).resolve().parent.parent
RECIPE = re.compile(r"^### Add a system\n(.+?)^### ", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^```[a-z]+\n# (\S+)\n(.+?)^```$", re.MULTILINE | re.DOTALL)
NAMES = re.compile(r"^In `(\S+)` import it and add it to `(\w+)`\.$", re.MULTILINE)

pytestmark = pytest.mark.xdist_group("recipe")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build reads, and on top of it what the recipe says."""
    root = tmp_path_factory.mktemp("recipe")
    for name in build.SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    (recipe,) = RECIPE.findall((ROOT / "CONTRIBUTING.md").read_text())
    files = dict(FILE.findall(recipe))
    for name, text in files.items():
        assert not (root / name).exists()
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    ((package, systems),) = NAMES.findall(recipe)
    (module,) = (Path(name) for name in files if Path(name).parent == Path(package).parent)
    imported = f"from {'.'.join(module.with_suffix('').parts)} import {module.stem.upper()}"
    before = (root / package).read_text()
    after = before.replace(f"{systems} = (", f"{imported}\n\n{systems} = ({module.stem.upper()}, ")
    assert after != before
    (root / package).write_text(after)
    return root


def _run(root: Path, *command: str, **environment: str) -> str:
    asked = [sys.executable, *command]
    given = {**unmeasured.environment(), **environment}
    ended = subprocess.run(asked, cwd=root, env=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_recipe_for_a_system_leads_to_one_that_stands(checkout: Path) -> None:
    _run(checkout, "build.py")
    layers = {path.stem for path in (checkout / "templates/orders").glob("*.yaml")}
    assert layers
    assert (checkout / "docs/operations/orders.md").is_file()
    with unmeasured.running() as aws:
        _run(checkout, "deploy.py", "deploy", "--env", "new", "--system", "orders", **aws.environment)
        stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
        assert {stack["StackName"] for stack in stacks} == {f"orders-{layer}-new" for layer in layers}
        assert {stack["StackStatus"] for stack in stacks} == {"CREATE_COMPLETE"}
        _run(checkout, "deploy.py", "status", "--env", "new", "--system", "orders", **aws.environment)
