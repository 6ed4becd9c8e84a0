"""CloudWatch: dashboards carry tags, and composite alarms keep what suppresses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Action = Callable[..., Any]


def install() -> None:
    from ministack.services import cloudwatch

    put, delete, validate = cloudwatch._put_dashboard, cloudwatch._delete_dashboards, cloudwatch._validate_alarm_tag_arn
    cloudwatch._put_dashboard = lambda params, data, *form, **more: _put(put, params, data, *form, **more)
    cloudwatch._delete_dashboards = lambda params, data, *form, **more: _delete(delete, params, data, *form, **more)
    composite = cloudwatch._put_composite_alarm
    cloudwatch._put_composite_alarm = lambda params, data, *form, **more: _put_composite(composite, params, data, *form, **more)
    cloudwatch._validate_alarm_tag_arn = lambda arn, **form: None if _is_dashboard(arn) else validate(arn, **form)


SUPPRESSION = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")


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
