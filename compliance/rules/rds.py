"""Database instances: they survive a zone, keep secrets and logs, and can be taken away."""

from __future__ import annotations

from compliance import statements
from compliance.rules import kms
from compliance.rules.resources import deleted_with_stack
from compliance.view import Resource, absent_or_false
from model import Rule

INSTANCE = ("AWS::RDS::DBInstance",)
WATCHED = ("CPUUtilization", "FreeStorageSpace", "DatabaseConnections", "FreeableMemory")
LEAST_BACKUP_DAYS = 7


def _multi_az(instance: Resource) -> tuple[str, bool]:
    return "MultiAZ", instance.true("MultiAZ")


def _storage_encrypted(instance: Resource) -> tuple[str, bool]:
    return "StorageEncrypted", instance.true("StorageEncrypted")


def _customer_key(instance: Resource) -> tuple[str, bool]:
    return "KmsKeyId", instance.true("StorageEncrypted") and kms.key_of(instance, "KmsKeyId") is not None


def _tls_forced(instance: Resource) -> tuple[str, bool]:
    return "DBParameterGroupName.Parameters.rds.force_ssl", _parameter(instance, "rds.force_ssl", "1")


def _statements_logged(instance: Resource) -> tuple[str, bool]:
    return "DBParameterGroupName.Parameters.log_statement", _parameter(instance, "log_statement", "ddl", "mod", "all")


def _parameter(instance: Resource, name: str, *values: str) -> bool:
    """Whether the instance's parameter group states one of these values in every environment."""
    group = instance.follow("DBParameterGroupName")
    return group is not None and group.certain and group.proves(lambda value: str(value) in values, "Parameters", name)


def _backup_retained(instance: Resource) -> tuple[str, bool]:
    return "BackupRetentionPeriod", instance.bounded("BackupRetentionPeriod", least=LEAST_BACKUP_DAYS)


def _not_public(instance: Resource) -> tuple[str, bool]:
    return "PubliclyAccessible", instance.proves(lambda value: value is False or value == "false", "PubliclyAccessible")


def _isolated(instance: Resource) -> tuple[str, bool]:
    group = instance.follow("DBSubnetGroupName")
    subnets = group.members("SubnetIds") if group else ()
    return "DBSubnetGroupName.SubnetIds", bool(subnets) and all(
        subnet is not None and subnet.type == "AWS::EC2::Subnet" and _without_way_out(subnet) for subnet in subnets
    )


def _without_way_out(subnet: Resource) -> bool:
    """Whether the subnet has a route table of its own choosing, and that table no route to everywhere."""
    tables = [
        association.follow("RouteTableId")
        for association in subnet.view.resources("AWS::EC2::SubnetRouteTableAssociation")
        if subnet.is_(association.follow("SubnetId"))
    ]
    leaving = [
        route
        for route in subnet.view.resources("AWS::EC2::Route")
        if route.get("DestinationPrefixListId") is None
        and any(table is None or table.is_(route.follow("RouteTableId")) for table in tables)
    ]
    return bool(tables) and None not in tables and not leaving


def _logs_exported(instance: Resource) -> tuple[str, bool]:
    exports = instance.get("EnableCloudwatchLogsExports")
    identifier = instance.text("DBInstanceIdentifier")
    if not isinstance(exports, list) or "postgresql" not in exports or identifier is None:
        return "EnableCloudwatchLogsExports", False
    return "EnableCloudwatchLogsExports", all(
        group_stands_first(instance, f"/aws/rds/instance/{identifier}/{export}") for export in exports
    )


def group_stands_first(resource: Resource, name: str) -> bool:
    """Whether a log group of this name is created before the resource that writes to it, and deleted after it."""
    return any(
        group.certain
        and group.text("LogGroupName") == name
        and (group.layer != resource.layer or group.id in resource.depends_on)
        for group in resource.view.resources("AWS::Logs::LogGroup")
    )


def _destroyable(instance: Resource) -> tuple[str, bool]:
    return "DeletionProtection", instance.proves(absent_or_false, "DeletionProtection") and deleted_with_stack(instance)


def _monitored(instance: Resource) -> tuple[str, bool]:
    role = instance.follow("MonitoringRoleArn")
    trusted = role is not None and any(
        statement.allows and statement.names_service("monitoring.rds", instance.regions) and statement.covers("sts:AssumeRole")
        for statement in statements.of(role, "AssumeRolePolicyDocument")
    )
    measured = instance.bounded("MonitoringInterval", least=1, most=60) and instance.true("EnablePerformanceInsights")
    return "MonitoringInterval", trusted and measured


def _alarmed(instance: Resource) -> tuple[str, bool]:
    watched = {
        alarm.get("MetricName")
        for alarm in instance.view.resources("AWS::CloudWatch::Alarm")
        if alarm.certain and alarm.get("Namespace") == "AWS/RDS" and _watches(alarm, instance)
    }
    return "DBInstanceIdentifier", watched.issuperset(WATCHED)


def _watches(alarm: Resource, instance: Resource) -> bool:
    return any(
        dimension.get("Name") == "DBInstanceIdentifier"
        and (
            instance.is_(alarm.view.follow(alarm.layer, dimension.get("Value")))
            or alarm.view.text(alarm.layer, dimension.get("Value")) == instance.text("DBInstanceIdentifier") is not None
        )
        for dimension in alarm.get("Dimensions") or []
    )


multi_az = Rule(
    "rds.multi_az",
    "A synchronous standby in a second zone takes over from the instance.",
    "The loss of an instance or a zone loses no committed transaction.",
    "AWS Security Hub RDS.5",
    INSTANCE,
    _multi_az,
)
storage_encrypted = Rule(
    "rds.storage_encrypted",
    "Storage, backups, snapshots and replicas are encrypted.",
    "A copied disk or snapshot is unreadable without KMS.",
    "AWS Security Hub RDS.3",
    INSTANCE,
    _storage_encrypted,
)
customer_key = Rule(
    "rds.customer_key",
    "Storage is encrypted with a customer-managed key.",
    "Only the owner of the key's policy decides who may decrypt, and can end it.",
    "Amazon RDS User Guide, Encrypting Amazon RDS resources",
    INSTANCE,
    _customer_key,
)
tls_forced = Rule(
    "rds.tls_forced",
    "The server refuses connections without TLS.",
    "TLS that is only offered leaves the choice to every client.",
    "AWS Security Hub RDS.38",
    INSTANCE,
    _tls_forced,
)
statements_logged = Rule(
    "rds.statements_logged",
    "The server logs the statements that change data or its definition.",
    "Who changed what can be told afterwards.",
    "Amazon RDS User Guide, RDS for PostgreSQL database log files",
    INSTANCE,
    _statements_logged,
)
backup_retained = Rule(
    "rds.backup_retained",
    f"Backups for point-in-time recovery are kept for at least {LEAST_BACKUP_DAYS} days.",
    "What a person or a program damages is often noticed days later.",
    "AWS Security Hub RDS.11",
    INSTANCE,
    _backup_retained,
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
    "No route leads out of the VPC from the instance's subnets.",
    "A database that cannot reach the internet cannot be made to send data there.",
    "Amazon RDS User Guide, Working with a DB instance in a VPC",
    INSTANCE,
    _isolated,
)
logs_exported = Rule(
    "rds.logs_exported",
    "Server logs go to log groups that stand before the instance does.",
    "RDS creates missing groups itself: without retention, without key, and left behind after a destroy.",
    "AWS Security Hub RDS.9",
    INSTANCE,
    _logs_exported,
)
destroyable = Rule(
    "rds.destroyable",
    "The instance goes with its stack: no deletion protection, no final snapshot.",
    "Every environment can be destroyed without a manual step.",
    "requirement A-03",
    INSTANCE,
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
    "Alarms watch the instance's processor, storage, connections and memory.",
    "These four run out before a database stops answering.",
    "Amazon RDS User Guide, Best practices for Amazon RDS: monitor CPU, memory, storage and connections",
    INSTANCE,
    _alarmed,
)
