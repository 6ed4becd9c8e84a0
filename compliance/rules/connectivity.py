"""What a function calls, it reaches: services through endpoints, databases and file systems through security groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliance import statements
from compliance.rules.failover import decides
from compliance.rules.rds import tables_of, without_way_out
from compliance.statements import Statement
from model import Rule
from model.architecture import group_rules, mount_targets_of
from model.view import Resource

HTTPS, NFS, POSTGRESQL, REDIS = 443, 2049, 5432, 6379
GROUPS = {
    "AWS::ElastiCache::ReplicationGroup": ("SecurityGroupIds", REDIS),
    "AWS::RDS::DBCluster": ("VpcSecurityGroupIds", POSTGRESQL),
    "AWS::RDS::DBInstance": ("VPCSecurityGroups", POSTGRESQL),
}
"""Where a database or a cache names its security groups, and the port at which it is reached."""

GROUP, ENDPOINT = "AWS::EC2::SecurityGroup", "AWS::EC2::VPCEndpoint"

NOT_CALLED = frozenset({"ec2", "elasticfilesystem", "logs"})
"""What Lambda does in the function's name from its own network (network interfaces, log events), and what is mounted."""

ENDPOINT_NAMES = {"cloudwatch": "monitoring", "kms": "kms", "states": "states"}
"""Where an endpoint is not named after the prefix of the service's actions."""


def _reached(function: Resource) -> tuple[str, bool] | None:
    subnets = function.members("VpcConfig", "SubnetIds")
    groups = [group for group in function.members("VpcConfig", "SecurityGroupIds") if group is not None]
    isolated = [subnet for subnet in subnets if subnet is not None and without_way_out(subnet)]
    calls = list(_calls(function))
    if not isolated or not calls:
        return None
    return "VpcConfig", all(
        any(
            endpoint.certain and _leads(endpoint, isolated, groups) and _lets_through(endpoint, action)
            for endpoint in function.view.resources(ENDPOINT)
            if _service(endpoint) == ENDPOINT_NAMES.get(service, service)
        )
        for service, action in calls
    )


def _calls(function: Resource) -> Iterator[tuple[str, str]]:
    """The services that the function's role lets it call itself, each with the action."""
    role = function.follow("Role")
    for policy in (role.get("Policies") if role else None) or []:
        for statement in statements.statements(function.view, role.layer if role else "", policy.get("PolicyDocument")):
            if statement.allows and statement.condition("kms:ViaService") is None:
                for action in statement.actions:
                    service = action.partition(":")[0]
                    if service not in NOT_CALLED:
                        yield service, action


def _service(endpoint: Resource) -> str:
    return (endpoint.text("ServiceName") or "").rpartition(".")[2]


def _leads(endpoint: Resource, subnets: list[Resource], groups: list[Resource]) -> bool:
    if endpoint.get("VpcEndpointType") == "Interface":
        return _lets_in(endpoint, "SecurityGroupIds", groups, HTTPS) and endpoint.true("PrivateDnsEnabled")
    routed = endpoint.members("RouteTableIds")
    tables = [table for subnet in subnets for table in tables_of(subnet)]
    out = any("DestinationPrefixListId" in rule and _on(rule, HTTPS) for group in groups for rule in _rules(group, "Egress"))
    return out and all(table is not None and any(table.is_(each) for each in routed) for table in tables)


def _peers(function: Resource) -> tuple[str, bool] | None:
    groups = [group for group in function.members("VpcConfig", "SecurityGroupIds") if group is not None]
    named = [function.view.follow(function.layer, value) for value in (function.get("Environment", "Variables") or {}).values()]
    # Whoever decides on a failover calls AWS about a database, and never the database.
    databases = [each for each in named if each is not None and each.type in GROUPS and not decides(function)]
    mounts = [function.view.follow(function.layer, mount.get("Arn")) for mount in function.get("FileSystemConfigs") or []]
    if not databases and not mounts:
        return None
    reached = all(
        _lets_in(database, property_, groups, port) for database in databases for property_, port in [GROUPS[database.type]]
    )
    return "VpcConfig.SecurityGroupIds", reached and all(_mounts(point, groups) for point in mounts)


def _mounts(point: Resource | None, groups: list[Resource]) -> bool:
    """Whether every mount target of an access point's file system lets one of the groups in."""
    files = point.follow("FileSystemId") if point is not None else None
    targets = mount_targets_of(files) if files is not None else []
    return bool(targets) and all(_lets_in(target, "SecurityGroups", groups, NFS) for target in targets)


def _lets_in(server: Resource, property_: str, groups: list[Resource], port: int) -> bool:
    """Whether one of the server's groups lets one of these in, and that one out to it."""
    own = [group for group in server.members(property_) if group is not None]
    return any(_passes(mine, theirs, port) for mine in groups for theirs in own)


def _passes(client: Resource, server: Resource, port: int) -> bool:
    leaves = any(_on(rule, port) and server.is_(_peer(client, rule, "Destination")) for rule in _rules(client, "Egress"))
    return leaves and any(_on(rule, port) and client.is_(_peer(server, rule, "Source")) for rule in _rules(server, "Ingress"))


def _rules(group: Resource, direction: str) -> Iterator[Mapping[str, Any]]:
    """The rules that a group has in every environment; each knows the layer in which it is written."""
    for by, rule in group_rules(group, direction):
        if by.certain or by.is_(group):
            yield {"Layer": by.layer, **rule}


def _peer(group: Resource, rule: Mapping[str, Any], side: str) -> Resource | None:
    return group.view.follow(rule["Layer"], rule.get(f"{side}SecurityGroupId"))


def _on(rule: Mapping[str, Any], port: int) -> bool:
    return rule.get("IpProtocol") == "tcp" and rule.get("FromPort") == rule.get("ToPort") == port


def _lets_through(endpoint: Resource, action: str) -> bool:
    found: tuple[Statement, ...] = statements.of(endpoint, "PolicyDocument")
    return any(statement.allows and statement.covers(action) for statement in found)


endpoints = Rule(
    "reach.endpoints",
    "In subnets without a way out, an endpoint serves each call of the function's role: groups, routes and its policy let it in.",
    "A function that cannot reach Secrets Manager waits until its time is over, and nothing says why.",
    "AWS PrivateLink Guide, Access AWS services through AWS PrivateLink; Gateway endpoints",
    ("AWS::Lambda::Function",),
    _reached,
)
peers = Rule(
    "reach.peers",
    "Databases and caches that the function's environment names, and file systems that it mounts, let one of its groups in.",
    "A rule that is missing on either side is a connection that hangs.",
    "Amazon VPC User Guide, Security group rules; AWS Lambda Developer Guide, Configuring Amazon EFS file system access",
    ("AWS::Lambda::Function",),
    _peers,
)
