"""What whoever fails a system over is allowed, and what a failback that makes instances anew needs beside it.

The command asks a function, which acts with its own role; only a read replica's failback deletes and makes instances, which that
role may not: the command does it with the permissions of whoever types it.
"""

from __future__ import annotations

from dataclasses import dataclass

FUNCTION, SECRET, INSTANCE = "AWS::Lambda::Function", "AWS::SecretsManager::Secret", "AWS::RDS::DBInstance"


@dataclass(frozen=True)
class Right:
    """Calls on resources of a type whose names hold ``named``, in some word or other; or on ``arns``. ``here``: at the site that
    decides alone."""

    sid: str
    actions: tuple[str, ...]
    on: str = ""
    kinds: tuple[str, ...] = ()
    named: tuple[str, ...] = ("",)
    arns: tuple[str, ...] = ()
    here: bool = True
    passed_to: str = ""
    through: tuple[str, ...] = ()


OPERATES = (
    Right("FindTheFunction", ("cloudformation:DescribeStacks",), arns=("cloudformation:{region}:*:stack/{system}-failover-*",)),
    Right("ReadWhichSiteWrites", ("ssm:GetParametersByPath",), arns=("ssm:{region}:*:parameter/{system}/*",)),
    Right(
        "AskForAFailover",
        ("lambda:GetFunctionConfiguration", "lambda:InvokeFunction"),
        FUNCTION,
        ("function",),
        ("function-failover-",),
    ),
)
"""All that ``make failover`` calls, and all of ``make failback`` that AWS does; everything in the recovery region."""

FAILS_BACK = (
    Right(
        "FindFilesAndSecret",
        ("cloudformation:DescribeStacks", "cloudformation:ListStackResources"),
        arns=("cloudformation:{region}:*:stack/{system}-*",),
        here=False,
    ),
    Right("AskTheSites", ("lambda:InvokeFunction",), FUNCTION, ("function",), ("-probe-", "-replica-age-"), here=False),
    Right("LookAtTheEvidence", ("cloudwatch:DescribeAlarms",), arns=("cloudwatch:{region}:*:alarm:*",)),
    Right("TellOperators", ("sns:Publish",), "AWS::SNS::Topic", ("topic",)),
    Right(
        "Remember",
        ("ssm:AddTagsToResource", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:PutParameter"),
        arns=("ssm:{region}:*:parameter/{system}/*",),
    ),
    Right(
        "BringFilesHome",
        (
            "elasticfilesystem:CreateReplicationConfiguration",
            "elasticfilesystem:DeleteReplicationConfiguration",
            "elasticfilesystem:DescribeReplicationConfigurations",
            "elasticfilesystem:UpdateFileSystemProtection",
        ),
        arns=("elasticfilesystem:{region}:*:file-system/*",),
        here=False,
    ),
    # Whether a region answers at all is asked of all its instances; names of snapshots are AWS's lists too.
    Right(
        "LookAtInstances",
        ("rds:DescribeDBInstances", "rds:DescribeDBSnapshots"),
        arns=("rds:{region}:*:db:*", "rds:{region}:*:snapshot:*-epoch-*"),
        here=False,
    ),
    Right(
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
        here=False,
    ),
    Right(
        "WithTheirParameters",
        ("rds:CreateDBInstanceReadReplica", "rds:ModifyDBInstance"),
        "AWS::RDS::DBParameterGroup",
        ("pg",),
        here=False,
    ),
    Right(
        "InTheirSubnets",
        ("rds:CreateDBInstanceReadReplica", "rds:ModifyDBInstance"),
        "AWS::RDS::DBSubnetGroup",
        ("subgrp",),
        here=False,
    ),
    Right("KeepTheirStateOfThen", ("rds:CreateDBSnapshot",), INSTANCE, ("db",), here=False),
    Right(
        "InSnapshotsOfTheEpoch",
        ("rds:AddTagsToResource", "rds:CreateDBSnapshot"),
        arns=("rds:{region}:*:snapshot:*-epoch-*",),
        here=False,
    ),
    Right(
        "PassTheMonitoringRole",
        ("iam:PassRole",),
        "AWS::IAM::Role",
        ("role",),
        ("-monitoring-",),
        here=False,
        passed_to="monitoring.rds.amazonaws.com",
    ),
    Right(
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
        ("secret-database-",),
        here=False,
    ),
    Right(
        "UseKeysThroughServices",
        ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
        arns=("kms:{region}:*:key/*",),
        here=False,
        through=("rds", "secretsmanager", "sns"),
    ),
)
"""What a failback of a read replica calls beside it, in both regions."""
