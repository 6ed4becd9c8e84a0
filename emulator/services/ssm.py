"""Systems Manager: a parameter's value has to be of the pattern that it allows."""

from __future__ import annotations

import re
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    from ministack.services import ssm

    put = ssm._put_parameter
    ssm._put_parameter = lambda data: _refusal(data) or put(data)


def _refusal(data: dict[str, Any]) -> Answer | None:
    from ministack.core.responses import error_response_json

    pattern, value = data.get("AllowedPattern"), str(data.get("Value", ""))
    if not pattern or re.search(pattern, value):
        return None
    message = f"Parameter value, cannot be validated against allowedPattern: {pattern}"
    answer: Answer = error_response_json("ParameterPatternMismatchException", message, 400)
    return answer
