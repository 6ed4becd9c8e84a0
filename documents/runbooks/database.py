"""The procedures around a database that is one RDS instance: connect, restore, upgrade, leak, failover."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from documents.runbooks import restored_database as after
from documents.runbooks.chain import BEFORE
from documents.runbooks.facts import Facts, Resource
from documents.runbooks.log_search import search
from documents.runbooks.page import Section, Shell, anchor, command, shell, word
from documents.runbooks.restored_database import AFTER, CONNECT, IN_TIME, SNAPSHOT, TIDY
from model.architecture import copies_by
from model.values import mentions

SWAP = "Swap the instances"

RESTORE = {
    "DBInstanceClass": "--db-instance-class",
    "DBSubnetGroupName": "--db-subnet-group-name",
    "DBParameterGroupName": "--db-parameter-group-name",
    "VPCSecurityGroups": "--vpc-security-group-ids",
    "MultiAZ": "--multi-az",
    "PubliclyAccessible": "--publicly-accessible",
    "StorageType": "--storage-type",
    "AutoMinorVersionUpgrade": "--auto-minor-version-upgrade",
    "CopyTagsToSnapshot": "--copy-tags-to-snapshot",
    "DeletionProtection": "--deletion-protection",
    "EnableCloudwatchLogsExports": "--enable-cloudwatch-logs-exports",
}
"""Properties that a restore takes; what is left out of it would be AWS's default, not the template's value."""

AFTERWARDS = {
    "BackupRetentionPeriod": "--backup-retention-period",
    "PreferredBackupWindow": "--preferred-backup-window",
    "PreferredMaintenanceWindow": "--preferred-maintenance-window",
    "MaxAllocatedStorage": "--max-allocated-storage",
    "CACertificateIdentifier": "--ca-certificate-identifier",
    "MonitoringInterval": "--monitoring-interval",
    "MonitoringRoleArn": "--monitoring-role-arn",
    "EnablePerformanceInsights": "--enable-performance-insights",
    "PerformanceInsightsRetentionPeriod": "--performance-insights-retention-period",
    "PerformanceInsightsKMSKeyId": "--performance-insights-kms-key-id",
    "DatabaseInsightsMode": "--database-insights-mode",
}
"""Properties that only ModifyDBInstance sets on a restored instance."""


def instance(facts: Facts) -> Resource | None:
    """The site's database, where it is an instance of its own: no member of a cluster, and no replica."""
    alone = (one for one in facts.all("AWS::RDS::DBInstance") if "DBClusterIdentifier" not in one.properties)
    return next((one for one in alone if not copies_by(one.type, one.properties)), None)


def secret(facts: Facts) -> str:
    """The ARN of the secret that is attached to the database."""
    one = facts.all("AWS::SecretsManager::SecretTargetAttachment")[0]
    return facts.text(one.layer, one.properties["SecretId"])


def options(facts: Facts, one: Resource, table: dict[str, str]) -> list[str]:
    """Template properties as options of the AWS CLI, with the values that the environment's stacks have."""
    return [_option(facts, one, table[name], value) for name, value in one.properties.items() if name in table]


def _option(facts: Facts, one: Resource, option: str, value: Any) -> str:
    if isinstance(value, bool):
        return option if value else option.replace("--", "--no-", 1)
    return " ".join([option, *map(word, facts.texts(one.layer, value))])


def sections(facts: Facts, one: Resource) -> Iterator[Section]:
    """All procedures of the database."""
    where, archiver = _where(word(facts.name(one) + "-restored")), after.archive(facts)
    # What another site follows by replication cannot be exchanged for a copy that it does not follow.
    swap = SWAP if len(facts.system.regions) == 1 else ""
    yield _snapshot(facts, one)
    yield _point_in_time(facts, one)
    yield _after(facts, one, where, swap)
    if archiver:
        yield after.replay(facts, archiver, where)
    yield after.copy(where)
    yield _tidy(facts, one)
    if swap:
        yield _swap(facts, one)
    yield _minor(facts, one)
    yield _major(facts, one)
    yield leak(facts)
    yield _failover(facts, one)


def connect(facts: Facts) -> Section:
    """psql with the secret, the server's name verified."""
    network = " and ".join(
        f"`{name}` of `{facts.system.name}-{layer}-<suffix>`"
        for layer, document in facts.documents.items()
        for name in document.get("Outputs", {})
        if name in ("VpcId", "ApplicationSubnetIds", "ClientGroupId")
    )
    pick = "import json, sys; print(json.load(sys.stdin)[sys.argv[1]])"
    return Section(
        CONNECT,
        (
            "The database has no public address: run this inside the VPC, on a machine with the client group, or in AWS "
            "CloudShell's "
            f"*VPC environment*, with {network}. Secrets Manager is reached through its endpoint, which also asks for "
            "the client group. "
            "The root certificates of all regions lie in the checkout; `verify-full` refuses a server that is not this one.",
            shell(
                f"SECRET={secret(facts)}",
                'credential() { aws secretsmanager get-secret-value --secret-id "$SECRET" --query SecretString --output text; }',
                f'field() {{ python3 -c \'{pick}\' "$1" <<< "$CREDENTIAL"; }}',
                "CREDENTIAL=$(credential)",
                "PGHOST=$(field host) && PGPORT=$(field port) && PGDATABASE=$(field dbname)",
                "PGUSER=$(field username) && PGPASSWORD=$(field password)",
                "export PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD",
                'export PGSSLMODE=verify-full PGSSLROOTCERT="${PGSSLROOTCERT:-functions/common/rds-global-bundle.pem}"',
                "psql -c 'select current_user, inet_server_addr(), pg_is_in_recovery(), version()'",
                "psql -c 'select version, cipher from pg_stat_ssl where pid = pg_backend_pid()'",
            ),
            "The password never stands on a command line. It changes with every rotation: refused with 28P01, read the secret "
            "again.",
        ),
        (BEFORE,),
    )


def tags(facts: Facts) -> str:
    """Tags by which the audit of a destroy finds what was made by hand."""
    return f'--tags "Key=System,Value={facts.system.name}" "Key=Environment,Value=$ENV" "Key=Purpose,Value=restore"'


def _point_in_time(facts: Facts, one: Resource) -> Section:
    name = facts.name(one)
    kept = facts.text(one.layer, one.properties["BackupRetentionPeriod"])
    return Section(
        IN_TIME,
        (
            "For data that were changed or deleted by mistake. It makes a **new** instance, "
            f"`{name.replace('$ENV', '<suffix>')}-restored`, "
            f"beside the one that runs, to any second of the last {kept} days but about the last five minutes. "
            "It takes 15 to 60 minutes and more with the data; nothing happens to the running instance.\n\n"
            "Stop what writes wrong data first. Which times can be had:",
            shell(
                command(
                    f"aws rds describe-db-instances --db-instance-identifier {word(name)}",
                    "--query 'DBInstances[0].[InstanceCreateTime,LatestRestorableTime,DBInstanceStatus]' --output text",
                )
            ),
            after.WHEN,
            shell(
                after.AT,
                command(
                    "aws rds restore-db-instance-to-point-in-time",
                    f"--source-db-instance-identifier {word(name)}",
                    f"--target-db-instance-identifier {word(name + '-restored')}",
                    '--restore-time "$AT"',
                    *options(facts, one, RESTORE),
                    tags(facts),
                ),
            ),
            "Left out, these options would give AWS's defaults: the default group, one zone, no TLS settings. The key is "
            f"{_key(facts, one)}, "
            f"as in the source; no option changes it. {after.go_on()}",
        ),
        (BEFORE,),
    )


def _key(facts: Facts, one: Resource) -> str:
    if "KmsKeyId" not in one.properties:
        return "the account's `aws/rds`"
    return f"`{facts.text(one.layer, one.properties['KmsKeyId'])}`"


def _snapshot(facts: Facts, one: Resource) -> Section:
    name = facts.name(one)
    by_hand = word(name + "-by-hand")
    return Section(
        SNAPSHOT,
        (
            "Before something risky, and when the point in time is older than the automated backups. A snapshot that is made "
            "by hand stays "
            "until somebody deletes it.",
            shell(
                command(
                    f"aws rds create-db-snapshot --db-instance-identifier {word(name)}",
                    f"--db-snapshot-identifier {by_hand}",
                    tags(facts),
                ),
                f"aws rds wait db-snapshot-available --db-snapshot-identifier {by_hand}",
                command(
                    f"aws rds describe-db-snapshots --db-instance-identifier {word(name)} --output table",
                    "--query 'DBSnapshots[].[SnapshotCreateTime,DBSnapshotIdentifier,SnapshotType,KmsKeyId]'",
                ),
            ),
            f"Restoring makes a new instance too; the key is the snapshot's: {_key(facts, one)}.",
            shell(
                command(
                    f"aws rds restore-db-instance-from-db-snapshot --db-snapshot-identifier {by_hand}",
                    f"--db-instance-identifier {word(name + '-restored')}",
                    *options(facts, one, RESTORE),
                    tags(facts),
                )
            ),
            after.go_on(),
        ),
        (BEFORE,),
    )


def _after(facts: Facts, one: Resource, where: tuple[str, ...], swap: str) -> Section:
    restored = word(facts.name(one) + "-restored")
    change = (
        "print(json.dumps({'DBInstanceIdentifier': sys.argv[1], 'ApplyImmediately': True,"
        " 'MasterUserPassword': json.load(sys.stdin)['password']}))"
    )
    return Section(
        AFTER,
        (
            "It is slow at first: its blocks come from S3 when they are first read. Give it what a restore cannot:",
            shell(
                f"aws rds wait db-instance-available --db-instance-identifier {restored}",
                command(
                    f"aws rds modify-db-instance --db-instance-identifier {restored} --apply-immediately",
                    *options(facts, one, AFTERWARDS),
                ),
            ),
            "It knows the password of the time that it was restored to. Give it the secret's, by a file that only you can read "
            "and "
            "never by a command line; CloudTrail hides it:",
            shell(
                f'(umask 077 && credential | python3 -c "import json, sys; {change}" {restored} > "$NOTES/restored.json")',
                'aws rds modify-db-instance --cli-input-json "file://$NOTES/restored.json" --query DBInstance.DBInstanceStatus '
                "--output text",
                'rm "$NOTES/restored.json"',
                f"aws rds wait db-instance-available --db-instance-identifier {restored}",
            ),
            "Look at it before anybody uses it. Is what was lost there? Is what came later gone?",
            shell(
                *where,
                *after.LOOK,
            ),
            after.ways(swap),
        ),
        (BEFORE, CONNECT),
    )


def _where(restored: str) -> tuple[str, str]:
    describe = f"aws rds describe-db-instances --db-instance-identifier {restored} --output text --query"
    return (
        f"RESTORED_HOST=$({describe} 'DBInstances[0].Endpoint.Address')",
        f"RESTORED_PORT=$({describe} 'DBInstances[0].Endpoint.Port')",
    )


def _swap(facts: Facts, one: Resource) -> Section:
    name = facts.name(one)
    before, restored = word(name + "-before"), word(name + "-restored")
    plain = name.replace("$ENV", "<suffix>")
    logical = _parameters(facts, one).get("rds.logical_replication") == "1"
    slots = (
        "Replication slots are not restored: the log archive sees a new server, records a gap and begins again. "
        if logical
        else ""
    )
    rename = "aws rds modify-db-instance --apply-immediately"
    return Section(
        SWAP,
        (
            f"An endpoint's name is made of the instance's: under the name `{plain}` the restored instance has the old "
            "endpoint. Each rename "
            "takes about ten minutes and a restart; **in between nobody can connect**. Stop the applications first.",
            shell(
                f"{rename} --db-instance-identifier {word(name)} --new-db-instance-identifier {before}",
                f"aws rds wait db-instance-available --db-instance-identifier {before}",
                f"{rename} --db-instance-identifier {restored} --new-db-instance-identifier {word(name)}",
                f"aws rds wait db-instance-available --db-instance-identifier {word(name)}",
            ),
            "If the second `wait` finds nothing yet, run it again: a new name needs minutes to be known.\n\n"
            "**The secret** must say what it said before: the same `host`, `port`, `dbname` and `dbInstanceIdentifier`, and a "
            "password that "
            f"the restored instance knows ([{AFTER}]({anchor(AFTER)})). Change nothing in it by hand. Both must print "
            "the same name:",
            shell(
                "field host",
                f"aws rds describe-db-instances --db-instance-identifier {word(name)} --query "
                "'DBInstances[0].Endpoint.Address' --output text",
            ),
            "**CloudFormation** knows the instance by its name alone, so to it nothing has happened: `make plan` shows no "
            "change, and the next "
            "update goes to the restored instance. Alarms, log groups and the event subscription go by the name as well. "
            f"`make drift` must find no difference in the layer `{one.layer}`; what it finds, "
            f"[{AFTER}]({anchor(AFTER)}) left undone. Then rotate, so that the password is one that nobody has seen. "
            f"{slots}",
            shell(
                f'make plan ENV="$ENV" SYSTEM={facts.system.name}',
                f'make drift ENV="$ENV" SYSTEM={facts.system.name}',
                'aws secretsmanager rotate-secret --secret-id "$SECRET"',
            ),
            f"Keep `{plain}-before` as long as you may need a time before the swap: its automated backups stay with it, and "
            "the restored "
            "instance begins its own. When nobody needs it any more, keep a snapshot, which costs until it is deleted:",
            shell(
                command(
                    f"aws rds delete-db-instance --db-instance-identifier {before} --delete-automated-backups",
                    f"--final-db-snapshot-identifier {word(name + '-before-final')}",
                ),
            ),
        ),
        (BEFORE, CONNECT),
    )


def _parameters(facts: Facts, one: Resource) -> dict[str, str]:
    """What the instance's parameter group sets."""
    return {
        name: str(value)
        for group in facts.all("AWS::RDS::DBParameterGroup")
        if group.layer == one.layer
        for name, value in group.properties.get("Parameters", {}).items()
    }


def _tidy(facts: Facts, one: Resource) -> Section:
    name = facts.name(one)
    return Section(
        TIDY,
        (
            "What was made by hand costs as much as the database, and `make destroy` fails while it uses the subnet group. "
            "Which exist:",
            shell(
                "aws rds describe-db-instances --query "
                "'DBInstances[].[DBInstanceIdentifier,DBInstanceStatus,InstanceCreateTime]' --output text",
                command(
                    f"aws rds delete-db-instance --db-instance-identifier {word(name + '-restored')}",
                    "--skip-final-snapshot --delete-automated-backups",
                ),
                f"aws rds delete-db-snapshot --db-snapshot-identifier {word(name + '-by-hand')}",
            ),
        ),
        (BEFORE,),
    )


def targets(one: Resource, *, major: bool) -> str:
    """The command that lists the versions to which this one can be upgraded."""
    flag = "true" if major else "false"
    return command(
        f"aws rds describe-db-engine-versions --engine {one.properties['Engine']} --engine-version "
        f"{one.properties['EngineVersion']}",
        "--output text",
        f"--query 'DBEngineVersions[0].ValidUpgradeTarget[?IsMajorVersionUpgrade==`{flag}`].EngineVersion'",
    )


def _minor(facts: Facts, one: Resource) -> Section:
    window = one.properties["PreferredMaintenanceWindow"]
    deploy = f'ENV="$ENV" SYSTEM={facts.system.name}'
    return Section(
        "Minor engine upgrade",
        (
            f"{one.properties['EngineVersion']} runs; AWS does not upgrade it by itself. Read the release notes. Which "
            "versions can follow:",
            shell(targets(one, major=False)),
            f"Change the version in `{facts.sources[one.layer]}`, then `make build`, and review the difference in "
            "`templates/`. Take a snapshot "
            "by hand ([Restore from a snapshot](#restore-from-a-snapshot)).",
            shell(f"make plan {deploy}", f"make deploy {deploy}"),
            f"Both zones are upgraded together: **the database is away for some minutes**, in the maintenance window ({window} "
            "UTC), or at once "
            "where the environment sets `ApplyImmediately`. Until then it is pending, and `make drift` says so:",
            shell(
                command(
                    f"aws rds describe-db-instances --db-instance-identifier {word(facts.name(one))} --output json",
                    "--query 'DBInstances[0].[EngineVersion,PendingModifiedValues]'",
                ),
                "aws rds describe-pending-maintenance-actions --output json",
            ),
            "There is no way back to an older version but a restore.",
        ),
        (BEFORE,),
    )


def _major(facts: Facts, one: Resource) -> Section:
    restored = word(facts.name(one) + "-restored")
    group = next((facts.name(g) for g in facts.all("AWS::RDS::DBParameterGroup") if g.layer == one.layer), "")
    following = int(str(one.properties["EngineVersion"]).split(".")[0]) + 1
    return Section(
        "Major engine upgrade",
        (
            "Rehearse it on a restored copy: it is away for as long as the copy takes, and a failed one is rolled back by RDS. "
            "Which can follow:",
            shell(targets(one, major=True)),
            "What stops it, or would be lost: prepared transactions, replication slots, `reg*` columns, extensions without the "
            "new version.",
            shell(
                "psql -c 'select gid, prepared, database from pg_prepared_xacts'",
                "psql -c 'select slot_name, plugin, active from pg_replication_slots'",
                'psql -c "select attrelid::regclass, attname, format_type(atttypid, atttypmod) from pg_attribute'
                " where attrelid >= 16384 and atttypid in ('regproc'::regtype, 'regoper'::regtype, 'regconfig'::regtype)\"",
                "psql -c 'select extname, extversion from pg_extension'",
            ),
            f"Rehearse: restore a copy, then upgrade the copy. `{group.replace('$ENV', '<suffix>')}` belongs to the old major "
            "version, so the "
            "copy takes AWS's default group of the new one.",
            shell(
                f"TARGET={following}.10",
                command(
                    f'aws rds modify-db-instance --db-instance-identifier {restored} --engine-version "$TARGET"',
                    '--db-parameter-group-name "default.postgres${TARGET%%.*}"',
                    "--allow-major-version-upgrade --apply-immediately",
                ),
                not_run="behind the emulated instance stands PostgreSQL 15 only",
            ),
            "Measure how long it takes, `ANALYZE` afterwards (statistics are not carried over), and run the applications "
            "against it. Then "
            f"declare it in `{facts.sources[one.layer]}`: the version, `AllowMajorVersionUpgrade: true` for this one "
            "deployment, and a parameter "
            "group **under a new name**, since a group cannot change its family and the old one is in use until the upgrade "
            "ends. "
            "Snapshot, announce the outage, deploy with `ApplyImmediately: true`. Back is only a restore.",
        ),
        (BEFORE, CONNECT),
    )


def leak(facts: Facts) -> Section:
    """A password that somebody else knows: replaced, verified, and who used it."""
    parts: list[str | Shell] = [
        "Replace the password first, ask afterwards. Applications read the secret again when they are refused; open "
        "connections live on.",
        shell(
            "LEAKED=$(field password)",
            'VERSION=$(aws secretsmanager rotate-secret --secret-id "$SECRET" --query VersionId --output text)',
            'until aws secretsmanager describe-secret --secret-id "$SECRET" --query "VersionIdsToStages.\\"$VERSION\\"" '
            "--output text"
            " | grep -q AWSCURRENT; do sleep 2; done",
        ),
        "If it does not end within two minutes, the rotation fails: read its log, below. "
        "Verify: the leaked password must be refused, the new one taken.",
        shell(
            'if PGPASSWORD="$LEAKED" psql -c "select 1"; then echo "THE LEAKED PASSWORD STILL WORKS"; false; fi',
            "CREDENTIAL=$(credential) && PGPASSWORD=$(field password)",
            "ROTATED=$(psql -At -c 'select now()')",
        ),
        "Sessions that were opened with the leaked password still live. Look at them, then end all that are older than the "
        "rotation; applications connect again.",
        shell(
            'psql -c "select pid, client_addr, application_name, backend_start from pg_stat_activity'
            ' where usename = current_user and pid <> pg_backend_pid() order by backend_start"',
            'psql -c "select pid, pg_terminate_backend(pid) from pg_stat_activity'
            " where usename = current_user and pid <> pg_backend_pid() and backend_start < '$ROTATED'\"",
        ),
        "Who read the secret in the last day. CloudTrail's own history lags by about 15 minutes and reaches back 90 days:",
        shell(
            command(
                "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=GetSecretValue",
                '--start-time "$(ago 1440)" --output text',
                "--query 'Events[].[EventTime,Username,EventId,Resources[0].ResourceName]'",
            )
        ),
    ]
    trail = trail_log(facts)
    if trail:
        pattern = (
            '{ $.eventSource = "secretsmanager.amazonaws.com" && '
            '($.eventName = "GetSecretValue" || $.eventName = "PutSecretValue") }'
        )
        parts += [
            "The same from the trail's log group, with the address that each call came from:",
            shell(search(trail, pattern, 1440)),
        ]
    logs = [facts.name(group) for group in facts.all("AWS::Logs::LogGroup") if "/postgresql" in facts.name(group)]
    if logs:
        parts += ["Who logged in to the database, and from where:", shell(search(logs[0], '"connection authorized"', 1440))]
    rotation = next((facts.name(one) for one in facts.all("AWS::Lambda::Function") if "rotation" in facts.name(one)), "")
    if rotation:
        parts += ["What the rotation said:", shell(search(f"/aws/lambda/{rotation}", "", 60))]
    parts.append(
        "An access key that leaked instead of the password is deactivated in IAM; then look for what it did with "
        "`AttributeKey=AccessKeyId` in the first look-up. Write down the times: the investigation needs them."
    )
    return Section("Credential leak", tuple(parts), (BEFORE, CONNECT))


def trail_log(facts: Facts) -> str:
    """The log group in which the trail's calls can be searched."""
    for trail in facts.all("AWS::CloudTrail::Trail"):
        named = set(mentions(trail.properties.get("CloudWatchLogsLogGroupArn")))
        for group in facts.all("AWS::Logs::LogGroup"):
            if group.layer == trail.layer and group.title in named:
                return facts.name(group)
    return ""


def _failover(facts: Facts, one: Resource) -> Section:
    name = word(facts.name(one))
    zones = command(
        f"aws rds describe-db-instances --db-instance-identifier {name} --output text",
        "--query 'DBInstances[0].[AvailabilityZone,SecondaryAvailabilityZone]'",
    )
    return Section(
        "Failover test",
        (
            "The standby takes over by itself when the instance or its zone is lost; this shows that it does. AWS publishes 60 "
            "to 120 seconds, "
            "and nothing committed is lost. **Connections break**: do it when they may, and watch the applications come back.",
            shell(
                zones,
                "psql -c 'select pg_is_in_recovery(), now()'",
                f"aws rds reboot-db-instance --db-instance-identifier {name} --force-failover --query "
                "DBInstance.DBInstanceStatus --output text",
                f"aws rds wait db-instance-available --db-instance-identifier {name}",
                zones,
                "until psql -c 'select pg_is_in_recovery(), now()'; do sleep 1; done",
                command(
                    f"aws rds describe-events --source-type db-instance --source-identifier {name} --duration 30",
                    "--query 'Events[].[Date,Message]' --output text",
                ),
            ),
            "The two zones have changed places, the endpoint has not. The events give the outage to the second: from "
            "*Multi-AZ instance failover started* to *completed*. Write it down. Somebody must have got an e-mail.",
        ),
        (BEFORE, CONNECT),
    )
