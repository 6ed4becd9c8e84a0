"""DynamoDB tables."""

from __future__ import annotations

import json
from typing import Any

from emulator.resource import Aws, Properties, Resource, changed, listed, pairs, retag

CREATED = (
    "AttributeDefinitions",
    "BillingMode",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "OnDemandThroughput",
    "ProvisionedThroughput",
    "TableClass",
    "TableName",
)
UPDATED = ("BillingMode", "DeletionProtectionEnabled", "OnDemandThroughput", "ProvisionedThroughput", "TableClass")
# What a setting becomes where a template takes it away.
DEFAULTS = {"BillingMode": "PROVISIONED", "DeletionProtectionEnabled": False, "TableClass": "STANDARD"}


def _encryption(p: Properties) -> Properties | None:
    given = p.get("SSESpecification")
    return given and {{"SSEEnabled": "Enabled"}.get(name, name): value for name, value in given.items()}


def _stream(p: Properties) -> Properties | None:
    given = p.get("StreamSpecification")
    return given and {"StreamEnabled": True, "StreamViewType": given["StreamViewType"]}


def _create(aws: Aws, p: Properties) -> str:
    kept: dict[str, Any] = {name: p.get(name) for name in CREATED}
    kept |= {"SSESpecification": _encryption(p), "StreamSpecification": _stream(p), "Tags": listed(pairs(p.get("Tags"))) or None}
    aws.send("dynamodb", "create_table", kept)
    _settings(aws, p["TableName"], {}, p)
    return str(p["TableName"])


def _settings(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    """What has calls of its own."""
    if changed(old, new, "PointInTimeRecoverySpecification"):
        wanted = new.get("PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False})
        aws.send("dynamodb", "update_continuous_backups", {"TableName": ref, "PointInTimeRecoverySpecification": wanted})
    if changed(old, new, "TimeToLiveSpecification"):
        had = old.get("TimeToLiveSpecification", {})
        wanted = new.get("TimeToLiveSpecification", {**had, "Enabled": False})
        aws.send("dynamodb", "update_time_to_live", {"TableName": ref, "TimeToLiveSpecification": wanted})
    if changed(old, new, "ResourcePolicy"):
        if "ResourcePolicy" in new:
            policy = new["ResourcePolicy"]["PolicyDocument"]
            aws.send("dynamodb", "put_resource_policy", {"ResourceArn": _arn(aws, ref), "Policy": policy})
        else:
            aws.client("dynamodb").delete_resource_policy(ResourceArn=_arn(aws, ref))


def _arn(aws: Aws, table: str) -> str:
    return aws.arn("dynamodb", f"table/{table}")


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    dynamodb = aws.client("dynamodb")
    changes: dict[str, Any] = {name: new.get(name, DEFAULTS.get(name)) for name in UPDATED if changed(old, new, name)}
    if changed(old, new, "SSESpecification"):
        changes["SSESpecification"] = _encryption(new) or {"Enabled": False}
    if changed(old, new, "StreamSpecification"):
        changes["StreamSpecification"] = _stream(new) or {"StreamEnabled": False}
    if changes:
        aws.send("dynamodb", "update_table", {"TableName": ref, **changes})
    _indexes(aws, ref, old, new)
    _settings(aws, ref, old, new)
    retag(
        old,
        new,
        add=lambda tags: dynamodb.tag_resource(ResourceArn=_arn(aws, ref), Tags=listed(tags)),
        remove=lambda names: dynamodb.untag_resource(ResourceArn=_arn(aws, ref), TagKeys=names),
    )


def _indexes(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    had = {one["IndexName"]: one for one in old.get("GlobalSecondaryIndexes", [])}
    has = {one["IndexName"]: one for one in new.get("GlobalSecondaryIndexes", [])}
    # One at a time is what DynamoDB takes; another one under the same name is one that goes and one that comes.
    changes = [{"Delete": {"IndexName": name}} for name, one in had.items() if has.get(name) != one]
    changes += [{"Create": one} for name, one in has.items() if had.get(name) != one]
    for change in changes:
        attributes = new["AttributeDefinitions"] if "Create" in change else None
        kept = {"TableName": ref, "AttributeDefinitions": attributes, "GlobalSecondaryIndexUpdates": [change]}
        aws.send("dynamodb", "update_table", kept)


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    from botocore.exceptions import ClientError

    dynamodb, (name,) = aws.client("dynamodb"), identifier
    found = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    encryption, throughput = found.get("SSEDescription"), found.get("ProvisionedThroughput") or {}
    billing = found.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    try:
        policy = {"PolicyDocument": json.loads(dynamodb.get_resource_policy(ResourceArn=found["TableArn"])["Policy"])}
    except ClientError as error:
        if error.response["Error"]["Code"] != "PolicyNotFoundException":
            raise
        policy = None
    return {
        **found,
        "Arn": found["TableArn"],
        "BillingMode": billing,
        "GlobalSecondaryIndexes": [_index(one, billing) for one in found.get("GlobalSecondaryIndexes", [])] or None,
        "PointInTimeRecoverySpecification": {
            "PointInTimeRecoveryEnabled": recovery["PointInTimeRecoveryStatus"] == "ENABLED",
            "RecoveryPeriodInDays": recovery.get("RecoveryPeriodInDays"),
        },
        "ProvisionedThroughput": throughput if billing == "PROVISIONED" else None,
        "ResourcePolicy": policy,
        "SSESpecification": encryption
        and {
            "SSEEnabled": encryption["Status"] == "ENABLED",
            "SSEType": encryption.get("SSEType"),
            "KMSMasterKeyId": encryption.get("KMSMasterKeyArn"),
        },
        "StreamArn": found.get("LatestStreamArn"),
        "TableClass": found.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "TimeToLiveSpecification": {
            "AttributeName": expiry.get("AttributeName"),
            "Enabled": expiry["TimeToLiveStatus"] == "ENABLED",
        },
        "Tags": listed(pairs(dynamodb.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"])),
    }


def _index(one: Properties, billing: str) -> Properties:
    return {**one, "ProvisionedThroughput": one.get("ProvisionedThroughput") if billing == "PROVISIONED" else None}


RESOURCES = (
    Resource(
        "AWS::DynamoDB::Table",
        _create,
        lambda aws, ref, _: aws.client("dynamodb").delete_table(TableName=ref),
        _read,
        _update,
        name="TableName",
        longest=255,
    ),
)
