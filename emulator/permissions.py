"""What services may do by themselves, and a role where ministack does not ask; all of it on record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emulator import authorizations


def service_may(service: str, action: str, resource_arn: str, source_arn: str) -> bool:
    """Whether the resource's own policy lets the AWS service do it on behalf of what has the ARN ``source_arn``."""
    from ministack.core import iam_evaluator

    found = iam_evaluator._resource_policy(action.split(":")[0], resource_arn)
    allowed = found is not None and _evaluated(found[0], service, action, resource_arn, source_arn)
    authorizations.note_service(service, action, resource_arn, allowed)
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
    authorizations.note_service(context.principal_arn, action, resource_arn, allowed)
    return allowed


def service_role_may(
    service: str, role_arn: str, session: str, action: str, resource_arn: str, keys: Mapping[str, str], source_arn: str
) -> bool:
    """Whether the service may assume the role for ``source_arn``, and the role may: by its policies and those of the resource."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region, request_scope

    account, name = get_account_id(), role_arn.rsplit("/", 1)[-1]
    context = _context(f"arn:aws:sts::{account}:assumed-role/{name}/{session}", "AssumedRole", action, resource_arn, keys)
    allowed = trusts(service, name, source_arn)
    if allowed:
        result = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(name, account))
        kind = action.split(":")[0]
        with request_scope(account, resource_arn.split(":")[3] or get_region()):
            found = iam_evaluator._resource_policy(kind, resource_arn)
        if found is not None:
            result = iam_evaluator.combine_resource_policy(result, context, *found, required=kind == "kms")
        allowed = bool(result.decision == "Allow")
    authorizations.note_service(context.principal_arn, action, resource_arn, allowed)
    return allowed


def trusts(service: str, role: str, source_arn: str) -> bool:
    """Whether the role exists, and its trust policy lets the service assume it for the source."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id
    from ministack.services import iam

    found = iam._roles.get_scoped(get_account_id(), None, role)
    if found is None:
        return False
    trust = found["AssumeRolePolicyDocument"]
    document = json.loads(trust) if isinstance(trust, str) else trust
    statements = [{**one, "Resource": "*"} for one in document["Statement"]]
    keys = {"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()}
    context = _context(service, "Service", "sts:AssumeRole", "*", keys)
    policy = {"Version": "2012-10-17", "Statement": statements}
    return bool(iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision == "Allow")


def key_arn(key: str, region: str) -> str | None:
    """The ARN of a customer managed key of the region, empty where it cannot be used; None for AWS's own, free to who may ask."""
    from ministack.core.responses import get_account_id, request_scope
    from ministack.services import kms

    if not key or "alias/aws/" in key:
        return None
    with request_scope(get_account_id(), region):
        found = kms._describe_key({"KeyId": key})
    described = json.loads(found[2]).get("KeyMetadata", {}) if found[0] == 200 else {}
    return str(described["Arn"]) if described.get("KeyState") == "Enabled" else ""


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
