"""Every system holds its objectives, and a build that does not says which term to shorten."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.profiles.baseline import BASELINE
from generator.systems import SYSTEMS
from generator.systems.citizen_registry import CITIZEN_REGISTRY
from generator.systems.federal_records import FEDERAL_RECORDS
from generator.systems.healthcare import HEALTHCARE
from generator.systems.regional_platform import REGIONAL_PLATFORM
from model import Deviation, Disruption, Document, Objectives, System, read
from recovery.assess import Assessment, UnheldObjectiveError, Verdict, assess, findings
from recovery.measured import Measured
from recovery.service_times import ServiceTimes, service_times
from tests.support.recovery_systems import HOME, instance, template

MINUTE = timedelta(minutes=1)
TIMES = service_times()
TEMPLATES = {
    system.name: {path.stem: read(path.read_text()) for path in sorted(Path("templates", system.name).glob("*.yaml"))}
    for system in SYSTEMS
}
HOURS = Objectives(rpo=60 * MINUTE, rto=240 * MINUTE)
HELD = (Disruption.INSTANCE, Disruption.ZONE)


def test_the_objectives_are_those_that_were_asked_for() -> None:
    asked = {
        "citizen-registry": dict.fromkeys(HELD, Objectives(rpo=60 * MINUTE, rto=15 * MINUTE)),
        "federal-records": dict.fromkeys((*HELD, Disruption.REGION), HOURS),
        "healthcare": dict.fromkeys((*HELD, Disruption.REGION), Objectives(rpo=15 * MINUTE, rto=60 * MINUTE)),
        "regional-platform": dict.fromkeys((*HELD, Disruption.APPLICATION), HOURS),
        "ledger": {},
    }
    assert {system.name: dict(system.objectives) for system in SYSTEMS} == asked


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_every_system_holds_its_objectives_as_rendered(system: System) -> None:
    assessed = assess(system, TEMPLATES[system.name], TIMES)
    assert {one.way.disruption for one in assessed} == set(Disruption)
    for disruption, objectives in system.objectives.items():
        held = [one for one in assessed if one.way.disruption is disruption and one.way.first]
        assert held
        assert all((one.rto, one.rpo) == (objectives.rto, objectives.rpo) for one in held)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_losing_a_zone_loses_no_database(system: System) -> None:
    for one in findings(system, TEMPLATES[system.name], TIMES):
        if one.way.disruption is Disruption.ZONE and one.way.subject.resource in ("Instance", "Cluster"):
            assert one.way.loss.worst == timedelta()


def test_corruption_of_the_registry_is_published_and_never_met() -> None:
    corrupted = [
        one
        for one in findings(CITIZEN_REGISTRY, TEMPLATES["citizen-registry"], TIMES)
        if one.way.disruption is Disruption.APPLICATION
    ]
    assert {one.time for one in corrupted} == {Verdict.PUBLISHED}
    assert all(one.way.time.worst is None for one in corrupted)


def test_objects_are_told_to_be_late_before_the_fifteen_minutes_are_over() -> None:
    (one,) = [
        one
        for one in findings(HEALTHCARE, TEMPLATES["healthcare"], TIMES)
        if one.way.disruption is Disruption.REGION and one.way.subject.layer == "objects"
    ]
    assert one.loss is Verdict.WATCHED


def test_a_sum_above_its_objective_stops_the_build_and_names_the_term_that_dominates() -> None:
    templates = copy.deepcopy(TEMPLATES["federal-records"])
    for layer in templates.values():
        for body in layer["Resources"].values():
            if body["Type"] == "AWS::CloudWatch::Alarm" and body["Properties"].get("TreatMissingData") == "breaching":
                body["Properties"]["Period"] = 3600
    with pytest.raises(UnheldObjectiveError) as stopped:
        assess(FEDERAL_RECORDS, templates, TIMES)
    said = str(stopped.value)
    assert said.startswith("federal-records: the templates do not hold its objectives")
    assert "database.Instance, region: the RTO of 240 min is not above the sum of " in said
    assert " dominates with " in said
    assert "3600 s" in said


def test_an_objective_on_a_term_without_a_bound_needs_a_deviation() -> None:
    bare = replace(HEALTHCARE, deviations=())
    with pytest.raises(UnheldObjectiveError) as stopped:
        assess(bare, TEMPLATES["healthcare"], TIMES)
    assert (
        "objects.Bucket, region: the RPO of 15 min rests on a term without a bound, objects that the other bucket does not have "
        "yet; bound it, or give the system a Deviation of A-13 on objects.Bucket with its reason"
    ) in str(stopped.value)


def test_a_deviation_that_explains_nothing_is_removed() -> None:
    idle = Deviation("A-13", "network.Vpc", "Nothing takes long there.")
    with pytest.raises(UnheldObjectiveError, match=r"the deviation of A-13 on network\.Vpc explains nothing"):
        assess(replace(HEALTHCARE, deviations=(*HEALTHCARE.deviations, idle)), TEMPLATES["healthcare"], TIMES)


def test_measured_restores_replace_their_deviation() -> None:
    took = [Measured(name, 100, 60 * MINUTE, "2026-11-21", "a rehearsal") for name in ("aurora.pitr", "dynamodb.pitr")]
    restored = ("aurora.Cluster", "table.Table")
    found = findings(REGIONAL_PLATFORM, TEMPLATES["regional-platform"], TIMES, took)
    corrupted = [one for one in found if one.way.disruption is Disruption.APPLICATION and one.way.first]
    assert {one.time for one in corrupted if one.way.subject.address in restored} == {Verdict.MET}


def tiny(**properties: Any) -> tuple[Assessment, ...]:
    system = System(
        name="tiny",
        title="Tiny",
        serves="a test",
        regions={"primary": HOME},
        profile=BASELINE,
        layers=(),
        objectives={Disruption.ZONE: HOURS},
    )
    return assess(system, {"database": template({"Instance": instance(**properties)})}, TIMES)


def test_a_database_without_a_standby_does_not_hold_a_zones_objective() -> None:
    assert {one.time for one in tiny() if one.way.disruption is Disruption.ZONE} == {Verdict.MET}
    with pytest.raises(UnheldObjectiveError, match=r"the RTO of 240 min rests on a term without a bound"):
        tiny(MultiAZ=False)


# Making any term worse never makes the result better: in the templates and in the service times.

Change = tuple[str, str, str, int]
WAITED: dict[str, tuple[str, ...]] = {
    "AWS::CloudWatch::Alarm": ("Period", "EvaluationPeriods", "Threshold"),
    "AWS::Lambda::Function": ("Timeout",),
    "AWS::Route53::RecordSet": ("TTL",),
}
SCHEDULED = ("StartWindowMinutes", "CompletionWindowMinutes")
RESTORED: dict[str, dict[str, object]] = {
    "AWS::RDS::DBInstance": {"MultiAZ": False, "BackupRetentionPeriod": 0},
    "AWS::RDS::DBCluster": {"BackupRetentionPeriod": 0},
}


def worsenings(system: System) -> Iterator[Change]:
    """What can be made worse in the templates of a system: layer, resource, property, position."""
    for layer, document in TEMPLATES[system.name].items():
        for title, body in document["Resources"].items():
            given = body.get("Properties", {})
            for name in (*WAITED.get(body["Type"], ()), *RESTORED.get(body["Type"], ())):
                above = str(given.get("ComparisonOperator", "Greater")).startswith("Greater")
                if name in given and not isinstance(given[name], dict) and (name != "Threshold" or above):
                    yield layer, title, name, 0
            rules = given.get("BackupPlan", {}).get("BackupPlanRule", [])
            yield from ((layer, title, name, index) for index in range(len(rules)) for name in (*SCHEDULED, "ScheduleExpression"))


CHANGES = [(system, change) for system in SYSTEMS for change in worsenings(system)]


def changed(templates: dict[str, Document], change: Change, factor: int) -> dict[str, Document]:
    layer, title, name, index = change
    document = copy.deepcopy(templates[layer])
    body = document["Resources"][title]
    given = body["Properties"]
    if "BackupPlan" in given:
        rule = given["BackupPlan"]["BackupPlanRule"][index]
        # Once a week is not more often than any schedule here.
        rule[name] = "cron(0 2 ? * SUN *)" if name == "ScheduleExpression" else int(rule[name]) * factor
    elif name in RESTORED.get(body["Type"], {}):
        given[name] = RESTORED[body["Type"]][name]
    else:
        given[name] = float(given[name]) * factor
    return templates | {layer: document}


def infinite(length: timedelta | None) -> timedelta:
    return timedelta.max if length is None else length


def never_better(before: tuple[Assessment, ...], after: tuple[Assessment, ...]) -> None:
    first = {(one.way.disruption, one.way.subject, one.way.region): one for one in before if one.way.first}
    for one in after:
        was = first.get((one.way.disruption, one.way.subject, one.way.region)) if one.way.first else None
        if was is None:
            continue
        for chain, earlier in ((one.way.time, was.way.time), (one.way.loss, was.way.loss)):
            assert infinite(chain.worst) >= infinite(earlier.worst)
            assert infinite(chain.told) >= infinite(earlier.told)
        assert one.time >= was.time
        assert one.loss >= was.loss


BEFORE = {system.name: findings(system, TEMPLATES[system.name], TIMES) for system in SYSTEMS}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CHANGES), st.integers(1, 60))
def test_no_template_that_waits_longer_recovers_sooner(change: tuple[System, Change], factor: int) -> None:
    system, where = change
    never_better(BEFORE[system.name], findings(system, changed(TEMPLATES[system.name], where, factor), TIMES))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SYSTEMS), st.sampled_from(sorted(TIMES.times)), st.none() | st.integers(0, 7200))
def test_no_service_that_takes_longer_makes_a_system_recover_sooner(system: System, name: str, more: int | None) -> None:
    one, added = TIMES[name], timedelta(seconds=more or 0)
    worst = None if more is None or one.worst is None else one.worst + added
    slower = ServiceTimes(TIMES.read, {**TIMES.times, name: replace(one, typical=one.typical + added, worst=worst)})
    never_better(BEFORE[system.name], findings(system, TEMPLATES[system.name], slower))


def test_there_is_something_to_make_worse_in_every_system() -> None:
    assert {system.name for system, _ in CHANGES} == {system.name for system in SYSTEMS}
