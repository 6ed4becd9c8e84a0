"""Waiting: for each other, for answers that lag, and by the questions that cost least."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from chain.cloudformation import poller, statuses
from chain.cloudformation import stack as cfn
from chain.cloudformation.poller import Watch
from chain.cloudformation.schedule import StoppedError
from tests.support.chain.checkout import REGION, Checkout
from tests.support.chain.cloud import ACCOUNT, Cloud

NAMES = ("one", "two", "three")


def made(checkout: Checkout, sky: Cloud, *names: str) -> dict[str, str]:
    """Stacks that have begun to be made; their ids."""
    for name in names:
        checkout.layer(name)
    cloudformation = sky.clients()("cloudformation", REGION)
    return {
        stack.template.layer: cloudformation.create_stack(**cfn.asked(stack, stack.values))["StackId"]
        for stack in checkout.graph().stacks
    }


def questions(sky: Cloud) -> int:
    """How often DescribeStacks was asked."""
    return sum(operation == "DescribeStacks" for _, _, operation in sky.calls)


def together(waiting: Watch, ids: dict[str, str], **given: Any) -> dict[str, cfn.State | None]:
    """Wait for several stacks at once."""
    found: dict[str, cfn.State | None] = {}

    def one(name: str, id_: str) -> None:
        found[name] = waiting.rest(id_, lambda: None, **given)

    threads = [threading.Thread(target=one, args=each) for each in ids.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_one_question_answers_all_who_wait(checkout: Checkout, sky: Cloud) -> None:
    sky.weather.seconds = lambda *_: 0.5
    ids = made(checkout, sky, *NAMES)
    found = together(Watch(sky.clients()("cloudformation", REGION), threading.Event()), ids, token="t", expected=0.6)
    assert {name: state.status for name, state in found.items() if state} == dict.fromkeys(NAMES, "CREATE_COMPLETE")
    assert questions(sky) <= 2


def test_where_a_region_holds_many_pages_of_stacks_those_waited_for_are_asked_by_name(checkout: Checkout, sky: Cloud) -> None:
    sky.weather.seconds = lambda *_: 0.3
    ids = made(checkout, sky, "one", "two")
    waiting = Watch(sky.clients()("cloudformation", REGION), threading.Event(), pages=9)
    found = together(waiting, ids, token="t", expected=0.4)
    assert all(state is not None and state.status == "CREATE_COMPLETE" for state in found.values())


def test_what_runs_long_is_told_meanwhile(checkout: Checkout, sky: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "NEWS", 0.2)
    sky.weather.seconds = lambda *_: 1.0
    told: list[float] = []
    (id_,) = made(checkout, sky, "one").values()
    Watch(sky.clients()("cloudformation", REGION), threading.Event()).rest(id_, lambda: told.append(time.monotonic()), token="t")
    assert len(told) >= 2


def test_who_is_told_to_stop_stops(checkout: Checkout, sky: Cloud) -> None:
    sky.weather.seconds = lambda *_: 60.0
    (id_,) = made(checkout, sky, "one").values()
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        Watch(sky.clients()("cloudformation", REGION), stop).rest(id_, lambda: None, token="t", expected=30.0)


def shown(status: str = "CREATE_COMPLETE", *mark: object) -> cfn.State:
    """A stack as it may be shown."""
    return cfn.State("arn:a:stack/one/1", "one", status, "", {}, {}, {}, datetime.now(UTC), (status, *mark))


class Script:
    """A CloudFormation whose stack is shown like this, one time after the other; and its events."""

    def __init__(self, *states: cfn.State | None, events: list[dict[str, Any]] | None = None) -> None:
        self.states, self.events = list(states), events or []

    def get_paginator(self, name: str) -> Any:
        if name == "describe_stack_events":
            return type("Pages", (), {"paginate": lambda _, **__: [{"StackEvents": self.events}]})()
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        raw = [] if state is None else [raw_of(state)]
        return type("Pages", (), {"paginate": lambda _: [{"Stacks": raw}]})()


def raw_of(state: cfn.State) -> dict[str, Any]:
    """As DescribeStacks gives it."""
    operations = [{"OperationId": each} for each in state.mark[1:]]
    base = {"StackId": state.id, "StackName": state.name, "StackStatus": state.status, "CreationTime": state.updated}
    return {**base, "LastOperations": operations}


def before(status: str = "DELETE_FAILED") -> cfn.State:
    """How the stack was shown before the operation."""
    return cfn._state(raw_of(shown(status, "first")))


def test_an_operation_that_ends_as_the_one_before_is_known_by_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "FIRST", 0.01)
    own = {
        "PhysicalResourceId": "arn:a:stack/one/1",
        "ResourceStatus": "DELETE_FAILED",
        "EventId": "e",
        "ClientRequestToken": "ours",
    }
    same = before()
    script = Script(shown("DELETE_FAILED", "first"), events=[own])
    found = Watch(script, threading.Event()).rest(same.id, lambda: None, before=same, token="ours")
    assert found is not None
    assert found.status == "DELETE_FAILED"
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        Watch(script, stop).rest(same.id, lambda: None, before=same, token="another")


def test_a_new_operation_is_known_by_its_id_and_a_stack_just_made_may_not_show_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "FIRST", 0.01)
    same = before("UPDATE_COMPLETE")
    script = Script(shown("UPDATE_COMPLETE", "first"), shown("UPDATE_COMPLETE", "second"))
    found = Watch(script, threading.Event()).rest(same.id, lambda: None, before=same, token="t")
    assert found is not None
    assert found.mark[-1] == "second"
    late = Watch(Script(None, None, shown()), threading.Event()).rest(same.id, lambda: None, token="t")
    assert late is not None
    assert Watch(Script(None), threading.Event()).rest(same.id, lambda: None) is None, "what was joined and is not there is gone"
    monkeypatch.setattr(poller, "VISIBLE", 0.05)
    assert Watch(Script(None), threading.Event()).rest(same.id, lambda: None, token="t") is None


def test_questions_come_at_the_expected_end_then_more_and_more_rarely() -> None:
    waiter = poller.Waiter("id", "n", None, "t", 100.0, 10.0, fresh=True)
    assert poller._first(waiter) == pytest.approx(10.05)
    assert poller._next(waiter, 104.0) == pytest.approx(6.05)
    assert poller._next(waiter, 110.05) == pytest.approx(0.2)
    assert poller._next(waiter, 111.0) == pytest.approx(1.0)
    assert poller._next(waiter, 150.0) == poller.SLOWEST
    slow = poller.Waiter("id", "n", None, "t", 100.0, 900.0, fresh=True)
    assert poller._first(slow) == poller._next(slow, 101.0) == poller.LONGEST, "a stack may fail early"
    unknown = poller.Waiter("id", "n", None, "t", 100.0, None, fresh=True)
    assert (poller._first(unknown), poller._next(unknown, 101.0), poller._next(unknown, 120.0)) == (0.5, 0.5, 2.0)


def test_the_documentation_is_the_table() -> None:
    text = statuses.markdown()
    for status, decision in statuses.DECISIONS.items():
        assert f"| `{status}` | {decision.value}" in text
    assert "aws cloudformation rollback-stack --region REGION --stack-name STACK |" in text
    assert ACCOUNT not in text
