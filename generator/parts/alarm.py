"""An alarm named after the trouble; its description tells the operator what to expect and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from troposphere import Sub, cloudwatch

from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A CloudWatch metric and the statistic that is watched."""

    namespace: str
    name: str
    statistic: str = "Average"
    dimensions: dict[str, Any] = field(default_factory=dict)


def alarm(
    t: Template,
    title: str,
    kind: str,
    description: str,
    metric: Metric,
    comparison: str,
    threshold: object,
    topic_arn: object,
    *,
    period: timedelta = timedelta(minutes=1),
    periods: int = 5,
    missing: object = "missing",
    name: Sub | None = None,
) -> cloudwatch.Alarm:
    """Notify ``topic_arn`` when ``metric`` stays beyond ``threshold`` for ``periods`` periods, and when it has recovered.

    ``missing`` is CloudWatch's TreatMissingData; ``name`` is given where the requirements spell it out.
    """
    return cloudwatch.Alarm(
        title,
        AlarmName=name or t.named(f"alarm-{kind}"),
        AlarmDescription=description,
        Namespace=metric.namespace if "$" not in metric.namespace else Sub(metric.namespace),
        MetricName=metric.name,
        Dimensions=[cloudwatch.MetricDimension(Name=name, Value=value) for name, value in metric.dimensions.items()],
        Statistic=metric.statistic,
        Period=int(period.total_seconds()),
        EvaluationPeriods=periods,
        DatapointsToAlarm=periods,
        ComparisonOperator=comparison,
        Threshold=threshold,
        TreatMissingData=missing,
        AlarmActions=[topic_arn],
        OKActions=[topic_arn],
    )
