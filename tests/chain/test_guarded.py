"""Plans and deployments under the guard: refused, allowed, saved, protected, in order, and what is left over removed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import deploy as program
from chain.changes import guard
from chain.changes.review import review
from chain.changes.template_diff import Difference, Property
from chain.changes.upgrades import Order, order
from chain.cli import json_lines
from chain.cli import text as show
from chain.cloudformation import reachable_regions
from chain.cloudformation.account import Caller
from chain.deploy import saved_plan
from chain.deploy.deployment import Result, deploy
from chain.deploy.plan import plan
from chain.deploy.saved_plan import Saved
from chain.destroy.destruction import destroy, survey
from chain.environment.exit_codes import Exit, GuardedError, InputError, MovedError
from chain.environment.templates import load
from chain.run import record
from chain.run.run import Run
from tests.support.chain.checkout import REGION, Checkout, Heard, parameter, ref
from tests.support.chain.cloud import ACCOUNT, Cloud

AWAY = "us-west-2"
TABLE = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "t"}}


def put(checkout: Checkout, sky: Cloud, *allowed: str, heard: Heard | None = None, plan: Saved | None = None) -> Result:
    """Deploy."""
    listen = heard if heard is not None else Heard()
    return deploy(Run(sky.clients(), checkout.graph(), listen, packages=checkout.root / "out", allowed=allowed), plan)


def instance(version: str, **more: Any) -> dict[str, Any]:
    """A database."""
    return {"Db": {"Type": "AWS::RDS::DBInstance", "Properties": {"EngineVersion": version, **more}}}


def test_what_would_be_lost_is_refused_before_anything_changes_and_done_when_it_is_named(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("data", {"Table": TABLE, "Value": parameter("x")})
    checkout.layer("other")
    put(checkout, sky)
    checkout.layer("data", {"Value": parameter("x")})
    checkout.layer("other", {"Value": parameter("other", "two")})
    before = sky.begun.total()
    with pytest.raises(GuardedError, match=r"REFUSED  .*: Table \(AWS::DynamoDB::Table\) would be deleted"):
        put(checkout, sky)
    with pytest.raises(GuardedError, match="ALLOW='Table'"):
        put(checkout, sky, "Value")
    assert sky.begun.total() == before
    done = put(checkout, sky, "Table")
    assert {each.action for each in done.done.values()} == {"updated"}


def test_a_replacement_that_only_the_change_set_shows_is_refused_and_left_undone(
    checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.layer("data", {"Table": TABLE})
    put(checkout, sky)
    checkout.layer("data", {"Table": {**TABLE, "Properties": {"TableName": "t", "BillingMode": "PAY_PER_REQUEST"}}})
    monkeypatch.setattr(
        "tests.support.chain.cloud._change",
        lambda name, *_: {
            "Action": "Modify", "LogicalResourceId": name, "ResourceType": TABLE["Type"], "Replacement": "True",
        },
    )  # fmt: skip
    failure = put(checkout, sky).failed[checkout.id("data")]
    assert (failure.status, "would be replaced" in failure.reason) == ("refused by the guard", True)
    assert not sky.sets
    graph, clients = checkout.graph(), sky.clients()
    judged = review(graph, clients, reachable_regions.look(clients, graph.regions).standing)
    steps = plan(Run(clients, graph), judged=judged)
    (danger,) = show.dangers(judged, steps)
    assert danger.what == "would be replaced"
    assert {json.loads(line)["kind"] for line in json_lines.plan(graph, steps, judged, [danger], [])} == {"danger", "step"}
    assert put(checkout, sky, "data.Table").done[checkout.id("data")].action == "updated"


def test_a_stack_whose_layer_is_gone_is_shown_and_removed_under_the_guard(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("data")
    path, plain = checkout.layer("old", {"Table": TABLE}), checkout.layer("plain")
    put(checkout, sky)
    plain.unlink()
    assert put(checkout, sky).removed == (f"{REGION}/{checkout.stack('plain')}",)
    path.unlink()
    graph, clients = checkout.graph(), sky.clients()
    judged = review(graph, clients, reachable_regions.look(clients, graph.regions).standing)
    text = "\n".join(show.plan(graph, plan(Run(clients, graph), judged=judged), judged.orphans))
    assert "is removed, for its layer is gone\n    - Table (AWS::DynamoDB::Table)" in text
    assert text.endswith("1 of 1 stacks would change.")
    assert '{"kind": "gone"' in "\n".join(json_lines.plan(graph, [], judged, [], []))
    with pytest.raises(GuardedError, match="would be deleted with its stack"):
        put(checkout, sky)
    done = put(checkout, sky, "Table")
    assert done.removed == (f"{REGION}/{checkout.stack('old')}",)
    assert "removed, for its layer is gone" in "\n".join(show.deployed(graph, done, ""))
    assert list(sky.stacks[REGION]) == [checkout.stack("data")]


def test_plans_say_from_what_to_what_and_what_is_known_later(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("data", {"Value": parameter("x", "one"), "Table": TABLE})
    put(checkout, sky)
    checkout.layer("keys", outputs={"Name": ref("Value")})
    values = {"Value": parameter("x", "two"), "Table": {**TABLE, "Properties": {"TableName": ref("KeysName")}}}
    checkout.layer("data", values, imports={"KeysName": "keys.Name"})
    graph, clients = checkout.graph(), sky.clients()
    text = "\n".join(show.plan(graph, plan(Run(clients, graph))))
    assert "        Value: one -> two\n" in text
    assert "may be REPLACED" in text
    assert "TableName: t -> (known after apply: primary:keys.Name)  cannot change in place" in text


def test_protected_stacks_that_hold_data_are_named_and_freed_only_by_destroy(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("data", {"Table": TABLE})
    checkout.layer("late", {"Table": TABLE})
    checkout.layer("other")
    put(checkout, sky)
    checkout.values({"protected": True}, name=checkout.suffix)
    checkout.layer("late", {"Table": TABLE, "Value": parameter("y")})
    checkout.layer("new", {"Table": TABLE})
    put(checkout, sky)
    stacks = sky.stacks[REGION]
    assert {name.split("-")[1] for name, each in stacks.items() if each.protected} == {"data", "late", "new"}
    before = sky.numbers.total()
    put(checkout, sky)
    assert "UpdateTerminationProtection" not in [call[2] for call in sky.calls[before:]]
    clients, templates = sky.clients(), load(checkout.root / "templates")
    found = survey(templates, checkout.suffix, clients, ACCOUNT)
    assert "\n".join(show.doomed(found)).count("PROTECTED against termination") == 3
    heard = Heard()
    result = destroy(found, templates, Run(clients, report=heard, caller=Caller(ACCOUNT, "", ())), patience=0)
    assert not result.failed
    assert not stacks
    assert set(heard.order("unprotected")) == {checkout.id(layer) for layer in ("data", "late", "new")}


@pytest.mark.parametrize(("name", "content"), [("default", True), ("own", "yes please")])
def test_protection_is_said_by_an_environment_as_true_or_false(checkout: Checkout, name: str, content: Any) -> None:
    checkout.layer("data")
    checkout.values({"protected": content}, name=name if name == "default" else checkout.suffix)
    with pytest.raises(InputError, match="protected"):
        checkout.graph()


def plan_of(checkout: Checkout, sky: Cloud) -> Saved:
    """A plan, saved and read."""
    graph, clients = checkout.graph(), sky.clients()
    seen, path = reachable_regions.look(clients, graph.regions), checkout.root / "plan.json"
    saved_plan.save(path, ACCOUNT, checkout.suffix, [], plan(Run(clients, graph), seen), seen.standing)
    return saved_plan.load(path, checkout.suffix, [])


def test_a_saved_plan_is_applied_or_refused_because_the_world_has_moved(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("data")
    checkout.layer("other")
    first = plan_of(checkout, sky)
    assert put(checkout, sky, plan=first).done[checkout.id("data")].action == "created"
    with pytest.raises(MovedError, match="was changed since"):
        put(checkout, sky, plan=first)
    checkout.layer("data", {"Value": parameter("shop-data", "two")})
    second = plan_of(checkout, sky)
    checkout.layer("data", {"Value": parameter("shop-data", "three")})
    with pytest.raises(MovedError, match="its template is another one"):
        put(checkout, sky, plan=second)
    checkout.layer("data", {"Value": parameter("shop-data", "two")})
    checkout.values({"tags": {"CostCenter": "x"}})
    with pytest.raises(MovedError, match="its values or tags are others"):
        put(checkout, sky, plan=second)
    checkout.values({})
    extra = checkout.layer("extra")
    with pytest.raises(MovedError, match=r"extra-.* was not planned"):
        put(checkout, sky, plan=second)
    extra.unlink()
    assert put(checkout, sky, plan=second).done[checkout.id("data")].action == "updated"
    (checkout.root / "templates/shop/other.yaml").unlink()
    with pytest.raises(MovedError, match="is no longer declared"):
        put(checkout, sky, plan=second)


def test_a_change_that_no_plan_showed_is_not_made(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("data")
    put(checkout, sky)
    checkout.layer("data", {"Value": parameter("shop-data", "two")})
    planned = plan_of(checkout, sky)
    stacks = {id_: {**each, "changes": []} for id_, each in planned.content["stacks"].items()}
    failure = put(checkout, sky, plan=Saved({**planned.content, "stacks": stacks})).failed[checkout.id("data")]
    assert (failure.status, failure.reason) == ("not as planned", "this is not in the plan: Modify Value. Plan again")


def test_a_file_that_is_no_plan_or_anothers_is_refused(checkout: Checkout, sky: Cloud, tmp_path: Path) -> None:
    checkout.layer("data")
    plan_of(checkout, sky)
    with pytest.raises(InputError, match="was planned for"):
        saved_plan.load(checkout.root / "plan.json", "other", [])
    with pytest.raises(InputError, match=f"was made in the account {ACCOUNT}, and this is 999: plan again"):
        saved_plan.load(checkout.root / "plan.json", checkout.suffix, []).of("999")
    with pytest.raises(InputError, match="is no saved plan"):
        saved_plan.load(tmp_path / "none.json", checkout.suffix, [])


def pair(checkout: Checkout, version: str, follower: str | None = None) -> None:
    """A database, and a copy of it in another region that takes its name from it."""
    checkout.layer("data", instance(version), outputs={"Name": ref("Db")})
    copy = {"SourceDBInstanceIdentifier": ref("DataName"), **({"EngineVersion": follower} if follower else {})}
    checkout.layer(
        "copy",
        {"Copy": {"Type": "AWS::RDS::DBInstance", "Properties": copy}},
        imports={"DataName": "primary:data.Name"},
        sites={"recovery": AWAY},
    )


def test_copies_are_upgraded_before_what_they_copy(checkout: Checkout, sky: Cloud) -> None:
    pair(checkout, "15.19", "15.19")
    assert not put(checkout, sky).failed
    pair(checkout, "15.20", "15.20")
    heard = Heard()
    assert not put(checkout, sky, heard=heard).failed
    assert heard.order("updated") == [f"{AWAY}/{checkout.stack('copy')}", checkout.id("data")]


@pytest.mark.parametrize(
    ("type_", "source"),
    [("AWS::RDS::DBInstance", "SourceDBInstanceIdentifier"), ("AWS::RDS::DBCluster", "SourceDBClusterIdentifier")],
)
def test_what_copies_another_database_or_was_restored_from_this_one_is_upgraded_when_it_likes(
    checkout: Checkout, type_: str, source: str
) -> None:
    checkout.layer("data", instance("15.19"), outputs={"Name": ref("Db")})
    other = {"Other": {"Type": type_, "Properties": {"EngineVersion": "15.19"}}, "Value": parameter("other", ref("DataName"))}
    checkout.layer("other", other, outputs={"Name": ref("Other")}, imports={"DataName": "data.Name"})
    from_ = "other.Name" if type_ == "AWS::RDS::DBInstance" else "data.Name"
    copy = {"Copy": {"Type": type_, "Properties": {source: ref("Source")}}, "Value": parameter("copy", ref("DataName"))}
    checkout.layer("copy", copy, imports={"DataName": "data.Name", "Source": from_})
    graph = checkout.graph()
    upgraded = Difference("Db", "AWS::RDS::DBInstance", "Modify", (Property("EngineVersion", "15.19", "15.20"),))
    assert order(graph, {checkout.id("data"): [upgraded]}) == Order(graph.after)


def test_a_copy_whose_source_cannot_be_told_is_upgraded_before_all_that_it_waits_for(checkout: Checkout) -> None:
    pair(checkout, "15.19", "15.19")
    checkout.layer("data", instance("15.19"), outputs={"Name": {"Fn::Join": ["", ["a", ref("Db")]]}})
    upgraded = Difference("Db", "AWS::RDS::DBInstance", "Modify", (Property("EngineVersion", "15.19", "15.20"),))
    (danger,) = order(checkout.graph(), {checkout.id("data"): [upgraded]}).dangers
    assert "before its copies" in danger.what


@pytest.mark.parametrize(
    ("before", "after", "what", "final"),
    [
        (("15.19", "15.19"), ("15.18", "15.19"), "would go back", True),
        (("15.19", "15.19"), ("16.1", "16.1"), "would take a major version", True),
        (("15.19", None), ("15.20", None), "before its copies", False),
        (("15.19", "15.19"), ("15.20", "15.19"), "before its copies", False),
    ],
)
def test_the_wrong_order_of_upgrades_is_refused(
    checkout: Checkout, sky: Cloud, before: tuple[str, Any], after: tuple[str, Any], what: str, final: bool
) -> None:
    pair(checkout, *before)
    put(checkout, sky)
    pair(checkout, *after)
    with pytest.raises(GuardedError, match=what):
        put(checkout, sky)
    graph, clients = checkout.graph(), sky.clients()
    found = review(graph, clients, reachable_regions.look(clients, graph.regions).standing).dangers
    assert bool(guard.refused(found, ["Db"])) is final


def call(checkout: Checkout, command: str, *arguments: str) -> int:
    """Run a command in this process."""
    return program.main([command, "--env", checkout.suffix, *arguments], checkout.root)


def test_a_run_is_recorded_shown_and_continued(
    checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"AWS_ENDPOINT_URL": sky.endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    runs = checkout.root / record.FOLDER
    checkout.layer("data", {"Table": TABLE})
    file = str(checkout.root / "plan.json")
    assert call(checkout, "plan", "--save", file, "--json") == Exit.OK
    assert call(checkout, "deploy", "--plan", file, "--json") == Exit.OK
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"previous"' in line]
    assert [each["kind"] for each in written][:2] == ["run", "review"]
    assert (written[0]["actor"][:4], written[-1]["code"]) == ("arn:", 0)
    assert call(checkout, "deploy", "--plan", file) == Exit.MOVED
    checkout.layer("data")
    capsys.readouterr()
    assert call(checkout, "plan") == Exit.GUARDED
    assert capsys.readouterr().out.partition("\n\n")[2].startswith("REFUSED  ")
    assert call(checkout, "deploy", "--system", "shop", "--allow", "Other", "--reason", "it's $5") == Exit.GUARDED
    said = capsys.readouterr().err
    assert said.endswith(f"To look at it: make plan ENV={checkout.suffix} SYSTEM='shop' ALLOW='Other' REASON='it'\\''s $$5'\n")
    words = [word.split("=", 1) for word in shlex.split(said.splitlines()[-1].partition("make plan ")[2])]
    again = program.arguments(
        ["plan", *(part for name, value in words for part in (f"--{name.lower()}", value.replace("$$", "$")))]
    )
    assert (again.allow, again.reason) == (["Other"], "it's $5")
    assert call(checkout, "deploy") == Exit.GUARDED
    assert call(checkout, "deploy", "--allow", "Table") == Exit.INPUT
    refused = record.find(runs, "last")
    text = refused.read_bytes().splitlines(keepends=True)
    refused.with_name("29990101-" + refused.name.split("-", 1)[1]).write_bytes(b"".join(text[:2]))  # as if it was killed
    capsys.readouterr()
    assert call(checkout, "deploy", "--allow", "Table", "--reason", "moved elsewhere") == Exit.OK
    assert "did not come to its end" in capsys.readouterr().out
    kept = sorted(path for path in runs.glob("*-deploy.ndjson") if not path.name.startswith("2999"))[-1]
    events = record.read(kept)
    assert next(each["reason"] for each in events if each["kind"] == "approval") == "moved elsewhere"
    assert events[0]["continues"].startswith("2999")
    for arguments in ([], ["--html"], ["--verify"], ["--json"]):
        assert program.main(["show", "--run", kept.stem, *arguments], checkout.root) == Exit.OK
    assert "Critical path" in capsys.readouterr().out
    assert program.main(["show", "--run", "none"], checkout.root) == Exit.INPUT
    assert f"none is no record of a run; {runs} holds: " in capsys.readouterr().err
    whole = kept.read_text()
    kept.write_text(whole + '{"half')
    assert program.main(["show", "--run", kept.stem, "--json"], checkout.root) == Exit.OK
    assert capsys.readouterr().out == whole, "what was cut off is no line"
    assert program.main(["show", "--run", str(checkout.root / "plan.json"), "--json"], checkout.root) == Exit.BROKEN
    kept.write_text(whole)
    assert call(checkout, "destroy", "--yes") == Exit.OK


def test_what_was_allowed_before_a_kill_holds_for_the_same_values_only(
    checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AWS_ENDPOINT_URL": sky.endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    days = {"Days": {"Type": "Number", "Default": 30}}
    kept = {"Db": {"Type": "AWS::RDS::DBInstance", "Properties": {"BackupRetentionPeriod": ref("Days")}}}
    checkout.layer("data", kept, parameters=days)
    assert call(checkout, "deploy") == Exit.OK
    checkout.values({"data": {"Days": 14}})
    assert call(checkout, "deploy") == Exit.GUARDED
    runs = checkout.root / record.FOLDER
    allowed = {"allowed": ["Db"], "reason": "14 days will do"}

    def killed(days: int) -> None:
        """The record of a run that was allowed to keep backups for so many days, and was killed."""
        checkout.values({"data": {"Days": days}})
        one = record.Record(runs / f"{record.name(checkout.suffix, 'deploy')}.ndjson", sky.clients())
        one("run", version=1, command="deploy", env=checkout.suffix, systems=[])
        one("approval", **allowed)
        graph = checkout.graph()
        one(
            "review",
            **record.told(
                graph, review(graph, sky.clients(), reachable_regions.look(sky.clients(), graph.regions).standing), ["Db"]
            ),
        )
        one.close(Exit.OK)
        one.path.write_bytes(b"".join(one.path.read_bytes().splitlines(keepends=True)[:-1]))

    killed(14)
    checkout.values({"data": {"Days": 1}})
    assert call(checkout, "deploy") == Exit.GUARDED, "one day was never allowed"
    killed(14)
    assert call(checkout, "deploy") == Exit.OK
