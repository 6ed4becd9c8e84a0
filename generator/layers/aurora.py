"""The aurora layer."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from troposphere import GetAtt, Join, Ref, Select, Split, Sub, rds, secretsmanager

from generator.layer import Layer
from generator.parts.aurora_instance import ENGINE, MAINTENANCE, apply_immediately, aurora_instance, event_subscription
from generator.parts.log_group import log_group
from generator.parts.os_metrics import monitoring_role
from generator.parts.secret import credential
from generator.template import Explained, Template

ENGINE_VERSION = "15.19"
"""The newest Aurora PostgreSQL 15 that cfn-lint knows; a test fails when a region lacks it or AWS deprecates it."""

CONTINUOUS_RETENTION = timedelta(days=7)
OWNED = "As long as the backup rule that owns its point-in-time recovery: RDS refuses a cluster that says otherwise."


@dataclass(frozen=True)
class Capacity:
    """Between how many Aurora capacity units (ACU, 2 GiB of memory each) a Serverless v2 instance scales."""

    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Aurora(Layer):
    """An Aurora PostgreSQL cluster; a reader in another zone, where it has one, takes over from the writer by itself.

    AWS Backup owns its point-in-time recovery: ``backup_retention`` is that of the continuous rule, and no backup window is set.
    ``instances`` is how many of the two stand in this stack; others are a layer of their own, where one stack would take too
    long. ``capacity`` is for instances of the class db.serverless. ``insights`` asks for Performance Insights. ``secondary_of``
    is the layer, with its site, of the global database that this cluster follows from another region; ``kind`` is what it is
    called.
    """

    name: str = "aurora"
    kind: str = "aurora"
    database: str = ""
    secondary_of: str = ""
    engine_version: str = ENGINE_VERSION
    instance_class: str = "db.t4g.medium"
    capacity: Capacity | None = None
    instances: int = 2
    insights: bool = True
    backup_retention: timedelta = CONTINUOUS_RETENTION
    logged_statements: str = "ddl"
    log_retention: timedelta = timedelta(days=400)

    def define(self, t: Template) -> None:
        at_once = apply_immediately(t) if self.instances else None
        subnets = t.output_of("network.DatabaseSubnetIds", "List<AWS::EC2::Subnet::Id>")
        if self.instances:
            t.output_of("network.DatabaseZoneNames", "List<AWS::EC2::AvailabilityZone::Name>")
        group = t.output_of("network.DatabaseGroupId", "AWS::EC2::SecurityGroup::Id")
        key = t.output_of("keys.AuroraKeyArn")
        logs_key = t.output_of("keys.LogsKeyArn")
        t.output_of("notify.TopicArn")

        placement = rds.DBSubnetGroup(
            "SubnetGroup",
            DBSubnetGroupName=t.named(f"subnet-group-{self.kind}"),
            DBSubnetGroupDescription="Database subnets, one per zone, without a route out",
            SubnetIds=subnets,
        )
        parameters = rds.DBClusterParameterGroup(
            "ParameterGroup",
            DBClusterParameterGroupName=t.named(f"parameter-group-{self.kind}"),
            Description="TLS, passwords and statements logged",
            Family=f"aurora-postgresql{self.engine_version.split('.')[0]}",
            Parameters={
                "rds.force_ssl": "1",
                "ssl_min_protocol_version": "TLSv1.2",
                "password_encryption": "scram-sha-256",
                "log_statement": self.logged_statements,
                "log_connections": "1",
                "log_disconnections": "1",
                "rds.log_retention_period": Explained(
                    "1440", "Minutes on the instances' own disks; the log group keeps them longer."
                ),
            },
        )
        t.section("Where it runs, and how it is set up: TLS 1.2 or later, nothing else.", placement, parameters)

        identifier = t.name(self.kind)
        log = log_group("PostgresqlLogGroup", Sub(f"/aws/rds/cluster/{identifier}/postgresql"), logs_key, self.log_retention)
        t.section("Where it logs: made before the cluster, which would make it without key and retention.", log)

        monitor = monitoring_role(t, "aurora", t.name(f"{self.kind}-?"))
        t.section(
            "Who writes the operating system's metrics: Enhanced Monitoring, into the account's group RDSOSMetrics.", monitor
        )

        origin, secret = self._origin(t)
        cluster = rds.DBCluster(
            "Cluster",
            DependsOn=[log.title],
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
            DBClusterIdentifier=Sub(identifier),
            **origin,
            Engine=ENGINE,
            EngineVersion=self.engine_version,
            **self._scaling(),
            AutoMinorVersionUpgrade=False,
            DBClusterParameterGroupName=Ref(parameters),
            DBSubnetGroupName=Ref(placement),
            VpcSecurityGroupIds=[group],
            StorageEncrypted=True,
            KmsKeyId=key,
            **credential(secret),
            BackupRetentionPeriod=Explained(self.backup_retention.days, OWNED),
            PreferredMaintenanceWindow=MAINTENANCE,
            CopyTagsToSnapshot=True,
            DeleteAutomatedBackups=True,
            DeletionProtection=False,
            EnableCloudwatchLogsExports=["postgresql"],
        )
        t.section(self._heading(), cluster)

        members: list[rds.DBInstance] = []
        for letter in "AB"[: self.instances]:
            members.append(
                aurora_instance(
                    t,
                    self.kind,
                    letter,
                    cluster=Ref(cluster),
                    instance_class=self.instance_class,
                    monitoring_role=GetAtt(monitor, "Arn"),
                    at_once=at_once,
                    insights_key=key if self.insights else None,
                    after=members[-1].title if members else "",
                )
            )
        headings = (
            "The writer, made first, and the reader. After a failover they have changed roles, and keep their names.",
            "The reader, in another zone: the next writer.",
        )
        for heading, instance in zip(headings, members, strict=False):
            t.section(heading, instance)
        if secret is not None:
            attachment = secretsmanager.SecretTargetAttachment(
                "SecretAttachment", SecretId=secret, TargetType="AWS::RDS::DBCluster", TargetId=Ref(cluster)
            )
            t.section("The secret learns where the cluster is, for those who connect.", attachment)

        events = [event_subscription(t, "ClusterEvents", "cluster", "cluster", [Ref(cluster)])]
        if members:
            events.append(event_subscription(t, "InstanceEvents", "instance", "instance", [Ref(one) for one in members]))
        t.section("Failovers, failures and maintenance are told to operators.", *events)

        t.output("ClusterIdentifier", Ref(cluster), "The name that alarms and operators use.")
        t.output("ClusterArn", GetAtt(cluster, "DBClusterArn"), "The cluster.")
        if len(members) == 2:
            t.output(
                "InstanceIdentifiers",
                Sub("${InstanceA},${InstanceB}"),
                "Its instances; which one writes changes with a failover.",
            )
        else:
            t.output("MonitoringRoleArn", GetAtt(monitor, "Arn"), "With which further instances write their metrics.")
        t.output("SubnetGroupName", Ref(placement), "Where a restored cluster belongs.")
        t.output("ParameterGroupName", Ref(parameters), "How a restored cluster is set up.")
        writer, reader = GetAtt(cluster, "Endpoint.Address"), GetAtt(cluster, "ReadEndpoint.Address")
        if self.secondary_of:
            endpoint = Explained(
                Join(".cluster-", Split(".cluster-ro-", reader)),
                "Its writer is inactive, and RDS may not say its name: which is that of the reader without the kind.",
            )
            t.output("Endpoint", endpoint, "Where clients write once it is promoted; no address answers to the name before.")
        else:
            t.output("Endpoint", writer, "Where clients write; the same name after a failover.")
        t.output("ReadEndpoint", reader, "Where clients read what may be milliseconds old.")
        t.output("Port", GetAtt(cluster, "Endpoint.Port"), "The port at which clients connect.")

    def _origin(self, t: Template) -> tuple[dict[str, Any], Ref | None]:
        """Where the data come from: a database of its own and the secret of its user, or the primary of a global one."""
        if not self.secondary_of:
            return {"DatabaseName": self.database}, t.output_of("secrets.DatabaseSecretArn")
        global_cluster = t.output_of(f"{self.secondary_of}.GlobalClusterId")
        primary_arn = t.output_of(f"{self.secondary_of}.HomeClusterArn")
        region = Explained(
            Select(3, Split(":", primary_arn)),
            "An ARN names its region; without it RDS could not sign the request for the encrypted volume of the other region.",
        )
        return {"GlobalClusterIdentifier": global_cluster, "SourceRegion": region}, None

    def _scaling(self) -> dict[str, Any]:
        if self.capacity is None:
            return {}
        between = rds.ServerlessV2ScalingConfiguration(MinCapacity=self.capacity.least, MaxCapacity=self.capacity.most)
        return {"ServerlessV2ScalingConfiguration": between}

    def _heading(self) -> str:
        if self.secondary_of:
            return (
                "The secondary: Aurora's storage keeps it a second or less behind the cluster of the other region. It has that "
                "one's users, and takes no write until failover promotes it."
            )
        return "The cluster: six copies of the data in three zones."
