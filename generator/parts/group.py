"""Security groups that reach nothing, until a rule of its own says what."""

from __future__ import annotations

from troposphere import Ref, Tags, ec2

from generator.template import Template

NOWHERE = "127.0.0.1/32"
"""A group without an egress rule gets one that allows everything; this one takes its place and reaches nothing."""


def closed_group(t: Template, title: str, kind: str, description: str, vpc: Ref) -> ec2.SecurityGroup:
    """A security group of the VPC without a way in or out."""
    rule = ec2.SecurityGroupRule(IpProtocol="-1", CidrIp=NOWHERE, Description="Instead of allowing everything")
    return ec2.SecurityGroup(
        title,
        GroupName=t.named(kind),
        GroupDescription=description,
        VpcId=vpc,
        SecurityGroupEgress=[rule],
        Tags=Tags(Name=t.named(kind)),
    )
