"""Puts policy variables such as ``${aws:PrincipalAccount}`` into the resources of statements, which ministack takes literally."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

VARIABLE = re.compile(r"\$\{([a-zA-Z0-9]+:[A-Za-z0-9/_-]+)\}")


def install() -> None:
    """Stands before the choice of the statement that decides."""
    from ministack.core import iam_evaluator

    theirs = iam_evaluator._first_match

    def first_match(context: Any, statements: list[Any], effect: str) -> Any:
        return theirs(context, [_resolved(statement, context) for statement in statements], effect)

    iam_evaluator._first_match = first_match


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
