"""What holds for every resource: it goes with its stack, and it can be counted to its system."""

from __future__ import annotations

from model import Rule
from model.view import TEMPLATE, Resource

STATEFUL = (
    "AWS::Backup::BackupVault",
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Volume",
    "AWS::EFS::FileSystem",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
)
"""Types that hold something which is lost with them."""

UNTAGGED_BY_STACK = {
    "AWS::Route53::HealthCheck": "HealthCheckTags",
    "AWS::Route53::HostedZone": "HostedZoneTags",
}
"""Types with the property of their tags that CloudFormation does not tag as it creates them (``tagOnCreate`` of their schemas):
a stack's tags may never reach them."""

OWNER_TAGS = {"System", "Environment"}


def deleted_with_stack(resource: Resource) -> bool:
    """Whether both policies say that nothing stays behind."""
    return resource.body.get("DeletionPolicy") == resource.body.get("UpdateReplacePolicy") == "Delete"


def _destroyable(resource: Resource) -> tuple[str, bool]:
    return "DeletionPolicy", deleted_with_stack(resource)


def _nothing_retained(template: Resource) -> tuple[str, bool]:
    kept = [
        f"Resources.{title}.{policy}"
        for title, resource in template.body.get("Resources", {}).items()
        for policy in ("DeletionPolicy", "UpdateReplacePolicy")
        if str(resource.get(policy)).startswith("Retain")
    ]
    return (kept or ["Resources"])[0], not kept


def _tagged(resource: Resource) -> tuple[str, bool]:
    name = UNTAGGED_BY_STACK[resource.type]
    return name, {tag["Key"] for tag in resource.get(name) or []}.issuperset(OWNER_TAGS)


destroyable = Rule(
    "resources.destroyable",
    "What it holds is deleted with its stack, and it says so.",
    "CloudFormation's default differs from type to type, and what is retained stands in the way of the next environment.",
    "requirement A-03; AWS CloudFormation User Guide, DeletionPolicy attribute",
    STATEFUL,
    _destroyable,
)
nothing_retained = Rule(
    "resources.nothing_retained",
    "The template retains nothing.",
    "Every environment can be destroyed without a manual step.",
    "requirement A-03",
    (TEMPLATE,),
    _nothing_retained,
)
tagged = Rule(
    "resources.tagged",
    "It carries the tags that its stack may not pass on: System and Environment.",
    "Costs are counted, and leftovers found, by tag.",
    "requirement A-10; AWS CloudFormation User Guide, Resource tags: propagation varies by resource type",
    tuple(UNTAGGED_BY_STACK),
    _tagged,
)
