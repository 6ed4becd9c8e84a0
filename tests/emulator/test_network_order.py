"""What hangs together in a VPC goes in the order that AWS asks for."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def test_a_vpc_comes_apart_from_its_leaves(aws: Emulator) -> None:
    ec2 = aws.client("ec2", "eu-west-1")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]

    assert refusal(ec2.release_address, AllocationId=address) == "InvalidIPAddress.InUse"
    assert refusal(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    assert refusal(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc) == "DependencyViolation"
    assert refusal(ec2.delete_internet_gateway, InternetGatewayId=gateway) == "DependencyViolation"
    assert refusal(ec2.delete_route_table, RouteTableId=table) == "DependencyViolation"
    assert refusal(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"

    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.release_address(AllocationId=address)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_a_security_group_stays_while_another_one_names_it(aws: Emulator) -> None:
    ec2 = aws.client("ec2", "eu-west-1")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    one = ec2.create_security_group(GroupName="one", Description="one", VpcId=vpc)["GroupId"]
    other = ec2.create_security_group(GroupName="other", Description="other", VpcId=vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": one}]}
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[rule])
    assert refusal(ec2.delete_security_group, GroupId=one) == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=[rule])
    ec2.delete_security_group(GroupId=one)


def test_the_groups_of_a_database_stay_while_it_stands(aws: Emulator) -> None:
    rds = aws.client("rds", "eu-west-1")
    rds.create_db_parameter_group(DBParameterGroupName="used", DBParameterGroupFamily="mysql8.0", Description="x")
    rds.create_db_instance(
        DBInstanceIdentifier="using", Engine="mysql", DBInstanceClass="db.r6g.large", DBParameterGroupName="used"
    )
    assert refusal(rds.delete_db_parameter_group, DBParameterGroupName="used") == "InvalidDBParameterGroupState"
    rds.delete_db_instance(DBInstanceIdentifier="using", SkipFinalSnapshot=True)
    rds.delete_db_parameter_group(DBParameterGroupName="used")


def test_a_nat_gateway_needs_an_address_that_exists(aws: Emulator) -> None:
    ec2 = aws.client("ec2", "eu-west-1")
    assert refusal(ec2.create_nat_gateway, SubnetId="subnet-1", AllocationId="eipalloc-none") == "InvalidAllocationID.NotFound"


@pytest.mark.parametrize("zone", [f"use1-az{number}" for number in range(1, 7)])
def test_a_subnet_stands_in_the_zone_that_was_named(aws: Emulator, zone: str) -> None:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZoneId=zone)["Subnet"]
    assert subnet["AvailabilityZoneId"] == zone


def test_nat_gateways_and_endpoints_are_found_by_a_filter(aws: Emulator) -> None:
    ec2 = aws.client("ec2", "eu-west-3")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    nats = [ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"] for _ in range(2)]
    service = "com.amazonaws.eu-west-3.s3"
    endpoints = [ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service)["VpcEndpoint"]["VpcEndpointId"] for _ in range(2)]
    found = ec2.describe_nat_gateways(Filters=[{"Name": "nat-gateway-id", "Values": nats[:1]}])["NatGateways"]
    assert [one["NatGatewayId"] for one in found] == nats[:1]
    found = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-endpoint-id", "Values": endpoints[1:]}])["VpcEndpoints"]
    assert [one["VpcEndpointId"] for one in found] == endpoints[1:]
    assert ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-endpoint-id", "Values": ["vpce-none"]}])["VpcEndpoints"] == []


def test_what_stands_in_a_network_has_interfaces_and_is_found_by_them(aws: Emulator) -> None:
    ec2, efs, rds = (aws.client(each, "eu-west-2") for each in ("ec2", "efs", "rds"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    one, two = (
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"eu-west-2{zone}")["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    )
    group = ec2.create_security_group(GroupName="borne", Description="borne", VpcId=vpc)["GroupId"]
    rds.create_db_subnet_group(DBSubnetGroupName="found", DBSubnetGroupDescription="x", SubnetIds=[one, two])
    rds.create_db_instance(
        DBInstanceIdentifier="found",
        Engine="mysql",
        DBInstanceClass="db.r6g.large",
        DBSubnetGroupName="found",
        VpcSecurityGroupIds=[group],
    )
    files = efs.create_file_system(CreationToken="found")["FileSystemId"]
    target = efs.create_mount_target(FileSystemId=files, SubnetId=two, SecurityGroups=[group])

    def found(**filters: str) -> set[str]:
        given = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        pages = ec2.get_paginator("describe_network_interfaces").paginate(Filters=given)
        return {each["Description"] for page in pages for each in page["NetworkInterfaces"]}

    mounted = f"EFS mount target for {files} ({target['MountTargetId']})"
    assert found(vpc_id=vpc) == found(group_id=group) == {"RDSNetworkInterface", mounted}
    assert found(subnet_id=two, group_id=group) == {mounted}
    assert found(vpc_id="vpc-0123456789abcdef0") == set()
    assert refusal(ec2.describe_network_interfaces, Filters=[{"Name": "vpc", "Values": [vpc]}]) == "InvalidParameterValue"
    rds.stop_db_instance(DBInstanceIdentifier="found")
    assert found(vpc_id=vpc) == {mounted}, "a database that is stopped has none"
