"""IAM roles."""

from __future__ import annotations

import json

from emulator.resource import Aws, Properties, Resource, changed, listed, pairs, retag


def _create(aws: Aws, p: Properties) -> str:
    name = p["RoleName"]
    scalars = ("RoleName", "Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "AssumeRolePolicyDocument")
    aws.send("iam", "create_role", {**{key: p.get(key) for key in scalars}, "Tags": listed(pairs(p.get("Tags"))) or None})
    _policies(aws, name, {}, p)
    return str(name)


def _policies(aws: Aws, role: str, old: Properties, new: Properties) -> None:
    iam = aws.client("iam")
    before, after = set(old.get("ManagedPolicyArns", [])), set(new.get("ManagedPolicyArns", []))
    for arn in sorted(before - after):
        iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    for arn in sorted(after - before):
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    had = {policy["PolicyName"]: policy["PolicyDocument"] for policy in old.get("Policies", [])}
    has = {policy["PolicyName"]: policy["PolicyDocument"] for policy in new.get("Policies", [])}
    for name in sorted(had.keys() - has.keys()):
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    for name, document in has.items():
        if had.get(name) != document:
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    iam = aws.client("iam")
    if changed(old, new, "AssumeRolePolicyDocument"):
        iam.update_assume_role_policy(RoleName=ref, PolicyDocument=json.dumps(new["AssumeRolePolicyDocument"]))
    if changed(old, new, "Description", "MaxSessionDuration"):
        iam.update_role(
            RoleName=ref, Description=new.get("Description", ""), MaxSessionDuration=int(new.get("MaxSessionDuration", 3600))
        )
    if changed(old, new, "PermissionsBoundary"):
        if "PermissionsBoundary" in new:
            iam.put_role_permissions_boundary(RoleName=ref, PermissionsBoundary=new["PermissionsBoundary"])
        else:
            iam.delete_role_permissions_boundary(RoleName=ref)
    _policies(aws, ref, old, new)
    retag(
        old,
        new,
        add=lambda tags: iam.tag_role(RoleName=ref, Tags=listed(tags)),
        remove=lambda names: iam.untag_role(RoleName=ref, TagKeys=names),
    )


def _delete(aws: Aws, ref: str, _: Properties) -> None:
    iam = aws.client("iam")
    for policy in iam.list_attached_role_policies(RoleName=ref)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=ref, PolicyArn=policy["PolicyArn"])
    for name in iam.list_role_policies(RoleName=ref)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ref, PolicyName=name)
    iam.delete_role(RoleName=ref)


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    iam, (name,) = aws.client("iam"), identifier
    role = iam.get_role(RoleName=name)["Role"]
    return {
        **role,
        "Tags": listed(pairs(iam.list_role_tags(RoleName=name)["Tags"])),
        "PermissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "ManagedPolicyArns": [
            policy["PolicyArn"] for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        ],
        "Policies": [
            {"PolicyName": policy, "PolicyDocument": iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]}
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ],
    }


RESOURCES = (Resource("AWS::IAM::Role", _create, _delete, _read, _update, name="RoleName", longest=64),)
