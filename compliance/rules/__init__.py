"""The rules: each is data (id, statement, reason, source, types) and a function that judges one resource.

Rules know no regulation; a profile maps them to control ids.
"""

from __future__ import annotations

from functools import cache

from model import Rule


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of every module here, in the order of their ids."""
    from compliance.rules import (
        alarms,
        backup,
        ec2,
        elasticache,
        failover,
        files,
        functions,
        iam,
        kms,
        logs,
        policies,
        rds,
        reach,
        resources,
        s3,
        secondaries,
        secrets,
        sns,
        tables,
        trail,
    )

    modules = (
        alarms,
        backup,
        ec2,
        elasticache,
        failover,
        files,
        functions,
        iam,
        kms,
        logs,
        policies,
        rds,
        reach,
        resources,
        s3,
        secondaries,
        secrets,
        sns,
        tables,
        trail,
    )
    return tuple(sorted((value for module in modules for value in vars(module).values() if isinstance(value, Rule)), key=_id))


def _id(rule: Rule) -> str:
    return rule.id
