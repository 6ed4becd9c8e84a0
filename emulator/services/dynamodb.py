"""DynamoDB: for how many days a table can be restored to any point in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[dict[str, Any]], Answer]

LONGEST = 35  # days; what AWS takes where nobody says


@cache
def _periods() -> Any:
    from ministack.core.responses import AccountRegionScopedDict

    return AccountRegionScopedDict()


def install() -> None:
    from ministack.services import dynamodb

    update, describe = dynamodb._update_continuous_backups, dynamodb._describe_continuous_backups
    dynamodb._update_continuous_backups = lambda data: _update(update, data)
    dynamodb._describe_continuous_backups = lambda data: _with_period(describe(data), data)


def _update(theirs: Action, data: dict[str, Any]) -> Answer:
    answer = theirs(data)
    if answer[0] < 300:
        _periods()[data["TableName"]] = data["PointInTimeRecoverySpecification"].get("RecoveryPeriodInDays", LONGEST)
    return _with_period(answer, data)


def _with_period(answer: Answer, data: dict[str, Any]) -> Answer:
    from ministack.core.responses import json_response

    if answer[0] >= 300:
        return answer
    body = json.loads(answer[2])
    recovery = body["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    if recovery["PointInTimeRecoveryStatus"] == "ENABLED":
        recovery["RecoveryPeriodInDays"] = _periods().get(data["TableName"], LONGEST)
    made: Answer = json_response(body)
    return made
