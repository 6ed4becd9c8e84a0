"""Roles: named actions on named resources, assumed by whom they are for."""

from __future__ import annotations

from compliance import statements
from compliance.statements import Statement
from model import Rule
from model.view import Resource

ROLE = ("AWS::IAM::Role",)

WITHOUT_RESOURCE = frozenset(
    {
        "backup:DescribeRestoreJob",
        "backup:PutRestoreValidationResult",
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ec2:UnassignPrivateIpAddresses",
        "logs:DescribeLogGroups",
        "secretsmanager:GetRandomPassword",
        "tag:GetResources",
    }
)
"""Actions for which ``*`` is the only resource that works: AWS defines none for them in the Service Authorization Reference, or,
for the network interfaces of a function in a VPC, Lambda checks the role against ``*`` (AWS Lambda Developer Guide)."""

MANAGED = {
    "service-role/AWSBackupServiceRolePolicyForBackup": "backup.amazonaws.com",
    "service-role/AWSBackupServiceRolePolicyForRestores": "backup.amazonaws.com",
    "service-role/AmazonRDSEnhancedMonitoringRole": "monitoring.rds.amazonaws.com",
}
"""AWS's own policies that may be attached, each to a role that this service alone may assume: AWS keeps them in step with what
the service calls, and no template could name what a restore is going to make."""


def _named(role: Resource) -> tuple[str, bool]:
    found = [
        statement
        for policy in role.get("Policies") or []
        for statement in statements.statements(role.view, role.layer, policy.get("PolicyDocument"))
        if statement.allows
    ]
    attached = role.view.texts(role.layer, role.get("ManagedPolicyArns") or [])
    assuming = {service for statement in statements.of(role, "AssumeRolePolicyDocument") for _, service in statement.principals}
    fitting = all({MANAGED.get((text or "").partition(":aws:policy/")[2])} == assuming for text in attached)
    return "Policies", fitting and all(_least(statement) for statement in found)


def _least(statement: Statement) -> bool:
    wild = any("*" in action or "?" in action for action in statement.actions)
    explained = "*" not in statement.resources or (bool(statement.sid) and WITHOUT_RESOURCE.issuperset(statement.actions))
    return not wild and not statement.inverted and explained and None not in statement.resources


def _trusted(role: Resource) -> tuple[str, bool]:
    found = statements.of(role, "AssumeRolePolicyDocument")
    return "AssumeRolePolicyDocument", bool(found) and all(
        statement.allows and not statement.inverted and all(kind == "Service" for kind, _ in statement.principals)
        for statement in found
    )


least_privilege = Rule(
    "iam.least_privilege",
    "The role may do named actions on named resources; * stands only where AWS defines no resource, and the Sid says why.",
    "What a stolen credential can do is what its role may do.",
    "AWS Security Hub IAM.21; AWS Service Authorization Reference",
    ROLE,
    _named,
)
trusted_service = Rule(
    "iam.trusted_service",
    "Only AWS services may assume the role.",
    "A role that people or other accounts may assume is a second way in.",
    "AWS IAM User Guide, AWS service principals",
    ROLE,
    _trusted,
)
