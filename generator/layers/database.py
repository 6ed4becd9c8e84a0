"""The database layer."""

from dataclasses import dataclass
from datetime import timedelta

from awacs import logs as log_actions
from awacs.aws import ArnLike
from troposphere import GetAtt, Ref, Sub, iam, rds, secretsmanager

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.log_group import log_group
from generator.template import Template

ENGINE_VERSION = "15.19"
"""The newest PostgreSQL 15 that cfn-lint knows; a test fails when a region lacks it or AWS deprecates it."""

CLASSES = [
    f"db.{family}.{size}"
    for family in ("r6g", "r7g")
    for size in ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")
]
LOGS = ("postgresql", "upgrade")


@dataclass(frozen=True, kw_only=True)
class Database(Layer):
    """A Multi-AZ PostgreSQL instance: a synchronous standby in a second zone takes over by itself.

    ``customer_key`` encrypts with the keys layer's key instead of the AWS-managed one. ``tls_required`` refuses clients without
    TLS; ``logged_statements`` is PostgreSQL's log_statement; ``archived`` lets a logical slot read changes, bounded on disk.
    """

    name: str = "database"
    database: str
    customer_key: bool = True
    archived: bool = False
    engine_version: str = ENGINE_VERSION
    backup_retention: timedelta = timedelta(days=7)
    tls_required: bool = True
    logged_statements: str = "ddl"
    log_retention: timedelta = timedelta(days=400)

    def define(self, t: Template) -> None:
        size = t.parameter("InstanceClass", "Size of the instance and of its standby.", Default=CLASSES[0], AllowedValues=CLASSES)
        storage = t.parameter("StorageGiB", "Storage allocated at first.", "Number", Default=100, MinValue=20, MaxValue=65536)
        limit = t.parameter(
            "StorageLimitGiB",
            "How far storage may grow by itself; at least a tenth above StorageGiB.",
            "Number",
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
        changes: dict[str, object] = {}
        if self.archived:
            backlog = t.parameter(
                "ArchiveBacklogMiB",
                "Write-ahead log kept for an archive that does not keep up; a fifth of the storage. Beyond it the archive has a "
                "gap, and the database goes on.",
                "Number",
                Default=20480,
                MinValue=1024,
                MaxValue=2097151,
            )
            changes = {
                "rds.logical_replication": "1",
                "max_slot_wal_keep_size": backlog,
                # With the time of each commit, a replay proves where a restored database stands.
                "track_commit_timestamp": "1",
            }
        subnets = t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>")
        group = t.output_of("network.DatabaseGroupId", "AWS::EC2::SecurityGroup::Id")
        logs_key = t.output_of("keys.LogsKeyArn")
        own_key = t.output_of("keys.DatabaseKeyArn") if self.customer_key else None
        topic = t.output_of("notify.TopicArn")
        secret = t.output_of("secrets.DatabaseSecretArn")

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
            Family=f"postgres{self.engine_version.split('.')[0]}",
            Parameters={
                # From PostgreSQL 15 RDS sets 1 by itself, so 0 must be said.
                "rds.force_ssl": "1" if self.tls_required else "0",
                "ssl_min_protocol_version": "TLSv1.2",
                "password_encryption": "scram-sha-256",
                "log_statement": self.logged_statements,
                "log_connections": "1",
                "log_disconnections": "1",
                # Minutes on the instance's own disk; the log groups keep them longer.
                "rds.log_retention_period": "1440",
                **changes,
            },
        )
        t.section("Where it runs, and how it is set up.", placement, parameters)

        groups = [
            log_group(
                f"{log.capitalize()}LogGroup",
                Sub(f"/aws/rds/instance/{t.name('rds')}/{log}"),
                logs_key,
                self.log_retention,
            )
            for log in LOGS
        ]
        t.section("Where it logs: made before the instance, which would make them without key and retention.", *groups)

        identifier = t.name("rds")
        instance_arn = Sub("arn:${AWS::Partition}:rds:${AWS::Region}:${AWS::AccountId}:db:" + identifier)
        os_metrics = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:RDS*"
        monitor = iam.Role(
            "MonitoringRole",
            RoleName=t.named("role-rds-monitoring", Space.ACCOUNT),
            AssumeRolePolicyDocument=policies.trust(
                policies.service("monitoring.rds"), policies.THIS_ACCOUNT, ArnLike("aws:SourceArn", instance_arn)
            ),
            Policies=[
                iam.Policy(
                    PolicyName="write-os-metrics",
                    PolicyDocument=policies.document(
                        policies.allow(
                            "MakeTheLogGroupOfTheAccount",
                            [log_actions.CreateLogGroup, log_actions.PutRetentionPolicy],
                            [Sub(os_metrics)],
                        ),
                        policies.allow(
                            "WriteOsMetrics",
                            [
                                log_actions.CreateLogStream,
                                log_actions.DescribeLogStreams,
                                log_actions.GetLogEvents,
                                log_actions.PutLogEvents,
                            ],
                            [Sub(os_metrics + ":log-stream:*")],
                        ),
                    ),
                )
            ],
        )
        t.section(
            "Who writes the operating system's metrics: Enhanced Monitoring, into the account's group RDSOSMetrics.", monitor
        )

        credential = "{{resolve:secretsmanager:${%s}:SecretString:%s}}"
        instance = rds.DBInstance(
            "Instance",
            DependsOn=[log.title for log in groups],
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            DBInstanceIdentifier=Sub(identifier),
            DBName=self.database,
            Engine="postgres",
            EngineVersion=self.engine_version,
            AutoMinorVersionUpgrade=False,
            DBInstanceClass=size,
            StorageType="gp3",
            AllocatedStorage=storage,
            MaxAllocatedStorage=limit,
            DBParameterGroupName=Ref(parameters),
            MultiAZ=True,
            DBSubnetGroupName=Ref(placement),
            VPCSecurityGroups=[group],
            PubliclyAccessible=False,
            CACertificateIdentifier="rds-ca-rsa2048-g1",
            StorageEncrypted=True,
            **({"KmsKeyId": own_key} if own_key else {}),
            MasterUsername=Sub(credential % (secret.data["Ref"], "username")),
            MasterUserPassword=Sub(credential % (secret.data["Ref"], "password")),
            BackupRetentionPeriod=self.backup_retention.days,
            PreferredBackupWindow="03:00-04:00",
            PreferredMaintenanceWindow="sun:05:00-sun:06:00",
            ApplyImmediately=at_once,
            CopyTagsToSnapshot=True,
            DeleteAutomatedBackups=True,
            DeletionProtection=False,
            EnableCloudwatchLogsExports=list(LOGS),
            MonitoringInterval=60,
            MonitoringRoleArn=GetAtt(monitor, "Arn"),
            DatabaseInsightsMode="standard",
            EnablePerformanceInsights=True,
            PerformanceInsightsRetentionPeriod=7,
            **({"PerformanceInsightsKMSKeyId": own_key} if own_key else {}),
        )
        attachment = secretsmanager.SecretTargetAttachment(
            "SecretAttachment", SecretId=secret, TargetType="AWS::RDS::DBInstance", TargetId=Ref(instance)
        )
        t.section("The database, with a standby in a second zone.", instance)
        t.section("The secret learns where the database is, for those who connect.", attachment)

        events = rds.EventSubscription(
            "EventSubscription",
            SubscriptionName=t.named("event-subscription-rds"),
            SnsTopicArn=topic,
            SourceType="db-instance",
            SourceIds=[Ref(instance)],
            EventCategories=["availability", "failover", "failure", "low storage", "maintenance", "notification", "recovery"],
            Enabled=True,
        )
        t.section("Failovers and failures are told to operators.", events)

        t.output("InstanceIdentifier", Ref(instance), "The name that alarms and operators use.")
        t.output("SubnetGroupName", Ref(placement), "Where a restored instance belongs.")
        t.output("InstanceArn", GetAtt(instance, "DBInstanceArn"), "The instance.")
        t.output("Endpoint", GetAtt(instance, "Endpoint.Address"), "Where clients connect; the same name after a failover.")
        t.output("Port", GetAtt(instance, "Endpoint.Port"), "The port at which clients connect.")
