"""KMS keys and their aliases."""

from __future__ import annotations

from emulator.property_conversion import boolean
from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs, retag


def _create(aws: Aws, p: Properties) -> str:
    kms = aws.client("kms")
    ref = aws.send(
        "kms",
        "create_key",
        {
            **{name: p.get(name) for name in ("Description", "KeySpec", "KeyUsage", "MultiRegion", "Origin")},
            "Policy": p.get("KeyPolicy"),
            "BypassPolicyLockoutSafetyCheck": p.get("BypassPolicyLockoutSafetyCheck"),
            "Tags": _tags(pairs(p.get("Tags"))),
        },
    )["KeyMetadata"]["KeyId"]
    if boolean(p.get("EnableKeyRotation", False)):
        aws.send("kms", "enable_key_rotation", {"KeyId": ref, "RotationPeriodInDays": p.get("RotationPeriodInDays")})
    if not boolean(p.get("Enabled", True)):
        kms.disable_key(KeyId=ref)
    return str(ref)


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    kms = aws.client("kms")
    if changed(old, new, "KeyPolicy"):
        aws.send("kms", "put_key_policy", {"KeyId": ref, "PolicyName": "default", "Policy": new["KeyPolicy"]})
    if changed(old, new, "Description"):
        kms.update_key_description(KeyId=ref, Description=new.get("Description", ""))
    if changed(old, new, "EnableKeyRotation", "RotationPeriodInDays"):
        if boolean(new.get("EnableKeyRotation", False)):
            aws.send("kms", "enable_key_rotation", {"KeyId": ref, "RotationPeriodInDays": new.get("RotationPeriodInDays")})
        else:
            kms.disable_key_rotation(KeyId=ref)
    if changed(old, new, "Enabled"):
        (kms.enable_key if boolean(new.get("Enabled", True)) else kms.disable_key)(KeyId=ref)
    retag(
        old,
        new,
        add=lambda tags: kms.tag_resource(KeyId=ref, Tags=_tags(tags)),
        remove=lambda names: kms.untag_resource(KeyId=ref, TagKeys=names),
    )


def _delete(aws: Aws, ref: str, p: Properties) -> None:
    aws.client("kms").schedule_key_deletion(KeyId=ref, PendingWindowInDays=int(p.get("PendingWindowInDays", 30)))


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    kms, (ref,) = aws.client("kms"), identifier
    metadata = kms.describe_key(KeyId=ref)["KeyMetadata"]
    if metadata["KeyState"] == "PendingDeletion":  # gone, for AWS's own handler too
        raise NotFoundError(ref)
    rotation = kms.get_key_rotation_status(KeyId=ref)
    return {
        **metadata,
        "Enabled": metadata["KeyState"] != "Disabled",
        "KeyPolicy": kms.get_key_policy(KeyId=ref, PolicyName="default")["Policy"],
        "EnableKeyRotation": rotation["KeyRotationEnabled"],
        "RotationPeriodInDays": rotation.get("RotationPeriodInDays"),
        "Tags": listed({tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=ref)["Tags"]}),
    }


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def _create_alias(aws: Aws, p: Properties) -> str:
    aws.client("kms").create_alias(AliasName=p["AliasName"], TargetKeyId=p["TargetKeyId"])
    return str(p["AliasName"])


def _update_alias(aws: Aws, ref: str, _: Properties, new: Properties) -> None:
    aws.client("kms").update_alias(AliasName=ref, TargetKeyId=new["TargetKeyId"])


def _read_alias(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    for page in aws.client("kms").get_paginator("list_aliases").paginate():
        for alias in page["Aliases"]:
            if alias["AliasName"] == identifier[0]:
                return dict(alias)
    raise NotFoundError(identifier[0])


RESOURCES = (
    Resource("AWS::KMS::Key", _create, _delete, _read, _update),
    Resource(
        "AWS::KMS::Alias",
        _create_alias,
        lambda aws, ref, _: aws.client("kms").delete_alias(AliasName=ref),
        _read_alias,
        _update_alias,
    ),
)
