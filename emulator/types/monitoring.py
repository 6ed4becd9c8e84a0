"""CloudWatch alarms and dashboards, CloudTrail trails."""

from __future__ import annotations

from emulator.property_conversion import boolean
from emulator.resource import Aws, NotFoundError, Properties, Resource, changed, listed, pairs, retag


def _put_alarm(aws: Aws, p: Properties) -> str:
    aws.send("cloudwatch", "put_metric_alarm", {**p, "Tags": listed(pairs(p.get("Tags"))) or None})
    return str(p["AlarmName"])


def _change_alarm(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    aws.send("cloudwatch", "put_metric_alarm", {**new, "AlarmName": ref, "Tags": None})
    _retag(aws, aws.arn("cloudwatch", f"alarm:{ref}"), old, new)


def _retag(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    cloudwatch = aws.client("cloudwatch")
    retag(
        old,
        new,
        add=lambda tags: cloudwatch.tag_resource(ResourceARN=arn, Tags=listed(tags)),
        remove=lambda names: cloudwatch.untag_resource(ResourceARN=arn, TagKeys=names),
    )


def _read_alarm(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("cloudwatch").describe_alarms(AlarmNames=list(identifier))["MetricAlarms"]
    if not found:
        raise NotFoundError(identifier[0])
    tags = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
    return {**found[0], "Arn": found[0]["AlarmArn"], "Tags": listed(pairs(tags))}


def _put_composite(aws: Aws, p: Properties) -> str:
    aws.send("cloudwatch", "put_composite_alarm", {**p, "Tags": listed(pairs(p.get("Tags"))) or None})
    return str(p["AlarmName"])


def _change_composite(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    aws.send("cloudwatch", "put_composite_alarm", {**new, "AlarmName": ref, "Tags": None})
    _retag(aws, aws.arn("cloudwatch", f"alarm:{ref}"), old, new)


def _read_composite(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    cloudwatch = aws.client("cloudwatch")
    found = cloudwatch.describe_alarms(AlarmNames=list(identifier), AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    if not found:
        raise NotFoundError(identifier[0])
    tags = cloudwatch.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
    return {**found[0], "Arn": found[0]["AlarmArn"], "Tags": listed(pairs(tags))}


def _put_dashboard(aws: Aws, p: Properties) -> str:
    aws.send("cloudwatch", "put_dashboard", {**p, "Tags": listed(pairs(p.get("Tags"))) or None})
    return str(p["DashboardName"])


def _read_dashboard(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    found = aws.client("cloudwatch").get_dashboard(DashboardName=identifier[0])
    tags = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=_dashboard_arn(aws, identifier[0]))["Tags"]
    return {"DashboardName": identifier[0], "DashboardBody": found["DashboardBody"], "Tags": listed(pairs(tags))}


def _dashboard_arn(aws: Aws, name: str) -> str:
    return f"arn:aws:cloudwatch::{aws.account}:dashboard/{name}"


def _change_dashboard(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    aws.send("cloudwatch", "put_dashboard", {"DashboardName": ref, "DashboardBody": new["DashboardBody"]})
    _retag(aws, _dashboard_arn(aws, ref), old, new)


TRAIL = {
    "TrailName": "Name",
    "S3BucketName": "S3BucketName",
    "S3KeyPrefix": "S3KeyPrefix",
    "SnsTopicName": "SnsTopicName",
    "IncludeGlobalServiceEvents": "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail": "IsMultiRegionTrail",
    "EnableLogFileValidation": "EnableLogFileValidation",
    "CloudWatchLogsLogGroupArn": "CloudWatchLogsLogGroupArn",
    "CloudWatchLogsRoleArn": "CloudWatchLogsRoleArn",
    "KMSKeyId": "KmsKeyId",
    "IsOrganizationTrail": "IsOrganizationTrail",
}


def _create_trail(aws: Aws, p: Properties) -> str:
    kept = {member: p.get(name) for name, member in TRAIL.items()}
    aws.send("cloudtrail", "create_trail", {**kept, "TagsList": listed(pairs(p.get("Tags"))) or None})
    _trail_settings(aws, p["TrailName"], {}, p)
    return str(p["TrailName"])


def _trail_settings(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    trails = aws.client("cloudtrail")
    if changed(old, new, "EventSelectors", "AdvancedEventSelectors"):
        kept = {name: new.get(name) for name in ("EventSelectors", "AdvancedEventSelectors")}
        aws.send("cloudtrail", "put_event_selectors", {"TrailName": ref, **kept})
    if changed(old, new, "InsightSelectors"):
        aws.send("cloudtrail", "put_insight_selectors", {"TrailName": ref, "InsightSelectors": new.get("InsightSelectors", [])})
    if changed(old, new, "IsLogging"):
        (trails.start_logging if boolean(new["IsLogging"]) else trails.stop_logging)(Name=ref)


def _change_trail(aws: Aws, ref: str, old: Properties, new: Properties) -> None:
    trails = aws.client("cloudtrail")
    if changed(old, new, *TRAIL):
        aws.send("cloudtrail", "update_trail", {**{member: new.get(name) for name, member in TRAIL.items()}, "Name": ref})
    _trail_settings(aws, ref, old, new)
    arn = aws.arn("cloudtrail", f"trail/{ref}")
    retag(
        old,
        new,
        add=lambda tags: trails.add_tags(ResourceId=arn, TagsList=listed(tags)),
        remove=lambda names: trails.remove_tags(ResourceId=arn, TagsList=[{"Key": name} for name in names]),
    )


def _read_trail(aws: Aws, identifier: tuple[str, ...]) -> Properties:
    trails, (name,) = aws.client("cloudtrail"), identifier
    found = trails.get_trail(Name=name)["Trail"]
    selectors = trails.get_event_selectors(TrailName=name)
    tags = trails.list_tags(ResourceIdList=[found["TrailARN"]])["ResourceTagList"]
    return {
        **{key: found.get(member) for key, member in TRAIL.items()},
        "TrailName": found["Name"],
        "EnableLogFileValidation": found.get("LogFileValidationEnabled"),
        "Arn": found["TrailARN"],
        "SnsTopicArn": found.get("SnsTopicARN"),
        "IsLogging": trails.get_trail_status(Name=name)["IsLogging"],
        "EventSelectors": selectors.get("EventSelectors") or None,
        "AdvancedEventSelectors": selectors.get("AdvancedEventSelectors") or None,
        "Tags": listed(pairs(tags[0]["TagsList"] if tags else [])),
    }


RESOURCES = (
    Resource(
        "AWS::CloudWatch::Alarm",
        _put_alarm,
        lambda aws, ref, _: aws.client("cloudwatch").delete_alarms(AlarmNames=[ref]),
        _read_alarm,
        _change_alarm,
        name="AlarmName",
        longest=255,
    ),
    Resource(
        "AWS::CloudWatch::CompositeAlarm",
        _put_composite,
        lambda aws, ref, _: aws.client("cloudwatch").delete_alarms(AlarmNames=[ref]),
        _read_composite,
        _change_composite,
        name="AlarmName",
        longest=255,
    ),
    Resource(
        "AWS::CloudWatch::Dashboard",
        _put_dashboard,
        lambda aws, ref, _: aws.client("cloudwatch").delete_dashboards(DashboardNames=[ref]),
        _read_dashboard,
        _change_dashboard,
        name="DashboardName",
        longest=255,
    ),
    Resource(
        "AWS::CloudTrail::Trail",
        _create_trail,
        lambda aws, ref, _: aws.client("cloudtrail").delete_trail(Name=ref),
        _read_trail,
        _change_trail,
        name="TrailName",
        longest=128,
    ),
)
