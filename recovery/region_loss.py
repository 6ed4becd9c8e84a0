"""Ways back after the loss of the primary's region: what stands in the other one, who notices, who decides, who follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from model import Disruption
from model.architecture import copies_by, deciders, followers, members_of, targets
from model.view import Resource
from protocol.journal import FAILOVER
from protocol.metrics import REPLICA_DATA_AGE
from protocol.parameters import AUTO, MODE
from protocol.steps import AURORA, REPLICA, SECRET_HERE, STEPS, VERIFY
from recovery.data_stores import CLUSTER, FILES, INSTANCE, SNAPSHOT, copied, nothing, place, way
from recovery.paths import Strategy, Way
from recovery.template_times import ALARM, COMPOSITE, RULE, SILENCE, Sight, constituents, interval, number
from recovery.terms import Phase, Term

SERIES = (INSTANCE, FILES)
"""What is brought back one after the other, in this order; only then are clients sent elsewhere."""

LAST = {REPLICA: SECRET_HERE, AURORA: VERIFY}
"""The step after which clients have all that they need; who writes is recorded with the verification."""


def runs(kind: str) -> tuple[str, ...]:
    """What each run of the function does until clients are sent elsewhere, at most one act in each; the last one tells where.

    What AWS takes its time for has a term of its own, and one more run to see that it is over.
    """
    steps = [step for step in STEPS[kind] if FAILOVER in step.requests and not step.mends]
    last = [step.name for step in steps].index(LAST[kind])
    acts = [run for step in steps[: last + 1] for run in ([step.name, f"{step.name} seen"] if step.awaited else [step.name])]
    return ("decide", *acts, "site told")


def region_losses(sight: Sight, one: Resource) -> Iterator[Way]:
    """What happens to a store of the primary's region when that is gone."""
    if sight.home not in one.regions:
        return
    ways = list(_ways(sight, one))
    if not ways:
        ways = [way(Disruption.REGION, one, sight.home, *nothing(one))]
    for count, found in enumerate(ways):
        yield replace(found, first=count == 0)


def _ways(sight: Sight, one: Resource) -> Iterator[Way]:
    if sight.away is None:
        return
    found = _replica(sight, one)
    if found is not None:
        mechanism, strategy, acts, loss = found
        if one.type in SERIES:
            acts = tuple(_in_series(sight))
        time = (*_begun(sight, sight.away), *acts, *_followed(sight, one.type))
        yield way(Disruption.REGION, one, sight.away, mechanism, strategy, time, (loss,))
    for plan, rule, loss in copied(sight, one, sight.away):
        person = (*_noticed(sight, sight.away), sight.term(Phase.DECIDE, "person.decides"), sight.term(Phase.ACT, "person.acts"))
        restore = sight.restore(SNAPSHOT[one.type], place(plan))
        again = sight.term(Phase.REDIRECT, "client.reconnect")
        said = f"The copy of a recovery point of `{rule['RuleName']}` is restored in {sight.away}"
        yield way(Disruption.REGION, one, sight.away, said, Strategy.BACKUP, (*person, restore, again), (loss,))


def _in_series(sight: Sight) -> Iterator[Term]:
    """The acts for all that is brought back one after the other."""
    for kind in SERIES:
        for store in sight.at(sight.home, kind):
            found = _replica(sight, store)
            yield from found[2] if found is not None else ()


Replicated = tuple[str, Strategy, tuple[Term, ...], Term]


def _replica(sight: Sight, one: Resource) -> Replicated | None:
    """What holds a live copy in the other region, what makes it take over, and what it lacks."""
    for other in (each for each in followers(one) if sight.away in each.regions):
        where = place(other)
        if other.type == INSTANCE:
            source = place(other, copies_by(other.type, other.properties))
            seen = sight.watched(other, REPLICA_DATA_AGE, "ReplicaLag")
            lag = sight.term(Phase.LOSS, "rds.replication", source, watched=_sooner(seen, _evidence_age(sight)))
            act = sight.term(Phase.ACT, "rds.promotion", source)
            return "The read replica is promoted", Strategy.WARM_STANDBY, (act,), lag
        if other.type == CLUSTER:
            seen = sight.watched(one, "AuroraGlobalDBRPOLag")
            lag = sight.term(Phase.LOSS, "aurora.replication", where, watched=_sooner(seen, _evidence_age(sight)))
            over = sight.term(Phase.ACT, "aurora.global", place(other, "GlobalClusterIdentifier"))
            if members_of(other):
                said = "The secondary of the global database becomes its writer"
                return said, Strategy.WARM_STANDBY, (over,), lag
            added = sight.term(Phase.ACT, "aurora.instance_added", where)
            said = "The secondary of the global database becomes its writer and gets its first instance"
            return said, Strategy.PILOT_LIGHT, (over, added), lag
        return _stored(sight, one, other)
    return None


def _stored(sight: Sight, one: Resource, other: Resource) -> Replicated:
    if one.type == FILES:
        seen = sight.watched(one, "TimeSinceLastSync")
        lag = sight.term(Phase.LOSS, "efs.replication", place(one, "ReplicationConfiguration"), watched=seen)
        act = sight.term(Phase.ACT, "efs.writable", place(other))
        return "The replication is ended, and its replica becomes writable", Strategy.WARM_STANDBY, (act,), lag
    seen = sight.watched(one, "ReplicationLatency")
    lag = sight.term(Phase.LOSS, "s3.replication", place(one, "ReplicationConfiguration"), watched=seen)
    return "The bucket with the replicas is used instead", Strategy.WARM_STANDBY, (), lag


def _evidence_age(sight: Sight) -> timedelta | None:
    """When the alarm on the age of the replica's data has told somebody."""
    ages = [
        sight.in_alarm(alarm).worst
        for alarm in sight.at(str(sight.away), ALARM)
        if alarm.get("MetricName") == REPLICA_DATA_AGE and alarm.get("TreatMissingData") == "breaching"
    ]
    return min((age for age in ages if age is not None), default=None)


def _sooner(*lengths: timedelta | None) -> timedelta | None:
    return min((length for length in lengths if length is not None), default=None)


def _noticed(sight: Sight, region: str) -> tuple[Term, ...]:
    """What tells in the other region that the first is gone."""
    both = next((one for one in sight.at(region, COMPOSITE) if _evidence(one)), None)
    if both is not None:
        return (sight.in_alarm(both),)
    silent = [
        sight.in_alarm(alarm)
        for alarm in sight.at(region, ALARM)
        if alarm.get("MetricName") in SILENCE and alarm.get("TreatMissingData") == "breaching"
    ]
    if silent:
        return (min(silent, key=lambda term: timedelta.max if term.worst is None else term.worst),)
    return (sight.term(Phase.DETECT, "person.notices"),)


def _evidence(composite: Resource) -> bool:
    """Whether a composite alarm stands on what falls silent with the primary."""
    named = constituents(composite)
    return bool(named) and all(one.get("MetricName") in SILENCE for one in named)


def _begun(sight: Sight, region: str) -> tuple[Term, ...]:
    """Who notices, and how it comes that something is done: a function that runs every minute, or a person."""
    function = next((one for one in deciders(sight.view) if region in one.regions), None)
    noticed = _noticed(sight, region)
    if function is None:
        return (*noticed, sight.term(Phase.DECIDE, "person.decides"), sight.term(Phase.ACT, "person.acts"))
    rules = [rule for rule in sight.at(region, RULE) if any(function.is_(called) for called, _ in targets(rule))]
    ticks = [(rule, interval(str(rule.get("ScheduleExpression")))) for rule in rules if rule.get("ScheduleExpression")]
    begins = sight.term(Phase.DETECT, "eventbridge.delivery", *(place(rule) for rule in rules))
    replicas = [one for one in sight.at(region, INSTANCE) if copies_by(one.type, one.properties)]
    made = runs(REPLICA if replicas else AURORA)
    steps = [
        Term(
            Phase.ACT,
            f"{len(made)} runs of the function, at most one act in each",
            len(made) * (pause / 2),
            len(made) * pause,
            (place(rule, "ScheduleExpression"),),
            reckoned=f"{len(made)} × {pause.total_seconds():g} s: {', '.join(made)}",
        )
        for rule, pause in ticks
        if pause is not None
    ] or [Term(Phase.ACT, "acts at no known pace", timedelta(), None, (place(function),))]
    start = sight.term(Phase.DECIDE, "lambda.start", place(function))
    return (*noticed, begins, start, *_approved(sight, region, function), steps[0])


def _approved(sight: Sight, region: str, function: Resource) -> tuple[Term, ...]:
    """A person's approval: waited for where the mode asks for it, and at worst where an environment may choose so."""
    modes = [one for one in sight.at(region, "AWS::SSM::Parameter") if str(one.text("Name") or "").endswith(f"/{MODE}")]
    places = tuple(place(one, "Value") for one in modes) or (place(function),)
    asked = sight.times["person.decides"]
    if modes and all(one.proves(lambda mode: mode == AUTO, "Value") for one in modes):
        return ()
    automatic = bool(modes) and all(_by_default(one) == AUTO for one in modes)
    said = "a person approves, where an environment chooses so" if automatic else "a person approves"
    return (Term(Phase.DECIDE, said, timedelta() if automatic else asked.typical, asked.worst, places, asked.id),)


def _by_default(mode: Resource) -> object:
    match mode.get("Value"):
        # Other than for a source that is ours, an environment has chosen.
        case {"Ref": str(name)} | {"Fn::If": [_, _, {"Ref": str(name)}]}:
            return mode.view.templates[mode.layer].get("Parameters", {}).get(name, {}).get("Default")
        case value:
            return value


def _followed(sight: Sight, kind: str) -> tuple[Term, ...]:
    """How clients find the other region: a DNS record that follows an alarm, or the endpoint that they read again."""
    again = sight.term(Phase.REDIRECT, "client.reconnect")
    if kind not in (INSTANCE, CLUSTER):
        return (again,)
    for record in sight.view.resources("AWS::Route53::RecordSet"):
        if record.get("Failover") != "PRIMARY":
            continue
        check = record.follow("HealthCheckId")
        alarm = check.follow("HealthCheckConfig", "AlarmIdentifier", "Name") if check is not None else None
        ttl = number(record, "TTL")
        terms = [sight.term(Phase.REDIRECT, "route53.propagation", *(() if check is None else (place(check),)))]
        if alarm is not None and alarm.type == ALARM:
            seen = sight.in_alarm(alarm)
            terms.insert(0, replace(seen, phase=Phase.REDIRECT, name=f"the health check follows {alarm.id}"))
        longest = None if ttl.worst is None else timedelta(seconds=ttl.worst)
        kept = Term(
            Phase.REDIRECT,
            "resolvers keep the old answer",
            timedelta(seconds=ttl.typical),
            longest,
            (place(record, "TTL"),),
            reckoned=f"TTL {ttl.typical:g} s",
        )
        return (*terms, kept, again)
    return (again,)
