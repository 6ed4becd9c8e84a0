"""``--json`` of the commands that change no stack: standard output is lines of JSON that fit their schema, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

import deploy as program
import emulator
from chain.cli import json_lines
from chain.deploy.preflight import Found
from chain.deploy.status import status
from chain.drift import Drift, drift
from chain.environment.exit_codes import Exit
from chain.run import lock
from tests.support.chain.checkout import REGION, Checkout, Clients, ref
from tests.support.chain.cloud import Cloud
from tests.support.chain.cloud_systems import AWAY, ENVIRONMENT, artifacts, bucket, impatient, left, pair, put
from tests.support.chain.deployment import run
from tests.support.chain.lines import SCHEMA, of, read
from tests.support.chain.proxy import Proxy
from tests.support.chain.resources import logs, rotating


def point(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Make an AWS the ordinary one."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_the_schema_refuses_what_it_does_not_know() -> None:
    line = {"kind": "absent", "stack": "r/s"}
    assert not list(SCHEMA.iter_errors(line))
    for wrong in ({**line, "kind": "gone away"}, {**line, "more": 1}, {"kind": "absent"}):
        assert list(SCHEMA.iter_errors(wrong)), wrong


def test_every_kind_is_in_the_schema_once() -> None:
    kinds = [one["properties"]["kind"]["const"] for one in SCHEMA.schema["oneOf"]]
    assert sorted(kinds) == sorted(set(kinds))


def test_status_and_drift_can_be_read_by_a_program(
    checkout: Checkout,
    clients: Clients,
    aws: emulator.Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    point(monkeypatch, dict(aws.environment))
    checkout.layer("logs", logs("lines"), outputs={"Name": ref("Group")})
    checkout.layer("spare", optional=True)
    run(checkout, clients)
    checkout.layer("new")
    call = ["--env", checkout.suffix, "--json"]

    assert program.main(["plan", *call], checkout.root) == Exit.OK
    planned = read(capsys.readouterr().out)
    assert [(step["stack"], step["action"]) for step in of("step", planned)] == [
        (checkout.id("logs"), "none"),
        (checkout.id("new"), "create"),
    ]

    assert program.main(["status", *call], checkout.root) == Exit.OK
    told = capsys.readouterr()
    assert told.err.startswith("Account  ")
    stands, new = of("stack", read(told.out))
    assert (stands["stack"], stands["layer"], stands["site"]) == (checkout.id("logs"), "logs", "primary")
    assert (stands["status"], stands["outputs"]) == ("CREATE_COMPLETE", {"Name": f"/lines/{checkout.suffix}"})
    assert datetime.fromisoformat(stands["updated"]).tzinfo is not None
    assert (new["status"], new["updated"], new["outputs"]) == (None, None, {})
    (left_out,) = of("left out", read(told.out))
    assert left_out["stack"] == checkout.id("spare")
    assert left_out["reason"].startswith(checkout.stack("spare"))

    assert program.main(["drift", *call], checkout.root) == Exit.OK
    found = read(capsys.readouterr().out)
    assert [line["stack"] for line in of("absent", found)] == [checkout.id("new")]
    assert found[-1] == {"kind": "drift", "declared": 6, "read": 6, "different": 0}
    clients("logs", REGION).put_retention_policy(logGroupName=f"/lines/{checkout.suffix}", retentionInDays=1)
    assert program.main(["drift", *call], checkout.root) == Exit.DRIFT
    (difference,) = of("difference", read(capsys.readouterr().out))
    assert (difference["resource"], difference["path"]) == ("Group", "RetentionInDays")
    assert (difference["declared"], difference["found"], difference["explained"]) == (7, 1, False)


def test_what_is_not_ready_and_how_secrets_rotate_are_lines_of_status(
    checkout: Checkout,
    clients: Clients,
    between: Proxy,
) -> None:
    checkout.layer("rotation", rotating())
    run(checkout, clients)
    answer = {"Name": "s", "RotationEnabled": True, "RotationLambdaARN": "arn:x:f", "LastRotatedDate": 0}
    between.says["DescribeSecret"] = lambda _: (200, json.dumps(answer))
    states = status(checkout.graph(), between.clients())
    ready = json_lines.ready(Found(("AWS Backup is off",), ("quotas: refused",)))
    told = read("\n".join([*json_lines.status(checkout.graph(), states), *ready]))
    (stack,) = of("stack", told)
    (rotation,) = stack["rotations"]
    assert (rotation["secret"], rotation["function"], rotation["enabled"], rotation["next"]) == ("s", "f", True, None)
    assert datetime.fromisoformat(rotation["last"]) == datetime(1970, 1, 1, tzinfo=UTC)
    assert told[-2:] == [
        {"kind": "not ready", "reason": "AWS Backup is off"},
        {"kind": "not checked", "reason": "quotas: refused"},
    ]


def test_what_could_not_be_read_is_told_with_its_stack_and_why(checkout: Checkout, clients: Clients) -> None:
    checkout.layer("rotation", rotating())
    run(checkout, clients)
    found = drift(checkout.graph(), clients)
    assert found.not_read
    told = of("not read", read("\n".join(json_lines.drift(found))))
    assert [(line["resource"], line["path"], line["reason"]) for line in told] == [
        (each.resource, each.path.path, each.path.reason) for each in found.not_read
    ]


def test_dark_regions_and_stale_wires_are_told_apart(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout)
    put(checkout, sky)
    was = f"{checkout.stack('source')}-Value"
    checkout.layer("source", sites={"primary": REGION}, outputs={"Out": "elsewhere"})
    sky.stacks[REGION][checkout.stack("source")].body = (checkout.root / "templates/shop/source.yaml").read_text()
    graph = checkout.graph()
    told = read("\n".join(json_lines.status(graph, status(graph, impatient(sky)))))
    stale = {line["layer"]: line["stale"] for line in of("stack", told) if line["stale"]}
    assert stale == {"fed": [{"input": "From", "value": was, "source": "primary:source.Out", "offers": "elsewhere"}]}
    assert of("dark", told) == []

    sky.weather.dark = {AWAY}
    told = read("\n".join(json_lines.status(graph, status(graph, impatient(sky)))))
    (dark,) = of("dark", told)
    assert dark["region"] == AWAY
    unseen = {line["layer"]: line["unseen"] for line in of("stack", told)}
    assert unseen == {"source": [], **{layer: [dark["reason"]] for layer in ("fed", "alone", "behind")}}
    found = Drift((), (), {f"{AWAY}/s": dark["reason"]})
    assert of("unseen", read("\n".join(json_lines.drift(found)))) == [
        {"kind": "unseen", "stack": f"{AWAY}/s", "reason": dark["reason"]}
    ]


def test_unlock_tells_of_each_lock_and_what_it_took_away(
    checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts(checkout)
    put(checkout, sky)
    point(monkeypatch, {**ENVIRONMENT, "AWS_ENDPOINT_URL": sky.endpoint})
    left(checkout, sky, machine="elsewhere/1")
    call = ["unlock", "--env", checkout.suffix, "--json"]
    assert program.main(call, checkout.root) == Exit.LOCKED
    (held,) = read(capsys.readouterr().out)
    assert (held["holder"], held["machine"], held["stale"], held["dead"]) == (
        "arn:aws:iam::1:user/other",
        "elsewhere",
        False,
        False,
    )
    assert lock.KEY in sky.buckets[bucket(checkout)]
    assert program.main([*call, "--yes"], checkout.root) == Exit.OK
    taken = of("unlocked", read(capsys.readouterr().out))
    assert taken == [{"kind": "unlocked", "system": "shop", "region": REGION, "bucket": bucket(checkout)}]
    assert program.main(call, checkout.root) == Exit.OK
    told = capsys.readouterr()
    assert (told.out, told.err.splitlines()[-1]) == ("", "Nothing is locked.")
