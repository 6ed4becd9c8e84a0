"""Healthcare: the data of a healthcare application, in two regions."""

from datetime import timedelta
from typing import Any

from compliance.profiles.hipaa import HIPAA
from compliance.rules import rds
from generator.layers.artifacts import Artifacts
from generator.layers.audit import Audit, DataEvents
from generator.layers.aurora import CONTINUOUS_RETENTION, Aurora, Capacity
from generator.layers.aurora_instance import AuroraInstance
from generator.layers.backup import Backup, Plan, Rule
from generator.layers.cluster_monitoring import ClusterMonitoring, Replication
from generator.layers.configuration import Configuration
from generator.layers.dns import Dns
from generator.layers.failover import Failover
from generator.layers.failover_evidence import Evidence
from generator.layers.global_database import GlobalDatabase
from generator.layers.heartbeat import Heartbeat
from generator.layers.keys import AURORA, BACKUP, LOGS, OBJECTS, SECRETS, TRAIL, Keys
from generator.layers.network import Network
from generator.layers.notify import Notify
from generator.layers.objects import Objects
from generator.layers.probe import Probe
from generator.layers.replica_age import ReplicaAge
from generator.layers.restore_validation import RestoreValidation
from generator.layers.rotation import Rotation
from generator.layers.secrets import Secrets
from generator.layers.vault import Vault
from generator.parts import backup_targets
from generator.parts.publishers import ALARMS, RDS_EVENTS, RULES
from model import BOTH, PRIMARY, RECOVERY, Deviation, Disruption, Objectives, System

PUBLISHERS = (ALARMS, RDS_EVENTS, RULES)
WORKING = timedelta(days=30)
SIX_YEARS = timedelta(days=2192)
FILES = "bucket-files"
SECONDARY = "aurora-recovery"
FROM_HALF_TO_TWO = Capacity(0.5, 2)
EVERY_HOUR = "cron(0 */1 * * ? *)"
EVERY_OTHER_HOUR = "cron(0 0-1,3-23 * * ? *)"
"""The hour between is that of the copy, a countable backup like the others: AWS Backup runs one of two rules that overlap."""

OFF_PEAK = "cron(0 2 * * ? *)"
MINUTES_AND_AN_HOUR = Objectives(rpo=timedelta(minutes=15), rto=timedelta(hours=1))
OBJECTS_OF = {"source": "primary:objects.BucketName", "destination": "recovery:objects-replica.BucketName"}

AT_SECONDARY: dict[str, Any] = {
    "database": "aurora-secondary",
    "secret": "primary:secrets.ReplicaSecretArn",
    "of_global": True,
    "log_retention": WORKING,
}

NO_INSIGHTS = (
    "HC-01 asks for 0.5 to 2 ACU, and AWS asks for 2 or more where Performance Insights are on: they take a gigabyte of memory. "
    "Enhanced Monitoring and alarms on capacity, memory, processor and connections watch the instance instead."
)
ONE_INSTANCE = (
    "HC-16 asks for several zones only where availability needs them. At the recovery site one instance reads and waits: the "
    "data are in three zones without any, and a second instance is added after a failover, in minutes."
)

HEALTHCARE = System(
    name="healthcare",
    title="Healthcare",
    serves="a healthcare application",
    prefix="healthcare-",
    regions={PRIMARY: "eu-west-2", RECOVERY: "eu-west-1"},
    objectives=dict.fromkeys((Disruption.INSTANCE, Disruption.ZONE, Disruption.REGION), MINUTES_AND_AN_HOUR),
    profile=HIPAA,
    layers=(
        # Names of buckets have 63 characters, of which system, suffix, account and region take 51.
        Artifacts(sites=BOTH, kind="bucket-code"),
        Keys(sites=BOTH, purposes=(AURORA, OBJECTS, BACKUP, LOGS, SECRETS), publishers=PUBLISHERS),
        Network(
            sites=BOTH,
            public=False,
            nat_gateways=0,
            host_bits=8,
            skipped_blocks=1,
            gateways=("s3",),
            buckets=FILES,
            zones_named=True,
            log_retention=WORKING,
        ),
        Notify(sites=BOTH, publishers=PUBLISHERS),
        Keys(name="trail-key", purposes=(TRAIL,), topic=False),
        Audit(
            kind="bucket-trail",
            key="trail-key.TrailKeyArn",
            retention=SIX_YEARS,
            retention_chosen=True,
            log_retention=WORKING,
            data=DataEvents(buckets=(FILES,), elsewhere="recovery:keys.LogsKeyArn"),
        ),
        Secrets(replica_key="recovery:keys.SecretsKeyArn"),
        Aurora(
            database="healthcare",
            instance_class="db.serverless",
            capacity=FROM_HALF_TO_TWO,
            instances=1,
            insights=False,
            log_retention=WORKING,
        ),
        AuroraInstance(name="aurora-reader"),
        GlobalDatabase(),
        Aurora(
            name="aurora-secondary",
            sites=(RECOVERY,),
            kind=SECONDARY,
            secondary_of="primary:global",
            capacity=FROM_HALF_TO_TWO,
            instances=0,
            log_retention=WORKING,
        ),
        AuroraInstance(
            name="aurora-secondary-instance", sites=(RECOVERY,), cluster="aurora-secondary", kind=SECONDARY, letter="A"
        ),
        Rotation(database="aurora", every=timedelta(days=30), log_retention=WORKING),
        Rotation(
            name="rotation-standby",
            sites=(RECOVERY,),
            database="aurora-secondary",
            secret="primary:secrets.ReplicaSecretArn",  # noqa: S106  an address
            standby=True,
            log_retention=WORKING,
        ),
        Objects(name="objects-replica", sites=(RECOVERY,), kind=FILES, tiered_after=timedelta(days=30), archive_after=None),
        Objects(kind=FILES, tiered_after=timedelta(days=30), archive_after=None, replicate_to="recovery:objects-replica"),
        Vault(sites=BOTH),
        Backup(
            plans=(
                Plan((Rule("continuous", EVERY_HOUR, CONTINUOUS_RETENTION, continuous=True),), (backup_targets.CLUSTER,)),
                Plan(
                    (
                        Rule("hourly", EVERY_OTHER_HOUR, CONTINUOUS_RETENTION),
                        Rule("daily-copy", OFF_PEAK, CONTINUOUS_RETENTION, copy_to=RECOVERY),
                    ),
                    (backup_targets.CLUSTER,),
                    kind="snapshots",
                ),
            ),
            rehearsal="cron(0 10 ? * MON,THU *)",
            rehearsed_within=timedelta(days=1),
            validated=(backup_targets.CLUSTER.type,),
        ),
        RestoreValidation(held_to="nothing holds it to less", log_retention=WORKING),
        ClusterMonitoring(other="recovery:aurora-secondary.ClusterArn", objects=Replication(**OBJECTS_OF, at_source=True)),
        ClusterMonitoring(
            name="monitoring-recovery",
            sites=(RECOVERY,),
            cluster="aurora-secondary",
            other="primary:aurora.ClusterArn",
            objects=Replication(**OBJECTS_OF, at_source=False),
        ),
        Heartbeat(database="aurora", names="aurora.ClusterArn", of_global=True, log_retention=WORKING),
        Heartbeat(name="heartbeat-recovery", sites=(RECOVERY,), **AT_SECONDARY),
        Probe(database="aurora", arn="aurora.ClusterArn", of_global=True, log_retention=WORKING),
        Probe(name="probe-recovery", sites=(RECOVERY,), arn="aurora-secondary.ClusterArn", **AT_SECONDARY),
        ReplicaAge(**AT_SECONDARY),
        Evidence(stale_after=timedelta(minutes=2)),
        Dns(home="primary:aurora", away="recovery:aurora-secondary", located="primary:aurora.ClusterArn"),
        Configuration(rpo=MINUTES_AND_AN_HOUR.rpo, global_cluster="primary:global", recovery_arn="aurora-secondary.ClusterArn"),
        Failover(
            primary_arn="primary:aurora.ClusterArn",
            recovery_arn="aurora-secondary.ClusterArn",
            global_cluster="primary:global.GlobalClusterId",
            log_retention=WORKING,
        ),
    ),
    deviations=(
        Deviation(rds.monitored, "aurora.InstanceA", NO_INSIGHTS),
        Deviation(rds.monitored, "aurora-reader.InstanceB", NO_INSIGHTS),
        Deviation(rds.monitored, "aurora-secondary-instance.InstanceA", NO_INSIGHTS),
        Deviation(rds.multi_az, "aurora-secondary.Cluster", ONE_INSTANCE),
        Deviation(rds.multi_az, "aurora-secondary-instance.InstanceA", ONE_INSTANCE),
        Deviation(
            "HC-01",
            "aurora.Cluster",
            "0.5 to 2 ACU is as asked. AWS recommends 8 or more for the primary of a global database: with less, a peak of "
            "writes can leave the replica behind. Alarms on capacity, memory and lag tell it before the 15 minutes are gone.",
        ),
        Deviation(
            "HC-02",
            "global.GlobalCluster",
            "A separate cluster would replicate nothing, so the recovery cluster is the secondary of a global database and can "
            "be promoted by one call, which the failover function makes (HC-10).",
        ),
        Deviation(
            "HC-03",
            "aurora.Cluster",
            "A cluster whose continuous backup AWS Backup owns takes no backup window: off-peak is the hour of the daily copy. "
            "The 15 minutes rest on replication; hourly backups could not give them.",
        ),
        Deviation(
            "HC-04",
            "aurora.Cluster",
            "Aurora PostgreSQL 15.3 can no longer be created: the newest 15 that AWS creates, the same in both regions.",
        ),
        Deviation(
            "HC-07",
            "objects.Bucket",
            "AWS promises 99.99 % of objects at 15 minutes, not below: alarms tell when replication is 5 minutes behind, and "
            "when it fails.",
        ),
        Deviation(
            "A-13",
            "objects.Bucket",
            "Replication in 15 minutes is promised for 99.99 % of objects: what is not there yet has no bound. An alarm tells "
            "at the other site before the 15 minutes are over, and when an object fails.",
        ),
        Deviation(
            "A-13",
            "aurora-secondary.Cluster",
            "A global database replicates asynchronously, a second behind as a rule and without a bound: `rds.global_db_rpo` "
            "would set one by stopping the writer. Alarms tell before the 15 minutes are over.",
        ),
        Deviation(
            "HC-08",
            "notify.Topic",
            "An alarm reaches topics of its own region only: one topic for the operations team in each region.",
        ),
        Deviation(
            "HC-09",
            "audit.LogGroup",
            "Log groups keep 30 days as asked. HIPAA asks for six years of audit evidence (45 CFR 164.316(b)(2)(i)): the trail's "
            "bucket keeps its files for LogFilesKeptDays, six years or more.",
        ),
        Deviation(
            "HC-14",
            "aurora.Cluster",
            "CloudFormation knows no deletion policy that depends on the environment, and templates are the same in each: "
            "production's final snapshot is taken by `make destroy`, before anything goes, where the environment's file says "
            "`finalSnapshot: true`.",
        ),
        Deviation(
            "HC-14",
            "aurora-secondary.Cluster",
            "The 15 minutes are held by each stack, not by all together: the reader and the secondary's instance are stacks of "
            "their own. The whole chain waits for primary, global database and secondary in turn.",
        ),
        Deviation(
            "HC-15",
            "artifacts.Bucket",
            "CloudFormation keeps the state of stacks itself. The encrypted bucket of each region holds what they are made of: "
            "function packages under the digest of their content.",
        ),
    ),
)
