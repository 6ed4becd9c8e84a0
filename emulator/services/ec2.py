"""EC2: settings that ministack drops, and the order in which AWS lets go of what hangs together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from xml.sax.saxutils import escape

Parameters = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[Parameters], Answer]


def install() -> None:
    from ministack.services import ec2

    actions: dict[str, Action] = ec2._ACTION_MAP
    endpoint_xml = ec2._vpce_fields_xml
    ec2._vpce_fields_xml = lambda endpoint, tag="item": _endpoint_described(endpoint_xml(endpoint, tag), endpoint, tag)
    ec2._strip_descriptions = _without_descriptions
    permissions = ec2._parse_ip_permissions
    ec2._parse_ip_permissions = lambda p, prefix: _with_lists(permissions(p, prefix), p, prefix)
    zone = ec2._zone_name_for_az_id
    ec2._zone_name_for_az_id = lambda zone_id: zone(zone_id) or _zone_name(zone_id)
    for direction, member in (("Ingress", "IpPermissions"), ("Egress", "IpPermissionsEgress")):
        actions[f"UpdateSecurityGroupRuleDescriptions{direction}"] = _describing(direction, member)
    for name, wrap in {
        "CreateFlowLogs": _create_flow_logs,
        "DescribeFlowLogs": _describe_flow_logs,
        "CreateNatGateway": _create_nat,
        "DeleteNatGateway": _delete_nat,
        "DescribeNatGateways": _describe_nats,
        "CreateVpcEndpoint": _create_endpoint,
        "ModifyVpcEndpoint": _modify_endpoint,
        "DescribeVpcEndpoints": _filtered("vpc-endpoint-id", "VpcEndpointId"),
        "ModifySecurityGroupRules": _modify_rules,
        "ReleaseAddress": _guarded(_address_users, "InvalidIPAddress.InUse"),
        "DeleteSubnet": _guarded(_subnet_users),
        "DeleteSecurityGroup": _guarded(_group_users),
        "DetachInternetGateway": _guarded(_mapped_addresses),
        "DeleteInternetGateway": _guarded(_attachments),
        "DeleteRouteTable": _guarded(_associations),
    }.items():
        actions[name] = _wrapped(wrap, actions[name])


def _wrapped(wrap: Callable[[Action, Parameters], Answer], theirs: Action) -> Action:
    return lambda p: wrap(theirs, p)


def _one(p: Parameters, name: str) -> str:
    value = p.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def _several(p: Parameters, prefix: str) -> list[str]:
    found = [(int(name.rsplit(".", 1)[1]), _one(p, name)) for name in p if re.fullmatch(re.escape(prefix) + r"\.\d+", name)]
    return [value for _, value in sorted(found)]


def _text(body: Any) -> str:
    return body.decode() if isinstance(body, bytes) else str(body)


def _zone_name(zone_id: str | None) -> str | None:
    """ministack knows the zones 1 to 3 of a region; AWS has up to 6, and an account's letters are its own."""
    from ministack.core.responses import get_region

    number = re.search(r"-az([1-6])$", zone_id or "")
    return get_region() + "abcdef"[int(number[1]) - 1] if number else None


def _insert(body: Any, element: str, key: str, more: str) -> bytes:
    """``more`` behind the element that names the resource ``key``."""
    marker = f"<{element}>{key}</{element}>"
    return _text(body).replace(marker, marker + more).encode()


# Parameter -> element of a flow log's description.
FLOW_LOG = {
    "LogGroupName": "logGroupName",
    "LogDestination": "logDestination",
    "DeliverLogsPermissionArn": "deliverLogsPermissionArn",
    "LogFormat": "logFormat",
    "MaxAggregationInterval": "maxAggregationInterval",
}


def _create_flow_logs(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import ec2

    answer = theirs(p)
    for found in re.findall(r"<item>(fl-[0-9A-Za-z]+)</item>", _text(answer[2])):
        # AWS calls a flow log's tags by another type than ministack.
        ec2._parse_tag_specs(p, "vpc-flow-log", found)
        ec2._flow_logs[found]["_kept"] = {element: _one(p, name) for name, element in FLOW_LOG.items() if _one(p, name)}
    return answer


def _describe_flow_logs(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import ec2

    status, headers, body = theirs(p)
    text = re.sub(r"<logDestination>[^<]*</logDestination>", "", _text(body))
    for name, one in ec2._flow_logs.items():
        more = "".join(f"<{element}>{escape(value)}</{element}>" for element, value in one.get("_kept", {}).items())
        text = _insert(text, "flowLogId", name, more).decode()
    return status, headers, text.encode()


def _create_nat(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import ec2

    allocation = _one(p, "AllocationId")
    if allocation and allocation not in ec2._addresses:
        refusal: Answer = ec2._error("InvalidAllocationID.NotFound", f"The allocation ID '{allocation}' does not exist", 400)
        return refusal
    answer = theirs(p)
    if allocation and answer[0] < 300:
        ec2._addresses[allocation]["AssociationId"] = allocation.replace("eipalloc", "eipassoc")
    return answer


def _delete_nat(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import ec2

    nat = ec2._nat_gateways.get(_one(p, "NatGatewayId"), {})
    answer = theirs(p)
    if answer[0] < 300 and nat.get("AllocationId") in ec2._addresses:
        ec2._addresses[nat["AllocationId"]]["AssociationId"] = None
    return answer


def _filtered(name: str, parameter: str) -> Callable[[Action, Parameters], Answer]:
    """Takes a filter by id as the ids themselves: ministack ignores the filter."""

    def describe(theirs: Action, p: Parameters) -> Answer:
        numbers = [match[1] for key in p if (match := re.fullmatch(r"Filter\.(\d+)\.Name", key)) and _one(p, key) == name]
        wanted = [value for number in numbers for value in _several(p, f"Filter.{number}.Value")]
        return theirs({**p, **{f"{parameter}.{place}": [value] for place, value in enumerate(wanted, 1)}})

    return describe


def _describe_nats(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import ec2

    status, headers, body = _filtered("nat-gateway-id", "NatGatewayId")(theirs, p)
    text = _text(body).replace("<natGatewayAddressSet/>", "")
    for name, nat in ec2._nat_gateways.items():
        address = ec2._addresses.get(nat.get("AllocationId"))
        more = f"<allocationId>{nat['AllocationId']}</allocationId><publicIp>{address['PublicIp']}</publicIp>" if address else ""
        inner = f"<natGatewayAddressSet>{f'<item>{more}</item>' if more else ''}</natGatewayAddressSet>"
        text = _insert(text, "natGatewayId", name, inner).decode()
    return status, headers, text.encode()


def _create_endpoint(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import ec2

    answer = theirs(p)
    found = re.search(r"<vpcEndpointId>([^<]+)</vpcEndpointId>", _text(answer[2]))
    if answer[0] >= 300 or found is None:
        return answer
    endpoint = ec2._vpc_endpoints[found[1]]
    endpoint["Groups"] = _several(p, "SecurityGroupId")
    endpoint["PolicyDocument"] = _one(p, "PolicyDocument") or None
    endpoint["PrivateDnsEnabled"] = _one(p, "PrivateDnsEnabled").lower() == "true"
    made: Answer = ec2._xml(200, "CreateVpcEndpointResponse", ec2._vpce_fields_xml(endpoint, tag="vpcEndpoint"))
    return made


def _modify_endpoint(theirs: Action, p: Parameters) -> Answer:
    from ministack.services import ec2

    answer = theirs(p)
    endpoint = ec2._vpc_endpoints.get(_one(p, "VpcEndpointId"))
    if answer[0] >= 300 or endpoint is None:
        return answer
    gone = _several(p, "RemoveSecurityGroupId")
    endpoint["Groups"] = [group for group in endpoint.get("Groups", []) if group not in gone] + _several(p, "AddSecurityGroupId")
    if _one(p, "PrivateDnsEnabled"):
        endpoint["PrivateDnsEnabled"] = _one(p, "PrivateDnsEnabled").lower() == "true"
    if _one(p, "ResetPolicy").lower() == "true":
        endpoint["PolicyDocument"] = None
    return answer


def _endpoint_described(xml: str, endpoint: dict[str, Any], tag: str) -> str:
    groups = "".join(f"<item><groupId>{group}</groupId></item>" for group in endpoint.get("Groups", []))
    policy = endpoint.get("PolicyDocument")
    more = (
        f"<groupSet>{groups}</groupSet><privateDnsEnabled>{str(bool(endpoint.get('PrivateDnsEnabled'))).lower()}</privateDnsEnabled>"
        + (f"<policyDocument>{escape(policy)}</policyDocument>" if policy else "")
    )
    return xml.removesuffix(f"</{tag}>") + more + f"</{tag}>"


PEERS = ("IpRanges", "Ipv6Ranges", "UserIdGroupPairs", "PrefixListIds")


def _without_descriptions(rule: dict[str, Any]) -> dict[str, Any]:
    """What tells rules apart: not their descriptions, of which ministack forgets those of groups and lists."""
    kept = {name: value for name, value in rule.items() if name not in ("SecurityGroupRuleId", "Description")}
    for name in PEERS:
        kept[name] = [{key: value for key, value in peer.items() if key != "Description"} for peer in rule.get(name, [])]
    return kept


def _with_lists(rules: list[dict[str, Any]], p: Parameters, prefix: str) -> list[dict[str, Any]]:
    """Rules as they were read out of a request, with the prefix lists, which ministack leaves out."""
    for number, rule in enumerate(rules, 1):
        several = f"{prefix}.{number}.PrefixListIds."
        for place in sorted({name[len(several) :].split(".")[0] for name in p if name.startswith(several)}, key=int):
            given = {name: _one(p, f"{several}{place}.{name}") for name in ("PrefixListId", "Description")}
            rule["PrefixListIds"].append({name: value for name, value in given.items() if value})
    return rules


def _modify_rules(theirs: Action, p: Parameters) -> Answer:
    """The group that a rule refers to, under the name by which ministack looks for it."""
    own = ".ReferencedGroupId"
    return theirs({**p, **{name.removesuffix(own) + ".ReferencedGroupInfo.GroupId": p[name] for name in p if name.endswith(own)}})


def _describing(direction: str, member: str) -> Action:
    """Changes the descriptions of rules, which ministack cannot."""

    def describe(p: Parameters) -> Answer:
        from ministack.services import ec2

        group = ec2._security_groups.get(_one(p, "GroupId"))
        wanted = ec2._parse_ip_permissions(p, "IpPermissions")
        pairs = [(rule, old) for rule in wanted for old in (group or {}).get(member, []) if ec2._rules_match(rule, old)]
        if len(pairs) < len(wanted):
            refusal: Answer = ec2._error(
                "InvalidPermission.NotFound", "The specified rule does not exist in this security group.", 400
            )
            return refusal
        for rule, old in pairs:
            old.update({name: rule[name] for name in PEERS})
        answer: Answer = ec2._xml(200, f"UpdateSecurityGroupRuleDescriptions{direction}Response", "<return>true</return>")
        return answer

    return describe


def _guarded(
    users: Callable[[Parameters], Iterable[str]], code: str = "DependencyViolation"
) -> Callable[[Action, Parameters], Answer]:
    """Refuses while ``users`` of the resource exist, as AWS does."""

    def guard(theirs: Action, p: Parameters) -> Answer:
        from ministack.services import ec2

        found = sorted(users(p))
        if found:
            refusal: Answer = ec2._error(
                code, f"The resource has a dependent object and cannot be deleted: {', '.join(found)}.", 400
            )
            return refusal
        return theirs(p)

    return guard


def _live_nats() -> list[tuple[str, dict[str, Any]]]:
    from ministack.services import ec2

    return [(name, nat) for name, nat in ec2._nat_gateways.items() if nat["State"] not in ("deleting", "deleted")]


def _address_users(p: Parameters) -> Iterable[str]:
    return [name for name, nat in _live_nats() if nat.get("AllocationId") == _one(p, "AllocationId")]


def _subnet_users(p: Parameters) -> Iterable[str]:
    from ministack.services import ec2, efs, rds

    subnet = _one(p, "SubnetId")
    endpoints = [name for name, endpoint in ec2._vpc_endpoints.items() if subnet in endpoint.get("SubnetIds", [])]
    databases = [
        name
        for name, instance in rds._instances.items()
        if subnet in (one["SubnetIdentifier"] for one in instance.get("DBSubnetGroup", {}).get("Subnets", []))
    ]
    return [
        *(name for name, nat in _live_nats() if nat["SubnetId"] == subnet),
        *endpoints,
        *databases,
        *_functions("SubnetIds", subnet),
        *(name for name, target in efs._mount_targets.items() if target["SubnetId"] == subnet),
    ]


def _group_users(p: Parameters) -> Iterable[str]:
    from ministack.services import ec2, efs, rds

    group = _one(p, "GroupId")
    rules = [
        other
        for other, one in ec2._security_groups.items()
        if other != group
        and any(
            pair.get("GroupId") == group
            for permission in (*one["IpPermissions"], *one["IpPermissionsEgress"])
            for pair in permission.get("UserIdGroupPairs", [])
        )
    ]
    endpoints = [name for name, endpoint in ec2._vpc_endpoints.items() if group in endpoint.get("Groups", [])]
    holders = [*rds._instances.items(), *rds._clusters.items()]
    databases = [name for name, one in holders if group in (each["VpcSecurityGroupId"] for each in one["VpcSecurityGroups"])]
    targets = [name for name, target in efs._mount_targets.items() if group in target["SecurityGroups"]]
    return [*rules, *endpoints, *databases, *targets, *_functions("SecurityGroupIds", group)]


def _functions(member: str, name: str) -> list[str]:
    from ministack.services import lambda_svc

    return [
        one
        for one, function in lambda_svc._functions.items()
        if name in (function["config"].get("VpcConfig") or {}).get(member, [])
    ]


def _mapped_addresses(p: Parameters) -> Iterable[str]:
    return [name for name, nat in _live_nats() if nat["VpcId"] == _one(p, "VpcId") and nat.get("AllocationId")]


def _attachments(p: Parameters) -> Iterable[str]:
    from ministack.services import ec2

    return [one["VpcId"] for one in ec2._internet_gateways.get(_one(p, "InternetGatewayId"), {}).get("Attachments", [])]


def _associations(p: Parameters) -> Iterable[str]:
    from ministack.services import ec2

    found = ec2._route_tables.get(_one(p, "RouteTableId"), {}).get("Associations", [])
    return [one["SubnetId"] for one in found if one.get("SubnetId") and not one.get("Main")]
