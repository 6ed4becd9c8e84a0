"""The table of test_rules for what AWS's conformance packs ask beyond the rest."""

from __future__ import annotations

from typing import Any

from tests.support.compliance.small_system import GONE

Changes = list[tuple[str, Any]]

FAILED = "data/Resources/FunctionFailed"
OWNED = "base/Resources/Bucket/Properties/OwnershipControls"
ROUTE = "network/Resources/ToS3/Properties"
SUBNET = "network/Resources/SubnetA/Properties/MapPublicIpOnLaunch"
TABLE = "platform/Resources/Table/Properties/BillingMode"
DAILY = "elsewhere/Resources/Daily/Properties/BackupPlan/BackupPlanRule"


def attached(vpc: Any) -> dict[str, Any]:
    """A gateway to the internet, joined to a network."""
    return {"Type": "AWS::EC2::VPCGatewayAttachment", "Properties": {"VpcId": vpc, "InternetGatewayId": "igw-1"}}


BREAKS: list[tuple[str, str, Changes]] = [
    # rule, resource, what is changed: then the rule is unmet
    ("functions.failures_told", "data.Function", [(FAILED, GONE)]),
    ("functions.failures_told", "data.Function", [(f"{FAILED}/Condition", "Sometimes")]),
    ("functions.failures_told", "data.Function", [(f"{FAILED}/Properties/MetricName", "Duration")]),
    ("functions.failures_told", "data.Function", [(f"{FAILED}/Properties/AlarmActions", [])]),
    ("functions.failures_told", "data.Function", [(f"{FAILED}/Properties/ComparisonOperator", "LessThanThreshold")]),
    ("functions.failures_told", "data.Function", [(f"{FAILED}/Properties/Dimensions/0/Value", "another")]),
    (
        "functions.failures_told",
        "data.Function",
        [("data/Metadata/Layer/Sites", {"recovery": "us-west-2"}), (FAILED, GONE)],
    ),
    ("s3.no_acl", "base.Bucket", [(OWNED, GONE)]),
    ("s3.no_acl", "base.Bucket", [(f"{OWNED}/Rules/0/ObjectOwnership", "ObjectWriter")]),
    ("s3.no_acl", "base.Bucket", [("base/Resources/Bucket/Properties/AccessControl", "PublicRead")]),
    ("ec2.addresses_private", "network.SubnetA", [(SUBNET, True)]),
    ("ec2.addresses_private", "network.SubnetA", [(SUBNET, {"Ref": "ZoneA"})]),
    ("ec2.no_gateway", "network.Vpc", [("network/Resources/Joined", attached({"Ref": "Vpc"}))]),
    ("ec2.no_gateway", "network.Vpc", [("network/Resources/Joined", attached("vpc-1"))]),
    ("ec2.no_open_route", "network.Table", [(f"{ROUTE}/GatewayId", "igw-1")]),
    ("ec2.no_open_route", "network.Table", [(f"{ROUTE}/EgressOnlyInternetGatewayId", "eigw-1")]),
    ("tables.on_demand", "platform.Table", [(TABLE, GONE)]),
    ("tables.on_demand", "platform.Table", [(TABLE, "PROVISIONED")]),
    ("backup.often", "elsewhere.Daily", [(f"{DAILY}/0/Lifecycle", {"DeleteAfterDays": 6})]),
    ("backup.often", "elsewhere.Daily", [(f"{DAILY}/0/Lifecycle", GONE)]),
    ("backup.often", "elsewhere.Daily", [(f"{DAILY}/0/ScheduleExpression", "cron(0 15 ? * MON-FRI *)")]),
    ("backup.often", "elsewhere.Daily", [(f"{DAILY}/0/ScheduleExpression", "cron(0 15 ? * SUN *)")]),
    ("backup.often", "elsewhere.Daily", [(f"{DAILY}/0/ScheduleExpression", "cron(0 15 1 * ? *)")]),
    ("backup.often", "elsewhere.Daily", [(f"{DAILY}/0/ScheduleExpression", "cron(0 15 * 3 ? *)")]),
    ("backup.often", "elsewhere.Daily", [(f"{DAILY}/0/ScheduleExpression", "rate(2 days)")]),
    ("backup.often", "elsewhere.Daily", [(DAILY, [])]),
]

BEARS: list[tuple[str, str, Changes]] = [
    ("ec2.addresses_private", "network.SubnetA", [(SUBNET, False)]),
    ("backup.often", "elsewhere.Daily", [(f"{DAILY}/0/ScheduleExpression", "cron(0 15 ? * SUN-SAT *)")]),
]
