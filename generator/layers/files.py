"""The files layer."""

from dataclasses import dataclass

from awacs import elasticfilesystem as actions
from awacs.aws import Action, ArnEquals, ArnLike, Bool
from troposphere import GetAtt, Ref, Select, Sub, Tags, ec2, efs

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.template import Template

NFS = 2049
OWNER = "1000"
NOWHERE = "127.0.0.1/32"


@dataclass(frozen=True, kw_only=True)
class Files(Layer):
    """A file system over all zones that one function may write to, encrypted at rest and on the way.

    ``writer`` is the kind of the role that may mount it; ``zones`` is how many database subnets there are.
    """

    name: str = "files"
    writer: str = "role-log-archive"
    directory: str = "/log-archive"
    zones: int = 3

    def define(self, t: Template) -> None:
        key = t.output_of("keys.FilesKeyArn")
        vpc = t.output_of("network.VpcId", "AWS::EC2::VPC::Id")
        subnets = t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>")
        topic = t.output_of("notify.TopicArn")

        def group(title: str, kind: str, description: str) -> ec2.SecurityGroup:
            return ec2.SecurityGroup(
                title,
                GroupName=t.named(kind),
                GroupDescription=description,
                VpcId=vpc,
                SecurityGroupEgress=[
                    ec2.SecurityGroupRule(IpProtocol="-1", CidrIp=NOWHERE, Description="Instead of allowing everything")
                ],
                Tags=Tags(Name=t.named(kind)),
            )

        writers = group("WriterGroup", "secgroup-file-writers", "Members may mount the file system")
        targets = group("TargetGroup", "secgroup-files", "The mount targets: reached by writers, reach nothing")
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
        files = efs.FileSystem(
            "FileSystem",
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            PerformanceMode="generalPurpose",
            ThroughputMode="elastic",
            Encrypted=True,
            KmsKeyId=key,
            # A role as principal would have to exist before the file system, and a new one of the same name would be locked out.
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
                        "TheArchiverMountsAndWrites",
                        [actions.ClientMount, actions.ClientWrite],
                        ["*"],
                        Bool("elasticfilesystem:AccessedViaMountTarget", "true"),
                        ArnLike("elasticfilesystem:AccessPointArn", points),
                        ArnEquals("aws:PrincipalArn", role),
                        to=policies.ANYONE,
                    ),
                )
            ),
            LifecyclePolicies=[
                efs.LifecyclePolicy(TransitionToIA="AFTER_7_DAYS"),
                efs.LifecyclePolicy(TransitionToPrimaryStorageClass="AFTER_1_ACCESS"),
            ],
            # The backup layer has a plan of its own; EFS's would be a second one in a vault that outlives the stack.
            BackupPolicy=efs.BackupPolicy(Status="DISABLED"),
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
        t.section("The file system; its policy knows one role, and no way but TLS.", files, point)
        t.section("A mount target in every zone.", *mounts)

        busy = alarm(
            t,
            "FileSystemTooBusy",
            "file-system-too-busy",
            "The file system has used more than 80 % of its operations for 15 minutes. The archive falls behind: "
            "look for another client, or for a backlog that is being worked off.",
            Metric(namespace="AWS/EFS", name="PercentIOLimit", statistic="Maximum", dimensions={"FileSystemId": Ref(files)}),
            "GreaterThanThreshold",
            80,
            topic,
            periods=15,
            missing="notBreaching",
        )
        t.section("Who hears of it when it is too busy.", busy)

        t.output("FileSystemId", Ref(files), "The file system.")
        t.output("FileSystemArn", GetAtt(files, "Arn"), "The file system.")
        t.output("AccessPointArn", GetAtt(point, "Arn"), "Through which the archiver mounts it.")
        t.output("WriterGroupId", GetAtt(writers, "GroupId"), "Security group of whatever may mount the file system.")
