"""The files layer."""

from dataclasses import dataclass
from datetime import timedelta

from awacs import elasticfilesystem as actions
from awacs.aws import Action, ArnEquals, ArnLike, Bool
from troposphere import AWSObject, GetAtt, Ref, Select, Split, Sub, Tags, ec2, efs

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.group import closed_group
from generator.template import Explained, Template

NFS = 2049
OWNER = "1000"

BY_NAME = "A role as principal would have to exist before the file system, and a new one of the same name would be locked out."


@dataclass(frozen=True, kw_only=True)
class Files(Layer):
    """A file system over all zones that one role may write to, encrypted at rest and on the way.

    ``writer`` is the kind of the role that may mount it, ``client`` what to call it; ``zones`` is how many database subnets
    there are. ``replicate_to`` is the layer, with its site, whose file system EFS keeps as a replica of this one: that layer is a
    ``replica``. It is read-only while it is replicated to, and like any other file system when it is not. ``late_after`` is when
    operators are told that the replica is behind.
    """

    name: str = "files"
    writer: str = "role-log-archive"
    client: str = "Archiver"
    directory: str = "/log-archive"
    zones: int = 3
    replicate_to: str = ""
    replica: bool = False
    late_after: timedelta = timedelta(minutes=30)

    def define(self, t: Template) -> None:
        key = t.output_of("keys.FilesKeyArn")
        vpc = t.output_of("network.VpcId", "AWS::EC2::VPC::Id")
        subnets = t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>")
        topic = t.output_of("notify.TopicArn")

        writers = closed_group(t, "WriterGroup", "secgroup-file-writers", "Members may mount the file system", vpc)
        targets = closed_group(t, "TargetGroup", "secgroup-files", "The mount targets: reached by writers, reach nothing", vpc)
        rule = {"IpProtocol": "tcp", "FromPort": NFS, "ToPort": NFS}
        t.section(
            "Who may mount: membership of the writer group is the permission.",
            writers,
            targets,
            ec2.SecurityGroupEgress(
                "WriterToTargets",
                GroupId=GetAtt(writers, "GroupId"),
                DestinationSecurityGroupId=GetAtt(targets, "GroupId"),
                Description="NFS to the mount targets",
                **rule,
            ),
            ec2.SecurityGroupIngress(
                "TargetsFromWriter",
                GroupId=GetAtt(targets, "GroupId"),
                SourceSecurityGroupId=GetAtt(writers, "GroupId"),
                Description="NFS from writers",
                **rule,
            ),
        )

        role = Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:role/" + t.name(self.writer, Space.ACCOUNT))
        points = Sub("arn:${AWS::Partition}:elasticfilesystem:${AWS::Region}:${AWS::AccountId}:access-point/*")
        replica_arn = t.output_of(f"{self.replicate_to}.FileSystemArn") if self.replicate_to else None
        replication: dict[str, object] = {}
        if replica_arn:
            destination = efs.ReplicationDestination(FileSystemId=_id_in(replica_arn), Region=Select(3, Split(":", replica_arn)))
            replication["ReplicationConfiguration"] = efs.ReplicationConfiguration(Destinations=[destination])
        if self.replica:
            writable = Explained(
                "DISABLED",
                "Otherwise EFS refuses to write over what is here; it turns the protection on by itself when replication ends.",
            )
            replication["FileSystemProtection"] = efs.FileSystemProtection(ReplicationOverwriteProtection=writable)
        files = efs.FileSystem(
            "FileSystem",
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            PerformanceMode="generalPurpose",
            ThroughputMode="elastic",
            Encrypted=True,
            KmsKeyId=key,
            FileSystemPolicy=policies.plain(
                policies.document(
                    policies.deny(
                        "DenyWithoutTls",
                        [Action("elasticfilesystem", "*")],
                        ["*"],
                        Bool("aws:SecureTransport", "false"),
                        to=policies.ANYONE,
                    ),
                    policies.allow(
                        f"The{self.client}MountsAndWrites",
                        [actions.ClientMount, actions.ClientWrite],
                        ["*"],
                        Bool("elasticfilesystem:AccessedViaMountTarget", "true"),
                        ArnLike("elasticfilesystem:AccessPointArn", points),
                        ArnEquals("aws:PrincipalArn", Explained(role, BY_NAME)),
                        to=policies.ANYONE,
                    ),
                )
            ),
            LifecyclePolicies=[
                efs.LifecyclePolicy(TransitionToIA="AFTER_7_DAYS"),
                efs.LifecyclePolicy(TransitionToPrimaryStorageClass="AFTER_1_ACCESS"),
            ],
            BackupPolicy=efs.BackupPolicy(
                Status=Explained(
                    "DISABLED",
                    "The backup layer has a plan of its own; EFS's would be a second one in a vault that outlives the stack.",
                )
            ),
            **replication,
            FileSystemTags=Tags(Name=t.named("efs")),
        )
        point = efs.AccessPoint(
            "AccessPoint",
            FileSystemId=Ref(files),
            PosixUser=efs.PosixUser(Uid=OWNER, Gid=OWNER),
            RootDirectory=efs.RootDirectory(
                Path=self.directory,
                CreationInfo=efs.CreationInfo(OwnerUid=OWNER, OwnerGid=OWNER, Permissions="0750"),
            ),
            AccessPointTags=Tags(Name=t.named("access-point")),
        )
        mounts = [
            efs.MountTarget(
                f"MountTarget{letter}",
                FileSystemId=Ref(files),
                SubnetId=Select(n, subnets),
                SecurityGroups=[GetAtt(targets, "GroupId")],
            )
            for n, letter in enumerate("ABC"[: self.zones])
        ]
        heading = "The file system; its policy knows one role, and no way but TLS."
        if replica_arn:
            heading += " EFS replicates it into a file system that we own, in the other region."
        if self.replica:
            heading += " Where a file system at the other site is replicated into it, it is read-only until failover ends that."
        t.section(heading, files, point)
        t.section("A mount target in every zone.", *mounts)

        busy = alarm(
            t,
            "FileSystemTooBusy",
            "file-system-too-busy",
            "The file system has used more than 80 % of its operations for 15 minutes. Whoever writes to it waits: "
            "look for another client, or for a backlog that is being worked off.",
            Metric(namespace="AWS/EFS", name="PercentIOLimit", statistic="Maximum", dimensions={"FileSystemId": Ref(files)}),
            "GreaterThanThreshold",
            80,
            topic,
            periods=15,
            missing="notBreaching",
        )
        t.section("Who hears of it when it is too busy.", busy)
        if replica_arn:
            t.section("Who hears of it when the replica is behind.", self._lag_alarm(t, files, replica_arn, topic))

        t.output("FileSystemId", Ref(files), "The file system.")
        t.output("FileSystemArn", GetAtt(files, "Arn"), "The file system.")
        t.output("AccessPointArn", GetAtt(point, "Arn"), "Through which clients mount it.")
        t.output("WriterGroupId", GetAtt(writers, "GroupId"), "Security group of whatever may mount the file system.")

    def _lag_alarm(self, t: Template, files: efs.FileSystem, replica_arn: Ref, topic: Ref) -> AWSObject:
        """EFS says every minute how old the replica is; where it says nothing, replication is not running."""
        minutes = self.late_after // timedelta(minutes=1)
        return alarm(
            t,
            "ReplicaTooOld",
            "file-replica-too-old",
            f"The replica of the file system is more than {minutes} minutes old, or EFS says nothing of it. What was written "
            "since would be lost with the region. Read the replication's status; many changes at once take longer. In a new "
            "environment it lasts until the first synchronisation has ended.",
            Metric(
                namespace="AWS/EFS",
                name="TimeSinceLastSync",
                statistic="Maximum",
                dimensions={"FileSystemId": Ref(files), "DestinationFileSystemId": _id_in(replica_arn)},
            ),
            "GreaterThanThreshold",
            int(self.late_after.total_seconds()),
            topic,
            missing="breaching",
        )


def _id_in(arn: Ref) -> Select:
    """The id of a file system, which ends its ARN."""
    return Select(1, Split("/", arn))
