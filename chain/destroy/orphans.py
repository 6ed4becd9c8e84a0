"""What outlives stacks: log groups made again by late logs, retained backups; and the audit that finds anything else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from chain.cloudformation.end_replication import answer
from chain.cloudformation.schedule import StoppedError
from chain.cloudformation.stack import Clients, Wait, code, describe
from chain.destroy import restore_tests
from chain.environment.stack_values import lookup, pseudo
from chain.environment.templates import Template
from chain.failover.failover_leftovers import snapshots
from model.resource_types import resource_type
from model.values import Unknown, evaluate

CALLS = {
    "LookAround": ("ec2:DescribeNatGateways", "ec2:DescribeVpcEndpoints", "tag:GetResources"),
    "KeysInTheirWaitingPeriod": ("kms:DescribeKey",),
    "SweepFindsLogGroups": ("logs:DescribeLogGroups",),
    "SweepLogGroups": ("logs:DeleteLogGroup",),
    "DescribeBackupsWithoutAName": ("rds:DescribeDBInstanceAutomatedBackups",),
    "SweepAutomatedBackups": ("rds:DeleteDBInstanceAutomatedBackup",),
    "FollowRotation": ("secretsmanager:DescribeSecret",),
    "EndReplicationOfSecrets": ("secretsmanager:DeleteSecret",),
}

PATIENCE = 90.0  # seconds; the tagging API goes on naming what was deleted for a while


@dataclass
class Names:
    """Names in one region that belong to the environment whether or not its stacks still stand."""

    groups: set[str] = field(default_factory=set)  # log groups
    databases: set[str] = field(default_factory=set)
    clusters: set[str] = field(default_factory=set)
    plans: set[str] = field(default_factory=set)  # of restore testing
    secrets: set[str] = field(default_factory=set)

    def add(self, type_: str, name: str) -> None:
        """Note what a resource of this type and name may leave behind."""
        if type_ == "AWS::Lambda::Function":
            self.groups.add(f"/aws/lambda/{name}")
        elif type_ == "AWS::Logs::LogGroup":
            self.groups.add(name)
        elif type_ == "AWS::RDS::DBInstance":
            self.databases.add(name)
        elif type_ == "AWS::RDS::DBCluster":
            self.clusters.add(name)
        elif type_ == "AWS::Backup::RestoreTestingPlan":
            self.plans.add(name)
        elif type_ == "AWS::SecretsManager::Secret":
            self.secrets.add(secret_name(name))


def secret_name(name: str) -> str:
    """A secret's name, whether it was given itself or the ARN, which ends with six characters of AWS's."""
    return name.split(":", 6)[6][:-7] if name.startswith("arn:") else name


def names(templates: Sequence[Template], suffix: str, region: str, account: str) -> Names:
    """The names that the templates give in a region: exact ones, for a pattern could meet another system's."""
    found = Names()
    for template in templates:
        known = pseudo(region, account, "", "")
        told = lookup(
            template.document, {"EnvironmentSuffix": suffix}, known, {}, lambda name, _: Unknown(f"{name} is not known")
        )
        for resource in template.resources.values():
            property_ = resource_type(resource["Type"]).named_by
            # A secret that was promoted stands where its replica was, whatever its template says.
            here = region in template.sites.values() or resource["Type"] == "AWS::SecretsManager::Secret"
            if here and property_ and property_ in resource["Properties"]:
                name = evaluate(resource["Properties"][property_], told, template.document)
                if not isinstance(name, Unknown):  # else its own stack deletes it, or the audit finds it
                    found.add(resource["Type"], str(name))
    return found


@dataclass(frozen=True)
class Leftover:
    """Something that outlives stacks, and how it is deleted."""

    text: str
    delete: Callable[[], Any]


def look(clients: Clients, region: str, found: Names, systems: Sequence[str], suffix: str) -> Iterator[Leftover]:
    """What of these names exists."""
    yield from (Leftover(text, step) for text, step in restore_tests.look(clients, region, found.plans))
    yield from _promoted(clients, region, found.secrets, systems, suffix)
    if found.databases or found.clusters:
        kinds = {"of_instances": bool(found.databases), "of_clusters": bool(found.clusters)}
        for each in snapshots(clients, region, systems, suffix, **kinds):
            yield Leftover(f"{region}  snapshot {each.name}", each.delete)
    logs = clients("logs", region)
    for prefix in sorted(found.groups | {f"/aws/rds/instance/{name}/" for name in found.databases}):
        for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
            for group in page["logGroups"]:
                name = group["logGroupName"]
                if name == prefix or prefix.endswith("/"):
                    yield Leftover(f"{region}  log group {name}", partial(logs.delete_log_group, logGroupName=name))
    if found.databases:
        rds = clients("rds", region)
        for page in rds.get_paginator("describe_db_instance_automated_backups").paginate():
            for backup in page["DBInstanceAutomatedBackups"]:
                if backup["DBInstanceIdentifier"] in found.databases and backup["Status"] == "retained":
                    delete = partial(rds.delete_db_instance_automated_backup, DbiResourceId=backup["DbiResourceId"])
                    yield Leftover(f"{region}  automated backup of {backup['DBInstanceIdentifier']}", delete)


def _promoted(clients: Clients, region: str, names: Collection[str], systems: Sequence[str], suffix: str) -> Iterator[Leftover]:
    """Secrets of our names and tags: those in no stack are replicas that a failover made secrets of their own."""
    manager = clients("secretsmanager", region)
    for name in sorted(names):
        found = answer(("ResourceNotFoundException",), manager.describe_secret, SecretId=name) or {"DeletedDate": True}
        tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
        ours = tags.get("System") in systems and tags.get("Environment") == suffix
        if ours and "DeletedDate" not in found and found.get("PrimaryRegion", region) == region:
            delete = partial(manager.delete_secret, SecretId=found["ARN"], ForceDeleteWithoutRecovery=True)
            yield Leftover(f"{region}  secret {name}", delete)


@dataclass(frozen=True)
class Audit:
    """What bears the environment's tags: things that are left, and keys that are waiting for their end."""

    left: tuple[str, ...]
    pending: tuple[tuple[str, datetime | None], ...]


def audit(clients: Clients, region: str, systems: Sequence[str], suffix: str, wait: Wait, patience: float = PATIENCE) -> Audit:
    """Look for what bears our tags, until only keys in their waiting period do or patience ends."""
    while True:
        pending: list[tuple[str, datetime | None]] = []
        left = [arn for arn in _tagged(clients, region, systems, suffix) if not _is_gone(clients, region, arn, pending)]
        if not left or wait.waited >= patience:
            return Audit(tuple(left), tuple(pending))
        try:
            wait()
        except StoppedError:
            return Audit(tuple(left), tuple(pending))


def _tagged(clients: Clients, region: str, systems: Sequence[str], suffix: str) -> Iterator[str]:
    tagging = clients("resourcegroupstaggingapi", region)
    filters = [{"Key": "System", "Values": list(systems)}, {"Key": "Environment", "Values": [suffix]}]
    for page in tagging.get_paginator("get_resources").paginate(TagFilters=filters):
        yield from (item["ResourceARN"] for item in page["ResourceTagMappingList"])


def _is_gone(clients: Clients, region: str, arn: str, pending: list[tuple[str, datetime | None]]) -> bool:
    """Whether an ARN that still bears our tags stands for nothing any more; a key in its waiting period is noted."""
    from botocore.exceptions import ClientError

    service = arn.split(":")[2]
    resource = arn.split(":", 5)[5]
    if service == "kms":
        try:
            key = clients("kms", region).describe_key(KeyId=arn)["KeyMetadata"]
        except ClientError as error:
            return code(error) == "NotFoundException"
        if key["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
            pending.append((arn, key.get("DeletionDate")))
            return True
        return False
    if service == "cloudformation":
        state = describe(clients("cloudformation", region), arn)
        return state is None or state.status == "DELETE_COMPLETE"
    kind, _, id_ = resource.partition("/")
    return service == "ec2" and kind in GHOSTS and GHOSTS[kind](clients("ec2", region), id_)


def _nat_gateway(ec2: Any, id_: str) -> bool:
    found = ec2.describe_nat_gateways(Filters=[{"Name": "nat-gateway-id", "Values": [id_]}])["NatGateways"]
    return all(each["State"] == "deleted" for each in found)


def _endpoint(ec2: Any, id_: str) -> bool:
    found = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-endpoint-id", "Values": [id_]}])["VpcEndpoints"]
    return all(each["State"].lower() == "deleted" for each in found)


GHOSTS: Mapping[str, Callable[[Any, str], bool]] = {"natgateway": _nat_gateway, "vpc-endpoint": _endpoint}
"""EC2 shows these, tags and all, for up to an hour after they are deleted."""
