"""CloudWatch log groups and metric filters."""

from __future__ import annotations

from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs, retag


def _create(aws: Aws, p: Properties) -> str:
    name = p["LogGroupName"]
    aws.send(
        "logs",
        "create_log_group",
        {
            "logGroupName": name,
            "kmsKeyId": p.get("KmsKeyId"),
            "logGroupClass": p.get("LogGroupClass"),
            "tags": pairs(p.get("Tags")) or None,
        },
    )
    if "RetentionInDays" in p:
        aws.send("logs", "put_retention_policy", {"logGroupName": name, "retentionInDays": p["RetentionInDays"]})
    return str(name)


def _update(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    logs = aws.client("logs")
    if changed(old, new, "RetentionInDays"):
        if "RetentionInDays" in new:
            logs.put_retention_policy(logGroupName=ref, retentionInDays=int(new["RetentionInDays"]))
        else:
            logs.delete_retention_policy(logGroupName=ref)
    if changed(old, new, "KmsKeyId"):
        if "KmsKeyId" in new:
            logs.associate_kms_key(logGroupName=ref, kmsKeyId=new["KmsKeyId"])
        else:
            logs.disassociate_kms_key(logGroupName=ref)
    arn = aws.arn("logs", f"log-group:{ref}")
    retag(
        old,
        new,
        add=lambda tags: logs.tag_resource(resourceArn=arn, tags=tags),
        remove=lambda names: logs.untag_resource(resourceArn=arn, tagKeys=names),
    )


def _read(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    logs, (name,) = aws.client("logs"), identifier
    for group in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
        if group["logGroupName"] == name:
            tags = logs.list_tags_for_resource(resourceArn=aws.arn("logs", f"log-group:{name}"))["tags"]
            return {**group, "Tags": listed(tags)}
    raise NotFoundError(name)


def _put_filter(aws: Aws, p: Properties) -> str:
    aws.send(
        "logs",
        "put_metric_filter",
        {**p, "MetricTransformations": [_transformation(part) for part in p["MetricTransformations"]]},
    )
    return str(p["FilterName"])


def _transformation(part: Properties) -> Properties:
    dimensions = {one["Key"]: one["Value"] for one in part.get("Dimensions", [])}
    return {**part, **({"Dimensions": dimensions} if dimensions else {})}


def _read_filter(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    group, name = identifier
    for found in aws.client("logs").describe_metric_filters(logGroupName=group, filterNamePrefix=name)["metricFilters"]:
        if found["filterName"] == name:
            parts = [
                {**part, **({"dimensions": listed(part["dimensions"])} if part.get("dimensions") else {})}
                for part in found["metricTransformations"]
            ]
            return {**found, "LogGroupName": group, "MetricTransformations": parts}
    raise NotFoundError(name)


RESOURCES = (
    Resource(
        "AWS::Logs::LogGroup",
        _create,
        lambda aws, ref, _: aws.client("logs").delete_log_group(logGroupName=ref),
        _read,
        _update,
        name="LogGroupName",
        longest=512,
    ),
    Resource(
        "AWS::Logs::MetricFilter",
        _put_filter,
        lambda aws, ref, p: aws.client("logs").delete_metric_filter(logGroupName=p["LogGroupName"], filterName=ref),
        _read_filter,
        lambda aws, ref, _old, new: _put_filter(aws, {**new, "FilterName": ref}),
        name="FilterName",
        longest=512,
        identify=lambda ref, p: (p["LogGroupName"], ref),
    ),
)
