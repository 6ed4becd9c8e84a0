"""What would be deleted of a checkout's environment, and is, in this process."""

from __future__ import annotations

from chain.cloudformation.account import Caller
from chain.destroy.destruction import Result, Survey, destroy, survey
from chain.environment.templates import load
from chain.run.run import Run
from tests.support.chain.checkout import Checkout, Clients, Heard
from tests.support.chain.cloud import ACCOUNT


def look(checkout: Checkout, clients: Clients) -> Survey:
    """What would be deleted."""
    return survey(load(checkout.root / "templates"), checkout.suffix, clients, ACCOUNT)


def take_down(checkout: Checkout, clients: Clients, heard: Heard | None = None, patience: float = 0) -> Result:
    """Delete the environment."""
    listen = heard if heard is not None else Heard()
    return destroy(
        look(checkout, clients),
        load(checkout.root / "templates"),
        Run(clients, report=listen, caller=Caller(ACCOUNT, "", ())),
        patience=patience,
    )
