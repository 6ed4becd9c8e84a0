"""CloudWatch: every alarm's change is an event, composite alarms can be suppressed, and dashboards carry tags."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from emulator.services import events

Action = Callable[..., Any]


def install() -> None:
    from ministack.services import cloudwatch

    put, delete, validate = cloudwatch._put_dashboard, cloudwatch._delete_dashboards, cloudwatch._validate_alarm_tag_arn
    cloudwatch._put_dashboard = lambda params, data, *form, **more: _put(put, params, data, *form, **more)
    cloudwatch._delete_dashboards = lambda params, data, *form, **more: _delete(delete, params, data, *form, **more)
    composite = cloudwatch._put_composite_alarm
    cloudwatch._put_composite_alarm = lambda params, data, *form, **more: _put_composite(composite, params, data, *form, **more)
    dispatch, history = cloudwatch._dispatch_alarm_actions, cloudwatch._record_history
    cloudwatch._dispatch_alarm_actions = lambda alarm, *rest: None if _suppressed(alarm) else dispatch(alarm, *rest)

    def recorded(name: str, old: str, new: str, *rest: Any, **more: Any) -> None:
        history(name, old, new, *rest, **more)
        if old != new:
            _announce(name, old)

    cloudwatch._record_history = recorded
    cloudwatch._validate_alarm_tag_arn = lambda arn, **form: None if _is_dashboard(arn) else validate(arn, **form)


SUPPRESSION = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")


def _suppressed(alarm: dict[str, Any]) -> bool:
    """Whether the alarm that suppresses a composite alarm's actions is in ALARM."""
    from ministack.services import cloudwatch

    name = str(alarm.get("ActionsSuppressor") or "").rsplit(":", 1)[-1]
    found = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    return bool(found) and found["StateValue"] == "ALARM"


def _announce(name: str, old: str) -> None:
    """The event of a change of state, whoever made it."""
    from ministack.services import cloudwatch

    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms[name]
    now = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    state = {"value": alarm["StateValue"], "reason": alarm["StateReason"], "timestamp": now}
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    detail = {"alarmName": name, "configuration": _configuration(alarm), "state": state, "previousState": {"value": old}}
    events.emit("aws.cloudwatch", "CloudWatch Alarm State Change", [alarm["AlarmArn"]], detail)


def _configuration(alarm: dict[str, Any]) -> dict[str, Any]:
    """What the event says of how the alarm is set up."""
    if "AlarmRule" in alarm:
        return {"description": alarm["AlarmDescription"], "alarmRule": alarm["AlarmRule"]}
    if "Metrics" in alarm:
        return {"description": alarm.get("AlarmDescription", ""), "metrics": [_query(query) for query in alarm["Metrics"]]}
    metric = {
        "name": alarm.get("MetricName"),
        "namespace": alarm.get("Namespace"),
        "dimensions": {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []},
    }
    stat = {"metric": metric, "period": alarm.get("Period"), "stat": alarm.get("Statistic") or alarm.get("ExtendedStatistic")}
    return {"description": alarm.get("AlarmDescription", ""), "metrics": [{"id": "m", "metricStat": stat, "returnData": True}]}


def _query(query: dict[str, Any]) -> dict[str, Any]:
    """A query of a metric or an expression, in the words of the event."""
    said: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if "Expression" in query:
        return {**said, "expression": query["Expression"], **({"label": query["Label"]} if "Label" in query else {})}
    stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}
    named = {"namespace": metric["Namespace"], "name": metric["MetricName"], "dimensions": dimensions}
    return {**said, "metricStat": {"metric": named, "period": stat["Period"], "stat": stat["Stat"]}}


def _put_composite(theirs: Action, params: Any, data: Any, *form: Any, **more: Any) -> Any:
    from ministack.services import cloudwatch

    answer = theirs(params, data, *form, **more)
    given = data or {}
    if answer[0] < 300 and given.get("AlarmName") in cloudwatch._composite_alarms:
        kept = {name: given[name] for name in SUPPRESSION if name in given}
        cloudwatch._composite_alarms[given["AlarmName"]].update(kept)
    return answer


def _arn(name: str) -> str:
    from ministack.core.responses import get_account_id

    return f"arn:aws:cloudwatch::{get_account_id()}:dashboard/{name}"


def _is_dashboard(arn: str) -> bool:
    from ministack.services import cloudwatch

    name = arn.rsplit("/", 1)[-1]
    return arn == _arn(name) and name in cloudwatch._dashboards


def _put(theirs: Action, params: Any, data: Any, *form: Any, **more: Any) -> Any:
    from ministack.services import cloudwatch

    answer = theirs(params, data, *form, **more)
    given = data or {}
    if answer[0] < 300 and given.get("Tags"):
        cloudwatch._resource_tags[_arn(given["DashboardName"])] = {tag["Key"]: tag["Value"] for tag in given["Tags"]}
    return answer


def _delete(theirs: Action, params: Any, data: Any, *form: Any, **more: Any) -> Any:
    from ministack.services import cloudwatch

    answer = theirs(params, data, *form, **more)
    if answer[0] < 300:
        for name in (data or {}).get("DashboardNames", []):
            cloudwatch._resource_tags.pop(_arn(name), None)
    return answer
