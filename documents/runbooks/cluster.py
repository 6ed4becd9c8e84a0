"""The procedures around a database that is an Aurora cluster: restores, upgrades, failover."""

from __future__ import annotations

from collections.abc import Iterator

from documents.runbooks import restored_database as after
from documents.runbooks.chain import BEFORE
from documents.runbooks.database import leak, options, tags, targets
from documents.runbooks.facts import Facts, Resource
from documents.runbooks.page import Section, command, shell, word
from documents.runbooks.restored_database import AFTER, CONNECT, IN_TIME, SNAPSHOT, TIDY
from model.architecture import copies_by

RESTORE = {
    "DBSubnetGroupName": "--db-subnet-group-name",
    "DBClusterParameterGroupName": "--db-cluster-parameter-group-name",
    "VpcSecurityGroupIds": "--vpc-security-group-ids",
    "KmsKeyId": "--kms-key-id",
    "CopyTagsToSnapshot": "--copy-tags-to-snapshot",
    "DeletionProtection": "--deletion-protection",
    "EnableCloudwatchLogsExports": "--enable-cloudwatch-logs-exports",
}
"""Properties that a restore of a cluster takes."""

AFTERWARDS = {
    "AutoMinorVersionUpgrade": "--auto-minor-version-upgrade",
    "BackupRetentionPeriod": "--backup-retention-period",
    "PreferredBackupWindow": "--preferred-backup-window",
    "PreferredMaintenanceWindow": "--preferred-maintenance-window",
    "EnablePerformanceInsights": "--enable-performance-insights",
    "PerformanceInsightsKmsKeyId": "--performance-insights-kms-key-id",
    "PerformanceInsightsRetentionPeriod": "--performance-insights-retention-period",
    "DatabaseInsightsMode": "--database-insights-mode",
    "MonitoringInterval": "--monitoring-interval",
    "MonitoringRoleArn": "--monitoring-role-arn",
}
"""Properties that only ModifyDBCluster sets on a restored cluster."""

MEMBER = {
    "DBInstanceClass": "--db-instance-class",
    "PubliclyAccessible": "--publicly-accessible",
    "AutoMinorVersionUpgrade": "--auto-minor-version-upgrade",
    "PromotionTier": "--promotion-tier",
    "AvailabilityZone": "--availability-zone",
    "CACertificateIdentifier": "--ca-certificate-identifier",
    "PreferredMaintenanceWindow": "--preferred-maintenance-window",
    "MonitoringInterval": "--monitoring-interval",
    "MonitoringRoleArn": "--monitoring-role-arn",
    "EnablePerformanceInsights": "--enable-performance-insights",
    "PerformanceInsightsRetentionPeriod": "--performance-insights-retention-period",
    "PerformanceInsightsKMSKeyId": "--performance-insights-kms-key-id",
}
"""Properties that an instance of the restored cluster takes."""

SWAP = "Swap the clusters"


def cluster(facts: Facts) -> Resource | None:
    """The site's Aurora cluster, where it is no secondary of another one."""
    return next((one for one in facts.all("AWS::RDS::DBCluster") if not copies_by(one.type, one.properties)), None)


def sections(facts: Facts, one: Resource) -> Iterator[Section]:
    """All procedures of the cluster."""
    name = facts.name(one)
    members = [
        each
        for each in facts.all("AWS::RDS::DBInstance")
        if facts.text(each.layer, each.properties.get("DBClusterIdentifier")) == name
    ]
    where = _where(word(name + "-restored"))
    # What another site follows by replication cannot be exchanged for a copy that it does not follow.
    swap = SWAP if len(facts.system.regions) == 1 else ""
    yield _snapshot(facts, one, name)
    yield _point_in_time(facts, one, name)
    yield _after(facts, one, name, members, where, swap)
    yield after.copy(where)
    yield _tidy(facts, name, members)
    if swap:
        yield _swap(facts, name, members)
    yield _upgrade(facts, one, name)
    yield leak(facts)
    yield _failover(name)


def _capacity(one: Resource) -> list[str]:
    """Without it, a restored cluster takes no instance that scales by itself."""
    found = one.properties.get("ServerlessV2ScalingConfiguration")
    if found is None:
        return []
    between = ",".join(f"{name}={value}" for name, value in found.items())
    return [f"--serverless-v2-scaling-configuration {between}"]


def _point_in_time(facts: Facts, one: Resource, name: str) -> Section:
    return Section(
        IN_TIME,
        (
            "It makes a **new** cluster beside the one that runs, to any second of the last "
            f"{one.properties['BackupRetentionPeriod']} "
            "days but about the last five minutes. Stop what writes wrong data first. Which times can be had:",
            shell(
                command(
                    f"aws rds describe-db-clusters --db-cluster-identifier {word(name)} --output text",
                    "--query 'DBClusters[0].[EarliestRestorableTime,LatestRestorableTime,Status]'",
                )
            ),
            after.WHEN,
            shell(
                after.AT,
                command(
                    f"aws rds restore-db-cluster-to-point-in-time --source-db-cluster-identifier {word(name)}",
                    f"--db-cluster-identifier {word(name + '-restored')}",
                    '--restore-to-time "$AT"',
                    *options(facts, one, RESTORE),
                    *_capacity(one),
                    tags(facts),
                ),
            ),
            after.go_on(),
        ),
        (BEFORE,),
    )


def _snapshot(facts: Facts, one: Resource, name: str) -> Section:
    by_hand = word(name + "-by-hand")
    return Section(
        SNAPSHOT,
        (
            "Before something risky. A snapshot that is made by hand stays until somebody deletes it.",
            shell(
                command(
                    f"aws rds create-db-cluster-snapshot --db-cluster-identifier {word(name)}",
                    f"--db-cluster-snapshot-identifier {by_hand}",
                    tags(facts),
                ),
                command(
                    f"aws rds describe-db-cluster-snapshots --db-cluster-identifier {word(name)} --output table",
                    "--query 'DBClusterSnapshots[].[SnapshotCreateTime,DBClusterSnapshotIdentifier,SnapshotType,KmsKeyId]'",
                ),
            ),
            "Restoring makes a new cluster:",
            shell(
                command(
                    f"aws rds restore-db-cluster-from-snapshot --snapshot-identifier {by_hand}",
                    f"--db-cluster-identifier {word(name + '-restored')} --engine {one.properties['Engine']}",
                    *options(facts, one, RESTORE),
                    *_capacity(one),
                    tags(facts),
                ),
            ),
            after.go_on(),
        ),
        (BEFORE,),
    )


def _where(restored: str) -> tuple[str, str]:
    describe = f"aws rds describe-db-clusters --db-cluster-identifier {restored} --output text --query"
    return (
        f"RESTORED_HOST=$({describe} 'DBClusters[0].Endpoint')",
        f"RESTORED_PORT=$({describe} 'DBClusters[0].Port')",
    )


def _after(facts: Facts, one: Resource, name: str, members: list[Resource], where: tuple[str, ...], swap: str) -> Section:
    restored = word(name + "-restored")
    change = (
        "print(json.dumps({'DBClusterIdentifier': sys.argv[1], 'ApplyImmediately': True,"
        " 'MasterUserPassword': json.load(sys.stdin)['password']}))"
    )
    return Section(
        AFTER,
        (
            "A restored cluster has no instance, so nobody can connect. Wait for it, then give it what the template declares:",
            shell(
                f"aws rds wait db-cluster-available --db-cluster-identifier {restored}",
                *(
                    command(
                        f"aws rds create-db-instance --db-instance-identifier {word(facts.name(each) + '-restored')}",
                        f"--db-cluster-identifier {restored} --engine {each.properties['Engine']}",
                        *options(facts, each, MEMBER),
                        tags(facts),
                    )
                    for each in members
                ),
                *(
                    f"aws rds wait db-instance-available --db-instance-identifier {word(facts.name(each) + '-restored')}"
                    for each in members
                ),
            ),
            "What a restore does not take, and the password: it knows that of the time that it was restored to. Give it the "
            "secret's by a file that only you can read, never by a command line:",
            shell(
                *(
                    [
                        command(
                            f"aws rds modify-db-cluster --db-cluster-identifier {restored} --apply-immediately",
                            *options(facts, one, AFTERWARDS),
                        )
                    ]
                    if options(facts, one, AFTERWARDS)
                    else []
                ),
                f'(umask 077 && credential | python3 -c "import json, sys; {change}" {restored} > "$NOTES/restored.json")',
                'aws rds modify-db-cluster --cli-input-json "file://$NOTES/restored.json" --query DBCluster.Status --output text',
                'rm "$NOTES/restored.json"',
                f"aws rds wait db-cluster-available --db-cluster-identifier {restored}",
            ),
            "Look at it before anybody uses it. Is what was lost there? Is what came later gone?",
            shell(*where, *after.LOOK),
            after.ways(swap),
        ),
        (BEFORE, CONNECT),
    )


def _tidy(facts: Facts, name: str, members: list[Resource]) -> Section:
    return Section(
        TIDY,
        (
            "What was made by hand costs as much as the cluster, and `make destroy` fails while it uses the subnet group. "
            "Which exist:",
            shell(
                "aws rds describe-db-clusters --query "
                "'DBClusters[].[DBClusterIdentifier,Status,ClusterCreateTime]' --output text",
                *(
                    f"aws rds delete-db-instance --db-instance-identifier {word(facts.name(each) + '-restored')} "
                    "--query DBInstance.DBInstanceStatus --output text"
                    for each in members
                ),
                command(
                    f"aws rds delete-db-cluster --db-cluster-identifier {word(name + '-restored')}",
                    "--skip-final-snapshot --query DBCluster.Status --output text",
                ),
                command(
                    f"aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier {word(name + '-by-hand')}",
                    "--query DBClusterSnapshot.Status --output text",
                ),
            ),
        ),
        (BEFORE,),
    )


def _swap(facts: Facts, name: str, members: list[Resource]) -> Section:
    rename = "aws rds modify-db-cluster --apply-immediately --db-cluster-identifier"
    one = "aws rds modify-db-instance --apply-immediately --db-instance-identifier"
    names = [facts.name(each) for each in members]
    pairs = [(name, name + "-before"), (name + "-restored", name)]
    return Section(
        SWAP,
        (
            "Endpoints are made of the cluster's name: under its name the restored one has the old endpoints. **Meanwhile "
            "nobody can connect.** "
            "Stop the applications first; wait after each until `describe-db-clusters` knows the new name.",
            shell(
                *(
                    line
                    for old, new in pairs
                    for line in (
                        f"{rename} {word(old)} --new-db-cluster-identifier {word(new)}",
                        f"aws rds wait db-cluster-available --db-cluster-identifier {word(new)}",
                    )
                ),
                *(f"{one} {word(each)} --new-db-instance-identifier {word(each + '-before')}" for each in names),
                *(f"{one} {word(each + '-restored')} --new-db-instance-identifier {word(each)}" for each in names),
            ),
            "**The secret** keeps its `host`, `port` and `dbname`, since the endpoint has its old name, and must hold a "
            "password that the restored "
            "cluster knows. **CloudFormation** knows cluster and instances by their names alone: nothing has happened to it. "
            "`make drift` must "
            "find no difference; set by hand what it names. Then rotate.",
            shell(
                f'make plan ENV="$ENV" SYSTEM={facts.system.name}',
                f'make drift ENV="$ENV" SYSTEM={facts.system.name}',
                'aws secretsmanager rotate-secret --secret-id "$SECRET"',
            ),
            f"Keep `{name.replace('$ENV', '<suffix>')}-before` as long as you may need a time before the swap. When nobody needs "
            "it any more, keep a snapshot, which costs until it is deleted:",
            shell(
                *(
                    f"aws rds delete-db-instance --db-instance-identifier {word(each + '-before')} "
                    "--query DBInstance.DBInstanceStatus --output text"
                    for each in names
                ),
                command(
                    f"aws rds delete-db-cluster --db-cluster-identifier {word(name + '-before')}",
                    f"--final-db-snapshot-identifier {word(name + '-before-final')} --query DBCluster.Status --output text",
                ),
            ),
        ),
        (BEFORE, CONNECT),
    )


def _upgrade(facts: Facts, one: Resource, name: str) -> Section:
    deploy = f'ENV="$ENV" SYSTEM={facts.system.name}'
    return Section(
        "Minor engine upgrade",
        (
            f"{one.properties['EngineVersion']} runs; AWS does not upgrade it by itself. Minor versions that can follow, then "
            "major ones:",
            shell(targets(one, major=False), targets(one, major=True)),
            f"Change the version in `{facts.sources[one.layer]}`, `make build`, review `templates/`, take a snapshot by hand. "
            "A minor upgrade restarts every instance. A major one needs `AllowMajorVersionUpgrade`, a parameter group of the "
            "new family under a "
            "new name, and a rehearsal on a restored cluster; there is no way back but a restore.",
            shell(f"make plan {deploy}", f"make deploy {deploy}"),
            "What waits for the maintenance window:",
            shell(
                command(
                    f"aws rds describe-db-clusters --db-cluster-identifier {word(name)} --output json",
                    "--query 'DBClusters[0].[EngineVersion,PendingModifiedValues]'",
                )
            ),
        ),
        (BEFORE,),
    )


def _failover(name: str) -> Section:
    writer = command(
        f"aws rds describe-db-clusters --db-cluster-identifier {word(name)} --output text",
        "--query 'DBClusters[0].DBClusterMembers[].[DBInstanceIdentifier,IsClusterWriter]'",
    )
    return Section(
        "Failover test",
        (
            "The reader becomes the writer, within a minute and without loss. **Connections break**: do it when they may.",
            shell(
                writer,
                f"aws rds failover-db-cluster --db-cluster-identifier {word(name)} --query DBCluster.Status --output text",
                f"aws rds wait db-cluster-available --db-cluster-identifier {word(name)}",
                writer,
                "until psql -c 'select pg_is_in_recovery(), now()'; do sleep 1; done",
                command(
                    f"aws rds describe-events --source-type db-cluster --source-identifier {word(name)} --duration 30",
                    "--query 'Events[].[Date,Message]' --output text",
                ),
            ),
            "The roles have changed places, the endpoints have not. Write down how long the events say that it took.",
        ),
        (BEFORE, CONNECT),
    )
