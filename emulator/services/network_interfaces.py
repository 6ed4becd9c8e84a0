"""EC2: the network interfaces of what stands in a VPC, which ministack does not make, and the filters by which they are found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from emulator.services.rds_api import Answer, Parameters, Record

FILTERS: Mapping[str, Callable[[Record], list[str]]] = {
    "description": lambda each: [each["Description"]],
    "group-id": lambda each: [group["GroupId"] for group in each["Groups"]],
    "interface-type": lambda each: [each["InterfaceType"]],
    "network-interface-id": lambda each: [each["NetworkInterfaceId"]],
    "requester-id": lambda each: [each.get("RequesterId", "")],
    "status": lambda each: [each["Status"]],
    "subnet-id": lambda each: [each["SubnetId"]],
    "vpc-id": lambda each: [each["VpcId"]],
}


def install() -> None:
    from ministack.services import ec2

    ec2._ACTION_MAP["DescribeNetworkInterfaces"] = describe


def describe(p: Parameters) -> Answer:
    """All that match every filter; a filter that is not known here is refused, for to ignore it would show too much."""
    from ministack.services import ec2

    filters = ec2._parse_filters(p)
    unknown = sorted(filters.keys() - FILTERS.keys())
    if unknown:
        refusal: Answer = ec2._error("InvalidParameterValue", f"The filter '{unknown[0]}' is invalid", 400)
        return refusal
    ids = ec2._parse_member_list(p, "NetworkInterfaceId")
    found = [
        each
        for each in (*ec2._network_interfaces.values(), *_standing())
        if (not ids or each["NetworkInterfaceId"] in ids)
        and all(set(FILTERS[name](each)) & set(values) for name, values in filters.items())
    ]
    items = "".join(ec2._eni_fields_xml({**each, "Description": escape(each["Description"])}) for each in found)
    answer: Answer = ec2._xml(200, "DescribeNetworkInterfacesResponse", f"<networkInterfaceSet>{items}</networkInterfaceSet>")
    return answer


def _standing() -> Iterator[Record]:
    """The interfaces that services make: described as they describe them."""
    from ministack.services import ec2, efs, elasticache, lambda_svc, rds

    for name, instance in rds._instances.items():
        subnets = [one["SubnetIdentifier"] for one in (instance.get("DBSubnetGroup") or {}).get("Subnets", ())]
        groups = [each["VpcSecurityGroupId"] for each in instance["VpcSecurityGroups"]]
        if instance["DBInstanceStatus"] != "stopped":  # the server that bore it is gone then
            yield from _interface(f"rds {name}", subnets[:1], groups, "interface", "RDSNetworkInterface")
    for name, target in efs._mount_targets.items():
        text = f"EFS mount target for {target['FileSystemId']} ({name})"
        yield from _interface(target["NetworkInterfaceId"], [target["SubnetId"]], target["SecurityGroups"], "interface", text)
    for name, cluster in elasticache._clusters.items():
        group = elasticache._subnet_groups.get(cluster.get("CacheSubnetGroupName"), {})
        subnets = [one["SubnetIdentifier"] for one in group.get("Subnets", ())]
        yield from _interface(f"cache {name}", subnets[:1], _groups(cluster), "interface", f"ElastiCache {name}")
    for name, function in lambda_svc._functions.items():
        config = function["config"].get("VpcConfig") or {}
        subnets, groups = config.get("SubnetIds", []), config.get("SecurityGroupIds", [])
        yield from _interface(f"lambda {name}", subnets, groups, "lambda", f"AWS Lambda VPC ENI-{name}")
    for name, endpoint in ec2._vpc_endpoints.items():
        text = f"VPC Endpoint Interface {name}"
        yield from _interface(name, endpoint.get("SubnetIds", []), endpoint.get("Groups", []), "vpc_endpoint", text)
    for name, nat in ec2._nat_gateways.items():
        if nat["State"] not in ("deleting", "deleted"):
            yield from _interface(name, [nat["SubnetId"]], [], "nat_gateway", f"Interface for NAT Gateway {name}")


def _groups(cluster: Mapping[str, Any]) -> list[str]:
    return [each["SecurityGroupId"] if isinstance(each, dict) else each for each in cluster.get("SecurityGroups", ())]


def _interface(of: str, subnets: list[str], groups: list[str], kind: str, description: str) -> Iterator[Record]:
    """One in each of the subnets that are known."""
    from ministack.core.responses import get_account_id
    from ministack.services import ec2

    for subnet in subnets:
        place = ec2._subnets.get(subnet)
        if place is None:
            continue
        digest = hashlib.sha256(f"{of} {subnet}".encode()).hexdigest()
        yield {
            "NetworkInterfaceId": of if of.startswith("eni-") else f"eni-{digest[:17]}",
            "SubnetId": subnet,
            "VpcId": place["VpcId"],
            "AvailabilityZone": place["AvailabilityZone"],
            "Description": description,
            "OwnerId": get_account_id(),
            "Status": "in-use",
            "PrivateIpAddress": "10.0.0.4",
            "InterfaceType": kind,
            "MacAddress": "02:00:00:00:00:01",
            "Groups": [
                {"GroupId": each, "GroupName": ec2._security_groups.get(each, {}).get("GroupName", each)} for each in groups
            ],
        }
