"""Ways back within a region: the loss of an instance or of a zone, and data that were changed or deleted by mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from model import Disruption, Document
from model.architecture import backups, copied_by, is_copy, members_of, rules_of, targets
from model.view import Resource
from protocol.metrics import ARCHIVE_LAG_SECONDS, RESTORE_SECONDS
from recovery.paths import Reach, Strategy, Way
from recovery.template_times import Sight, interval, number
from recovery.terms import Chain, Phase, Place, Term

INSTANCE, CLUSTER = "AWS::RDS::DBInstance", "AWS::RDS::DBCluster"
FILES, BUCKET, TABLE, CACHE = (
    "AWS::EFS::FileSystem",
    "AWS::S3::Bucket",
    "AWS::DynamoDB::Table",
    "AWS::ElastiCache::ReplicationGroup",
)
PITR = {INSTANCE: "rds.pitr", CLUSTER: "aurora.pitr", TABLE: "dynamodb.pitr"}
SNAPSHOT = {INSTANCE: "rds.snapshot", CLUSTER: "aurora.snapshot", TABLE: "dynamodb.snapshot", FILES: "efs.restore"}
RESTORABLE = {INSTANCE: "rds.restorable", CLUSTER: "rds.restorable", TABLE: "dynamodb.restorable"}
CONTINUOUS_DAYS = timedelta(days=35)
"""What a table's point-in-time recovery reaches back to where the template says no shorter."""


def stores(sight: Sight) -> tuple[Resource, ...]:
    """What holds data of the system. The trail's bucket and that of packages hold none."""
    trails = [trail.follow("S3BucketName") for trail in sight.view.resources("AWS::CloudTrail::Trail")]
    return tuple(
        one
        for one in sight.view.resources(INSTANCE, CLUSTER, FILES, BUCKET, TABLE, CACHE)
        if not (one.type == INSTANCE and one.get("DBClusterIdentifier"))
        and one.layer != "artifacts"
        and not any(one.is_(bucket) for bucket in trails)
    )


def place(one: Resource, path: str = "") -> Place:
    """Where a property of a resource stands."""
    return Place(one.layer, one.id, path)


def within_the_region(sight: Sight, one: Resource) -> Iterator[Way]:
    """What happens when an instance or a zone is lost."""
    for region in one.regions:
        for disruption in (Disruption.INSTANCE, Disruption.ZONE):
            found = _standing(sight, one, disruption)
            if found is not None:
                yield way(disruption, one, region, *found)


Found = tuple[str, Strategy, tuple[Term, ...], tuple[Term, ...]]
"""The mechanism and its strategy, what it takes and what it loses."""


def way(
    disruption: Disruption,
    one: Resource,
    region: str,
    mechanism: str,
    strategy: Strategy,
    time: tuple[Term, ...],
    loss: tuple[Term, ...],
    reach: Reach | None = None,
) -> Way:
    """A way back for a store."""
    return Way(
        disruption=disruption,
        subject=place(one),
        region=region,
        mechanism=mechanism,
        strategy=strategy,
        time=Chain(time),
        loss=Chain(loss),
        reach=reach,
    )


def _standing(sight: Sight, one: Resource, disruption: Disruption) -> Found | None:
    """The mechanism, and what it takes and loses; None where the disruption cannot happen to it."""
    again = sight.term(Phase.REDIRECT, "client.reconnect")
    address = sight.term(Phase.REDIRECT, "rds.endpoint")
    match one.type:
        case "AWS::RDS::DBInstance" if one.true("MultiAZ"):
            over = sight.term(Phase.ACT, "rds.failover", place(one, "MultiAZ"))
            kept = Term(Phase.LOSS, "nothing: the standby has every commit", timedelta(), timedelta(), (place(one, "MultiAZ"),))
            said = "RDS lets the synchronous standby in another zone take over"
            return said, Strategy.AVAILABILITY, (over, address, again), (kept,)
        case "AWS::RDS::DBInstance" if disruption is Disruption.INSTANCE:
            kept = Term(Phase.LOSS, "nothing: the volume stays", timedelta(), timedelta(), (place(one),))
            host = sight.term(Phase.ACT, "rds.host", place(one, "MultiAZ"))
            return "RDS starts the instance on another host", Strategy.AVAILABILITY, (host, address, again), (kept,)
        case "AWS::RDS::DBInstance":
            return _restored(sight, one)
        case "AWS::RDS::DBCluster":
            return _cluster(sight, one, disruption, (address, again))
        case "AWS::ElastiCache::ReplicationGroup":
            where = place(one, "AutomaticFailoverEnabled" if disruption is Disruption.INSTANCE else "MultiAZEnabled")
            lag = sight.term(Phase.LOSS, "elasticache.replication", place(one), watched=sight.watched(one, "ReplicationLag"))
            if one.true("AutomaticFailoverEnabled") and (disruption is Disruption.INSTANCE or one.true("MultiAZEnabled")):
                over = sight.term(Phase.ACT, "elasticache.failover", where)
                said = "ElastiCache promotes a replica in another zone; the endpoint stays"
                return said, Strategy.AVAILABILITY, (over, again), (lag,)
            gone = sight.restore("elasticache.anew", where)
            return "Sessions are gone", Strategy.NONE, (gone, again), (lag,)
        case "AWS::EFS::FileSystem" if one.get("AvailabilityZoneName") and disruption is Disruption.ZONE:
            return _restored(sight, one)
        case _ if disruption is Disruption.ZONE:
            served = sight.term(Phase.ACT, "storage.zones", place(one))
            kept = Term(Phase.LOSS, "nothing: it is stored in several zones", timedelta(), timedelta(), (place(one),))
            return "The service itself stands in several zones", Strategy.AVAILABILITY, (served, again), (kept,)
    return None


def _cluster(sight: Sight, one: Resource, disruption: Disruption, redirect: tuple[Term, ...]) -> Found:
    """A cluster fails over to a reader in another zone, or waits for its only instance."""
    instances = members_of(one)
    # Of a member that names none, RDS chooses a zone at random.
    zones = {json.dumps(zone) for member in instances if member.certain and (zone := _zone(member)) is not None}
    where = tuple(place(member, "AvailabilityZone") for member in instances) or (place(one),)
    kept = Term(Phase.LOSS, "nothing: all instances share one volume in three zones", timedelta(), timedelta(), (place(one),))
    if len(zones) > 1:
        over = sight.term(Phase.ACT, "aurora.failover", *where)
        return "Aurora makes the reader in another zone the writer", Strategy.AVAILABILITY, (over, *redirect), (kept,)
    if disruption is Disruption.INSTANCE and instances:
        anew = sight.term(Phase.ACT, "aurora.instance", *where)
        return "Aurora makes the only instance anew", Strategy.AVAILABILITY, (anew, *redirect), (kept,)
    told = sight.term(Phase.DETECT, "rds.event")
    by_hand = sight.term(Phase.DECIDE, "person.decides")
    added = sight.term(Phase.ACT, "aurora.instance_added", *where)
    said = "The data are there; somebody adds an instance in another zone"
    return said, Strategy.AVAILABILITY, (told, by_hand, added, *redirect), (kept,)


def _zone(member: Resource) -> object:
    """Which zone of the region's list an instance is in."""
    match member.get("AvailabilityZone"):
        case {"Fn::Select": [index, _]}:
            return int(index)
        case other:
            return other


def _restored(sight: Sight, one: Resource) -> Found:
    """The first way back from a backup, as for a corruption."""
    best = next(restores(sight, one, one.regions[0]), None)
    if best is None:
        return nothing(one)
    return best.mechanism, best.strategy, best.time.terms, best.loss.terms


def nothing(one: Resource) -> Found:
    """No way back."""
    said = "nothing brings it back"
    never = tuple(Term(phase, said, timedelta(), None, (place(one),)) for phase in (Phase.ACT, Phase.LOSS))
    return "None: no template holds a way back", Strategy.NONE, never[:1], never[1:]


def corruptions(sight: Sight, one: Resource) -> Iterator[Way]:
    """Ways back to data as they were, the best first. A copy has followed the corruption: what restores it is a second line."""
    copy, region = is_copy(one), one.regions[0]
    ways = list(restores(sight, one, region))
    if not ways and not copy:
        mechanism, strategy, time, loss = nothing(one)
        if one.type == CACHE:
            anew = sight.restore("elasticache.anew", place(one))
            mechanism, time = "Sessions are thrown away and users sign in again", (*_person(sight), anew)
        ways = [way(Disruption.APPLICATION, one, region, mechanism, strategy, time, loss)]
    ways += _replayed(sight, one, region)
    for number_, found in enumerate(ways):
        yield replace(found, first=number_ == 0 and not copy)


def restores(sight: Sight, one: Resource, region: str) -> Iterator[Way]:
    """The restores that the templates allow for, the best first."""
    rehearsed = _rehearsals(sight, one)
    watched = _rehearsal_alarm(sight, one)
    plans = sorted(_backed_up(sight, one), key=lambda pair: not pair[1].get("EnableContinuousBackup"))
    continuous = [(plan, rule) for plan, rule in plans if rule.get("EnableContinuousBackup") in (True, "true")]
    reach = _continuous(one)
    if one.type in PITR and reach is not None:
        owners = tuple(place(plan, "BackupPlan.BackupPlanRule") for plan, _ in continuous)
        restore = sight.restore(PITR[one.type], reach.place, *owners, *rehearsed, watched=watched)
        loss = sight.term(Phase.LOSS, RESTORABLE[one.type], reach.place)
        said = "Point-in-time recovery into a new one, beside the old"
        yield way(
            Disruption.APPLICATION,
            one,
            region,
            said,
            Strategy.BACKUP,
            (*_person(sight), restore, _swapped(sight)),
            (loss,),
            reach,
        )
    if one.type == BUCKET and one.proves(lambda status: status == "Enabled", "VersioningConfiguration", "Status"):
        versioned = place(one, "VersioningConfiguration")
        restore = sight.restore("s3.versions", versioned)
        loss = Term(Phase.LOSS, "nothing: older versions are kept", timedelta(), timedelta(), (versioned,))
        said = "Older versions are brought back, in place"
        yield way(Disruption.APPLICATION, one, region, said, Strategy.BACKUP, (*_person(sight), restore), (loss,), _versions(one))
    for plan, rule in plans:
        if (plan, rule) not in continuous and one.type in SNAPSHOT:
            restore = sight.restore(SNAPSHOT[one.type], place(plan), *rehearsed, watched=watched)
            loss, kept = _age(sight, plan, rule)
            said = f"A recovery point of `{rule['RuleName']}` is restored into a new one"
            yield way(
                Disruption.APPLICATION,
                one,
                region,
                said,
                Strategy.BACKUP,
                (*_person(sight), restore, _swapped(sight)),
                (loss,),
                kept,
            )


ARCHIVER = "log_archive-"
"""How the package begins that holds the archiver of committed changes: it is named after its folder."""


def _replayed(sight: Sight, one: Resource, region: str) -> Iterator[Way]:
    """Archived changes on top of a restored recovery point: what is left when the database's own backups are not."""
    for function in sight.view.resources("AWS::Lambda::Function"):
        imports = function.view.templates[function.layer].get("Metadata", {}).get("Layer", {}).get("Imports", {})
        if one.type != INSTANCE or not any(wire.startswith(f"{one.layer}.") for wire in imports.values()):
            continue
        if not str(function.get("Code", "S3Key")).startswith(ARCHIVER):
            continue
        pauses = [
            interval(str(rule.get("ScheduleExpression")))
            for rule in sight.view.resources("AWS::Events::Rule")
            if any(function.is_(called) for called, _ in targets(rule))
        ]
        pause = max((pause for pause in pauses if pause is not None), default=timedelta())
        run = timedelta(seconds=number(function, "Timeout").typical)
        age = Term(
            Phase.LOSS,
            "what the archive does not hold yet",
            pause + run,
            None,
            (place(function, "Timeout"),),
            watched=sight.watched(function, ARCHIVE_LAG_SECONDS),
            reckoned=f"a run every {pause.total_seconds():g} s of {run.total_seconds():g} s at most, while none fails",
        )
        restore = sight.restore("log_archive.replay", place(function))
        said = "The archive's changes are replayed on a restored recovery point, without the transactions that did harm"
        yield way(Disruption.APPLICATION, one, region, said, Strategy.BACKUP, (*_person(sight), restore, _swapped(sight)), (age,))


def _person(sight: Sight) -> tuple[Term, ...]:
    """No template sees that data are wrong: the clock starts when somebody notices."""
    return sight.term(Phase.DECIDE, "person.decides"), sight.term(Phase.ACT, "person.acts")


def _swapped(sight: Sight) -> Term:
    return sight.term(Phase.REDIRECT, "client.reconnect")


def _continuous(one: Resource) -> Reach | None:
    """How far back any second can be restored."""
    if one.type == TABLE:
        on = one.true("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled")
        return Reach(CONTINUOUS_DAYS, place(one, "PointInTimeRecoverySpecification")) if on else None
    if one.type in (INSTANCE, CLUSTER) and one.bounded("BackupRetentionPeriod", least=1):
        days = timedelta(days=number(one, "BackupRetentionPeriod").typical)
        return Reach(days, place(one, "BackupRetentionPeriod"))
    return None


def _versions(one: Resource) -> Reach | None:
    for rule in one.get("LifecycleConfiguration", "Rules") or ():
        days = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
        if days is not None:
            return Reach(timedelta(days=int(days)), place(one, "LifecycleConfiguration"))
    return None


def _backed_up(sight: Sight, one: Resource) -> Iterator[tuple[Resource, Document]]:
    """The plans that select a resource, with each of their rules."""
    for backup in backups(sight.view):
        if one.is_(backup.resource):
            yield from ((backup.plan, rule) for rule in rules_of(backup.plan))


def copied(sight: Sight, one: Resource, region: str) -> Iterator[tuple[Resource, Document, Term]]:
    """The rules that copy recovery points of a resource into a region, and how old the newest copy may be."""
    for plan, rule in _backed_up(sight, one):
        for vault, _ in copied_by(plan, rule):
            if region in vault.regions and one.type in SNAPSHOT:
                age, _ = _age(sight, plan, rule)
                unbounded = "the age of the newest copy"
                yield plan, rule, Term(**{**vars(age), "name": unbounded, "worst": None})


def _age(sight: Sight, plan: Resource, rule: Document) -> tuple[Term, Reach | None]:
    """How old the newest recovery point may be: the pause of its schedule, the time to start, the time to end."""
    pause = interval(str(rule["ScheduleExpression"]))
    start, end = (int(str(rule.get(name, 0))) for name in ("StartWindowMinutes", "CompletionWindowMinutes"))
    where = place(plan, "BackupPlan.BackupPlanRule")
    job = sight.times["backup.job"].typical
    days = rule.get("Lifecycle", {}).get("DeleteAfterDays")
    term = Term(
        Phase.LOSS,
        "the age of the newest recovery point",
        (pause or timedelta()) + job,
        None if pause is None or not end else pause + timedelta(minutes=start + end),
        (where,),
        "backup.job",
        reckoned=f"every {_hours(pause)} and {start} min to start and {end} min to end",
    )
    return term, Reach(timedelta(days=int(str(days))), where) if days else None


def _hours(pause: timedelta | None) -> str:
    return "so often" if pause is None else f"{pause.total_seconds() / 3600:g} h"


def _rehearsals(sight: Sight, one: Resource) -> tuple[Place, ...]:
    """The plans that restore it on trial."""
    plans = [
        selection.follow("RestoreTestingPlanName")
        for selection in sight.view.resources("AWS::Backup::RestoreTestingSelection")
        if any(one.is_(member) for member in selection.members("ProtectedResourceArns"))
    ]
    return tuple(dict.fromkeys(place(plan) for plan in plans if plan is not None))


def _rehearsal_alarm(sight: Sight, one: Resource) -> timedelta | None:
    """What a rehearsed restore of a cluster may take before somebody is told."""
    if one.type != CLUSTER or not _rehearsals(sight, one):
        return None
    limits = [
        number(alarm, "Threshold").worst
        for alarm in sight.view.resources("AWS::CloudWatch::Alarm")
        if alarm.get("MetricName") == RESTORE_SECONDS and str(alarm.get("ComparisonOperator")).startswith("GreaterThan")
    ]
    return min((timedelta(seconds=limit) for limit in limits if limit is not None), default=None)
