"""What the chain calls on AWS, as the policies of people have it: a statement for each purpose, and what that is bound to.

Each module says beside its calls, in ``CALLS``, which actions it takes, by the Sid of the statement that allows them. What a
statement is bound to stands here once, for several modules share one; so does the order, which divides statements between files.
What CloudFormation calls is not here: the types that templates use ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain import drift
from chain.changes import network_interfaces
from chain.cloudformation import account, cleanup_failures, end_replication, stack
from chain.deploy import account_checks, deployment, packages, preflight, rotation, status
from chain.destroy import buckets, destruction, final_snapshots, orphans, restore_tests, vaults
from chain.failover import failover_leftovers, file_failback, function, topology
from chain.run import lock, record
from model.calls import Calls
from protocol.epoch import snapshot

DECLARED: Sequence[Mapping[str, tuple[str, ...]]] = (
    account.CALLS,
    end_replication.CALLS,
    buckets.CALLS,
    deployment.CALLS,
    destruction.CALLS,
    drift.CALLS,
    function.CALLS,
    file_failback.CALLS,
    final_snapshots.CALLS,
    orphans.CALLS,
    lock.CALLS,
    network_interfaces.CALLS,
    failover_leftovers.CALLS,
    packages.CALLS,
    preflight.CALLS,
    account_checks.CALLS,
    record.CALLS,
    restore_tests.CALLS,
    rotation.CALLS,
    stack.CALLS,
    status.CALLS,
    topology.CALLS,
    cleanup_failures.CALLS,
    vaults.CALLS,
)

BUCKET, VPC = "AWS::S3::Bucket", "AWS::EC2::VPC"
CLUSTER, INSTANCE, FILES = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::EFS::FileSystem"
FUNCTION, SECRET, TOPIC = "AWS::Lambda::Function", "AWS::SecretsManager::Secret", "AWS::SNS::Topic"
GROUP, TABLE, TRAIL = "AWS::Logs::LogGroup", "AWS::DynamoDB::Table", "AWS::CloudTrail::Trail"
VAULT, PLAN, REHEARSAL = "AWS::Backup::BackupVault", "AWS::Backup::BackupPlan", "AWS::Backup::RestoreTestingPlan"

STACKS = "cloudformation:{region}:*:stack/{system}-*"
FILE_SYSTEMS = "elasticfilesystem:{region}:*:file-system/*"
REMEMBERED = "ssm:{region}:*:parameter/{system}/*"
EPOCHS = "rds:{region}:*:snapshot:" + snapshot("*", "*")


def _calls(sid: str, on: str = "", *arns: str, reviewer: bool = False) -> Calls:
    """The actions that all modules declare for one purpose."""
    actions = {action for each in DECLARED for action in each.get(sid, ())}
    return Calls(sid, tuple(sorted(actions)), on, arns=arns, reviewer=reviewer)


DEPLOYS = (
    _calls("ReadStacks", "", STACKS, reviewer=True),
    _calls("ChangeStacks", "", STACKS),
    _calls("DescribeStacksWithoutAName", reviewer=True),  # which stand: AWS binds the question about all to no stack
    _calls("LookAround", reviewer=True),
    _calls(
        "ReadQuotas", VPC, "servicequotas:{region}:*:ec2/L-0263D0A3", "servicequotas:{region}:*:vpc/L-F678F1CE", reviewer=True
    ),
    # Of a network that would be replaced or removed: all databases, for one of another system's may stand in it.
    _calls(
        "SeeWhichDatabasesStandInNetworks",
        VPC,
        *("rds:{region}:*:cluster:*", "rds:{region}:*:db:*", "rds:{region}:*:subgrp:*"),
        reviewer=True,
    ),
    _calls("UploadPackages", BUCKET),
    _calls("CountObjectsAndEmptyBuckets", BUCKET, reviewer=True),
    _calls("FollowRotation", SECRET, reviewer=True),
    _calls("EndRotation", SECRET),
    _calls("SeeWhoConfirmed", TOPIC, reviewer=True),
    _calls("SweepLogGroups", GROUP),
    _calls("SweepFindsLogGroups", reviewer=True),
    _calls("StopTheTrail", TRAIL),
    _calls("SweepAutomatedBackups", INSTANCE),
    # The question is about those of all instances: what was ours is known by its name only when it is answered.
    _calls("DescribeBackupsWithoutAName"),
    _calls("CountRecoveryPoints", VAULT),
    # A recovery point has an ARN of the service that it was taken of; which, nobody knows before it is there.
    _calls("DeletePointsWithoutAName"),
    _calls("StopBackups"),
    _calls("EndPlans", PLAN, "backup:{region}:*:backup-plan:*"),
    _calls("EndReplicationOfObjects", BUCKET),
    _calls("EndReplicationOfSecrets", SECRET),
    _calls("EndReplicationOfFiles", FILES, FILE_SYSTEMS),
    _calls("EndGlobalDatabases", CLUSTER),
    _calls("LeaveGlobalDatabases", CLUSTER, "rds::*:global-cluster:*"),
    _calls("EndRehearsedDatabases", REHEARSAL, "rds:{region}:*:cluster:awsbackup-restore-test-*", "rds:{region}:*:db:*"),
    _calls(
        "KeepLastSnapshotsOfClusters",
        CLUSTER,
        "rds:{region}:*:cluster:{name}",
        "rds:{region}:*:cluster-snapshot:{name}-final-*",
    ),
    _calls("KeepLastSnapshotsOfInstances", INSTANCE, "rds:{region}:*:db:{name}", "rds:{region}:*:snapshot:{name}-final-*"),
    _calls("EndRehearsedTables", TABLE, "dynamodb:{region}:*:table/awsbackup-restore-test-*"),
    _calls("EndRehearsedBuckets", REHEARSAL, "s3:::awsbackup-restore-test-*", "s3:::awsbackup-restore-test-*/*"),
    # Of systems that can fail over: who writes, the way there and back, and what it leaves.
    _calls("ReadWhichSiteWrites", FUNCTION, REMEMBERED, reviewer=True),
    _calls("RememberThatItIsDestroyed", FUNCTION, REMEMBERED),
    _calls("AskForAFailover", FUNCTION, "lambda:{region}:*:function:*function-failover-*"),
    _calls("BringFilesHome", FILES, FILE_SYSTEMS),
    _calls("SweepSnapshotsOfInstances", INSTANCE, "rds:{region}:*:snapshot:*", "rds:{region}:*:db:*"),
    _calls("SweepSnapshotsOfClusters", CLUSTER, "rds:{region}:*:cluster-snapshot:*", "rds:{region}:*:cluster:*"),
    _calls("KeysInTheirWaitingPeriod", "AWS::KMS::Key", reviewer=True),
)
"""What the chain calls apart from what CloudFormation calls for it."""

OPERATES = (
    Calls(
        "FindTheFunction",
        ("cloudformation:DescribeStacks",),
        arns=("cloudformation:{region}:*:stack/{system}-failover-*",),
        here=True,
    ),
    Calls("ReadWhichSiteWrites", topology.CALLS["ReadWhichSiteWrites"], arns=(REMEMBERED,), here=True),
    Calls(
        "AskForAFailover", function.CALLS["AskForAFailover"], FUNCTION, ("function",), named=("function-failover-",), here=True
    ),
)
"""All that ``make failover`` calls, and all of ``make failback`` that AWS does; everything in the recovery region."""

FAILS_BACK = (
    Calls("FindFilesAndSecret", ("cloudformation:DescribeStacks", "cloudformation:ListStackResources"), arns=(STACKS,)),
    Calls("AskTheSites", ("lambda:InvokeFunction",), FUNCTION, ("function",), named=("-probe-", "-replica-age-")),
    Calls("LookAtTheEvidence", ("cloudwatch:DescribeAlarms",), arns=("cloudwatch:{region}:*:alarm:*",), here=True),
    Calls("TellOperators", ("sns:Publish",), TOPIC, ("topic",), here=True),
    Calls(
        "Remember",
        ("ssm:AddTagsToResource", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:PutParameter"),
        arns=(REMEMBERED,),
        here=True,
    ),
    Calls(
        "BringFilesHome",
        tuple(sorted({*file_failback.CALLS["BringFilesHome"], *end_replication.CALLS["EndReplicationOfFiles"]})),
        arns=(FILE_SYSTEMS,),
    ),
    # Whether a region answers at all is asked of all its instances; names of snapshots are AWS's lists too.
    Calls(
        "LookAtInstances",
        (*function.CALLS["LookAtInstances"], "rds:DescribeDBSnapshots"),
        arns=("rds:{region}:*:db:*", EPOCHS),
    ),
    Calls(
        "MakeInstancesAnew",
        (
            "rds:AddTagsToResource",
            "rds:CreateDBInstanceReadReplica",
            "rds:CrossRegionCommunication",
            "rds:DeleteDBInstance",
            "rds:ModifyDBInstance",
            "rds:PromoteReadReplica",
            "rds:RebootDBInstance",
        ),
        INSTANCE,
        ("db", "og"),
    ),
    Calls(
        "WithTheirParameters", ("rds:CreateDBInstanceReadReplica", "rds:ModifyDBInstance"), "AWS::RDS::DBParameterGroup", ("pg",)
    ),
    Calls("InTheirSubnets", ("rds:CreateDBInstanceReadReplica", "rds:ModifyDBInstance"), "AWS::RDS::DBSubnetGroup", ("subgrp",)),
    Calls("KeepTheirStateOfThen", ("rds:CreateDBSnapshot",), INSTANCE, ("db",)),
    Calls("InSnapshotsOfTheEpoch", ("rds:AddTagsToResource", "rds:CreateDBSnapshot"), arns=(EPOCHS,)),
    Calls(
        "PassTheMonitoringRole",
        ("iam:PassRole",),
        "AWS::IAM::Role",
        ("role",),
        named=("-monitoring-",),
        passed_to="monitoring.rds.amazonaws.com",
    ),
    Calls(
        "BringThePasswordHome",
        (
            "secretsmanager:CancelRotateSecret",
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:RemoveRegionsFromReplication",  # where one is listed still, none can be made beside it
            "secretsmanager:ReplicateSecretToRegions",
            "secretsmanager:StopReplicationToReplica",  # of a failover that was given up before it
        ),
        SECRET,
        ("Secret",),
        named=("secret-database-",),
    ),
    Calls(
        "UseKeysThroughServices",
        ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
        arns=("kms:{region}:*:key/*",),
        through=("rds", "secretsmanager", "sns"),
    ),
)
"""What a failback of a read replica calls beside it, in both regions. Most of it calls the failover function's own code, which is
run here then; it says so nowhere, so ``tests/end_to_end/test_failover_policies.py`` holds the list against what is called."""

BY_PERSON = {
    "deployer": DEPLOYS,
    "reviewer": tuple(each for each in DEPLOYS if each.reviewer),
    "operator": OPERATES,
    "failback": (*OPERATES, *FAILS_BACK),
}
"""By the kinds of person whose policies the build writes."""
