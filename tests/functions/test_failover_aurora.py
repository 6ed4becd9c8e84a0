"""A global database fails over by the function, with a real PostgreSQL behind each cluster."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from common.report import FunctionError

from emulator import Emulator
from tests.support.emulator.global_database import member, primary, secondary
from tests.support.functions.failovers import (
    BACK,
    DUBLIN,
    LONDON,
    PROBE,
    REQUESTS,
    SUFFIXES,
    SYSTEM,
    THERE,
    Failover,
    Site,
    Start,
    answers,
    ended_well,
    function,
    onward,
)
from tests.support.functions.harm import KILLS, TROUBLES, Everywhere, Harm, Killed

A_WHILE = timedelta(minutes=15)


def test_an_alarm_with_both_pieces_of_evidence_promotes_the_recovery_site(start: Start) -> None:
    failover = start()
    failover.both()
    begun = failover.invoke(failover.event())
    assert begun["outcome"] == "begun", begun
    said = failover.drive()
    assert said[-1]["outcome"] == "completed", said
    assert failover.writer() == [failover.here.cluster]
    assert failover.topology["state"] == "failed-over"
    assert failover.topology["writer"] == failover.here.cluster
    assert failover.topology["epoch"] == 1
    assert failover.topology["rpo_seconds"] == 30.0
    assert failover.topology["rto_seconds"] > 0


def test_an_event_that_comes_twice_and_late_is_one_failover(start: Start) -> None:
    failover = start()
    failover.both()
    failover.invoke(failover.event())
    assert failover.invoke(failover.event())["outcome"] == "begun"
    failover.drive()
    assert failover.invoke(failover.event())["outcome"] == "completed"
    assert failover.invoke(failover.event("2026-11-21T08:59:00.000+0000"))["outcome"] == "refused"
    assert failover.topology["epoch"] == 1
    assert failover.writer() == [failover.here.cluster]


def test_an_alarm_that_is_over_and_an_alarm_of_others_are_nothing(start: Start) -> None:
    failover = start()
    over = failover.event()
    over["detail"]["state"]["value"] = "OK"
    assert failover.invoke(over)["outcome"] == "nothing to do"
    assert failover.invoke({**failover.event(), "resources": ["arn:of:another"]})["outcome"] == "nothing to do"
    assert failover.parameters("execution/") == {}


def test_one_piece_of_evidence_is_refused_and_told(start: Start) -> None:
    failover = start()
    failover.primary("unwritable")
    failover.evidence("primary-unreachable")
    answer = failover.invoke(failover.event())
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["one-piece-of-evidence"])
    assert [subject for subject in failover.told() if "failover refused" in subject]
    assert failover.drive()[-1]["outcome"] == "nothing to do"
    assert failover.writer() == [failover.away.cluster]


def test_what_waits_for_an_approval_goes_on_with_it_and_not_before(start: Start) -> None:
    failover = start()
    failover.configure("mode", "approve")
    failover.both()
    waiting = failover.invoke(failover.event())
    assert waiting["outcome"] == "waiting-for-approval"
    assert failover.drive()[-1]["outcome"] == "nothing to do"
    assert failover.writer() == [failover.away.cluster]
    approved = failover.invoke({"approve": waiting["execution"], "by": "arn:aws:iam::123456789012:user/operator"})
    assert approved["outcome"] == "begun"
    assert failover.drive()[-1]["outcome"] == "completed"
    assert failover.parameters("execution/")[f"execution/{waiting['execution']}/approval"]["by"].endswith("user/operator")


def test_an_approval_that_nobody_gives_expires(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run

    failover = start()
    failover.configure("mode", "approve")
    failover.both()
    failover.invoke(failover.event())
    monkeypatch.setattr(run, "EXPIRES", timedelta(0))
    assert failover.drive()[-1]["outcome"] == "refused"
    assert failover.outcomes() == ["refused"]


def test_a_dry_run_says_what_would_be_lost_and_leaves_nothing_behind(start: Start) -> None:
    failover = start()
    before = failover.parameters("topology/") | failover.parameters("execution/") | failover.parameters("lock/")
    answer = failover.invoke({"request": "dry-run"})
    assert (answer["would"], answer["lost_seconds"]) == ("wait", 30.0)
    assert answer["steps"] == ["fence", "capacity", "promote", "verify", "backup"]
    assert failover.invoke({"request": "dry-run", "of": "switchover"})["would"] == "act"
    assert before == {} == failover.parameters("topology/") | failover.parameters("execution/") | failover.parameters("lock/")
    with pytest.raises(FunctionError, match="nothing that can be asked for"):
        failover.invoke({"request": "dry-run", "of": "holiday"})


def test_a_switchover_and_the_way_back_lose_nothing(start: Start) -> None:
    failover = start()
    begun = failover.invoke({"request": "switchover", "by": "operator"})
    assert begun["outcome"] == "begun", begun
    assert failover.drive()[-1]["outcome"] == "completed"
    assert (failover.topology["state"], failover.topology["rpo_seconds"]) == ("failed-over", 0)
    assert failover.writer() == [failover.here.cluster]
    back = failover.invoke({"request": "failback", "by": "operator"})
    assert back["outcome"] == "begun", back
    assert failover.drive()[-1]["outcome"] == "completed"
    assert (failover.topology["state"], failover.topology["epoch"]) == ("home", 2)
    assert failover.writer() == [failover.away.cluster]
    assert failover.invoke({"request": "failback"})["refusals"] == ["at-home"]


def test_a_dark_primary_is_not_waited_for(aws: Emulator, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import world

    failover = start()
    failover.both()
    monkeypatch.setattr(world, "AWAY", {**world.AWAY, "connect_timeout": 0.5, "read_timeout": 0.5})
    aws.darken(failover.away.region)
    try:
        assert failover.invoke(failover.event())["outcome"] == "begun"
        assert failover.drive()[-1]["outcome"] == "completed"
        assert failover.writer() == [failover.here.cluster]
        [fence] = [value for name, value in failover.parameters("execution/").items() if name.endswith("-fence")]
        assert fence["fenced"] is False
    finally:
        aws.lighten(failover.away.region)
    # The stand-in of the probe says that the old primary takes writes: it is fenced as soon as it is back.
    failover.primary("probe")
    assert failover.invoke({"tick": True})["outcome"] == "fenced"


def test_an_environment_that_is_being_destroyed_begins_nothing_and_ends_what_has_begun(start: Start) -> None:
    failover = start()
    failover.both()
    failover.invoke(failover.event())
    failover.ssm.put_parameter(Name=f"/healthcare/{failover.suffix}/state/destroying", Value="{}", Type="String")
    assert failover.drive()[-1]["outcome"] == "failed"
    assert failover.invoke(failover.event("2026-11-21T10:00:00.000+0000"))["refusals"] == ["being-destroyed"]
    assert failover.writer() == [failover.away.cluster]


@pytest.fixture(scope="module")
def pair(aws: Emulator, sites: dict[str, Site]) -> tuple[Site, Site]:
    """Another global database, for tests that leave it broken."""
    first = primary(aws, "lonely-home")
    aws.client("rds", LONDON).create_global_cluster(GlobalClusterIdentifier="lonely", SourceDBClusterIdentifier=first)
    second = secondary(aws, "lonely-away", "lonely")
    return replace(sites[DUBLIN], cluster=second), replace(sites[LONDON], cluster=first)


@pytest.fixture
def lonely(aws: Emulator, pair: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch) -> Failover:
    begun = Failover(aws, monkeypatch, f"t{next(SUFFIXES)}", *pair, whole="lonely")
    begun.evidence()
    begun.told()
    return begun


def test_who_lost_the_lease_leaves_the_act_to_the_next_run(start: Start) -> None:
    failover = start()
    failover.invoke({"request": "switchover"})

    def overtake(name: str) -> None:
        if name == "GetParameters":  # right before an act
            newest = max(failover.parameters("lock/")).removeprefix("lock/")
            failover.ssm.put_parameter(
                Name=f"/healthcare/{failover.suffix}/lock/{int(newest) + 1:08d}",
                Value=json.dumps({"execution": "another", "expires": (datetime.now(UTC) + timedelta(seconds=1)).isoformat()}),
                Type="String",
            )

    failover.disturb(before=overtake)
    assert failover.invoke({"tick": True})["outcome"] == "busy"
    assert "SwitchoverGlobalCluster" not in failover.calls
    failover.disturb()
    assert failover.invoke({"tick": True})["outcome"] == "busy", "while the other's lease lasts"
    time.sleep(1)
    assert failover.drive()[-1]["outcome"] == "completed"


def test_an_environment_without_its_configuration_decides_nothing(start: Start) -> None:
    failover = start()
    failover.ssm.delete_parameter(Name=f"/healthcare/{failover.suffix}/config/mode")
    with pytest.raises(FunctionError, match=r"no parameter config/mode\. Deploy the layer"):
        failover.invoke({"request": "dry-run"})


def test_what_has_done_nothing_in_time_leaves_the_topology_as_it_was(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run

    failover = start()
    failover.both()
    failover.invoke(failover.event())
    monkeypatch.setattr(run, "DEADLINE", timedelta(0))
    last = failover.drive()[-1]
    assert (last["outcome"], failover.topology) == ("failed", {})
    assert "all is as it was before" in last["why"]
    assert [subject for subject in failover.told() if "failed" in subject]
    assert failover.writer() == [failover.away.cluster]


def test_what_is_fenced_and_not_promoted_in_time_writes_nowhere_and_says_so(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration import run, shared

    failover = start()
    failover.both()
    failover.refuse("FailoverGlobalCluster")
    failover.invoke(failover.event())
    assert {"fence", "promote"} <= {one.get("step") for one in failover.drive(12)}
    monkeypatch.setattr(run, "DEADLINE", timedelta(0))
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    failover.primary("absent")  # it cannot be opened again
    last = failover.drive()[-1]
    assert (failover.topology["state"], failover.topology["site"], failover.topology["writer"]) == ("broken", "primary", "")
    assert "No database takes writes" in last["why"]
    assert "The capacity of " in last["why"], "it stays raised"
    assert len([subject for subject in failover.told() if "promote failed" in subject]) == 3, "each once, not once a minute"
    assert failover.invoke(failover.event("2026-11-21T10:00:00.000+0000"))["refusals"][0] == "topology-broken"
    monkeypatch.undo()


@pytest.mark.parametrize("request_", ["switchover", "failover"])
def test_what_is_promoted_and_not_verified_in_time_is_told_and_gone_on_with(
    start: Start, monkeypatch: pytest.MonkeyPatch, request_: str
) -> None:
    from orchestration import run

    failover = start()
    if request_ == "failover":
        failover.both()
    failover.invoke({"request": request_, "by": "operator"})
    while failover.drive(1)[0].get("step") != "verify":
        failover.aws.settle()
        if failover.writer() == [failover.here.cluster]:
            failover.refuse("Invoke")
    assert failover.topology == {}
    failover.told()
    for name in ("PLANNED", "DEADLINE"):
        monkeypatch.setattr(run, name, timedelta(0))
    for _ in range(3):
        assert failover.drive(1)[0]["outcome"] == "step-failed"
    assert (failover.topology, failover.outcomes()) == ({}, [])
    late = [subject for subject in failover.told() if "promotion takes longer than 0:00:00" in subject]
    assert len(late) == 1, "once for each time that the bound has passed"
    failover.disturb()
    monkeypatch.setattr(run, "DEADLINE", timedelta(hours=4))
    assert failover.drive()[-1]["outcome"] == "completed"
    ended_well(failover)


def test_a_change_of_roles_that_aws_does_not_end_is_told_and_goes_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours later it is what it is: nothing is given up, and the topology is that of before until a write has proven more."""
    from orchestration import aurora

    failover, real = start(), aurora.whole

    def under_way(*given: Any, **how: Any) -> dict[str, Any]:
        return {**real(*given, **how), "FailoverState": {"Status": "switching-over"}}

    failover.invoke({"request": "switchover"})
    answers(failover, "promote")
    monkeypatch.setattr(aurora, "whole", under_way)
    for hours in (0, 1, 1, 72):
        later(monkeypatch, timedelta(hours=hours))
        assert failover.drive(1)[0]["outcome"] == "waiting"
    assert (failover.topology, failover.outcomes()) == ({}, [])
    assert len([subject for subject in failover.told() if "promotion takes longer than 0:30:00" in subject]) == 2
    monkeypatch.setattr(aurora, "whole", real)
    assert failover.drive()[-1]["outcome"] == "completed", "what is left after it has its own time"
    ended_well(failover)


def test_a_change_of_roles_that_aws_took_back_is_given_up_as_what_it_is(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import aurora, run, shared

    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    failover = start()
    failover.invoke({"request": "switchover"})
    monkeypatch.setattr(aurora, "_promote", lambda _: {"asked": "of a service that does nothing"})
    answers(failover, "promote")
    monkeypatch.setattr(run, "PLANNED", timedelta(0))
    assert failover.drive(1)[0]["outcome"] == "acted", "it was accepted just now"
    monkeypatch.setattr(aurora, "PATIENCE", timedelta(0))
    last = failover.drive()[-1]
    assert (last["outcome"], failover.topology) == ("failed", {})
    assert failover.writer() == [failover.away.cluster]


@pytest.mark.parametrize(("request_", "call"), [("switchover", "SwitchoverGlobalCluster"), ("failover", "FailoverGlobalCluster")])
def test_what_is_being_given_up_is_asked_for_no_more_though_nobody_can_see_who_writes(
    start: Start, monkeypatch: pytest.MonkeyPatch, request_: str, call: str
) -> None:
    """What was asked for then could be accepted after it was said that nothing was promoted."""
    from orchestration import aurora, run, shared

    failover = start()
    if request_ == "switchover":
        failover.invoke({"request": request_, "by": "operator"})
    else:
        failover.both()
        failover.primary("gone")
        failover.invoke(failover.event())
    failover.refuse(call)
    answers(failover, "promote")
    for name in ("PLANNED", "DEADLINE"):
        monkeypatch.setattr(run, name, timedelta(0))
    assert failover.drive(1)[0]["step"] == "giving-up"
    monkeypatch.setattr(aurora, "PATIENCE", timedelta(0))
    failover.disturb()
    failover.calls.clear()
    with monkeypatch.context() as hidden:
        hidden.setattr(aurora, "writer_site", lambda _: "")
        assert failover.drive(1)[0]["outcome"] == "waiting"
    assert not {call, "RemoveFromGlobalCluster"}.intersection(failover.calls)
    monkeypatch.setattr(shared, "SHOWS", timedelta(0))
    assert failover.drive()[-1]["outcome"] == "failed"
    assert failover.writer() == [failover.away.cluster]


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """The function's clock, not that of leases."""
    from orchestration import aurora, run

    for module in (run, aurora):
        monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) + by)


def test_a_site_that_took_over_when_nobody_was_named_is_named_once(start: Start) -> None:
    failover = start()
    failover.invoke({"request": "switchover"})
    old = PROBE.replace('"writer": "it", ', "")
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", function(failover.aws, f"old-{failover.suffix}", failover.here.region, old))
    assert failover.drive()[-1]["outcome"] == "completed"
    failover.refuse("Invoke", 9)  # the probe of the primary, too
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do"
    assert "writer-named" not in named(failover)
    failover.disturb()
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", failover.here.probe)
    failover.monkeypatch.setenv("PROBE_PRIMARY_ARN", failover.away.probe + "-gone")
    for _ in range(2):
        failover.calls.clear()
        failover.disturb()
        failover.invoke({"tick": True})
    assert named(failover).count("writer-named") == 1
    assert failover.calls.count("Invoke") == 1, "the probe of the primary alone"


def named(failover: Failover) -> list[str]:
    return [name.split("/")[-1] for name in failover.parameters("execution/")]


def test_the_way_to_what_is_promoted_is_closed_and_a_failure_to_open_it_has_a_step_of_its_own(start: Start) -> None:
    failover = start()
    shut = PROBE.replace('"group": "open"}\n    return {"writable"', '"group": "closed"}\n    return {"writable"')
    assert shut != PROBE
    failover.monkeypatch.setenv(
        "PROBE_RECOVERY_ARN", function(failover.aws, f"shut-{failover.suffix}", failover.here.region, shut)
    )
    failover.invoke({"request": "switchover"})
    steps = [one.get("step") for one in failover.drive()]
    assert steps[steps.index("verify") :][:2] == ["verify", "way-open"]
    [asked] = [value for name, value in failover.parameters("execution/").items() if name.endswith("-promote-acted")]
    assert asked["way"] == "closed"
    assert failover.topology["state"] == "failed-over", "who writes has not waited for it"


def test_a_way_that_cannot_be_closed_stops_no_promotion(start: Start) -> None:
    failover = start()
    open_ = PROBE.replace('    do = event.get("do")\n', '    do = event.get("do")\n    assert do != "close", "of the test"\n')
    failover.monkeypatch.setenv(
        "PROBE_RECOVERY_ARN", function(failover.aws, f"open-{failover.suffix}", failover.here.region, open_)
    )
    failover.invoke({"request": "switchover"})
    assert failover.drive()[-1]["outcome"] == "completed"
    [asked] = [value for name, value in failover.parameters("execution/").items() if name.endswith("-promote-acted")]
    assert asked["way"] == "not closed"
    assert "of the test" in asked["why"]


def test_a_target_without_an_instance_or_out_of_sight_is_refused(aws: Emulator, lonely: Failover) -> None:
    aws.client("rds", DUBLIN).delete_db_instance(DBInstanceIdentifier="lonely-away-1")
    aws.settle()
    lonely.both()
    assert "would take over is without an instance" in lonely.invoke(lonely.event())["why"][0]
    member(aws, "lonely-away", DUBLIN)
    lonely.refuse("DescribeDBClusters")
    assert "is unknown (ClientError)" in lonely.invoke({"request": "switchover"})["why"][0]


def test_a_failover_that_aws_does_not_do_becomes_a_database_of_its_own(lonely: Failover, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import aurora

    failover = lonely
    first, second = failover.away.cluster, failover.here.cluster
    failover.both()
    failover.refuse("FailoverGlobalCluster")
    monkeypatch.setattr(aurora, "PATIENCE", timedelta(0))
    failover.invoke(failover.event())
    assert failover.drive()[-1]["outcome"] == "completed"
    assert (failover.topology["state"], failover.topology["writer"]) == ("broken", second)
    assert failover.writer() == [first], "of what is left of it"
    back = failover.invoke({"request": "failback"})
    assert back["outcome"] == "begun"
    assert "outside of the global database" in failover.drive(3)[-1]["why"]


def test_an_alarm_whose_event_never_came_is_seen_by_the_clock_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run

    failover = start()
    failover.both()
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do", "its event has time to come"
    monkeypatch.setattr(run, "now", lambda: datetime.now(UTC) + 2 * run.HEARD)
    assert failover.invoke({"tick": True})["outcome"] == "begun"
    assert failover.drive()[-1]["outcome"] == "completed"
    failover.drive(2)
    ended_well(failover)


def test_what_was_killed_before_it_was_decided_is_decided_by_the_clock(start: Start) -> None:
    failover = start()
    failover.both()

    def kill(name: str) -> None:
        if name == "PutParameter":  # the first entry of the journal
            raise Killed

    failover.disturb(after=kill)
    with pytest.raises(Killed):
        failover.invoke(failover.event())
    failover.disturb()
    assert failover.invoke({"tick": True})["outcome"] == "begun"
    assert failover.drive()[-1]["outcome"] == "completed"
    ended_well(failover)


def test_an_alarm_that_was_heard_is_not_heard_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run

    failover = start()
    failover.configure("mode", "disabled")
    failover.both()
    assert failover.invoke(failover.event(datetime.now(UTC).isoformat()))["outcome"] == "refused"
    monkeypatch.setattr(run, "now", lambda: datetime.now(UTC) + 2 * run.HEARD)
    assert failover.invoke({"tick": True})["outcome"] == "nothing to do"


def test_who_asks_twice_by_one_name_asks_once(start: Start) -> None:
    failover = start()
    asked = {"request": "switchover", "execution": "manual-20261121T120000Z-0a1b", "by": "operator"}
    assert [failover.invoke(asked)["outcome"] for _ in range(2)] == ["begun", "acted"]
    assert failover.drive()[-1]["outcome"] == "completed"
    assert failover.invoke(asked)["outcome"] == "completed"
    assert failover.outcomes() == ["completed"]


def test_whoever_asks_for_something_else_hears_what_there_is(start: Start) -> None:
    failover = start()
    with pytest.raises(FunctionError, match="asks for 'holiday'"):
        failover.invoke({"request": "holiday"})
    with pytest.raises(FunctionError, match="no execution nobody"):
        failover.invoke({"approve": "nobody"})
    failover.monkeypatch.delenv("KIND")
    with pytest.raises(FunctionError, match="lacks KIND"):
        failover.invoke({"request": "dry-run"})


def test_killed_before_and_after_every_call_it_ends_in_one_writer_and_tells_all(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    failover = start()
    failover.both()
    failover.told()
    kills = Everywhere(failover, KILLS, monkeypatch, pages=True)
    kills.through(failover.event(), onward(failover))
    ended_well(failover)
    assert kills.calls() >= {*CALLS, "DeleteParameters"}
    assert kills.again(), "a second call of one name in one invocation"
    steps = ("fence", "capacity", "promote", "verify", "backup")
    subjects = failover.told()
    for said in ("failover begins", *(f"failover: {step}" for step in steps), "completed"):
        assert any(said in subject for subject in subjects), f"a kill took away: {said}"


def test_an_error_a_throttle_and_no_answer_at_every_call_end_in_one_writer(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    failover = start()
    failover.both()
    troubles = Everywhere(failover, TROUBLES, monkeypatch, pages=True)
    troubles.through(failover.event(), onward(failover))
    ended_well(failover)
    assert troubles.calls() >= {*CALLS}


@pytest.mark.parametrize("harms", [KILLS, TROUBLES], ids=["killed", "in trouble"])
def test_a_switchover_and_a_failback_harmed_everywhere_end_at_home(
    start: Start, monkeypatch: pytest.MonkeyPatch, harms: tuple[Harm, ...]
) -> None:
    failover = start()
    harm = Everywhere(failover, harms, monkeypatch)
    for execution, epoch, writer in ((THERE, 1, failover.here), (BACK, 2, failover.away)):
        harm.through({**REQUESTS[execution], "execution": execution}, onward(failover, execution))
        assert failover.outcomes().count("completed") == epoch
        assert set(failover.outcomes()) <= {"completed", "refused"}
        assert failover.topology["epoch"] == epoch
        assert failover.writer() == [failover.topology["writer"]] == [writer.cluster]
    assert failover.topology["state"] == "home"
    assert harm.calls() >= {"SwitchoverGlobalCluster", "ModifyDBCluster", "Invoke"}


CALLS = (
    "GetParametersByPath",
    "GetParameters",
    "PutParameter",
    "Invoke",
    "DescribeAlarms",
    "Publish",
    "DescribeDBClusters",
    "DescribeGlobalClusters",
    "ModifyDBCluster",
    "FailoverGlobalCluster",
    "CreateDBClusterSnapshot",
)


def test_killed_between_the_proof_and_the_record_the_next_run_records(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run

    failover, record = start(), run._record

    def kill(*_: object) -> None:
        raise Killed

    failover.invoke({"request": "switchover"})
    monkeypatch.setattr(run, "_record", kill)
    with pytest.raises(Killed):
        failover.drive()
    assert failover.topology == {}
    monkeypatch.setattr(run, "_record", record)
    assert failover.drive()[-1]["outcome"] == "completed"
    ended_well(failover)


def test_the_old_primary_is_fenced_as_soon_as_it_is_back_though_the_failover_goes_on(start: Start) -> None:
    failover = start()
    failover.both()
    failover.refuse("CreateDBClusterSnapshot")
    failover.monkeypatch.setenv("PROBE_PRIMARY_ARN", failover.away.probe + "-gone")
    failover.invoke(failover.event())
    answers(failover, "backup")
    assert not [subject for subject in failover.told() if "is back" in subject]
    failover.monkeypatch.setenv("PROBE_PRIMARY_ARN", failover.away.probe)
    assert failover.invoke({"tick": True})["step"] == "backup", "and it goes on with what has begun"
    assert [subject for subject in failover.told() if subject.endswith("the old primary is back")]


def test_why_a_step_fails_is_told_again_when_it_changes_and_every_few_minutes(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration import run, state

    failover = start()
    failover.invoke({"request": "switchover"})
    failover.drive(1)
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", failover.here.probe + "-gone")
    passed = timedelta(0)
    for module in (run, state):
        monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) + passed)
    answers(failover, "verify")

    def told() -> int:
        failover.drive(2)
        return len([subject for subject in failover.told() if "verify failed" in subject])

    assert told() == 1, "once, not once a minute"
    passed += run.AGAIN
    assert told() == 1, "and again"
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", failover.here.probe + "-missing")
    assert told() == 1, "another reason at once, of the same kind or not"
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", failover.here.probe + "-gone")
    assert told() == 0, "one that comes and goes was told"
    for number in range(2 * run.TEXTS):
        failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", f"{failover.here.probe}-{'x' * number}")
        failover.drive(1)
    assert told() <= run.TEXTS, "and one that is always another is no news"
    failover.monkeypatch.setenv("PROBE_RECOVERY_ARN", failover.here.probe)
    assert failover.drive()[-1]["outcome"] == "completed"


def test_a_day_of_one_reason_is_no_flood() -> None:
    from orchestration import run

    begin, told = datetime.now(UTC), []
    for minute in range(24 * 60):
        moment = begin + timedelta(minutes=minute)
        if run._is_news(f"Refused (request 0a{minute}f)", told, moment):
            told.append({"at": moment.isoformat(), "why": f"Refused (request 9b{minute})"})
    within = [sum(datetime.fromisoformat(one["at"]) - begin < timedelta(hours=hours) for one in told) for hours in (1, 24)]
    assert within[0] >= 10
    assert within[1] <= 50


def test_what_fails_for_a_while_is_left_and_told_twice(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run

    failover = start()
    failover.both()
    failover.refuse("CreateDBClusterSnapshot")
    failover.invoke(failover.event())
    answers(failover, "backup")
    failover.drive(3)
    failover.told()
    monkeypatch.setattr(run, "now", lambda: datetime.now(UTC) + A_WHILE)
    assert failover.drive()[-1]["outcome"] == "completed"
    ended_well(failover)
    assert [subject for subject in failover.told() if "backup failed" in subject]
    [left] = [value for name, value in failover.parameters("execution/").items() if name.endswith("-backup")]
    assert "of the test" in left["failed"]


def test_capacity_that_could_not_be_raised_before_the_promotion_is_raised_after_it(aws: Emulator, start: Start) -> None:
    failover = start()
    failover.both()
    failover.refuse("ModifyDBCluster", 3)  # the attempts of one call
    failover.invoke(failover.event())
    said = [one.get("step") for one in failover.drive()]
    assert said.index("capacity") < said.index("promote") < said.index("verify") < said.index("capacity-again")
    ended_well(failover)
    name = failover.here.cluster.rpartition(":")[2]
    [found] = aws.client("rds", failover.here.region).describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    assert found["ServerlessV2ScalingConfiguration"]["MinCapacity"] == 2


def test_who_writes_stays_recorded_when_the_rest_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import run

    failover = start()
    failover.invoke({"request": "switchover"})
    failover.drive()
    back = failover.invoke({"request": "failback"})["execution"]
    failover.refuse("ModifyDBCluster")
    answers(failover, "capacity-lowered")
    monkeypatch.setattr(run, "DEADLINE", timedelta(0))
    last = failover.drive()[-1]
    assert (last["outcome"], last["execution"]) == ("failed", back)
    assert "left undone is capacity-lowered" in last["why"]
    assert last["topology"] == failover.topology
    assert (failover.topology["state"], failover.topology["site"]) == ("failed-over", "primary")


def test_a_switchover_of_a_primary_that_does_not_answer_is_refused_before_anything_is_done(start: Start) -> None:
    failover = start()
    failover.monkeypatch.setenv("PROBE_PRIMARY_ARN", failover.away.probe + "-gone")
    answer = failover.invoke({"request": "switchover"})
    assert (answer["outcome"], answer["refusals"]) == ("refused", ["primary-silent"])
    assert failover.invoke({"request": "dry-run", "of": "switchover"})["would"] == "refuse"


def test_leases_are_forgotten_when_nobody_can_hold_them_and_never_the_newest(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration import state

    failover = start()
    failover.both()
    failover.invoke(failover.event())
    failover.drive()
    leases = sorted(failover.parameters("lock/"))
    assert len(leases) > 5
    failover.invoke({"tick": True})
    assert sorted(failover.parameters("lock/")) == leases, "young"
    monkeypatch.setattr(state, "now", lambda: datetime.now(UTC) + state.LEASE + state.KEPT)
    failover.refuse("DeleteParameters")
    failover.invoke({"tick": True})
    assert sorted(failover.parameters("lock/")) == leases, "what cannot be done now is done in a minute"
    failover.disturb()
    failover.invoke({"tick": True})
    assert sorted(failover.parameters("lock/")) == leases[-1:]
    assert sorted(failover.parameters("released/")) == [leases[-1].replace("lock", "released")]


def test_a_lease_that_was_taken_though_nobody_said_so_is_ours(start: Start) -> None:
    from orchestration.state import Store

    failover = start()
    client, lost = failover.aws.client("ssm", failover.here.region), iter([True])

    def lose(request: Any, **_: Any) -> None:
        if next(lost, False):
            failover.ssm.put_parameter(**json.loads(request.body))
            raise ReadTimeoutError(endpoint_url=request.url)

    client.meta.events.register("before-send.ssm.PutParameter", lose)
    store = Store(client, SYSTEM, failover.suffix)
    assert store.take("one") == 1
    assert next(lost, "") == ""
    assert store.take("another") == 0


def test_a_newer_lease_is_seen_though_the_old_one_is_forgotten(start: Start) -> None:
    from orchestration.state import LostLeaseError, Store

    failover = start()
    store = Store(failover.ssm, SYSTEM, failover.suffix)
    first = store.take("one")
    store.release(first)
    second = store.take("another")
    store.forget([f"lock/{first:08d}", f"released/{first:08d}"])
    store.check(second)
    with pytest.raises(LostLeaseError, match="lease 1 is over"):
        store.check(first)


def test_a_topic_that_fails_stops_no_promotion(start: Start) -> None:
    failover = start()
    failover.both()
    failover.monkeypatch.setenv("TOPIC_ARN", failover.here.topic + "-gone")
    failover.invoke(failover.event())
    assert failover.drive()[-1]["outcome"] == "completed"
    ended_well(failover)
    assert failover.told() == []


def test_two_at_once_are_one(start: Start) -> None:
    failover = start()
    failover.both()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(30):
            said = [one.result() for one in [pool.submit(failover.invoke, failover.event()) for _ in range(2)]]
            said += [one.result() for one in [pool.submit(failover.invoke, {"tick": True}) for _ in range(2)]]
            failover.aws.settle()
            if failover.outcomes():
                break
    ended_well(failover)
    tokens = list(failover.parameters("lock/"))
    assert len(tokens) > 5
