"""Federal records: a federal agency's citizen data, with a disaster-recovery site in another region."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from compliance.profiles.fedramp_high import FEDRAMP_HIGH
from compliance.rules import secrets
from generator.layers.artifacts import Artifacts
from generator.layers.audit import Audit
from generator.layers.backup import Backup, Plan, Rule
from generator.layers.cache import Cache
from generator.layers.cache_rotation import CacheRotation
from generator.layers.configuration import Configuration
from generator.layers.database import SUITES_CHOSEN, Database
from generator.layers.failover import Failover
from generator.layers.failover_evidence import Evidence
from generator.layers.files import Files
from generator.layers.heartbeat import Heartbeat
from generator.layers.keys import BACKUP, CACHE, DATABASE, FILES, LOGS, SECRETS, TRAIL, Keys
from generator.layers.monitoring import Monitoring
from generator.layers.network import Network
from generator.layers.notify import Notify
from generator.layers.probe import Probe
from generator.layers.replica_age import ReplicaAge
from generator.layers.rotation import Rotation
from generator.layers.secrets import Secrets
from generator.layers.vault import Vault
from generator.parts.backup_targets import FILE_SYSTEM, INSTANCE, Protected
from generator.parts.publishers import ALARMS, RDS_EVENTS, RULES
from generator.template import Explained
from model import BOTH, PRIMARY, RECOVERY, Deviation, Disruption, Objectives, Site, System

PUBLISHERS = (ALARMS, RDS_EVENTS, RULES)
OBJECTIVES = Objectives(rpo=timedelta(hours=1), rto=timedelta(hours=4))
LATE = timedelta(minutes=15)
"""A quarter of the hour that may be lost: time to act before it is."""

SOURCE, SECRET = "SourceDatabaseArn", "SourceSecretArn"
"""What an environment answers whose database stands already."""

REFERENCE = "database"
"""The layer beside which the other layers of the reference primary stand, or are left out."""

AT_REPLICA: dict[str, Any] = {
    "database": "database-replica",
    # Not the primary's own output: an agency answers for its secret once, and the standby rotation passes it on.
    "secret": "rotation-standby.SecretArn",
}


def _files(one: Protected, copy_to: Site) -> Plan:
    """The file system every hour, with a copy in the other region."""
    hourly = Rule("hourly", "cron(0 * * * ? *)", timedelta(days=7), copy_to=copy_to)
    return Plan((hourly,), (one,), kind="files")


def _database(one: Protected, schedule: str) -> Plan:
    """The instance once a day, beside its own backups for point-in-time recovery."""
    return Plan((Rule("daily", schedule, timedelta(days=35)),), (one,), kind="database")


FEDERAL_RECORDS = System(
    name="federal-records",
    title="Federal records",
    serves="a federal agency's citizen data, whose primary database runs in another region",
    regions={PRIMARY: "eu-west-1", RECOVERY: "eu-west-2"},
    objectives=dict.fromkeys((Disruption.INSTANCE, Disruption.ZONE, Disruption.REGION), OBJECTIVES),
    profile=FEDRAMP_HIGH,
    layers=(
        # Both sites. At the primary they stand while the reference primary, or the vault that takes copies, needs them.
        Artifacts(sites=BOTH, optional=True),
        Keys(sites=BOTH, purposes=(DATABASE, FILES, CACHE, BACKUP, LOGS, SECRETS, TRAIL), publishers=PUBLISHERS),
        Network(
            sites=BOTH,
            optional=True,
            public=False,
            nat_gateways=0,
            fips=("kms", "elasticfilesystem"),
            foreign_secret="primary:secrets.ReplicaSecretArn",  # noqa: S106  an address
            secret_named=SECRET,
        ),
        Notify(sites=BOTH, optional=True, publishers=PUBLISHERS),
        Vault(sites=BOTH),
        # The reference primary, where no agency's instance stands.
        Secrets(optional=True, replica_key="recovery:keys.SecretsKeyArn"),
        Database(optional=True, database="records", engine_version=SUITES_CHOSEN, approved_suites=True),
        Rotation(optional=REFERENCE, every=timedelta(days=30)),
        Files(
            optional=REFERENCE,
            writer="role-records-application",
            client="Application",
            directory="/records",
            replicate_to="recovery:files-replica",
            late_after=2 * LATE,
        ),
        Backup(optional=REFERENCE, plans=(_files(FILE_SYSTEM, RECOVERY), _database(INSTANCE, "cron(0 12 * * ? *)"))),
        Heartbeat(optional=REFERENCE, names="database.InstanceArn"),
        Probe(optional=REFERENCE),
        Monitoring(optional=REFERENCE, event_rule=True, files="files"),
        # The recovery site, where the system lives.
        Audit(sites=(RECOVERY,)),
        Database(
            name="database-replica",
            sites=(RECOVERY,),
            replica_of="primary:database.InstanceArn",
            source_named=SOURCE,
            engine_version=SUITES_CHOSEN,
            approved_suites=True,
            backup_window=Explained(
                "01:00-01:30", "Apart from the source's, and short: RDS promotes no replica during a backup."
            ),
            maintenance_window="sun:07:00-sun:07:30",
        ),
        Rotation(
            name="rotation-standby",
            sites=(RECOVERY,),
            database="database-replica",
            secret="primary:secrets.ReplicaSecretArn",  # noqa: S106  an address
            secret_named=SECRET,
            standby=True,
        ),
        Files(
            name="files-replica",
            sites=(RECOVERY,),
            writer="role-records-application",
            client="Application",
            directory="/records",
            replica=True,
        ),
        Cache(sites=(RECOVERY,)),
        CacheRotation(sites=(RECOVERY,), every=timedelta(days=30)),
        Backup(
            name="backup-recovery",
            sites=(RECOVERY,),
            plans=(
                _files(replace(FILE_SYSTEM, address="files-replica.FileSystemArn"), PRIMARY),
                _database(replace(INSTANCE, address="database-replica.InstanceArn"), "cron(0 15 * * ? *)"),
            ),
        ),
        Monitoring(
            name="monitoring-recovery",
            sites=(RECOVERY,),
            database="database-replica",
            event_rule=True,
            files="files-replica",
            lag=LATE,
        ),
        Heartbeat(name="heartbeat-recovery", sites=(RECOVERY,), **AT_REPLICA),
        Probe(name="probe-recovery", sites=(RECOVERY,), arn="database-replica.InstanceArn", adopts=True, **AT_REPLICA),
        ReplicaAge(**AT_REPLICA),
        Evidence(stale_after=LATE),
        Configuration(rpo=OBJECTIVES.rpo, replica="database-replica"),
        Failover(
            # By way of the layers that an agency answers for its database and its secret, each once.
            primary_arn="database-replica.SourceArn",
            recovery_arn="database-replica.InstanceArn",
            files="files-replica.FileSystemId",
            secret=AT_REPLICA["secret"],
            rotation="rotation-standby.FunctionArn",
        ),
    ),
    deviations=(
        Deviation(
            "FR-12",
            "database-replica.Instance",
            "FedRAMP High is authorised in AWS GovCloud (US) only: the High baseline is accounted for, control by control, "
            "and not authorised in eu-west-1 and eu-west-2. Templates name no partition, so that they can be deployed there.",
        ),
        Deviation(
            "FR-07",
            "vault.Vault",
            "A copy of backups in another region stands outside of eu-west-2 by its purpose: a vault and its keys in eu-west-1, "
            "which take copies. Whatever else stands there is the reference primary, optional, and left out when an environment "
            "answers SourceDatabaseArn and SourceSecretArn.",
        ),
        Deviation(
            "FR-11",
            "database-replica.Instance",
            "Within the region a standby takes over by itself, between the regions the failover function decides. With "
            "SourceDatabaseArn there is no write access to the source, so no heartbeat, no fence, and nobody there to ask: "
            "the primary counts as unreachable all the time, and the data's age is that of the last transaction replayed. One "
            "piece of evidence decides nothing: the mode is approve then, whatever FailoverMode says, and a person fails "
            "over, or approves.",
        ),
        Deviation(
            "FR-11",
            "network.Vpc",
            "No name changes its answer with a failover. Clients in eu-west-2 use that site's endpoints, which a promotion "
            "leaves as they are, and reach no other site; the newest topology in Systems Manager says which of the two "
            "writes. Clients beside an agency's database are the agency's to redirect.",
        ),
        Deviation(
            "FR-05",
            "rotation-standby.Function",
            "A replica of a secret cannot be rotated, and a replica of a database takes no password: rotation in eu-west-2 has "
            "function and permission, and rests until a failover arms it. Until then the source's rotation reaches the replica "
            "of the secret by itself. Passwords that RDS manages itself rule out replicas.",
        ),
        Deviation(
            "FR-04",
            "backup.EFSPlan",
            "An hourly backup does not bound what is lost to an hour: to the interval come the time to start, the job and the "
            "copy. Replication by EFS carries the hour, 15 minutes behind as a rule and without a bound; the backup and its copy "
            "are the second line.",
        ),
        Deviation(
            "FR-06",
            "cache.ReplicationGroup",
            "Sessions survive the loss of a node and of a zone. Those that a region's loss takes with it are gone and their "
            "users sign in again: the system, and so its cache, lives in eu-west-2, and a copy in another region would stand "
            "outside.",
        ),
        Deviation(
            secrets.replicated,
            "cache.Secret",
            "It opens the cache, which stands in this region alone.",
        ),
        Deviation(
            "FR-08",
            "network.Vpc",
            "FIPS endpoints exist in eu-west-1 and eu-west-2 for KMS and EFS, and for IAM worldwide; docs/fips.md lists the "
            "other services, whose calls go over TLS 1.2 or later to endpoints without that name. An endpoint serves those "
            "clients only that are built for its name: AWS_USE_FIPS_ENDPOINT is not set, for it would make up "
            "names.",
        ),
        Deviation(
            "FR-08",
            "database-replica.ParameterGroup",
            "AWS does not say that the module with which PostgreSQL speaks TLS in these regions is validated. The suites are "
            "limited to approved algorithms, which RDS allows from PostgreSQL 16 on: an agency's older instance is upgraded "
            "first. TLS 1.3 is off, for its suites cannot be chosen, and one of them is not of approved algorithms.",
        ),
        Deviation(
            "FR-08",
            "files-replica.FileSystem",
            "The FIPS endpoint is of EFS's API. NFS itself runs in the TLS of the mount helper, which uses the modules of the "
            "client's own system.",
        ),
        Deviation(
            "A-13",
            "database-replica.Instance",
            "A read replica in another region follows asynchronously, seconds behind as a rule and without a bound. Alarms tell "
            "before the hour is over.",
        ),
        Deviation(
            "A-13",
            "files.FileSystem",
            "EFS replicates most file systems within 15 minutes, and bounds none. An alarm tells before the hour is over.",
        ),
        Deviation(
            "A-13",
            "cache.ReplicationGroup",
            "Redis replicates asynchronously: a replica that takes over may lack the newest sessions, whose users sign in again. "
            "An alarm stands at five seconds.",
        ),
        Deviation(
            "A-13",
            "backup-recovery.RDSPlan",
            "The four hours hold when an instance, a zone or a region is lost. After a corruption, which the replica follows, a "
            "new instance is restored: how long that takes is rehearsed every week, published, and not bounded.",
        ),
    ),
)
