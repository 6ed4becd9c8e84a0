"""The network: narrow groups, separate zones, a record of who spoke to whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model import Rule
from model.view import Resource, absent_or_false

GROUP = "AWS::EC2::SecurityGroup"
FIPS = ("elasticfilesystem-fips", "kms-fips")
"""Of the services of these systems those with a FIPS endpoint in Europe; docs/fips.md lists all."""

GATEWAYS = ("GatewayId", "EgressOnlyInternetGatewayId")
"""How a route names a gateway to the internet."""

NOWHERE = "127.0.0.1/32"
"""An egress rule to this address replaces the rule that EC2 adds to a group without any: everything to everywhere."""


def _ingress(resource: Resource) -> tuple[str, bool]:
    inline = resource.get("SecurityGroupIngress") if resource.type == GROUP else [resource.properties]
    name = "SecurityGroupIngress" if resource.type == GROUP else "SourceSecurityGroupId"
    return name, isinstance(inline or [], list) and all(_narrow(rule, "Source") for rule in inline or [])


def _egress(resource: Resource) -> tuple[str, bool]:
    if resource.type == GROUP:
        inline = resource.get("SecurityGroupEgress")
        narrow = isinstance(inline, list) and bool(inline)  # without one EC2 adds a rule that lets everything out
        return "SecurityGroupEgress", narrow and all(_narrow(rule, "Destination") for rule in inline or [])
    return "DestinationSecurityGroupId", _narrow(resource.properties, "Destination")


def _narrow(rule: Any, side: str) -> bool:
    """Whether a rule is for one protocol and a range of ports, to or from a group or a prefix list."""
    if not isinstance(rule, Mapping):
        return False
    if rule.get("CidrIp") == NOWHERE and side == "Destination":
        return True
    peer = rule.get(f"{side}SecurityGroupId") or rule.get(f"{side}PrefixListId")
    ports = rule.get("IpProtocol") not in (None, "-1", -1) and rule.get("FromPort") == rule.get("ToPort") is not None
    return bool(peer) and ports and "CidrIp" not in rule and "CidrIpv6" not in rule


def _name_legal(group: Resource) -> tuple[str, bool]:
    name = group.text("GroupName")
    return "GroupName", name is not None and not name.startswith("sg-")


def _flow_logged(vpc: Resource) -> tuple[str, bool]:
    return "FlowLog.ResourceId", any(
        log.certain and vpc.is_(log.follow("ResourceId")) and log.get("TrafficType") == "ALL"
        for log in vpc.view.resources("AWS::EC2::FlowLog")
    )


def _fips(vpc: Resource) -> tuple[str, bool]:
    served = {
        (endpoint.text("ServiceName") or "").rpartition(".")[2]
        for endpoint in vpc.view.resources("AWS::EC2::VPCEndpoint")
        if endpoint.certain and vpc.is_(endpoint.follow("VpcId")) and endpoint.true("PrivateDnsEnabled")
    }
    return "VPCEndpoint.ServiceName", served.issuperset(FIPS)


def _zones_distinct(group: Resource) -> tuple[str, bool]:
    subnets = group.members("SubnetIds")
    zones = [
        str(subnet.get("AvailabilityZoneId") or subnet.get("AvailabilityZone"))
        for subnet in subnets
        if subnet is not None and (subnet.get("AvailabilityZoneId") or subnet.get("AvailabilityZone"))
    ]
    return "SubnetIds", len(subnets) >= 2 and len(zones) == len(subnets) == len(set(zones))


def _addresses_private(subnet: Resource) -> tuple[str, bool]:
    return "MapPublicIpOnLaunch", subnet.proves(absent_or_false, "MapPublicIpOnLaunch")


def _no_way_in(vpc: Resource) -> tuple[str, bool]:
    return "VPCGatewayAttachment.VpcId", not any(
        vpc.is_(attached.follow("VpcId")) or attached.follow("VpcId") is None
        for attached in vpc.view.resources("AWS::EC2::VPCGatewayAttachment")
    )


def _no_open_route(table: Resource) -> tuple[str, bool]:
    """Whether no route of a table leads to an internet gateway; one to a gateway that is not ours may."""
    return "Route.GatewayId", not any(
        table.is_(route.follow("RouteTableId")) and any(route.get(way) is not None for way in GATEWAYS)
        for route in table.view.resources("AWS::EC2::Route")
    )


ingress_narrow = Rule(
    "ec2.ingress_narrow",
    "Whatever may come in comes from a named group, on one port.",
    "A group names who may connect; an address range lets in whoever holds an address.",
    "AWS Security Hub EC2.18",
    (GROUP, "AWS::EC2::SecurityGroupIngress"),
    _ingress,
)
egress_narrow = Rule(
    "ec2.egress_narrow",
    "Whatever may go out goes to a named group or prefix list, on one port, and the group says so itself.",
    "To a group without an egress rule of its own EC2 adds one that lets everything out, whatever is attached later.",
    "AWS CloudFormation Template Reference, AWS::EC2::SecurityGroup",
    (GROUP, "AWS::EC2::SecurityGroupEgress"),
    _egress,
)
group_name_legal = Rule(
    "ec2.group_name_legal",
    "The group has a name, and it does not begin with sg-.",
    "EC2 refuses such a name when the group is created; no linter says so.",
    "Amazon EC2 API Reference, CreateSecurityGroup: GroupName",
    (GROUP,),
    _name_legal,
)
flow_logged = Rule(
    "ec2.flow_logged",
    "A flow log records all traffic of the VPC, accepted and rejected.",
    "Who spoke to whom can be told afterwards.",
    "AWS Security Hub EC2.6",
    ("AWS::EC2::VPC",),
    _flow_logged,
)
zones_distinct = Rule(
    "ec2.zones_distinct",
    "Each subnet of the group takes its zone from a value of its own.",
    "Two subnets in one zone fail together.",
    "Amazon RDS User Guide, Working with DB subnet groups",
    ("AWS::RDS::DBSubnetGroup",),
    _zones_distinct,
)
fips_reached = Rule(
    "ec2.fips_reached",
    "The network reaches the FIPS endpoints of KMS and EFS under their own names.",
    "A client that is built to call them would otherwise leave the VPC, or reach nothing.",
    "AWS KMS Developer Guide, Connecting to AWS KMS through a VPC endpoint: FIPS endpoints",
    ("AWS::EC2::VPC",),
    _fips,
)
addresses_private = Rule(
    "ec2.addresses_private",
    "The subnet gives no public address to what starts in it.",
    "What has a public address needs one wrong group to be reached from anywhere.",
    "AWS Security Hub EC2.15",
    ("AWS::EC2::Subnet",),
    _addresses_private,
)
no_gateway = Rule(
    "ec2.no_gateway",
    "No gateway joins the network to the internet.",
    "Without one no mistake in a route or a group opens a way in.",
    "AWS Config, internet-gateway-authorized-vpc-only",
    ("AWS::EC2::VPC",),
    _no_way_in,
)
no_open_route = Rule(
    "ec2.no_open_route",
    "No route of the table leads to a gateway to the internet.",
    "Whoever stands in such a subnet is a public address away from everyone.",
    "AWS Config, no-unrestricted-route-to-igw",
    ("AWS::EC2::RouteTable",),
    _no_open_route,
)
