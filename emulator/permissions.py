"""What services may do by themselves, and a role where ministack does not ask; all of it on record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emulator import record


def service_may(service: str, action: str, resource_arn: str, source_arn: str) -> bool:
    """Whether the resource's own policy lets the AWS service do it on behalf of what has the ARN ``source_arn``."""
    from ministack.core import iam_evaluator

    found = iam_evaluator._resource_policy(action.split(":")[0], resource_arn)
    allowed = found is not None and _evaluated(found[0], service, action, resource_arn, source_arn)
    record.note_service(service, action, resource_arn, allowed)
    return allowed


def _evaluated(policy: Any, service: str, action: str, resource_arn: str, source_arn: str) -> bool:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id

    context = _context(
        service, "Service", action, resource_arn, {"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()}
    )
    return bool(iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision == "Allow")


def service_may_use_key(service: str, key: str, source_arn: str) -> bool:
    """Whether the key's policy lets the service encrypt with it; what AWS itself holds needs no permission."""
    from ministack.services import kms

    if not key or key.startswith("alias/aws/"):
        return True
    found = kms._describe_key({"KeyId": key})
    if found[0] != 200:
        return False
    arn = json.loads(found[2])["KeyMetadata"]["Arn"]
    return all(service_may(service, action, arn, source_arn) for action in ("kms:GenerateDataKey", "kms:Decrypt"))


def role_may(role_arn: str, session: str, action: str, resource_arn: str, keys: Mapping[str, str], policy: str | None) -> bool:
    """Whether a session of the role may, by the role's policies and the resource's own, if it has one."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id

    role, account = role_arn.rsplit("/", 1)[-1], get_account_id()
    context = _context(f"arn:aws:sts::{account}:assumed-role/{role}/{session}", "AssumedRole", action, resource_arn, keys)
    result = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role, account))
    if policy:
        result = iam_evaluator.combine_resource_policy(result, context, policy, account)
    allowed = bool(result.decision == "Allow")
    record.note_service(context.principal_arn, action, resource_arn, allowed)
    return allowed


def _context(principal: str, kind: str, action: str, resource_arn: str, keys: Mapping[str, str]) -> Any:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region

    return iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type=kind,
        principal_account=get_account_id(),
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
        secure_transport=True,
        service_context={name.lower(): value for name, value in keys.items()},
    )
