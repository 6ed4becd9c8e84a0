"""Records what was authorized and what was refused, and asks KMS where a service would on the caller's behalf."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from emulator import Call
from emulator.services.lambda_ import source_function

_calls: list[Call] = []
_lock = threading.Lock()

# What Secrets Manager does with the caller's own permissions where a secret has a customer managed key.
KEY_ACTIONS = {
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "secretsmanager:PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt"),
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
        principal = _principal(key)
        function = source_function(principal) if ":assumed-role/" in principal else None
        context = {**(service_context or {}), **({"lambda:SourceFunctionArn": function} if function else {})}
        denied = theirs(key, action, service, region, resource_arn=resource_arn, service_context=context)
        _note(principal, action, resource_arn, denied)
        if denied is None and principal:
            denied = _ask_kms(theirs, principal, key, action, region, resource_arn)
        return denied

    iam_evaluator.enforce = enforce
    # Loopback stands for TLS: clients reach AWS by https, and policies that refuse anything else must not refuse ours.
    origin = app.pin_request_origin
    app.pin_request_origin = lambda address, _secure: origin(address, True)


def note_service(principal: str, action: str, resource: str, allowed: bool) -> None:
    """Records what a service did, or may not do, by itself."""
    with _lock:
        _calls.append(Call(principal, action, resource, allowed))


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


def _ask_kms(evaluate: Callable[..., Any], principal: str, key: str, action: str, region: str, secret_arn: str) -> Any:
    """The first refusal of KMS, or None. Each request carries the secret as encryption context and Secrets Manager as its way."""
    needed = KEY_ACTIONS.get(action, ())
    key_arn = _key_of(secret_arn) if needed else None
    if key_arn is None:
        return None
    via = f"secretsmanager.{region}.amazonaws.com"
    context = {
        "kms:ViaService": via,
        "kms:EncryptionContext:SecretARN": secret_arn,
        "kms:EncryptionContextKeys": ["SecretARN", "SecretVersionId"],
    }
    for one in needed:
        denied = evaluate(key, one, "kms", region, resource_arn=key_arn, service_context=context)
        _note(principal, one, key_arn, denied, via)
        if denied is not None:
            return denied
    return None


def _key_of(secret_arn: str) -> str | None:
    """The customer managed key of a secret; None for AWS's own, which every caller in the account may use through the service."""
    from ministack.services import kms, secretsmanager

    _, secret = secretsmanager._resolve(secret_arn)
    name = (secret or {}).get("KmsKeyId")
    if not name or name.endswith("alias/aws/secretsmanager"):
        return None
    found = kms._describe_key({"KeyId": name})
    return str(json.loads(found[2])["KeyMetadata"]["Arn"]) if found[0] == 200 else None
