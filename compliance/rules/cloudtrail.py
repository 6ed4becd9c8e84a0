"""The trail: complete, protected against change, and able to deliver."""

from __future__ import annotations

from compliance import statements
from compliance.rules import kms, s3
from model import Rule
from model.view import Resource

TRAIL = ("AWS::CloudTrail::Trail",)
SIX_YEARS = 2192
"""Days, leap days included."""

SWITCHES = ("IsLogging", "IsMultiRegionTrail", "IncludeGlobalServiceEvents", "EnableLogFileValidation")


def _arn(trail: Resource) -> str:
    return f"arn:${{AWS::Partition}}:cloudtrail:${{AWS::Region}}:${{AWS::AccountId}}:trail/{trail.text('TrailName') or ''}"


def _complete(trail: Resource) -> tuple[str, bool]:
    missing = [switch for switch in SWITCHES if not trail.true(switch)]
    return (missing or ["EnableLogFileValidation"])[0], not missing


def _encrypted(trail: Resource) -> tuple[str, bool]:
    key = kms.key_of(trail, "KMSKeyId")
    context = ("aws:cloudtrail:arn", _arn(trail))
    encrypts = key is not None and kms.allows_service(key, "cloudtrail", ("kms:GenerateDataKey",), trail, context)
    return "KMSKeyId", encrypts and key is not None and kms.allows_service(key, "cloudtrail", ("kms:DescribeKey",), trail)


def _delivered(trail: Resource) -> tuple[str, bool]:
    bucket = trail.follow("S3BucketName")
    return "S3BucketName", bucket is not None and _may_write(trail, bucket, "s3:GetBucketAcl") and _may_write(
        trail, bucket, "s3:PutObject"
    )


def _may_write(trail: Resource, bucket: Resource, action: str) -> bool:
    region = (trail.regions or ("",))[0]
    return any(
        statement.allows
        and statement.names_service("cloudtrail", trail.regions)
        and statement.covers(action)
        and (policy.layer != trail.layer or policy.id in trail.depends_on)
        and any((resource or "").startswith(arn) for resource in statement.resources for arn in s3.arns(bucket))
        and all(
            condition.key != "aws:sourcearn"
            or any(
                statements.matches(kms.written(value or "", region), kms.written(_arn(trail), region))
                for value in condition.values
            )
            for condition in statement.conditions
        )
        for policy, statement in s3.policies_of(bucket)
    )


def _retained(trail: Resource) -> tuple[str, bool]:
    bucket = trail.follow("S3BucketName")
    rules = (bucket.get("LifecycleConfiguration", "Rules") or []) if bucket is not None else []
    return "S3BucketName", bucket is not None and all(
        bucket.view.bounded(bucket.layer, rule["ExpirationInDays"], least=SIX_YEARS)
        for rule in rules
        if "ExpirationInDays" in rule
    )


def _data_events(trail: Resource) -> tuple[str, bool] | None:
    """Whether calls on the objects of every bucket that holds data are recorded."""
    functions = trail.view.resources("AWS::Lambda::Function")
    apart = [trail.follow("S3BucketName"), *(function.follow("Code", "S3Bucket") for function in functions)]
    buckets = [each for each in trail.view.resources("AWS::S3::Bucket") if not any(each.is_(other) for other in apart)]
    if not buckets:
        return None
    beginnings = _beginnings(trail, "AWS::S3::Object", ":::")
    return "AdvancedEventSelectors", all(_begun(f"{bucket.text('BucketName')}/", beginnings) for bucket in buckets)


def _calls_recorded(trail: Resource) -> tuple[str, bool] | None:
    """Whether the calls of every function are recorded, at every site."""
    functions = list(trail.view.resources("AWS::Lambda::Function"))
    if not functions:
        return None
    regions = {region for function in functions for region in function.regions}
    beginnings = _beginnings(trail, "AWS::Lambda::Function", ":function:")
    return "AdvancedEventSelectors", all(
        _begun(function.text("FunctionName") or "", beginnings) >= len(regions) for function in functions
    )


def _begun(name: str, beginnings: list[str]) -> int:
    return sum(name.startswith(each) for each in beginnings)


def _beginnings(trail: Resource, type_: str, mark: str) -> list[str]:
    """With which names of a type data events are recorded: what stands behind ``mark`` in the ARNs of the trail's selectors."""
    found = []
    for selector in trail.get("AdvancedEventSelectors") or []:
        fields = {field.get("Field"): field for field in selector.get("FieldSelectors") or []}
        if fields.get("resources.type", {}).get("Equals") == [type_]:
            beginnings = trail.view.texts(trail.layer, fields.get("resources.ARN", {}).get("StartsWith") or [])
            found += [text.partition(mark)[2] for text in beginnings if text and mark in text]
    return found


def _watched(trail: Resource) -> tuple[str, bool]:
    group = trail.follow("CloudWatchLogsLogGroupArn")
    role = trail.follow("CloudWatchLogsRoleArn")
    written = (
        group is not None
        and role is not None
        and (group.type, role.type) == ("AWS::Logs::LogGroup", "AWS::IAM::Role")
        and any(
            statement.allows and statement.covers("logs:CreateLogStream", "logs:PutLogEvents")
            for policy in role.get("Policies") or []
            for statement in statements.statements(role.view, role.layer, policy.get("PolicyDocument"))
        )
    )
    return "CloudWatchLogsLogGroupArn", written


data_events = Rule(
    "trail.data_events",
    "The trail records calls on objects of every bucket that holds data.",
    "Who read or deleted an object is no management event, and nobody can say it afterwards.",
    "AWS CloudTrail User Guide, Logging data events",
    TRAIL,
    _data_events,
)
calls_recorded = Rule(
    "trail.calls_recorded",
    "The trail records the calls of every function, at every site.",
    "Who called a function that holds credentials is no management event.",
    "AWS CloudTrail User Guide, Logging data events",
    TRAIL,
    _calls_recorded,
)
retained = Rule(
    "trail.retained",
    "The trail's files are kept for six years or more.",
    "Whoever investigates, or audits, comes years later.",
    "45 CFR 164.316(b)(2)(i)",
    TRAIL,
    _retained,
)
complete = Rule(
    "trail.complete",
    "The trail records management events of all regions, and its files can be proven unchanged.",
    "A record with gaps, or one that can be edited, is no evidence.",
    "AWS Security Hub CloudTrail.1, CloudTrail.4",
    TRAIL,
    _complete,
)
encrypted = Rule(
    "trail.encrypted",
    "The trail's files are encrypted with a customer-managed key whose policy lets CloudTrail use it for this trail.",
    "Without that statement CloudTrail refuses the trail.",
    "AWS Security Hub CloudTrail.2; AWS CloudTrail User Guide, Configure AWS KMS key policies for CloudTrail",
    TRAIL,
    _encrypted,
)
delivered = Rule(
    "trail.delivered",
    "The trail's bucket lets CloudTrail write to it before the trail is created.",
    "CloudTrail tries the bucket when the trail is created and refuses it otherwise.",
    "AWS CloudTrail User Guide, Amazon S3 bucket policy for CloudTrail",
    TRAIL,
    _delivered,
)
watched = Rule(
    "trail.watched",
    "Events also go to a log group, where metric filters can ring.",
    "Files in a bucket are read after the fact.",
    "AWS Security Hub CloudTrail.5",
    TRAIL,
    _watched,
)
