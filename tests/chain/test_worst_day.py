"""A slow, throttled, forgetful, dropping, dying CloudFormation: nothing is lost, and nothing is begun twice."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.retries.standard import ExponentialBackoff

from chain.cloudformation import poller
from chain.cloudformation.account import Caller
from chain.cloudformation.durations import Durations
from chain.cloudformation.poller import Waiter
from chain.cloudformation.rate_limit import Pace, attach
from chain.cloudformation.statuses import DECISIONS, Decision
from chain.deploy.deployment import Result, deploy
from chain.deploy.plan import plan
from chain.destroy.destruction import destroy, survey
from chain.environment.exit_codes import Exit, LockedError
from chain.environment.templates import load
from chain.run import lock
from chain.run.lock import Locks
from chain.run.run import Run
from tests.support.chain.checkout import REGION, Checkout, Clients, Heard, parameter, ref
from tests.support.chain.cloud import ACCOUNT, FAILED, Cloud, Held
from tests.support.chain.cloud_systems import ENVIRONMENT, artifacts, bucket, left
from tests.support.chain.waiting import in_background, until

AWAY = "us-west-2"


def paced(sky: Cloud) -> Clients:
    """Clients as the commands make them."""
    plain, made = sky.clients(), {}

    def client(service: str, region: str) -> Any:
        if (service, region) not in made:
            one = plain(service, region)
            made[service, region] = attach(one, Pace()) if service == "cloudformation" else one
        return made[service, region]

    return client


def put(checkout: Checkout, sky: Cloud, heard: Heard | None = None, durations: Durations | None = None) -> Result:
    """Deploy."""
    listen = heard if heard is not None else Heard()
    return deploy(Run(paced(sky), checkout.graph(), listen, packages=checkout.root / "out", durations=durations or Durations()))


def chain_of(checkout: Checkout, length: int, *, system: str = "shop") -> None:
    """Stacks that feed each other over two regions, and as many that stand alone."""
    regions = (("primary", REGION), ("recovery", AWAY))
    for number in range(length):
        site, region = regions[number % 2]
        before = f"{regions[(number - 1) % 2][0]}:l{number - 1}.Out"
        checkout.layer(
            f"l{number}",
            {"Value": parameter(f"l{number}", ref("Size"))},
            system=system,
            sites={site: region},
            imports={"Before": before} if number else {},
            parameters={"Size": {"Type": "String", "Default": "1"}},
            outputs={"Out": ref("Value")},
        )
        checkout.layer(f"alone{number}", system=system, sites={site: region})


def command(checkout: Checkout, sky: Cloud, *arguments: str) -> Any:
    """Start ``deploy.py`` on it."""
    return checkout.command(*arguments, environment={**ENVIRONMENT, "AWS_ENDPOINT_URL": sky.endpoint})


# Speed and calls ----------------------------------------------------------------------------------------------------------


def test_what_is_remembered_is_asked_for_once_and_when_it_is_due(
    checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the cloud's own record of times: however busy the machine is, each end is asked for once, and not before it has come."""
    chain_of(checkout, 3)
    sky.weather.seconds = lambda _, name: 0.9 if "alone" in name else 0.7
    memory = checkout.root / "out" / "durations.json"
    put(checkout, sky, durations=Durations(memory))
    kept = Durations(memory)
    assert 0.65 < (kept.expected("shop/l1/recovery", "create") or 0) < 0.75
    sky.stacks.clear()
    sky.calls.clear()
    waited: list[Waiter] = []

    def waiter(*given: Any, **more: Any) -> Waiter:
        waited.append(Waiter(*given, **more))
        return waited[-1]

    monkeypatch.setattr(poller, "Waiter", waiter)
    put(checkout, sky, durations=kept)
    for region, stacks in sky.stacks.items():
        ends = [stack.created + sky.weather.seconds("create", name) for name, stack in stacks.items()]
        begun = min(stack.created for stack in stacks.values())
        asked = [at for at, where, operation in sky.calls if (where, operation) == (region, "DescribeStacks") and at > begun]
        assert 0 < len(asked) <= len(ends)
        assert all(sum(end <= at for end in ends) >= number for number, at in enumerate(asked, 1)), (ends, asked)
    due = {each.name: round(each.due - each.begun - poller.SLACK, 2) for each in waited}
    assert due == {name: sky.weather.seconds("create", name) for stacks in sky.stacks.values() for name in stacks}
    assert len(sky.cloudformation()) <= 4.5 * 6


def test_a_memory_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    for broken in ("{", '["x"]', '{"a create": 3}'):
        path.write_text(broken)
        assert Durations(path).expected("a", "create") is None
    memory = Durations(path)
    for seconds in (9.0, 3.0, 5.0, 4.0):
        memory.note("a", "create", seconds)
    assert memory.expected("a", "create") == 3.0
    memory.note("a", "create", 8.0)
    memory.save()
    assert Durations(path).expected("a", "create") == 4.0, "what was measured long ago is forgotten"
    Durations().save()


def test_throttled_it_slows_down_and_fails_nothing(checkout: Checkout, sky: Cloud) -> None:
    chain_of(checkout, 4)
    sky.weather.rate, sky.weather.burst = 6.0, 3
    sky.weather.seconds = lambda *_: 0.3
    result = put(checkout, sky)
    assert (len(result.done), result.failed) == (8, {})
    assert 0 < sky.rejected <= 10


def test_a_pace_slows_down_at_a_refusal_and_tries_a_little_more_after_each_success() -> None:
    now, slept = [10.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 2))
        now[0] += seconds

    pace = Pace(lambda: now[0], sleep)

    def calls(*codes: str) -> list[float]:
        """The pauses before calls that end so, each a while after the one before."""
        slept.clear()
        for code in codes:
            pace()
            pace.done(code)
        return list(slept)

    assert calls("", "", "") == []
    assert calls("Throttling") == []
    assert calls("", "")[0] == 0.5, "two calls a second from then on"
    now[0] += 5
    assert calls("ThrottlingException", "", "")[0] > 0.6, "slower still"
    now[0] += 5
    for _ in range(100):
        calls("")
    assert calls("", "")[1] < 0.3, "and faster again"


def test_no_more_than_a_few_calls_are_under_way_at_once() -> None:
    from chain.cloudformation.rate_limit import AT_ONCE

    pace = Pace()
    for _ in range(AT_ONCE):
        pace()
    passed = threading.Event()
    thread = threading.Thread(target=lambda: (pace(), passed.set()))
    thread.start()
    assert not passed.wait(0.1)
    pace.done("")
    assert passed.wait(5)
    thread.join()


def test_a_no_op_asks_one_question_a_stack_and_one_a_region(checkout: Checkout, sky: Cloud) -> None:
    chain_of(checkout, 3)
    put(checkout, sky)
    sky.calls.clear()
    assert {done.action for done in put(checkout, sky).done.values()} == {"unchanged"}
    assert len(sky.cloudformation()) == 6 + 2


# Nothing lost -------------------------------------------------------------------------------------------------------------


def test_after_a_failure_everything_that_does_not_depend_on_it_is_done(checkout: Checkout, sky: Cloud) -> None:
    chain_of(checkout, 4)
    sky.weather.failing[checkout.stack("l1")] = "Value"
    heard = Heard()
    result = put(checkout, sky, heard)
    ids = {layer: f"{REGION if int(layer[-1]) % 2 == 0 else AWAY}/{checkout.stack(layer)}" for layer in ("l0", "l1", "l2", "l3")}
    assert list(result.failed) == [ids["l1"]]
    assert str(result.failed[ids["l1"]]) == "Value (AWS::SSM::Parameter): as the test wants it"
    assert result.held == {ids["l2"]: (ids["l1"],), ids["l3"]: (ids["l1"],)}
    assert len(result.done) == 5
    sky.weather.failing.clear()
    again = put(checkout, sky)
    assert sorted(done.action for done in again.done.values()) == ["created"] * 3 + ["unchanged"] * 5


def test_an_answer_that_lags_is_not_taken_for_the_end(checkout: Checkout, sky: Cloud) -> None:
    chain_of(checkout, 2)
    sky.weather.stale, sky.weather.seconds = 0.6, lambda *_: 0.2
    memory = Durations()
    put(checkout, sky, durations=memory)
    checkout.values({f"l{number}": {"Size": "2"} for number in range(2)})
    result = put(checkout, sky, durations=memory)
    assert {id_.split("/")[1]: done.action for id_, done in result.done.items() if done.action != "unchanged"} == {
        checkout.stack("l0"): "updated",
        checkout.stack("l1"): "updated",
    }
    assert sky.begun["update", f"{REGION}/{checkout.stack('l0')}"] == 1
    states = {stack.name: stack for stack in sky.stacks[REGION].values()}
    assert states[checkout.stack("l0")].parameters["Size"] == "2"
    assert take(checkout, sky) == 4


def take(checkout: Checkout, sky: Cloud) -> int:
    """Destroy; how many stacks were deleted."""
    clients, templates = paced(sky), load(checkout.root / "templates")
    found = survey(templates, checkout.suffix, clients, ACCOUNT)
    result = destroy(found, templates, Run(clients, report=Heard(), caller=Caller(ACCOUNT, "", ())), patience=0)
    assert result.failed == {}, {id_: str(error) for id_, error in result.failed.items()}
    return len(result.deleted)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that ask again at once, not after seconds by chance: what is begun twice is begun twice sooner."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["CreateStack", "ExecuteChangeSet", "CreateChangeSet", "DescribeStacks", "DeleteStack"])
def test_a_connection_that_drops_begins_nothing_twice(checkout: Checkout, sky: Cloud, operation: str, when: str) -> None:
    chain_of(checkout, 2)
    dropped = []

    def drops(asked: str, _: str, number: int) -> str:
        if asked == operation and number % 2 == 1:
            dropped.append(asked)
            return when
        return ""

    sky.weather.drops, sky.weather.seconds = drops, lambda *_: 0.1
    assert put(checkout, sky).failed == {}
    checkout.values({"l0": {"Size": "2"}})
    assert put(checkout, sky).failed == {}
    assert take(checkout, sky) == 4
    assert dropped
    assert set(sky.begun.values()) == {1}, sky.begun


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_call_and_run_again_it_joins_and_begins_nothing_twice(checkout: Checkout, sky: Cloud, seed: int) -> None:
    chain_of(checkout, 3)
    sky.weather.seconds = lambda *_: 0.4
    for arguments in (("deploy", "--rotation-wait", "0"), ("destroy", "--yes")):
        sky.numbers.clear()
        processes: list[Any] = []
        at = seed * 3 + 2

        def kill(_operation: str, _region: str, _number: int, at: int = at, processes: list[Any] = processes) -> None:
            if sum(sky.numbers.values()) == at and processes:
                processes[0].send_signal(signal.SIGKILL)

        sky.weather.watch = kill
        processes.append(command(checkout, sky, arguments[0], "--env", checkout.suffix, *arguments[1:]))
        processes[0].communicate(timeout=60)
        sky.weather.watch = lambda *_: None
        again = command(checkout, sky, arguments[0], "--env", checkout.suffix, *arguments[1:])
        shown, said = again.communicate(timeout=60)
        assert again.returncode == Exit.OK, shown + said
        standing = [stack for region in sky.stacks.values() for stack in region.values()]
        assert len(standing) == (6 if arguments[0] == "deploy" else 0)
    assert set(sky.begun.values()) == {1}, sky.begun


# The table of statuses ----------------------------------------------------------------------------------------------------

ACTIONS = {
    Decision.CREATE: "created",
    Decision.UPDATE: "unchanged",
    Decision.WAIT: "unchanged",
    Decision.REMOVE: "created",
    Decision.REVIEW: "created",
    Decision.CONTINUE: "unchanged",
}


def standing(checkout: Checkout, sky: Cloud, status: str, resources: dict[str, tuple[str, str]] | None = None) -> Held:
    """The stack of the layer ``data`` in some status."""
    checkout.layer("data", outputs={"Out": "x"})
    stack = next(iter(checkout.graph().stacks))
    arn = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack.name}/1"
    values = {**stack.values, "EnvironmentSuffix": checkout.suffix}
    held = Held(arn, stack.name, status, stack.template.body, values, dict(stack.tags), created=time.time() - 60)
    held.resources = resources or {}
    if status.endswith("IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        kind = "create" if status == "CREATE_IN_PROGRESS" else "update"
        held.operation = (kind, time.time(), time.time() + 0.7, "")
    if status != "DELETE_COMPLETE":
        sky.stacks[REGION] = {stack.name: held}
    return held


@pytest.mark.parametrize("status", DECISIONS)
def test_every_status_has_a_decision_that_is_carried_out(checkout: Checkout, sky: Cloud, status: str) -> None:
    standing(checkout, sky, status)
    result = put(checkout, sky)
    decision = DECISIONS[status]
    if decision is Decision.REFUSE:
        assert result.failed[checkout.id("data")].status == status
        assert not sky.begun
    else:
        assert result.done[checkout.id("data")].action == ACTIONS[decision]
        assert next(iter(sky.stacks[REGION].values())).status.endswith("COMPLETE")


@pytest.mark.parametrize("status", [status for status, decision in DECISIONS.items() if decision is Decision.REMOVE])
@pytest.mark.parametrize("type_", ["AWS::RDS::DBInstance", "AWS::S3::Bucket"])
def test_what_a_failed_create_left_is_not_removed_while_it_may_hold_data(
    checkout: Checkout, sky: Cloud, status: str, type_: str
) -> None:
    standing(checkout, sky, status, {"Kept": (type_, "DELETE_FAILED"), "Role": ("AWS::IAM::Role", "DELETE_FAILED")})
    failure = put(checkout, sky).failed[checkout.id("data")]
    assert str(failure).startswith(
        f"the stack is in {status} and Kept may hold data: look at it, then aws cloudformation delete-stack"
    )
    assert not sky.begun


def test_a_rollback_is_finished_once_and_no_more(checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    held = standing(checkout, sky, "UPDATE_ROLLBACK_FAILED")
    monkeypatch.setitem(FAILED, "update", "UPDATE_ROLLBACK_FAILED")
    failure = put(checkout, sky).failed[checkout.id("data")]
    assert str(failure).startswith(
        "the stack is in UPDATE_ROLLBACK_FAILED; finish its rollback first: aws cloudformation continue"
    )
    assert len(held.operations) == 1


def test_remains_that_cannot_be_removed_are_told(checkout: Checkout, sky: Cloud) -> None:
    held = standing(checkout, sky, "ROLLBACK_FAILED")
    sky.weather.failing[held.name] = "Value"
    failure = put(checkout, sky).failed[checkout.id("data")]
    assert (failure.resource, failure.status) == ("Value", "DELETE_FAILED")


def test_a_plan_says_that_a_rollback_is_finished_first(checkout: Checkout, sky: Cloud) -> None:
    standing(checkout, sky, "UPDATE_ROLLBACK_FAILED")
    (step,) = plan(Run(sky.clients(), checkout.graph()))
    assert (step.action, step.note) == ("change", "it is in UPDATE_ROLLBACK_FAILED; its rollback is finished first")


def test_somebody_who_is_faster_is_joined(checkout: Checkout, sky: Cloud) -> None:
    checkout.layer("data")
    sky.weather.seconds = lambda *_: 0.5

    def faster(operation: str, _: str, number: int) -> None:
        if operation == "CreateStack" and number == 1:
            threading.Thread(target=lambda: results.append(put(checkout, sky))).start()
            until(lambda: sky.begun)

    results: list[Result] = []
    sky.weather.watch = faster
    mine = put(checkout, sky)
    until(lambda: results)
    assert sorted(each.done[checkout.id("data")].action for each in (mine, results[0])) == ["created", "unchanged"]
    assert set(sky.begun.values()) == {1}


# Locks --------------------------------------------------------------------------------------------------------------------


def test_two_deployers_at_once_are_one_too_many(checkout: Checkout, sky: Cloud) -> None:
    artifacts(checkout)
    put(checkout, sky)
    assert lock.KEY not in sky.buckets[bucket(checkout)], "it is let go at the end"
    sky.weather.seconds = lambda *_: 4.0
    checkout.values({"data": {"Size": "2"}})
    first = in_background(lambda: put(checkout, sky))
    until(lambda: lock.KEY in sky.buckets[bucket(checkout)])
    with pytest.raises(LockedError, match=f"shop in {REGION} is being deployed or destroyed by .* its last sign of life is"):
        deploy(Run(sky.clients(), checkout.graph(), Heard(), packages=checkout.root, locks=Locks(sky.clients(), "somebody")))
    assert first().failed == {}
    assert set(sky.begun.values()) == {1}


def test_what_stands_is_judged_under_the_lock(checkout: Checkout, sky: Cloud) -> None:
    artifacts(checkout)
    put(checkout, sky)
    asked: list[str] = []
    sky.weather.watch = lambda operation, *_: asked.append(operation)
    put(checkout, sky)
    calls = [each for each in asked if each.endswith(lock.KEY) or each == "GetTemplate"]
    assert calls[0].startswith("PUT ")
    assert calls[-1].startswith("DELETE ")
    assert "GetTemplate" in calls


def test_the_lock_is_taken_as_soon_as_its_bucket_stands_and_kept_alive(checkout: Checkout, sky: Cloud) -> None:
    artifacts(checkout)
    sky.weather.seconds = lambda _, name: 1.5 if "data" in name else 0.1
    locks = Locks(sky.clients(), "me")
    done = in_background(lambda: deploy(Run(sky.clients(), checkout.graph(), Heard(), packages=checkout.root, locks=locks)))
    until(lambda: lock.KEY in sky.buckets.get(bucket(checkout), {}))
    before = sky.buckets[bucket(checkout)][lock.KEY][1]
    locks.beat(REGION, bucket(checkout))
    assert sky.buckets[bucket(checkout)][lock.KEY][1] != before
    del sky.buckets[bucket(checkout)][lock.KEY]
    locks.beat(REGION, bucket(checkout))
    assert lock.KEY not in sky.buckets[bucket(checkout)], "what was unlocked is not locked again"
    sky.weather.dark.add(REGION)
    sky.weather.dark.clear()
    assert done().failed == {}


def test_a_bucket_that_refuses_is_no_lock(checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts(checkout)
    put(checkout, sky)
    clients = sky.clients()
    sky.weather.refuse = {"PUT"}
    with pytest.raises(ClientError, match="AccessDenied"):
        put(checkout, sky)
    sky.weather.refuse = {"GET"}
    with pytest.raises(ClientError, match="AccessDenied"):
        lock.find(clients("s3", REGION), "shop", checkout.suffix, REGION, bucket(checkout))
    sky.weather.refuse = set()
    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
    with Locks(clients, "me") as locks:
        locks.take("shop", checkout.suffix, REGION, bucket(checkout))
        before = sky.buckets[bucket(checkout)][lock.KEY][1]
        until(lambda: sky.buckets[bucket(checkout)][lock.KEY][1] != before)
        sky.weather.refuse = {"PUT", "GET"}
        locks.beat(REGION, bucket(checkout))
    sky.weather.refuse = set()
    assert lock.KEY in sky.buckets[bucket(checkout)], "what cannot be read is not taken away"
    sky.buckets[bucket(checkout)].clear()
    sky.weather.refuse = {"DELETE"}
    assert put(checkout, sky).failed == {}, "how a run ended does not rest on its lock"


@pytest.mark.parametrize("number", [1, 2])
def test_a_lock_whose_answer_was_lost_is_ours_and_is_kept_alive(checkout: Checkout, sky: Cloud, number: int) -> None:
    artifacts(checkout)
    put(checkout, sky)
    sky.numbers.clear()
    sky.weather.drops = lambda operation, _, at: "after" if operation.startswith("PUT") and at == number else ""
    with Locks(sky.clients(), "me") as locks:
        locks.take("shop", checkout.suffix, REGION, bucket(checkout))
        for _ in range(3):
            before = sky.buckets[bucket(checkout)][lock.KEY][1]
            locks.beat(REGION, bucket(checkout))
            assert sky.buckets[bucket(checkout)][lock.KEY][1] != before
    assert lock.KEY not in sky.buckets[bucket(checkout)]


def test_the_lock_of_a_process_that_was_killed_here_is_taken_over(checkout: Checkout, sky: Cloud) -> None:
    artifacts(checkout)
    put(checkout, sky)
    left(checkout, sky, started="1")
    assert put(checkout, sky).failed == {}
    assert lock.KEY not in sky.buckets[bucket(checkout)]


def test_a_lock_without_a_sign_of_life_is_shown_with_its_holder_and_taken_away(
    checkout: Checkout, sky: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import deploy as program

    artifacts(checkout)
    put(checkout, sky)
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": sky.endpoint}.items():
        monkeypatch.setenv(name, value)
    left(checkout, sky, machine="elsewhere/1")
    for name, exit_ in (("deploy", Exit.LOCKED), ("destroy", Exit.LOCKED), ("unlock", Exit.LOCKED)):
        more = ["--yes"] if name == "destroy" else []
        assert program.main([name, "--env", checkout.suffix, *more], checkout.root) == exit_
        said = "".join(capsys.readouterr())
        assert f"shop in {REGION} is being deployed or destroyed by arn:aws:iam::1:user/other on elsewhere (process" in said
    sky.modified = datetime.now(UTC).timestamp() - 660
    assert program.main(["deploy", "--env", checkout.suffix], checkout.root) == Exit.LOCKED
    said = "".join(capsys.readouterr())
    assert "of whom there was no sign for 11 minutes" in said
    assert said.rstrip().endswith(f"If that run has ended: make unlock ENV={checkout.suffix} SYSTEM=shop")
    assert program.main(["unlock", "--env", checkout.suffix], checkout.root) == Exit.OK
    assert f"unlocked  shop in {REGION}" in capsys.readouterr().out
    assert program.main(["unlock", "--env", checkout.suffix], checkout.root) == Exit.OK
    assert "Nothing is locked." in capsys.readouterr().out
    assert program.main(["deploy", "--env", checkout.suffix], checkout.root) == Exit.OK
    left(checkout, sky)

    def handed_on(operation: str, _: str, number: int) -> None:
        if operation.startswith("GET") and operation.endswith(lock.KEY) and number == 2:
            left(checkout, sky, caller="arn:aws:iam::1:user/next")

    sky.numbers.clear()
    sky.weather.watch = handed_on
    assert program.main(["unlock", "--env", checkout.suffix, "--yes"], checkout.root) == Exit.OK
    assert "whoever held it has let it go meanwhile; nothing was taken away" in capsys.readouterr().out
    assert lock.KEY in sky.buckets[bucket(checkout)]
    assert program.main(["unlock", "--env", checkout.suffix, "--yes"], checkout.root) == Exit.OK
    assert lock.KEY not in sky.buckets[bucket(checkout)]


def test_a_region_that_falls_silent_stops_no_other_locks_signs_of_life_and_not_the_end(
    checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
    monkeypatch.setattr(lock, "GRACE", 1.0)
    asked: list[str] = []

    def fall_silent(operation: str, region: str, _: int) -> None:
        if region == AWAY:
            asked.append(operation)
            sky.weather.dark = {AWAY}

    with Locks(sky.clients(patience=20), "me") as locks:
        for region in (AWAY, REGION):
            locks.take("shop", checkout.suffix, region, f"in-{region}")
        sky.weather.watch = fall_silent
        until(lambda: asked)
        before = sky.buckets[f"in-{REGION}"][lock.KEY][1]
        until(lambda: sky.buckets[f"in-{REGION}"][lock.KEY][1] != before)
    assert len(asked) == 1, "what it was asked is neither asked again nor waited for"
    assert lock.KEY not in sky.buckets[f"in-{REGION}"]
    assert lock.KEY in sky.buckets[f"in-{AWAY}"]


def test_what_is_locked_where_a_region_answers_can_be_unlocked_while_another_is_dark(
    checkout: Checkout, sky: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import deploy as program
    from chain.cloudformation import account

    artifacts(checkout)
    checkout.layer("away", sites={"recovery": AWAY})
    put(checkout, sky)
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": sky.endpoint}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(account, "FIRST_READ", 0.3)
    left(checkout, sky, started="1")
    sky.weather.dark = {AWAY}
    assert program.main(["unlock", "--env", checkout.suffix], checkout.root) == Exit.UNSEEN
    said = capsys.readouterr().out
    assert f"NOT SEEN  {AWAY} does not answer (ReadTimeoutError)" in said
    assert f"unlocked  shop in {REGION}" in said
    assert lock.KEY not in sky.buckets[bucket(checkout)]
    assert program.main(["unlock", "--env", checkout.suffix, "--json"], checkout.root) == Exit.UNSEEN
    assert '{"kind": "dark", "reason": "us-west-2 does not answer' in capsys.readouterr().out


def test_settings_that_cannot_be_asked_are_said_to_be_unchecked(
    checkout: Checkout, sky: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import deploy as program

    selected = {"BackupSelection": {"Resources": ["*"]}}
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {}}
    checkout.layer("backup", {"Selection": {"Type": "AWS::Backup::BackupSelection", "Properties": selected}, "Table": table})
    put(checkout, sky)
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": sky.endpoint}.items():
        monkeypatch.setenv(name, value)
    for name in ("status", "plan"):
        assert program.main([name, "--env", checkout.suffix], checkout.root) == Exit.OK
        assert "NOT CHECKED  AWS Backup" in capsys.readouterr().out


def test_a_lock_that_is_let_go_while_somebody_asks_is_taken(checkout: Checkout, sky: Cloud) -> None:
    artifacts(checkout)
    put(checkout, sky)
    left(checkout, sky)

    def let_go(operation: str, _: str, number: int) -> None:
        if operation.startswith("GET") and operation.endswith(lock.KEY) and number == 1:
            sky.buckets[bucket(checkout)].pop(lock.KEY)

    sky.numbers.clear()
    sky.weather.watch = let_go
    assert put(checkout, sky).failed == {}


def test_a_process_that_never_was_has_no_beginning() -> None:
    assert lock.started(2**22 + 1) == ""
    assert lock.started(os.getpid()) != ""
    assert not lock.Holder.here("me").is_dead
