"""A checkout is deployed in this process."""

from __future__ import annotations

from chain.deploy.deployment import Result, deploy
from chain.run.run import Run
from tests.support.chain.checkout import REGION, Checkout, Clients, Heard


def run(checkout: Checkout, clients: Clients, *systems: str, heard: Heard | None = None) -> Result:
    """Deploy the checkout."""
    return deploy(
        Run(
            clients,
            checkout.graph(*systems),
            heard if heard is not None else Heard(),
            packages=checkout.root / "out",
            rotation_patience=0,
        )
    )


def change_set(checkout: Checkout, clients: Clients, name: str) -> None:
    """A first change set for the layer ``data`` that nobody executes."""
    body = (checkout.root / "templates" / "shop" / "data.yaml").read_text()
    given = [{"ParameterKey": "EnvironmentSuffix", "ParameterValue": checkout.suffix}]
    clients("cloudformation", REGION).create_change_set(
        StackName=checkout.stack("data"), ChangeSetName=name, ChangeSetType="CREATE", TemplateBody=body, Parameters=given
    )
