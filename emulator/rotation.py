"""Secrets Manager's rotation: really invokes the function, through its four steps, with the staging labels that AWS sets.

One attempt per request, where AWS repeats a failed one some times.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from emulator import databases, permissions
from emulator.services import elasticache

log = logging.getLogger("emulator")

Answer = tuple[int, dict[str, str], bytes]
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
PENDING, CURRENT = "AWSPENDING", "AWSCURRENT"
DAY = 86400
SERVICE = "secretsmanager.amazonaws.com"

_changed = threading.Condition()
_under_way: dict[str, int] = {}  # secret ARN -> rotations that run or wait
_turns: dict[str, threading.Lock] = {}
_skipped: dict[str, str] = {}


def unexercised() -> list[str]:
    return list(_skipped.values())


def settle() -> None:
    """Returns when no rotation is under way."""
    with _changed:
        _changed.wait_for(lambda: not any(_under_way.values()), timeout=300)


def install() -> None:
    from ministack.services import secretsmanager

    put, get, describe, handle = (
        getattr(secretsmanager, name) for name in ("_put_secret_value", "_get_secret_value", "_describe_secret", "handle_request")
    )
    secretsmanager._rotate_secret = _rotate
    secretsmanager._put_secret_value = lambda data: _put(put, data)
    secretsmanager._get_secret_value = lambda data: _get(get, data)
    secretsmanager._describe_secret = lambda data: _describe(describe, data)

    async def with_cancel(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        if headers.get("x-amz-target", "").endswith(".CancelRotateSecret"):
            return _cancel(json.loads(body))
        return await handle(method, path, headers, body, query)

    secretsmanager.handle_request = with_cancel


def _named(data: dict[str, Any]) -> dict[str, Any] | Answer:
    """The secret that a call names, or what Secrets Manager says where it is not to be had."""
    from ministack.services import secretsmanager

    secret: dict[str, Any] | None
    _, secret = secretsmanager._resolve(data.get("SecretId"))
    if secret is None:
        return _error("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if secret.get("DeletedDate"):
        return _error(
            "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion."
        )
    return secret


def _rotate(data: dict[str, Any]) -> Answer:
    from ministack.core.concurrency import spawn_background

    secret = _named(data)
    if isinstance(secret, tuple):
        return secret
    function = data.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    if not function:
        return _error("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    refusal = _may_invoke(function, secret["ARN"])
    if refusal:
        return refusal
    token = data.get("ClientRequestToken") or str(uuid.uuid4())
    answer = {"ARN": secret["ARN"], "Name": secret["Name"]}
    missing = databases.missing_behind(_value(secret)) or elasticache.missing_behind(_value(secret))
    if missing:
        _set_up(secret, function, data)
        _skipped[secret["ARN"]] = f"The rotation of the secret {secret['Name']}: {missing}; the secret is left as it is."
        return _ok(answer)
    if not data.get("RotateImmediately", True):
        _set_up(secret, function, data)
        spawn_background(_try_out, secret, function, token, thread_name="emulator-rotation")
        return _ok(answer)
    pending = next(
        (version for version, one in secret["Versions"].items() if PENDING in one["Stages"] and CURRENT not in one["Stages"]),
        None,
    )
    if pending not in (None, token):
        _announce(secret, 1)
        spawn_background(_run, secret, function, pending, thread_name="emulator-rotation")
        return _error("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
    _set_up(secret, function, data)
    # The version has a label and no value until the function puts one.
    secret["Versions"].setdefault(token, _empty())
    if CURRENT not in secret["Versions"][token]["Stages"]:
        _label(secret, token)
    _announce(secret, 1)
    spawn_background(_run, secret, function, token, thread_name="emulator-rotation")
    return _ok({**answer, "VersionId": token})


def _set_up(secret: dict[str, Any], function: str, data: dict[str, Any]) -> None:
    """What is not refused any more says by what and when the secret is rotated."""
    secret["RotationLambdaARN"], secret["RotationEnabled"] = function, True
    if data.get("RotationRules"):
        secret["RotationRules"] = data["RotationRules"]


def _empty() -> dict[str, Any]:
    return {"SecretString": None, "SecretBinary": None, "CreatedDate": int(time.time()), "Stages": []}


def _label(secret: dict[str, Any], token: str) -> None:
    for version, one in secret["Versions"].items():
        one["Stages"] = [stage for stage in one["Stages"] if stage != PENDING] + ([PENDING] if version == token else [])


def _announce(secret: dict[str, Any], more: int) -> None:
    with _changed:
        _under_way[secret["ARN"]] = _under_way.get(secret["ARN"], 0) + more
        _changed.notify_all()


def _run(secret: dict[str, Any], function: str, token: str) -> None:
    """All steps of an announced rotation. A failed one ends it, and AWSPENDING stays: so the next request knows of it."""
    try:
        with _turns.setdefault(secret["ARN"], threading.Lock()):
            if all(_step(secret, function, token, step) for step in STEPS):
                if CURRENT in secret["Versions"].get(token, _empty())["Stages"]:
                    secret["LastRotatedDate"] = int(time.time())
                else:
                    log.error("Rotation of %s: finishSecret returned, and version %s is not AWSCURRENT", secret["Name"], token)
    finally:
        _announce(secret, -1)


def _try_out(secret: dict[str, Any], function: str, token: str) -> None:
    """What AWS does where rotation shall not begin at once: testSecret, with a pending version that goes again."""
    _announce(secret, 1)
    try:
        with _turns.setdefault(secret["ARN"], threading.Lock()):
            current = next((one for one in secret["Versions"].values() if CURRENT in one["Stages"]), _empty())
            secret["Versions"][token] = {**current, "Stages": []}
            _label(secret, token)
            _step(secret, function, token, "testSecret")
            secret["Versions"].pop(token, None)
    finally:
        _announce(secret, -1)


def _step(secret: dict[str, Any], function: str, token: str, step: str) -> bool:
    from ministack.services import lambda_svc

    found = lambda_svc._functions.get(function.split(":")[6])
    if found is None:
        log.error("Rotation of %s: the function %s does not exist", secret["Name"], function)
        return False
    result = lambda_svc._execute_function(found, {"SecretId": secret["ARN"], "ClientRequestToken": token, "Step": step})
    if result.get("error"):
        log.error("Rotation of %s: %s failed: %s", secret["Name"], step, result.get("body"))
    return not result.get("error")


def _may_invoke(function: str, secret_arn: str) -> Answer | None:
    """The refusal that AWS answers where the function's policy does not let Secrets Manager invoke it."""
    from ministack.services import lambda_svc

    if lambda_svc._functions.get(function.split(":")[6]) is None:
        return _error("ResourceNotFoundException", f"Secrets Manager can't find the Lambda function {function}.")
    if permissions.service_may(SERVICE, "lambda:InvokeFunction", function, secret_arn):
        return None
    return _error(
        "AccessDeniedException",
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the "
        "principal secretsmanager.amazonaws.com.",
    )


def _value(secret: dict[str, Any]) -> dict[str, Any]:
    text = next((one["SecretString"] for one in secret["Versions"].values() if CURRENT in one["Stages"]), None)
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _put(theirs: Callable[[dict[str, Any]], Answer], data: dict[str, Any]) -> Answer:
    """A version is written once: the same value again changes nothing, another one is refused. A label is on one version."""
    from ministack.services import secretsmanager

    _, secret = secretsmanager._resolve(data.get("SecretId"))
    token, stages = data.get("ClientRequestToken"), data.get("VersionStages") or [CURRENT]
    written = (secret or {}).get("Versions", {}).get(token)
    if secret is None or token is None:
        return theirs(data)
    if secretsmanager._is_replica(secret) and not secret.get("DeletedDate"):
        refusal: Answer = secretsmanager._replica_mutation_error()
        return refusal  # whatever is asked for, also what it has already
    if written is not None and _is_written(written):
        if (written["SecretString"], written["SecretBinary"]) != (data.get("SecretString"), data.get("SecretBinary")):
            return _error(
                "ResourceExistsException", f"You can't change the value of version {token}: it exists already, with another one."
            )
        return _ok({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token, "VersionStages": list(written["Stages"])})
    answer = theirs(data)
    if answer[0] >= 300:
        return answer  # a refused call moves no label
    for version, one in secret["Versions"].items():
        if version != token:
            one["Stages"] = [stage for stage in one["Stages"] if stage not in stages]
    made = secret["Versions"][token]
    made["Stages"] += [stage for stage in stages if stage not in made["Stages"]]  # AWSPENDING beside AWSCURRENT is dropped else
    return _ok({**json.loads(answer[2]), "VersionStages": list(made["Stages"])})


def _is_written(version: dict[str, Any]) -> bool:
    return version.get("SecretString") is not None or version.get("SecretBinary") is not None


def _get(theirs: Callable[[dict[str, Any]], Answer], data: dict[str, Any]) -> Answer:
    """A version that was only announced has no value; a version and a label that are both asked for have to belong together."""
    from ministack.services import secretsmanager

    _, secret = secretsmanager._resolve(data.get("SecretId"))
    versions = (secret or {}).get("Versions", {})
    stage, token = data.get("VersionStage"), data.get("VersionId")
    if secret is not None and not secret.get("DeletedDate"):
        asked = (
            versions.get(token)
            if token
            else next((one for one in versions.values() if (stage or CURRENT) in one["Stages"]), None)
        )
        if asked is not None and token and stage and stage not in asked["Stages"]:
            return _error(
                "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."
            )
        if asked is not None and not _is_written(asked):
            return _error(
                "ResourceNotFoundException",
                f"Secrets Manager can't find the specified secret value for VersionId: {token or stage}",
            )
    return theirs(data)


def _describe(theirs: Callable[[dict[str, Any]], Answer], data: dict[str, Any]) -> Answer:
    from ministack.services import secretsmanager

    status, headers, body = theirs(data)
    _, secret = secretsmanager._resolve(data.get("SecretId"))
    if status != 200 or secret is None or not secret.get("RotationEnabled"):
        return status, headers, body
    more = {"LastRotatedDate": secret["LastRotatedDate"]} if "LastRotatedDate" in secret else {}
    days = (secret.get("RotationRules") or {}).get("AutomaticallyAfterDays")
    if days:
        more["NextRotationDate"] = secret.get("LastRotatedDate", secret["CreatedDate"]) + int(days) * DAY
    return _ok({**json.loads(body), **more})


def _cancel(data: dict[str, Any]) -> Answer:
    from ministack.services import secretsmanager

    secret = _named(data)
    if isinstance(secret, tuple):
        return secret
    if secretsmanager._is_replica(secret):
        answer: Answer = secretsmanager._replica_mutation_error()
        return answer
    secret["RotationEnabled"] = False
    return _ok({"ARN": secret["ARN"], "Name": secret["Name"]})


def _ok(body: dict[str, Any]) -> Answer:
    from ministack.core.responses import json_response

    answer: Answer = json_response(body)
    return answer


def _error(code: str, message: str) -> Answer:
    from ministack.core.responses import error_response_json

    answer: Answer = error_response_json(code, message, 400)
    return answer
