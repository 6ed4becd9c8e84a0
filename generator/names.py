"""The table of names: which property names a resource, where that name must be unique, and what AWS accepts.

Limits and patterns are those of the services' API references; ``check`` holds every rendered name against them with the
longest suffix, over all systems and sites together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LONGEST_SUFFIX = "s" * 16
"""What the limits are checked with: model.SUFFIX allows 16 characters."""

ACCOUNT_ID = "0" * 12


class Space(StrEnum):
    """Where a name must be unique."""

    REGION = "region"
    ACCOUNT = "account"
    PARTITION = "partition"


TAILS = {
    Space.REGION: "-${EnvironmentSuffix}",
    Space.ACCOUNT: "-${AWS::Region}-${EnvironmentSuffix}",
    Space.PARTITION: "-${EnvironmentSuffix}-${AWS::AccountId}-${AWS::Region}",
}
"""What follows the kind in a name, by the space in which it must be unique."""


@dataclass(frozen=True)
class Naming:
    """How one resource type is named: ``pattern`` matches the whole name, ``limit`` is in characters."""

    property: str
    space: Space
    pattern: str
    limit: int


_WORD = r"[A-Za-z0-9_-]+"
_PATH = r"[A-Za-z0-9_/.#-]+"
_RDS = r"[a-z](?!.*--)[a-z0-9-]*[a-z0-9]"

NAMES: Mapping[str, Naming] = {
    "AWS::Backup::BackupVault": Naming("BackupVaultName", Space.REGION, _WORD, 50),
    "AWS::Backup::RestoreTestingPlan": Naming("RestoreTestingPlanName", Space.REGION, r"[A-Za-z0-9_]+", 50),
    "AWS::Backup::RestoreTestingSelection": Naming("RestoreTestingSelectionName", Space.REGION, r"[A-Za-z0-9_]+", 50),
    "AWS::CloudTrail::Trail": Naming("TrailName", Space.ACCOUNT, r"[A-Za-z0-9](?!.*[-_.]{2})[A-Za-z0-9._-]*[A-Za-z0-9]", 128),
    "AWS::CloudWatch::Alarm": Naming("AlarmName", Space.REGION, _WORD, 255),
    "AWS::CloudWatch::CompositeAlarm": Naming("AlarmName", Space.REGION, _WORD, 255),
    "AWS::CloudWatch::Dashboard": Naming("DashboardName", Space.ACCOUNT, _WORD, 255),
    "AWS::DynamoDB::Table": Naming("TableName", Space.REGION, r"[A-Za-z0-9_.-]+", 255),
    "AWS::EC2::SecurityGroup": Naming("GroupName", Space.REGION, r"(?!sg-)[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]+", 255),
    "AWS::ElastiCache::ReplicationGroup": Naming("ReplicationGroupId", Space.REGION, _RDS, 40),
    "AWS::ElastiCache::SubnetGroup": Naming("CacheSubnetGroupName", Space.REGION, r"[a-z][a-z0-9-]*", 255),
    "AWS::ElastiCache::User": Naming("UserId", Space.REGION, _RDS, 40),
    "AWS::ElastiCache::UserGroup": Naming("UserGroupId", Space.REGION, _RDS, 40),
    "AWS::Events::Rule": Naming("Name", Space.REGION, r"[A-Za-z0-9_.-]+", 64),
    "AWS::IAM::Role": Naming("RoleName", Space.ACCOUNT, r"[A-Za-z0-9+=,.@_-]+", 64),
    "AWS::KMS::Alias": Naming("AliasName", Space.REGION, r"alias/(?!aws/)[A-Za-z0-9/_-]+", 256),
    "AWS::Lambda::Function": Naming("FunctionName", Space.REGION, _WORD, 64),
    "AWS::Logs::LogGroup": Naming("LogGroupName", Space.REGION, _PATH, 512),
    "AWS::RDS::DBCluster": Naming("DBClusterIdentifier", Space.REGION, _RDS, 63),
    "AWS::RDS::DBClusterParameterGroup": Naming("DBClusterParameterGroupName", Space.REGION, _RDS, 255),
    "AWS::RDS::DBInstance": Naming("DBInstanceIdentifier", Space.REGION, _RDS, 63),
    "AWS::RDS::DBParameterGroup": Naming("DBParameterGroupName", Space.REGION, _RDS, 255),
    "AWS::RDS::DBSubnetGroup": Naming("DBSubnetGroupName", Space.REGION, r"[a-z0-9 ._-]+", 255),
    "AWS::RDS::GlobalCluster": Naming("GlobalClusterIdentifier", Space.ACCOUNT, _RDS, 63),
    "AWS::RDS::EventSubscription": Naming("SubscriptionName", Space.REGION, _RDS, 255),
    "AWS::S3::Bucket": Naming("BucketName", Space.PARTITION, r"[a-z0-9][a-z0-9-]+[a-z0-9]", 63),
    "AWS::SNS::Topic": Naming("TopicName", Space.REGION, _WORD, 256),
    "AWS::SQS::Queue": Naming("QueueName", Space.REGION, _WORD, 80),
    "AWS::SSM::Parameter": Naming("Name", Space.REGION, r"/(?!aws|ssm)[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+", 1011),
    "AWS::SecretsManager::Secret": Naming("Name", Space.REGION, r"[A-Za-z0-9/_+=.@-]+", 512),
}


@dataclass(frozen=True)
class Named:
    """A resource's name as one site of one system will have it."""

    where: str  # system/layer.LogicalId, and the site
    type: str
    region: str
    name: str


def name_of(value: Any, region: str) -> str | None:
    """The name that a rendered property gives in ``region`` with the longest suffix; None where it is not ours to know.

    ``Join`` of a ``Split`` is how a name takes underscores, where a type allows no hyphen.
    """
    match value:
        case {"Fn::Sub": str(pattern)}:
            return name_of(pattern, region)
        case {"Fn::Join": [str(separator), parts]}:
            known = _parts(parts, region)
            return None if known is None else separator.join(known)
        case str():
            variables = {"EnvironmentSuffix": LONGEST_SUFFIX, "AWS::Region": region, "AWS::AccountId": ACCOUNT_ID}
            return re.sub(r"\$\{([^}]+)\}", lambda found: variables.get(found[1], found[0]), value)
    return None


def _parts(value: Any, region: str) -> list[str] | None:
    """The texts of a list that is joined; None where one of them is not ours to know."""
    match value:
        case {"Fn::Split": [str(separator), whole]}:
            text = name_of(whole, region)
            return None if text is None else text.split(separator)
        case list():
            texts = [name_of(part, region) for part in value]
            return None if None in texts else [text or "" for text in texts]
    return None


def check(names: Iterable[Named]) -> list[str]:
    """Say of each name that AWS would refuse, or that two resources would share, what is wrong with it."""
    problems = []
    taken: dict[tuple[str, ...], Named] = {}
    for named in names:
        naming = NAMES[named.type]
        if len(named.name) > naming.limit:
            problems.append(
                f"{named.where}: {naming.property} {named.name!r} has {len(named.name)} characters with the longest suffix; "
                f"{named.type} allows {naming.limit}"
            )
        if not re.fullmatch(naming.pattern, named.name):
            problems.append(f"{named.where}: {naming.property} {named.name!r} does not match {naming.pattern} of {named.type}")
        key = (named.type, named.name, named.region if naming.space is Space.REGION else "")
        other = taken.setdefault(key, named)
        if other is not named:
            problems.append(
                f"{named.where}: {naming.property} {named.name!r} is taken by {other.where}; "
                f"a {named.type} must be unique in its {naming.space}"
            )
        if naming.space is Space.PARTITION and not (ACCOUNT_ID in named.name and named.region in named.name):
            problems.append(
                f"{named.where}: {naming.property} {named.name!r} names no account or no region; somebody else in the "
                f"{naming.space} may have it already"
            )
    return problems
