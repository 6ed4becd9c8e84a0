"""Small systems on the CloudFormation of our own, and what befalls them there."""

from __future__ import annotations

import json
import os
from typing import Any

from chain.cloudformation.rate_limit import Pace, attach
from chain.deploy import saved_plan
from chain.deploy.deployment import Result, deploy
from chain.run import lock
from chain.run.run import Run
from tests.support.chain.checkout import REGION, Checkout, Clients, Heard, parameter, ref
from tests.support.chain.cloud import Cloud

AWAY = "us-west-2"
PATIENCE = 0.3  # seconds


def impatient(sky: Cloud) -> Clients:
    """Clients with a pace that give up soon."""
    plain, made = sky.clients(PATIENCE), {}

    def client(service: str, region: str) -> Any:
        if (service, region) not in made:
            made[service, region] = attach(plain(service, region), Pace())
        return made[service, region]

    return client


def put(checkout: Checkout, sky: Cloud, heard: Heard | None = None, planned: saved_plan.Saved | None = None) -> Result:
    """Deploy."""
    listen = heard if heard is not None else Heard()
    return deploy(Run(impatient(sky), checkout.graph(), listen, packages=checkout.root / "out"), planned)


def pair(checkout: Checkout, *, away: str = "1") -> None:
    """A primary that feeds one of two stacks at the recovery site."""
    checkout.layer("source", sites={"primary": REGION}, outputs={"Out": ref("Value")})
    sized = {"Size": {"Type": "String", "Default": away}}
    value = {"Value": parameter("fed", ref("Size"))}
    fed = {"From": "primary:source.Out"}
    checkout.layer("fed", value, sites={"recovery": AWAY}, imports=fed, parameters=sized, outputs={"Out": ref("Value")})
    checkout.layer("alone", {"Value": parameter("alone", ref("Size"))}, sites={"recovery": AWAY}, parameters=sized)
    checkout.layer("behind", sites={"recovery": AWAY}, imports={"Before": "fed.Out"})


ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def artifacts(checkout: Checkout) -> None:
    """A system with a bucket for its locks."""
    bucket = {"Bucket": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "n", "Type": "String", "Value": "x"}}}
    checkout.layer("artifacts", bucket, outputs={"BucketName": ref("Bucket")})
    checkout.layer("data", {"Value": parameter("data", ref("Size"))}, parameters={"Size": {"Type": "String", "Default": "1"}})


def bucket(checkout: Checkout) -> str:
    """Where the lock lies."""
    return f"{checkout.stack('artifacts')}-Bucket"


def left(checkout: Checkout, sky: Cloud, **holder: Any) -> None:
    """A lock that somebody left."""
    from dataclasses import asdict

    content = {**asdict(lock.Holder.here("arn:aws:iam::1:user/other")), **holder}
    sky.buckets[bucket(checkout)][lock.KEY] = (json.dumps({"holder": content}).encode(), '"1"')
