"""CloudTrail: what ministack's CreateTrail drops and its UpdateTrail keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[dict[str, Any]], Answer]

DROPPED = ("CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn")


def install() -> None:
    from ministack.services import cloudtrail

    create: Action = cloudtrail._DISPATCH["CreateTrail"]
    cloudtrail._DISPATCH["CreateTrail"] = lambda body: _create(create, body)


def _create(theirs: Action, body: dict[str, Any]) -> Answer:
    from ministack.services import cloudtrail

    answer = theirs(body)
    if answer[0] < 300:
        trail = cloudtrail._trails[body["Name"]]
        trail.update({name: body[name] for name in DROPPED if body.get(name)})
        if body.get("TagsList"):
            cloudtrail._trail_tags[trail["TrailARN"]] = {tag["Key"]: tag["Value"] for tag in body["TagsList"]}
    return answer
