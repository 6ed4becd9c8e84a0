"""A rotation killed, or overtaken by others, at every single call that it makes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.functions.rotations import STEPS, Rotator, Runner


def _calls(rotator: Rotator, runner: Runner) -> list[str]:
    """The calls of one undisturbed rotation, as they were made."""
    answer = runner.run(rotator.events(rotator.service.rotate(rotator.arn)), rotator.environment)
    assert answer["outcomes"] == [""] * len(STEPS)
    calls: list[str] = answer["calls"]
    return calls


def test_calls_of_a_rotation_are_all_seen(rotator: Rotator, runner: Runner) -> None:
    rotator.service.calls.clear()
    calls = _calls(rotator, runner)
    asked = [operation for operation, _ in rotator.service.calls]
    assert [call for call in calls if call in set(asked)] == asked
    assert asked.count("DescribeSecret") > len(STEPS), "the second look under the lock is one of them"
    log = [line for line in rotator.server.log.read_text().splitlines() if f" {rotator.user}@" in line]
    logged = [" ".join(line.split("LOG:  statement: ")[1].split()[:2]) for line in log if "LOG:  statement: " in line]
    assert [call for call in calls if call in set(logged)] == logged
    assert "ALTER ROLE" in logged
    assert set(calls) == {*asked, *logged, "connect", "close"}


def test_killed_before_and_after_every_call_it_ends_in_one_valid_secret(rotator: Rotator, runner: Runner) -> None:
    points = [(at, when) for at in range(len(_calls(rotator, runner))) for when in ("before", "after")]
    old = rotator.password
    for at, when in points:
        token = rotator.service.rotate(rotator.arn)
        killed = runner.run(rotator.events(token), rotator.environment, at=at, when=when, signal="SIGKILL")
        assert killed == {"killed": 9}, (at, when)
        # A client always finds a current secret that opens, or the pending one that is about to be current.
        pending = rotator.service.secrets[rotator.arn].versions[token]
        assert rotator.opens(old) or (pending is not None and rotator.opens(rotator.pending(token))), (at, when)
        again = runner.run(rotator.events(token), rotator.environment)
        assert again["outcomes"] == [""] * len(STEPS), (at, when)
        rotator.check_one_valid_current(token, old)
        old = rotator.password


@pytest.mark.parametrize("rotations", [1, 2], ids=["by the same rotation", "by the same rotation and the next one"])
def test_overtaken_at_every_call_it_ends_in_one_valid_secret(rotator: Rotator, runner: Runner, rotations: int) -> None:
    count = len(_calls(rotator, runner))
    for at in range(count):
        old = rotator.password
        token = rotator.service.rotate(rotator.arn)
        slow = runner.run(rotator.events(token), rotator.environment, at=at, when="before", signal="SIGSTOP")
        assert slow.keys() == {"stopped"}
        finished = True
        for number in range(rotations):
            if number:
                old, token = rotator.password, rotator.service.rotate(rotator.arn)
            quick = runner.run(rotator.events(token), rotator.environment, statement_timeout=1)
            finished = quick["outcomes"] == [""] * len(STEPS)
            if not finished:
                # The slow run holds the lock; this one has given up waiting, and Secrets Manager tries again later.
                assert "statement timeout" in quick["outcomes"][-1], at
                break
        resumed: dict[str, Any] = runner.resume(slow["stopped"])
        assert "outcomes" in resumed, at
        if not finished:
            assert runner.run(rotator.events(token), rotator.environment)["outcomes"] == [""] * len(STEPS), at
        rotator.check_one_valid_current(token, old)
