"""The database layer."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from troposphere import GetAtt, Ref, Select, Split, Sub, rds, secretsmanager

from generator.layer import Layer
from generator.parts.log_group import log_group
from generator.parts.os_metrics import monitoring_role
from generator.parts.secret import credential
from generator.template import Explained, Group, Template

ENGINE_VERSION = "15.19"
"""The newest PostgreSQL 15 that cfn-lint knows; a test fails when a region lacks it or AWS deprecates it."""

CLASSES = [
    f"db.{family}.{size}"
    for family in ("r6g", "r7g")
    for size in ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
]
LOGS = ("postgresql", "upgrade")

SUITES_CHOSEN = "16.15"
"""The newest version of the first major one in which RDS lets anybody choose suites (Amazon RDS User Guide, SSL cipher suites in
RDS for PostgreSQL)."""

APPROVED_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
)
"""By the names that RDS takes: IANA's."""

SUITES = {
    "ssl_max_protocol_version": Explained(
        "TLSv1.2", "Of TLS 1.3 the suites cannot be chosen, and one is not of approved algorithms."
    ),
    "ssl_ciphers": Explained(
        ",".join(APPROVED_SUITES),
        "TLS 1.2 suites of FIPS-approved algorithms alone, with forward secrecy (NIST SP 800-52 Rev. 2, 3.3.1.1).",
    ),
}

UNSAID = "From PostgreSQL 15 RDS sets 1 by itself, so 0 must be said."
KEY_ALONE = "It encrypts the storage. Of a replica the key alone may be said, and not StorageEncrypted."

FIRST_FAMILY, LAST_FAMILY = 14, 17
"""Of a replica's source: RDS keeps automated backups of a replica from PostgreSQL 14 on."""


@dataclass(frozen=True, kw_only=True)
class Database(Layer):
    """A Multi-AZ PostgreSQL instance: a synchronous standby in a second zone takes over by itself.

    ``customer_key`` encrypts with the keys layer's key instead of the AWS-managed one. ``tls_required`` refuses clients without
    TLS, ``approved_suites`` those whose suite is not of FIPS-approved algorithms, and takes PostgreSQL 16 or later;
    ``logged_statements`` is PostgreSQL's log_statement; ``archived`` lets a logical slot read changes, bounded on disk. The
    windows are UTC.

    ``replica_of`` is the address of the instance that this one replicates from another region, ``source_named`` what the
    parameter for it is called where the requirements say so. A replica takes engine, version, storage and users from its source.
    """

    name: str = "database"
    database: str = ""
    customer_key: bool = True
    archived: bool = False
    replica_of: str = ""
    source_named: str = ""
    engine_version: str = ENGINE_VERSION
    backup_retention: timedelta = timedelta(days=7)
    backup_window: str | Explained = "03:00-04:00"
    maintenance_window: str = "sun:05:00-sun:06:00"
    tls_required: bool = True
    approved_suites: bool = False
    logged_statements: str = "ddl"
    log_retention: timedelta = timedelta(days=400)

    def define(self, t: Template) -> None:
        size = t.parameter(
            "InstanceClass",
            "Size of the instance and of its standby.",
            group=Group.SIZE,
            Default=CLASSES[0],
            AllowedValues=CLASSES,
        )
        origin, family = self._origin(t)
        limit = t.parameter(
            "StorageLimitGiB",
            "How far storage may grow by itself; at least a tenth above what is allocated at first.",
            "Number",
            group=Group.SIZE,
            Default=1000,
            MinValue=22,
            MaxValue=65536,
        )
        at_once = t.parameter(
            "ApplyImmediately",
            "Whether changes that interrupt service apply at once, or wait for the maintenance window.",
            Default="false",
            AllowedValues=["true", "false"],
        )
        archive = self._archive(t)
        subnets = t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>")
        group = t.output_of("network.DatabaseGroupId", "AWS::EC2::SecurityGroup::Id")
        logs_key = t.output_of("keys.LogsKeyArn")
        own_key = t.output_of("keys.DatabaseKeyArn") if self.customer_key else None
        topic = t.output_of("notify.TopicArn")
        secret = None if self.replica_of else t.output_of("secrets.DatabaseSecretArn")

        placement = rds.DBSubnetGroup(
            "SubnetGroup",
            DBSubnetGroupName=t.named("subnet-group-rds"),
            DBSubnetGroupDescription="Database subnets, one per zone, without a route out",
            SubnetIds=subnets,
        )
        parameters = rds.DBParameterGroup(
            "ParameterGroup",
            DBParameterGroupName=t.named("parameter-group-rds"),
            Description="Statements logged, TLS and passwords",
            Family=family,
            Parameters={
                "rds.force_ssl": "1" if self.tls_required else Explained("0", UNSAID),
                "ssl_min_protocol_version": "TLSv1.2",
                **(SUITES if self.approved_suites else {}),
                "password_encryption": "scram-sha-256",
                "log_statement": self.logged_statements,
                "log_connections": "1",
                "log_disconnections": "1",
                "rds.log_retention_period": Explained(
                    "1440", "Minutes on the instance's own disk; the log groups keep them longer."
                ),
                **archive,
            },
        )
        t.section("Where it runs, and how it is set up.", placement, parameters)

        identifier = t.name("rds")
        groups = [
            log_group(f"{log.capitalize()}LogGroup", Sub(f"/aws/rds/instance/{identifier}/{log}"), logs_key, self.log_retention)
            for log in LOGS
        ]
        t.section("Where it logs: made before the instance, which would make them without key and retention.", *groups)

        monitor = monitoring_role(t, "rds", identifier)
        t.section(
            "Who writes the operating system's metrics: Enhanced Monitoring, into the account's group RDSOSMetrics.", monitor
        )

        instance = rds.DBInstance(
            "Instance",
            # troposphere knows no replica with a standby or under a key of its own; cfn-lint judges what is rendered.
            validation=not self.replica_of,
            DependsOn=[log.title for log in groups],
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            DBInstanceIdentifier=Sub(identifier),
            **origin,
            AutoMinorVersionUpgrade=False,
            DBInstanceClass=size,
            MaxAllocatedStorage=limit,
            DBParameterGroupName=Ref(parameters),
            MultiAZ=True,
            DBSubnetGroupName=Ref(placement),
            VPCSecurityGroups=[group],
            PubliclyAccessible=False,
            CACertificateIdentifier="rds-ca-rsa2048-g1",
            **({} if self.replica_of else {"StorageEncrypted": True}),
            **({"KmsKeyId": Explained(own_key, KEY_ALONE) if self.replica_of else own_key} if own_key else {}),
            **credential(secret),
            BackupRetentionPeriod=self.backup_retention.days,
            PreferredBackupWindow=self.backup_window,
            PreferredMaintenanceWindow=self.maintenance_window,
            ApplyImmediately=at_once,
            CopyTagsToSnapshot=True,
            DeleteAutomatedBackups=True,
            DeletionProtection=False,
            EnableCloudwatchLogsExports=list(LOGS),
            MonitoringInterval=60,
            MonitoringRoleArn=GetAtt(monitor, "Arn"),
            # RDS refuses the mode where it makes a replica, and takes this one by itself.
            **({} if self.replica_of else {"DatabaseInsightsMode": "standard"}),
            EnablePerformanceInsights=True,
            PerformanceInsightsRetentionPeriod=7,
            **({"PerformanceInsightsKMSKeyId": own_key} if own_key else {}),
        )
        if self.replica_of:
            t.section(
                "The replica, with a standby of its own in a second zone. It stays one until a failover promotes it: "
                "without its source in the template, CloudFormation would promote it.",
                instance,
            )
        else:
            t.section("The database, with a standby in a second zone.", instance)
        if secret:
            attachment = secretsmanager.SecretTargetAttachment(
                "SecretAttachment", SecretId=secret, TargetType="AWS::RDS::DBInstance", TargetId=Ref(instance)
            )
            t.section("The secret learns where the database is, for those who connect.", attachment)

        categories = ["availability", "failover", "failure", "low storage", "maintenance", "notification", "recovery"]
        events = rds.EventSubscription(
            "EventSubscription",
            SubscriptionName=t.named("event-subscription-rds"),
            SnsTopicArn=topic,
            SourceType="db-instance",
            SourceIds=[Ref(instance)],
            EventCategories=sorted([*categories, "read replica"]) if self.replica_of else categories,
            Enabled=True,
        )
        t.section("Failovers and failures are told to operators.", events)

        t.output("InstanceIdentifier", Ref(instance), "The name that alarms and operators use.")
        t.output("SubnetGroupName", Ref(placement), "Where a restored instance belongs.")
        t.output("InstanceArn", GetAtt(instance, "DBInstanceArn"), "The instance.")
        if self.replica_of:
            source = origin["SourceDBInstanceIdentifier"]
            t.output("SourceArn", source, "What it replicates at home, whoever owns that.")
            t.output("SourceIdentifier", Select(6, Split(":", source)), "The name of the instance that it follows.")
        t.output("Endpoint", GetAtt(instance, "Endpoint.Address"), "Where clients connect; the same name after a failover.")
        t.output("Port", GetAtt(instance, "Endpoint.Port"), "The port at which clients connect.")

    def _origin(self, t: Template) -> tuple[dict[str, Any], Any]:
        """Where the data come from: an engine of its own, or the source of a replica; and the parameter group's family."""
        if self.replica_of:
            source = t.output_of(self.replica_of, name=self.source_named)
            first = int(SUITES_CHOSEN.split(".")[0]) if self.approved_suites else FIRST_FAMILY
            why = "; before it RDS lets nobody choose suites" if self.approved_suites else ""
            family = t.parameter(
                "EngineFamily",
                "Parameter group family of the source's major version, which a replica takes over.",
                Default=f"postgres{self.engine_version.split('.')[0]}",
                AllowedPattern=f"^({'|'.join(f'postgres{major}' for major in range(first, LAST_FAMILY + 1))})$",
                ConstraintDescription=f"postgres{first} to postgres{LAST_FAMILY}, the major version of the source{why}",
            )
            region = Explained(
                Select(3, Split(":", source)),
                "An ARN names its region; without it RDS could not sign the request for the other region.",
            )
            return {"SourceDBInstanceIdentifier": source, "SourceRegion": region}, family
        storage = t.parameter(
            "StorageGiB",
            "Storage allocated at first.",
            "Number",
            group=Group.SIZE,
            Default=100,
            MinValue=20,
            MaxValue=65536,
        )
        return {
            "DBName": self.database,
            "Engine": "postgres",
            "EngineVersion": self.engine_version,
            "StorageType": "gp3",
            "AllocatedStorage": storage,
        }, f"postgres{self.engine_version.split('.')[0]}"

    def _archive(self, t: Template) -> dict[str, object]:
        """What an archive that reads a logical slot needs."""
        if not self.archived:
            return {}
        backlog = t.parameter(
            "ArchiveBacklogMiB",
            "Write-ahead log kept for an archive that does not keep up; a fifth of the storage. Beyond it the archive has a "
            "gap, and the database goes on.",
            "Number",
            group=Group.SIZE,
            Default=20480,
            MinValue=1024,
            MaxValue=2097151,
        )
        return {
            "rds.logical_replication": "1",
            "max_slot_wal_keep_size": backlog,
            "track_commit_timestamp": Explained(
                "1", "With the time of each commit, a replay proves where a restored database stands."
            ),
        }
