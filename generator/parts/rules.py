"""EventBridge rules: what AWS says happened, to the topic, or the clock, to a function."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from troposphere import GetAtt, Ref, awslambda, events

from generator.template import Explained, Template


def notification_rule(
    t: Template, title: str, kind: str, description: str, pattern: dict[str, Any], topic_arn: Any, *, name: Any = None
) -> events.Rule:
    """A rule that passes matching events on to the topic; ``name`` is given where the requirements spell it out."""
    return events.Rule(
        title,
        Name=name or t.named(kind),
        Description=description,
        EventPattern=pattern,
        State="ENABLED",
        Targets=[events.Target(Id="Topic", Arn=topic_arn)],
    )


def scheduled_rule(
    t: Template, title: str, kind: str, description: str, period: timedelta, function: awslambda.Function
) -> tuple[events.Rule, awslambda.Permission]:
    """A rule that invokes ``function`` every ``period``, and the permission for it.

    Its retry policy is of the delivery alone: an event that Lambda does not take is not delivered again. A function that takes it
    and fails is invoked twice more by Lambda, and its errors count three times.
    """
    minutes = int(period.total_seconds()) // 60
    rule = events.Rule(
        title,
        Name=t.named(kind),
        Description=description,
        ScheduleExpression=f"rate({minutes} minute{'s' if minutes > 1 else ''})",
        State="ENABLED",
        Targets=[
            events.Target(
                Id="Function",
                Arn=GetAtt(function, "Arn"),
                RetryPolicy=Explained(
                    events.RetryPolicy(MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60),
                    "The next run comes soon enough, and begins where this one ended.",
                ),
            )
        ],
    )
    permission = awslambda.Permission(
        f"InvokedBy{title}",
        FunctionName=Ref(function),
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceAccount=Ref("AWS::AccountId"),
        SourceArn=GetAtt(rule, "Arn"),
    )
    return rule, permission
