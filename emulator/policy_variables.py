"""Puts policy variables such as ``${aws:PrincipalAccount}`` into the resources of statements, which ministack takes literally."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

VARIABLE = re.compile(r"\$\{([a-zA-Z0-9]+:[A-Za-z0-9/_-]+)\}")


def install() -> None:
    """Stands before the choice of the statement that decides."""
    from ministack.core import iam_evaluator

    theirs, resolve = iam_evaluator._first_match, iam_evaluator._resolve_condition_key

    def first_match(context: Any, statements: list[Any], effect: str) -> Any:
        return theirs(context, [_resolved(statement, context) for statement in statements], effect)

    iam_evaluator._first_match = first_match
    iam_evaluator._resolve_condition_key = lambda key, context: (
        _role(context.principal_arn) if key.lower() == "aws:principalarn" else resolve(key, context)
    )


def _role(principal: str) -> str:
    """The principal that conditions see: of a session the role's ARN, not the session's."""
    from ministack.services import iam

    if ":assumed-role/" not in principal:
        return principal
    account, role = principal.split(":")[4], principal.split("/")[1]
    found = iam._roles.get_scoped(account, None, role)
    return str(found["Arn"]) if found else principal


def _resolved(statement: Any, context: Any) -> Any:
    if not any("${" in resource for resource in (*statement.resources, *statement.not_resources)):
        return statement
    return replace(
        statement,
        resources=[_filled(resource, context) for resource in statement.resources],
        not_resources=[_filled(resource, context) for resource in statement.not_resources],
    )


def _filled(resource: str, context: Any) -> str:
    """A variable without a value stays as it is, and so matches nothing, as in IAM."""
    from ministack.core.iam_evaluator import _resolve_condition_key

    def value(match: re.Match[str]) -> str:
        found = _resolve_condition_key(match[1], context)
        return found if isinstance(found, str) else match[0]

    return VARIABLE.sub(value, resource)
