"""What CloudFormation left behind: it ends an update well although it could not delete what the update replaced or removed.

It tries three times, lets go of the resource, and says so in nothing but events and the reason of the stack's status: no later
update and no deletion of the stack comes back to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chain.cloudformation import stack as cfn
from chain.cloudformation.stack import Clients, State

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CALLS = {"LookAround": ("cloudformation:GetResource",)}

ENDED = ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
"""How an operation ends that may have left something."""

DELETIONS = {
    "AWS::EC2::InternetGateway": ("ec2", "delete-internet-gateway", "internet-gateway-id"),
    "AWS::EC2::NatGateway": ("ec2", "delete-nat-gateway", "nat-gateway-id"),
    "AWS::EC2::RouteTable": ("ec2", "delete-route-table", "route-table-id"),
    "AWS::EC2::SecurityGroup": ("ec2", "delete-security-group", "group-id"),
    "AWS::EC2::Subnet": ("ec2", "delete-subnet", "subnet-id"),
    "AWS::EC2::VPC": ("ec2", "delete-vpc", "vpc-id"),
    "AWS::EFS::MountTarget": ("efs", "delete-mount-target", "mount-target-id"),
    "AWS::ElastiCache::SubnetGroup": ("elasticache", "delete-cache-subnet-group", "cache-subnet-group-name"),
    "AWS::RDS::DBSubnetGroup": ("rds", "delete-db-subnet-group", "db-subnet-group-name"),
}
"""How parts of a network are deleted: service, command, and what takes the id. They hold no data, so ``destroy`` may."""

KINDS = {
    "subnet": "AWS::EC2::Subnet",
    "security-group": "AWS::EC2::SecurityGroup",
    "route-table": "AWS::EC2::RouteTable",
    "natgateway": "AWS::EC2::NatGateway",
    "internet-gateway": "AWS::EC2::InternetGateway",
    "vpc": "AWS::EC2::VPC",
}
"""The same by what their ARNs say, in an order in which they can be deleted."""


@dataclass(frozen=True)
class Undeleted:
    """One thing that a stack no longer holds and that is still there."""

    resource: str  # logical id
    type: str
    physical: str
    reason: str
    region: str

    def __str__(self) -> str:
        return f"{self.resource} ({self.type}) {self.physical}: {self.reason}"

    @property
    def command(self) -> str:
        """What deletes it."""
        return _command(self.type, self.physical, self.region)


def undeleted(events: Sequence[Mapping[str, Any]], stack_id: str) -> tuple[Undeleted, ...]:
    """What an operation left, by its events, newest first."""
    own = next((event for event in events if cfn.is_own(event, stack_id)), None)
    if own is None or own["ResourceStatus"] not in ENDED:
        return ()
    found: dict[str, Undeleted] = {}
    for event in reversed(events):
        physical = event.get("PhysicalResourceId", "")
        if event["ResourceStatus"] == "DELETE_FAILED" and physical:
            why = event.get("ResourceStatusReason", "")
            region = stack_id.split(":")[3]
            found[physical] = Undeleted(event["LogicalResourceId"], event["ResourceType"], physical, why, region)
        elif event["ResourceStatus"] == "DELETE_COMPLETE":
            found.pop(physical, None)
    return tuple(found.values())


def standing(clients: Clients, region: str, state: State) -> tuple[Undeleted, ...]:
    """What a stack's last operation left and what is still there. Asked only where the stack gives its status a reason."""
    if state.status not in ENDED or not state.reason:
        return ()
    left = undeleted(list(cfn.events(clients("cloudformation", region), state.id)), state.id)
    return tuple(each for each in left if _is_there(clients, region, each))


def delete(clients: Clients, found: Sequence[Undeleted]) -> dict[Undeleted, str]:
    """Delete what is part of a network; of the rest, and of what could not be deleted, why."""
    from botocore.exceptions import ClientError

    left = {each: "holds data, or is nothing that is deleted unasked" for each in found if each.type not in DELETIONS}
    todo = [each for each in found if each.type in DELETIONS]
    while todo:
        refused: dict[Undeleted, str] = {}
        for each in todo:
            service, command, name = DELETIONS[each.type]
            member = "".join(part.capitalize() for part in name.split("-")).replace("Db", "DB")
            try:
                getattr(clients(service, each.region), command.replace("-", "_"))(**{member: each.physical})
            except ClientError as error:
                if not _says_gone(error):
                    refused[each] = str(cfn.explain(error))
        if len(refused) == len(todo):
            return {**left, **refused}
        todo = list(refused)  # what bound one of them may be gone by now
    return left


def commands(arns: Sequence[str]) -> Iterator[str]:
    """What deletes the parts of a network that these ARNs name, in an order in which it works."""
    for kind, type_ in KINDS.items():
        for arn in arns:
            _, _, service, region, _, resource = arn.split(":", 5)
            if service == "ec2" and resource.startswith(f"{kind}/"):
                yield _command(type_, resource.partition("/")[2], region)


def _command(type_: str, physical: str, region: str) -> str:
    if type_ in DELETIONS:
        service, command, name = DELETIONS[type_]
        return f"aws {service} {command} --region {region} --{name} {physical}"
    return f"aws cloudcontrol delete-resource --region {region} --type-name {type_} --identifier '{physical}'"


def _is_there(clients: Clients, region: str, each: Undeleted) -> bool:
    """Whether Cloud Control finds it; where it cannot be asked, it may be."""
    from botocore.exceptions import ClientError

    try:
        clients("cloudcontrol", region).get_resource(TypeName=each.type, Identifier=each.physical)
    except ClientError as error:
        return cfn.code(error) != "ResourceNotFoundException"
    return True


def _says_gone(error: ClientError) -> bool:
    return "NotFound" in cfn.code(error)
