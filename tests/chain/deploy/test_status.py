"""Status: what stands, and what waits for a person."""

from __future__ import annotations

import json
import threading
from typing import Any

from chain.cli import text
from chain.cloudformation.stack import Wait
from chain.deploy import rotation
from chain.deploy.deployment import deploy
from chain.deploy.rotation import Rotation
from chain.deploy.status import status
from chain.run.run import Run
from tests.support.chain.checkout import Checkout, Clients, Heard, ref, sub
from tests.support.chain.deployment import run
from tests.support.chain.proxy import Proxy
from tests.support.chain.resources import rotating


def test_what_stands_is_shown_with_its_outputs_and_what_does_not_is_said_to(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("data", outputs={"Name": ref("Value")})
    run(checkout, clients)
    checkout.layer("new")
    lines = list(text.status(status(checkout.graph(), clients)))
    assert lines[0].startswith(f"{checkout.id('data')}  CREATE_COMPLETE  since 20")
    assert lines[1:] == [f"    Name = /shop-data/{checkout.suffix}", f"{checkout.id('new')}  does not stand"]


def test_a_subscription_that_nobody_has_confirmed_is_shown(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    topic = {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": sub("alerts-${EnvironmentSuffix}")}},
        "Name": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": sub("/t/${EnvironmentSuffix}"), "Type": "String", "Value": "v"},
        },
    }
    checkout.layer("notify", topic, outputs={"Arn": ref("Topic")})
    arn = run(checkout, clients).done[checkout.id("notify")].outputs["Arn"]
    assert status(checkout.graph(), clients)[0].unconfirmed == ()
    members = "".join(
        f"<member><TopicArn>{arn}</TopicArn><Protocol>email</Protocol><SubscriptionArn>{subscription}</SubscriptionArn>"
        f"<Endpoint>{endpoint}</Endpoint></member>"
        for endpoint, subscription in (("a@example.com", "PendingConfirmation"), ("b@example.com", f"{arn}:1"))
    )
    name = "ListSubscriptionsByTopic"
    between.says[name] = lambda _: (
        200, f"<{name}Response><{name}Result><Subscriptions>{members}</Subscriptions></{name}Result></{name}Response>",
    )  # fmt: skip
    (each,) = status(checkout.graph(), between.clients())
    assert each.unconfirmed == (f"email a@example.com has not confirmed its subscription to {arn}",)
    assert f"    WAITS FOR A PERSON: {each.unconfirmed[0]}" in list(text.status([each]))


def test_a_first_rotation_is_seen_and_its_absence_is_a_warning(checkout: Checkout, clients: Clients, between: Proxy) -> None:
    checkout.layer("rotation", rotating())
    graph = checkout.graph()
    run(checkout, clients)
    (stack,) = graph.stacks
    (found,) = rotation.rotations(stack, clients)
    assert (found.secret, found.function, found.enabled) == (f"secret-{checkout.suffix}", f"rotates-{checkout.suffix}", True)

    def described(**more: Any) -> tuple[int, str]:
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:rotates-{checkout.suffix}"
        return 200, json.dumps({"Name": "s", "RotationEnabled": True, "RotationLambdaARN": arn, **more})

    asked: list[str] = []
    between.says["DescribeSecret"] = lambda body: (
        asked.append(body) or described(**({"LastRotatedDate": 1} if len(asked) > 2 else {}))
    )
    assert rotation.first(stack, between.clients(), Wait(threading.Event()), 10) == []
    assert len(asked) == 3
    between.says["DescribeSecret"] = lambda _: described()
    (warning,) = rotation.first(stack, between.clients(), Wait(threading.Event()), 0.3)
    assert warning == (
        f"{stack.id}: the secret s was not rotated within 0 s; whether its rotation works is unknown."
        f" Look into the log group /aws/lambda/rotates-{checkout.suffix}"
    )
    lines = list(text.status(status(graph, between.clients())))
    assert lines[-1] == f"    rotation: s: never rotated; look into the log group /aws/lambda/rotates-{checkout.suffix}"
    between.says["DescribeSecret"] = lambda _: described(LastRotatedDate=0, NextRotationDate=86400)
    lines = list(text.status(status(graph, between.clients())))
    assert lines[-1].startswith("    rotation: s: rotated 1970-01-01 00:00")
    assert lines[-1].endswith(", next by 1970-01-02")
    assert str(Rotation("s", "f", False, None, None)) == "s: rotation is off"


def test_a_secret_that_cannot_be_asked_hides_neither_status_nor_result(checkout: Checkout, between: Proxy) -> None:
    checkout.layer("rotation", rotating())
    checkout.layer("data")
    between.says["DescribeSecret"] = lambda _: (400, json.dumps({"__type": "AccessDeniedException", "message": "no"}))
    why = "AccessDeniedException on DescribeSecret: no"
    result = deploy(Run(between.clients(), checkout.graph(), Heard(), packages=checkout.root / "out"))
    assert {done.action for done in result.done.values()} == {"created"}
    assert result.warnings[-1] == f"{checkout.id('rotation')}: whether the rotation of its secrets works is unknown: {why}"
    found = {each.stack.template.layer: each for each in status(checkout.graph(), between.clients())}
    assert found["rotation"].unseen == (f"subscriptions and rotations: {why}",)
    assert found["rotation"].state is not None
    assert found["data"].unseen == ()


def test_a_schedule_that_does_not_rotate_at_once_is_not_waited_for(checkout: Checkout, clients: Clients) -> None:
    resources = rotating()
    resources["Schedule"]["Properties"]["RotateImmediatelyOnUpdate"] = False
    checkout.layer("rotation", resources)
    (stack,) = checkout.graph().stacks
    assert rotation.first(stack, clients, Wait(threading.Event()), 10) == []
    checkout.layer("rotation")
    assert list(rotation.rotations(checkout.graph().stacks[0], clients)) == []
