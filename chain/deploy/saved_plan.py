"""A plan that was saved: what was to happen, and the world in which it was to happen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from chain.cloudformation.stack import Standing, State
from chain.deploy.plan import Step
from chain.environment.exit_codes import InputError, MovedError
from chain.environment.graph import Graph, Stack
from chain.run.record import digests

VERSION = 1


@dataclass(frozen=True)
class Saved:
    """A plan as it lies in its file."""

    content: Mapping[str, Any]

    def of(self, account: str) -> Saved:
        """The same, if it was made in this account."""
        if self.content["account"] != account:
            raise InputError([f"the plan was made in the account {self.content['account']}, and this is {account}: plan again"])
        return self

    def insist(self, graph: Graph, standing: Standing) -> None:
        """Refuse if anything is no longer as it was when the plan was made."""
        found = list(self._moved(graph, standing))
        if found:
            raise MovedError([*found, "Nothing was changed. Plan again, and look at what is new"])

    def changes(self, id_: str) -> Sequence[str] | None:
        """What may happen to the resources of a stack; None where the plan could not know."""
        step = self.content["stacks"][id_]
        return None if step["open"] else step["changes"]

    def _moved(self, graph: Graph, standing: Standing) -> Iterator[str]:
        planned = self.content["stacks"]
        known = {stack.id for stack in graph.stacks}
        yield from (f"{id_} was planned, and is no longer declared" for id_ in planned if id_ not in known)
        bodies = digests(graph)
        for stack in graph.stacks:
            one = planned.get(stack.id)
            if one is None:
                yield f"{stack.id} was not planned"
                continue
            if one["template"] != bodies[stack.id]:
                yield f"{stack.id}: its template is another one"
            if one["values"] != _given(stack):
                yield f"{stack.id}: its values or tags are others"
            if one["standing"] != _standing(standing[stack.region].get(stack.name)):
                yield f"{stack.id} was changed since: it stands otherwise than when it was planned"


def save(path: Path, account: str, suffix: str, systems: Sequence[str], steps: Sequence[Step], standing: Standing) -> None:
    """Write a plan: no value is in it, only digests, so it may be kept and sent."""
    steps = [step for step in steps if step.action != "unseen"]  # who applies it must see the same regions
    graph = Graph(tuple(step.stack for step in steps), {})
    bodies = digests(graph)
    stacks = {
        step.stack.id: {
            "action": step.action,
            "open": bool(step.unknown or step.note) and step.action in ("change", "none", "wait"),
            "changes": [f"{change.action} {change.resource}" for change in step.changes],
            "template": bodies[step.stack.id],
            "values": _given(step.stack),
            "standing": _standing(standing[step.stack.region].get(step.stack.name)),
        }
        for step in steps
    }
    content = {"version": VERSION, "account": account, "env": suffix, "systems": list(systems), "stacks": stacks}
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def writable(path: Path) -> None:
    """Refuse a place at which no plan can be saved, before it is made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError([f"{path} cannot be written ({error.strerror}); give --save another file"]) from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError([f"{path} cannot be written; give --save another file"])


def load(path: Path, suffix: str, systems: Sequence[str]) -> Saved:
    """Read a plan that was made for this environment and these systems."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        planned = (content["version"], content["env"], content["systems"], content["stacks"], content["account"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError([f"{path} is no saved plan: {error}; make one with plan --save"]) from error
    wanted = (VERSION, suffix, list(systems))
    if planned[:3] != wanted:
        raise InputError([f"{path} was planned for {planned[:3]}, and this is {wanted}: version, environment, systems"])
    return Saved(content)


def _standing(state: State | None) -> str:
    """What must be as it was: which stack it is, whether it moved, and what it was given and gives."""
    return (
        ""
        if state is None
        else _digest([state.id, [str(each) for each in state.mark], dict(state.parameters), dict(state.outputs)])
    )


def _given(stack: Stack) -> str:
    return _digest({**stack.values, **{f"tag {name}": value for name, value in stack.tags.items()}})


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
