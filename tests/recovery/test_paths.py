"""What brings a store back, as its template says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from model import Disruption, Document
from recovery.assess import ways
from recovery.measured import Measured
from recovery.paths import Strategy, Way
from recovery.template_times import Sight
from tests.support.recovery_systems import AWAY, HOME, alarm, instance, output, pair, resource, sight, template

MINUTE = timedelta(minutes=1)
ARN = {"Fn::GetAtt": ["Store", "Arn"]}


def found(seen: Sight, disruption: Disruption, *, first: bool = True) -> list[Way]:
    return [way for way in ways(seen) if way.disruption is disruption and way.first is first]


def alone(store: Document, **others: Document) -> Sight:
    return sight(None, layer=template({"Store": store, **others}))


def plan(*rules: Document) -> dict[str, Document]:
    """A plan that backs the store up."""
    return {
        "Plan": resource("Backup::BackupPlan", BackupPlan={"BackupPlanRule": list(rules)}),
        "Selection": resource("Backup::BackupSelection", BackupPlanId={"Ref": "Plan"}, BackupSelection={"Resources": [ARN]}),
        "Nothing": resource("Backup::BackupSelection", BackupPlanId="elsewhere", BackupSelection={"Resources": [ARN]}),
    }


def rule(schedule: str = "cron(0 * * * ? *)", **more: Any) -> Document:
    given = {"RuleName": "hourly", "ScheduleExpression": schedule, "StartWindowMinutes": 60, "CompletionWindowMinutes": 180}
    return given | {"Lifecycle": {"DeleteAfterDays": 7}} | more


def test_a_standby_in_another_zone_takes_over_without_loss() -> None:
    for disruption in (Disruption.INSTANCE, Disruption.ZONE):
        (way,) = found(alone(instance()), disruption)
        assert way.strategy is Strategy.AVAILABILITY
        assert way.loss.worst == timedelta()
        assert (way.time.worst or timedelta.max) < 3 * MINUTE


def test_a_standby_that_an_environment_may_leave_out_is_none() -> None:
    seen = sight(
        None,
        layer=template(
            {"Store": instance(MultiAZ={"Ref": "Standby"})},
            Parameters={"Standby": {"Type": "String", "Default": "true", "AllowedValues": ["true", "false"]}},
        ),
    )
    (host,) = found(seen, Disruption.INSTANCE)
    assert host.time.worst is None
    (zone,) = found(seen, Disruption.ZONE)
    assert zone.strategy is Strategy.BACKUP
    assert zone.loss.worst == 5 * MINUTE


def test_without_standby_and_backup_nothing_survives_a_zone() -> None:
    seen = alone(instance(MultiAZ=False, BackupRetentionPeriod=0))
    (zone,) = found(seen, Disruption.ZONE)
    (corruption,) = found(seen, Disruption.APPLICATION)
    for way in (zone, corruption):
        assert way.strategy is Strategy.NONE
        assert way.time.worst is None
        assert way.loss.worst is None


def cluster(*zones: Any, **properties: Any) -> Sight:
    members = {
        f"Instance{count}": resource("RDS::DBInstance", DBClusterIdentifier={"Ref": "Store"}, AvailabilityZone=zone)
        for count, zone in enumerate(zones)
    }
    return alone(resource("RDS::DBCluster", BackupRetentionPeriod=7, **properties), **members)


def zone(index: int) -> Document:
    return {"Fn::Select": [index, {"Ref": "Zones"}]}


def test_a_cluster_fails_over_to_a_reader_in_another_zone() -> None:
    (way,) = found(cluster(zone(0), zone(1)), Disruption.ZONE)
    assert way.time.terms[0].source == "aurora.failover"
    (named,) = found(cluster("eu-west-2a", "eu-west-2b"), Disruption.ZONE)
    assert named.time == replace(way.time, terms=named.time.terms)


@pytest.mark.parametrize("zones", [(zone(0), zone(0)), (zone(0), None), (None, None)])
def test_a_reader_that_may_stand_in_the_same_zone_survives_no_zone(zones: tuple[Any, ...]) -> None:
    (way,) = found(cluster(*zones), Disruption.ZONE)
    assert [term.source for term in way.time.terms][:3] == ["rds.event", "person.decides", "aurora.instance_added"]


def test_aurora_makes_the_only_instance_anew() -> None:
    (way,) = found(cluster(zone(0)), Disruption.INSTANCE)
    assert way.time.terms[0].source == "aurora.instance"
    (none,) = found(cluster(), Disruption.INSTANCE)
    assert none.time.worst is not None
    assert none.time.worst > (way.time.worst or timedelta.max)


def cache(**properties: Any) -> Sight:
    given = {"AutomaticFailoverEnabled": True, "MultiAZEnabled": True}
    return alone(resource("ElastiCache::ReplicationGroup", **(given | properties)))


def test_a_cache_loses_what_its_replica_lacks_and_goes_on() -> None:
    (way,) = found(cache(), Disruption.ZONE)
    assert way.time.worst is not None
    assert way.loss.worst is None


def test_a_cache_without_automatic_failover_is_gone() -> None:
    for seen, disruption in (
        (cache(AutomaticFailoverEnabled=False), Disruption.INSTANCE),
        (cache(MultiAZEnabled=False), Disruption.ZONE),
    ):
        (way,) = found(seen, disruption)
        assert way.time.worst is None


def test_corrupted_sessions_are_thrown_away() -> None:
    (way,) = found(cache(), Disruption.APPLICATION)
    assert "sign in again" in way.mechanism


def test_regional_stores_go_on_without_a_zone_and_have_no_instance() -> None:
    for kind in ("EFS::FileSystem", "S3::Bucket", "DynamoDB::Table"):
        seen = alone(resource(kind))
        (way,) = found(seen, Disruption.ZONE)
        assert way.loss.worst == timedelta()
        assert found(seen, Disruption.INSTANCE) == []


def test_files_in_one_zone_are_restored_when_it_is_lost() -> None:
    seen = sight(None, layer=template({"Store": resource("EFS::FileSystem", AvailabilityZoneName="eu-west-2a"), **plan(rule())}))
    (way,) = found(seen, Disruption.ZONE)
    assert way.strategy is Strategy.BACKUP


def test_a_recovery_point_is_as_old_as_pause_start_and_end_together() -> None:
    (way,) = found(alone(resource("EFS::FileSystem"), **plan(rule())), Disruption.APPLICATION)
    assert way.loss.worst == 300 * MINUTE
    assert way.loss.typical == 75 * MINUTE
    assert way.reach is not None
    assert way.reach.length == timedelta(days=7)


@pytest.mark.parametrize("unclear", [rule("rate(never)"), rule(CompletionWindowMinutes=0)])
def test_a_backup_of_no_known_pace_bounds_no_loss(unclear: Document) -> None:
    (way,) = found(alone(resource("EFS::FileSystem"), **plan(unclear | {"Lifecycle": {}})), Disruption.APPLICATION)
    assert way.loss.worst is None
    assert way.reach is None


def test_any_second_comes_before_a_recovery_point() -> None:
    seen = alone(instance(), **plan(rule(), rule(RuleName="any", EnableContinuousBackup=True)))
    (first,) = found(seen, Disruption.APPLICATION)
    assert first.time.terms[2].source == "rds.pitr"
    assert {place.address for place in first.time.terms[2].places} == {"layer.Store", "layer.Plan"}
    (second,) = found(seen, Disruption.APPLICATION, first=False)
    assert second.time.terms[2].source == "rds.snapshot"


def test_a_table_goes_back_to_a_second_where_its_template_says_so() -> None:
    on = resource("DynamoDB::Table", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    (way,) = found(alone(on), Disruption.APPLICATION)
    assert way.loss.worst == 5 * MINUTE
    (off,) = found(alone(resource("DynamoDB::Table")), Disruption.APPLICATION)
    assert off.strategy is Strategy.NONE


def test_versions_of_objects_come_back_while_they_are_kept() -> None:
    kept = {"Rules": [{"Status": "Enabled"}, {"NoncurrentVersionExpiration": {"NoncurrentDays": 90}}]}
    on = {"VersioningConfiguration": {"Status": "Enabled"}}
    (way,) = found(alone(resource("S3::Bucket", LifecycleConfiguration=kept, **on)), Disruption.APPLICATION)
    assert way.reach is not None
    assert way.reach.length == timedelta(days=90)
    (for_ever,) = found(alone(resource("S3::Bucket", **on)), Disruption.APPLICATION)
    assert for_ever.reach is None


def test_the_trails_bucket_and_that_of_packages_hold_no_data() -> None:
    seen = sight(
        None,
        audit=template(
            {"Bucket": resource("S3::Bucket"), "Trail": resource("CloudTrail::Trail", S3BucketName={"Ref": "Bucket"})}
        ),
        artifacts=template({"Bucket": resource("S3::Bucket")}),
    )
    assert list(ways(seen)) == []


def rehearsed(kind: str) -> Sight:
    trial = {
        "Trial": resource("Backup::RestoreTestingPlan"),
        "Rehearsal": resource(
            "Backup::RestoreTestingSelection", RestoreTestingPlanName={"Ref": "Trial"}, ProtectedResourceArns=[ARN]
        ),
        "TooSlow": alarm("RestoreSeconds", threshold=10800),
        "Absent": alarm("RestoreSeconds", threshold=1, ComparisonOperator="LessThanThreshold"),
    }
    return alone(resource(kind, BackupRetentionPeriod=7), **trial)


def test_a_rehearsed_restore_is_watched_by_the_alarm_on_its_duration() -> None:
    (way,) = found(rehearsed("RDS::DBCluster"), Disruption.APPLICATION)
    restore = way.time.terms[2]
    assert restore.watched == 180 * MINUTE
    assert "layer.Trial" in {place.address for place in restore.places}
    (other,) = found(rehearsed("RDS::DBInstance"), Disruption.APPLICATION)
    assert other.time.terms[2].watched is None


def test_a_measured_restore_has_a_bound() -> None:
    took = [
        Measured("rds.pitr", size, timedelta(minutes=minutes), "2026-11-21", "a drill") for size, minutes in ((10, 20), (99, 50))
    ]
    (way,) = found(replace(alone(instance()), measured=tuple(took)), Disruption.APPLICATION)
    assert way.time.terms[2].worst == 50 * MINUTE
    assert way.time.worst is not None


def test_archived_changes_are_a_second_line() -> None:
    archive = {
        "Function": resource("Lambda::Function", Code={"S3Key": "log_archive-0123.zip"}, Timeout=60),
        "Other": resource("Lambda::Function", Code={"S3Key": "health-0123.zip"}, Timeout=60),
        "Schedule": resource("Events::Rule", ScheduleExpression="rate(1 minute)", Targets=[{"Arn": {"Ref": "Function"}}]),
        "Late": alarm("ArchiveLagSeconds", threshold=900, Dimensions=[{"Name": "FunctionName", "Value": {"Ref": "Function"}}]),
    }
    seen = sight(
        None,
        database=template({"Store": instance()}, Outputs=output(Id={"Ref": "Store"})),
        archive=template(archive, imports={"Database": "database.Id"}),
    )
    (way,) = found(seen, Disruption.APPLICATION, first=False)
    assert way.loss.typical == 2 * MINUTE
    assert way.loss.worst is None
    assert way.loss.told == 22 * MINUTE


def test_a_rotation_replaces_a_leaked_password_in_its_four_steps() -> None:
    rotation = {
        "Secret": resource("SecretsManager::Secret"),
        "Function": resource("Lambda::Function", Timeout=60),
        "Rotation": resource(
            "SecretsManager::RotationSchedule",
            SecretId={"Ref": "Secret"},
            RotationLambdaARN={"Fn::GetAtt": ["Function", "Arn"]},
            RotationRules={"AutomaticallyAfterDays": 30},
        ),
        "Unknown": resource("SecretsManager::RotationSchedule", SecretId="elsewhere"),
    }
    (way,) = found(sight(None, rotation=template(rotation)), Disruption.CREDENTIAL)
    assert way.strategy is Strategy.ROTATION
    assert way.time.terms[2].worst == 4 * MINUTE
    assert way.reach is not None
    assert way.reach.length == timedelta(days=30)


def regional(**templates: Document) -> tuple[Way, ...]:
    return tuple(found(sight(AWAY, **templates), Disruption.REGION))


def test_without_another_region_nothing_survives_the_loss_of_one() -> None:
    (way,) = found(alone(instance()), Disruption.REGION)
    assert way.strategy is Strategy.NONE


def test_a_failover_that_begins_by_itself_waits_for_both_pieces_of_evidence() -> None:
    (way,) = regional(**pair())
    assert way.strategy is Strategy.WARM_STANDBY
    assert way.region == AWAY
    assert [term.name for term in way.time.terms] == [
        "both pieces of evidence are there",
        "an event reaches its function",
        "the function starts and looks at the world",
        "10 runs of the function, at most one act in each",
        "the replica is promoted and restarts",
        "the health check follows NotActive",
        "the answer of DNS changes everywhere",
        "resolvers keep the old answer",
        "clients connect again",
    ]
    assert way.time.worst is not None
    # The alarm on the age of the replica's data tells before that on its lag.
    assert way.loss.told == 9 * MINUTE


@pytest.mark.parametrize(
    ("mode", "automatic"),
    [
        ("approve", False),
        ({"Ref": "Mode"}, True),
        ({"Fn::If": ["APersonDecides", "approve", {"Ref": "Mode"}]}, True),
        ({"Fn::GetAtt": ["Mode", "Value"]}, False),
    ],
)
def test_an_environment_that_may_ask_for_an_approval_waits_for_it_at_worst(mode: Any, automatic: bool) -> None:
    (by_itself,), (asked,) = regional(**pair()), regional(**pair(mode))
    assert asked.time.worst == (by_itself.time.worst or timedelta()) + 15 * MINUTE
    assert (asked.time.typical == by_itself.time.typical) is automatic


def test_the_first_alarm_that_falls_silent_tells_where_there_is_no_composite() -> None:
    (both,), (either,) = regional(**pair()), regional(**pair(composite=False))
    assert either.time.terms[0].name == "Stale stands"
    assert (either.time.terms[0].worst or timedelta.max) <= (both.time.terms[0].worst or timedelta())


def test_a_composite_of_other_alarms_is_no_evidence() -> None:
    templates = pair()
    templates["evidence"]["Resources"]["Stale"]["Properties"]["MetricName"] = "CPUUtilization"
    (way,) = regional(**templates)
    assert way.time.terms[0].name == "Unreachable stands"


def test_without_a_function_a_person_decides_and_acts() -> None:
    templates = pair()
    del templates["failover"]
    (way,) = regional(**templates)
    assert [term.source for term in way.time.terms][1:3] == ["person.decides", "person.acts"]


def test_without_an_alarm_that_falls_silent_a_person_notices() -> None:
    templates = pair()
    del templates["evidence"]
    (way,) = regional(**templates)
    assert way.time.terms[0].source == "person.notices"
    # Nothing tells of the age of the data then; the alarm on the lag does.
    assert way.loss.told == (900 + 240 + 180) * timedelta(seconds=1)


def test_a_function_that_no_clock_wakes_acts_at_no_known_pace() -> None:
    templates = pair(rate="rate(often)")
    del templates["failover"]["Resources"]["Mode"]
    (way,) = regional(**templates)
    assert way.time.worst is None
    assert "person.decides" in {term.source for term in way.time.terms}


def test_a_function_that_no_evidence_wakes_decides_nothing() -> None:
    templates = pair()
    del templates["failover"]["Resources"]["Told"]
    (way,) = regional(**templates)
    assert [term.source for term in way.time.terms][1:3] == ["person.decides", "person.acts"]


def test_a_record_whose_life_an_environment_chooses_has_no_bound() -> None:
    templates = pair()
    templates["dns"]["Resources"]["Home"]["Properties"] |= {"TTL": {"Ref": "Ttl"}, "HealthCheckId": "elsewhere"}
    (way,) = regional(**templates)
    assert way.time.worst is None


def test_clients_read_the_endpoint_again_where_no_record_follows() -> None:
    templates = pair()
    del templates["dns"]
    (way,) = regional(**templates)
    assert way.time.terms[-2].name == "the replica is promoted and restarts"


def world(*members: Document) -> dict[str, Document]:
    """A global database, with these instances of its secondary."""
    instances = {f"Instance{count}": member for count, member in enumerate(members)}
    global_ = resource("RDS::GlobalCluster", SourceDBClusterIdentifier={"Ref": "Source"})
    lag = alarm("AuroraGlobalDBRPOLag", threshold=60000, Dimensions=[{"Name": "SourceRegion", "Value": {"Ref": "Source"}}])
    return {
        "aurora": template({"Cluster": resource("RDS::DBCluster")}, Outputs=output(Arn={"Fn::GetAtt": ["Cluster", "Arn"]})),
        "global": template({"Global": global_}, imports={"Source": "aurora.Arn"}, Outputs=output(Id={"Ref": "Global"})),
        "secondary": template(
            {"Cluster": resource("RDS::DBCluster", GlobalClusterIdentifier={"Ref": "Global"}), "Lag": lag, **instances},
            AWAY,
            {"Global": "primary:global.Id", "Source": "primary:aurora.Arn"},
        ),
    }


def test_a_secondary_that_runs_is_a_warm_standby_and_one_without_instances_a_pilot_light() -> None:
    member = resource("RDS::DBInstance", DBClusterIdentifier={"Ref": "Cluster"})
    (warm,), (pilot,) = regional(**world(member)), regional(**world())
    assert (warm.strategy, pilot.strategy) == (Strategy.WARM_STANDBY, Strategy.PILOT_LIGHT)
    assert (pilot.time.worst or timedelta()) > (warm.time.worst or timedelta.max)
    assert warm.loss.told == (60 + 240 + 180) * timedelta(seconds=1)


def test_a_cluster_of_a_foreign_global_database_is_no_replica_of_ours() -> None:
    templates = world()
    templates["secondary"]["Resources"]["Cluster"]["Properties"]["GlobalClusterIdentifier"] = "elsewhere"
    (way,) = regional(**templates)
    assert way.strategy is Strategy.NONE


def test_replicated_files_are_made_writable_and_their_copies_are_a_second_line() -> None:
    split = {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "Replica"}]}]}
    store = resource("EFS::FileSystem", ReplicationConfiguration={"Destinations": [{"FileSystemId": split}]})
    copying = rule(CopyActions=[{"DestinationBackupVaultArn": {"Ref": "Vault"}}, {"DestinationBackupVaultArn": "elsewhere"}])
    imports = {"Replica": "recovery:away.Arn", "Vault": "recovery:away.VaultArn"}
    templates = {
        "home": template({"Store": store, **plan(copying)}, imports=imports),
        "away": template(
            {"Store": resource("EFS::FileSystem"), "Vault": resource("Backup::BackupVault")},
            AWAY,
            Outputs=output(Arn=ARN, VaultArn={"Fn::GetAtt": ["Vault", "BackupVaultArn"]}),
        ),
    }
    (first,) = regional(**templates)
    assert first.time.terms[-2].source == "efs.writable"
    assert first.loss.worst is None
    (second,) = found(sight(AWAY, **templates), Disruption.REGION, first=False)
    assert second.strategy is Strategy.BACKUP
    assert second.loss.worst is None
    # The replica follows a corruption; what restores it is no first line.
    assert [way.region for way in found(sight(AWAY, **templates), Disruption.APPLICATION)] == [HOME]


def test_replicated_objects_are_read_where_they_are() -> None:
    rules = [{"Status": "Disabled"}, {"Status": "Enabled", "Destination": {"Bucket": {"Ref": "Replica"}}}]
    store = resource("S3::Bucket", ReplicationConfiguration={"Rules": rules})
    (way,) = regional(
        home=template({"Store": store}, imports={"Replica": "recovery:away.Arn"}),
        away=template({"Store": resource("S3::Bucket")}, AWAY, Outputs=output(Arn=ARN)),
    )
    assert way.mechanism == "The bucket with the replicas is used instead"
    assert way.loss.typical == MINUTE
