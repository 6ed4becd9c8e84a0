"""What an alarm's failover rests on is looked at anew: a primary that answers and takes writes stays the one that writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from emulator import Emulator
from tests.support.functions.failovers import SYSTEM, Failover, Start, answers, ended_well, function
from tests.support.functions.harm import Killed

MINUTE, HOURS = timedelta(minutes=1), timedelta(hours=3)
Later = Callable[[timedelta], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Time passes for the function."""
    from orchestration import aurora, run, state

    passed = [timedelta(0)]

    def shift(by: timedelta) -> None:
        passed[0] += by

    for module in (aurora, run, state):
        monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) + passed[0])
    return shift


def event(failover: Failover, change: int = 0) -> dict[str, Any]:
    """Of an alarm that has changed just now; ``change`` tells one change from another."""
    return failover.event((datetime.now(UTC) + timedelta(milliseconds=change)).isoformat())


def stayed(failover: Failover) -> None:
    """Nothing was fenced, promoted or recorded."""
    assert failover.writer() == [failover.away.cluster]
    assert failover.topology == {}
    assert not [name for name in failover.parameters("execution/") if name.endswith(("fence-asked", "promote-asked"))]


def kill_after(failover: Failover, call: str, asked: dict[str, Any]) -> None:
    """The run that was asked so is gone right after this call."""

    def kill(name: str) -> None:
        if name == call:
            raise Killed

    failover.disturb(after=kill)
    with pytest.raises(Killed):
        failover.invoke(asked)
    failover.disturb()


def deny(failover: Failover, status: int, kind: str) -> None:
    """Lambda is there and asks no function, at either site."""

    def make(name: str) -> AWSResponse | None:
        if name != "Invoke":
            return None
        said = AWSResponse("https://of-the-test", status, {"x-amzn-errortype": kind}, None)
        said._content = b'{"Reason": "ConcurrentInvocationLimitExceeded"}'
        return said

    failover.disturb(before=make)


def execution(failover: Failover, name: str) -> dict[str, Any]:
    """The entry of the only execution that has it."""
    [found] = [value for entry, value in failover.parameters("execution/").items() if entry.endswith(name)]
    return dict(found)


def test_a_primary_that_answers_is_not_failed_over_on_an_alarms_word(start: Start) -> None:
    failover = start()
    failover.alarm()
    answer = failover.invoke(event(failover))
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["primary-answers"])
    assert [subject for subject in failover.told() if subject.endswith("failover refused")]
    assert failover.drive()[-1]["outcome"] == "nothing to do"
    stayed(failover)


def test_nor_on_the_clocks_and_it_is_told_once(start: Start, later: Later) -> None:
    failover = start()
    failover.alarm()
    later(5 * MINUTE)
    answer = failover.invoke({"tick": True})
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["primary-answers"])
    failover.told()
    for _ in range(3):
        later(MINUTE)
        assert failover.invoke({"tick": True})["outcome"] == "nothing to do"
    assert failover.told() == []
    stayed(failover)


def test_one_that_is_lost_while_the_alarms_go_on_standing_is_failed_over(start: Start, later: Later) -> None:
    failover = start()
    failover.alarm()
    assert failover.invoke(event(failover))["outcome"] == "refused"
    later(5 * MINUTE)
    failover.primary("gone")
    assert failover.invoke({"tick": True})["outcome"] == "begun"
    failover.drive()
    assert sorted(failover.outcomes()) == ["completed", "refused"]
    assert failover.writer() == [failover.topology["writer"]] == [failover.here.cluster]


def test_no_approval_overrules_a_primary_that_answers(start: Start) -> None:
    failover = start()
    failover.configure("mode", "approve")
    failover.both()
    waiting = failover.invoke(event(failover))
    assert waiting["outcome"] == "waiting-for-approval"
    failover.primary("probe")
    answer = failover.invoke({"approve": waiting["execution"], "by": "operator"})
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["primary-answers"])
    stayed(failover)


def test_an_operators_own_order_is_another_matter(start: Start) -> None:
    failover = start()
    asked = failover.invoke({"request": "failover", "by": "operator"})
    assert asked["outcome"] == "waiting-for-approval", "there is no evidence"
    assert failover.invoke({"approve": asked["execution"], "by": "another"})["outcome"] == "begun"
    failover.drive()
    ended_well(failover)


def test_an_operators_own_order_waits_for_her_though_no_alarm_stands(start: Start) -> None:
    failover = start()
    assert failover.invoke({"request": "failover", "by": "operator"})["outcome"] == "waiting-for-approval"
    for _ in range(2):
        assert failover.invoke({"tick": True})["outcome"] == "nothing to do"
    assert failover.outcomes() == []


def test_evidence_of_hours_ago_decides_nothing(start: Start, later: Later) -> None:
    """The first entry is noted, the run is killed, and the function does not run; then the alarms are over."""
    failover = start()
    failover.both()
    kill_after(failover, "PutParameter", event(failover))
    later(HOURS)
    failover.evidence("primary-unreachable")
    answer = failover.invoke({"tick": True})
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["one-piece-of-evidence"])
    stayed(failover)


def test_alarms_that_nobody_can_read_decide_by_what_they_said_for_ten_minutes(start: Start, later: Later) -> None:
    from botocore.exceptions import ClientError, ReadTimeoutError

    failover = start()
    failover.both()
    kill_after(failover, "PutParameter", event(failover))
    failover.refuse("DescribeAlarms")
    later(11 * MINUTE)
    for _ in range(2):
        with pytest.raises((ClientError, ReadTimeoutError)):
            failover.invoke({"tick": True})
    stayed(failover)
    later(-6 * MINUTE)
    assert failover.invoke({"tick": True})["outcome"] == "begun"


def test_what_would_be_lost_is_what_would_be_lost_now(start: Start, later: Later, aws: Emulator) -> None:
    failover = start()
    failover.both()
    kill_after(failover, "PutParameter", event(failover))
    later(5 * MINUTE)
    old = function(aws, f"old-{failover.suffix}", failover.here.region, 'def handler(*_): return {"seconds": 901.0}')
    failover.monkeypatch.setenv("REPLICA_AGE_ARN", old)
    waiting = failover.invoke({"tick": True})
    assert waiting["outcome"] == "waiting-for-approval"
    assert "901 s would be lost" in waiting["why"][0]
    failover.invoke({"approve": waiting["execution"], "by": "operator"})
    failover.drive()
    assert failover.topology["rpo_seconds"] == 901.0


def test_an_approval_of_yesterday_is_none(start: Start, later: Later) -> None:
    """It is noted, the run is killed, and the function does not run; the alarms stand again then, or still."""
    failover = start()
    failover.configure("mode", "approve")
    failover.both()
    waiting = failover.invoke(event(failover))["execution"]
    kill_after(failover, "PutParameter", {"approve": waiting, "by": "operator"})
    later(HOURS)
    answer = failover.invoke({"tick": True})
    assert (answer["outcome"], answer["refusals"][0]) == ("refused", "approval-outdated")
    stayed(failover)
    failover.told()
    again = failover.invoke({"tick": True})
    assert again["outcome"] == "waiting-for-approval"
    assert again["execution"] != waiting
    assert [subject for subject in failover.told() if subject.endswith("waits for an approval")]
    assert failover.invoke({"approve": again["execution"], "by": "operator"})["outcome"] == "begun"


def test_what_waits_ends_when_the_alarms_are_over(start: Start) -> None:
    failover = start()
    failover.configure("mode", "approve")
    failover.both()
    waiting = failover.invoke(event(failover))["execution"]
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do"
    failover.refuse("DescribeAlarms")
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do", "what nobody can read is not over"
    failover.disturb()
    failover.evidence("primary-unreachable")
    failover.told()
    answer = failover.invoke({"tick": True})
    assert (answer["outcome"], answer["execution"]) == ("refused", waiting)
    assert "replica-data-stale" in answer["why"]
    assert [subject for subject in failover.told() if subject.endswith("refused")]
    assert failover.invoke({"approve": waiting, "by": "operator"})["outcome"] == "refused"
    stayed(failover)


def test_an_approval_that_comes_while_the_wait_for_it_ends_counts(start: Start) -> None:
    from orchestration import run

    failover = start()
    failover.configure("mode", "approve")
    failover.both()
    waiting = failover.invoke(event(failover))["execution"]

    def approve(name: str) -> None:
        if name == "PutParameter" and failover.calls.count(name) == 1:  # the lease under which the wait is to end
            approval = json.dumps({"at": datetime.now(UTC).isoformat(), "by": "operator"})
            path = f"/{SYSTEM}/{failover.suffix}/execution/{waiting}/approval"
            failover.ssm.put_parameter(Name=path, Value=approval, Type="String")

    failover.disturb(before=approve)
    with failover.monkeypatch.context() as late:
        late.setattr(run, "EXPIRES", timedelta(0))
        assert failover.invoke({"tick": True})["outcome"] == "busy"
    failover.disturb()
    assert failover.outcomes() == []
    assert failover.invoke({"tick": True})["outcome"] == "begun"


@pytest.mark.parametrize("by_clock", [True, False], ids=["by the clock", "by its approval"])
def test_what_waits_ends_when_another_has_acted_and_ended(start: Start, by_clock: bool) -> None:
    """Also when it is home again since, where a second approval would leave once more."""
    failover = start()
    failover.configure("cooldown-seconds", "0")
    failover.configure("mode", "approve")
    failover.both()
    one, another = (failover.invoke(event(failover, change))["execution"] for change in range(2))
    own = failover.invoke({"request": "failover", "by": "operator", "execution": "manual-20261121T120000Z-0a1b"})
    assert own["outcome"] == "begun", "there is evidence, and whose own order it is waits for nobody"
    failover.drive()
    assert failover.invoke({"request": "failback", "by": "operator"})["outcome"] == "begun"
    failover.drive()
    assert failover.topology["state"] == "home"
    for each in (one, another):
        if by_clock:
            answer = failover.invoke({"tick": True})
            assert answer["execution"] in (one, another)
        else:
            answer = failover.invoke({"approve": each, "by": "operator"})
            assert answer["refusals"][0] == "superseded"
        assert answer["outcome"] == "refused"
        assert "has acted and ended" in str(answer["why"])
    assert failover.topology["epoch"] == 2
    assert sorted(failover.outcomes()) == ["completed", "completed", "refused", "refused"]
    assert failover.writer() == [failover.away.cluster]


def test_a_refusal_of_another_ends_nothing_that_waits(start: Start) -> None:
    failover = start()
    failover.configure("mode", "approve")
    failover.both()
    waiting = failover.invoke(event(failover))["execution"]
    assert failover.invoke({"request": "failback"})["outcome"] == "refused"
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do"
    assert failover.invoke({"approve": waiting, "by": "operator"})["outcome"] == "begun"


def test_a_primary_that_is_back_before_the_fence_is_not_even_fenced(start: Start) -> None:
    failover = start()
    failover.both()
    failover.primary("gone")
    assert failover.invoke(event(failover))["outcome"] == "begun"
    failover.primary("probe")
    failover.told()
    answer = failover.drive()[-1]
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["primary-answers"])
    assert any(subject.endswith("failover withdrawn") for subject in failover.told())
    stayed(failover)


def capacity(failover: Failover) -> float:
    name = failover.here.cluster.rpartition(":")[2]
    rds = failover.aws.client("rds", failover.here.region)
    [found] = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    return float(found["ServerlessV2ScalingConfiguration"]["MinCapacity"])


def test_a_primary_that_is_back_before_the_promotion_is_opened_again(start: Start) -> None:
    failover = start()
    failover.both()
    failover.invoke(event(failover))
    answers(failover, "fence", "capacity")
    assert capacity(failover) == 2
    failover.primary("probe")
    answer = failover.drive()[-1]
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["primary-answers"])
    assert "as before" in answer["why"]
    opened = execution(failover, "-home-open")
    assert (opened["fenced"], opened["epoch"]) == (False, 0), "the epoch that was, and is"
    assert opened["token"] > execution(failover, "01-decided")["token"]
    assert capacity(failover) == 0.5
    assert failover.writer() == [failover.away.cluster]
    assert failover.topology == {}


def test_what_cannot_be_opened_again_is_told_and_tried_again(start: Start, aws: Emulator, later: Later) -> None:
    failover = start()
    failover.both()
    failover.invoke(event(failover))
    answers(failover, "fence", "capacity")
    source = """def handler(event, context):
        if event["do"] != "probe":
            raise RuntimeError
        return {"writable": True, "epoch": 0}"""
    function(aws, f"closed-{failover.suffix}", failover.away.region, source)
    failover.primary(f"closed-{failover.suffix}")
    for _ in range(2):
        answer = failover.invoke({"tick": True})
        assert (answer["outcome"], answer["step"]) == ("step-failed", "home-open")
    assert len([subject for subject in failover.told() if subject.endswith("home-open failed")]) == 1
    later(20 * MINUTE)
    answer = failover.drive()[-1]
    assert answer["outcome"] == "refused"
    assert "home-open failed" in answer["why"]


def test_each_try_of_a_promotion_asks_the_primary_first(start: Start, later: Later) -> None:
    failover = start()
    failover.both()
    failover.refuse("FailoverGlobalCluster")
    failover.invoke(event(failover))
    answers(failover, "promote")
    failover.disturb()
    failover.calls.clear()
    failover.primary("probe")
    assert failover.invoke({"tick": True})["step"] == "not-promoted", "what was asked for may show late"
    later(5 * MINUTE)
    assert failover.drive()[-1]["outcome"] == "refused"
    assert "FailoverGlobalCluster" not in failover.calls
    assert execution(failover, "-home-open")["epoch"] == 0
    assert failover.writer() == [failover.away.cluster]


def test_a_promotion_that_was_accepted_though_nobody_said_so_is_gone_on_with(start: Start, later: Later) -> None:
    failover = start()
    failover.both()
    failover.invoke(event(failover))
    answers(failover, "fence", "capacity")
    kill_after(failover, "FailoverGlobalCluster", {"tick": True})
    failover.primary("probe")
    later(5 * MINUTE)  # whoever is dead gives no lease back
    for _ in range(20):
        later(5 * MINUTE)
        if failover.invoke({"tick": True})["outcome"] == "completed":
            break
        failover.aws.settle()
    ended_well(failover)
    assert failover.topology["site"] == "recovery"


def test_a_cluster_leaves_its_global_database_only_where_the_primary_is_lost_still(
    start: Start,
    later: Later,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from orchestration import aurora

    failover = start()
    failover.both()
    failover.refuse("FailoverGlobalCluster")
    failover.invoke(event(failover))
    answers(failover, "promote")
    monkeypatch.setattr(aurora, "PATIENCE", timedelta(0))
    failover.primary("probe")
    failover.invoke({"tick": True})
    later(5 * MINUTE)
    assert failover.drive()[-1]["outcome"] == "refused"
    assert "RemoveFromGlobalCluster" not in failover.calls
    assert failover.writer() == [failover.away.cluster]


@pytest.mark.parametrize("over", [True, False])
def test_what_was_decided_hours_ago_is_promoted_only_while_the_alarms_stand(
    start: Start,
    later: Later,
    over: bool,
) -> None:
    failover = start()
    failover.both()
    failover.primary("gone")
    assert failover.invoke(event(failover))["outcome"] == "begun"
    later(timedelta(minutes=11))
    if over:
        failover.evidence("replica-data-stale")
    answer = failover.drive()[-1]
    if over:
        assert (answer["outcome"], answer["refusals"]) == ("refused", ["one-piece-of-evidence"])
        stayed(failover)
    else:
        assert answer["outcome"] == "completed"
        assert failover.writer() == [failover.here.cluster]


UNREADABLE = ("None", "[]", '"yes"', "{}", '{"writable": None}', '{"writable": "no"}')


@pytest.mark.parametrize("answered", UNREADABLE)
def test_an_answer_that_nobody_can_read_is_neither_yes_nor_no(start: Start, aws: Emulator, answered: str) -> None:
    failover = start()
    failover.alarm()
    name = f"unclear-{failover.suffix}"
    function(aws, name, failover.away.region, f"def handler(*_): return {answered}")
    failover.primary(name)
    waiting = failover.invoke(event(failover))
    assert waiting["outcome"] == "waiting-for-approval"
    assert "nobody can read" in str(waiting["why"])
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do"
    stayed(failover)
    if answered == "None":
        assert failover.invoke({"approve": waiting["execution"], "by": "operator"})["outcome"] == "begun"
        assert failover.drive()[-1]["outcome"] == "completed", "a person has said that it is lost"


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "TooManyRequestsException"), (403, "AccessDeniedException"), (403, "InvalidSignatureException")]
)
def test_a_region_that_does_not_ask_its_probe_is_not_lost(start: Start, status: int, kind: str) -> None:
    """Whatever else runs there takes the capacity, or our own role or clock is wrong: the database is well."""
    failover = start()
    failover.alarm()
    deny(failover, status, kind)
    waiting = failover.invoke(event(failover))
    assert waiting["outcome"] == "waiting-for-approval"
    assert "nobody can read" in str(waiting["why"])
    stayed(failover)


def test_an_answer_that_nobody_can_read_any_more_ends_what_nobody_approved(start: Start, aws: Emulator) -> None:
    failover = start()
    failover.both()
    failover.primary("gone")
    failover.invoke(event(failover))
    function(aws, f"unclear-{failover.suffix}", failover.away.region, "def handler(*_): return None")
    failover.primary(f"unclear-{failover.suffix}")
    answer = failover.drive()[-1]
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["primary-unclear"])
    stayed(failover)


def test_alarms_that_nobody_can_read_do_not_cost_the_fence(start: Start, later: Later) -> None:
    """What was looked at is older than ten minutes by then; the promotion waits until they can be read."""
    failover = start()
    failover.both()
    assert failover.invoke(event(failover))["outcome"] == "begun"
    later(11 * MINUTE)
    failover.refuse("DescribeAlarms")
    answers(failover, "fence", "capacity")
    assert execution(failover, "-fence")["fenced"] is True
    assert failover.invoke({"tick": True})["step"] == "promote"
    assert failover.writer() == [failover.away.cluster]


def withdraw(failover: Failover, later: Later) -> None:
    """Its promotion was asked for and refused, and the primary was back."""
    failover.both()
    failover.invoke(event(failover))
    failover.refuse("FailoverGlobalCluster")
    answers(failover, "promote")
    failover.disturb()
    failover.primary("probe")
    failover.invoke({"tick": True})
    later(3 * MINUTE)


def test_a_promotion_that_shows_after_the_capacity_was_lowered_again_has_its_capacity(
    start: Start,
    later: Later,
) -> None:
    """It was withdrawn, for the primary was back, and AWS had accepted it all the same."""
    failover = start()
    withdraw(failover, later)
    answers(failover, "capacity-lowered")
    failover.aws.client("rds", failover.here.region).failover_global_cluster(
        GlobalClusterIdentifier=failover.whole, TargetDbClusterIdentifier=failover.here.cluster, AllowDataLoss=True
    )
    failover.aws.settle()
    assert failover.drive()[-1]["outcome"] == "completed"
    assert capacity(failover) == 2


@pytest.mark.parametrize("readable", [True, False])
def test_alarms_that_are_over_before_the_promotion_promote_nothing_though_the_primary_is_not_heard(
    start: Start,
    readable: bool,
) -> None:
    """They are its own witnesses, and one answer of its probe is lost easily. Alarms that nobody can read are not over."""
    failover = start()
    failover.both()
    failover.primary("gone")
    assert failover.invoke(event(failover))["outcome"] == "begun"
    failover.evidence("replica-data-stale")
    if not readable:
        failover.refuse("DescribeAlarms")
    answer = failover.drive()[-1]
    if not readable:
        assert answer["outcome"] == "completed"
        return
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["one-piece-of-evidence"])
    stayed(failover)


def test_of_what_is_left_after_a_withdrawal_only_the_fence_is_said_to_be_taken_off(start: Start, later: Later) -> None:
    failover = start()
    withdraw(failover, later)
    failover.evidence()
    failover.primary("gone")
    why = failover.drive()[-1]["why"]
    assert why.endswith(
        "home-open is left until it answers. capacity-lowered is not done: a failback does it, or do it yourself."
    )
    assert capacity(failover) == 2
    failover.primary("probe")
    assert failover.invoke({"tick": True})["outcome"] == "home is open"
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do"
