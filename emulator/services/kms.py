"""KMS: no key is made, or given a policy, that its caller could not change again. It has no tags yet when that is asked."""

from __future__ import annotations

from typing import Any

from emulator import authorizations, callers

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    from ministack.services import kms

    make = kms._create_key
    kms._create_key = lambda given: _locked_out(given) or make(given)


def _locked_out(given: dict[str, Any]) -> Answer | None:
    from ministack.core.responses import error_response_json, get_region

    policy = given.get("Policy")
    if (
        policy is None
        or given.get("BypassPolicyLockoutSafetyCheck")
        or authorizations.ask_to_rule(policy, get_region(), through=False)
    ):
        return None
    answer: Answer = error_response_json("MalformedPolicyDocumentException", callers.LOCKED_OUT, 400)
    return answer
