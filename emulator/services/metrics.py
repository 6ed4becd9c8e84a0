"""CloudWatch: metrics in the embedded metric format that functions print, and alarms that look at their own dimensions only."""

from __future__ import annotations

import json
import operator
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from emulator import ACCOUNT
from emulator.services import expressions


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


def breaching(alarm: dict[str, Any], *, silence: bool = False) -> bool | None:
    """Whether the alarm's metric breaches its threshold, by the periods that have data; None where none has.

    ``silence``: a period without data counts as the alarm says, as it does once the period is over.
    """
    from ministack.services import cloudwatch

    compare = COMPARE.get(alarm.get("ComparisonOperator", ""))
    periods, values = int(alarm.get("EvaluationPeriods") or 1), _values(alarm, cloudwatch)
    treated = alarm.get("TreatMissingData") or "missing"
    if compare is None or (not values and not (silence and treated in ("breaching", "notBreaching"))):
        return None
    # Missing periods count where the alarm says that they breach, and the newest ones may be yet to come.
    missing = periods - len(values) if treated == "breaching" else 0
    count = sum(compare(value, float(alarm.get("Threshold", 0))) for value in values) + missing
    return count >= int(alarm.get("DatapointsToAlarm") or periods)


def _values(alarm: dict[str, Any], cloudwatch: Any) -> list[float]:
    """The statistic of each period that has data, the newest one first."""
    periods = int(alarm.get("EvaluationPeriods") or 1)

    def measured(metric: Mapping[str, Any], period: object, statistic: str) -> expressions.Series:
        dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(metric.get("Dimensions") or []))
        points = list(cloudwatch._metrics.get((metric.get("Namespace"), metric.get("MetricName"), dimensions)) or [])
        length, now = int(str(period)), time.time()
        found: expressions.Series = []
        for number in range(periods):
            within = [one for one in points if number * length <= now - one["Timestamp"] < (number + 1) * length]
            found.append(cloudwatch._stat_value(cloudwatch._calc_stats(within), statistic, within) if within else None)
        return found

    if "Metrics" in alarm:
        series = expressions.periods(alarm["Metrics"], lambda stat: measured(stat["Metric"], stat["Period"], stat["Stat"]))
    else:
        series = measured(alarm, alarm.get("Period") or 60, _statistic(alarm))
    return [value for value in series if value is not None]


def _statistic(alarm: dict[str, Any]) -> str:
    return str(
        alarm.get("ExtendedStatistic") or alarm.get("Statistic") or ("Average" if "Metrics" not in alarm else "expression")
    )


def _evaluate(alarm: dict[str, Any]) -> None:
    """An alarm's new state, from the periods that have data; as long as none has, it stays as it is."""
    found = breaching(alarm)
    if found is not None:
        _become(alarm, "ALARM" if found else "OK")


def pass_silence(region: str) -> dict[str, Any]:
    """What the end of every period does: an alarm whose metric is silent is where it says that silence takes it."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    changed = []
    with request_scope(ACCOUNT, region):
        for alarm in list(cloudwatch._alarms.values()):
            found, treated = breaching(alarm, silence=True), alarm.get("TreatMissingData") or "missing"
            if found is None and treated == "ignore":
                continue
            new = "INSUFFICIENT_DATA" if found is None else "ALARM" if found else "OK"
            if alarm["StateValue"] != new:
                _become(alarm, new)
                changed.append(alarm["AlarmName"])
    return {"changed": changed}


def pass_minute(region: str) -> dict[str, Any]:
    """Makes every value a minute older, as if one had passed: what was well then counts no more when its periods are over."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    with request_scope(ACCOUNT, region):
        for points in list(cloudwatch._metrics.values()):
            for one in points:
                one["Timestamp"] -= 60
        cloudwatch._evaluate_all_alarms()
    return {}


def measure(namespace: str, name: str, value: str, region: str, dimensions: str) -> dict[str, Any]:
    """A value of a service's own metric, which nobody but the service could publish."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    with request_scope(ACCOUNT, region):
        cloudwatch.record_metric(namespace, name, float(value), "None", json.loads(dimensions))
        cloudwatch._evaluate_all_alarms()
    return {}


def _become(alarm: dict[str, Any], new: str) -> None:
    from ministack.services import cloudwatch

    old = alarm["StateValue"]
    if new == old:
        return
    values = _values(alarm, cloudwatch)
    reason = f"Threshold Crossed: {_statistic(alarm)} of {values} {alarm['ComparisonOperator']} {alarm.get('Threshold')}"
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)
