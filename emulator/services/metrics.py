"""CloudWatch: metrics in the embedded metric format that functions print, and alarms that look at their own dimensions only."""

from __future__ import annotations

import json
import operator
import time
from collections.abc import Callable, Iterator
from typing import Any

from emulator.services import events


def install() -> None:
    from ministack.services import cloudwatch

    cloudwatch._evaluate_alarm = _evaluate


def embedded(text: str) -> None:
    """Records the metrics of every line that is a document of the embedded metric format."""
    from ministack.services import cloudwatch

    for line in text.splitlines():
        for namespace, name, value, unit, dimensions in _metrics(line.strip()):
            for one in value if isinstance(value, list) else [value]:
                cloudwatch.record_metric(namespace, name, one, unit, dimensions)
    cloudwatch._evaluate_all_alarms()


def _metrics(line: str) -> Iterator[tuple[str, str, Any, str, dict[str, str]]]:
    if not line.startswith("{") or '"CloudWatchMetrics"' not in line:
        return
    try:
        document = json.loads(line)
    except ValueError:
        return
    for block in document.get("_aws", {}).get("CloudWatchMetrics", []):
        for metric in block.get("Metrics", []):
            for names in block.get("Dimensions", [[]]):
                # A metric or dimension that the document does not carry makes it invalid; CloudWatch drops it.
                if metric["Name"] in document and all(name in document for name in names):
                    dimensions = {name: str(document[name]) for name in names}
                    yield block["Namespace"], metric["Name"], document[metric["Name"]], metric.get("Unit", "None"), dimensions


COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def _evaluate(alarm: dict[str, Any]) -> None:
    """An alarm's new state, from the periods that have data; as long as none has, it stays as it is."""
    from ministack.services import cloudwatch

    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    key = (alarm.get("Namespace"), alarm.get("MetricName"), dimensions)
    points = list(cloudwatch._metrics.get(key) or [])
    compare = COMPARE.get(alarm.get("ComparisonOperator", ""))
    period, periods, now = int(alarm.get("Period") or 60), int(alarm.get("EvaluationPeriods") or 1), time.time()
    name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    values = []
    for number in range(periods):
        within = [one for one in points if number * period <= now - one["Timestamp"] < (number + 1) * period]
        value = cloudwatch._stat_value(cloudwatch._calc_stats(within), name, within) if within else None
        if value is not None:
            values.append(value)
    if compare is None or not values:
        return
    # Missing periods count where the alarm says that they breach, and the newest ones may be yet to come.
    missing = periods - len(values) if alarm.get("TreatMissingData") == "breaching" else 0
    breaching = sum(compare(value, float(alarm.get("Threshold", 0))) for value in values) + missing
    new = "ALARM" if breaching >= int(alarm.get("DatapointsToAlarm") or periods) else "OK"
    old = alarm["StateValue"]
    if new != old:
        reason = f"Threshold Crossed: {name} of {values} {alarm['ComparisonOperator']} {alarm.get('Threshold')}"
        alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(now))
        cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
        cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
        cloudwatch._evaluate_parent_alarms(alarm)
        events.emit("aws.cloudwatch", "CloudWatch Alarm State Change", [alarm["AlarmArn"]], _said(alarm, old))


def _said(alarm: dict[str, Any], old: str) -> dict[str, Any]:
    state = {"value": alarm["StateValue"], "reason": alarm["StateReason"]}
    return {"alarmName": alarm["AlarmName"], "state": state, "previousState": {"value": old}}
