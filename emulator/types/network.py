"""VPCs and what stands in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from emulator.property_conversion import boolean
from emulator.resource import Aws, Delete, NotFoundError, Properties, Read, Resource, Update, changed, listed, pairs, retag


def _specification(kind: str, p: Properties) -> list[Properties]:
    tags = listed(pairs(p.get("Tags")))
    return [{"ResourceType": kind, "Tags": tags}] if tags else []


def _retag(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    ec2 = aws.client("ec2")
    retag(
        old,
        new,
        add=lambda tags: ec2.create_tags(Resources=[ref], Tags=listed(tags)),
        remove=lambda names: ec2.delete_tags(Resources=[ref], Tags=[{"Key": name} for name in names]),
    )


def _one(found: list[Properties], ref: str) -> Properties:
    """The only one; without CloudFormation's tags in the way of comparing them."""
    if not found:
        raise NotFoundError(ref)
    return {**found[0], "Tags": listed(pairs(found[0].get("Tags")))}


def _described(operation: str, ids: str, result: str) -> Read:
    def read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
        return _one(getattr(aws.client("ec2"), operation)(**{ids: [identifier[-1]]})[result], identifier[-1])

    return read


def _deleted(operation: str, member: str) -> Delete:
    return lambda aws, ref, _: getattr(aws.client("ec2"), operation)(**{member: ref})


def _again(put: Callable[[Aws, str, Properties], None]) -> Update:
    """An update that sends the changed settings again, and the tags."""

    def update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
        put(aws, ref, {name: value for name, value in new.items() if old.get(name) != value})
        _retag(aws, ref, old, new)

    return update


def _vpc(aws: Aws, p: Properties) -> str:
    kept = {name: p.get(name) for name in ("CidrBlock", "InstanceTenancy")}
    ref = aws.send("ec2", "create_vpc", {**kept, "TagSpecifications": _specification("vpc", p)})["Vpc"]["VpcId"]
    _vpc_settings(aws, ref, p)
    return str(ref)


def _vpc_settings(aws: Aws, ref: str, p: Properties) -> None:
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        if name in p:
            aws.client("ec2").modify_vpc_attribute(VpcId=ref, **{name: {"Value": boolean(p[name])}})


def _read_vpc(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    ec2, (ref,) = aws.client("ec2"), identifier
    found = _one(ec2.describe_vpcs(VpcIds=[ref])["Vpcs"], ref)
    groups = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [ref]}, {"Name": "group-name", "Values": ["default"]}]
    )
    return {
        **found,
        "EnableDnsSupport": ec2.describe_vpc_attribute(VpcId=ref, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"],
        "EnableDnsHostnames": ec2.describe_vpc_attribute(VpcId=ref, Attribute="enableDnsHostnames")["EnableDnsHostnames"][
            "Value"
        ],
        "DefaultSecurityGroup": next((group["GroupId"] for group in groups["SecurityGroups"]), None),
        "CidrBlockAssociations": [one["AssociationId"] for one in found.get("CidrBlockAssociationSet", [])],
    }


def _gateway(aws: Aws, p: Properties) -> str:
    made = aws.client("ec2").create_internet_gateway(TagSpecifications=_specification("internet-gateway", p))
    return str(made["InternetGateway"]["InternetGatewayId"])


INTERNET, VPN = "IGW", "VGW"


def _attach_gateway(aws: Aws, p: Properties) -> str:
    if "InternetGatewayId" in p:
        aws.client("ec2").attach_internet_gateway(InternetGatewayId=p["InternetGatewayId"], VpcId=p["VpcId"])
        return f"{INTERNET}|{p['VpcId']}"
    aws.client("ec2").attach_vpn_gateway(VpnGatewayId=p["VpnGatewayId"], VpcId=p["VpcId"])
    return f"{VPN}|{p['VpcId']}"


def _detach_gateway(aws: Aws, ref: str, p: Properties) -> None:
    if ref.startswith(INTERNET):
        aws.client("ec2").detach_internet_gateway(InternetGatewayId=p["InternetGatewayId"], VpcId=p["VpcId"])
    else:
        aws.client("ec2").detach_vpn_gateway(VpnGatewayId=p["VpnGatewayId"], VpcId=p["VpcId"])


def _change_gateway(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "InternetGatewayId", "VpnGatewayId"):
        _detach_gateway(aws, ref, old)
        _attach_gateway(aws, new)


def _read_attachment(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    kind, vpc = identifier
    filters = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    if kind == INTERNET:
        # The filter once more in Python: ministack ignores those it does not know.
        for gateway in aws.client("ec2").describe_internet_gateways(Filters=filters)["InternetGateways"]:
            if any(one["VpcId"] == vpc for one in gateway.get("Attachments", [])):
                return {"AttachmentType": kind, "VpcId": vpc, "InternetGatewayId": gateway["InternetGatewayId"]}
    raise NotFoundError("|".join(identifier))


def _subnet(aws: Aws, p: Properties) -> str:
    kept = {name: p.get(name) for name in ("VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId")}
    ref = aws.send("ec2", "create_subnet", {**kept, "TagSpecifications": _specification("subnet", p)})["Subnet"]["SubnetId"]
    _subnet_settings(aws, ref, p)
    return str(ref)


def _subnet_settings(aws: Aws, ref: str, p: Properties) -> None:
    if "MapPublicIpOnLaunch" in p:
        aws.client("ec2").modify_subnet_attribute(SubnetId=ref, MapPublicIpOnLaunch={"Value": boolean(p["MapPublicIpOnLaunch"])})


def _route_table(aws: Aws, p: Properties) -> str:
    made = aws.client("ec2").create_route_table(VpcId=p["VpcId"], TagSpecifications=_specification("route-table", p))
    return str(made["RouteTable"]["RouteTableId"])


DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


def _route(aws: Aws, p: Properties) -> str:
    aws.send("ec2", "create_route", p)
    return f"{p['RouteTableId']}|{_destination(p)}"


def _destination(p: Properties) -> str:
    return str(next(p[name] for name in DESTINATIONS if name in p))


def _delete_route(aws: Aws, _: str, p: Properties) -> None:
    _read_route(aws, (p["RouteTableId"], _destination(p)))
    aws.send("ec2", "delete_route", {name: value for name, value in p.items() if name == "RouteTableId" or name in DESTINATIONS})


def _read_route(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    table, destination = identifier
    for route in _one(aws.client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"], table)["Routes"]:
        if destination in (route.get(name) for name in DESTINATIONS):
            return {**route, "RouteTableId": table, "CidrBlock": destination}
    raise NotFoundError("|".join(identifier))


def _associate(aws: Aws, p: Properties) -> str:
    return str(aws.client("ec2").associate_route_table(RouteTableId=p["RouteTableId"], SubnetId=p["SubnetId"])["AssociationId"])


def _read_association(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    for page in aws.client("ec2").get_paginator("describe_route_tables").paginate():
        for table in page["RouteTables"]:
            for found in table["Associations"]:
                if found["RouteTableAssociationId"] == identifier[0]:
                    return {"Id": identifier[0], "RouteTableId": table["RouteTableId"], "SubnetId": found["SubnetId"]}
    raise NotFoundError(identifier[0])


def _address(aws: Aws, p: Properties) -> str:
    made = aws.client("ec2").allocate_address(Domain=p.get("Domain", "vpc"), TagSpecifications=_specification("elastic-ip", p))
    return str(made["PublicIp"])


def _addressed(aws: Aws, address: str) -> Properties:
    """The address; looked for by itself, since a template knows its allocation only after it was made."""
    found = [one for one in aws.client("ec2").describe_addresses()["Addresses"] if one["PublicIp"] == address]
    return _one(found, address)


def _release(aws: Aws, ref: str, _: Properties) -> None:
    aws.client("ec2").release_address(AllocationId=_addressed(aws, ref)["AllocationId"])


def _read_address(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = _addressed(aws, identifier[0])
    if len(identifier) > 1 and found["AllocationId"] != identifier[1]:
        raise NotFoundError("|".join(identifier))
    return found


def _nat(aws: Aws, p: Properties) -> str:
    kept = {name: p.get(name) for name in ("SubnetId", "AllocationId", "ConnectivityType", "PrivateIpAddress")}
    made = aws.send("ec2", "create_nat_gateway", {**kept, "TagSpecifications": _specification("natgateway", p)})
    return str(made["NatGateway"]["NatGatewayId"])


def _read_nat(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = _one(aws.client("ec2").describe_nat_gateways(NatGatewayIds=list(identifier))["NatGateways"], identifier[0])
    if found["State"] in ("deleting", "deleted"):
        raise NotFoundError(identifier[0])
    addresses = found.get("NatGatewayAddresses") or [{}]
    return {**found, "AllocationId": addresses[0].get("AllocationId")}


def _flow_log(aws: Aws, p: Properties) -> str:
    kept = {name: value for name, value in p.items() if name not in ("ResourceId", "Tags")}
    made = aws.send(
        "ec2",
        "create_flow_logs",
        {**kept, "ResourceIds": [p["ResourceId"]], "TagSpecifications": _specification("vpc-flow-log", p)},
    )
    return str(made["FlowLogIds"][0])


def _read_flow_log(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = _one(aws.client("ec2").describe_flow_logs(FlowLogIds=list(identifier))["FlowLogs"], identifier[0])
    kind = {"vpc-": "VPC", "subnet-": "Subnet", "eni-": "NetworkInterface"}
    of = next((name for prefix, name in kind.items() if found["ResourceId"].startswith(prefix)), None)
    return {**found, "Id": identifier[0], "ResourceType": of}


ENDPOINT = (
    "VpcId",
    "ServiceName",
    "VpcEndpointType",
    "PolicyDocument",
    "RouteTableIds",
    "SubnetIds",
    "SecurityGroupIds",
    "PrivateDnsEnabled",
    "IpAddressType",
)


def _endpoint(aws: Aws, p: Properties) -> str:
    made = aws.send(
        "ec2",
        "create_vpc_endpoint",
        {**{name: p.get(name) for name in ENDPOINT}, "TagSpecifications": _specification("vpc-endpoint", p)},
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def _change_endpoint(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    changes: Properties = {
        name: new[name] for name in ("PolicyDocument", "PrivateDnsEnabled") if name in new and changed(old, new, name)
    }
    if changed(old, new, "PolicyDocument") and "PolicyDocument" not in new:
        changes["ResetPolicy"] = True
    for name in ("RouteTableIds", "SubnetIds", "SecurityGroupIds"):
        had, has = set(old.get(name, [])), set(new.get(name, []))
        if has - had:
            changes[f"Add{name}"] = sorted(has - had)
        if had - has:
            changes[f"Remove{name}"] = sorted(had - has)
    if changes:
        aws.send("ec2", "modify_vpc_endpoint", {"VpcEndpointId": ref, **changes})
    _retag(aws, ref, old, new)


def _read_endpoint(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = _one(aws.client("ec2").describe_vpc_endpoints(VpcEndpointIds=list(identifier))["VpcEndpoints"], identifier[0])
    policy = found.get("PolicyDocument")
    return {
        **found,
        "Id": identifier[0],
        "PolicyDocument": json.loads(policy) if policy else None,
        "SecurityGroupIds": [group["GroupId"] for group in found.get("Groups", [])],
        "DnsEntries": [f"{one.get('HostedZoneId', '')}:{one['DnsName']}" for one in found.get("DnsEntries", [])],
    }


# The two directions of a security group: how its rules are called, and which property names the peer group and list.
INGRESS, EGRESS = "ingress", "egress"
PEERS = {
    INGRESS: ("SourceSecurityGroupId", "SourcePrefixListId"),
    EGRESS: ("DestinationSecurityGroupId", "DestinationPrefixListId"),
}
EVERYTHING = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def _permission(direction: str, rule: Properties) -> Properties:
    """A template's rule as the API wants it."""
    group, prefixes = PEERS[direction]
    note = {"Description": rule["Description"]} if "Description" in rule else {}
    made: Properties = {"IpProtocol": str(rule["IpProtocol"])}
    for name in ("FromPort", "ToPort"):
        if name in rule:
            made[name] = int(rule[name])
    if "CidrIp" in rule:
        made["IpRanges"] = [{"CidrIp": rule["CidrIp"], **note}]
    if "CidrIpv6" in rule:
        made["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **note}]
    if group in rule:
        made["UserIdGroupPairs"] = [{"GroupId": rule[group], **note}]
    if prefixes in rule:
        made["PrefixListIds"] = [{"PrefixListId": rule[prefixes], **note}]
    return made


def _rules(direction: str, permissions: list[Properties]) -> list[Properties]:
    """The API's rules as templates write them: one peer each."""
    group, prefixes = PEERS[direction]
    sources = (
        ("IpRanges", "CidrIp", "CidrIp"),
        ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"),
        ("UserIdGroupPairs", "GroupId", group),
        ("PrefixListIds", "PrefixListId", prefixes),
    )
    found = []
    for permission in permissions:
        ports: Properties = {name: permission[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in permission}
        for several, member, name in sources:
            for peer in permission.get(several, []):
                note = {"Description": peer["Description"]} if peer.get("Description") else {}
                found.append({**ports, name: peer[member], **note})
    return found


def _authorize(aws: Aws, direction: str, group: str, rule: Properties) -> Any:
    call = getattr(aws.client("ec2"), f"authorize_security_group_{direction}")
    return call(GroupId=group, IpPermissions=[_permission(direction, rule)])


def _revoke(aws: Aws, direction: str, group: str, rule: Properties) -> None:
    getattr(aws.client("ec2"), f"revoke_security_group_{direction}")(GroupId=group, IpPermissions=[_permission(direction, rule)])


def _close(aws: Aws, group: str) -> None:
    """Takes away the rule that every new group has and CloudFormation removes once a template states egress rules."""
    aws.client("ec2").revoke_security_group_egress(GroupId=group, IpPermissions=[EVERYTHING])


def _group(aws: Aws, p: Properties) -> str:
    made = aws.client("ec2").create_security_group(
        GroupName=p["GroupName"],
        Description=p["GroupDescription"],
        **({"VpcId": p["VpcId"]} if "VpcId" in p else {}),
        TagSpecifications=_specification("security-group", p),
    )
    ref = str(made["GroupId"])
    if p.get("SecurityGroupEgress"):
        _close(aws, ref)
    _group_rules(aws, ref, {}, p)
    return ref


def _group_rules(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    for direction, name in ((INGRESS, "SecurityGroupIngress"), (EGRESS, "SecurityGroupEgress")):
        had, has = old.get(name, []), new.get(name, [])
        for rule in had:
            if rule not in has:
                _revoke(aws, direction, ref, rule)
        for rule in has:
            if rule not in had:
                _authorize(aws, direction, ref, rule)


def _change_group(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    _group_rules(aws, ref, old, new)
    _retag(aws, ref, old, new)


def _read_group(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = _one(aws.client("ec2").describe_security_groups(GroupIds=list(identifier))["SecurityGroups"], identifier[0])
    return {
        **found,
        "Id": identifier[0],
        "GroupDescription": found["Description"],
        "SecurityGroupIngress": _rules(INGRESS, found.get("IpPermissions", [])),
        "SecurityGroupEgress": _rules(EGRESS, found.get("IpPermissionsEgress", [])),
    }


def _rule(direction: str) -> Resource:
    """A rule that is a resource of its own."""
    title = direction.capitalize()

    def create(aws: Aws, p: Properties) -> str:
        if direction == EGRESS:
            _close(aws, p["GroupId"])
        return str(_authorize(aws, direction, p["GroupId"], p)["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
        found = _one(
            aws.client("ec2").describe_security_group_rules(SecurityGroupRuleIds=list(identifier))["SecurityGroupRules"],
            identifier[0],
        )
        group, prefixes = PEERS[direction]
        peers = {
            "CidrIp": found.get("CidrIpv4"),
            "CidrIpv6": found.get("CidrIpv6"),
            prefixes: found.get("PrefixListId"),
            group: found.get("ReferencedGroupInfo", {}).get("GroupId"),
        }
        return {**found, **peers, "Id": identifier[0]}

    def update(aws: Aws, _ref: str, _: Properties, new: Properties) -> None:
        call = getattr(aws.client("ec2"), f"update_security_group_rule_descriptions_{direction}")
        call(GroupId=new["GroupId"], IpPermissions=[_permission(direction, new)])

    def delete(aws: Aws, ref: str, p: Properties) -> None:
        """By its id: what it says may have been changed since."""
        getattr(aws.client("ec2"), f"revoke_security_group_{direction}")(GroupId=p["GroupId"], SecurityGroupRuleIds=[ref])

    return Resource(f"AWS::EC2::SecurityGroup{title}", create, delete, read, update)


RESOURCES = (
    Resource("AWS::EC2::VPC", _vpc, _deleted("delete_vpc", "VpcId"), _read_vpc, _again(_vpc_settings)),
    Resource(
        "AWS::EC2::InternetGateway",
        _gateway,
        _deleted("delete_internet_gateway", "InternetGatewayId"),
        _described("describe_internet_gateways", "InternetGatewayIds", "InternetGateways"),
        _retag,
    ),
    Resource(
        "AWS::EC2::VPCGatewayAttachment",
        _attach_gateway,
        _detach_gateway,
        _read_attachment,
        _change_gateway,
        identify=lambda ref, _: tuple(ref.split("|")),
    ),
    Resource(
        "AWS::EC2::Subnet",
        _subnet,
        _deleted("delete_subnet", "SubnetId"),
        _described("describe_subnets", "SubnetIds", "Subnets"),
        _again(_subnet_settings),
    ),
    Resource(
        "AWS::EC2::RouteTable",
        _route_table,
        _deleted("delete_route_table", "RouteTableId"),
        _described("describe_route_tables", "RouteTableIds", "RouteTables"),
        _retag,
    ),
    Resource(
        "AWS::EC2::Route",
        _route,
        _delete_route,
        _read_route,
        lambda aws, _ref, _old, new: aws.send("ec2", "replace_route", new),
        identify=lambda ref, _: tuple(ref.split("|")),
    ),
    Resource(
        "AWS::EC2::SubnetRouteTableAssociation",
        _associate,
        _deleted("disassociate_route_table", "AssociationId"),
        _read_association,
    ),
    Resource(
        "AWS::EC2::EIP",
        _address,
        _release,
        _read_address,
        lambda aws, ref, old, new: _retag(aws, _addressed(aws, ref)["AllocationId"], old, new),
    ),
    Resource("AWS::EC2::NatGateway", _nat, _deleted("delete_nat_gateway", "NatGatewayId"), _read_nat, _retag),
    Resource(
        "AWS::EC2::FlowLog",
        _flow_log,
        lambda aws, ref, _: aws.client("ec2").delete_flow_logs(FlowLogIds=[ref]),
        _read_flow_log,
        _retag,
    ),
    Resource(
        "AWS::EC2::VPCEndpoint",
        _endpoint,
        lambda aws, ref, _: aws.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[ref]),
        _read_endpoint,
        _change_endpoint,
    ),
    Resource(
        "AWS::EC2::SecurityGroup",
        _group,
        _deleted("delete_security_group", "GroupId"),
        _read_group,
        _change_group,
        name="GroupName",
        longest=255,
    ),
    _rule(INGRESS),
    _rule(EGRESS),
)
