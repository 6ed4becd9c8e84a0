"""S3 buckets and their policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from emulator.property_conversion import boolean
from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs

# What S3 answers where a part of a bucket's configuration was never set.
UNSET = (
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "ReplicationConfigurationNotFoundError",
    "OwnershipControlsNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
)


def _create(aws: Aws, p: Properties) -> str:
    s3, name = aws.client("s3"), p["BucketName"]
    where = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    s3.create_bucket(Bucket=name, **where)
    _update(aws, name, {}, p)
    return str(name)


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    """First what goes, the last one first: nothing is taken away that something else rests on."""
    different = [name for name in PARTS if changed(old, new, name)]
    for name in reversed(different):
        if name not in new:
            PARTS[name][1](aws, ref)
    for name in different:
        if name in new:
            PARTS[name][0](aws, ref, new[name])
    for name in NUMBERED:
        if changed(old, new, name):
            _put_numbered(aws, ref, name, old.get(name, []), new.get(name, []))


def _put(operation: str, member: str, convert: Callable[[Any], Any] = lambda value: value) -> Callable[[Aws, str, Any], None]:
    return lambda aws, bucket, value: aws.send("s3", operation, {"Bucket": bucket, member: convert(value)})


def _remove(operation: str, **members: Any) -> Callable[[Aws, str], None]:
    return lambda aws, bucket: getattr(aws.client("s3"), operation)(Bucket=bucket, **members)


def _encryption(value: Any) -> Any:
    rules = [{_swap(name, DEFAULT): inner for name, inner in rule.items()} for rule in value["ServerSideEncryptionConfiguration"]]
    return {"Rules": rules}


DEFAULT = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}


def _swap(name: str, words: dict[str, str]) -> str:
    return words.get(name, name)


def _lifecycle(value: Any) -> Any:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: Properties) -> Properties:
    expiration = {
        "Days": rule.get("ExpirationInDays"),
        "Date": rule.get("ExpirationDate"),
        "ExpiredObjectDeleteMarker": rule.get("ExpiredObjectDeleteMarker"),
    }
    expiration = {name: value for name, value in expiration.items() if value is not None}
    conditions: Properties = {
        "Prefix": rule.get("Prefix"),
        "Tags": rule.get("TagFilters"),
        "ObjectSizeGreaterThan": rule.get("ObjectSizeGreaterThan"),
        "ObjectSizeLessThan": rule.get("ObjectSizeLessThan"),
    }
    conditions = {name: inner for name, inner in conditions.items() if inner is not None}
    if len(conditions) > 1 or "Tags" in conditions:
        filtered: Properties = {"And": conditions}
    else:
        filtered = conditions or {"Prefix": ""}
    kept: Properties = {
        name: rule[name] for name in ("Status", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload") if name in rule
    }
    if "Id" in rule:
        kept["ID"] = rule["Id"]
    for name, days in (("Transitions", "Days"), ("NoncurrentVersionTransitions", "NoncurrentDays")):
        if name in rule:
            kept[name] = [_renamed(move, {"TransitionInDays": days, "TransitionDate": "Date"}) for move in rule[name]]
    return {**kept, "Filter": filtered, **({"Expiration": expiration} if expiration else {})}


def _renamed(value: Properties, words: dict[str, str]) -> Properties:
    return {words.get(name, name): inner for name, inner in value.items()}


def _logging(value: Any) -> Any:
    return {"LoggingEnabled": {"TargetBucket": value["DestinationBucketName"], "TargetPrefix": value.get("LogFilePrefix", "")}}


def _replication(value: Properties) -> Properties:
    rules = [
        {
            **{name: inner for name, inner in rule.items() if name not in ("Id", "Filter")},
            **({"ID": rule["Id"]} if "Id" in rule else {}),
            **({"Filter": _replication_filter(rule["Filter"])} if "Filter" in rule else {}),
        }
        for rule in value["Rules"]
    ]
    return {"Role": value["Role"], "Rules": rules}


def _replication_filter(value: Properties) -> Properties:
    found = _renamed(value, {"TagFilter": "Tag"})
    return {**found, "And": _renamed(found["And"], {"TagFilters": "Tags"})} if "And" in found else found


def _replication_back(value: Properties) -> Properties:
    rules = [{**rule, "Id": rule.get("ID")} for rule in value["Rules"]]
    for rule in rules:
        if "Filter" in rule:
            rule["Filter"] = _renamed(rule["Filter"], {"Tag": "TagFilter"})
            if "And" in rule["Filter"]:
                rule["Filter"]["And"] = _renamed(rule["Filter"]["And"], {"Tags": "TagFilters"})
    return {"Role": value["Role"], "Rules": rules}


# Kind of target -> what a template and what the API call the list and its targets.
TARGETS = {
    "LambdaConfigurations": ("Function", "LambdaFunctionConfigurations", "LambdaFunctionArn"),
    "QueueConfigurations": ("Queue", "QueueConfigurations", "QueueArn"),
    "TopicConfigurations": ("Topic", "TopicConfigurations", "TopicArn"),
}


def _notifications(value: Properties) -> Properties:
    found: Properties = {}
    for kind, (target, name, arn) in TARGETS.items():
        for one in value.get(kind, []):
            kept: Properties = {arn: one[target], "Events": [one["Event"]]}
            if "Filter" in one:
                kept["Filter"] = {"Key": {"FilterRules": one["Filter"]["S3Key"]["Rules"]}}
            found.setdefault(name, []).append(kept)
    if boolean(value.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled", "EventBridgeConfiguration" in value)):
        found["EventBridgeConfiguration"] = {}
    return found


def _notifications_back(value: Properties) -> Properties:
    found: Properties = {}
    for kind, (target, name, arn) in TARGETS.items():
        for one in value.get(name, []):
            for event in one["Events"]:
                kept: Properties = {target: one[arn], "Event": event}
                rules = one.get("Filter", {}).get("Key", {}).get("FilterRules")
                if rules:
                    kept["Filter"] = {"S3Key": {"Rules": rules}}
                found.setdefault(kind, []).append(kept)
    if "EventBridgeConfiguration" in value:
        found["EventBridgeConfiguration"] = {"EventBridgeEnabled": True}
    return found


# Property -> configurations that have an id and a call each: the names of the calls, and of the member.
NUMBERED = {
    "IntelligentTieringConfigurations": ("intelligent_tiering_configuration", "IntelligentTieringConfiguration"),
    "MetricsConfigurations": ("metrics_configuration", "MetricsConfiguration"),
}


def _put_numbered(aws: Aws, bucket: str, name: str, old: list[Properties], new: list[Properties]) -> None:
    call, member = NUMBERED[name]
    s3 = aws.client("s3")
    for gone in {one["Id"] for one in old} - {one["Id"] for one in new}:
        getattr(s3, f"delete_bucket_{call}")(Bucket=bucket, Id=gone)
    for one in new:
        if one not in old:
            conditions = {"Prefix": one.get("Prefix"), "Tags": one.get("TagFilters"), "AccessPointArn": one.get("AccessPointArn")}
            given = {key: value for key, value in conditions.items() if value is not None}
            if len(given) > 1:
                chosen: Properties = {"And": given}
            else:
                chosen = {"Tag": given["Tags"][0]} if "Tags" in given else given
            kept = {key: value for key, value in one.items() if key in ("Id", "Status")}
            if "Tierings" in one:
                kept["Tierings"] = [{**tier, "Days": int(tier["Days"])} for tier in one["Tierings"]]
            if chosen:
                kept["Filter"] = chosen
            getattr(s3, f"put_bucket_{call}")(Bucket=bucket, Id=one["Id"], **{member: kept})


def _numbered_back(found: list[Properties]) -> list[Properties]:
    back = []
    for one in found:
        chosen = {**one.get("Filter", {}), **one.get("Filter", {}).get("And", {})}
        filters = [chosen["Tag"]] if "Tag" in chosen else chosen.get("Tags")
        more = {"Prefix": chosen.get("Prefix"), "TagFilters": filters, "AccessPointArn": chosen.get("AccessPointArn")}
        back.append({**one, **more})
    return back


PARTS: dict[str, tuple[Callable[[Aws, str, Any], None], Callable[[Aws, str], None]]] = {
    "VersioningConfiguration": (
        _put("put_bucket_versioning", "VersioningConfiguration"),
        _remove("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}),
    ),
    "BucketEncryption": (
        _put("put_bucket_encryption", "ServerSideEncryptionConfiguration", _encryption),
        _remove("delete_bucket_encryption"),
    ),
    "PublicAccessBlockConfiguration": (
        _put("put_public_access_block", "PublicAccessBlockConfiguration"),
        _remove("delete_public_access_block"),
    ),
    "OwnershipControls": (
        _put("put_bucket_ownership_controls", "OwnershipControls"),
        _remove("delete_bucket_ownership_controls"),
    ),
    "LifecycleConfiguration": (
        _put("put_bucket_lifecycle_configuration", "LifecycleConfiguration", _lifecycle),
        _remove("delete_bucket_lifecycle"),
    ),
    "LoggingConfiguration": (
        _put("put_bucket_logging", "BucketLoggingStatus", _logging),
        _remove("put_bucket_logging", BucketLoggingStatus={}),
    ),
    "ReplicationConfiguration": (
        _put("put_bucket_replication", "ReplicationConfiguration", _replication),
        _remove("delete_bucket_replication"),
    ),
    "NotificationConfiguration": (
        _put("put_bucket_notification_configuration", "NotificationConfiguration", _notifications),
        _remove("put_bucket_notification_configuration", NotificationConfiguration={}),
    ),
    "Tags": (
        lambda aws, bucket, tags: aws.client("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": listed(pairs(tags))}),
        _remove("delete_bucket_tagging"),
    ),
}


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    s3, (bucket,) = aws.client("s3"), identifier
    s3.get_bucket_location(Bucket=bucket)
    found: Properties = {
        "BucketName": bucket,
        "Arn": f"arn:aws:s3:::{bucket}",
        "DomainName": f"{bucket}.s3.amazonaws.com",
        "DualStackDomainName": f"{bucket}.s3.dualstack.{aws.region}.amazonaws.com",
        "RegionalDomainName": f"{bucket}.s3.{aws.region}.amazonaws.com",
        "PublicAccessBlockConfiguration": _get(s3.get_public_access_block, bucket, "PublicAccessBlockConfiguration"),
        "OwnershipControls": _get(s3.get_bucket_ownership_controls, bucket, "OwnershipControls"),
        "Tags": listed(pairs(_get(s3.get_bucket_tagging, bucket, "TagSet"))),
    }
    versioning = _get(s3.get_bucket_versioning, bucket, "Status")
    if versioning:
        found["VersioningConfiguration"] = {"Status": versioning}
    encryption = _get(s3.get_bucket_encryption, bucket, "ServerSideEncryptionConfiguration")
    if encryption:
        back = {value: key for key, value in DEFAULT.items()}
        rules = [{_swap(name, back): inner for name, inner in rule.items()} for rule in encryption["Rules"]]
        found["BucketEncryption"] = {"ServerSideEncryptionConfiguration": rules}
    lifecycle = _get(s3.get_bucket_lifecycle_configuration, bucket, "Rules")
    if lifecycle:
        found["LifecycleConfiguration"] = {"Rules": [_lifecycle_back(rule) for rule in lifecycle]}
    log = _get(s3.get_bucket_logging, bucket, "LoggingEnabled")
    if log:
        found["LoggingConfiguration"] = {
            "DestinationBucketName": log["TargetBucket"],
            "LogFilePrefix": log.get("TargetPrefix", ""),
        }
    replication = _get(s3.get_bucket_replication, bucket, "ReplicationConfiguration")
    if replication:
        found["ReplicationConfiguration"] = _replication_back(replication)
    notifications = s3.get_bucket_notification_configuration(Bucket=bucket)
    if _notifications_back(notifications):
        found["NotificationConfiguration"] = _notifications_back(notifications)
    for name, (call, member) in NUMBERED.items():
        numbered = getattr(s3, f"list_bucket_{call}s")(Bucket=bucket).get(f"{member}List")
        if numbered:
            found[name] = _numbered_back(numbered)
    return found


def _get(call: Callable[..., Any], bucket: str, member: str) -> Any:
    from botocore.exceptions import ClientError

    try:
        return call(Bucket=bucket).get(member)
    except ClientError as error:
        if error.response["Error"]["Code"] in UNSET:
            return None
        raise


def _lifecycle_back(rule: Properties) -> Properties:
    filtered = rule.get("Filter", {})
    conditions = {**filtered, **filtered.get("And", {})}
    found: Properties = {
        "Id": rule.get("ID"),
        "Status": rule["Status"],
        "Prefix": conditions.get("Prefix", rule.get("Prefix")) or None,
        "TagFilters": conditions.get("Tags"),
        "ObjectSizeGreaterThan": conditions.get("ObjectSizeGreaterThan"),
        "ObjectSizeLessThan": conditions.get("ObjectSizeLessThan"),
        "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
        "ExpirationDate": rule.get("Expiration", {}).get("Date"),
        "ExpiredObjectDeleteMarker": rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker"),
        "NoncurrentVersionExpiration": rule.get("NoncurrentVersionExpiration"),
        "AbortIncompleteMultipartUpload": rule.get("AbortIncompleteMultipartUpload"),
    }
    for name, days in (("Transitions", "Days"), ("NoncurrentVersionTransitions", "NoncurrentDays")):
        if rule.get(name):
            found[name] = [_renamed(move, {days: "TransitionInDays", "Date": "TransitionDate"}) for move in rule[name]]
    return found


def _put_policy(aws: Aws, p: Properties) -> str:
    aws.send("s3", "put_bucket_policy", {"Bucket": p["Bucket"], "Policy": p["PolicyDocument"]})
    return str(p["Bucket"])


def _read_policy(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    policy = aws.client("s3").get_bucket_policy(Bucket=identifier[0])["Policy"]
    if not policy:
        raise NotFoundError(identifier[0])
    return {"Bucket": identifier[0], "PolicyDocument": json.loads(policy)}


RESOURCES = (
    Resource(
        "AWS::S3::Bucket",
        _create,
        lambda aws, ref, _: aws.client("s3").delete_bucket(Bucket=ref),
        _read,
        _update,
        name="BucketName",
        lower=True,
    ),
    Resource(
        "AWS::S3::BucketPolicy",
        _put_policy,
        lambda aws, ref, _: aws.client("s3").delete_bucket_policy(Bucket=ref),
        _read_policy,
        lambda aws, _ref, _old, new: _put_policy(aws, new),
    ),
)
