"""The same stacks for Sceptre: a project of its own, and its commands as whole processes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from chain.environment.graph import Graph

PROGRAM = os.environ.get("SCEPTRE", str(Path(__file__).parent.parent / "out" / "sceptre" / "bin" / "sceptre"))
"""Installed from requirements/bench.lock into a virtual environment of its own, for it pins other versions than we do."""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "deploy": ("launch", "-y", "chain"),
    "plan": ("diff", "chain"),
    "status": ("status", "chain"),
    "destroy": ("delete", "-y", "chain"),
}


def is_here() -> bool:
    """Whether it can be measured."""
    return Path(PROGRAM).exists()


def name(site: str, layer: str) -> str:
    """What Sceptre calls a stack; its resolver asks for no other name."""
    return f"bench-chain-{site}-{layer}"


def project(graph: Graph, folder: Path) -> None:
    """Write the graph as Sceptre's project: a group for each site, a wire as a resolver."""
    (folder / "templates").mkdir(parents=True)
    (folder / "config" / "chain").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text("project_code: bench\nregion: eu-west-1\n", encoding="utf-8")
    place = {stack.id: f"chain/{stack.site}/{stack.template.layer}.yaml" for stack in graph.stacks}
    for stack in graph.stacks:
        group = folder / "config" / "chain" / stack.site
        group.mkdir(exist_ok=True)
        (group / "config.yaml").write_text(f"region: {stack.region}\n", encoding="utf-8")
        (folder / "templates" / f"{stack.template.layer}.yaml").write_text(stack.template.body, encoding="utf-8")
        answers: dict[str, Any] = {**stack.values}
        answers |= {name: f"!stack_output {place[wire.stack]}::{wire.output}" for name, wire in stack.wires.items()}
        config = {
            "template": {"path": f"{stack.template.layer}.yaml", "type": "file"},
            "parameters": answers,
            "stack_tags": dict(stack.tags),
        }
        text = re.sub(r"'(!stack_output [^']*)'", r"\1", yaml.safe_dump(config, width=1000))
        (group / f"{stack.template.layer}.yaml").write_text(text, encoding="utf-8")


def argv(command: str) -> list[str]:
    """One of its commands."""
    return [PROGRAM, *COMMANDS[command]]
