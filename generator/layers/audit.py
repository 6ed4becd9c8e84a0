"""The audit layer."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from awacs import logs as log_actions
from awacs import s3 as s3_actions
from awacs.aws import StringEquals
from troposphere import GetAtt, Ref, Select, Split, Sub, cloudtrail, iam, logs, s3

from generator.layer import Layer
from generator.names import Space
from generator.parts import policies
from generator.parts.alarm import Metric, alarm
from generator.parts.bucket import private_bucket, tidy_rule, tls_only
from generator.parts.log_group import WORKING_LOGS, log_group
from generator.template import Explained, Template


@dataclass(frozen=True)
class Watch:
    """API calls that operators are told of: a CloudWatch Logs filter over the trail, and what to do."""

    title: str
    kind: str
    pattern: str
    description: str
    more_than: int = 0  # calls in five minutes


WATCHES = (
    Watch(
        "RootUserActed",
        "root-user-acted",
        '{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }',
        "The root user made a call. Nobody should: find out who, and from where.",
    ),
    Watch(
        "CallsRefused",
        "calls-refused",
        '{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }',
        "More than ten calls in five minutes were refused for want of permission: a role lost one that it needs, "
        "or somebody tries doors.",
        more_than=10,
    ),
    Watch(
        "TrailChanged",
        "trail-changed",
        "{ ($.eventName = CreateTrail) || ($.eventName = UpdateTrail) || ($.eventName = DeleteTrail) "
        "|| ($.eventName = StartLogging) || ($.eventName = StopLogging) }",
        "A trail was changed or stopped. Outside a deployment this hides something.",
    ),
    Watch(
        "KeyDisabled",
        "key-disabled",
        "{ ($.eventSource = kms.amazonaws.com) && (($.eventName = DisableKey) || ($.eventName = ScheduleKeyDeletion)) }",
        "A key was disabled or scheduled for deletion. What it encrypts cannot be read without it: cancel the deletion.",
    ),
    Watch(
        "FirewallChanged",
        "firewall-changed",
        "{ ($.eventName = AuthorizeSecurityGroupIngress) || ($.eventName = AuthorizeSecurityGroupEgress) "
        "|| ($.eventName = RevokeSecurityGroupIngress) || ($.eventName = RevokeSecurityGroupEgress) "
        "|| ($.eventName = CreateSecurityGroup) || ($.eventName = DeleteSecurityGroup) }",
        "A security group was changed. Outside a deployment, compare it with the template.",
    ),
)


@dataclass(frozen=True)
class DataEvents:
    """Calls that a trail records on request only: on objects in buckets of these kinds, and of this environment's functions.

    ``elsewhere`` is the address of an ARN in the other region, where functions of the environment run too.
    """

    buckets: tuple[str, ...]
    elsewhere: str = ""


@dataclass(frozen=True, kw_only=True)
class Audit(Layer):
    """Who did what: every management call in every region, validated, encrypted and kept.

    ``retention`` is how long log files stay; seven years is what auditors of financial records ask for (17 CFR 210.2-06). Where
    it is ``retention_chosen``, an environment may keep them longer, and no shorter. ``log_retention`` is that of the log group in
    which calls are read first. ``data`` adds the calls on objects and functions. ``key`` is the address of the trail's key.
    """

    name: str = "audit"
    kind: str = "bucket-cloudtrail"
    key: str = "keys.TrailKeyArn"
    retention: timedelta = timedelta(days=2557)
    retention_chosen: bool = False
    log_retention: timedelta = WORKING_LOGS
    data: DataEvents | None = None
    watches: tuple[Watch, ...] = WATCHES

    def define(self, t: Template) -> None:
        retention_days: Ref | int = self.retention.days
        if self.retention_chosen:
            retention_days = t.parameter(
                "LogFilesKeptDays",
                "How long log files stay.",
                "Number",
                Default=self.retention.days,
                MinValue=self.retention.days,
                MaxValue=36_500,
            )
        trail_key = t.output_of(self.key)
        logs_key = t.output_of("keys.LogsKeyArn")
        topic = t.output_of("notify.TopicArn")

        trail_arn = Sub(
            "arn:${AWS::Partition}:cloudtrail:${AWS::Region}:${AWS::AccountId}:trail/" + t.name("trail", Space.ACCOUNT)
        )
        keep = s3.LifecycleRule(
            Id="KeepThenRemove",
            Status="Enabled",
            Transitions=[s3.LifecycleRuleTransition(StorageClass="GLACIER", TransitionInDays=90)],
            ExpirationInDays=retention_days,
        )
        none = Explained(
            False, "The key's policy asks for CloudTrail's own encryption context, which a bucket key would replace."
        )
        bucket = private_bucket(t, "Bucket", self.kind, trail_key, [keep, tidy_rule(90)], bucket_key=none)
        cloudtrail_only = policies.service("cloudtrail")
        bucket_policy = s3.BucketPolicy(
            "BucketPolicy",
            Bucket=Ref(bucket),
            PolicyDocument=policies.document(
                policies.allow(
                    "CloudTrailChecksTheBucket",
                    [s3_actions.GetBucketAcl],
                    [GetAtt(bucket, "Arn")],
                    StringEquals("aws:SourceArn", trail_arn),
                    to=cloudtrail_only,
                ),
                policies.allow(
                    "CloudTrailWritesLogFiles",
                    [s3_actions.PutObject],
                    [Sub("${Bucket.Arn}/AWSLogs/${AWS::AccountId}/*")],
                    StringEquals({"aws:SourceArn": trail_arn, "s3:x-amz-acl": "bucket-owner-full-control"}),
                    to=cloudtrail_only,
                ),
                *tls_only(bucket),
            ),
        )
        t.section("Where log files stay.", bucket, bucket_policy)

        group = log_group("LogGroup", t.named("/aws/cloudtrail/trail"), logs_key, self.log_retention)
        role = iam.Role(
            "Role",
            RoleName=t.named("role-cloudtrail", Space.ACCOUNT),
            AssumeRolePolicyDocument=Explained(
                policies.trust(cloudtrail_only),
                "CloudTrail documents no source condition for the role that it writes to CloudWatch Logs with.",
            ),
            Policies=[
                iam.Policy(
                    PolicyName="write-log-stream",
                    PolicyDocument=policies.document(
                        policies.allow(
                            "WriteTrailToItsLogGroup",
                            [log_actions.CreateLogStream, log_actions.PutLogEvents],
                            [
                                Sub(
                                    "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${LogGroup}"
                                    ":log-stream:${AWS::AccountId}_CloudTrail_${AWS::Region}*"
                                )
                            ],
                        )
                    ),
                )
            ],
        )
        t.section("Where calls are read within minutes.", group, role)

        trail = cloudtrail.Trail(
            "Trail",
            DependsOn=[bucket_policy.title],
            TrailName=Explained(
                t.named("trail", Space.ACCOUNT), "A trail of all regions is there in each of them, under its name."
            ),
            IsLogging=True,
            IsMultiRegionTrail=True,
            IncludeGlobalServiceEvents=True,
            EnableLogFileValidation=True,
            S3BucketName=Ref(bucket),
            KMSKeyId=trail_key,
            CloudWatchLogsLogGroupArn=GetAtt(group, "Arn"),
            CloudWatchLogsRoleArn=GetAtt(role, "Arn"),
            **self._selected(t),
        )
        t.section("The trail: all regions, with digests that show whether a log file was changed.", trail)

        namespace = "Standby/" + t.name("audit")
        filters = [
            logs.MetricFilter(
                f"{watch.title}Filter",
                LogGroupName=Ref(group),
                FilterName=t.named(f"filter-{watch.kind}"),
                FilterPattern=watch.pattern,
                MetricTransformations=[
                    logs.MetricTransformation(
                        MetricNamespace=Sub(namespace), MetricName=watch.title, MetricValue="1", DefaultValue=0
                    )
                ],
            )
            for watch in self.watches
        ]
        alarms = [
            alarm(
                t,
                watch.title,
                watch.kind,
                watch.description,
                Metric(namespace=namespace, name=watch.title, statistic="Sum"),
                "GreaterThanThreshold",
                watch.more_than,
                topic,
                period=timedelta(minutes=5),
                periods=1,
                missing="notBreaching",
            )
            for watch in self.watches
        ]
        t.section("Calls that operators are told of.", *[one for pair in zip(filters, alarms, strict=True) for one in pair])

        t.output("TrailArn", GetAtt(trail, "Arn"), "The trail.")
        t.output("BucketName", Ref(bucket), "Where its log files are.")

    def _selected(self, t: Template) -> dict[str, Any]:
        """What the trail records: management calls, and those on data where they are asked for."""
        if self.data is None:
            return {"EventSelectors": [cloudtrail.EventSelector(IncludeManagementEvents=True, ReadWriteType="All")]}

        def selector(name: str, *fields: cloudtrail.AdvancedFieldSelector) -> cloudtrail.AdvancedEventSelector:
            return cloudtrail.AdvancedEventSelector(Name=name, FieldSelectors=list(fields))

        def data(name: str, type_: str, **arns: list[Any]) -> cloudtrail.AdvancedEventSelector:
            return selector(
                name, _field("eventCategory", "Data"), _field("resources.type", type_), _field("resources.ARN", **arns)
            )

        buckets = [
            Explained(
                Sub("arn:${AWS::Partition}:s3:::" + t.name(kind, Space.PARTITION).removesuffix("${AWS::Region}")),
                "The name of a bucket ends in its region: without it, the replica's objects are meant too.",
            )
            for kind in self.data.buckets
        ]
        functions = "arn:${AWS::Partition}:lambda:%s:${AWS::AccountId}:function:" + t.name("function").removesuffix(
            "${EnvironmentSuffix}"
        )
        function_arns = [Sub(functions % "${AWS::Region}")]
        if self.data.elsewhere:
            other_region = Select(3, Split(":", t.output_of(self.data.elsewhere)))
            function_arns.append(Sub(functions % "${Elsewhere}", Elsewhere=other_region))
        ending = Sub("-${EnvironmentSuffix}")
        return {
            "AdvancedEventSelectors": [
                selector("Management", _field("eventCategory", "Management")),
                data("Objects", "AWS::S3::Object", StartsWith=buckets),
                data("Functions", "AWS::Lambda::Function", StartsWith=function_arns, EndsWith=[ending]),
            ]
        }


def _field(name: str, *equals: str, **tests: list[Any]) -> cloudtrail.AdvancedFieldSelector:
    return cloudtrail.AdvancedFieldSelector(Field=name, **({"Equals": list(equals)} if equals else {}), **tests)
