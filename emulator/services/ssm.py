"""Systems Manager: a value has to be of the pattern that its parameter allows; policies may ask whether it is written over."""

from __future__ import annotations

import json
import re
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    from ministack.core import iam_actions
    from ministack.services import ssm

    tags = iam_actions.request_tag_context
    iam_actions.request_tag_context = lambda service, action, body, given: {
        **tags(service, action, body, given),
        **_condition_keys(action, body),
    }

    put = ssm._put_parameter
    ssm._put_parameter = lambda data: _refusal(data) or put(data)


def _condition_keys(action: str, body: bytes) -> dict[str, str]:
    """``ssm:Overwrite``, of a request that writes a parameter."""
    if action != "ssm:PutParameter":
        return {}
    return {"ssm:overwrite": "true" if json.loads(body or b"{}").get("Overwrite") else "false"}


def _refusal(data: dict[str, Any]) -> Answer | None:
    from ministack.core.responses import error_response_json

    pattern, value = data.get("AllowedPattern"), str(data.get("Value", ""))
    if not pattern or re.search(pattern, value):
        return None
    message = f"Parameter value, cannot be validated against allowedPattern: {pattern}"
    answer: Answer = error_response_json("ParameterPatternMismatchException", message, 400)
    return answer
