"""Regions that do not answer: what can be reached is worked with, and what cannot be seen is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

import deploy as program
from chain.changes.review import review
from chain.cli import text
from chain.cloudformation import account, rate_limit
from chain.cloudformation.rate_limit import Pace, attach
from chain.cloudformation.reachable_regions import look, reason, within
from chain.deploy import saved_plan
from chain.deploy.deployment import deploy
from chain.deploy.plan import plan
from chain.deploy.status import Stale, status
from chain.destroy.destruction import survey
from chain.drift import Drift, drift
from chain.environment.exit_codes import Exit, MovedError, NotReadyError
from chain.environment.templates import load
from chain.run.run import Run
from tests.support import unmeasured
from tests.support.chain.checkout import REGION, Checkout, Clients, Heard, parameter, ref
from tests.support.chain.cloud import ACCOUNT, Cloud
from tests.support.chain.cloud_systems import AWAY, PATIENCE, impatient, pair, put


def away(checkout: Checkout, layer: str) -> str:
    return f"{AWAY}/{checkout.stack(layer)}"


def test_the_recovery_site_is_deployed_without_the_primary_unless_a_wire_needs_it(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    sky.weather.dark = {REGION}
    asked: list[str] = []
    sky.weather.watch = lambda operation, region, _: asked.append(operation) if region == REGION else None
    heard = Heard()
    result = put(checkout, sky, heard)
    assert len(asked) <= rate_limit.UNANSWERED, "one question, in so many attempts"
    assert set(asked) <= {"DescribeStacks"}
    assert set(result.done) == {away(checkout, "alone")}
    silent = f"{REGION} does not answer (ReadTimeoutError)"
    fed = f"From comes from primary:source.Out, which cannot be asked: {silent}"
    assert {id_: str(error) for id_, error in result.failed.items()} == {
        checkout.id("source"): silent,
        away(checkout, "fed"): fed,
        away(checkout, "behind"): f"Before comes from recovery:fed.Out, which cannot be asked: {fed}",
    }
    assert set(heard.order("held back")) == set(result.failed)
    sky.weather.dark = set()
    assert put(checkout, sky).failed == {}


def test_what_no_layer_needs_stays_while_a_region_that_may_need_it_is_dark(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    (checkout.root / "templates/shop/alone.yaml").unlink()
    sky.weather.dark = {REGION}
    assert put(checkout, sky).removed == ()
    assert checkout.stack("alone") in sky.stacks[AWAY]
    sky.weather.dark = set()
    assert put(checkout, sky).removed == (away(checkout, "alone"),)


def test_a_stack_that_stands_keeps_the_value_it_was_fed_with(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    pair(checkout, away="2")
    sky.weather.dark = {REGION}
    result = put(checkout, sky)
    assert {id_: done.action for id_, done in result.done.items()} == {
        away(checkout, "fed"): "updated",
        away(checkout, "alone"): "updated",
        away(checkout, "behind"): "unchanged",
    }
    held = sky.stacks[AWAY][checkout.stack("fed")]
    assert held.parameters["From"] == f"{checkout.stack('source')}-Value"
    steps = {step.stack.id: step.action for step in plan(Run(impatient(sky), checkout.graph()))}
    assert steps[checkout.id("source")] == "unseen"
    assert steps[away(checkout, "fed")] == "none"


def test_a_plan_of_what_answers_can_be_saved_and_is_applied_to_that_alone(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    pair(checkout, away="2")
    sky.weather.dark = {REGION}
    graph, path = checkout.graph(), checkout.root / "plan.json"
    seen = look(impatient(sky), graph.regions)
    saved_plan.save(path, ACCOUNT, checkout.suffix, [], plan(Run(impatient(sky), graph), seen), seen.standing)
    planned = saved_plan.load(path, checkout.suffix, [])
    sky.weather.dark = set()
    with pytest.raises(MovedError, match=f"{checkout.id('source')} was not planned"):
        put(checkout, sky, planned=planned)
    sky.weather.dark = {REGION}
    assert put(checkout, sky, planned=planned).done[away(checkout, "fed")].action == "updated"


def test_a_secret_value_is_not_kept_for_cloudformation_shows_asterisks(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    checkout.layer(
        "fed", sites={"recovery": AWAY}, imports={"From": "primary:source.Out"},
        parameters={"From": {"Type": "String", "NoEcho": True}}, outputs={"Out": ref("Value")},
    )  # fmt: skip
    sky.weather.dark = {REGION}
    seen = look(impatient(sky), (REGION, AWAY))
    graph, left = within(checkout.graph(), seen)
    assert away(checkout, "fed") in left
    assert review(graph, impatient(sky), seen.standing).orphans == (), "its layer is not gone"
    assert {stack.id for stack in graph.stacks} == {away(checkout, "alone"), away(checkout, "behind")}


def test_packages_wait_for_the_bucket_that_waits(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("source", sites={"primary": REGION}, outputs={"Out": ref("Value")})
    bucket = {"BucketName": ref("Value")}
    checkout.layer("artifacts", sites={"recovery": AWAY}, imports={"From": "primary:source.Out"}, outputs=bucket)
    checkout.layer("code", sites={"recovery": AWAY}, packages=("rotation",))
    sky.weather.dark = {REGION}
    left = within(checkout.graph(), look(impatient(sky), (REGION, AWAY)))[1]
    why = f"its packages go to {away(checkout, 'artifacts')}, which waits: From comes from"
    assert left[away(checkout, "code")].startswith(why)


def test_status_and_plan_say_what_they_could_not_see(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    sky.weather.dark = {REGION}
    silent = f"{REGION} does not answer (ReadTimeoutError)"
    lines = list(text.status(status(checkout.graph(), impatient(sky))))
    assert f"{checkout.id('source')}  NOT SEEN: {silent}" in lines
    assert any(line.startswith(f"{away(checkout, 'fed')}  CREATE_COMPLETE") for line in lines)
    steps = list(text.plan(checkout.graph(), plan(Run(impatient(sky), checkout.graph()))))
    assert f"{checkout.id('source')}: was not seen ({silent})" in steps
    assert steps[-2:] == ["1 of 4 stacks were not seen.", "Nothing to do: 3 stacks are current."]


def test_what_hangs_beside_cloudformation_does_not_hide_the_stack(checkout: Checkout, sky: Cloud) -> None:
    topic = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {}}}
    checkout.layer("notify", topic, outputs={"Arn": ref("Topic")})
    put(checkout, sky)
    clients = impatient(sky)

    def hanging(service: str, region: str) -> Any:
        if service == "sns":
            sky.weather.dark = {REGION}  # from now on
        return clients(service, region)

    (each,) = status(checkout.graph(), hanging)
    assert each.state is not None
    assert each.unseen == (f"subscriptions and rotations: {REGION} does not answer (ReadTimeoutError)",)
    assert f"    NOT SEEN: {each.unseen[0]}" in list(text.status([each]))


def test_status_asks_once_a_region_however_many_stacks_and_topics_there_are(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    sky.calls.clear()
    status(checkout.graph(), impatient(sky))
    assert sorted((region, operation) for _, region, operation in sky.cloudformation()) == [
        (REGION, "DescribeStacks"),
        (AWAY, "DescribeStacks"),
    ]


def test_a_wire_that_is_stale_is_shown_by_status_and_repaired_by_deploy(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    was = f"{checkout.stack('source')}-Value"
    checkout.layer("source", sites={"primary": REGION}, outputs={"Out": "elsewhere"})
    # Only the source is brought up, as by somebody who was interrupted.
    sky.stacks[REGION][checkout.stack("source")].body = (checkout.root / "templates/shop/source.yaml").read_text()
    found = {each.stack.id: each for each in status(checkout.graph(), impatient(sky))}
    (stale,) = found[away(checkout, "fed")].stale
    assert str(stale) == f"From is {was}, but primary:source.Out offers elsewhere"
    assert found[away(checkout, "behind")].stale == ()
    lines = list(text.status(found.values()))  # type: ignore[arg-type]
    assert f"    STALE: From is {was}, but primary:source.Out offers elsewhere; make deploy feeds it anew" in lines
    assert put(checkout, sky).done[away(checkout, "fed")].action == "updated"
    assert all(each.stale == () for each in status(checkout.graph(), impatient(sky)))
    fed = sky.stacks[AWAY][checkout.stack("fed")]
    sky.stacks[REGION][checkout.stack("source")].body = fed.body
    offered = {each.stack.id: each.stale for each in status(checkout.graph(), impatient(sky))}
    assert offered[away(checkout, "fed")] == (Stale("From", "elsewhere", "primary:source.Out", was),)
    sky.stacks[REGION][checkout.stack("source")].body = "{Resources: {}, Outputs: {}}"
    offered = {each.stack.id: each.stale for each in status(checkout.graph(), impatient(sky))}
    (stale,) = offered[away(checkout, "fed")]
    assert str(stale) == "From is elsewhere, but primary:source.Out no longer offers it"
    sky.stacks[REGION][checkout.stack("source")].status = "UPDATE_IN_PROGRESS"
    assert all(each.stale == () for each in status(checkout.graph(), impatient(sky)))


def test_a_secret_wire_is_never_called_stale(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    sky.stacks[AWAY][checkout.stack("fed")].parameters["From"] = "****"
    checkout.layer(
        "fed", sites={"recovery": AWAY}, imports={"From": "primary:source.Out"},
        parameters={"From": {"Type": "String", "NoEcho": True}}, outputs={"Out": ref("Value")},
    )  # fmt: skip
    assert all(each.stale == () for each in status(checkout.graph(), impatient(sky)))


def test_where_no_region_answers_there_is_nothing_to_show(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    sky.weather.dark = {REGION, AWAY}
    with pytest.raises(ReadTimeoutError):
        status(checkout.graph(), impatient(sky))


def test_a_region_that_refuses_for_another_reason_is_no_dark_one() -> None:
    def refusing(_: str, region: str) -> Any:
        return Refusing("AccessDenied" if region == AWAY else "")

    with pytest.raises(ClientError):
        look(refusing, (REGION, AWAY))

    def closed(_: str, region: str) -> Any:
        return Refusing("UnrecognizedClientException" if region == AWAY else "")

    seen = look(closed, (REGION, AWAY))
    assert seen.closed == {AWAY}
    assert "the account has not opted in to it" in seen.dark[AWAY]
    assert reason("x", ReadTimeoutError(endpoint_url="y")) == "x does not answer (ReadTimeoutError)"


class Refusing:
    """A client whose every call is refused, or finds nothing."""

    def __init__(self, code: str) -> None:
        self.code = code

    def get_paginator(self, _: str) -> Refusing:
        return self

    def paginate(self, **_: str) -> list[dict[str, list[str]]]:
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "DescribeStacks")
        return [{"Stacks": []}]

    def get_caller_identity(self) -> dict[str, str]:
        self.paginate()
        return {"Account": "1", "Arn": "a"}


def test_that_nobody_knows_who_writes_is_said_before_anything_is_deployed(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("alone", sites={"primary": REGION})
    checkout.layer("failover", sites={"recovery": AWAY})
    sky.weather.dark = {AWAY}
    result = put(checkout, sky)
    assert set(result.done) == {checkout.id("alone")}
    said = f"not checked beforehand: whether shop has failed over: {AWAY} does not answer (ReadTimeoutError)"
    assert said in result.warnings


def test_nothing_is_destroyed_while_a_region_cannot_be_looked_into(checkout: Checkout) -> None:
    pair(checkout)
    templates = load(checkout.root / "templates")
    for code, said in (
        (
            "UnrecognizedClientException",
            f"account has not opted in to it: .*, or: aws account enable-region --region-name {AWAY}",
        ),
        ("", f"{AWAY} does not answer .ReadTimeoutError.: .* Name the systems that have nothing there .SYSTEM=., or wait"),
    ):
        away = Refusing(code) if code else Hanging()
        with pytest.raises(NotReadyError, match=said):
            survey(templates, checkout.suffix, lambda _, region, away=away: away if region == AWAY else Refusing(""), ACCOUNT)


class Hanging:
    """A client that is never answered."""

    def get_paginator(self, _: str) -> Hanging:
        raise ReadTimeoutError(endpoint_url="x")


def test_the_caller_is_asked_of_the_first_region_that_knows() -> None:
    answers = {"a": "UnrecognizedClientException", "b": "", "c": "ExpiredToken"}
    ask = lambda *regions: account._identity(lambda _, region: Refusing(answers[region]), regions)  # noqa: E731
    assert ask("a", "b") == {"Account": "1", "Arn": "a"}
    for regions, code in ((("a",), "UnrecognizedClientException"), (("c", "b"), "ExpiredToken")):
        with pytest.raises(ClientError) as refused:
            ask(*regions)
        assert refused.value.response["Error"]["Code"] == code


def test_commands_go_on_without_a_region_and_say_so_with_their_exit_code(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(account, "FIRST_READ", 1.0)
    checkout.layer("source", sites={"primary": REGION}, outputs={"Out": ref("Value")})
    checkout.layer("alone", sites={"recovery": AWAY})
    with unmeasured.running(databases=False) as aws:
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        assert program.main(["deploy", "--env", checkout.suffix], checkout.root) == Exit.OK
        aws.darken(REGION)
        for command, said in (
            ("plan", "was not seen"), ("status", "NOT SEEN"), ("drift", "NOT SEEN"),
        ):  # fmt: skip
            capsys.readouterr()
            assert program.main([command, "--env", checkout.suffix], checkout.root) == Exit.UNSEEN, command
            assert said in capsys.readouterr().out
        assert program.main(["deploy", "--env", checkout.suffix], checkout.root) == Exit.FAILED
        assert f"{REGION} does not answer" in capsys.readouterr().out


def test_a_recovery_region_that_is_dark_hides_nothing_of_the_primary(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(account, "FIRST_READ", 1.0)
    checkout.layer("alone", sites={"primary": REGION})
    checkout.layer("failover", sites={"recovery": AWAY})
    with unmeasured.running(databases=False) as aws:
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        assert program.main(["deploy", "--env", checkout.suffix], checkout.root) == Exit.OK
        aws.darken(AWAY)
        for command, said in (("status", f"{checkout.id('alone')}  CREATE_COMPLETE"), ("drift", "3 properties declared, 3 read")):
            capsys.readouterr()
            assert program.main([command, "--env", checkout.suffix], checkout.root) == Exit.UNSEEN, command
            shown = capsys.readouterr().out
            assert said in shown
            silent = f"shop-{checkout.suffix}  NOT SEEN: {AWAY} does not answer (ReadTimeoutError)"
            assert silent in shown
        assert program.main(["status", "--env", checkout.suffix, "--json"], checkout.root) == Exit.UNSEEN
        assert json.dumps({"kind": "not checked", "reason": silent}) in capsys.readouterr().out


def test_a_service_that_has_answered_is_asked_again_however_silent_it_becomes(sky: Cloud) -> None:
    client = attach(sky.clients(PATIENCE)("cloudformation", REGION), Pace())
    client.describe_stacks()
    sky.weather.dark = {REGION}
    asked: list[int] = []

    def light(_operation: str, _region: str, number: int) -> None:
        asked.append(number)
        if len(asked) > rate_limit.UNANSWERED:
            sky.weather.dark = set()

    sky.weather.watch = light
    client.describe_stacks()
    assert len(asked) == rate_limit.UNANSWERED + 1


def test_drift_reads_what_it_can(checkout: Checkout, clients: Clients, sky: Cloud) -> None:
    pair(checkout)
    sky.weather.dark = {REGION}

    def half(service: str, region: str) -> Any:
        return impatient(sky)(service, region) if region == REGION else clients(service, region)

    found = drift(checkout.graph(), half)
    assert isinstance(found, Drift)
    assert set(found.unseen) == {checkout.id("source")}
    assert checkout.id("source") not in found.absent


def test_a_topic_that_no_output_names_is_found_in_its_stack(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("notify", {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {}}, "Value": parameter("notify")})
    put(checkout, sky)
    asked: list[str] = []

    class Nobody:
        """An SNS without subscriptions."""

        def get_paginator(self, _: str) -> Nobody:
            return self

        def paginate(self, TopicArn: str) -> list[dict[str, list[str]]]:  # noqa: N803  as botocore calls it
            asked.append(TopicArn)
            return [{"Subscriptions": []}]

    plain = impatient(sky)
    (each,) = status(checkout.graph(), lambda service, region: Nobody() if service == "sns" else plain(service, region))
    assert (each.unconfirmed, asked) == ((), [f"{checkout.stack('notify')}-Topic"])


def test_a_secret_that_a_wire_names_is_not_looked_for_in_the_stack(checkout: Checkout, sky: Cloud) -> None:
    schedule = {"Type": "AWS::SecretsManager::RotationSchedule", "Properties": {"SecretId": ref("SecretArn")}}
    checkout.layer("secret", outputs={"Arn": "arn:of:secret"})
    checkout.layer("rotation", {"Schedule": schedule}, imports={"SecretArn": "secret.Arn"})
    plain = impatient(sky)
    asked: list[str] = []

    class Manager:
        """A Secrets Manager in which nothing has ever been rotated."""

        def describe_secret(self, SecretId: str) -> dict[str, object]:  # noqa: N803  as botocore calls it
            asked.append(SecretId)
            return {"Name": "s", "RotationEnabled": True}

    def clients(service: str, region: str) -> Any:
        return Manager() if service == "secretsmanager" else plain(service, region)

    deploy(Run(clients, checkout.graph(), Heard(), packages=checkout.root / "out", rotation_patience=0))
    asked.clear()
    sky.calls.clear()
    (found,) = [each.rotations for each in status(checkout.graph(), clients) if each.rotations]
    assert (str(found[0])[:16], asked) == ("s: never rotated", ["arn:of:secret"])
    assert [operation for _, _, operation in sky.cloudformation()] == ["DescribeStacks"]
