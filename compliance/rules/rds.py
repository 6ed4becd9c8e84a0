"""Database instances and Aurora clusters: they survive a zone, keep secrets and logs, and can be taken away.

What an Aurora cluster decides for its instances (encryption, backups, parameters, logs) is asked of the cluster, on both.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from compliance import statements
from compliance.rules import kms
from compliance.rules.resources import deleted_with_stack
from model import Rule, architecture
from model.view import Resource, absent_or_false

CLUSTER = "AWS::RDS::DBCluster"
INSTANCE = ("AWS::RDS::DBInstance",)
DATABASE = (*INSTANCE, CLUSTER)
WATCHED = ("CPUUtilization", "FreeStorageSpace", "DatabaseConnections", "FreeableMemory")
WATCHED_IN_CLUSTER = ("CPUUtilization", "DatabaseConnections", "FreeableMemory")
"""An Aurora volume grows by itself: there is no FreeStorageSpace."""

WRITER = {"Name": "Role", "Value": "WRITER"}
SLOT_METRICS = {"OldestReplicationSlotLag", "ReplicationSlotDiskUsage", "TransactionLogsDiskUsage"}
LEAST_BACKUP_DAYS = 7
APPROVED = re.compile(r"TLS_ECDHE_(RSA|ECDSA)_WITH_AES_(128_GCM_SHA256|256_GCM_SHA384)")
"""TLS 1.2 suites, by IANA's names, of algorithms that FIPS 140 approves, with forward secrecy."""

CHOOSABLE = re.compile(r"aurora-postgresql\d+|postgres(1[6-9]|[2-9]\d)")
"""Families in which RDS takes ``ssl_ciphers`` at all; it refuses a group of any other with it."""


def cluster_of(database: Resource) -> Resource | None:
    """The Aurora cluster that an instance is a member of; of a cluster itself and of a plain instance None."""
    found = database.follow("DBClusterIdentifier") if database.type != CLUSTER else None
    return found if found is not None and found.type == CLUSTER else None


def followed_by(cluster: Resource) -> Resource | None:
    """The global database that a cluster follows as a secondary; of any other cluster None."""
    found = cluster.follow("GlobalClusterIdentifier")
    return found if found is not None and found.type == "AWS::RDS::GlobalCluster" else None


def members_of(cluster: Resource) -> list[Resource]:
    """The instances of a cluster that every environment has."""
    return [each for each in architecture.members_of(cluster) if each.certain]


def _held(name: str, test: Callable[[Resource], bool | None]) -> Callable[[Resource], tuple[str, bool] | None]:
    """Asks ``test`` of the cluster where the database is a member of one; ``name`` is the property that decides otherwise."""

    def judge(database: Resource) -> tuple[str, bool] | None:
        cluster = cluster_of(database)
        met = test(cluster or database)
        return None if met is None else (name if cluster is None else "DBClusterIdentifier", met)

    return judge


def _multi_az(database: Resource) -> bool:
    if database.type != CLUSTER:
        return database.true("MultiAZ")
    # Of a member that names none, RDS chooses a zone at random.
    zones = [zone for member in members_of(database) if (zone := member.get("AvailabilityZone")) is not None]
    return any(zone != zones[0] for zone in zones)


def _storage_encrypted(database: Resource) -> bool:
    """A replica cannot say so: RDS makes one under a key only of a source that is encrypted, and then not without."""
    return database.true("StorageEncrypted") or (is_replica(database) and database.get("KmsKeyId") is not None)


def is_replica(database: Resource) -> bool:
    """Whether an instance follows another one."""
    return database.type != CLUSTER and bool(architecture.copies_by(database.type, database.properties))


def _customer_key(database: Resource) -> bool:
    return _storage_encrypted(database) and kms.key_of(database, "KmsKeyId") is not None


def _approved_suites(database: Resource) -> bool:
    group = group_of(database)
    return (
        group is not None
        and group.proves(lambda value: CHOOSABLE.fullmatch(str(value)) is not None, "Family")
        and all(parameter(database, f"ssl_{end}_protocol_version", "TLSv1.2") for end in ("min", "max"))
        and group.proves(lambda value: all(map(APPROVED.fullmatch, str(value).split(","))), "Parameters", "ssl_ciphers")
    )


def replicated(database: Resource) -> bool:
    """Whether a database has a copy in another region, or is one of a database there."""
    source = architecture.source_of(database)
    return (source is not None and source.elsewhere(database)) or any(
        each.certain and each.elsewhere(database) for each in architecture.followers(database)
    )


def _replicated(instance: Resource) -> tuple[str, bool] | None:
    """Of a member of a cluster it asks nothing: the volume is the cluster's."""
    return None if cluster_of(instance) is not None else ("SourceDBInstanceIdentifier", replicated(instance))


def _replica_watched(instance: Resource) -> tuple[str, bool] | None:
    """Whether a lag that is too large rings, and one that nobody knows, too."""
    if not is_replica(instance):
        return None
    alarms = [
        alarm
        for alarm in instance.view.resources("AWS::CloudWatch::Alarm")
        if alarm.certain and alarm.get("MetricName") == "ReplicaLag" and watches(alarm, instance)
    ]
    large = any(str(alarm.get("ComparisonOperator")).startswith("GreaterThan") for alarm in alarms)
    unknown = any(
        str(alarm.get("ComparisonOperator")).startswith("LessThan") and alarm.get("TreatMissingData") == "breaching"
        for alarm in alarms
    )
    return "SourceDBInstanceIdentifier", large and unknown


def _tls_forced(database: Resource) -> bool:
    return parameter(database, "rds.force_ssl", "1")


def _statements_logged(database: Resource) -> bool:
    return parameter(database, "log_statement", "ddl", "mod", "all")


def _logins_logged(database: Resource) -> bool:
    return all(parameter(database, name, "1") for name in ("log_connections", "log_disconnections"))


def group_of(database: Resource) -> Resource | None:
    """The parameter group that a database is set up by, if every environment has it."""
    group = database.follow("DBClusterParameterGroupName" if database.type == CLUSTER else "DBParameterGroupName")
    return group if group is not None and group.certain else None


def parameter(database: Resource, name: str, *values: str) -> bool:
    """Whether the database's parameter group states one of these values in every environment."""
    group = group_of(database)
    return group is not None and group.proves(lambda value: str(value) in values, "Parameters", name)


def _backup_retained(database: Resource) -> bool:
    return database.bounded("BackupRetentionPeriod", least=LEAST_BACKUP_DAYS)


def _not_public(instance: Resource) -> tuple[str, bool]:
    return "PubliclyAccessible", instance.proves(lambda value: value is False or value == "false", "PubliclyAccessible")


def _isolated(database: Resource) -> bool:
    group = database.follow("DBSubnetGroupName")
    subnets = group.members("SubnetIds") if group else ()
    return bool(subnets) and all(
        subnet is not None and subnet.type == "AWS::EC2::Subnet" and without_way_out(subnet) for subnet in subnets
    )


def tables_of(subnet: Resource) -> list[Resource | None]:
    """The route tables that are associated with a subnet; None stands for one that is not ours."""
    return [
        association.follow("RouteTableId")
        for association in subnet.view.resources("AWS::EC2::SubnetRouteTableAssociation")
        if subnet.is_(association.follow("SubnetId"))
    ]


def without_way_out(subnet: Resource) -> bool:
    """Whether the subnet has a route table of its own choosing, and that table no route to everywhere."""
    tables = tables_of(subnet)
    leaving = [
        route
        for route in subnet.view.resources("AWS::EC2::Route")
        if route.get("DestinationPrefixListId") is None
        and any(table is None or table.is_(route.follow("RouteTableId")) for table in tables)
    ]
    return bool(tables) and None not in tables and not leaving


def _logs_exported(database: Resource) -> bool:
    exports = database.get("EnableCloudwatchLogsExports")
    kind, name = ("cluster", "DBClusterIdentifier") if database.type == CLUSTER else ("instance", "DBInstanceIdentifier")
    identifier = database.text(name)
    if not isinstance(exports, list) or "postgresql" not in exports or identifier is None:
        return False
    return all(group_stands_first(database, f"/aws/rds/{kind}/{identifier}/{export}") for export in exports)


def group_stands_first(resource: Resource, name: str) -> bool:
    """Whether a log group of this name is created before the resource that writes to it, and deleted after it."""
    return any(
        group.certain
        and group.text("LogGroupName") == name
        and group.stands_with(resource)
        and (group.layer != resource.layer or group.id in resource.depends_on)
        for group in resource.view.resources("AWS::Logs::LogGroup")
    )


def _destroyable(database: Resource) -> tuple[str, bool]:
    return "DeletionProtection", database.proves(absent_or_false, "DeletionProtection") and deleted_with_stack(database)


def _monitored(instance: Resource) -> tuple[str, bool]:
    role = instance.follow("MonitoringRoleArn")
    trusted = role is not None and any(
        statement.allows and statement.names_service("monitoring.rds", instance.regions) and statement.covers("sts:AssumeRole")
        for statement in statements.of(role, "AssumeRolePolicyDocument")
    )
    measured = instance.bounded("MonitoringInterval", least=1, most=60) and instance.true("EnablePerformanceInsights")
    return "MonitoringInterval", trusted and measured


def _alarmed(database: Resource) -> bool:
    alarms = [alarm for alarm in database.view.resources("AWS::CloudWatch::Alarm") if alarm.certain and watches(alarm, database)]
    watched = {alarm.get("MetricName") for alarm in alarms}
    if database.type != CLUSTER:
        return watched.issuperset(WATCHED)
    at_writer = any(
        alarm.get("MetricName") == "CPUUtilization" and (WRITER in alarm.get("Dimensions") or _of_the_busiest(alarm))
        for alarm in alarms
    )
    return at_writer and watched.issuperset(WATCHED_IN_CLUSTER)


def _of_the_busiest(alarm: Resource) -> bool:
    """Whether it asks for the most of any member, in which that of the writer cannot hide."""
    return len(alarm.get("Dimensions")) == 1 and alarm.get("Statistic") == "Maximum"


def watches(alarm: Resource, database: Resource) -> bool:
    """Whether an alarm is on a metric of this instance or cluster."""
    name = "DBClusterIdentifier" if database.type == CLUSTER else "DBInstanceIdentifier"
    return alarm.get("Namespace") == "AWS/RDS" and architecture.watches(alarm, database, name)


def _replicates_logically(database: Resource) -> bool:
    """Whether a logical slot could be made in some environment: only a group that leaves it off rules that out."""
    group, name = group_of(database), "rds.logical_replication"
    return group is None or not group.proves(lambda value: value is None or str(value) == "0", "Parameters", name)


def _slots_bounded(database: Resource) -> bool | None:
    if not _replicates_logically(database):
        return None
    group = group_of(database)
    return group is not None and group.bounded("Parameters", "max_slot_wal_keep_size", least=1)


def _slots_watched(database: Resource) -> bool | None:
    if not _replicates_logically(database):
        return None
    return any(
        alarm.certain and alarm.get("MetricName") in SLOT_METRICS and watches(alarm, database)
        for alarm in database.view.resources("AWS::CloudWatch::Alarm")
    )


multi_az = Rule(
    "rds.multi_az",
    "A standby in a second zone takes over: a synchronous one of an instance, a reader of an Aurora cluster.",
    "The loss of an instance or a zone loses no committed transaction.",
    "AWS Security Hub RDS.5",
    DATABASE,
    _held("MultiAZ", _multi_az),
)
storage_encrypted = Rule(
    "rds.storage_encrypted",
    "Storage, backups, snapshots and replicas are encrypted.",
    "A copied disk or snapshot is unreadable without KMS.",
    "AWS Security Hub RDS.3",
    DATABASE,
    _held("StorageEncrypted", _storage_encrypted),
)
customer_key = Rule(
    "rds.customer_key",
    "Storage is encrypted with a customer-managed key.",
    "Only the owner of the key's policy decides who may decrypt, and can end it.",
    "Amazon RDS User Guide, Encrypting Amazon RDS resources",
    DATABASE,
    _held("KmsKeyId", _customer_key),
)
tls_forced = Rule(
    "rds.tls_forced",
    "The server refuses connections without TLS.",
    "TLS that is only offered leaves the choice to every client.",
    "AWS Security Hub RDS.38",
    DATABASE,
    _held("DBParameterGroupName.Parameters.rds.force_ssl", _tls_forced),
)
statements_logged = Rule(
    "rds.statements_logged",
    "The server logs the statements that change data or its definition.",
    "Who changed what can be told afterwards.",
    "Amazon RDS User Guide, RDS for PostgreSQL database log files",
    DATABASE,
    _held("DBParameterGroupName.Parameters.log_statement", _statements_logged),
)
logins_logged = Rule(
    "rds.logins_logged",
    "The server logs who connects, and who leaves.",
    "It logs a password that is refused by itself; without this nobody can tell whose was taken, or from where.",
    "PostgreSQL 15, 20.8 Error Reporting and Logging: log_connections, log_disconnections",
    DATABASE,
    _held("DBParameterGroupName.Parameters.log_connections", _logins_logged),
)
backup_retained = Rule(
    "rds.backup_retained",
    f"Backups for point-in-time recovery are kept for at least {LEAST_BACKUP_DAYS} days.",
    "What a person or a program damages is often noticed days later.",
    "AWS Security Hub RDS.11",
    DATABASE,
    _held("BackupRetentionPeriod", _backup_retained),
)
not_public = Rule(
    "rds.not_public",
    "The instance has no public address.",
    "What cannot be addressed cannot be attacked from outside.",
    "AWS Security Hub RDS.2",
    INSTANCE,
    _not_public,
)
isolated = Rule(
    "rds.isolated",
    "No route leads out of the VPC from the database's subnets.",
    "A database that cannot reach the internet cannot be made to send data there.",
    "Amazon RDS User Guide, Working with a DB instance in a VPC",
    DATABASE,
    _held("DBSubnetGroupName.SubnetIds", _isolated),
)
logs_exported = Rule(
    "rds.logs_exported",
    "Server logs go to log groups that stand before the database does.",
    "RDS creates missing groups itself: without retention, without key, and left behind after a destroy.",
    "AWS Security Hub RDS.9",
    DATABASE,
    _held("EnableCloudwatchLogsExports", _logs_exported),
)
destroyable = Rule(
    "rds.destroyable",
    "The database goes with its stack: no deletion protection, no final snapshot.",
    "Every environment can be destroyed without a manual step.",
    "requirement A-03",
    DATABASE,
    _destroyable,
)
monitored = Rule(
    "rds.monitored",
    "Enhanced Monitoring, under a role of its own, and Performance Insights watch the instance.",
    "A capacity problem is seen, and its cause found, before it is an outage.",
    "AWS Security Hub RDS.6",
    INSTANCE,
    _monitored,
)
alarmed = Rule(
    "rds.alarmed",
    "Alarms watch processor, connections, memory and, where it is bounded, storage; in a cluster the writer's processor.",
    "These run out before a database stops answering, and an average over readers hides the writer.",
    "Amazon RDS User Guide, Best practices for Amazon RDS: monitor CPU, memory, storage and connections",
    DATABASE,
    _held("DBInstanceIdentifier", _alarmed),
)
approved_suites = Rule(
    "rds.approved_suites",
    "The server takes TLS 1.2 with suites of FIPS-approved algorithms, and nothing else.",
    "Which suite is used is agreed with the client; what is not offered cannot be agreed on. TLS 1.3 offers all of its own.",
    "NIST SP 800-52 Revision 2, 3.3.1 Cipher suites; Amazon RDS User Guide, SSL cipher suites in RDS for PostgreSQL",
    DATABASE,
    _held("DBParameterGroupName.Parameters.ssl_ciphers", _approved_suites),
)
replicated_elsewhere = Rule(
    "rds.replicated_elsewhere",
    "A replica of the instance stands in another region.",
    "A standby in a second zone goes with its region.",
    "Amazon RDS User Guide, Creating a read replica in a different AWS Region",
    INSTANCE,
    _replicated,
)
replica_watched = Rule(
    "rds.replica_watched",
    "Alarms ring when a replica is behind, and when nobody knows whether it is.",
    "A replica that has stopped says -1 or nothing: no lag is too large.",
    "Amazon RDS User Guide, Monitoring read replication: ReplicaLag",
    INSTANCE,
    _replica_watched,
)
slots_bounded = Rule(
    "rds.slots_bounded",
    "What a logical replication slot may keep back on disk is bounded.",
    "Without max_slot_wal_keep_size a reader that stops fills the primary's disk, and the database stops.",
    "Amazon RDS User Guide, Performing logical replication for Amazon RDS for PostgreSQL; PostgreSQL 15, 20.6 Replication",
    DATABASE,
    _held("DBParameterGroupName.Parameters.max_slot_wal_keep_size", _slots_bounded),
)
slots_watched = Rule(
    "rds.slots_watched",
    "An alarm watches what a logical replication slot keeps back.",
    "At the bound the slot is lost, and its reader has a gap.",
    "Amazon RDS User Guide, Amazon CloudWatch metrics for Amazon RDS: OldestReplicationSlotLag",
    DATABASE,
    _held("DBInstanceIdentifier", _slots_watched),
)
