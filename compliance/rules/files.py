"""File systems: encrypted with a key of ours and on the way, mounted and not merely reached, in every zone."""

from __future__ import annotations

from compliance import statements
from compliance.rules import alarms, kms
from compliance.statements import ANYONE
from model import Rule
from model.architecture import followers, measures, metrics_of, mount_targets_of, watches
from model.view import Resource

FILE_SYSTEM = ("AWS::EFS::FileSystem",)
MOUNTED = "elasticfilesystem:AccessedViaMountTarget"


def _customer_key(files: Resource) -> tuple[str, bool]:
    return "KmsKeyId", files.true("Encrypted") and kms.key_of(files, "KmsKeyId") is not None


def _tls_only(files: Resource) -> tuple[str, bool]:
    return "FileSystemPolicy", any(
        not statement.allows
        and {ANYONE, ("AWS", "*")}.intersection(statement.principals)
        and statement.covers("elasticfilesystem:*")
        and [(each.operator, each.key, each.values) for each in statement.conditions]
        == [("bool", "aws:securetransport", ("false",))]
        for statement in statements.of(files, "FileSystemPolicy")
    )


def _mounted_only(files: Resource) -> tuple[str, bool]:
    allowed = [statement for statement in statements.of(files, "FileSystemPolicy") if statement.allows]
    return "FileSystemPolicy", bool(allowed) and all(
        (condition := statement.condition(MOUNTED)) is not None and condition.values == ("true",) for statement in allowed
    )


def _in_every_zone(files: Resource) -> tuple[str, bool]:
    """Whether a mount target stands in each zone of its network, behind a group of ours."""
    targets = [target for target in mount_targets_of(files) if target.certain and _guarded(target)]
    subnets = [subnet for target in targets if (subnet := target.follow("SubnetId")) is not None]
    networks = [subnet.follow("VpcId") for subnet in subnets]
    zones = [
        _zone(subnet)
        for subnet in files.view.resources("AWS::EC2::Subnet")
        if any(subnet.follow("VpcId") is not None and network.is_(subnet.follow("VpcId")) for network in networks if network)
    ]
    reached = {_zone(subnet) for subnet in subnets}
    return "MountTarget.SubnetId", len(reached) >= 2 and None not in reached and reached.issuperset(zones)


def _guarded(target: Resource) -> bool:
    groups = target.members("SecurityGroups")
    return bool(groups) and None not in groups


def _zone(subnet: Resource) -> str | None:
    return subnet.text("AvailabilityZoneId") or subnet.text("AvailabilityZone")


def replica_of(files: Resource) -> Resource | None:
    """The file system in another region that EFS keeps as a replica of this one, and may write over."""
    for found in followers(files):
        if found.type == files.type and found.certain and found.elsewhere(files):
            unprotected = found.get("FileSystemProtection", "ReplicationOverwriteProtection") == "DISABLED"
            return found if unprotected else None
    return None


def _replicated(files: Resource) -> tuple[str, bool]:
    sources = files.view.resources(*FILE_SYSTEM)
    return "ReplicationConfiguration", replica_of(files) is not None or any(files.is_(replica_of(each)) for each in sources)


def _replica_watched(files: Resource) -> tuple[str, bool] | None:
    if files.get("ReplicationConfiguration") is None:
        return None
    return "ReplicationConfiguration", any(
        alarm.certain
        and alarm.get("MetricName") == "TimeSinceLastSync"
        and str(alarm.get("ComparisonOperator")).startswith("GreaterThan")
        and alarm.get("TreatMissingData") == "breaching"
        and watches(alarm, files)
        for alarm in files.view.resources(alarms.ALARM)
    )


def _one_plan(files: Resource) -> tuple[str, bool]:
    return "BackupPolicy.Status", files.proves(lambda value: value in (None, "DISABLED"), "BackupPolicy", "Status")


def _alarmed(files: Resource) -> tuple[str, bool]:
    return "FileSystemId", any(
        alarm.certain and measures(alarm, metric, files, "FileSystemId")
        for alarm in files.view.resources(alarms.ALARM)
        for metric in metrics_of(alarm)
        if metric.get("MetricName") != "TimeSinceLastSync"  # which is about the replica
    )


customer_key = Rule(
    "files.customer_key",
    "The file system is encrypted with a customer-managed key.",
    "Only the owner of the key's policy decides who may decrypt, and it cannot be changed later.",
    "AWS Security Hub EFS.1",
    FILE_SYSTEM,
    _customer_key,
)
tls_only = Rule(
    "files.tls_only",
    "The file system's policy refuses clients without TLS.",
    "NFS knows no encryption of its own.",
    "Amazon EFS User Guide, Using IAM to control access to file systems: enforce in-transit encryption",
    FILE_SYSTEM,
    _tls_only,
)
mounted_only = Rule(
    "files.mounted_only",
    "Whoever is let in comes through a mount target.",
    "Without the condition the network's groups are no boundary for who holds a credential.",
    "Amazon EFS User Guide, Blocking public access: elasticfilesystem:AccessedViaMountTarget",
    FILE_SYSTEM,
    _mounted_only,
)
in_every_zone = Rule(
    "files.in_every_zone",
    "A mount target stands in every zone of the network, behind a security group of the system.",
    "A client whose zone has none mounts across zones, and with the other zone it loses its files.",
    "Amazon EFS User Guide, Managing mount targets",
    FILE_SYSTEM,
    _in_every_zone,
)
replicated_elsewhere = Rule(
    "files.replicated_elsewhere",
    "EFS replicates the file system into one of ours in another region, which it may write over.",
    "One that EFS makes by itself belongs to no stack, and stays behind after a destroy.",
    "Amazon EFS User Guide, Replicating EFS file systems; AWS::EFS::FileSystem ReplicationDestination",
    FILE_SYSTEM,
    _replicated,
)
replica_watched = Rule(
    "files.replica_watched",
    "An alarm rings when the replica is too old, and when nothing is heard of it.",
    "Replication has no bound of its own: 15 minutes are usual, many changes take longer.",
    "Amazon EFS User Guide, Amazon CloudWatch metrics for Amazon EFS: TimeSinceLastSync",
    FILE_SYSTEM,
    _replica_watched,
)
one_plan = Rule(
    "files.one_plan",
    "EFS makes no backup plan of its own.",
    "Its vault and its recovery points belong to no stack, and stay behind after a destroy.",
    "Amazon EFS User Guide, Backing up EFS file systems: automatic backups",
    FILE_SYSTEM,
    _one_plan,
)
alarmed = Rule(
    "files.alarmed",
    "An alarm watches the file system.",
    "Whoever writes to it waits when it is busy.",
    "Amazon EFS User Guide, Amazon CloudWatch metrics for Amazon EFS",
    FILE_SYSTEM,
    _alarmed,
)
