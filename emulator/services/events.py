"""EventBridge: rules deliver where policies let them, else to the dead-letter queue; schedules wait to be asked."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from emulator import permissions

log = logging.getLogger("emulator")

SERVICE = "events.amazonaws.com"

_dead_letters: list[Callable[..., None]] = []  # how ministack puts a message into a queue
_changed = threading.Condition()
_under_way: list[str] = []  # ARNs of functions that run because of an event
_rule: ContextVar[dict[str, Any]] = ContextVar("rule")
_target: ContextVar[dict[str, Any]] = ContextVar("target")
_together: ContextVar[list[str] | None] = ContextVar("together", default=None)  # failures, where somebody waits for them


def install() -> None:
    from ministack.services import eventbridge

    invoke, delete = eventbridge._invoke_target, eventbridge._delete_rule
    eventbridge._invoke_target = lambda target, event, rule, view=None: _invoke(invoke, target, event, rule, view)
    eventbridge._delete_rule = lambda data: _refusal(data) or delete(data)
    queue, topic = eventbridge._dispatch_to_sqs, eventbridge._dispatch_to_sns
    _dead_letters[:] = [queue]
    eventbridge._dispatch_to_lambda = _to_function
    eventbridge._dispatch_to_sqs = lambda spec, payload, parameters=None: _permitted(
        "sqs:SendMessage", str(spec), payload, lambda: queue(spec, payload, parameters)
    )
    eventbridge._dispatch_to_sns = lambda arn, payload: _permitted("sns:Publish", arn, payload, lambda: topic(arn, payload))
    eventbridge._tick_scheduled_rules = lambda: None


def settle() -> None:
    """Returns when no function runs because of an event."""
    with _changed:
        _changed.wait_for(lambda: not _under_way, timeout=900)


def emit(source: str, kind: str, resources: list[str], detail: dict[str, Any]) -> None:
    """An event of an AWS service, on the default bus."""
    from ministack.services import eventbridge

    entry = {"Source": source, "DetailType": kind, "Resources": resources, "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def fire(rule: str, region: str) -> dict[str, Any]:
    """What a schedule's hour does: invokes the targets of the rule, and returns when they have ended, with what failed."""
    from ministack.core.responses import get_account_id, new_uuid, request_scope
    from ministack.services import eventbridge

    account = get_account_id()
    with request_scope(account, region):
        found = eventbridge._rules.get(eventbridge._rule_key(rule, "default"))
        targets = eventbridge._targets.get(eventbridge._rule_key(rule, "default"), [])
        if found is None:
            return {"error": f"There is no rule {rule!r} in {region}."}
        if not found.get("ScheduleExpression"):
            return {"error": f"The rule {rule!r} has no schedule; put the event that it waits for."}
        if found["State"] != "ENABLED" or not targets:
            return {"error": f"The rule {rule!r} is {found['State']} and has {len(targets)} targets: its schedule does nothing."}
        event = {
            "EventId": new_uuid(),
            "Source": "aws.events",
            "DetailType": "Scheduled Event",
            "Detail": "{}",
            "EventBusName": "default",
            "Time": int(eventbridge._now_ts()),
            "Resources": [found["Arn"]],
            "Account": account,
            "Region": region,
        }
        failures: list[str] = []
        token = _together.set(failures)
        try:
            for target in list(targets):
                eventbridge._invoke_target(target, event, found)
        finally:
            _together.reset(token)
    return {"failures": failures}


def _invoke(theirs: Callable[..., None], target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any) -> None:
    rule_token, target_token = _rule.set(rule), _target.set(target)
    try:
        theirs(target, event, rule, view)
    finally:
        _rule.reset(rule_token)
        _target.reset(target_token)


def _permitted(action: str, arn: str, payload: str, deliver: Callable[[], None]) -> None:
    """Delivers where the target's policy, and that of its key, let EventBridge; else to the dead-letter queue."""
    rule = _rule.get()["Arn"]
    if permissions.service_may(SERVICE, action, arn, rule) and permissions.service_may_use_key(SERVICE, _key_of(arn), rule):
        deliver()
    else:
        _failed("NO_PERMISSIONS", f"{SERVICE} may not {action} on {arn}", payload)


def _key_of(arn: str) -> str:
    from ministack.services import sns, sqs

    holder = sns._topic_by_arn_any_scope(arn) if ":sns:" in arn else sqs._queue_by_arn(arn)
    return str(((holder or {}).get("attributes") or {}).get("KmsMasterKeyId") or "")


def _to_function(arn: str, payload: str) -> None:
    from ministack.core.concurrency import spawn_background
    from ministack.services import lambda_svc

    function, configuration, _ = lambda_svc._get_func_record_for_ref(arn)
    if not function or not configuration:
        _failed("NO_RESOURCE", f"{arn} does not exist", payload)
    elif not permissions.service_may(SERVICE, "lambda:InvokeFunction", arn, _rule.get()["Arn"]):
        _failed("NO_PERMISSIONS", f"{SERVICE} may not invoke {arn}", payload)
    else:
        record = lambda_svc._execution_record_for_config(function, configuration)
        with _changed:
            _under_way.append(arn)
        failures = _together.get()
        if failures is None:
            spawn_background(_run, record, json.loads(payload), arn, None, thread_name="emulator-event")
        else:
            _run(record, json.loads(payload), arn, failures)


def _run(record: Any, event: Any, arn: str, failures: list[str] | None) -> None:
    from ministack.services import lambda_svc

    try:
        result = lambda_svc._execute_function_with_config_scope(record, event)
        if result.get("error"):
            body = result.get("body") or {}
            log.error("%s failed: %s", arn, body)
            if failures is not None:
                failures.append(f"{arn} failed: {body.get('errorMessage', body)}")
    finally:
        with _changed:
            _under_way.remove(arn)
            _changed.notify_all()


def _failed(code: str, message: str, payload: str) -> None:
    """A delivery that cannot succeed goes to the target's dead-letter queue, where there is one that takes it."""
    from ministack.core.arn import parse_arn
    from ministack.services import sqs

    rule, target, failures = _rule.get(), _target.get(), _together.get()
    log.warning("Rule %s: %s", rule["Name"], message)
    if failures is not None:
        failures.append(message)
    queue = str((target.get("DeadLetterConfig") or {}).get("Arn") or "")
    found = sqs._queue_by_arn(queue) if queue else None
    if found is None or not permissions.service_may(SERVICE, "sqs:SendMessage", queue, rule["Arn"]):
        return
    _dead_letters[0](parse_arn(queue), payload)
    said = {"RULE_ARN": rule["Arn"], "TARGET_ARN": target["Arn"], "ERROR_CODE": code, "ERROR_MESSAGE": message}
    found["messages"][-1]["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in said.items()
    }


def _refusal(data: dict[str, Any]) -> Any:
    from ministack.core.responses import error_response_json
    from ministack.services import eventbridge

    if eventbridge._targets.get(eventbridge._rule_key(data.get("Name"), data.get("EventBusName", "default"))):
        return error_response_json("ValidationException", "Rule can't be deleted since it has targets.", 400)
    return None
