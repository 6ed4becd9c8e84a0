"""A checkout of its own for a test: small templates and parameter files, and the emulator's clients."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chain.cloudformation.stack import StackEvent
from chain.environment.graph import Graph, open_environment

REGION = "us-east-1"
PROGRAM = "import sys, pathlib, deploy; sys.exit(deploy.main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
REPOSITORY = Path(__file__).parents[3]

GATE = {
    # Stands still until the test signals it: the order of things is then the test's to decide.
    "Gate": {
        "Type": "AWS::CloudFormation::WaitCondition",
        "CreationPolicy": {"ResourceSignal": {"Count": 1, "Timeout": "PT1M"}},
    }
}


def sub(text: str) -> dict[str, str]:
    """``Fn::Sub``, in its long form."""
    return {"Fn::Sub": text}


def ref(name: str) -> dict[str, str]:
    """``Ref``."""
    return {"Ref": name}


def parameter(name: str, value: object = "one") -> dict[str, Any]:
    """A resource that is made in no time and can be read: an SSM parameter."""
    return {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": sub(f"/{name}/${{EnvironmentSuffix}}"), "Type": "String", "Value": value},
    }


@dataclass
class Checkout:
    """A folder with templates and parameters."""

    root: Path
    suffix: str

    def layer(
        self,
        name: str,
        resources: Mapping[str, Any] | None = None,
        *,
        system: str = "shop",
        outputs: Mapping[str, Any] | None = None,
        imports: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        sites: Mapping[str, str] | None = None,
        optional: bool | str = False,
        packages: tuple[str, ...] = (),
        description: str = "A layer.",
        conditions: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write one layer's template."""
        declared = {"EnvironmentSuffix": {"Type": "String"}, **(parameters or {})}
        declared |= {each: {"Type": "String"} for each in imports or {} if each not in declared}
        document = {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": description,
            "Metadata": {
                "Layer": {
                    "System": system,
                    "Name": name,
                    "Sites": dict(sites or {"primary": REGION}),
                    "Imports": dict(imports or {}),
                    "Packages": list(packages),
                    "Optional": optional,
                }
            },
            "Parameters": declared,
            **({"Conditions": dict(conditions)} if conditions else {}),
            "Resources": dict(resources or {"Value": parameter(f"{system}-{name}")}),
            "Outputs": {key: {"Value": value} for key, value in (outputs or {}).items()},
        }
        path = self.root / "templates" / system / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def values(self, content: Mapping[str, Any] | str, *, system: str = "shop", name: str = "default") -> None:
        """Write a parameter file."""
        path = self.root / "parameters" / system / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False))

    def graph(self, *systems: str) -> Graph:
        """The graph of this environment."""
        return open_environment(self.root, self.suffix, systems)

    def stack(self, layer: str, system: str = "shop") -> str:
        """The name of a stack."""
        return f"{system}-{layer}-{self.suffix}"

    def id(self, layer: str, system: str = "shop") -> str:
        """The id of a stack in the graph."""
        return f"{REGION}/{self.stack(layer, system)}"

    def command(
        self, *arguments: str, environment: Mapping[str, str], program: str = PROGRAM, **options: Any
    ) -> subprocess.Popen[str]:
        """Start ``deploy.py`` in a process of its own, on this checkout."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return subprocess.Popen(
            [sys.executable, "-c", program, str(self.root), *arguments],
            cwd=REPOSITORY,
            env={**kept, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )


class Heard(list[StackEvent]):
    """Keeps the news."""

    def __call__(self, news: StackEvent) -> None:
        self.append(news)

    def order(self, status: str) -> list[str]:
        """The stacks to which something happened, in order."""
        return [news.stack for news in self if news.status == status and not news.resource]


Clients = Callable[[str, str], Any]


def get(resource: str, attribute: str) -> dict[str, Any]:
    """``Fn::GetAtt``."""
    return {"Fn::GetAtt": [resource, attribute]}
