"""The log archive layer."""

from dataclasses import dataclass
from datetime import timedelta

from awacs import elasticfilesystem as file_actions
from awacs.aws import StringEquals
from troposphere import Ref, awslambda

from generator.layer import Layer
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.function import function
from generator.parts.rules import scheduled_rule
from generator.parts.secret import reads
from generator.template import Template
from protocol.metrics import ARCHIVE_LAG_SECONDS, GAPS, NAMESPACE

MOUNTED_AT = "/mnt/archive"


@dataclass(frozen=True, kw_only=True)
class LogArchive(Layer):
    """Copies committed changes to the file system every minute, as segments that a restored database can be brought forward with.

    ``late_after`` is when operators hear that the archive has fallen behind; ``retention`` is how long segments stay.
    """

    name: str = "log-archive"
    every: timedelta = timedelta(minutes=1)
    late_after: timedelta = timedelta(minutes=15)
    retention: timedelta = timedelta(days=35)

    def define(self, t: Template) -> None:
        secret = t.output_of("secrets.DatabaseSecretArn")
        secrets_key = t.output_of("keys.SecretsKeyArn")
        point = t.output_of("files.AccessPointArn")
        instance = t.output_of("database.InstanceIdentifier")
        topic = t.output_of("notify.TopicArn")

        archiver = function(
            t,
            "log-archive",
            "Writes committed changes of the database to the file system.",
            environment={
                "DATABASE_HOST": t.output_of("database.Endpoint"),
                "DATABASE_PORT": t.output_of("database.Port"),
                "SECRET_ARN": secret,
                "ARCHIVE_DIRECTORY": MOUNTED_AT,
                "ARCHIVE_DAYS": str(self.retention.days),
            },
            subnets=t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>"),
            groups=[
                t.output_of("network.ClientGroupId", "AWS::EC2::SecurityGroup::Id"),
                t.output_of("files.WriterGroupId", "AWS::EC2::SecurityGroup::Id"),
            ],
            logs_key=t.output_of("keys.LogsKeyArn"),
            timeout=timedelta(seconds=60),
            memory_mib=512,
            mount=awslambda.FileSystemConfig(Arn=point, LocalMountPath=MOUNTED_AT),
            statements=[
                *reads(secret, secrets_key),
                policies.allow(
                    "MountAndWriteThroughTheAccessPoint",
                    [file_actions.ClientMount, file_actions.ClientWrite],
                    [t.output_of("files.FileSystemArn")],
                    StringEquals("elasticfilesystem:AccessPointArn", point),
                ),
            ],
        )
        t.section(
            "The archiver, with a role that reads one secret and writes to one file system.",
            archiver.group,
            archiver.role,
            archiver.function,
        )
        rule, permission = scheduled_rule(
            t, "Schedule", "log-archive-schedule", "Runs the archiver.", self.every, archiver.function
        )
        t.section("When: every minute; a run that finds another at work ends.", rule, permission)

        dimensions = {"FunctionName": Ref(archiver.function)}
        seconds, minutes = int(self.late_after.total_seconds()), int(self.late_after.total_seconds()) // 60
        alarms = [
            alarm(
                t,
                "ArchiveTooLate",
                "archive-too-late",
                f"The archive is {minutes} minutes behind the database, or nobody knows how far. Point-in-time recovery by AWS "
                "is not touched. Read the archiver's log; if it catches up, wait; a gap begins at the backlog's limit.",
                Metric(namespace=NAMESPACE, name=ARCHIVE_LAG_SECONDS, statistic="Maximum", dimensions=dimensions),
                "GreaterThanThreshold",
                seconds,
                topic,
                missing="breaching",
            ),
            alarm(
                t,
                "ArchiveHasGap",
                "archive-has-gap",
                "Changes between two segments are missing for good. Take a snapshot now: it is the next point from which the "
                "archive can bring a database forward.",
                Metric(namespace=NAMESPACE, name=GAPS, statistic="Sum", dimensions=dimensions),
                "GreaterThanThreshold",
                0,
                topic,
                periods=1,
                missing="notBreaching",
            ),
            alarm(
                t,
                "ArchiverFailed",
                "archiver-failed",
                "Five runs in a row failed. Changes wait in the database's own log until its limit; read the archiver's log "
                "group.",
                Metric(namespace="AWS/Lambda", name="Errors", statistic="Sum", dimensions=dimensions),
                "GreaterThanThreshold",
                0,
                topic,
                missing="notBreaching",
            ),
            alarm(
                t,
                "BacklogTooLarge",
                "backlog-too-large",
                "More than 10 GiB of write-ahead log wait for the archive. It cannot fill the disk: at ArchiveBacklogMiB the "
                "database drops what waits, and the archive has a gap.",
                Metric(
                    namespace="AWS/RDS",
                    name="OldestReplicationSlotLag",
                    statistic="Maximum",
                    dimensions={"DBInstanceIdentifier": instance},
                ),
                "GreaterThanThreshold",
                10 * 1024**3,
                topic,
                missing="notBreaching",
            ),
        ]
        t.section("Who hears of it when the archive falls behind, has a gap, or stops.", *alarms)
        t.output("FunctionName", Ref(archiver.function), "The archiver.")
