"""Records what was authorized and what was refused, and asks KMS where a service would on the caller's behalf."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from emulator import Call, callers, request_resources

_calls: list[Call] = []
_lock = threading.Lock()
_evaluate: list[Callable[..., Any]] = []  # how ministack decides; one, once installed

# What a service does with the caller's own permissions where its resource has a customer managed key.
KEY_ACTIONS = {
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "secretsmanager:PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt"),
    "s3:GetObject": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
    "dynamodb:GetItem": ("kms:Decrypt",),
    "dynamodb:PutItem": ("kms:Decrypt",),
    "dynamodb:UpdateItem": ("kms:Decrypt",),
    "dynamodb:DeleteItem": ("kms:Decrypt",),
    "dynamodb:Query": ("kms:Decrypt",),
    "dynamodb:Scan": ("kms:Decrypt",),
    "sns:Publish": ("kms:GenerateDataKey", "kms:Decrypt"),
    "rds:CreateDBInstance": ("kms:CreateGrant", "kms:DescribeKey"),
}


def calls() -> list[dict[str, Any]]:
    with _lock:
        return [asdict(call) for call in _calls]


def forget() -> None:
    with _lock:
        _calls.clear()


def install() -> None:
    """Stands between the request and the evaluation of policies."""
    from ministack import app
    from ministack.core import iam_evaluator

    theirs = iam_evaluator.enforce

    def enforce(
        key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: dict[str, Any] | None = None
    ) -> Any:
        callers.key.set(key)
        region = callers.home(action.partition(":")[0]) or region
        principal = _principal(key)
        function = callers.source_function(principal) if ":assumed-role/" in principal else None
        context = {**(service_context or {}), **({"lambda:SourceFunctionArn": function} if function else {})}
        denied = theirs(key, action, service, region, resource_arn=resource_arn, service_context=context)
        _note(principal, action, resource_arn, denied)
        more = request_resources.further.get()
        request_resources.further.set(())  # of this one call
        for another in more if denied is None else ():
            denied = denied or theirs(key, action, service, region, resource_arn=another, service_context=context)
            _note(principal, action, another, denied)
        implied = request_resources.besides.get()
        request_resources.besides.set(())
        for other, another in implied:
            if denied is None:
                denied = theirs(key, other, other.split(":")[0], region, resource_arn=another, service_context=context)
                _note(principal, other, another, denied)
        if denied is None and principal:
            denied = _ask_kms(theirs, principal, key, action, region, resource_arn)
        return denied if denied is not None else _make_roles(theirs, principal, key, action, region)

    iam_evaluator.enforce = enforce
    _evaluate[:] = [theirs]
    # Loopback stands for TLS: clients reach AWS by https, and policies that refuse anything else must not refuse ours.
    origin = app.pin_request_origin
    app.pin_request_origin = lambda address, _secure: origin(address, True)


def _make_roles(evaluate: Callable[..., Any], principal: str, key: str, action: str, region: str) -> Any:
    """The refusal to a caller who may not have a service make its own role, where it comes with this call; else it is made."""
    for role in callers.roles_with_call(action):
        one, arn, context = callers.role_need(role)
        denied = evaluate(key, one, "iam", region, resource_arn=arn, service_context=dict(context))
        _note(principal, one, arn, denied)
        if denied is not None:
            return denied
        callers.make_role(role)
    return None


def ask_caller(needs: Iterable[callers.Need]) -> None:
    """Asks the policies of whoever called CloudFormation for what AWS needs to act on their behalf.

    Raises:
        PermissionError: They do not allow it.
    """
    from ministack.core.responses import get_region

    key = callers.key.get()
    principal = _principal(key)
    for action, arn, context in needs if principal else ():
        service = action.partition(":")[0]
        keys, region = {**callers.THROUGH, **context}, callers.home(service) or get_region()
        denied = _evaluate[0](key, action, service, region, resource_arn=arn, service_context=keys)
        _note(principal, action, arn, denied, "cloudformation.amazonaws.com")
        if denied is not None:
            raise PermissionError(
                f"User: {principal} is not authorized to perform: {action} on resource: {arn} because no identity-based policy "
                f"allows the {action} action (Service: {service}, Status Code: 403)"
            )


def ask_to_rule(policy: str, region: str, *, through: bool) -> bool:
    """Whether the caller may rule a key that is to be made with this policy, by themselves or ``through`` CloudFormation."""
    allowed = callers.may_rule(policy, region, callers.THROUGH if through else {})
    _note(_principal(callers.key.get()), "kms:PutKeyPolicy", f"arn:aws:kms:{region}:*:key/new", None if allowed else policy)
    return allowed


def note_service(principal: str, action: str, resource: str, allowed: bool) -> None:
    """Records what a service did, or may not do, by itself."""
    with _lock:
        _calls.append(Call(principal, action, resource, allowed))


def may_use_key(key: str, actions: tuple[str, ...], key_arn: str, via: str, context: dict[str, str]) -> bool:
    """Whether the caller with the access key ``key`` may use a KMS key, that may be of another region, through a service."""
    from ministack.core.responses import get_account_id, request_scope

    principal = _principal(key)
    with request_scope(get_account_id(), key_arn.split(":")[3]):
        return not principal or _key_refusal(_evaluate[0], principal, key, actions, key_arn, via, context) is None


def _principal(key: str) -> str:
    """The caller's ARN; empty for the account's root, to whom everything is allowed, and for nobody."""
    from ministack.core.iam_evaluator import resolve_principal
    from ministack.core.responses import get_account_id

    found = resolve_principal(key or "", get_account_id(), None)
    return str(found.arn) if getattr(found, "policies", None) is not None else ""


def _note(principal: str, action: str, resource: str, denied: Any, via: str = "") -> None:
    if principal:
        with _lock:
            _calls.append(Call(principal, action, resource, denied is None, via))


def _ask_kms(evaluate: Callable[..., Any], principal: str, key: str, action: str, region: str, resource: str) -> Any:
    """The first refusal of KMS, or None. Each request carries its resource as encryption context and the service as its way."""
    service = action.split(":")[0]
    needed = KEY_ACTIONS.get(action, ())
    name, context = KEYS[service](resource) if needed else ("", {})
    key_arn = _arn_of(name)
    if key_arn is None:
        return None
    via = f"{service}.{region}.amazonaws.com"
    return _key_refusal(evaluate, principal, key, needed, key_arn, via, context)


def _key_refusal(
    evaluate: Callable[..., Any],
    principal: str,
    key: str,
    needed: tuple[str, ...],
    key_arn: str,
    via: str,
    context: dict[str, str],
) -> Any:
    keys: dict[str, Any] = {"kms:ViaService": via, "kms:EncryptionContextKeys": list(context)}
    keys |= {f"kms:EncryptionContext:{one}": value for one, value in context.items() if value}
    for one in needed:
        more = {"kms:GrantIsForAWSResource": "true"} if one == "kms:CreateGrant" else {}
        denied = evaluate(key, one, "kms", key_arn.split(":")[3], resource_arn=key_arn, service_context={**keys, **more})
        _note(principal, one, key_arn, denied, via)
        if denied is not None:
            return denied
    return None


def _secret_key(arn: str) -> tuple[str, dict[str, str]]:
    """The key of a secret, and what KMS is told of it; of a version it is told which, and policies seldom ask."""
    from ministack.services import secretsmanager

    _, secret = secretsmanager._resolve(arn)
    return (secret or {}).get("KmsKeyId") or "", {"SecretARN": arn, "SecretVersionId": ""}


def _object_key(arn: str) -> tuple[str, dict[str, str]]:
    """The default key of an object's bucket. With a key of the bucket's own KMS is told of the bucket, else of the object."""
    from ministack.services import s3

    bucket = arn.removeprefix("arn:aws:s3:::").split("/")[0]
    name = s3._bucket_default_sse_headers(bucket).get("x-amz-server-side-encryption-aws-kms-key-id", "")
    of_bucket = "<BucketKeyEnabled>true<" in (s3._bucket_encryption.get(bucket) or "")
    return name, {"aws:s3:arn": f"arn:aws:s3:::{bucket}" if of_bucket else arn}


def _table_key(arn: str) -> tuple[str, dict[str, str]]:
    from ministack.core.responses import get_account_id
    from ministack.services import dynamodb

    name = arn.split("/")[1] if "/" in arn else ""
    key = ((dynamodb._tables.get(name) or {}).get("SSEDescription") or {}).get("KMSMasterKeyArn", "")
    return key, {"aws:dynamodb:tableName": name, "aws:dynamodb:subscriberId": get_account_id()}


def _topic_key(arn: str) -> tuple[str, dict[str, str]]:
    from ministack.services import sns

    attributes = (sns._topics.get(arn) or {}).get("attributes", {})
    return attributes.get("KmsMasterKeyId", ""), {"aws:sns:topicArn": arn}


def _database_key(_arn: str) -> tuple[str, dict[str, str]]:
    """The key of an instance that is to be made: that of its cluster, or the one that the request names."""
    from ministack.services import rds

    cluster, key = request_resources.made_under.get()
    return (rds._clusters.get(cluster) or {}).get("KmsKeyId") or key, {}


KEYS: dict[str, Callable[[str], tuple[str, dict[str, str]]]] = {
    "secretsmanager": _secret_key,
    "s3": _object_key,
    "dynamodb": _table_key,
    "rds": _database_key,
    "sns": _topic_key,
}


def _arn_of(key: str) -> str | None:
    """A customer managed key's ARN; None for AWS's own, which every caller in the account may use through the service."""
    from ministack.services import kms

    if not key or "alias/aws/" in key:
        return None
    found = kms._describe_key({"KeyId": key})
    return str(json.loads(found[2])["KeyMetadata"]["Arn"]) if found[0] == 200 else None
