"""Restores by hand of what is no database server: tables, buckets, file systems, and what AWS Backup keeps of all."""

from __future__ import annotations

from collections.abc import Iterator

from documents.runbooks.chain import BEFORE
from documents.runbooks.facts import Facts, Resource
from documents.runbooks.page import Section, Shell, command, shell, word
from documents.runbooks.restored_database import AT, WHEN
from model.resource_types import resource_type

VAULT = "AWS::Backup::BackupVault"
TABLE, OBJECTS, FILES, POINTS = "Restore the table", "Bring objects back", "Restore files", "Recovery points"
ROLE = "RestoreRoleArn"
"""The output that names the role with which AWS Backup restores by hand."""


def sections(facts: Facts) -> Iterator[Section]:
    """One for each kind that the site has."""
    for one in facts.all("AWS::DynamoDB::Table"):
        yield _table(facts, one)
    for one in facts.all("AWS::S3::Bucket"):
        if one.properties.get("VersioningConfiguration", {}).get("Status") == "Enabled" and _offered(facts, one, "BucketName"):
            yield _objects(facts, one)
    for one in facts.all("AWS::EFS::FileSystem"):
        if _role(facts):
            yield _files(facts, one)
    for one in facts.all(VAULT)[:1]:
        yield _vault(facts, one)


def _offered(facts: Facts, one: Resource, output: str) -> bool:
    """Whether the layer offers this output of the resource; the bucket of packages and that of a trail hold nobody's data."""
    offered = facts.documents[one.layer].get("Outputs", {}).get(output, {}).get("Value")
    return offered == {"Ref": one.title} and one.layer not in ("artifacts", "audit")


def _role(facts: Facts) -> str:
    """The command that prints the ARN of the role with which AWS Backup restores; empty where there is none."""
    found = [layer for layer, document in facts.documents.items() if ROLE in document.get("Outputs", {})]
    return f"$(output {found[0]} {ROLE})" if found else ""


def _table(facts: Facts, one: Resource) -> Section:
    name = facts.name(one)
    restored = word(name + "-restored")
    key = one.properties.get("SSESpecification", {}).get("KMSMasterKeyId")
    sse = [f'--sse-specification-override "Enabled=true,SSEType=KMS,KMSMasterKeyId={facts.text(one.layer, key)}"'] if key else []
    (partition, *_) = one.properties["KeySchema"]
    split = "import json, sys; [print(json.dumps(item)) for item in json.load(sys.stdin)]"
    return Section(
        TABLE,
        (
            "To any second of the last 35 days, as a **new** table; the key must be named, or AWS's own is taken. "
            "Streams, tags, alarms, time-to-live and the point-in-time recovery itself are not restored. Which times can be had:",
            shell(
                command(
                    f"aws dynamodb describe-continuous-backups --table-name {word(name)} --output json",
                    "--query ContinuousBackupsDescription.PointInTimeRecoveryDescription",
                )
            ),
            WHEN,
            shell(
                AT,
                command(
                    f"aws dynamodb restore-table-to-point-in-time --source-table-name {word(name)}",
                    f"--target-table-name {restored}",
                    '--restore-date-time "$AT"',
                    *sse,
                    "--query TableDescription.TableStatus --output text",
                ),
                f"aws dynamodb wait table-exists --table-name {restored}",
            ),
            "A table cannot be renamed, so what was lost goes into the table that the template declares; CloudFormation notices "
            "nothing. Items that are there stay as they are: each that was changed needs a decision. This is for thousands of "
            "items; for millions, export the restored table to S3 and load from there.",
            shell(
                command(
                    f"aws dynamodb scan --table-name {restored} --output json --query Items | python3 -c '{split}' |",
                    "while read -r ITEM; do",
                    f'aws dynamodb put-item --table-name {word(name)} --item "$ITEM" '
                    f"--condition-expression 'attribute_not_exists({partition['AttributeName']})' 2> \"$NOTES/refused.txt\" ||"
                    ' grep -q ConditionalCheckFailedException "$NOTES/refused.txt" || break; done',
                ),
                'rm -f "$NOTES/refused.txt"',
                f"aws dynamodb scan --table-name {word(name)} --select COUNT --query Count --output text",
            ),
            "Then the restored table goes; it costs as much as the other:",
            shell(f"aws dynamodb delete-table --table-name {restored} --query TableDescription.TableStatus --output text"),
        ),
        (BEFORE,),
    )


def _objects(facts: Facts, one: Resource) -> Section:
    kept = next(
        (
            rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
            for rule in one.properties.get("LifecycleConfiguration", {}).get("Rules", ())
            if "Prefix" not in rule and "NoncurrentVersionExpiration" in rule
        ),
        "no number of",
    )
    cold = next(
        (
            each["TransitionInDays"]
            for rule in one.properties.get("LifecycleConfiguration", {}).get("Rules", ())
            for each in rule.get("NoncurrentVersionTransitions", ())
        ),
        None,
    )
    listed = 'aws s3api list-object-versions --bucket "$BUCKET" --prefix "$PREFIX" --output text --query'
    parts: list[str | Shell] = [
        f"What is overwritten or deleted stays as an older version, for {kept} days. Say in `PREFIX` what the keys begin with, "
        "`PREFIX=reports/2026-03`. What there is of them:",
        shell(
            ': "${PREFIX:?say what the keys begin with}"',
            f"BUCKET={facts.text(one.layer, {'Ref': one.title})}",
            f"{listed} 'Versions[].[Key,VersionId,LastModified,IsLatest,StorageClass]'",
            f"{listed} 'DeleteMarkers[].[Key,VersionId,LastModified,IsLatest]'",
        ),
        "**Deleted** objects are there again when the marker that hides them is deleted:",
        shell(
            f"{listed} 'DeleteMarkers[?IsLatest].[Key,VersionId]' | while read -r KEY VERSION; do "
            '[ "$KEY" = None ] || aws s3api delete-object --bucket "$BUCKET" --key "$KEY" --version-id "$VERSION" '
            "--output text; done",
        ),
        "**Overwritten** ones: the right version is copied over the latest, which becomes an older one itself. Say which, in "
        "`KEY` and `VERSION`, of the list above. Above 5 GB, use `aws s3 cp`, which copies in parts.",
        shell(
            ': "${KEY:?say the key of the object}" "${VERSION:?say which of its versions is right}"',
            command(
                'aws s3api copy-object --bucket "$BUCKET" --key "$KEY" --copy-source "$BUCKET/$KEY?versionId=$VERSION"',
                "--query CopyObjectResult.LastModified --output text",
            ),
            'aws s3api head-object --bucket "$BUCKET" --key "$KEY" --query "[LastModified,ServerSideEncryption]" --output text',
        ),
    ]
    if cold:
        parts += [
            f"After {cold} days older versions are in Glacier, `GLACIER` above: have them brought back for a week first, which "
            "takes 3 to 5 hours, then copy.",
            shell(
                command(
                    'aws s3api restore-object --bucket "$BUCKET" --key "$KEY" --version-id "$VERSION"',
                    "--restore-request 'Days=7,GlacierJobParameters={Tier=Standard}'",
                ),
                not_run="nothing is in Glacier in the emulator, where no day passes",
            ),
        ]
    return Section(OBJECTS, tuple(parts), (BEFORE,))


def _files(facts: Facts, one: Resource) -> Section:
    arn = facts.output("AWS::EFS::FileSystem", "Arn")
    key = facts.text(one.layer, one.properties["KmsKeyId"])
    job = 'aws backup describe-restore-job --restore-job-id "$JOB" --output text --query'
    group = next(each for each in facts.all("AWS::EFS::MountTarget") if each.layer == one.layer)
    return Section(
        FILES,
        (
            "AWS Backup restores a file system into a **new** one beside it, which nobody reads yet. The newest recovery point; "
            "`[-1]` is the newest, `[-2]` the one before:",
            shell(
                f"FILES={facts.text(one.layer, {'Ref': one.title})}",
                command(
                    f'aws backup list-recovery-points-by-resource --resource-arn "{arn}" --output text',
                    "--query 'sort_by(RecoveryPoints,&CreationDate)[].[CreationDate,Status,RecoveryPointArn]'",
                ),
                command(
                    f'POINT=$(aws backup list-recovery-points-by-resource --resource-arn "{arn}" --output text',
                    "--query 'sort_by(RecoveryPoints,&CreationDate)[-1].RecoveryPointArn')",
                ),
            ),
            "The key must be named, or EFS takes its own. The role is that of the rehearsals.",
            shell(
                command(
                    'JOB=$(aws backup start-restore-job --recovery-point-arn "$POINT"',
                    f'--iam-role-arn "{_role(facts)}"',
                    '--metadata "file-system-id=$FILES,newFileSystem=true,CreationToken=restore-$(date +%s),Encrypted=true,'
                    f'KmsKeyId={key},PerformanceMode=generalPurpose"',
                    "--query RestoreJobId --output text)",
                ),
                f"until {job} Status | grep -E 'COMPLETED|FAILED|ABORTED'; do sleep 5; done",
                f"{job} '[Status,StatusMessage,CreatedResourceArn]'",
                f"RESTORED=$({job} CreatedResourceArn | sed 's|.*/||')",
            ),
            "The files are in its folder `aws-backup-restore_<time>`. Give it a mount target, mount it beside the other and copy "
            "what was lost, with the owners (`rsync -a`):",
            shell(
                command(
                    'TARGET=$(aws efs create-mount-target --file-system-id "$RESTORED"',
                    '--subnet-id "$(aws efs describe-mount-targets --file-system-id "$FILES" '
                    "--query 'MountTargets[0].SubnetId' "
                    '--output text)"',
                    f"--security-groups {' '.join(map(word, facts.texts(group.layer, group.properties['SecurityGroups'])))}",
                    "--query MountTargetId --output text)",
                ),
                'aws efs describe-mount-targets --file-system-id "$RESTORED" --query '
                "'MountTargets[].[LifeCycleState,IpAddress]' --output text",
            ),
            "It costs as much as the other until it goes; its mount target first, which takes a minute:",
            shell(
                'aws efs delete-mount-target --mount-target-id "$TARGET"',
                'until [ "$(aws efs describe-mount-targets --file-system-id "$RESTORED" '
                "--query 'length(MountTargets)' --output text)\""
                " = 0 ]; do sleep 5; done",
                'aws efs delete-file-system --file-system-id "$RESTORED"',
            ),
        ),
        (BEFORE,),
    )


BACKED_UP = ("AWS::RDS::DBCluster", "AWS::DynamoDB::Table", "AWS::RDS::DBInstance", "AWS::EFS::FileSystem")
"""What plans name; the account has to be opted in to each, in each region."""


def _vault(facts: Facts, one: Resource) -> Section:
    name = facts.name(one)
    wanted = [
        f"aws backup update-region-settings --resource-type-opt-in-preference {resource_type(type_).backup}=true"
        for type_ in BACKED_UP
        if _backed_up(facts, type_)
    ]
    testing = facts.all("AWS::Backup::RestoreTestingPlan")
    rehearsed: list[str | Shell] = (
        [
            "How long the rehearsals took is the measured restore time; what the objectives rest on:",
            shell(
                command(
                    "aws backup list-restore-jobs --output text --by-restore-testing-plan-arn",
                    f'"{facts.output("AWS::Backup::RestoreTestingPlan", "Arn")}"',
                    "--query 'RestoreJobs[].[ResourceType,Status,ValidationStatus,CreationDate,CompletionDate]'",
                )
            ),
        ]
        if testing
        else []
    )
    return Section(
        POINTS,
        (
            "What AWS Backup keeps, and whether its jobs end well. The absence of completed jobs has an alarm of its own.",
            shell(
                command(
                    f"aws backup list-recovery-points-by-backup-vault --backup-vault-name {word(name)} --output text",
                    "--query 'RecoveryPoints[].[CreationDate,ResourceType,Status,RecoveryPointArn]'",
                ),
                "aws backup list-backup-jobs --output text --query "
                "'BackupJobs[].[CreationDate,ResourceType,State,StatusMessage]'",
            ),
            "A type that the **account** is not opted in to in this region is left out of every plan without an error; Aurora is "
            "not at first. `make plan` says so. It is a setting of the account, so nothing here changes it but you:",
            shell(
                "aws backup describe-region-settings --query ResourceTypeOptInPreference --output json",
                *wanted,
            ),
            *rehearsed,
            "To restore one by AWS Backup, start a job as in [Restore files](#restore-files), with what `aws backup "
            "get-recovery-point-restore-metadata` says, and with the subnet group, security groups and keys of the templates "
            "put in."
            if facts.all("AWS::EFS::FileSystem") and _role(facts)
            else "A restored resource is new, and comes back like one that was restored by hand.",
        ),
        (BEFORE,),
    )


def _backed_up(facts: Facts, type_: str) -> bool:
    """Whether AWS Backup is to keep what is of this type: a member of a cluster is kept with the cluster."""
    if not facts.all("AWS::Backup::BackupSelection"):
        return False
    return any("DBClusterIdentifier" not in one.properties or type_ != "AWS::RDS::DBInstance" for one in facts.all(type_))
