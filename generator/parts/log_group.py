"""A log group with retention and key."""

from __future__ import annotations

from datetime import timedelta

from troposphere import Sub, logs

from generator.template import Explained

WORKING_LOGS = timedelta(days=400)
A_YEAR_AND_A_MONTH = "A year and a month, so that last year's quarter can be compared."


def log_group(title: str, name: Sub | Explained, key_arn: object, retention: timedelta = WORKING_LOGS) -> logs.LogGroup:
    """A log group; CloudWatch Logs takes only certain numbers of days, which cfn-lint checks."""
    return logs.LogGroup(
        title,
        DeletionPolicy="Delete",
        UpdateReplacePolicy="Delete",
        LogGroupName=name,
        RetentionInDays=Explained(retention.days, A_YEAR_AND_A_MONTH) if retention == WORKING_LOGS else retention.days,
        KmsKeyId=key_arn,
    )
