"""Functions: their logs have a group of ours, and nobody else's service calls them."""

from __future__ import annotations

from compliance.rules import alarms, failover
from compliance.rules.rds import group_stands_first
from model import Rule
from model.architecture import watches
from model.view import Resource

FUNCTION = ("AWS::Lambda::Function",)


def _log_group_first(function: Resource) -> tuple[str, bool]:
    chosen = function.follow("LoggingConfig", "LogGroup")
    if chosen is not None:
        return "LoggingConfig.LogGroup", chosen.type == "AWS::Logs::LogGroup" and chosen.certain
    name = function.text("FunctionName")
    return "FunctionName", name is not None and group_stands_first(function, f"/aws/lambda/{name}")


def _in_vpc(function: Resource) -> tuple[str, bool] | None:
    if failover.decides(function):
        return None
    subnets = function.members("VpcConfig", "SubnetIds")
    groups = function.members("VpcConfig", "SecurityGroupIds")
    return "VpcConfig", bool(subnets) and bool(groups) and None not in subnets + groups


def _invoked_by_ours(permission: Resource) -> tuple[str, bool]:
    account = permission.text("SourceAccount") == "${AWS::AccountId}"
    arn = permission.get("SourceArn") is not None
    return "SourceAccount", account or arn


def _failures_told(function: Resource) -> tuple[str, bool]:
    """Whether an alarm rings on one error of the function, wherever its failed calls came from."""
    return "Errors", any(
        alarm.certain
        and (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/Lambda", "Errors")
        and set(function.regions) <= set(alarm.regions)
        and str(alarm.get("ComparisonOperator")).startswith("GreaterThan")
        and bool(alarm.get("AlarmActions"))
        and watches(alarm, function, "FunctionName")
        for alarm in function.view.resources(alarms.ALARM)
    )


failures_told = Rule(
    "functions.failures_told",
    "An alarm rings when a call of the function fails.",
    "Lambda tries an event twice more and then drops it; nobody would hear of it.",
    "AWS Lambda Developer Guide, Types of metrics for Lambda functions: Errors; Asynchronous invocation",
    FUNCTION,
    _failures_told,
)
log_group_first = Rule(
    "functions.log_group_first",
    "The function's log group stands before the function does.",
    "Lambda creates a missing group itself: without retention, without key, and left behind after a destroy.",
    "AWS Lambda Developer Guide, Sending Lambda function logs to CloudWatch Logs",
    FUNCTION,
    _log_group_first,
)
in_vpc = Rule(
    "functions.in_vpc",
    "The function runs in subnets and groups of the system, but for the one that decides on a failover.",
    "It reaches the database by its private address, and nothing that its group does not allow.",
    "AWS Security Hub Lambda.3",
    FUNCTION,
    _in_vpc,
)
invoked_by_ours = Rule(
    "functions.invoked_by_ours",
    "The permission to invoke is bound to this account or to one resource.",
    "Otherwise the service would call it on behalf of any account.",
    "AWS Security Hub Lambda.1; AWS IAM User Guide, The confused deputy problem",
    ("AWS::Lambda::Permission",),
    _invoked_by_ours,
)
